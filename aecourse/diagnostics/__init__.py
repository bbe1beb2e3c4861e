"""What a trained model has learned, measured in NumPy arrays."""

from aecourse.diagnostics.bounds import (
    Calibration,
    ImportanceWeightedBound,
    bits_per_dim,
    calibration,
    importance_sampled_nll,
    importance_weighted_bound,
)
from aecourse.diagnostics.codes import (
    downstream_accuracy,
    elbow,
    interpolate,
    nearest_neighbors,
    off_manifold_distance,
)
from aecourse.diagnostics.images import checkerboard_index, psnr, ssim
from aecourse.diagnostics.posteriors import (
    MutualInformation,
    active_units,
    kl_per_axis,
    mutual_information,
)
from aecourse.diagnostics.reductions import (
    EffectiveBeta,
    critical_value,
    effective_beta,
)

__all__ = [
    "Calibration",
    "EffectiveBeta",
    "ImportanceWeightedBound",
    "MutualInformation",
    "active_units",
    "bits_per_dim",
    "calibration",
    "checkerboard_index",
    "critical_value",
    "downstream_accuracy",
    "elbow",
    "effective_beta",
    "importance_sampled_nll",
    "importance_weighted_bound",
    "interpolate",
    "kl_per_axis",
    "mutual_information",
    "nearest_neighbors",
    "off_manifold_distance",
    "psnr",
    "ssim",
]
