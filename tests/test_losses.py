"""losses: the units of objectives, inside compile()."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import losses, objectives


def example(loss):
    """A batch of data and predictions that `loss` takes."""
    rng = np.random.default_rng(0)
    binary = (rng.random((6, 4, 4, 1)) < 0.5).astype("float32")
    normal = rng.normal(size=(6, 4, 4, 2)).astype("float32")
    if isinstance(loss, losses.CategoricalNLL):
        return binary[..., 0], normal
    two_parameters = isinstance(loss, losses.DiscretizedLogisticNLL) or (
        isinstance(loss, losses.GaussianNLL) and loss.variance is None
    )
    return binary, normal if two_parameters else normal[..., :1]


ALL = [
    losses.BernoulliNLL(),
    losses.ContinuousBernoulliNLL(),
    losses.GaussianNLL(),
    losses.GaussianNLL(variance=0.1),
    losses.GaussianNLL(variance=None),
    losses.DiscretizedLogisticNLL(num_levels=2),
    losses.PoissonNLL(),
    losses.CategoricalNLL(),
]


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_survives_json(loss):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_sums_over_features_and_averages_over_the_batch(loss):
    x, x_hat = example(loss)
    batch = float(loss(x, x_hat))
    singles = [float(loss(x[i : i + 1], x_hat[i : i + 1])) for i in range(len(x))]
    assert batch == pytest.approx(np.mean(singles), rel=1e-5)
    half_image = (
        float(loss(x[:, :2], x_hat[:, :2])),
        float(loss(x[:, 2:], x_hat[:, 2:])),
    )
    assert batch == pytest.approx(sum(half_image), rel=1e-5)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_trains_a_compiled_model(loss):
    x, x_hat = example(loss)
    model = keras.Sequential([keras.layers.Dense(x_hat.shape[-1])])
    model.compile("sgd", loss)
    history = model.fit(x_hat, x, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_bernoulli_is_784_times_the_keras_mean_on_784_pixels():
    rng = np.random.default_rng(0)
    x = (rng.random((5, 784)) < 0.5).astype("float32")
    logits = rng.normal(size=x.shape).astype("float32")
    mean = keras.losses.BinaryCrossentropy(from_logits=True)(x, logits)
    assert float(losses.BernoulliNLL()(x, logits)) == pytest.approx(
        784 * float(mean), rel=1e-5
    )


def test_gaussian_gradient_is_the_error_over_the_variance():
    # d/dx_hat of (x - x_hat)^2 / (2 v) by finite differences, in float32.
    loss, step = losses.GaussianNLL(variance=0.25), 1e-2
    slope = (float(loss([[1.0]], [[step]])) - float(loss([[1.0]], [[-step]]))) / (
        2 * step
    )
    assert slope == pytest.approx(-1 / 0.25, rel=1e-3)


def test_predicted_variance_is_the_second_half_of_the_last_axis():
    x = np.zeros((3, 2), "float32")
    x_mean, log_var = np.full((3, 2), 0.5, "float32"), np.full((3, 2), -1.0, "float32")
    loss = losses.GaussianNLL(variance=None)(x, np.concatenate([x_mean, log_var], 1))
    direct = ops.mean(objectives.gaussian_nll(x, x_mean, log_var=log_var))
    assert float(loss) == pytest.approx(float(direct))


@pytest.mark.parametrize("variance", [0, -1.0])
def test_refuses_a_variance_that_is_not_positive(variance):
    with pytest.raises(ValueError, match="`variance`.*Received: variance="):
        losses.GaussianNLL(variance=variance)


def test_refuses_fewer_than_two_levels():
    with pytest.raises(ValueError, match="`num_levels`.*Received: num_levels="):
        losses.DiscretizedLogisticNLL(num_levels=1)


@pytest.mark.parametrize(
    "loss", [losses.GaussianNLL(variance=None), losses.DiscretizedLogisticNLL()]
)
def test_refuses_predictions_without_their_second_parameter(loss):
    with pytest.raises(ValueError, match="`y_pred`.*Received: y_pred.shape"):
        loss(np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.parametrize("loss", [losses.BernoulliNLL(), losses.PoissonNLL()])
def test_refuses_predictions_of_another_shape(loss):
    with pytest.raises(ValueError, match="Argument"):
        loss(np.ones((2, 3)), np.ones((2, 4)))


def test_the_variance_is_one_by_default():
    # Half the squared error, plus the constant of a standard normal density.
    expected = 0.5 * 2.0**2 + 0.5 * np.log(2 * np.pi)
    assert float(losses.GaussianNLL()([[3.0]], [[1.0]])) == pytest.approx(expected)
