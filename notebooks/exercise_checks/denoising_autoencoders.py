"""The checks of notebook 05 denoising autoencoders."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(linear_denoiser):
    """Check `linear_denoiser(cov, s, k)`: is its error stationary?"""
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    eigenvalues = np.array([5.0, 3.0, 1.0, 0.5, 0.1, 0.0])
    cov = u * eigenvalues @ u.T
    for s, k in ((0.5, 6), (0.5, 2), (2.0, 3)):
        found = np.asarray(linear_denoiser(cov.copy(), s, k))
        if found.shape != (6, 6):
            return f"a 6 by 6 matrix, not {found.shape}"
        plane = u[:, :k] @ u[:, :k].T
        right = np.linalg.solve(cov + s**2 * np.eye(6), cov) @ plane
        if np.allclose(found, right, atol=1e-6):
            continue
        if np.allclose(found, plane, atol=1e-6):
            return "this is PCA: shrink each component by its signal"
        if np.linalg.matrix_rank(found, tol=1e-6) > k:
            return f"the rank is above k = {k}"
        wrong = np.linalg.solve(cov + s * np.eye(6), cov) @ plane
        if np.allclose(found, wrong, atol=1e-6):
            return "s is a standard deviation: the variance is s^2"
        if np.allclose(found @ plane, found, atol=1e-6):
            return "the right components, but not the right factors"
        return f"k = {k}: these are not the {k} largest components"
    return None


@exercise(2)
def check_2(posterior_mean):
    """Check `posterior_mean(x_noisy, data, s)`, far away, too."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((7, 3))
    x_noisy = rng.standard_normal((4, 3))
    squares = np.sum((x_noisy[:, None] - data) ** 2, axis=-1)

    def right(s):
        weights = np.exp(-squares / (2 * s**2))
        return weights @ data / weights.sum(axis=1, keepdims=True)

    def answer(points, s):
        return np.asarray(posterior_mean(points.copy(), data.copy(), s))

    found = answer(x_noisy, 0.7)
    if found.shape != x_noisy.shape:
        return f"the shape of x_noisy, (4, 3), not {found.shape}"
    if not np.allclose(found, right(0.7), rtol=1e-4):
        if np.allclose(found, right(0.7**0.5), rtol=1e-4):
            return "s is a standard deviation: divide by 2 s^2"
        if np.allclose(found, right(0.7 / 2**0.5), rtol=1e-4):
            return "a factor of 2 is missing under the square"
        if np.allclose(found, data[squares.argmin(axis=1)]):
            return "the nearest row is the limit s -> 0: take a mean"
        return "not yet: the rows weighted by their Gaussian densities"
    far = answer(x_noisy + 1000.0, 0.01)
    if not np.all(np.isfinite(far)):
        return "right near the data; far away all weights underflow to 0"
    farthest = data[np.argmax(data.sum(axis=1))]
    if not np.allclose(far, farthest, atol=0.1):
        return "right near the data; far away the nearest row should win"
    return None


@exercise(4)
def check_4(masking_denoiser):
    """Check `masking_denoiser(cov, rate)` by summing over all masks."""
    rng = np.random.default_rng(0)
    root = rng.standard_normal((4, 5))
    cov = root @ root.T
    masks = np.array([[i >> j & 1 for j in range(4)] for i in range(16)])
    for rate in (0.5, 0.2):
        found = np.asarray(masking_denoiser(cov.copy(), rate))
        if found.shape != cov.shape:
            return f"a 4 by 4 matrix, not {found.shape}"
        chances = rate ** (4 - masks.sum(1)) * (1 - rate) ** masks.sum(1)
        both = np.einsum("m,mi,mj->ij", chances, masks, masks) * cov
        cross = cov * (chances @ masks)
        if np.allclose(found @ both, cross, rtol=1e-4):
            continue
        if np.allclose(found.T @ both, cross, rtol=1e-4):
            return "transposed: A acts on a column from the left"
        gain = found * (1 - rate)
        if np.allclose(gain @ both, cross, rtol=1e-4):
            return "too large by 1 / (1 - rate): masking scales nothing"
        if np.allclose(found, np.eye(4), atol=1e-4):
            return "the identity: are a pixel's two masks the same mask?"
        return f"rate {rate}: A E[x~ x~'] should be E[x x~']"
    return None
