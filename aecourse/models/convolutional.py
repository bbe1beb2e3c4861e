"""Encoders and decoders of convolutions, and the U-Net."""

import math

import keras

from aecourse.checks import check_count, refuse
from aecourse.layers import Conv2DTranspose, ResizeConv2D, SubPixelConv2D
from aecourse.models.parts import (
    check_shape,
    check_widths,
    code_layer,
    crop,
    halved_sizes,
    hidden_layer,
)

_UPSAMPLINGS = {
    "transposed": Conv2DTranspose,
    "resize": ResizeConv2D,
    "subpixel": SubPixelConv2D,
}


def conv_encoder(
    input_shape,
    latent_dim,
    *,
    filters=(32, 64, 128),
    kernel_size=3,
    activation="relu",
    layer_norm=False,
    variational=False,
    name="encoder",
):
    """Builds an encoder of strided convolutions; each halves height and width.

    There is no batch normalization: with it the code of an image would depend on the
    other images of its batch.

    Args:
        input_shape: `(height, width, channels)`; odd sizes are rounded up when halved.
        latent_dim: Number of latent axes.
        filters: Number of filters of each convolution, from the input on.
        kernel_size: Integer or pair.
        activation: Activation of the hidden layers.
        layer_norm: Whether to normalize each hidden layer before its activation,
            across height, width and channels of an example.
        variational: Whether the code is a distribution.
        name: Name of the model.

    Returns:
        `keras.Model` from `x` of shape `(batch, height, width, channels)` to `z` of
        shape `(batch, latent_dim)`; or, when `variational`, to `[z_mean, z_log_var]`,
        each of that shape.

    Raises:
        ValueError: if `input_shape` has not three axes, `filters` is empty, or a size
            is not a whole number of at least 1.

    Example:

    >>> conv_encoder((28, 28, 1), latent_dim=2).output_shape
    (None, 2)

    Derived in: notebook 04.

    Reference:
        Masci et al., "Stacked Convolutional Auto-Encoders" (2011).
    """
    check_shape("input_shape", input_shape, num_axes=3)
    check_widths("filters", filters, minimum=1)
    x = h = keras.Input(tuple(input_shape), name="x")
    for num_filters in filters:
        conv = keras.layers.Conv2D(num_filters, kernel_size, strides=2, padding="same")
        h = hidden_layer(conv, h, activation, layer_norm)
    h = keras.layers.Flatten()(h)
    return keras.Model(x, code_layer(h, latent_dim, variational), name=name)


def conv_decoder(
    output_shape,
    latent_dim,
    *,
    filters=(128, 64, 32),
    kernel_size=3,
    activation="relu",
    layer_norm=False,
    output_activation="linear",
    upsampling="transposed",
    name="decoder",
):
    """Builds a decoder of transposed convolutions; each doubles height and width.

    The mirror of `conv_encoder`: where the encoder rounded an odd size up, the row and
    column too many are cropped.

    Args:
        output_shape: `(height, width, channels)`. Likelihoods with two parameters per
            feature need twice the channels of the data: means, then log-variances.
        latent_dim: Number of latent axes.
        filters: Number of channels before each transposed convolution, from the code
            on: the encoder's `filters` reversed.
        kernel_size: Integer or pair.
        activation: Activation of the hidden layers.
        layer_norm: Whether to normalize each hidden layer before its activation.
        output_activation: `"linear"` for logits or means, `"sigmoid"` for
            intensities.
        upsampling: `"transposed"`, or `"resize"` or `"subpixel"` for another layer in
            place of the transposed convolutions (`layers.ResizeConv2D`,
            `layers.SubPixelConv2D`).
        name: Name of the model.

    Returns:
        `keras.Model` from `z` of shape `(batch, latent_dim)` to `(batch, height,
        width, channels)`.

    Raises:
        ValueError: if `output_shape` has not three axes, `filters` is empty, a size
            is not a whole number of at least 1, or `upsampling` is unknown.

    Example:

    >>> conv_decoder((28, 28, 1), latent_dim=2).output_shape
    (None, 28, 28, 1)

    Derived in: notebook 04.

    Reference:
        Masci et al., "Stacked Convolutional Auto-Encoders" (2011).
    """
    check_shape("output_shape", output_shape, num_axes=3)
    check_count("latent_dim", latent_dim)
    check_widths("filters", filters, minimum=1)
    upsampling_layer = _upsampling_layer(upsampling)
    *size, num_channels = output_shape
    sizes = halved_sizes(size, len(filters))[::-1]
    z = keras.Input((latent_dim,), name="z")
    start = (*sizes[0], filters[0])
    h = hidden_layer(keras.layers.Dense(math.prod(start)), z, activation, layer_norm)
    h = keras.layers.Reshape(start)(h)
    for before, after, num_filters in zip(
        sizes, sizes[1:-1], filters[1:], strict=False
    ):
        conv = upsampling_layer(num_filters, kernel_size, strides=2, padding="same")
        h = crop(hidden_layer(conv, h, activation, layer_norm), before, after)
    h = upsampling_layer(
        num_channels,
        kernel_size,
        strides=2,
        padding="same",
        activation=output_activation,
        dtype="float32",
        name="output",
    )(h)
    return keras.Model(z, crop(h, sizes[-2], sizes[-1]), name=name)


