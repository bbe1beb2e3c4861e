"""The contestants of `speed.py`, each run in a process of its own.

    python benchmarks/contestants.py train CONTESTANT NETWORK BATCH SEED DATA PASSES
    python benchmarks/contestants.py nll NUM_SAMPLES NUM_IMAGES SEED DATA
    python benchmarks/contestants.py jacobian KIND NUM_INPUTS LATENT_DIM ROUNDS SEED
    python benchmarks/contestants.py memory NAME NUM_IMAGES SEED

`train` trains one epoch for each line it reads, and answers with the seconds it took.
Every contestant trains the same network by the same rule: Adam, a new order of the
images each epoch, one sample of z, the loss of the epoch read once at its end.
"""

import json
import math
import os
import resource
import sys
import time

import numpy as np

LEARNING_RATE = 1e-3

# The conv VAE of the keras.io example, the builders' own, and the dense one of Burda et
# al. Convolutions: kernel 3, stride 2, but for the last layer of the keras.io decoder.
NETWORKS = {
    "conv": {
        "latent_dim": 2,
        "filters": (32, 64),
        "hidden_units": 16,
        "start": (7, 7, 64),
        "decoder": ((64, 2, 14), (32, 2, 28), (1, 1, 28)),
    },
    "builder": {
        "latent_dim": 2,
        "filters": (32, 64, 128),
        "hidden_units": None,
        "start": (4, 4, 128),
        "decoder": ((64, 2, 7), (32, 2, 14), (1, 2, 28)),  # filters, stride, size
    },
    "mlp": {"latent_dim": 50, "units": (200, 200)},
}

# What each contestant needs beside the course's own requirements.
CONTESTANTS = {
    "aecourse, TensorFlow": ("tensorflow",),
    "aecourse, JAX": ("jax",),
    "aecourse, PyTorch": ("torch",),
    "stock layer, TensorFlow": ("tensorflow",),
    "stock layer, JAX": ("jax",),
    "hand-written JAX": ("jax", "optax"),
    "hand-written PyTorch": ("torch",),
}


def trainer(contestant, network, batch_size, seed, x):
    """A function that trains one epoch and returns the mean loss in nats/example."""
    kind, backend = contestant.replace("hand-written ", "hand, ").split(", ")
    if kind == "hand":
        return {"JAX": hand_jax, "PyTorch": hand_torch}[backend](
            network, batch_size, seed, x
        )
    os.environ["KERAS_BACKEND"] = {"PyTorch": "torch"}.get(backend, backend.lower())
    from aecourse import losses, runtime

    runtime.quiet_start()
    runtime.seed_everything(seed)
    import keras

    vae = build(network, stock=kind == "stock layer", seed=seed)
    vae.compile(keras.optimizers.Adam(LEARNING_RATE), losses.BernoulliNLL())

    def epoch():
        history = vae.fit(x, batch_size=batch_size, verbose=0).history
        return history["negative_elbo"][-1]

    return epoch


def build(network, stock=False, seed=None):
    """The network as an `aecourse` model; `stock`: with Keras' own transposed layer."""
    import keras

    from aecourse import layers, models

    spec, shape = NETWORKS[network], (28, 28, 1)
    latent_dim = spec["latent_dim"]
    if network == "mlp":
        dense = {"hidden_units": spec["units"], "activation": "tanh"}
        encoder = models.dense_encoder(shape, latent_dim, variational=True, **dense)
        decoder = models.dense_decoder(shape, latent_dim, **dense)
        return models.variational_autoencoder(encoder, decoder, seed=seed)
    if network == "builder":
        filters = spec["filters"]
        encoder = models.conv_encoder(
            shape, latent_dim, filters=filters, variational=True
        )
        decoder = models.conv_decoder(shape, latent_dim, filters=filters[::-1])
    else:
        conv = {"kernel_size": 3, "padding": "same"}
        x = h = keras.Input(shape)
        for num_filters in spec["filters"]:
            h = keras.layers.Conv2D(num_filters, strides=2, activation="relu", **conv)(
                h
            )
        h = keras.layers.Flatten()(h)
        h = keras.layers.Dense(spec["hidden_units"], activation="relu")(h)
        heads = [keras.layers.Dense(latent_dim, name=n)(h) for n in ("mean", "log_var")]
        encoder = keras.Model(x, heads)
        z = keras.Input((latent_dim,))
        h = keras.layers.Dense(math.prod(spec["start"]), activation="relu")(z)
        h = keras.layers.Reshape(spec["start"])(h)
        for num_filters, stride, _ in spec["decoder"]:
            last = num_filters == 1
            h = layers.Conv2DTranspose(
                num_filters,
                strides=stride,
                activation="linear" if last else "relu",
                **conv,
            )(h)
        decoder = keras.Model(z, h)
    if stock:
        decoder = keras.models.clone_model(decoder, clone_function=_stock)
    return models.variational_autoencoder(encoder, decoder, seed=seed)


