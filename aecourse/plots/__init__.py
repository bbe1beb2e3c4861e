"""The figures of the course: NumPy arrays in, Matplotlib Axes out.

Nothing here trains or decodes. Every function draws on `ax`, or on a figure of its own
about seven inches wide when `ax` is None, and returns the Axes. `title` states the
finding and is wrapped to the width of the Axes. Images have one fixed scale, 0 black to
1 white; colors are those of Okabe & Ito, which readers with a color vision deficiency
can tell apart, and a line style, a marker or a label always says the same again.

Reference:
    Okabe & Ito, "Color Universal Design" (2008).
"""

from aecourse.checks import needs

with needs("matplotlib"):
    import matplotlib  # noqa: F401

from aecourse.plots.clouds import cloud_with_lines
from aecourse.plots.curves import (
    elbow_curves,
    learning_curves,
    spectrum,
)
from aecourse.plots.diagrams import model_diagram
from aecourse.plots.images import (
    image_grid,
    image_rows,
)
from aecourse.plots.latent_space import (
    latent_scatter,
    manifold_grid,
    vector_field,
)
from aecourse.plots.styles import (
    COLORS,
    STYLES,
)

__all__ = [
    "COLORS",
    "STYLES",
    "cloud_with_lines",
    "elbow_curves",
    "image_grid",
    "image_rows",
    "latent_scatter",
    "learning_curves",
    "manifold_grid",
    "model_diagram",
    "spectrum",
    "vector_field",
]
