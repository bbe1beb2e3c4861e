"""LearnedVariance: facts against closed forms, inside a VAE, refusals."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import losses, models
from aecourse.layers import LearnedVariance


def noise(*shape, std=1.0, seed=0):
    return (std * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def descend(model, x, y, num_steps):
    """Full-batch steps as one epoch: an epoch for each step is ten times as slow."""
    again = np.concatenate([x] * num_steps), np.concatenate([y] * num_steps)
    model.fit(*again, batch_size=len(x), shuffle=False, verbose=0)


def fit_variance(layer, x, num_steps=60, rate=None):
    """Train the layer alone, its means fixed at 0, by full-batch gradient descent."""
    model = keras.Sequential([keras.Input(x.shape[1:]), layer])
    num_dims = math.prod(x.shape[1:])
    # The second derivative of the loss in one shared log-variance is D / 2 at the
    # optimum, in one of its own 1 / 2: these rates are half of Newton's.
    rate = rate or (1.0 if layer.per_pixel else 1.0 / num_dims)
    model.compile(keras.optimizers.SGD(rate), losses.GaussianNLL(variance=None))
    descend(model, np.zeros_like(x), x, num_steps)
    return ops.convert_to_numpy(layer.variance()), model


# --- facts


def test_puts_the_same_log_variance_beside_the_means_of_every_example():
    x_mean = noise(5, 4, 3, 2)
    outputs = ops.convert_to_numpy(LearnedVariance(initial_variance=0.25)(x_mean))
    np.testing.assert_array_equal(outputs[..., :2], x_mean)
    np.testing.assert_allclose(outputs[..., 2:], math.log(0.25), rtol=1e-6)


def test_starts_at_its_initial_variance_whatever_the_floor():
    for floor in (0.0, 0.1, 0.2):
        layer = LearnedVariance(initial_variance=0.25, min_variance=floor)
        layer.build((None, 3))
        assert float(layer.variance()) == pytest.approx(0.25, rel=1e-5)


def test_has_one_weight_or_one_a_pixel():
    for kwargs, shape in (({}, ()), ({"per_pixel": True}, (4, 3, 2))):
        layer = LearnedVariance(**kwargs)
        layer.build((None, 4, 3, 2))
        assert [tuple(w.shape) for w in layer.trainable_weights] == [shape]


def test_global_variance_becomes_the_mean_squared_error():
    x = noise(50, 6, 5, 1, std=0.3)
    variance, model = fit_variance(LearnedVariance(), x)
    assert float(variance) == pytest.approx(np.mean(x**2), rel=1e-4)
    # There the loss is the closed form D / 2 log(2 pi e mse).
    loss = model.evaluate(np.zeros_like(x), x, batch_size=50, verbose=0)
    closed = 15 * np.log(2 * np.pi * np.e * np.mean(x**2))
    assert loss == pytest.approx(closed, rel=1e-4)


def test_variance_of_a_pixel_converges_to_its_own_mean_squared_error():
    x = noise(50, 3, 2) * np.array([[0.1, 0.2], [0.5, 1.0], [2.0, 0.3]], "float32")
    variance, _ = fit_variance(LearnedVariance(per_pixel=True), x, num_steps=200)
    np.testing.assert_allclose(variance, np.mean(x**2, axis=0), rtol=1e-3)


def test_global_variance_converges_in_a_model_that_learns_its_means_too():
    x = noise(64, 8, std=0.5) + 3
    layer = LearnedVariance()
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(8), layer])
    model.compile(keras.optimizers.Adam(0.05), losses.GaussianNLL(variance=None))
    ones = np.ones((64, 1), "float32")
    descend(model, ones, x, 1000)
    x_mean = model.predict(ones, verbose=0)[:, :8]
    np.testing.assert_allclose(x_mean[0], x.mean(axis=0), atol=2e-3)
    error = np.mean((x - x_mean) ** 2)
    assert float(layer.variance()) == pytest.approx(error, rel=0.01)


def test_a_constant_pixel_drives_its_variance_to_the_floor_and_not_below():
    x = noise(50, 2) * np.array([0.5, 0.0], "float32")
    # The slope of the loss in the log-variance stays 1/2, so no step is the last. (In
    # float32 its inverse overflows at a log-variance of -88.)
    for num_steps in (50, 100, 150):
        free, _ = fit_variance(LearnedVariance(True, min_variance=0.0), x, num_steps)
        assert math.log(free[1]) == pytest.approx(math.log(0.1) - num_steps / 2)
    floor, model = fit_variance(LearnedVariance(True, min_variance=0.01), x, 1000)
    assert 0.01 <= floor[1] < 0.0105
    # A pixel well above the floor does not feel it.
    assert floor[0] == pytest.approx(np.mean(x[:, 0] ** 2), rel=1e-3)
    assert np.isfinite(model.get_weights()[0]).all()


def test_log_variance_without_a_floor_does_not_underflow():
    layer = LearnedVariance(min_variance=0.0)
    layer.build((None, 3))
    layer.log_excess.assign(-500.0)  # exp gives 0 in float32
    outputs = ops.convert_to_numpy(layer(np.zeros((1, 3), "float32")))
    np.testing.assert_array_equal(outputs[:, 3:], -500)


def test_variance_stays_float32_in_mixed_precision():
    layer = LearnedVariance(min_variance=1e-6, dtype="mixed_bfloat16")
    layer.build((None, 3))
    assert keras.backend.standardize_dtype(layer.log_excess.dtype) == "float32"
    layer.log_excess.assign(-30.0)
    assert float(layer.variance()) == pytest.approx(1e-6, rel=1e-4)


def test_log_variance_in_half_precision_is_that_in_float32_rounded_once():
    layer = LearnedVariance(per_pixel=True, dtype="mixed_bfloat16")
    layer.build((None, 200))
    # On both sides of the floor, where it and the weight add up.
    layer.log_excess.assign(np.linspace(-20, -8, 200))
    outputs = ops.cast(layer(np.zeros((1, 200), "float32")), "float32")[0, 200:]
    rounded = ops.cast(ops.cast(layer.log_variance(), "bfloat16"), "float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(outputs), ops.convert_to_numpy(rounded)
    )


# --- inside a VAE


def test_a_vae_learns_its_variance_and_shows_its_means(tmp_path):
    x = noise(64, 1, 1, 1) * np.ones((64, 4, 4, 1), "float32") + noise(
        64, 4, 4, 1, std=0.1, seed=1
    )
    encoder = models.dense_encoder((4, 4, 1), 2, hidden_units=(16,), variational=True)
    means = models.dense_decoder((4, 4, 1), 2, hidden_units=(16,))
    layer = LearnedVariance(per_pixel=True, initial_variance=0.5)
    decoder = keras.Model(means.input, layer(means.output), name="decoder")
    vae = models.variational_autoencoder(encoder, decoder, output_activation="linear")
    adam = keras.optimizers.Adam(0.01)
    vae.compile(adam, losses.GaussianNLL(variance=None), steps_per_execution=10)
    batches = np.concatenate([x] * 500)
    history = vae.fit(batches, batch_size=64, epochs=2, verbose=0).history

    assert vae.reconstruct(x).shape == x.shape
    assert vae.generate(3).shape == (3, 4, 4, 1)
    z_mean, _ = vae.encode(x)
    np.testing.assert_allclose(
        vae.reconstruct(x), means.predict(z_mean, verbose=0), atol=1e-6
    )
    # The noise that was put in, variance 0.01, within the spread of 1,024 draws and
    # what sixteen pixels tell about the hidden number.
    variance = float(np.mean(ops.convert_to_numpy(layer.variance())))
    assert 0.007 < variance < 0.015
    assert history["kl"][-1] > 1  # log of signal over noise, 10 and more: alive

    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.reconstruct(x), vae.reconstruct(x), atol=1e-6)
    np.testing.assert_array_equal(
        again.decoder.layers[-1].get_weights()[0], layer.get_weights()[0]
    )


# --- refusals


@pytest.mark.parametrize(
    "argument",
    [
        {"per_pixel": 1},
        {"min_variance": -1e-6},
        {"min_variance": None},
        {"initial_variance": 0.0},
        {"initial_variance": float("nan")},
        {"initial_variance": "0.1"},
        {"initial_variance": 0.1, "min_variance": 0.1},
    ],
)
def test_refuses(argument):
    name = next(iter(argument))
    with pytest.raises(ValueError, match=f"Argument `{name}` must.*Received: {name}="):
        LearnedVariance(**argument)


def test_refuses_pixels_of_unknown_number():
    with pytest.raises(ValueError, match="`inputs` must be of known size"):
        LearnedVariance(per_pixel=True)(keras.Input((None, 3)))
