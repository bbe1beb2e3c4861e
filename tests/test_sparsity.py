"""sparsity: the contract of both layers, facts against SciPy and NumPy, refusals."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_layer
from scipy.stats import bernoulli, entropy

from aecourse import runtime
from aecourse.layers import KLSparsity, TopK


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).random(shape).astype("float32")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def penalty(h, **kwargs):
    layer = KLSparsity(**kwargs)
    layer(h)
    return float(layer.losses[0])


def kl(target, mean):
    """KL of two Bernoulli laws a unit, summed, by SciPy's relative entropy."""
    p, q = np.array([target, 1 - target]), np.array([mean, 1 - mean])
    return entropy(np.broadcast_to(p[:, None], q.shape), q).sum()


def gradient_at(layer, h, direction=None):
    """Gradient of the loss in `h`: `sum(direction * output) / n` and what it adds."""
    direction = np.zeros_like(h) if direction is None else direction
    # Rows of the identity pick the rows of the kernel, so the kernel is h.
    front = keras.layers.Dense(h.shape[1], use_bias=False)
    model = keras.Sequential([keras.Input((len(h),)), front, layer])
    front.set_weights([h])
    model.compile(
        keras.optimizers.SGD(1.0), loss=lambda y, y_hat: ops.sum(y * y_hat) / len(h)
    )
    x = np.eye(len(h), dtype="float32")
    model.fit(x, direction, batch_size=len(h), verbose=0)
    return h - front.get_weights()[0]


# --- contract on maps; that on codes is kept in test_layers

CONTRACTS = {
    "kl": (lambda: KLSparsity(), uniform(6, 3, 2, 4), (6, 3, 2, 4), 1),
    "top-k": (lambda: TopK(2), normal(6, 3, 2, 4), (6, 3, 2, 4), 0),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_keeps_the_contract_of_layers(name, tmp_path):
    make, inputs, output_shape, num_losses = CONTRACTS[name]
    check_layer(make(), inputs, output_shape, num_losses, tmp_path=tmp_path)


# --- KLSparsity


@pytest.mark.parametrize("target, weight", [(0.05, 1.0), (0.3, 2.5), (0.9, 0.0)])
def test_kl_sparsity_is_the_relative_entropy_of_scipy(target, weight):
    h = uniform(50, 7) ** 3
    expected = weight * kl(target, h.astype("float64").mean(axis=0))
    # float32 logarithms, seven terms of order 1
    assert penalty(h, target=target, weight=weight) == pytest.approx(expected, rel=1e-5)


def test_kl_sparsity_is_the_kl_of_tensorflow_probability():
    tfd = runtime.oracle().distributions
    h = uniform(50, 7) ** 3
    target = tfd.Bernoulli(probs=0.2)
    expected = target.kl_divergence(tfd.Bernoulli(probs=h.mean(axis=0))).sum()
    assert penalty(h, target=0.2) == pytest.approx(float(expected), rel=1e-5)


def test_kl_sparsity_weighs_by_1_unless_told_otherwise():
    h = uniform(50, 7)
    assert penalty(h) == penalty(h, target=0.05, weight=1.0)


def test_kl_sparsity_vanishes_where_each_unit_fires_at_its_target():
    fires = bernoulli(0.25).ppf(np.linspace(0, 1, 400, endpoint=False) + 1e-9)
    h = np.stack([fires, fires[::-1], np.full(400, 0.25)], axis=1)
    assert h.mean() == 0.25
    # Rounding of a mean near the minimum, where the KL is flat.
    assert abs(penalty(h.astype("float32"), target=0.25)) < 1e-6


def test_kl_sparsity_takes_the_mean_over_the_batch_and_not_a_mean_of_penalties():
    h = np.array([[0.02], [0.18]], "float32")
    together = penalty(h, target=0.1)
    apart = (penalty(h[:1], target=0.1) + penalty(h[1:], target=0.1)) / 2
    assert abs(together) < 1e-6 < 0.01 < apart


def test_kl_sparsity_grows_by_its_documented_noise_in_small_batches():
    # 0/1 activations at exactly the target over the data: what a batch of n adds is
    # weight / (2 n) a unit to leading order; 2,000 units, each a batch of n = 400 of
    # its own, give it to 5 %.
    n, target = 400, 0.2
    h = (np.random.default_rng(0).random((n, 2000)) < target).astype("float32")
    excess = penalty(h, target=target) / 2000
    assert excess == pytest.approx(1 / (2 * n), rel=0.15)


def test_kl_sparsity_counts_positions_of_a_map_as_examples():
    h = uniform(5, 3, 2, 4)
    flat = penalty(h.reshape(-1, 4), target=0.1)
    assert penalty(h, target=0.1) == pytest.approx(flat, rel=1e-5)


def test_kl_sparsity_has_the_gradient_of_finite_differences():
    h = 0.1 + 0.8 * uniform(3, 2)
    gradient = gradient_at(KLSparsity(0.2, weight=1.5), h)

    def loss(h):
        return 1.5 * kl(0.2, h.mean(axis=0))

    for index in np.ndindex(h.shape):
        step = np.zeros(h.shape)
        step[index] = 1e-5
        slope = (loss(h + step) - loss(h - step)) / 2e-5
        # The gradient is a difference of float32 weights of order 1.
        assert gradient[index] == pytest.approx(slope, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("constant, sign", [(0.0, -1), (1.0, 1)])
def test_kl_sparsity_pulls_back_a_unit_that_is_silent_or_always_on(constant, sign):
    h = np.full((4, 3), constant, "float32")
    assert 0.5 < penalty(h, target=0.05) < 50
    gradient = gradient_at(KLSparsity(0.05), h)
    assert np.all(np.isfinite(gradient))
    # target / 1e-7 / 4 = 1.25e5, of which a backend may give half at the very edge
    assert np.all(sign * gradient > 5e4)


@pytest.mark.parametrize("means, nearest", [([1.0, 1.5], 1), ([0.0, -0.5], 0)])
def test_kl_sparsity_of_a_mean_at_or_beyond_an_end_is_that_of_1e_7_before_it(
    means, nearest
):
    target = 0.3
    near, far = (target, 1 - target) if nearest else (1 - target, target)
    expected = near * np.log(near) + far * np.log(far / 1e-7)
    for mean in means:
        found = penalty(np.full((4, 1), mean, "float32"), target=target)
        # Below 1 float32 goes in steps of 6e-8, so that 6e-8 may stand for 1e-7: an
        # error of 0.7 * log(1 / 0.6) = 0.36. The third step is off by 0.41.
        assert found == pytest.approx(expected, abs=0.37)


def test_kl_sparsity_of_float32_inputs_is_exact_under_a_half_precision_policy():
    h, layer = uniform(50, 7), KLSparsity(0.1, dtype="mixed_bfloat16")
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(h)), h)
    assert float(layer.losses[0]) == pytest.approx(penalty(h, target=0.1), rel=1e-6)


