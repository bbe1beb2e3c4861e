"""What the figures share: axes, titles, and the arrays they take."""

import textwrap

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import scipy.spatial

from aecourse.checks import finite_array, refuse

WIDTH = 7.0  # inches


def titled_axes(ax, title, width, height, margin=0.8):
    """`ax`, or Axes on a figure of `width` by `height` inches, with a wrapped title.

    `margin` is what the labels on the left take of the width.
    """
    room = (
        width - margin if ax is None else ax.get_window_extent().width / ax.figure.dpi
    )
    # A letter of 11 points is about 0.08 inches wide, a line 0.2 inches high.
    lines = textwrap.wrap(title or "", max(20, int(room / 0.08)))
    if ax is None:
        size = (width, round(height + 0.2 * len(lines), 2))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    if lines:
        ax.set_title("\n".join(lines), loc="left", fontsize=11)
    return ax


def tidy(ax, xlabel, ylabel, log_scale):
    """Labels, readable ticks, a light grid and no box: the look of curves."""
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log_scale else "linear")
    low, high = ax.get_ylim()
    if log_scale and high / low < 1000:
        # 0.1, 0.2, 0.5, 1 instead of powers of ten with crowded fractions; closer
        # ticks where these would be too few.
        subs = (1, 2, 5) if high / low > 20 else (1, 1.5, 2, 3, 5, 7)
        ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=subs))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def spread_apart(points, distance):
    """Points pushed apart until none are nearer than `distance` (or nearly so)."""
    points = points + 1e-6 * np.arange(points.size).reshape(points.shape)
    for _ in range(100):
        offsets = points[:, None] - points
        gaps = np.linalg.norm(offsets, axis=-1, keepdims=True)
        push = np.clip(distance - gaps, 0, None) * offsets / np.maximum(gaps, 1e-12)
        points = points + 0.3 * push.sum(axis=1)
    return points


def spacing(points):
    """Median distance from a point to its nearest neighbor; 1 when it is not known."""
    distance, _ = scipy.spatial.KDTree(points).query(points, k=min(2, len(points)))
    nearest = np.median(distance[:, 1]) if len(points) > 1 else 0.0
    return nearest if nearest > 0 else 1.0


def vector(name, value, log_scale=False):
    """A finite vector, positive on a logarithmic scale."""
    value = finite_array(name, value, ndim=1, shape="(num_values,)")
    if log_scale and value.min() <= 0:
        raise ValueError(
            f"Argument `{name}` must be positive on a logarithmic scale: leave out "
            f"zeros, or set log_scale=False. Received: {name}.min()={value.min():g}"
        )
    return value


def even_steps(name, value):
    """An increasing, evenly spaced vector."""
    value = vector(name, value)
    steps = np.diff(value)
    if len(value) < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        refuse(name, "at least two numbers, increasing and evenly spaced", value)
    return value


def check_length(name, value, expected, counted):
    """Refuse labels that are not one for each of what they label."""
    if value is not None and len(value) != expected:
        raise ValueError(
            f"Argument `{name}` must have one string for each of the {expected} "
            f"{counted}. Received: len({name})={len(value)}"
        )


def plane(name, value, shape):
    """Finite points of two coordinates, or a refusal."""
    value = finite_array(name, value, ndim=2, shape=shape)
    if value.shape[1] != 2:
        raise ValueError(
            f"Argument `{name}` must have the shape {shape}. "
            f"Received: {name}.shape={value.shape}"
        )
    return value
