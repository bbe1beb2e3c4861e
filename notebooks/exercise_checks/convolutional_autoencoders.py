"""The checks of notebook 04 convolutional autoencoders."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(receptive_field):
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
def check_2(kernel_without_pattern):
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
