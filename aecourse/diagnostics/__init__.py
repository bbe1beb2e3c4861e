"""What a trained model has learned, measured in NumPy arrays."""

from aecourse.diagnostics.bounds import (
    ImportanceWeightedBound,
    bits_per_dim,
    importance_sampled_nll,
    importance_weighted_bound,
)
from aecourse.diagnostics.calibration import Calibration, calibration
from aecourse.diagnostics.codes import (
    downstream_accuracy,
    elbow,
    interpolate,
    nearest_neighbors,
    off_manifold_distance,
)
from aecourse.diagnostics.collapse import (
    EffectiveBeta,
    critical_value,
    effective_beta,
)
from aecourse.diagnostics.images import checkerboard_index, psnr, ssim
from aecourse.diagnostics.jacobian import jacobian, jacobian_penalty
from aecourse.diagnostics.posteriors import (
    MutualInformation,
    active_units,
    kl_per_axis,
    mutual_information,
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
    "jacobian",
    "jacobian_penalty",
    "kl_per_axis",
    "mutual_information",
    "nearest_neighbors",
    "off_manifold_distance",
    "psnr",
    "ssim",
]
