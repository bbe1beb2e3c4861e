"""The deep autoencoder of Hinton & Salakhutdinov (2006) at full scale.

    AECOURSE_DATA=folder python benchmarks/deep_autoencoder.py --epochs 100 --seed 0

Trains 784-1000-500-250-30 and its mirror on the 55,000 training digits and prints the
sum of squared errors of an image, mean over the 10,000 test digits, in the unit of the
paper (intensities in [0, 1]), beside PCA with as many axes. Every choice (widths,
rates, strength of the augmentation) was made before the test digits were looked at; the
figure is that of the last epoch. A line every ten epochs gives the validation digits.

The digits are turned, sheared, scaled and shifted a little, each epoch anew; the
strength falls to zero with the learning rate, so that the last epochs see the digits
as they are.
"""

import argparse
import math
import os
import time

os.environ.setdefault("KERAS_BACKEND", "jax")
from aecourse import runtime

runtime.quiet_start()

import keras
import numpy as np
from sklearn.decomposition import PCA

from aecourse import datasets, models

LATENT_DIM = 30
HIDDEN_UNITS = (1000, 500, 250)
LEARNING_RATE = 1e-3


def sum_of_squares(x, x_hat):
    """Sum of squared errors of an image, mean over the images."""
    return float(np.sum((x - x_hat) ** 2) / len(x))


def train(digits, num_epochs, seed):
    """Train from `seed`; return the model and the minutes it took."""
    keras.utils.set_random_seed(seed)
    shape = digits.x_train.shape[1:]
    encoder = models.dense_encoder(
        shape, LATENT_DIM, hidden_units=HIDDEN_UNITS, activation="gelu"
    )
    decoder = models.dense_decoder(
        shape,
        LATENT_DIM,
        hidden_units=HIDDEN_UNITS[::-1],
        activation="gelu",
        output_activation="sigmoid",
    )
    model = models.autoencoder(encoder, decoder)
    data = datasets.JitteredImages(digits.x_train, num_epochs, seed=seed)
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, num_epochs * len(data), alpha=1e-3
    )
    model.compile(keras.optimizers.Adam(rate), loss="mean_squared_error")

    def report(epoch, logs):
        if (epoch + 1) % 10 == 0:
            x_hat = model.predict(digits.x_validation, batch_size=1000, verbose=0)
            error = sum_of_squares(digits.x_validation, x_hat)
            train_error = math.prod(shape) * logs["loss"]
            minutes = (time.perf_counter() - start) / 60
            print(
                f"epoch {epoch + 1:4d}  train {train_error:.3f}  "
                f"validation {error:.3f}  {minutes:.1f} min",
                flush=True,
            )

    start = time.perf_counter()
    callback = keras.callbacks.LambdaCallback(on_epoch_end=report)
    model.fit(data, epochs=num_epochs, verbose=0, callbacks=[callback])
    return model, (time.perf_counter() - start) / 60


def main():
    """Print the table of one seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    digits = datasets.load_mnist("full")
    print(runtime.describe(), f"seed {options.seed}, {options.epochs} epochs", sep="; ")
    flat = digits.x_train.reshape(len(digits.x_train), -1)
    pca = PCA(LATENT_DIM, random_state=0).fit(flat)
    x = digits.x_test.reshape(len(digits.x_test), -1)
    pca_error = sum_of_squares(x, pca.inverse_transform(pca.transform(x)))
    model, minutes = train(digits, options.epochs, options.seed)
    x_hat = model.predict(digits.x_test, batch_size=1000, verbose=0)
    error = sum_of_squares(digits.x_test, x_hat)
    print(f"test, sum of squares per image: PCA-{LATENT_DIM} {pca_error:.2f}, deep")
    print(f"autoencoder {error:.3f}, after {minutes:.0f} minutes")


if __name__ == "__main__":
    main()
