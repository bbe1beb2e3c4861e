"""JacobianPenalty: facts by other ways to the same number, training, files, refusals.

Its contract stands with those of the other layers, in test_layers.py.
"""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import layers, models
from aecourse.diagnostics import jacobian, jacobian_penalty
from aecourse.layers import jacobian_chain


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def chain(shape, *stack):
    """A model of layers one after the other, with weights from one seed."""
    x = h = keras.Input(shape)
    for layer in stack:
        h = layer(h)
    encoder = keras.Model(x, h, name="encoder")
    rng = np.random.default_rng(1)
    encoder.set_weights(
        [rng.normal(size=w.shape).astype("float32") / 2 for w in encoder.get_weights()]
    )
    return encoder


def one_sigmoid_layer():
    return chain((6,), keras.layers.Dense(4, "sigmoid"))


def two_relu_layers():
    return chain((6,), keras.layers.Dense(5, "relu"), keras.layers.Dense(3, "relu"))


def image_chain():
    """Fewer units than inputs, noise and a reshape between the layers."""
    return chain(
        (3, 4, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(6),
        keras.layers.GaussianNoise(0.5),
        keras.layers.Reshape((2, 3)),
        keras.layers.Flatten(),
        keras.layers.Dense(5, "softplus"),
        keras.layers.Activation("tanh"),
        keras.layers.Dense(3),
    )


def wide_chain():
    """More units than inputs, and functions on the inputs and on the code."""
    return chain(
        (4,),
        keras.layers.Activation("tanh"),
        keras.layers.Dense(7, "sigmoid"),
        keras.layers.Dense(2),
        keras.layers.Activation("tanh"),
    )


def one_hidden_layer():
    """The code is linear in the hidden units: no product an example."""
    return chain((6,), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3))


def deep_chain():
    """No two layers of one width, and all functions bend."""
    return chain(
        (7,),
        keras.layers.Dense(6, "tanh"),
        keras.layers.Activation("softplus"),
        keras.layers.Dense(5, "softplus"),
        keras.layers.Dense(4, "elu"),
        keras.layers.Dense(3, "tanh"),
    )


