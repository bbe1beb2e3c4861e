"""Facts and refusals of the meter of reductions, on loss conventions in the wild."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import diagnostics, layers, losses, models, objectives

NUM_FEATURES, LATENT_DIM = 12, 3
X = np.random.default_rng(0).beta(0.5, 0.5, size=(60, NUM_FEATURES)).astype("float32")


def correct_kl(z_mean, z_log_var):
    """Nats, `(batch, latent_dim)`."""
    return 0.5 * (ops.square(z_mean) + ops.exp(z_log_var) - 1 - z_log_var)


def kl_sum(z_mean, z_log_var):
    return ops.mean(ops.sum(correct_kl(z_mean, z_log_var), axis=-1))


def kl_mean(z_mean, z_log_var):
    return ops.mean(correct_kl(z_mean, z_log_var))


def kl_over_features(z_mean, z_log_var):
    return kl_sum(z_mean, z_log_var) / NUM_FEATURES


def kl_batch(z_mean, z_log_var):
    """One number an example: Keras adds them up."""
    return ops.sum(correct_kl(z_mean, z_log_var), axis=-1)


class AddKL(keras.layers.Layer):
    """What people write: a penalty on the code, added in a layer."""

    def __init__(self, penalty, **kwargs):
        super().__init__(**kwargs)
        self.penalty = penalty

    def call(self, inputs):
        z_mean, z_log_var = inputs
        self.add_loss(self.penalty(z_mean, z_log_var))
        return z_mean


def functional_vae(penalty, activation=None, named=True, regularizer=None):
    """A functional VAE with one flat list of layers."""
    names = ("z_mean", "z_log_var") if named else ("a", "b")
    dense = functools.partial(keras.layers.Dense, kernel_regularizer=regularizer)
    x = keras.Input((NUM_FEATURES,))
    h = dense(16, activation="relu")(x)
    heads = [dense(LATENT_DIM, name=name)(h) for name in names]
    z = layers.Sampling(seed=0)([AddKL(penalty)(heads), heads[1]])
    return keras.Model(x, dense(NUM_FEATURES, activation=activation)(z))


def summed(elementwise):
    def loss(y_true, y_pred):
        return ops.sum(elementwise(y_true, y_pred), axis=-1)

    return loss


def squared(y_true, y_pred):
    return ops.square(y_true - y_pred)


def logit_bce(y_true, y_pred):
    return ops.softplus(y_pred) - y_true * y_pred


def mean_bce():
    return keras.losses.BinaryCrossentropy(from_logits=True)


# What Keras users compile and add: squared error, cross-entropy, penalty on the code,
# weight of the loss, and beta for a reconstruction in nats (cross-entropy); for
# squared error the product beta * sigma^2 is half of it, by (1/2) SSE / sigma^2.
d, k = NUM_FEATURES, LATENT_DIM
CONVENTIONS = {
    "sum/sum": (summed(squared), summed(logit_bce), kl_sum, None, 1),
    "mean/mean": ("mse", mean_bce(), kl_mean, None, d / k),
    "mean/sum": ("mse", mean_bce(), kl_sum, None, d),
    "KL/784": ("mse", mean_bce(), kl_over_features, None, 1),
    "KL averaged over axes": (summed(squared), summed(logit_bce), kl_mean, None, 1 / k),
    "784 * mean": ("mse", mean_bce(), kl_sum, [float(d)], 1),
    "mean over the batch/sum over it": ("mse", mean_bce(), kl_batch, None, 20 * d),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_effective_beta_reads_squared_error(name):
    loss, _, penalty, weight, beta = CONVENTIONS[name]
    vae = functional_vae(penalty)
    vae.compile(loss=loss, loss_weights=weight)
    meter = diagnostics.effective_beta(vae, X, batch_size=20)
    assert meter.kind == "gaussian"
    # Float32 sums, and differences of them.
    assert meter.value == pytest.approx(beta / 2, rel=1e-3)
    assert meter.critical == diagnostics.critical_value(X, "gaussian")


@pytest.mark.parametrize("name", ["sum/sum", "mean/mean", "784 * mean"])
def test_effective_beta_reads_cross_entropy_from_logits(name):
    _, loss, penalty, weight, beta = CONVENTIONS[name]
    vae = functional_vae(penalty)
    vae.compile(loss=loss, loss_weights=weight)
    meter = diagnostics.effective_beta(vae, X, batch_size=20)
    assert meter.kind == "bernoulli"
    assert meter.value == pytest.approx(beta, rel=1e-3)
    assert meter.critical == diagnostics.critical_value(X, "bernoulli")


def test_effective_beta_reads_cross_entropy_from_probabilities():
    vae = functional_vae(kl_mean, activation="sigmoid")
    vae.compile(loss="binary_crossentropy")
    meter = diagnostics.effective_beta(vae, X)
    assert meter.kind == "bernoulli"
    assert meter.value == pytest.approx(d / k, rel=1e-3)


def test_sums_over_the_batch_on_both_sides_cancel():
    vae = functional_vae(lambda m, v: ops.sum(correct_kl(m, v)))
    vae.compile(loss=keras.losses.MeanSquaredError(reduction="sum"))
    for batch_size in (10, 40):
        meter = diagnostics.effective_beta(vae, X, batch_size=batch_size)
        assert meter.value == pytest.approx(d / 2, rel=1e-3)
        assert meter.kl_weight == pytest.approx(batch_size, rel=1e-3)


def course_vae(beta=1.0, free_bits=0.0, shape=(4, 3, 1)):
    encoder = models.dense_encoder(
        shape, LATENT_DIM, hidden_units=(16,), variational=True
    )
    decoder = models.dense_decoder(shape, LATENT_DIM, hidden_units=(16,))
    return models.variational_autoencoder(
        encoder, decoder, beta=beta, free_bits=free_bits, seed=0
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.BernoulliNLL(), 4.0),
        (losses.GaussianNLL(variance=0.1), 0.4),
        (losses.GaussianNLL(variance=3.0), 12.0),
    ],
)
def test_effective_beta_is_beta_times_the_variance_of_the_course_vae(loss, expected):
    vae = course_vae(beta=4.0)
    vae.compile(loss=loss)
    meter = diagnostics.effective_beta(vae, X.reshape(-1, 4, 3, 1))
    assert meter.value == pytest.approx(expected, rel=1e-3)
    assert meter.kl_weight == pytest.approx(4.0, rel=1e-3)


def test_a_schedule_counts_as_it_stands():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 8.0, power=1.0)
    vae = course_vae(beta=schedule)
    vae.compile(loss=losses.BernoulliNLL(), optimizer="sgd")
    x = X.reshape(-1, 4, 3, 1)
    assert diagnostics.effective_beta(vae, x).value == 0.0
    vae.fit(x, batch_size=12, epochs=1, verbose=0)  # five steps
    assert diagnostics.effective_beta(vae, x).value == pytest.approx(4.0, rel=1e-3)


def test_a_kl_without_its_half_counts_twice():
    vae = functional_vae(lambda m, v: 2 * kl_sum(m, v))
    vae.compile(loss="mse")
    assert diagnostics.effective_beta(vae, X).value == pytest.approx(d, rel=1e-3)


@pytest.mark.parametrize("regularizer", [None, "l2"])
def test_a_constant_and_weight_decay_drop_out(regularizer):
    vae = functional_vae(lambda m, v: kl_sum(m, v) + 5.0, regularizer=regularizer)
    vae.compile(loss="mse")
    assert diagnostics.effective_beta(vae, X).value == pytest.approx(d / 2, rel=1e-3)


def test_a_collapsed_model_reads_the_same_and_stays_as_it_was():
    vae = course_vae(beta=4.0)
    vae.compile(loss=losses.BernoulliNLL(), optimizer="sgd")
    x = X.reshape(-1, 4, 3, 1)
    vae.fit(x, epochs=1, verbose=0)
    for weight in vae.encoder.weights:
        weight.assign(ops.zeros(weight.shape))

    def state():
        variables = [*vae.weights, *vae.metrics_variables]
        return [ops.convert_to_numpy(one).copy() for one in variables]

    before = state()
    meter = diagnostics.effective_beta(vae, x)
    assert meter.value == pytest.approx(4.0, rel=1e-3)
    for old, new in zip(before, state(), strict=True):
        np.testing.assert_array_equal(old, new)


class OwnLoss(keras.Model):
    """The KL in `compute_loss`, which `fit` calls as well."""

    def __init__(self):
        super().__init__()
        self.heads = keras.layers.Dense(2 * LATENT_DIM)
        self.decoder = keras.layers.Dense(NUM_FEATURES)
        x = keras.Input((NUM_FEATURES,))
        self.encoder = keras.Model(x, list(ops.split(self.heads(x), 2, axis=-1)))

    def call(self, x):
        return self.decoder(self.encoder(x)[0])

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return ops.mean(ops.square(y - y_pred)) + kl_mean(*self.encoder(x))


def test_effective_beta_reads_a_model_with_its_own_compute_loss():
    vae = OwnLoss()
    vae(X)
    vae.compile(loss="mse")
    meter = diagnostics.effective_beta(vae, X)
    assert meter.value == pytest.approx(d / k / 2, rel=1e-3)


def test_targets_and_encoder_may_be_given():
    vae = functional_vae(kl_sum, named=False)
    vae.compile(loss="mse")
    heads = [vae.get_layer(name).output for name in ("a", "b")]
    encoder = keras.Model(vae.input, heads)
    meter = diagnostics.effective_beta(vae, X, y=2 * X, encoder=encoder)
    assert meter.value == pytest.approx(d / 2, rel=1e-3)
    four = 4 * diagnostics.critical_value(X, "gaussian")
    assert meter.critical == pytest.approx(four, rel=1e-6)


def linear_vae(beta):
    """Trained on data of largest eigenvalue 4, from small weights."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((400, 4))
    u = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[0]
    x = (u * np.sqrt(len(x)) * [2.0, 1.0, 0.5, 0.3]).astype("float32")
    small = {"kernel_initializer": keras.initializers.RandomNormal(0.1, seed=0)}
    inputs = keras.Input((4,))
    heads = [
        keras.layers.Dense(2, name=name, **small)(inputs)
        for name in ("z_mean", "z_log_var")
    ]
    code = layers.KLRegularization(beta)(heads)
    outputs = keras.layers.Dense(4, **small)(layers.Sampling(seed=0)(code))
    vae = keras.Model(inputs, outputs)
    vae.compile(loss=losses.GaussianNLL(variance=1.0), optimizer="adam")
    vae.optimizer.learning_rate = 0.02
    many = np.tile(x, (100, 1))  # 100 steps an epoch
    vae.fit(many, many, batch_size=400, epochs=4, verbose=0)
    z_mean = keras.Model(inputs, heads).predict(x, verbose=0)[0]
    return diagnostics.effective_beta(vae, x), z_mean.var(axis=0).max()


