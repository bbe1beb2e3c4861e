"""What the builders share: hidden layers, sizes, and the checks of both."""

import math

import keras

from aecourse.checks import check_count, is_count, refuse


def hidden_layer(layer, h, activation, layer_norm):
    """A hidden layer: linear map, normalization if asked for, activation."""
    h = layer(h)
    if layer_norm:
        h = keras.layers.LayerNormalization(axis=tuple(range(1, len(h.shape))))(h)
    return keras.layers.Activation(activation)(h)


def code_layer(h, latent_dim, variational):
    """The output layer of an encoder, float32 under mixed precision too."""
    check_count("latent_dim", latent_dim)
    names = ("z_mean", "z_log_var") if variational else ("z",)
    heads = [keras.layers.Dense(latent_dim, dtype="float32", name=n)(h) for n in names]
    return heads if variational else heads[0]


def crop(h, before, after):
    """Cuts an image from twice the size `before` to the size `after`, at the ends."""
    cuts = tuple((0, 2 * b - a) for b, a in zip(before, after, strict=True))
    if all(cut == (0, 0) for cut in cuts):
        return h
    return keras.layers.Cropping2D(cuts, dtype=h.dtype)(h)


def halved_sizes(size, num_levels):
    """`size` and what it becomes when halved, rounded up, `num_levels` times."""
    sizes = [tuple(size)]
    for _ in range(num_levels):
        sizes.append(tuple(math.ceil(length / 2) for length in sizes[-1]))
    return sizes


def check_shape(name, shape, num_axes=None):
    """Refuse anything but the shape of an example, of known sizes."""
    check_widths(name, shape, minimum=1)
    if num_axes is not None and len(shape) != num_axes:
        refuse(name, f"a shape of {num_axes} axes, channels last", shape)


def check_widths(name, widths, minimum=0):
    """Refuse anything but a tuple of counts, at least `minimum` of them."""
    # Keras takes no NumPy integer as a size, though `is_count` does.
    is_tuple = isinstance(widths, (tuple, list))
    if not is_tuple or not all(isinstance(w, int) and is_count(w) for w in widths):
        refuse(name, "a tuple of whole numbers, each at least 1", widths)
    if len(widths) < minimum:
        refuse(name, f"a tuple with {minimum} or more sizes", widths)
