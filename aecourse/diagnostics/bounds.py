"""Bounds on log p(x) of data that a model has not seen.

Derived in: notebook 12; the ELBO in notebook 10.
"""

import dataclasses
import math

import keras
import numpy as np
from keras import ops
from scipy.special import logsumexp

from aecourse import objectives
from aecourse.checks import check_count, finite_array, refuse
from aecourse.diagnostics.posteriors import check_posteriors

_LOG_2_PI = math.log(2 * math.pi)


def importance_sampled_nll(
    encoder,
    decoder,
    *,
    x,
    num_samples=100,
    batch_size=2000,
    seed=0,
    nll=objectives.bernoulli_nll,
    progress=False,
    log_prior=None,
):
    """Estimate -log p(x) of each example by importance sampling from the encoder.

    The K samples of an example come from its posterior:

        -log (1/K) sum_k p(x given z_k) p(z_k) / q(z_k given x)

    Its expectation is an upper bound on -log p(x) that falls with K: K = 1 is the
    negative ELBO, and K without end is -log p(x) itself. Always state K beside it.

    The draws come from one NumPy generator per example. So the estimate is the same on
    every backend and for any `batch_size`, and the samples of a small K are the first
    of those of a larger one. The memory does not grow with K, and with the number of
    examples only by their posteriors.

    Args:
        encoder: Keras model, or a function in `keras.ops`: `x` -> `[z_mean,
            z_log_var]`, both `(batch, latent_dim)`.
        decoder: Keras model, or a function in `keras.ops`: `z` of shape
            `(batch, latent_dim)` -> parameters of the likelihood, `x_logits` say.
        x: Examples, shape `(num_examples, ...)`; binary for a Bernoulli likelihood,
            where grey intensities give a cross-entropy and not a probability.
        num_samples: K, the number of samples per example.
        batch_size: Number of codes decoded at once, which bounds the memory.
        seed: Integer of at least 0; the same seed gives the same draws.
        nll: Function in `keras.ops`: `(x, decoder output)` -> nats per example,
            shape `(batch,)`, as in `aecourse.objectives`.
        progress: Whether to show a progress bar.
        log_prior: Keras model, or a function in `keras.ops`: `z` of shape
            `(batch, latent_dim)` -> log p(z), shape `(batch,)`. N(0, I) when `None`.

    Returns:
        Array of shape `(num_examples,)`, in nats.

    Raises:
        ValueError: if `x` is empty, has NaN, or has values outside [0, 1] under a
            Bernoulli or discretized likelihood; if a count is below 1; if the encoder
            does not return a pair of one shape; if the decoder refuses the codes; or
            if `nll` or `log_prior` does not give one number per code.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> def encoder(x):
    ...     return [ops.zeros_like(x[:, :1]), ops.zeros_like(x[:, :1])]
    >>> def decoder(z):
    ...     return 0.0 * z
    >>> nll = importance_sampled_nll(encoder, decoder, x=np.ones((3, 1)), num_samples=5)
    >>> print(f"{nll[0]:.4f}", nll.shape)
    0.6931 (3,)

    Reference:
        Burda et al., "Importance Weighted Autoencoders" (2016), equation 8.
    """
    log_sums = np.full(len(_examples(x, nll)), -np.inf)
    for rows, log_weights in _log_weights(
        encoder, decoder, x, num_samples, batch_size, seed, nll, log_prior, progress
    ):
        chunk = logsumexp(log_weights, axis=1)
        log_sums[rows] = np.logaddexp(log_sums[rows], chunk)
    return math.log(num_samples) - log_sums


@dataclasses.dataclass(frozen=True)
class ImportanceWeightedBound:
    """Lower bounds on log p(x) for K = 1, 2, 4, ..., in nats; the higher the better.

    Attributes:
        num_samples: K, int array of shape `(num_bounds,)`.
        per_example: The bounds of each example, shape `(num_examples, num_bounds)`;
            no row ever falls. Compare two K, or two models, by differences of these:
            their spread is far smaller than that of the bounds.

    Example:

    >>> import numpy as np
    >>> per_example = np.array([[-3.0, -2.5], [-5.0, -4.5]])
    >>> bound = ImportanceWeightedBound(np.array([1, 2]), per_example)
    >>> [float(nats) for nats in bound.mean]
    [-4.0, -3.5]
    """

    num_samples: np.ndarray
    per_example: np.ndarray

    @property
    def mean(self):
        """The mean over the examples, shape `(num_bounds,)`; the first is the ELBO."""
        return self.per_example.mean(axis=0)

    @property
    def standard_error(self):
        """Of that mean, shape `(num_bounds,)`: the spread of draws and examples.

        NaN for one example, which has no spread.
        """
        num_examples, num_bounds = self.per_example.shape
        if num_examples < 2:
            return np.full(num_bounds, np.nan)
        return self.per_example.std(axis=0, ddof=1) / math.sqrt(num_examples)


