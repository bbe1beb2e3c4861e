"""Likelihoods and divergences: one number per example, in nats.

Every function here sums over the features of an example and leaves the batch axis
alone, so the mean over the batch is a loss in nats per example and a weight of 1 on
the KL makes the sum the negative ELBO. Everything is computed in float32, whatever
the dtype policy: in half precision a KL is wrong by factors.

Derived in: notebooks 03 (losses as noise models), 10 (the ELBO) and 11 (units).
"""

import math

import keras
from keras import ops

from aecourse.checks import check_count, check_same_shape


def gaussian_kl_per_axis(z_mean, z_log_var):
    """KL divergence from N(z_mean, exp(z_log_var)) to N(0, 1), axis by axis.

    Args:
        z_mean: Posterior means, shape `(batch, latent_dim)`.
        z_log_var: Posterior log-variances, shape `(batch, latent_dim)`.

    Returns:
        Tensor of shape `(batch, latent_dim)`, in nats, never negative.

    Raises:
        ValueError: if the two shapes differ.

    Example:

    >>> kl = gaussian_kl_per_axis([[1.0, 0.0]], [[0.0, 0.0]])
    >>> [float(axis) for axis in kl[0]]
    [0.5, 0.0]

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.
    """
    z_mean, z_log_var = _float32(z_mean), _float32(z_log_var)
    check_same_shape("z_log_var", z_log_var.shape, "z_mean", z_mean.shape)
    # expm1 keeps the difference exp(v) - 1 - v accurate where the posterior is near
    # the prior, which is where posterior collapse is measured.
    return 0.5 * (ops.square(z_mean) + ops.expm1(z_log_var) - z_log_var)


def gaussian_kl(z_mean, z_log_var):
    """KL divergence from N(z_mean, diag(exp(z_log_var))) to N(0, I).

    Args:
        z_mean: Posterior means, shape `(batch, latent_dim)`.
        z_log_var: Posterior log-variances, shape `(batch, latent_dim)`.

    Returns:
        Tensor of shape `(batch,)`: the sum over the latent axes, in nats/example.

    Raises:
        ValueError: if the two shapes differ.

    Example:

    >>> float(gaussian_kl([[1.0, 1.0]], [[0.0, 0.0]])[0])
    1.0

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.
    """
    return _sum_features(gaussian_kl_per_axis(z_mean, z_log_var))


def bernoulli_nll(x, x_logits):
    """Negative log-likelihood of binary features under Bernoulli(sigmoid(x_logits)).

    A likelihood only for `x` in {0, 1}. For intensities in between it is the
    cross-entropy to a Bernoulli with mean `x`: a useful loss, not a log-probability.

    Args:
        x: Features in [0, 1], shape `(batch, ...)`.
        x_logits: Log-odds, same shape as `x`.

    Returns:
        Tensor of shape `(batch,)`: the sum over all features, in nats/example.

    Raises:
        ValueError: if the two shapes differ.

    Example:

    >>> print(f"{float(bernoulli_nll([[0.0, 1.0]], [[0.0, 0.0]])[0]):.4f}")
    1.3863

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), appendix C.1.
    """
    x, x_logits = _features(x, "x_logits", x_logits)
    return _sum_features(ops.softplus(x_logits) - x * x_logits)


def continuous_bernoulli_nll(x, x_logits):
    """Negative log-density of intensities under the continuous Bernoulli law.

    The density on [0, 1] is proportional to that of a Bernoulli, `exp(x * x_logits)`.
    What makes it integrate to one is a term that `bernoulli_nll` lacks: the difference
    grows with the logits, so leaving it out is not leaving out a constant.

    Args:
        x: Intensities in [0, 1], shape `(batch, ...)`.
        x_logits: Natural parameters, same shape as `x`. The mean of the law is
            `continuous_bernoulli_mean(x_logits)`, not their sigmoid.

    Returns:
        Tensor of shape `(batch,)`: the sum over all features, in nats/example. It is
        a density, so it may be negative.

    Raises:
        ValueError: if the two shapes differ.

    Example:

    >>> print(f"{float(continuous_bernoulli_nll([[0.2, 1.0]], [[0.0, 2.0]])[0]):.4f}")
    -0.8386

    Reference:
        Loaiza-Ganem & Cunningham, "The continuous Bernoulli: fixing a pervasive error
        in variational autoencoders" (2019).
    """
    x, x_logits = _features(x, "x_logits", x_logits)
    # log of the integral of exp(x a) over [0, 1] = a / 2 + log(sinh(a / 2) / (a / 2)).
    near, square, size = _near_zero(x_logits)
    series = square * (1 / 24 - square * (1 / 2880 - square / 181440))
    far = 0.5 * size + ops.log(-ops.expm1(-size)) - ops.log(size)
    log_integral = 0.5 * x_logits + ops.where(near, series, far)
    return _sum_features(log_integral - x * x_logits)


