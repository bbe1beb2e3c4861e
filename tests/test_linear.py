"""Facts and refusals of the closed forms of linear models."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from sklearn.decomposition import PCA

from aecourse import linear, runtime

# Everything below is float64 linear algebra on matrices of condition number < 100, so
# errors stay within a few hundred units in the last place.
EXACT = 1e-10


def random_rotation(dim, seed):
    return scipy.stats.ortho_group.rvs(dim, random_state=seed)


def random_data(num_examples=60, num_features=8, seed=0):
    """Centered examples whose singular values lie well apart."""
    draws = np.random.default_rng(seed).standard_normal((num_examples, num_features))
    x = draws * 2.0 ** -np.arange(num_features) @ random_rotation(num_features, seed)
    return x - x.mean(axis=0)


# principal_angles


@pytest.mark.parametrize("degrees", [0.0, 1e-5, 1.0, 37.5, 89.0, 90.0])
def test_finds_the_angle_between_two_lines_in_the_plane(degrees):
    angle = np.radians(degrees)
    line = np.array([[np.cos(angle)], [np.sin(angle)]])
    np.testing.assert_allclose(
        linear.principal_angles([[1.0], [0.0]], line), [degrees], atol=EXACT
    )


def test_returns_the_angles_smallest_first_wherever_the_space_is_turned():
    expected = np.array([5.0, 20.0, 70.0])
    a = np.eye(6)[:, :3]
    b = a * np.cos(np.radians(expected)) + np.eye(6)[:, 3:] * np.sin(
        np.radians(expected)
    )
    turn = random_rotation(6, seed=1)
    np.testing.assert_allclose(
        linear.principal_angles(turn @ a, turn @ b[:, ::-1]), expected, atol=EXACT
    )


def test_does_not_see_the_choice_of_basis():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 9, 3))
    # Columns of very different lengths, as a regularized decoder has them.
    mixing = rng.standard_normal((3, 3)) * [1e-6, 1.0, 1e6]
    np.testing.assert_allclose(
        linear.principal_angles(a, b @ random_rotation(3, seed=3)),
        linear.principal_angles(a * [1e-6, -1.0, 1e6], b),
        atol=1e-8,  # looser than EXACT: the mixed basis is badly scaled on purpose
    )
    assert linear.principal_angles(a, a @ mixing).max() < 1e-3


def test_gives_one_angle_for_each_direction_of_the_smaller_span():
    space = np.eye(5)
    angles = linear.principal_angles(space[:, :3], space[:, 1:2])
    np.testing.assert_allclose(angles, [0.0], atol=EXACT)
    assert linear.principal_angles(space[:, :2], space[:, 1:4]).shape == (2,)


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.array([[1.0], [np.nan], [0.0]]), "`a` must be finite.*1 NaN"),
        (np.array([[1.0], [np.inf], [0.0]]), "`a` must be finite"),
        (np.ones(3), r"`a` must have the shape.*a.shape=\(3,\)"),
        (np.ones((3, 0)), r"`a` must have the shape.*a.shape=\(3, 0\)"),
        (np.ones((3, 2)), "linearly independent.*rank=1"),
        (
            np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
            "linearly independent.*rank=1",
        ),
        (np.ones((3, 1)) + np.eye(3, 5), "transposed.*rank=3"),
        (np.eye(4)[:, :1], r"as many rows.*`a`, 4. Received: b.shape=\(3, 1\)"),
    ],
)
def test_principal_angles_refuses(a, message):
    with pytest.raises(ValueError, match=message):
        linear.principal_angles(a, np.eye(3)[:, :1])


# eckart_young


@pytest.mark.parametrize("k", [1, 3, 8])
def test_equals_the_reconstruction_error_and_the_axes_of_pca(k):
    x = random_data()
    error, basis = linear.eckart_young(x, k)
    pca = PCA(k, svd_solver="full").fit(x)
    x_hat = pca.inverse_transform(pca.transform(x))
    expected = np.mean(np.sum((x - x_hat) ** 2, axis=1))
    np.testing.assert_allclose(error, expected, rtol=1e-9, atol=EXACT)
    np.testing.assert_allclose(
        np.abs(np.sum(basis * pca.components_.T, axis=0)), np.ones(k), atol=EXACT
    )


def test_the_basis_attains_the_error_and_no_other_subspace_beats_it():
    x = random_data(seed=4)
    error, basis = linear.eckart_young(x, 3)

    def projection_error(directions):
        residual = x - x @ directions @ directions.T
        return np.mean(np.sum(residual**2, axis=1))

    np.testing.assert_allclose(projection_error(basis), error, rtol=1e-9)
    for seed in range(20):
        assert projection_error(random_rotation(8, seed)[:, :3]) > error


def test_takes_more_features_than_examples():
    x = random_data(num_examples=5, num_features=8)
    error, basis = linear.eckart_young(x, 4)
    # Five centered examples span four dimensions.
    assert basis.shape == (8, 4)
    assert error < EXACT


def test_does_not_center_the_data():
    x = (
        np.full((10, 1), 3.0) * [[1.0, 0.0]]
        + [[0.0, 1.0]] * (np.arange(10) % 2)[:, None]
    )
    error, basis = linear.eckart_young(x, 1)
    assert abs(basis[0, 0]) > 0.9  # the mean itself is the first direction
    centered_error, _ = linear.eckart_young(x - x.mean(axis=0), 1)
    assert centered_error < EXACT < error


@pytest.mark.parametrize("k", [0, 9, 2.0, True])
def test_refuses_a_rank_out_of_range(k):
    with pytest.raises(ValueError, match=f"`k` must be.*Received: k={k}"):
        linear.eckart_young(random_data(), k)


def test_refuses_data_with_nan_or_more_than_two_axes():
    with pytest.raises(ValueError, match="`x` must be finite"):
        linear.eckart_young([[1.0, np.nan]], 1)
    with pytest.raises(ValueError, match=r"`x` must have.*x.shape=\(2, 2, 2\)"):
        linear.eckart_young(np.ones((2, 2, 2)), 1)


# axis_misalignment


def test_is_zero_for_the_same_axes_in_any_order_sign_and_length():
    axes = random_rotation(7, seed=5)[:, :4]
    decoder = axes[:, [2, 0, 3, 1]] * [-1.0, 3.0, 1e-3, -20.0]
    assert linear.axis_misalignment(decoder, axes) < EXACT
    assert linear.axis_misalignment(axes, axes * [1.0, 2.0, 3.0, 4.0]) < EXACT


@pytest.mark.parametrize("degrees", [0.0, 10.0, 45.0, 80.0])
def test_follows_the_closed_form_for_a_turned_pair(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    decoder = np.eye(5)[:, :2] @ [[cosine, -sine], [sine, cosine]]
    # Each axis takes the nearer of the two turned ones.
    expected = min(cosine**2, sine**2)
    measured = linear.axis_misalignment(decoder, np.eye(5)[:, :2])
    np.testing.assert_allclose(measured, expected, atol=EXACT)


def test_equals_the_definition_written_as_a_loop():
    rng = np.random.default_rng(6)
    decoder, basis = rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    total = 0.0
    for u in basis.T:
        cosines = [
            abs(u @ v) / (np.linalg.norm(u) * np.linalg.norm(v)) for v in decoder.T
        ]
        total += 1 - max(cosines) ** 2
    np.testing.assert_allclose(linear.axis_misalignment(decoder, basis), total / 3)


def test_rotated_axes_of_the_right_subspace_give_three_quarters_at_twenty():
    axes = np.eye(30)[:, :20]
    values = [
        linear.axis_misalignment(axes @ random_rotation(20, seed), axes)
        for seed in range(20)
    ]
    # 0.753 with standard deviation 0.017 over 200 rotations: the mean of 20 is known
    # to 0.004, and 0.02 is five of these.
    assert abs(np.mean(values) - 0.753) < 0.02


def test_is_one_for_orthogonal_directions_and_counts_dead_columns_as_such():
    axes = np.eye(6)
    assert linear.axis_misalignment(axes[:, 3:], axes[:, :3]) == 1.0
    assert linear.axis_misalignment(np.zeros((6, 3)), axes[:, :3]) == 1.0
    dead = axes[:, :3] * [1.0, 1.0, 0.0]
    np.testing.assert_allclose(linear.axis_misalignment(dead, axes[:, :3]), 1 / 3)


@pytest.mark.parametrize(
    ("decoder", "basis", "message"),
    [
        (np.full((3, 2), np.nan), np.eye(3), "`decoder` must be finite"),
        (np.eye(3), np.full((3, 2), np.nan), "`basis` must be finite"),
        (np.eye(4), np.eye(3), r"`decoder` must have as many rows.*\(4, 4\)"),
        (np.eye(3), np.ones((3, 2)), "`basis` must have linearly independent"),
        (np.ones(3), np.eye(3), "`decoder` must have the shape"),
    ],
)
def test_axis_misalignment_refuses(decoder, basis, message):
    with pytest.raises(ValueError, match=message):
        linear.axis_misalignment(decoder, basis)


# PPCA: likelihood, posterior, imputation


def random_model(num_features=5, latent_dim=2, seed=0, variance=0.4):
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(num_features, latent_dim))
    return linear.PPCA(rng.normal(size=num_features), loadings, variance=variance)


def with_holes(x, share, seed=0):
    """`x` with NaN at random places, one row complete and one row empty."""
    x = x.copy()
    x[np.random.default_rng(seed).random(x.shape) < share] = np.nan
    x[0], x[1] = 0.3, np.nan
    return x


def marginal(model, observed):
    """TFP's multivariate normal of the observed features of a model."""
    tfd = runtime.oracle().distributions
    covariance = model.covariance[np.ix_(observed, observed)]
    root = np.linalg.cholesky(covariance)
    return tfd.MultivariateNormalTriL(model.mean[observed], root)


