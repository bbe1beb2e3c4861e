"""The checks of notebook 06 sparse autoencoders."""

import itertools

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(ista_step):
    """Check one proximal gradient step on a small sparse code."""
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((4, 5)), rng.standard_normal((7, 5))
    z = np.maximum(rng.standard_normal((4, 7)), 0)
    weight, step = 0.7, 0.01

    def answer(z, step):
        return np.asarray(
            ista_step(z.copy(), x.copy(), kernel.copy(), weight, step)
        )

    def right(fit=2.0, toll=weight, step=step):
        return z + step * (fit * (x - z @ kernel) @ kernel.T - toll)

    found, big = answer(z, step), answer(z, 0.5)
    if found.shape != z.shape:
        return f"z has the shape {z.shape}, your step {found.shape}"
    if np.any(found < 0) or np.any(big < 0):
        return "some activations are negative: cut at 0, last of all"
    if np.allclose(found, np.maximum(right(toll=0.0), 0)):
        return "the gradient of the L1 term is missing"
    if np.allclose(found, np.maximum(right(fit=1.0), 0)):
        return "the square has a factor 2 in its gradient"
    if np.allclose(found, np.maximum(right(toll=-weight), 0)):
        return "the L1 term pushes activations down, not up"
    if not np.allclose(found, np.maximum(right(), 0), rtol=1e-4):
        return "not yet: z - step * gradient, then cut at 0"
    if not np.allclose(big, np.maximum(right(step=0.5), 0), rtol=1e-4):
        return "right for step = 0.01, but not for step = 0.5"
    return None


@exercise(4)
def check_4(one_to_one):
    """Check `one_to_one` by trying all matchings of three features."""
    rng = np.random.default_rng(0)
    F = rng.standard_normal((3, 6))
    F[1] = F[0] + 0.2 * rng.standard_normal(6)  # both want one column
    F /= np.linalg.norm(F, axis=1, keepdims=True)
    others = rng.standard_normal((2, 6))
    W = np.concatenate([[5 * F[0]], others, [0.1 * F[2], -3 * F[1]]])
    norms = np.linalg.norm(W, axis=1)
    cosines = F @ (W / norms[:, None]).T
    right = max(
        np.mean([cosines[i, j] for i, j in enumerate(columns)])
        for columns in itertools.permutations(range(5), 3)
    )
    found = float(one_to_one(F.copy(), W.copy()))
    if np.isclose(found, right, rtol=1e-4):
        return None
    if np.isclose(found, cosines.max(axis=1).mean()):
        return "that is the mean max cosine: two features share a column"
    if np.isclose(found, np.abs(cosines).max(axis=1).mean()):
        return "a mean max of absolute cosines: one each, with sign"
    if np.isclose(found, 3 * right):
        return "the sum is right, the mean is wanted"
    if found > 1:
        return "a cosine is at most 1: divide by the norms of W's rows"
    return f"the best matching has {right:.4f}, yours {found:.4f}"
