"""Curves: spectra, training, and error against the size of a code."""

import matplotlib.ticker
import numpy as np

from aecourse.checks import (
    check_count,
    check_same_shape,
    finite_array,
    refuse,
)
from aecourse.plots.canvas import WIDTH, tidy, titled_axes, vector
from aecourse.plots.styles import STYLES, looks_of


def spectrum(
    values,
    ylabel,
    *,
    threshold=None,
    num_kept=None,
    model="pca",
    xlabel="axis",
    log_scale=True,
    title=None,
    ax=None,
):
    """Show one value per axis (eigenvalues, KL per axis), in the order given.

    Axes above `threshold`, or the first `num_kept`, have filled markers and the others
    hollow ones.

    Args:
        values: One number per axis, shape `(num_axes,)`.
        ylabel: What the values are, with their unit.
        threshold: Value to draw as a horizontal line.
        num_kept: Number of leading axes to mark by a vertical line behind them.
        model: Whose spectrum: a key of `STYLES`.
        xlabel: What the axes are.
        log_scale: Whether the value axis is logarithmic; all values are then positive.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `values` is not a finite vector, is not positive on a log scale,
            `model` is unknown, or both `threshold` and `num_kept` are given.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> ax = spectrum([4.0, 1.0, 0.1], "variance (squared intensity)", num_kept=2)
    >>> ax.get_yscale()
    'log'
    >>> plt.close(ax.figure)
    """
    values = vector("values", values, log_scale)
    if threshold is not None and num_kept is not None:
        raise ValueError(
            "Argument `num_kept` must be None when `threshold` is given. "
            f"Received: num_kept={num_kept}"
        )
    if model not in STYLES:
        refuse("model", f"one of {sorted(STYLES)}", model)
    ax = titled_axes(ax, title, WIDTH, 3.0)
    index = np.arange(1, len(values) + 1)
    color, marker = STYLES[model]["color"], STYLES[model]["marker"]
    kept = np.full(len(values), True)
    if threshold is not None:
        kept = values > threshold
        ax.axhline(threshold, color="black", linestyle="--", linewidth=1)
        ax.text(
            1.0,
            threshold,
            f"{threshold:.3g} ",
            ha="right",
            va="bottom",
            transform=ax.get_yaxis_transform(),
        )
    if num_kept is not None:
        check_count("num_kept", num_kept)
        kept = index <= num_kept
        ax.axvline(num_kept + 0.5, color="black", linestyle="--", linewidth=1)
        ax.text(
            num_kept + 0.5,
            1.0,
            f" first {num_kept}",
            va="top",
            transform=ax.get_xaxis_transform(),
        )
    ax.plot(index, values, color=color, linewidth=1)
    for chosen, fill in ((kept, color), (~kept, "white")):
        ax.plot(
            index[chosen],
            values[chosen],
            color=color,
            linestyle="",
            marker=marker,
            markersize=5,
            markerfacecolor=fill,
        )
    ax.set_xlim(0.3, len(values) + 0.7)
    ax.xaxis.set_major_locator(
        matplotlib.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
    )
    tidy(ax, xlabel, ylabel, log_scale)
    return ax


