"""The checks of notebook 00 start here."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(quantize):
    """Check `quantize(z, num_bits)` on columns of different scales."""
    scales = np.array([1.0, 20.0, 0.1])
    z = np.random.default_rng(0).standard_normal((200, 3)) * scales + 5
    width = z.max(axis=0) - z.min(axis=0)
    for num_bits in (1, 3):
        rounded = np.asarray(quantize(z.copy(), num_bits))
        if rounded.shape != z.shape:
            return f"the shape becomes {rounded.shape} from {z.shape}"
        num_values = max(len(np.unique(c.round(9))) for c in rounded.T)
        if num_values > 2**num_bits:
            return (
                f"at {num_bits} bits a column keeps {num_values} "
                f"different values, more than {2**num_bits}"
            )
        step = width / (2**num_bits - 1)
        moved = np.abs(rounded - z).max(axis=0) / step
        if not np.all(moved < 0.5 + 1e-4):  # NaN fails, too
            return (
                "a value moves by more than half a step: does each "
                "column have its own range, and its two ends as levels?"
            )
    return None


@exercise(4)
def check_4(condition):
    """Check `condition` against the precision matrix of a Gaussian."""
    rng = np.random.default_rng(0)
    root, mean = rng.standard_normal((5, 8)), rng.standard_normal(5)
    cov = root @ root.T
    precision = np.linalg.inv(cov)
    for k in (2, 4):
        x_known = rng.standard_normal(k)
        answer = condition(mean.copy(), cov.copy(), x_known.copy())
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            return "return two things: a mean and a covariance"
        found_mean, found_cov = (np.asarray(part) for part in answer)
        if found_mean.shape != (5 - k,):
            return f"of 5 coordinates {5 - k} have a mean left to find"
        if found_cov.shape != (5 - k, 5 - k):
            return f"the covariance should be {5 - k} by {5 - k}"
        right_cov = np.linalg.inv(precision[k:, k:])
        shift = right_cov @ precision[k:, :k] @ (x_known - mean[:k])
        if not np.allclose(found_mean, mean[k:] - shift, rtol=1e-3):
            return "the mean is off: do you use x_known - mean[:k]?"
        if not np.allclose(found_cov, right_cov, rtol=1e-3):
            return "the mean is right; what is known narrows the rest"
    return None
