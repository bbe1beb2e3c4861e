"""The linear variational autoencoder: its optimum is known, axis by axis.

Derived in: notebook 09.
"""

import dataclasses
import math

import numpy as np

from aecourse.checks import check_count, check_number, finite_array, refuse
from aecourse.linear.probabilistic import ppca_of_components
from aecourse.linear.subspaces import principal_components


@dataclasses.dataclass(frozen=True)
class LinearVAEOptimum:
    """What a linear VAE arrives at; `linear_vae_optimum` computes it.

    Axes are sorted, the most expensive first; a trained model may have them in any
    order and with any sign. Axes whose eigenvalue is below the variance are dead: zero
    columns, posterior N(0, 1), KL 0.

    Attributes:
        mean: Array `(num_features,)`: the decoder's bias.
        decoder: Array `(num_features, latent_dim)`, orthogonal columns.
        encoder: Array `(num_features, latent_dim)`: `z_mean = (x - mean) @ encoder`.
        z_variance: Array `(latent_dim,)`: variance of the posterior, for every x.
        kl_per_axis: Array `(latent_dim,)`, mean over the data, in nats.
        elbo: Float, mean over the data, in nats: the maximum of the log-likelihood.
        variance: Float, the variance of the decoder's noise.
        eigenvalues: Array `(num_features,)`: the spectrum of the data, divisor N.

    Example:

    >>> import numpy as np
    >>> x = np.array([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    >>> optimum = linear_vae_optimum(x, latent_dim=1)
    >>> print(f"{optimum.variance:.2f} {optimum.z_variance[0]:.2f}")
    1.00 0.25
    """

    mean: np.ndarray
    decoder: np.ndarray
    _: dataclasses.KW_ONLY
    encoder: np.ndarray
    z_variance: np.ndarray
    kl_per_axis: np.ndarray
    elbo: float
    variance: float
    eigenvalues: np.ndarray


def linear_vae_optimum(x, latent_dim, *, variance=None):
    """The best linear VAE for data: linear encoder and decoder, Gaussian noise.

    Its decoder is that of probabilistic PCA with orthogonal columns. The posterior
    then has no correlations, the diagonal encoder equals it, and the ELBO equals the
    log-likelihood. With the eigenvalues lambda_i of the covariance (divisor N), an
    axis with lambda_i > variance has

        z_variance_i = variance / lambda_i,   kl_i = log(lambda_i / variance) / 2

    Args:
        x: Examples in rows, `(num_examples, num_features)`, finite.
        latent_dim: Number of axes of the code, 1 to `num_features - 1`; up to
            `num_features` when `variance` is given.
        variance: Variance of the decoder's noise, held fixed, or `None` for the best:
            the mean of the discarded eigenvalues.

    Returns:
        `LinearVAEOptimum`.

    Raises:
        ValueError: as `ppca`.

    Example:

    >>> import numpy as np
    >>> x = np.array([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    >>> optimum = linear_vae_optimum(x, latent_dim=2, variance=1.5)
    >>> for nats in optimum.kl_per_axis:  # eigenvalues 4 and 1
    ...     print(f"{nats:.3f}")
    0.490
    0.000

    Reference:
        Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior
        collapse" (2019).
    """
    components = principal_components(x)
    model = ppca_of_components(components, latent_dim, variance=variance)
    eigenvalues = components[1]
    variance = model.variance
    kept = np.maximum(eigenvalues[:latent_dim], variance)
    kl_per_axis = np.log(kept / variance) / 2
    # Squared error in units of the variance: 1 along every live axis of the code,
    # eigenvalue / variance along all other directions.
    squares = np.sum(np.minimum(eigenvalues[:latent_dim] / variance, 1.0))
    squares += np.sum(eigenvalues[latent_dim:]) / variance
    constant = len(eigenvalues) * math.log(2 * math.pi * variance)
    return LinearVAEOptimum(
        mean=model.mean,
        decoder=model.loadings,
        encoder=model.loadings / kept,
        z_variance=variance / kept,
        kl_per_axis=kl_per_axis,
        elbo=float(-(constant + squares) / 2 - np.sum(kl_per_axis)),
        variance=variance,
        eigenvalues=eigenvalues,
    )


def predicted_active_axes(eigenvalues, latent_dim, *, variance, threshold=0.01):
    """Number of axes that a linear VAE uses, known before it is trained.

    An axis counts as active when the variance over the data of its posterior mean is
    above `threshold` (`diagnostics.active_units`). At the optimum that variance is
    1 - variance / lambda_i, so the axis is active when

        lambda_i > variance / (1 - threshold)

    Args:
        eigenvalues: Spectrum of the covariance of the data, divisor N, in any order.
        latent_dim: Number of axes of the code.
        variance: Variance of the decoder's noise; for a weight beta on the KL of a
            linear VAE, beta * variance.
        threshold: Variance over the data above which an axis is active, in [0, 1).

    Returns:
        int, `min(latent_dim, number of such eigenvalues)`.

    Raises:
        ValueError: if `eigenvalues` is no vector of finite numbers from 0 on, or an
            argument is out of range.

    Example:

    >>> predicted_active_axes([4.0, 1.0, 0.5], latent_dim=2, variance=0.6)
    2
    >>> predicted_active_axes([4.0, 1.0, 0.5], latent_dim=2, variance=0.995)
    1

    Reference:
        Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior
        collapse" (2019).
    """
    shape = "(num_features,)"
    eigenvalues = finite_array("eigenvalues", eigenvalues, ndim=1, shape=shape)
    if eigenvalues.min() < 0:
        refuse("eigenvalues", "a vector of numbers from 0 on", eigenvalues)
    check_count("latent_dim", latent_dim)
    check_number("variance", variance, above=0)
    check_number("threshold", threshold, minimum=0, below=1)
    num_above = np.count_nonzero(eigenvalues > variance / (1 - threshold))
    return min(latent_dim, int(num_above))
