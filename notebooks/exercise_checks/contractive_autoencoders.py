"""The checks of notebook 07 contractive autoencoders."""

import numpy as np

from exercise_checks import exercise


@exercise(1)
def check_1(two_sigmoid_layers):
    """Check `two_sigmoid_layers(x, w1, b1, w2, b2)` by differences."""
    rng = np.random.default_rng(0)
    x, w1, b1 = (rng.normal(size=n) for n in ((4, 6), (6, 5), 5))
    w2, b2 = rng.normal(size=(5, 3)), rng.normal(size=3)

    def encode(x):
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        return 1 / (1 + np.exp(-(h @ w2 + b2)))

    step = 1e-5 * np.eye(6)
    columns = [(encode(x + e) - encode(x - e)) / 2e-5 for e in step]
    squares = np.square(columns)  # (input, example, code axis)
    right = squares.sum(axis=(0, 2))
    arguments = (a.copy() for a in (x, w1, b1, w2, b2))
    found = np.asarray(two_sigmoid_layers(*arguments))
    if found.shape != (4,):
        return f"4 rows of x need the shape (4,); yours is {found.shape}"
    if np.allclose(found, right, rtol=1e-4):
        return None
    if np.allclose(found, squares.mean(axis=(0, 2)), rtol=1e-4):
        return "a mean: sum over code axes and inputs"
    if np.allclose(found, np.sqrt(right), rtol=1e-4):
        return "this is the norm; its square is wanted"
    if np.allclose(found / found[0], right / right[0], rtol=1e-4):
        return "right up to a factor"
    return "not yet: are both slopes in, h(1 - h) and z(1 - z)?"


@exercise(2)
def check_2(unit_decoder):
    """Check that `unit_decoder(w, b, w_dec)` moves scale alone."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.normal(size=n) for n in ((50, 6), (6, 4), 4))
    w_dec = rng.normal(size=(4, 6)) * [[0.1], [1], [3], [20]]
    found = unit_decoder(w.copy(), b.copy(), w_dec.copy())
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        return "return three things: w, b, w_dec"
    new_w, new_b, new_dec = (np.asarray(part) for part in found)
    if new_w.shape != (6, 4) or new_dec.shape != (4, 6):
        return f"the shapes are {new_w.shape} and {new_dec.shape}"
    if not np.allclose(np.linalg.norm(new_dec, axis=1), 1):
        return "the rows of w_dec do not all have length 1"
    before = np.maximum(x @ w + b, 0) @ w_dec
    after = np.maximum(x @ new_w + new_b, 0) @ new_dec
    if np.allclose(before, after):
        return None
    if np.allclose(new_b, b):
        return "the reconstructions change: did the bias move too?"
    return "the reconstructions change: which way goes the scale?"
