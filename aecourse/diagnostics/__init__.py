"""What a trained model has learned, measured in NumPy arrays."""

from aecourse.diagnostics.codes import (
    downstream_accuracy,
    interpolate,
    nearest_neighbors,
    off_manifold_distance,
)
from aecourse.diagnostics.images import checkerboard_index, psnr, ssim
from aecourse.diagnostics.posteriors import (
    active_units,
    bits_per_dim,
    importance_sampled_nll,
    kl_per_axis,
)

__all__ = [
    "active_units",
    "bits_per_dim",
    "checkerboard_index",
    "downstream_accuracy",
    "importance_sampled_nll",
    "interpolate",
    "kl_per_axis",
    "nearest_neighbors",
    "off_manifold_distance",
    "psnr",
    "ssim",
]
