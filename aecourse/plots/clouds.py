"""Points of the plane, and what models make of them."""

import numpy as np
from matplotlib.collections import LineCollection

from aecourse.checks import finite_array, refuse
from aecourse.plots.canvas import plane, titled_axes
from aecourse.plots.styles import looks_of


def cloud_with_lines(
    points,
    lines,
    *,
    arrows=None,
    residuals=None,
    axis_labels=("x1", "x2"),
    title=None,
    ax=None,
):
    """Show points of the plane, lines through the origin and arrows from it.

    Both axes have one scale, so right angles on paper are true.

    Args:
        points: The cloud, shape `(num_points, 2)`.
        lines: Dictionary from name to the direction of a line, two numbers that are not
            both zero. The name of a model gets its color of the course.
        arrows: Dictionary from name to vectors, shape `(num_vectors, 2)`.
        residuals: Name of one of the lines: a thin segment joins each point to the
            point of the line that is nearest to it.
        axis_labels: Labels of the two axes, with the unit if there is one.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `points` or vectors are no finite `(num_points, 2)` array with at
            least one row, a direction is not two finite numbers or is zero, or
            `residuals` is no name of a line.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> points = np.array([[1.0, 1.0], [-1.0, 1.0]])
    >>> ax = cloud_with_lines(points, {"PCA": [1.0, 0.0]}, residuals="PCA")
    >>> ax.collections[0].get_segments()[0].tolist()  # from the point to the line
    [[1.0, 1.0], [1.0, 0.0]]
    >>> plt.close(ax.figure)
    """
    points = plane("points", points, "(num_points, 2)")
    if residuals is not None and residuals not in lines:
        refuse("residuals", f"one of {list(lines)}", residuals)
    arrows = arrows or {}
    looks = iter(looks_of([*lines, *arrows]))
    ax = titled_axes(ax, title, 6.0, 4.2)
    ax.plot(points[:, 0], points[:, 1], ".", color="#AAAAAA", markersize=4, zorder=1)
    # Set before lines without end are drawn: the cloud decides how much is seen.
    ax.set_aspect("equal", adjustable="datalim")
    for name, direction in lines.items():
        direction = finite_array(f"lines[{name!r}]", direction, ndim=1)
        if direction.shape != (2,) or not direction.any():
            expected = "two numbers that are not both zero"
            refuse(f"lines[{name!r}]", expected, direction.tolist())
        look = next(looks) | {"marker": ""}
        ax.axline((0, 0), direction, **look, linewidth=2, label=name)
        if name == residuals:
            unit = direction / np.linalg.norm(direction)
            ends = np.stack([points, np.outer(points @ unit, unit)], axis=1)
            ax.add_collection(
                LineCollection(ends, colors=[look["color"]], linewidths=0.5, alpha=0.6)
            )
    for name, vectors in arrows.items():
        vectors = plane(f"arrows[{name!r}]", vectors, "(num_vectors, 2)")
        paper = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.012}
        tails = np.zeros(len(vectors))
        color = next(looks)["color"]
        ax.quiver(tails, tails, *vectors.T, **paper, color=color, zorder=4, label=name)
    ax.set(xlabel=axis_labels[0], ylabel=axis_labels[1])
    ax.grid(alpha=0.3)
    if lines or arrows:
        ax.legend(edgecolor="none")
    return ax
