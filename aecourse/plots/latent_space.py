"""Codes in the plane, what they decode to, and fields of arrows."""

import matplotlib.patheffects
import numpy as np

from aecourse.checks import (
    check_number,
    check_same_shape,
    finite_array,
    refuse,
)
from aecourse.plots.canvas import (
    WIDTH,
    even_steps,
    plane,
    spacing,
    spread_apart,
    titled_axes,
)
from aecourse.plots.images import grid_images
from aecourse.plots.styles import CLASS_COLORS, CLASS_MARKERS, STYLES


def latent_scatter(
    z,
    y,
    *,
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

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ax = latent_scatter(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 7]))
    >>> [text.get_text() for text in ax.texts]
    ['0', '7']
    >>> plt.close(ax.figure)
    """
    z, y = plane("z", z, "(num_examples, 2)"), np.asarray(y)
    if y.shape != z.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"Argument `y` must hold {len(z)} whole numbers, one per code. "
            f"Received: y.shape={y.shape}, y.dtype={y.dtype}"
        )
    classes = np.unique(y)
    if len(classes) > len(CLASS_MARKERS):
        raise ValueError(
            f"Argument `y` must have at most {len(CLASS_MARKERS)} classes, as many as "
            f"can be told apart. Received: number of classes={len(classes)}"
        )
    if class_names is not None and not 0 <= classes[0] <= classes[-1] < len(
        class_names
    ):
        refuse("class_names", "a name for each class in `y`", class_names)
    ax = titled_axes(ax, title, WIDTH, 5.0)
    size = np.clip(20_000 / len(z), 10, 40)
    names = [str(c) if class_names is None else class_names[c] for c in classes]
    # Digits keep their looks when some of them are left out.
    looks = classes if 0 <= classes[0] <= classes[-1] < 10 else range(len(classes))
    for c, name, look in zip(classes, names, looks, strict=True):
        ax.scatter(
            z[y == c, 0],
            z[y == c, 1],
            s=size,
            color=CLASS_COLORS[look],
            marker=CLASS_MARKERS[look],
            alpha=0.6,
            linewidths=0,
            label=name,
        )
    outline = matplotlib.patheffects.withStroke(linewidth=3, foreground="white")
    medians = np.array([np.median(z[y == c], axis=0) for c in classes])
    places = spread_apart(medians, 0.05 * np.ptp(z, axis=0).max())
    for place, name in zip(places, names, strict=True):
        ax.text(
            place[0],
            place[1],
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
    *,
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

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ax = manifold_grid(np.zeros((6, 8, 8)), z1=[-1, 0, 1], z2=[0, 1])
    >>> print(ax.get_xlim()[0], ax.get_ylim()[1])
    -1.5 1.5
    >>> plt.close(ax.figure)
    """
    images = grid_images(images)
    z1, z2 = even_steps("z1", z1), even_steps("z2", z2)
    if len(images) != len(z1) * len(z2):
        raise ValueError(
            f"Argument `images` must hold {len(z1)} x {len(z2)} images, one per point "
            f"of the grid. Received: images.shape={images.shape}"
        )
    height, width = images.shape[1:3]
    rows = images.reshape(len(z2), len(z1), height, width, *images.shape[3:])
    # (row, column, y, x) -> (row, y, column, x), the first row at the bottom.
    picture = rows[::-1].swapaxes(1, 2).reshape(len(z2) * height, -1, *images.shape[3:])
    half1, half2 = (z1[1] - z1[0]) / 2, (z2[1] - z2[0]) / 2
    extent = (z1[0] - half1, z1[-1] + half1, z2[0] - half2, z2[-1] + half2)
    height_inches = 5.4 * picture.shape[0] / picture.shape[1] + 0.5
    ax = titled_axes(ax, title, 6.0, height_inches)
    # Square pixels, whatever the latent units of the two axes.
    aspect = (half1 / width) / (half2 / height)
    ax.imshow(picture, cmap="gray", vmin=0.0, vmax=1.0, extent=extent, aspect=aspect)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    return ax


def vector_field(
    points,
    vectors,
    *,
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

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> ax = vector_field(points, vectors=-points, scale=0.5)
    >>> ax.collections[0].U.tolist()
    [-0.0, -0.5, -0.0]
    >>> plt.close(ax.figure)
    """
    points = plane("points", points, "(num_points, 2)")
    vectors = finite_array("vectors", vectors)
    check_same_shape("vectors", vectors.shape, "points", points.shape)
    if model not in STYLES:
        refuse("model", f"one of {sorted(STYLES)}", model)
    if scale is None:
        longest = np.linalg.norm(vectors, axis=1).max()
        scale = spacing(points) / longest if longest > 0 else 1.0
    check_number("scale", scale, above=0)
    ax = titled_axes(ax, title, 6.0, 5.0)
    arrows = vectors * scale
    ax.quiver(
        points[:, 0],
        points[:, 1],
        arrows[:, 0],
        arrows[:, 1],
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
