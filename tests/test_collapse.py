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


def test_the_batch_is_that_of_fit_by_default():
    vae = functional_vae(kl_batch)
    vae.compile(loss="mse")
    meter = diagnostics.effective_beta(vae, X)
    assert meter.kl_weight == pytest.approx(32, rel=1e-3)


def test_eight_examples_are_enough():
    vae = functional_vae(kl_sum)
    vae.compile(loss="mse")
    meter = diagnostics.effective_beta(vae, X[:8])
    assert meter.value == pytest.approx(d / 2, rel=1e-3)


def test_cross_entropy_of_many_examples_is_not_taken_for_squared_error():
    # Averaged over many outputs near 1/2, it is a multiple of it but for a thousandth.
    x = keras.Input((784,))
    heads = [keras.layers.Dense(3, name=name)(x) for name in ("z_mean", "z_log_var")]
    z = AddKL(kl_sum)(heads)
    vae = keras.Model(x, keras.layers.Dense(784, activation="sigmoid")(z))
    vae.compile(loss="binary_crossentropy")
    data = np.random.default_rng(0).random((256, 784)) < 0.2
    meter = diagnostics.effective_beta(vae, data, batch_size=256)
    assert meter.kind == "bernoulli"
    assert meter.value == pytest.approx(784, rel=1e-3)


def test_squared_error_of_many_examples_is_not_taken_for_cross_entropy():
    # Averaged over 20,000 outputs, it is a multiple of it but for a thousandth.
    vae = functional_vae(kl_sum)
    vae.compile(loss="mse")
    meter = diagnostics.effective_beta(vae, X, batch_size=20_000)
    assert meter.kind == "gaussian"
    assert meter.value == pytest.approx(d / 2, rel=1e-3)


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


def test_a_small_kl_is_read_beside_a_large_constant():
    # Float32 rounds a sum near 2,000 by up to 6e-5: as much as the smallest KL of the
    # measurement costs at this price, some 1e-2 nats, but not the largest, some 100.
    for kind, loss in (("gaussian", squared), ("bernoulli", logit_bce)):
        vae = functional_vae(lambda m, v: 0.003 * kl_sum(m, v) + 2000.0)
        vae.compile(loss=summed(loss))
        meter = diagnostics.effective_beta(vae, X)
        assert meter.kind == kind
        assert meter.kl_weight == pytest.approx(0.003, rel=2e-3)
        assert meter.reconstruction_weight == pytest.approx(1.0, rel=1e-3)


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


class NoteTraining(keras.layers.Layer):
    """Keeps the value of `training` of each call in the list `noted`."""

    noted = []

    def call(self, x, training=None):
        self.noted.append(training)
        return x


class Noted(keras.Model):
    """A VAE whose loss keeps what it is asked for in the list `asked`.

    The encoder has one kernel, of a convolution as large as the image.
    """

    asked = []

    def __init__(self, slope=1.0):
        super().__init__()
        image = keras.Input((5, 3, 2))
        h = keras.layers.Conv2D(2 * LATENT_DIM, (5, 3), name="heads")(image)
        h = keras.layers.Reshape((2 * LATENT_DIM,))(NoteTraining()(h))
        z_mean, z_log_var = ops.split(h, 2, axis=-1)
        self.encoder = keras.Model(image, [z_mean, slope * z_log_var])
        self.decoder = keras.layers.Dense(30)
        self(np.zeros((1, 5, 3, 2)))
        self.compile(loss="mse")
        Noted.asked.clear()
        NoteTraining.noted.clear()

    def call(self, x):
        return ops.reshape(self.decoder(self.encoder(x)[0]), (-1, 5, 3, 2))

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        heads = self.encoder(x, training=False)
        kernel = self.encoder.get_layer("heads").kernel.value
        kl = ops.sum(correct_kl(*heads), axis=-1)
        asked = [ops.convert_to_numpy(one) for one in (x, y, y_pred, kernel, kl)]
        Noted.asked.append(asked)
        return ops.mean(ops.square(y - y_pred)) + ops.mean(kl)

    def asked_of_error(self):
        """Inputs and outputs where the target is the input."""
        return [(x, y_pred) for x, y, y_pred, *_ in self.asked if y.any()]

    def asked_of_kl(self):
        """Inputs, kernels and KL where target and output are constants."""
        return [(x, *rest) for x, y, _, *rest in self.asked if not y.any()]


