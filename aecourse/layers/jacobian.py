"""A penalty on the Jacobian of an encoder, as a layer around it."""

import functools
import math

import keras
from keras import ops

from aecourse.checks import check_count, check_number, refuse
from aecourse.layers.noise import MaskingNoise, SaltAndPepperNoise

MAX_TANGENTS = 128
"""Number of inputs up to which `"exact"` runs one tangent an input."""

_RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
_ELEMENTWISE = (
    *(keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU),
    *(keras.layers.Dropout, keras.layers.GaussianDropout, keras.layers.GaussianNoise),
    *(keras.layers.Identity, MaskingNoise, SaltAndPepperNoise),
)
_ELEMENTWISE_ACTIVATIONS = {
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish"),
    *("sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "exponential"),
}


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
            tangent an input, up to 128 inputs. `"hutchinson"`: an unbiased estimate
            for any encoder, `||(dz/dx) v||^2` for random signs `v`, at the cost of one
            tangent a probe.
        num_probes: Number of probes an example; only for `"hutchinson"`. Where one
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
        self, encoder, weight=1.0, method="exact", num_probes=1, seed=None, **kwargs
    ):
        # The encoder casts its input itself; the penalty is a float32 number always.
        super().__init__(autocast=False, **kwargs)
        check_number("weight", weight, minimum=0)
        check_count("num_probes", num_probes)
        if method not in ("exact", "hutchinson"):
            refuse("method", '"exact" or "hutchinson"', method)
        _check_encoder(encoder)
        num_inputs = math.prod(encoder.input_shape[1:])
        large = num_inputs > MAX_TANGENTS
        if method == "exact" and large and _chain(encoder) is None:
            raise ValueError(
                'Argument `method` must be "hutchinson" for an encoder that is not a '
                f"chain of dense layers and has more than {MAX_TANGENTS} inputs. "
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
            z, penalty = _exact(self.encoder, x, training)
        else:
            shape = (ops.shape(x)[0], self.num_probes, *x.shape[1:])
            u = keras.random.uniform(shape, seed=self.seed_generator)
            probes = ops.where(u < 0.5, -1.0, 1.0)
            z, tangents = _push(self.encoder, x, probes, training)
            penalty = ops.mean(_sum_of_squares(tangents, num_kept=2), axis=1)
        self.add_loss(self.weight * ops.mean(penalty))
        return ops.cast(z, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return self.encoder.compute_output_shape(input_shape)

    def get_config(self):
        # Keras marks an object as shared when it writes it a second time, but hands out
        # a copy of a nested model's layers, where later marks are missing. Written
        # twice, the encoder has its marks, and a `TiedDense` outside keeps its tie.
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


def jacobian_penalty(encoder, x):
    """The squared Frobenius norm of dz/dx of each example, exactly.

    Outside training, so dropout and noise are off.

    Args:
        encoder: `keras.Model` as `JacobianPenalty` takes it. If it is no chain of
            dense layers, the memory is that of `num_inputs` copies of `x`.
        x: Tensor that the encoder takes, `(batch, ...)`.

    Returns:
        Tensor of shape `(batch,)`, float32: squared code units per squared input unit.

    Example:

    >>> x = keras.Input((3,))
    >>> encoder = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(x))
    >>> float(jacobian_penalty(encoder, ops.zeros((1, 3)))[0])
    6.0
    """
    return _exact(encoder, ops.cast(x, "float32"), training=False)[1]


def jacobian(encoder, x):
    """The matrix dz/dx of each example, exactly; for a few examples.

    Its singular values say how far a small step of the input can move the code, and
    the right singular vectors are the steps.

    Args:
        encoder: `keras.Model` as `JacobianPenalty` takes it.
        x: Tensor that the encoder takes, `(batch, ...)`.

    Returns:
        Tensor of shape `(batch, latent_dim, num_inputs)`, float32, the inputs in the
        order of `ops.reshape(x, (batch, -1))`.

    Example:

    >>> x = keras.Input((3,))
    >>> encoder = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(x))
    >>> tuple(jacobian(encoder, ops.zeros((4, 3))).shape)
    (4, 2, 3)
    """
    x, chain = ops.cast(x, "float32"), _chain(encoder)
    if chain is None:
        _, columns = _push(encoder, x, _basis(x), training=False)
        sizes = (math.prod(x.shape[1:]), math.prod(columns.shape[2:]))
        return ops.swapaxes(ops.reshape(columns, (-1, *sizes)), 1, 2)
    _, kernels, slopes = _factors(chain, x, training=False)
    return _pull_back(kernels, slopes)


def _exact(encoder, x, training):
    """`(z, penalty)`, the penalty of shape `(batch,)`."""
    chain = _chain(encoder)
    if chain is None:
        z, columns = _push(encoder, x, _basis(x), training)
        return z, _sum_of_squares(columns)
    z, (kernel, *kernels), (before, *slopes) = _factors(chain, x, training)
    num_inputs, units = kernel.shape
    if not kernels:
        # Row j of the Jacobian is slope_j times column j of the kernel.
        squares = ops.square(kernel)
        if before is None:
            by_unit = ops.sum(squares, axis=0)
        else:
            by_unit = ops.matmul(ops.square(before), squares)
        return z, ops.sum(ops.square(slopes[0]) * by_unit, axis=-1)
    if before is None and len(kernels) == 1 and _has_linear_code(chain):
        last = kernels[0]
        if units < last.shape[1] * min(units, num_inputs):
            # ||V^T D K^T||^2 = d^T (K^T K * V V^T) d, with d the diagonal of D: one
            # matrix of the hidden units serves all examples, for any number of axes.
            gram = ops.matmul(ops.transpose(kernel), kernel)
            gram = gram * ops.matmul(last, ops.transpose(last))
            return z, ops.sum(ops.matmul(slopes[0], gram) * slopes[0], axis=-1)
    rows = _pull_back(kernels, slopes)
    if before is None and units < num_inputs:
        # ||R K^T||^2 = tr(R K^T K R^T): one small matrix K^T K serves all examples.
        gram = ops.matmul(ops.transpose(kernel), kernel)
        return z, ops.sum(ops.matmul(rows, gram) * rows, axis=(1, 2))
    return z, _sum_of_squares(_scale(ops.matmul(rows, ops.transpose(kernel)), before))


def _push(encoder, x, tangents, training):
    """Codes, and what the Jacobian makes of tangents of shape `(batch, n, ...)`."""
    num_tangents = tangents.shape[1]
    encode = functools.partial(encoder, training=training)
    x = ops.repeat(x, num_tangents, axis=0)
    tangents = ops.reshape(tangents, (-1, *x.shape[1:]))
    z, tangents = ops.jvp(encode, (x,), (tangents,))
    shape = (-1, num_tangents, *z.shape[1:])
    return ops.reshape(z, shape)[:, 0], ops.reshape(tangents, shape)


def _basis(x):
    """One tangent an input, `(batch, num_inputs, ...)`."""
    num_inputs = math.prod(x.shape[1:])
    basis = ops.reshape(ops.eye(num_inputs), (1, num_inputs, *x.shape[1:]))
    return ops.repeat(basis, ops.shape(x)[0], axis=0)


def _factors(chain, x, training):
    """Codes, and dz/dx as a product: the kernels, and the slopes around them.

    There is one more slope than kernels, each of shape `(batch, units)`. The first is
    `None` when nothing stands before the first kernel.
    """
    h, kernels, slopes = x, [], [None]
    for layer in chain:
        if isinstance(layer, keras.layers.Dense):
            # In float32, whatever the dtype policies of the layers.
            kernel = ops.cast(layer.kernel, "float32")
            h = ops.matmul(ops.cast(h, "float32"), kernel)
            if layer.use_bias:
                h = h + ops.cast(layer.bias, "float32")
            kernels.append(kernel)
            slopes.append(ops.ones_like(h))
            function = layer.activation
        elif isinstance(layer, keras.layers.Activation):
            function = layer.activation
        elif isinstance(layer, _ELEMENTWISE):
            function = functools.partial(layer, training=training)
        else:
            h = layer(h)
            continue
        # The derivative of an elementwise function is what it does to a tangent of 1.
        h, slope = ops.jvp(function, (h,), (ops.ones_like(h),))
        slope = ops.reshape(slope, (-1, math.prod(h.shape[1:])))
        slopes[-1] = slope if slopes[-1] is None else slopes[-1] * slope
    return h, kernels, slopes


def _pull_back(kernels, slopes):
    """The product of the factors, from the code back: `(batch, latent_dim, inputs)`."""
    rows = _scale(slopes[-1][:, :, None] * ops.transpose(kernels[-1]), slopes[-2])
    for kernel, slope in zip(kernels[-2::-1], slopes[-3::-1], strict=True):
        rows = _scale(ops.matmul(rows, ops.transpose(kernel)), slope)
    return rows


def _scale(rows, slope):
    return rows if slope is None else rows * slope[:, None, :]


def _sum_of_squares(values, num_kept=1):
    axes = tuple(range(num_kept, len(values.shape)))
    return ops.sum(ops.square(ops.cast(values, "float32")), axis=axes)


def _chain(encoder):
    """The layers whose Jacobians have a closed form, or `None` if not all have one."""
    layers, tensor = [], encoder.outputs[0]
    while tensor is not encoder.inputs[0]:
        layer, node_index, _ = tensor._keras_history
        before = layer._inbound_nodes[node_index].input_tensors
        if len(before) != 1 or not _has_closed_form(layer, before[0].shape):
            return None
        layers.insert(0, layer)
        tensor = before[0]
    has_kernel = any(isinstance(layer, keras.layers.Dense) for layer in layers)
    return layers if has_kernel and len(encoder.outputs[0].shape) == 2 else None


def _has_linear_code(chain):
    """Whether nothing bends the code after the last kernel."""
    for layer in reversed(chain):
        if isinstance(layer, keras.layers.Dense):
            return layer.activation is keras.activations.linear
        if isinstance(layer, (keras.layers.Activation, *_ELEMENTWISE)):
            return False


def _has_closed_form(layer, input_shape):
    is_dense = isinstance(layer, keras.layers.Dense)
    if is_dense or isinstance(layer, keras.layers.Activation):
        name = keras.activations.serialize(layer.activation)
        known = isinstance(name, str) and name in _ELEMENTWISE_ACTIVATIONS
        return known and (len(input_shape) == 2 or not is_dense)
    return isinstance(layer, _RESHAPING + _ELEMENTWISE)


def _check_encoder(encoder):
    """Refuse what cannot be differentiated inside a training step of every backend."""
    expected = "a keras.Model with one input and one output of known shapes"
    inputs, outputs = (getattr(encoder, name, None) for name in ("inputs", "outputs"))
    if not inputs or not outputs or len(inputs) != 1 or len(outputs) != 1:
        refuse("encoder", expected, encoder)
    if None in inputs[0].shape[1:] or None in outputs[0].shape[1:]:
        refuse("encoder", expected, f"{inputs[0].shape} -> {outputs[0].shape}")

    # Run it once in training, see what has changed, and put it back.
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
            refuse("encoder", "without layers that update their weights", layer.name)
        num_regularized = sum(
            variable.regularizer is not None for variable in layer.trainable_variables
        )
        if len(layer.losses) > num_regularized:
            refuse("encoder", "without layers that add a loss", layer.name)


def _leaves(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer
