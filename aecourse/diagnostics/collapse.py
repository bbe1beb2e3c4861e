"""What the reductions of a compiled VAE amount to, beside the data's critical value.

A sum here and a mean there, and the weight of the KL is no longer the number one has
written. For `a * SSE + b * KL` only the product beta * sigma^2 = b / (2a) has a
meaning, for `a * BCE + b * KL` only beta = b / a: both are measured from outside.

Derived in: notebook 13.
"""

import dataclasses

import keras
import numpy as np
import scipy.linalg
from keras import ops

from aecourse import objectives
from aecourse.checks import check_count, check_same_shape, finite_array, refuse

_LIKELIHOODS = ("gaussian", "bernoulli")
_EXAMPLES = "(num_examples, ...)"

# How the measurement works. A step of `fit` minimizes the loss given to `compile` plus
# the losses that layers add; neither is trusted to be what its name says.
#
# The price of an error. `compute_loss` is called with chosen outputs in place of the
# model's own. The added losses stay what they are, so what the total gains over its
# value at the constant output 0.5 is due to the reconstruction. Where these gains are
# proportional to those of the summed squared error (or cross-entropy), the factor is a.
#
# The price of a nat. Target and output are held at a pair that costs next to nothing,
# and the kernels of the encoder are replaced by random ones, at scales from 1/8 to 8.
# For each encoder the examples are sorted by their KL and cut into four batches, from
# low to high. Where the total rises in proportion to the mean KL of the batch, the
# factor is b. What is the same for the four batches (weight decay, say) drops out of
# the differences.
#
# Both factors are least-squares fits, and refused where they miss by more than
# rounding. All of it happens in a `StatelessScope`, so that nothing of the model
# changes.


@dataclasses.dataclass(frozen=True)
class EffectiveBeta:
    """The weight of the KL in a compiled VAE, in the only unit that has a meaning.

    Attributes:
        kind: `"gaussian"` (squared error) or `"bernoulli"` (binary cross-entropy).
        value: beta * sigma^2 in the squared unit of the target, or beta.
        critical: The `critical_value` of the targets, in the same unit.
        reconstruction_weight: a, what the loss pays per example for one unit of
            summed squared error, or for one nat of summed cross-entropy.
        kl_weight: b, what the loss pays per example for one nat of KL.

    Example:

    >>> meter = EffectiveBeta(
    ...     "gaussian",
    ...     12.25,
    ...     critical=5.13,
    ...     reconstruction_weight=1 / 784,
    ...     kl_weight=1 / 32,
    ... )
    >>> meter.collapses
    True
    """

    kind: str
    value: float
    _: dataclasses.KW_ONLY
    critical: float
    reconstruction_weight: float
    kl_weight: float

    @property
    def collapses(self):
        """Whether the fully collapsed solution is locally stable, for any networks."""
        return self.value >= self.critical


