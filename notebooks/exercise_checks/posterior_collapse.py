"""The checks of notebook 13 posterior collapse."""

import itertools

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(product):
    """Check `product(recon, kl, num_pixels, latent_dim)`."""
    for num_pixels, latent_dim in ((784, 32), (12_288, 200)):
        for recon, kl in itertools.product(("sum", "mean"), repeat=2):
            found = float(product(recon, kl, num_pixels, latent_dim))
            ratio = num_pixels if recon == "mean" else 1
            ratio = ratio / (latent_dim if kl == "mean" else 1)
            if np.isclose(found, ratio / 2, rtol=1e-6):
                continue
            said = f"{recon}/{kl}, {num_pixels} and {latent_dim}: "
            if np.isclose(found, ratio, rtol=1e-6):
                return said + "b / a; a Gaussian has SSE / (2 sigma^2)"
            if np.isclose(found, 1 / ratio / 2, rtol=1e-6):
                return said + "upside down? A large b is a large beta"
            return said + f"{found:.4g} is not b / (2a)"
    return None


@exercise(2)
def check_2(weight_for):
    """Check `weight_for(nats, eigenvalues, latent_dim)` by its KL."""
    eigenvalues = np.array([5.0, 3.9, 3.3, 2.9, 1.0, 0.4, 0.1])
    for nats, latent_dim in ((0.05, 7), (1.5, 7), (6.0, 7), (6.0, 3)):
        weight = float(weight_for(nats, eigenvalues.copy(), latent_dim))
        if not weight > 0:
            return f"a weight is positive, not {weight:.3g}"
        logs = np.log(eigenvalues / weight) / 2
        kl = np.maximum(logs, 0)[:latent_dim].sum()
        if np.isclose(kl, nats, rtol=1e-3):
            continue
        said = f"{nats} nats, {latent_dim} axes: at {weight:.4g} "
        if np.isclose(np.maximum(logs, 0).sum(), nats, rtol=1e-3):
            return said + "all eigenvalues count; only latent_dim may"
        if np.isclose(logs[:latent_dim].sum(), nats, rtol=1e-3):
            return said + "an axis pays a negative KL: it should be off"
        return said + f"the linear VAE spends {kl:.4g} nats"
    return None
