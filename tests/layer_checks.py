"""The contract that every layer of the course keeps, in one place."""

import json

import keras
import numpy as np
from keras import ops


def check_layer(
    layer,
    inputs,
    output_shape,
    num_losses=0,
    num_seeds=0,
    tmp_path=None,
    output_dtype="bfloat16",
):
    """Checks a layer's config, shapes, training step, file and mixed precision.

    `inputs` is an array, or a list of arrays for a layer of several inputs;
    `output_shape` the expected shape, or a tuple of shapes; `output_dtype` what comes
    out under the policy `mixed_bfloat16`.
    """
    _check_config_survives_json(layer)
    model = _model_around(layer, inputs)
    _check_shapes(model, inputs, output_shape)
    _check_losses_and_seeds(layer, inputs, num_losses, num_seeds)
    _check_one_compiled_step(model, inputs, output_shape)
    _check_file(model, inputs, tmp_path, num_seeds)
    _check_mixed_precision(layer, inputs, output_dtype)


def _as_list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _arrays(outputs):
    return [ops.convert_to_numpy(output) for output in _as_list(outputs)]


def _shapes(output_shape):
    return list(output_shape) if isinstance(output_shape[0], tuple) else [output_shape]


def _model_around(layer, inputs):
    """A model with a trainable layer in front, so that gradients must pass."""
    ins = [keras.Input(x.shape[1:]) for x in _as_list(inputs)]
    front = [
        keras.layers.Dense(x.shape[-1], name=f"front_{i}")(h)
        for i, (x, h) in enumerate(zip(_as_list(inputs), ins, strict=True))
    ]
    outputs = layer(front if isinstance(inputs, list) else front[0])
    return keras.Model(ins, _as_list(outputs))


def _check_config_survives_json(layer):
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.dumps(again.get_config()) == json.dumps(layer.get_config())


def _check_shapes(model, inputs, output_shape):
    assert [tuple(a.shape) for a in _arrays(model(_as_list(inputs)))] == _shapes(
        output_shape
    )
    symbolic = [(s.shape[1:]) for s in model.outputs]
    assert [tuple(s) for s in symbolic] == [s[1:] for s in _shapes(output_shape)]


def _check_losses_and_seeds(layer, inputs, num_losses, num_seeds):
    again = type(layer).from_config(layer.get_config())
    again(
        [ops.convert_to_tensor(x) for x in inputs]
        if isinstance(inputs, list)
        else ops.convert_to_tensor(inputs)
    )
    assert len(again.losses) == num_losses
    for loss in again.losses:
        assert tuple(loss.shape) == ()
    seeds = [v for v in again.non_trainable_variables if "seed" in v.path]
    assert len(seeds) == num_seeds


def _check_one_compiled_step(model, inputs, output_shape):
    targets = [np.ones(s, "float32") for s in _shapes(output_shape)]
    before = [np.array(w) for w in model.get_weights()]
    model.compile("sgd", ["mse"] * len(targets))
    history = model.fit(_as_list(inputs), targets, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.evaluate(_as_list(inputs), targets, verbose=0)
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    ]
    assert any(moved)


def _check_file(model, inputs, tmp_path, num_seeds):
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if num_seeds:  # a file holds the seed and not how much of it has been drawn
        model = keras.saving.load_model(path)
    before, after = (_arrays(m(_as_list(inputs))) for m in (model, again))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def _check_mixed_precision(layer, inputs, output_dtype):
    config = layer.get_config()
    config["dtype"] = "mixed_bfloat16"
    half = type(layer).from_config(config)
    outputs = half(
        [ops.cast(x, "bfloat16") for x in inputs]
        if isinstance(inputs, list)
        else ops.cast(inputs, "bfloat16")
    )
    for output in _as_list(outputs):
        assert keras.backend.standardize_dtype(output.dtype) == output_dtype
    for loss in half.losses:
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
