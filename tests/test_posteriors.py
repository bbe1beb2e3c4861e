"""Bounds, mutual information and calibration, against closed forms and quadrature."""

import functools
import math
import tracemalloc

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from scipy.special import logsumexp

from aecourse import datasets, diagnostics, models, objectives

# The linear-Gaussian model of the facts below: p(z) = N(0, I), p(x given z) =
# N(W z, VARIANCE I), so p(x) = N(0, W W^T + VARIANCE I).
VARIANCE, NUM_FEATURES, LATENT_DIM = 0.25, 5, 2
W = np.random.default_rng(0).standard_normal((NUM_FEATURES, LATENT_DIM))
COVARIANCE = W @ W.T + VARIANCE * np.eye(NUM_FEATURES)
gaussian_nll = functools.partial(objectives.gaussian_nll, log_var=math.log(VARIANCE))


def linear_data(num_examples, seed=0):
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.zeros(NUM_FEATURES), COVARIANCE, num_examples)


def linear_decoder(z):
    return ops.matmul(z, ops.cast(W.T, "float32"))


def linear_encoder(x, scale=1.5):
    """The exact means and a round variance, `scale` times the widest of the exact."""
    precision = W.T @ W / VARIANCE + np.eye(LATENT_DIM)
    kernel = W @ np.linalg.inv(precision) / VARIANCE
    z_mean = ops.matmul(x, ops.cast(kernel, "float32"))
    widest = 1 / np.linalg.eigvalsh(precision)[0]
    return [z_mean, ops.zeros_like(z_mean) + math.log(scale * widest)]


def exact_log_p(x):
    return scipy.stats.multivariate_normal(cov=COVARIANCE).logpdf(x)


def shifted_log_prior(z):
    """log N(z; 1, 4 I), with the mean as a tensor of its own."""
    mean = ops.convert_to_tensor(np.ones(LATENT_DIM, "float32"))
    square = ops.sum(ops.square(mean - z), axis=-1) / 4.0
    return -0.5 * (square + LATENT_DIM * math.log(2 * math.pi * 4.0))


# importance_sampled_nll


@pytest.mark.parametrize("batch_size", [1, 4, 7, 30, 10_000])
def test_chunks_over_samples_and_examples_do_not_change_the_estimate(batch_size):
    x = linear_data(6)
    measured, expected = (
        diagnostics.importance_sampled_nll(
            linear_encoder,
            linear_decoder,
            x=x,
            num_samples=30,
            batch_size=size,
            nll=gaussian_nll,
        )
        for size in (batch_size, 2000)
    )
    # Float32 sums of 5 squares over 0.25, in another order.
    np.testing.assert_allclose(measured, expected, atol=1e-4)


def peak_bytes(function):
    """Largest sum of Python's and NumPy's memory while `function` runs."""
    function()  # compiled here, and not counted
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_samples():
    few, many = (
        peak_bytes(
            lambda num_samples=num_samples: diagnostics.importance_sampled_nll(
                linear_encoder,
                linear_decoder,
                x=linear_data(2),
                num_samples=num_samples,
                batch_size=500,
                nll=gaussian_nll,
            )
        )
        for num_samples in (500, 50_000)
    )
    # The log-weights of one example alone would take 400 kB, its draws 800 kB.
    assert many - few < 100_000


def test_memory_grows_with_the_number_of_examples_by_their_codes_alone():
    def encoder(x):
        return [x[:, :1], 0.0 * x[:, :1]]

    def decoder(z):
        return ops.repeat(z, 1000, axis=1)

    few, many = (
        peak_bytes(
            lambda num_examples=num_examples: diagnostics.importance_sampled_nll(
                encoder,
                decoder,
                # The decoder's own output in float32, 4,000 bytes an example.
                x=np.zeros((num_examples, 1000), "float32"),
                num_samples=1,
                batch_size=100,
            )
        )
        for num_examples in (100, 2000)
    )
    # Besides the examples themselves: codes and results, under 100 bytes each, and
    # what Keras keeps of each batch. One more copy of the examples is 4,000 bytes.
    per_example = (many - few) / 1900 - 4000
    assert per_example < 1500