def _stock(layer):
    import keras

    from aecourse import layers

    swap = isinstance(layer, layers.Conv2DTranspose)
    cls = keras.layers.Conv2DTranspose if swap else type(layer)
    return cls.from_config(layer.get_config())


# --- hand-written JAX -------------------------------------------------------------


def jax_weights(network, key):
    """Glorot-uniform kernels and zero biases, as Keras has them."""
    import jax
    import jax.numpy as jnp

    glorot = jax.nn.initializers.glorot_uniform()
    keys = iter(jax.random.split(key, 16))

    def layer(*shape):
        return {"kernel": glorot(next(keys), shape), "bias": jnp.zeros(shape[-1])}

    spec = NETWORKS[network]
    latent_dim, size = spec["latent_dim"], 28
    if network == "mlp":
        widths = (784, *spec["units"])
        encoder = [layer(a, b) for a, b in zip(widths, widths[1:], strict=False)]
        widths = (latent_dim, *spec["units"], 784)
        decoder = [layer(a, b) for a, b in zip(widths, widths[1:], strict=False)]
        last = spec["units"][-1]
    else:
        channels, encoder = 1, []
        for num_filters in spec["filters"]:
            encoder.append(layer(3, 3, channels, num_filters))
            channels, size = num_filters, math.ceil(size / 2)
        last = size * size * channels
        if spec["hidden_units"]:
            encoder.append(layer(last, spec["hidden_units"]))
            last = spec["hidden_units"]
        decoder = [layer(latent_dim, math.prod(spec["start"]))]
        channels = spec["start"][-1]
        for num_filters, _, _ in spec["decoder"]:
            decoder.append(layer(3, 3, channels, num_filters))
            channels = num_filters
    heads = [layer(last, latent_dim) for _ in range(2)]
    return {"encoder": encoder, "heads": heads, "decoder": decoder}


def jax_loss(network, weights, x, key):
    """Negative ELBO of a batch, one sample, in nats/example."""
    import jax
    import jax.numpy as jnp

    spec = NETWORKS[network]
    layout = ("NHWC", "HWIO", "NHWC")

    def dense(w, h):
        return h @ w["kernel"] + w["bias"]

    def encode(h):
        if network == "mlp":
            h = h.reshape(len(h), -1)
            for w in weights["encoder"]:
                h = jnp.tanh(dense(w, h))
            return h
        for w in weights["encoder"][: len(spec["filters"])]:
            h = jax.lax.conv_general_dilated(
                h, w["kernel"], (2, 2), "SAME", dimension_numbers=layout
            )
            h = jax.nn.relu(h + w["bias"])
        h = h.reshape(len(h), -1)
        if spec["hidden_units"]:
            h = jax.nn.relu(dense(weights["encoder"][-1], h))
        return h

    def decode(z):
        if network == "mlp":
            *hidden, last = weights["decoder"]
            for w in hidden:
                z = jnp.tanh(dense(w, z))
            return dense(last, z)
        first, *convolutions = weights["decoder"]
        h = jax.nn.relu(dense(first, z)).reshape(len(z), *spec["start"])
        for w, (num_filters, stride, size) in zip(
            convolutions, spec["decoder"], strict=True
        ):
            h = jax.lax.conv_transpose(h, w["kernel"], (stride, stride), "SAME")
            h = h[:, :size, :size] + w["bias"]
            h = h if num_filters == 1 else jax.nn.relu(h)
        return h.reshape(len(h), -1)

    h = encode(x)
    z_mean, z_log_var = (dense(w, h) for w in weights["heads"])
    z = z_mean + jnp.exp(0.5 * z_log_var) * jax.random.normal(key, z_mean.shape)
    x_logits, x = decode(z), x.reshape(len(x), -1)
    reconstruction = jnp.sum(jax.nn.softplus(x_logits) - x * x_logits, axis=-1)
    kl = 0.5 * jnp.sum(z_mean**2 + jnp.exp(z_log_var) - 1 - z_log_var, axis=-1)
    return jnp.mean(reconstruction + kl)


