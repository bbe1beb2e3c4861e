"""Facts and refusals of the diagnostics, against closed forms and quadrature."""

import functools
import math

import keras
import numpy as np
import pytest
import scipy.spatial
import scipy.stats
from keras import ops

from aecourse import diagnostics, objectives

# The linear-Gaussian model of the facts below: p(z) = N(0, I), p(x given z) =
# N(W z + b, VARIANCE I). The columns of W are orthogonal, so the exact posterior is
# diagonal and the encoder can be exact.
VARIANCE = 0.25
NUM_FEATURES, LATENT_DIM = 5, 2
LENGTHS = np.array([1.5, 0.7])
W = scipy.stats.ortho_group.rvs(NUM_FEATURES, random_state=0)[:, :LATENT_DIM] * LENGTHS
BIAS = np.linspace(-1.0, 1.0, NUM_FEATURES)
EXACT_VARIANCE = VARIANCE / (LENGTHS**2 + VARIANCE)
gaussian_nll = functools.partial(objectives.gaussian_nll, log_var=math.log(VARIANCE))


def linear_data(num_examples, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((num_examples, LATENT_DIM))
    noise = rng.standard_normal((num_examples, NUM_FEATURES))
    return z @ W.T + BIAS + math.sqrt(VARIANCE) * noise


def linear_decoder():
    decoder = keras.Sequential([keras.Input((LATENT_DIM,)), keras.layers.Dense(5)])
    decoder.layers[0].set_weights([W.T, BIAS])
    return decoder


def linear_encoder(variance=EXACT_VARIANCE, shift=0.0):
    """Posterior mean of the model (plus `shift`), and the variance given."""
    x = keras.Input((NUM_FEATURES,))
    z_mean = keras.layers.Dense(LATENT_DIM)
    z_log_var = keras.layers.Dense(
        LATENT_DIM,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(0.0),
    )
    encoder = keras.Model(x, [z_mean(x), z_log_var(x)])
    kernel = W / (LENGTHS**2 + VARIANCE)
    z_mean.set_weights([kernel, shift - BIAS @ kernel])
    z_log_var.bias.assign(np.broadcast_to(np.log(variance), (LATENT_DIM,)))
    return encoder


def exact_nll(x):
    covariance = W @ W.T + VARIANCE * np.eye(NUM_FEATURES)
    return -scipy.stats.multivariate_normal(BIAS, covariance).logpdf(x)


# kl_per_axis


def test_kl_per_axis_equals_the_expected_log_ratio_averaged_over_the_data():
    rng = np.random.default_rng(0)
    z_mean, z_log_var = rng.standard_normal((2, 50, 4)) * [[[2.0]], [[1.0]]]
    # E_q[log q - log p] by Gauss-Hermite quadrature: the integrand is a polynomial of
    # degree two, so eight nodes are exact.
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    q = scipy.stats.norm(z_mean[..., None], np.exp(0.5 * z_log_var[..., None]))
    z = q.mean() + q.std() * nodes
    expected = (q.logpdf(z) - scipy.stats.norm.logpdf(z)) @ weights / weights.sum()
    measured = diagnostics.kl_per_axis(z_mean, z_log_var)
    assert measured.shape == (4,)
    # Float32 arithmetic: seven digits of a number near 2.
    np.testing.assert_allclose(measured, expected.mean(axis=0), rtol=1e-5)
    # Its sum over axes is the mean of the KL in the loss.
    total = ops.convert_to_numpy(objectives.gaussian_kl(z_mean, z_log_var)).mean()
    np.testing.assert_allclose(measured.sum(), total, rtol=1e-5)


def test_kl_per_axis_is_zero_for_the_prior():
    assert not diagnostics.kl_per_axis(np.zeros((3, 2)), np.zeros((3, 2))).any()


@pytest.mark.parametrize(
    ("z_mean", "z_log_var", "message"),
    [
        (np.full((2, 3), np.nan), np.zeros((2, 3)), "`z_mean` must be finite.*6 NaN"),
        (np.zeros((2, 3)), np.full((2, 3), np.inf), "`z_log_var` must be finite"),
        (
            np.zeros(3),
            np.zeros(3),
            r"`z_mean` must have the shape.*z_mean.shape=\(3,\)",
        ),
        (np.zeros((0, 3)), np.zeros((0, 3)), "`z_mean` must have the shape"),
        (np.zeros((2, 3)), np.zeros((2, 2)), r"Received: z_log_var.shape=\(2, 2\)"),
    ],
)
def test_kl_per_axis_refuses(z_mean, z_log_var, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.kl_per_axis(z_mean, z_log_var)


# active_units


def test_counts_the_axes_whose_mean_varies_over_the_data():
    waves = np.array([1.0, -1.0] * 50)[:, None]
    # Variances of the four axes: 1, 0.0121, 0.0081 and 0; their offsets do not count.
    z_mean = waves * [1.0, 0.11, 0.09, 0.0] + [0.0, 5.0, 5.0, 5.0]
    assert diagnostics.active_units(z_mean) == 2
    assert diagnostics.active_units(z_mean, threshold=0.5) == 1
    assert diagnostics.active_units(z_mean, threshold=0.001) == 3
    # A variance at the threshold is not above it.
    assert diagnostics.active_units(z_mean, threshold=1.0) == 0
    assert diagnostics.active_units(z_mean, threshold=0) == 3
    assert type(diagnostics.active_units(z_mean)) is int


@pytest.mark.parametrize(
    ("z_mean", "threshold", "message"),
    [
        (np.zeros((4, 2)), -0.1, "`threshold` must be.*Received: threshold=-0.1"),
        (np.zeros((4, 2)), math.nan, "`threshold` must be"),
        (np.full((4, 2), np.nan), 0.01, "`z_mean` must be finite"),
        (np.zeros(4), 0.01, "`z_mean` must have the shape"),
        (np.zeros((1, 2)), 0.01, "`z_mean` must be the means of at least two"),
    ],
)
def test_active_units_refuses(z_mean, threshold, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.active_units(z_mean, threshold)


# importance_sampled_nll


@pytest.mark.parametrize("num_samples", [1, 3, 50])
def test_is_exact_for_any_number_of_samples_with_the_exact_posterior(num_samples):
    x = linear_data(20)
    measured = diagnostics.importance_sampled_nll(
        linear_encoder(),
        linear_decoder(),
        x=x,
        num_samples=num_samples,
        nll=gaussian_nll,
    )
    assert measured.shape == (20,)
    # No Monte Carlo error: every weight is p(x). What is left is float32 arithmetic
    # on squared residuals over 0.25, up to about 50 nats.
    np.testing.assert_allclose(measured, exact_nll(x), atol=1e-4)


def test_bounds_the_nll_from_above_and_reaches_it_as_samples_grow():
    x = linear_data(300)
    # A posterior three times too wide and off center: far from exact, and with wider
    # tails than the true one, so that the weights have a finite variance.
    encoder = linear_encoder(3 * EXACT_VARIANCE, shift=0.3)
    gaps = [
        np.mean(
            diagnostics.importance_sampled_nll(
                encoder,
                linear_decoder(),
                x=x,
                num_samples=num_samples,
                nll=gaussian_nll,
            )
            - exact_nll(x)
        )
        for num_samples in (1, 10, 1000)
    ]
    # At K = 1 the gap is KL(q, exact posterior), here 1.48 nats; at K = 10 it is half
    # the variance of a weight over 10, near 0.07. Their standard errors over the 300
    # examples are 0.16 and 0.02.
    assert abs(gaps[0] - 1.48) < 0.5
    assert 0.0 < gaps[1] < 0.15
    # At K = 1000: expected 0.0007, standard error 0.002.
    assert abs(gaps[2]) < 0.01


def test_one_sample_is_the_negative_elbo():
    x = linear_data(3000)
    variance, shift = 3 * EXACT_VARIANCE, 0.3
    encoder = linear_encoder(variance, shift)
    measured = diagnostics.importance_sampled_nll(
        encoder, linear_decoder(), x=x, num_samples=1, nll=gaussian_nll
    )
    z_mean = (x - BIAS) @ W / (LENGTHS**2 + VARIANCE) + shift
    residual = np.sum((x - BIAS - z_mean @ W.T) ** 2, axis=1)
    reconstruction = 0.5 * (
        (residual + np.sum(LENGTHS**2 * variance)) / VARIANCE
        + NUM_FEATURES * math.log(2 * math.pi * VARIANCE)
    )
    kl = 0.5 * np.sum(z_mean**2 + variance - 1 - np.log(variance), axis=1)
    negative_elbo = reconstruction + kl
    standard_error = np.std(measured - negative_elbo) / math.sqrt(len(x))
    assert standard_error < 0.1
    assert abs(np.mean(measured - negative_elbo)) < 4 * standard_error


def test_agrees_with_quadrature_for_a_bernoulli_decoder():
    slopes, offsets = np.array([[2.0, -1.0, 0.5]]), np.array([0.3, 0.0, -0.5])
    decoder = keras.Sequential([keras.Input((1,)), keras.layers.Dense(3)])
    decoder.layers[0].set_weights([slopes, offsets])
    x = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])

    def encoder(x):
        return [0.3 * ops.sum(x, axis=1, keepdims=True), 0.0 * x[:, :1]]

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    probability = 1 / (1 + np.exp(-(nodes[:, None] * slopes + offsets)))
    likelihood = np.prod(
        np.where(x[:, None] == 1, probability, 1 - probability), axis=-1
    )
    expected = -np.log(likelihood @ weights / math.sqrt(2 * math.pi))
    # The eight patterns are all there is, so this is a distribution.
    np.testing.assert_allclose(np.exp(-expected).sum(), 1.0)
    measured = diagnostics.importance_sampled_nll(
        encoder, decoder, x=x, num_samples=20_000
    )
    # The weights vary by about their mean, so the error is near 1 / sqrt(20,000) =
    # 0.007 nats; 0.03 is four of these.
    np.testing.assert_allclose(measured, expected, atol=0.03)


@pytest.mark.parametrize("batch_size", [1, 7, 60, 10_000])
def test_does_not_depend_on_the_batch_size(batch_size):
    x = linear_data(11)
    encoder = linear_encoder(3 * EXACT_VARIANCE)
    estimate = functools.partial(
        diagnostics.importance_sampled_nll,
        encoder,
        linear_decoder(),
        x=x,
        num_samples=20,
    )
    np.testing.assert_allclose(
        estimate(batch_size=batch_size, nll=gaussian_nll),
        estimate(nll=gaussian_nll),
        atol=1e-4,  # float32, in another order
    )


@pytest.mark.parametrize(
    ("estimate", "num_samples", "options", "num_codes"),
    [
        # Three calls of 9 codes an example, which fills the batch best.
        (diagnostics.importance_sampled_nll, 25, {"batch_size": 10}, 9),
        (diagnostics.importance_sampled_nll, 3, {"batch_size": 10}, 9),
        (diagnostics.importance_sampled_nll, 3, {"batch_size": 100}, 33),
        # 2,000 codes at once by default.
        (diagnostics.importance_sampled_nll, 3000, {}, 1500),
        (diagnostics.importance_weighted_bound, 4096, {}, 1366),
    ],
)
def test_compiles_one_shape_only(estimate, num_samples, options, num_codes):
    shapes = []

    class Decoder(keras.layers.Layer):
        def call(self, z):
            shapes.append(tuple(z.shape))
            return ops.matmul(z, ops.cast(W.T, "float32"))

    estimate(
        linear_encoder(),
        Decoder(),
        x=linear_data(11),
        num_samples=num_samples,
        nll=gaussian_nll,
        **options,
    )
    # Traced with symbols, then compiled once.
    assert shapes[1:] == [(num_codes, LATENT_DIM)]


def test_draws_a_hundred_samples_from_seed_zero_by_default():
    models = linear_encoder(3 * EXACT_VARIANCE), linear_decoder()
    options = {"x": linear_data(5), "nll": gaussian_nll}
    np.testing.assert_array_equal(
        diagnostics.importance_sampled_nll(*models, **options),
        diagnostics.importance_sampled_nll(*models, **options, num_samples=100, seed=0),
    )


def test_the_same_seed_repeats_the_estimate_and_another_does_not():
    x = linear_data(5)
    encoder = linear_encoder(3 * EXACT_VARIANCE)
    first, again, other = (
        diagnostics.importance_sampled_nll(
            encoder, linear_decoder(), x=x, num_samples=5, seed=seed, nll=gaussian_nll
        )
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 1e-3


def test_equal_examples_get_independent_draws():
    x = np.repeat(linear_data(1), 4, axis=0)
    measured = diagnostics.importance_sampled_nll(
        linear_encoder(3 * EXACT_VARIANCE),
        linear_decoder(),
        x=x,
        num_samples=5,
        nll=gaussian_nll,
    )
    assert len(np.unique(measured.round(3))) == 4


def test_shows_a_progress_bar_only_when_asked(capsys):
    models = linear_encoder(), linear_decoder()
    options = {"x": linear_data(3), "num_samples": 2, "nll": gaussian_nll}
    diagnostics.importance_sampled_nll(*models, **options)
    assert capsys.readouterr().out == ""
    diagnostics.importance_sampled_nll(*models, **options, progress=True)
    assert "3/3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, "`num_samples` must be.*Received: num_samples=0"),
        ({"num_samples": 2.5}, "`num_samples` must be.*Received: num_samples=2.5"),
        ({"batch_size": 0}, "`batch_size` must be.*Received: batch_size=0"),
        ({"seed": -1}, "`seed` must be.*Received: seed=-1"),
        ({"x": np.full((2, NUM_FEATURES), np.nan)}, "`x` must be finite"),
        ({"x": [[0.0, 0.0, 0.0, 0.0, np.inf]]}, "`x` must be finite.*with 1 NaN or"),
        ({"x": np.zeros((0, NUM_FEATURES))}, r"`x` must have.*x.shape=\(0, 5\)"),
        ({"x": np.zeros(NUM_FEATURES)}, r"`x` must have.*x.shape=\(5,\)"),
        (
            {"x": np.full((2, 5), 255.0), "nll": objectives.bernoulli_nll},
            r"`x` must lie in \[0, 1\].*x.max\(\)=255",
        ),
        (
            {"x": [[0.0, 1.5, 1.0, 1.0, 1.0]], "nll": objectives.bernoulli_nll},
            r"`x` must lie in \[0, 1\].*x.max\(\)=1.5",
        ),
        (
            {"x": np.full((2, 5), -0.5), "nll": objectives.bernoulli_nll},
            r"`x` must lie in \[0, 1\].*x.min\(\)=-0.5",
        ),
        (
            {"x": [[-0.5, 0.0, 1.0, 1.0, 1.0]], "nll": objectives.bernoulli_nll},
            r"`x` must lie in \[0, 1\].*x.min\(\)=-0.5",
        ),
        ({"encoder": lambda x: x}, r"`encoder` must return the pair"),
        ({"encoder": lambda x: [x, x, x]}, r"`encoder` must return the pair"),
        ({"encoder": lambda x: [x, x[:, :2]]}, "`z_log_var` must have the shape of"),
        ({"encoder": lambda x: [x / 0.0, x]}, "`z_mean` must be finite"),
        # Five latent axes for a decoder of two: Keras itself says so.
        ({"encoder": lambda x: [x, x]}, "incompatible"),
    ],
)
def test_importance_sampled_nll_refuses(change, message):
    arguments = {
        "encoder": linear_encoder(),
        "decoder": linear_decoder(),
        "x": linear_data(2),
        "num_samples": 2,
        "nll": gaussian_nll,
    }
    with pytest.raises(ValueError, match=message):
        diagnostics.importance_sampled_nll(**arguments | change)


