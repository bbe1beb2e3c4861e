"""models: builders, the two autoencoders, refusals."""

import keras
import numpy as np
import pytest
from keras import ops

from aecourse import layers, losses, models, objectives

DENSE = (models.dense_encoder, models.dense_decoder)
CONV = (models.conv_encoder, models.conv_decoder)


def binary_images(num_images=32, shape=(8, 8, 1), seed=0):
    rng = np.random.default_rng(seed)
    x = np.zeros((num_images, *shape), "float32")
    x[:, :4] = rng.integers(0, 2, (num_images, 1, 1, 1))  # one bit an image ...
    x[:, 4:] = (rng.random((num_images, *shape)) < 0.1)[:, 4:]  # ... and noise
    return x


def small_vae(**kwargs):
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    decoder = models.dense_decoder((8, 8, 1), 3)
    vae = models.variational_autoencoder(encoder, decoder, **kwargs)
    vae.compile(keras.optimizers.Adam(1e-2), loss=losses.BernoulliNLL())
    return vae


# --- builders


@pytest.mark.parametrize("builders", [DENSE, CONV], ids=["dense", "conv"])
def test_decoder_gives_the_shape_that_the_encoder_takes(builders):
    build_encoder, build_decoder = builders
    x = np.random.default_rng(0).random((2, 9, 13, 3)).astype("float32")
    z = build_encoder(x.shape[1:], 3, layer_norm=True).predict(x, verbose=0)
    x_hat = build_decoder(x.shape[1:], 3, layer_norm=True).predict(z, verbose=0)
    assert z.shape == (2, 3)
    assert x_hat.shape == x.shape


def test_builders_have_the_layers_of_their_defaults():
    def dense(num_inputs, units):
        return (num_inputs + 1) * units

    def conv(size, channels, filters):
        return (size**2 * channels + 1) * filters

    shape = (28, 28, 1)
    down = conv(3, 1, 32) + conv(3, 32, 64) + conv(3, 64, 128)
    up = conv(3, 128, 64) + conv(3, 64, 32) + conv(3, 32, 1)
    features = dense(2, 7 * 7 * 32) + conv(3, 32, 16) + conv(3, 16, 32)
    from_pixels = conv(7, 1, 32) + dense(32, 32) + dense(32, 1)
    to_bottom = conv(3, 1, 16) + conv(3, 16, 32) + conv(3, 32, 64)
    # Each level up: doubled, then joined with as many features, then convolved.
    to_middle = conv(3, 64, 32) + conv(3, 32 + 32, 32)
    to_top = conv(3, 32, 16) + conv(3, 16 + 16, 16) + conv(1, 16, 1)
    for model, num_weights in [
        (models.dense_encoder(shape, 2), dense(784, 512) + dense(512, 2)),
        (models.dense_decoder(shape, 2), dense(2, 512) + dense(512, 784)),
        (models.conv_encoder(shape, 2), down + dense(4 * 4 * 128, 2)),
        (models.conv_decoder(shape, 2), dense(2, 4 * 4 * 128) + up),
        (models.autoregressive_decoder(shape, 2), features + from_pixels),
        (models.u_net(shape), to_bottom + to_middle + to_top),
    ]:
        assert model.count_params() == num_weights, model.name


def test_a_layer_norm_is_over_all_axes_of_an_example():
    encoder = models.conv_encoder((9, 8, 3), 3, filters=(5,), layer_norm=True)
    (norm,) = (
        layer
        for layer in encoder.layers
        if isinstance(layer, keras.layers.LayerNormalization)
    )
    x = np.random.default_rng(0).random((4, 9, 8, 3)).astype("float32")
    before, after = keras.Model(encoder.input, [norm.input, norm.output])(x)
    before = ops.convert_to_numpy(before)
    mean, variance = (
        f(before, axis=(1, 2, 3), keepdims=True) for f in (np.mean, np.var)
    )
    expected = (before - mean) / np.sqrt(variance + norm.epsilon)
    np.testing.assert_allclose(ops.convert_to_numpy(after), expected, atol=1e-4)


