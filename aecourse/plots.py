"""The figures of the course: NumPy arrays in, Matplotlib Axes out.

Nothing here trains or decodes. Every function draws on `ax`, or on a figure of its own
about seven inches wide when `ax` is None, and returns the Axes. `title` states the
finding and is wrapped to the width of the Axes. Images have one fixed scale, 0 black to
1 white; colors are those of Okabe & Ito, which readers with a color vision deficiency
can tell apart, and a line style, a marker or a label always says the same again.

Reference:
    Okabe & Ito, "Color Universal Design" (2008).
"""

import math
import re
import textwrap

import matplotlib.patheffects
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import scipy.spatial

from aecourse.checks import (
    check_count,
    check_number,
    check_same_shape,
    finite_array,
    refuse,
)

STYLES = {
    "data": {"color": "#000000", "linestyle": "-", "marker": "."},
    "pca": {"color": "#555555", "linestyle": "--", "marker": "s"},
    "linear_ae": {"color": "#56B4E9", "linestyle": "-.", "marker": "D"},
    "ae": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "dae": {"color": "#E69F00", "linestyle": (0, (5, 1)), "marker": "^"},
    "sparse": {"color": "#009E73", "linestyle": (0, (3, 1, 1, 1)), "marker": "v"},
    "cae": {"color": "#CC79A7", "linestyle": ":", "marker": "P"},
    "vae": {"color": "#D55E00", "linestyle": (0, (7, 1, 1, 1)), "marker": "X"},
}
"""One look a model for the whole course: `ax.plot(x, y, **STYLES["vae"])`."""

COLORS = {model: style["color"] for model, style in STYLES.items()}
"""One color a model for the whole course."""

# Ten classes: Okabe & Ito without the yellow, which is faint on white, and three more;
# each class with its own marker.
_CLASS_COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#000000", "#332288", "#555555", "#7B3F00"),
)
_CLASS_MARKERS = "osD^vP*X<>"
_WIDTH = 7.0  # inches


