"""Corruptions of the input that a denoising autoencoder learns to undo."""

import keras
from keras import ops

from aecourse.checks import check_number


@keras.saving.register_keras_serializable(package="aecourse")
class MaskingNoise(keras.layers.Layer):
    """Sets each feature to 0 with probability `rate`, in training only.

    Unlike `keras.layers.Dropout` it does not scale up what is left: the intensities
    that survive are the true ones.

    Args:
        rate: Probability of a feature's being masked, between 0 and 1.
        seed: Integer, or `None` for a random one.

    Call arguments:
        inputs: Tensor of any shape.
        training: Outside training the inputs pass unchanged.

    Output shape:
        Same as the input.

    Raises:
        ValueError: if `rate` is not a number between 0 and 1.

    Example:

    >>> float(ops.max(MaskingNoise(rate=1.0)(ops.ones((2, 3)), training=True)))
    0.0

    Derived in: notebook 05.

    Reference:
        Vincent et al., "Extracting and Composing Robust Features with Denoising
        Autoencoders" (2008).
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_number("rate", rate, minimum=0, maximum=1)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        u = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        return ops.where(u < self.rate, ops.zeros_like(inputs), inputs)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="aecourse")
class SaltAndPepperNoise(keras.layers.Layer):
    """Sets each feature to 0 or 1, each with probability `rate / 2`, in training only.

    Args:
        rate: Probability of a feature's being replaced, between 0 and 1.
        seed: Integer, or `None` for a random one.

    Call arguments:
        inputs: Tensor of intensities in [0, 1], any shape.
        training: Outside training the inputs pass unchanged.

    Output shape:
        Same as the input.

    Raises:
        ValueError: if `rate` is not a number between 0 and 1.

    Example:

    >>> x = SaltAndPepperNoise(rate=1.0)(0.5 * ops.ones((2, 3)), training=True)
    >>> float(ops.max(ops.abs(x - 0.5)))
    0.5

    Derived in: notebook 05.

    Reference:
        Vincent et al., "Stacked Denoising Autoencoders" (2010), section 3.3.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        check_number("rate", rate, minimum=0, maximum=1)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        u = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        half = self.rate / 2
        peppered = ops.where(u < half, ops.zeros_like(inputs), inputs)
        return ops.where(u >= 1 - half, ops.ones_like(inputs), peppered)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