# bits_per_dim


def test_a_fair_coin_a_pixel_costs_one_bit_per_dimension():
    nll = ops.convert_to_numpy(
        objectives.bernoulli_nll(np.ones((3, 28, 28, 1)), np.zeros((3, 28, 28, 1)))
    )
    np.testing.assert_allclose(diagnostics.bits_per_dim(nll, 784), 1.0, rtol=1e-6)
    assert type(diagnostics.bits_per_dim(float(nll[0]), 784)) is float


@pytest.mark.parametrize(
    ("nll", "num_dims", "message"),
    [
        (100.0, 0, "`num_dims` must be.*Received: num_dims=0"),
        (100.0, (28, 28), "`num_dims` must be"),
        (math.nan, 784, "`nll` must be finite"),
    ],
)
def test_bits_per_dim_refuses(nll, num_dims, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.bits_per_dim(nll, num_dims)


# nearest_neighbors

RNG = np.random.default_rng(8)
IMAGES = RNG.random((30, 4, 3, 1))
OTHERS = RNG.random((7, 4, 3, 1))


def test_finds_the_nearest_images_first():
    indices, distances = diagnostics.nearest_neighbors(OTHERS, IMAGES, num_neighbors=5)
    assert indices.shape == distances.shape == (7, 5)
    every = scipy.spatial.distance.cdist(OTHERS.reshape(7, -1), IMAGES.reshape(30, -1))
    np.testing.assert_array_equal(indices, np.argsort(every, axis=1)[:, :5])
    # Brute force takes the root of a difference of squares near 1: 1e-15 becomes 1e-8.
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :5], atol=1e-7)