@keras.saving.register_keras_serializable(package="aecourse")
def continuous_bernoulli_mean(x_logits):
    """Mean of the continuous Bernoulli law: what its decoder shows as an image.

    Nearer to 1/2 than the sigmoid: the law spreads where a Bernoulli decides. Takes
    the place of `"sigmoid"` as `output_activation` of a model.

    Args:
        x_logits: Natural parameters, any shape.

    Returns:
        Tensor of the same shape: intensities between 0 and 1.

    Example:

    >>> print(f"{float(continuous_bernoulli_mean(2.0)):.4f}")
    0.6565

    Reference:
        Loaiza-Ganem & Cunningham, "The continuous Bernoulli: fixing a pervasive error
        in variational autoencoders" (2019), equation 8.
    """
    x_logits = _float32(x_logits)
    # d/da of the log-integral above, 1 / (1 - exp(-a)) - 1 / a, with its series at 0.
    near, square, size = _near_zero(x_logits)
    series = x_logits * (1 / 12 - square * (1 / 720 - square / 30240))
    far = 0.5 / ops.tanh(0.5 * size) - 1 / size
    return 0.5 + ops.where(near, series, ops.sign(x_logits) * far)


def gaussian_nll(x, x_mean, *, log_var=0.0):
    """Negative log-density of `x` under N(x_mean, exp(log_var)), features independent.

    Args:
        x: Features, shape `(batch, ...)`.
        x_mean: Means, same shape as `x`.
        log_var: Log-variance: a number, or anything that broadcasts to the shape of
            `x` (one per feature, say).

    Returns:
        Tensor of shape `(batch,)`: the sum over all features, in nats/example. It is
        a density, so it may be negative.

    Raises:
        ValueError: if the shapes of `x` and `x_mean` differ, or `log_var` does not
            broadcast to them.

    Example:

    >>> print(f"{float(gaussian_nll([[1.0]], [[0.0]])[0]):.4f}")
    1.4189

    Reference:
        Bishop, "Pattern Recognition and Machine Learning" (2006), section 2.3.
    """
    log_var = _broadcast_features("log_var", log_var, x)
    x, x_mean = _features(x, "x_mean", x_mean)
    squared = ops.square(x - x_mean) * ops.exp(-log_var)
    return _sum_features(0.5 * (squared + log_var + math.log(2 * math.pi)))


def discretized_logistic_nll(x, x_mean, *, log_scale, num_levels=256):
    """Negative log-probability of quantized features under a rounded logistic.

    A logistic variable with location `x_mean` and scale `exp(log_scale)` is rounded
    to the nearest of `num_levels` equally spaced levels in [0, 1]; the outermost
    levels take the tails. So this is a probability, never above 1, and its bits per
    dimension can be compared with those of other models of the same 8-bit images.

    Args:
        x: Features on the grid `k / (num_levels - 1)`, shape `(batch, ...)`.
        x_mean: Locations, same shape as `x`, in the unit of `x`.
        log_scale: Log of the scale: a number, or anything that broadcasts to `x`.
        num_levels: Number of levels, at least 2.

    Returns:
        Tensor of shape `(batch,)`: the sum over all features, in nats/example.

    Raises:
        ValueError: if `num_levels` is below 2, the shapes of `x` and `x_mean`
            differ, or `log_scale` does not broadcast to them.

    Example:

    >>> nll = discretized_logistic_nll([[1.0]], [[0.5]], log_scale=0.0, num_levels=2)
    >>> print(f"{float(nll[0]):.4f}")
    0.6931

    Reference:
        Salimans et al., "PixelCNN++" (2017), section 2.1.
    """
    check_count("num_levels", num_levels, minimum=2)
    log_scale = _broadcast_features("log_scale", log_scale, x)
    x, x_mean = _features(x, "x_mean", x_mean)
    half_step = 0.5 / (num_levels - 1)
    inverse_scale = ops.exp(-log_scale)
    upper = (x - x_mean + half_step) * inverse_scale
    lower = (x - x_mean - half_step) * inverse_scale
    # log(sigmoid(u) - sigmoid(l)) = u + log(1 - e^(l-u)) - softplus(u) - softplus(l),
    # which stays finite far out in the tails, where the difference itself is zero.
    inside = (
        upper
        + ops.log(-ops.expm1(lower - upper))
        - ops.softplus(upper)
        - ops.softplus(lower)
    )
    log_prob = ops.where(
        x < half_step,
        -ops.softplus(-upper),
        ops.where(x > 1 - half_step, -ops.softplus(lower), inside),
    )
    return _sum_features(-log_prob)


