"""What every figure must carry, and what it must refuse."""

import itertools

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, Polygon

from aecourse import models, plots

matplotlib.use("Agg")

GREY = np.linspace(0.0, 1.0, 6 * 5 * 4).reshape(6, 5, 4, 1)


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def picture(ax):
    """What the one image of the Axes shows, NaN where nothing is drawn."""
    (image,) = ax.get_images()
    return np.ma.filled(image.get_array(), np.nan)


def unclipped(ax):
    """Whether title and axis labels lie inside the figure once it is drawn."""
    ax.figure.canvas.draw()
    box = ax.figure.bbox
    texts = [*ax.texts, ax.xaxis.label, ax.yaxis.label]
    low, high = sorted(ax.get_ylim())
    texts += [t for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
    titles = [ax.title, ax._left_title, ax._right_title]
    extents = [text.get_window_extent() for text in texts + titles if text.get_text()]
    return all(
        box.x0 <= e.x0 and e.x1 <= box.x1 and box.y0 <= e.y0 and e.y1 <= box.y1
        for e in extents
    )


BLOCKS = [("image", "data"), ("encoder", "encoder"), ("z", "code")]
BLOCKS += [("decoder", "decoder"), ("image", "data")]
EXAMPLES = {
    "image_grid": lambda **k: plots.image_grid(
        GREY, num_columns=3, row_labels=["a long label", "b"], captions=["c"] * 6, **k
    ),
    "image_rows": lambda **k: plots.image_rows({"original": GREY, "AE": GREY}, **k),
    "latent_scatter": lambda **k: plots.latent_scatter(
        np.random.default_rng(0).normal(size=(50, 2)), np.arange(50) % 10, **k
    ),
    "manifold_grid": lambda **k: plots.manifold_grid(GREY, [0, 1, 2], z2=[0, 1], **k),
    "spectrum": lambda **k: plots.spectrum([3.0, 2.0, 1.0], "variance (units)", **k),
    "learning_curves": lambda **k: plots.learning_curves({"AE": [2, 1]}, "nats", **k),
    "elbow_curves": lambda **k: plots.elbow_curves(
        [2, 4, 8], {"AE": [3.0, 1.0, 0.9]}, ylabel="nats", elbows={"AE": 4}, **k
    ),
    "vector_field": lambda **k: plots.vector_field(np.eye(2), -np.eye(2), **k),
    "cloud_with_lines": lambda **k: plots.cloud_with_lines(
        np.eye(2), {"PCA": [1, 1]}, residuals="PCA", **k
    ),
    "model_diagram": lambda **k: plots.model_diagram(
        BLOCKS, losses={(0, 4): "error"}, skips={(1, 3): "s"}, notes={2: "KL"}, **k
    ),
}
LONG_TITLE = "A finding that takes a whole sentence to say, with its number: 3.14 " * 2


@pytest.mark.parametrize("draw", EXAMPLES.values(), ids=EXAMPLES)
def test_draws_a_small_figure_of_its_own_with_the_whole_title(draw):
    ax = draw(title=LONG_TITLE)
    assert isinstance(ax, matplotlib.axes.Axes)
    width, height = ax.figure.get_size_inches()
    assert width <= 7.0 and height <= 7.0
    assert ax.get_title(loc="left").split() == LONG_TITLE.split()
    assert unclipped(ax)
    assert unclipped(draw())


@pytest.mark.parametrize("draw", EXAMPLES.values(), ids=EXAMPLES)
def test_draws_on_the_axes_it_is_given_and_on_no_other(draw):
    _, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    assert draw(ax=axes[0], title=LONG_TITLE) is axes[0]
    assert len(plt.get_fignums()) == 1
    assert not axes[1].has_data()
    # The title stays over its own half.
    axes[0].figure.canvas.draw()
    title = axes[0]._left_title.get_window_extent()
    assert title.x1 <= axes[1].get_window_extent().x0


# Colors


def test_gives_each_model_its_own_color_line_style_and_marker():
    for key in ("color", "linestyle", "marker"):
        values = [style[key] for style in plots.STYLES.values()]
        # A solid line for the data and for the plain AE, which differ by the marker.
        assert len(set(values)) >= len(values) - (key == "linestyle"), key
    assert plots.COLORS == {m: s["color"] for m, s in plots.STYLES.items()}


def test_model_colors_differ_for_readers_who_lack_a_cone():
    # Machado, Oliveira & Fernandes (2009), severity 1: linear RGB as it is seen with
    # normal vision and without red, green or blue cones.
    simulations = [
        np.eye(3),
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
    ]
    colors = np.array([matplotlib.colors.to_rgb(c) for c in plots.COLORS.values()])
    for seen in simulations:
        rgb = np.clip(colors**2.2 @ np.transpose(seen), 0, 1) ** (1 / 2.2)
        gaps = [np.abs(a - b).max() for a, b in itertools.combinations(rgb, 2)]
        # A tenth of the range on some channel: two neighbors are told apart by eye.
        assert min(gaps) > 0.1


# image_grid and image_rows


def test_shows_intensities_on_the_fixed_scale_from_black_to_white():
    dim = np.full((2, 5, 4), 0.25)
    ax = plots.image_grid(dim)
    (image,) = ax.get_images()
    assert image.get_clim() == (0.0, 1.0)
    assert image.cmap(0.0)[:3] == (0, 0, 0) and image.cmap(1.0)[:3] == (1, 1, 1)
    shown = picture(ax)
    assert set(shown[np.isfinite(shown)]) == {0.25}


def test_puts_each_image_in_its_place_with_gaps_between():
    shown = picture(plots.image_grid(GREY, num_columns=4))
    # Two rows and four columns of 5 x 4 pixels, one pixel of gap.
    assert shown.shape == (5 + 1 + 5, 4 * 4 + 3)
    np.testing.assert_array_equal(shown[:5, 5:9], GREY[1, ..., 0])
    np.testing.assert_array_equal(shown[6:, :4], GREY[4, ..., 0])
    assert np.isnan(shown[5]).all() and np.isnan(shown[:, 4]).all()
    assert np.isnan(shown[6:, 10:]).all()  # the last row is not full


def test_shows_color_images_and_leaves_gaps_transparent():
    images = np.random.default_rng(0).random((3, 5, 4, 3))
    shown = picture(plots.image_grid(images))
    np.testing.assert_array_equal(shown[:, 5:9, :3], images[1])
    assert shown[0, 0, 3] == 1 and shown[0, 4, 3] == 0


def test_cuts_noise_at_black_and_white():
    shown = picture(plots.image_grid([[[-0.5, 0.5, 1.5]]]))
    np.testing.assert_array_equal(shown, [[0.0, 0.5, 1.0]])


def test_shows_signed_images_around_mid_grey():
    ax = plots.image_grid(np.array([[[-3.0, 0.0]], [[1.0, 2.0]]]), signed=True)
    assert ax.get_images()[0].get_clim() == (-3.0, 3.0)
    assert plots.image_grid(np.zeros((1, 2, 2)), signed=True).get_images()


def test_writes_labels_beside_their_rows_and_captions_above_their_images():
    ax = plots.image_grid(GREY, 3, row_labels=["up", "down"], captions=list("abcdef"))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["up", "down"]
    shown = picture(ax)
    for place, row in zip(ax.get_yticks(), (0, 3), strict=True):
        np.testing.assert_array_equal(shown[round(place), :4], GREY[row, 2, :, 0])
    assert [text.get_text() for text in ax.texts] == list("abcdef")
    for text, column in zip(ax.texts, [0, 1, 2] * 2, strict=True):
        x, y = text.get_position()
        assert column * 5 <= x < column * 5 + 4
        assert np.isnan(shown[round(y)]).all()


def test_image_rows_stacks_versions_of_one_image_in_a_column():
    ax = plots.image_rows({"original": GREY, "AE": 1 - GREY})
    shown = picture(ax)
    np.testing.assert_allclose(shown[:5, :4] + shown[6:, :4], 1.0)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["original", "AE"]


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        (GREY * np.nan, {}, "`images` must be finite"),
        (GREY * 255, {}, r"`images` must hold intensities in \[0, 1\].*max=255"),
        (GREY - 100, {}, r"`images` must hold intensities in \[0, 1\].*min=-100"),
        (GREY.reshape(6, -1), {}, r"`images` must have.*images.shape=\(6, 20\)"),
        (GREY[..., [0, 0]], {}, r"`images` must have.*images.shape=\(6, 5, 4, 2\)"),
        (GREY[:0], {}, r"`images` must have.*images.shape=\(0, 5, 4, 1\)"),
        (GREY, {"num_columns": 0}, "`num_columns` must be.*num_columns=0"),
        (GREY, {"row_labels": ["a", "b"]}, r"`row_labels`.*1 rows.*Received: len"),
        (GREY, {"captions": ["a"]}, r"`captions`.*6 images.*len\(captions\)=1"),
        (GREY[..., [0, 0, 0]], {"signed": True}, "`signed` must be False"),
    ],
)
def test_image_grid_refuses(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.image_grid(images, **arguments)
    assert not plt.get_fignums()


@pytest.mark.parametrize("rows", [{}, {"a": GREY, "b": GREY[:3]}])
def test_image_rows_refuses_none_and_different_shapes(rows):
    with pytest.raises(ValueError, match="`rows` must hold.*Received: shapes="):
        plots.image_rows(rows)


# latent_scatter


def test_tells_ten_classes_apart_without_color():
    z = np.random.default_rng(0).normal(size=(100, 2))
    y = np.arange(100) % 10
    ax = plots.latent_scatter(z, y)
    assert len(ax.collections) == 10
    shapes = {points.get_paths()[0].vertices.tobytes() for points in ax.collections}
    colors = {tuple(points.get_facecolor()[0]) for points in ax.collections}
    assert len(shapes) == len(colors) == 10
    assert [text.get_text() for text in ax.texts] == list("0123456789")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == list("0123456789")
    for c, points in enumerate(ax.collections):
        np.testing.assert_array_equal(points.get_offsets(), z[y == c])


def test_a_class_keeps_its_look_when_others_are_left_out():
    z, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 10
    everything = plots.latent_scatter(z, y)
    some = plots.latent_scatter(z[y >= 7], y[y >= 7])
    for all_points, points in zip(
        everything.collections[7:], some.collections, strict=True
    ):
        np.testing.assert_array_equal(
            all_points.get_facecolor(), points.get_facecolor()
        )


def test_labels_stand_at_the_medians_unless_they_would_collide():
    z = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [0.0, 10.0]])
    ax = plots.latent_scatter(z, np.arange(4), class_names=["a", "b", "c", "d"])
    places = np.array([text.get_position() for text in ax.texts])
    np.testing.assert_allclose(places[:2], z[:2], atol=1e-4)
    # Classes c and d lie on one point: at least most of 5 % of the width apart.
    assert np.linalg.norm(places[2] - places[3]) > 0.4
    np.testing.assert_allclose(places[2:].mean(axis=0), z[2], atol=1e-3)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c", "d"]