def test_no_example_is_its_own_neighbor_unless_it_is_there_twice():
    indices, distances = diagnostics.nearest_neighbors(None, IMAGES)
    assert indices.shape == distances.shape == (30, 1)
    assert not np.any(indices[:, 0] == np.arange(30))
    assert distances.min() > 0.1
    twice = np.concatenate([IMAGES, IMAGES[3:4]])
    indices, distances = diagnostics.nearest_neighbors(None, twice)
    assert (indices[3, 0], indices[30, 0]) == (30, 3)
    np.testing.assert_allclose(distances[3, 0], 0, atol=1e-7)


@pytest.mark.parametrize(
    ("queries", "data", "num_neighbors", "message"),
    [
        (OTHERS * np.nan, IMAGES, 1, "`queries` must be finite"),
        (OTHERS, IMAGES[:0], 1, r"`data` must have.*data.shape=\(0, 4, 3, 1\)"),
        (OTHERS, np.zeros(12), 1, r"`data` must have.*data.shape=\(12,\)"),
        # As many pixels, in another order.
        (OTHERS, IMAGES.swapaxes(1, 2), 1, "`queries` must have the shape of `data`"),
        (OTHERS, IMAGES, 0, "`num_neighbors` must be.*Received: num_neighbors=0"),
        (OTHERS, IMAGES, 31, "at most 30.*Received: num_neighbors=31"),
        (None, IMAGES, 30, "at most 29.*Received: num_neighbors=30"),
    ],
)
def test_nearest_neighbors_refuses(queries, data, num_neighbors, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.nearest_neighbors(queries, data, num_neighbors=num_neighbors)


# off_manifold_distance


def test_unseen_points_of_the_same_law_are_at_about_one():
    points = np.random.default_rng(0).standard_normal((2000, 10))
    measured = diagnostics.off_manifold_distance(points[1000:], points[:1000])
    # Both are nearest-neighbor distances among 1,000 points of one law. Their median
    # over 1,000 has a standard error of about 1 %.
    assert abs(np.median(measured) - 1) < 0.05


def test_off_manifold_distance_is_in_units_of_the_median_among_real_neighbors():
    reference = np.array([0.0, 1.0, 3.0, 7.0, 8.0])[:, None]  # gaps 1, 1, 2, 1, 1
    x = np.array([0.0, 5.0, -4.0])[:, None]
    measured = diagnostics.off_manifold_distance(x, reference)
    np.testing.assert_allclose(measured, [0.0, 2.0, 4.0])
    # Two real images are enough for a unit.
    measured = diagnostics.off_manifold_distance(x, np.array([[1.0], [3.0]]))
    np.testing.assert_allclose(measured, [0.5, 1.0, 2.5])
    # No unit and no origin of the intensities matters.
    measured = diagnostics.off_manifold_distance(5 * x + 3, 5 * reference + 3)
    np.testing.assert_allclose(measured, [0.0, 2.0, 4.0])


def test_a_blur_passes_as_real_which_the_docstring_warns_of():
    points = np.random.default_rng(0).standard_normal((1000, 10))
    center = diagnostics.off_manifold_distance(np.zeros((1, 10)), points)
    assert center < 0.95


@pytest.mark.parametrize(
    ("x", "reference", "message"),
    [
        (OTHERS * np.inf, IMAGES, "must be finite"),
        (OTHERS[:, :3], IMAGES, "must have the shape of `data`"),
        (OTHERS, IMAGES[:1], "`reference` must be at least two images"),
        (OTHERS, np.zeros((5, 4, 3, 1)), "`reference` must hold different images"),
    ],
)
def test_off_manifold_distance_refuses(x, reference, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.off_manifold_distance(x, reference)


# interpolate


@pytest.mark.parametrize("spherical", [False, True])
def test_a_line_starts_and_ends_at_its_ends(spherical):
    a, b = np.random.default_rng(0).standard_normal((2, 6, 5))
    line = diagnostics.interpolate(a, b, num_steps=9, spherical=spherical)
    assert line.shape == (6, 9, 5)
    np.testing.assert_allclose(line[:, 0], a, atol=1e-12)
    np.testing.assert_allclose(line[:, -1], b, atol=1e-12)
    # A pair at a time gives the same, and so does the way back.
    one = diagnostics.interpolate(a[2], b[2], num_steps=9, spherical=spherical)
    np.testing.assert_allclose(one, line[2], atol=1e-12)
    back = diagnostics.interpolate(b, a, num_steps=9, spherical=spherical)
    np.testing.assert_allclose(back[:, ::-1], line, atol=1e-12)
    # Two steps are the two ends.
    ends = diagnostics.interpolate(a, b, num_steps=2, spherical=spherical)
    np.testing.assert_allclose(ends, np.stack([a, b], axis=1), atol=1e-12)


def test_a_straight_line_has_equal_steps():
    a, b = np.random.default_rng(0).standard_normal((2, 5))
    steps = np.diff(diagnostics.interpolate(a, b, num_steps=5), axis=0)
    np.testing.assert_allclose(steps, np.tile((b - a) / 4, (4, 1)), atol=1e-12)


def test_a_spherical_line_turns_evenly_in_the_plane_of_its_ends():
    a, b = np.random.default_rng(0).standard_normal((2, 5)) * [[2.0], [0.5]]
    line = diagnostics.interpolate(a, b, num_steps=7, spherical=True)
    lengths = np.linalg.norm(line, axis=1)
    np.testing.assert_allclose(np.diff(lengths, n=2), 0, atol=1e-12)
    cosines = np.sum(line[1:] * line[:-1], axis=1) / (lengths[1:] * lengths[:-1])
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    np.testing.assert_allclose(np.arccos(cosines), angle / 6, atol=1e-9)
    assert np.linalg.matrix_rank(np.stack([a, b, *line]), tol=1e-9) == 2


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4])
def test_a_spherical_line_of_no_angle_is_straight(angle):
    a, b = np.array([1.0, 0.0]), 3 * np.array([np.cos(angle), np.sin(angle)])
    line = diagnostics.interpolate(a, b, num_steps=5, spherical=True)
    # They part by the square of the angle.
    np.testing.assert_allclose(
        line, diagnostics.interpolate(a, b, num_steps=5), atol=1e-4
    )


