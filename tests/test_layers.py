"""layers: the contract of each, facts, refusals."""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import check_layer

from aecourse import layers, objectives
from aecourse.layers import upsampling

WARM_UP = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def uniform(*shape):
    return np.random.default_rng(0).random(shape).astype("float32")


# --- contract


def dense(num_inputs=3, units=2):
    # TiedDense takes the kernel; TensorFlow warns of a bias that nothing trains.
    layer = keras.layers.Dense(units, use_bias=False)
    layer.build((None, num_inputs))
    return layer


def dense_encoder():
    x = keras.Input((4,))
    h = keras.layers.Dense(5, "tanh")(x)
    return keras.Model(x, keras.layers.Dense(2, "sigmoid")(h))


CODE = [normal(6, 2), normal(6, 2, seed=1)]
CONTRACTS = {
    "sampling": (lambda: layers.Sampling(seed=1), CODE, (6, 2), 0, 1),
    "samples": (lambda: layers.Sampling(5, seed=1), CODE, (6, 5, 2), 0, 1),
    "kl": (lambda: layers.KLRegularization(0.5, 0.1), CODE, ((6, 2), (6, 2)), 1, 0),
    "warm-up": (lambda: layers.KLRegularization(WARM_UP), CODE, ((6, 2),) * 2, 1, 0),
    "masking": (lambda: layers.MaskingNoise(0.3, seed=1), uniform(6, 4), (6, 4), 0, 1),
    "salt": (
        lambda: layers.SaltAndPepperNoise(0.3, seed=1),
        uniform(6, 4, 4, 1),
        (6, 4, 4, 1),
        0,
        1,
    ),
    "sparsity": (lambda: layers.KLSparsity(0.1, 0.5), uniform(6, 4), (6, 4), 1, 0),
    "top-k": (lambda: layers.TopK(2), normal(6, 4), (6, 4), 0, 0),
    "tied": (lambda: layers.TiedDense(dense(), "tanh"), normal(6, 2), (6, 3), 0, 0),
    "jacobian": (
        lambda: layers.JacobianPenalty(dense_encoder(), 0.5),
        normal(6, 4),
        (6, 2),
        1,
        0,
    ),
    "probes": (
        lambda: layers.JacobianPenalty(
            dense_encoder(), 0.5, method="hutchinson", num_probes=2, seed=1
        ),
        normal(6, 4),
        (6, 2),
        1,
        1,
    ),
    "variance": (lambda: layers.LearnedVariance(), normal(6, 4), (6, 8), 0, 0),
    "variances": (
        lambda: layers.LearnedVariance(True, 0.5, min_variance=0.0),
        normal(6, 4, 5, 2),
        (6, 4, 5, 4),
        0,
        0,
    ),
    "masked convolution": (
        lambda: layers.MaskedConv2D(3, (3, 5), mask_type="A", activation="relu"),
        normal(6, 4, 5, 2),
        (6, 4, 5, 3),
        0,
        0,
    ),
    "transposed": (
        lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
        normal(6, 4, 5, 2),
        (6, 8, 10, 3),
        0,
        0,
    ),
    "resize": (
        lambda: layers.ResizeConv2D(3, 3, strides=2, interpolation="bilinear"),
        normal(6, 4, 5, 2),
        (6, 8, 10, 3),
        0,
        0,
    ),
    "sub-pixel": (
        lambda: layers.SubPixelConv2D(3, 3, strides=(2, 3), activation="relu"),
        normal(6, 4, 5, 2),
        (6, 8, 15, 3),
        0,
        0,
    ),
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_keeps_the_contract_of_layers(name, tmp_path):
    make, inputs, output_shape, num_losses, num_seeds = CONTRACTS[name]
    check_layer(make(), inputs, output_shape, num_losses, num_seeds, tmp_path)


def test_every_layer_is_under_contract():
    under_contract = {type(contract[0]()).__name__ for contract in CONTRACTS.values()}
    under_contract |= {"ImportanceWeightedLoss"}  # test_importance_weighted_loss.py
    assert under_contract == set(layers.__all__)


# --- Sampling


def test_sampling_has_the_moments_of_the_posterior():
    z_mean, z_log_var = np.float32([[1.0, -2.0]]), np.float32([[0.0, 2.0]])
    z = ops.convert_to_numpy(layers.Sampling(100_000, seed=3)([z_mean, z_log_var]))[0]
    std = np.exp(z_log_var[0] / 2)
    # Five standard errors of a mean and of a standard deviation over 100,000 draws.
    np.testing.assert_allclose(z.mean(0), z_mean[0], atol=5 * std.max() / 316)
    np.testing.assert_allclose(z.std(0), std, rtol=5 / 447)


def test_sampling_draws_anew_at_every_call_in_training_and_outside():
    layer = layers.Sampling(seed=3)
    draws = [layer(CODE, training=training) for training in (True, False, False)]
    for a, b in itertools.combinations(map(ops.convert_to_numpy, draws), 2):
        assert np.abs(a - b).min() > 0


def test_sampling_repeats_from_its_seed():
    a, b = (ops.convert_to_numpy(layers.Sampling(seed=3)(CODE)) for _ in range(2))
    np.testing.assert_array_equal(a, b)


def test_sampling_with_no_variance_is_the_mean():
    z = layers.Sampling()([CODE[0], np.full_like(CODE[1], -200.0)])
    np.testing.assert_allclose(ops.convert_to_numpy(z), CODE[0], rtol=1e-6)


@pytest.mark.parametrize("layer", [layers.Sampling(), layers.KLRegularization()])
def test_refuses_mean_and_variance_of_different_shapes(layer):
    with pytest.raises(ValueError, match="`z_log_var` must have the shape of `z_mean`"):
        layer([normal(6, 2), normal(6, 3)])


# --- KLRegularization


def kl_model(**kwargs):
    """A model of one KL layer, compiled, and the data that it is fed."""
    inputs = [keras.Input((2,)), keras.Input((2,))]
    layer = layers.KLRegularization(**kwargs)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd")
    return model, layer


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_kl_layer_adds_beta_times_the_mean_kl_summed_over_axes(beta):
    model, layer = kl_model(beta=beta)
    kl = ops.convert_to_numpy(objectives.gaussian_kl(*CODE)).mean()
    evaluated = model.evaluate(CODE, batch_size=6, verbose=0)
    assert evaluated == pytest.approx(beta * kl, rel=1e-5)
    assert float(layer.batch_kl) == pytest.approx(kl, rel=1e-5)


def test_kl_layer_does_not_charge_an_axis_less_than_its_free_bits():
    per_axis = ops.convert_to_numpy(objectives.gaussian_kl_per_axis(*CODE)).mean(0)
    free_bits = float(per_axis.mean())  # between the two axes' KL
    assert per_axis.min() < free_bits < per_axis.max()
    model, layer = kl_model(free_bits=free_bits)
    expected = np.maximum(per_axis, free_bits).sum()
    evaluated = model.evaluate(CODE, batch_size=6, verbose=0)
    assert evaluated == pytest.approx(expected, rel=1e-5)
    assert float(layer.batch_kl) == pytest.approx(per_axis.sum(), rel=1e-5)


def test_an_axis_below_its_free_bits_has_no_gradient():
    z_mean = np.zeros((4, 1), "float32")
    front = keras.layers.Dense(1, kernel_initializer="ones", use_bias=True)
    inputs = keras.Input((1,))
    head = front(inputs)
    outputs = layers.KLRegularization(free_bits=1.0)([head, head])
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(1.0))
    before = [np.array(w) for w in front.get_weights()]
    model.fit(z_mean, verbose=0)
    for a, b in zip(before, front.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_scheduled_kl_weight_moves_inside_the_compiled_step():
    front = keras.layers.Dense(2, trainable=False)
    x = keras.Input((2,))
    layer = layers.KLRegularization(WARM_UP)
    model = keras.Model(x, layer([front(x), front(x)]))
    model.compile("sgd")
    x_train = normal(8, 2)
    losses = [
        model.fit(x_train, batch_size=8, verbose=0).history["loss"][0]
        for _ in range(12)
    ]
    # The warm-up reaches 1 after ten steps; the weights do not move, so the loss is
    # the schedule times a constant.
    expected = np.minimum(np.arange(12) / 10, 1.0) * losses[-1]
    assert losses[-1] > 0.01
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert int(layer.step) == 12


def test_only_training_advances_the_schedule():
    model, layer = kl_model(beta=WARM_UP)
    model.evaluate(CODE, verbose=0)
    model.predict(CODE, verbose=0)
    assert int(layer.step) == 0


def test_a_schedule_and_its_step_survive_the_file(tmp_path):
    model, layer = kl_model(beta=WARM_UP)
    model.fit(CODE, batch_size=2, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras").layers[-1]
    assert int(again.step) == 3
    assert float(again.current_beta()) == pytest.approx(0.3)


# --- noise


def test_masking_sets_the_stated_share_to_zero_and_keeps_the_rest():
    x = 0.2 + 0.8 * uniform(200, 500)
    y = ops.convert_to_numpy(layers.MaskingNoise(0.3, seed=1)(x, training=True))
    masked = y == 0
    # Four standard errors of a proportion over 100,000 draws.
    assert masked.mean() == pytest.approx(0.3, abs=4 * (0.21 / 1e5) ** 0.5)
    np.testing.assert_array_equal(y[~masked], x[~masked])


def test_salt_and_pepper_sets_half_its_share_to_zero_and_half_to_one():
    x = 0.2 + 0.6 * uniform(200, 500)
    y = ops.convert_to_numpy(layers.SaltAndPepperNoise(0.3, seed=1)(x, training=True))
    pepper, salt = y == 0, y == 1
    tolerance = 4 * (0.1275 / 1e5) ** 0.5
    assert pepper.mean() == pytest.approx(0.15, abs=tolerance)
    assert salt.mean() == pytest.approx(0.15, abs=tolerance)
    np.testing.assert_array_equal(y[~pepper & ~salt], x[~pepper & ~salt])


@pytest.mark.parametrize("noise", [layers.MaskingNoise, layers.SaltAndPepperNoise])
def test_noise_of_rate_0_replaces_nothing_and_of_rate_1_everything(monkeypatch, noise):
    # The draws at the ends of [0, 1) and in its middle, which chance never gives.
    draws = np.float32([0.0, 0.25, 0.5, 1 - 2**-24])
    monkeypatch.setattr(keras.random, "uniform", lambda *_, **__: draws)
    x = np.full(4, 0.75, "float32")
    none, all_four = (
        ops.convert_to_numpy(noise(rate)(x, training=True)) for rate in (0, 1)
    )
    np.testing.assert_array_equal(none, x)
    expected = [0, 0, 0, 0] if noise is layers.MaskingNoise else [0, 0, 1, 1]
    np.testing.assert_array_equal(all_four, expected)


@pytest.mark.parametrize("noise", [layers.MaskingNoise, layers.SaltAndPepperNoise])
def test_noise_leaves_inputs_alone_outside_training(noise):
    x = uniform(6, 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(noise(1.0)(x)), x)


# --- TiedDense


def tied_model(**kwargs):
    x = keras.Input((5,))
    encoder = keras.layers.Dense(2)
    return keras.Model(x, layers.TiedDense(encoder, **kwargs)(encoder(x)))


def test_tied_layer_multiplies_by_the_transposed_kernel():
    model = tied_model(use_bias=False)
    x = normal(4, 5)
    kernel, bias = (np.array(w) for w in model.layers[1].get_weights())
    np.testing.assert_allclose(
        model.predict(x, verbose=0),
        (x @ kernel + bias) @ kernel.T,
        rtol=1e-4,
        atol=1e-5,
    )


def test_tied_layer_maps_each_position_of_a_sequence_of_codes():
    encoder, z = dense(5, 2), normal(4, 3, 2)
    expected = np.tanh(z @ encoder.get_weights()[0].T)
    found = ops.convert_to_numpy(layers.TiedDense(encoder, "tanh")(z))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_tie_survives_training_the_file_and_training_again(tmp_path):
    model = tied_model()
    model.compile("adam", "mse")
    x = normal(32, 5)
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "tied.keras")
    again = keras.saving.load_model(tmp_path / "tied.keras")
    assert len(again.trainable_variables) == 3  # kernel and two biases
    again.fit(x, x, verbose=0)
    encoder, decoder = again.layers[1:]
    assert decoder.tied_to is encoder
    z = normal(3, 2)
    (kernel, _), bias = encoder.get_weights(), ops.convert_to_numpy(decoder.bias)
    expected = z @ kernel.T + bias
    np.testing.assert_allclose(ops.convert_to_numpy(decoder(z)), expected, atol=1e-5)


def test_a_tied_decoder_loads_on_its_own(tmp_path):
    encoder = dense(5, 2)
    z = keras.Input((2,))
    decoder = keras.Model(z, layers.TiedDense(encoder)(z))
    decoder.save(tmp_path / "decoder.keras")
    again = keras.saving.load_model(tmp_path / "decoder.keras")
    codes = normal(3, 2)
    np.testing.assert_allclose(
        again.predict(codes, verbose=0), decoder.predict(codes, verbose=0), rtol=1e-6
    )


@pytest.mark.parametrize("tied_to", [None, "dense", keras.layers.Conv2D(2, 3)])
def test_tied_layer_refuses_what_is_not_a_dense_layer(tied_to):
    with pytest.raises(ValueError, match="`tied_to`.*Received: tied_to="):
        layers.TiedDense(tied_to)


def test_tied_layer_refuses_a_layer_without_weights_yet():
    with pytest.raises(ValueError, match="`tied_to`.*built"):
        layers.TiedDense(keras.layers.Dense(2))(normal(3, 2))


def test_tied_layer_refuses_codes_of_another_width():
    with pytest.raises(ValueError, match="`inputs`.*Received: inputs.shape="):
        layers.TiedDense(dense(5, 2))(normal(3, 4))


# --- Conv2DTranspose

# On JAX the layer computes each axis from its kernel size and stride alone, rows and
# columns alike, so each pair of the two stands here in one of the axes, with another
# pair in the other one. Few filters and many channels make products of all taps, the
# others shifted inputs; each pair of axes is tried in both ways.
PAIRS = list(itertools.product([1, 2, 3, 4, 5], [1, 2, 3]))
SHIFTED, PRODUCTS = [(1, 1), (4, 3)], [(1, 12), (2, 24)]  # filters, channels
CORNERS = [
    (rows, columns, padding, widths[i % 4])
    for padding, widths in [
        ("same", [SHIFTED[0], PRODUCTS[0], SHIFTED[1], PRODUCTS[1]]),
        ("valid", [PRODUCTS[0], SHIFTED[0], PRODUCTS[1], SHIFTED[1]]),
    ]
    for i, (rows, columns) in enumerate(
        zip(PAIRS[::2], PAIRS[1::2] + PAIRS[-1:], strict=True)
    )
]


def both_layers(filters, kernel_size, shape, **arguments):
    """The stock layer and ours, built for one shape, with the same weights."""
    stock = keras.layers.Conv2DTranspose(filters, kernel_size, **arguments)
    ours = layers.Conv2DTranspose(filters, kernel_size, **arguments)
    stock.build(shape)
    ours.build(shape)
    ours.set_weights(stock.get_weights())
    return stock, ours


@pytest.mark.parametrize("rows, columns, padding, widths", CORNERS)
def test_transposed_convolution_equals_the_stock_layer(rows, columns, padding, widths):
    filters, channels = widths
    x = normal(2, 4, 5, channels)
    stock, ours = both_layers(
        filters,
        (rows[0], columns[0]),
        x.shape,
        strides=(rows[1], columns[1]),
        padding=padding,
        activation="tanh",
        bias_initializer="normal",
    )
    expected = ops.convert_to_numpy(stock(x))
    assert tuple(ours.compute_output_shape(x.shape)) == expected.shape
    np.testing.assert_allclose(ops.convert_to_numpy(ours(x)), expected, atol=1e-5)


@pytest.mark.parametrize(
    "filters, kernel_size, strides, padding",
    [
        (1, 3, 1, "same"),  # products of all taps, in one channel
        (2, (1, 2), 1, "valid"),  # products of all taps
        (2, 5, 2, "same"),  # shifted inputs
        (1, (4, 2), (1, 3), "valid"),  # a stride above the kernel size: gaps
    ],
)
def test_transposed_convolution_trains_like_the_stock_layer(
    filters, kernel_size, strides, padding
):
    x = normal(4, 4, 5, 5)
    pair = both_layers(filters, kernel_size, x.shape, strides=strides, padding=padding)
    trained = []
    for layer in pair:
        front = keras.layers.Dense(5, kernel_initializer="identity")
        model = keras.Sequential([front, layer])
        y = normal(*layer.compute_output_shape(x.shape), seed=1)
        model.compile(keras.optimizers.SGD(0.5), "mse")
        model.fit(x, y, epochs=2, verbose=0)
        trained.append(model.get_weights())
    # Equal weights after two steps: equal gradients in kernel, bias and inputs.
    for stock, ours in zip(*trained, strict=True):
        np.testing.assert_allclose(ours, stock, atol=1e-5)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
@pytest.mark.parametrize("swap", [False, True])
def test_transposed_convolution_exchanges_files_with_the_stock_layer(
    tmp_path, ending, swap
):
    classes = [keras.layers.Conv2DTranspose, layers.Conv2DTranspose]
    writer, reader = (
        keras.Sequential([keras.Input((5, 6, 3)), layer(2, 3, strides=2)])
        for layer in (classes[::-1] if swap else classes)
    )
    path = tmp_path / f"model{ending}"
    writer.save_weights(path) if ending == ".weights.h5" else writer.save(path)
    reader.load_weights(path)
    for read, written in zip(reader.get_weights(), writer.get_weights(), strict=True):
        np.testing.assert_array_equal(read, written)


def test_transposed_convolution_hands_output_padding_to_the_stock_computation():
    x = normal(2, 5, 6, 3)
    stock, ours = both_layers(
        4, 3, x.shape, strides=2, padding="same", output_padding=1
    )
    np.testing.assert_allclose(
        ops.convert_to_numpy(ours(x)), ops.convert_to_numpy(stock(x)), atol=1e-5
    )


@pytest.mark.parametrize(
    "change",
    [
        {"output_padding": 1, "strides": 2},
        {"dilation_rate": 2},
        {"dilation_rate": (1, 2)},
        {"data_format": "channels_first"},
    ],
)
def test_transposed_convolution_computes_all_but_a_few_cases_by_itself(
    monkeypatch, change
):
    stock = keras.layers.Conv2DTranspose
    monkeypatch.setattr(stock, "call", lambda *_: "of the stock layer")
    x = normal(2, 5, 6, 3)
    for on_jax_cpu in (True, False):
        monkeypatch.setattr(upsampling, "_runs_on_jax_cpu", lambda: on_jax_cpu)  # noqa: B023
        usual, other = (layers.Conv2DTranspose(4, 3, **c) for c in ({}, change))
        usual.build(x.shape), other.build(x.shape)
        assert isinstance(usual.call(x), str) != on_jax_cpu
        assert other.call(x) == "of the stock layer"


@pytest.mark.parametrize(
    "backend, device, expected",
    [
        ("jax", "cpu:0", True),
        ("jax", "gpu:0", False),
        ("tensorflow", "cpu:0", False),
        ("tensorflow", "gpu:0", False),
    ],
)
def test_the_product_is_taken_on_jax_and_a_cpu_alone(
    monkeypatch, backend, device, expected
):
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    monkeypatch.setattr(keras.distribution, "list_devices", lambda: [device])
    assert upsampling._runs_on_jax_cpu() == expected


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolution_pads_and_crops_no_more_than_it_must(padding):
    for size, stride in PAIRS:
        axis = upsampling._Axis(size, stride, padding)
        # The last tap reads from the first pixel of the padding; what is cut off at
        # either end is less than a pixel of the input, which is `stride` of the output.
        assert axis.window(size - 1).start == 0
        assert 0 <= axis.crop.start < stride
        assert 0 <= -(axis.crop.stop or 0) < stride


# --- ResizeConv2D, SubPixelConv2D


UPSAMPLING = [layers.Conv2DTranspose, layers.ResizeConv2D, layers.SubPixelConv2D]


@pytest.mark.parametrize("kernel_size, strides", [(4, 1), (1, 2), ((2, 5), (2, 3))])
def test_upsampling_layers_take_each_others_arguments(kernel_size, strides):
    x, shapes = normal(2, 5, 6, 3), []
    for layer_class in UPSAMPLING:
        layer = layer_class(
            filters=4,
            kernel_size=kernel_size,
            strides=strides,
            padding="same",
            activation="relu",
            use_bias=False,
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(0.1),
        )
        outputs = ops.convert_to_numpy(layer(x))
        assert outputs.min() == 0 and len(layer.weights) == 1
        assert len(layer.losses) == 1
        shapes += [outputs.shape, tuple(layer.compute_output_shape(x.shape))]
    assert len(set(shapes)) == 1


@pytest.mark.parametrize("layer_class", UPSAMPLING[1:])
def test_upsampling_layers_keep_the_size_unless_they_are_told_a_stride(layer_class):
    assert tuple(layer_class(4, 3)(normal(2, 5, 6, 3)).shape) == (2, 5, 6, 4)


@pytest.mark.parametrize("layer_class", UPSAMPLING[1:])
@pytest.mark.parametrize("kernel_size", [3, (2, 5)])
def test_upsampling_without_padding_gives_the_shape_it_states(layer_class, kernel_size):
    layer = layer_class(4, kernel_size, strides=(2, 3), padding="valid")
    x = normal(2, 5, 6, 3)
    assert tuple(layer(x).shape) == tuple(layer.compute_output_shape(x.shape))


@pytest.mark.parametrize("kernel_size, strides", [(1, 2), (3, 1), ((5, 3), (3, 2))])
def test_sub_pixel_convolution_is_a_transposed_convolution(kernel_size, strides):
    ours = layers.SubPixelConv2D(
        4, kernel_size, strides=strides, bias_initializer="zeros"
    )
    x = normal(2, 5, 6, 3)
    outputs = ops.convert_to_numpy(ours(x))
    rows, columns = ours.strides
    height, width, channels, _ = ours.kernel.shape
    taps = ops.convert_to_numpy(ours.kernel)[::-1, ::-1]
    taps = taps.reshape(height, width, channels, rows, columns, 4)
    # Output m * stride + r is input m - t times the tap t * stride + r.
    kernel = taps.transpose(0, 3, 1, 4, 5, 2).reshape(
        height * rows, width * columns, 4, channels
    )
    stock = keras.layers.Conv2DTranspose(4, kernel.shape[:2], strides, padding="same")
    stock.build(x.shape)
    stock.set_weights([kernel, np.zeros(4)])
    np.testing.assert_allclose(ops.convert_to_numpy(stock(x)), outputs, atol=1e-5)


def test_sub_pixel_convolution_has_a_bias_for_each_phase():
    layer = layers.SubPixelConv2D(1, 3, strides=2, kernel_initializer="zeros")
    layer.build((None, 2, 2, 1))
    layer.set_weights([layer.get_weights()[0], np.float32([1, 2, 3, 4])])
    outputs = ops.convert_to_numpy(layer(normal(1, 2, 2, 1)))[0, ..., 0]
    np.testing.assert_array_equal(outputs, np.tile([[1, 2], [3, 4]], (2, 2)))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resize_convolution_keeps_a_constant_image_constant(interpolation):
    layer = layers.ResizeConv2D(
        4, 3, strides=(3, 2), padding="valid", interpolation=interpolation
    )
    outputs = ops.convert_to_numpy(layer(np.ones((1, 5, 6, 3), "float32")))
    # Up to the order of a sum of 27 products.
    np.testing.assert_allclose(outputs, outputs[:, :1, :1] + 0 * outputs, atol=1e-5)
    assert np.abs(outputs).min() > 1e-4  # ... and not all zero


def test_resize_convolution_convolves_the_enlarged_image():
    x = normal(2, 4, 5, 3)
    layer = layers.ResizeConv2D(3, 1, strides=(2, 3), interpolation="nearest")
    layer.build(x.shape)
    layer.set_weights([np.eye(3)[None, None], np.zeros(3)])
    expected = np.kron(x, np.ones((1, 2, 3, 1)))
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, atol=1e-6)
    layer.interpolation = "bilinear"
    resized = ops.convert_to_numpy(layer(x))
    # New pixels 1/4 and 3/4 of the way from one old center to the next.
    upper, lower = x[:, :-1, 2], x[:, 1:, 2]
    expected = [0.75 * upper + 0.25 * lower, 0.25 * upper + 0.75 * lower]
    found = resized[:, 1:-1, 7]  # row pairs between centers; column center 2
    np.testing.assert_allclose(found[:, ::2], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[:, 1::2], expected[1], atol=1e-5)