def test_no_crop_is_in_a_decoder_whose_sizes_halve_evenly():
    for shape, num_crops in (((8, 8, 1), 0), ((6, 8, 1), 1), ((7, 5, 1), 2)):
        decoder = models.conv_decoder(shape, 3, filters=(4, 2))
        kinds = [type(layer) for layer in decoder.layers]
        assert kinds.count(keras.layers.Cropping2D) == num_crops


def test_dense_builders_take_flat_vectors():
    assert models.dense_encoder((30,), 4, hidden_units=()).output_shape == (None, 4)
    assert models.dense_decoder((30,), 4, hidden_units=()).output_shape == (None, 30)


def test_conv_builders_have_three_levels_that_halve_and_double():
    def heights(model):
        return [
            layer.output.shape[1]
            for layer in model.layers
            if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
        ]

    assert heights(models.conv_encoder((28, 28, 1), 2)) == [14, 7, 4]
    assert heights(models.conv_decoder((28, 28, 1), 2)) == [8, 14, 28]


@pytest.mark.parametrize(
    "build, widths",
    [(models.dense_encoder, {}), (models.conv_encoder, {"filters": (4,)})],
)
def test_the_code_of_an_image_does_not_depend_on_its_batch(build, widths):
    encoder = build((8, 8, 1), 3, layer_norm=True, **widths)
    x = binary_images()
    # As in training, where a normalization over the batch would show.
    together, alone = (
        ops.convert_to_numpy(encoder(images, training=True)) for images in (x, x[:1])
    )
    np.testing.assert_allclose(together[:1], alone, atol=1e-5)


@pytest.mark.parametrize("builders", [DENSE, CONV], ids=["dense", "conv"])
def test_output_activation_turns_logits_into_intensities(builders):
    shape, z = (8, 8, 1), np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    logits = builders[1](shape, 3)
    intensities = builders[1](shape, 3, output_activation="sigmoid")
    intensities.set_weights(logits.get_weights())
    expected = 1 / (1 + np.exp(-logits.predict(z, verbose=0)))
    np.testing.assert_allclose(intensities.predict(z, verbose=0), expected, atol=1e-6)


@pytest.mark.parametrize(
    "build, shape, widths",
    [
        (models.dense_encoder, "input_shape", "hidden_units"),
        (models.dense_decoder, "output_shape", "hidden_units"),
        (models.conv_encoder, "input_shape", "filters"),
        (models.conv_decoder, "output_shape", "filters"),
    ],
)
def test_builders_refuse(build, shape, widths):
    for name, value in [
        (shape, (0, 8, 1)),
        (shape, (8, None, 1)),
        (shape, "881"),
        (shape, (np.int64(8), 8, 1)),  # Keras takes none as a size
        ("latent_dim", 0),
        (widths, (8, -1)),
        (widths, 8),
    ]:
        arguments = {shape: (8, 8, 1), "latent_dim": 2} | {name: value}
        with pytest.raises(ValueError, match=f"`{name}` must .*Received: {name}="):
            build(**arguments)


@pytest.mark.parametrize("build", CONV)
def test_conv_builders_refuse_images_without_channels_and_no_levels(build):
    with pytest.raises(ValueError, match="_shape` must be"):
        build((28, 28), 2)
    with pytest.raises(ValueError, match="`filters` must be"):
        build((8, 8, 1), 2, filters=())


@pytest.mark.parametrize(
    "upsampling, layer_class",
    [
        ("transposed", layers.Conv2DTranspose),
        ("resize", layers.ResizeConv2D),
        ("subpixel", layers.SubPixelConv2D),
    ],
)
def test_conv_decoder_upsamples_as_asked(upsampling, layer_class):
    decoder = models.conv_decoder((9, 13, 3), 3, filters=(8, 4), upsampling=upsampling)
    kinds = [type(layer) for layer in decoder.layers if hasattr(layer, "strides")]
    assert kinds == [layer_class] * 2
    assert decoder.output_shape == (None, 9, 13, 3)


