"""checks: what an argument must be."""

import math

import numpy as np
import pytest

from aecourse import checks


@pytest.mark.parametrize("value", [1, np.int64(3)])
def test_count_takes_whole_numbers(value):
    checks.check_count("num_samples", value)


@pytest.mark.parametrize("value", [0, -1, 1.0, 1.5, math.nan, True, "1", None])
def test_count_refuses_anything_else(value):
    with pytest.raises(ValueError, match=r"`num_samples`.*Received: num_samples="):
        checks.check_count("num_samples", value)


@pytest.mark.parametrize("value", [0, 0.5, np.float32(1)])
def test_number_takes_its_bounds_and_what_lies_between(value):
    checks.check_number("rate", value, minimum=0, maximum=1)


@pytest.mark.parametrize("value", [-1e-9, 1.1, math.nan, math.inf, "0.5", True, None])
def test_number_refuses_anything_else(value):
    with pytest.raises(ValueError, match=r"`rate`.*between 0 and 1.*Received: rate="):
        checks.check_number("rate", value, minimum=0, maximum=1)


def test_number_says_which_bounds_there_are():
    with pytest.raises(ValueError, match="must be a finite number of at least 0. "):
        checks.check_number("beta", -1, minimum=0)
    with pytest.raises(ValueError, match="must be a finite number. "):
        checks.check_number("beta", math.nan)
    with pytest.raises(ValueError, match="must be a finite number of at most 0. "):
        checks.check_number("beta", 1, maximum=0)


@pytest.mark.parametrize("value", [0, 1, math.nan, "0.5", True, None])
def test_number_refuses_an_exclusive_bound(value):
    checks.check_number("target", 0.5, above=0, below=1)
    with pytest.raises(ValueError, match=r"`target` must .*above 0 and below 1\. "):
        checks.check_number("target", value, above=0, below=1)


def test_count_has_bounds():
    checks.check_count("seed", 0, minimum=0, maximum=0)
    with pytest.raises(ValueError, match="`k` must .*at least 2 and at most 5. Rec"):
        checks.check_count("k", 6, minimum=2, maximum=5)


def test_same_shape_lets_an_unknown_size_be_any():
    checks.check_same_shape("b", (None, 3), "a", (5, 3))


@pytest.mark.parametrize("shape", [(5,), (5, 4), (1, 3), (5, 3, 1)])
def test_same_shape_refuses_another_shape(shape):
    with pytest.raises(ValueError, match=r"`b`.*`a`, \(5, 3\).*Received: b.shape="):
        checks.check_same_shape("b", shape, "a", (5, 3))


def test_finite_array_gives_float64():
    assert checks.finite_array("x", [1, 2]).dtype == "float64"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_finite_array_refuses_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="`x` must be finite.*1 NaN or infinite"):
        checks.finite_array("x", [1.0, bad])


@pytest.mark.parametrize("value", [np.ones(3), np.ones((2, 0)), np.ones((1, 2, 3))])
def test_finite_array_refuses_another_number_of_axes_and_nothing_at_all(value):
    assert checks.finite_array("x", np.ones((2, 3)), ndim=2).shape == (2, 3)
    with pytest.raises(ValueError, match=r"`x` must be .*Received: x.shape=\("):
        checks.finite_array("x", value, ndim=2)


def test_finite_array_takes_nan_for_missing_but_no_infinity():
    checks.finite_array("x", [1.0, math.nan], missing=True)
    with pytest.raises(ValueError, match="`x` must be .*Received: x with 1 infinite"):
        checks.finite_array("x", [math.inf, math.nan], missing=True)


def test_a_refusal_ends_with_the_value_or_with_what_is_given_for_it():
    with pytest.raises(ValueError, match=r"`x` must be small\. Received: x='large'$"):
        checks.refuse("x", "small", "large")
    with pytest.raises(ValueError, match=r"`x` must be small\. Received: 3 others$"):
        checks.refuse("x", "small", received="3 others")
