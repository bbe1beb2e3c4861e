"""The checks bite: each of these breaks the library on purpose and must be noticed."""

import inspect

import keras
import nbformat
import numpy as np
import pytest
import test_layers
import test_learned_variance
import test_losses
import test_masked_convolution
import test_models
import test_objectives
import test_schedules
from keras import ops

from aecourse import layers, losses, objectives
from tools import execute, notebooks


def mean_features(per_feature):
    """A mean where the sum over the features of an example belongs."""
    return ops.mean(per_feature, axis=tuple(range(1, len(per_feature.shape))))


def rng():
    return np.random.default_rng(0)


def frozen_beta(layer):
    """The weight that a compiled step would see if the schedule did not move."""
    beta = layer.beta
    return ops.cast(beta(0) if callable(beta) else beta, "float32")


BREAKS = {
    "a KL with a mean for a sum": (
        (objectives, "_sum_features", mean_features),
        lambda: test_objectives.test_kl_equals_the_oracle(rng()),
    ),
    "a likelihood with a mean for a sum": (
        (objectives, "_sum_features", mean_features),
        lambda: test_objectives.test_bernoulli_equals_the_oracle(rng()),
    ),
    "a loss with a mean for a sum": (
        (objectives, "_sum_features", mean_features),
        lambda: test_losses.test_sums_over_features_and_averages_over_the_batch(
            losses.BernoulliNLL()
        ),
    ),
    "a VAE whose reconstruction is a mean over pixels": (
        (objectives, "_sum_features", mean_features),
        test_models.test_vae_reconstruction_is_summed_over_pixels,
    ),
    "a KL of the standard deviation for the variance": (
        (
            objectives,
            "gaussian_kl_per_axis",
            lambda m, s: 0.5 * (m**2 + ops.exp(s / 2) - 1 - s / 2),
        ),
        lambda: test_objectives.test_kl_equals_the_oracle(rng()),
    ),
    "a KL weight that stands still": (
        (layers.KLRegularization, "current_beta", frozen_beta),
        test_layers.test_a_scheduled_kl_weight_moves_inside_the_compiled_step,
    ),
    "a cyclical KL weight that stands still": (
        (layers.KLRegularization, "current_beta", frozen_beta),
        test_schedules.test_acts_inside_the_compiled_step,
    ),
    "a masked convolution that sees its own pixel": (
        (layers.MaskedConv2D, "mask", layers.MaskedConv2D(1, 5, mask_type="B").mask),
        test_masked_convolution.test_the_jacobian_is_strictly_lower_triangular,
    ),
    "a continuous Bernoulli without its normalizer": (
        (objectives, "continuous_bernoulli_nll", objectives.bernoulli_nll),
        lambda: test_objectives.test_continuous_bernoulli_equals_the_oracle(rng()),
    ),
    "a decoder whose variance stands still": (
        (
            layers.LearnedVariance,
            "log_variance",
            # A gradient of zero; TensorFlow refuses to train without any.
            lambda self: (
                ops.stop_gradient(ops.convert_to_tensor(self.log_excess))
                + 0.0 * self.log_excess
            ),
        ),
        test_learned_variance.test_global_variance_becomes_the_mean_squared_error,
    ),
    "a VAE whose KL weight stands still": (
        (layers.KLRegularization, "current_beta", frozen_beta),
        test_models.test_vae_weight_of_the_kl_moves_in_fit,
    ),
    "a sampling layer that does not draw": (
        (layers.Sampling, "call", lambda self, inputs: inputs[0]),
        test_layers.test_sampling_has_the_moments_of_the_posterior,
    ),
    "a masking layer that rescales, as dropout does": (
        (layers.MaskingNoise, "call", lambda self, x, training: x / (1 - self.rate)),
        test_layers.test_masking_sets_the_stated_share_to_zero_and_keeps_the_rest,
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_notices(name, monkeypatch):
    (owner, attribute, broken), check = BREAKS[name]
    monkeypatch.setattr(owner, attribute, broken)
    with pytest.raises(AssertionError):  # on what is right it passes, in its own file
        check()


def test_a_notebook_notices_a_kl_with_a_mean_for_a_sum():
    """Runs notebook 10 as far as the claim that its own VAE is the library's."""
    path = notebooks.find(["10_variational"])[0]  # its solutions come second
    page = notebooks.read(path)
    sources = [cell.source for cell in page.cells]
    last = next(i for i, text in enumerate(sources) if "VAE is the library's" in text)
    page.cells = page.cells[: last + 1]
    lines = inspect.getsource(mean_features).replace("mean_features", "broken")
    lines = f"from aecourse import objectives\n{lines}objectives._sum_features = "
    setup = next(i for i, text in enumerate(sources) if "import keras\n" in text)
    page.cells.insert(setup + 1, nbformat.v4.new_code_cell(lines + "broken"))
    environment = {"KERAS_BACKEND": keras.config.backend()}
    with pytest.raises(notebooks.NotebookFailure, match="ClaimError: ✘"):
        execute.execute(page, path.parent, environment)