def test_the_log_likelihood_is_that_of_tfp_with_the_missing_integrated_out():
    model = random_model()
    x = with_holes(np.random.default_rng(1).normal(size=(40, 5)) * 3, 0.4)
    nats = model.log_likelihood(x)
    assert nats.shape == (40,)
    for row, value in zip(x, nats, strict=True):
        observed = ~np.isnan(row)
        if observed.any():
            expected = float(marginal(model, observed).log_prob(row[observed]))
            # TFP keeps log(2 pi) in float32.
            np.testing.assert_allclose(value, expected, rtol=1e-7)
        else:
            assert value == pytest.approx(0.0, abs=EXACT)


def test_the_density_of_one_feature_integrates_to_one():
    model = random_model()
    grid = np.linspace(-30, 30, 20_001)
    x = np.full((len(grid), 5), np.nan)
    x[:, 3] = grid
    total = np.exp(model.log_likelihood(x)).sum() * (grid[1] - grid[0])
    np.testing.assert_allclose(total, 1.0, rtol=1e-6)  # the grid is the error


def test_the_posterior_is_the_joint_gaussian_conditioned_on_what_is_seen():
    model = random_model()
    w = model.loadings
    # The covariance of (z, x), inverted as a whole: no Woodbury in here.
    joint = np.block([[np.eye(2), w.T], [w, model.covariance]])
    x = with_holes(np.random.default_rng(2).normal(size=(20, 5)), 0.5)
    z_mean, z_covariance = model.posterior(x)
    assert z_mean.shape == (20, 2) and z_covariance.shape == (20, 2, 2)
    for row, mean, covariance in zip(x, z_mean, z_covariance, strict=True):
        seen = ~np.isnan(row)
        block = np.r_[True, True, seen]
        precision = np.linalg.inv(joint[np.ix_(block, block)])
        expected = np.linalg.inv(precision[:2, :2])
        np.testing.assert_allclose(covariance, expected, rtol=1e-9)
        pull = -expected @ precision[:2, 2:] @ (row - model.mean)[seen]
        np.testing.assert_allclose(mean, pull, rtol=1e-9, atol=EXACT)


