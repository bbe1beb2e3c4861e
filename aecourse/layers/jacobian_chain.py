"""Jacobians of encoders: in closed form through a chain of layers, or by tangents."""

import functools
import math

import keras
from keras import ops

from aecourse.layers.noise import MaskingNoise, SaltAndPepperNoise

MAX_TANGENTS = 128
"""Number of inputs up to which `"exact"` runs one tangent per input."""
_RESHAPING = (keras.layers.Flatten, keras.layers.Reshape)
_ELEMENTWISE = (
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    MaskingNoise,
    SaltAndPepperNoise,
)
_ELEMENTWISE_ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)


def exact_penalty(encoder, x, training):
    """`(z, penalty)`: the codes, and ||dz/dx||^2 of each example, shape `(batch,)`."""
    chain = chain_of(encoder)
    if chain is None:
        z, columns = push_tangents(encoder, x, unit_tangents(x), training)
        return z, sum_of_squares(columns)
    z, kernels, slopes = factors_of(chain, x, training)
    if len(kernels) == 1:
        return z, _norm_of_one_layer(kernels[0], slopes[0], slopes[1])
    if _has_linear_code(chain) and _is_shortcut(kernels, slopes[0]):
        return z, _norm_of_linear_code(kernels[0], slopes[1], kernels[1])
    rows = pull_back(kernels[1:], slopes[1:])
    return z, _norm_of_product(rows, kernels[0], slopes[0])


def _norm_of_one_layer(kernel, input_slope, slope):
    """||dz/dx||^2 of one dense layer: row j is slope_j times column j of the kernel.

    Without slopes of the inputs it costs `units` multiplications per example, with
    them `num_inputs * units`.
    """
    squares = ops.square(kernel)
    if input_slope is None:
        by_unit = ops.sum(squares, axis=0)
    else:
        by_unit = ops.matmul(ops.square(input_slope), squares)
    return ops.sum(ops.square(slope) * by_unit, axis=-1)


def _is_shortcut(kernels, input_slope):
    """Whether `_norm_of_linear_code` holds, and costs less than `_norm_of_product`."""
    if len(kernels) != 2 or input_slope is not None:
        return False
    num_inputs, units = kernels[0].shape
    latent_dim = kernels[1].shape[1]
    return units < latent_dim * min(units, num_inputs)


def _norm_of_linear_code(kernel, slope, last_kernel):
    """||dz/dx||^2 of one hidden layer with kernel K and a linear code with kernel V.

    ||V^T D K^T||^2 = d^T (K^T K * V V^T) d, with d the diagonal of D: the slopes of the
    hidden units. One matrix of the hidden units serves all examples, for any number of
    code axes: `units^2` multiplications per example.
    """
    gram = ops.matmul(ops.transpose(kernel), kernel)
    gram = gram * ops.matmul(last_kernel, ops.transpose(last_kernel))
    return ops.sum(ops.matmul(slope, gram) * slope, axis=-1)


def _norm_of_product(rows, kernel, input_slope):
    """||R K^T||^2 of each example, its columns times the slopes of the inputs, if any.

    The product itself costs `latent_dim * units * num_inputs` multiplications per
    example. As the trace of R (K^T K) R^T it is `latent_dim * units^2`, with one matrix
    K^T K for all examples.
    """
    num_inputs, units = kernel.shape
    if input_slope is None and units < num_inputs:
        gram = ops.matmul(ops.transpose(kernel), kernel)
        return ops.sum(ops.matmul(rows, gram) * rows, axis=(1, 2))
    columns = _scale(ops.matmul(rows, ops.transpose(kernel)), input_slope)
    return sum_of_squares(columns)


def push_tangents(encoder, x, tangents, training):
    """Codes, and what the Jacobian makes of tangents of shape `(batch, n, ...)`."""
    num_tangents = tangents.shape[1]
    encode = functools.partial(encoder, training=training)
    x = ops.repeat(x, num_tangents, axis=0)
    tangents = ops.reshape(tangents, (-1, *x.shape[1:]))
    z, tangents = ops.jvp(encode, (x,), (tangents,))
    shape = (-1, num_tangents, *z.shape[1:])
    return ops.reshape(z, shape)[:, 0], ops.reshape(tangents, shape)


def unit_tangents(x):
    """One tangent per input, `(batch, num_inputs, ...)`."""
    num_inputs = math.prod(x.shape[1:])
    basis = ops.reshape(ops.eye(num_inputs), (1, num_inputs, *x.shape[1:]))
    return ops.repeat(basis, ops.shape(x)[0], axis=0)


def factors_of(chain, x, training):
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


def pull_back(kernels, slopes):
    """The product of the factors, from the code back: `(batch, latent_dim, inputs)`."""
    rows = _scale(slopes[-1][:, :, None] * ops.transpose(kernels[-1]), slopes[-2])
    for kernel, slope in zip(kernels[-2::-1], slopes[-3::-1], strict=True):
        rows = _scale(ops.matmul(rows, ops.transpose(kernel)), slope)
    return rows


def _scale(rows, slope):
    return rows if slope is None else rows * slope[:, None, :]


def sum_of_squares(values, num_kept=1):
    """Sum of squares over all but the first axes, in float32."""
    axes = tuple(range(num_kept, len(values.shape)))
    return ops.sum(ops.square(ops.cast(values, "float32")), axis=axes)


def chain_of(encoder):
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
