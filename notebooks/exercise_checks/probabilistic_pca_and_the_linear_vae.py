"""The checks of notebook 09 probabilistic PCA and the linear VAE."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(to_axes):
    """Check `to_axes(W)`: same WW', orthogonal columns, longest first."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((10, 4)))[0]
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    for lengths in ([4.0, 2.0, 1.0, 0.5], [3.0, 1.0, 0.2, 0.0]):
        W = axes * lengths @ turn
        found = np.asarray(to_axes(W.copy()))
        if found.shape != W.shape:
            return f"the shape of W is {W.shape}, yours is {found.shape}"
        if not np.all(np.isfinite(found)):
            return "NaN for a W with a dead axis: do you divide by zero?"
        if not np.allclose(found @ found.T, W @ W.T, atol=1e-6):
            return "WW' has changed: turn W, do not scale it"
        inner = found.T @ found
        if not np.allclose(inner, np.diag(np.diag(inner)), atol=1e-6):
            return "WW' is the same, but the columns are not orthogonal"
        if not np.allclose(np.diag(inner), np.square(lengths), atol=1e-6):
            return "these are the axes: sort them, the longest first"
    return None


@exercise(2)
def check_2(water_level):
    """Check `water_level(eigenvalues, distortion)` by bisection."""
    eigenvalues = np.array([4.0, 0.1, 2.0, 1.0, 0.5])  # in any order
    for distortion in (0.3, 1.0, 3.0, 7.0):
        pair = water_level(eigenvalues.copy(), distortion)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return "return two numbers: the level and the nats"
        level, nats = (float(part) for part in pair)
        low, high = 0.0, 4.0
        for _ in range(60):
            middle = (low + high) / 2
            total = np.minimum(eigenvalues, middle).sum()
            if total < distortion:
                low = middle
            else:
                high = middle
        even = distortion / 5
        if np.isclose(level, even) and not np.isclose(even, low):
            return "the error is not shared evenly: some axes drown"
        if not np.isclose(level, low, rtol=1e-4):
            total = np.minimum(eigenvalues, level).sum()
            return (
                f"at distortion {distortion} your level {level:.4g} "
                f"gives a total error of {total:.4g}"
            )
        right = np.log(np.maximum(eigenvalues / low, 1)).sum() / 2
        if np.isclose(nats, right / np.log(2), rtol=1e-4):
            return "the level is right; in bits, nats are wanted"
        if np.isclose(nats, 2 * right, rtol=1e-4):
            return "the level is right; one half is missing in the nats"
        if not np.isclose(nats, right, rtol=1e-4):
            return "the level is right; does a drowned axis cost nothing?"
    return None