def test_the_posterior_without_observations_is_the_prior():
    z_mean, z_covariance = random_model().posterior(np.full((1, 5), np.nan))
    np.testing.assert_allclose(z_mean, np.zeros((1, 2)), atol=EXACT)
    np.testing.assert_allclose(z_covariance, np.eye(2)[None], atol=EXACT)


def test_imputes_the_conditional_mean_and_leaves_the_rest():
    model = random_model()
    x = with_holes(np.random.default_rng(3).normal(size=(20, 5)), 0.5)
    filled = model.impute(x)
    seen = ~np.isnan(x)
    np.testing.assert_array_equal(filled[seen], x[seen])
    for row, result in zip(x, filled, strict=True):
        there = ~np.isnan(row)
        cross = model.covariance[np.ix_(~there, there)]
        inner = model.covariance[np.ix_(there, there)]
        shift = cross @ np.linalg.solve(inner, (row - model.mean)[there])
        expected = model.mean[~there] + shift
        np.testing.assert_allclose(result[~there], expected, rtol=1e-9)


def test_reconstructs_by_the_posterior_mean_between_mean_and_projection():
    x = random_data(seed=8) + 5.0
    model = linear.ppca(x, 3)
    mean, eigenvalues, directions = linear.principal_components(x)
    shrink = 1 - model.variance / eigenvalues[:3]
    plane = directions[:, :3]
    expected = mean + (x - mean) @ plane * shrink @ plane.T
    np.testing.assert_allclose(model.reconstruct(x), expected, atol=EXACT)


