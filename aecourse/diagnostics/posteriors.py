"""The posteriors of a trained model and its likelihood, in nats.

Derived in: notebooks 10 (the ELBO), 12 (the importance-weighted bound) and 13
(posterior collapse).
"""

import math

import keras
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
    z_mean, z_log_var = _codes("z_mean", z_mean), _codes("z_log_var", z_log_var)
    check_same_shape("z_log_var", z_log_var.shape, "z_mean", z_mean.shape)
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
    z_mean = _codes("z_mean", z_mean)
    if len(z_mean) < 2:
        refuse("z_mean", "the means of at least two examples", z_mean)
    check_number("threshold", threshold, minimum=0)
    return int(np.count_nonzero(np.var(z_mean, axis=0) > threshold))


def importance_sampled_nll(
    encoder,
    decoder,
    x,
    num_samples=100,
    batch_size=2000,
    seed=0,
    nll=objectives.bernoulli_nll,
    progress=False,
):
    """Estimate -log p(x) of each example by importance sampling from the encoder.

    The prior is N(0, I) and the K samples of an example come from its posterior:

        -log (1/K) sum_k p(x given z_k) p(z_k) / q(z_k given x)

    Its expectation is an upper bound on -log p(x) that falls with K: K = 1 is the
    negative ELBO, and K without end is -log p(x) itself. Always state K beside it.

    The draws come from one NumPy generator an example. So the estimate is the same on
    every backend and for any `batch_size`, and the samples of a small K are the first
    of those of a larger one.

    Args:
        encoder: Keras model, or a function in `keras.ops`: `x` -> `[z_mean,
            z_log_var]`, both `(batch, latent_dim)`.
        decoder: Keras model, or a function in `keras.ops`: `z` of shape
            `(batch, latent_dim)` -> parameters of the likelihood, `x_logits` say.
        x: Examples, shape `(num_examples, ...)`; binary for a Bernoulli likelihood,
            where grey intensities give a cross-entropy and not a probability.
        num_samples: K, the number of samples an example.
        batch_size: Number of codes decoded at once, which bounds the memory.
        seed: Integer of at least 0; the same seed gives the same draws.
        nll: Function in `keras.ops`: `(x, decoder output)` -> nats per example,
            shape `(batch,)`, as in `aecourse.objectives`.
        progress: Whether to show a progress bar.

    Returns:
        Array of shape `(num_examples,)`, in nats.

    Raises:
        ValueError: if `x` is empty, has NaN, or has values outside [0, 1] under a
            Bernoulli or discretized likelihood; if a count is below 1; if the encoder
            does not return a pair of one shape; or if the decoder refuses the codes.

    Example:

    >>> import numpy as np
    >>> from keras import ops
    >>> def encoder(x):
    ...     return [ops.zeros_like(x[:, :1]), ops.zeros_like(x[:, :1])]
    >>> def decoder(z):
    ...     return 0.0 * z
    >>> nll = importance_sampled_nll(encoder, decoder, np.ones((3, 1)), num_samples=5)
    >>> print(f"{nll[0]:.4f}", nll.shape)
    0.6931 (3,)

    Reference:
        Burda et al., "Importance Weighted Autoencoders" (2016), equation 8.
    """
    check_count("num_samples", num_samples)
    check_count("batch_size", batch_size)
    check_count("seed", seed, minimum=0)
    x = _examples(x, nll)
    z_mean, z_log_var = _encode(encoder, x, batch_size)
    num_examples, latent_dim = z_mean.shape
    z_scale = np.exp(0.5 * z_log_var)

    # Every call decodes `rows` examples times `columns` samples: one shape, compiled
    # once. What the last call has too much is computed and dropped.
    num_calls = math.ceil(num_samples / batch_size)
    columns = math.ceil(num_samples / num_calls)
    rows = min(num_examples, max(1, batch_size // columns))
    score = _scorer(decoder, nll, x, columns, latent_dim)
    bar = keras.utils.Progbar(num_examples, verbose=int(progress))

    result = np.empty(num_examples)
    for start in range(0, num_examples, rows):
        chosen = np.minimum(np.arange(start, start + rows), num_examples - 1)
        generators = [np.random.default_rng([seed, index]) for index in chosen]
        log_weights = []
        for _ in range(num_calls):
            noise = np.stack(
                [one.standard_normal((columns, latent_dim)) for one in generators]
            )
            z = z_mean[chosen, None] + z_scale[chosen, None] * noise
            log_likelihood = -score.predict_on_batch([x[chosen], z.astype("float32")])
            # log p(z) - log q(z given x): the constants cancel.
            log_ratio = noise**2 + z_log_var[chosen, None] - z**2
            log_weights.append(log_likelihood + 0.5 * np.sum(log_ratio, axis=-1))
        log_weights = np.concatenate(log_weights, axis=1)[:, :num_samples]
        log_mean = logsumexp(log_weights, axis=1) - math.log(num_samples)
        stop = min(start + rows, num_examples)
        result[start:stop] = -log_mean[: stop - start]
        bar.update(stop)
    return result


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
    z_mean, z_log_var = model.predict(x, batch_size=batch_size, verbose=0)
    z_mean, z_log_var = _codes("z_mean", z_mean), _codes("z_log_var", z_log_var)
    check_same_shape("z_log_var", z_log_var.shape, "z_mean", z_mean.shape)
    return z_mean, z_log_var


def _scorer(decoder, nll, x, num_samples, latent_dim):
    """Model from `x` and `(batch, num_samples, latent_dim)` codes to nats a code.

    Decoder and likelihood in one model, so that one compiled call does both and only
    one number a code comes back.
    """
    x_input = keras.Input(x.shape[1:])
    z_input = keras.Input((num_samples, latent_dim))
    output = decoder(ops.reshape(z_input, (-1, latent_dim)))
    nats = nll(ops.repeat(x_input, num_samples, axis=0), output)
    return keras.Model([x_input, z_input], ops.reshape(nats, (-1, num_samples)))


def _examples(x, nll):
    """Finite float32 examples in the range of the likelihood."""
    x = finite_array("x", x).astype("float32")
    if x.ndim < 2 or x.size == 0:
        raise ValueError(
            "Argument `x` must have the shape `(num_examples, ...)`, with at least one "
            f"example. Received: x.shape={x.shape}"
        )
    unit_range = (objectives.bernoulli_nll, objectives.discretized_logistic_nll)
    if nll in unit_range and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"Argument `x` must lie in [0, 1] for `{nll.__name__}` (intensities 0..255 "
            f"are divided by 255). Received: x.min()={x.min()}, x.max()={x.max()}"
        )
    return x


def _codes(name, value):
    value = finite_array(name, value)
    if value.ndim != 2 or value.size == 0:
        raise ValueError(
            f"Argument `{name}` must have the shape `(num_examples, latent_dim)`. "
            f"Received: {name}.shape={value.shape}"
        )
    return value