def test_builders_refuse_an_unknown_upsampling():
    message = "`upsampling` must be .*Received: upsampling="
    with pytest.raises(ValueError, match=message):
        models.conv_decoder((8, 8, 1), 2, upsampling="nearest")
    with pytest.raises(ValueError, match=message):
        models.u_net((8, 8, 1), upsampling=None)


# --- U-Net


@pytest.mark.parametrize(
    "shape, latent_dim, skips",
    [
        ((8, 8, 1), None, False),
        ((9, 13, 3), None, True),
        ((9, 13, 3), 3, False),
        ((6, 7, 2), 3, True),
    ],
)
def test_u_net_gives_images_of_the_size_it_takes(shape, latent_dim, skips):
    net = models.u_net(shape, filters=(2, 3, 4), latent_dim=latent_dim, skips=skips)
    x = np.random.default_rng(0).random((2, *shape)).astype("float32")
    assert net.predict(x, verbose=0).shape == x.shape
    quarter = tuple((n + 3) // 4 for n in shape[:2])
    bottleneck = (*quarter, 4) if latent_dim is None else (3,)
    assert net.get_layer("bottleneck").output.shape == (None, *bottleneck)


def test_u_net_has_its_options():
    net = models.u_net(
        (8, 8, 1),
        (2, 3),
        output_channels=2,
        layer_norm=True,
        output_activation="sigmoid",
        upsampling="resize",
    )
    outputs = net.predict(binary_images(), verbose=0)
    assert outputs.shape == (32, 8, 8, 2)
    assert outputs.min() > 0 and outputs.max() < 1
    kinds = {type(layer) for layer in net.layers}
    assert {layers.ResizeConv2D, keras.layers.LayerNormalization} <= kinds


def test_u_net_passes_the_image_around_the_bottleneck_only_with_skips():
    x = binary_images(2)
    for skips in (True, False):
        net = models.u_net((8, 8, 1), filters=(4, 8), latent_dim=1, skips=skips)
        # A bottleneck of zeros tells the two images apart no more.
        bottleneck = net.get_layer("bottleneck")
        bottleneck.set_weights([np.zeros_like(w) for w in bottleneck.get_weights()])
        a, b = net.predict(x, verbose=0)
        assert (np.abs(a - b).max() > 1e-4) == skips


def test_u_net_learns_and_reopens(tmp_path):
    net = models.u_net((8, 8, 1), (4, 8), output_activation="sigmoid")
    net.compile(keras.optimizers.Adam(1e-2), "mse")
    x = binary_images()
    # Nothing learned is the mean image, as for the autoencoder below.
    history = net.fit(x, x, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.5 * (0.25 + 0.09) / 2
    net.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    before, after = (m.predict(x, verbose=0) for m in (net, again))
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize(
    "change, name",
    [
        ({"input_shape": (8, 8)}, "input_shape"),
        ({"filters": (4,)}, "filters"),
        ({"filters": (4, 0)}, "filters"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"output_channels": 0}, "output_channels"),
    ],
)
def test_u_net_refuses(change, name):
    with pytest.raises(ValueError, match=f"`{name}` must be.*Received: {name}="):
        models.u_net(**({"input_shape": (8, 8, 1)} | change))


# --- autoencoder


@pytest.mark.parametrize(
    "builders, widths",
    [(DENSE, {}), (CONV, {"filters": (8,)})],
    ids=["dense", "conv"],
)
def test_autoencoder_learns_and_shares_the_weights_of_its_parts(builders, widths):
    encoder = builders[0]((8, 8, 1), 2, **widths)
    decoder = builders[1]((8, 8, 1), 2, output_activation="sigmoid", **widths)
    ae = models.autoencoder(encoder, decoder)
    ae.compile(keras.optimizers.Adam(1e-2), "mse")
    x = binary_images()
    # Nothing learned is the mean image: 1/4 for the fair bit, 0.09 for the noise.
    history = ae.fit(x, x, epochs=60, verbose=0).history["loss"]
    assert history[-1] < 0.5 * (0.25 + 0.09) / 2
    by_hand = decoder.predict(encoder.predict(x, verbose=0), verbose=0)
    np.testing.assert_allclose(ae.predict(x, verbose=0), by_hand, atol=1e-6)


def test_autoencoder_refuses_parts_that_do_not_fit():
    encoder, decoder = (
        models.dense_encoder((8, 8, 1), 2),
        models.dense_decoder((8, 8, 1), 3),
    )
    with pytest.raises(ValueError, match="the decoder's input"):
        models.autoencoder(encoder, decoder)
    with pytest.raises(ValueError, match="`decoder`.*Received: decoder.output_shape="):
        models.autoencoder(encoder, models.dense_decoder((8, 9, 1), 2))
    encoder = models.dense_encoder((8, 8, 2), 2)
    models.autoencoder(encoder, models.dense_decoder((8, 8, 4), 2))
    with pytest.raises(ValueError, match="`decoder`.*Received: decoder.output_shape="):
        models.autoencoder(encoder, models.dense_decoder((8, 8, 3), 2))


def test_autoencoder_refuses_a_variational_encoder():
    encoder = models.dense_encoder((8, 8, 1), 2, variational=True)
    with pytest.raises(ValueError, match="`encoder`.*variational"):
        models.autoencoder(encoder, models.dense_decoder((8, 8, 1), 2))


def test_autoencoder_refuses_tied_parts_that_no_file_could_hold():
    x, z = keras.Input((5,)), keras.Input((2,))
    dense = keras.layers.Dense(2)
    encoder = keras.Model(x, dense(x))
    decoder = keras.Model(z, layers.TiedDense(dense)(z))
    with pytest.raises(ValueError, match="one functional model"):
        models.autoencoder(encoder, decoder)


# --- variational autoencoder


def test_vae_learns_the_bit_that_its_images_carry():
    vae = small_vae(seed=1)
    x = binary_images(128)
    history = vae.fit(x, epochs=40, batch_size=32, verbose=0).history
    assert sorted(history) == ["kl", "loss", "negative_elbo", "reconstruction"]
    # The upper half is one fair bit, 32 ln 2 = 22 nats to a model without a code, at
    # least ln 2 = 0.7 with one. The lower half costs 32 H(0.1) = 10.4 either way.
    assert history["negative_elbo"][-1] < 22 + 10.4 - 5
    assert history["kl"][-1] > 0.5
    x_hat = vae.reconstruct(x)
    assert ((x_hat[:, :4] > 0.5) == (x[:, :4] > 0.5)).mean() > 0.95


def test_vae_metrics_are_the_negative_elbo_and_its_parts():
    vae = small_vae(beta=3.0)
    x = binary_images()
    result = vae.evaluate(x, batch_size=10, verbose=0, return_dict=True)
    z_mean, z_log_var = vae.encode(x)
    kl = ops.convert_to_numpy(objectives.gaussian_kl(z_mean, z_log_var)).mean()
    # Equal although the last batch is smaller: metrics weigh batches by their size.
    assert result["kl"] == pytest.approx(kl, rel=1e-4)
    parts = result["reconstruction"] + result["kl"]
    assert result["negative_elbo"] == pytest.approx(parts, rel=1e-5)
    weighted = result["reconstruction"] + 3 * result["kl"]
    assert result["loss"] == pytest.approx(weighted, rel=1e-5)


@pytest.mark.parametrize(
    "make", [models.variational_autoencoder, models.VariationalAutoencoder]
)
def test_vae_minimizes_the_negative_elbo_unless_told_otherwise(make):
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    vae = make(encoder, models.dense_decoder((8, 8, 1), 3))
    vae.compile("sgd", losses.BernoulliNLL())
    result = vae.evaluate(binary_images(), verbose=0, return_dict=True)
    # The KL of random weights is below a nat, so free bits would show too.
    assert 0.01 < result["kl"] < 1
    assert result["loss"] == pytest.approx(result["negative_elbo"], abs=1e-3)


def test_vae_does_not_train_in_a_plain_call():
    vae = small_vae(beta=keras.optimizers.schedules.PolynomialDecay(0.0, 2, 1.0))
    vae(binary_images())
    assert int(vae.kl_regularization.step) == 0


def test_vae_encodes_reconstructs_and_generates_without_a_word(capsys):
    vae, x = small_vae(), binary_images()
    vae.encode(x), vae.reconstruct(x), vae.generate(2)
    assert capsys.readouterr() == ("", "")


def test_vae_predicts_in_batches_of_128_unless_told_otherwise(monkeypatch):
    vae, x, sizes = small_vae(), binary_images(2), []
    predict = keras.Model.predict

    def watched(self, *args, batch_size, **kwargs):
        sizes.append(batch_size)
        return predict(self, *args, batch_size=batch_size, **kwargs)

    monkeypatch.setattr(keras.Model, "predict", watched)
    vae.encode(x), vae.reconstruct(x), vae.generate(2)
    assert sizes and set(sizes) == {128}
    sizes.clear()
    vae.encode(x, 7), vae.reconstruct(x, 7), vae.generate(2, batch_size=7)
    assert sizes and set(sizes) == {7}


def test_vae_takes_codes_of_several_axes():
    x, z = keras.Input((4, 4, 1)), keras.Input((2, 2, 3))
    heads = [keras.layers.Conv2D(3, 3, strides=2, padding="same")(x) for _ in range(2)]
    up = layers.Conv2DTranspose(1, 3, strides=2, padding="same")
    vae = models.variational_autoencoder(keras.Model(x, heads), keras.Model(z, up(z)))
    vae.compile("adam", losses.BernoulliNLL())
    images = binary_images(shape=(4, 4, 1))
    assert np.isfinite(vae.fit(images, verbose=0).history["loss"]).all()
    assert vae.reconstruct(images).shape == images.shape
    assert vae.generate(2, seed=0).shape == (2, 4, 4, 1)


def test_vae_reconstruction_is_summed_over_pixels():
    vae = small_vae()
    vae.decoder.set_weights([np.zeros_like(w) for w in vae.decoder.get_weights()])
    # Batches of 8: of 2,048 equal numbers XLA's float32 sum is wrong by 1e-5.
    result = vae.evaluate(binary_images(), batch_size=8, verbose=0, return_dict=True)
    # Logits 0 cost ln 2 a pixel, whatever the pixel.
    assert result["reconstruction"] == pytest.approx(64 * np.log(2), rel=1e-5)


def test_vae_leaves_weight_penalties_out_of_the_reconstruction():
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    decoder = models.dense_decoder((8, 8, 1), 3, hidden_units=())
    z = keras.Input((3,))
    penalized = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(10.0))
    vae = models.variational_autoencoder(encoder, keras.Model(z, decoder(penalized(z))))
    decoder.set_weights([np.zeros_like(w) for w in decoder.get_weights()])
    vae.compile("sgd", losses.BernoulliNLL())
    result = vae.evaluate(binary_images(), verbose=0, return_dict=True)
    assert result["reconstruction"] == pytest.approx(64 * np.log(2), rel=1e-4)
    assert result["loss"] > result["negative_elbo"] + 1


