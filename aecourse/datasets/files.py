"""Data files: found, read, fetched by Keras when asked for, and never trusted."""

import hashlib
import os
from pathlib import Path

import numpy as np

from aecourse.datasets.split import make_split, split_off

FOLDER = Path(__file__).resolve().parents[2] / "data"
"""The course's own data folder; only a checkout has it, an installed wheel has not."""

MODELS = FOLDER / "models"
"""Where the small trained models lie; `stored_model` finds one."""


class DataError(OSError):
    """A data file is missing, damaged or not what it should be; says what to do."""


# SHA-256 of the bytes of the uint8 arrays, each computed from the arrays themselves.
_SHA256 = {
    "MNIST subset": {
        "x": "2913c6b6527114b7307e1086335a7665e3f94c74aba3d67525e6f116bf5ae20f",
        "y": "41b7b0a9d94690a3a2f54a1d01a9f1cc1b9512e3954fb737ad5ed9f66972403d",
    },
    "small digits": {
        "x": "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
        "y": "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
    },
    "MNIST": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
}
# The four arrays of a data file, all uint8, as `keras.datasets` lays them out.
_SHAPES = {
    "x_train": (60000, 28, 28),
    "y_train": (60000,),
    "x_test": (10000, 28, 28),
    "y_test": (10000,),
}


def load_file_or_fetch(name, file_name, keras_dataset):
    """The `Split` of a data set from its file, or else through Keras."""
    path = _data_folder() / file_name
    if os.path.lexists(path):
        source = str(path)
        remedy = (
            f"The file was left as it is. Put an intact {file_name} in its place; or "
            f"move it away, and {name} is fetched through keras.datasets."
        )
        arrays = _read_npz(path, remedy)
    else:
        source = keras_dataset.__name__
        remedy = (
            f"Put {file_name} into {path.parent}, or set the environment variable "
            f"AECOURSE_DATA to the folder that has it. If Keras' own copy is damaged, "
            f"remove it from the folder datasets/ of Keras (usually ~/.keras)."
        )
        try:
            train, test = keras_dataset.load_data()
        except Exception as error:  # Keras raises a bare Exception without a network
            raise DataError(
                f"{name} is not in {path.parent} and could not be fetched through "
                f"{source} ({error}). {remedy}"
            ) from error
        arrays = dict(zip(_SHAPES, (*train, *test), strict=True))
    for key, shape in _SHAPES.items():
        array = arrays[key]
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(
                f"{source} is not {name}: `{key}` must have shape {shape} and type "
                f"uint8, not {array.shape} and {array.dtype}. {remedy}"
            )
    if name in _SHA256:
        check_sha256(name, arrays, source, remedy)
    else:
        _check_balance(name, arrays, source, remedy)
    pair = (arrays["x_train"], arrays["y_train"])
    train, validation = split_off(*pair, 5000)
    return make_split(
        name, 255, train, validation, (arrays["x_test"], arrays["y_test"])
    )


def _data_folder():
    named = os.environ.get("AECOURSE_DATA")
    if not named:
        return FOLDER
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(
            "The environment variable AECOURSE_DATA must name a folder that exists. "
            f"Received: AECOURSE_DATA={named!r}"
        )
    return folder


def _read_npz(path, remedy):
    try:
        # A file opened here is closed even if NumPy finds no archive in it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in _SHAPES}
    except Exception as error:  # zipfile, zlib and NumPy each raise their own; the
        # text is left to the traceback, as NumPy's recommends to load with pickle.
        raise DataError(
            f"{path} is not a readable .npz file of the arrays {', '.join(_SHAPES)} "
            f"({type(error).__name__}). {remedy}"
        ) from error


def check_sha256(name, arrays, source, remedy):
    """Refuse arrays that are not those whose hashes are shipped."""
    for key, expected in _SHA256[name].items():
        if hashlib.sha256(arrays[key].tobytes()).hexdigest() != expected:
            raise DataError(
                f"{source} is not {name}: `{key}` has another SHA-256 than the one "
                f"shipped with the course. {remedy}".rstrip()
            )


def _check_balance(name, arrays, source, remedy):
    for part, num_each in (("train", 6000), ("test", 1000)):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        balanced = np.array_equal(np.bincount(y), [num_each] * 10)
        if not balanced or x.min() != 0 or x.max() != 255:
            raise DataError(
                f"{source} is not {name}: the {part} part must have {num_each} images "
                f"in each of 10 classes and pixels from 0 to 255. {remedy}"
            )


def stored_model(name):
    """The file of a small trained model of the course, for `keras.models.load_model`.

    What lies in `data/models/`, and the command that trains each of them again, is in
    the table of `data/README.md`.

    Args:
        name: Name of the model, such as `"remedies_plain"`.

    Returns:
        `pathlib.Path` of a `.keras` file.

    Raises:
        DataError: There is no such model; in an installed wheel there is none at all.

    Example:

    >>> stored_model("remedies_plain").name
    'remedies_plain.keras'
    """
    path = MODELS / f"{name}.keras"
    if not path.is_file():
        known = sorted(file.stem for file in MODELS.glob("*.keras"))
        raise DataError(
            f"No model {name!r} lies in {MODELS}, which has {known or 'none'}. The "
            "stored models come with a checkout of the course, not with its wheel."
        )
    return path
