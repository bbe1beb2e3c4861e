"""The posteriors of a trained model: what they cost and what they carry, in nats.

Derived in: notebooks 10 (the ELBO), 12 (evaluation) and 13 (posterior collapse).
"""

import dataclasses
import math

import numpy as np
from keras import ops
from scipy.special import logsumexp

from aecourse import objectives
from aecourse.checks import (
    check_count,
    check_number,
    check_same_shape,
    finite_array,
    refuse,
)

# Numbers in one block of the N x N table of log-densities: 8 MiB.
_MAX_NUMBERS = 2**20


def kl_per_axis(z_mean, z_log_var):
    """KL divergence from the posteriors to N(0, 1), axis by axis, mean over the data.

    The sum over the axes is the KL term of the ELBO; an axis at 0 carries nothing
    about the input.

    Args:
        z_mean: Posterior means, shape `(num_examples, latent_dim)`.
        z_log_var: Posterior log-variances, same shape.

    Returns:
        Array of shape `(latent_dim,)`, in nats.

    Raises:
        ValueError: if an array is not a finite matrix, or the two shapes differ.

    Example:

    >>> import numpy as np
    >>> z_mean = np.array([[2.0, 0.0], [-2.0, 0.0]])
    >>> for nats in kl_per_axis(z_mean, np.zeros((2, 2))):
    ...     print(f"{nats:.1f}")
    2.0
    0.0

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014), appendix B.
    """
    z_mean, z_log_var = check_posteriors(z_mean, z_log_var)
    kl = ops.convert_to_numpy(objectives.gaussian_kl_per_axis(z_mean, z_log_var))
    return np.mean(kl, axis=0, dtype="float64")


def active_units(z_mean, threshold=0.01):
    """Number of latent axes whose posterior mean moves with the input.

    An axis the decoder ignores has the same posterior, the prior, for every input, so
    its mean does not vary. In trained models the two kinds lie far apart and the
    count hardly depends on the threshold.

    Args:
        z_mean: Posterior means, shape `(num_examples, latent_dim)`.
        threshold: Variance over the data above which an axis is active, in squared
            latent units, at least 0.

    Returns:
        Number of active axes, an int.

    Raises:
        ValueError: if `z_mean` is not a finite matrix with at least two rows, or
            `threshold` is negative.

    Example:

    >>> import numpy as np
    >>> active_units(np.array([[2.0, 0.01], [-2.0, -0.01]]))
    1

    Reference:
        Burda et al., "Importance Weighted Autoencoders" (2016), section 5.
    """
    shape = "(num_examples, latent_dim)"
    z_mean = finite_array("z_mean", z_mean, ndim=2, shape=shape)
    if len(z_mean) < 2:
        refuse("z_mean", "the means of at least two examples", z_mean)
    check_number("threshold", threshold, minimum=0)
    return int(np.count_nonzero(np.var(z_mean, axis=0) > threshold))


@dataclasses.dataclass(frozen=True)
class MutualInformation:
    """What the codes say about the examples, and what the KL spends besides; nats.

    Attributes:
        mutual_information: I_q(x; z), float: how much a code tells which of the
            examples it came from. Never above `ceiling`.
        marginal_kl: KL(q(z), p(z)), float: how far the codes of all examples together
            are from the prior.
        kl: The KL term of the ELBO, mean over the examples, float: the sum of the two.
        ceiling: ln N, float, for N examples. An estimate close to it says that the
            codes tell N examples apart, not how many more they could.

    Example:

    >>> split = MutualInformation(0.6, 0.2, kl=0.8, ceiling=0.69)
    >>> print(f"{split.mutual_information + split.marginal_kl:.1f} = {split.kl}")
    0.8 = 0.8
    """

    mutual_information: float
    marginal_kl: float
    _: dataclasses.KW_ONLY
    kl: float
    ceiling: float