def test_vae_takes_its_input_as_the_target():
    x = binary_images()
    results = []
    for data in ({"x": x}, {"x": x, "y": x}):
        vae = small_vae(seed=1)
        vae.set_weights([np.full_like(w, 0.1) for w in vae.get_weights()])
        results.append(vae.evaluate(**data, verbose=0))
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_vae_weight_of_the_kl_moves_in_fit():
    vae = small_vae(beta=keras.optimizers.schedules.PolynomialDecay(0.0, 2, 1.0))
    x, weights = binary_images(), []
    for _ in range(4):  # one step each
        logs = vae.fit(x, batch_size=len(x), verbose=0).history
        weighted = logs["loss"][0] - logs["reconstruction"][0]
        weights.append(weighted / logs["kl"][0])
    # The loss is a float32 near 45: the KL, of about 1, is left with four digits.
    np.testing.assert_allclose(weights, [0.0, 0.5, 1.0, 1.0], atol=1e-3)


def test_vae_reopens_with_the_same_weights_and_trains_on(tmp_path):
    # With convolutions, and on the other backend: test_backends.
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 8, 1.0)
    vae = small_vae(beta=warm_up, free_bits=0.1, seed=4)
    x = binary_images()
    vae.fit(x, verbose=0)
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_allclose(again.reconstruct(x), vae.reconstruct(x), atol=1e-6)
    assert again.get_config()["beta"] == vae.get_config()["beta"]
    assert again.get_config()["free_bits"] == 0.1
    assert int(again.kl_regularization.step) == 1
    again.fit(x, verbose=0)
    assert int(again.kl_regularization.step) == 2


