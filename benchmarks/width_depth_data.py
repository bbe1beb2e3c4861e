"""What width, depth, time and data each bring to a deep autoencoder: notebook 02.

    python benchmarks/width_depth_data.py --seeds 0 1 2

Trains autoencoders with a code of 30 numbers on the 3,500 training digits of the subset
and prints a Markdown table: the squared error of a validation image, summed over its
pixels, for each seed, with mean and standard deviation. All share the optimizer, the
schedule and the batch size. Each row has the initial learning rate that was best for it
with the first seed: a rate that suits a wide network can starve a narrow one.
"jittered" digits are deformed a little, anew in every epoch, and less towards the end.
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
    """Summed over the pixels, (batch,)."""
    return ops.sum(ops.square(x - x_hat), axis=(1, 2, 3))


def validation_error(digits, row, learning_rate, seed):
    """Train one autoencoder; the squared error of a validation image."""
    hidden_units, epochs, jittered = row
    runtime.seed_everything(seed)
    model = build(hidden_units)
    num_steps = epochs * (len(digits.x_train) // BATCH_SIZE)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps)
    model.compile(keras.optimizers.Adam(rate), squared_error)
    if jittered:
        data = datasets.JitteredImages(
            digits.x_train, epochs, batch_size=BATCH_SIZE, seed=seed
        )
        model.fit(data, epochs=epochs, verbose=0)
    else:
        x = digits.x_train
        model.fit(x, x, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)
    x_hat = model.predict(digits.x_validation, verbose=0)
    return float(np.sum((digits.x_validation - x_hat) ** 2) / len(x_hat))


def main():
    """Train all rows over all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    digits = datasets.load_mnist()
    print(f"{runtime.describe()}; seeds {', '.join(map(str, seeds))}\n")
    heading = ["hidden layers", "epochs", "digits", "learning rate"]
    heading += [*map(str, seeds), "mean ± sd"]
    for row in (heading, ["---"] * len(heading)):
        print(f"| {' | '.join(row)} |")
    for setting in ROWS:
        first = {
            rate: validation_error(digits, setting, rate, seeds[0])
            for rate in LEARNING_RATES
        }
        best = min(first, key=first.get)
        found = [first[best]]
        found += [validation_error(digits, setting, best, seed) for seed in seeds[1:]]
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        hidden_units, epochs, jittered = setting
        row = ["-".join(map(str, hidden_units)) or "none", str(epochs)]
        row += ["jittered" if jittered else "as they are", f"{best:g}"]
        row += [f"{error:.2f}" for error in found]
        row += [f"{statistics.mean(found):.2f} ± {spread:.2f}"]
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
