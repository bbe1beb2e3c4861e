"""The likelihoods of `objectives` as Keras losses, for `compile`.

Each sums over the features of an example and averages over the batch: nats/example.
"""

import math

import keras
from keras import ops

from aecourse import objectives
from aecourse.checks import check_count, check_number


@keras.saving.register_keras_serializable(package="aecourse")
class BernoulliNLL(keras.losses.Loss):
    """Bernoulli negative log-likelihood of binary features, from logits.

    Like `keras.losses.BinaryCrossentropy(from_logits=True)`, with a sum over the
    features of an example where Keras takes the mean: with 784 pixels, 784 times it.

    Call arguments:
        y_true: Features in [0, 1], shape `(batch, ...)`.
        y_pred: Log-odds, same shape.

    Returns:
        Scalar: mean over the batch, in nats/example.

    Example:

    >>> loss = BernoulliNLL()([[0.0, 1.0]], [[0.0, 0.0]])
    >>> print(f"{float(loss):.4f}")
    1.3863

    Derived in: notebook 03.
    """

    def __init__(self, name="bernoulli_nll", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return objectives.bernoulli_nll(y_true, y_pred)


@keras.saving.register_keras_serializable(package="aecourse")
class ContinuousBernoulliNLL(keras.losses.Loss):
    """Negative log-density of intensities in [0, 1], from logits.

    The likelihood that grey pixels under a binary cross-entropy lack. The images of
    such a model are `objectives.continuous_bernoulli_mean` of its logits, not their
    sigmoid.

    Call arguments:
        y_true: Intensities in [0, 1], shape `(batch, ...)`.
        y_pred: Logits, same shape.

    Returns:
        Scalar: mean over the batch, in nats/example (a density: may be negative).

    Example:

    >>> print(f"{float(ContinuousBernoulliNLL()([[1.0]], [[2.0]])):.4f}")
    -0.8386

    Derived in: notebook 11.

    Reference:
        Loaiza-Ganem & Cunningham, "The continuous Bernoulli: fixing a pervasive error
        in variational autoencoders" (2019).
    """

    def __init__(self, name="continuous_bernoulli_nll", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return objectives.continuous_bernoulli_nll(y_true, y_pred)


@keras.saving.register_keras_serializable(package="aecourse")
class GaussianNLL(keras.losses.Loss):
    """Gaussian negative log-likelihood, with a fixed or a predicted variance.

    With a fixed variance this is the sum of squared errors over `2 * variance`, plus
    a constant that keeps it a log-density.

    Args:
        variance: Positive number; or `None` when the model predicts it: then `y_pred`
            carries the mean and the log-variance side by side on its last axis.

    Call arguments:
        y_true: Features, shape `(batch, ..., channels)`.
        y_pred: Means, same shape; or `(batch, ..., 2 * channels)` with
            `variance=None`.

    Returns:
        Scalar: mean over the batch, in nats/example (a density: may be negative).

    Raises:
        ValueError: if `variance` is neither `None` nor a positive number, or the
            shape of `y_pred` does not fit.

    Example:

    >>> print(f"{float(GaussianNLL(variance=1.0)([[1.0]], [[0.0]])):.4f}")
    1.4189

    Derived in: notebook 03.
    """

    def __init__(self, variance=1.0, name="gaussian_nll", **kwargs):
        super().__init__(name=name, **kwargs)
        if variance is not None:
            check_number("variance", variance, above=0)
        self.variance = variance

    def call(self, y_true, y_pred):
        if self.variance is not None:
            return objectives.gaussian_nll(
                y_true, y_pred, log_var=math.log(self.variance)
            )
        x_mean, log_var = _split_parameters(y_true, y_pred)
        return objectives.gaussian_nll(y_true, x_mean, log_var=log_var)

    def get_config(self):
        return {**super().get_config(), "variance": self.variance}


@keras.saving.register_keras_serializable(package="aecourse")
class DiscretizedLogisticNLL(keras.losses.Loss):
    """Negative log-probability of quantized intensities under a rounded logistic.

    Args:
        num_levels: Number of intensity levels between 0 and 1, at least 2.

    Call arguments:
        y_true: Intensities on the grid `k / (num_levels - 1)`, shape
            `(batch, ..., channels)`.
        y_pred: Locations and log-scales side by side on the last axis, shape
            `(batch, ..., 2 * channels)`.

    Returns:
        Scalar: mean over the batch, in nats/example.

    Raises:
        ValueError: if `num_levels` is below 2 or the shape of `y_pred` does not fit.

    Example:

    >>> loss = DiscretizedLogisticNLL(num_levels=2)([[1.0]], [[0.5, 0.0]])
    >>> print(f"{float(loss):.4f}")
    0.6931

    Derived in: notebook 11.
    """

    def __init__(self, num_levels=256, name="discretized_logistic_nll", **kwargs):
        super().__init__(name=name, **kwargs)
        check_count("num_levels", num_levels, minimum=2)
        self.num_levels = num_levels

    def call(self, y_true, y_pred):
        x_mean, log_scale = _split_parameters(y_true, y_pred)
        return objectives.discretized_logistic_nll(
            y_true, x_mean, log_scale=log_scale, num_levels=self.num_levels
        )

    def get_config(self):
        return {**super().get_config(), "num_levels": self.num_levels}


@keras.saving.register_keras_serializable(package="aecourse")
class PoissonNLL(keras.losses.Loss):
    """Negative log-probability of counts, from log-rates.

    Unlike `keras.losses.Poisson` it takes log-rates, keeps log(x!) and sums over the
    features of an example.

    Call arguments:
        y_true: Counts 0, 1, 2, ..., shape `(batch, ...)`.
        y_pred: Log-rates, same shape.

    Returns:
        Scalar: mean over the batch, in nats/example.

    Example:

    >>> print(f"{float(PoissonNLL()([[2.0]], [[0.0]])):.4f}")
    1.6931

    Derived in: notebook 03.
    """

    def __init__(self, name="poisson_nll", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return objectives.poisson_nll(y_true, y_pred)


@keras.saving.register_keras_serializable(package="aecourse")
class CategoricalNLL(keras.losses.Loss):
    """Negative log-probability of integer tokens, from logits.

    Like `keras.losses.SparseCategoricalCrossentropy(from_logits=True)`, with a sum
    over the tokens of an example where Keras takes the mean.

    Call arguments:
        y_true: Integer tokens, shape `(batch, ...)`.
        y_pred: Logits, shape `(batch, ..., num_classes)`.

    Returns:
        Scalar: mean over the batch, in nats/example.

    Example:

    >>> print(f"{float(CategoricalNLL()([[1]], [[[0.0, 0.0]]])):.4f}")
    0.6931

    Derived in: notebook 03.
    """

    def __init__(self, name="categorical_nll", **kwargs):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        return objectives.categorical_nll(y_true, y_pred)


def _split_parameters(y_true, y_pred):
    """Split `(batch, ..., 2 * channels)` into two tensors shaped as `y_true`."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if y_pred.shape[-1] != 2 * y_true.shape[-1]:
        raise ValueError(
            "Argument `y_pred` must carry two parameters side by side on its last "
            "axis, so be twice as wide there as `y_true`. Received: "
            f"y_pred.shape={tuple(y_pred.shape)}, y_true.shape={tuple(y_true.shape)}"
        )
    return ops.split(y_pred, 2, axis=-1)