def bent_inputs():
    """A function on the inputs, and fewer units than inputs."""
    return chain(
        (3, 2),
        keras.layers.Activation("tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, "tanh"),
        keras.layers.Dense(3),
    )


def bent_code():
    """One hidden layer, and a function of its own on the code."""
    return chain(
        (6,),
        keras.layers.Dense(5, "tanh"),
        keras.layers.Dense(3),
        keras.layers.Activation("tanh"),
    )


def softmax_code():
    return chain((6,), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax"))


def dense_on_positions():
    """The first kernel serves three positions: no factor of the Jacobian."""
    return chain(
        (3, 2),
        keras.layers.Dense(4, "tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    )


def linear_chain():
    return chain((6,), keras.layers.Dense(2), keras.layers.Dense(3))


def convolutions():
    return chain(
        (5, 4, 1),
        keras.layers.Conv2D(3, 3, strides=2, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(2, "sigmoid"),
    )


def normalized():
    """No closed form: the normalization mixes the units, softmax too."""
    return chain(
        (6,),
        keras.layers.Dense(5),
        keras.layers.LayerNormalization(),
        keras.layers.Activation("softmax"),
    )


def branched():
    x = keras.Input((4,))
    h = keras.layers.Dense(4, "tanh")(x)
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.add([x, h])))


CHAINS = [
    one_sigmoid_layer,
    one_hidden_layer,
    image_chain,
    wide_chain,
    deep_chain,
    bent_inputs,
    bent_code,
    linear_chain,
]
NO_CHAINS = [convolutions, normalized, branched, softmax_code, dense_on_positions]


def added_loss(layer, x, training=False):
    layer(x, training=training)
    (loss,) = layer.losses
    return float(loss)


# --- exact


def test_of_a_sigmoid_layer_is_the_formula_of_rifai():
    encoder = one_sigmoid_layer()
    kernel, bias = (w.astype("float64") for w in encoder.get_weights())
    x = normal(7, 6)
    z = 1 / (1 + np.exp(-(x @ kernel + bias)))
    expected = np.sum((z * (1 - z)) ** 2 * np.sum(kernel**2, axis=0), axis=1)
    found = ops.convert_to_numpy(jacobian_penalty(encoder, x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    loss = added_loss(layers.JacobianPenalty(encoder, weight=3.0), x)
    assert loss == pytest.approx(3 * expected.mean(), rel=1e-5)


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_rounds_neither_inputs_nor_kernels_under_a_half_precision_policy(method):
    whole, half = (
        layers.JacobianPenalty(one_sigmoid_layer(), method=method, seed=1, dtype=policy)
        for policy in ("float32", "mixed_bfloat16")
    )
    x = normal(7, 6)
    # Inputs or kernels rounded to bfloat16 would move it by about 1e-3.
    assert added_loss(half, x) == pytest.approx(added_loss(whole, x), rel=1e-6)


def test_of_two_relu_layers_is_the_product_of_the_active_weights():
    encoder = two_relu_layers()
    w1, b1, w2, b2 = (w.astype("float64") for w in encoder.get_weights())
    x = normal(7, 6)
    found = ops.convert_to_numpy(jacobian(encoder, x))
    for row, one in zip(x, found, strict=True):
        h = np.maximum(row @ w1 + b1, 0)
        active1, active2 = np.diag(h > 0), np.diag(h @ w2 + b2 > 0)
        expected = active2 @ w2.T @ active1 @ w1.T
        np.testing.assert_allclose(one, expected, atol=1e-6)


@pytest.mark.parametrize("make", CHAINS + NO_CHAINS)
def test_equals_finite_differences(make):
    encoder = make()
    x = normal(3, *encoder.input_shape[1:])
    num_inputs, step = x[0].size, 1e-2
    shifts = step * np.eye(num_inputs, dtype="float32").reshape(-1, 1, *x.shape[1:])
    z = [
        encoder.predict((x + c * shifts).reshape(-1, *x.shape[1:]), verbose=0)
        for c in (-2, -1, 1, 2)
    ]
    z = [part.astype("float64").reshape(num_inputs, 3, -1) for part in z]
    # Five points: the error of the formula is of the order step ** 4 = 1e-8, the
    # rounding of float32 about 1e-7 / step = 1e-5; so tolerances of a few 1e-5.
    expected = (z[0] - 8 * z[1] + 8 * z[2] - z[3]) / (12 * step)
    expected = np.moveaxis(expected, 0, 2)
    found = ops.convert_to_numpy(jacobian(encoder, x))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=5e-5)
    squared = np.sum(expected**2, axis=(1, 2))
    penalty = ops.convert_to_numpy(jacobian_penalty(encoder, x))
    # Derivatives of length d, each off by up to 1e-5, give d ** 2 to about 2e-5 * d.
    np.testing.assert_allclose(penalty, squared, rtol=2e-4, atol=3e-6)
    loss = added_loss(layers.JacobianPenalty(encoder, 2.0), x)
    assert loss == pytest.approx(2 * squared.mean(), rel=2e-4)


def test_of_a_sigmoid_encoder_in_float64_agrees_to_five_digits():
    encoder = chain(
        (8,), keras.layers.Dense(6, "sigmoid"), keras.layers.Dense(3, "sigmoid")
    )
    w1, b1, w2, b2 = (w.astype("float64") for w in encoder.get_weights())

    def encode(x):
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        return 1 / (1 + np.exp(-(h @ w2 + b2)))

    x, step = normal(4, 8), 1e-5
    columns = [
        (encode(x + step * e) - encode(x - step * e)) / (2 * step) for e in np.eye(8)
    ]
    expected = np.sum(np.square(columns), axis=(0, 2))
    found = ops.convert_to_numpy(jacobian_penalty(encoder, x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "make, method",
    [
        (two_relu_layers, "exact"),
        (image_chain, "exact"),
        (wide_chain, "exact"),
        (image_chain, "hutchinson"),
        (convolutions, "hutchinson"),
        (branched, "exact"),
        (branched, "hutchinson"),
    ],
)
def test_returns_the_code_of_the_encoder(make, method):
    encoder = make()
    x = normal(3, *encoder.input_shape[1:])
    layer = layers.JacobianPenalty(encoder, method=method, num_probes=2)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)), encoder.predict(x, verbose=0), atol=1e-6
    )


def test_has_the_gradient_of_the_formula():
    # d/dw of (w s (1 - s))^2 with s = sigmoid(w x): one number, by hand.
    x, w = 0.7, 1.3
    s = 1 / (1 + np.exp(-w * x))
    slope = s * (1 - s)
    derivative = 2 * w * slope**2 + 2 * w**2 * slope**2 * (1 - 2 * s) * x
    for method in ("exact", "hutchinson"):
        encoder = chain((1,), keras.layers.Dense(1, "sigmoid", use_bias=False))
        encoder.set_weights([np.full((1, 1), w)])
        inputs = keras.Input((1,))
        layer = layers.JacobianPenalty(encoder, 1.0, method=method)
        model = keras.Model(inputs, layer(inputs))
        model.compile(keras.optimizers.SGD(0.1), loss=None)
        model.fit(np.full((1, 1), x), verbose=0)
        moved = w - encoder.get_weights()[0][0, 0]
        # One input, one output: every probe is +-1 and the estimate is exact.
        assert moved == pytest.approx(0.1 * derivative, rel=1e-4)


# --- which way


@pytest.mark.parametrize("make", CHAINS)
def test_the_chain_is_all_layers_from_the_input_to_the_code(make):
    encoder = make()
    assert jacobian_chain.chain_of(encoder) == encoder.layers[1:]


def test_there_is_no_chain_without_a_kernel_a_flat_code_or_a_closed_form():
    def on_positions():
        return chain((3, 2), keras.layers.Dense(4))

    def a_flat_and_a_map():
        reshape = keras.layers.Reshape((2, 2))
        return chain((3,), keras.layers.Dense(4), reshape)

    def without_a_kernel():
        return chain((3,), keras.layers.Activation("tanh"))

    for make in [*NO_CHAINS, on_positions, a_flat_and_a_map, without_a_kernel]:
        assert jacobian_chain.chain_of(make()) is None


def test_a_linear_code_takes_its_shortcut_where_that_multiplies_less():
    for num_inputs, units, latent_dim in itertools.product((1, 2, 3, 5, 8), repeat=3):
        kernels = [np.ones((num_inputs, units)), np.ones((units, latent_dim))]
        # The docstrings of the three ways, multiplications an example.
        shortcut = units**2
        product = latent_dim * units * num_inputs
        trace = latent_dim * units**2
        takes = jacobian_chain._is_shortcut(kernels, None)
        assert takes == (shortcut < min(product, trace))
        assert not jacobian_chain._is_shortcut(kernels, np.ones((1, num_inputs)))
        assert not jacobian_chain._is_shortcut([*kernels, kernels[1].T], None)
        assert not jacobian_chain._is_shortcut(kernels[:1], None)


@pytest.mark.parametrize("make", CHAINS)
def test_a_linear_code_of_one_hidden_layer_takes_the_shortcut(make, monkeypatch):
    shortcut = "_norm_of_linear_code"
    monkeypatch.setattr(jacobian_chain, shortcut, lambda *_: "by the shortcut")
    encoder = make()
    x = ops.convert_to_tensor(normal(2, *encoder.input_shape[1:]))
    _, penalty = jacobian_chain.exact_penalty(encoder, x, False)
    # In these two it multiplies less than the product does: 5 < 3 * 5, 2 < 3 * 2.
    assert isinstance(penalty, str) == (make in (one_hidden_layer, linear_chain))


# --- noise


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
@pytest.mark.parametrize(
    "noise", [keras.layers.Dropout(0.5, seed=1), layers.MaskingNoise(0.5, seed=1)]
)
def test_differentiates_noise_at_the_draw_that_made_the_code(method, noise):
    # A linear map of one output and equal weights: z and dz/dx count the survivors.
    encoder = chain((8,), noise, keras.layers.Dense(1, use_bias=False))
    encoder.set_weights([np.ones((8, 1))])
    layer = layers.JacobianPenalty(encoder, method=method)
    z = float(layer(np.ones((1, 8)), training=True)[0, 0])
    keep = 0.5 if isinstance(noise, keras.layers.Dropout) else 1.0
    num_left = round(z * keep)
    assert 0 < num_left < 8
    if method == "exact":
        assert float(layer.losses[0]) == pytest.approx(num_left / keep**2)
    else:
        # A sum of num_left signs, squared: a square number of its parity.
        root = np.sqrt(float(layer.losses[0])) * keep
        assert root == pytest.approx(round(root), abs=1e-4)
        assert (round(root) - num_left) % 2 == 0


def test_the_code_is_that_of_the_first_of_several_tangents():
    def encoder():
        return chain((8,), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(3))

    x = normal(4, 8)
    layer = layers.JacobianPenalty(encoder(), method="hutchinson", num_probes=3)
    masked = encoder()(np.repeat(x, 3, axis=0), training=True)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x, training=True)),
        ops.convert_to_numpy(masked)[::3],
        atol=1e-6,
    )


