"""An encoder and a decoder, chained."""

import keras

from aecourse.checks import is_same_shape, refuse
from aecourse.layers import TiedDense


def autoencoder(encoder, decoder, *, name="autoencoder"):
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

    >>> from aecourse.models import dense_decoder, dense_encoder
    >>> encoder = dense_encoder((8, 8, 1), latent_dim=2)
    >>> autoencoder(encoder, dense_decoder((8, 8, 1), latent_dim=2)).output_shape
    (None, 8, 8, 1)
    """
    if len(encoder.outputs) != 1:
        expected = "a model with one output, z (is it variational?)"
        received = f"encoder with {len(encoder.outputs)} outputs"
        refuse("encoder", expected, received=received)
    check_fit(encoder, decoder)
    x = keras.Input(encoder.input_shape[1:], name="x")
    return keras.Model(x, decoder(encoder(x)), name=name)


def check_fit(encoder, decoder):
    """Refuses a decoder that cannot follow the encoder."""
    for output in encoder.outputs:
        if not is_same_shape(output.shape, decoder.input_shape):
            expected = f"a model that takes the encoder's output, {output.shape}"
            received = f"the decoder's input of shape {decoder.input_shape}"
            refuse("decoder", expected, received=received)
    for layer in decoder.layers:
        if isinstance(layer, TiedDense) and layer.tied_to in encoder.layers:
            # Keras writes a layer that two nested models share twice, so the tie would
            # be gone when the file is read.
            expected = "without a layer tied to the encoder's: chain the layers in one "
            received = f"decoder with {layer.name!r}"
            refuse("decoder", expected + "functional model", received=received)
    x_shape, output_shape = encoder.input_shape, decoder.output_shape
    same_size = output_shape[:-1] == x_shape[:-1]
    if not same_size or output_shape[-1] % x_shape[-1]:
        expected = f"a model that gives the shape of the encoder's input, {x_shape}"
        received = f"decoder.output_shape={output_shape}"
        refuse(
            "decoder", f"{expected} (or a multiple of its channels)", received=received
        )