def test_draws_both_latent_axes_on_one_scale():
    ax = EXAMPLES["latent_scatter"](axis_labels=("u (nats)", "v (nats)"))
    assert ax.get_aspect() == 1.0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("u (nats)", "v (nats)")


@pytest.mark.parametrize(
    ("z", "y", "names", "message"),
    [
        (np.zeros((3, 3)), np.arange(3), None, r"`z` must have.*z.shape=\(3, 3\)"),
        (np.full((3, 2), np.nan), np.arange(3), None, "`z` must be finite"),
        (np.zeros((3, 2)), np.arange(2), None, r"`y` must hold 3.*y.shape=\(2,\)"),
        (np.zeros((3, 2)), np.ones(3), None, "`y` must hold.*y.dtype=float64"),
        (np.zeros((11, 2)), np.arange(11), None, "`y` must have at most 10.*=11"),
        (np.zeros((3, 2)), np.arange(3), ["a"], "`class_names` must be a name for"),
    ],
)
def test_latent_scatter_refuses(z, y, names, message):
    with pytest.raises(ValueError, match=message):
        plots.latent_scatter(z, y, class_names=names)


# manifold_grid


def test_decoded_images_lie_where_their_codes_are():
    z1, z2 = np.array([-1.0, 0.0, 1.0]), np.array([0.0, 10.0])
    codes = np.stack(np.meshgrid(z1, z2), axis=-1).reshape(-1, 2)
    # Each image is one intensity that names its code.
    intensity = (codes[:, 0] + 1) / 4 + codes[:, 1] / 20
    images = np.broadcast_to(intensity[:, None, None], (6, 8, 4))
    ax = plots.manifold_grid(images, z1, z2=z2)
    (image,) = ax.get_images()
    assert image.get_clim() == (0.0, 1.0)
    assert image.get_extent() == [-1.5, 1.5, -5.0, 15.0]
    assert image.origin == "upper"
    for (a, b), value in zip(codes, intensity, strict=True):
        pixel = round((a + 1) * 4 + 2), round((10.0 - b) / 10 * 8 + 4)
        assert image.get_array()[pixel[1], pixel[0]] == value
    # 12 x 16 pixels on 3 x 20 latent units: square pixels need this ratio of scales.
    np.testing.assert_allclose(ax.get_aspect(), (3 / 12) / (20 / 16))


