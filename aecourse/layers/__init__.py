"""Keras layers of the course: one idea per file, the same on every backend."""

from aecourse.layers.importance_weighted_loss import ImportanceWeightedLoss
from aecourse.layers.jacobian_penalty import JacobianPenalty
from aecourse.layers.kl_regularization import KLRegularization
from aecourse.layers.learned_variance import LearnedVariance
from aecourse.layers.masked_convolution import MaskedConv2D
from aecourse.layers.noise import MaskingNoise, SaltAndPepperNoise
from aecourse.layers.sampling import Sampling
from aecourse.layers.sparsity import KLSparsity, TopK
from aecourse.layers.tied import TiedDense
from aecourse.layers.upsampling import (
    Conv2DTranspose,
    ResizeConv2D,
    SubPixelConv2D,
)

__all__ = [
    "Conv2DTranspose",
    "ImportanceWeightedLoss",
    "JacobianPenalty",
    "KLRegularization",
    "KLSparsity",
    "MaskedConv2D",
    "LearnedVariance",
    "MaskingNoise",
    "ResizeConv2D",
    "SaltAndPepperNoise",
    "Sampling",
    "SubPixelConv2D",
    "TiedDense",
    "TopK",
]
