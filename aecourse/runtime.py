"""What surrounds a notebook: the backend, the seed and the compute budget.

This module imports no Keras before it is asked to, so that a notebook can choose the
backend first. Two of the course's settings are environment variables read here:
`AECOURSE_SEED`, a whole number added to every seed of the course (default 0), and
`AECOURSE_BUDGET`, `quick` (the default: minutes on two CPU cores) or `full`.
"""

import contextlib
import importlib
import logging
import os
import random
import sys

from aecourse.checks import check_count

BACKENDS = ("tensorflow", "jax", "torch")
BUDGETS = ("quick", "full")

# The largest seed that every generator of every backend takes as it is.
_MAX_SEED = 2**31 - 1


def quiet_start():
    """Import Keras and its backend: no native log lines, float32 that is float32.

    An NVIDIA card multiplies float32 matrices with ten bits of the fraction (TF32)
    unless it is told otherwise: an error of 1e-3 where a CPU has 1e-6. The variables
    `JAX_DEFAULT_MATMUL_PRECISION` and `NVIDIA_TF32_OVERRIDE`, where they are not set
    already, ask for all 23.

    TensorFlow and XLA write to file descriptor 2 while they are loaded, below Python's
    reach and whatever their logging variables say. That descriptor points to the null
    device while this function imports Keras and makes one tensor, and is put back
    before it returns or raises. Calling it again does nothing new.

    Raises:
        ValueError: if `KERAS_BACKEND` names no backend of the course, or another one
            than the running process has already loaded.
        ImportError: if the backend is not installed.

    Example:

    >>> quiet_start()
    """
    backend = os.environ.get("KERAS_BACKEND")
    if backend is not None and backend not in BACKENDS:
        raise ValueError(
            f"Environment variable `KERAS_BACKEND` must be one of {BACKENDS}. "
            f"Received: KERAS_BACKEND={backend!r}"
        )
    # TensorFlow's native part logs an error also where it then does the thing in
    # another way. Level 3 silences such lines; what truly fails is raised all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend in ("jax", "torch"):
        # Keras loads TensorFlow to save a model, on any backend, and the level does not
        # silence its line about oneDNN. Nothing computes with TensorFlow here, so
        # oneDNN is switched off.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # A CPU build of JAX warns on a machine with an NVIDIA card.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)

    try:
        with _without_native_stderr():
            keras = importlib.import_module("keras")
            keras.ops.zeros(())  # the device is set up, and logged about, here
    except ModuleNotFoundError as error:
        if error.name != backend:
            raise
        raise ImportError(
            f"The backend {backend} is not installed. Install it, or choose another "
            f"by the environment variable `KERAS_BACKEND`. "
            f"Received: KERAS_BACKEND={backend!r}"
        ) from error

    loaded = keras.config.backend()
    if backend not in (None, loaded):
        raise ValueError(
            f"Environment variable `KERAS_BACKEND` was set after Keras had started on "
            f"{loaded}: set it first and restart Python, or the notebook's kernel. "
            f"Received: KERAS_BACKEND={backend!r}"
        )