def test_takes_a_convolutional_decoder_and_any_likelihood():
    rng = np.random.default_rng(0)
    x = np.round(rng.random((3, 8, 8, 1)) * 255) / 255
    size = {"latent_dim": 2, "filters": (4, 4)[::-1]}
    encoder = models.conv_encoder((8, 8, 1), variational=True, **size)
    decoder = models.conv_decoder((8, 8, 1), **size)

    def nll(x, x_mean):
        return objectives.discretized_logistic_nll(x, x_mean, log_scale=-1.0)

    measured = diagnostics.importance_sampled_nll(
        encoder, decoder, x=x, num_samples=5, batch_size=4, nll=nll
    )
    # The same number by hand, from the draws that the docstring promises.
    z_mean, z_log_var = (ops.convert_to_numpy(one) for one in encoder(x))
    for index in range(3):
        noise = np.random.default_rng([0, index]).standard_normal((5, 2))
        z = z_mean[index] + np.exp(0.5 * z_log_var[index]) * noise
        log_w = scipy.stats.norm.logpdf(z).sum(axis=1)
        scale = np.exp(0.5 * z_log_var[index])
        log_w -= scipy.stats.norm.logpdf(z, z_mean[index], scale).sum(axis=1)
        x_mean = decoder(z.astype("float32"))
        log_w -= ops.convert_to_numpy(nll(np.repeat(x[index][None], 5, 0), x_mean))
        expected = math.log(5) - logsumexp(log_w)
        # Float32 sums of 64 pixels, about 360 nats.
        np.testing.assert_allclose(measured[index], expected, rtol=1e-5)


def test_takes_another_prior():
    x = linear_data(4000) + W.sum(axis=1)
    measured = diagnostics.importance_sampled_nll(
        functools.partial(linear_encoder, scale=3.0),
        linear_decoder,
        x=x,
        num_samples=400,
        nll=gaussian_nll,
        log_prior=shifted_log_prior,
    )
    covariance = 4 * W @ W.T + VARIANCE * np.eye(NUM_FEATURES)
    expected = scipy.stats.multivariate_normal(W.sum(axis=1), covariance).logpdf(x)
    error = measured + expected
    # 400 weights that vary by less than ten times their mean, averaged over 4,000.
    assert abs(error.mean()) < 0.03
    standard = diagnostics.importance_sampled_nll(
        linear_encoder, linear_decoder, x=x[:100], num_samples=400, nll=gaussian_nll
    )
    assert np.abs(standard + expected[:100]).mean() > 0.3  # the prior matters


def test_the_standard_normal_prior_is_the_default():
    def log_prior(z):
        square = ops.sum(ops.square(z), axis=-1)
        return -0.5 * (square + LATENT_DIM * math.log(2 * math.pi))

    options = {"x": linear_data(10), "num_samples": 7, "nll": gaussian_nll}
    default, given, layer = (
        diagnostics.importance_sampled_nll(
            linear_encoder, linear_decoder, **options, log_prior=prior
        )
        for prior in (None, log_prior, keras.layers.Lambda(log_prior))
    )
    np.testing.assert_allclose(given, default, atol=1e-4)  # float32
    np.testing.assert_allclose(layer, given, atol=1e-6)


def test_one_number_is_enough():
    measured = diagnostics.importance_sampled_nll(
        lambda x: [0.0 * x, 0.0 * x], lambda z: 0.0 * z, x=np.ones((1, 1))
    )
    np.testing.assert_allclose(measured, [math.log(2)], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nll": lambda x, x_hat: x - x_hat}, "`nll` must give one number per code"),
        ({"log_prior": lambda z: z}, "`log_prior` must give one number per code"),
    ],
)
def test_importance_sampled_nll_refuses(change, message):
    arguments = {"nll": gaussian_nll, "num_samples": 2} | change
    with pytest.raises(ValueError, match=message):
        diagnostics.importance_sampled_nll(
            linear_encoder, linear_decoder, x=linear_data(2), **arguments
        )


