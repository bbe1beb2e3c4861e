"""The stored models of notebook 14: alike but for their remedy, and as stated."""

import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import remedies  # noqa: E402

from aecourse.datasets.files import MODELS  # noqa: E402

FIELDS = {"factorized": 0, "weaker": 1, "warm_up_factorized": 0, "warm_up_wide": 7}


def num_weights(model):
    """Trainable weights, without those of the window, which differ with its size."""
    window = model.get_layer("decoder").get_layer("from_pixels")
    return model.count_params() - window.count_params()


def test_every_model_is_stored_and_no_other():
    stored = {path.stem for path in MODELS.glob("remedies_*.keras")}
    assert stored == {f"remedies_{name}" for name in remedies.REMEDIES}


@pytest.mark.parametrize("name", remedies.REMEDIES)
def test_a_stored_model_is_the_one_that_the_script_builds(name):
    path = MODELS / f"remedies_{name}.keras"
    assert path.stat().st_size < 150_000
    stored = keras.models.load_model(path)
    built = remedies.build(name, 50 * 28, seed=0)
    assert [w.shape for w in stored.weights] == [w.shape for w in built.weights]
    stored_kl, built_kl = stored.get_layer("kl"), built.get_layer("kl")
    assert stored_kl.get_config() == built_kl.get_config()
    assert float(stored_kl.current_beta()) == 1.0  # every schedule has ended
    size = 2 * FIELDS.get(name, 3) + 1
    window = stored.get_layer("decoder").get_layer("from_pixels")
    assert window.kernel_size == (size, size) and window.mask_type == "A"


def test_the_models_differ_in_nothing_but_the_window():
    built = [remedies.build(name, 28, seed=0) for name in ("plain", "weaker", "delta")]
    assert len({num_weights(model) for model in built}) == 1


@pytest.mark.parametrize("nats", [0.01, 0.25, 2.0])
def test_the_largest_variance_costs_the_committed_rate(nats):
    variance = remedies.largest_variance(nats)
    assert 0 < variance < 1
    assert (variance - 1 - np.log(variance)) / 2 == pytest.approx(nats, rel=1e-6)


def test_no_input_of_the_committed_rate_pays_less():
    vae = remedies.build("delta", 28, seed=0)
    x = 10 * np.random.default_rng(0).normal(size=(64, *remedies.SHAPE))
    z_mean, z_log_var = remedies.posterior(vae).predict(x, verbose=0)
    kl = (z_mean**2 + np.exp(z_log_var) - 1 - z_log_var) / 2
    assert kl.min() >= remedies.FREE_NATS - 1e-5  # float32


def test_every_stored_model_is_in_the_table_with_the_command_that_trains_it():
    root = MODELS.parents[1]
    table = (root / "data" / "README.md").read_text(encoding="utf-8")
    pattern = r"(?m)^\| `(\w+)\.keras` \|.* \| `python (benchmarks/\w+\.py) [^`]+` \|"
    rows = dict(re.findall(pattern, table))
    assert set(rows) == {path.stem for path in MODELS.glob("*.keras")}
    assert all((root / script).is_file() for script in rows.values())