def importance_weighted_bound(
    encoder,
    decoder,
    *,
    x,
    num_samples=64,
    batch_size=2000,
    seed=0,
    nll=objectives.bernoulli_nll,
    progress=False,
    log_prior=None,
):
    """Bounds on log p(x) for K = 1, 2, 4, ... from one set of log-weights per example.

    The weights of an example are cut into blocks of K, and the bound for K is the mean
    over the blocks of log (mean of the weights in the block). Each has the expectation
    of the bound with K samples, with less noise; and because the log of a mean is at
    least the mean of the logs (Jensen), the bound of 2K is at least that of K for
    every draw, not only on average. The draws are those of `importance_sampled_nll`,
    whose negative is the last bound.

    Args:
        encoder: As for `importance_sampled_nll`, and so are the others but one.
        decoder: `z` -> parameters of the likelihood.
        x: Examples, shape `(num_examples, ...)`.
        num_samples: Number of weights per example, and the largest K: a power of two.
        batch_size: Number of codes decoded at once.
        seed: Integer of at least 0.
        nll: `(x, decoder output)` -> nats per example.
        progress: Whether to show a progress bar.
        log_prior: `z` -> log p(z); N(0, I) when `None`.

    Returns:
        `ImportanceWeightedBound`.

    Raises:
        ValueError: if `num_samples` is no power of two, and as
            `importance_sampled_nll`.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> def encoder(x):
    ...     return [ops.zeros_like(x[:, :1]), ops.zeros_like(x[:, :1])]
    >>> def decoder(z):
    ...     return 3.0 * z
    >>> x = np.ones((3, 1))
    >>> bound = importance_weighted_bound(encoder, decoder, x=x, num_samples=4)
    >>> [int(number) for number in bound.num_samples]
    [1, 2, 4]
    >>> bool((np.diff(bound.per_example) >= 0).all())
    True

    Derived in: notebook 12.

    Reference:
        Burda et al., "Importance Weighted Autoencoders" (2016), theorem 1.
    """
    check_count("num_samples", num_samples)
    if num_samples & (num_samples - 1):
        refuse("num_samples", "a power of two", num_samples)
    per_example, chunks = [], []
    for _, log_weights in _log_weights(
        encoder, decoder, x, num_samples, batch_size, seed, nll, log_prior, progress
    ):
        chunks.append(log_weights)
        if sum(chunk.shape[1] for chunk in chunks) == num_samples:
            per_example.append(_block_bounds(np.concatenate(chunks, axis=1)))
            chunks = []
    per_example = np.concatenate(per_example)
    return ImportanceWeightedBound(2 ** np.arange(per_example.shape[1]), per_example)


def bits_per_dim(nll, num_dims):
    """Negative log-likelihood in bits per dimension: the unit of a compression rate.

    Comparable between models of the same data only, and only for probabilities of
    discrete pixels: a density has no bits.

    Args:
        nll: Negative log-likelihood in nats per example: a number or an array.
        num_dims: Number of dimensions (pixels times channels) of an example.

    Returns:
        `nll / (num_dims * ln 2)`, a float or an array of the shape of `nll`.

    Raises:
        ValueError: if `nll` is not finite or `num_dims` is not a count.

    Example:

    >>> import math
    >>> print(f"{bits_per_dim(784 * math.log(2), 784):.2f}")
    1.00

    Reference:
        Theis et al., "A note on the evaluation of generative models" (2016).
    """
    check_count("num_dims", num_dims)
    bits = finite_array("nll", nll) / (num_dims * math.log(2))
    return bits if bits.ndim else float(bits)


def _block_bounds(log_weights):
    """`(rows, 2**m)` log-weights -> `(rows, m + 1)` bounds, for K = 1, 2, ..., 2**m."""
    bounds = [log_weights.mean(axis=1)]
    while log_weights.shape[1] > 1:
        pairs = np.logaddexp(log_weights[:, ::2], log_weights[:, 1::2])
        log_weights = pairs - math.log(2)
        bounds.append(log_weights.mean(axis=1))
    return np.stack(bounds, axis=1)