@pytest.mark.parametrize(
    "layer_class, arguments",
    [
        (layers.Conv2DTranspose, {"padding": "same"}),
        (layers.ResizeConv2D, {"interpolation": "nearest"}),
        (layers.ResizeConv2D, {"interpolation": "bilinear"}),
        (layers.SubPixelConv2D, {}),
    ],
)
def test_upsampling_takes_images_of_any_size(layer_class, arguments):
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, layer_class(2, 3, strides=2, **arguments)(inputs))
    assert model.output_shape == (None, None, None, 2)
    for height, width in ((4, 5), (7, 3)):
        shape = ops.shape(model(normal(2, height, width, 3)))
        assert tuple(shape) == (2, 2 * height, 2 * width, 2)


@pytest.mark.parametrize("layer_class", UPSAMPLING[1:])
@pytest.mark.parametrize(
    "argument",
    [
        {"groups": 2},
        {"dilation_rate": 2},
        {"dilation_rate": (1, 2)},
        {"data_format": "channels_first"},
    ],
)
def test_upsampling_refuses_what_it_does_not_compute(layer_class, argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"`{name}` must be.*Received: {name}="):
        layer_class(4, 3, **argument)


@pytest.mark.parametrize(
    "make, name, value",
    [
        (layers.Sampling, "num_samples", 0),
        (layers.KLRegularization, "beta", -0.1),
        (layers.KLRegularization, "free_bits", None),
        (layers.MaskingNoise, "rate", 1.1),
        (layers.MaskingNoise, "rate", -0.1),
        (layers.SaltAndPepperNoise, "rate", 1.1),
        (layers.SaltAndPepperNoise, "rate", -0.1),
        (functools.partial(layers.ResizeConv2D, 4, 3), "interpolation", "bicubic"),
    ],
)
def test_refuses(make, name, value):
    # What else is no number is refused by `checks`, and tested there.
    with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}="):
        make(**{name: value})


