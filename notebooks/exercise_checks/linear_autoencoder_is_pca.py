"""Checks of the exercises of notebook 01."""

import numpy as np

from exercise_checks import check


@check
def exercise_1(principal_axes):
    """Check `principal_axes(w_dec, z)` on codes mixed by a known map."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20, 3)))[0]
    scores = rng.standard_normal((50, 3))
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0] * [3, 2, 1]
    mixing = rng.standard_normal((3, 3))
    w_dec, z = axes @ mixing, scores @ np.linalg.inv(mixing).T
    found = np.asarray(principal_axes(w_dec.copy(), z.copy()))
    if found.shape != axes.shape:
        return f"one axis per column: {axes.shape}, not {found.shape}"
    if not np.allclose(found.T @ found, np.eye(3), atol=1e-6):
        return "the columns are not orthonormal"
    cosines = np.abs(axes.T @ found)
    if not np.allclose(np.sum(cosines**2, axis=0), 1, atol=1e-6):
        return "the columns leave the span of the decoder's columns"
    if np.allclose(cosines, np.eye(3), atol=1e-6):
        return None
    if np.allclose(np.sort(cosines, axis=0)[-1], 1, atol=1e-6):
        return "these are the axes: sort them, largest variance first"
    return (
        "the right span, but not the axes: along them the "
        "reconstructions are uncorrelated"
    )


@check
def exercise_2(angle_within):
    """Check `angle_within(eigenvalues, k, fraction)` by formula (2)."""
    eigenvalues = np.array([5.0, 3.0, 2.0, 1.98, 1.0, 0.5])
    for k, fraction in ((1, 0.01), (2, 0.002), (4, 0.1)):
        angle = float(angle_within(eigenvalues.copy(), k, fraction))
        gap = eigenvalues[k - 1] - eigenvalues[k]
        allowed = fraction * eigenvalues[k:].sum()
        excess = gap * np.sin(np.radians(angle)) ** 2
        if not 0 <= angle <= 90:
            return f"an angle is between 0 and 90 degrees, not {angle}"
        if not np.isclose(excess, allowed, rtol=1e-6):
            return (
                f"k = {k}, fraction = {fraction}: your angle costs "
                f"{excess:.4g}, allowed is {allowed:.4g}"
            )
    if float(angle_within(eigenvalues.copy(), 3, 0.01)) != 90:
        return "if turning by 90 degrees is allowed, return 90"
    return None


@check
def exercise_4(escape_direction):
    """Check that the loss curves down along `escape_direction`."""
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    s = u * np.array([9.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]) @ u.T

    def loss(w, w_dec):
        residual = np.eye(8) - w_dec @ w
        return np.trace(residual @ s @ residual.T)

    for wrong in ([0, 1, 3], [5, 0, 2], [1, 2, 3], [4, 7, 6]):
        w = u[:, wrong].T
        pair = escape_direction(u.copy(), list(wrong))
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return "return two things: dV and dW"
        dw, dw_dec = (np.asarray(part) for part in pair)
        if dw.shape != (3, 8) or dw_dec.shape != (8, 3):
            return f"the shapes are {dw.shape} and {dw_dec.shape}"
        if not np.isclose(np.sum(dw**2) + np.sum(dw_dec**2), 1):
            return "scale the pair to total norm 1"
        t = np.linspace(-1, 1, 5)
        values = [loss(w + a * dw, w.T + a * dw_dec) for a in t]
        curvature = 2 * np.polyfit(t, values, 4)[2]
        if not curvature < -1e-6:
            return (
                f"from the set {wrong} the curvature along your "
                f"direction is {curvature:.3g}, not negative"
            )
    return None