def effective_beta(vae, x, *, y=None, encoder=None, batch_size=32, seed=0):
    """Measure what the reductions of a compiled VAE amount to.

    The loss of `compile` is evaluated at chosen outputs, which gives its price a per
    unit of summed squared error or nat of summed cross-entropy. The added losses are
    evaluated at encoders with random kernels, on batches of known KL, which gives
    their price b of a nat; what does not vary with the input, such as weight decay,
    drops out. Nothing of the model is changed, and it may be collapsed already.

    Args:
        vae: Compiled and built `keras.Model`, functional or not, with the
            reconstruction loss in `compile` and the KL in `add_loss` (of a layer, or
            of its own `call`) or in its own `compute_loss`. Read with
            `training=False`; a KL weight on a schedule counts as it stands now.
        x: Inputs, shape `(num_examples, ...)`, at least 8.
        y: Targets, one array of the shape of the model's output; the inputs when None.
        encoder: `keras.Model` whose first two outputs are z_mean and z_log_var (log
            *variance*) and which shares its weights with `vae`. When None: the
            attribute or the layer `encoder` of `vae`, or its layers `z_mean` and
            `z_log_var`.
        batch_size: Batch size of `fit`. It matters only where one term is summed over
            the batch and the other averaged: then it is part of beta.
        seed: Integer of at least 0: of the random outputs and kernels.

    Returns:
        `EffectiveBeta`.

    Raises:
        ValueError: if the model is not compiled, has its own `train_step` (what it
            minimizes cannot be read from outside) or more than one output; if its
            compiled loss is neither squared error nor cross-entropy, or what is added
            is no multiple of the KL (free bits, other penalties, a wrong formula) or
            so large that the rest is rounded away; if no encoder is found; or if the
            examples are all alike.

    Example:

    >>> import numpy as np
    >>> from aecourse import losses, models
    >>> encoder = models.dense_encoder((8,), latent_dim=2, variational=True)
    >>> decoder = models.dense_decoder((8,), latent_dim=2)
    >>> vae = models.variational_autoencoder(encoder, decoder, beta=4.0)
    >>> vae.compile(loss=losses.GaussianNLL(variance=0.1))
    >>> meter = effective_beta(vae, np.random.default_rng(0).random((100, 8)))
    >>> print(meter.kind, f"{meter.value:.2f}", meter.collapses)
    gaussian 0.40 True

    Reference:
        Dai, Wang & Wipf, "The usual suspects? Reassessing blame for VAE posterior
        collapse" (2020).
    """
    _check_readable(vae)
    check_count("batch_size", batch_size)
    check_count("seed", seed, minimum=0)
    x = finite_array("x", x, min_ndim=2, shape=_EXAMPLES).astype("float32")
    if len(x) < 8:
        refuse("x", "at least 8 examples", received=f"x.shape={x.shape}")
    y = x if y is None else finite_array("y", y).astype("float32")
    encoder = _find_encoder(vae, encoder)
    rng = np.random.default_rng(seed)

    batch = np.resize(_spread_rows(len(x), batch_size), batch_size)
    kind, price_of_error, cheap_pair = _read_reconstruction(
        vae, x[batch], y[batch], rng
    )
    x_some = x[_spread_rows(len(x), 1000)]
    price_of_nat = _read_kl(vae, encoder, x_some, cheap_pair, batch_size, rng)
    ratio = price_of_nat / price_of_error
    return EffectiveBeta(
        kind=kind,
        value=ratio / 2 if kind == "gaussian" else ratio,
        critical=critical_value(y, kind),
        reconstruction_weight=price_of_error,
        kl_weight=price_of_nat,
    )


def _spread_rows(num_examples, largest):
    """Indices of up to `largest` examples, evenly spread from the first to the last."""
    num = min(num_examples, largest)
    return np.linspace(0, num_examples - 1, num).round().astype(int)


def critical_value(x, likelihood):
    """The weight of the KL from which on full posterior collapse is locally stable.

    Collapsed, the decoder gives the mean image whatever the code. A small step away
    from it pays, for some direction and some networks, exactly when the weight is
    below the critical value: beta * sigma^2 below the largest eigenvalue of the
    covariance Sigma for squared error, and beta below that of D^-1/2 Sigma D^-1/2,
    D = diag(p (1 - p)) with the mean image p, for Bernoulli cross-entropy.

    Args:
        x: Targets of the training, shape `(num_examples, ...)`, at least 2.
        likelihood: `"gaussian"` or `"bernoulli"`. For the second, features that
            never vary are left out: there is nothing to gain from them, and p (1 - p)
            is zero where they are 0 or 1.

    Returns:
        Float: in the squared unit of `x`, or without unit.

    Raises:
        ValueError: if `likelihood` is another one, or `x` is not finite, has fewer
            than two examples, or lies outside [0, 1] for `"bernoulli"`.

    Example:

    >>> import numpy as np
    >>> x = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    >>> for likelihood in ("gaussian", "bernoulli"):
    ...     print(f"{critical_value(x, likelihood):.2f}")
    0.50
    2.00

    Reference:
        Lucas et al., "Don't blame the ELBO! A linear VAE perspective on posterior
        collapse" (2019).
    """
    if likelihood not in _LIKELIHOODS:
        refuse("likelihood", f"one of {list(_LIKELIHOODS)}", likelihood)
    x = finite_array("x", x, min_ndim=2, shape=_EXAMPLES)
    if len(x) < 2:
        refuse("x", "at least 2 examples", received=f"x.shape={x.shape}")
    x = x.reshape(len(x), -1)
    mean = x.mean(axis=0)
    x_centered = x - mean
    if likelihood == "bernoulli":
        if x.min() < 0 or x.max() > 1:
            received = f"x.min()={x.min():g}, x.max()={x.max():g}"
            refuse("x", "in [0, 1] for a Bernoulli likelihood", received=received)
        varies = x.min(axis=0) < x.max(axis=0)
        mean, x_centered = mean[varies], x_centered[:, varies]
        x_centered /= np.sqrt(mean * (1 - mean))
    if x_centered.shape[1] == 0:
        return 0.0
    # Both products have the same largest eigenvalue: take the smaller matrix.
    rows, columns = x_centered.shape
    x_short = x_centered if rows >= columns else x_centered.T
    gram = x_short.T @ x_short / rows
    last = len(gram) - 1
    return float(scipy.linalg.eigvalsh(gram, subset_by_index=[last, last])[0])


