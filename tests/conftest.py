"""What several files of tests share."""

import os
import subprocess
import sys

import keras
import pytest


@pytest.fixture(scope="module")
def written(request, tmp_path_factory):
    """The folder with what the module's `WRITER` stored on the other backend.

    `WRITER` is a program; it is given the name of that backend and the folder.
    """
    other = "tensorflow" if keras.config.backend() == "jax" else "jax"
    folder = tmp_path_factory.mktemp(other)
    environment = {**os.environ, "KERAS_BACKEND": other}
    command = [sys.executable, "-c", request.module.WRITER, other, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder
