"""Encoders and decoders of dense layers."""

import math

import keras

from aecourse.checks import check_count
from aecourse.models.parts import check_shape, check_widths, code_layer, hidden_layer


def dense_encoder(
    input_shape,
    latent_dim,
    *,
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
    check_shape("input_shape", input_shape)
    check_widths("hidden_units", hidden_units)
    x = keras.Input(tuple(input_shape), name="x")
    h = keras.layers.Flatten()(x)
    for units in hidden_units:
        h = hidden_layer(keras.layers.Dense(units), h, activation, layer_norm)
    return keras.Model(x, code_layer(h, latent_dim, variational), name=name)


def dense_decoder(
    output_shape,
    latent_dim,
    *,
    hidden_units=(512,),
    activation="relu",
    layer_norm=False,
    output_activation="linear",
    name="decoder",
):
    """Builds a decoder of dense layers.

    Args:
        output_shape: Shape of one output. Likelihoods with two parameters per feature
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
    check_shape("output_shape", output_shape)
    check_count("latent_dim", latent_dim)
    check_widths("hidden_units", hidden_units)
    z = h = keras.Input((latent_dim,), name="z")
    for units in hidden_units:
        h = hidden_layer(keras.layers.Dense(units), h, activation, layer_norm)
    # Outputs and codes are float32 under a mixed-precision policy too.
    h = keras.layers.Dense(
        math.prod(output_shape), output_activation, dtype="float32", name="flat_output"
    )(h)
    h = keras.layers.Reshape(tuple(output_shape), dtype="float32", name="output")(h)
    return keras.Model(z, h, name=name)