def _log_weights(
    encoder, decoder, x, num_samples, batch_size, seed, nll, log_prior, progress
):
    """Yields a slice of the examples and `(rows, samples)` of their log-weights.

    The chunks of one slice follow one another until it has `num_samples`. Besides the
    posteriors, no array made here has more than `batch_size` codes in it.
    """
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    check_count("seed", seed, minimum=0)
    x = _examples(x, nll)
    z_mean, z_log_var = _encode(encoder, x, batch_size)
    num_examples, latent_dim = z_mean.shape

    # Every call decodes `rows` examples times `columns` samples, at most `batch_size`.
    # The last batch is padded to keep one compiled shape.
    num_calls = math.ceil(num_samples / batch_size)
    columns = math.ceil(num_samples / num_calls)
    rows = min(num_examples, batch_size // columns)
    score = _scorer(decoder, nll, log_prior, x, columns, latent_dim)
    bar = keras.utils.Progbar(num_examples, verbose=int(progress))

    for start in range(0, num_examples, rows):
        stop = min(start + rows, num_examples)
        chosen = np.minimum(np.arange(start, start + rows), num_examples - 1)
        generators = [np.random.default_rng([seed, index]) for index in chosen]
        mean, log_var = z_mean[chosen, None], z_log_var[chosen, None]
        for done in range(0, num_samples, columns):
            shape = (columns, latent_dim)
            noise = np.stack([rng.standard_normal(shape) for rng in generators])
            z = mean + np.exp(0.5 * log_var) * noise
            nats = score.predict_on_batch([x[chosen], z.astype("float32")])
            log_q = -0.5 * np.sum(_LOG_2_PI + log_var + noise**2, axis=-1)
            log_p = -0.5 * np.sum(_LOG_2_PI + z**2, axis=-1)
            if log_prior is not None:
                log_p = 0.0  # it is in `nats` already
            log_weights = log_p - log_q - nats
            yield slice(start, stop), log_weights[: stop - start, : num_samples - done]
        bar.update(stop)


def _encode(encoder, x, batch_size):
    """Posterior means and log-variances of all of `x`, float64."""
    x_input = keras.Input(x.shape[1:])
    output = encoder(x_input)
    if not isinstance(output, list | tuple) or len(output) != 2:
        raise ValueError(
            "Argument `encoder` must return the pair [z_mean, z_log_var]. "
            f"Received: encoder(x)={output}"
        )
    model = keras.Model(x_input, list(output))
    # Not `predict`, which copies all of `x` on some backends. The last batch is padded
    # to keep one compiled shape.
    rows = min(len(x), batch_size)
    codes = []
    for start in range(0, len(x), rows):
        chosen = np.minimum(np.arange(start, start + rows), len(x) - 1)
        codes.append(model.predict_on_batch(x[chosen]))
    z_mean, z_log_var = (
        np.concatenate(parts)[: len(x)] for parts in zip(*codes, strict=True)
    )
    return check_posteriors(z_mean, z_log_var)


def _scorer(decoder, nll, log_prior, x, num_samples, latent_dim):
    """Model from `x` and `(batch, num_samples, latent_dim)` codes to nats per code.

    Decoder, likelihood and prior are one model, so that one compiled call does all and
    only one number per code comes back.
    """
    x_input = keras.Input(x.shape[1:])
    z_input = keras.Input((num_samples, latent_dim))
    z = ops.reshape(z_input, (-1, latent_dim))
    x_repeated = ops.repeat(x_input, num_samples, axis=0)
    nats = nll(x_repeated, decoder(z))
    _check_one_per_code("nll", nats)
    if log_prior is not None:
        if not isinstance(log_prior, keras.layers.Layer):
            # Inside a Lambda layer the function is called with tensors, not with Keras'
            # symbols, so it may combine the codes with tensors of its own. Float32
            # under mixed precision, too.
            log_prior = keras.layers.Lambda(log_prior, dtype="float32")
        log_p = log_prior(z)
        _check_one_per_code("log_prior", log_p)
        nats = nats - log_p
    return keras.Model([x_input, z_input], ops.reshape(nats, (-1, num_samples)))


def _check_one_per_code(name, value):
    if len(value.shape) != 1:
        raise ValueError(
            f"Argument `{name}` must give one number per code, shape `(batch,)`. "
            f"Received: {name} with output of shape {tuple(value.shape)}"
        )


def _examples(x, nll):
    """Finite float32 examples in the range of the likelihood, or a refusal."""
    # Not by `finite_array`, which makes a float64 copy: `x` may be most of the memory.
    x = np.asarray(x, dtype="float32")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            "Argument `x` must have the shape (num_examples, ...), and at least one "
            f"entry. Received: x.shape={x.shape}"
        )
    low, high = x.min(), x.max()
    if not (math.isfinite(low) and math.isfinite(high)):
        finite_array("x", x)  # raises, and counts the entries
    unit_range = (
        objectives.bernoulli_nll,
        objectives.continuous_bernoulli_nll,
        objectives.discretized_logistic_nll,
    )
    if nll in unit_range and (low < 0 or high > 1):
        raise ValueError(
            f"Argument `x` must lie in [0, 1] for `{nll.__name__}` (intensities 0..255 "
            f"are divided by 255). Received: x.min()={low}, x.max()={high}"
        )
    return x
