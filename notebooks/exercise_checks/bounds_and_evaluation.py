"""The checks of notebook 12 bounds and evaluation."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(effective_samples):
    """Check `effective_samples(log_weights)`, at its ends and between."""
    rng = np.random.default_rng(0)
    log_weights = rng.normal(size=(6, 40))
    w = np.exp(log_weights)
    right = w.sum(axis=1) ** 2 / (w**2).sum(axis=1)
    found = np.asarray(effective_samples(log_weights.copy()))
    if found.shape != right.shape:
        return f"6 examples need the shape (6,); yours is {found.shape}"
    if np.allclose(found, 1 / right):
        return "that is the share of two draws that agree: invert it"
    if np.allclose(found, right / 40):
        return "a share of K: the number itself is wanted"
    if not np.allclose(found, right, rtol=1e-4):
        return "not yet: square of the sum over the sum of the squares"
    for shift in (-10_000.0, 10_000.0):
        found = np.asarray(effective_samples(log_weights + shift))
        if not np.allclose(found, right, rtol=1e-4):
            return (
                f"right near 0, but log-weights near {shift:,.0f} give "
                f"{found[0]:.4g}: take out the largest first"
            )
    return None


@exercise(4)
def check_4(surrogate):
    """Check the derivative of `surrogate(b, mu, noise)` in `b`."""
    from keras import ops

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((50, 8, 2)).astype("float32")
    b, mu = np.float32([0.9, 1.2]), np.float32([0.1, -0.3])
    z, x = b + noise, np.ones(2, "float32")
    log_w = (z - b) ** 2 - (z - mu) ** 2 - (x - z) ** 2
    log_w = log_w.sum(axis=-1) / 2
    share = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    slope = ((z - b) - (z - mu) + (x - z))[..., 0]
    right = np.sum(share**2 * slope, axis=1)
    # The ordinary derivative of the bound, and half-way answers.
    half = (x - z) - (z - mu)
    plain = np.sum(share * half[..., 0], axis=1)
    once = np.sum(share * slope, axis=1)
    canceled = np.sum(share**2 * half[..., 0], axis=1)
    b, mu, noise = (ops.convert_to_tensor(one) for one in (b, mu, noise))
    direction = ops.convert_to_tensor(np.float32([1.0, 0.0]))
    value, found = ops.jvp(
        lambda b: surrogate(b, mu, noise), (b,), (direction,)
    )
    if tuple(value.shape) != (50,):
        shape = tuple(value.shape)
        return f"50 estimates need the shape (50,); yours is {shape}"
    found = ops.convert_to_numpy(found)
    if np.allclose(found, plain, atol=1e-4):
        return "the ordinary gradient: log q's path through z counts, too"
    if np.allclose(found, once, atol=1e-4):
        return "the normalized weights are to be squared"
    if np.allclose(found, canceled, atol=1e-4):
        return "log q(z) still moves with z: stop only its own b"
    if not np.allclose(found, right, atol=1e-4):
        return "not yet: stop the squared weights, and the b inside log q"
    return None