# The first pixel of an image is its number.
NUMBERED = np.random.default_rng(0).uniform(0, 0.4, size=(2001, 5, 3, 2))
NUMBERED[:, 0, 0, 0] = np.arange(2001) / 5000


def numbers_of(x):
    return np.round(x[:, 0, 0, 0] * 5000).astype(int)


def test_the_price_of_an_error_is_read_at_outputs_that_vary_in_all_ways():
    vae = Noted()
    diagnostics.effective_beta(vae, NUMBERED, batch_size=20)
    asked = vae.asked_of_error()
    for x, _ in asked:  # from the first example to the last
        numbers = numbers_of(x)
        assert (len(x), numbers[0], numbers[-1]) == (20, 0, 2000)
        np.testing.assert_allclose(np.diff(numbers), 2000 / 19, atol=1)
    outputs = np.stack([y_pred.reshape(20, 30) for _, y_pred in asked])
    changes = outputs[1:] - 0.5
    assert np.all(outputs[0] == 0.5)
    assert -0.45 < changes.min() < -0.4
    assert 0.4 < changes.max() < 0.45
    # All features, a third and one, or five that may coincide; examples differ.
    num_moved = (changes != 0).any(axis=1).sum(axis=1)
    assert list(num_moved[::3]) == [30] * 4
    assert list(num_moved[1::3]) == [11] * 4
    assert num_moved[2::3].max() == 5
    assert np.abs(changes).max(axis=2).std(axis=1).min() > 0.05


def test_the_price_of_a_nat_is_read_at_encoders_of_all_scales():
    vae = Noted()
    diagnostics.effective_beta(vae, NUMBERED, batch_size=20)
    asked = vae.asked_of_kl()
    gains = [kernel.std() * np.sqrt(30) for _, kernel, _ in asked]
    # Each kernel for four batches, of 180 numbers: 5 %, and three times as much.
    np.testing.assert_allclose(gains, np.repeat(2.0 ** np.arange(-3, 4), 4), rtol=0.16)
    assert max(np.abs(kernel).max() / kernel.std() for _, kernel, _ in asked) < 5
    nats = np.reshape([kl.mean() for *_, kl in asked], (7, 4))
    assert np.all(np.diff(nats, axis=1) > 0)
    # A thousand of the 2,001 examples, evenly spread.
    numbers = np.concatenate([numbers_of(x) for x, *_ in asked])
    assert set(numbers) <= set(np.linspace(0, 2000, 1000).round())
    assert len(set(numbers)) > 200
    # Dropout and the like stay off.
    assert NoteTraining.noted
    assert True not in NoteTraining.noted


def test_no_encoder_is_smaller_or_larger_than_those_where_all_could_be_read():
    vae = Noted(slope=0.0)
    # From a sixteenth to 16, the KL would lie between 0.002 and 700 nats.
    diagnostics.effective_beta(vae, 3 * NUMBERED[:20], batch_size=8)
    gains = [kernel.std() * np.sqrt(30) for _, kernel, _ in vae.asked_of_kl()]
    np.testing.assert_allclose(gains, np.repeat(2.0 ** np.arange(-3, 4), 4), rtol=0.16)


def test_an_encoder_of_over_a_thousand_nats_is_passed_over():
    def largest(scale):
        vae = Noted(slope=0.0)
        diagnostics.effective_beta(vae, scale * NUMBERED, batch_size=250)
        asked = vae.asked_of_kl()
        nats = np.mean([kl.mean() for *_, kl in asked[-4:]])
        return asked[-1][1].std() * np.sqrt(30), nats

    gain, nats = largest(1.0)
    assert gain == pytest.approx(8, rel=0.16)
    # The KL is half the squared mean, in proportion to the squared input.
    gain, less = largest(np.sqrt(1500 / nats))
    assert gain == pytest.approx(4, rel=0.16)
    assert 200 < less < 1000


def test_the_seed_is_that_of_the_random_outputs_and_kernels():
    first, again, other = [], [], []
    for asked, seed in ((first, {}), (again, {"seed": 0}), (other, {"seed": 1})):
        vae = Noted()
        diagnostics.effective_beta(vae, NUMBERED[:20], batch_size=8, **seed)
        asked += [vae.asked[1][2], vae.asked[-1][3]]
    for one, same, another in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - another).max() > 0.01


