"""Checks of the exercises: one line each, and none of them raises.

An exercise in a notebook is a stub that returns `NotImplemented`,
followed by a call of its check. The check prints one of

    exercise 1: not done yet
    exercise 1: a hint
    exercise 1: correct

and the worked notebooks in `solutions/` call the same checks.

A check receives what the reader wrote and returns a hint, or `None`
when the answer is right:

    @exercise(1)
    def start_here_1(compression_ratio):
        if compression_ratio(784, 32) != 24.5:
            return "how many pixels stand behind one number of the code?"
        return None

Inside a check the reader's function is called as it is: an unfinished
stub, a forgotten `return` and an exception in the reader's code end
the check with the right line. The checks of one notebook stand
together, in the section that bears its name.
"""

import functools
import inspect
import itertools

import numpy as np

# --- the core ---------------------------------------------------------


class _Verdict(Exception):
    """Ends a check early; its text is what the reader is told."""


def exercise(number):
    """Turn a function that returns a hint or `None` into a check.

    Args:
        number: int, the number of the exercise in its notebook.

    Returns:
        A decorator. The decorated check takes the same arguments, prints
        one line and returns `None`, so nothing else stands below a cell.
    """

    def decorate(find_hint):
        @functools.wraps(find_hint)
        def check(*answers):
            print(f"exercise {number}: {_judge(find_hint, answers)}")

        return check

    return decorate


def _judge(find_hint, answers):
    try:
        hint = find_hint(*[_guard(answer) for answer in answers])
    except _Verdict as verdict:
        return str(verdict)
    except Exception as error:
        return f"your answer cannot be checked: {_in_one_line(error)}"
    return "correct" if hint is None else " ".join(str(hint).split())


def _guard(answer):
    """Wrap a reader's function: what goes wrong becomes the verdict."""
    if answer is NotImplemented:
        raise _Verdict("not done yet")
    if not inspect.isroutine(answer):
        return answer  # a number, an array, a layer or a model

    @functools.wraps(answer)
    def guarded(*args, **kwargs):
        try:
            result = answer(*args, **kwargs)
        except Exception as error:
            message = f"your code raises {_in_one_line(error)}"
            raise _Verdict(message) from error
        parts = result if isinstance(result, (tuple, list)) else [result]
        if any(part is NotImplemented for part in parts):
            raise _Verdict("not done yet")
        if result is None:
            raise _Verdict("your function returns None: no `return`?")
        return result

    return guarded


def _in_one_line(error):
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return words.removesuffix(":")


# --- 00 start here ----------------------------------------------------


@exercise(1)
def start_here_1(quantize):
    """Check `quantize(z, num_bits)` on columns of different scales."""
    scales = np.array([1.0, 20.0, 0.1])
    z = np.random.default_rng(0).standard_normal((200, 3)) * scales + 5
    width = z.max(axis=0) - z.min(axis=0)
    for num_bits in (1, 3):
        rounded = np.asarray(quantize(z.copy(), num_bits))
        if rounded.shape != z.shape:
            return f"the shape becomes {rounded.shape} from {z.shape}"
        num_values = max(len(np.unique(c.round(9))) for c in rounded.T)
        if num_values > 2**num_bits:
            return (
                f"at {num_bits} bits a column keeps {num_values} "
                f"different values, more than {2**num_bits}"
            )
        step = width / (2**num_bits - 1)
        moved = np.abs(rounded - z).max(axis=0) / step
        if not np.all(moved < 0.5 + 1e-4):  # NaN fails, too
            return (
                "a value moves by more than half a step: does each "
                "column have its own range, and its two ends as levels?"
            )
    return None


@exercise(4)
def start_here_4(condition):
    """Check `condition` against the precision matrix of a Gaussian."""
    rng = np.random.default_rng(0)
    root, mean = rng.standard_normal((5, 8)), rng.standard_normal(5)
    cov = root @ root.T
    precision = np.linalg.inv(cov)
    for k in (2, 4):
        x_known = rng.standard_normal(k)
        answer = condition(mean.copy(), cov.copy(), x_known.copy())
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            return "return two things: a mean and a covariance"
        found_mean, found_cov = (np.asarray(part) for part in answer)
        if found_mean.shape != (5 - k,):
            return f"of 5 coordinates {5 - k} have a mean left to find"
        if found_cov.shape != (5 - k, 5 - k):
            return f"the covariance should be {5 - k} by {5 - k}"
        right_cov = np.linalg.inv(precision[k:, k:])
        shift = right_cov @ precision[k:, :k] @ (x_known - mean[:k])
        if not np.allclose(found_mean, mean[k:] - shift, rtol=1e-3):
            return "the mean is off: do you use x_known - mean[:k]?"
        if not np.allclose(found_cov, right_cov, rtol=1e-3):
            return "the mean is right; what is known narrows the rest"
    return None


