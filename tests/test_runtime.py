"""The start of a notebook: quiet, seeded, and clear about what is wrong."""

import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest

from aecourse import runtime

BACKEND = keras.config.backend()


def python(code, **variables):
    """Run code in a fresh Python; return the finished process."""
    # JAX, loaded in this process, has set TensorFlow's level of logging, and
    # `quiet_start` the precision of products.
    set_here = (
        "TF_CPP_MIN_LOG_LEVEL",
        "JAX_DEFAULT_MATMUL_PRECISION",
        "NVIDIA_TF32_OVERRIDE",
    )
    inherited = {k: v for k, v in os.environ.items() if k not in set_here}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


# --- quiet_start ----------------------------------------------------------------


def test_starts_and_trains_without_a_line_and_gives_the_error_stream_back():
    # TensorFlow's graph optimizer gives up on this model, says so, and goes on.
    process = python(
        "from aecourse import runtime; runtime.quiet_start(); runtime.quiet_start()\n"
        "import os, sys\n"
        "import numpy as np; from aecourse import models\n"
        "model = models.u_net((8, 8, 1), filters=(4, 8), activation='leaky_relu')\n"
        "model.compile('sgd', 'mse')\n"
        "model.train_on_batch(np.ones((2, 8, 8, 1)), np.ones((2, 8, 8, 1)))\n"
        "os.write(2, b'native '); print('python', file=sys.stderr)"
    )
    assert (process.returncode, process.stdout) == (0, "")
    assert process.stderr == "native python\n"


def test_asks_a_gpu_for_all_bits_of_float32_unless_the_reader_chose():
    names = ("JAX_DEFAULT_MATMUL_PRECISION", "NVIDIA_TF32_OVERRIDE")
    code = (
        "import os; from aecourse import runtime; runtime.quiet_start()\n"
        f"print(*(os.environ[name] for name in {names}))"
    )
    assert python(code).stdout == "highest 0\n"
    chosen = dict(zip(names, ("tensorfloat32", "1"), strict=True))
    assert python(code, **chosen).stdout == "tensorfloat32 1\n"


def test_gives_the_error_stream_back_when_the_import_fails():
    process = python(
        "import sys; sys.modules['keras'] = None\n"
        "from aecourse import runtime; runtime.quiet_start()"
    )
    assert process.returncode == 1
    assert "ModuleNotFoundError" in process.stderr
    assert "keras" in process.stderr.splitlines()[-1]


def test_leaks_no_file_descriptor():
    runtime.quiet_start()
    before = os.dup(2)
    os.close(before)
    for _ in range(5):
        runtime.quiet_start()
    after = os.dup(2)  # the lowest free number, so a leak would raise it
    os.close(after)
    assert after == before


def test_starts_whatever_has_become_of_the_error_stream():
    process = python(
        "import io, os, sys\n"
        "from aecourse import runtime\n"
        "closed = io.StringIO(); closed.close()\n"
        "os.close(2)\n"
        "runtime.quiet_start()\n"  # imports Keras while descriptor 2 is closed
        "for stream in (None, io.StringIO(), closed):\n"
        "    sys.stderr = stream\n"
        "    runtime.quiet_start()\n"
        "print('started')"
    )
    assert process.stdout == "started\n"


def test_keeps_tensorflow_out_of_jax_and_hides_it_inside_the_block_alone():
    process = python(
        "from aecourse import runtime; import sys; runtime.quiet_start()\n"
        "runtime.seed_everything(0); runtime.describe()\n"
        "before = sys.modules.get('tensorflow')\n"
        "print(before is None)\n"
        "with runtime.without_tensorflow():\n"
        "    try:\n"
        "        import tensorflow\n"
        "    except ImportError:\n"
        "        print('hidden')\n"
        "try:\n"
        "    with runtime.without_tensorflow():\n"
        "        1 / 0\n"
        "except ZeroDivisionError:\n"
        "    pass\n"
        "print(sys.modules.get('tensorflow') is before)\n"
    )
    expected = f"{BACKEND == 'jax'}\nhidden\nTrue\n"
    assert process.stdout == expected, process.stderr


def test_refuses_an_unknown_backend():
    process = python(
        "from aecourse import runtime; runtime.quiet_start()", KERAS_BACKEND="numpy"
    )
    assert process.returncode == 1
    last = process.stderr.splitlines()[-1]
    assert "`KERAS_BACKEND` must be one of" in last
    assert last.endswith("Received: KERAS_BACKEND='numpy'")