def test_examples_that_share_a_pattern_are_told_apart_from_the_others():
    # Ten patterns in random order, more than eight features: several bytes a pattern.
    model = random_model(num_features=11)
    rng = np.random.default_rng(4)
    masks = rng.random((10, 11)) < 0.5
    x = rng.normal(size=(60, 11))
    x[masks[rng.integers(10, size=60)]] = np.nan
    together = model.log_likelihood(x)
    alone = [model.log_likelihood(row[None])[0] for row in x]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


# ppca


@pytest.mark.parametrize("latent_dim", [1, 3, 7])
def test_the_closed_form_has_the_likelihood_of_scikit_learn(latent_dim):
    x = random_data(seed=1) + 2.0
    num = len(x)
    model = linear.ppca(x, latent_dim)
    # scikit-learn divides by N - 1: a covariance larger by N / (N - 1) throughout.
    pca = PCA(latent_dim, svd_solver="full").fit(x)
    scale = (num - 1) / num
    np.testing.assert_allclose(model.variance, pca.noise_variance_ * scale, rtol=1e-9)
    np.testing.assert_allclose(
        model.covariance, pca.get_covariance() * scale, atol=EXACT
    )
    stretched = dataclasses.replace(
        model,
        loadings=model.loadings / np.sqrt(scale),
        variance=model.variance / scale,
    )
    np.testing.assert_allclose(
        stretched.log_likelihood(x), pca.score_samples(x), rtol=1e-9
    )
    # The point of the divisor: ours is the larger likelihood.
    assert model.log_likelihood(x).mean() > pca.score(x)


@pytest.mark.parametrize("variance", [None, 0.05])
def test_no_other_model_is_more_likely(variance):
    x = random_data(seed=2)
    best = linear.ppca(x, 2, variance=variance)
    height = best.log_likelihood(x).mean()
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(10):
            other = dataclasses.replace(
                best,
                mean=best.mean + size * rng.normal(size=8),
                loadings=best.loadings + size * rng.normal(size=(8, 2)),
                variance=best.variance * (1 if variance else np.exp(size)),
            )
            assert other.log_likelihood(x).mean() < height


def test_the_closed_form_is_where_a_search_from_elsewhere_ends():
    x = random_data(num_features=4, seed=3)

    def loss(point):
        loadings, log_variance = point[:4, None], point[4]
        model = linear.PPCA(
            x.mean(axis=0), loadings, variance=float(np.exp(log_variance))
        )
        return -model.log_likelihood(x).mean()

    found = scipy.optimize.minimize(loss, np.r_[0.3, 0.2, -0.1, 0.4, 0.0]).fun
    # The search stops at gradients of 1e-5, near 1e-9 in the value.
    best = -linear.ppca(x, 1).log_likelihood(x).mean()
    np.testing.assert_allclose(found, best, atol=1e-7)