def test_vae_predict_draws_and_reconstruct_does_not():
    vae = small_vae()
    x = binary_images()
    draws = [vae.predict(x, verbose=0) for _ in range(2)]
    assert np.abs(draws[0] - draws[1]).max() > 0
    np.testing.assert_array_equal(vae.reconstruct(x), vae.reconstruct(x))
    assert vae.reconstruct(x).min() >= 0 and vae.reconstruct(x).max() <= 1


def test_vae_generates_the_same_images_from_one_seed():
    vae = small_vae()
    a, b, c = (vae.generate(5, seed=seed) for seed in (1, 1, 2))
    assert a.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0


def test_vae_takes_decoders_with_a_variance_for_each_pixel():
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    decoder = models.dense_decoder((8, 8, 2), 3)
    vae = models.variational_autoencoder(encoder, decoder, output_activation="linear")
    vae.compile("adam", losses.GaussianNLL(variance=None))
    x = binary_images()
    vae.fit(x, verbose=0)
    assert vae.reconstruct(x).shape == x.shape
    assert vae.generate(2).shape == (2, 8, 8, 1)


def test_vae_trains_in_mixed_precision_with_its_kl_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        vae = small_vae()
        history = vae.fit(binary_images(), epochs=2, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["loss"]).all()
    assert vae.kl_regularization.batch_kl.dtype == "float32"


