"""Probabilistic PCA: principal components as a model of the data, with a likelihood.

A code `z` of `latent_dim` numbers is drawn from N(0, I), and an example is

    x = mean + loadings @ z + noise,   noise from N(0, variance * I)

so that x follows N(mean, loadings @ loadings.T + variance * I). What is missing in an
example is NaN, and is integrated out.

Covariances are divided by the number of examples N, not by N - 1: the maximum of the
likelihood has this divisor.

Derived in: notebook 09.
"""

import dataclasses
import math

import numpy as np
import scipy.linalg

from aecourse.checks import check_count, check_number, finite_array, refuse
from aecourse.linear.subspaces import principal_components


@dataclasses.dataclass(frozen=True)
class PPCA:
    """A probabilistic PCA model; `ppca` and `ppca_em` fit one to data.

    The methods take examples in rows, `(num_examples, num_features)`, with NaN where a
    feature is missing. They cost one small linear system for each *pattern* of missing
    features, so examples that lack the same features are cheap.

    Attributes:
        mean: Array `(num_features,)`.
        loadings: Array `(num_features, latent_dim)`; its columns are the decoder's.
        variance: Variance of the noise in each feature, a positive float.

    Raises:
        ValueError: if shapes disagree or the variance is not positive; from the
            methods, if examples do not fit the model.

    Example:

    >>> import numpy as np
    >>> model = PPCA(np.zeros(2), np.array([[1.0], [1.0]]), variance=0.5)
    >>> for row in model.covariance:
    ...     print(row.tolist())
    [1.5, 1.0]
    [1.0, 1.5]
    >>> x = np.array([[1.2, np.nan]])  # the second feature is missing
    >>> print(f"{model.impute(x)[0, 1]:.2f}")
    0.80
    >>> z_mean, z_covariance = model.posterior(x)
    >>> print(f"{z_mean[0, 0]:.2f} {z_covariance[0, 0, 0]:.2f}")
    0.80 0.33

    Reference:
        Tipping & Bishop, "Probabilistic principal component analysis" (1999).
    """

    mean: np.ndarray
    loadings: np.ndarray
    _: dataclasses.KW_ONLY
    variance: float

    def __post_init__(self):
        if np.ndim(self.loadings) != 2 or np.ndim(self.mean) != 1:
            raise ValueError(
                "Argument `loadings` must be a matrix and `mean` a vector. Received: "
                f"loadings.shape={np.shape(self.loadings)}, "
                f"mean.shape={np.shape(self.mean)}"
            )
        if len(self.loadings) != len(self.mean):
            raise ValueError(
                "Argument `loadings` must have a row for each of the "
                f"{len(self.mean)} features of `mean`. "
                f"Received: loadings.shape={np.shape(self.loadings)}"
            )
        check_number("variance", self.variance, above=0)

    @property
    def covariance(self):
        """Covariance of x in the model, `(num_features, num_features)`."""
        noise = self.variance * np.eye(len(self.mean))
        return self.loadings @ self.loadings.T + noise

    def log_likelihood(self, x):
        """Log-density of what is observed of each example, in nats.

        Args:
            x: Examples, `(num_examples, num_features)`; NaN is missing.

        Returns:
            Array `(num_examples,)`: log p of the observed features of an example, the
            others integrated out. It is 0 where nothing is observed.
        """
        x = _examples("x", x, self.mean)
        nats = np.empty(len(x))
        for rows, observed in _patterns(x):
            _, _, nats[rows] = self._condition(x[rows], observed)
        return nats

    def posterior(self, x):
        """Mean and covariance of the code, given what is observed of each example.

        Args:
            x: Examples, `(num_examples, num_features)`; NaN is missing.

        Returns:
            Pair `(z_mean, z_covariance)` of shapes `(num_examples, latent_dim)` and
            `(num_examples, latent_dim, latent_dim)`. The covariance depends only on
            which features are observed. Where none is, this is the prior.
        """
        x = _examples("x", x, self.mean)
        latent_dim = self.loadings.shape[1]
        z_mean = np.empty((len(x), latent_dim))
        z_covariance = np.empty((len(x), latent_dim, latent_dim))
        for rows, observed in _patterns(x):
            z_mean[rows], z_covariance[rows], _ = self._condition(x[rows], observed)
        return z_mean, z_covariance

    def reconstruct(self, x):
        """Decode the posterior mean: `mean + loadings @ z_mean`, the shape of `x`.

        Unlike a projection on the principal subspace it is drawn toward the mean, as
        the part of each component that is expected to be noise is left out.
        """
        x = _examples("x", x, self.mean)
        z_mean = np.empty((len(x), self.loadings.shape[1]))
        for rows, observed in _patterns(x):
            z_mean[rows] = self._condition(x[rows], observed)[0]
        return self.mean + z_mean @ self.loadings.T

    def impute(self, x):
        """`x` with each NaN replaced by its conditional mean given the rest."""
        x = _examples("x", x, self.mean)
        return np.where(np.isnan(x), self.reconstruct(x), x)

    def _condition(self, x, observed):
        """Posterior and log-likelihood of rows that share one pattern.

        Only `latent_dim` by `latent_dim` systems are solved: the determinant and the
        inverse of the covariance of x follow from those of `m` (Woodbury).
        """
        loadings = self.loadings[observed]
        num_observed, latent_dim = loadings.shape
        centered = x[:, observed] - self.mean[observed]
        m = loadings.T @ loadings + self.variance * np.eye(latent_dim)
        root = scipy.linalg.cholesky(m, lower=True)
        whitened = scipy.linalg.solve_triangular(
            root, loadings.T @ centered.T, lower=True
        )
        inverse_root = scipy.linalg.solve_triangular(
            root, np.eye(latent_dim), lower=True
        )
        z_mean = whitened.T @ inverse_root
        z_covariance = self.variance * inverse_root.T @ inverse_root
        squares = np.sum(centered**2, axis=1) - np.sum(whitened**2, axis=0)
        log_det = 2 * np.sum(np.log(np.diag(root)))
        log_det += (num_observed - latent_dim) * math.log(self.variance)
        constant = num_observed * math.log(2 * math.pi)
        return z_mean, z_covariance, -(squares / self.variance + log_det + constant) / 2


