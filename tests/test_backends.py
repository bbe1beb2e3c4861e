"""One file, every backend: what one saves the other reads to 1e-5, and trains on."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import layers, losses, models, objectives

OTHER = "tensorflow" if keras.config.backend() == "jax" else "jax"

# Runs on the other backend, in a process of its own: all models in one, for most of its
# time goes to the imports.
WRITER = """
import sys
import keras
import numpy as np
from aecourse import layers, losses, models

assert keras.config.backend() == sys.argv[1]
folder, shape = sys.argv[2], (10, 9, 2)
x = np.random.default_rng(0).integers(0, 2, (24, *shape)).astype("float32")


def parts(kind, variational=False, **options):
    widths = {"dense": {"hidden_units": (6,)}, "conv": {"filters": (6,)}}[kind]
    encoder = getattr(models, f"{kind}_encoder")
    decoder = getattr(models, f"{kind}_decoder")
    encoder = encoder(shape, 3, variational=variational, **widths)
    return encoder, decoder(shape, 3, **widths, **options)


# A convolutional VAE of bits, and a dense one that learns the noise of its pixels.
warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
for kind in ("conv", "dense"):
    encoder, decoder = parts(kind, variational=True, layer_norm=True)
    loss = losses.BernoulliNLL()
    if kind == "dense":
        noisy = layers.LearnedVariance(per_pixel=True)(decoder.output)
        decoder = keras.Model(decoder.input, noisy, name="decoder")
        loss = losses.GaussianNLL(variance=None)
    vae = models.variational_autoencoder(encoder, decoder, beta=warm_up, seed=5)
    vae.compile(keras.optimizers.Adam(1e-3), loss)
    vae.fit(x, batch_size=8, epochs=2, verbose=0)
    vae.save(f"{folder}/vae_{kind}.keras")
    z_mean, z_log_var = vae.encode(x)
    np.savez(
        f"{folder}/vae_{kind}.npz",
        x=x,
        z_mean=z_mean,
        z_log_var=z_log_var,
        kl=vae.evaluate(x, verbose=0, return_dict=True)["kl"],
        decoded=vae.decoder.predict(z_mean, verbose=0),
        generated=vae.generate(4, seed=0),
        step=int(vae.kl_regularization.step),
    )

# Contractive autoencoders, by both methods.
for kind, method in (("dense", "exact"), ("conv", "hutchinson")):
    encoder, decoder = parts(kind)
    inputs = keras.Input(shape)
    penalty = layers.JacobianPenalty(encoder, 0.1, method=method, num_probes=2, seed=3)
    model = keras.Model(inputs, decoder(penalty(inputs)))
    model.compile("adam", "mse")
    model.fit(x, x, batch_size=8, verbose=0)
    model.save(f"{folder}/contractive_{kind}.keras")
    x_hat = model.predict(x, verbose=0)
    np.savez(f"{folder}/contractive_{kind}.npz", x=x, x_hat=x_hat)

# An importance-weighted loss, with its likelihood.
encoder, decoder = parts("dense", variational=True)
nll = losses.DiscretizedLogisticNLL(num_levels=4, reduction="none")
decoder = keras.Model(decoder.input, layers.LearnedVariance()(decoder.output))
layer = layers.ImportanceWeightedLoss(encoder, decoder, nll=nll, num_samples=7, seed=2)
inputs = keras.Input(shape)
keras.Model(inputs, layer(inputs)).save(f"{folder}/iwae.keras")
z = np.random.default_rng(0).normal(size=(5, 3))
np.savez(f"{folder}/iwae.npz", x=x, z=z, x_hat=decoder(z))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """A function of a name: the model and the outputs that the other backend wrote."""
    folder = tmp_path_factory.mktemp("written")
    environment = {**os.environ, "KERAS_BACKEND": OTHER}
    command = [sys.executable, "-c", WRITER, OTHER, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def read(name):
        model = keras.saving.load_model(folder / f"{name}.keras")
        return model, np.load(folder / f"{name}.npz", allow_pickle=False)

    return read


@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_a_vae_gives_what_it_gave_and_trains_on(read, kind):
    vae, there = read(f"vae_{kind}")
    assert isinstance(vae, models.VariationalAutoencoder)
    z_mean, z_log_var = vae.encode(there["x"])
    kl = ops.convert_to_numpy(objectives.gaussian_kl(z_mean, z_log_var)).mean()
    decoded = vae.decoder.predict(there["z_mean"], verbose=0)
    # Samples differ between backends; everything up to the draw must not.
    np.testing.assert_allclose(z_mean, there["z_mean"], atol=1e-5)
    np.testing.assert_allclose(z_log_var, there["z_log_var"], atol=1e-5)
    np.testing.assert_allclose(kl, there["kl"], rtol=1e-5)
    np.testing.assert_allclose(decoded, there["decoded"], atol=1e-5)
    np.testing.assert_allclose(vae.generate(4, seed=0), there["generated"], atol=1e-5)
    assert int(vae.kl_regularization.step) == there["step"] == 6
    history = vae.fit(there["x"], batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(vae.kl_regularization.step) == 9


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_a_contractive_autoencoder_gives_what_it_gave_and_trains_on(read, kind):
    model, there = read(f"contractive_{kind}")
    x_hat = model.predict(there["x"], verbose=0)
    np.testing.assert_allclose(x_hat, there["x_hat"], atol=1e-5)
    penalty = model.layers[1]
    assert isinstance(penalty, layers.JacobianPenalty)
    assert (penalty.weight, penalty.num_probes, penalty.seed) == (0.1, 2, 3)
    history = model.fit(there["x"], there["x"], batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_an_importance_weighted_loss_keeps_its_likelihood_and_trains(read):
    model, there = read("iwae")
    layer = model.layers[-1]
    assert isinstance(layer, layers.ImportanceWeightedLoss)
    assert (layer.num_samples, layer.seed) == (7, 2)
    assert isinstance(layer.nll, losses.DiscretizedLogisticNLL)
    assert (layer.nll.num_levels, layer.nll.reduction) == (4, "none")
    np.testing.assert_allclose(layer.decoder(there["z"]), there["x_hat"], atol=1e-5)
    model.compile("adam")
    assert np.isfinite(model.fit(there["x"], verbose=0).history["loss"]).all()