def hand_jax(network, batch_size, seed, x):
    import functools

    import jax
    import optax

    key = jax.random.key(seed)
    weights = jax_weights(network, key)
    optimizer = optax.adam(LEARNING_RATE)
    state = [weights, optimizer.init(weights), key]

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(weights, moments, key, x):
        key, now = jax.random.split(key)
        loss, gradients = jax.value_and_grad(
            lambda weights: jax_loss(network, weights, x, now)
        )(weights)
        updates, moments = optimizer.update(gradients, moments)
        return optax.apply_updates(weights, updates), moments, key, loss

    rng = np.random.default_rng(seed)

    def epoch():
        losses = []
        for rows in _batches(rng, len(x), batch_size):
            *state[:], loss = step(*state, x[rows])
            losses.append(loss)
        return float(sum(losses)) / len(losses)

    return epoch


# --- hand-written PyTorch ---------------------------------------------------------


def hand_torch(network, batch_size, seed, x):
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder, decoder = (part.to(device) for part in torch_parts(network))
    weights = [*encoder.parameters(), *decoder.parameters()]
    for weight in weights:
        if weight.dim() > 1:
            nn.init.xavier_uniform_(weight)
        else:
            nn.init.zeros_(weight)
    optimizer = torch.optim.Adam(weights, LEARNING_RATE)
    images = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1))).to(device)
    rng = np.random.default_rng(seed)

    def epoch():
        losses = []
        for rows in _batches(rng, len(x), batch_size):
            batch = images[torch.from_numpy(rows).to(device)]
            z_mean, z_log_var = encoder(batch).chunk(2, dim=-1)
            z = z_mean + torch.exp(0.5 * z_log_var) * torch.randn_like(z_mean)
            reconstruction = functional.binary_cross_entropy_with_logits(
                decoder(z).flatten(1), batch.flatten(1), reduction="sum"
            )
            kl = 0.5 * torch.sum(z_mean**2 + z_log_var.exp() - 1 - z_log_var)
            loss = (reconstruction + kl) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return float(sum(losses)) / len(losses)

    return epoch


def torch_parts(network):
    """Encoder, mean and log-variance side by side, and decoder."""
    from torch import nn

    spec = NETWORKS[network]
    latent_dim = spec["latent_dim"]
    if network == "mlp":
        a, b = spec["units"]
        encoder = [nn.Flatten(), nn.Linear(784, a), nn.Tanh(), nn.Linear(a, b)]
        encoder += [nn.Tanh(), nn.Linear(b, 2 * latent_dim)]
        decoder = [nn.Linear(latent_dim, a), nn.Tanh(), nn.Linear(a, b), nn.Tanh()]
        return nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Linear(b, 784))
    channels, size, encoder = 1, 28, []
    for num_filters in spec["filters"]:
        encoder += [nn.Conv2d(channels, num_filters, 3, 2, padding=1), nn.ReLU()]
        channels, size = num_filters, math.ceil(size / 2)
    last = size * size * channels
    encoder.append(nn.Flatten())
    if spec["hidden_units"]:
        encoder += [nn.Linear(last, spec["hidden_units"]), nn.ReLU()]
        last = spec["hidden_units"]
    encoder.append(nn.Linear(last, 2 * latent_dim))
    height, width, channels = spec["start"]
    decoder = [nn.Linear(latent_dim, height * width * channels), nn.ReLU()]
    decoder.append(nn.Unflatten(1, (channels, height, width)))
    size = height
    for num_filters, stride, after in spec["decoder"]:
        extra = after - ((size - 1) * stride + 1)
        decoder.append(
            nn.ConvTranspose2d(
                channels, num_filters, 3, stride, padding=1, output_padding=extra
            )
        )
        decoder += [] if num_filters == 1 else [nn.ReLU()]
        channels, size = num_filters, after
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def _batches(rng, num_images, batch_size):
    order = rng.permutation(num_images)
    return [order[i : i + batch_size] for i in range(0, num_images, batch_size)]


# --- the processes ----------------------------------------------------------------


def train(contestant, network, batch_size, seed, path, passes):
    # An epoch of many passes: what `fit` does once an epoch is not what is measured.
    x = np.concatenate([np.load(path)] * int(passes))
    start = time.perf_counter()
    epoch = trainer(contestant, network, int(batch_size), int(seed), x)
    epoch()  # compiles; the second epoch sees every shape compiled
    first = time.perf_counter() - start
    _answer(first_seconds=first, device=_device(CONTESTANTS[contestant][0]))
    for _ in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        loss = epoch()
        seconds = time.perf_counter() - start
        cpu = time.process_time() - cpu
        _answer(seconds=seconds, cpu_seconds=cpu, images=len(x), loss=loss)


