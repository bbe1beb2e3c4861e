"""Notebooks in a real browser; and the judge of what a browser has saved."""

import os
import re
import time

import nbformat
import pytest

from tools import browser
from tools import notebooks as tool

BACKEND = os.environ["KERAS_BACKEND"]
once = pytest.mark.skipif(BACKEND != "jax", reason="no Keras in it: once is enough")
in_browser = pytest.mark.skipif(
    browser.missing() is not None, reason=str(browser.missing())
)

# Two quick notebooks, one on each backend.
QUICK = {
    "jax": "00_start_here",
    "tensorflow": "09_probabilistic_pca_and_the_linear_vae",
}

CLAIM = "✔ it is so (required: size < 1)  [measured 0.25]\n"


def code(source, number, text=""):
    cell = nbformat.v4.new_code_cell(source, execution_count=number)
    if text:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    return cell


def toy():
    """A notebook with a claim in its second of three code cells."""
    cells = [
        nbformat.v4.new_markdown_cell("# 1. A toy\n\n## Summary"),
        code("# first\nx = 1", 1),
        code("# second\nclaim(x)", 2, CLAIM),
        code("# third\nx + 1", 3),
    ]
    return tool.normalize(nbformat.v4.new_notebook(cells=cells))


# --- the judge bites ------------------------------------------------------------


@once
def test_a_sound_notebook_passes_with_another_number_in_its_claim():
    saved = toy()
    saved.cells[2].outputs[0].text = CLAIM.replace("0.25", "0.31")
    assert browser.judge(saved, toy()) == []


def no_claim(notebook):
    notebook.cells[2].outputs = []


def other_requirement(notebook):
    notebook.cells[2].outputs[0].text = CLAIM.replace("size < 1", "size < 2")


def claim_in_another_cell(notebook):
    notebook.cells[3].outputs = notebook.cells[2].outputs
    notebook.cells[2].outputs = []


def failed_claim(notebook):
    notebook.cells[2].outputs[0].text = CLAIM.replace("✔", "✘")


def an_error(notebook):
    error = nbformat.v4.new_output(
        "error", ename="ValueError", evalue="no", traceback=[]
    )
    notebook.cells[2].outputs.append(error)


def not_run(notebook):
    notebook.cells[2].execution_count = None


def run_twice(notebook):
    notebook.cells[2].execution_count = 4


def cut_off(notebook):
    del notebook.cells[2:]


@once
@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (no_claim, "lacks the claim: it is so (required: size < 1)"),
        (other_requirement, "lacks the claim: it is so (required: size < 1)"),
        (claim_in_another_cell, "lacks the claim: it is so (required: size < 1)"),
        (failed_claim, "claims in vain: ✘ it is so"),
        (an_error, "raised ValueError: no"),
        (not_run, "did not run"),
        (run_twice, "ran as number 4"),
    ],
)
def test_the_judge_names_the_cell_and_what_is_wrong(break_it, words):
    saved = toy()
    break_it(saved)
    problems = browser.judge(saved, toy())
    assert any(
        line.startswith("code cell 2 (# second)") and words in line for line in problems
    ), problems


@once
def test_the_judge_notices_missing_cells():
    saved = toy()
    cut_off(saved)
    problems = browser.judge(saved, toy())
    assert any("1 code cells" in line for line in problems)
    assert any("lacks the claim" in line for line in problems)


@once
@pytest.mark.parametrize("wrong", [[], ["code cell 2 (# second) did not run"]])
def test_the_status_is_one_when_a_notebook_fails(monkeypatch, tmp_path, capsys, wrong):
    class Server:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(browser, "missing", lambda: None)
    monkeypatch.setattr(browser, "laboratory", lambda *_: Server())
    monkeypatch.setattr(browser, "one", lambda *_: (wrong, []))
    path = tool.find(["00_start_here"])[:1]
    assert browser.run(path, "jax", tmp_path) == (1 if wrong else 0)
    out = capsys.readouterr().out
    assert "00_start_here (jax)" in out and " s\n" in out
    assert all(line in out for line in wrong)


@once
@pytest.mark.parametrize(
    ("there", "named"), [((), "Chromium is missing"), (("chromium",), "chromedriver")]
)
def test_it_says_what_is_missing_and_how_to_install_it(
    monkeypatch, tmp_path, capsys, there, named
):
    found = {name: f"/usr/bin/{name}" for name in there}
    monkeypatch.setattr(browser.shutil, "which", found.get)
    assert browser.run([], "jax", tmp_path) == 1
    out = capsys.readouterr().out
    assert named in out and "apt install chromium chromium-driver" in out


@once
def test_the_scratch_copy_has_no_outputs_and_leaves_the_course_alone(tmp_path):
    path = tool.find(["00_start_here"])[0]
    before = path.read_bytes()
    browser.scratch_copy(tool.NOTEBOOKS, tmp_path / "notebooks")
    fresh = nbformat.read(tmp_path / "notebooks" / path.name, as_version=4)
    cells = [cell for cell in fresh.cells if cell.cell_type == "code"]
    assert cells
    assert all(not c.outputs and c.execution_count is None for c in cells)
    assert (tmp_path / "notebooks" / "exercise_checks" / "start_here.py").exists()
    assert path.read_bytes() == before


