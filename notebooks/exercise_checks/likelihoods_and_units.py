"""The checks of notebook 11 likelihoods and units."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(to_bits):
    """Check `to_bits` by a density whose bits are known: the uniform."""
    cases = {(0.0, 1.0): 784, (0.0, 255.0): 784, (-1.0, 1.0): 3072}
    for (low, high), num_dims in cases.items():
        # On [low, high] with K levels the uniform density costs log2 K.
        nats = num_dims * np.log(high - low)
        where = f"the uniform density on [{low:g}, {high:g}]"
        for num_levels in (256, 32):
            right = np.log2(num_levels)
            found = float(to_bits(nats, num_dims, low, high, num_levels))
            if np.isclose(found, right):
                continue
            said = f"{num_levels} levels: {where} costs {right:g} bits"
            if np.isclose(found, right * np.log(2)):
                return said + ": yours is in nats"
            said += " a pixel"
            if np.isclose(found, num_dims * right):
                return said + ": yours are bits an image"
            if np.isclose(found, 8) and num_levels != 256:
                return said + ": a cell is not always 1/256 of the range"
            if np.isclose(found, right + np.log2(high - low)):
                return said + ": how wide is a cell on this scale?"
            return said + f", not {found:.4g}: P(cell) is p times width"
        more = to_bits(nats + num_dims, num_dims, low, high, 256)
        if not np.isclose(float(more), 8 + 1 / np.log(2)):
            return "a nat more a pixel must cost 1.44 bits more"
    return None


@exercise(2)
def check_2(cell_nll):
    """Check `cell_nll` of a Gaussian, far out in both tails, too."""
    from scipy.integrate import quad

    def integral(level, x_mean, std):
        """By quadrature of the density over that in the middle."""
        middle = ((level + 0.5) / 256 - x_mean) / std
        half = 0.5 / 256 / std

        def relative(t):
            return np.exp(-middle * t - t**2 / 2)

        ratio, _ = quad(relative, -half, half)
        return middle**2 / 2 + np.log(2 * np.pi) / 2 - np.log(ratio)

    cases = {
        "in the middle": (128, 0.5, 0.1),
        "beside the mean": (100, 0.5, 0.1),
        "far below the mean": (0, 0.9, 0.02),
        "far above the mean": (255, 0.1, 0.02),
    }
    for where, case in cases.items():
        level, *law = np.array(case, dtype=float)
        with np.errstate(all="ignore"):
            found = float(np.asarray(cell_nll(level, *law)))
        right = integral(*case)
        if np.isclose(found, right, rtol=1e-3):
            continue
        density = integral(*case) - np.log(256)
        if np.isclose(found, density, rtol=1e-3):
            return "close to the density: a cell has a width"
        if np.isclose(found, -right, rtol=1e-3):
            return "the sign: -log of a probability is positive"
        if not np.isfinite(found):
            return (
                f"a cell {where} gives {found}: its probability is "
                "lost in 1 - 1, or too small. Stay with logarithms"
            )
        return f"a cell {where} costs {right:.4g} nats, not {found:.4g}"
    return None
