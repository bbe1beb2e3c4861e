"""Images deformed a little, anew in every epoch."""

import keras
import numpy as np
from keras import ops

from aecourse.checks import check_count, refuse
from aecourse.datasets.binarization import check_images

# The most that a deformation does, in both directions, at full strength.
_ANGLE = 0.2  # radians
_SHEAR = 0.15
_SCALE = 0.1  # of each axis
_SHIFT = 1.5 / 28  # of the image's length along each axis


class JitteredImages(keras.utils.PyDataset):
    """Batches `(x, x)` for `fit`, turned, sheared, scaled and shifted a little.

    Every image is deformed anew in every epoch. The strength falls evenly, to zero
    after four fifths of the epochs, so that the last ones see the images as they are;
    let the learning rate fall along with it. Pixels from outside of an image are 0.

    An epoch leaves out the images that do not fill a batch, other ones each time. The
    epoch is the number of calls of `on_epoch_end()`: `fit` makes one before it trains
    and one after each epoch. The numbers are the same on every backend if the batches
    are taken in the same order: leave `workers`, `shuffle` and `steps_per_epoch` alone.

    Args:
        x: Images, `(n, height, width, channels)`, intensity in [0, 1].
        num_epochs: Number of epochs for which `fit` will run.
        batch_size: Images in a batch, at most as many as there are.
        seed: Whole number, at least 0.

    Raises:
        ValueError: `x` has another number of axes, holds NaN or values outside [0, 1];
            `num_epochs` or `batch_size` is not a whole number of at least 1, or there
            are fewer images than `batch_size`; `seed` is not one of at least 0.

    Example:

    >>> x = np.zeros((300, 28, 28, 1))
    >>> batches = JitteredImages(x, num_epochs=10, batch_size=128)
    >>> print(len(batches), batches[0][0].shape)
    2 (128, 28, 28, 1)

    Reference: Simard, Steinkraus, Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", 2003.
    """

    def __init__(self, x, num_epochs, *, batch_size=250, seed=0):
        super().__init__()
        self.x = check_images(x)
        if self.x.ndim != 4:
            expected = "of shape (n, height, width, channels)"
            refuse("x", expected, received=f"x.shape={self.x.shape}")
        check_count("num_epochs", num_epochs)
        check_count("batch_size", batch_size, maximum=len(self.x))
        check_count("seed", seed, minimum=0)
        self.num_epochs, self.batch_size = num_epochs, batch_size
        self.epoch = 0
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(len(self.x))

    @property
    def strength(self):
        """Share of the full deformation in the present epoch, from 1 to 0."""
        return max(0.0, 1.0 - self.epoch / (0.8 * self.num_epochs))

    def __len__(self):
        return len(self.x) // self.batch_size

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"There are {len(self)} batches. Received: index={index}")
        start = index * self.batch_size
        x = self.x[self._order[start : start + self.batch_size]]
        if self.strength > 0:
            x = ops.convert_to_numpy(
                ops.image.affine_transform(
                    x, self._transforms(), data_format="channels_last"
                )
            )
        return x, x

    def on_epoch_end(self):
        self.epoch += 1
        self._order = self._generator.permutation(len(self.x))

    def _transforms(self):
        """Maps of output to input positions, `(batch_size, 8)`, as Keras takes them."""
        _, height, width, _ = self.x.shape
        angle, shear = self._draw(_ANGLE), self._draw(_SHEAR)
        scale_x, scale_y = 1 + self._draw(_SCALE), 1 + self._draw(_SCALE)
        a, b = np.cos(angle) / scale_x, shear - np.sin(angle)
        c, d = np.sin(angle), np.cos(angle) / scale_y
        # The center of the image stays in place, but for the shift.
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        shift_x = middle_x - a * middle_x - b * middle_y + self._draw(_SHIFT * width)
        shift_y = middle_y - c * middle_x - d * middle_y + self._draw(_SHIFT * height)
        zero = np.zeros(self.batch_size)
        rows = [a, b, shift_x, c, d, shift_y, zero, zero]
        return np.stack(rows, axis=-1).astype("float32")

    def _draw(self, limit):
        drawn = self._generator.uniform(-limit, limit, self.batch_size)
        return self.strength * drawn
