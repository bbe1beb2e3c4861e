"""The small digits that come with scikit-learn."""

from aecourse.checks import needs
from aecourse.datasets.files import check_sha256
from aecourse.datasets.split import make_split, split_off


def load_small_digits():
    """The 1,797 digits of 8x8 pixels that come with scikit-learn: fits in seconds.

    Pixels count ink from 0 to 16 and are divided by 16. Split 1,257 train, 180
    validation, 360 test, each class in proportion.

    Returns:
        A `Split` with images `(n, 8, 8, 1)`.

    Raises:
        DataError: The installed scikit-learn carries other digits.

    Example:

    >>> digits = load_small_digits()
    >>> print(digits.x_train.shape, float(digits.x_train.max()))
    (1257, 8, 8, 1) 1.0

    Reference: Alpaydin, Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
    """
    with needs("scikit-learn"):
        from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.images.astype("uint8"), digits.target.astype("uint8")
    check_sha256("small digits", {"x": x, "y": y}, "The digits in scikit-learn", "")
    rest, test = split_off(x, y, 360)
    train, validation = split_off(*rest, 180)
    return make_split("small digits", 16, train, validation, test)