# importance_weighted_bound


def linear_bound(x, num_samples, **options):
    return diagnostics.importance_weighted_bound(
        linear_encoder,
        linear_decoder,
        x=x,
        num_samples=num_samples,
        nll=gaussian_nll,
        **options,
    )


def test_bounds_never_fall_with_more_samples_whatever_the_draw():
    bound = linear_bound(linear_data(200), 64)
    assert list(bound.num_samples) == [1, 2, 4, 8, 16, 32, 64]
    assert bound.per_example.shape == (200, 7)
    # Jensen; the last digit of a float64 near 10 may be rounded.
    assert np.diff(bound.per_example, axis=1).min() > -1e-12
    # Independent sets of draws are not monotone.
    nll = [
        diagnostics.importance_sampled_nll(
            linear_encoder,
            linear_decoder,
            x=linear_data(200),
            num_samples=k,
            seed=k,
            nll=gaussian_nll,
        )
        for k in (1, 2, 4)
    ]
    assert np.diff(-np.stack(nll), axis=0).min() < -0.1


def test_bounds_are_means_over_blocks_of_the_log_mean_weight():
    x = linear_data(3)
    bound = linear_bound(x, 8)
    # The log-weights from the one-sample estimates of the same draws, by hand.
    z_mean, z_log_var = (ops.convert_to_numpy(one) for one in linear_encoder(x))
    for index in range(3):
        noise = np.random.default_rng([0, index]).standard_normal((8, LATENT_DIM))
        scale = np.exp(0.5 * z_log_var[index])
        z = z_mean[index] + scale * noise
        residual = scipy.stats.norm.logpdf(x[index], z @ W.T, math.sqrt(VARIANCE))
        log_w = residual.sum(axis=1) + scipy.stats.norm.logpdf(z).sum(axis=1)
        log_w -= scipy.stats.norm.logpdf(z, z_mean[index], scale).sum(axis=1)
        expected = [
            np.mean(logsumexp(log_w.reshape(-1, k), axis=1) - math.log(k))
            for k in (1, 2, 4, 8)
        ]
        # Float32 in the decoder: squares over 0.25, up to some tens of nats.
        np.testing.assert_allclose(bound.per_example[index], expected, atol=1e-4)


def test_the_last_bound_is_the_importance_sampled_estimate():
    x = linear_data(20)
    nll = diagnostics.importance_sampled_nll(
        linear_encoder,
        linear_decoder,
        x=x,
        num_samples=16,
        nll=gaussian_nll,
        batch_size=5,
    )
    bound = linear_bound(x, 16, batch_size=10)
    np.testing.assert_allclose(bound.per_example[:, -1], -nll, atol=1e-4)


def test_the_bounds_reach_the_known_log_likelihood():
    x = linear_data(500)
    gap = exact_log_p(x)[:, None] - linear_bound(x, 1024).per_example
    # The first gap is the divergence of q from the exact posterior, which is Gaussian.
    precision = W.T @ W / VARIANCE + np.eye(LATENT_DIM)
    v = 1.5 / np.linalg.eigvalsh(precision)[0]
    log_det = np.linalg.slogdet(precision)[1] + LATENT_DIM * math.log(v)
    kl = 0.5 * (v * np.trace(precision) - LATENT_DIM - log_det)
    spread = gap.std(axis=0, ddof=1) / math.sqrt(len(x))
    assert kl > 0.1
    assert abs(gap[:, 0].mean() - kl) < 4 * spread[0]
    # At K = 1024 half the relative variance of a weight over K is below 0.001.
    assert abs(gap[:, -1].mean()) < 0.002 + 4 * spread[-1]
    assert spread[-1] < 0.01