# --- Hutchinson


def test_hutchinson_takes_one_probe_and_a_weight_of_one_unless_told_otherwise():
    # A sum of four signs, squared: 0, 4 or 16. A mean of two such has others, and so
    # has a multiple.
    encoder = chain((4,), keras.layers.Dense(1, use_bias=False))
    encoder.set_weights([np.ones((4, 1))])
    layer = layers.JacobianPenalty(encoder, method="hutchinson", seed=1)
    found = [added_loss(layer, np.ones((1, 4))) for _ in range(30)]
    assert {round(value, 4) for value in found} == {0.0, 4.0, 16.0}


def test_hutchinson_gives_each_sign_one_half_of_the_draws(monkeypatch):
    # The ends of both halves of [0, 1): signs -1, -1, 1, 1.
    draws = np.float32([0.0, 0.5 - 2**-25, 0.5, 1 - 2**-24]).reshape(1, 1, 4)
    monkeypatch.setattr(keras.random, "uniform", lambda *_, **__: draws)
    encoder = chain((4,), keras.layers.Dense(1, use_bias=False))
    encoder.set_weights([np.float32([[1], [2], [4], [8]])])
    layer = layers.JacobianPenalty(encoder, method="hutchinson")
    assert added_loss(layer, np.ones((1, 4))) == (-1 - 2 + 4 + 8) ** 2