def test_a_given_variance_leaves_directions_below_it_without_loadings():
    x = random_data(seed=5)
    _, eigenvalues, directions = linear.principal_components(x)
    variance = float(np.sqrt(eigenvalues[2] * eigenvalues[3]))
    model = linear.ppca(x, 8, variance=variance)
    lengths = np.linalg.norm(model.loadings, axis=0) ** 2
    np.testing.assert_allclose(lengths[:3], eigenvalues[:3] - variance, rtol=1e-9)
    np.testing.assert_array_equal(lengths[3:], np.zeros(5))
    assert linear.principal_angles(directions[:, :3], model.loadings[:, :3])[-1] < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.full((4, 3), np.nan)}, "`x` must be complete.*ppca_em.*Received: x"),
        ({"x": np.full((4, 3), np.inf)}, "`x` must be .*Received: x with 12 "),
        ({"x": np.ones(4)}, r"`x` must have.*Received: x.shape=\(4,\)"),
        ({"latent_dim": 8}, "`latent_dim` must be .*at most 7.*latent_dim=8"),
        ({"latent_dim": 0}, "`latent_dim` must be a whole number, at least 1"),
        ({"latent_dim": 9, "variance": 1.0}, "at most 8.*latent_dim=9"),
        ({"variance": 0.0}, "`variance` must be a finite number above 0.*variance=0"),
        ({"variance": float("nan")}, "`variance` must be a finite number"),
        ({"x": np.ones((9, 1)) * np.arange(3.0)}, "subspace.*unbounded"),
        ({"x": np.arange(9.0)[:, None] * np.arange(3.0)}, "subspace.*unbounded"),
    ],
)
def test_ppca_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        linear.ppca(**({"x": random_data(), "latent_dim": 2} | arguments))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loadings": np.ones(5)}, r"must be a matrix.*loadings.shape=\(5,\)"),
        ({"mean": np.ones(4)}, r"row for each of the 4 features.*\(5, 2\)"),
        ({"variance": -1.0}, "`variance` must be a finite number above 0"),
    ],
)
def test_a_model_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(random_model(), **fields)


def test_a_model_refuses_examples_of_other_sizes():
    model = random_model()
    for method in (model.log_likelihood, model.posterior, model.impute):
        with pytest.raises(ValueError, match=r"5 features of the model.*\(3, 4\)"):
            method(np.ones((3, 4)))