def nll(num_samples, num_images, seed, path):
    """Images/s of the bound, and the memory it adds to a process that has run it."""
    from aecourse import diagnostics, runtime

    runtime.quiet_start()
    runtime.seed_everything(int(seed))
    x = np.load(path)
    vae = build("mlp", seed=int(seed))
    bound = {"num_samples": int(num_samples), "seed": int(seed)}
    diagnostics.importance_sampled_nll(vae.encoder, vae.decoder, x=x[:1], num_samples=1)
    before, start = _peak_megabytes(), time.perf_counter()
    x = x[: int(num_images)]
    diagnostics.importance_sampled_nll(vae.encoder, vae.decoder, x=x, **bound)
    seconds = time.perf_counter() - start
    added = _peak_megabytes() - before
    _answer(seconds=seconds, images=len(x), added_megabytes=added)


def jacobian(kind, num_inputs, latent_dim, rounds, seed):
    """Seconds per epoch of a plain autoencoder and with each method, in turn.

    Dense: one hidden layer of 256 ReLU. Convolutional: the builders' own. The exact
    method for convolutions, one tangent an input, is left out.
    """
    import keras

    from aecourse import layers, models, runtime

    runtime.quiet_start()
    keras.utils.set_random_seed(int(seed))
    side = math.isqrt(int(num_inputs))
    shape = (side, side, 1)
    build = {
        "dense": (models.dense_encoder, models.dense_decoder, "hidden_units"),
        "conv": (models.conv_encoder, models.conv_decoder, "filters"),
    }
    make_encoder, make_decoder, name = build[kind]
    widths = (256,) if kind == "dense" else (16, 32, 64)
    methods = ("plain", "hutchinson") + ("exact",) * (kind == "dense")
    x = np.random.default_rng(int(seed)).random((10 * 128, *shape), "float32")
    trained = {}
    for method in methods:
        encoder = make_encoder(shape, int(latent_dim), **{name: widths})
        decoder = make_decoder(shape, int(latent_dim), **{name: widths[::-1]})
        inputs = keras.Input(shape)
        if method == "plain":
            z = encoder(inputs)
        else:
            z = layers.JacobianPenalty(encoder, 0.1, method=method)(inputs)
        model = keras.Model(inputs, decoder(z))
        model.compile("adam", "mse", steps_per_execution=10)
        model.fit(x, x, batch_size=128, verbose=0)
        trained[method] = model
    seconds = {method: [] for method in methods}
    for _ in range(int(rounds)):
        for method, model in trained.items():
            start = time.perf_counter()
            model.fit(x, x, batch_size=128, verbose=0)
            seconds[method].append(time.perf_counter() - start)
    _answer(steps=10, device=_device(keras.config.backend()), seconds=seconds)


def memory(name, num_images, seed):
    """The memory that a diagnostic of many images adds to one of few, in megabytes.

    Codes of 10 axes, images of 28x28: what the arrays themselves take is not counted.
    """
    from aecourse import diagnostics, runtime

    runtime.quiet_start()
    runtime.seed_everything(int(seed))
    rng = np.random.default_rng(int(seed))

    def codes(num):
        z = rng.standard_normal((num, 10), "float32")
        return z, np.full((num, 10), -2.0, "float32")

    def images(num):
        x = rng.integers(0, 2, (num, 28, 28, 1)).astype("float32")
        return x, x[::-1].copy()

    vae = build("mlp", seed=int(seed))
    few, many = 64, int(num_images)
    kind, run = {
        "kl_per_axis": (codes, diagnostics.kl_per_axis),
        "mutual_information": (codes, diagnostics.mutual_information),
        "importance_sampled_nll": (
            images,
            lambda x, _: diagnostics.importance_sampled_nll(
                vae.encoder, vae.decoder, x=x, num_samples=10
            ),
        ),
        "off_manifold_distance": (
            images,
            lambda x, other: diagnostics.off_manifold_distance(x, other[:1000]),
        ),
    }[name]
    arrays = kind(many)
    run(*(array[: max(few, many // 100)] for array in arrays))
    before, start = _peak_megabytes(), time.perf_counter()
    run(*arrays)
    seconds = time.perf_counter() - start
    _answer(seconds=seconds, added_megabytes=_peak_megabytes() - before)


def _answer(**numbers):
    print(json.dumps(numbers), flush=True)


def _device(framework):
    """What the contestant ran on: "cpu", or the kind of accelerator."""
    module = sys.modules[framework]
    if framework == "jax":
        return module.default_backend()
    if framework == "tensorflow":
        return "gpu" if module.config.list_physical_devices("GPU") else "cpu"
    return "gpu" if module.cuda.is_available() else "cpu"


def _peak_megabytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    verbs = {"train": train, "nll": nll, "jacobian": jacobian, "memory": memory}
    verbs[sys.argv[1]](*sys.argv[2:])