# --- sliders --------------------------------------------------------------------

SLIDERS = ("05_", "08_", "10_", "13_")


def slider_cells(notebook):
    return [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and "from ipywidgets import" in cell.source
    ]


@once
@pytest.mark.parametrize("start", SLIDERS)
def test_a_slider_stands_after_a_picture_and_stores_nothing(start):
    path = tool.find([start])[0]
    notebook = nbformat.read(path, as_version=4)
    ((index, cell),) = slider_cells(notebook)
    assert cell.metadata["tags"] == ["nbval-ignore-output"]
    assert cell.outputs == []  # a reader without a kernel has the picture before it
    headings = [
        i
        for i, c in enumerate(notebook.cells[:index])
        if c.cell_type == "markdown" and re.search(r"(?m)^## ", c.source)
    ]
    section = notebook.cells[headings[-1] : index]
    outputs = [out for c in section for out in c.get("outputs", [])]
    assert any("image/png" in out.get("data", {}) for out in outputs)


@once
def test_the_normal_form_drops_a_widget_with_its_text():
    data = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "0"},
        "text/plain": "interactive(children=(FloatSlider(value=0.5), Output()))",
    }
    cell = code("interact(show)", 1)
    cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert tool.normalize(notebook).cells[0].outputs == []


# --- in the browser -------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, with two toys beside them."""
    folder = tmp_path_factory.mktemp("lab")
    browser.scratch_copy(tool.NOTEBOOKS, folder / "notebooks")
    broken = toy()
    broken.cells[2].source = "# second\nx / 0"
    nbformat.write(broken, folder / "notebooks" / "broken.ipynb")
    nbformat.write(short_denoising(), folder / "notebooks" / "slider.ipynb")
    with browser.laboratory(folder / "notebooks", BACKEND, folder / "lab.log") as lab:
        yield lab


def short_denoising():
    """Notebook 05 up to its slider, trained for one epoch and claiming nothing."""
    notebook = nbformat.read(tool.find(["05_"])[0], as_version=4)
    ((index, _),) = slider_cells(notebook)
    cells = [c for c in notebook.cells[: index + 1] if c.cell_type == "code"]
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
        cell.source = cell.source.replace("quick=50", "quick=1")
    (setup,) = [i for i, c in enumerate(cells) if "import claims" in c.source]
    silent = "claims.check = lambda *values, **bounds: None"
    cells.insert(setup + 1, nbformat.v4.new_code_cell(silent))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


@in_browser
@pytest.mark.skipif(BACKEND not in QUICK, reason="on the tested backends only")
def test_a_notebook_runs_in_the_browser_and_its_claims_hold(lab, tmp_path):
    name = QUICK[BACKEND]
    stored = tool.read(tool.NOTEBOOKS / f"{name}.ipynb")
    assert tool.claims_in(stored)
    wrong, _ = browser.one(lab, name, stored, tmp_path)
    assert wrong == []
    for place in ("top", "figure", "summary"):
        assert (tmp_path / f"{name}_{place}.png").stat().st_size > 5000
    assert lab.kernel_state() == "none"


@once
@in_browser
def test_a_notebook_that_fails_in_the_browser_names_its_cell(lab, tmp_path):
    wrong, _ = browser.one(lab, "broken", toy(), tmp_path)
    assert wrong == [
        "code cell 2 (# second) raised ZeroDivisionError: division by zero"
    ]


PICTURE = """
const cells = [...document.querySelectorAll(".jp-CodeCell")];
const picture = cells.at(-1).querySelector(".jp-OutputArea img");
return picture ? picture.src : null"""


@once
@in_browser
def test_a_slider_is_moved_by_the_keyboard_and_changes_the_picture(lab):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    def picture(other_than=None):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            source = driver.execute_script(PICTURE)
            if source not in (None, other_than):
                return source
            time.sleep(0.1)
        raise AssertionError("the picture does not change")

    path = lab.folder / "slider.ipynb"
    with browser.chromium() as driver:
        browser.open_notebook(driver, lab, "slider.ipynb")
        saved = browser.run_all(driver, lab, path)
        assert browser.judge(saved, saved) == []
        before = picture()
        handle = driver.find_element(By.CSS_SELECTOR, ".widget-slider .noUi-handle")
        driver.execute_script("arguments[0].scrollIntoView()", handle)
        driver.execute_script("arguments[0].focus()", handle)
        assert handle == driver.switch_to.active_element
        value = float(handle.get_attribute("aria-valuenow"))
        handle.send_keys(Keys.ARROW_RIGHT)
        after = picture(other_than=before)
        assert float(handle.get_attribute("aria-valuenow")) > value
        handle.send_keys(Keys.ARROW_LEFT)
        assert picture(other_than=after) == before
    lab.end_kernels()
