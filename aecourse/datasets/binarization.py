"""Binary pixels drawn from intensities, and levels spread to densities."""

import math

import keras
import numpy as np

from aecourse.checks import check_count


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
    return _draw(check_images(x), np.random.default_rng(seed))


def dequantize(x, seed, *, num_levels=256):
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
    steps = check_images(x).astype("float64") * (num_levels - 1)
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

    def __init__(self, x, batch_size=128, *, seed=0, shuffle=True):
        super().__init__()
        self.x = check_images(x)
        check_count("batch_size", batch_size)
        check_count("seed", seed, minimum=0)
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0
        self._order = self._new_order()

    def __len__(self):
        return math.ceil(len(self.x) / self.batch_size)

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
    # Uniform numbers lie in [0, 1): intensity 0 never gives 1, intensity 1 always.
    return (generator.random(x.shape, dtype="float32") < x).astype("float32")


def check_images(x):
    """Intensities in [0, 1] as float32, or a refusal."""
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
