"""What an argument must be: one check for each kind, worded the same everywhere.

Each check raises a `ValueError` that names the argument, says what was expected and
ends with what was received. `needs` does the same for a package that is not there.
"""

import contextlib
import math
import numbers

import numpy as np


def is_count(value, *, minimum=1, maximum=None):
    """Whether `value` is a whole number from `minimum` to `maximum`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return whole and value >= minimum and (maximum is None or value <= maximum)


def check_count(name, value, *, minimum=1, maximum=None):
    """Refuse anything but a whole number from `minimum` to `maximum`."""
    if not is_count(value, minimum=minimum, maximum=maximum):
        expected = f"a whole number, at least {minimum}"
        if maximum is not None:
            expected += f" and at most {maximum}"
        refuse(name, expected, value)


def check_number(name, value, *, minimum=None, maximum=None, above=None, below=None):
    """Refuse anything but a finite number within bounds.

    `minimum` and `maximum` are allowed values, `above` and `below` are not.
    """
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if (
        real
        and math.isfinite(value)
        and (minimum is None or value >= minimum)
        and (maximum is None or value <= maximum)
        and (above is None or value > above)
        and (below is None or value < below)
    ):
        return
    bounds = []
    if minimum is not None and maximum is not None:
        bounds.append(f"between {minimum:g} and {maximum:g}")
    elif minimum is not None:
        bounds.append(f"of at least {minimum:g}")
    elif maximum is not None:
        bounds.append(f"of at most {maximum:g}")
    if above is not None:
        bounds.append(f"above {above:g}")
    if below is not None:
        bounds.append(f"below {below:g}")
    refuse(name, f"a finite number {' and '.join(bounds)}".strip(), value)


def is_same_shape(shape, other_shape):
    """Whether two shapes agree; `None` (unknown until the call) fits any size."""
    return len(shape) == len(other_shape) and all(
        size == other or size is None or other is None
        for size, other in zip(shape, other_shape, strict=True)
    )


def check_same_shape(name, shape, other_name, other_shape):
    """Refuse two shapes that differ."""
    if not is_same_shape(shape, other_shape):
        raise ValueError(
            f"Argument `{name}` must have the shape of `{other_name}`, "
            f"{tuple(other_shape)}. Received: {name}.shape={tuple(shape)}"
        )


def finite_array(name, value, *, ndim=None, min_ndim=None, shape="", missing=False):
    """`value` as a float64 array, or a refusal.

    Args:
        name: Name of the argument.
        value: What was passed: an array, a tensor, nested lists of numbers.
        ndim: Number of axes, or a tuple of those allowed; `None` for any.
        min_ndim: Least number of axes; `None` for any. An array is refused when it is
            empty, too, where either is given.
        shape: How the docstring of the caller writes the expected shape, for the
            refusal: `"(num_examples, latent_dim)"`.
        missing: Whether NaN stands for a missing value and is allowed.

    Returns:
        NumPy array, float64.

    Raises:
        ValueError: if the number of axes is another one, or an entry is NaN or
            infinite.
    """
    value = np.asarray(value, dtype="float64")
    if ndim is not None or min_ndim is not None:
        allowed = (ndim,) if isinstance(ndim, int) else ndim
        fits = allowed is None or value.ndim in allowed
        fits = fits and (min_ndim is None or value.ndim >= min_ndim)
        if not fits or value.size == 0:
            axes = ndim if min_ndim is None else f"at least {min_ndim}"
            expected = f"the shape {shape}" if shape else f"{axes} axes"
            raise ValueError(
                f"Argument `{name}` must have {expected}, and at least one entry. "
                f"Received: {name}.shape={value.shape}"
            )
    bad = np.isinf(value) if missing else ~np.isfinite(value)
    if bad.any():
        kind = "infinite" if missing else "NaN or infinite"
        num_bad = np.count_nonzero(bad)
        refuse(name, "finite", received=f"{name} with {num_bad} {kind} entries")
    return value


def refuse(name, expected, value=None, *, received=None):
    """Raise the `ValueError` of the course for argument `name`.

    It ends with the argument's value. Where the value would say little (an array, a
    model) or is not what was wrong, `received` says in words what was.
    """
    if received is None:
        received = f"{name}={value!r}"
    raise ValueError(f"Argument `{name}` must be {expected}. Received: {received}")


@contextlib.contextmanager
def needs(package):
    """Around imports from `package`, which the core of the library does without.

    Args:
        package: Name by which it is installed, such as `"scikit-learn"`.

    Raises:
        ImportError: the package is missing; says which extra brings it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"This part of aecourse needs the package {package}: "
            f'pip install "aecourse[course]" ({error})'
        ) from error
