"""Two limits on how many units of a code are active: a KL penalty and top-k."""

import keras
from keras import ops

from aecourse.checks import check_count, check_number, refuse

# How far a mean of 0 or 1 is moved inward, so that its logarithms are finite: as far as
# float32 resolves a number near 1.
_MARGIN = 1e-7


@keras.saving.register_keras_serializable(package="aecourse")
class KLSparsity(keras.layers.Layer):
    """Adds a penalty on each unit whose mean activation is not `target`.

    The inputs pass through unchanged. A unit's mean activation over the batch is taken
    for the probability that it fires, and the added loss is
    `weight * sum over units of KL(Bernoulli(target), Bernoulli(mean))`, in float32
    whatever the dtype of the inputs.

    It limits how often a unit is active over the data, not how many are active in one
    example. And the mean is over one batch: with a batch of `n` examples it scatters
    about the mean over the data by up to `sqrt(target / n)`, which adds about
    `weight / (2 n)` per unit to the loss and pulls activations toward a constant when
    `n` is not well above `1 / target`. The last batch of an epoch is smaller. An
    activity regularizer (`keras.regularizers.L1`), a mean over examples, does not
    depend on the batch so.

    A mean of 0 or 1 costs `target * log(target / 1e-7)` or the like instead of
    infinity, and its gradient is large, not zero: a silent unit is pulled back.

    Args:
        target: Desired mean activation, above 0 and below 1.
        weight: Number of at least 0.

    Call arguments:
        inputs: Activations between 0 and 1 (of a sigmoid), shape `(batch, units)`. In
            `(batch, ..., units)` the positions count as examples. A mean outside
            [0, 1] is taken for 0 or 1.

    Output shape:
        Same as the input.

    Raises:
        ValueError: if `target` is not a number between 0 and 1, or `weight` is
            negative.

    Example:

    >>> layer = KLSparsity(target=0.5, weight=2.0)
    >>> h = layer(0.25 * ops.ones((4, 3)))
    >>> round(float(layer.losses[0]), 4)  # 2 * 3 * log(2 / sqrt(3))
    0.863

    Derived in: notebook 06.

    Reference:
        Lee, Ekanadham & Ng, "Sparse deep belief net model for visual area V2" (2008),
        for the target; Ng, "Sparse autoencoder" (2011), for the KL.
    """

    def __init__(self, target=0.05, weight=1.0, **kwargs):
        # The inputs keep their dtype: the penalty is computed in float32 always.
        super().__init__(autocast=False, **kwargs)
        check_number("target", target, above=0, below=1)
        check_number("weight", weight, minimum=0)
        self.target = target
        self.weight = weight

    def call(self, inputs):
        h = ops.cast(inputs, "float32")
        mean = ops.mean(h, axis=tuple(range(len(h.shape) - 1)))
        # From 0..1 into _MARGIN..1 - _MARGIN, with a slope of nearly 1. A clip to these
        # bounds would leave a silent unit, mean 0, without a gradient to wake it. Means
        # outside [0, 1] have none.
        mean = _MARGIN + (1 - 2 * _MARGIN) * ops.clip(mean, 0.0, 1.0)
        target = self.target
        kl = target * ops.log(target / mean)
        kl = kl + (1 - target) * ops.log((1 - target) / (1 - mean))
        self.add_loss(self.weight * ops.sum(kl))
        return inputs

    def get_config(self):
        return {**super().get_config(), "target": self.target, "weight": self.weight}


@keras.saving.register_keras_serializable(package="aecourse")
class TopK(keras.layers.Layer):
    """Keeps the `k` largest activations of each example and sets the others to 0.

    Exactly `k` survive; of equal activations those of the lower index. Gradients pass
    through the survivors alone. Largest means largest, not farthest from 0; behind a
    ReLU some of the `k` may be 0, so that at most `k` units are active. Training and
    inference are the same.

    Args:
        k: Number of survivors, at least 1 and at most the number of units.

    Call arguments:
        inputs: Activations, shape `(batch, ..., units)`; the last axis competes.

    Output shape:
        Same as the input.

    Raises:
        ValueError: if `k` is no whole number of at least 1, or exceeds the units.

    Example:

    >>> h = TopK(k=2)(ops.array([[3.0, 1.0, 2.0, 3.0]]))
    >>> h.numpy().tolist() if hasattr(h, "numpy") else h.tolist()
    [[3.0, 0.0, 0.0, 3.0]]

    Derived in: notebook 06.

    Reference:
        Makhzani & Frey, "k-Sparse Autoencoders" (2014).
    """

    def __init__(self, k, **kwargs):
        super().__init__(**kwargs)
        check_count("k", k)
        self.k = k

    def build(self, input_shape):
        if input_shape[-1] is not None and self.k > input_shape[-1]:
            refuse("k", f"at most the number of units, {input_shape[-1]}", self.k)

    def call(self, inputs):
        largest, _ = ops.top_k(ops.stop_gradient(inputs), self.k)
        # The last of `largest`, but XLA turns `top_k` and a slice into a full sort.
        smallest_kept = ops.min(largest, axis=-1, keepdims=True)
        above = inputs > smallest_kept
        equal = inputs == smallest_kept
        # Of the units that equal the k-th largest, as many are kept as there are places
        # left, those of the lower index first.
        num_left = self.k - ops.sum(ops.cast(above, "int32"), axis=-1, keepdims=True)
        is_early = ops.cumsum(ops.cast(equal, "int32"), axis=-1) <= num_left
        kept = ops.logical_or(above, ops.logical_and(equal, is_early))
        return ops.where(kept, inputs, ops.zeros_like(inputs))

    def get_config(self):
        return {**super().get_config(), "k": self.k}