def test_vae_refuses_to_train_without_a_likelihood():
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    vae = models.variational_autoencoder(encoder, models.dense_decoder((8, 8, 1), 3))
    vae.compile("adam")
    with pytest.raises(ValueError, match="`loss`.*Received: loss=None"):
        vae.fit(binary_images(), verbose=0)


def test_vae_refuses_an_encoder_of_one_output():
    encoder = models.dense_encoder((8, 8, 1), 3)
    with pytest.raises(ValueError, match="`encoder`.*two outputs"):
        models.variational_autoencoder(encoder, models.dense_decoder((8, 8, 1), 3))


def test_vae_refuses_a_decoder_of_another_latent_dim():
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    with pytest.raises(ValueError, match="the decoder's input"):
        models.variational_autoencoder(encoder, models.dense_decoder((8, 8, 1), 2))


def test_vae_refuses_a_negative_weight():
    encoder = models.dense_encoder((8, 8, 1), 3, variational=True)
    decoder = models.dense_decoder((8, 8, 1), 3)
    for name in ("beta", "free_bits"):
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}=-1"):
            models.variational_autoencoder(encoder, decoder, **{name: -1})


def test_vae_refuses_to_generate_fewer_than_one_image():
    with pytest.raises(ValueError, match="`num_images`.*Received: num_images="):
        small_vae().generate(0)