@pytest.mark.parametrize(
    ("z_start", "z_end", "num_steps", "spherical", "message"),
    [
        ([0.0, np.nan], [1.0, 1.0], 3, False, "`z_start` must be finite"),
        (0.0, 1.0, 3, False, r"`z_start` must have.*Received: z_start.shape=\(\)"),
        ([0.0], [1.0, 1.0], 3, False, r"Received: z_end.shape=\(2,\)"),
        ([0.0], [1.0], 1, False, "`num_steps` must be.*at least 2"),
        ([1.0, 0.0], [0.0, 0.0], 3, True, "`z_end` must be away from the origin"),
        ([1.0, 0.0], [-2.0, 0.0], 3, True, "`z_end` must be in a direction"),
        # One pair of two is enough.
        (np.eye(2), [[1.0, 0.0], [0.0, 0.0]], 3, True, "`z_end` must be away"),
        (np.eye(2), [[1.0, 0.0], [0.0, -3.0]], 3, True, "`z_end` must be in a dir"),
    ],
)
def test_interpolate_refuses(z_start, z_end, num_steps, spherical, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.interpolate(
            z_start, z_end, num_steps=num_steps, spherical=spherical
        )


# elbow


def test_the_elbow_of_a_kink_is_the_kink_whatever_the_frame():
    sizes = np.arange(1, 30)
    errors = np.where(sizes < 7, 77.0 - 10 * sizes, 7.7 - 0.1 * sizes)
    assert diagnostics.elbow(sizes, errors) == 7
    assert diagnostics.elbow(sizes[:15], errors[:15]) == 7
    assert diagnostics.elbow(sizes, 3 * errors + 5) == 7


def test_the_elbow_of_a_power_law_moves_with_the_range():
    # Below the chord by most where the slope is the chord's: at sqrt(last) for 1/size.
    for last in (16, 64, 256):
        sizes = np.arange(1, last + 1)
        assert diagnostics.elbow(sizes, 1 / sizes) == np.sqrt(last)


def test_the_elbow_is_the_point_farthest_below_the_chord():
    rng = np.random.default_rng(0)
    for _ in range(100):
        num_sizes = rng.integers(3, 8)
        sizes = np.cumsum(rng.uniform(1, 9, size=num_sizes))
        errors = rng.uniform(2, 9, size=num_sizes)
        if errors[-1] > errors[0]:
            errors = errors[::-1]
        # The area of the triangle of a point and both ends, positive below the chord.
        points = np.stack([sizes, errors], axis=1)
        chord, offsets = points[-1] - points[0], points - points[0]
        areas = chord[1] * offsets[:, 0] - chord[0] * offsets[:, 1]
        assert diagnostics.elbow(sizes, errors) == sizes[np.argmax(areas)]


@pytest.mark.parametrize(
    "sizes, errors, message",
    [
        ([1, 2], [2, 1], "`sizes`"),
        ([1, 3, 2], [3, 2, 1], "`sizes`"),
        ([1, 1, 2], [3, 2, 1], "`sizes`"),
        ([1, 2, 3], [1, 2, 3], "`errors`"),
        ([1, 2, 3], [3, 1, 3], "`errors`"),
        ([1, 2, 3], [3, 1, 4], "`errors`"),
        ([1, 2, 3], [3, 2], "`errors`"),
        ([1, 2, 3], [3, np.nan, 1], "`errors`"),
    ],
)
def test_elbow_refuses(sizes, errors, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.elbow(sizes, errors)


# downstream_accuracy


def two_classes(num_examples, distance, seed):
    """Two round Gaussian clouds in the plane, `distance` standard deviations apart."""
    rng = np.random.default_rng(seed)
    y = np.arange(num_examples) % 2
    return rng.standard_normal((num_examples, 2)) + distance * y[:, None] * [1, 0], y


def test_a_linear_classifier_reaches_the_best_possible_accuracy():
    z_train, y_train = two_classes(4000, 2.0, seed=0)
    z_test, y_test = two_classes(4000, 2.0, seed=1)
    accuracy, low, high = diagnostics.downstream_accuracy(
        z_train, y_train, z_test=z_test, y_test=y_test, classifier="linear"
    )
    best = scipy.stats.norm.cdf(1.0)  # 0.841: half of the distance to the boundary
    assert low < best < high
    # Wilson's interval at 95 % by its formula.
    n, k = 4000, 1.959964**2
    middle = (accuracy + k / 2 / n) / (1 + k / n)
    half = np.sqrt(accuracy * (1 - accuracy) * k / n + k**2 / 4 / n**2) / (1 + k / n)
    np.testing.assert_allclose([low, high], [middle - half, middle + half], atol=1e-6)


def test_a_stretched_axis_misleads_neighbors_and_not_the_linear_classifier():
    z_train, y_train = two_classes(1000, 4.0, seed=0)
    z_test, y_test = two_classes(1000, 4.0, seed=1)
    accuracy = {
        (stretch, name): diagnostics.downstream_accuracy(
            z_train * [1, stretch],
            y_train,
            z_test=z_test * [1, stretch],
            y_test=y_test,
            classifier=name,
        )[0]
        for stretch in (1.0, 1e4)
        for name in ("1nn", "linear")
    }
    assert accuracy[1.0, "1nn"] > 0.94
    assert accuracy[1e4, "1nn"] < 0.6  # only the axis without a class counts
    assert abs(accuracy[1e4, "linear"] - accuracy[1.0, "linear"]) < 1e-9


def test_one_neighbor_remembers_what_it_was_shown():
    y = np.arange(30) % 3
    accuracy, low, high = diagnostics.downstream_accuracy(
        IMAGES, y, z_test=IMAGES, y_test=y
    )
    assert (accuracy, high) == (1.0, 1.0)
    assert 0.85 < low < 0.9  # 30 right answers do not prove perfection
    assert {type(value) for value in (accuracy, low, high)} == {float}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": "svm"}, "`classifier` must be one of.*Received: classifier="),
        ({"z_test": OTHERS * np.nan}, "`z_test` must be finite"),
        ({"z_test": OTHERS[:, :2]}, "`z_test` must have the shape of `z_train`"),
        ({"y_train": np.zeros(29)}, "`y_train` must have the shape of `z_train`"),
        ({"y_test": np.zeros((7, 1))}, "`y_test` must have the shape of `z_test`"),
    ],
)
def test_downstream_accuracy_refuses(change, message):
    arguments = {
        "z_train": IMAGES,
        "y_train": np.arange(30) % 3,
        "z_test": OTHERS,
        "y_test": np.arange(7) % 3,
    }
    with pytest.raises(ValueError, match=message):
        diagnostics.downstream_accuracy(**arguments | change)


