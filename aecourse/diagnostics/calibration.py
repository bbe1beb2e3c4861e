"""Whether the probabilities of a decoder are frequencies."""

import dataclasses
import math

import numpy as np

from aecourse.checks import check_count, check_same_shape, finite_array


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Predicted probabilities beside observed frequencies, bin by bin.

    Attributes:
        count: Number of predictions in each bin, shape `(num_bins,)`.
        predicted: Mean predicted probability in each bin; NaN where it is empty.
        observed: Share of ones in each bin; NaN where it is empty.
        standard_error: Standard deviation of `observed` if every probability is true.
        error: Expected calibration error, float: the mean over all predictions of
            |observed - predicted| of their bin.
        error_by_chance: What `error` is on average if every probability is true,
            float: the floor that the noise of the pixels sets.

    Example:

    >>> import numpy as np
    >>> x, x_hat = np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.6])
    >>> table = calibration(x, x_hat, num_bins=2)
    >>> print([int(count) for count in table.count], f"{table.observed[1]:.1f}")
    [1, 2] 1.0
    """

    count: np.ndarray
    predicted: np.ndarray
    _: dataclasses.KW_ONLY
    observed: np.ndarray
    standard_error: np.ndarray
    error: float
    error_by_chance: float


def calibration(x, x_hat, *, num_bins=10):
    """Do the pixels that the decoder calls 0.3 come out as one in 30 of 100 cases?

    The probabilities of a Bernoulli decoder are binned (bins of equal width, as in a
    reliability diagram) and compared with the binary pixels they were meant for. Decode
    a draw of z from the posterior of `x`, and not its mean, which the decoder was not
    trained on. A few bins of sure background pixels hold most of the mass: read the
    bins in the middle, too.

    Calibration is not quality: the mean image is calibrated.

    Args:
        x: Binary examples, any shape.
        x_hat: Probabilities of a one, same shape (`sigmoid(x_logits)`).
        num_bins: Number of bins between 0 and 1.

    Returns:
        `Calibration`.

    Raises:
        ValueError: if the shapes differ, `x` is not binary, or `x_hat` has values
            outside [0, 1] (logits, say).

    Example:

    >>> import numpy as np
    >>> x = np.array([0.0, 0.0, 0.0, 1.0])
    >>> print(f"{calibration(x, np.full(4, 0.25)).error:.2f}")
    0.00
    >>> print(f"{calibration(x, np.full(4, 0.95)).error:.2f}")
    0.70

    Derived in: notebook 12.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks" (2017).
    """
    check_count("num_bins", num_bins)
    x, x_hat = finite_array("x", x), finite_array("x_hat", x_hat)
    check_same_shape("x_hat", x_hat.shape, "x", x.shape)
    if x.size == 0 or np.any((x != 0) & (x != 1)):
        raise ValueError(
            "Argument `x` must be binary and not empty (`datasets.binarize` draws it). "
            f"Received: x.shape={x.shape}, {np.count_nonzero((x != 0) & (x != 1))} "
            "values other than 0 and 1"
        )
    if x_hat.min() < 0 or x_hat.max() > 1:
        raise ValueError(
            "Argument `x_hat` must be probabilities in [0, 1] (are these logits?). "
            f"Received: x_hat.min()={x_hat.min():g}, x_hat.max()={x_hat.max():g}"
        )
    x, x_hat = x.ravel(), x_hat.ravel()
    bins = np.minimum((x_hat * num_bins).astype(int), num_bins - 1)
    count, ones, mass, variance = (
        np.bincount(bins, values, num_bins)
        for values in (None, x, x_hat, x_hat * (1 - x_hat))
    )
    with np.errstate(invalid="ignore"):
        predicted, observed = mass / count, ones / count
        standard_error = np.sqrt(variance) / count
    error = np.sum(np.abs(ones - mass)) / x.size
    # The mean of |N(0, s^2)| is s sqrt(2 / pi).
    by_chance = math.sqrt(2 / math.pi) * np.sum(np.sqrt(variance)) / x.size
    return Calibration(
        count,
        predicted,
        observed=observed,
        standard_error=standard_error,
        error=float(error),
        error_by_chance=float(by_chance),
    )
