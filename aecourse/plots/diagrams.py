"""Diagrams: a model as blocks and arrows."""

import math

from matplotlib.patches import FancyArrowPatch, Polygon

from aecourse.checks import refuse
from aecourse.plots.canvas import WIDTH, titled_axes

# Color, and the heights of the left and of the right side.
KINDS = {
    "data": ("#EEEEEE", 1.0, 1.0),
    "network": ("#CFE3F3", 0.8, 0.8),
    "encoder": ("#CFE3F3", 1.0, 0.6),
    "code": ("#FBE3C8", 0.6, 0.6),
    "draw": ("#F6CDB8", 0.6, 0.6),
    "decoder": ("#CFE3F3", 0.6, 1.0),
}
INK, ACCENT = "#333333", "#8A3B12"
LETTER, LINE, GAP = 0.075, 0.17, 0.32  # inches: of 9 points, and between blocks


def model_diagram(blocks, *, losses=None, skips=None, notes=None, title=None, ax=None):
    """Show a model as blocks from left to right, with its losses below.

    Args:
        blocks: A list of `(text, kind)`, where `kind` is `"data"`, `"encoder"` (drawn
            narrowing), `"code"`, `"draw"` (a random draw), `"decoder"` (widening) or
            `"network"`. Or a Keras model whose layers follow each other, such as an
            autoencoder of `aecourse.models`: each layer is a block with its name, and
            the tensors between them are blocks with their shapes.
        losses: `{(first, last): text}`: a bracket below that compares two blocks,
            counted from 0.
        skips: `{(first, last): text}`: an arrow above from one block to another.
        notes: `{block: text}`: words below a block, such as a penalty on the code.
        title: The finding.
        ax: Axes to draw on.

    Returns:
        The Axes.

    Raises:
        ValueError: if there is no block, a kind is unknown, a block is named that there
            is not, or a Keras model does not have its layers in one row.

    Example:

    >>> import matplotlib.pyplot as plt
    >>> blocks = [("image", "data"), ("encoder", "encoder"), ("z", "code")]
    >>> blocks += [("decoder", "decoder"), ("image", "data")]
    >>> ax = model_diagram(blocks, losses={(0, 4): "squared error"})
    >>> [text.get_text() for text in ax.texts][-1]
    'squared error'
    >>> plt.close(ax.figure)
    """
    blocks = _blocks_of(blocks) if hasattr(blocks, "layers") else list(blocks)
    losses, skips, notes = losses or {}, skips or {}, notes or {}
    if not blocks:
        refuse("blocks", "at least one block", blocks)
    for block in blocks:
        if len(block) != 2 or block[1] not in KINDS:
            refuse("blocks", f"pairs of a text and one of {sorted(KINDS)}", block)
    for name, pairs in (("losses", losses), ("skips", skips)):
        for pair in pairs:
            if not 0 <= pair[0] < pair[1] < len(blocks):
                refuse(name, f"between two of blocks 0 to {len(blocks) - 1}", pair)
    for index in notes:
        if not 0 <= index < len(blocks):
            refuse("notes", f"under one of blocks 0 to {len(blocks) - 1}", index)

    widths = [_width(text) for text, _ in blocks]
    length = max(sum(widths) + GAP * (len(blocks) - 1) + 0.2, WIDTH - 0.2)
    tops = {index: 0.08 + min(KINDS[blocks[index][1]][1:]) / 2 for index in notes}
    depths = [tops[index] + _height(text) for index, text in notes.items()]
    depths = [max([0.55, *depths])]  # of the notes, then of each loss
    for text in losses.values():
        depths.append(depths[-1] + 0.2 + _height(text))
    above = 0.6 + 0.5 * len(skips)
    height = (above + depths[-1] + 0.1) * (WIDTH - 0.2) / length
    ax = titled_axes(ax, title, WIDTH, height, margin=0.8)
    fontsize = 9 * min(1, ax.get_window_extent().width / ax.figure.dpi / length)
    words = {"ha": "center", "fontsize": fontsize}

    left, middles = 0.0, []
    for index, ((text, kind), width) in enumerate(zip(blocks, widths, strict=True)):
        middles.append(left + width / 2)
        _draw_block(ax, left, width, kind)
        ax.text(middles[-1], 0, text, va="center", **words)
        if index + 1 < len(blocks):
            _arrow(ax, (left + width, 0), (left + width + GAP, 0))
        left += width + GAP
    for level, ((first, last), text) in enumerate(skips.items()):
        top, ends = 0.85 + 0.5 * level, (middles[first], middles[last])
        ax.plot([ends[0], *ends], [0.5, top, top], color=INK, linewidth=1)
        _arrow(ax, (ends[1], top), (ends[1], 0.48))
        ax.text(sum(ends) / 2, top + 0.04, text, va="bottom", **words)
    for index, text in notes.items():
        ax.text(middles[index], -tops[index], text, va="top", color=ACCENT, **words)
    for depth, ((first, last), text) in zip(depths[:-1], losses.items(), strict=True):
        ends, low = (middles[first], middles[last]), -depth - 0.2
        x, y = [ends[0], *ends, ends[1]], [low + 0.12, low, low, low + 0.12]
        ax.plot(x, y, color=ACCENT, linewidth=1.2)
        ax.text(sum(ends) / 2, low - 0.04, text, va="top", color=ACCENT, **words)
    middle = (middles[0] + middles[-1]) / 2
    ax.set(xlim=(middle - length / 2, middle + length / 2))
    ax.set(ylim=(-depths[-1] - 0.1, above), xticks=[], yticks=[])
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _height(text):
    return LINE * (1 + text.count("\n"))


def _width(text):
    return max(0.55, 0.24 + LETTER * max(len(line) for line in text.split("\n")))


def _draw_block(ax, left, width, kind):
    color, before, after = KINDS[kind]
    right = left + width
    corners = [
        (left, -before / 2),
        (left, before / 2),
        (right, after / 2),
        (right, -after / 2),
    ]
    ax.add_patch(Polygon(corners, facecolor=color, edgecolor=INK, joinstyle="round"))


def _arrow(ax, start, end):
    look = {"arrowstyle": "-|>", "mutation_scale": 11, "color": INK}
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=1, shrinkB=1, **look))


def _blocks_of(model):
    """The layers of a Keras model in a row, and the tensors between them."""
    shapes = []
    for layer in model.layers:
        output = getattr(layer, "output", None)
        if output is None or isinstance(output, (list, tuple)):
            refuse("blocks", "a model whose layers follow each other", model)
        shapes.append(tuple(output.shape[1:]))
    inputs = model.inputs
    if len(inputs) != 1 or len(model.outputs) != 1:
        refuse("blocks", "a model with one input and one output", model)
    layers = [
        (layer.name, shape)
        for layer, shape in zip(model.layers, shapes, strict=True)
        if type(layer).__name__ != "InputLayer"
    ]
    sizes = [math.prod(inputs[0].shape[1:]), *(math.prod(s) for _, s in layers)]
    blocks = [(_written(inputs[0].shape[1:]), "data")]
    for position, (name, shape) in enumerate(layers):
        before, after = sizes[position : position + 2]
        kind = "network"
        if after != before:
            kind = "encoder" if after < before else "decoder"
        blocks.append((name.replace("_", "\n"), kind))
        last = position + 1 == len(layers)
        narrowest = after == min(sizes) and after < sizes[0]
        blocks.append((_written(shape), "code" if narrowest and not last else "data"))
    return blocks


def _written(shape):
    return " × ".join(str(size) for size in shape)
