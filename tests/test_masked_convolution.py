"""MaskedConv2D and the decoder made of it: who sees whom, and likelihoods."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import diagnostics, layers, losses, models, objectives

SIZE = (6, 7)


def sees(function, num_channels=1, seed=0):
    """Which outputs move when a pixel does: `(pixel, pixel)`, the second is moved.

    `function` maps `(batch, 6, 7, channels)` to outputs of that height and width. All
    single-pixel changes go through in one batch.
    """
    num_pixels = SIZE[0] * SIZE[1]
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1, *SIZE, num_channels)).astype("float32")
    moved = np.repeat(x, num_pixels + 1, axis=0)  # the last is left as it was
    pixels = np.arange(num_pixels)
    moved[pixels, pixels // SIZE[1], pixels % SIZE[1]] += 1.0
    outputs = ops.convert_to_numpy(function(moved))
    change = np.abs(outputs[:-1] - outputs[-1]).max(axis=-1)
    # What is masked contributes 0 * pixel, an exact zero; what is not, about 0.1.
    return change.reshape(num_pixels, num_pixels).T > 1e-6


def window(reach, itself):
    """The pixels an output may see, by the definition: earlier and within reach."""
    positions = list(itertools.product(range(SIZE[0]), range(SIZE[1])))
    allowed = np.zeros((len(positions), len(positions)), bool)
    for i, (row, column) in enumerate(positions):
        for j, (other_row, other_column) in enumerate(positions):
            up, aside = row - other_row, abs(column - other_column)
            earlier = j < i or (itself and j == i)
            allowed[i, j] = earlier and up <= reach[0] and aside <= reach[1]
    return allowed


def masked(mask_type, kernel_size=3, filters=4, **kwargs):
    return layers.MaskedConv2D(filters, kernel_size, mask_type=mask_type, **kwargs)


# --- facts: the layer


@pytest.mark.parametrize(
    "mask_type, kernel_size",
    [
        ("A", 1),
        ("B", 1),
        ("A", 3),
        ("B", 5),
        ("A", (3, 5)),
        ("B", (1, 3)),
        ("A", (5, 1)),
    ],
)
def test_an_output_sees_the_earlier_pixels_of_its_window_and_no_other(
    mask_type, kernel_size
):
    rows, columns = np.broadcast_to(kernel_size, 2)
    expected = window((rows // 2, columns // 2), itself=mask_type == "B")
    layer = masked(mask_type, kernel_size)
    np.testing.assert_array_equal(sees(layer, num_channels=2), expected)


def test_the_jacobian_is_strictly_lower_triangular():
    layer = masked("A", kernel_size=5, filters=1)
    x = np.random.default_rng(0).normal(size=(1, *SIZE, 1)).astype("float32")
    columns = []
    for pixel in range(x.size):
        tangent = np.zeros(x.size, "float32")
        tangent[pixel] = 1.0
        tangent = ops.convert_to_tensor(tangent.reshape(x.shape))
        _, column = ops.jvp(layer, (ops.convert_to_tensor(x),), (tangent,))
        columns.append(ops.convert_to_numpy(column).ravel())
    jacobian = np.stack(columns, axis=1)
    assert np.any(jacobian)
    np.testing.assert_array_equal(np.triu(jacobian), 0.0)


def test_dilation_spreads_the_window():
    reach = sees(masked("A", 3, dilation_rate=2))
    # Steps of two, as a 5x5 window with every other row and column.
    expected = np.zeros_like(reach)
    width = SIZE[1]
    for row, column in itertools.product(range(SIZE[0]), range(width)):
        for up, aside in [(2, -2), (2, 0), (2, 2), (0, -2)]:
            there = (row - up, column + aside)
            if there[0] >= 0 and 0 <= there[1] < width:
                expected[row * width + column, there[0] * width + there[1]] = True
    np.testing.assert_array_equal(reach, expected)


def test_a_stack_sees_what_paths_through_its_layers_reach():
    stack = [masked("A", 3), masked("B", 3), masked("B", 3)]

    def function(x):
        for layer in stack:
            x = layer(x)
        return x

    step_a, step_b = (window((1, 1), itself) for itself in (False, True))
    paths = step_b.astype(int) @ step_b.astype(int) @ step_a.astype(int) > 0
    np.testing.assert_array_equal(sees(function), paths)
    # The blind spot: above and to the right, earlier, within three steps, not seen.
    hidden = window((3, 3), itself=False) & ~paths
    width, (row, column) = SIZE[1], (3, 3)
    assert hidden[row * width + column, (row - 1) * width + column + 2]


def test_it_is_the_plain_convolution_with_half_a_kernel():
    ours, plain = masked("B", (3, 5)), keras.layers.Conv2D(4, (3, 5), padding="same")
    x = np.random.default_rng(0).normal(size=(2, *SIZE, 3)).astype("float32")
    ours(x), plain(x)
    kernel, bias = ours.get_weights()
    kernel[2:] = 0.0
    kernel[1, 3:] = 0.0
    plain.set_weights([kernel, bias])
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(x)), ops.convert_to_numpy(plain(x)), atol=1e-5
    )


def test_training_does_not_open_the_mask():
    layer = masked("A", 5, filters=1)
    x = np.random.default_rng(0).normal(size=(32, *SIZE, 1)).astype("float32")
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    model.fit(x, x, epochs=3, verbose=0)  # to copy its input is all it is asked
    np.testing.assert_array_equal(sees(layer), window((2, 2), itself=False))


# --- facts: the decoder


def decoder_of(receptive_field, latent_dim=2, seed=0):
    decoder = models.autoregressive_decoder(
        (*SIZE, 1),
        latent_dim,
        receptive_field=receptive_field,
        filters=(4,),
        num_features=5,
        activation="tanh",  # a unit of the rectifier may be dead for one image
    )
    rng = np.random.default_rng(seed)
    decoder.set_weights(
        [rng.normal(0.0, 0.5, w.shape).astype("float32") for w in decoder.get_weights()]
    )
    return decoder


@pytest.mark.parametrize("receptive_field", [0, 2, 6])
def test_a_pixel_of_the_decoder_sees_its_receptive_field(receptive_field):
    decoder = decoder_of(receptive_field)
    z = np.random.default_rng(0).normal(size=(1, 2)).astype("float32")

    def given_z(x):
        return decoder([np.repeat(z, len(x), axis=0), x])

    expected = window((receptive_field, receptive_field), itself=False)
    np.testing.assert_array_equal(sees(given_z), expected)


def test_every_logit_of_the_decoder_depends_on_the_code():
    decoder = decoder_of(2)
    x = np.zeros((2, *SIZE, 1), "float32")
    z = np.array([[0.0, 0.0], [1.0, -1.0]], "float32")
    one, other = ops.convert_to_numpy(decoder([z, x]))
    assert np.all(np.abs(one - other) > 1e-6)


def test_the_conditionals_multiply_to_a_distribution_over_images():
    decoder = models.autoregressive_decoder(
        (2, 3, 1), 2, receptive_field=1, filters=(4,), num_features=5
    )
    images = np.array(list(itertools.product([0.0, 1.0], repeat=6)), "float32")
    images = images.reshape(-1, 2, 3, 1)
    z = np.repeat(np.array([[0.3, -1.0]], "float32"), len(images), axis=0)
    nll = ops.convert_to_numpy(objectives.bernoulli_nll(images, decoder([z, images])))
    # All 64 images together; a single leak of a later pixel breaks the sum.
    assert np.exp(-nll.astype("float64")).sum() == pytest.approx(1.0, abs=1e-5)
    assert nll.std() > 1e-3


def test_a_vae_of_it_trains_and_survives_the_file(tmp_path):
    encoder = models.dense_encoder((*SIZE, 1), 2, hidden_units=(8,), variational=True)
    x = keras.Input((*SIZE, 1))
    code = layers.KLRegularization()(encoder(x))
    z = layers.Sampling(seed=0)(code)
    vae = keras.Model(x, decoder_of(1)([z, x]))
    vae.compile(keras.optimizers.Adam(0.02), losses.BernoulliNLL())
    images = np.random.default_rng(0).integers(0, 2, (32, *SIZE, 1)).astype("float32")
    history = vae.fit(images, images, batch_size=8, epochs=10, verbose=0)
    before, *_, after = history.history["loss"]
    assert after < before - 1  # nats
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    z = np.ones((32, 2), "float32")
    ours, theirs = (
        ops.convert_to_numpy(model.get_layer("decoder")([z, images]))
        for model in (vae, again)
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_importance_sampling_takes_it_through_the_likelihood():
    """`nll` gets x and the code: the way to -log p(x) of a decoder that sees x."""
    decoder = models.autoregressive_decoder(
        (2, 2, 1), 1, receptive_field=1, filters=(3,), num_features=4
    )
    images = np.array(list(itertools.product([0.0, 1.0], repeat=4)), "float32")
    images = images.reshape(-1, 2, 2, 1)

    def prior(x):
        x = ops.reshape(x, (-1, 4))
        return [ops.zeros_like(x[:, :1]), ops.zeros_like(x[:, :1])]

    nll = diagnostics.importance_sampled_nll(
        prior,
        lambda z: z,
        x=images,
        num_samples=500,
        nll=lambda x, z: objectives.bernoulli_nll(x, decoder([z, x])),
    )
    # -log of the integral over z, by Gauss-Hermite quadrature.
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = np.repeat(nodes[:, None], 16, axis=0).astype("float32")
    x = np.tile(images, (40, 1, 1, 1))
    likelihood = np.exp(
        -ops.convert_to_numpy(objectives.bernoulli_nll(x, decoder([z, x])))
    ).reshape(40, 16)
    expected = -np.log(weights / weights.sum() @ likelihood)
    # 500 draws of weights that vary by a few tenths: an error of about 0.02 nats.
    np.testing.assert_allclose(nll, expected, atol=0.1)


@pytest.mark.parametrize("strides", [1, (1, 1), [1, 1]])
def test_takes_a_stride_of_one_however_it_is_written(strides):
    assert masked("A", strides=strides).strides == (1, 1)


# --- refusals


@pytest.mark.parametrize(
    "name, value",
    [
        ("mask_type", "C"),
        ("mask_type", None),
        ("kernel_size", 4),
        ("kernel_size", (3, 2)),
        ("strides", 2),
        ("strides", (2, 1)),
        ("strides", [1, 2]),
        ("padding", "valid"),
        ("data_format", "channels_first"),
    ],
)
def test_refuses_what_would_not_line_up(name, value):
    arguments = {"filters": 2, "kernel_size": 3, "mask_type": "A", name: value}
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        layers.MaskedConv2D(**arguments)


@pytest.mark.parametrize(
    "name, value",
    [
        ("output_shape", (14, 14)),
        ("latent_dim", 0),
        ("receptive_field", -1),
        ("receptive_field", 1.5),
        ("filters", ()),
        ("num_features", 0),
    ],
)
def test_the_decoder_refuses_a_size_that_is_none(name, value):
    arguments = {"output_shape": (6, 7, 1), "latent_dim": 2, name: value}
    with pytest.raises(ValueError, match=f"`{name}`"):
        models.autoregressive_decoder(**arguments)