def mutual_information(z_mean, z_log_var, *, num_samples=10, seed=0):
    """Split the KL of the ELBO into what the code carries and what the prior misses.

    With the aggregated posterior q(z) = (1/N) sum_n q(z given x_n) of the N examples,

        mean_n KL(q(z given x_n), p(z)) = I_q(x; z) + KL(q(z), p(z))

    for any prior; here N(0, I). A collapsed encoder has 0 = 0 + 0. The left side has
    a closed form; I_q is the mean of log q(z given x_n) - log q(z) over draws z from
    each posterior, without bias; the last term is the difference, and may come out a
    little below zero.

    The time grows as N^2; the memory does not. A few thousand examples do.

    Args:
        z_mean: Posterior means, shape `(num_examples, latent_dim)`.
        z_log_var: Posterior log-variances, same shape.
        num_samples: Number of draws from each posterior.
        seed: Integer of at least 0; the same seed gives the same draws.

    Returns:
        `MutualInformation`, in nats.

    Raises:
        ValueError: if an array is not a finite matrix, the two shapes differ, or a
            count is too small.

    Example:

    >>> import numpy as np
    >>> z_mean = np.array([[-5.0], [5.0]])
    >>> split = mutual_information(z_mean, np.zeros((2, 1)))
    >>> print(f"{split.mutual_information:.3f} of {split.ceiling:.3f}")
    0.693 of 0.693
    >>> print(f"{split.kl:.1f} = 0.693 + {split.marginal_kl:.3f}")
    12.5 = 0.693 + 11.807

    Derived in: notebook 12.

    Reference:
        Hoffman & Johnson, "ELBO Surgery: Yet Another Way to Carve up the Variational
        Evidence Lower Bound" (2016).
    """
    check_count("num_samples", num_samples)
    check_count("seed", seed, minimum=0)
    kl = float(np.sum(kl_per_axis(z_mean, z_log_var)))
    z_mean, z_log_var = check_posteriors(z_mean, z_log_var)
    z_mean = z_mean - z_mean.mean(axis=0)
    num_examples, latent_dim = z_mean.shape
    # Codes that the caller drew with `default_rng(seed)` must not meet the same numbers
    # again as the noise. A seed of three numbers starts another stream.
    rng = np.random.default_rng([seed, num_examples, latent_dim])

    # log q(z given x_j) for all j at once: with the square multiplied out, it takes two
    # matrix products.
    precision = np.exp(-z_log_var)
    pull = z_mean * precision
    constant = -0.5 * np.sum(z_mean**2 * precision + z_log_var, axis=1)
    num_rows = max(1, _MAX_NUMBERS // num_examples)
    total = 0.0
    for _ in range(num_samples):
        for start in range(0, num_examples, num_rows):
            rows = np.arange(start, min(start + num_rows, num_examples))
            noise = rng.standard_normal((len(rows), latent_dim))
            z = z_mean[rows] + np.exp(0.5 * z_log_var[rows]) * noise
            log_q = z @ pull.T - 0.5 * (z**2 @ precision.T) + constant
            own = -0.5 * np.sum(noise**2 + z_log_var[rows], axis=1)
            # log q(z given x_n) from the noise itself, not from the products, whose
            # rounding could lift the estimate above its ceiling.
            log_q[np.arange(len(rows)), rows] = own
            total += np.sum(own - logsumexp(log_q, axis=1))
    ceiling = math.log(num_examples)
    information = ceiling + float(total) / (num_samples * num_examples)
    return MutualInformation(information, kl - information, kl=kl, ceiling=ceiling)


def check_posteriors(z_mean, z_log_var):
    """Means and log-variances as float64 matrices of one shape, or a refusal."""
    shape = "(num_examples, latent_dim)"
    z_mean = finite_array("z_mean", z_mean, ndim=2, shape=shape)
    z_log_var = finite_array("z_log_var", z_log_var, ndim=2, shape=shape)
    check_same_shape("z_log_var", z_log_var.shape, "z_mean", z_mean.shape)
    return z_mean, z_log_var