def _check_readable(vae):
    """Refuse a model whose loss is not what `compile` and `add_loss` say."""
    if not isinstance(vae, keras.Model):
        refuse("vae", "a keras.Model", vae)
    own_step = type(vae).train_step is not keras.Model.train_step
    if own_step or "train_step" in vars(vae):
        refuse(
            "vae",
            "without a `train_step` of its own, which may minimize anything: give the "
            "reconstruction loss to `compile` and the KL to `add_loss` in a layer",
            received=f"vae of class {type(vae).__name__}",
        )
    if not vae.compiled or getattr(vae, "loss", None) is None:
        expected = "compiled with a reconstruction loss: `vae.compile(loss=...)`"
        refuse("vae", expected, received=f"vae {vae.name!r} without a loss")


def _find_encoder(vae, encoder):
    if encoder is None:
        layers = {layer.name: layer for layer in vae.layers}
        encoder = getattr(vae, "encoder", layers.get("encoder"))
        if encoder is None and {"z_mean", "z_log_var"} <= set(layers):
            heads = [layers[name].output for name in ("z_mean", "z_log_var")]
            encoder = keras.Model(vae.inputs, heads)
    if not isinstance(encoder, keras.Layer):
        expected = "given: a model from `x` to z_mean and z_log_var inside `vae`"
        refuse("encoder", expected, encoder)
    return encoder


def _output_shape(vae, x):
    with keras.StatelessScope():
        output = vae(ops.convert_to_tensor(x[:1]), training=False)
    if not hasattr(output, "shape"):
        received = f"vae with {len(output)} outputs"
        refuse("vae", "a model with one output", received=received)
    return tuple(output.shape[1:])


def _total_loss(vae, x, y, y_pred, kernels=()):
    """What a step of `fit` would minimize, at the output `y_pred` instead of its own.

    The scope keeps every change of state, metrics included, from the model.
    """
    x, y, y_pred = (ops.convert_to_tensor(part, "float32") for part in (x, y, y_pred))
    # Weight decay looks up the value of every weight in the scope, so all are put
    # there; the values in `kernels` come later and replace those of the model.
    values = [(weight, weight.value) for weight in vae.weights]
    with keras.StatelessScope([*values, *kernels], collect_losses=True):
        vae(x, training=False)
        return float(vae.compute_loss(x=x, y=y, y_pred=y_pred))


def _squared_error(y, y_pred):
    return (y - y_pred) ** 2


def _cross_entropy(y, y_pred):
    return -y * np.log(y_pred) - (1 - y) * np.log1p(-y_pred)


def _cross_entropy_of_logits(y, y_pred):
    return np.logaddexp(0, y_pred) - y * y_pred


# The losses that are known: their kind, what an output costs per feature, and a target
# with an output that costs next to nothing.
_KNOWN_LOSSES = (
    ("gaussian", _squared_error, (0.0, 0.0)),
    ("bernoulli", _cross_entropy, (1.0, 1.0)),
    ("bernoulli", _cross_entropy_of_logits, (1.0, 30.0)),
)


def _read_reconstruction(vae, x, y, rng):
    """The kind of the compiled loss, its price of an error, and a cheap (y, y_pred)."""
    check_same_shape("vae(x)", _output_shape(vae, x), "y", y.shape[1:])

    base = np.full(y.shape, 0.5)
    outputs = [_random_output(y.shape, rng, part) for part in range(12)]
    base_total = _total_loss(vae, x, y, base)
    totals = np.array([_total_loss(vae, x, y, output) for output in outputs])
    gains = totals - base_total
    fits = []
    for kind, cost, cheap_pair in _KNOWN_LOSSES:
        changes = [cost(y, output) - cost(y, base) for output in outputs]
        expected = np.array([change.sum() for change in changes]) / len(y)
        # What the terms add up to before they cancel: the rounding grows with it.
        size = np.array([np.abs(change).sum() for change in changes]) / len(y)
        price = float(expected @ gains / (expected @ expected))
        allowed = 1e-3 * price * (size + size.max())
        misses = np.abs(gains - price * expected)
        if price > 0 and np.all(misses <= allowed):
            fits.append((np.max(misses / allowed), kind, price, cheap_pair))
    if not fits:
        refuse(
            "vae",
            "compiled with a loss proportional to the squared error or to the binary "
            "cross-entropy, the same for every feature (a constant may be added, but "
            "none that hides it)",
            received=f"vae.loss={vae.loss}",
        )
    _, *best = min(fits)  # near 1/2 the two kinds differ by little
    return best


