"""The checks of notebook 08 the latent space."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(great_circle):
    """Check `great_circle(z_start, z_end, t)` by angles and lengths."""
    rng = np.random.default_rng(0)
    for latent_dim in (2, 32):
        a, b = rng.standard_normal((2, latent_dim)) * [[3.0], [1.0]]
        a_length, b_length = np.linalg.norm([a, b], axis=1)
        angle = np.arccos(a @ b / a_length / b_length)
        for t in (0.0, 0.25, 0.5, 1.0):
            z = np.asarray(great_circle(a.copy(), b.copy(), t))
            if z.shape != a.shape:
                return f"one code, of shape {a.shape}; yours is {z.shape}"
            straight = (1 - t) * a + t * b
            if 0 < t < 1 and np.allclose(z, straight):
                return "this is the straight line: it cuts the corner"
            length = np.linalg.norm(z)
            if not np.isclose(length, (1 - t) * a_length + t * b_length):
                return (
                    f"at t = {t} the length is {length:.3f}: it should "
                    "change evenly from the first to the second"
                )
            cosines = [z @ end / np.linalg.norm(end) for end in (a, b)]
            turns = np.arccos(np.clip(np.array(cosines) / length, -1, 1))
            expected = np.array([t, 1 - t]) * angle
            if not np.allclose(turns, expected, atol=1e-3):
                return (
                    f"at t = {t} the angle to the start should be t "
                    "times the whole angle, and the rest to the end"
                )
    return None


@exercise(2)
def check_2(trustworthiness):
    """Check `trustworthiness(x, z, k)` against scikit-learn's."""
    from sklearn import manifold

    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 5))
    z = x[:, :2] + 0.3 * rng.standard_normal((60, 2))

    def right(x, z, k):
        return manifold.trustworthiness(x, z, n_neighbors=k)

    for k in (1, 5, 12):
        found = float(trustworthiness(x.copy(), z.copy(), k))
        if np.isclose(found, right(x, z, k)):
            continue
        if np.isclose(found, right(z, x, k)):
            return "this is the continuity: swap the roles of x and z"
        if np.isclose(found, 1 - right(x, z, k)):
            return "subtract it from 1"
        return (
            f"k = {k}: {right(x, z, k):.4f} is right, not {found:.4f}. "
            "Does a point rank itself? Its nearest neighbor has rank 1"
        )
    return None
