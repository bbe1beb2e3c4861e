"""Every block of the page of building blocks runs as it would in another project."""

import ast
import contextlib
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from aecourse import layers

PAGE = Path(__file__).resolve().parent.parent / "docs" / "building_blocks.md"
MAX_LINES = 16
MAX_WIDTH = 74  # a longer line is cut off on a narrow page

# The first line of a block that runs on one backend alone, by nature.
ONLY = {"# JAX only": "jax", "# TensorFlow only": "tensorflow"}


def read_blocks(text):
    """[(heading, code)] of the Python blocks of a page, in order."""
    found, heading = [], None
    for match in re.finditer(r"(?ms)^### (.+?)$|^```python\n(.*?)^```", text):
        if match[1]:
            heading = match[1]
        else:
            found.append((heading, match[2]))
    return found


def promised(code):
    """What the block says that it prints: its lines `# prints ...`."""
    return re.findall(r"(?m)^# prints (.*)$", code)


def run(heading, code):
    """Execute a block in a namespace of its own; return the lines that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, f"block {heading!r}", "exec"), {"__name__": "block"})
    return [line.rstrip() for line in printed.getvalue().splitlines()]


TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = read_blocks(TEXT)
EACH = pytest.mark.parametrize(
    "heading, code", BLOCKS, ids=[heading for heading, _ in BLOCKS]
)


@EACH
def test_block_runs_and_prints_what_it_says(heading, code, tmp_path, monkeypatch):
    only = ONLY.get(code.splitlines()[0])
    if only not in (None, keras.config.backend()):
        pytest.skip(f"a block for {only}")
    monkeypatch.chdir(tmp_path)
    assert run(heading, code) == promised(code)


@EACH
def test_block_is_short_and_ends_in_a_proof(heading, code):
    lines = code.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= MAX_WIDTH
    last = list(ast.walk(ast.parse(code).body[-1]))
    calls = [
        n.func.id for n in last if isinstance(n, ast.Call) and "id" in vars(n.func)
    ]
    assert "print" in calls or any(isinstance(n, ast.Assert) for n in last)
    assert bool(promised(code)) == ("print" in calls)


def test_every_block_has_a_heading_of_its_own_and_words_after_it():
    headings = [heading for heading, _ in BLOCKS]
    assert len(headings) > 20
    assert None not in headings and len(set(headings)) == len(headings)
    parts = re.split(r"(?m)^### .*$", TEXT)[1:]
    assert len(parts) == len(headings)  # one block a heading
    for heading, part in zip(headings, parts, strict=True):
        words = re.split(r"(?m)^## ", part.rpartition("```")[2])[0].split()
        assert len(words) >= 10, heading


def public_names():
    """What a person may want to copy: layers, builders, losses, schedules."""
    names = set(layers.__all__)
    for part in ("models", "losses", "schedules"):
        module = importlib.import_module(f"aecourse.{part}")
        names |= {
            name
            for name, value in vars(module).items()
            if getattr(value, "__module__", None) == module.__name__
            and (inspect.isfunction(value) or inspect.isclass(value))
            and not name.startswith("_")
        }
    return names


def test_the_page_covers_every_layer_builder_loss_and_schedule():
    code = "\n".join(code for _, code in BLOCKS)
    # Built by `variational_autoencoder`; the words name it.
    words = {"VariationalAutoencoder"}
    shown = {name for name in public_names() if re.search(rf"\b{name}\b", code)}
    named = {name for name in words if f"`models.{name}`" in TEXT}
    assert public_names() - shown - named == set()


def test_a_block_that_prints_something_else_is_noticed():
    ((heading, code),) = read_blocks("### A\n\n```python\nprint(1)\n# prints 2\n```\n")
    assert run(heading, code) == ["1"] and promised(code) == ["2"]


# --- what the page says of other processes ---------------------------------------

# The files are opened where the course cannot be imported, on the other backend.
ELSEWHERE = """
import sys

sys.modules["aecourse"] = None
import keras
import numpy as np
import tensorflow as tf

opened = keras.saving.load_model("encoder.keras")
served = tf.saved_model.load("encoder")
for name, encode in (("saved", opened), ("exported", served.serve)):
    codes = np.load(name + ".npz")
    gap = np.abs(np.asarray(encode(codes["x"])[0]) - codes["z"]).max()
    print(keras.config.backend(), name, gap < 1e-5)  # float32, added up otherwise
"""
OTHER = {"jax": "tensorflow", "tensorflow": "jax"}.get(keras.config.backend())


@pytest.mark.skipif(OTHER is None, reason="the pair of backends that is checked")
def test_the_files_serve_the_encoder_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = {"saved": "The encoder alone", "exported": "Export for inference"}
    for name, heading in blocks.items():
        save = f"np.savez('{name}.npz', x=x, z=encoder.predict(x, verbose=0)[0])"
        run(heading, f"{dict(BLOCKS)[heading]}\n{save}\n")
    process = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        env={**os.environ, "KERAS_BACKEND": OTHER},
        capture_output=True,
        text=True,
        timeout=300,
    )
    expected = f"{OTHER} saved True\n{OTHER} exported True\n"
    assert process.stdout == expected, process.stderr[-2000:]