@pytest.mark.parametrize(
    ("loss", "activation"),
    [("mse", None), ("binary_crossentropy", "sigmoid"), (mean_bce(), None)],
)
def test_the_price_of_a_nat_is_read_where_the_reconstruction_costs_nothing(
    loss, activation
):
    costs, elementwise = [], keras.losses.get(loss)

    def noted(y_true, y_pred):
        cost = elementwise(y_true, y_pred)
        y_true = ops.convert_to_numpy(y_true)
        assert 0 <= y_true.min() <= y_true.max() <= 1
        if activation == "sigmoid":  # probabilities
            y_pred = ops.convert_to_numpy(y_pred)
            assert 0 <= y_pred.min() <= y_pred.max() <= 1
        costs.append(float(ops.mean(cost)))
        return cost

    vae = functional_vae(kl_sum, activation=activation)
    vae.compile(loss=noted)
    diagnostics.effective_beta(vae, X)
    assert len(costs) >= 13 + 4
    assert np.abs(costs[13:]).max() < 1e-6  # Keras keeps probabilities below 1 - 1e-7


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


def test_the_critical_value_itself_collapses():
    weights = {"reconstruction_weight": 1.0, "kl_weight": 1.0}
    for value, collapses in ((1.9, False), (2.0, True), (2.1, True)):
        meter = diagnostics.EffectiveBeta("gaussian", value, critical=2.0, **weights)
        assert meter.collapses is collapses


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


def test_one_feature_is_enough_for_a_critical_value():
    x = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
    assert diagnostics.critical_value(x, "bernoulli") == pytest.approx(1.0)
    assert diagnostics.critical_value(x, "gaussian") == pytest.approx(3 / 16)
    two_examples = np.array([[0.0], [1.0]])
    assert diagnostics.critical_value(two_examples, "gaussian") == pytest.approx(0.25)


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
        (1.5 * X, "bernoulli", r"`x` must be in \[0, 1\]"),
        (X - 0.5, "bernoulli", r"`x` must be in \[0, 1\]"),
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
    "no loss": (
        lambda: compiled(functional_vae(kl_sum), None),
        "`vae`.*without a loss",
    ),
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
            lambda y, p: 1e-2 * ops.mean(squared(y, p) + ops.abs(y - p), axis=-1),
        ),
        "`vae`.*squared error or to the binary cross-entropy",
    ),
    "reward for an error": (
        lambda: compiled(functional_vae(kl_sum), lambda y, p: -squared(y, p)),
        "`vae`.*squared error or to the binary cross-entropy",
    ),
    "no price of an error": (
        lambda: compiled(functional_vae(kl_sum), lambda y, p: 0 * squared(y, p)),
        "`vae`.*squared error or to the binary cross-entropy",
    ),
    "rounded away": (
        lambda: compiled(functional_vae(lambda m, v: kl_sum(m, v) + 1e6)),
        "`vae`.*none that hides it",
    ),
    "not a number": (
        lambda: compiled(functional_vae(lambda m, v: kl_sum(m, v) + np.nan)),
        "`vae`.*none that hides it",
    ),
    "two outputs": (lambda: compiled(two_outputs()), "`vae`.*one output"),
    "free bits": (
        lambda: compiled(course_vae(free_bits=0.5, shape=(12,)), losses.BernoulliNLL()),
        "`vae`.*multiple of the KL",
    ),
    "free bits where the KL is small": (
        lambda: compiled(functional_vae(lambda m, v: ops.maximum(kl_sum(m, v), 0.02))),
        "`vae`.*multiple of the KL",
    ),
    "penalty on the code": (
        lambda: compiled(
            functional_vae(lambda m, v: 0.01 * (kl_sum(m, v) + ops.mean(ops.abs(m))))
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


def test_effective_beta_refuses_examples_that_are_all_alike():
    vae = compiled(functional_vae(kl_sum))
    alike = np.repeat(X[:1], 60, axis=0)
    nearly = alike + 1e-6 * np.random.default_rng(0).random(alike.shape)
    for x in (alike, nearly):
        with pytest.raises(ValueError, match="`encoder` must be .* kernels and on `x`"):
            diagnostics.effective_beta(vae, x)


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
