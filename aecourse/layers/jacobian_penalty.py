"""A penalty on the Jacobian of an encoder, as a layer around it."""

import math

import keras
from keras import ops

from aecourse.checks import check_count, check_number, refuse
from aecourse.layers import jacobian_chain


@keras.saving.register_keras_serializable(package="aecourse")
class JacobianPenalty(keras.layers.Layer):
    """Encodes, and adds `weight` times the squared norm of the encoder's Jacobian.

    The layer stands in the place of the encoder. The added loss is the mean over the
    batch of `||dz/dx||_F^2`, the sum over all code axes and inputs of squared
    derivatives: what a small step of the input does to the code. The encoder's own
    weights are trained, and `encoder` can be used without the penalty.

    A decoder that can undo a scale makes the penalty void: the encoder shrinks the code
    and the decoder stretches it back. Tie their weights (`TiedDense`).

    Args:
        encoder: Functional or Sequential `keras.Model`, one input and one output of
            known shapes. Its kernels may be regularized. Dropout and noise are
            differentiated at the mask or draw with which they made the code.
        weight: Number of at least 0.
        method: `"exact"`: in closed form if the encoder is a chain of `Dense`,
            reshaping, activation, dropout and noise layers (nearly free where the code
            is one such layer, or linear in one hidden layer); otherwise with one
            tangent per input, up to 128 inputs. `"hutchinson"`: an unbiased estimate
            for any encoder, `||(dz/dx) v||^2` for random signs `v`, at the cost of one
            tangent per probe.
        num_probes: Number of probes per example; only for `"hutchinson"`. Where one
            example takes several tangents, dropout draws a mask for each, and the code
            is that of the first.
        seed: Integer, or `None` for a random one; only for `"hutchinson"`. The probes
            are drawn anew in every call, in evaluation too.

    Call arguments:
        inputs: Tensor that the encoder takes, `(batch, ...)`.
        training: Passed on to the encoder.

    Output shape:
        That of the encoder, `(batch, latent_dim)`.

    Raises:
        ValueError: if the encoder is not such a model, or holds a layer that updates
            weights when it is called (`BatchNormalization`) or adds a loss (neither
            can be differentiated on every backend); if `method` is unknown, or
            `"exact"` and the encoder neither a chain nor small; if `weight` is
            negative or `num_probes` below 1.

    Example:

    >>> x = keras.Input((3,))
    >>> encoder = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(x))
    >>> layer = JacobianPenalty(encoder, weight=0.5)
    >>> z = layer(ops.zeros((4, 3)))
    >>> float(layer.losses[0])  # half of six derivatives of 1
    3.0

    Derived in: notebook 07.

    References:
        Rifai et al., "Contractive Auto-Encoders: Explicit Invariance During Feature
        Extraction" (2011); Hutchinson, "A Stochastic Estimator of the Trace of the
        Influence Matrix for Laplacian Smoothing Splines" (1990).
    """

    def __init__(
        self, encoder, weight=1.0, *, method="exact", num_probes=1, seed=None, **kwargs
    ):
        # The encoder casts its input itself; the penalty is a float32 number always.
        super().__init__(autocast=False, **kwargs)
        check_number("weight", weight, minimum=0)
        check_count("num_probes", num_probes)
        if method not in ("exact", "hutchinson"):
            refuse("method", '"exact" or "hutchinson"', method)
        _check_encoder(encoder)
        num_inputs = math.prod(encoder.input_shape[1:])
        large = num_inputs > jacobian_chain.MAX_TANGENTS
        if method == "exact" and large and jacobian_chain.chain_of(encoder) is None:
            raise ValueError(
                'Argument `method` must be "hutchinson" for an encoder that is not a '
                "chain of dense layers and has more than "
                f"{jacobian_chain.MAX_TANGENTS} inputs. "
                f"Received: method='exact', encoder.input_shape={encoder.input_shape}"
            )
        self.encoder = encoder
        self.weight = weight
        self.method = method
        self.num_probes = num_probes
        self.seed = seed
        if method == "hutchinson":
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        x = ops.cast(inputs, "float32")
        if self.method == "exact":
            # Made here and not kept, so that files and `quantize` know nothing of it.
            z, penalty = _ExactPenalty()(x, encoder=self.encoder, training=training)
        else:
            shape = (ops.shape(x)[0], self.num_probes, *x.shape[1:])
            u = keras.random.uniform(shape, seed=self.seed_generator)
            probes = ops.where(u < 0.5, -1.0, 1.0)
            z, tangents = jacobian_chain.push_tangents(
                self.encoder, x, probes, training
            )
            penalty = ops.mean(
                jacobian_chain.sum_of_squares(tangents, num_kept=2), axis=1
            )
        self.add_loss(self.weight * ops.mean(penalty))
        return ops.cast(z, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.encoder.compute_output_shape(input_shape)

    def get_config(self):
        # Works around two habits of Keras 3 that together cut the tie of a `TiedDense`
        # behind this layer when a file is read. Keras marks a layer as shared
        # (`shared_object_id`) only when it is serialized a second time, by writing the
        # mark into the first config as well. And a functional model returns a deep
        # copy of its layers' configs, which later marks do not reach. Serialized once
        # for nothing, the encoder's layers have their marks in the config below.
        keras.saving.serialize_keras_object(self.encoder)
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "weight": self.weight,
            "method": self.method,
            "num_probes": self.num_probes,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config)


@keras.saving.register_keras_serializable(package="aecourse")
class _ExactPenalty(keras.layers.Layer):
    """`jacobian_chain.exact_penalty` with the kernels as they are stored.

    Inside a layer with a mixed policy, Keras casts every weight to the compute dtype
    when it is read, even with `autocast=False`. A float32 layer within lifts that.
    """

    def __init__(self):
        super().__init__(dtype="float32", autocast=False)

    def call(self, x, encoder, training=None):
        return jacobian_chain.exact_penalty(encoder, x, training)


def _check_encoder(encoder):
    """Refuse what cannot be differentiated inside a training step of every backend."""
    expected = "a keras.Model with one input and one output of known shapes"
    inputs, outputs = (getattr(encoder, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs or len(inputs) != 1 or len(outputs) != 1:
        refuse("encoder", expected, encoder)
    if None in inputs[0].shape[1:] or None in outputs[0].shape[1:]:
        shapes = f"{inputs[0].shape} to {outputs[0].shape}"
        refuse("encoder", expected, received=f"encoder from {shapes}")

    # Run the encoder once in training, see which weights move, and restore them.
    before = [ops.convert_to_numpy(variable) for variable in encoder.variables]
    shape = (2, *inputs[0].shape[1:])
    x = ops.reshape(ops.linspace(-1.0, 1.0, math.prod(shape)), shape)
    encoder(x, training=True)
    moved = set()
    for variable, value in zip(encoder.variables, before, strict=True):
        seed = variable.name == "seed_generator_state"
        if not seed and (ops.convert_to_numpy(variable) != value).any():
            moved.add(id(variable))
        variable.assign(value)
    for layer in _leaves(encoder):
        if any(id(variable) in moved for variable in layer.variables):
            expected = "without layers that update their weights"
            refuse("encoder", expected, received=f"encoder with {layer.name!r}")
        num_regularized = sum(
            variable.regularizer is not None for variable in layer.trainable_variables
        )
        if len(layer.losses) > num_regularized:
            expected = "without layers that add a loss"
            refuse("encoder", expected, received=f"encoder with {layer.name!r}")


def _leaves(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