@pytest.mark.parametrize("make", [two_relu_layers, convolutions, normalized])
def test_hutchinson_is_unbiased(make):
    encoder = make()
    x = normal(2, *encoder.input_shape[1:], seed=3)
    exact = float(ops.mean(jacobian_penalty(encoder, x)))
    layer = layers.JacobianPenalty(
        encoder, 1.0, method="hutchinson", num_probes=40_000, seed=5
    )
    # The variance of one estimate is at most 2 ||J^T J||_F^2 <= 2 (||J||_F^2)^2, so
    # the mean of 80,000 has a standard error below 0.5 %: three of them is 1.5 %, and
    # these Jacobians have several directions, which halves it.
    assert added_loss(layer, x) == pytest.approx(exact, rel=0.01)


def test_probes_are_drawn_anew_and_repeat_from_the_seed():
    x = normal(3, 6)
    draws = []
    for _ in range(2):
        layer = layers.JacobianPenalty(
            two_relu_layers(), 1.0, method="hutchinson", seed=7
        )
        draws.append([added_loss(layer, x) for _ in range(3)])
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == 3


# --- training and files


def contractive(kind, weight, method):
    if kind == "dense":
        encoder = models.dense_encoder(
            (8, 6, 1), 3, hidden_units=(6,), activation="tanh"
        )
    else:
        encoder = models.conv_encoder((8, 6, 1), 3, filters=(6,), activation="tanh")
    decoder = models.dense_decoder((8, 6, 1), 3, hidden_units=(6,))
    x = keras.Input((8, 6, 1))
    penalty = layers.JacobianPenalty(encoder, weight, method=method, seed=3)
    return keras.Model(x, decoder(penalty(x))), encoder