def test_mean_and_standard_error_are_those_over_the_examples():
    bound = linear_bound(linear_data(9), 4)
    np.testing.assert_allclose(bound.mean, bound.per_example.mean(axis=0))
    expected = scipy.stats.sem(bound.per_example, axis=0)
    np.testing.assert_allclose(bound.standard_error, expected)
    two = linear_bound(linear_data(2), 4)
    expected = np.abs(two.per_example[0] - two.per_example[1]) / 2
    np.testing.assert_allclose(two.standard_error, expected)
    assert np.isnan(linear_bound(linear_data(1), 4).standard_error).all()


def test_one_sample_gives_one_bound_and_64_from_seed_zero_are_the_default():
    x = linear_data(3)
    default = diagnostics.importance_weighted_bound(
        linear_encoder, linear_decoder, x=x, nll=gaussian_nll
    )
    assert list(default.num_samples) == [1, 2, 4, 8, 16, 32, 64]
    given = linear_bound(x, 64, seed=0, batch_size=2000)
    np.testing.assert_array_equal(default.per_example, given.per_example)
    one = linear_bound(x, 1)
    nll = diagnostics.importance_sampled_nll(
        linear_encoder, linear_decoder, x=x, num_samples=1, nll=gaussian_nll
    )
    assert list(one.num_samples) == [1]
    np.testing.assert_allclose(one.per_example[:, 0], -nll, atol=1e-4)  # float32


def test_the_bounds_show_a_progress_bar_only_when_asked(capsys):
    linear_bound(linear_data(3), 2)
    assert capsys.readouterr().out == ""
    linear_bound(linear_data(3), 2, progress=True)
    assert "3/3" in capsys.readouterr().out


@pytest.mark.parametrize("num_samples", [0, 3, 12, 2.0])
def test_importance_weighted_bound_refuses(num_samples):
    with pytest.raises(ValueError, match="`num_samples` must be"):
        linear_bound(linear_data(2), num_samples)


# mutual_information


def test_equal_posteriors_carry_nothing():
    z_mean, z_log_var = np.full((50, 3), 0.7), np.full((50, 3), -1.0)
    split = diagnostics.mutual_information(z_mean, z_log_var)
    # Every log-ratio is zero but for rounding, whatever is drawn.
    assert abs(split.mutual_information) < 1e-12
    expected = 1.5 * (0.49 + math.exp(-1) - 1 + 1)
    assert split.marginal_kl == pytest.approx(expected, rel=1e-6)  # a float32 KL


@pytest.mark.parametrize("scale", [1e-1, 1e-7])
def test_narrow_posteriors_far_apart_tell_all_examples_apart(scale):
    z_mean = np.arange(300.0).reshape(100, 3)
    z_log_var = np.full((100, 3), 2 * math.log(scale))
    split = diagnostics.mutual_information(z_mean, z_log_var)
    # Never above the ceiling, not even in the last digit's rounding.
    assert 0 <= split.ceiling - split.mutual_information < 1e-6
    assert split.ceiling == math.log(100)


def test_the_information_is_that_of_numerical_integration():
    z_mean, scale = np.array([-1.0, 0.0, 0.5, 3.0]), np.array([0.5, 1.5, 0.2, 1.0])
    z = np.linspace(-15, 15, 30_001)[:, None]
    q_given_x = scipy.stats.norm.pdf(z, z_mean, scale)
    q = q_given_x.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        integrand = np.where(q_given_x > 0, q_given_x * np.log(q_given_x / q), 0.0)
        outer = np.where(q > 0, q * (np.log(q) - scipy.stats.norm.logpdf(z)), 0.0)
    information = np.trapezoid(integrand.mean(axis=1), z[:, 0])
    marginal_kl = np.trapezoid(outer[:, 0], z[:, 0])
    split = diagnostics.mutual_information(
        z_mean[:, None], 2 * np.log(scale)[:, None], num_samples=20_000
    )
    # 80,000 draws of a log-ratio that varies by less than 1: four standard errors.
    assert abs(split.mutual_information - information) < 0.015
    assert abs(split.marginal_kl - marginal_kl) < 0.015
    assert 0.3 < information < math.log(4) - 0.3  # neither zero nor the ceiling