def learning_curves(
    curves,
    ylabel,
    *,
    xlabel="epoch",
    x=None,
    references=None,
    log_scale=False,
    title=None,
    ax=None,
):
    """Show how quantities change while models train.

    A curve named after a model (`"VAE"`, `"linear AE"`) has its color of the course;
    so has one whose name starts with it (`"VAE, validation"`), with another line style
    if the first is taken.

    Args:
        curves: Dictionary from name to values, one per epoch; lengths may differ.
        ylabel: What the values are, with their unit: `"loss (nats/example)"`.
        xlabel: What is counted along the curves.
        x: Where along the axis the values lie; 1, 2, 3, ... when None.
        references: Dictionary from name to a number drawn as a horizontal line, such as
            an optimum known in closed form.
        log_scale: Whether the value axis is logarithmic.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `curves` is empty, values are not finite vectors, not positive on
            a log scale, or too long for `x`.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> from aecourse.plots import COLORS
    >>> ax = learning_curves({"VAE": [3.0, 2.0], "AE": [2.0, 1.0]}, "loss (nats)")
    >>> [line.get_color() == COLORS[m] for line, m in zip(ax.lines, ["vae", "ae"])]
    [True, True]
    >>> plt.close(ax.figure)
    """
    if not curves:
        refuse("curves", "a dictionary with at least one curve", curves)
    ax = titled_axes(ax, title, WIDTH, 3.2)
    names = [*curves, *(references or {})]
    looks = dict(zip(names, looks_of(names), strict=True))
    for name, values in curves.items():
        values = vector(f"curves[{name!r}]", values, log_scale)
        places = np.arange(1, len(values) + 1) if x is None else vector("x", x)
        if len(places) < len(values):
            raise ValueError(
                f"Argument `x` must have a place for each of the {len(values)} values "
                f"of {name!r}. Received: x.shape={places.shape}"
            )
        ax.plot(
            places[: len(values)],
            values,
            **looks[name],
            markevery=max(1, len(values) // 8),
            markersize=5,
            label=name,
        )
    for name, value in (references or {}).items():
        look = looks[name] | {"marker": "", "linewidth": 1}
        value = float(finite_array(f"references[{name!r}]", value))
        ax.axhline(value, **look, label=name)
    if x is None:
        ax.xaxis.set_major_locator(
            matplotlib.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10])
        )
    tidy(ax, xlabel, ylabel, log_scale)
    ax.legend(edgecolor="none")
    return ax


def elbow_curves(
    sizes,
    curves,
    *,
    ylabel,
    elbows=None,
    xlabel="latent_dim",
    log_scale=False,
    title=None,
    ax=None,
):
    """Show how quantities depend on the size of a code, each size a tick of its own.

    Args:
        sizes: Sizes of the code, increasing and positive, shape `(num_sizes,)`; drawn
            on a logarithmic axis.
        curves: Dictionary from name to values, one per size, as in `learning_curves`.
        ylabel: What the values are, with their unit.
        elbows: Dictionary from names in `curves` to the size to mark on each, such as
            `diagnostics.elbow` finds.
        xlabel: What the sizes are.
        log_scale: Whether the value axis is logarithmic.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `sizes` does not increase or is not positive, a curve is no
            finite vector of its length, or an elbow is not among the sizes.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> curves = {"PCA": [9.0, 4.0, 3.0], "AE": [7.0, 2.0, 1.9]}
    >>> ax = elbow_curves([2, 4, 8], curves, ylabel="squared error", elbows={"AE": 4})
    >>> print(ax.texts[0].get_text())
    elbow at 4
    >>> plt.close(ax.figure)
    """
    sizes = vector("sizes", sizes, log_scale=True)
    if np.any(np.diff(sizes) <= 0):
        refuse("sizes", "a vector of increasing sizes", sizes)
    for name, values in curves.items():
        check_same_shape(f"curves[{name!r}]", np.shape(values), "sizes", sizes.shape)
    ax = learning_curves(
        curves, ylabel, xlabel=xlabel, x=sizes, log_scale=log_scale, title=title, ax=ax
    )
    colors = {line.get_label(): line.get_color() for line in ax.lines}
    for name, size in (elbows or {}).items():
        if name not in curves or size not in sizes:
            refuse("elbows", "names of `curves`, each with one of `sizes`", elbows)
        value = curves[name][int(np.argmax(sizes == size))]
        ax.plot(
            size,
            value,
            color=colors[name],
            linestyle="",
            marker="o",
            markersize=14,
            fillstyle="none",
        )
        ax.annotate(
            f"elbow at {size:g}",
            (size, value),
            xytext=(9, 9),
            textcoords="offset points",
            color=colors[name],
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    return ax