# psnr, ssim


def grey_images(num_images=3, shape=(16, 12, 2), seed=0):
    return np.random.default_rng(seed).random((num_images, *shape))


def test_psnr_is_ten_logarithms_of_the_inverse_mean_squared_error():
    x, x_hat = grey_images(), grey_images(seed=1) * 1.2 - 0.1
    by_hand = -10 * np.log10(np.mean((x - x_hat) ** 2, axis=(1, 2, 3)))
    np.testing.assert_allclose(diagnostics.psnr(x, x_hat), by_hand, rtol=1e-12)


def test_psnr_of_equal_images_is_infinite():
    x = grey_images()
    x_hat = x.copy()
    x_hat[1] += 0.1
    measured = diagnostics.psnr(x, x_hat)
    assert np.isinf(measured[[0, 2]]).all()
    assert measured[1] == pytest.approx(20.0)


def test_ssim_equals_the_published_formula_in_one_window():
    x, x_hat = grey_images(shape=(11, 11)), grey_images(shape=(11, 11), seed=1)
    # An image of the size of the window has one place: the one in the middle.
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2

    def mean(image):
        return np.sum(window * image, axis=(1, 2))

    mean_x, mean_y = mean(x), mean(x_hat)
    var_x, var_y = mean(x**2) - mean_x**2, mean(x_hat**2) - mean_y**2
    cov = mean(x * x_hat) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    by_hand = (2 * mean_x * mean_y + c1) * (2 * cov + c2)
    by_hand /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    np.testing.assert_allclose(diagnostics.ssim(x, x_hat), by_hand, rtol=1e-10)