@pytest.mark.parametrize("kind, method", [("dense", "exact"), ("conv", "hutchinson")])
def test_training_lowers_the_penalty(kind, method):
    model, encoder = contractive(kind, 1.0, method)
    x = normal(64, 8, 6, 1)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    before = float(ops.mean(jacobian_penalty(encoder, x)))
    history = model.fit(x, x, batch_size=32, epochs=10, verbose=0).history["loss"]
    after = float(ops.mean(jacobian_penalty(encoder, x)))
    assert after < 0.7 * before
    assert history[-1] < history[0]
    loss = model.evaluate(x, x, batch_size=64, verbose=0)
    if method == "exact":
        mse = np.mean((model.predict(x, verbose=0) - x) ** 2)
        assert loss == pytest.approx(mse + after, rel=1e-4)


@pytest.mark.parametrize("method", ["exact", "hutchinson"])
def test_a_tied_contractive_autoencoder_keeps_its_tie_in_the_file(tmp_path, method):
    code = keras.layers.Dense(4, "sigmoid")
    encoder = chain((6,), code)
    x = keras.Input((6,))
    z = layers.JacobianPenalty(encoder, 0.1, method=method)(x)
    model = keras.Model(x, layers.TiedDense(code, "sigmoid")(z))
    model.compile("adam", "mse")
    data = normal(16, 6)
    model.fit(data, data, verbose=0)
    model.save(tmp_path / "tied.keras")
    again = keras.saving.load_model(tmp_path / "tied.keras")
    assert len(again.trainable_variables) == 3  # kernel and two biases
    again.fit(data, data, verbose=0)
    penalty, decoder = again.layers[1:]
    assert decoder.tied_to is penalty.encoder.layers[-1]


def test_building_the_layer_leaves_the_encoder_as_it_was():
    encoder = chain((4,), keras.layers.Dropout(0.5, seed=2), keras.layers.Dense(2))
    before = [ops.convert_to_numpy(v) for v in encoder.variables]
    layers.JacobianPenalty(encoder)
    for value, variable in zip(before, encoder.variables, strict=True):
        np.testing.assert_array_equal(value, ops.convert_to_numpy(variable))


# --- refusals


@pytest.mark.parametrize(
    "layer, name",
    [
        (lambda: keras.layers.BatchNormalization(name="norm"), "norm"),
        (lambda: keras.layers.ActivityRegularization(0.1, name="activity"), "activity"),
        (lambda: keras.layers.Dense(4, activity_regularizer="l1", name="l1"), "l1"),
        (
            lambda: keras.Sequential(
                [keras.Input((4,)), keras.layers.BatchNormalization(name="inner")]
            ),
            "inner",
        ),
    ],
)
def test_refuses_an_encoder_that_updates_weights_or_adds_losses(layer, name):
    encoder = chain((4,), keras.layers.Dense(4), layer(), keras.layers.Dense(2))
    with pytest.raises(ValueError, match=f"`encoder` must .*Received: .*'{name}'"):
        layers.JacobianPenalty(encoder)


