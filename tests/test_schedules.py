"""schedules: the values of the definition, acting in a compiled step, refusals."""

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import layers
from aecourse.schedules import CyclicalAnnealing


def values(schedule, num_steps):
    return np.array([float(schedule(step)) for step in range(num_steps)])


def defined(num_steps, num_cycles, ratio, top):
    """Equation 6 of Fu et al. (2019), step by step and in exact fractions."""
    from fractions import Fraction

    length, weights = Fraction(num_steps, num_cycles), []
    for step in range(num_steps):
        share = (step % length) / length
        weights.append(top * min(1.0, float(share / Fraction(ratio))))
    return np.array(weights)


# --- contract


def test_takes_the_step_as_a_number_or_as_a_tensor_of_any_integer_type():
    schedule = CyclicalAnnealing(10, 2)
    for step in (1, np.int64(1), ops.ones((), "int32"), np.ones((), "int64")):
        weight = schedule(step)
        assert keras.backend.standardize_dtype(weight.dtype) == "float32"
        assert float(weight) == pytest.approx(0.4)


def test_config_restores_the_same_schedule():
    schedule = CyclicalAnnealing(60, num_cycles=3, ratio=0.25, top=2.0)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is CyclicalAnnealing
    assert again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(values(again, 70), values(schedule, 70))


# --- facts


@pytest.mark.parametrize(
    "num_steps, num_cycles, ratio",
    [(40, 4, 0.5), (35, 5, 0.25), (100, 7, 0.5), (100, 7, 1.0), (9, 9, 0.25)],
)
def test_follows_the_definition(num_steps, num_cycles, ratio):
    schedule = CyclicalAnnealing(num_steps, num_cycles, ratio=ratio, top=1.5)
    expected = defined(num_steps, num_cycles, ratio, top=1.5)
    # Cycles start in whole numbers; the rest is float32 rounding.
    np.testing.assert_allclose(values(schedule, num_steps), expected, atol=1e-6)


def test_remains_at_the_top_when_the_cycles_are_over():
    schedule = CyclicalAnnealing(20, 4, top=0.7)
    after = [float(schedule(step)) for step in (20, 21, 25, 10**9)]
    np.testing.assert_allclose(after, 0.7)


def test_one_cycle_is_the_linear_warm_up_of_keras():
    schedule = CyclicalAnnealing(20, num_cycles=1, ratio=0.5)
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
    np.testing.assert_allclose(values(schedule, 30), values(warm_up, 30), atol=1e-6)


def frozen_encoder(beta):
    """A model whose only moving part is the weight of its KL."""
    x = keras.Input((2,))
    head = keras.layers.Dense(2, trainable=False, kernel_initializer="ones")(x)
    return keras.Model(x, layers.KLRegularization(beta)([head, head]))


def kl_losses(model, num_steps):
    x = np.ones((4, 2), "float32")
    model.compile("sgd")
    fits = [model.fit(x, batch_size=4, verbose=0) for _ in range(num_steps)]
    return np.array([fit.history["loss"][0] for fit in fits])


def test_acts_inside_the_compiled_step():
    model = frozen_encoder(CyclicalAnnealing(12, num_cycles=2, ratio=0.5))
    losses = kl_losses(model, 14)
    # Nothing else moves, so the loss is the schedule times the KL of a fixed posterior:
    # two axes of mean 2 and log-variance 2. A frozen weight gives a constant loss.
    kl = 2 * (2**2 + np.exp(2) - 1 - 2) / 2
    expected = kl * np.append(defined(12, 2, 0.5, 1.0), [1.0, 1.0])
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-6)


def test_acts_within_one_epoch_too():
    """A value read once an epoch would be the same for all of its steps."""
    model = frozen_encoder(CyclicalAnnealing(8, num_cycles=1, ratio=1.0))
    model.compile("sgd")
    x = np.ones((8, 2), "float32")
    history = model.fit(x, batch_size=1, verbose=0)  # eight steps in one epoch
    kl = 2**2 + np.exp(2) - 1 - 2
    assert history.history["loss"][0] == pytest.approx(kl * np.mean(np.arange(8) / 8))


def test_goes_on_where_the_file_left_off(tmp_path):
    model = frozen_encoder(CyclicalAnnealing(12, num_cycles=2))
    kl_losses(model, 2)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    beta = again.layers[-1].beta
    assert type(beta) is CyclicalAnnealing
    assert int(again.layers[-1].step) == 2
    kl = 2**2 + np.exp(2) - 1 - 2
    expected = kl * defined(12, 2, 0.5, 1.0)[2:6]
    np.testing.assert_allclose(kl_losses(again, 4), expected, rtol=1e-5)


# --- refusals


@pytest.mark.parametrize(
    "name, value",
    [
        ("num_steps", 0),
        ("num_steps", 3),  # fewer steps than cycles
        ("num_cycles", 0),
        ("ratio", 0.0),
        ("ratio", 1.1),
        ("top", -1.0),
    ],
)
def test_refuses_what_is_no_schedule(name, value):
    arguments = {"num_steps": 8, "num_cycles": 4, name: value}
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        CyclicalAnnealing(**arguments)


def test_by_default_it_is_the_schedule_of_the_paper():
    # Fu et al. (2019), section 4: M = 4 cycles, R = 0.5, up to a weight of 1.
    expected = defined(40, num_cycles=4, ratio=0.5, top=1.0)
    np.testing.assert_allclose(values(CyclicalAnnealing(40), 40), expected, atol=1e-6)
