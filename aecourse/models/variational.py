"""An encoder and a decoder, trained on the ELBO."""

import keras
import numpy as np
from keras import ops

from aecourse.checks import check_count, refuse
from aecourse.layers import KLRegularization, Sampling
from aecourse.models.autoencoder import check_fit


def variational_autoencoder(
    encoder, decoder, *, beta=1.0, free_bits=0.0, output_activation="sigmoid", seed=None
):
    """Joins a variational encoder and a decoder into a model trained on the ELBO.

    Args:
        encoder: `keras.Model` from `x` to `[z_mean, z_log_var]`.
        decoder: `keras.Model` from `z` to the parameters of p(x given z): logits for
            `losses.BernoulliNLL`.
        beta: Weight of the KL: a number, or a schedule over training steps.
        free_bits: Nats per axis below which the KL is not penalized.
        output_activation: What turns decoder outputs into intensities in `generate`
            and `reconstruct`: `"sigmoid"` for logits, `"linear"` for means.
        seed: Integer, or `None` for a random one.

    Returns:
        A built `VariationalAutoencoder`, to be compiled with a loss of
        `aecourse.losses`.

    Raises:
        ValueError: if the encoder does not give two tensors of the shape that the
            decoder takes, or the decoder's output does not fit the encoder's input.

    Example:

    >>> from aecourse.models import dense_decoder, dense_encoder
    >>> encoder = dense_encoder((8, 8, 1), latent_dim=2, variational=True)
    >>> vae = variational_autoencoder(encoder, dense_decoder((8, 8, 1), latent_dim=2))
    >>> vae.generate(3, seed=0).shape
    (3, 8, 8, 1)

    Derived in: notebook 10.

    Reference:
        Kingma & Welling, "Auto-Encoding Variational Bayes" (2014).
    """
    return VariationalAutoencoder(
        encoder,
        decoder,
        beta=beta,
        free_bits=free_bits,
        output_activation=output_activation,
        seed=seed,
    )


@keras.saving.register_keras_serializable(package="aecourse")
class VariationalAutoencoder(keras.Model):
    """A variational autoencoder; `variational_autoencoder` describes the arguments.

    Compile it with a likelihood of `aecourse.losses`, which sum over the features of
    an example: then `beta=1` is the negative ELBO. The target of `fit` and `evaluate`
    is the input unless another is given. The metrics are in nats/example: `loss` with
    the current weight of the KL, and `reconstruction`, `kl` and their sum
    `negative_elbo` without it. `evaluate` and `predict` draw one sample of z. Sample
    weights apply to the reconstruction alone.

    Attributes:
        encoder: The model from `x` to `[z_mean, z_log_var]`.
        decoder: The model from `z` to the parameters of p(x given z).
    """

    def __init__(
        self,
        encoder,
        decoder,
        *,
        beta=1.0,
        free_bits=0.0,
        output_activation="sigmoid",
        seed=None,
        name="variational_autoencoder",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if len(encoder.outputs) != 2:
            expected = "a model with two outputs, z_mean and z_log_var"
            received = f"encoder with {len(encoder.outputs)} outputs"
            refuse("encoder", expected, received=received)
        check_fit(encoder, decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.output_activation = keras.activations.get(output_activation)
        self.seed = seed
        self.kl_regularization = KLRegularization(beta, free_bits)
        self.sampling = Sampling(seed=seed)
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction")
        self.kl_tracker = keras.metrics.Mean(name="kl")
        self.negative_elbo_tracker = keras.metrics.Mean(name="negative_elbo")
        self.build(encoder.input_shape)

    def build(self, input_shape):
        code_shapes = [tuple(output.shape) for output in self.encoder.outputs]
        self.kl_regularization.build(code_shapes)
        self.sampling.build(code_shapes)
        self.built = True

    def call(self, inputs, training=False):
        code = self.encoder(inputs, training=training)
        z = self.sampling(self.kl_regularization(code, training=training))
        return self.decoder(z, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if getattr(self, "loss", None) is None:
            refuse("loss", "given to `compile`: a loss of `aecourse.losses`", None)
        y = x if y is None else y
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        reconstruction = loss - sum(self.losses)
        kl = ops.convert_to_tensor(self.kl_regularization.batch_kl)
        batch_size = ops.shape(x)[0]
        self.reconstruction_tracker.update_state(reconstruction, batch_size)
        self.kl_tracker.update_state(kl, batch_size)
        self.negative_elbo_tracker.update_state(reconstruction + kl, batch_size)
        return loss

    def encode(self, x, batch_size=128):
        """The posteriors of `x`: NumPy `(z_mean, z_log_var)`, `(batch, latent_dim)`."""
        return tuple(self.encoder.predict(x, batch_size=batch_size, verbose=0))

    def reconstruct(self, x, batch_size=128):
        """The intensities decoded from the posterior means of `x`: NumPy, as `x`."""
        z_mean, _ = self.encode(x, batch_size)
        return self._decode(z_mean, batch_size)

    def generate(self, num_images, seed=None, *, batch_size=128):
        """`num_images` images decoded from draws of the prior: NumPy intensities.

        The draws of one integer `seed` are the same on every backend.
        """
        check_count("num_images", num_images)
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((num_images, *self.decoder.input_shape[1:]), "float32")
        return self._decode(z, batch_size)

    def _decode(self, z, batch_size):
        """Intensities: the first parameter of p(x given z), activated."""
        parameters = self.decoder.predict(z, batch_size=batch_size, verbose=0)
        # A likelihood with two parameters has as many channels again: the means of the
        # data's channels come first, log-variances or log-scales after them.
        num_channels = self.encoder.input_shape[-1]
        return ops.convert_to_numpy(
            self.output_activation(parameters[..., :num_channels])
        )

    def get_config(self):
        regularization = self.kl_regularization.get_config()
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "beta": regularization["beta"],
            "free_bits": regularization["free_bits"],
            "output_activation": keras.activations.serialize(self.output_activation),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for key in ("encoder", "decoder", "beta"):
            if isinstance(config[key], dict):
                config[key] = keras.saving.deserialize_keras_object(
                    config[key], custom_objects
                )
        return cls(**config)
