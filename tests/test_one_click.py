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

from tools import notebooks as tool

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "jax", reason="no Keras in it: once is enough"
)

ADDRESS = "https://github.com/ada/nets"


def toy():
    cells = [
        nbformat.v4.new_markdown_cell("# 1. A toy\n\n```\na\n\n\nb\n```\n\nThe idea."),
        nbformat.v4.new_markdown_cell("## Setup"),
        nbformat.v4.new_code_cell("import aecourse", execution_count=1),
        nbformat.v4.new_code_cell(
            "1 + 1",
            execution_count=2,
            outputs=[
                nbformat.v4.new_output(
                    "execute_result", data={"text/plain": "2"}, execution_count=2
                )
            ],
        ),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def placed(notebook, address=ADDRESS, name="01_toy"):
    return tool.normalize(tool.place_address(notebook, name, address))


# --- the address ----------------------------------------------------------------


def test_reads_the_address_from_pyproject():
    text = (tool.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert tool.repository() in text


@pytest.mark.parametrize(
    "address", ["https://github.com/ada/nets/", "git@github.com:ada/nets", "ada/nets"]
)
def test_refuses_an_address_of_another_form(address, tmp_path, monkeypatch):
    text = f'[project.urls]\nRepository = "{address}"\n'
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="Received: Repository='"):
        tool.repository()


def test_places_links_last_in_the_first_cell_and_the_colab_cell_before_all_code():
    notebook = placed(toy())
    first, setup, colab, course, sum_ = notebook.cells
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


def test_placing_again_changes_nothing_and_another_address_replaces_the_first():
    text = tool.to_text(placed(toy()))
    assert tool.to_text(placed(placed(toy()))) == text
    moved = tool.to_text(placed(placed(toy(), "https://github.com/eva/course")))
    assert moved == text


def test_an_unexecuted_notebook_stays_so():
    notebook = toy()
    notebook.cells[2].execution_count = None
    assert placed(notebook).cells[2].execution_count is None


def test_writes_the_address_into_every_file_that_names_it(tmp_path, monkeypatch):
    for name in ("pyproject.toml", "CITATION.cff"):
        shutil.copy(tool.ROOT / name, tmp_path)
    line = tool.links("00_start_here", tool.repository())
    (tmp_path / "README.md").write_text(f"# A\n\n{line}\n\nB\n", encoding="utf-8")
    path = tmp_path / "pyproject.toml"
    text = path.read_text(encoding="utf-8").replace(tool.repository(), ADDRESS)
    path.write_text(text, encoding="utf-8")
    (tmp_path / "solutions").mkdir()
    notebooks = [tmp_path / "01_toy.ipynb", tmp_path / "solutions" / "01_toy.ipynb"]
    for path in notebooks:
        nbformat.write(toy(), path)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert tool.main(["address", "--folder", str(tmp_path)]) == 0
    for path in [*notebooks, tmp_path / "README.md"]:
        text = path.read_text(encoding="utf-8")
        assert "github/ada/nets/blob/main/notebooks/" in text
        assert tool.repository() == ADDRESS and "OWNER" not in text
    citation = (tmp_path / "CITATION.cff").read_text(encoding="utf-8")
    assert f'repository-code: "{ADDRESS}"\n' in citation
    assert "notebooks/solutions/01_toy" in notebooks[1].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff"])
def test_the_files_beside_the_notebooks_are_up_to_date(name):
    text = (tool.ROOT / name).read_text(encoding="utf-8")
    assert tool.place_links(text, tool.repository()) == text


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
    if git is None or not (tool.ROOT / ".git").exists():
        pytest.skip("not in a git checkout")
    bare = folder / "remote.git"
    subprocess.run([git, "clone", "-q", "--bare", tool.ROOT, bare], check=True)
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
    process = subprocess.run(
        [str(python), "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return process.returncode, process.stdout + process.stderr


LOOK = """
import aecourse, exercise_checks, pathlib
root = pathlib.Path(aecourse.__file__).parents[1]
print("course:", root, (root / "data" / "README.md").exists(), os.getcwd())
print("checks:", pathlib.Path(exercise_checks.__file__).parent)
"""


def test_the_cell_fetches_the_course_in_colab(colab, tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    cell = tool.colab_cell(colab[1])
    missing, _ = run_cells(colab, folder, "import aecourse")
    assert missing == 1  # the course is not there beforehand
    # Twice in one kernel, then in a kernel that was restarted.
    for cells in ([cell, LOOK, cell, LOOK], [cell, LOOK]):
        status, output = run_cells(colab, folder, *cells)
        assert status == 0, output
        clone = folder / "aecourse"
        seen = f"course: {clone} True {clone / 'notebooks'}"
        assert output.count(seen) == (len(cells) // 2)
        assert f"checks: {clone / 'notebooks' / 'exercise_checks'}" in output
    # Fetched once, and not again inside itself.
    assert os.listdir(folder) == ["aecourse"]
    assert not (clone / "notebooks" / "aecourse").exists()
    # What pip installed is the clone: the next kernel finds it from any folder.
    look = "import aecourse; print(aecourse.__file__)"
    status, output = run_cells(colab, tmp_path, look)
    assert status == 0 and str(clone / "aecourse") in output, output


def test_the_cell_does_nothing_elsewhere(colab, tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    cell = tool.colab_cell(colab[1])
    status, output = run_cells(colab, folder, cell, in_colab=False)
    assert (status, output) == (0, "moved: False\n")
    assert os.listdir(folder) == []


def test_the_cell_fetches_nothing_where_the_course_is(colab, tmp_path):
    (tmp_path / "exercise_checks").mkdir()
    status, output = run_cells(colab, tmp_path, tool.colab_cell(colab[1]))
    assert (status, output) == (0, "moved: False\n")


def test_a_wrong_address_stops_at_the_cell_with_git_s_words(colab, tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    status, output = run_cells(colab, folder, tool.colab_cell(f"file://{tmp_path}/no"))
    assert status == 1
    assert "not appear to be a git repository" in output
    assert "FileNotFoundError" in output


def test_installing_in_colab_asks_for_no_backend():
    # Colab has its own TensorFlow and JAX, with its own drivers.
    text = (tool.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = [
        re.match(r"[\w-]+", one)[0]
        for one in tomllib.loads(text)["project"]["dependencies"]
    ]
    assert "keras" in names
    assert not {"tensorflow", "tensorflow-cpu", "jax", "jaxlib", "torch"} & set(names)


# --- Binder ---------------------------------------------------------------------


def test_the_environment_is_what_binder_builds():
    yaml = pytest.importorskip("yaml")
    text = (tool.ROOT / "environment.yml").read_text(encoding="utf-8")
    environment = yaml.safe_load(text)
    *conda, pip = environment["dependencies"]
    # repo2docker reads `python=3.12` with one `=`, and stages the whole repository
    # before it installs, as `-r` and `-e` name local files.
    assert re.fullmatch(r"python=3\.1[123]", conda[0]) and "pip" in conda
    assert pip == {"pip": ["-r requirements.txt", "-e ."]}
    assert (tool.ROOT / "requirements.txt").exists()
    # Either of these folders would hide the file.
    assert not (tool.ROOT / "binder").exists() and not (tool.ROOT / ".binder").exists()