def test_shows_a_manifold_of_color_images():
    images = np.random.default_rng(0).random((4, 5, 4, 3))
    shown = picture(plots.manifold_grid(images, [0, 1], z2=[0, 1]))
    np.testing.assert_array_equal(shown[:5, :4], images[2])


@pytest.mark.parametrize(
    ("images", "z1", "message"),
    [
        (GREY, [0.0, 1.0], r"`images` must hold 2 x 2.*images.shape=\(6, 5, 4\)"),
        (GREY * 255, [0.0, 1.0, 2.0], "`images` must hold intensities"),
        (GREY, [0.0, 1.0, 3.0], "`z1` must be.*evenly spaced"),
        (GREY, [2.0, 1.0, 0.0], "`z1` must be.*increasing"),
        (GREY, [0.0], "`z1` must be at least two"),
        (GREY, [0.0, np.nan, 1.0], "`z1` must be finite"),
    ],
)
def test_manifold_grid_refuses(images, z1, message):
    with pytest.raises(ValueError, match=message):
        plots.manifold_grid(images, z1, z2=[0.0, 1.0])


# spectrum


def markers(ax):
    """Axis numbers with a filled and with a hollow marker."""
    filled, hollow = ax.lines[-2:]
    assert filled.get_markerfacecolor() != hollow.get_markerfacecolor() == "white"
    return list(filled.get_xdata()), list(hollow.get_xdata())