@pytest.mark.parametrize("late", [True, False])
def test_sub_pixel_convolution_takes_lora(late):
    x = np.random.default_rng(0).random((2, 5, 5, 3)).astype("float32")
    rank = None if late else 2
    layer = layers.SubPixelConv2D(2, 3, strides=2, lora_rank=rank)
    before = ops.convert_to_numpy(layer(x))
    if late:
        layer.enable_lora(2)
    # The second factor starts at zero; with ones in it the kernel is another.
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), before, atol=1e-6)
    assert tuple(layer.lora_kernel_b.shape) == (2, 8) and layer.filters == 2
    layer.lora_kernel_b.assign(np.ones((2, 8)))
    assert np.abs(ops.convert_to_numpy(layer(x)) - before).max() > 1e-3


# --- half precision around float32 layers


def test_a_draw_in_half_precision_is_the_draw_in_float32_rounded_once():
    whole = layers.Sampling(seed=3)(CODE)
    half = layers.Sampling(seed=3, dtype="mixed_bfloat16")(CODE)
    rounded = ops.cast(ops.cast(whole, "bfloat16"), "float32")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.cast(half, "float32")), ops.convert_to_numpy(rounded)
    )


def test_the_kl_of_float32_inputs_is_exact_under_a_half_precision_policy():
    layer = layers.KLRegularization(dtype="mixed_bfloat16")
    layer([ops.convert_to_tensor(part) for part in CODE])
    kl = ops.convert_to_numpy(objectives.gaussian_kl(*CODE)).mean()
    # Inputs rounded to bfloat16 would move it by about 1e-3.
    assert float(layer.batch_kl) == pytest.approx(kl, rel=1e-6)


def test_a_plain_call_does_not_advance_the_schedule():
    layer = layers.KLRegularization(WARM_UP)
    layer([ops.convert_to_tensor(part) for part in CODE])
    assert int(layer.step) == 0
