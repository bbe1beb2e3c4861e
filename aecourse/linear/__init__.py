"""Closed forms of linear models: what a gradient descent should arrive at."""

from aecourse.linear.linear_vae import (
    LinearVAEOptimum,
    linear_vae_optimum,
    predicted_active_axes,
)
from aecourse.linear.probabilistic import (
    PPCA,
    ppca,
    ppca_em,
)
from aecourse.linear.subspaces import (
    axis_misalignment,
    eckart_young,
    principal_angles,
    principal_components,
)

__all__ = [
    "PPCA",
    "LinearVAEOptimum",
    "axis_misalignment",
    "eckart_young",
    "linear_vae_optimum",
    "ppca",
    "ppca_em",
    "predicted_active_axes",
    "principal_angles",
    "principal_components",
]
