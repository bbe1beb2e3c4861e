"""The address of the repository is written once; Colab and Binder find the course."""

import os
import re
import shutil
import site
import subprocess
import tomllib
import venv

import nbformat
import pytest

from tools import address, normal_form, notebooks

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "jax", reason="no Keras in it: once is enough"
)

ADDRESS = "https://github.com/ada/nets"


def toy(executed=True):
    counts = (1, 2) if executed else (None, None)
    code = nbformat.v4.new_code_cell
    two = nbformat.v4.new_output(
        "execute_result", data={"text/plain": "2"}, execution_count=2
    )
    cells = [
        nbformat.v4.new_markdown_cell("# 1. A toy\n\n```\na\n\n\nb\n```\n\nThe idea."),
        nbformat.v4.new_markdown_cell("## Setup"),
        code("import aecourse", execution_count=counts[0]),
        code("1 + 1", execution_count=counts[1], outputs=[two] if executed else []),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def placed(notebook, where=ADDRESS):
    return normal_form.normalize(address.place_address(notebook, "01_toy", where))


# --- the address ----------------------------------------------------------------


def test_places_links_last_in_the_first_cell_and_the_colab_cell_before_all_code():
    first, setup, colab, course, sum_ = placed(toy()).cells
    text, _, line = first.source.rpartition("\n\n")
    assert text == toy().cells[0].source
    assert line == (
        "Run without installing: [Colab](https://colab.research.google.com/github/"
        "ada/nets/blob/main/notebooks/01_toy.ipynb) · [Binder](https://mybinder.org/"
        "v2/gh/ada/nets/main?urlpath=lab/tree/notebooks/01_toy.ipynb)"
    )
    assert setup.source == "## Setup" and course.source == "import aecourse"
    assert f'"{ADDRESS}"' in colab.source
    # As if it had been executed with the others.
    assert [cell.execution_count for cell in (colab, course, sum_)] == [1, 2, 3]
    assert sum_.outputs[0].execution_count == 3
    assert colab.outputs == []
    assert placed(toy(executed=False)).cells[2].execution_count is None


def test_placing_again_changes_nothing_and_another_address_replaces_the_first():
    text = normal_form.to_text(placed(toy()))
    assert normal_form.to_text(placed(placed(toy()))) == text
    elsewhere = placed(toy(), "https://github.com/eva/course")
    assert "eva/course" in normal_form.to_text(elsewhere)
    assert normal_form.to_text(placed(elsewhere)) == text


def test_writes_the_address_into_every_file_that_names_it(tmp_path, monkeypatch):
    old = address.repository()
    for name in ("pyproject.toml", "CITATION.cff", "README.md"):
        text = (notebooks.ROOT / name).read_text(encoding="utf-8")
        if name != "pyproject.toml":  # the two in the repository are up to date
            assert address.place_links(text, old) == text
        else:
            text = text.replace(old, ADDRESS)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "solutions").mkdir()
    paths = [tmp_path / "01_toy.ipynb", tmp_path / "solutions" / "01_toy.ipynb"]
    for path in paths:
        nbformat.write(toy(), path)
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "find", lambda only: paths)
    assert address.main([]) == 0
    for path in [*paths, tmp_path / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert "github/ada/nets/blob/main/notebooks/" in text and "OWNER" not in text
    citation = (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    assert f'repository-code: "{ADDRESS}"\n' in citation
    assert "notebooks/solutions/01_toy" in paths[1].read_text(encoding="utf-8")


# --- Colab ----------------------------------------------------------------------

PROGRAM = """
import os
import sys
import types

{in_colab}
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
before = os.getcwd(), list(sys.path)
for cell in {cells!r}:
    result = shell.run_cell(cell)
    result.raise_error()
print("moved:", (os.getcwd(), sys.path) != before)
"""
FAKE = 'sys.modules["google.colab"] = types.ModuleType("google.colab")'


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python with the packages of this one but not the course, and a repository."""
    folder = tmp_path_factory.mktemp("colab")
    git = shutil.which("git")
    if git is None or not (notebooks.ROOT / ".git").exists():
        pytest.skip("not in a git checkout")
    bare = folder / "remote.git"
    subprocess.run([git, "clone", "-q", "--bare", notebooks.ROOT, bare], check=True)
    venv.create(folder / "python", with_pip=False, symlinks=True)
    (packages,) = (folder / "python").glob("lib/python*/site-packages")
    # A path in a .pth file: the .pth files there, the course's among them, are not
    # read, so that it is missing as it is in Colab.
    paths = [path for path in site.getsitepackages() if os.path.isdir(path)]
    (packages / "others.pth").write_text("\n".join(paths), encoding="utf-8")
    return folder / "python" / "bin" / "python", bare.as_uri()


def run_cells(colab, folder, *cells, in_colab=True):
    """Run cells as a notebook does; pip takes nothing from the network."""
    python, _ = colab
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment |= {
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",  # those that are missing in Colab come with pip there
        "PIP_NO_BUILD_ISOLATION": "0",  # which pip takes for: without isolation
        "IPYTHONDIR": str(folder.parent / "ipython"),
    }
    program = PROGRAM.format(in_colab=FAKE if in_colab else "", cells=cells)
    folder.mkdir(exist_ok=True)
    process = subprocess.run(
        [str(python), "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return process.returncode, process.stdout + process.stderr


# Found without importing: the course's packages are not what is tested.
LOOK = """
import importlib.util, os, pathlib
course = importlib.util.find_spec("aecourse")
root = pathlib.Path(course.origin).parents[1] if course else None
print("course:", root, course and (root / "data" / "README.md").exists(), os.getcwd())
checks = importlib.util.find_spec("exercise_checks")
print("checks:", checks and checks.origin)
"""


def test_the_cell_fetches_the_course_in_colab_and_once(colab, tmp_path):
    folder = tmp_path / "content"
    cell = address.colab_cell(colab[1])
    status, output = run_cells(colab, folder, LOOK)
    assert status == 0 and "course: None" in output  # it is not there beforehand
    clone = folder / "aecourse"
    # Twice in one kernel, then in a kernel that was restarted.
    for cells in ([cell, LOOK, cell, LOOK], [cell, LOOK]):
        status, output = run_cells(colab, folder, *cells)
        assert status == 0, output
        seen = f"course: {clone} True {clone / 'notebooks'}"
        assert output.count(seen) == (len(cells) // 2), output
        assert f"checks: {clone / 'notebooks' / 'exercise_checks'}" in output
    # Fetched once, and not again inside itself.
    assert os.listdir(folder) == ["aecourse"]
    assert not (clone / "notebooks" / "aecourse").exists()
    # What pip installed is the clone: the next kernel finds it from any folder.
    status, output = run_cells(colab, tmp_path, LOOK)
    assert status == 0 and f"course: {clone} True" in output, output


def test_the_cell_does_nothing_elsewhere_and_stops_at_a_wrong_address(colab, tmp_path):
    folder = tmp_path / "content"
    cell = address.colab_cell(colab[1])
    still = (0, "moved: False\n")
    assert run_cells(colab, folder, cell, in_colab=False) == still
    assert os.listdir(folder) == []
    wrong = address.colab_cell(f"file://{tmp_path}/no")
    status, output = run_cells(colab, folder, wrong)
    assert status == 1 and "FileNotFoundError" in output
    assert "not appear to be a git repository" in output
    # Where the course is, nothing is fetched: notebooks/ is the folder.
    for path in (notebooks.ROOT / "notebooks").glob("exercise_checks*"):
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, folder / path.name)
    assert run_cells(colab, folder, cell) == still


# --- Binder ---------------------------------------------------------------------


def test_colab_and_binder_install_what_they_should():
    # Colab has its own TensorFlow and JAX, with its own drivers.
    text = (notebooks.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = tomllib.loads(text)["project"]["dependencies"]
    names = {re.match(r"[\w-]+", one)[0] for one in needed}
    assert "keras" in names
    assert not {"tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch"} & names

    yaml = pytest.importorskip("yaml")
    text = (notebooks.ROOT / "environment.yml").read_text(encoding="utf-8")
    *conda, pip = yaml.safe_load(text)["dependencies"]
    # repo2docker reads `python=3.12` with one `=`, and stages the whole repository
    # before it installs, as `-r` and `-e` name local files.
    assert re.fullmatch(r"python=3\.1[123]", conda[0]) and "pip" in conda
    assert pip == {"pip": ["-r requirements.txt", "-e ."]}
    assert (notebooks.ROOT / "requirements.txt").exists()
    # Either of these folders would hide the file.
    assert not list(notebooks.ROOT.glob("binder")) + list(
        notebooks.ROOT.glob(".binder")
    )