def test_refuses_a_normalization_that_inputs_of_one_would_leave_as_it_is():
    norm = keras.layers.BatchNormalization(
        moving_mean_initializer="ones", moving_variance_initializer="zeros", name="norm"
    )
    encoder = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="`encoder` must .*Received: .*'norm'"):
        layers.JacobianPenalty(encoder)


@keras.saving.register_keras_serializable(package="test")
class CountsCalls(keras.layers.Layer):
    """Moves one of its two numbers."""

    def build(self, input_shape):
        self.count = self.add_weight(shape=(2,), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.count.assign(self.count + ops.convert_to_tensor([1.0, 0.0]))
        return inputs


def test_refuses_an_encoder_of_which_a_single_number_moves():
    encoder = chain((4,), CountsCalls(name="counter"), keras.layers.Dense(2))
    with pytest.raises(ValueError, match="`encoder` must .*Received: .*'counter'"):
        layers.JacobianPenalty(encoder)


def test_takes_an_encoder_whose_kernels_are_regularized():
    encoder = chain((4,), keras.layers.Dense(2, kernel_regularizer="l2"))
    layer = layers.JacobianPenalty(encoder)
    layer(normal(3, 4))
    assert len(layer.losses) == 2


def test_refuses_what_is_no_model_of_one_input_and_one_output():
    for encoder in (
        keras.layers.Dense(3),
        models.dense_encoder((4,), 2, variational=True),
        keras.Sequential([keras.layers.Dense(3)]),
    ):
        with pytest.raises(ValueError, match="`encoder`.*Received: encoder"):
            layers.JacobianPenalty(encoder)


@pytest.mark.parametrize(
    "shape, last",
    [
        ((None, None, 1), lambda: keras.layers.GlobalAveragePooling2D()),
        ((None, 3), lambda: keras.layers.GlobalAveragePooling1D()),
        ((4, 3), lambda: keras.layers.Lambda(ops.tanh, output_shape=(None, 3))),
    ],
)
def test_refuses_inputs_and_codes_of_unknown_size(shape, last):
    x = keras.Input(shape)
    encoder = keras.Model(x, last()(keras.layers.Activation("tanh")(x)))
    with pytest.raises(ValueError, match="`encoder`.*known shapes"):
        layers.JacobianPenalty(encoder, method="hutchinson")


def test_refuses_one_tangent_an_input_for_large_inputs_and_names_the_cure():
    encoder = models.conv_encoder((12, 11, 1), 2, filters=(3,))
    with pytest.raises(ValueError, match="`method` must be .hutchinson."):
        layers.JacobianPenalty(encoder, method="exact")
    layers.JacobianPenalty(encoder, method="hutchinson")
    layers.JacobianPenalty(models.dense_encoder((12, 11, 1), 2), method="exact")
    # 128 are not too many yet.
    layers.JacobianPenalty(models.conv_encoder((16, 8, 1), 2, filters=(3,)))


def test_finds_the_chain_however_the_model_was_made():
    first, second = keras.layers.Dense(3, "tanh"), keras.layers.Dense(2)
    keras.Sequential([keras.Input((200,)), first])  # the layer has another use
    encoder = keras.Sequential([keras.Input((200,)), first])
    encoder.add(second)
    layers.JacobianPenalty(encoder, method="exact")
    x = normal(2, 200)
    w1, b1, w2, _ = (w.astype("float64") for w in encoder.get_weights())
    for row, found in zip(x, ops.convert_to_numpy(jacobian(encoder, x)), strict=True):
        slope = 1 - np.tanh(row @ w1 + b1) ** 2
        np.testing.assert_allclose(found, (w1 * slope @ w2).T, atol=1e-5)


@pytest.mark.parametrize(
    "name, value",
    [
        ("weight", -1.0),
        ("num_probes", 0),
        ("method", "fast"),
    ],
)
def test_refuses_other_arguments(name, value):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        layers.JacobianPenalty(one_sigmoid_layer(), **{name: value})
