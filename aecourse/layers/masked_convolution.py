"""Convolution that sees earlier pixels only."""

import keras
from keras import ops

from aecourse.checks import refuse


@keras.saving.register_keras_serializable(package="aecourse")
class MaskedConv2D(keras.layers.Conv2D):
    """A convolution whose outputs see no later pixel, in reading order.

    An image has as many conditionals as pixels, p(x_i given x_1, ..., x_(i-1)), with
    the pixels read row by row. A network that computes all of them at once must not
    let output i see pixel i, nor any after it. Half of the kernel is therefore
    multiplied by zero: the rows below the center, and right of it its own row. The
    first layer, which sees the image, hides the center as well (type A); the layers
    above it see features of earlier pixels there and may use them (type B).

    An output sees `kernel_size // 2` rows up and as many columns to either side. A
    stack of layers with kernels above 1 sees further, with a blind spot: pixels above
    and to the right that no path through the layers reaches.

    The mask is over pixels, not over channels: of the pixel itself, type A hides all
    channels and type B none.

    Args:
        filters: Number of output channels.
        kernel_size: Odd integer, or pair of them.
        mask_type: `"A"` hides the pixel itself, `"B"` does not.
        **kwargs: As for `keras.layers.Conv2D`: `activation`, `dilation_rate`, ...
            Stride is 1, padding `"same"`, channels last.

    Call arguments:
        inputs: Tensor of shape `(batch, height, width, channels)`.

    Output shape:
        `(batch, height, width, filters)`.

    Raises:
        ValueError: if `mask_type` is neither "A" nor "B", a side of the kernel is
            even, or `strides`, `padding` or `data_format` is not as stated: outputs
            and pixels would not lie on one another.

    Example:

    >>> layer = MaskedConv2D(1, 3, mask_type="A", kernel_initializer="ones")
    >>> outputs = layer(ops.ones((1, 3, 3, 1)))
    >>> [int(output) for output in ops.ravel(outputs)]
    [0, 1, 1, 2, 4, 3, 2, 4, 3]

    Derived in: notebook 14.

    Reference:
        van den Oord et al., "Pixel Recurrent Neural Networks" (2016), section 3.4; and
        "Conditional Image Generation with PixelCNN Decoders" (2016) for the blind
        spot.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        *,
        mask_type,
        strides=1,
        padding="same",
        data_format="channels_last",
        **kwargs,
    ):
        if mask_type not in ("A", "B"):
            refuse("mask_type", '"A" or "B"', mask_type)
        if strides not in (1, (1, 1), [1, 1]):
            refuse("strides", "1", strides)
        if padding != "same":
            refuse("padding", '"same"', padding)
        if data_format != "channels_last":
            refuse("data_format", '"channels_last"', data_format)
        super().__init__(
            filters,
            kernel_size,
            padding=padding,
            data_format=data_format,
            **kwargs,
        )
        if any(size % 2 == 0 for size in self.kernel_size):
            refuse("kernel_size", "odd, so that it has a center", kernel_size)
        self.mask_type = mask_type

    @property
    def mask(self):
        """Ones, then zeros: the factor of the kernel, `(*kernel_size, 1, 1)`."""
        rows, columns = self.kernel_size
        center = rows * columns // 2
        num_seen = center + (self.mask_type == "B")
        mask = [1.0] * num_seen + [0.0] * (rows * columns - num_seen)
        return ops.reshape(mask, (rows, columns, 1, 1))

    def convolution_op(self, inputs, kernel):
        mask, kernel = (ops.cast(part, inputs.dtype) for part in (self.mask, kernel))
        return super().convolution_op(inputs, kernel * mask)

    def get_config(self):
        return {**super().get_config(), "mask_type": self.mask_type}
