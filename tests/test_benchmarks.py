"""The benchmark compares like with like: the same networks, the same loss, in turn."""

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from aecourse import layers

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import contestants  # noqa: E402
import speed  # noqa: E402

# Networks by hand do not depend on the backend of Keras.
by_hand = pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough")
NETWORKS = pytest.mark.parametrize("network", contestants.NETWORKS)


built = functools.cache(contestants.build)


def num_weights(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@by_hand
@NETWORKS
def test_hand_written_jax_has_the_weights_of_the_builders(network):
    jax = pytest.importorskip("jax")
    weights = contestants.jax_weights(network, jax.random.key(0))
    mine = sum(leaf.size for leaf in jax.tree.leaves(weights))
    assert mine == num_weights(built(network))


@by_hand
@NETWORKS
def test_hand_written_pytorch_has_the_weights_of_the_builders(network):
    pytest.importorskip("torch")
    parts = contestants.torch_parts(network)
    mine = sum(weight.numel() for part in parts for weight in part.parameters())
    assert mine == num_weights(built(network))


@by_hand
@NETWORKS
def test_hand_written_jax_starts_at_ln_2_a_pixel(network):
    jax = pytest.importorskip("jax")
    weights = contestants.jax_weights(network, jax.random.key(0))
    x = np.random.default_rng(0).integers(0, 2, (64, 28, 28, 1)).astype("float32")
    loss = contestants.jax_loss(network, weights, x, jax.random.key(1))
    # Logits near 0 say nothing about fair pixels: 784 ln 2, plus a KL and the spread
    # of the first logits. A mean over pixels would be 1, a sum over the batch 64 times.
    assert 784 * np.log(2) < float(loss) < 1.5 * 784 * np.log(2)


@pytest.mark.parametrize("network", ["conv", "builder"])
def test_the_stock_contestant_differs_in_the_transposed_convolution_alone(network):
    ours, stock = built(network), contestants.build(network, stock=True)
    assert num_weights(ours) == num_weights(stock)
    kinds = [[type(layer) for layer in vae.decoder.layers] for vae in (ours, stock)]
    swapped = {
        (mine, theirs)
        for mine, theirs in zip(*kinds, strict=True)
        if mine is not theirs
    }
    assert swapped == {(layers.Conv2DTranspose, keras.layers.Conv2DTranspose)}


def test_the_spread_is_the_median_and_the_range():
    assert speed.spread([3.0, 1.0, 2.0], "{:.1f}") == "2.0 (1.0-3.0)"
    assert speed.spread([3.0], "{:.1f}") == "3.0"


def test_a_contestant_without_its_package_is_left_out_by_name(monkeypatch):
    monkeypatch.setattr(speed.importlib.util, "find_spec", lambda name: None)
    assert speed.missing("hand-written JAX") == ["jax", "optax"]


def test_refuses_a_table_it_does_not_have(capsys):
    with pytest.raises(SystemExit):
        speed.parse(["--only", "conv,mpl"])
    assert "Received: mpl" in capsys.readouterr().err


def test_single_measurements_fill_their_tables(monkeypatch, tmp_path, capsys):
    """Each runs here, on the backend under test, instead of in a process of its own."""
    backend, find_spec = keras.config.backend(), importlib.util.find_spec
    printed = []

    def measure(arguments, environment):
        verb, *rest = map(str, arguments)
        getattr(contestants, verb)(*rest)
        printed.append(capsys.readouterr().out)
        return json.loads(printed[-1].splitlines()[-1])

    def found(name):
        return None if name in {"jax", "tensorflow"} - {backend} else find_spec(name)

    monkeypatch.setattr(speed, "run_once", measure)
    monkeypatch.setattr(speed.importlib.util, "find_spec", found)
    monkeypatch.setattr(speed, "MEMORY", dict.fromkeys(speed.MEMORY, (200,)))
    options = speed.parse(["--quick"])
    np.save(tmp_path / "x.npy", np.zeros((8, 28, 28, 1), "float32"))
    speed.nll_table(tmp_path / "x.npy", options)
    speed.jacobian_table(options)
    speed.memory_table(options)
    text = "".join([*printed, capsys.readouterr().out])
    for row in ("### Importance-", "| 50 |", "### Jacobian", "### Diagnostics"):
        assert row in text
    assert text.count("| 200 |") == len(speed.MEMORY)


@pytest.mark.slow
@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="it starts both itself: once"
)
def test_the_quick_run_prints_its_tables():
    command = [sys.executable, str(BENCHMARKS / "speed.py"), "--quick"]
    command += ["--only", "mlp"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for row in ("### MLP VAE", "| aecourse, JAX |", "| aecourse, TensorFlow |"):
        assert row in done.stdout
