"""The Jacobian of a trained encoder: what a small step does to the code."""

import math

from keras import ops

from aecourse.layers import jacobian_chain


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

    >>> import keras
    >>> x = keras.Input((3,))
    >>> encoder = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(x))
    >>> float(jacobian_penalty(encoder, ops.zeros((1, 3)))[0])
    6.0
    """
    x = ops.cast(x, "float32")
    _, penalty = jacobian_chain.exact_penalty(encoder, x, training=False)
    return penalty


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

    >>> import keras
    >>> x = keras.Input((3,))
    >>> encoder = keras.Model(x, keras.layers.Dense(2, kernel_initializer="ones")(x))
    >>> tuple(jacobian(encoder, ops.zeros((4, 3))).shape)
    (4, 2, 3)
    """
    x, chain = ops.cast(x, "float32"), jacobian_chain.chain_of(encoder)
    if chain is None:
        _, columns = jacobian_chain.push_tangents(
            encoder, x, jacobian_chain.unit_tangents(x), training=False
        )
        sizes = (math.prod(x.shape[1:]), math.prod(columns.shape[2:]))
        return ops.swapaxes(ops.reshape(columns, (-1, *sizes)), 1, 2)
    _, kernels, slopes = jacobian_chain.factors_of(chain, x, training=False)
    return jacobian_chain.pull_back(kernels, slopes)
