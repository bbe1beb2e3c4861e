"""The checks of notebook 14 powerful decoders and remedies."""

import itertools

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(pixels_seen):
    """Check `pixels_seen(num_layers)` against paths through layers."""

    def counted(num_layers, blind=True):
        offsets = list(itertools.product((-1, 0, 1), repeat=2))
        earlier = [offset for offset in offsets if offset < (0, 0)]
        seen = set(earlier)
        for _ in range(num_layers - 1):
            steps = itertools.product(seen, [*earlier, (0, 0)])
            seen = {(a + c, b + d) for (a, b), (c, d) in steps}
        return len(seen) if blind else 2 * num_layers * (num_layers + 1)

    for num_layers in (1, 2, 3, 5, 8):
        found, right = pixels_seen(num_layers), counted(num_layers)
        if found == right:
            continue
        said = f"{num_layers} layer(s) see {right} pixels, not {found}"
        if found == counted(num_layers, blind=False):
            return said + ": the window counts the blind spot, too"
        if found == right + 1:
            return said + ": the first mask hides the pixel itself"
        return said + ". How far to the right can d steps up lead?"
    return None


@exercise(2)
def check_2(largest_variance):
    """Check `largest_variance(nats)`: the root below 1, by its KL."""
    for nats in (0.01, 0.25, 1.0, 4.0):
        variance = float(largest_variance(nats))
        if not 0 < variance:
            return f"a variance is positive, not {variance:.3g}"
        kl = (variance - 1 - np.log(variance)) / 2
        if np.isclose(kl, nats, rtol=1e-4) and variance < 1:
            continue
        if variance > 1:
            return (
                f"{variance:.3g} is above 1: a wide posterior pays, too, "
                "but carries nothing. Take the solution below 1"
            )
        squared = (variance**2 - 1 - np.log(variance**2)) / 2
        if np.isclose(squared, nats, rtol=1e-4):
            return "this is the standard deviation: square it"
        return f"N(0, {variance:.4g}) costs {kl:.4g} nats, not {nats}"
    return None