# --- 01 linear autoencoder is PCA -------------------------------------


@exercise(1)
def linear_autoencoder_1(principal_axes):
    """Check `principal_axes(w_dec, z)` on codes mixed by a known map."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((20, 3)))[0]
    scores = rng.standard_normal((50, 3))
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0] * [3, 2, 1]
    mixing = rng.standard_normal((3, 3))
    w_dec, z = axes @ mixing, scores @ np.linalg.inv(mixing).T
    found = np.asarray(principal_axes(w_dec.copy(), z.copy()))
    if found.shape != axes.shape:
        return f"one axis a column: {axes.shape}, not {found.shape}"
    if not np.allclose(found.T @ found, np.eye(3), atol=1e-6):
        return "the columns are not orthonormal"
    cosines = np.abs(axes.T @ found)
    if not np.allclose(np.sum(cosines**2, axis=0), 1, atol=1e-6):
        return "the columns leave the span of the decoder's columns"
    if np.allclose(cosines, np.eye(3), atol=1e-6):
        return None
    if np.allclose(np.sort(cosines, axis=0)[-1], 1, atol=1e-6):
        return "these are the axes: sort them, largest variance first"
    return (
        "the right span, but not the axes: along them the "
        "reconstructions are uncorrelated"
    )


@exercise(2)
def linear_autoencoder_2(angle_within):
    """Check `angle_within(eigenvalues, k, fraction)` by formula (3)."""
    eigenvalues = np.array([5.0, 3.0, 2.0, 1.98, 1.0, 0.5])
    for k, fraction in ((1, 0.01), (2, 0.002), (4, 0.1)):
        angle = float(angle_within(eigenvalues.copy(), k, fraction))
        gap = eigenvalues[k - 1] - eigenvalues[k]
        allowed = fraction * eigenvalues[k:].sum()
        excess = gap * np.sin(np.radians(angle)) ** 2
        if not 0 <= angle <= 90:
            return f"an angle is between 0 and 90 degrees, not {angle}"
        if not np.isclose(excess, allowed, rtol=1e-6):
            return (
                f"k = {k}, fraction = {fraction}: your angle costs "
                f"{excess:.4g}, allowed is {allowed:.4g}"
            )
    if float(angle_within(eigenvalues.copy(), 3, 0.01)) != 90:
        return "if turning by 90 degrees is allowed, return 90"
    return None


@exercise(4)
def linear_autoencoder_4(escape_direction):
    """Check that the loss curves down along `escape_direction`."""
    rng = np.random.default_rng(0)
    u = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    s = u * np.array([9.0, 7.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.5]) @ u.T

    def loss(w, w_dec):
        residual = np.eye(8) - w_dec @ w
        return np.trace(residual @ s @ residual.T)

    for wrong in ([0, 1, 3], [5, 0, 2], [1, 2, 3], [4, 7, 6]):
        w = u[:, wrong].T
        pair = escape_direction(u.copy(), list(wrong))
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return "return two things: dW and dW'"
        dw, dw_dec = (np.asarray(part) for part in pair)
        if dw.shape != (3, 8) or dw_dec.shape != (8, 3):
            return f"the shapes are {dw.shape} and {dw_dec.shape}"
        if not np.isclose(np.sum(dw**2) + np.sum(dw_dec**2), 1):
            return "scale the pair to total norm 1"
        t = np.linspace(-1, 1, 5)
        values = [loss(w + a * dw, w.T + a * dw_dec) for a in t]
        curvature = 2 * np.polyfit(t, values, 4)[2]
        if not curvature < -1e-6:
            return (
                f"from the set {wrong} the curvature along your "
                f"direction is {curvature:.3g}, not negative"
            )
    return None


# --- 02 deep autoencoders ---------------------------------------------


@exercise(1)
def deep_autoencoders_1(encode, decode):
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


@exercise(2)
def deep_autoencoders_2(best_code):
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


# --- 03 loss is a noise model -----------------------------------------


@exercise(1)
def loss_is_a_noise_model_1(laplace_nll):
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
def loss_is_a_noise_model_2(gaussian_nats):
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
def loss_is_a_noise_model_5(lower_bound):
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


# --- 04 convolutional autoencoders ------------------------------------


@exercise(1)
def convolutional_1(receptive_field):
    """Check `receptive_field` against an impulse sent backwards."""

    def by_impulse(kernel_sizes, strides):
        seen = np.ones(1)
        layers = list(zip(kernel_sizes, strides, strict=True))
        for size, stride in layers[::-1]:
            spread = np.zeros((len(seen) - 1) * stride + 1)
            spread[::stride] = seen
            seen = np.convolve(spread, np.ones(size))
        return np.count_nonzero(seen)

    for sizes, strides in (
        ([3], [2]),
        ([3, 3, 3], [1, 1, 1]),
        ([3, 3, 3], [2, 2, 2]),
        ([5, 3, 4, 2], [2, 1, 3, 2]),
    ):
        found = float(receptive_field(list(sizes), list(strides)))
        right = by_impulse(sizes, strides)
        if found != right:
            return (
                f"kernels {sizes} with strides {strides} see {right} "
                f"pixels on a side, not {found:g}"
            )
    return None


@exercise(2)
def convolutional_2(kernel_without_pattern):
    """Check that each phase of the kernel gives a constant the same."""
    for size, channels, stride, filters in ((3, 5, 2, 4), (1, 2, 3, 1)):
        shape = (size, size, channels, stride**2 * filters)
        rng = np.random.default_rng(0)
        kernel = np.asarray(kernel_without_pattern(shape, stride, rng))
        if kernel.shape != shape:
            return f"the shape should be {shape}; yours is {kernel.shape}"
        sums = kernel.sum(axis=(0, 1))  # what a constant input sees
        if not np.ptp(sums, axis=0).min() > 0:  # NaN fails, too
            return "the channels should have random weights of their own"
        phases = sums.reshape(channels, stride**2, filters)
        if np.allclose(phases, phases[:, :1], atol=1e-6):
            continue
        neighbors = sums.reshape(channels, filters, stride**2)
        if np.allclose(neighbors, neighbors[..., :1], atol=1e-6):
            return "the phases come first on the last axis, then filters"
        return "a constant input still tells the phases apart"
    return None


# --- 05 denoising autoencoders ----------------------------------------


@exercise(1)
def denoising_1(linear_denoiser):
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
def denoising_2(posterior_mean):
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
def denoising_4(masking_denoiser):
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


# --- 06 sparse autoencoders -------------------------------------------


@exercise(1)
def sparse_autoencoders_1(ista_step):
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
def sparse_autoencoders_4(one_to_one):
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


# --- 07 contractive autoencoders --------------------------------------


@exercise(1)
def contractive_autoencoders_1(two_sigmoid_layers):
    """Check `two_sigmoid_layers(x, w1, b1, w2, b2)` by differences."""
    rng = np.random.default_rng(0)
    x, w1, b1 = (rng.normal(size=n) for n in ((4, 6), (6, 5), 5))
    w2, b2 = rng.normal(size=(5, 3)), rng.normal(size=3)

    def encode(x):
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        return 1 / (1 + np.exp(-(h @ w2 + b2)))

    step = 1e-5 * np.eye(6)
    columns = [(encode(x + e) - encode(x - e)) / 2e-5 for e in step]
    squares = np.square(columns)  # (input, example, code axis)
    right = squares.sum(axis=(0, 2))
    arguments = (a.copy() for a in (x, w1, b1, w2, b2))
    found = np.asarray(two_sigmoid_layers(*arguments))
    if found.shape != (4,):
        return f"4 rows of x need the shape (4,); yours is {found.shape}"
    if np.allclose(found, right, rtol=1e-4):
        return None
    if np.allclose(found, squares.mean(axis=(0, 2)), rtol=1e-4):
        return "a mean: sum over code axes and inputs"
    if np.allclose(found, np.sqrt(right), rtol=1e-4):
        return "this is the norm; its square is wanted"
    if np.allclose(found / found[0], right / right[0], rtol=1e-4):
        return "right up to a factor"
    return "not yet: are both slopes in, h(1 - h) and z(1 - z)?"


@exercise(2)
def contractive_autoencoders_2(unit_decoder):
    """Check that `unit_decoder(w, b, w_dec)` moves scale alone."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=n) for n in ((50, 6), (6, 4), 4))
    w_dec = rng.normal(size=(4, 6)) * [[0.1], [1], [3], [20]]
    found = unit_decoder(w.copy(), b.copy(), w_dec.copy())
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        return "return three things: w, b, w_dec"
    new_w, new_b, new_dec = (np.asarray(part) for part in found)
    if new_w.shape != (6, 4) or new_dec.shape != (4, 6):
        return f"the shapes are {new_w.shape} and {new_dec.shape}"
    if not np.allclose(np.linalg.norm(new_dec, axis=1), 1):
        return "the rows of w_dec do not all have length 1"
    before = np.maximum(x @ w + b, 0) @ w_dec
    after = np.maximum(x @ new_w + new_b, 0) @ new_dec
    if np.allclose(before, after):
        return None
    if np.allclose(new_b, b):
        return "the reconstructions change: did the bias move too?"
    return "the reconstructions change: which way goes the scale?"