# ppca_em


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_em_never_lowers_the_log_likelihood(share, seed):
    x = with_holes(random_data(seed=seed) + 1.0, share, seed)
    model, log_likelihoods = linear.ppca_em(x, 3, num_steps=60, seed=seed)
    assert log_likelihoods.shape == (61,)
    assert np.diff(log_likelihoods).min() > -1e-9  # rounding, at the end
    assert log_likelihoods[-1] - log_likelihoods[0] > 0.1
    np.testing.assert_allclose(log_likelihoods[-1], model.log_likelihood(x).mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_em_on_complete_data_arrives_at_the_closed_form(seed):
    x = random_data(seed=6) + 3.0
    exact = linear.ppca(x, 3)
    model, log_likelihoods = linear.ppca_em(x, 3, num_steps=400, seed=seed)
    np.testing.assert_allclose(model.mean, exact.mean, atol=1e-6)
    np.testing.assert_allclose(model.covariance, exact.covariance, atol=1e-6)
    # The eigenvalues fall by 4 from one to the next: the rate is about 1/4 a step.
    np.testing.assert_allclose(
        log_likelihoods[-1], exact.log_likelihood(x).mean(), atol=1e-9
    )


def test_em_with_holes_ends_where_the_gradient_vanishes():
    x = with_holes(random_data(num_features=4, seed=7), 0.3)
    model, _ = linear.ppca_em(x, 1, num_steps=500)

    def height(point):
        other = linear.PPCA(
            point[:4], point[4:8, None], variance=float(np.exp(point[8]))
        )
        return other.log_likelihood(x).mean()

    top = np.r_[model.mean, model.loadings[:, 0], np.log(model.variance)]
    slopes = scipy.optimize.approx_fprime(top, height, 1e-6)
    # Forward differences over 1e-6 are good to about 1e-5 here.
    assert np.abs(slopes).max() < 1e-4
    moved = top + np.random.default_rng(0).normal(size=9) * 0.01
    assert np.abs(scipy.optimize.approx_fprime(moved, height, 1e-6)).max() > 1e-3


def test_em_finds_the_model_that_lost_half_of_its_data():
    truth = random_model(num_features=10, latent_dim=2, seed=3)
    rng = np.random.default_rng(0)
    z, noise = rng.normal(size=(4000, 2)), rng.normal(size=(4000, 10))
    x = truth.mean + z @ truth.loadings.T + np.sqrt(truth.variance) * noise
    patterns = rng.random((100, 10)) < 0.5
    holes = np.where(patterns[rng.integers(100, size=4000)], np.nan, x)
    model, _ = linear.ppca_em(holes, 2, num_steps=60)
    # 2,000 pairs of observations behind a variance, 1,000 behind a covariance: errors
    # of a few percent of the largest variance, 5.
    np.testing.assert_allclose(model.covariance, truth.covariance, atol=0.4)
    np.testing.assert_allclose(model.variance, truth.variance, rtol=0.05)
    # Where both are seen the mean fills nothing in: it is the baseline to beat.
    missing = np.isnan(holes)
    error = np.mean((model.impute(holes) - x)[missing] ** 2)
    by_mean = np.mean((np.nanmean(holes, axis=0) - x)[missing] ** 2)
    assert error < 0.5 * by_mean


def test_em_starts_from_its_seed():
    x = with_holes(random_data(seed=9), 0.2)
    first, again, other = (
        linear.ppca_em(x, 2, num_steps=3, seed=seed)[0].loadings for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.array([[1.0, np.nan], [2.0, np.nan]])}, "every feature.*1 of 2"),
        ({"x": np.full((4, 3), np.inf)}, "`x` must be finite"),
        ({"latent_dim": 8}, "`latent_dim` must be a whole.*at most 7.*latent_dim=8"),
        ({"num_steps": 0}, "`num_steps` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number, at least 0"),
        ({"x": np.ones((9, 3)), "latent_dim": 1}, "subspace.*unbounded"),
    ],
)
def test_ppca_em_refuses(arguments, message):
    defaults = {"x": random_data(), "latent_dim": 2, "num_steps": 5}
    if "x" in arguments:
        defaults["latent_dim"] = 1
    with pytest.raises(ValueError, match=message):
        linear.ppca_em(**(defaults | arguments))


def test_em_refuses_data_that_leave_no_noise():
    x = np.random.default_rng(0).normal(size=(20, 1)) * np.ones(3)
    with pytest.raises(ValueError, match="subspace.*unbounded"):
        linear.ppca_em(x, 1, num_steps=500)


# linear_vae_optimum


def analytic_elbo(x, mean, decoder, encoder, z_variance, variance):
    """The ELBO of each example, term by term as it is defined, in nats."""
    z_mean = (x - mean) @ encoder
    squares = np.sum((x - mean - z_mean @ decoder.T) ** 2, axis=1)
    squares += np.sum(z_variance * decoder**2)
    reconstruction = squares / variance + x.shape[1] * np.log(2 * np.pi * variance)
    kl = z_mean**2 + z_variance - 1 - np.log(z_variance)
    return -(reconstruction + np.sum(kl, axis=1)) / 2, kl / 2


@pytest.mark.parametrize(
    ("latent_dim", "variance"), [(3, None), (3, 0.01), (8, 0.01), (8, 1e-4)]
)
def test_the_optimum_has_its_elbo_and_kl_by_their_definitions(latent_dim, variance):
    x = random_data(seed=10) + 1.0
    best = linear.linear_vae_optimum(x, latent_dim, variance=variance)
    elbo, kl = analytic_elbo(
        x, best.mean, best.decoder, best.encoder, best.z_variance, best.variance
    )
    np.testing.assert_allclose(elbo.mean(), best.elbo, rtol=1e-9)
    np.testing.assert_allclose(kl.mean(axis=0), best.kl_per_axis, atol=EXACT)
    # The bound is tight, for each example.
    model = linear.ppca(x, latent_dim, variance=variance)
    np.testing.assert_allclose(elbo, model.log_likelihood(x), rtol=1e-9)


