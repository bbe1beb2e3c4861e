"""Remedies for a decoder that does not need its code: the table of notebook 14.

    python benchmarks/remedies.py --only plain --seed 0   train one model
    python benchmarks/remedies.py --table                 measure the stored models

Every model has the same encoder and the same masked-convolution decoder, and is trained
by the same rule on the same digits, halved to 14x14 and drawn anew as 0 or 1 in every
epoch. What differs is in `REMEDIES`; `aggressive` also has a loop and a constant rate
of its own in its first third. `--only` takes names separated by commas; a model goes to
`data/models/remedies_NAME.keras` (or into `--out`), and a line with its numbers on the
validation digits is printed. Every choice was made on validation digits; each model is
that of its last epoch.
"""

import argparse
import math
import os
import time
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
from aecourse import runtime

runtime.quiet_start()

import keras
import numpy as np
import scipy.optimize
from keras import ops

from aecourse import datasets, diagnostics, layers, losses, models, objectives
from aecourse.datasets.files import MODELS
from aecourse.schedules import CyclicalAnnealing

LATENT_DIM = 16
SHAPE = (14, 14, 1)
BATCH_SIZE = 125
NUM_EPOCHS = 50
LEARNING_RATE = 3e-3
FREE_NATS = 0.25  # an axis, for free bits and for the committed rate

REMEDIES = {
    "none": "no code at all: the decoder gets ones",
    "plain": "nothing",
    "factorized": "a decoder that sees no pixel",
    "weaker": "a decoder that sees one pixel in each direction",
    "warm_up": "KL weight from 0 to 1 over the first half",
    "warm_up_factorized": "the same, and a decoder that sees no pixel",
    "warm_up_wide": "the same, and a decoder that sees seven pixels in each direction",
    "cyclical": "KL weight in four cycles from 0 to 1",
    "aggressive": "encoder steps in between, over the first third",
    "free_bits": "a KL below 0.25 nats per axis is not charged",
    "delta": "posterior variance bounded: at least 0.25 nats per axis",
}


def halved(x):
    """Means of 2x2 pixels: 28x28 to 14x14."""
    return x.reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4))


def largest_variance(nats):
    """The variance below 1 at which KL(N(0, variance), N(0, 1)) is `nats`."""

    def excess(variance):
        return (variance - 1 - math.log(variance)) / 2 - nats

    return scipy.optimize.brentq(excess, math.exp(-1 - 2 * nats), 1.0, xtol=1e-15)


