"""Jittered images: an affine map that SciPy computes too, weaker in every epoch."""

import numpy as np
import pytest
from scipy import ndimage

from aecourse.datasets import JitteredImages


def images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype="float32")


def deformed_by_scipy(x, strength, generator):
    """The deformations of a batch, about the center, from the same draws."""
    num_images, height, width, channels = x.shape

    def draw(limit):
        return strength * generator.uniform(-limit, limit, num_images)

    angle, shear, stretch_x, stretch_y = (draw(each) for each in (0.2, 0.15, 0.1, 0.1))
    shift_x, shift_y = draw(1.5 * width / 28), draw(1.5 * height / 28)
    center = np.array([height - 1, width - 1]) / 2
    outputs = np.empty_like(x)
    for i in range(num_images):
        cos, sin = np.cos(angle[i]), np.sin(angle[i])
        matrix = np.array(  # rows and columns of output to those of input
            [
                [cos / (1 + stretch_y[i]), sin],
                [shear[i] - sin, cos / (1 + stretch_x[i])],
            ]
        )
        offset = center + [shift_y[i], shift_x[i]] - matrix @ center
        for channel in range(channels):
            outputs[i, ..., channel] = ndimage.affine_transform(
                x[i, ..., channel], matrix, offset, order=1, mode="grid-constant"
            )
    return outputs


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 20, 3)])
def test_deforms_as_scipy_does_and_less_in_a_later_epoch(shape):
    x = images(13, *shape)
    batches = JitteredImages(x, 10, batch_size=6, seed=5)
    generator = np.random.default_rng(5)
    for strength in (1.0, 0.875):
        order = generator.permutation(13)
        for index in (0, 1):
            taken = x[order[6 * index : 6 * index + 6]]
            expected = deformed_by_scipy(taken, strength, generator)
            jittered, target = batches[index]
            # Positions are float32: off by up to 4e-6 pixels, intensities as much.
            np.testing.assert_allclose(jittered, expected, atol=2e-5)
            assert target is jittered and jittered.dtype == np.float32
            assert np.abs(jittered - taken).max() > 0.1
        batches.on_epoch_end()


def test_strength_falls_to_zero_after_four_fifths_of_the_epochs():
    x = images(6, 5, 5, 1)
    batches = JitteredImages(x, 10, batch_size=6)
    strengths = []
    for _ in range(11):
        strengths.append(batches.strength)
        batches.on_epoch_end()
    expected = [1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0, 0, 0]
    np.testing.assert_allclose(strengths, expected, atol=1e-12)
    last, _ = batches[0]  # the images as they are, in another order
    np.testing.assert_array_equal(np.sort(last, axis=0), np.sort(x, axis=0))


def test_an_epoch_takes_each_image_once_but_for_those_that_fill_no_batch():
    x = np.arange(7, dtype="float32").reshape(7, 1, 1, 1) / 7
    batches = JitteredImages(x, 1, batch_size=3)
    seen = set()
    for _ in range(20):
        batches.on_epoch_end()
        drawn = np.concatenate([batches[i][0] for i in range(len(batches))]).ravel()
        assert len(batches) == 2 and len(set(drawn)) == 6
        seen |= set(drawn)
    # An image is left out 20 times in a row with a chance of 1e-17.
    assert seen == set(x.ravel())


def test_a_seed_repeats_and_another_one_differs():
    x = images(8, 6, 6, 1)
    one, two, other = (
        JitteredImages(x, 3, batch_size=8, seed=s)[0][0] for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


@pytest.mark.parametrize(
    "name, value",
    [
        ("x", np.zeros((4, 6, 6))),
        ("x", np.full((4, 6, 6, 1), 255.0)),
        ("num_epochs", 0),
        ("batch_size", 5),  # there are four images
        ("seed", -1),
    ],
)
def test_refuses(name, value):
    arguments = {"x": images(4, 6, 6, 1), "num_epochs": 2, "batch_size": 2, "seed": 0}
    with pytest.raises(ValueError, match=f"Argument `{name}` must .*Received: "):
        JitteredImages(**{**arguments, name: value})


def test_there_is_no_batch_after_the_last():
    batches = JitteredImages(images(4, 6, 6, 1), 2, batch_size=2)
    assert sum(len(x) for x, _ in batches) == 4
    with pytest.raises(IndexError, match="Received: index=2"):
        batches[2]
