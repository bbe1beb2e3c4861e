"""The notebook commands and the settings of nbval, on small notebooks without Keras."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from tools import execute, normal_form, notebooks, seeds

pytestmark = pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] != "tensorflow", reason="no Keras in it: once is enough"
)

# As `aecourse.claims` writes a claim; the seed is in the value.
CLAIM = """\
import os
seed, below = int(os.environ.get("AECOURSE_SEED", 0)), {below}
print(f"{{'✔' if 0.25 + seed < below else '✘'}} it is so "
      f"(required: size < {{below}})  [measured {{0.25 + seed:g}}]")"""


def write(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder that the tools take for that of the notebooks."""
    find = notebooks.find
    monkeypatch.setattr(notebooks, "find", lambda only=(): find(only, tmp_path))
    for name in ("AECOURSE_SEED", "AECOURSE_BUDGET"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- finding --------------------------------------------------------------------


def test_finds_notebooks_by_how_their_names_start(tmp_path):
    for name in ("10_b", "01_a", "solutions/01_a", "solutions/10_b"):
        write(tmp_path / f"{name}.ipynb", "1")
    both = ["01_a", "solutions/01_a"]
    for only, names in (
        ([], ["01_a", "10_b", "solutions/01_a", "solutions/10_b"]),
        (["01"], both),
        (["notebooks/01"], both),
        (["solutions/01"], both[1:]),
        (["10_b.ipynb,solutions/01"], ["10_b", "solutions/01_a", "solutions/10_b"]),
        (["10_b.ipynb", "01"], ["01_a", "10_b", "solutions/01_a", "solutions/10_b"]),
    ):
        found = [notebooks.title(path) for path in notebooks.find(only, tmp_path)]
        assert found == names, only
    with pytest.raises(SystemExit, match="No notebook starts with '02'"):
        notebooks.find(["02"], tmp_path)


# --- the normal form ------------------------------------------------------------


def test_normalizing_is_idempotent_and_keeps_what_counts():
    output = nbformat.v4.new_output
    widget = {
        "application/vnd.jupyter.widget-view+json": {"model_id": "0"},
        "text/plain": "interactive(children=(FloatSlider(value=0.5), Output()))",
    }
    figure = {"image/png": "AAAA\n"}
    outputs = [
        output("stream", name="stdout", text="a\r"),
        output("stream", name="stderr", text="log"),
        output("stream", name="stdout", text="b\n"),
        output("display_data", data=widget),
        output("display_data", data=figure, metadata={"needs_background": "light"}),
    ]
    metadata = {"tags": ["b", "a"], "collapsed": True, "execution": {}}
    code = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("a  \n\n", id="random"),
            nbformat.v4.new_markdown_cell("a"),
            code("1", execution_count=9, metadata=metadata, outputs=outputs),
            code("not executed"),
        ],
        metadata={"widgets": {}, "kernelspec": {"name": "mine", "display_name": "M"}},
    )
    once = normal_form.normalize(notebook)
    again = normal_form.normalize(once)
    assert normal_form.to_text(again) == normal_form.to_text(once)
    first, second, code, unexecuted = once.cells
    assert first.source == second.source == "a"
    assert second.id == first.id + "-2"
    assert code.metadata == {"tags": ["a", "b"]}
    assert code.execution_count == 1 and unexecuted.execution_count is None
    shown = [output.get("text", output.get("data")) for output in code.outputs]
    assert shown == ["b\n", {"image/png": "AAAA"}]
    assert code.outputs[1].metadata == {}
    assert once.metadata.kernelspec.name == "python3" and "widgets" not in once.metadata
    nbformat.validate(once)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "01_toy.ipynb"
    write(path, "1")
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        normal_form.write(path, nbformat.v4.new_notebook())
    assert path.read_bytes() == before


# --- executing ------------------------------------------------------------------


def test_saving_stores_what_a_reader_sees_and_nbval_compares_it(
    shelf, capsys, monkeypatch
):
    toy = shelf / "01_toy.ipynb"
    noise = 'import sys\nprint("a\\rb")\nprint("log", file=sys.stderr)'
    write(toy, CLAIM.format(below=1), noise, "1 + 1")
    write(shelf / "02_bad.ipynb", "x = 1", "# why\nx / 0")
    bad = (shelf / "02_bad.ipynb").read_bytes()
    monkeypatch.setenv("AECOURSE_SEED", "7")  # a reader's setting plays no part
    assert execute.main(["--save"]) == 1
    out = capsys.readouterr().out
    assert "1 claims hold, saved" in out
    assert "dropped from code cell 2, stderr: 'log'" in out
    assert "code cell 2 (# why) raised ZeroDivisionError" in out
    assert "1 of 2 failed: 02_bad" in out
    assert (shelf / "02_bad.ipynb").read_bytes() == bad
    (claim, stream, result) = nbformat.read(toy, as_version=4).cells
    text = "✔ it is so (required: size < 1)  [measured 0.25]\n"
    assert [output.text for output in claim.outputs] == [text]
    assert [output.text for output in stream.outputs] == ["b\n"]
    assert result.outputs[0].data == {"text/plain": "2"}
    before = toy.read_bytes()
    assert execute.main(["--save", "--only", "01"]) == 0
    assert "1 claims hold, unchanged" in capsys.readouterr().out
    assert toy.read_bytes() == before
    monkeypatch.delenv("AECOURSE_SEED")
    passed, failed = nbval(shelf / "project", before.decode())
    assert passed == {"same", "value"}
    assert failed == {"sentence", "threshold", "stdout", "result"}