@contextlib.contextmanager
def _without_native_stderr():
    """Point file descriptor 2 to the null device, and back whatever happens."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no descriptor 2, hence nothing to silence
        yield
        return
    try:
        with contextlib.suppress(AttributeError, ValueError):
            sys.stderr.flush()  # sys.stderr may be None, closed or a notebook's
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def describe():
    """Say what runs the code: Keras' version, the backend and the device.

    Returns:
        str, such as `"Keras 3.15.1, backend jax, cpu"`, or `"..., 2 x gpu"`.

    Example:

    >>> describe().split(",")[0].split()[0]
    'Keras'
    """
    quiet_start()
    import keras

    kinds = [device.split(":")[0] for device in _devices(keras)]
    accelerators = [kind for kind in kinds if kind != "cpu"]
    device = accelerators[0] if accelerators else "cpu"
    count = len(accelerators) or kinds.count("cpu")
    device = device if count <= 1 else f"{count} x {device}"
    return f"Keras {keras.__version__}, backend {keras.config.backend()}, {device}"


def _devices(keras):
    try:
        return [device.lower() for device in keras.distribution.list_devices()]
    except (AttributeError, NotImplementedError, ImportError):
        return ["cpu"]  # the backend cannot say


def seed(number):
    """Shift a seed of the course by `AECOURSE_SEED`.

    Every seed of a notebook goes through here, so that one variable re-runs it all
    with other random numbers.

    Args:
        number: int >= 0.

    Returns:
        int, `number + AECOURSE_SEED`.

    Raises:
        ValueError: if `number` or `AECOURSE_SEED` is no whole number from 0 on, or
            their sum is more than 2**31 - 1.

    Example:

    >>> seed(3) - seed(0)
    3
    """
    check_count("number", number, minimum=0, maximum=_MAX_SEED)
    text = os.environ.get("AECOURSE_SEED", "").strip() or "0"
    if not (text.isascii() and text.isdigit()) or int(text) + number > _MAX_SEED:
        raise ValueError(
            "Environment variable `AECOURSE_SEED` must be a whole number from 0 on, "
            "and together with the seed it is added to at most 2**31 - 1. "
            f"Received: AECOURSE_SEED={text!r}"
        )
    return int(number) + int(text)


def seed_everything(number):
    """Seed Python, NumPy and the backend's own generator with `seed(number)`.

    A model built and trained after this call starts from the same weights and sees
    its batches in the same order each time. The same seed draws other numbers on
    another backend.

    Args:
        number: int >= 0.

    Returns:
        int, the seed that was used.

    Raises:
        ValueError: as `seed`.

    Example:

    >>> used = seed_everything(7)
    >>> first = random.random()
    >>> used = seed_everything(7)
    >>> random.random() == first
    True
    """
    number = seed(number)
    import keras
    import numpy as np

    if keras.config.backend() == "jax":
        # `keras.utils.set_random_seed` would import TensorFlow here: four seconds and
        # its log lines. Keras draws its default seeds from Python's generator and
        # shuffles arrays with NumPy's. JAX has no generator of its own to seed.
        random.seed(number)
        np.random.seed(number)
    else:
        keras.utils.set_random_seed(number)
    return number


def by_budget(quick, full):
    """Choose a size, a length or any other value by `AECOURSE_BUDGET`.

    Args:
        quick: the value for minutes on two CPU cores, the default.
        full: the value for a GPU and the full data.

    Returns:
        `quick` or `full`, as it is.

    Raises:
        ValueError: if `AECOURSE_BUDGET` is neither `quick` nor `full`.

    Example:

    >>> by_budget(quick=5, full=100) in (5, 100)
    True
    """
    budget = os.environ.get("AECOURSE_BUDGET", "").strip() or "quick"
    if budget not in BUDGETS:
        raise ValueError(
            f"Environment variable `AECOURSE_BUDGET` must be one of {BUDGETS}. "
            f"Received: AECOURSE_BUDGET={budget!r}"
        )
    return full if budget == "full" else quick


def oracle():
    """Import TensorFlow Probability's NumPy substrate: an independent check.

    The package loads TensorFlow where it is installed and then asks for Keras 2 as
    well. Its NumPy substrate needs neither, so it is imported `without_tensorflow`.

    Returns:
        The module `tensorflow_probability.substrates.numpy`.

    Raises:
        ImportError: if `tensorflow-probability` is not installed.

    Example:

    >>> tfd = oracle().distributions
    >>> print(f"{tfd.Normal(0.0, 1.0).log_prob(0.0):.4f}")
    -0.9189
    """
    with without_tensorflow():
        return importlib.import_module("tensorflow_probability.substrates.numpy")


@contextlib.contextmanager
def without_tensorflow():
    """Hide TensorFlow from what is imported inside the `with` block.

    Some packages load TensorFlow wherever it is installed, for a part that the course
    does not use: four seconds, and log lines that reach the notebook. Inside the block
    an import of TensorFlow fails as if it were not there; afterwards all is as before.

    Example:

    >>> with without_tensorflow():
    ...     try:
    ...         import tensorflow
    ...     except ImportError:
    ...         print("not found")
    not found
    """
    loaded = sys.modules.get("tensorflow")
    # Python raises ModuleNotFoundError for a name that is None here.
    sys.modules["tensorflow"] = None
    try:
        yield
    finally:
        del sys.modules["tensorflow"]
        if loaded is not None:
            sys.modules["tensorflow"] = loaded
