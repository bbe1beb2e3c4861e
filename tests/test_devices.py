"""Many devices: the loss curve of one, in processes with virtual devices."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

TRAIN = """
import json
import keras
import numpy as np
from aecourse import losses, models, runtime

SHAPE = (8, 8, 1)
x = np.random.default_rng(0).integers(0, 2, (256, *SHAPE)).astype("float32")


def build(kind):
    sizes = {"hidden_units": (16,)} if kind == "dense" else {"filters": (4, 4)}
    runtime.seed_everything(0)
    encoder = getattr(models, f"{kind}_encoder")(SHAPE, 2, variational=True, **sizes)
    decoder = getattr(models, f"{kind}_decoder")(SHAPE, 2, **sizes)
    vae = models.variational_autoencoder(encoder, decoder, seed=1)
    vae.compile(keras.optimizers.Adam(1e-2), losses.BernoulliNLL())
    return vae


def curve(vae, x=x, epochs=3):
    return vae.fit(x, batch_size=32, epochs=epochs, verbose=0).history["loss"]


def distribute(devices):
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices) if devices else None
    )
"""

ON_JAX = """
devices = keras.distribution.list_devices()
answer = {"num_devices": len(devices)}
for kind, counts in (("dense", (1, 2)), ("conv", (1, 8))):
    for count in counts:
        distribute(devices[:count] if count > 1 else None)
        vae = build(kind)
        answer[f"{kind} {count}"] = curve(vae)
        weight = vae.encoder.trainable_variables[0]
        answer[f"{kind} {count} used"] = len(weight.value.sharding.device_set)
distribute(devices)
try:
    curve(build("dense"), x[:250], epochs=1)  # the last batch has 26 images
except ValueError as error:
    answer["refusal"] = f"{type(error).__name__}: {error}"
answer["dropped"] = curve(build("dense"), x[: 250 // 32 * 32], epochs=1)
print(json.dumps(answer))
"""

ON_TENSORFLOW = """
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
answer = {"num_devices": len(keras.distribution.list_devices())}
answer["one"] = curve(build("dense"), epochs=6)
distribute(keras.distribution.list_devices())
vae = build("dense")
answer["DataParallel"] = curve(vae, epochs=6)
answer["DataParallel used"] = len({w.value.device for w in vae.weights})
distribute(None)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
answer["num_replicas"] = strategy.num_replicas_in_sync
with strategy.scope():
    vae = build("dense")
answer["MirroredStrategy"] = curve(vae, epochs=6)
print(json.dumps(answer))
"""

needs_jax = pytest.mark.skipif(
    keras.config.backend() != "jax", reason="of JAX: run with KERAS_BACKEND=jax"
)
needs_tensorflow = pytest.mark.skipif(
    keras.config.backend() != "tensorflow",
    reason="of TensorFlow: run with KERAS_BACKEND=tensorflow",
)


def run(script, **variables):
    """What the script prints last, from a process of its own."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [sys.executable, "-c", TRAIN + script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_jax():
    flags = os.environ.get("XLA_FLAGS", "")
    flags += " --xla_force_host_platform_device_count=8"
    return run(ON_JAX, XLA_FLAGS=flags)


@pytest.fixture(scope="module")
def on_tensorflow():
    return run(ON_TENSORFLOW)


# --- JAX: keras.distribution.DataParallel


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("kind, count", [("dense", 2), ("conv", 8)])
def test_many_devices_have_the_loss_curve_of_one(on_jax, kind, count):
    assert on_jax[f"{kind} 1 used"] == 1
    assert on_jax[f"{kind} {count} used"] == count
    # The samples of z are the same however the batch is split. What differs is the
    # order of sums over a batch: a few float32 roundings, 1e-7 each.
    np.testing.assert_allclose(
        on_jax[f"{kind} {count}"], on_jax[f"{kind} 1"], rtol=1e-6
    )


@needs_jax
@pytest.mark.slow
def test_a_batch_that_does_not_divide_is_refused_and_dropping_it_trains(on_jax):
    assert on_jax["num_devices"] == 8
    # JAX's own refusal; 26 images do not go onto 8 devices.
    assert on_jax["refusal"].startswith("IndivisibleError"), on_jax["refusal"]
    assert np.isfinite(on_jax["dropped"]).all()


# --- TensorFlow: DataParallel is without effect, MirroredStrategy trains


@needs_tensorflow
@pytest.mark.slow
def test_data_parallel_changes_nothing_on_tensorflow(on_tensorflow):
    assert on_tensorflow["num_devices"] == 2
    assert on_tensorflow["DataParallel used"] == 1
    # The same computation on the same device: equal but for the order of sums that
    # threads choose.
    np.testing.assert_allclose(
        on_tensorflow["DataParallel"], on_tensorflow["one"], rtol=1e-5
    )


@needs_tensorflow
@pytest.mark.slow
def test_mirrored_strategy_trains_within_one_percent(on_tensorflow):
    assert on_tensorflow["num_replicas"] == 2
    one, mirrored = on_tensorflow["one"], on_tensorflow["MirroredStrategy"]
    # Each replica draws its own samples of z, so the curves agree as two seeds do.
    assert mirrored[-1] == pytest.approx(one[-1], rel=0.01)
    assert mirrored[-1] < mirrored[0]
