"""Encoder and decoder builders, and the two models made of them.

A builder returns a plain functional `keras.Model`. Images are `(height, width,
channels)`; anything else that has a fixed shape, a flat vector included, works with
the dense builders.
"""

import math

import keras
import numpy as np
from keras import ops

from aecourse.checks import check_count, check_same_shape, refuse
from aecourse.layers import (
    Conv2DTranspose,
    KLRegularization,
    MaskedConv2D,
    ResizeConv2D,
    Sampling,
    SubPixelConv2D,
    TiedDense,
)

_UPSAMPLINGS = {
    "transposed": Conv2DTranspose,
    "resize": ResizeConv2D,
    "subpixel": SubPixelConv2D,
}


def dense_encoder(
    input_shape,
    latent_dim,
    hidden_units=(512,),
    activation="relu",
    layer_norm=False,
    variational=False,
    name="encoder",
):
    """Builds an encoder of dense layers.

    Args:
        input_shape: Shape of one example, such as `(28, 28, 1)` or `(30,)`.
        latent_dim: Number of latent axes.
        hidden_units: Widths of the hidden layers, from the input on; may be empty.
        activation: Activation of the hidden layers.
        layer_norm: Whether to normalize each hidden layer before its activation. It
            works within an example, so no code depends on the rest of its batch.
        variational: Whether the code is a distribution.
        name: Name of the model.

    Returns:
        `keras.Model` from `x` of shape `(batch, *input_shape)` to `z` of shape
        `(batch, latent_dim)`; or, when `variational`, to `[z_mean, z_log_var]`, each
        of that shape.

    Raises:
        ValueError: if a size is not a whole number of at least 1.

    Example:

    >>> dense_encoder((28, 28, 1), latent_dim=2).output_shape
    (None, 2)

    Reference:
        Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural
        Networks" (2006).
    """
    _check_shape("input_shape", input_shape)
    _check_widths("hidden_units", hidden_units)
    x = keras.Input(tuple(input_shape), name="x")
    h = keras.layers.Flatten()(x)
    for units in hidden_units:
        h = _hidden(keras.layers.Dense(units), h, activation, layer_norm)
    return keras.Model(x, _code(h, latent_dim, variational), name=name)


def dense_decoder(
    output_shape,
    latent_dim,
    hidden_units=(512,),
    activation="relu",
    layer_norm=False,
    output_activation="linear",
    name="decoder",
):
    """Builds a decoder of dense layers.

    Args:
        output_shape: Shape of one output. Likelihoods with two parameters a feature
            need twice the channels of the data: means, then log-variances.
        latent_dim: Number of latent axes.
        hidden_units: Widths of the hidden layers, from the code on; may be empty.
        activation: Activation of the hidden layers.
        layer_norm: Whether to normalize each hidden layer before its activation.
        output_activation: `"linear"` for logits or means, `"sigmoid"` for
            intensities.
        name: Name of the model.

    Returns:
        `keras.Model` from `z` of shape `(batch, latent_dim)` to `(batch,
        *output_shape)`.

    Raises:
        ValueError: if a size is not a whole number of at least 1.

    Example:

    >>> dense_decoder((28, 28, 1), latent_dim=2).output_shape
    (None, 28, 28, 1)

    Reference:
        Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural
        Networks" (2006).
    """
    _check_shape("output_shape", output_shape)
    check_count("latent_dim", latent_dim)
    _check_widths("hidden_units", hidden_units)
    z = h = keras.Input((latent_dim,), name="z")
    for units in hidden_units:
        h = _hidden(keras.layers.Dense(units), h, activation, layer_norm)
    # Outputs and codes are float32 under a mixed-precision policy too.
    h = keras.layers.Dense(
        math.prod(output_shape), output_activation, dtype="float32", name="flat_output"
    )(h)
    h = keras.layers.Reshape(tuple(output_shape), dtype="float32", name="output")(h)
    return keras.Model(z, h, name=name)