def image_grid(
    images,
    num_columns=10,
    row_labels=None,
    captions=None,
    signed=False,
    title=None,
    ax=None,
):
    """Show images side by side, row after row, on one scale.

    Args:
        images: Intensities in [0, 1], shape `(num_images, height, width)` or
            `(num_images, height, width, channels)` with 1 (grey) or 3 (RGB) channels.
            Noise or a linear reconstruction may leave [0, 1] a little: what is outside
            is shown as 0 or 1.
        num_columns: Images in a row.
        row_labels: One string a row, on the left.
        captions: One string an image, above it.
        signed: Whether the images are signed weights or directions (grey only): zero
            is mid-grey and the largest absolute value of all of them black or white.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes, with the grid as one image.

    Raises:
        ValueError: if `images` does not have such a shape, has NaN or intensities like
            0..255, or the number of labels or captions does not fit.

    Example:

    >>> import numpy as np
    >>> ax = image_grid(np.zeros((7, 8, 8)), num_columns=5, row_labels=["a", "b"])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['a', 'b']
    >>> plt.close(ax.figure)
    """
    images = _images(images, signed)
    check_count("num_columns", num_columns)
    num_images, height, width = images.shape[:3]
    num_columns = min(num_columns, num_images)
    num_rows = math.ceil(num_images / num_columns)
    _check_length("row_labels", row_labels, num_rows, "rows")
    _check_length("captions", captions, num_images, "images")

    # All sizes in inches: `tile` is the width of one image.
    label_width = 0.085 * max(map(len, row_labels)) + 0.1 if row_labels else 0.0
    if ax is None:
        tile = min(1.1, (_WIDTH - label_width - 0.1) / num_columns)
    else:
        tile = ax.get_window_extent().width / ax.figure.dpi / num_columns
    gap = max(1, round(0.06 * width))
    caption_gap = math.ceil(0.17 / tile * width) if captions else 0
    step_y, step_x = height + gap + caption_gap, width + gap
    shape = (num_rows * step_y - gap, num_columns * step_x - gap)
    # Nothing is drawn between the images: NaN in grey, transparent in color.
    picture = np.full(shape + images.shape[3:], np.nan)
    for index, image in enumerate(images):
        top = index // num_columns * step_y + caption_gap
        left = index % num_columns * step_x
        picture[top : top + height, left : left + width] = image
    height_inches = tile * shape[0] / step_x + 0.1
    ax = _titled_axes(ax, title, _WIDTH, height_inches, margin=label_width + 0.1)
    ax.set_anchor("W")
    limit = np.abs(images).max() or 1.0
    low, high = (-limit, limit) if signed else (0.0, 1.0)
    if picture.ndim == 3:
        opaque = np.isfinite(picture[..., :1])
        picture = np.concatenate([np.nan_to_num(picture), opaque], axis=-1)
    ax.imshow(picture, cmap="gray", vmin=low, vmax=high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if row_labels:
        centers = np.arange(num_rows) * step_y + caption_gap + (height - 1) / 2
        ax.set_yticks(centers, row_labels)
        ax.tick_params(axis="y", length=0)
    for index, caption in enumerate(captions or ()):
        x = index % num_columns * step_x + (width - 1) / 2
        y = index // num_columns * step_y + 0.85 * caption_gap - 0.5
        ax.text(x, y, caption, ha="center", va="bottom", fontsize="small")
    return ax


def image_rows(rows, title=None, ax=None):
    """Compare versions of the same images, one labeled row each.

    Args:
        rows: Dictionary from label to images, `{"original": x, "PCA": x_hat}`, all of
            one shape, as `image_grid` takes them; column j shows image j of each.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `rows` is empty, the shapes differ, or as `image_grid`.

    Example:

    >>> import numpy as np
    >>> x = np.zeros((5, 8, 8, 1))
    >>> ax = image_rows({"original": x, "PCA": x + 0.1})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['original', 'PCA']
    >>> plt.close(ax.figure)
    """
    arrays = [np.asarray(images) for images in rows.values()]
    shapes = [images.shape for images in arrays]
    if len(set(shapes)) != 1:
        raise ValueError(
            "Argument `rows` must hold at least one array, and all of one shape. "
            f"Received: shapes={dict(zip(rows, shapes, strict=True))}"
        )
    return image_grid(
        np.concatenate(arrays),
        num_columns=len(arrays[0]),
        row_labels=list(rows),
        title=title,
        ax=ax,
    )


def latent_scatter(
    z,
    y,
    class_names=None,
    axis_labels=("latent axis 1", "latent axis 2"),
    title=None,
    ax=None,
):
    """Show two-dimensional codes, each class with its own color, marker and label.

    Both axes have one scale, so distances on paper are distances in the latent space.
    The label of a class stands at its median, or beside it where labels would collide.

    Args:
        z: Codes, shape `(num_examples, 2)`.
        y: Class labels, whole numbers, shape `(num_examples,)`; ten classes at most.
        class_names: Name of class c at index c; the number itself when None.
        axis_labels: Labels of the two axes, with the unit if there is one.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `z` is not a finite `(num_examples, 2)` array, or `y` does not
            fit it, is not whole, or has more than ten classes.

    Example:

    >>> import numpy as np
    >>> ax = latent_scatter(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 7]))
    >>> [text.get_text() for text in ax.texts]
    ['0', '7']
    >>> plt.close(ax.figure)
    """
    z, y = finite_array("z", z), np.asarray(y)
    if z.ndim != 2 or z.shape[1] != 2 or len(z) == 0:
        raise ValueError(
            "Argument `z` must have the shape `(num_examples, 2)`. "
            f"Received: z.shape={z.shape}"
        )
    if y.shape != z.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"Argument `y` must hold {len(z)} whole numbers, one a code. "
            f"Received: y.shape={y.shape}, y.dtype={y.dtype}"
        )
    classes = np.unique(y)
    if len(classes) > len(_CLASS_MARKERS):
        raise ValueError(
            f"Argument `y` must have at most {len(_CLASS_MARKERS)} classes, as many as "
            f"can be told apart. Received: number of classes={len(classes)}"
        )
    if class_names is not None and not 0 <= classes[0] <= classes[-1] < len(
        class_names
    ):
        refuse("class_names", "a name for each class in `y`", class_names)
    ax = _titled_axes(ax, title, _WIDTH, 5.0)
    size = np.clip(20_000 / len(z), 10, 40)
    names = [str(c) if class_names is None else class_names[c] for c in classes]
    # Digits keep their looks when some of them are left out.
    looks = classes if 0 <= classes[0] <= classes[-1] < 10 else range(len(classes))
    for c, name, look in zip(classes, names, looks, strict=True):
        ax.scatter(
            *z[y == c].T,
            s=size,
            color=_CLASS_COLORS[look],
            marker=_CLASS_MARKERS[look],
            alpha=0.6,
            linewidths=0,
            label=name,
        )
    outline = matplotlib.patheffects.withStroke(linewidth=3, foreground="white")
    medians = np.array([np.median(z[y == c], axis=0) for c in classes])
    places = _spread(medians, 0.05 * np.ptp(z, axis=0).max())
    for place, name in zip(places, names, strict=True):
        ax.text(
            *place,
            name,
            ha="center",
            va="center",
            fontsize="x-large",
            fontweight="bold",
            path_effects=[outline],
        )
    ax.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, title="class"
    )
    for handle in ax.get_legend().legend_handles:
        handle.set_alpha(1.0)
        handle.set_sizes([40])
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def manifold_grid(
    images,
    z1,
    z2,
    axis_labels=("latent axis 1", "latent axis 2"),
    title=None,
    ax=None,
):
    """Show the decoded points of a regular grid, each where its code lies.

    Args:
        images: Decoded intensities in [0, 1], row after row of the grid: image
            `i * len(z1) + j` belongs to the code `(z1[j], z2[i])`, the order of
            `np.stack(np.meshgrid(z1, z2), axis=-1).reshape(-1, 2)`. Shapes as for
            `image_grid`.
        z1: First coordinates, increasing and evenly spaced, at least two.
        z2: Second coordinates, likewise.
        axis_labels: Labels of the two axes, with the unit if there is one.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes, in latent units with the second axis upward: codes can be drawn on
        top.

    Raises:
        ValueError: if `images` is refused by `image_grid` or does not fill the grid, or
            the coordinates are not evenly spaced.

    Example:

    >>> import numpy as np
    >>> ax = manifold_grid(np.zeros((6, 8, 8)), z1=[-1, 0, 1], z2=[0, 1])
    >>> print(ax.get_xlim()[0], ax.get_ylim()[1])
    -1.5 1.5
    >>> plt.close(ax.figure)
    """
    images = _images(images)
    z1, z2 = _even_steps("z1", z1), _even_steps("z2", z2)
    if len(images) != len(z1) * len(z2):
        raise ValueError(
            f"Argument `images` must hold {len(z1)} x {len(z2)} images, one a point of "
            f"the grid. Received: images.shape={images.shape}"
        )
    height, width = images.shape[1:3]
    rows = images.reshape(len(z2), len(z1), height, width, *images.shape[3:])
    # (row, column, y, x) -> (row, y, column, x), the first row at the bottom.
    picture = rows[::-1].swapaxes(1, 2).reshape(len(z2) * height, -1, *images.shape[3:])
    half1, half2 = (z1[1] - z1[0]) / 2, (z2[1] - z2[0]) / 2
    extent = (z1[0] - half1, z1[-1] + half1, z2[0] - half2, z2[-1] + half2)
    height_inches = 5.4 * picture.shape[0] / picture.shape[1] + 0.5
    ax = _titled_axes(ax, title, 6.0, height_inches)
    # Square pixels, whatever the latent units of the two axes.
    aspect = (half1 / width) / (half2 / height)
    ax.imshow(picture, cmap="gray", vmin=0.0, vmax=1.0, extent=extent, aspect=aspect)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    return ax


