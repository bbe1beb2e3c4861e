"""What width, depth, time and data each bring to a deep autoencoder: notebook 02.

    python benchmarks/width_depth_data.py --seeds 0 1 2
    python benchmarks/width_depth_data.py --trainings --seeds 0 1 2 3 4

Trains autoencoders with a code of 30 numbers on the 3,500 training digits of the subset
and prints a Markdown table: the squared error of a validation image, summed over its
pixels, for each seed, with mean and standard deviation. All share the optimizer, the
schedule and the batch size. Each row has the initial learning rate that was best for it
with the first seed: a rate that suits a wide network can starve a narrow one.
"jittered" digits are deformed a little, anew in every epoch, and less towards the end.

`--trainings` trains one network with two hidden layers in several ways instead, and
prints the errors of training and validation digits.
"""

import argparse
import os
import statistics

os.environ.setdefault("KERAS_BACKEND", "jax")
from aecourse import runtime

runtime.quiet_start()

import keras
import numpy as np
from keras import ops

from aecourse import datasets

LATENT_DIM = 30
BATCH_SIZE = 100
LEARNING_RATES = (1e-3, 3e-3, 1e-2)
# Hidden layers of the encoder (the decoder mirrors them), epochs, jittered digits.
ROWS = (
    ((), 40, False),
    ((64,), 40, False),
    ((256,), 40, False),
    ((1024,), 40, False),
    ((256, 256), 40, False),
    ((256, 256, 256), 40, False),
    ((256,), 80, False),
    ((256, 256), 80, False),
    ((256,), 40, True),
    ((256, 256), 40, True),
)
# Of the network 256-256: epochs that train all layers jointly, initial learning rate,
# and epochs for each layer by itself beforehand. The last row has one hidden layer.
TRAININGS = (
    ((256, 256), 40, 3e-3, 0),
    ((256, 256), 40, 1e-3, 0),
    ((256, 256), 70, 3e-3, 0),
    ((256, 256), 70, 1e-3, 0),
    ((256, 256), 40, 3e-3, 10),
    ((256, 256), 40, 1e-3, 10),
    ((256,), 70, 3e-3, 0),
)
LAYER_RATE = 3e-3


def build(hidden_units):
    """784, the hidden layers, the code, and their mirror, from image to image."""
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    for units in hidden_units:
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(LATENT_DIM))
    for units in reversed(hidden_units):
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(784, activation="sigmoid"))
    model.add(keras.layers.Reshape((28, 28, 1)))
    return model


def squared_error(x, x_hat):
    """Summed over all but the batch, (batch,)."""
    return ops.sum(ops.square(x - x_hat), axis=tuple(range(1, len(x.shape))))


def train(model, x, epochs, learning_rate, jitter_seed=None):
    """Adam with a cosine decay; on jittered digits if they get a seed."""
    num_steps = epochs * (len(x) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    model.compile(keras.optimizers.Adam(rate), squared_error)
    if jitter_seed is None:
        model.fit(x, x, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
        return
    data = datasets.JitteredImages(x, epochs, batch_size=BATCH_SIZE, seed=jitter_seed)
    model.fit(data, epochs=epochs, verbose=0)


def error(model, x):
    """The squared error of an image, in the mean."""
    x_hat = model.predict(x, batch_size=1000, verbose=0)
    return float(np.sum((x - x_hat) ** 2) / len(x))


def validation_error(digits, row, learning_rate, seed):
    """Train one autoencoder; the squared error of a validation image."""
    hidden_units, epochs, jittered = row
    runtime.seed_everything(seed)
    model = build(hidden_units)
    train(model, digits.x_train, epochs, learning_rate, seed if jittered else None)
    return error(model, digits.x_validation)


def train_layers(model, x, epochs):
    """Train each layer of the encoder, with its partner of the decoder, on the values
    of the layer below.
    """
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    h = ops.reshape(x, (len(x), -1))
    for lower, upper in zip(dense, reversed(dense[len(dense) // 2 :]), strict=False):
        pair = keras.Sequential([keras.Input(h.shape[1:]), lower, upper])
        train(pair, h, epochs, LAYER_RATE)
        h = lower(h)


def print_trainings(digits, seeds):
    """Train one network in several ways and print both errors of each seed."""
    heading = ["hidden layers", "epochs", "learning rate", "before"]
    print_row([*heading, *seeds, "mean ± sd"])
    print_row(["---"] * (len(heading) + len(seeds) + 1))
    for hidden_units, epochs, rate, before in TRAININGS:
        found = []
        for seed in seeds:
            runtime.seed_everything(seed)
            model = build(hidden_units)
            if before:
                train_layers(model, digits.x_train, before)
            train(model, digits.x_train, epochs, rate)
            parts = digits.x_train, digits.x_validation
            found.append([error(model, part) for part in parts])
        row = ["-".join(map(str, hidden_units)), epochs, f"{rate:g}"]
        row.append(f"{before} for each layer" if before else "")
        row += [f"{seen:.2f}, {new:.2f}" for seen, new in found]
        row.append(", ".join(map(mean_and_spread, zip(*found, strict=True))))
        print_row(row)


def mean_and_spread(found):
    spread = statistics.stdev(found) if len(found) > 1 else 0.0
    return f"{statistics.mean(found):.2f} ± {spread:.2f}"


def print_row(cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_networks(digits, seeds):
    """Train all networks over all seeds and print the error of each."""
    heading = ["hidden layers", "epochs", "digits", "learning rate"]
    print_row([*heading, *seeds, "mean ± sd"])
    print_row(["---"] * (len(heading) + len(seeds) + 1))
    for setting in ROWS:
        first = {
            rate: validation_error(digits, setting, rate, seeds[0])
            for rate in LEARNING_RATES
        }
        best = min(first, key=first.get)
        found = [first[best]]
        found += [validation_error(digits, setting, best, seed) for seed in seeds[1:]]
        hidden_units, epochs, jittered = setting
        row = ["-".join(map(str, hidden_units)) or "none", epochs]
        row += ["jittered" if jittered else "as they are", f"{best:g}"]
        print_row([*row, *(f"{each:.2f}" for each in found), mean_and_spread(found)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--trainings", action="store_true", help="one network")
    options = parser.parse_args()
    print(f"{runtime.describe()}; seeds {', '.join(map(str, options.seeds))}\n")
    table = print_trainings if options.trainings else print_networks
    table(datasets.load_mnist(), options.seeds)


if __name__ == "__main__":
    main()
