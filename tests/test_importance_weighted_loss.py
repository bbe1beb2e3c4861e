"""The importance-weighted loss: a bound on log p(x), met where it is known."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_layer
from scipy.special import logsumexp
from scipy.stats import norm

from aecourse import layers, linear, losses, models, objectives

NUM_FEATURES, LATENT_DIM, VARIANCE = 4, 2, 0.5
RNG = np.random.default_rng(0)
# Orthogonal loadings, so that the exact posterior has a diagonal covariance.
LOADINGS = np.array([[1.0, 0.5], [1.0, -0.5], [1.0, 0.5], [1.0, -0.5]])
PPCA = linear.PPCA(np.zeros(NUM_FEATURES), LOADINGS, variance=VARIANCE)
X = RNG.multivariate_normal(np.zeros(NUM_FEATURES), PPCA.covariance, size=32)
X = X.astype("float32")


def nll(**kwargs):
    return losses.GaussianNLL(variance=VARIANCE, reduction="none", **kwargs)


def linear_encoder(matrix, log_var):
    """`z_mean = x @ matrix`, the same log-variances for all examples."""
    x = keras.Input((NUM_FEATURES,))
    mean = keras.layers.Dense(LATENT_DIM, name="mean")
    spread = keras.layers.Dense(LATENT_DIM, name="log_var")
    encoder = keras.Model(x, [mean(x), spread(x)])
    mean.set_weights([matrix, np.zeros(LATENT_DIM)])
    spread.set_weights([np.zeros((NUM_FEATURES, LATENT_DIM)), np.array(log_var)])
    return encoder


def linear_decoder():
    z = keras.Input((LATENT_DIM,))
    dense = keras.layers.Dense(NUM_FEATURES, name="mean")
    decoder = keras.Model(z, dense(z))
    dense.set_weights([LOADINGS.T, np.zeros(NUM_FEATURES)])
    return decoder


def exact_encoder():
    """The posterior of the linear-Gaussian model itself."""
    mean, covariance = PPCA.posterior(np.eye(NUM_FEATURES))
    return linear_encoder(mean, np.log(np.diag(covariance[0])))


def crude_encoder():
    """An encoder that is wrong in place and in width."""
    return linear_encoder(np.full((NUM_FEATURES, LATENT_DIM), 0.1), [0.0, -0.5])


def crude(num_samples, seed=3):
    return layers.ImportanceWeightedLoss(
        crude_encoder(), linear_decoder(), nll=nll(), num_samples=num_samples, seed=seed
    )


def draws_of(num_samples, seed=3):
    """The codes that `crude` draws, `(batch, num_samples, latent_dim)`, and q."""
    z_mean, z_log_var = (np.array(part) for part in crude_encoder()(X))
    z = layers.Sampling(num_samples=num_samples, seed=seed)([z_mean, z_log_var])
    z = np.array(z, "float64")
    return z, z_mean[:, None], z_log_var[:, None]


def log_weights_of(z, z_mean, z_log_var):
    """log p(x, z) - log q(z given x), by SciPy."""
    x_mean = z @ LOADINGS.T
    log_likelihood = norm.logpdf(X[:, None], x_mean, VARIANCE**0.5).sum(axis=-1)
    log_prior = norm.logpdf(z).sum(axis=-1)
    log_q = norm.logpdf(z, z_mean, np.exp(z_log_var / 2)).sum(axis=-1)
    return log_likelihood + log_prior - log_q


# --- the contract


def test_keeps_the_contract_of_layers(tmp_path):
    layer = layers.ImportanceWeightedLoss(
        crude_encoder(),
        linear_decoder(),
        nll=losses.GaussianNLL(variance=100.0, reduction="none"),  # small gradients
        num_samples=3,
        seed=3,
    )
    # Nats are float32, whatever the policy.
    check_layer(layer, X[:6], (6,), 1, 1, tmp_path, output_dtype="float32")
    assert layer.compute_output_shape((None, NUM_FEATURES)) == (None,)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_trains_in_half_precision_on_a_float32_bound(policy):
    keras.config.set_dtype_policy(policy)
    try:
        encoder, decoder = crude_encoder(), linear_decoder()
        layer = layers.ImportanceWeightedLoss(
            encoder, decoder, nll=nll(), num_samples=3, seed=3
        )
    finally:
        keras.config.set_dtype_policy("float32")
    x = keras.Input((NUM_FEATURES,))
    model = keras.Model(x, layer(x))
    model.compile("sgd")
    half = np.array(layer(X))
    assert half.dtype == np.float32
    # Codes and means have 8 bits in bfloat16: 0.4 % of nats of about 10.
    np.testing.assert_allclose(half, np.array(crude(3)(X)), atol=0.2)
    assert np.isfinite(model.fit(X, verbose=0).history["loss"]).all()


def test_takes_its_inputs_as_they_are_under_a_half_precision_policy():
    layer = layers.ImportanceWeightedLoss(
        crude_encoder(),
        linear_decoder(),
        nll=nll(),
        num_samples=3,
        seed=3,
        dtype="mixed_bfloat16",
    )
    # Inputs rounded to bfloat16 would move the nats by about 0.4 %.
    np.testing.assert_allclose(layer(X), crude(3)(X), rtol=1e-6)


def test_a_registered_function_is_a_likelihood_and_is_saved(tmp_path):
    @keras.saving.register_keras_serializable(package="test")
    def half_known(x, x_logits):
        return objectives.bernoulli_nll(x[:, :2], x_logits[:, :2])

    layer = layers.ImportanceWeightedLoss(
        crude_encoder(), linear_decoder(), nll=half_known, num_samples=2
    )
    x = keras.Input((NUM_FEATURES,))
    keras.Model(x, layer(x)).save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[-1].nll is half_known


# --- facts


@pytest.mark.parametrize("num_samples", [1, 5])
def test_equals_the_bound_computed_with_scipy_for_the_same_draw(num_samples):
    layer = crude(num_samples)
    bound = np.array(layer(X))
    log_weights = log_weights_of(*draws_of(num_samples))
    expected = logsumexp(log_weights, axis=1) - np.log(num_samples)
    # Sums of a few float32 numbers of up to 50.
    np.testing.assert_allclose(bound, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(float(layer.losses[0]), -bound.mean(), rtol=1e-5)
    if num_samples == 1:  # the ELBO, estimated from one draw
        np.testing.assert_allclose(bound, log_weights[:, 0], rtol=1e-5, atol=1e-4)


def test_sums_over_all_features_of_an_image_and_all_axes_of_a_spatial_code():
    x = RNG.integers(0, 2, (5, 2, 3, 1)).astype("float32")
    image, code = keras.Input((2, 3, 1)), keras.Input((2, 3, 2))
    heads = [keras.layers.Dense(2)(image) for _ in range(2)]
    encoder = keras.Model(image, heads)
    decoder = keras.Model(code, keras.layers.Dense(1)(code))
    layer = layers.ImportanceWeightedLoss(
        encoder, decoder, nll=losses.BernoulliNLL(reduction="none"), num_samples=1
    )
    layer.seed_generator = keras.random.SeedGenerator(8)
    bound = layer(x)
    z_mean, z_log_var = encoder(x)
    z = layers.Sampling(seed=8)([z_mean, z_log_var])
    z, mean, log_var = (np.array(part, "float64") for part in (z, z_mean, z_log_var))
    logits = np.array(decoder(z.astype("float32")), "float64")
    likelihood = -(np.logaddexp(0, logits) - x * logits).sum(axis=(1, 2, 3))
    ratio = norm.logpdf(z) - norm.logpdf(z, mean, np.exp(log_var / 2))
    expected = likelihood + ratio.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bound, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("num_samples", [1, 4])
def test_is_the_log_likelihood_for_every_draw_from_the_exact_posterior(num_samples):
    layer = layers.ImportanceWeightedLoss(
        exact_encoder(), linear_decoder(), nll=nll(), num_samples=num_samples, seed=0
    )
    # All weights equal p(x): nothing is left to chance but float32 rounding.
    np.testing.assert_allclose(layer(X), PPCA.log_likelihood(X), atol=1e-4)


def test_rises_with_the_number_of_samples_towards_the_log_likelihood():
    exact = PPCA.log_likelihood(X)
    x = np.repeat(X, 30, axis=0)
    gaps = []
    for num_samples in (1, 8, 64):
        bound = np.array(crude(num_samples)(x)).reshape(len(X), 30)
        gaps.append((exact - bound.mean(axis=1)).mean())
    # Burda, theorem 1. The gaps here are about 5, 0.4 and 0.07 nats; the standard error
    # of the first, a mean over 960 draws, is 0.2.
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0


def test_gradient_is_that_of_the_self_normalized_weights():
    """One step of SGD with rate 1 beside the derivatives by hand (Burda, eq. 14)."""
    num_samples = 5
    layer = crude(num_samples)
    x = keras.Input((NUM_FEATURES,))
    model = keras.Model(x, layer(x))
    model.compile(keras.optimizers.SGD(1.0))
    parts = {
        "x_mean": layer.decoder.get_layer("mean"),
        "z_mean": layer.encoder.get_layer("mean"),
        "z_log_var": layer.encoder.get_layer("log_var"),
    }
    before = {name: part.get_weights()[1] for name, part in parts.items()}
    draws = z, z_mean, z_log_var = draws_of(num_samples)
    log_weights = log_weights_of(*draws)
    weights = np.exp(log_weights - logsumexp(log_weights, axis=1, keepdims=True))
    residual = (X[:, None] - z @ LOADINGS.T) / VARIANCE
    by_code = residual @ LOADINGS - z  # d log p(x, z) / dz
    epsilon = (z - z_mean) * np.exp(-z_log_var / 2)
    by_log_weight = {
        "x_mean": residual,
        "z_mean": by_code,  # q's own density moves along with the draw
        "z_log_var": 0.5 * by_code * np.exp(z_log_var / 2) * epsilon + 0.5,
    }
    model.train_on_batch(X)
    for name, part in parts.items():
        step = part.get_weights()[1] - before[name]
        weighted = weights[..., None] * by_log_weight[name]
        expected = weighted.sum(axis=1).mean(axis=0)
        # Float32 differences of a step of about 0.1 to 1.
        np.testing.assert_allclose(step, expected, atol=1e-5, err_msg=name)


def test_draws_anew_in_every_call_and_repeats_from_its_seed():
    one, two = crude(2), crude(2)
    first = np.array(one(X))
    np.testing.assert_array_equal(first, np.array(two(X)))
    assert (first != np.array(one(X))).all()


def test_encoder_and_decoder_are_trained_and_usable_alone():
    encoder = models.dense_encoder((4,), 2, hidden_units=(8,), variational=True)
    decoder = models.dense_decoder((4,), 2, hidden_units=(8,))
    layer = layers.ImportanceWeightedLoss(
        encoder, decoder, nll=nll(), num_samples=3, seed=0
    )
    x = keras.Input((4,))
    model = keras.Model(x, layer(x))
    before = [*encoder.get_weights(), *decoder.get_weights()]
    model.compile("adam")
    model.fit(X, verbose=0)
    after = [*encoder.get_weights(), *decoder.get_weights()]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert model.predict(X, verbose=0).shape == (32,)
    assert not encoder.losses and not decoder.losses


# --- refusals


def encoder_of_three_outputs():
    x = keras.Input((NUM_FEATURES,))
    return keras.Model(x, [keras.layers.Dense(LATENT_DIM)(x) for _ in range(3)])


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_samples", 0),
        ("nll", "bernoulli"),
        ("nll", losses.GaussianNLL()),  # reduced: one number for all
        ("encoder", keras.layers.Dense(2)),
        ("encoder", keras.Sequential([keras.layers.Dense(2)])),
        ("encoder", encoder_of_three_outputs()),
    ],
)
def test_refuses(name, value):
    arguments = {
        "encoder": crude_encoder(),
        "decoder": linear_decoder(),
        "nll": nll(),
        "num_samples": 2,
        name: value,
    }
    with pytest.raises(ValueError, match=f"Argument `{name}` must .*Received: "):
        layers.ImportanceWeightedLoss(**arguments)(ops.ones((3, NUM_FEATURES)))


def test_refuses_a_mean_and_a_log_variance_of_different_shapes():
    x = keras.Input((NUM_FEATURES,))
    heads = [keras.layers.Dense(units)(x) for units in (2, 1)]
    layer = layers.ImportanceWeightedLoss(
        keras.Model(x, heads), linear_decoder(), nll=nll(), num_samples=2
    )
    with pytest.raises(ValueError, match="`z_log_var` must have the shape of `z_mean`"):
        layer(X)


def test_refuses_a_decoder_tied_to_the_encoder_since_no_file_holds_the_tie():
    encoder = crude_encoder()
    z = keras.Input((LATENT_DIM,))
    tied = keras.Model(z, layers.TiedDense(encoder.get_layer("mean"))(z))
    with pytest.raises(ValueError, match="`decoder` must be without a layer tied"):
        layers.ImportanceWeightedLoss(encoder, tied, nll=nll(), num_samples=2)
