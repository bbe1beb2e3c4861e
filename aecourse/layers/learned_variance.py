"""The noise of a Gaussian decoder, learned as a weight."""

import math

import keras
from keras import ops

from aecourse.checks import check_number, refuse


@keras.saving.register_keras_serializable(package="aecourse")
class LearnedVariance(keras.layers.Layer):
    """Puts a trainable log-variance beside the means of a Gaussian decoder.

    The last layer of a decoder whose loss is `losses.GaussianNLL(variance=None)`. A
    fixed variance weighs squared error against KL by a number somebody chose; a
    trainable one settles where it equals the mean squared error, so the weight is the
    data's.

    One variance for all pixels is safe. One per pixel is not: a pixel that never
    changes is predicted without error, and the log-density grows without end as its
    variance goes to 0. `min_variance` is the floor that stops it;
    `datasets.dequantize` is the other cure.

    Args:
        per_pixel: Whether each feature of the output has a variance of its own,
            instead of one for all.
        initial_variance: Variance to start from, above `min_variance`, in squared
            units of the data. Adam moves a log-variance by about its learning rate per
            step, so start near: the variance of the data over a few is a good guess.
        min_variance: The floor: the variance is this plus `exp(weight)`. The default
            is about that of rounding to 8 bits, (1/255)^2 / 12. 0 for no floor.

    Call arguments:
        inputs: Means, shape `(batch, ..., channels)`.

    Output shape:
        `(batch, ..., 2 * channels)`: the means, then the log-variances, of which all
        examples have the same.

    Attributes:
        log_excess: Weight: log of the variance above the floor, of shape `()`, or of
            one example's shape with `per_pixel=True`.

    Raises:
        ValueError: if `per_pixel` is no bool, `min_variance` is negative,
            `initial_variance` is not above it, or `per_pixel=True` meets inputs of
            unknown size.

    Example:

    >>> layer = LearnedVariance(initial_variance=0.25)
    >>> outputs = layer(ops.zeros((2, 28, 28, 1)))
    >>> tuple(outputs.shape), f"{float(layer.variance()):.2f}"
    ((2, 28, 28, 2), '0.25')

    Derived in: notebook 11.

    References:
        Lucas et al., "Don't Blame the ELBO! A Linear VAE Perspective on Posterior
        Collapse" (2019); Rybkin et al., "Simple and Effective VAE Training with
        Calibrated Decoders" (2021).
    """

    def __init__(
        self, per_pixel=False, initial_variance=0.1, *, min_variance=1e-6, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(per_pixel, bool):
            refuse("per_pixel", "True or False", per_pixel)
        check_number("min_variance", min_variance, minimum=0)
        check_number("initial_variance", initial_variance, above=min_variance)
        self.per_pixel = per_pixel
        self.initial_variance = initial_variance
        self.min_variance = min_variance

    def build(self, input_shape):
        shape = tuple(input_shape[1:]) if self.per_pixel else ()
        if None in shape:
            received = f"inputs.shape={tuple(input_shape)}"
            refuse("inputs", "of known size with `per_pixel=True`", received=received)
        start = math.log(self.initial_variance - self.min_variance)
        # Float32 under mixed precision too: half precision cannot hold the floor.
        self.log_excess = self.add_weight(
            name="log_excess",
            shape=shape,
            initializer=keras.initializers.Constant(start),
            autocast=False,
        )

    def log_variance(self):
        """The log-variance at present: a tensor of the shape of `log_excess`."""
        if self.min_variance == 0:
            return ops.convert_to_tensor(self.log_excess)
        return ops.logaddexp(self.log_excess, math.log(self.min_variance))

    def variance(self):
        """The variance at present: a tensor of the shape of `log_excess`."""
        return ops.exp(self.log_variance())

    def call(self, inputs):
        log_var = ops.cast(self.log_variance(), inputs.dtype)
        log_var = ops.broadcast_to(log_var, ops.shape(inputs))
        return ops.concatenate([inputs, log_var], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "per_pixel": self.per_pixel,
            "initial_variance": self.initial_variance,
            "min_variance": self.min_variance,
        }