def ppca(x, latent_dim, *, variance=None):
    """Fits probabilistic PCA by its closed form: the maximum of the likelihood.

    The loadings are the first principal directions u_i, scaled:

        loadings_i = u_i * sqrt(lambda_i - variance)

    where lambda_i are the eigenvalues of the covariance (divisor N). The best variance
    is the mean of the discarded ones. For a variance that is given, directions with
    lambda_i below it get loadings of zero.

    Args:
        x: Examples in rows, `(num_examples, num_features)`, without NaN (`ppca_em`
            takes missing values).
        latent_dim: Number of axes of the code, 1 to `num_features - 1`; up to
            `num_features` when `variance` is given.
        variance: Variance of the noise in each feature, or `None` for the best one.

    Returns:
        `PPCA`, with orthogonal loadings, the longest first; signs are arbitrary.

    Raises:
        ValueError: if `x` is not a finite matrix, an argument is out of range, or the
            discarded eigenvalues are all zero, so that the likelihood is unbounded.

    Example:

    >>> import numpy as np
    >>> x = np.array([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    >>> model = ppca(x, latent_dim=1)  # eigenvalues 4 and 1
    >>> print(f"{model.variance:.2f} {abs(model.loadings[0, 0]):.2f}")
    1.00 1.73

    Reference:
        Tipping & Bishop, "Probabilistic principal component analysis" (1999).
    """
    x = _examples("x", x)
    num_missing = np.count_nonzero(np.isnan(x))
    if num_missing:
        received = f"x with {num_missing} NaN entries"
        refuse("x", "complete (`ppca_em` takes missing values)", received=received)
    components = principal_components(x)
    return ppca_of_components(components, latent_dim, variance=variance)