# --- 08 the latent space ----------------------------------------------


@exercise(1)
def latent_space_1(great_circle):
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
def latent_space_2(trustworthiness):
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


# --- 09 probabilistic PCA and the linear VAE --------------------------


@exercise(1)
def probabilistic_pca_1(to_axes):
    """Check `to_axes(W)`: same WW', orthogonal columns, longest first."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((10, 4)))[0]
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    for lengths in ([4.0, 2.0, 1.0, 0.5], [3.0, 1.0, 0.2, 0.0]):
        W = axes * lengths @ turn
        found = np.asarray(to_axes(W.copy()))
        if found.shape != W.shape:
            return f"the shape of W is {W.shape}, yours is {found.shape}"
        if not np.all(np.isfinite(found)):
            return "NaN for a W with a dead axis: do you divide by zero?"
        if not np.allclose(found @ found.T, W @ W.T, atol=1e-6):
            return "WW' has changed: turn W, do not scale it"
        inner = found.T @ found
        if not np.allclose(inner, np.diag(np.diag(inner)), atol=1e-6):
            return "WW' is the same, but the columns are not orthogonal"
        if not np.allclose(np.diag(inner), np.square(lengths), atol=1e-6):
            return "these are the axes: sort them, the longest first"
    return None


@exercise(2)
def probabilistic_pca_2(water_level):
    """Check `water_level(eigenvalues, distortion)` by bisection."""
    eigenvalues = np.array([4.0, 0.1, 2.0, 1.0, 0.5])  # in any order
    for distortion in (0.3, 1.0, 3.0, 7.0):
        pair = water_level(eigenvalues.copy(), distortion)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return "return two numbers: the level and the nats"
        level, nats = (float(part) for part in pair)
        low, high = 0.0, 4.0
        for _ in range(60):
            middle = (low + high) / 2
            total = np.minimum(eigenvalues, middle).sum()
            if total < distortion:
                low = middle
            else:
                high = middle
        even = distortion / 5
        if np.isclose(level, even) and not np.isclose(even, low):
            return "the error is not shared evenly: some axes drown"
        if not np.isclose(level, low, rtol=1e-4):
            total = np.minimum(eigenvalues, level).sum()
            return (
                f"at distortion {distortion} your level {level:.4g} "
                f"gives a total error of {total:.4g}"
            )
        right = np.log(np.maximum(eigenvalues / low, 1)).sum() / 2
        if np.isclose(nats, right / np.log(2), rtol=1e-4):
            return "the level is right; in bits, nats are wanted"
        if np.isclose(nats, 2 * right, rtol=1e-4):
            return "the level is right; one half is missing in the nats"
        if not np.isclose(nats, right, rtol=1e-4):
            return "the level is right; does a drowned axis cost nothing?"
    return None


# --- 10 variational autoencoder ---------------------------------------


@exercise(1)
def variational_autoencoder_1(kl_between):
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
def variational_autoencoder_4(bound):
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


# --- 11 likelihoods and units -----------------------------------------


@exercise(1)
def likelihoods_1(to_bits):
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
def likelihoods_2(cell_nll):
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


# --- 12 bounds and evaluation -----------------------------------------


@exercise(1)
def bounds_1(effective_samples):
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
def bounds_4(surrogate):
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


# --- 13 posterior collapse --------------------------------------------


@exercise(1)
def posterior_collapse_1(product):
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
def posterior_collapse_2(weight_for):
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


# --- 14 powerful decoders and remedies --------------------------------


@exercise(1)
def powerful_decoders_1(pixels_seen):
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
def powerful_decoders_2(largest_variance):
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