def test_many_gaussian_posteriors_carry_the_capacity_of_a_gaussian_channel():
    variance = np.array([0.1, 0.5])
    means = np.random.default_rng(0).standard_normal((4000, 2)) * np.sqrt(1 - variance)
    z_log_var = np.broadcast_to(np.log(variance), means.shape)
    split = diagnostics.mutual_information(means, z_log_var, num_samples=2)
    # q(z) = p(z), so all the KL is information: 1/2 ln(1 / variance) an axis. A sum
    # over 4,000 random places misses both by a few hundredths. The draws of the means
    # and those inside have one seed: they must not be the same numbers.
    assert abs(split.mutual_information + 0.5 * np.log(variance).sum()) < 0.06
    assert 0 < split.marginal_kl < 0.06


def test_the_three_add_up_and_the_kl_is_that_of_the_loss():
    rng = np.random.default_rng(0)
    z_mean, z_log_var = rng.standard_normal((2, 40, 5))
    split = diagnostics.mutual_information(z_mean, z_log_var)
    assert split.kl == split.mutual_information + split.marginal_kl
    kl = ops.convert_to_numpy(objectives.gaussian_kl(z_mean, z_log_var)).mean()
    assert split.kl == pytest.approx(float(kl), rel=1e-6)


def test_does_not_depend_on_the_blocks_nor_on_the_origin(monkeypatch):
    rng = np.random.default_rng(0)
    z_mean, z_log_var = rng.standard_normal((2, 40, 5))
    whole = diagnostics.mutual_information(z_mean, z_log_var)
    # Squares of 1e5 would be rounded by 1e-6; here only the sum is, by 1e-11.
    again = diagnostics.mutual_information(z_mean + 1e5, z_log_var)
    assert again.mutual_information == pytest.approx(whole.mutual_information, abs=1e-9)
    given = diagnostics.mutual_information(z_mean, z_log_var, num_samples=10, seed=0)
    assert given.mutual_information == whole.mutual_information
    for max_numbers, num_rows in ((90, 2), (30, 1)):  # of 40 numbers each
        tables = []

        def watched(log_q, axis, tables=tables):
            tables.append(log_q.shape)
            return logsumexp(log_q, axis=axis)

        posteriors = "aecourse.diagnostics.posteriors"
        monkeypatch.setattr(f"{posteriors}._MAX_NUMBERS", max_numbers)
        monkeypatch.setattr(f"{posteriors}.logsumexp", watched)
        blocks = diagnostics.mutual_information(z_mean, z_log_var)
        assert blocks.mutual_information == pytest.approx(whole.mutual_information)
        assert set(tables) == {(num_rows, 40)}
    other = diagnostics.mutual_information(z_mean, z_log_var, seed=1)
    assert other.mutual_information != whole.mutual_information


def test_the_table_of_all_pairs_is_never_held_at_once():
    z_mean, z_log_var = np.random.default_rng(0).standard_normal((2, 5000, 2))
    measured = peak_bytes(
        lambda: diagnostics.mutual_information(z_mean, z_log_var, num_samples=1)
    )
    assert measured < 100e6  # the table: 200 MB


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z_mean": np.full((2, 3), np.nan)}, "`z_mean` must be finite"),
        ({"z_mean": np.zeros(3)}, "`z_mean` must have the shape"),
        ({"z_log_var": np.zeros((2, 2))}, "`z_log_var` must have the shape of"),
        ({"num_samples": 0}, "`num_samples` must be.*Received: num_samples=0"),
        ({"seed": -1}, "`seed` must be.*Received: seed=-1"),
    ],
)
def test_mutual_information_refuses(change, message):
    arguments = {"z_mean": np.zeros((2, 3)), "z_log_var": np.zeros((2, 3))}
    with pytest.raises(ValueError, match=message):
        diagnostics.mutual_information(**arguments | change)


