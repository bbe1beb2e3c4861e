"""Weights that move over the training steps.

A schedule is a `keras.optimizers.schedules.LearningRateSchedule`: a function of the
step in `keras.ops`, which the compiled training step can evaluate. A linear warm-up is
Keras' own `PolynomialDecay(0.0, num_steps, 1.0)`.

Derived in: notebook 14.
"""

import keras
from keras import ops

from aecourse.checks import check_count, check_number


@keras.saving.register_keras_serializable(package="aecourse")
class CyclicalAnnealing(keras.optimizers.schedules.LearningRateSchedule):
    """A weight that climbs from 0 to `top`, stays there, and starts again.

    As the `beta` of `layers.KLRegularization` it takes the price off the code once per
    cycle, so that an encoder that has given up gets another chance, from a decoder
    that has learned something meanwhile. With a cycle of `num_steps / num_cycles`
    steps, and `t` the share of the present cycle that is over:

        weight = top * min(t / ratio, 1)

    After `num_steps` the weight remains at `top`.

    Args:
        num_steps: Training steps of all cycles together; a cycle has at least one.
        num_cycles: Number of cycles. One cycle is a linear warm-up.
        ratio: Share of a cycle that climbs, above 0 and at most 1.
        top: The weight after the climb, at least 0.

    Call arguments:
        step: The training step from 0 on: a whole number, or an integer tensor.

    Output shape:
        A float32 scalar.

    Raises:
        ValueError: if a count is not a whole number of at least 1, there are more
            cycles than steps, `ratio` is not above 0 and at most 1, or `top` is
            negative.

    Example:

    >>> schedule = CyclicalAnnealing(num_steps=8, num_cycles=2, ratio=0.5)
    >>> [float(schedule(step)) for step in range(9)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0, 1.0]

    Derived in: notebook 14.

    Reference:
        Fu et al., "Cyclical Annealing Schedule: A Simple Approach to Mitigating KL
        Vanishing" (2019).
    """

    def __init__(self, num_steps, num_cycles=4, *, ratio=0.5, top=1.0):
        check_count("num_cycles", num_cycles)
        check_count("num_steps", num_steps, minimum=num_cycles)
        check_number("ratio", ratio, above=0, maximum=1)
        check_number("top", top, minimum=0)
        self.num_steps = num_steps
        self.num_cycles = num_cycles
        self.ratio = ratio
        self.top = top

    def __call__(self, step):
        step = ops.cast(step, "int32")
        # In whole numbers, so that a cycle starts exactly where it should.
        steps = ops.mod(
            ops.minimum(step, self.num_steps) * self.num_cycles, self.num_steps
        )
        share = ops.cast(steps, "float32") / self.num_steps
        weight = self.top * ops.minimum(share / self.ratio, 1.0)
        return ops.where(step < self.num_steps, weight, float(self.top))

    def get_config(self):
        return {
            "num_steps": self.num_steps,
            "num_cycles": self.num_cycles,
            "ratio": self.ratio,
            "top": self.top,
        }