def test_ssim_is_one_for_equal_images_and_about_zero_for_unrelated_ones():
    x = grey_images(num_images=40, shape=(28, 28))
    np.testing.assert_allclose(diagnostics.ssim(x, x), 1.0)
    unrelated = diagnostics.ssim(x, grey_images(40, (28, 28), seed=1))
    # The covariance of a window of some 28 independent pixels, over 324 places.
    assert abs(unrelated.mean()) < 0.05
    # Means differ by nothing: what is left is the covariance term.
    assert (unrelated < 0.3).all()


@pytest.mark.parametrize("measure", [diagnostics.psnr, diagnostics.ssim])
def test_image_measures_take_all_of_the_range(measure):
    x = np.round(grey_images())  # zeros and ones
    assert measure(x, 0.5 + 0 * x).shape == (3,)


@pytest.mark.parametrize("measure", [diagnostics.psnr, diagnostics.ssim])
@pytest.mark.parametrize(
    ("x", "x_hat", "message"),
    [
        (np.zeros((2, 12, 12)), np.zeros((2, 12, 12, 1)), "`x_hat` must have"),
        (np.zeros((12, 12)), np.zeros((12, 12)), "`x` must have the shape"),
        (np.zeros((0, 12, 12)), np.zeros((0, 12, 12)), "`x` must have the shape"),
        (np.full((2, 12, 12), 255), np.zeros((2, 12, 12)), r"`x` must lie in \[0, 1\]"),
        (1.5 * np.eye(12)[None], np.zeros((1, 12, 12)), r"`x` must lie in \[0, 1\]"),
        (np.eye(12)[None] - 0.5, np.zeros((1, 12, 12)), r"`x` must lie in \[0, 1\]"),
        (np.zeros((2, 12, 12)), np.full((2, 12, 12), np.nan), "`x_hat` must be finite"),
    ],
)
def test_image_measures_refuse(measure, x, x_hat, message):
    with pytest.raises(ValueError, match=message):
        measure(x, x_hat)


