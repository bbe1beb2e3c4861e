"""One file, every backend: what one backend saves, the other reads to 1e-5."""

import keras
import numpy as np
import other_backend
import pytest
from keras import ops

# Keras finds the classes in a file by name once their modules are imported.
from aecourse import losses, models, objectives  # noqa: F401

# Runs on the other backend, in a process of its own.
WRITER = """
import sys
import keras
import numpy as np
from aecourse import layers, losses, models

assert keras.config.backend() == sys.argv[1]
folder, shape = sys.argv[2], (10, 9, 2)
x = np.random.default_rng(0).integers(0, 2, (24, *shape)).astype("float32")
warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
for kind in ("dense", "conv", "gaussian"):
    builder, loss = kind, losses.BernoulliNLL()
    if kind == "gaussian":
        builder, loss = "dense", losses.GaussianNLL(variance=None)
    encoder = getattr(models, f"{builder}_encoder")(shape, 3, variational=True)
    decoder = getattr(models, f"{builder}_decoder")(shape, 3, layer_norm=True)
    if kind == "gaussian":
        noisy = layers.LearnedVariance(per_pixel=True)(decoder.output)
        decoder = keras.Model(decoder.input, noisy, name="decoder")
    vae = models.variational_autoencoder(encoder, decoder, beta=warm_up, seed=5)
    vae.compile(keras.optimizers.Adam(1e-3), loss)
    vae.fit(x, batch_size=8, epochs=2, verbose=0)
    vae.save(f"{folder}/{kind}.keras")
    z_mean, z_log_var = vae.encode(x)
    np.savez(
        f"{folder}/{kind}.npz",
        x=x,
        z_mean=z_mean,
        z_log_var=z_log_var,
        kl=vae.evaluate(x, verbose=0, return_dict=True)["kl"],
        decoded=vae.decoder.predict(z_mean, verbose=0),
        generated=vae.generate(4, seed=0),
        step=int(vae.kl_regularization.step),
    )
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder with the models and outputs of the other backend."""
    return other_backend.write(WRITER, tmp_path_factory.mktemp("written"))


@pytest.mark.parametrize("kind", ["dense", "conv", "gaussian"])
def test_reads_what_the_other_backend_wrote(written, kind):
    vae = keras.saving.load_model(written / f"{kind}.keras")
    there = np.load(written / f"{kind}.npz", allow_pickle=False)
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


@pytest.mark.parametrize("kind", ["dense", "conv", "gaussian"])
def test_trains_on_what_the_other_backend_wrote(written, kind):
    vae = keras.saving.load_model(written / f"{kind}.keras")
    x = np.load(written / f"{kind}.npz", allow_pickle=False)["x"]
    history = vae.fit(x, batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert int(vae.kl_regularization.step) == 9
