"""The likelihoods of Burda, Grosse & Salakhutdinov (2015), one stochastic layer.

    AECOURSE_DATA=folder python benchmarks/burda.py --num-samples 1 --epochs 3280

Trains 784-200-200-50 and its mirror on the bound with `--num-samples` draws (1: the
VAE; 5 and 50: their IWAE) on the 55,000 training digits, binarized anew in every step
(`--static`: once, by a draw of our own, which is not the file of theirs). Prints the
test negative log-likelihood, importance-sampled with 5,000 draws an image, and the
active units, beside the paper's.

Their protocol: tanh, Glorot, the output bias at the log-odds of the mean image, Adam
with epsilon 1e-4, and 3^i epochs at the rate 1e-3 * 10^(-i/7), i = 0..7: 3,280 epochs
in batches of 20. `--epochs` shortens all stages alike, `--batch-size` is 100 here. With
`--backup folder` a run that was stopped goes on where it was, given the same options.
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
from keras import ops

from aecourse import datasets, diagnostics, layers, losses, models

LATENT_DIM = 50
HIDDEN_UNITS = (200, 200)
NUM_STAGES = 8
PAPER = {
    (1, False): "86.76 nats, 19 active units",
    (5, False): "85.54 nats, 22 active units",
    (50, False): "84.78 nats, 25 active units",
    (1, True): "88.71 nats",
}


class Binarize(keras.layers.Layer):
    """Draws each pixel as 0 or 1 in every call; pixels of 0 or 1 stay what they are."""

    def __init__(self, seed):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, x):
        noise = keras.random.uniform(ops.shape(x), seed=self.seed_generator)
        return ops.cast(noise < x, "float32")


def stages(num_epochs):
    """Number of epochs and rate of each stage; the numbers of epochs add up."""
    ends = np.cumsum([3.0**i for i in range(NUM_STAGES)])
    ends = np.round(ends / ends[-1] * num_epochs).astype(int)
    epochs = np.diff(ends, prepend=0)
    return [(int(n), 1e-3 * 10 ** (-i / 7)) for i, n in enumerate(epochs)]


def build(x_train, num_samples, seed):
    """Return encoder, decoder and the model that trains them."""
    keras.utils.set_random_seed(seed)
    num_pixels = x_train.shape[1]
    encoder = models.dense_encoder(
        (num_pixels,),
        LATENT_DIM,
        hidden_units=HIDDEN_UNITS,
        activation="tanh",
        variational=True,
    )
    decoder = models.dense_decoder(
        (num_pixels,), LATENT_DIM, hidden_units=HIDDEN_UNITS, activation="tanh"
    )
    mean = np.clip(x_train.mean(axis=0), 1e-3, 1 - 1e-3)
    decoder.get_layer("flat_output").bias.assign(np.log(mean) - np.log1p(-mean))
    bound = layers.ImportanceWeightedLoss(
        encoder,
        decoder,
        nll=losses.BernoulliNLL(reduction="none"),
        num_samples=num_samples,
        seed=seed,
    )
    x = keras.Input((num_pixels,))
    return encoder, decoder, keras.Model(x, bound(Binarize(seed + 1)(x)))


def train(model, x_train, options):
    """Train through all stages; return the minutes of this process."""
    steps = math.ceil(len(x_train) / options.batch_size)
    plan = stages(options.epochs)
    ends = np.cumsum([n for n, _ in plan])
    rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [int(end) * steps for end in ends[:-1]], [rate for _, rate in plan]
    )
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-4))
    start = time.perf_counter()

    def report(epoch, logs):
        if epoch + 1 in ends:
            minutes = (time.perf_counter() - start) / 60
            print(
                f"epoch {epoch + 1}: train bound {-logs['loss']:.2f} nats, "
                f"{minutes:.1f} min",
                flush=True,
            )

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=report)]
    if options.backup:
        callbacks.append(
            keras.callbacks.BackupAndRestore(
                options.backup, delete_checkpoint=False, double_checkpoint=True
            )
        )
    model.fit(
        x_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return (time.perf_counter() - start) / 60


def main():
    """Train once and print the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-samples", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3280)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backup", help="folder that keeps the state of the run")
    parser.add_argument("--num-test", type=int, default=10_000)
    parser.add_argument("--test-samples", type=int, default=5000)
    options = parser.parse_args()
    digits = datasets.load_mnist("full")
    x_train = digits.x_train.reshape(len(digits.x_train), -1)
    x_test = digits.x_test[: options.num_test].reshape(options.num_test, -1)
    if options.static:
        x_train = datasets.binarize(x_train, seed=options.seed)
    x_test = datasets.binarize(x_test, seed=options.seed + 1)
    print(runtime.describe(), vars(options), sep="; ", flush=True)
    encoder, decoder, model = build(x_train, options.num_samples, options.seed)
    minutes = train(model, x_train, options)
    z_mean, _ = encoder.predict(x_test, batch_size=1000, verbose=0)
    active = diagnostics.active_units(z_mean)
    nll = diagnostics.importance_sampled_nll(
        encoder, decoder, x=x_test, num_samples=options.test_samples, seed=options.seed
    )
    error = nll.std() / math.sqrt(len(nll))
    print(
        f"test NLL (K = {options.test_samples}) {nll.mean():.2f} nats, standard error "
        f"over {len(nll)} images {error:.2f}; {active} active units; trained for "
        f"{minutes:.0f} minutes"
    )
    row = (options.num_samples, options.static)
    print("the paper:", PAPER.get(row, "no such row"))


if __name__ == "__main__":
    main()