def test_the_encoder_of_the_optimum_is_the_exact_posterior():
    x = random_data(seed=11) + 1.0
    best = linear.linear_vae_optimum(x, 6, variance=0.01)
    z_mean, z_covariance = linear.ppca(x, 6, variance=0.01).posterior(x)
    np.testing.assert_allclose((x - best.mean) @ best.encoder, z_mean, atol=EXACT)
    expected = np.broadcast_to(np.diag(best.z_variance), z_covariance.shape)
    np.testing.assert_allclose(z_covariance, expected, atol=EXACT)


def test_no_other_linear_vae_has_a_larger_elbo():
    x = random_data(seed=12)
    best = linear.linear_vae_optimum(x, 4, variance=0.02)
    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1):
        for _ in range(10):
            elbo, _ = analytic_elbo(
                x,
                best.mean + size * rng.normal(size=8),
                best.decoder + size * rng.normal(size=(8, 4)),
                best.encoder + size * rng.normal(size=(8, 4)),
                best.z_variance * np.exp(size * rng.normal(size=4)),
                best.variance,
            )
            assert elbo.mean() < best.elbo


def test_the_kl_of_an_axis_is_half_the_log_of_eigenvalue_over_variance():
    scales = np.array([8.0, 4.0, 2.0, 0.5])
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    best = linear.linear_vae_optimum(signs * np.sqrt(scales), 4, variance=1.0)
    expected = [np.log(8) / 2, np.log(4) / 2, np.log(2) / 2, 0.0]
    np.testing.assert_allclose(best.kl_per_axis, expected, atol=EXACT)
    np.testing.assert_allclose(best.z_variance, [1 / 8, 1 / 4, 1 / 2, 1], rtol=1e-9)
    np.testing.assert_allclose(best.eigenvalues, scales, rtol=1e-9)


# predicted_active_axes


@pytest.mark.parametrize("latent_dim", [2, 8])
def test_predicts_the_active_units_of_the_optimum(latent_dim):
    x = random_data(seed=13)
    for variance in np.geomspace(1e-6, 2.0, 40):
        best = linear.linear_vae_optimum(x, latent_dim, variance=float(variance))
        z_mean = (x - best.mean) @ best.encoder
        for threshold in (0.0, 0.01, 0.3):
            active = np.sum(z_mean.var(axis=0) > threshold + EXACT)
            assert active == linear.predicted_active_axes(
                best.eigenvalues,
                latent_dim,
                variance=float(variance),
                threshold=threshold,
            )


def test_counts_strictly_above_the_threshold_in_any_order():
    assert (
        linear.predicted_active_axes([1.0, 3.0, 2.0], 3, variance=1.0, threshold=0.0)
        == 2
    )
    assert linear.predicted_active_axes([1.0, 3.0, 2.0], 1, variance=0.1) == 1
    assert linear.predicted_active_axes([1.0], 3, variance=5.0) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eigenvalues": [1.0, -0.1]}, "`eigenvalues` must be a vector of numbers"),
        ({"eigenvalues": np.eye(2)}, "`eigenvalues` must have the shape"),
        ({"eigenvalues": [np.nan]}, "`eigenvalues` must be finite"),
        ({"latent_dim": 0}, "`latent_dim` must be a whole number"),
        ({"variance": 0.0}, "`variance` must be a finite number above 0"),
        ({"threshold": 1.0}, "`threshold` must be a finite number.*below 1"),
        ({"threshold": -0.1}, "`threshold` must be a finite number of at least 0"),
    ],
)
def test_predicted_active_axes_refuses(arguments, message):
    defaults = {"eigenvalues": [1.0, 0.5], "latent_dim": 2, "variance": 0.3}
    with pytest.raises(ValueError, match=message):
        linear.predicted_active_axes(**(defaults | arguments))


