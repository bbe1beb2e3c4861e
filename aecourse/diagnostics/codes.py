"""What the distances and the places of codes (or images) are worth.

Derived in: notebook 08.
"""

import numpy as np
from scipy.stats import binomtest

from aecourse.checks import check_count, check_same_shape, finite_array, needs, refuse

_EXAMPLES = "(num_examples, ...)"


def nearest_neighbors(queries, data, *, num_neighbors=1):
    """Nearest rows of `data` in the Euclidean distance between images or codes.

    Args:
        queries: Images or codes, shape `(num_queries, ...)`; or None for the data
            themselves, where no example counts as its own neighbor.
        data: Images or codes to search, shape `(num_examples, ...)`.
        num_neighbors: How many neighbors each query gets.

    Returns:
        Pair `(indices, distances)`, both of shape `(num_queries, num_neighbors)`,
        nearest first: rows of `data`, and distances in the units of the data.

    Raises:
        ValueError: if an array is not finite, is empty or is a bare vector, an example
            of `queries` has not the shape of one of `data`, or there are fewer
            examples than `num_neighbors`.

    Example:

    >>> import numpy as np
    >>> data = np.array([[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]])
    >>> query = np.array([[0.0, 1.0]])
    >>> indices, distances = nearest_neighbors(query, data, num_neighbors=2)
    >>> print(*indices[0], *distances[0].round(2))
    0 1 1.0 4.24
    """
    data = finite_array("data", data, min_ndim=2, shape=_EXAMPLES)
    if queries is not None:
        queries = finite_array("queries", queries, min_ndim=2, shape=_EXAMPLES)
        check_same_shape("queries", queries.shape[1:], "data", data.shape[1:])
        queries = queries.reshape(len(queries), -1)
    num_candidates = len(data) if queries is not None else len(data) - 1
    check_count("num_neighbors", num_neighbors, maximum=num_candidates)
    with needs("scikit-learn"):
        from sklearn.neighbors import NearestNeighbors
    search = NearestNeighbors(n_neighbors=num_neighbors, algorithm="brute")
    distances, indices = search.fit(data.reshape(len(data), -1)).kneighbors(queries)
    return indices, distances


def off_manifold_distance(x, reference):
    """Distance of each image to the nearest real one, where real ones have about 1.

    The distances are Euclidean, between pixels, and the unit is the typical one: the
    median, over `reference`, of the distance to the nearest *other* reference image.
    So unseen real images score about 1, and more means farther from all that is real.

    Less is not more real. A blur is near to everything: the mean image, or the average
    of two images, can score below 1. Compare only with controls that are as smooth,
    such as reconstructions of unseen images.

    Args:
        x: Images to judge, shape `(num_images, ...)`.
        reference: Real images, shape `(num_reference, ...)`, at least two.

    Returns:
        Array of shape `(num_images,)`, in typical distances between real neighbors.

    Raises:
        ValueError: as `nearest_neighbors`, or if most of `reference` are copies.

    Example:

    >>> import numpy as np
    >>> reference = np.array([[0.0], [2.0], [4.0]])
    >>> for distance in off_manifold_distance(np.array([[4.0], [10.0]]), reference):
    ...     print(f"{distance:.1f}")
    0.0
    3.0

    Reference:
        Kynkaanniemi et al., "Improved precision and recall metric for assessing
        generative models" (2019), on judging samples by distances to real neighbors.
    """
    reference = finite_array("reference", reference, min_ndim=2, shape=_EXAMPLES)
    if len(reference) < 2:
        received = f"reference.shape={reference.shape}"
        refuse("reference", "at least two images", received=received)
    _, among_real = nearest_neighbors(None, reference)
    unit = np.median(among_real)
    if unit == 0:
        raise ValueError(
            "Argument `reference` must hold different images. "
            "Received: reference where most images have an equal one"
        )
    _, distances = nearest_neighbors(x, reference)
    return distances[:, 0] / unit


def interpolate(z_start, z_end, *, num_steps, spherical=False):
    """Codes on the way from `z_start` to `z_end`, both ends included.

    In many dimensions the middle of a straight line is nearer to the origin than its
    ends. The spherical line avoids that: the direction turns at a constant rate along
    a great circle, and the length changes evenly.

    Args:
        z_start: Codes, shape `(latent_dim,)` or `(num_pairs, latent_dim)`.
        z_end: Codes of the same shape.
        num_steps: Number of codes on a line, at least 2.
        spherical: Whether to go along a great circle around the origin.

    Returns:
        Array of shape `(num_steps, latent_dim)` or `(num_pairs, num_steps,
        latent_dim)`.

    Raises:
        ValueError: if the codes are not finite or differ in shape, `num_steps` is
            below 2, or a spherical line starts or ends at the origin or joins opposite
            directions, between which no great circle is the shortest.

    Example:

    >>> import numpy as np
    >>> z_start, z_end = np.array([2.0, 0.0]), np.array([0.0, 2.0])
    >>> print(*interpolate(z_start, z_end, num_steps=3)[1])
    1.0 1.0
    >>> print(*interpolate(z_start, z_end, num_steps=3, spherical=True)[1].round(3))
    1.414 1.414

    Reference:
        White, "Sampling Generative Networks" (2016), section 2.1.
    """
    shape = "(latent_dim,) or (num_pairs, latent_dim)"
    z_start = finite_array("z_start", z_start, ndim=(1, 2), shape=shape)
    z_end = finite_array("z_end", z_end)
    check_same_shape("z_end", z_end.shape, "z_start", z_start.shape)
    check_count("num_steps", num_steps, minimum=2)
    t = np.linspace(0.0, 1.0, num_steps)[:, None]
    a, b = z_start[..., None, :], z_end[..., None, :]
    if not spherical:
        return (1 - t) * a + t * b

    a_length, b_length = (np.linalg.norm(z, axis=-1, keepdims=True) for z in (a, b))
    for name, length in (("z_start", a_length), ("z_end", b_length)):
        if not length.all():
            expected = "away from the origin for a spherical line"
            refuse(name, expected, received=f"{name} with a code of zeros")
    a, b = a / a_length, b / b_length
    # The tangent of half the angle is |a - b| / |a + b|: accurate near 0 and near 180
    # degrees, unlike an arc cosine.
    apart, together = (
        np.linalg.norm(z, axis=-1, keepdims=True) for z in (a - b, a + b)
    )
    angle = 2 * np.arctan2(apart, together)
    if np.any(angle > np.pi - 1e-6):
        expected = "in a direction not opposite to `z_start` for a spherical line"
        refuse("z_end", expected, received="z_end with a code opposite to its start")
    # The weights sin((1 - t) angle) / sin(angle) and sin(t angle) / sin(angle), where
    # NumPy's sinc(x) = sin(pi x) / (pi x) keeps them finite at an angle of 0.
    weight_a, weight_b = (s * np.sinc(s * angle / np.pi) for s in (1 - t, t))
    direction = (weight_a * a + weight_b * b) / np.sinc(angle / np.pi)
    return ((1 - t) * a_length + t * b_length) * direction