def test_fills_the_markers_of_the_axes_it_keeps():
    values = [5.0, 1.0, 3.0, 2.0]
    assert markers(plots.spectrum(values, "KL (nats)")) == ([1, 2, 3, 4], [])
    ax = plots.spectrum(values, "KL (nats)", threshold=2.0)
    assert markers(ax) == ([1, 3], [2, 4])
    assert [text.get_text().strip() for text in ax.texts] == ["2"]
    ax = plots.spectrum(values, "KL (nats)", num_kept=3)
    assert markers(ax) == ([1, 2, 3], [4])
    assert [text.get_text().strip() for text in ax.texts] == ["first 3"]
    assert ax.get_ylabel() == "KL (nats)" and ax.get_xlabel() == "axis"


def test_takes_zeros_on_a_linear_scale_and_the_color_of_the_model():
    ax = plots.spectrum([1.0, 0.0], "KL (nats)", model="vae", log_scale=False)
    assert ax.get_yscale() == "linear"
    assert {line.get_color() for line in ax.lines} == {plots.COLORS["vae"]}


@pytest.mark.parametrize(
    ("values", "arguments", "message"),
    [
        ([1.0, 0.0], {}, r"`values` must be positive.*values.min\(\)=0"),
        ([1.0, np.nan], {}, "`values` must be finite"),
        (np.eye(2), {"log_scale": False}, r"`values` must have the shape.*\(2, 2\)"),
        ([], {}, "`values` must have the shape"),
        ([1.0], {"threshold": 1.0, "num_kept": 1}, "`num_kept` must be None"),
        ([1.0], {"num_kept": 0}, "`num_kept` must be.*num_kept=0"),
        ([1.0], {"model": "gan"}, "`model` must be one of.*model='gan'"),
    ],
)
def test_spectrum_refuses(values, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.spectrum(values, "KL (nats)", **arguments)


# learning_curves


def test_curves_of_models_have_their_color_and_no_two_look_alike():
    names = ["VAE", "VAE, validation", "VAE test", "linear AE", "AE", "k = 2", "aerial"]
    ax = plots.learning_curves(
        {name: [2.0, 1.0] for name in names}, "loss (nats/example)"
    )
    colors = [line.get_color() for line in ax.lines]
    assert colors[:3] == [plots.COLORS["vae"]] * 3
    assert colors[3:5] == [plots.COLORS["linear_ae"], plots.COLORS["ae"]]
    # Neither is a model, so neither borrows the color of one.
    for color in colors[5:]:
        assert matplotlib.colors.to_hex(color).upper() not in plots.COLORS.values()
    looks = {
        f"{line.get_marker()} {line._dash_pattern} {line.get_markerfacecolor()}"
        for line in ax.lines
    }
    assert len(looks) == len(names)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == names


def test_counts_epochs_from_one_and_takes_curves_of_different_length():
    ax = plots.learning_curves(
        {"a": [3.0, 2.0, 1.0], "b": [1.0]}, "loss (nats)", references={"PCA": 0.5}
    )
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
    assert list(ax.lines[1].get_xdata()) == [1]
    assert set(ax.lines[2].get_ydata()) == {0.5}
    assert ax.lines[2].get_color() == plots.COLORS["pca"]
    ax = plots.learning_curves({"a": [3.0, 2.0]}, "loss (nats)", x=[0, 50, 100])
    assert list(ax.lines[0].get_xdata()) == [0, 50]


def test_names_a_narrow_logarithmic_scale_by_plain_numbers():
    ax = plots.learning_curves({"a": [0.5, 5.0]}, "loss (nats)", log_scale=True)
    ax.figure.canvas.draw()
    labels = {label.get_text() for label in ax.get_yticklabels()}
    assert {"0.5", "1", "2", "5"} <= labels


def test_a_logarithmic_scale_of_less_than_a_decade_has_ticks_to_read():
    ax = plots.learning_curves({"a": [44.0, 5.7]}, "loss (nats)", log_scale=True)
    low, high = ax.get_ylim()
    assert {7, 10, 15, 20, 30} <= {t for t in ax.get_yticks() if low <= t <= high}


@pytest.mark.parametrize(
    ("curves", "arguments", "message"),
    [
        ({}, {}, "`curves` must be a dictionary with at least one"),
        ({"a": [1.0, np.nan]}, {}, r"`curves\['a'\]` must be finite"),
        ({"a": [[1.0]]}, {}, r"`curves\['a'\]` must have the shape"),
        ({"a": [1.0, 0.0]}, {"log_scale": True}, r"`curves\['a'\]` must be positive"),
        ({"a": [1.0, 2.0]}, {"x": [1.0]}, r"`x` must have a place.*x.shape=\(1,\)"),
        ({"a": [1.0]}, {"references": {"b": np.nan}}, r"`references\['b'\]` must be"),
    ],
)
def test_learning_curves_refuses(curves, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.learning_curves(curves, "loss (nats)", **arguments)


# elbow_curves


def test_gives_every_size_a_tick_and_rings_the_elbow():
    curves = {"PCA": [9.0, 4.0, 3.0], "AE": [7.0, 2.0, 1.9]}
    ax = plots.elbow_curves([2, 16, 64], curves, ylabel="error", elbows={"AE": 16})
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["2", "16", "64"]
    pca, ae, ring = ax.lines
    np.testing.assert_array_equal(ae.get_data(), ([2, 16, 64], curves["AE"]))
    np.testing.assert_array_equal(np.ravel(ring.get_data()), [16, 2.0])
    assert ring.get_color() == plots.COLORS["ae"] != pca.get_color()


@pytest.mark.parametrize(
    "sizes, curves, elbows, message",
    [
        ([2, 8, 4], {"AE": [3, 2, 1]}, None, "`sizes`.*increasing"),
        ([0, 2, 4], {"AE": [3, 2, 1]}, None, "`sizes`"),
        ([2, 4, 8], {"AE": [3, 2]}, None, r"curves\['AE'\]"),
        ([2, 4, 8], {"AE": [3, 2, 1]}, {"PCA": 4}, "`elbows`"),
        ([2, 4, 8], {"AE": [3, 2, 1]}, {"AE": 5}, "`elbows`"),
    ],
)
def test_elbow_curves_refuses(sizes, curves, elbows, message):
    with pytest.raises(ValueError, match=message):
        plots.elbow_curves(sizes, curves, ylabel="error", elbows=elbows)


# cloud_with_lines


def test_lines_go_through_the_origin_and_residuals_meet_theirs_at_right_angles():
    points = np.random.default_rng(0).normal(size=(5, 2))
    ax = plots.cloud_with_lines(
        points, {"PCA": [2.0, 1.0], "start": [0.0, -3.0]}, residuals="PCA"
    )
    cloud, *lines = ax.lines
    np.testing.assert_allclose(cloud.get_xydata(), points)
    assert [line.get_label() for line in lines] == ["PCA", "start"]
    assert [line.get_xy1() for line in lines] == [(0, 0), (0, 0)]
    assert lines[0].get_color() == plots.COLORS["pca"]
    segments = np.array(ax.collections[0].get_segments())
    np.testing.assert_allclose(segments[:, 0], points)
    np.testing.assert_allclose(segments[:, 1] @ [1.0, -2.0], 0, atol=1e-12)
    np.testing.assert_allclose((segments[:, 0] - segments[:, 1]) @ [2, 1], 0, atol=1e-9)
    assert ax.get_aspect() == 1.0


def test_arrows_of_a_cloud_start_at_the_origin_and_keep_their_lengths():
    vectors = np.array([[1.0, 2.0], [-3.0, 0.5]])
    ax = plots.cloud_with_lines(np.eye(2), {}, arrows={"linear AE": vectors})
    tails, drawn = arrows(ax)
    np.testing.assert_array_equal(tails, 0)
    np.testing.assert_allclose(drawn, vectors)
    with pytest.raises(ValueError, match=r"`arrows\['a'\]` must have the shape"):
        plots.cloud_with_lines(np.eye(2), {}, arrows={"a": np.eye(3)})


@pytest.mark.parametrize(
    ("points", "lines", "residuals", "message"),
    [
        (np.eye(3), {}, None, r"`points` must have.*points.shape=\(3, 3\)"),
        (np.eye(2), {"a": [0, 0]}, None, r"`lines\['a'\]` must be two numbers"),
        (np.eye(2), {"a": [1, 2, 3]}, None, r"`lines\['a'\]` must be two numbers"),
        (np.eye(2), {"a": [1, np.nan]}, None, r"`lines\['a'\]` must be finite"),
        (np.eye(2), {"a": [1, 2]}, "b", r"`residuals` must be one of \['a'\]"),
    ],
)
def test_cloud_with_lines_refuses(points, lines, residuals, message):
    with pytest.raises(ValueError, match=message):
        plots.cloud_with_lines(points, lines, residuals=residuals)


# vector_field

GRID = np.stack(np.meshgrid([0.0, 0.5, 1.0], [0.0, 0.5]), axis=-1).reshape(-1, 2)


def arrows(ax):
    """Tails and what is drawn from them, in units of the axes."""
    (field,) = ax.collections
    assert (field.angles, field.scale_units, field.scale) == ("xy", "xy", 1.0)
    return field.XY, np.stack([field.U, field.V], axis=1)


def test_draws_each_arrow_from_its_point_at_the_given_scale():
    vectors = np.random.default_rng(0).normal(size=GRID.shape)
    ax = plots.vector_field(GRID, vectors, scale=0.3, model="data")
    tails, drawn = arrows(ax)
    np.testing.assert_allclose(tails, GRID)
    np.testing.assert_allclose(drawn, 0.3 * vectors)
    assert ax.get_aspect() == 1.0  # true directions
    (color,) = ax.collections[0].get_facecolor()
    assert matplotlib.colors.to_hex(color).upper() == plots.COLORS["data"]


def test_by_itself_the_longest_arrow_is_as_long_as_the_grid_is_wide():
    vectors = 1000.0 * np.random.default_rng(0).normal(size=GRID.shape)
    _, drawn = arrows(plots.vector_field(GRID, vectors))
    lengths = np.linalg.norm(drawn, axis=1)
    np.testing.assert_allclose(lengths.max(), 0.5)  # GRID has steps of 0.5
    expected = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths / lengths.max(), expected / expected.max())


def test_makes_room_for_the_heads():
    ax = plots.vector_field(
        [[0.0, 0.0], [1.0, 0.0]], [[0.0, 7.0], [0.0, -7.0]], scale=1.0
    )
    ax.figure.canvas.draw()
    assert ax.get_ylim()[0] < -7.0 and ax.get_ylim()[1] > 7.0


def test_draws_a_field_of_zeros_and_a_single_arrow():
    _, drawn = arrows(plots.vector_field(GRID, np.zeros_like(GRID)))
    assert not drawn.any()
    _, drawn = arrows(plots.vector_field([[1.0, 2.0]], [[3.0, 4.0]]))
    np.testing.assert_allclose(np.linalg.norm(drawn), 1.0)


@pytest.mark.parametrize(
    ("points", "vectors", "arguments", "message"),
    [
        (np.eye(3), np.eye(3), {}, r"`points` must have.*points.shape=\(3, 3\)"),
        (GRID[:0], GRID[:0], {}, r"`points` must have.*points.shape=\(0, 2\)"),
        (GRID, GRID[:3], {}, r"`vectors` must have.*vectors.shape=\(3, 2\)"),
        (np.full_like(GRID, np.nan), GRID, {}, "`points` must be finite"),
        (GRID, np.full_like(GRID, np.inf), {}, "`vectors` must be finite"),
        (
            GRID,
            GRID,
            {"scale": 0.0},
            "`scale` must be a finite number above 0.*scale=0.0",
        ),
        (GRID, GRID, {"scale": np.nan}, "`scale` must be a finite number"),
        (GRID, GRID, {"model": "gan"}, "`model` must be one of.*model='gan'"),
    ],
)
def test_vector_field_refuses(points, vectors, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.vector_field(points, vectors, **arguments)


# --- diagrams -------------------------------------------------------------------


def words(ax):
    return [text.get_text() for text in ax.texts]


def test_draws_a_keras_model_with_the_shapes_between_its_parts():
    size = {"latent_dim": 3, "hidden_units": (8,)}
    encoder = models.dense_encoder((4, 6, 1), **size)
    model = models.autoencoder(encoder, models.dense_decoder((4, 6, 1), **size))
    assert words(plots.model_diagram(model)) == [
        "4 × 6 × 1",
        "encoder",
        "3",
        "decoder",
        "4 × 6 × 1",
    ]
    assert words(plots.model_diagram(encoder))[-1] == "3"


def test_an_arrow_leads_from_each_block_to_the_next_and_over_a_skip():
    ax = plots.model_diagram(BLOCKS, skips={(1, 3): "skip"})
    assert len([p for p in ax.patches if isinstance(p, FancyArrowPatch)]) == 4 + 1
    blocks = [p.get_extents() for p in ax.patches if isinstance(p, Polygon)]
    for before, after in itertools.pairwise(blocks):
        assert before.x1 < after.x0


@pytest.mark.parametrize(
    "blocks, arguments, message",
    [
        ([], {}, "`blocks` must be at least one block"),
        ([("a", "cloud")], {}, "one of .*'cloud'"),
        (["a"], {}, "pairs of a text"),
        (BLOCKS, {"losses": {(0, 5): "x"}}, r"`losses` must be .* 0 to 4.*\(0, 5\)"),
        (BLOCKS, {"skips": {(2, 2): "x"}}, r"`skips` must be .*\(2, 2\)"),
        (BLOCKS, {"notes": {-1: "x"}}, "`notes` must be .*-1"),
    ],
)
def test_model_diagram_refuses(blocks, arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.model_diagram(blocks, **arguments)


def test_model_diagram_refuses_a_model_that_branches():
    x = keras.Input((3,))
    branched = keras.Model(x, [keras.layers.Dense(2)(x), keras.layers.Dense(1)(x)])
    with pytest.raises(ValueError, match="`blocks` must be a model"):
        plots.model_diagram(branched)
