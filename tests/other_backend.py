"""Files that another backend than the one under test has written."""

import os
import subprocess
import sys

import keras


def write(program, folder):
    """Run a program on the other backend, in a process of its own.

    Args:
        program: Python text; its arguments are the backend's name and the folder.
        folder: Where it stores its files.

    Returns:
        The folder.
    """
    backend = "tensorflow" if keras.config.backend() == "jax" else "jax"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", program, backend, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder
