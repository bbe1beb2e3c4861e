"""The checks of notebook 10 variational autoencoder."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(kl_between):
    """Check `kl_between` of diagonal Gaussians against quadrature."""
    rng = np.random.default_rng(0)
    q_mean, q_log_var, p_mean, p_log_var = rng.normal(size=(4, 5, 3))

    def answer(*codes):
        return np.asarray(kl_between(*[c.copy() for c in codes]))

    def close(found, right):
        return np.allclose(found, right, rtol=1e-3)

    # Five nodes are exact for the squares in log q - log p.
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    weights = weights / weights.sum()

    def integral(q_mean, q_log_var, p_mean, p_log_var):
        z = q_mean[..., None] + np.exp(q_log_var / 2)[..., None] * nodes
        square = (z - p_mean[..., None]) ** 2 @ weights
        log_p = -square / np.exp(p_log_var) - p_log_var
        log_q = -(nodes**2) @ weights - q_log_var
        return np.sum(log_q - log_p, axis=1) / 2

    codes = (q_mean, q_log_var, p_mean, p_log_var)
    right, found = integral(*codes), answer(*codes)
    if found.shape == (5, 3):
        return "one number a row, please: sum over the axes"
    if found.shape != (5,):
        return f"5 rows need the shape (5,); yours is {found.shape}"
    if close(found, right):
        return None
    if close(found, right / 3):
        return "sum over the axes instead of averaging"
    if close(found, 2 * right):
        return "it is twice too large"
    if close(found, integral(*codes[2:], *codes[:2])):
        return "this is KL(p, q): the draws come from the first law"
    zero = np.zeros_like(q_mean)
    codes = (q_mean, q_log_var, zero, zero)
    if close(answer(*codes), integral(*codes)):
        return "right for N(0, I), not yet for other means and variances"
    return "not yet, not even for N(0, I): are both logs of variances?"


@exercise(4)
def check_4(bound):
    """Check `bound(log_weights)`, far from where exp is finite, too."""
    rng = np.random.default_rng(0)
    log_weights = rng.normal(size=(6, 50))
    right = np.log(np.mean(np.exp(log_weights), axis=1))
    found = np.asarray(bound(log_weights.copy()))
    if found.shape != right.shape:
        return f"6 examples need the shape (6,); yours is {found.shape}"
    if np.allclose(found, log_weights.mean(axis=1)):
        return "a mean of logs is the ELBO: average before the log"
    if np.allclose(found, right + np.log(50)):
        return "a sum: the mean over the K draws is wanted"
    if np.allclose(found, -right):
        return "the bound on log p(x), please, not on -log p(x)"
    if not np.allclose(found, right, rtol=1e-4):
        return "not yet: log of the mean over K of exp(log_weights)"
    for shift in (-10_000.0, 10_000.0):
        found = np.asarray(bound(log_weights + shift))
        if not np.allclose(found, right + shift, rtol=0, atol=0.1):
            return (
                f"right near 0, but log-weights near {shift:,.0f} give "
                f"{found[0]:.4g}: exp leaves what a float can hold"
            )
    spread = log_weights * 1000
    if not np.all(np.isfinite(np.asarray(bound(spread.copy())))):
        return "a typical weight is not enough: take out the largest"
    return None
