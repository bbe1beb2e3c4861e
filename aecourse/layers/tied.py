"""A decoder layer that shares the kernel of an encoder layer."""

import keras
from keras import ops

from aecourse.checks import refuse


@keras.saving.register_keras_serializable(package="aecourse")
class TiedDense(keras.layers.Layer):
    """Computes `activation(inputs @ transpose(tied_to.kernel) + bias)`.

    The kernel is that of `tied_to`, one weight in two places: gradients of both uses
    add up, and saving to `.keras` and loading keeps the tie. Cloning a model copies it
    layer by layer and cuts it.

    Args:
        tied_to: A `keras.layers.Dense` of the encoder.
        activation: Name or function, as in `keras.layers.Dense`.
        use_bias: Whether to add a bias of its own.

    Call arguments:
        inputs: Tensor of shape `(batch, ..., tied_to.units)`.

    Output shape:
        `(batch, ..., num_inputs)`, with the number of inputs of `tied_to`.

    Raises:
        ValueError: if `tied_to` is not a `Dense` layer, has not been called before
            this layer is, or does not end in the width of the inputs.

    Example:

    >>> encoder = keras.layers.Dense(2)
    >>> decoder = TiedDense(encoder)
    >>> tuple(decoder(encoder(ops.ones((1, 5)))).shape)
    (1, 5)

    Derived in: notebook 01.

    Reference:
        Hinton & Salakhutdinov, "Reducing the Dimensionality of Data with Neural
        Networks" (2006).
    """

    def __init__(self, tied_to, activation=None, *, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(tied_to, keras.layers.Dense):
            refuse("tied_to", "a keras.layers.Dense", tied_to)
        self.tied_to = tied_to
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias = None

    def build(self, input_shape):
        if not self.tied_to.built:
            received = f"{self.tied_to.name!r}, which has not"
            expected = "a layer that has been built (call it first)"
            refuse("tied_to", expected, received=received)
        if input_shape[-1] != self.tied_to.units:
            expected = (
                f"of shape (batch, ..., {self.tied_to.units}), as `tied_to` gives"
            )
            refuse("inputs", expected, received=f"inputs.shape={tuple(input_shape)}")
        if self.use_bias:
            num_inputs = self.tied_to.kernel.shape[0]
            self.bias = self.add_weight(
                name="bias", shape=(num_inputs,), initializer="zeros"
            )

    def call(self, inputs):
        outputs = ops.matmul(inputs, ops.transpose(self.tied_to.kernel))
        if self.bias is not None:
            outputs = outputs + self.bias
        return self.activation(outputs)

    def get_config(self):
        return {
            **super().get_config(),
            "tied_to": keras.saving.serialize_keras_object(self.tied_to),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["tied_to"] = keras.saving.deserialize_keras_object(config["tied_to"])
        return cls(**config)
