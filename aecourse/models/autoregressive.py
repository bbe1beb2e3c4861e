"""A decoder that sees the pixels before the one it predicts."""

import keras

from aecourse.checks import check_count
from aecourse.layers import MaskedConv2D
from aecourse.models.convolutional import conv_decoder
from aecourse.models.parts import check_shape


def autoregressive_decoder(
    output_shape,
    latent_dim,
    *,
    receptive_field=3,
    filters=(32, 16),
    num_features=32,
    activation="relu",
    name="decoder",
):
    """Builds a decoder of the code and of the pixels before each pixel.

    With the pixels in reading order, it models

        p(x given z) = product over i of p(x_i given z and the pixels before x_i)

    A `conv_decoder` turns `z` into features of each pixel, one masked convolution turns
    the pixels before it into as many; their sum passes a layer within the pixel, and
    another to the logit. The convolution is the only one to mix pixels of `x`, so its
    window is the receptive field, with no blind spot.

    In training the image itself is the second input (teacher forcing). To draw an
    image, start from zeros and fill in one pixel per call.

    Args:
        output_shape: `(height, width, channels)` of the image. The channels of a pixel
            are independent given the pixels before it.
        latent_dim: Number of latent axes.
        receptive_field: How many rows up, and columns to either side, a pixel sees. At
            0 it sees none, and the same network is a factorized decoder.
        filters: As for `conv_decoder`.
        num_features: Number of features of a pixel, from the code and from the pixels.
        activation: Activation of the hidden layers.
        name: Name of the model.

    Returns:
        `keras.Model` from `[z, x]`, of shapes `(batch, latent_dim)` and `(batch,
        *output_shape)`, to `x_logits` of shape `(batch, *output_shape)`.

    Raises:
        ValueError: if `output_shape` has not three axes, `filters` is empty, a size is
            not a whole number of at least 1, or `receptive_field` of at least 0.

    Example:

    >>> from keras import ops
    >>> decoder = autoregressive_decoder((14, 14, 1), latent_dim=2, receptive_field=2)
    >>> z, x = ops.zeros((3, 2)), ops.zeros((3, 14, 14, 1))
    >>> tuple(decoder([z, x]).shape)
    (3, 14, 14, 1)

    Derived in: notebook 14.

    References:
        van den Oord et al., "Pixel Recurrent Neural Networks" (2016); Chen et al.,
        "Variational Lossy Autoencoder" (2017); Gulrajani et al., "PixelVAE" (2017).
    """
    check_shape("output_shape", output_shape, num_axes=3)
    check_count("receptive_field", receptive_field, minimum=0)
    check_count("num_features", num_features)
    *size, num_channels = output_shape
    z = keras.Input((latent_dim,), name="z")
    x = keras.Input(tuple(output_shape), name="x")
    from_code = conv_decoder(
        (*size, num_features),
        latent_dim,
        filters=filters,
        activation=activation,
        name="from_code",
    )
    from_pixels = MaskedConv2D(
        num_features, 2 * receptive_field + 1, mask_type="A", name="from_pixels"
    )
    h = keras.layers.Add()([from_code(z), from_pixels(x)])
    h = keras.layers.Activation(activation)(h)
    h = keras.layers.Dense(num_features, activation)(h)
    x_logits = keras.layers.Dense(num_channels, dtype="float32", name="output")(h)
    return keras.Model([z, x], x_logits, name=name)