# calibration


def test_true_probabilities_are_off_by_chance_alone():
    rng = np.random.default_rng(0)
    x_hat = rng.beta(0.5, 1.0, (400, 7, 7))
    measured = [
        diagnostics.calibration(datasets.binarize(x_hat, seed), x_hat)
        for seed in range(20)
    ]
    errors = [one.error for one in measured]
    # Ten bins, each |N(0, 1)|: the mean over 20 tables has a spread of some 5 %.
    assert np.mean(errors) == pytest.approx(measured[0].error_by_chance, rel=0.25)
    z_scores = [(m.observed - m.predicted) / m.standard_error for m in measured]
    assert np.std(z_scores) == pytest.approx(1, abs=0.25)


def test_a_wrong_slope_is_found_bin_by_bin():
    truth = np.repeat(np.linspace(0, 1, 11), 1000)
    x = np.concatenate([np.arange(1000) < 100 * tenth for tenth in range(11)])
    x_hat = 0.5 + 0.5 * (truth - 0.5)  # too timid by half
    measured = diagnostics.calibration(x, x_hat, num_bins=20)
    filled = measured.count > 0
    expected = 0.5 + 2 * (measured.predicted[filled] - 0.5)
    np.testing.assert_allclose(measured.observed[filled], expected, atol=1e-12)
    # Mean of |truth - 1/2| / 2 over 11 levels.
    assert measured.error == pytest.approx(0.5 * 3.0 / 11)
    assert measured.count.sum() == x.size


def test_a_constant_prediction_is_calibrated_if_its_mean_is_right():
    x = np.arange(100) % 4 == 0
    measured = diagnostics.calibration(x, np.full(100, 0.25))
    assert measured.error == 0
    assert np.isnan(measured.observed).sum() == 9
    # sqrt(2 / pi) standard errors of one frequency.
    by_hand = math.sqrt(2 / math.pi) * math.sqrt(0.25 * 0.75 / 100)
    assert measured.error_by_chance == pytest.approx(by_hand)


def test_one_pixel_has_an_error():
    measured = diagnostics.calibration(np.array([1.0]), np.array([0.75]))
    assert measured.error == 0.25
    assert list(measured.count) == [0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    # sqrt(p (1 - p)), and NaN where there is nothing.
    assert measured.standard_error[7] == pytest.approx(math.sqrt(3) / 4)
    assert np.isnan(measured.standard_error).sum() == 9


def test_both_ends_belong_to_a_bin():
    measured = diagnostics.calibration(
        np.array([0, 1]), np.array([0.0, 1.0]), num_bins=4
    )
    assert list(measured.count) == [1, 0, 0, 1]
    assert measured.error == measured.error_by_chance == 0


@pytest.mark.parametrize(
    ("x", "x_hat", "num_bins", "message"),
    [
        ([0.5, 1.0], [0.5, 0.5], 10, "`x` must be binary.* 1 values other"),
        ([], [], 10, "`x` must be binary and not empty"),
        ([0.0, 1.0], [-2.0, 3.0], 10, r"are these logits.*x_hat.min\(\)=-2"),
        ([0.0, 1.0], [-0.1, 0.5], 10, r"are these logits.*x_hat.min\(\)=-0.1"),
        ([0.0, 1.0], [0.5, 1.5], 10, r"are these logits.*x_hat.max\(\)=1.5"),
        ([0.0, 1.0], [0.5], 10, "`x_hat` must have the shape of `x`"),
        ([0.0, 1.0], [0.5, math.nan], 10, "`x_hat` must be finite"),
        ([0.0, 1.0], [0.5, 0.5], 0, "`num_bins` must be.*Received: num_bins=0"),
    ],
)
def test_calibration_refuses(x, x_hat, num_bins, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.calibration(x, x_hat, num_bins=num_bins)
