"""A data set in three parts, each class in proportion."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Split:
    """A data set in three parts: fit on train, choose on validation, report test.

    Attributes:
        x_train, x_validation, x_test: Images, `(n, height, width, channels)`, float32,
            intensity in [0, 1].
        y_train, y_validation, y_test: Classes, `(n,)`, int64; for sprites the level of
            every factor, `(n, num_factors)`.
        name: What the data are, for titles.
        factor_names: Names of the columns of `y`, where it has columns.
        factor_sizes: Number of levels of each factor.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    _: dataclasses.KW_ONLY
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str = ""
    factor_names: tuple = ()
    factor_sizes: tuple = ()

    def __repr__(self):
        lines = [f"Split: {self.name}"]
        for part in ("train", "validation", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            lines.append(f"  {part:<10}  x {x.shape} {x.dtype}  y {y.shape} {y.dtype}")
        if self.factor_names:
            factors = zip(self.factor_names, self.factor_sizes, strict=True)
            names = ", ".join(f"{name} ({size})" for name, size in factors)
            lines.append(f"  factors     {names}")
        return "\n".join(lines)


_SPLIT_SEED = 2006


def split_off(x, y, num):
    """Part `num` examples from the rest, each class (first factor) in proportion.

    Returns the rest and the taken, both `(x, y)` and both in shuffled order. The random
    numbers are raw output of PCG64, which NumPy promises never to change, unlike the
    methods of its `Generator`: the splits stay what they are.
    """
    classes = y if y.ndim == 1 else y[:, 0]
    num_examples = len(y)
    within_class, order = np.random.PCG64(_SPLIT_SEED).random_raw((2, num_examples))
    # The examples are sorted by class, and at random within a class. Then `num` evenly
    # spaced ones are a random part of each class, in proportion to its size.
    sorted_rows = np.lexsort((within_class, classes))
    evenly_spaced = np.arange(num) * num_examples // num
    is_taken = np.zeros(num_examples, bool)
    is_taken[sorted_rows[evenly_spaced]] = True
    shuffled = np.argsort(order)
    rest, taken = shuffled[~is_taken[shuffled]], shuffled[is_taken[shuffled]]
    return (x[rest], y[rest]), (x[taken], y[taken])


def make_split(name, white, train, validation, test, **about):
    """A `Split` from pairs of integer images, where `white` is full intensity."""
    arrays = {}
    parts = {"train": train, "validation": validation, "test": test}
    for part, (x, y) in parts.items():
        arrays[f"x_{part}"] = np.divide(x[..., np.newaxis], white, dtype="float32")
        arrays[f"y_{part}"] = y.astype("int64")
    return Split(**arrays, name=name, **about)
