"""objectives: contract, facts against TensorFlow Probability, refusals."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import objectives, runtime

tfd = runtime.oracle().distributions

# Relative error of float32 sums over a few hundred terms, against float64.
FLOAT32 = dict(rtol=2e-5, atol=2e-5)


def as_float64(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_gives_one_number_an_example_summed_over_all_features(rng):
    x = rng.random((4, 5, 6, 2)).astype("float32")
    tokens = rng.integers(0, 3, (4, 5, 6))
    logits = rng.normal(size=(4, 5, 6, 3)).astype("float32")
    for nll in (
        objectives.bernoulli_nll(x, x),
        objectives.continuous_bernoulli_nll(x, x),
        objectives.gaussian_nll(x, x),
        objectives.discretized_logistic_nll(np.round(x * 255) / 255, x, log_scale=0.0),
        objectives.poisson_nll(np.floor(3 * x), x),
        objectives.categorical_nll(tokens, logits),
        objectives.gaussian_kl(x[..., 0, 0], x[..., 0, 0]),
    ):
        assert tuple(nll.shape) == (4,)


def test_sums_features_so_that_an_image_twice_as_large_costs_twice_as_much(rng):
    x = (rng.random((3, 8)) < 0.5).astype("float32")
    logits = rng.normal(size=(3, 8)).astype("float32")
    once = as_float64(objectives.bernoulli_nll(x, logits))
    twice = as_float64(
        objectives.bernoulli_nll(np.tile(x, (1, 2)), np.tile(logits, (1, 2)))
    )
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


def test_kl_equals_the_oracle(rng):
    z_mean, z_log_var = rng.normal(size=(2, 50, 7)) * 2
    oracle = tfd.kl_divergence(
        tfd.MultivariateNormalDiag(z_mean, np.exp(z_log_var / 2)),
        tfd.MultivariateNormalDiag(np.zeros(7), np.ones(7)),
    )
    kl = objectives.gaussian_kl(z_mean.astype("float32"), z_log_var.astype("float32"))
    np.testing.assert_allclose(as_float64(kl), oracle, **FLOAT32)


def test_kl_per_axis_equals_the_oracle_and_sums_to_the_kl(rng):
    z_mean, z_log_var = rng.normal(size=(2, 50, 7)).astype("float32")
    per_axis = objectives.gaussian_kl_per_axis(z_mean, z_log_var)
    oracle = tfd.kl_divergence(
        tfd.Normal(z_mean, np.exp(z_log_var / 2)), tfd.Normal(0.0, 1.0)
    )
    np.testing.assert_allclose(as_float64(per_axis), oracle, **FLOAT32)
    np.testing.assert_allclose(
        as_float64(per_axis).sum(1),
        as_float64(objectives.gaussian_kl(z_mean, z_log_var)),
        rtol=1e-5,
    )


def test_kl_equals_a_monte_carlo_estimate(rng):
    z_mean, z_log_var = np.array([1.0, -0.5, 0.0]), np.array([0.0, 0.5, 2.0])
    z = z_mean + np.exp(z_log_var / 2) * rng.normal(size=(200_000, 3))
    q, p = tfd.Normal(z_mean, np.exp(z_log_var / 2)), tfd.Normal(0.0, 1.0)
    draws = (q.log_prob(z) - p.log_prob(z)).sum(1)
    kl = float(objectives.gaussian_kl(z_mean[None], z_log_var[None])[0])
    standard_error = draws.std() / math.sqrt(len(draws))
    assert abs(kl - draws.mean()) < 4 * standard_error


def test_kl_near_the_prior_keeps_its_digits():
    # 0.5 (e^v - 1 - v) = v^2 / 4 to leading order. exp(v) - 1 - v would lose it all
    # in float32, where exp(1e-4) has an error of 6e-8 and the KL is 2.5e-9.
    kl = float(objectives.gaussian_kl([[0.0]], [[1e-4]])[0])
    assert kl == pytest.approx(2.5e-9, abs=6e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_kl_is_computed_in_float32_from_half_precision_inputs(dtype):
    # exp(12) = 162755 overflows float16 (largest 65504).
    z_mean, z_log_var = ops.cast([[1.0]], dtype), ops.cast([[12.0]], dtype)
    kl = objectives.gaussian_kl(z_mean, z_log_var)
    assert float(kl[0]) == pytest.approx(0.5 * (1 + math.exp(12) - 1 - 12), rel=1e-5)


def test_bernoulli_equals_the_oracle(rng):
    x = (rng.random((20, 300)) < 0.3).astype("float32")
    logits = (4 * rng.normal(size=x.shape)).astype("float32")
    oracle = -tfd.Bernoulli(logits=logits.astype("float64")).log_prob(x).sum(1)
    nll = objectives.bernoulli_nll(x, logits)
    np.testing.assert_allclose(as_float64(nll), oracle, **FLOAT32)


def test_bernoulli_is_finite_at_extreme_logits():
    nll = objectives.bernoulli_nll([[1.0, 0.0]], [[-1e4, 1e4]])
    assert float(nll[0]) == pytest.approx(2e4)


# Both branches, their seam at 1/2, and 0 itself.
LOGITS = np.array([0.0, 1e-4, 0.1, 0.499, 0.501, 1.0, 3.0, 20.0, 80.0])
LOGITS = np.concatenate([-LOGITS[:0:-1], LOGITS])


def test_continuous_bernoulli_equals_the_oracle(rng):
    x = rng.random((20, 300)).astype("float32")
    logits = (4 * rng.normal(size=x.shape)).astype("float32")
    oracle = tfd.ContinuousBernoulli(logits.astype("float64"), dtype="float64")
    oracle = -oracle.log_prob(x.astype("float64")).sum(1)
    nll = objectives.continuous_bernoulli_nll(x, logits)
    np.testing.assert_allclose(as_float64(nll), oracle, **FLOAT32)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_one_with_its_mean(logit):
    x, weights = np.polynomial.legendre.leggauss(60)
    x, weights = (x[:, None] + 1) / 2, weights / 2
    nll = objectives.continuous_bernoulli_nll(x, np.full_like(x, logit))
    density = np.exp(-as_float64(nll))
    mean = float(objectives.continuous_bernoulli_mean(logit))
    # Float32 rounds x * logit to 80 * 6e-8.
    assert weights @ density == pytest.approx(1, abs=1e-5)
    assert weights @ (density * x[:, 0]) == pytest.approx(mean, abs=1e-5)


def test_continuous_bernoulli_has_the_slope_mean_minus_x():
    # By forward differentiation, on both sides of the seam and at zero.
    logits = ops.convert_to_tensor(LOGITS[:, None], "float32")
    x = ops.full_like(logits, 0.3)
    slope = ops.jvp(
        lambda a: objectives.continuous_bernoulli_nll(x, a),
        (logits,),
        (ops.ones_like(logits),),
    )[1]
    mean = as_float64(objectives.continuous_bernoulli_mean(logits))[:, 0]
    np.testing.assert_allclose(as_float64(slope), mean - 0.3, atol=1e-6)


def test_continuous_bernoulli_keeps_its_digits_near_zero():
    # The mean is 1/2 + a / 12 to leading order; 1 / (1 - exp(-a)) - 1 / a alone would
    # be a difference of numbers near 1e4 with errors near 1e-3.
    assert float(objectives.continuous_bernoulli_mean(1e-4)) - 0.5 == pytest.approx(
        1e-4 / 12, abs=6e-8
    )
    half = objectives.continuous_bernoulli_nll([[0.5]], [[0.1]])
    assert float(half[0]) == pytest.approx(0.01 / 24 - 1e-4 / 2880, rel=1e-5)


def test_continuous_bernoulli_is_finite_at_extreme_logits():
    nll = objectives.continuous_bernoulli_nll([[1.0, 0.0]], [[-1e4, 1e4]])
    assert float(nll[0]) == pytest.approx(2e4 - 2 * math.log(1e4), rel=1e-6)


def test_continuous_bernoulli_differs_from_bernoulli_by_more_than_a_constant(rng):
    # log C: log 2 at logit 0, and it grows with the size of the logit.
    x, logits = rng.random((9, 1)), np.linspace(0, 8, 9)[:, None]
    log_c = objectives.bernoulli_nll(x, logits) - objectives.continuous_bernoulli_nll(
        x, logits
    )
    assert as_float64(log_c)[0] == pytest.approx(math.log(2), rel=1e-6)
    assert np.all(np.diff(as_float64(log_c)) > 0)


@pytest.mark.parametrize("log_var", [0.0, -1.3, "given"])
def test_gaussian_equals_the_oracle(rng, log_var):
    x, x_mean, given = rng.normal(size=(3, 20, 300)).astype("float32")
    log_var = given if isinstance(log_var, str) else log_var
    oracle = -tfd.Normal(x_mean, np.exp(0.5 * np.float64(log_var))).log_prob(x).sum(1)
    nll = objectives.gaussian_nll(x, x_mean, log_var=log_var)
    np.testing.assert_allclose(as_float64(nll), oracle, **FLOAT32)


@pytest.mark.parametrize("shape", [(), (1,), (4, 3), (5, 1, 1), (2, 5, 4, 3)])
def test_a_spread_of_any_shape_counts_for_the_features_it_broadcasts_to(rng, shape):
    x, x_mean = rng.random((2, 2, 5, 4, 3))
    log_var = rng.normal(-1, 0.3, shape)
    oracle = -tfd.Normal(x_mean, np.exp(0.5 * log_var)).log_prob(x)
    nll = objectives.gaussian_nll(x, x_mean, log_var=log_var)
    np.testing.assert_allclose(as_float64(nll), oracle.sum((1, 2, 3)), **FLOAT32)

    image = keras.Input((5, 4, 3))
    if len(shape) < 4:  # a batch of unknown size has no spread of its own
        assert objectives.gaussian_nll(image, image, log_var=log_var).shape == (None,)


def test_takes_images_of_unknown_size():
    image = keras.Input((None, None, 1))
    model = keras.Model(image, objectives.bernoulli_nll(image, 2 * image - 1))
    x = np.ones((2, 3, 5, 1), "float32")
    expected = 15 * math.log1p(math.exp(-1))
    np.testing.assert_allclose(as_float64(model(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("num_levels", [2, 16, 256])
def test_discretized_logistic_equals_the_oracle(rng, num_levels):
    levels = rng.integers(0, num_levels, (20, 50)).astype("float64")
    mean, log_scale = rng.random((20, 50)), rng.normal(-2, 0.5, (20, 50))
    # The oracle rounds up to whole numbers: level k takes (k - 1/2, k + 1/2].
    largest = num_levels - 1
    logistic = tfd.Logistic(mean * largest - 0.5, np.exp(log_scale) * largest)
    oracle = tfd.QuantizedDistribution(logistic, low=0.0, high=float(largest))
    nll = objectives.discretized_logistic_nll(
        levels / largest, mean, log_scale=log_scale, num_levels=num_levels
    )
    # Float32 rounds the edges of a level, 1/255 wide, to about 1e-7 / 4e-3.
    np.testing.assert_allclose(
        as_float64(nll), -oracle.log_prob(levels).sum(1), rtol=2e-4
    )


def test_discretized_logistic_probabilities_sum_to_one():
    levels = np.arange(256)[:, None] / 255
    ones = np.ones_like(levels)
    for mean, log_scale in ((0.3, -3.0), (-0.5, -1.0), (1.2, 0.5)):
        nll = objectives.discretized_logistic_nll(
            levels, mean * ones, log_scale=log_scale
        )
        assert np.exp(-as_float64(nll)).sum() == pytest.approx(1, abs=1e-4)


def test_discretized_logistic_is_finite_far_in_the_tail():
    # A narrow logistic at 0 puts no representable mass at level 128.
    nll = float(
        objectives.discretized_logistic_nll([[128 / 255]], [[0.0]], log_scale=-7.0)[0]
    )
    assert 400 < nll < 700  # about (128 / 255) * e^7 = 550


def test_poisson_equals_the_oracle(rng):
    log_rate = rng.normal(1, 1.5, (20, 50)).astype("float32")
    x = rng.poisson(np.exp(log_rate)).astype("float32")
    oracle = -tfd.Poisson(log_rate=log_rate.astype("float64")).log_prob(x).sum(1)
    nll = objectives.poisson_nll(x, log_rate)
    np.testing.assert_allclose(as_float64(nll), oracle, rtol=2e-5)


def test_categorical_equals_the_oracle(rng):
    tokens = rng.integers(0, 5, (20, 30))
    logits = rng.normal(size=(20, 30, 5)).astype("float32")
    oracle = -tfd.Categorical(logits=logits.astype("float64")).log_prob(tokens).sum(1)
    nll = objectives.categorical_nll(tokens, logits)
    np.testing.assert_allclose(as_float64(nll), oracle, **FLOAT32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: objectives.bernoulli_nll(np.ones((2, 3)), np.ones((2, 4))),
        lambda: objectives.continuous_bernoulli_nll(np.ones((2, 3)), np.ones((2, 1))),
        lambda: objectives.gaussian_nll(np.ones((2, 3)), np.ones((3,))),
        lambda: objectives.poisson_nll(np.ones((2, 3)), np.ones((1, 3))),
        lambda: objectives.discretized_logistic_nll(
            np.ones((2, 3)), np.ones(2), log_scale=0.0
        ),
        lambda: objectives.categorical_nll(np.ones((2, 3)), np.ones((2, 3))),
        lambda: objectives.gaussian_kl(np.ones((2, 3)), np.ones((2, 1))),
        lambda: objectives.gaussian_kl_per_axis(np.ones((2, 3)), np.ones((3,))),
    ],
)
def test_refuses_shapes_that_would_broadcast(call):
    with pytest.raises(ValueError, match=r"Argument `.*shape.*Received: .*shape="):
        call()


@pytest.mark.parametrize("shape", [(2, 4), (1, 2, 3)])
def test_refuses_a_spread_that_does_not_broadcast(shape):
    x, spread = np.ones((2, 3)), np.ones(shape)
    with pytest.raises(ValueError, match="Argument `log_var` must broadcast"):
        objectives.gaussian_nll(x, x, log_var=spread)
    with pytest.raises(ValueError, match="Argument `log_scale` must broadcast"):
        objectives.discretized_logistic_nll(x, x, log_scale=spread)


def test_refuses_fewer_than_two_levels():
    with pytest.raises(ValueError, match="`num_levels`.*Received: num_levels="):
        objectives.discretized_logistic_nll(
            [[0.0]], [[0.0]], log_scale=0.0, num_levels=1
        )


def test_continuous_bernoulli_mean_is_the_closed_form_on_both_sides_of_the_seam():
    logits = np.array([-0.99, -0.7, -0.49, -0.4, 0.4, 0.49, 0.7, 0.99], "float32")
    a = logits.astype("float64")
    mean = as_float64(objectives.continuous_bernoulli_mean(logits))
    # Two units in the last place of numbers near 1, which cancel in the closed form.
    np.testing.assert_allclose(mean, 1 / (1 - np.exp(-a)) - 1 / a, atol=3e-7)


def test_a_spread_for_each_channel_counts_at_every_pixel(rng):
    x, x_mean = rng.random((2, 2, 5, 4, 3))
    log_var = np.array([-2.0, -1.0, 0.0])
    oracle = -tfd.Normal(x_mean, np.exp(0.5 * log_var)).log_prob(x)
    nll = objectives.gaussian_nll(x, x_mean, log_var=log_var)
    np.testing.assert_allclose(as_float64(nll), oracle.sum((1, 2, 3)), **FLOAT32)


def test_takes_images_of_unknown_height():
    image = keras.Input((None, 4, 1))
    assert objectives.bernoulli_nll(image, image).shape == (None,)


def test_a_count_of_zero_costs_the_rate():
    # -log p(0) is the rate. Terms of size 20 cancel to log(0!): one unit in the last
    # place of 20 is 1.9e-6.
    nll = objectives.poisson_nll([[0.0]], [[math.log(1e-9)]])
    assert float(nll[0]) == pytest.approx(1e-9, abs=3e-6)