def ppca_of_components(components, latent_dim, *, variance):
    """`ppca` of data whose `principal_components` are at hand."""
    mean, eigenvalues, directions = components
    variance = _noise_variance(eigenvalues, latent_dim, variance)
    lengths = np.sqrt(np.maximum(eigenvalues[:latent_dim] - variance, 0.0))
    return PPCA(mean, directions[:, :latent_dim] * lengths, variance=variance)


def ppca_em(x, latent_dim, *, num_steps=100, seed=0):
    """Fits probabilistic PCA by expectation maximization; NaN is missing.

    Each step computes the exact posteriors of the codes (E), which makes the ELBO
    equal to the log-likelihood, and then maximizes the ELBO in mean, loadings and
    variance together (M). So the log-likelihood never falls. The M step fits the prior
    of the codes as well, a Gaussian that mean and loadings then absorb: the same
    models, reached in far fewer steps where the noise is small. A step costs one small
    system for each pattern of missing features and one for each feature.

    Args:
        x: Examples in rows, `(num_examples, num_features)`; NaN is missing. Each
            feature is observed at least once.
        latent_dim: Number of axes of the code, 1 to `num_features - 1`.
        num_steps: Number of steps.
        seed: Integer, of the random loadings that it starts from.

    Returns:
        Pair `(model, log_likelihoods)`: the `PPCA` after `num_steps` steps, and the
        log-likelihood after 0, 1, ..., `num_steps` of them, mean over the examples,
        in nats, shape `(num_steps + 1,)`. The loadings are not orthogonal.

    Raises:
        ValueError: if `x` is not a matrix, is infinite, or has a feature that is never
            observed, an argument is out of range, or the variance vanishes, as the
            likelihood of such data is unbounded.

    Example:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 1)) * [2.0, 1.0, -1.0] + rng.normal(size=(200, 3))
    >>> x[rng.random(x.shape) < 0.2] = np.nan
    >>> model, log_likelihoods = ppca_em(x, latent_dim=1, num_steps=20)
    >>> bool(np.all(np.diff(log_likelihoods) >= 0))
    True
    >>> print(f"{model.variance:.1f}")
    1.1

    Reference:
        Tipping & Bishop, "Probabilistic principal component analysis" (1999);
        Ilin & Raiko, "Practical approaches to principal component analysis in the
        presence of missing values" (2010); Liu, Rubin & Wu, "Parameter expansion to
        accelerate EM: the PX-EM algorithm" (1998).
    """
    x = _examples("x", x)
    num_features = x.shape[1]
    check_count("latent_dim", latent_dim, maximum=num_features - 1)
    check_count("num_steps", num_steps)
    check_count("seed", seed, minimum=0)
    is_observed = ~np.isnan(x)
    if not is_observed.any(axis=0).all():
        num_never = np.count_nonzero(~is_observed.any(axis=0))
        received = f"x where {num_never} of {num_features} features are never observed"
        refuse("x", "observed at least once in every feature", received=received)
    patterns = _patterns(x)
    mean = np.nanmean(x, axis=0)
    total = np.mean((x - mean)[is_observed] ** 2)
    # A start of the right size; the directions are random.
    loadings = np.random.default_rng(seed).normal(size=(num_features, latent_dim))
    loadings *= math.sqrt(total / latent_dim)
    model = PPCA(mean, loadings, variance=max(total, np.finfo(float).tiny))
    log_likelihoods = []
    for _ in range(num_steps):
        model, nats = _em_step(model, x, is_observed, patterns, total)
        log_likelihoods.append(nats)
    log_likelihoods.append(np.mean(model.log_likelihood(x)))
    return model, np.array(log_likelihoods)


