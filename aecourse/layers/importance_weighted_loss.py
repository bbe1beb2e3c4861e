"""The importance-weighted bound on the log-likelihood, as a layer that adds a loss."""

import math

import keras
from keras import ops

from aecourse.checks import check_count, check_same_shape, refuse
from aecourse.layers.tied import TiedDense


@keras.saving.register_keras_serializable(package="aecourse")
class ImportanceWeightedLoss(keras.layers.Layer):
    """Trains an importance-weighted autoencoder (IWAE): adds its bound as a loss.

    The layer encodes `x`, draws `num_samples` codes from q(z given x), decodes them and
    adds minus the bound `log (1/K) sum_k p(x given z_k) p(z_k) / q(z_k given x)`, mean
    over the batch. With K = 1 this is the negative ELBO, estimated from one draw; the
    bound rises with K towards log p(x). Reconstruction and KL are both in it, so a
    model of this layer is compiled without a loss, and the encoder adds no KL of its
    own. The prior p(z) is N(0, I). Everything here is computed in float32.

    Each training step decodes `batch * num_samples` codes: that is its price. A large K
    also weakens the gradient that the encoder gets (Rainforth et al., 2018). For the
    bound of a trained model see `diagnostics.importance_sampled_nll`.

    Args:
        encoder: `keras.Model` from `x` to `[z_mean, z_log_var]`, the mean and the
            log-variance of q(z given x).
        decoder: `keras.Model` from codes, one in a row, to the parameters of
            p(x given z).
        nll: -log p(x given z): a loss of `aecourse.losses` with `reduction="none"`, or
            another registered callable `(x, decoder output)` -> nats per example. It
            is saved with the layer.
        num_samples: Number K of codes drawn for each example.
        seed: Integer, or `None` for a random one. One seed gives different numbers
            on different backends.

    Call arguments:
        inputs: `x`, a tensor that the encoder takes, `(batch, ...)`.
        training: Passed on to encoder and decoder.

    Output shape:
        `(batch,)`: the bound of each example in nats, float32.

    Raises:
        ValueError: if `num_samples` is below 1, `nll` is no callable or does not give
            one number per example, the encoder does not give two tensors of one shape,
            or the decoder holds a `TiedDense` that is tied to it.

    Example:

    >>> from aecourse import losses, models
    >>> encoder = models.dense_encoder((8,), 2, variational=True)
    >>> decoder = models.dense_decoder((8,), 2)
    >>> nll = losses.BernoulliNLL(reduction="none")
    >>> bound = ImportanceWeightedLoss(encoder, decoder, nll=nll, num_samples=5)
    >>> x = keras.Input((8,))
    >>> iwae = keras.Model(x, bound(x))
    >>> iwae.compile("adam")
    >>> history = iwae.fit(ops.ones((32, 8)), epochs=20, verbose=0).history
    >>> history["loss"][0] > history["loss"][-1] > 0
    True

    Derived in: notebook 12.

    Reference:
        Burda et al., "Importance Weighted Autoencoders" (2016); Rainforth et al.,
        "Tighter Variational Bounds are Not Necessarily Better" (2018).
    """

    def __init__(self, encoder, decoder, *, nll, num_samples, seed=None, **kwargs):
        # Encoder and decoder cast their inputs themselves; the bound is float32 always.
        super().__init__(autocast=False, **kwargs)
        check_count("num_samples", num_samples)
        if not callable(nll):
            refuse("nll", "a loss or another callable (x, decoder output) -> nats", nll)
        for layer in getattr(decoder, "layers", []):
            if isinstance(layer, TiedDense) and layer.tied_to in encoder.layers:
                # Keras writes a layer that two nested models share twice, so the tie
                # would be gone when the file is read.
                refuse("decoder", "without a layer tied to the encoder's", decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.nll = nll
        self.num_samples = num_samples
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=None):
        z_mean, z_log_var = self._encode(inputs, training)
        shape = ops.shape(z_mean)
        epsilon = keras.random.normal(
            (shape[0], self.num_samples, *shape[2:]),
            dtype="float32",
            seed=self.seed_generator,
        )
        z = z_mean + ops.exp(0.5 * z_log_var) * epsilon
        # log p(z) - log q(z given x), whose constants cancel.
        log_ratio = 0.5 * (ops.square(epsilon) - ops.square(z) + z_log_var)
        log_ratio = ops.sum(log_ratio, axis=tuple(range(2, len(z.shape))))
        log_weights = log_ratio - self._nats(inputs, z, training)
        bound = ops.logsumexp(log_weights, axis=1) - math.log(self.num_samples)
        self.add_loss(-ops.mean(bound))
        return bound

    def _encode(self, x, training):
        """Mean and log-variance, each of shape `(batch, 1, ...)`."""
        code = self.encoder(x, training=training)
        if not isinstance(code, list | tuple) or len(code) != 2:
            refuse(
                "encoder",
                "a model with the two outputs z_mean and z_log_var",
                received=f"an encoder whose output is {code}",
            )
        z_mean, z_log_var = code
        check_same_shape("z_log_var", z_log_var.shape, "z_mean", z_mean.shape)
        return [ops.cast(ops.expand_dims(part, 1), "float32") for part in code]

    def _nats(self, x, z, training):
        """-log p(x given z) of each code, shape `(batch, num_samples)`."""
        x_repeated = ops.repeat(x, self.num_samples, axis=0)
        outputs = self.decoder(ops.reshape(z, (-1, *z.shape[2:])), training=training)
        nats = self.nll(x_repeated, outputs)
        if len(nats.shape) != 1:
            refuse(
                "nll",
                'one number per example (a loss needs reduction="none")',
                received=f"nll with output of shape {tuple(nats.shape)}",
            )
        return ops.reshape(ops.cast(nats, "float32"), (-1, self.num_samples))

    def compute_output_shape(self, input_shape):
        return (input_shape[0],)

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "nll": keras.saving.serialize_keras_object(self.nll),
            "num_samples": self.num_samples,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for key in ("encoder", "decoder", "nll"):
            config[key] = keras.saving.deserialize_keras_object(config[key])
        return cls(**config)
