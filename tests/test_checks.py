"""checks: what an argument must be."""

import math

import numpy as np
import pytest

from aecourse import checks


@pytest.mark.parametrize("value", [1, np.int64(3)])
def test_count_takes_whole_numbers(value):
    checks.check_count("num_samples", value)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
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


def test_needs_names_the_package_and_what_brings_it():
    with pytest.raises(ImportError, match=r"some-package.*aecourse\[course\].*nowhere"):
        with checks.needs("some-package"):
            import nowhere.at_all  # noqa: F401
    with pytest.raises(KeyError), checks.needs("some-package"):
        raise KeyError  # not what it is about