@pytest.mark.parametrize("shape", [(2, 11, 10), (2, 10, 11)])
def test_ssim_refuses_images_smaller_than_its_window(shape):
    with pytest.raises(ValueError, match=r"`x` must hold.*x.shape=\(2, 1"):
        diagnostics.ssim(np.zeros(shape), np.zeros(shape))


# checkerboard_index

ROWS, COLUMNS = np.indices((12, 18))
# Patterns of period 2 or 3 without a mean, and the sum of their squared differences.
PATTERNS = {
    "checkerboard": (2, (-1.0) ** (ROWS + COLUMNS), 8 * ROWS.size),
    "columns": (2, (-1.0) ** COLUMNS, 4 * ROWS.size),
    "every third row": (3, (ROWS % 3 == 0) * 1.0, 2 / 3 * ROWS.size),
}


def gradient_energy(image):
    return sum(np.sum((np.roll(image, 1, axis) - image) ** 2) for axis in (0, 1))


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("amplitude", [0.01, 0.1, 1.0])
def test_checkerboard_index_finds_the_share_that_was_planted(name, amplitude):
    stride, pattern, energy = PATTERNS[name]
    image = np.random.default_rng(0).random(ROWS.shape)
    # Nothing of the period in the image itself: its Fourier terms there set to zero.
    spectrum = np.fft.fft2(image)
    spectrum[:: ROWS.shape[0] // stride, :: ROWS.shape[1] // stride] = 0
    image = np.fft.ifft2(spectrum).real
    planted = amplitude**2 * energy
    expected = planted / (planted + gradient_energy(image))
    images = np.stack([image, image + amplitude * pattern, pattern])
    measured = diagnostics.checkerboard_index(images, stride)
    np.testing.assert_allclose(measured, [0, expected, 1], atol=1e-10)
    # Channels count together; an odd rim is cropped.
    images = np.repeat(images[..., None], 2, axis=-1)
    images = np.pad(images, [(0, 0), (0, stride - 1), (0, 0), (0, 0)])
    again = diagnostics.checkerboard_index(images, stride)
    np.testing.assert_allclose(again, measured, atol=1e-10)


def test_checkerboard_index_is_zero_for_constants_and_small_for_smooth_images():
    assert diagnostics.checkerboard_index(np.full((1, 8, 8), 0.1)).max() == 0
    rows, columns = np.indices((28, 28)) - 13.3
    blob = np.exp(-(rows**2 + columns**2) / (2 * 3.0**2))
    # By Poisson summation exp(-(3 pi)^2 / 2), but for the cut tails.
    assert diagnostics.checkerboard_index(blob[None])[0] < 1e-6


def test_checkerboard_index_takes_rounding_for_a_constant():
    # Each of 64 pixels adds 8 e^2 to the gradients of c + e (-1)^(row + column): the
    # limit, 1e-20 of the sum of squares, is at e = 3.5e-11 c, rounding at 1e-16 c.
    checkerboard = PATTERNS["checkerboard"][1][:8, :8]
    images = 1000 * np.stack([1 + e * checkerboard for e in (1e-15, 2e-11, 5e-11)])
    np.testing.assert_allclose(
        diagnostics.checkerboard_index(images), [0, 0, 1], atol=1e-3
    )
    assert diagnostics.checkerboard_index(np.zeros((1, 8, 8)))[0] == 0


def test_two_periods_are_enough_for_a_checkerboard_index():
    checkerboard = PATTERNS["checkerboard"][1][:4, :5]
    np.testing.assert_allclose(diagnostics.checkerboard_index(checkerboard[None]), 1)


@pytest.mark.parametrize("stride", [2, 4])
def test_checkerboard_index_of_noise_is_what_chance_gives(stride):
    noise = np.random.default_rng(0).normal(size=(4000, 16, 16))
    chance = stride**2 / 16**2
    # Four standard errors of a mean over 4,000 images, with at least three terms each.
    measured = diagnostics.checkerboard_index(noise, stride).mean()
    assert measured == pytest.approx(chance, rel=4 * np.sqrt(2 / 3 / 4000))


def test_checkerboard_index_misses_a_pattern_that_changes_its_sign():
    pattern = (-1.0) ** (ROWS + COLUMNS) * np.where(ROWS < 6, 1, -1)
    assert diagnostics.checkerboard_index(pattern[None])[0] < 1e-12


@pytest.mark.parametrize(
    ("images", "stride", "message"),
    [
        (np.zeros((2, 8, 8)), 1, "`stride` must be.*Received: stride=1"),
        (np.zeros((2, 8, 8)), 2.0, "`stride` must be"),
        (np.zeros((2, 8, 8)), 5, r"`images` must hold.*images.shape=\(2, 8, 8"),
        (np.zeros((2, 8, 3)), 2, r"`images` must hold.*images.shape=\(2, 8, 3"),
        (np.zeros((8, 8)), 2, "`images` must have the shape"),
        (np.full((2, 8, 8), np.inf), 2, "`images` must be finite"),
    ],
)
def test_checkerboard_index_refuses(images, stride, message):
    with pytest.raises(ValueError, match=message):
        diagnostics.checkerboard_index(images, stride)


# jacobian


class TriplesInTraining(keras.layers.Layer):
    def call(self, x, training=None):
        return 3.0 * x if training else x


def test_the_jacobian_is_that_outside_training_where_the_encoder_is_no_chain():
    x = keras.Input((4,))
    dense = keras.layers.Dense(2)
    encoder = keras.Model(x, dense(keras.layers.add([x, TriplesInTraining()(x)])))
    kernel = ops.convert_to_numpy(dense.kernel)
    found = ops.convert_to_numpy(diagnostics.jacobian(encoder, np.ones((3, 4))))
    np.testing.assert_allclose(found, np.tile(2 * kernel.T, (3, 1, 1)), rtol=1e-6)
    penalty = diagnostics.jacobian_penalty(encoder, np.ones((3, 4)))
    expected = np.full(3, 4 * np.sum(kernel**2))
    np.testing.assert_allclose(ops.convert_to_numpy(penalty), expected, rtol=1e-5)