def nbval(folder, saved):
    """Which changes of a saved notebook pass nbval, with the course's settings."""
    folder.mkdir()
    shutil.copy(notebooks.ROOT / "conftest.py", folder)
    # nbval compares stderr, too, and the saved notebook rightly holds none.
    saved = saved.replace("file=sys.stderr", "file=open('log', 'w')")
    changes = {
        "same": ("", ""),
        "value": ("[measured 0.25]", "[measured 0.7]"),
        "sentence": ("✔ it is so", "✔ it was so"),
        "threshold": ("size < 1)", "size < 2)"),
        "stdout": ('"b\\n"', '"c\\n"'),
        "result": ('"2"', '"3"'),
    }
    for name, (old, new) in changes.items():
        text = saved.replace(old, new) if old else saved
        assert (text != saved) == (name != "same")
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", str(folder), "-q", "-rA"],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "passed" in process.stdout, process.stdout + process.stderr
    bad = {name for name in changes if f"FAILED project/{name}." in process.stdout}
    return changes.keys() - bad, bad


def test_run_reports_each_notebook_and_writes_pages(shelf, capsys, monkeypatch):
    monkeypatch.setattr(execute, "CELL_TIMEOUT", 4)
    write(shelf / "01_good.ipynb", CLAIM.format(below=1), "import os\nos.getcwd()")
    write(shelf / "02_dead.ipynb", "1", "import os\nos._exit(1)")
    write(shelf / "03_slow.ipynb", "import time\ntime.sleep(60)")
    write(shelf / "solutions" / "01_bad.ipynb", "1", "1 / 0", "2")
    (shelf / "04_broken.ipynb").write_text("{", encoding="utf-8")
    assert execute.main(["--build", str(shelf / "build")]) == 1
    out = capsys.readouterr().out
    assert "01_good (tensorflow)" in out and "1 claims hold" in out
    assert "code cell 2 (import os): Kernel died" in out
    assert "code cell 1 (import time): A cell timed out" in out
    assert "code cell 2 (1 / 0) raised ZeroDivisionError" in out
    assert "cannot be read as a notebook" in out
    assert "4 of 5 failed: 02_dead, 03_slow, 04_broken, solutions/01_bad" in out
    page = (shelf / "build" / "01_good.html").read_text(encoding="utf-8")
    assert "it is so" in page and str(shelf) in page
    assert (shelf / "build" / "solutions" / "01_bad.html").exists()


# --- seeds ----------------------------------------------------------------------


def test_seeds_tabulates_claims_and_keeps_other_notebooks(shelf, capsys):
    table = shelf / "claims.md"

    def run(only):
        options = ["--seeds", "0", "2", "--backends", "jax", "--table", str(table)]
        status = seeds.main([*options, "--only", only])
        return status, table.read_text(encoding="utf-8")

    write(shelf / "02_a.ipynb", CLAIM.format(below=3))
    status, text = run("02")
    assert status == 0
    # Values 0.25 and 2.25: mean 1.25, deviation sqrt(2), so (3 - 1.25)/sqrt(2) = 1.2.
    row = "| it is so | size < 3 | 0.25 … 2.25 | 2/2 | 1.2 sd |"
    assert row in text and "Seeds 0, 2; keras 3." in text and "; jax 0." not in text
    assert ", jax 0." in text

    answer = "print('exercise 1:', 'correct' if seed == 0 else 'a hint')"
    broken = "raise ValueError(1) if seed else KeyError(0)"
    solution = shelf / "solutions" / "01_b.ipynb"
    write(solution, CLAIM.format(below=2), answer, broken, "print('after')")
    status, both = run("01")
    assert status == 1
    assert row in both
    assert "| it is so | size < 2 | 0.25 … 2.25 | 1/2 | 0.5 sd |" in both
    assert "- jax, seed 0: code cell 3 raised KeyError: 0" in both
    assert "- jax, seed 2: code cell 2: exercise 1 says 'a hint'" in both
    assert both.index("## 02_a") < both.index("## solutions/01_b")
    assert "1 of 1 failed: solutions/01_b" in capsys.readouterr().out

    write(solution, CLAIM.format(below=9))
    _, repaired = run("01")
    assert row in repaired and "Failed" not in repaired and "size < 2" not in repaired


def test_margin_counts_deviations_to_the_nearest_bound():
    for values, required, margin in (
        ([1, 2, 3], "size < 4", "2.0 sd"),
        ([1, 2, 3], "size > 1 nats", "1.0 sd"),
        ([1, 2, 3], "0.5 < log of a thing < 4 dB", "1.5 sd"),
        ([1, 2, 3], "size < 1e+03", "998.0 sd"),
        ([1, 2, 3], "size < 1", "-1.0 sd"),
        ([1, 1], "size < 4", "no spread"),
        ([1], "size < 4", "–"),
        ([1, float("nan")], "size < 4", "–"),
    ):
        assert seeds.margin(values, required) == margin, (values, required)