def spectrum(
    values,
    ylabel,
    threshold=None,
    num_kept=None,
    model="pca",
    xlabel="axis",
    log_scale=True,
    title=None,
    ax=None,
):
    """Show one value an axis (eigenvalues, KL per axis), in the order given.

    Axes above `threshold`, or the first `num_kept`, have filled markers and the others
    hollow ones.

    Args:
        values: One number an axis, shape `(num_axes,)`.
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

    >>> ax = spectrum([4.0, 1.0, 0.1], "variance (squared intensity)", num_kept=2)
    >>> ax.get_yscale()
    'log'
    >>> plt.close(ax.figure)
    """
    values = _vector("values", values, log_scale)
    if threshold is not None and num_kept is not None:
        raise ValueError(
            "Argument `num_kept` must be None when `threshold` is given. "
            f"Received: num_kept={num_kept}"
        )
    if model not in STYLES:
        refuse("model", f"one of {sorted(STYLES)}", model)
    ax = _titled_axes(ax, title, _WIDTH, 3.0)
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
            *(index[chosen], values[chosen]),
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
    _tidy(ax, xlabel, ylabel, log_scale)
    return ax


def learning_curves(
    curves,
    ylabel,
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
        curves: Dictionary from name to values, one an epoch; lengths may differ.
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

    >>> ax = learning_curves({"VAE": [3.0, 2.0], "AE": [2.0, 1.0]}, "loss (nats)")
    >>> [line.get_color() == COLORS[m] for line, m in zip(ax.lines, ["vae", "ae"])]
    [True, True]
    >>> plt.close(ax.figure)
    """
    if not curves:
        refuse("curves", "a dictionary with at least one curve", curves)
    ax = _titled_axes(ax, title, _WIDTH, 3.2)
    names = [*curves, *(references or {})]
    looks = dict(zip(names, _looks(names), strict=True))
    for name, values in curves.items():
        values = _vector(f"curves[{name!r}]", values, log_scale)
        places = np.arange(1, len(values) + 1) if x is None else _vector("x", x)
        if len(places) < len(values):
            raise ValueError(
                f"Argument `x` must have a place for each of the {len(values)} values "
                f"of {name!r}. Received: x.shape={places.shape}"
            )
        ax.plot(
            *(places[: len(values)], values),
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
    _tidy(ax, xlabel, ylabel, log_scale)
    ax.legend(edgecolor="none")
    return ax


def elbow_curves(
    sizes,
    curves,
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
        curves: Dictionary from name to values, one a size, as in `learning_curves`.
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

    >>> curves = {"PCA": [9.0, 4.0, 3.0], "AE": [7.0, 2.0, 1.9]}
    >>> ax = elbow_curves([2, 4, 8], curves, "squared error", elbows={"AE": 4})
    >>> print(ax.texts[0].get_text())
    elbow at 4
    >>> plt.close(ax.figure)
    """
    sizes = _vector("sizes", sizes, log_scale=True)
    if np.any(np.diff(sizes) <= 0):
        refuse("sizes", "a vector of increasing sizes", sizes)
    for name, values in curves.items():
        check_same_shape(f"curves[{name!r}]", np.shape(values), "sizes", sizes.shape)
    ax = learning_curves(
        curves, ylabel, xlabel, x=sizes, log_scale=log_scale, title=title, ax=ax
    )
    colors = {line.get_label(): line.get_color() for line in ax.lines}
    for name, size in (elbows or {}).items():
        if name not in curves or size not in sizes:
            refuse("elbows", "names of `curves`, each with one of `sizes`", elbows)
        place = (size, curves[name][int(np.argmax(sizes == size))])
        look = {"color": colors[name], "fillstyle": "none", "markersize": 14}
        ax.plot(*place, marker="o", linestyle="", **look)
        ax.annotate(
            f"elbow at {size:g}",
            place,
            xytext=(9, 9),
            textcoords="offset points",
            color=colors[name],
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    return ax


def vector_field(
    points,
    vectors,
    scale=None,
    model="dae",
    label=None,
    axis_labels=("x1", "x2"),
    title=None,
    ax=None,
):
    """Show two-dimensional vectors as arrows, each from its point.

    Both axes have one scale, so directions on paper are true. Two fields are compared
    by drawing them at the same points with one `scale`.

    Args:
        points: Where the arrows start, shape `(num_points, 2)`.
        vectors: The vectors, same shape; a zero vector is a dot.
        scale: Length on paper of a vector of length 1, in units of the axes. When
            None, the longest arrow is as long as the median distance from a point to
            its nearest neighbor, so that arrows on a grid do not overlap.
        model: Whose field: a key of `STYLES`, for the color.
        label: Name in a legend, if one is drawn.
        axis_labels: Labels of the two axes, with the unit if there is one.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `points` is not a finite `(num_points, 2)` array with at least
            one point, `vectors` is not such an array of the same shape, `scale` is
            neither None nor a positive number, or `model` is unknown.

    Example:

    >>> import numpy as np
    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> ax = vector_field(points, vectors=-points, scale=0.5)
    >>> ax.collections[0].U.tolist()
    [-0.0, -0.5, -0.0]
    >>> plt.close(ax.figure)
    """
    points, vectors = finite_array("points", points), finite_array("vectors", vectors)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(
            "Argument `points` must have the shape `(num_points, 2)`. "
            f"Received: points.shape={points.shape}"
        )
    check_same_shape("vectors", vectors.shape, "points", points.shape)
    if model not in STYLES:
        refuse("model", f"one of {sorted(STYLES)}", model)
    if scale is None:
        longest = np.linalg.norm(vectors, axis=1).max()
        scale = _spacing(points) / longest if longest > 0 else 1.0
    check_number("scale", scale)
    if scale <= 0:
        refuse("scale", "a positive number", scale)
    ax = _titled_axes(ax, title, 6.0, 5.0)
    arrows = vectors * scale
    ax.quiver(
        *(*points.T, *arrows.T),
        angles="xy",
        scale_units="xy",
        scale=1.0,
        color=STYLES[model]["color"],
        width=0.004,
        label=label,
    )
    # Matplotlib sees the tails alone: make room for the heads.
    ax.update_datalim(points + arrows)
    ax.autoscale_view()
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def _titled_axes(ax, title, width, height, margin=0.8):
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


def _tidy(ax, xlabel, ylabel, log_scale):
    """Labels, readable ticks, a light grid and no box: the look of curves."""
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log_scale else "linear")
    low, high = ax.get_ylim()
    if log_scale and high / low < 1000:
        # 0.1, 0.2, 0.5, 1 instead of powers of ten with crowded fractions.
        ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def _spread(points, distance):
    """Points pushed apart until none are nearer than `distance` (or nearly so)."""
    points = points + 1e-6 * np.arange(points.size).reshape(points.shape)
    for _ in range(100):
        offsets = points[:, None] - points
        gaps = np.linalg.norm(offsets, axis=-1, keepdims=True)
        push = np.clip(distance - gaps, 0, None) * offsets / np.maximum(gaps, 1e-12)
        points = points + 0.3 * push.sum(axis=1)
    return points


def _spacing(points):
    """Median distance from a point to its nearest neighbor; 1 when it is not known."""
    distance, _ = scipy.spatial.KDTree(points).query(points, k=min(2, len(points)))
    nearest = np.median(distance[:, 1]) if len(points) > 1 else 0.0
    return nearest if nearest > 0 else 1.0


def _looks(names):
    """Keyword arguments of `ax.plot` for each curve, all different in black and white.

    Names of models get their colors; a name that belongs to no model gets a place on a
    ramp from dark to light, which no model uses.
    """
    models = [_model_of(name) for name in names]
    num_other = models.count(None)
    ramp = iter(plt.colormaps["cividis"](np.linspace(0.0, 0.8, num_other)))
    patterns = iter([*STYLES.values()] * math.ceil(num_other / len(STYLES)))
    dashes = (":", "-", "--", "-.", (0, (1, 2)))
    looks = []
    for position, model in enumerate(models):
        if model is None:
            looks.append(next(patterns) | {"color": next(ramp)})
            continue
        num_before = models[:position].count(model)
        look = STYLES[model]
        if num_before:
            # The same model again: hollow markers and other dashes.
            linestyle = [dash for dash in dashes if dash != look["linestyle"]]
            look = look | {
                "linestyle": linestyle[(num_before - 1) % len(linestyle)],
                "markerfacecolor": "white",
            }
        looks.append(look)
    return looks


def _model_of(name):
    """Key of `STYLES` that `name` begins with, word by word; None if there is none."""
    words = re.findall("[a-z0-9]+", name.lower())
    for model in sorted(STYLES, key=len, reverse=True):
        start = model.split("_")
        if words[: len(start)] == start:
            return model
    return None


def _images(images, signed=False):
    """Float images without a grey channel axis, cut to [0, 1] unless signed."""
    images = finite_array("images", images)
    channels = images.shape[3:]
    if (
        images.ndim not in (3, 4)
        or images.size == 0
        or channels not in ((), (1,), (3,))
    ):
        raise ValueError(
            "Argument `images` must have the shape `(num_images, height, width)` or "
            "`(num_images, height, width, channels)` with 1 or 3 channels. "
            f"Received: images.shape={images.shape}"
        )
    if channels == (1,):
        images = images[..., 0]
    if signed:
        if images.ndim == 4:
            refuse("signed", "False for images with three channels", signed)
        return images
    # Noise and linear reconstructions leave [0, 1]; nothing sensible goes this far.
    if images.min() < -4 or images.max() > 5:
        raise ValueError(
            "Argument `images` must hold intensities in [0, 1] (0..255 are divided by "
            f"255). Received: min={images.min():g}, max={images.max():g}"
        )
    return np.clip(images, 0.0, 1.0)


def _vector(name, value, log_scale=False):
    value = finite_array(name, value)
    if value.ndim != 1 or value.size == 0:
        raise ValueError(
            f"Argument `{name}` must have one axis and at least one value. "
            f"Received: {name}.shape={value.shape}"
        )
    if log_scale and value.min() <= 0:
        raise ValueError(
            f"Argument `{name}` must be positive on a logarithmic scale: leave out "
            f"zeros, or set log_scale=False. Received: {name}.min()={value.min():g}"
        )
    return value


def _even_steps(name, value):
    value = _vector(name, value)
    steps = np.diff(value)
    if len(value) < 2 or steps[0] <= 0 or not np.allclose(steps, steps[0], rtol=1e-3):
        refuse(name, "at least two numbers, increasing and evenly spaced", value)
    return value


def _check_length(name, value, expected, counted):
    if value is not None and len(value) != expected:
        raise ValueError(
            f"Argument `{name}` must have one string for each of the {expected} "
            f"{counted}. Received: len({name})={len(value)}"
        )
