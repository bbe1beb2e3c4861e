"""Subspaces: what the gradient descent of a linear autoencoder should arrive at.

Directions are the *columns* of a `(num_features, k)` array, as in the mathematics and
in SciPy. A Keras encoder kernel has this shape already; a decoder kernel
`(latent_dim, num_features)` and scikit-learn's `PCA.components_` are passed transposed.
"""

import numpy as np
import scipy.linalg

from aecourse.checks import check_count, finite_array

_COLUMNS = "(num_features, num_directions)"


def principal_angles(a, b):
    """Angles between the spans of two sets of directions, in degrees.

    Two bases of one subspace may look nothing alike; the angles between the spans do
    not see the choice of basis. All are zero exactly when the smaller span lies inside
    the larger one. They are accurate near 0 as well, where an arc cosine of a scalar
    product would stop at about 1e-6 degrees.

    Args:
        a: Linearly independent directions in columns, shape `(num_features, k)`.
        b: Linearly independent directions in columns, shape `(num_features, m)`.

    Returns:
        Array of shape `(min(k, m),)`: the angles in degrees, in [0, 90], smallest
        first, so `[-1]` is the angle to claim on.

    Raises:
        ValueError: if an array is not a finite matrix, the numbers of features differ,
            or columns are linearly dependent (as those of a transposed argument are).

    Example:

    >>> import numpy as np
    >>> tilted = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> for angle in principal_angles(np.eye(3)[:, :2], tilted):
    ...     print(f"{angle:.1f}")
    0.0
    45.0

    Reference:
        Knyazev & Argentati, "Principal angles between subspaces in an A-based scalar
        product" (2002).
    """
    a, b = _directions("a", a), _directions("b", b)
    _check_same_features("b", b, "a", a)
    # SciPy puts the largest first.
    return np.degrees(scipy.linalg.subspace_angles(a, b))[::-1]


def eckart_young(x, k):
    """Smallest squared error that any rank-k reconstruction of `x` can have.

    No linear autoencoder with a code of k numbers can do better on these examples,
    however it is trained. The matrix is taken as it is: for the optimum of a model
    with biases (PCA), subtract the mean of the data first.

    Args:
        x: Examples in rows, shape `(num_examples, num_features)`.
        k: Rank, 1 to `min(num_examples, num_features)`.

    Returns:
        Pair `(error, basis)`: the squared error per example (summed over features, in
        the squared unit of `x`), a float; and orthonormal directions whose projection
        attains it, shape `(num_features, k)`, largest singular value first. Signs are
        arbitrary, and so is the basis within equal singular values.

    Raises:
        ValueError: if `x` is not a finite matrix or `k` is out of range.

    Example:

    >>> import numpy as np
    >>> error, basis = eckart_young(np.array([[2.0, 0.0], [0.0, 1.0]]), k=1)
    >>> print(f"{error:.2f}", basis.shape)
    0.50 (2, 1)

    Reference:
        Eckart & Young, "The approximation of one matrix by another of lower rank"
        (1936).
    """
    x = finite_array("x", x, ndim=2, shape="(num_examples, num_features)")
    check_count("k", k, maximum=min(x.shape))
    # R of x = QR has the singular values and the right singular vectors of x, and
    # only num_features rows.
    _, singular_values, directions = np.linalg.svd(np.linalg.qr(x, mode="r"))
    error = np.sum(singular_values[k:] ** 2) / len(x)
    return float(error), directions[:k].T


def axis_misalignment(decoder, basis):
    """How far the columns of a decoder are from the individual directions of a basis.

    A linear autoencoder finds the principal *subspace*; whether it also finds the
    principal *axes* is another question, and this is its measure:

        1 - (1/k) sum_i max_j cos^2(basis_i, decoder_j)

    It is 0 when every direction of the basis has a decoder column along it, whatever
    the order, the signs and the lengths, and 1 when all are orthogonal. The right
    subspace with randomly rotated axes gives about 0.75 for k = 20.

    Args:
        decoder: Decoder columns, shape `(num_features, latent_dim)`. A column of zeros
            (a dead unit) is along nothing: its cosine is 0.
        basis: Directions, shape `(num_features, k)`, linearly independent; the
            principal directions of `eckart_young`, say.

    Returns:
        Float in [0, 1], without unit.

    Raises:
        ValueError: if an array is not a finite matrix, the numbers of features differ,
            or the columns of `basis` are linearly dependent.

    Example:

    >>> import numpy as np
    >>> axes = np.eye(3)[:, :2]
    >>> rotated = axes @ np.array([[1.0, 1.0], [-1.0, 1.0]])
    >>> print(f"{axis_misalignment(-2 * axes, axes):.2f}")
    0.00
    >>> print(f"{axis_misalignment(rotated, axes):.2f}")
    0.50

    Reference:
        Bao et al., "Regularized linear autoencoders recover the principal components,
        eventually" (2020).
    """
    decoder = finite_array("decoder", decoder, ndim=2, shape=_COLUMNS)
    basis = _directions("basis", basis)
    _check_same_features("decoder", decoder, "basis", basis)
    squared_cosines = (basis.T @ _unit_columns(decoder)) ** 2
    # Rounding may push a cosine past 1 by one unit in the last place.
    return float(max(0.0, 1.0 - np.mean(np.max(squared_cosines, axis=1))))


def principal_components(x):
    """Mean, eigenvalues and directions of the covariance of data, divisor N.

    Args:
        x: Examples in rows, `(num_examples, num_features)`, finite.

    Returns:
        Triple `(mean, eigenvalues, directions)` of shapes `(num_features,)`,
        `(num_features,)`, largest first and not below zero, and
        `(num_features, num_features)`, one direction per column.

    Raises:
        ValueError: if `x` is not a finite matrix.

    Example:

    >>> import numpy as np
    >>> x = np.array([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    >>> principal_components(x)[1].tolist()
    [4.0, 1.0]
    """
    x = finite_array("x", x, ndim=2, shape="(num_examples, num_features)")
    mean = np.mean(x, axis=0)
    centered = x - mean
    eigenvalues, directions = scipy.linalg.eigh(centered.T @ centered / len(x))
    return mean, np.maximum(eigenvalues[::-1], 0.0), directions[:, ::-1]


def _directions(name, value):
    """Unit columns of `value`, or a refusal where they are linearly dependent."""
    value = finite_array(name, value, ndim=2, shape=_COLUMNS)
    unit_columns = _unit_columns(value)
    rank = np.linalg.matrix_rank(unit_columns)
    if rank < value.shape[1]:
        raise ValueError(
            f"Argument `{name}` must have linearly independent columns, one "
            "per direction: rank equal to the number of columns (is it transposed?). "
            f"Received: {name}.shape={value.shape}, rank={rank}"
        )
    return unit_columns


def _check_same_features(name, value, other_name, other):
    if len(value) != len(other):
        raise ValueError(
            f"Argument `{name}` must have as many rows (features) as `{other_name}`, "
            f"{len(other)}. Received: {name}.shape={value.shape}"
        )


def _unit_columns(value):
    """Columns scaled to length 1; columns of zeros stay zeros."""
    lengths = np.linalg.norm(value, axis=0)
    return value / np.where(lengths > 0, lengths, 1.0)