def downstream_accuracy(z_train, y_train, *, z_test, y_test, classifier="1nn"):
    """How well a simple classifier tells the classes from the codes.

    `"1nn"` gives a code the class of its nearest training code: a judgment of the
    *distances*, which change under any stretch of an axis. `"linear"` is multinomial
    logistic regression on standardized axes (L2, C = 1): a judgment of the
    *information* that lies ready, whatever the scale of an axis.

    Args:
        z_train: Codes (or images) to learn from, shape `(num_train, ...)`.
        y_train: Their classes, shape `(num_train,)`.
        z_test: Codes to judge, shape `(num_test, ...)`.
        y_test: Their classes, shape `(num_test,)`.
        classifier: `"1nn"` or `"linear"`.

    Returns:
        Tuple `(accuracy, low, high)` of floats: the share of right answers, and its
        Wilson interval at 95 %. The interval says what another draw of the test codes
        would change, not another training run.

    Raises:
        ValueError: if the arrays do not fit one another, or `classifier` is unknown.

    Example:

    >>> import numpy as np
    >>> z, y = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1])
    >>> accuracy, low, high = downstream_accuracy(z, y, z_test=z + 0.4, y_test=y)
    >>> print(f"{accuracy:.2f}, between {low:.2f} and {high:.2f}")
    1.00, between 0.51 and 1.00

    Reference:
        Wilson, "Probable inference, the law of succession, and statistical inference"
        (1927); Alain & Bengio, "Understanding intermediate layers using linear
        classifier probes" (2017).
    """
    z_train = finite_array("z_train", z_train, min_ndim=2, shape=_EXAMPLES)
    z_test = finite_array("z_test", z_test, min_ndim=2, shape=_EXAMPLES)
    check_same_shape("z_test", z_test.shape[1:], "z_train", z_train.shape[1:])
    labels = {"y_train": (y_train, z_train), "y_test": (y_test, z_test)}
    for name, (y, z) in labels.items():
        check_same_shape(name, np.shape(y), name.replace("y", "z"), z.shape[:1])
    with needs("scikit-learn"):
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    models = {
        "1nn": KNeighborsClassifier(1, algorithm="brute"),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    }
    if classifier not in models:
        refuse("classifier", f"one of {sorted(models)}", classifier)
    model = models[classifier].fit(z_train.reshape(len(z_train), -1), y_train)
    answers = model.predict(z_test.reshape(len(z_test), -1))
    num_right = int(np.count_nonzero(answers == np.asarray(y_test)))
    result = binomtest(num_right, len(answers))
    interval = result.proportion_ci(confidence_level=0.95, method="wilson")
    return num_right / len(answers), float(interval.low), float(interval.high)


def elbow(sizes, errors):
    """The size of a code at which a curve of errors bends most: its elbow.

    The rule is that of the chord: the point that lies farthest below the straight line
    between both ends of the curve. It is a way to say where the eye sees the bend, no
    more: another range of sizes, or logarithms in place of `sizes` or `errors`, moves
    it unless the errors themselves have a kink (notebooks 02 and 08).

    Args:
        sizes: Sizes tried, increasing, shape `(num_sizes,)`, at least three.
        errors: The error at each, shape `(num_sizes,)`; the last below the first.

    Returns:
        The element of `sizes` at the elbow, a float.

    Raises:
        ValueError: if the arrays are not finite vectors of one length of at least 3,
            `sizes` does not increase, or the errors do not fall from first to last.

    Example:

    >>> print(elbow([1, 2, 3, 4, 5], [9.0, 5.0, 1.0, 0.5, 0.0]))
    3.0

    Derived in: notebook 02.

    Reference:
        Satopaa et al., "Finding a 'Kneedle' in a Haystack" (2011), for the rule.
    """
    sizes = finite_array("sizes", sizes, ndim=1, shape="(num_sizes,)")
    errors = finite_array("errors", errors)
    check_same_shape("errors", errors.shape, "sizes", sizes.shape)
    if len(sizes) < 3 or np.any(np.diff(sizes) <= 0):
        refuse("sizes", "an increasing vector of at least 3 sizes", sizes)
    if errors[-1] >= errors[0]:
        refuse("errors", "lower at the last size than at the first", errors)
    slope = (errors[-1] - errors[0]) / (sizes[-1] - sizes[0])  # of the chord
    return float(sizes[np.argmin(errors - slope * sizes)])
