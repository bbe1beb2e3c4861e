"""Encoder and decoder builders, and the two models made of them.

A builder returns a plain functional `keras.Model`. Images are `(height, width,
channels)`; anything else that has a fixed shape, a flat vector included, works with
the dense builders.
"""

from aecourse.models.autoencoder import (
    autoencoder,
)
from aecourse.models.autoregressive import (
    autoregressive_decoder,
)
from aecourse.models.convolutional import (
    conv_decoder,
    conv_encoder,
    u_net,
)
from aecourse.models.dense import (
    dense_decoder,
    dense_encoder,
)
from aecourse.models.variational import (
    VariationalAutoencoder,
    variational_autoencoder,
)

__all__ = [
    "VariationalAutoencoder",
    "autoencoder",
    "autoregressive_decoder",
    "conv_decoder",
    "conv_encoder",
    "dense_decoder",
    "dense_encoder",
    "u_net",
    "variational_autoencoder",
]
