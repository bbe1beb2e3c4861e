"""The data of the course: NumPy arrays, the same on every backend and every machine.

Digits and sprites need no download. Full MNIST and Fashion-MNIST are read from a data
folder or fetched by Keras, only when asked for by name, and are never replaced by less.
The splits are fixed: no seed of the course moves them.
"""

from aecourse.datasets.augmentation import JitteredImages
from aecourse.datasets.binarization import (
    DynamicBinarization,
    binarize,
    dequantize,
)
from aecourse.datasets.digits import (
    load_small_digits,
)
from aecourse.datasets.files import (
    DataError,
    stored_model,
)
from aecourse.datasets.mnist import (
    load_fashion_mnist,
    load_mnist,
)
from aecourse.datasets.split import (
    Split,
)
from aecourse.datasets.sprites import (
    load_sprites,
)

__all__ = [
    "DataError",
    "DynamicBinarization",
    "JitteredImages",
    "Split",
    "binarize",
    "dequantize",
    "load_fashion_mnist",
    "load_mnist",
    "load_small_digits",
    "load_sprites",
    "stored_model",
]
