"""Checks of the exercises of notebook 02."""

import itertools

import numpy as np

from exercise_checks import check


@check
def exercise_1(num_parameters):
    """Check `num_parameters(num_features, hidden_units, latent_dim)`."""
    for sizes in ((784, [256], 30), (64, [], 8), (784, [256, 64], 2)):
        num_features, hidden_units, latent_dim = sizes
        widths = [num_features, *hidden_units, latent_dim]
        weights = 2 * sum(a * b for a, b in itertools.pairwise(widths))
        biases = 2 * sum(hidden_units) + latent_dim + num_features
        yours = num_parameters(
            num_features, list(hidden_units), latent_dim
        )
        said = f"for {sizes} you have {yours}: "
        if yours == weights:
            return said + "these are the weights, the biases are missing"
        if 2 * yours in (
            weights,
            weights + 2 * sum(hidden_units) + 2 * latent_dim,
        ):
            return said + "this is the encoder alone"
        if yours != weights + biases:
            return (
                f"for {sizes} there are {weights + biases}, not {yours}"
            )
    return None


@check
def exercise_2(encode, decode):
    """Check that two charts cover the circle without a tear."""
    angle = np.linspace(0, 2 * np.pi, 4001)[:-1] + 1e-3
    x = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    pair = encode(x.copy())
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        return "encode should return two arrays: chart and t"
    chart, t = (np.asarray(part) for part in pair)
    if chart.shape != angle.shape or t.shape != angle.shape:
        return "every point needs one chart and one number t"
    if not np.all((chart == 0) | (chart == 1)):
        return "a chart is called 0 or 1"
    x_hat = np.asarray(decode(chart.copy(), t.copy()))
    if x_hat.shape != x.shape:
        return f"decode should give {x.shape}, not {x_hat.shape}"
    worst = np.sqrt(np.sum((x - x_hat) ** 2, axis=1).max())
    if not worst < 1e-6:
        return f"a point comes back {worst:.2g} away from where it was"
    neighbors = chart == np.roll(chart, 1)
    jump = np.abs(t - np.roll(t, 1))[neighbors].max()
    if not jump < 0.5:
        return (
            f"inside one chart t jumps by {jump:.2g} between neighbors: "
            "does each chart leave out the point where its angle jumps?"
        )
    return None


@check
def exercise_3(best_code):
    """Check `best_code(x, kernel, bias)`: the gradient vanishes there."""
    rng = np.random.default_rng(0)
    for size in (0.3, 1.5):  # the second needs more than one step
        kernel = size * rng.normal(size=(3, 40))
        bias, extra = rng.normal(size=(2, 40))
        logits = rng.normal(size=3) @ kernel + bias + extra
        x = 1 / (1 + np.exp(-logits))
        z = np.asarray(best_code(x.copy(), kernel.copy(), bias.copy()))
        if z.shape != (3,):
            return f"the code has the shape (3,), yours {z.shape}"
        least_squares = np.linalg.pinv(kernel.T) @ (logits - bias)
        gradient = kernel @ (1 / (1 + np.exp(-z @ kernel - bias)) - x)
        if np.abs(gradient).max() < 1e-5:
            continue
        if np.allclose(z, least_squares, rtol=1e-4):
            return "least squares on the logits: the loss is another one"
        largest = np.abs(gradient).max()
        if largest < 1:
            return f"near: the gradient is {largest:.2g}, more steps"
        return f"not a minimum: the gradient there is {largest:.2g}"
    return None