def test_kl_sparsity_is_computed_in_float32_for_half_precision_inputs():
    h = ops.cast(ops.full((300, 4), 0.01), "float16")
    layer = KLSparsity(0.05, dtype="mixed_float16")
    assert keras.backend.standardize_dtype(layer(h).dtype) == "float16"
    # float16 holds 0.01 to 4e-4; its sum over 300 examples would be off by more.
    assert float(layer.losses[0]) == pytest.approx(kl(0.05, np.full(4, 0.01)), rel=1e-3)


def test_kl_sparsity_adds_its_loss_in_fit_and_evaluate():
    x = keras.Input((3,))
    model = keras.Model(x, KLSparsity(0.3, weight=2.0)(x))
    model.compile("sgd", "mse")
    h = uniform(8, 3)
    expected = 2 * kl(0.3, h.astype("float64").mean(axis=0))
    assert model.evaluate(h, h, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("target", [0, 1.0, -0.1, 1.1])
def test_kl_sparsity_refuses_a_target_that_no_unit_can_have(target):
    with pytest.raises(ValueError, match="`target`.*Received: target="):
        KLSparsity(target)


def test_kl_sparsity_refuses_a_negative_weight():
    with pytest.raises(ValueError, match="`weight`.*Received: weight="):
        KLSparsity(weight=-1.0)


# --- TopK


def top_k_by_sorting(h, k):
    """The k largest of each row, of equal ones the first, by NumPy's stable sort."""
    kept = np.argsort(-h, axis=-1, kind="stable")[..., :k]
    result = np.zeros_like(h)
    values = np.take_along_axis(h, kept, axis=-1)
    np.put_along_axis(result, kept, values, axis=-1)
    return result


@pytest.mark.parametrize(
    "shape, k", [((40, 10), 1), ((40, 10), 9), ((40, 10), 10), ((4, 3, 2, 10), 3)]
)
def test_top_k_is_numpy_sorting(shape, k):
    h = normal(*shape)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(TopK(k)(h)), top_k_by_sorting(h, k)
    )


@pytest.mark.parametrize("k", [1, 5])
def test_top_k_keeps_exactly_k_of_equal_activations_the_first_ones(k):
    h = np.random.default_rng(0).integers(1, 4, size=(50, 8)).astype("float32")
    kept = ops.convert_to_numpy(TopK(k)(h))
    assert np.all(np.count_nonzero(kept, axis=-1) == k)
    np.testing.assert_array_equal(kept, top_k_by_sorting(h, k))


def test_top_k_ranks_by_value_and_not_by_magnitude():
    kept = ops.convert_to_numpy(TopK(2)(np.float32([[-5.0, 1.0, -0.5, -2.0]])))
    np.testing.assert_array_equal(kept, [[0.0, 1.0, -0.5, 0.0]])


def test_top_k_of_fewer_positive_activations_leaves_fewer_active():
    h = np.maximum(normal(60, 6) - 1, 0)
    kept = ops.convert_to_numpy(TopK(3)(h))
    expected = np.minimum(np.count_nonzero(h, axis=-1), 3)
    assert expected.min() < 3
    np.testing.assert_array_equal(np.count_nonzero(kept, axis=-1), expected)


def test_top_k_passes_gradients_through_the_survivors_alone():
    h, direction = normal(6, 5), normal(6, 5, seed=1)
    gradient = len(h) * gradient_at(TopK(2), h, direction)
    expected = np.where(top_k_by_sorting(h, 2) != 0, direction, 0)
    # A difference of float32 weights of order 1, times 6.
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_top_k_is_the_same_in_training_and_inference():
    h, layer = normal(6, 5), TopK(2)
    trained, infers = (layer(h, training=t) for t in (True, False))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(trained), ops.convert_to_numpy(infers)
    )


def test_top_k_refuses_a_number_of_survivors_below_one():
    with pytest.raises(ValueError, match="`k`.*Received: k=0"):
        TopK(0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: normal(3, 5),
        lambda: normal(3, 7, 8, 5),
        lambda: keras.Input((None, 5)),
    ],
)
def test_top_k_refuses_more_survivors_than_units(make):
    with pytest.raises(ValueError, match="`k` must be at most the number of units, 5"):
        TopK(6)(make())


def test_top_k_counts_units_and_not_positions():
    h = normal(6, 2, 3, 5)
    found = ops.convert_to_numpy(TopK(4)(h))
    np.testing.assert_array_equal(found, top_k_by_sorting(h, 4))