@pytest.mark.parametrize("beta", [2.8, 5.6])
def test_training_collapses_where_the_meter_says_so(beta):
    meter, variance = linear_vae(beta)
    assert meter.critical == pytest.approx(4.0, rel=1e-5)
    assert meter.value == pytest.approx(beta, rel=1e-3)
    # At the optimum an axis has the variance 1 - beta / 4 = 0.3, or 0; one-sample
    # gradients leave it within a third, and within a hundredth.
    assert variance > 0.2 if beta < 4 else variance < 0.01
    assert meter.collapses == (beta > 4)


# critical_value


def test_critical_value_is_the_curvature_of_the_collapsed_solution():
    x = np.random.default_rng(0).random((200, 5)) ** 2
    for likelihood in ("gaussian", "bernoulli"):
        critical = diagnostics.critical_value(x, likelihood)
        below, above = (
            least_curvature(x, likelihood, factor * critical) for factor in (0.95, 1.05)
        )
        assert below < 0 < above


def least_curvature(x, likelihood, weight):
    """Smallest second derivative of the loss of a linear VAE, by finite differences.

    Unknowns are the directions of one axis: of the decoder and of the mean; Gaussian
    noise in the code by quadrature.
    """
    mean = x.mean(axis=0)
    nodes, probabilities = np.polynomial.hermite_e.hermegauss(6)
    probabilities = probabilities / probabilities.sum()

    def loss(w, a):
        z_mean = (x - mean) @ a
        step = (z_mean[:, None] + nodes)[..., None] * w
        if likelihood == "gaussian":
            price = 0.5 * np.sum((x[:, None] - mean - step) ** 2, axis=-1)
        else:
            logits = np.log(mean / (1 - mean)) + step
            price = np.sum(np.logaddexp(0, logits) - x[:, None] * logits, axis=-1)
        return np.mean(price @ probabilities + weight * 0.5 * z_mean**2)

    size, num = 1e-3, x.shape[1]
    corners = np.eye(2 * num) * size
    at_zero = loss(np.zeros(num), np.zeros(num))
    hessian = np.empty((2 * num, 2 * num))
    for i, one in enumerate(corners):
        for j, other in enumerate(corners):
            values = [
                loss(*np.split(s * one + t * other, 2))
                for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))
            ]
            hessian[i, j] = values[0] - values[1] - values[2] + values[3]
    assert np.isfinite(at_zero)
    return np.linalg.eigvalsh(hessian / (4 * size**2))[0]