def test_says_which_backend_is_not_installed():
    process = python(
        "import sys; sys.modules['jax'] = None\n"
        "from aecourse import runtime; runtime.quiet_start()",
        KERAS_BACKEND="jax",
    )
    assert "ImportError: The backend jax is not installed" in process.stderr


def test_refuses_a_backend_chosen_after_keras_has_started(monkeypatch):
    other = "tensorflow" if BACKEND == "jax" else "jax"
    monkeypatch.setenv("KERAS_BACKEND", other)
    with pytest.raises(ValueError, match=f"on {BACKEND}: .*KERAS_BACKEND='{other}'"):
        runtime.quiet_start()


# --- describe -------------------------------------------------------------------


def test_describes_version_backend_and_device():
    parts = runtime.describe().split(", ")
    assert parts[:2] == [f"Keras {keras.__version__}", f"backend {BACKEND}"]
    assert parts[2].split()[-1] in ("cpu", "gpu", "tpu")


@pytest.mark.parametrize(
    "devices, words",
    [
        (["cpu:0"], "cpu"),
        (["cpu:0", "gpu:0"], "gpu"),
        (["CPU:0", "GPU:0", "GPU:1"], "2 x gpu"),
        (["cpu:0", "cpu:1", "cpu:2", "cpu:3"], "4 x cpu"),
    ],
)
def test_describes_the_devices_it_finds(devices, words, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    assert runtime.describe().endswith(f", {words}")


# --- seeds ----------------------------------------------------------------------


@pytest.mark.parametrize("variable, shift", [(None, 0), ("", 0), ("0", 0), ("3", 3)])
def test_adds_the_variable_to_a_seed(variable, shift, monkeypatch):
    monkeypatch.delenv("AECOURSE_SEED", raising=False)
    if variable is not None:
        monkeypatch.setenv("AECOURSE_SEED", variable)
    assert runtime.seed(4) == 4 + shift
    assert runtime.seed_everything(4) == 4 + shift


@pytest.mark.parametrize("text", ["one", "1.0", "-1", "1 2", "²", str(2**31)])
def test_refuses_a_seed_variable_that_is_no_whole_number(text, monkeypatch):
    monkeypatch.setenv("AECOURSE_SEED", text)
    for function in (runtime.seed, runtime.seed_everything):
        with pytest.raises(ValueError, match="`AECOURSE_SEED`.*AECOURSE_SEED='"):
            function(0)


@pytest.mark.parametrize("number", [-1, 1.0, "1", None, True, 2**31])
def test_refuses_a_seed_that_is_no_whole_number(number):
    for function in (runtime.seed, runtime.seed_everything):
        with pytest.raises(ValueError, match="`number` must be .*Received: number="):
            function(number)


def test_takes_the_largest_seed(monkeypatch):
    monkeypatch.delenv("AECOURSE_SEED", raising=False)
    assert runtime.seed_everything(np.int64(2**31 - 1)) == 2**31 - 1


def trained(seed):
    """Train a model with unseeded weights, noise and shuffling; return all numbers."""
    runtime.seed_everything(seed)
    x = np.random.rand(48, 4).astype("float32")
    model = keras.Sequential(
        [
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(4),
        ]
    )
    model.compile("adam", "mse")
    history = model.fit(x, x, batch_size=8, epochs=2, verbose=0)
    weights = np.concatenate([weight.ravel() for weight in model.get_weights()])
    return np.concatenate([weights, history.history["loss"], [random.random()]])


def test_seeding_twice_trains_to_identical_numbers():
    # Bit for bit: one process, one backend, the same sequence of operations.
    assert np.array_equal(trained(1), trained(1))


def test_another_seed_trains_to_other_numbers(monkeypatch):
    base = trained(1)
    assert not np.array_equal(base, trained(2))
    monkeypatch.setenv("AECOURSE_SEED", "1")
    assert not np.array_equal(base, trained(1))


# --- budget ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "variable, value", [(None, 1), ("", 1), ("quick", 1), ("full", 100)]
)
def test_chooses_by_budget(variable, value, monkeypatch):
    monkeypatch.delenv("AECOURSE_BUDGET", raising=False)
    if variable is not None:
        monkeypatch.setenv("AECOURSE_BUDGET", variable)
    assert runtime.by_budget(quick=1, full=100) == value


def test_refuses_an_unknown_budget(monkeypatch):
    monkeypatch.setenv("AECOURSE_BUDGET", "fast")
    with pytest.raises(ValueError, match="`AECOURSE_BUDGET`.*AECOURSE_BUDGET='fast'"):
        runtime.by_budget(1, 2)
