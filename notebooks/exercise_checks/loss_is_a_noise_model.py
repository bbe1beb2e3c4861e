"""The checks of notebook 03 loss is a noise model."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(laplace_nll):
    """Check `laplace_nll(x, x_hat, scale)` against SciPy's density."""
    from scipy.stats import laplace

    rng = np.random.default_rng(0)
    x, x_hat = rng.standard_normal((2, 5, 3))
    for scale in (1.0, 0.2):
        found = np.asarray(laplace_nll(x.copy(), x_hat.copy(), scale))
        right = -laplace.logpdf(x, x_hat, scale).sum(axis=1)
        if found.shape == (5, 3):
            return "one number an example, please: sum over the features"
        if found.shape != (5,):
            return f"5 examples need the shape (5,), not {found.shape}"
        if np.allclose(found, right / 3, rtol=1e-4):
            return "a mean over the features: the sum is wanted"
        lead = np.abs(x - x_hat).sum(axis=1) / scale
        if np.allclose(found, lead, rtol=1e-4):
            return "a density integrates to 1: a constant is missing"
        if np.allclose(found, -right, rtol=1e-4):
            return "this is log p; the loss is -log p"
        if not np.allclose(found, right, rtol=1e-4):
            return f"not yet, at scale {scale}: |x - x_hat| / scale + ..."
    return None


@exercise(2)
def check_2(gaussian_nats):
    """Check `gaussian_nats(x, x_hat)`, the best single variance."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 4)) * 3
    x_hat = x + rng.standard_normal((50, 4)) * 0.5
    found = np.asarray(gaussian_nats(x.copy(), x_hat.copy()))
    if found.size != 1:
        return f"one number for all examples, not {found.shape}"
    found = float(found.reshape(()))
    variances = np.geomspace(1e-3, 10, 20_001)
    error = np.mean((x - x_hat) ** 2)
    curve = error / variances + np.log(2 * np.pi * variances)
    right = 4 / 2 * curve.min()
    at_one = 4 / 2 * (error + np.log(2 * np.pi))
    if np.isclose(found, at_one, rtol=1e-4):
        return "this is the variance 1: is there a better one?"
    if np.isclose(found, right / 4, rtol=1e-3):
        return "nats a feature; per example is wanted"
    if np.isclose(found, 50 * right, rtol=1e-3):
        return "a sum over the examples; their mean is wanted"
    if not np.isclose(found, right, rtol=1e-3):
        return f"not yet: {found:.4g}, while a search finds {right:.4g}"
    return None


@exercise(5)
def check_5(lower_bound):
    """Check `lower_bound(p_xz, q)` on joint tables of x and z."""
    rng = np.random.default_rng(0)
    for num_x, num_z in ((6, 3), (4, 5)):
        p_xz = rng.dirichlet(np.ones(num_x * num_z) / 2)
        p_xz = p_xz.reshape(num_x, num_z)
        p_x, p_z = p_xz.sum(axis=1), p_xz.sum(axis=0)
        posterior = p_xz / p_z
        information = np.sum(p_xz * np.log(p_xz / np.outer(p_x, p_z)))
        found = float(lower_bound(p_xz.copy(), posterior.copy()))
        h_x = -np.sum(p_x * np.log(p_x))
        if np.isclose(found, information - h_x, rtol=1e-4):
            return "H(X) is missing: the bound is on I(X; Z)"
        if np.isclose(found, information / np.log(2), rtol=1e-4):
            return "in bits; nats are wanted"
        if not np.isclose(found, information, rtol=1e-4):
            return "with q = p(x given z) the bound must equal I(X; Z)"
        q = rng.dirichlet(np.ones(num_x), size=num_z).T
        gap = np.sum(p_xz * np.log(posterior / q))
        found = float(lower_bound(p_xz.copy(), q.copy()))
        if not np.isclose(found, information - gap, rtol=1e-4):
            return "right for the posterior, not for another decoder q"
    return None