def test_critical_value_has_the_divisor_of_the_loss_and_any_shape():
    x = np.random.default_rng(0).random((30, 4, 2, 1))
    flat = x.reshape(30, 8)
    expected = np.linalg.eigvalsh(np.cov(flat.T, bias=True))[-1]
    assert diagnostics.critical_value(x, "gaussian") == pytest.approx(expected)
    # Fewer examples than features: by the Gram matrix.
    expected = np.linalg.eigvalsh(np.cov(flat[:5].T, bias=True))[-1]
    assert diagnostics.critical_value(x[:5], "gaussian") == pytest.approx(expected)


def test_constant_features_do_not_count():
    x = np.random.default_rng(0).random((30, 4))
    padded = np.concatenate([x, np.zeros((30, 2)), np.ones((30, 1))], axis=1)
    for likelihood in ("gaussian", "bernoulli"):
        expected = diagnostics.critical_value(x, likelihood)
        measured = diagnostics.critical_value(padded, likelihood)
        assert measured == pytest.approx(expected)
    assert diagnostics.critical_value(np.ones((5, 3)), "bernoulli") == 0.0
    assert diagnostics.critical_value(np.ones((5, 3)), "gaussian") == 0.0


def test_independent_binary_features_have_a_critical_value_of_one():
    # All 2^6 binary strings: uncorrelated, so D^-1/2 Sigma D^-1/2 is the identity.
    x = (np.arange(64)[:, None] >> np.arange(6)) & 1
    assert diagnostics.critical_value(x, "bernoulli") == pytest.approx(1.0)
    assert diagnostics.critical_value(x, "gaussian") == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("x", "likelihood", "message"),
    [
        (X, "poisson", "`likelihood` must be one of.*Received: likelihood='poisson'"),
        (X * np.nan, "gaussian", "`x` must be finite"),
        (X[:1], "gaussian", "`x` must be at least 2 examples"),
        (255 * X, "bernoulli", r"`x` must be in \[0, 1\]"),
    ],
)
def test_critical_value_refuses(x, likelihood, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.critical_value(x, likelihood)


# refusals of effective_beta


class OwnStep(OwnLoss):
    def train_step(self, *args):
        return super().train_step(*args)


def compiled(vae, loss="mse"):
    vae.compile(loss=loss)
    return vae


def weighted(y_true, y_pred):
    """One half of the features counts double."""
    weight = 1.0 + ops.cast(ops.arange(NUM_FEATURES) < NUM_FEATURES // 2, "float32")
    return ops.sum(weight * squared(y_true, y_pred), axis=-1)


def two_outputs():
    vae = functional_vae(kl_sum)
    return keras.Model(vae.input, [vae.output, 2 * vae.output])


REFUSED = {
    "own train_step": (lambda: compiled(OwnStep()), "`vae`.*without a `train_step`"),
    "not compiled": (lambda: functional_vae(kl_sum), "`vae`.*compiled with a recon"),
    "no loss": (lambda: compiled(functional_vae(kl_sum), None), "`vae`.*compiled with"),
    "absolute error": (
        lambda: compiled(functional_vae(kl_sum), "mae"),
        "`vae`.*squared error or to the binary cross-entropy.*Received: vae.loss=mae",
    ),
    "weighted features": (
        lambda: compiled(functional_vae(kl_sum), weighted),
        "`vae`.*the same for every feature",
    ),
    "two losses": (
        lambda: compiled(
            functional_vae(kl_sum),
            lambda y, p: ops.mean(squared(y, p) + ops.abs(y - p), axis=-1),
        ),
        "`vae`.*squared error or to the binary cross-entropy",
    ),
    "two outputs": (lambda: compiled(two_outputs()), "`vae`.*one output"),
    "free bits": (
        lambda: compiled(course_vae(free_bits=0.5, shape=(12,)), losses.BernoulliNLL()),
        "`vae`.*multiple of the KL",
    ),
    "penalty on the code": (
        lambda: compiled(
            functional_vae(lambda m, v: kl_sum(m, v) + ops.mean(ops.abs(m)))
        ),
        "`vae`.*multiple of the KL",
    ),
    "deviation for variance": (
        lambda: compiled(functional_vae(lambda m, s: kl_sum(m, 2 * s))),
        "`vae`.*log-variance and not deviation",
    ),
    "no encoder": (
        lambda: compiled(functional_vae(kl_sum, named=False)),
        "`encoder` must be given",
    ),
    "no model": (lambda: "vae", "`vae` must be a keras.Model"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_effective_beta_refuses(name):
    build, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        diagnostics.effective_beta(build(), X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X[:7]}, "`x` must be at least 8"),
        ({"x": X * np.nan}, "`x` must be finite"),
        ({"y": X[:, :5]}, r"`vae\(x\)` must have the shape of `y`"),
        ({"batch_size": 0}, "`batch_size` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number"),
        ({"encoder": "encoder"}, "`encoder` must be given"),
        ({"encoder": keras.Sequential([keras.layers.Dense(6)])}, "`encoder` must be"),
    ],
)
def test_effective_beta_refuses_arguments(arguments, message):
    vae = compiled(functional_vae(kl_sum))
    with pytest.raises(ValueError, match=message):
        diagnostics.effective_beta(vae, **({"x": X} | arguments))


def test_effective_beta_refuses_an_encoder_that_its_kernels_do_not_move():
    vae = compiled(functional_vae(kl_sum))
    heads = [vae.get_layer(name).output for name in ("z_mean", "z_log_var")]
    encoder = keras.Model(vae.input, [0.0 * head for head in heads])
    with pytest.raises(ValueError, match="`encoder` must be .*Received: encoder"):
        diagnostics.effective_beta(vae, X, encoder=encoder)


def test_the_kl_of_these_tests_is_the_one_of_the_library():
    z_mean, z_log_var = np.random.default_rng(0).standard_normal((2, 5, 3))
    np.testing.assert_allclose(
        ops.convert_to_numpy(correct_kl(z_mean, z_log_var)),
        ops.convert_to_numpy(objectives.gaussian_kl_per_axis(z_mean, z_log_var)),
        rtol=1e-5,
    )