def _em_step(model, x, is_observed, patterns, total):
    """The next model, and the log-likelihood of this one."""
    latent_dim = model.loadings.shape[1]
    # The M step is one linear regression per feature, of x on [z, 1]. For each pattern,
    # `moments` holds the expected outer product of [z, 1], summed over its rows;
    # `cross` holds, for each feature, the sum of x times the expected [z, 1].
    moments = np.empty((len(patterns), latent_dim + 1, latent_dim + 1))
    codes = np.ones((len(x), latent_dim + 1))
    nats = np.empty(len(x))
    for index, (rows, observed) in enumerate(patterns):
        z_mean, z_covariance, nats[rows] = model._condition(x[rows], observed)
        codes[rows, :-1] = z_mean
        moments[index] = codes[rows].T @ codes[rows]
        moments[index, :-1, :-1] += len(z_mean) * z_covariance
    # The best Gaussian prior for these codes; the new mean and loadings absorb it
    # below.
    prior_mean = np.mean(codes[:, :-1], axis=0)
    prior_covariance = np.sum(moments[:, :-1, :-1], axis=0) / len(x)
    prior_covariance -= np.outer(prior_mean, prior_mean)
    seen = np.array([observed for _, observed in patterns], dtype="float64")
    moments = np.tensordot(seen.T, moments, axes=1)
    filled = np.where(is_observed, x, 0.0)
    cross = filled.T @ codes
    weights = np.linalg.solve(moments, cross[..., None])[..., 0]
    # At the solution the expected squared error is that of x less the explained part.
    errors = np.sum(filled**2, axis=0) - np.sum(weights * cross, axis=1)
    variance = np.sum(errors) / np.count_nonzero(is_observed)
    if not variance > 1e-12 * total:
        raise ValueError(
            "Argument `x` must not lie in a subspace of `latent_dim` dimensions: the "
            f"likelihood is unbounded. Received: latent_dim={latent_dim}, and the "
            f"variance of the noise falls to {variance:.2g}"
        )
    # With z = prior_mean + root @ e and e from N(0, I), this is the same model with the
    # codes e.
    root = scipy.linalg.cholesky(prior_covariance, lower=True)
    mean, loadings = weights[:, -1], weights[:, :-1]
    moved = PPCA(
        mean + loadings @ prior_mean, loadings @ root, variance=float(variance)
    )
    return moved, np.mean(nats)


def _noise_variance(eigenvalues, latent_dim, variance):
    """The given variance, or the best one."""
    if variance is not None:
        check_count("latent_dim", latent_dim, maximum=len(eigenvalues))
        check_number("variance", variance, above=0)
        return float(variance)
    check_count("latent_dim", latent_dim, maximum=len(eigenvalues) - 1)
    best = float(np.mean(eigenvalues[latent_dim:]))
    # Eigenvalues that should be zero come out at rounding size.
    if best <= 1e-13 * eigenvalues[0]:
        raise ValueError(
            "Argument `x` must not lie in a subspace of `latent_dim` dimensions: the "
            f"likelihood is unbounded. Received: latent_dim={latent_dim}, and "
            "discarded eigenvalues of zero"
        )
    return best


def _examples(name, value, mean=None):
    """`value` as a float64 matrix, NaN allowed, or a refusal."""
    shape = "(num_examples, num_features)"
    value = finite_array(name, value, ndim=2, shape=shape, missing=True)
    if mean is not None and value.shape[1] != len(mean):
        raise ValueError(
            f"Argument `{name}` must have the {len(mean)} features of the model. "
            f"Received: {name}.shape={value.shape}"
        )
    return value


def _patterns(x):
    """`(rows, observed)` of each pattern of missing features: indices and a mask."""
    is_observed = ~np.isnan(x)
    if is_observed.all():
        return [(np.arange(len(x)), is_observed[0])]
    # Rows of bits compare faster than rows of Booleans.
    bits = np.packbits(is_observed, axis=1)
    _, first, which = np.unique(bits, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(which.ravel()))[:-1])
    return [
        (rows, is_observed[index]) for rows, index in zip(groups, first, strict=True)
    ]
