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


def test_number_keeps_its_exclusive_bounds_out():
    checks.check_number("target", 0.5, above=0, below=1)
    for value in (0, 1, -1):
        with pytest.raises(ValueError, match="number above 0 and below 1. Received: t"):
            checks.check_number("target", value, above=0, below=1)


def test_count_has_a_largest():
    checks.check_count("k", 5, maximum=5)
    with pytest.raises(ValueError, match="at least 1 and at most 5. Received: k=6"):
        checks.check_count("k", 6, maximum=5)


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


@pytest.mark.parametrize("value", [0.0, [[1.0]], np.ones((0,))])
def test_finite_array_refuses_other_axes_and_no_entries(value):
    with pytest.raises(ValueError, match=r"`x` must have the shape \(num,\).*x.shape="):
        checks.finite_array("x", value, ndim=1, shape="(num,)")


def test_finite_array_takes_one_of_several_numbers_of_axes():
    assert checks.finite_array("x", np.ones((2, 3)), ndim=(1, 2)).shape == (2, 3)
    with pytest.raises(ValueError, match=r"must have \(1, 2\) axes"):
        checks.finite_array("x", 1.0, ndim=(1, 2))


def test_finite_array_takes_any_number_of_axes_from_the_least_on():
    assert checks.finite_array("x", np.ones((1, 1, 1)), min_ndim=2).ndim == 3
    for value in (np.ones(3), np.ones((0, 3))):
        with pytest.raises(ValueError, match="must have at least 2 axes"):
            checks.finite_array("x", value, min_ndim=2)


def test_finite_array_lets_values_be_missing_but_not_infinite():
    assert np.isnan(checks.finite_array("x", [1.0, math.nan], missing=True)[1])
    with pytest.raises(ValueError, match="`x` must be finite.*1 infinite"):
        checks.finite_array("x", [math.nan, math.inf], missing=True)


def test_a_refusal_quotes_the_value_or_says_what_was_received():
    with pytest.raises(ValueError, match="^Argument `x` must be 2. Received: x=3$"):
        checks.refuse("x", "2", 3)
    with pytest.raises(ValueError, match="^Argument `x` must be 2. Received: a 3$"):
        checks.refuse("x", "2", received="a 3")


def test_needs_names_the_package_and_what_brings_it():
    with pytest.raises(ImportError, match=r"some-package.*aecourse\[course\].*nowhere"):
        with checks.needs("some-package"):
            import nowhere.at_all  # noqa: F401
    with pytest.raises(KeyError), checks.needs("some-package"):
        raise KeyError  # not what it is about
