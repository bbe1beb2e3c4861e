"""One color, marker and line for each model of the course."""

import math
import re

import matplotlib.pyplot as plt
import numpy as np

STYLES = {
    "data": {"color": "#000000", "linestyle": "-", "marker": "."},
    "pca": {"color": "#555555", "linestyle": "--", "marker": "s"},
    "linear_ae": {"color": "#56B4E9", "linestyle": "-.", "marker": "D"},
    "ae": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "dae": {"color": "#E69F00", "linestyle": (0, (5, 1)), "marker": "^"},
    "sparse": {"color": "#009E73", "linestyle": (0, (3, 1, 1, 1)), "marker": "v"},
    "cae": {"color": "#CC79A7", "linestyle": ":", "marker": "P"},
    "conv": {"color": "#2E0073", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "h"},
    "vae": {"color": "#D55E00", "linestyle": (0, (7, 1, 1, 1)), "marker": "X"},
}
"""One look per model for the whole course: `ax.plot(x, y, **STYLES["vae"])`."""
COLORS = {model: style["color"] for model, style in STYLES.items()}
"""One color per model for the whole course."""
# Ten classes: Okabe & Ito without the yellow, which is faint on white, and three more;
# each class with its own marker.
CLASS_COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#000000",
    "#332288",
    "#555555",
    "#7B3F00",
)
CLASS_MARKERS = "osD^vP*X<>"


def looks_of(names):
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