def poisson_nll(x, log_rate):
    """Negative log-probability of counts under Poisson(exp(log_rate)).

    Args:
        x: Counts 0, 1, 2, ..., shape `(batch, ...)`.
        log_rate: Log of the expected count, same shape as `x`.

    Returns:
        Tensor of shape `(batch,)`: the sum over all features, in nats/example. The
        term log(x!) is kept, so it is a probability.

    Raises:
        ValueError: if the two shapes differ.

    Example:

    >>> print(f"{float(poisson_nll([[2.0]], [[0.0]])[0]):.4f}")
    1.6931

    Reference:
        McCullagh & Nelder, "Generalized Linear Models" (1989), chapter 6.
    """
    x, log_rate = _features(x, "log_rate", log_rate)
    return _sum_features(ops.exp(log_rate) - x * log_rate + _log_factorial(x))


def categorical_nll(x, x_logits):
    """Negative log-probability of tokens under softmax(x_logits).

    Args:
        x: Integer tokens in `[0, num_classes)`, shape `(batch, ...)`.
        x_logits: Unnormalized log-probabilities, shape `(batch, ..., num_classes)`.

    Returns:
        Tensor of shape `(batch,)`: the sum over all tokens, in nats/example.

    Raises:
        ValueError: if `x` does not have the shape of `x_logits` less its last axis.

    Example:

    >>> print(f"{float(categorical_nll([[1]], [[[0.0, 0.0]]])[0]):.4f}")
    0.6931

    Reference:
        Goodfellow et al., "Deep Learning" (2016), section 6.2.2.3.
    """
    x, x_logits = ops.cast(x, "int32"), _float32(x_logits)
    check_same_shape("x", x.shape, "x_logits[..., 0]", x_logits.shape[:-1])
    log_prob = ops.log_softmax(x_logits, axis=-1)
    chosen = ops.take_along_axis(log_prob, ops.expand_dims(x, -1), axis=-1)
    return _sum_features(-ops.squeeze(chosen, -1))


def _float32(x):
    return ops.cast(ops.convert_to_tensor(x), "float32")


def _features(x, name, value):
    """`x` and `value`, of one shape `(batch, ...)`, as `(batch, num_features)`.

    XLA makes fast loops of two axes on a CPU and slow ones of four: with images left
    as they were, a training step of a dense VAE took a third longer.
    """
    x, value = _float32(x), _float32(value)
    check_same_shape(name, value.shape, "x", x.shape)
    return _flat(x), _flat(value)


def _broadcast_features(name, value, x):
    """`value`, broadcast to the shape of `x`, as `(batch, num_features)`."""
    x, value = _float32(x), _float32(value)
    _check_broadcasts(name, value, x)
    if len(value.shape) == 0:
        return value
    if tuple(value.shape) != tuple(x.shape):
        value = ops.zeros_like(x) + value  # with symbols, too, unlike `broadcast_to`
    return _flat(value)


def _flat(x):
    if len(x.shape) < 3 or None in x.shape[1:]:
        return x
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def _near_zero(a):
    """`(near, square, size)`: what a function with a series at 0 is computed from.

    `near` says where |a| < 1/2. There the series in `square`, a^2, is exact to 1e-9,
    and the closed form, which divides by |a|, would lose digits. `size` is |a|, but 1/2
    where that is less: so the branch of a `where` that is not taken stays finite, and
    its gradient too.
    """
    return ops.abs(a) < 0.5, ops.square(a), ops.maximum(ops.abs(a), 0.5)


def _sum_features(per_feature):
    """Sum everything but the batch axis: `(batch, ...)` -> `(batch,)`."""
    return ops.sum(per_feature, axis=tuple(range(1, len(per_feature.shape))))


def _log_factorial(x):
    """log(x!) for whole x >= 0, elementwise (`keras.ops` has no lgamma).

    Stirling's series at x + 8, brought back down by log of (x+1)...(x+8): the first
    term left out is 1 / (1680 (x + 9)^7), below 2e-10.
    """
    n = x + 9.0
    series = 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5)
    log_gamma = (n - 0.5) * ops.log(n) - n + 0.5 * math.log(2 * math.pi) + series
    return log_gamma - sum(ops.log(x + shift) for shift in range(1, 9))


def _check_broadcasts(name, value, x):
    trailing = tuple(x.shape)[max(0, len(x.shape) - len(value.shape)) :]
    fits = len(value.shape) <= len(x.shape) and all(
        size in (1, of_x) or None in (size, of_x)
        for size, of_x in zip(value.shape, trailing, strict=True)
    )
    if not fits:
        raise ValueError(
            f"Argument `{name}` must broadcast to the shape of `x`, {tuple(x.shape)}. "
            f"Received: {name}.shape={tuple(value.shape)}"
        )