def conv_encoder(
    input_shape,
    latent_dim,
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
    _check_shape("input_shape", input_shape, num_axes=3)
    _check_widths("filters", filters, minimum=1)
    x = h = keras.Input(tuple(input_shape), name="x")
    for num_filters in filters:
        conv = keras.layers.Conv2D(num_filters, kernel_size, strides=2, padding="same")
        h = _hidden(conv, h, activation, layer_norm)
    h = keras.layers.Flatten()(h)
    return keras.Model(x, _code(h, latent_dim, variational), name=name)


def conv_decoder(
    output_shape,
    latent_dim,
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
        output_shape: `(height, width, channels)`. Likelihoods with two parameters a
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
    _check_shape("output_shape", output_shape, num_axes=3)
    check_count("latent_dim", latent_dim)
    _check_widths("filters", filters, minimum=1)
    upsampling_layer = _upsampling_layer(upsampling)
    *size, num_channels = output_shape
    sizes = _halved(size, len(filters))[::-1]
    z = keras.Input((latent_dim,), name="z")
    start = (*sizes[0], filters[0])
    h = _hidden(keras.layers.Dense(math.prod(start)), z, activation, layer_norm)
    h = keras.layers.Reshape(start)(h)
    for before, after, num_filters in zip(
        sizes, sizes[1:-1], filters[1:], strict=False
    ):
        conv = upsampling_layer(num_filters, kernel_size, strides=2, padding="same")
        h = _crop(_hidden(conv, h, activation, layer_norm), before, after)
    h = upsampling_layer(
        num_channels,
        kernel_size,
        strides=2,
        padding="same",
        activation=output_activation,
        dtype="float32",
        name="output",
    )(h)
    return keras.Model(z, _crop(h, sizes[-2], sizes[-1]), name=name)


def autoregressive_decoder(
    output_shape,
    latent_dim,
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
    image, start from zeros and fill in one pixel a call.

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

    >>> decoder = autoregressive_decoder((14, 14, 1), latent_dim=2, receptive_field=2)
    >>> z, x = ops.zeros((3, 2)), ops.zeros((3, 14, 14, 1))
    >>> tuple(decoder([z, x]).shape)
    (3, 14, 14, 1)

    Derived in: notebook 14.

    References:
        van den Oord et al., "Pixel Recurrent Neural Networks" (2016); Chen et al.,
        "Variational Lossy Autoencoder" (2017); Gulrajani et al., "PixelVAE" (2017).
    """
    _check_shape("output_shape", output_shape, num_axes=3)
    check_count("receptive_field", receptive_field, minimum=0)
    check_count("num_features", num_features)
    *size, num_channels = output_shape
    z = keras.Input((latent_dim,), name="z")
    x = keras.Input(tuple(output_shape), name="x")
    from_code = conv_decoder(
        (*size, num_features),
        latent_dim,
        filters,
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


def u_net(
    input_shape,
    filters=(16, 32, 64),
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
    _check_shape("input_shape", input_shape, num_axes=3)
    _check_widths("filters", filters, minimum=2)
    upsampling_layer = _upsampling_layer(upsampling)
    *size, num_channels = input_shape
    if output_channels is None:
        output_channels = num_channels
    check_count("output_channels", output_channels)

    def convolution(h, num_filters, strides=1):
        conv = keras.layers.Conv2D(
            num_filters, kernel_size, strides=strides, padding="same"
        )
        return _hidden(conv, h, activation, layer_norm)

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
        h = _hidden(keras.layers.Dense(math.prod(bottom)), h, activation, layer_norm)
        h = keras.layers.Reshape(bottom)(h)
    sizes = _halved(size, len(filters) - 1)
    for level in reversed(range(len(filters) - 1)):
        conv = upsampling_layer(filters[level], kernel_size, strides=2, padding="same")
        h = _hidden(conv, h, activation, layer_norm)
        h = _crop(h, sizes[level + 1], sizes[level])
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


def autoencoder(encoder, decoder, name="autoencoder"):
    """Chains an encoder and a decoder into one model that reconstructs its input.

    Args:
        encoder: `keras.Model` from `x` to `z`.
        decoder: `keras.Model` from `z` to a reconstruction.
        name: Name of the model.

    Returns:
        `keras.Model` from `x` to the decoder's output, sharing the weights of both.

    Raises:
        ValueError: if the encoder does not give one code of the shape that the
            decoder takes, the decoder's output does not fit the encoder's input, or
            the two are tied (`layers.TiedDense`): chain tied layers in one functional
            model, which a file can hold.

    Example:

    >>> encoder = dense_encoder((8, 8, 1), latent_dim=2)
    >>> autoencoder(encoder, dense_decoder((8, 8, 1), latent_dim=2)).output_shape
    (None, 8, 8, 1)
    """
    if len(encoder.outputs) != 1:
        expected = "a model with one output, z (is it variational?)"
        refuse("encoder", expected, f"{len(encoder.outputs)} outputs")
    _check_fit(encoder, decoder)
    x = keras.Input(encoder.input_shape[1:], name="x")
    return keras.Model(x, decoder(encoder(x)), name=name)


def variational_autoencoder(
    encoder, decoder, beta=1.0, free_bits=0.0, output_activation="sigmoid", seed=None
):
    """Joins a variational encoder and a decoder into a model trained on the ELBO.

    Args:
        encoder: `keras.Model` from `x` to `[z_mean, z_log_var]`.
        decoder: `keras.Model` from `z` to the parameters of p(x given z): logits for
            `losses.BernoulliNLL`.
        beta: Weight of the KL: a number, or a schedule over training steps.
        free_bits: Nats an axis below which the KL is not penalized.
        output_activation: What turns decoder outputs into intensities in `generate`
            and `reconstruct`: `"sigmoid"` for logits, `"linear"` for means.
        seed: Integer, or `None` for a random one.

    Returns:
        A built `VariationalAutoencoder`, to be compiled with a loss of
        `aecourse.losses`.

    Raises:
        ValueError: if the encoder does not give two tensors of the shape that the
            decoder takes, or the decoder's output does not fit the encoder's input.

    Example:

    >>> encoder = dense_encoder((8, 8, 1), latent_dim=2, variational=True)
    >>> vae = variational_autoencoder(encoder, dense_decoder((8, 8, 1), latent_dim=2))
    >>> vae.generate(3, seed=0).shape
    (3, 8, 8, 1)

    Derived in: notebook 10.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014).
    """
    return VariationalAutoencoder(
        encoder, decoder, beta, free_bits, output_activation, seed
    )


@keras.saving.register_keras_serializable(package="aecourse")
class VariationalAutoencoder(keras.Model):
    """A variational autoencoder; `variational_autoencoder` describes the arguments.

    Compile it with a likelihood of `aecourse.losses`, which sum over the features of
    an example: then `beta=1` is the negative ELBO. The target of `fit` and `evaluate`
    is the input unless another is given. The metrics are in nats/example: `loss` with
    the current weight of the KL, and `reconstruction`, `kl` and their sum
    `negative_elbo` without it. `evaluate` and `predict` draw one sample of z. Sample
    weights apply to the reconstruction alone.

    Attributes:
        encoder: The model from `x` to `[z_mean, z_log_var]`.
        decoder: The model from `z` to the parameters of p(x given z).
    """

    def __init__(
        self,
        encoder,
        decoder,
        beta=1.0,
        free_bits=0.0,
        output_activation="sigmoid",
        seed=None,
        name="variational_autoencoder",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if len(encoder.outputs) != 2:
            expected = "a model with two outputs, z_mean and z_log_var"
            refuse("encoder", expected, f"{len(encoder.outputs)} output(s)")
        _check_fit(encoder, decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = keras.activations.get(output_activation)
        self.seed = seed
        self.kl_regularization = KLRegularization(beta, free_bits)
        self.sampling = Sampling(seed=seed)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        self.negative_elbo_tracker = keras.metrics.Mean(name="negative_elbo")
        self.build(encoder.input_shape)

    def build(self, input_shape):
        code_shapes = [tuple(output.shape) for output in self.encoder.outputs]
        self.kl_regularization.build(code_shapes)
        self.sampling.build(code_shapes)
        self.built = True

    def call(self, inputs, training=False):
        code = self.encoder(inputs, training=training)
        z = self.sampling(self.kl_regularization(code, training=training))
        return self.decoder(z, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if getattr(self, "loss", None) is None:
            refuse("loss", "given to `compile`: a loss of `aecourse.losses`", None)
        y = x if y is None else y
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        reconstruction = loss - sum(self.losses)
        kl = ops.convert_to_tensor(self.kl_regularization.batch_kl)
        batch_size = ops.shape(x)[0]
        self.reconstruction_tracker.update_state(reconstruction, batch_size)
        self.kl_tracker.update_state(kl, batch_size)
        self.negative_elbo_tracker.update_state(reconstruction + kl, batch_size)
        return loss

    def encode(self, x, batch_size=128):
        """The posteriors of `x`: NumPy `(z_mean, z_log_var)`, `(batch, latent_dim)`."""
        return tuple(self.encoder.predict(x, batch_size=batch_size, verbose=0))

    def reconstruct(self, x, batch_size=128):
        """The intensities decoded from the posterior means of `x`: NumPy, as `x`."""
        z_mean, _ = self.encode(x, batch_size)
        return self._to_intensity(z_mean, batch_size)

    def generate(self, num_images, seed=None, batch_size=128):
        """`num_images` images decoded from draws of the prior: NumPy intensities.

        The draws of one integer `seed` are the same on every backend.
        """
        check_count("num_images", num_images)
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((num_images, self.decoder.input_shape[-1]), "float32")
        return self._to_intensity(z, batch_size)

    def _to_intensity(self, z, batch_size):
        outputs = self.decoder.predict(z, batch_size=batch_size, verbose=0)
        # A second half of channels holds log-variances.
        means = outputs[..., : self.encoder.input_shape[-1]]
        return ops.convert_to_numpy(self.output_activation(means))

    def get_config(self):
        regularization = self.kl_regularization.get_config()
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "beta": regularization["beta"],
            "free_bits": regularization["free_bits"],
            "output_activation": keras.activations.serialize(self.output_activation),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for key in ("encoder", "decoder", "beta"):
            if isinstance(config[key], dict):
                config[key] = keras.saving.deserialize_keras_object(
                    config[key], custom_objects
                )
        return cls(**config)


def _hidden(layer, h, activation, layer_norm):
    """A hidden layer: linear map, normalization if asked for, activation."""
    h = layer(h)
    if layer_norm:
        h = keras.layers.LayerNormalization(axis=tuple(range(1, len(h.shape))))(h)
    return keras.layers.Activation(activation)(h)


def _code(h, latent_dim, variational):
    """The output layer of an encoder, float32 under mixed precision too."""
    check_count("latent_dim", latent_dim)
    names = ("z_mean", "z_log_var") if variational else ("z",)
    heads = [keras.layers.Dense(latent_dim, dtype="float32", name=n)(h) for n in names]
    return heads if variational else heads[0]


def _crop(h, before, after):
    """Cuts what doubling `before` gives more than `after`, at the end of each axis."""
    surplus = tuple((0, 2 * b - a) for b, a in zip(before, after, strict=True))
    return (
        keras.layers.Cropping2D(surplus, dtype=h.dtype)(h)
        if any(cut for _, cut in surplus)
        else h
    )


def _halved(size, num_levels):
    """`size` and what it becomes when halved, rounded up, `num_levels` times."""
    sizes = [tuple(size)]
    for _ in range(num_levels):
        sizes.append(tuple(math.ceil(length / 2) for length in sizes[-1]))
    return sizes


def _upsampling_layer(upsampling):
    if upsampling not in _UPSAMPLINGS:
        refuse("upsampling", f"one of {list(_UPSAMPLINGS)}", upsampling)
    return _UPSAMPLINGS[upsampling]


def _check_shape(name, shape, num_axes=None):
    _check_widths(name, shape, minimum=1)
    if num_axes is not None and len(shape) != num_axes:
        refuse(name, f"a shape of {num_axes} axes, channels last", shape)


def _check_widths(name, widths, minimum=0):
    if not isinstance(widths, (tuple, list)) or len(widths) < minimum:
        refuse(name, f"a tuple of at least {minimum} whole numbers", widths)
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 1:
            refuse(name, "a tuple of whole numbers, each at least 1", widths)


def _check_fit(encoder, decoder):
    """Refuses a decoder that cannot follow the encoder."""
    for output in encoder.outputs:
        check_same_shape(
            "the encoder's output",
            output.shape,
            "the decoder's input",
            decoder.input_shape,
        )
    for layer in decoder.layers:
        if isinstance(layer, TiedDense) and layer.tied_to in encoder.layers:
            # Keras writes a layer that two nested models share twice, so the tie would
            # be gone when the file is read.
            expected = "without a layer tied to the encoder's: chain the layers in one "
            refuse("decoder", expected + "functional model", layer.name)
    x_shape, x_hat_shape = encoder.input_shape, decoder.output_shape
    same_room = x_hat_shape[:-1] == x_shape[:-1]
    if not same_room or x_hat_shape[-1] % x_shape[-1]:
        expected = f"a model that gives the shape of the encoder's input, {x_shape}"
        refuse("decoder", f"{expected} (or a multiple of its channels)", x_hat_shape)
