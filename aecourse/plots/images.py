"""Images side by side."""

import math

import numpy as np

from aecourse.checks import check_count, finite_array, refuse
from aecourse.plots.canvas import WIDTH, check_length, titled_axes


def image_grid(
    images,
    num_columns=10,
    *,
    row_labels=None,
    captions=None,
    signed=False,
    title=None,
    ax=None,
):
    """Show images side by side, row after row, on one scale.

    Args:
        images: Intensities in [0, 1], shape `(num_images, height, width)` or
            `(num_images, height, width, channels)` with 1 (grey) or 3 (RGB) channels.
            Noise or a linear reconstruction may leave [0, 1] a little: what is outside
            is shown as 0 or 1.
        num_columns: Images in a row.
        row_labels: One string per row, on the left.
        captions: One string per image, above it.
        signed: Whether the images are signed weights or directions (grey only): zero
            is mid-grey and the largest absolute value of all of them black or white.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes, with the grid as one image.

    Raises:
        ValueError: if `images` does not have such a shape, has NaN or intensities like
            0..255, or the number of labels or captions does not fit.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> ax = image_grid(np.zeros((7, 8, 8)), num_columns=5, row_labels=["a", "b"])
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['a', 'b']
    >>> plt.close(ax.figure)
    """
    images = grid_images(images, signed)
    check_count("num_columns", num_columns)
    num_images, height, width = images.shape[:3]
    num_columns = min(num_columns, num_images)
    num_rows = math.ceil(num_images / num_columns)
    check_length("row_labels", row_labels, num_rows, "rows")
    check_length("captions", captions, num_images, "images")

    # All sizes in inches: `tile` is the width of one image.
    label_width = 0.085 * max(map(len, row_labels)) + 0.1 if row_labels else 0.0
    if ax is None:
        tile = min(1.1, (WIDTH - label_width - 0.1) / num_columns)
    else:
        tile = ax.get_window_extent().width / ax.figure.dpi / num_columns
    gap = max(1, round(0.06 * width))
    caption_gap = math.ceil(0.17 / tile * width) if captions else 0
    step_y, step_x = height + gap + caption_gap, width + gap
    shape = (num_rows * step_y - gap, num_columns * step_x - gap)
    # Nothing is drawn between the images: NaN in grey, transparent in color.
    picture = np.full(shape + images.shape[3:], np.nan)
    for index, image in enumerate(images):
        top = index // num_columns * step_y + caption_gap
        left = index % num_columns * step_x
        picture[top : top + height, left : left + width] = image
    height_inches = tile * shape[0] / step_x + 0.1
    ax = titled_axes(ax, title, WIDTH, height_inches, margin=label_width + 0.1)
    ax.set_anchor("W")
    limit = np.abs(images).max() or 1.0
    low, high = (-limit, limit) if signed else (0.0, 1.0)
    if picture.ndim == 3:
        opaque = np.isfinite(picture[..., :1])
        picture = np.concatenate([np.nan_to_num(picture), opaque], axis=-1)
    ax.imshow(picture, cmap="gray", vmin=low, vmax=high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if row_labels:
        centers = np.arange(num_rows) * step_y + caption_gap + (height - 1) / 2
        ax.set_yticks(centers, row_labels)
        ax.tick_params(axis="y", length=0)
    for index, caption in enumerate(captions or ()):
        x = index % num_columns * step_x + (width - 1) / 2
        y = index // num_columns * step_y + 0.85 * caption_gap - 0.5
        ax.text(x, y, caption, ha="center", va="bottom", fontsize="small")
    return ax


def image_rows(rows, title=None, *, ax=None):
    """Compare versions of the same images, one labeled row each.

    Args:
        rows: Dictionary from label to images, `{"original": x, "PCA": x_hat}`, all of
            one shape, as `image_grid` takes them; column j shows image j of each.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if `rows` is empty, the shapes differ, or as `image_grid`.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> x = np.zeros((5, 8, 8, 1))
    >>> ax = image_rows({"original": x, "PCA": x + 0.1})
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['original', 'PCA']
    >>> plt.close(ax.figure)
    """
    arrays = [np.asarray(images) for images in rows.values()]
    shapes = [images.shape for images in arrays]
    if len(set(shapes)) != 1:
        raise ValueError(
            "Argument `rows` must hold at least one array, and all of one shape. "
            f"Received: shapes={dict(zip(rows, shapes, strict=True))}"
        )
    return image_grid(
        np.concatenate(arrays),
        num_columns=len(arrays[0]),
        row_labels=list(rows),
        title=title,
        ax=ax,
    )


def grid_images(images, signed=False):
    """Float images without a grey channel axis, cut to [0, 1] unless signed."""
    shape = "(num_images, height, width), or with 1 or 3 channels as the fourth axis"
    images = finite_array("images", images, ndim=(3, 4), shape=shape)
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        raise ValueError(
            f"Argument `images` must have the shape {shape}. "
            f"Received: images.shape={images.shape}"
        )
    if images.shape[3:] == (1,):
        images = images[..., 0]
    if signed:
        if images.ndim == 4:
            refuse("signed", "False for images with three channels", signed)
        return images
    # Noise and linear reconstructions leave [0, 1]; nothing sensible goes this far.
    if images.min() < -4 or images.max() > 5:
        raise ValueError(
            "Argument `images` must hold intensities in [0, 1] (0..255 are divided by "
            f"255). Received: min={images.min():g}, max={images.max():g}"
        )
    return np.clip(images, 0.0, 1.0)