def u_net(
    input_shape,
    filters=(16, 32, 64),
    *,
    latent_dim=None,
    skips=True,
    output_channels=None,
    kernel_size=3,
    activation="relu",
    layer_norm=False,
    output_activation="linear",
    upsampling="transposed",
    name="u_net",
):
    """Builds a U-Net: image to image, down to a bottleneck and up again.

    One convolution at full size, then one that halves height and width for each
    further level; on the way up each level doubles, is joined by the features of its
    size from the way down (the skip connections), and is convolved. With skips the
    image need not pass the bottleneck: good for mending an image, no way to learn a
    code.

    Args:
        input_shape: `(height, width, channels)`; odd sizes are rounded up when halved
            and cropped when doubled.
        filters: Number of filters of each level, from full size down; at least two.
        latent_dim: Number of axes of a flat code at the bottom, or `None` for a map
            of features.
        skips: Whether the levels are joined; without them it is an autoencoder of
            the same layers.
        output_channels: Channels of the output; those of the input when `None`.
        kernel_size: Integer or pair.
        activation: Activation of the hidden layers.
        layer_norm: Whether to normalize each hidden layer before its activation.
        output_activation: `"linear"` for logits or means, `"sigmoid"` for
            intensities.
        upsampling: As for `conv_decoder`.
        name: Name of the model.

    Returns:
        `keras.Model` from `x` of shape `(batch, height, width, channels)` to `(batch,
        height, width, output_channels)`. Its layer `"bottleneck"` holds what passes
        the bottom, the code if there is one.

    Raises:
        ValueError: if `input_shape` has not three axes, `filters` has fewer than two
            levels, a size is not a whole number of at least 1, or `upsampling` is
            unknown.

    Example:

    >>> model = u_net((28, 28, 1), filters=(4, 8))
    >>> model.output_shape, model.get_layer("bottleneck").output.shape
    ((None, 28, 28, 1), (None, 14, 14, 8))

    Derived in: notebook 04.

    Reference:
        Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image
        Segmentation" (2015).
    """
    check_shape("input_shape", input_shape, num_axes=3)
    check_widths("filters", filters, minimum=2)
    upsampling_layer = _upsampling_layer(upsampling)
    *size, num_channels = input_shape
    if output_channels is None:
        output_channels = num_channels
    check_count("output_channels", output_channels)

    def convolution(h, num_filters, strides=1):
        conv = keras.layers.Conv2D(
            num_filters, kernel_size, strides=strides, padding="same"
        )
        return hidden_layer(conv, h, activation, layer_norm)

    x = keras.Input(tuple(input_shape), name="x")
    h = convolution(x, filters[0])
    levels = [h]
    for num_filters in filters[1:]:
        h = convolution(h, num_filters, strides=2)
        levels.append(h)
    if latent_dim is None:
        h = keras.layers.Identity(name="bottleneck")(h)
    else:
        check_count("latent_dim", latent_dim)
        bottom = h.shape[1:]
        h = keras.layers.Flatten()(h)
        h = keras.layers.Dense(latent_dim, dtype="float32", name="bottleneck")(h)
        h = hidden_layer(
            keras.layers.Dense(math.prod(bottom)), h, activation, layer_norm
        )
        h = keras.layers.Reshape(bottom)(h)
    sizes = halved_sizes(size, len(filters) - 1)
    for level in reversed(range(len(filters) - 1)):
        conv = upsampling_layer(filters[level], kernel_size, strides=2, padding="same")
        h = hidden_layer(conv, h, activation, layer_norm)
        h = crop(h, sizes[level + 1], sizes[level])
        if skips:
            h = keras.layers.Concatenate()([h, levels[level]])
        h = convolution(h, filters[level])
    output = keras.layers.Conv2D(
        output_channels,
        1,
        activation=output_activation,
        dtype="float32",
        name="output",
    )
    return keras.Model(x, output(h), name=name)


def _upsampling_layer(upsampling):
    if upsampling not in _UPSAMPLINGS:
        refuse("upsampling", f"one of {list(_UPSAMPLINGS)}", upsampling)
    return _UPSAMPLINGS[upsampling]
