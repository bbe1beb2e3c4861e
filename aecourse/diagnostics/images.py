"""How good reconstructed images are, and what a decoder paints on them.

Derived in: notebook 04.
"""

import numpy as np

from aecourse.checks import check_count, check_same_shape, finite_array, needs


def psnr(x, x_hat):
    """Peak signal-to-noise ratio of each reconstruction, for intensities in [0, 1].

    The mean squared error of an image on a logarithmic scale: `-10 log10(MSE)`, so
    that 10 dB more are a tenth of the error. The mean over images of it is not that
    of the mean error: it weighs well-made images more.

    Args:
        x: Images, intensities in [0, 1], shape `(num_images, height, width)` or
            `(num_images, height, width, channels)`.
        x_hat: Their reconstructions, same shape; may leave [0, 1].

    Returns:
        Array of shape `(num_images,)`, in dB; infinite where the two are equal.

    Raises:
        ValueError: if the shapes differ or are of no images, an array is not finite,
            or `x` leaves [0, 1].

    Example:

    >>> import numpy as np
    >>> x = np.zeros((1, 8, 8))
    >>> print(f"{psnr(x, x + 0.1)[0]:.1f} dB")
    20.0 dB

    Derived in: notebook 04.
    """
    with needs("scikit-image"):
        from skimage.metrics import peak_signal_noise_ratio

    x, x_hat = _image_pair(x, x_hat)
    with np.errstate(divide="ignore"):  # equal images
        return np.array(
            [
                peak_signal_noise_ratio(image, image_hat, data_range=1.0)
                for image, image_hat in zip(x, x_hat, strict=True)
            ]
        )


def ssim(x, x_hat):
    """Structural similarity of each reconstruction, for intensities in [0, 1].

    Compares means, variances and the covariance of the two images inside a Gaussian
    window of 1.5 pixels that slides over them, averaged over the places: 1 for equal
    images, 0 for unrelated ones. On flat black regions any faint grey costs much: the
    measure divides by variances that are nearly zero there.

    Args:
        x: Images, intensities in [0, 1], shape `(num_images, height, width)` or
            `(num_images, height, width, channels)`, at least 11 pixels on a side.
        x_hat: Their reconstructions, same shape; may leave [0, 1].

    Returns:
        Array of shape `(num_images,)`, each in [-1, 1].

    Raises:
        ValueError: if the shapes differ or are of no images, images are smaller than
            the window, an array is not finite, or `x` leaves [0, 1].

    Example:

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((1, 16, 16))
    >>> print(f"{ssim(x, x)[0]:.2f} {ssim(x, 1 - x)[0]:.2f}")
    1.00 -0.97

    Derived in: notebook 04.

    Reference:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural
        Similarity" (2004), with its window and its constants.
    """
    with needs("scikit-image"):
        from skimage.metrics import structural_similarity

    x, x_hat = _image_pair(x, x_hat)
    if min(x.shape[1:3]) < 11:
        raise ValueError(
            "Argument `x` must hold images of at least 11 pixels on a side. "
            f"Received: x.shape={x.shape}"
        )
    settings = {
        "data_range": 1.0,
        "channel_axis": -1,
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
    }
    return np.array(
        [
            structural_similarity(image, image_hat, **settings)
            for image, image_hat in zip(x, x_hat, strict=True)
        ]
    )


def checkerboard_index(images, stride=2):
    """Share of an image's gradient energy that repeats with the period of a stride.

    Averaging over all shifts by multiples of `stride`, an orthogonal projection,
    leaves the part of an image that has this period along both axes. The index is

        (sum of squared differences of that part) / (that of the image)

    over horizontal and vertical neighbors, where the image is continued periodically.
    Projection and differences commute, so it lies between 0 and 1: 1 for a pure
    checkerboard (or stripes of this period), 0 for a constant. The differences leave
    smooth content out of account; what an image without the artifact has of this
    period by chance is about `stride**2 / num_pixels`.

    The period is sought with one phase and sign all over the image, as a layer of
    fixed weights paints it: an artifact that changes its sign from place to place is
    missed.

    Args:
        images: Array of shape `(num_images, height, width)` or `(num_images, height,
            width, channels)`; channels count together. Height and width are cropped
            to multiples of `stride`.
        stride: The period, in pixels, at least 2.

    Returns:
        Array of shape `(num_images,)`, each in [0, 1].

    Raises:
        ValueError: if `images` has another shape, is not finite or smaller than two
            periods, or `stride` is not a whole number of at least 2.

    Example:

    >>> import numpy as np
    >>> checkerboard = np.indices((1, 8, 8)).sum(axis=0) % 2
    >>> print(f"{checkerboard_index(checkerboard)[0]:.2f}")
    1.00

    Derived in: notebook 04.

    Reference:
        Odena et al., "Deconvolution and Checkerboard Artifacts" (2016), for the
        artifact.
    """
    check_count("stride", stride, minimum=2)
    images = _images("images", images)
    num_images, height, width, channels = images.shape
    rows, columns = height // stride, width // stride
    if min(rows, columns) < 2:
        raise ValueError(
            f"Argument `images` must hold at least two periods of {stride} pixels on a "
            f"side. Received: images.shape={images.shape}"
        )
    images = images[:, : rows * stride, : columns * stride]
    tiles = images.reshape(num_images, rows, stride, columns, stride, channels)
    period = tiles.mean(axis=(1, 3))  # the periodic part, one tile of it
    energy = _gradient_energy(images)
    periodic_energy = rows * columns * _gradient_energy(period)
    # Below the rounding error of the intensities, an image is a constant.
    floor = 1e-20 * np.sum(images**2, axis=(1, 2, 3))
    return np.where(energy > floor, periodic_energy / np.maximum(energy, 1e-300), 0.0)


def _gradient_energy(images):
    """Sum of squared differences of neighbors, on a torus, shape `(num_images,)`."""
    return sum(
        np.sum((np.roll(images, -1, axis) - images) ** 2, axis=(1, 2, 3))
        for axis in (1, 2)
    )


def _images(name, value):
    """Finite float64 images with a channel axis."""
    shape = "(num_images, height, width) or (num_images, height, width, channels)"
    value = finite_array(name, value, ndim=(3, 4), shape=shape)
    return value if value.ndim == 4 else value[..., None]


def _image_pair(x, x_hat):
    """Images in [0, 1] and their reconstructions, float64 with a channel axis."""
    check_same_shape("x_hat", np.shape(x_hat), "x", np.shape(x))
    x, x_hat = _images("x", x), _images("x_hat", x_hat)
    if x.min() < 0 or x.max() > 1:
        raise ValueError(
            "Argument `x` must lie in [0, 1] (intensities 0..255 are divided by 255). "
            f"Received: x.min()={x.min()}, x.max()={x.max()}"
        )
    return x, x_hat
