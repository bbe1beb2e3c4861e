"""The small deep autoencoder of notebook 02: few digits, deformed anew every epoch.

    python benchmarks/deep_digits.py --epochs 1500 --seed 0

Trains 784-128-64-30 and its mirror on the 3,500 training digits of the subset, writes
the model to `data/models/deep_digits.keras` (or `--out`) and prints the sum of squared
errors of an image. The deformations, those of `deep_autoencoder.py`, fade out with the
learning rate, so that the last epochs see the digits as they are. Every choice
was made before the test digits were looked at; the model is that of the last epoch.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
from aecourse import runtime

runtime.quiet_start()

import keras
import numpy as np
from keras import ops

from aecourse import datasets, losses, models
from aecourse.datasets.files import MODELS

LATENT_DIM = 30
HIDDEN_UNITS = (128, 64)
LEARNING_RATE = 3e-3
FILE = MODELS / "deep_digits.keras"


def build():
    """The untrained model, from intensities to logits."""
    shape = (28, 28, 1)
    return models.autoencoder(
        models.dense_encoder(shape, LATENT_DIM, hidden_units=HIDDEN_UNITS),
        models.dense_decoder(shape, LATENT_DIM, hidden_units=HIDDEN_UNITS[::-1]),
        name="deep_digits",
    )


def error(model, x):
    """Sum of squared errors of an image, mean over the images."""
    x_logits = model.predict(x, batch_size=500, verbose=0)
    x_hat = ops.convert_to_numpy(ops.sigmoid(x_logits))
    return float(np.sum((x - x_hat) ** 2) / len(x))


def train(digits, num_epochs, seed):
    """Train from `seed`; a line every hundred epochs gives the validation digits."""
    runtime.seed_everything(seed)
    data = datasets.JitteredImages(digits.x_train, num_epochs, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, num_epochs * len(data), alpha=1e-3
    )
    model, start = build(), time.perf_counter()
    model.compile(keras.optimizers.Adam(rate), losses.BernoulliNLL())

    def report(epoch, _):
        if (epoch + 1) % 100 == 0:
            seconds = time.perf_counter() - start
            validation = error(model, digits.x_validation)
            line = f"epoch {epoch + 1:4d}  validation {validation:.2f}  {seconds:.0f} s"
            print(line, flush=True)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=report)
    model.fit(data, epochs=num_epochs, verbose=0, callbacks=[callback])
    return model


def main():
    """Train, write the model without its optimizer, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    digits = datasets.load_mnist()
    print(runtime.describe(), f"seed {options.seed}, {options.epochs} epochs", sep="; ")
    model = build()
    model.set_weights(train(digits, options.epochs, options.seed).get_weights())
    model.save(options.out)
    for part in ("train", "validation", "test"):
        print(f"{part}: {error(model, getattr(digits, f'x_{part}')):.2f} an image")
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
