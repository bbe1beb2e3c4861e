"""A notebook with one fault of each kind, run in a real browser; and a slider."""

import os
import time

import nbformat
import pytest

from tools import browser, notebooks

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "jax", reason="no Keras in it: once is enough"
)

SLIDER = """\
from ipywidgets import FloatSlider, interact
@interact(x=FloatSlider(value=0.5, min=0.0, max=1.0, step=0.1))
def show(x):
    print("moved to", x)"""

# What a cell holds, and what a reader would complain about.
CELLS = [
    ("markdown", "# A toy\n\nSound: $x^2$\n\n$$\\int x\\,dx$$", None),
    ("code", "print('sound')", None),
    ("code", SLIDER, None),
    ("markdown", "Broken: $\\undefinedmacro$", "not typeset"),
    ("markdown", "Open: $$x", "not typeset"),
    ("code", "x = " + " + ".join(["1"] * 99), "too wide: .jp-InputArea-editor"),
    ("code", "import sys; print('log', file=sys.stderr)", "shows a red box"),
    ("code", "1 / 0", "shows a red box"),
    ("code", "# after the error", "did not run"),
]


@pytest.mark.slow
@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_the_browser_runs_a_notebook_and_sees_each_fault_and_a_slider_moves(tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    new = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    cells = [new[kind](source) for kind, source, _ in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    (tmp_path / "shelf").mkdir()
    nbformat.write(notebook, tmp_path / "shelf" / "toy.ipynb")
    picture = tmp_path / "toy.png"
    with (
        browser.laboratory(tmp_path / "shelf", "jax") as address,
        browser.chromium() as driver,
    ):
        browser.run_all(driver, address, "toy")
        faults = browser.look(driver, picture)
        shown = "return document.querySelector('.jp-Notebook').innerText"
        assert "moved to 0.5" in driver.execute_script(shown)
        handle = driver.find_element(By.CSS_SELECTOR, ".widget-slider .noUi-handle")
        driver.execute_script("arguments[0].focus()", handle)
        handle.send_keys(Keys.ARROW_RIGHT)
        end = time.monotonic() + 30
        while "moved to 0.6" not in driver.execute_script(shown):
            assert time.monotonic() < end, "the slider's output does not change"
            time.sleep(0.1)
        driver.execute_script("setTimeout(() => { throw new Error('oh') })")
        time.sleep(0.5)
        assert any("oh" in text for text in browser.complaints(driver))
    expected = [words for *_, words in CELLS if words]
    assert len(faults) == len(expected), faults
    for fault, words in zip(faults, expected, strict=True):
        assert words in fault
    assert picture.stat().st_size > 5000


def test_it_says_what_is_missing_and_how_to_install_it(monkeypatch):
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="chromedriver missing.*apt install chromium"):
        browser.main(["--only", "00"])


def test_the_scratch_copy_has_no_outputs_and_leaves_the_course_alone(tmp_path):
    path = notebooks.find(["00_start_here"])[0]
    before = path.read_bytes()
    browser.scratch_copy(notebooks.NOTEBOOKS, tmp_path / "copy")
    fresh = notebooks.read(tmp_path / "copy" / path.name)
    cells = [cell for cell in fresh.cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)
    assert list((tmp_path / "copy").glob("exercise_checks*"))
    assert path.read_bytes() == before


def test_a_slider_stands_after_a_picture_and_stores_nothing():
    num_sliders = 0
    for path in notebooks.find():
        seen = ""  # since the last heading
        for cell in notebooks.read(path).cells:
            if "from ipywidgets import" in cell.source:
                num_sliders += 1
                assert cell.metadata["tags"] == ["nbval-ignore-output"], path
                assert cell.outputs == [], path
                # A reader without a kernel has the picture before it.
                assert "image/png" in seen, path
            seen = "" if "## " in cell.source else seen + str(cell.get("outputs"))
    assert num_sliders >= 4
