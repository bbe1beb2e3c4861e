"""Sprites: images whose factors of variation are known."""

import numpy as np

from aecourse.datasets.split import make_split, split_off


def load_sprites():
    """White shapes on black whose five factors of variation are known exactly.

    All 3 x 4 x 8 x 8 x 8 = 6,144 combinations, rendered on the spot:

    - `shape`: slim triangle, half disc, corner (an L with equal arms);
    - `scale`: square root of the area, 4.5, 5.5, 6.5 or 7.5 pixels, for every shape;
    - `orientation`: -78.75 to 78.75 degrees in steps of 22.5, counter-clockwise;
    - `position_x`, `position_y`: centroid, 9 to 23 pixels from the left and from the
      top, in steps of 2.

    No factor hides another. Each shape turns about its centroid and coincides with
    itself only after a full turn, and the arc is less than half a turn: every image has
    one orientation, and orientation is an interval, which a single latent axis can
    carry; a full circle it could not.

    Returns:
        A `Split` (4,608 train, 512 validation, 1,024 test, the three shapes in
        proportion) with images `(n, 32, 32, 1)` and `y` of shape `(n, 5)`: the level of
        each factor, from 0. `np.ravel_multi_index(y.T, factor_sizes)` numbers the
        combinations.

    Example:

    >>> sprites = load_sprites()
    >>> print(sprites.x_train.shape, sprites.factor_sizes)
    (4608, 32, 32, 1) (3, 4, 8, 8, 8)

    Reference: after dSprites (Matthey, Higgins, Hassabis, Lerchner, 2017), whose square
    and ellipse repeat within a turn.
    """
    names = ("shape", "scale", "orientation", "position_x", "position_y")
    sizes = (3, 4, 8, 8, 8)
    images = np.zeros((*sizes, 32, 32), "uint8")
    for shape, scale, orientation in np.ndindex(sizes[:3]):
        stamp = _stamp(shape, 4.5 + scale, np.deg2rad(22.5 * orientation - 78.75))
        for column, row in np.ndindex(sizes[3:]):
            canvas = images[shape, scale, orientation, column, row]
            canvas[2 * row : 2 * row + 18, 2 * column : 2 * column + 18] = stamp
    levels = np.indices(sizes).reshape(5, -1).T
    rest, test = split_off(images.reshape(-1, 32, 32), levels, 1024)
    train, validation = split_off(*rest, 512)
    about = {"factor_names": names, "factor_sizes": sizes}
    return make_split("sprites", 64, train, validation, test, **about)


def _stamp(shape, scale, angle):
    """One sprite on 18x18 pixels: how many of 8x8 points of a pixel lie inside."""
    points = (np.arange(18 * 8) + 0.5) / 8 - 9
    right, down = np.meshgrid(points, points)
    u = (np.cos(angle) * right - np.sin(angle) * down) / scale
    v = (np.sin(angle) * right + np.cos(angle) * down) / scale
    inside = _margin(shape, u, v) > 0
    return inside.reshape(18, 8, 18, 8).sum(axis=(1, 3))


def _margin(shape, u, v):
    """Positive inside a shape of area 1 with its centroid at 0; `u` right, `v` down."""
    if shape == 0:  # triangle, tip up, 1.6 times as high as wide
        base = np.sqrt(2 / 1.6)
        height = 1.6 * base
        sides = base / 2 * (v / height + 2 / 3) - np.abs(u)
        return np.minimum(height / 3 - v, sides)
    if shape == 1:  # half disc, flat side down
        radius = np.sqrt(2 / np.pi)
        flat = 4 * radius / (3 * np.pi)
        return np.minimum(flat - v, radius - np.hypot(u, v - flat))
    # corner: two bars of width 1 and length 3, in units of 1/sqrt(5)
    u, v = u * np.sqrt(5) + 1.1, 1.1 - v * np.sqrt(5)
    upright = np.minimum(0.5 - np.abs(u - 0.5), 1.5 - np.abs(v - 1.5))
    lying = np.minimum(1.5 - np.abs(u - 1.5), 0.5 - np.abs(v - 0.5))
    return np.maximum(upright, lying)