def test_a_spectrum_may_hold_zeros():
    assert linear.predicted_active_axes([2.0, 0.0], latent_dim=2, variance=1.0) == 1


def test_em_starts_at_the_scale_of_the_data():
    # As likely as the isotropic Gaussian, to a quarter of a nat per feature. A variance
    # of 480 entries summed costs log(480) / 2 = 3, loadings four times too long 0.5.
    x = random_data(seed=3) + 5.0
    isotropic = scipy.stats.norm(x.mean(axis=0), np.sqrt(x.var(axis=0).mean()))
    expected = isotropic.logpdf(x).sum(axis=1).mean()
    for seed in range(5):
        start = linear.ppca_em(x, 4, num_steps=1, seed=seed)[1][0]
        assert abs(start - expected) / 8 < 0.25


def test_an_em_step_is_the_regression_of_each_feature_on_the_codes():
    x = with_holes(random_data(seed=4) + 1.0, 0.3)
    before, after = (linear.ppca_em(x, 2, num_steps=n)[0] for n in (1, 2))
    z_mean, z_covariance = before.posterior(x)
    weights, bias, errors = np.empty((8, 2)), np.empty(8), 0.0
    for feature in range(8):
        rows = np.flatnonzero(~np.isnan(x[:, feature]))
        moments, cross = np.zeros((3, 3)), np.zeros(3)
        for row in rows:
            code = np.append(z_mean[row], 1.0)
            moments += np.outer(code, code)
            moments[:2, :2] += z_covariance[row]
            cross += x[row, feature] * code
        solution = np.linalg.solve(moments, cross)
        weights[feature], bias[feature] = solution[:2], solution[2]
        for row in rows:
            x_hat = z_mean[row] @ weights[feature] + bias[feature]
            errors += (x[row, feature] - x_hat) ** 2
            errors += weights[feature] @ z_covariance[row] @ weights[feature]
    variance = errors / np.count_nonzero(~np.isnan(x))
    # The codes' own Gaussian, moved into mean and loadings.
    prior = np.cov(z_mean.T, bias=True) + z_covariance.mean(axis=0)
    expected = weights @ prior @ weights.T + variance * np.eye(8)
    np.testing.assert_allclose(after.mean, weights @ z_mean.mean(0) + bias, atol=EXACT)
    np.testing.assert_allclose(after.covariance, expected, atol=EXACT)


def test_em_takes_a_hundred_steps_from_seed_zero_by_default():
    x = random_data(num_features=3)
    model, log_likelihoods = linear.ppca_em(x, 1)
    again, _ = linear.ppca_em(x, 1, num_steps=100, seed=0)
    assert len(log_likelihoods) == 101
    np.testing.assert_array_equal(model.loadings, again.loadings)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_the_data_is_free(unit):
    x = random_data()
    here, there = linear.ppca(x, 2), linear.ppca(unit * x, 2)
    np.testing.assert_allclose(there.variance, unit**2 * here.variance, rtol=1e-6)
    here, there = linear.ppca_em(x, 2)[0], linear.ppca_em(unit * x, 2)[0]
    np.testing.assert_allclose(there.variance, unit**2 * here.variance, rtol=1e-6)


def test_refuses_data_on_a_line_whatever_rounding_leaves_beside_it():
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = np.outer(rng.normal(size=20), rng.normal(size=6))
        with pytest.raises(ValueError, match="subspace.*unbounded"):
            linear.ppca(x, 1)


def test_em_counts_the_features_that_are_never_observed():
    x = [[1.0, np.nan, np.nan], [2.0, np.nan, 3.0]]
    with pytest.raises(ValueError, match="1 of 3 features are never observed"):
        linear.ppca_em(x, 1)


def test_one_complete_example_has_the_likelihood_that_it_has_among_others():
    model, x = random_model(), np.random.default_rng(5).normal(size=(3, 5))
    alone = [model.log_likelihood(row[None])[0] for row in x]
    np.testing.assert_allclose(model.log_likelihood(x), alone, rtol=1e-9)