def _random_output(shape, rng, part):
    """Outputs in (0.05, 0.95): 0.5, but for all, a third, or five of the features."""
    num_features = int(np.prod(shape[1:]))
    moved = np.zeros(num_features, bool)
    if part % 3 == 0:
        moved[:] = True
    elif part % 3 == 1:
        start = rng.integers(num_features)
        moved[np.arange(start, start + num_features // 3 + 1) % num_features] = True
    else:
        moved[rng.integers(num_features, size=5)] = True
    noise = rng.uniform(-0.45, 0.45, size=(shape[0], num_features))
    scale = rng.uniform(size=(shape[0], 1))  # an example of its own
    return (0.5 + moved * scale * noise).reshape(shape)


def _read_kl(vae, encoder, x, cheap_pair, batch_size, rng):
    """The price of a nat of KL, from encoders with random kernels."""
    kl_changes, loss_changes, sizes = [], [], []
    y_shape = (batch_size, *_output_shape(vae, x))
    y, y_pred = (np.full(y_shape, value) for value in cheap_pair)
    for gain in 2.0 ** np.arange(-3, 4):
        kernels = _random_kernels(encoder, gain, rng)
        kl = _kl(encoder, x, kernels)
        if not 1e-3 < kl.mean() < 1e3:  # NaN as well
            continue
        quarters = np.array_split(np.argsort(kl), 4)
        batches = [np.resize(quarter, batch_size) for quarter in quarters]
        means = np.array([kl[batch].mean() for batch in batches])
        if np.ptp(means) < 1e-3 * kl.mean():  # the same for all, but for rounding
            continue
        totals = np.array(
            [_total_loss(vae, x[batch], y, y_pred, kernels) for batch in batches]
        )
        kl_changes.append(means - means.mean())
        loss_changes.append(totals - totals.mean())
        sizes.append(np.abs(totals).max())
    if not kl_changes:
        expected = "a model whose posteriors depend on its kernels and on `x`"
        refuse("encoder", expected, received=f"encoder {encoder.name!r}")
    kl_changes, loss_changes = np.array(kl_changes), np.array(loss_changes)
    # Large changes weigh more: the rounding of a constant beside them matters less.
    price = float(np.sum(kl_changes * loss_changes) / np.sum(kl_changes**2))
    misses = np.abs(loss_changes - price * kl_changes).max(axis=1)
    spreads, rounding = np.ptp(kl_changes, axis=1), 1e-6 * np.array(sizes)
    if not np.all(misses <= 2e-3 * abs(price) * spreads + rounding):
        refuse(
            "vae",
            "a model whose added losses are a multiple of the KL from N(z_mean, "
            "exp(z_log_var)) to N(0, I), the same at every KL (no free bits, no other "
            "penalty on the code, log-variance and not deviation)",
            received=f"vae with a total up to {misses.max():.2g} off a multiple of the "
            f"KL, at a price per nat of {price:.2g}",
        )
    return price


def _random_kernels(encoder, gain, rng):
    """Pairs of a kernel and a random value: unit gain keeps the scale of its input."""
    kernels = []
    for weight in encoder.weights:
        if len(weight.shape) >= 2:
            scale = gain / np.sqrt(np.prod(weight.shape[:-1]))
            kernels.append((weight, scale * rng.standard_normal(weight.shape)))
    return kernels


def _kl(encoder, x, kernels):
    """KL of each example in nats, NumPy `(num_examples,)`."""
    with keras.StatelessScope(kernels):
        outputs = encoder(ops.convert_to_tensor(x), training=False)
    if not isinstance(outputs, list | tuple) or len(outputs) < 2:
        expected = "a model with the outputs z_mean and z_log_var"
        refuse("encoder", expected, received=f"encoder {encoder.name!r}")
    kl = objectives.gaussian_kl(outputs[0], outputs[1])
    return ops.convert_to_numpy(kl).astype("float64")