def build(name, num_steps, seed):
    """The untrained VAE called `name`: a functional model from x to x_logits."""
    schedule = keras.optimizers.schedules.PolynomialDecay
    beta = 1.0
    if name.startswith("warm_up"):
        beta = schedule(0.0, num_steps // 2, 1.0)
    elif name == "cyclical":
        beta = CyclicalAnnealing(num_steps, num_cycles=4, ratio=0.5)
    free_bits = FREE_NATS if name == "free_bits" else 0.0
    fields = {"factorized": 0, "warm_up_factorized": 0, "weaker": 1, "warm_up_wide": 7}
    receptive_field = fields.get(name, 3)

    encoder = models.dense_encoder(
        SHAPE, LATENT_DIM, hidden_units=(128,), variational=True
    )
    decoder = models.autoregressive_decoder(
        SHAPE, LATENT_DIM, receptive_field=receptive_field
    )
    return join(encoder, decoder, beta, free_bits, name, seed)


def join(encoder, decoder, beta=1.0, free_bits=0.0, name="plain", seed=None):
    """The VAE of two networks, as a functional model: the image is the target too."""
    x = keras.Input(SHAPE, name="x")
    z_mean, z_log_var = encoder(x)
    if name == "delta":
        cap = math.log(largest_variance(FREE_NATS))
        z_log_var = cap - ops.softplus(z_log_var)
    code = layers.KLRegularization(beta, free_bits, name="kl")([z_mean, z_log_var])
    z = layers.Sampling(seed=seed)(code)
    if name == "none":
        # Ones, not zeros: from zeros and zero biases no gradient would reach the layers
        # that tell one pixel from another.
        z = keras.layers.Rescaling(0.0, offset=1.0)(z)
    return keras.Model(x, decoder([z, x]), name=name)


def train(name, digits, num_epochs, seed):
    """Train from `seed`; the model and the seconds it took."""
    runtime.seed_everything(seed)
    data = datasets.DynamicBinarization(halved(digits.x_train), BATCH_SIZE, seed=seed)
    num_steps = num_epochs * len(data)
    vae = build(name, num_steps, seed)
    options = {"loss": losses.BernoulliNLL(), "steps_per_execution": 7}
    start = time.perf_counter()
    if name == "aggressive":
        aggressive_epochs(vae, data, num_epochs // 3)
        num_epochs -= num_epochs // 3
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE, num_epochs * len(data), alpha=0.05
    )
    vae.compile(keras.optimizers.Adam(rate), **options)
    vae.fit(data, epochs=num_epochs, verbose=0)
    return vae, time.perf_counter() - start


def aggressive_epochs(vae, data, num_rounds):
    """Rounds of an epoch for the encoder alone and a quarter of one for the decoder.

    Each half is trained beside a frozen copy of the other, which is renewed when the
    other has moved.
    """
    encoder, decoder = vae.get_layer("encoder"), vae.get_layer("decoder")
    frozen_encoder, frozen_decoder = map(keras.models.clone_model, (encoder, decoder))
    frozen_encoder.trainable = frozen_decoder.trainable = False
    halves = []
    for parts in ((encoder, frozen_decoder), (frozen_encoder, decoder)):
        half = join(*parts, seed=0)
        half.compile(keras.optimizers.Adam(LEARNING_RATE), losses.BernoulliNLL())
        halves.append(half)
    for _ in range(num_rounds):
        frozen_decoder.set_weights(decoder.get_weights())
        halves[0].fit(data, epochs=1, verbose=0)
        frozen_encoder.set_weights(encoder.get_weights())
        x = np.concatenate([data[index][0] for index in range(len(data) // 4)])
        halves[1].fit(x, x, batch_size=BATCH_SIZE, verbose=0)


def save(vae, path):
    """Write a model in half the bytes: weights of 16 bits, and the file compressed."""
    vae.set_weights([w.astype("float16").astype(w.dtype) for w in vae.get_weights()])
    vae.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)


def posterior(vae):
    """The model from x to `[z_mean, z_log_var]`, as the decoder's code has them."""
    return keras.Model(vae.input, vae.get_layer("kl").output)


def measure(vae, x, num_samples=50, seed=0):
    """What the columns of the table say of a model, a dictionary; nats/image."""
    encoder, decoder = posterior(vae), vae.get_layer("decoder")
    # Without a code there is nothing to sample: one draw is exact.
    scale, num_samples = (0.0, 1) if vae.name == "none" else (1.0, num_samples)

    def decode(z, x):
        return decoder([scale * z + (1.0 - scale), x])

    nll = diagnostics.importance_sampled_nll(
        encoder,
        lambda z: z,
        x=x,
        num_samples=num_samples,
        seed=seed,
        nll=lambda x, z: objectives.bernoulli_nll(x, decode(z, x)),
    )
    z_mean, z_log_var = encoder.predict(x, batch_size=500, verbose=0)
    split = diagnostics.mutual_information(z_mean, z_log_var)
    z = z_mean + np.exp(z_log_var / 2) * np.random.default_rng(seed).normal(
        size=z_mean.shape
    )
    x_logits = decode(ops.convert_to_tensor(z, "float32"), ops.convert_to_tensor(x))
    reconstruction = float(ops.mean(objectives.bernoulli_nll(x, x_logits)))
    return {
        "NLL": nll.mean(),
        "-ELBO": reconstruction + split.kl,
        "KL": split.kl,
        "I_q": split.mutual_information,
        "active": diagnostics.active_units(z_mean),
    }


def line(name, numbers, seconds=None):
    """One row of the Markdown table."""
    cells = [f"{number:.2f}" for number in list(numbers.values())[:-1]]
    cells += [str(numbers["active"]), "-" if seconds is None else f"{seconds:.0f}"]
    return f"| {name} | {' | '.join(cells)} |"


def main():
    """Train and write models, or print the table of those written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(REMEDIES))
    parser.add_argument("--epochs", type=int, default=NUM_EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=MODELS)
    parser.add_argument("--table", action="store_true", help="measure, do not train")
    options = parser.parse_args()
    names = options.only.split(",")
    for name in set(names) - set(REMEDIES):
        parser.error(f"--only takes {', '.join(REMEDIES)}. Received: {name}")
    digits, seed = datasets.load_mnist(), options.seed
    part = digits.x_test if options.table else digits.x_validation
    x = datasets.binarize(halved(part), seed)
    print(runtime.describe(), f"seed {seed}, {options.epochs} epochs", sep="; ")
    print("| model | NLL, K = 50 | -ELBO | KL | I_q | active units | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        path, seconds = options.out / f"remedies_{name}.keras", None
        if options.table:
            vae = keras.models.load_model(path)
        else:
            trained, seconds = train(name, digits, options.epochs, seed)
            # Without the optimizer, which is twice as large as the model.
            vae = build(name, options.epochs * len(digits.x_train) // BATCH_SIZE, seed)
            vae.set_weights(trained.get_weights())
            save(vae, path)
        print(line(name, measure(vae, x), seconds), flush=True)


if __name__ == "__main__":
    main()
