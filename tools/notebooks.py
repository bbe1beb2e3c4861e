"""Run the course's notebooks without a browser.

    python tools/notebooks.py run        execute, write HTML pages to build/
    python tools/notebooks.py save       execute on the reference backend, store outputs
    python tools/notebooks.py normalize  rewrite in normal form without executing
    python tools/notebooks.py seeds      execute over seeds, tabulate the claims
    python tools/notebooks.py address    write the repository's address everywhere

The verbs of the Makefile call it. Each notebook runs in its own folder, in a kernel of
the Python that runs this file, whatever kernels the machine knows besides.
"""

import argparse
import base64
import collections
import datetime
import hashlib
import importlib.metadata
import io
import math
import os
import platform
import re
import statistics
import sys
import time
import tomllib
from pathlib import Path

import ipykernel.kernelspec
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import (
    CellExecutionError,
    CellTimeoutError,
    DeadKernelError,
)
from PIL import Image, UnidentifiedImageError

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BACKENDS = ("jax", "tensorflow", "torch")

# The backend whose outputs are stored: the default, and the one that saves fastest.
REFERENCE_BACKEND = "jax"

# Seconds for one cell; none for the full budget.
CELL_TIMEOUT = 600

# A claim as `aecourse.claims` writes it, whether it holds or not.
CLAIM = re.compile(
    r"^(?P<mark>[✔✘]) (?P<sentence>.*) \(required: (?P<required>.*)\)"
    r"  \[measured (?P<value>[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan))"
    r"(?P<unit>[^\[\]]*)\]$",
    re.MULTILINE,
)
WIDGET = "application/vnd.jupyter.widget"
EXERCISE = re.compile(r"^exercise (\d+): (.*)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class NotebookFailure(Exception):
    """A notebook did not run to its end; the text names the cell."""


# --- which notebooks ------------------------------------------------------------


def find(only=(), folder=NOTEBOOKS):
    """List the notebooks, worked solutions last, or those whose names start as asked.

    Args:
        only: strings such as "01", "01_linear", "solutions/01" or a path.
        folder: where the notebooks and their `solutions` folder are.
    """
    found = sorted(folder.glob("*.ipynb")) + sorted(folder.glob("solutions/*.ipynb"))
    if not only:
        return found
    chosen = []
    for start in only:
        start = start.removeprefix("./").removeprefix("notebooks/")
        matches = [
            path
            for path in found
            if path.name.startswith(start)
            or path.relative_to(folder).as_posix().startswith(start)
        ]
        if not matches:
            raise SystemExit(f"No notebook starts with {start!r}.")
        chosen += matches
    return [path for path in found if path in chosen]


def title(path):
    """`01_linear_autoencoder_is_pca` or `solutions/01_linear_autoencoder_is_pca`."""
    in_solutions = path.parent.name == "solutions"
    return ("solutions/" if in_solutions else "") + path.stem


# --- executing ------------------------------------------------------------------


class _ThisPython(KernelSpecManager):
    """Answers every kernel name with the Python that runs this file."""

    def get_kernel_spec(self, kernel_name):
        spec = ipykernel.kernelspec.get_kernel_dict()
        return KernelSpec(resource_dir=ipykernel.kernelspec.RESOURCES, **spec)


class _KernelManager(AsyncKernelManager):
    def __init__(self, **kwargs):
        super().__init__(kernel_spec_manager=_ThisPython(), **kwargs)


def execute(notebook, folder, environment=None, allow_errors=False):
    """Execute a notebook in place, in `folder`, with variables added to the process's.

    Raises:
        NotebookFailure: naming the code cell that failed, unless `allow_errors`.
    """
    variables = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    for name, value in (environment or {}).items():
        variables[name] = value
    timeout = None if variables.get("AECOURSE_BUDGET") == "full" else CELL_TIMEOUT
    started = []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        kernel_manager_class=_KernelManager,
        resources={"metadata": {"path": str(folder)}},
        timeout=timeout,
        allow_errors=allow_errors,
        # A kernel on this machine warns that its local connection is not encrypted.
        extra_arguments=["--IPKernelApp.log_level=40"],
        on_cell_execute=lambda cell, cell_index: started.append(cell_index),
    )
    try:
        client.execute(env=variables)
    except CellTimeoutError as error:
        raise NotebookFailure(
            f"{_place(notebook, started)} took longer than {timeout} s"
        ) from error
    except DeadKernelError as error:
        raise NotebookFailure(
            f"{_place(notebook, started)} ended the kernel (out of memory?)"
        ) from error
    except CellExecutionError as error:
        text = f"{error.ename}: {ANSI.sub('', error.evalue)}".strip()
        raise NotebookFailure(f"{_place(notebook, started)} raised {text}") from error
    return notebook


def _place(notebook, started):
    """Name the cell that was running: its number among code cells, its first line."""
    if not started:
        return "the kernel's start"
    index = started[-1]
    number = sum(cell.cell_type == "code" for cell in notebook.cells[: index + 1])
    lines = notebook.cells[index].source.strip().splitlines() or [""]
    return f"code cell {number} ({lines[0].strip()})"


def claims_in(notebook):
    """List the claims in a notebook's outputs: (code cell, match of `CLAIM`)."""
    found = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stdout":
                text = output.text
            elif output.output_type == "error" and output.ename == "ClaimError":
                text = output.evalue
            else:
                continue
            found += [(number, match) for match in CLAIM.finditer(text)]
    return found


# --- the normal form ------------------------------------------------------------


def normalize(notebook):
    """Return a copy of a notebook in the one form in which it is committed.

    Nothing that differs between two executions or two editors is kept: stderr, widget
    state, cell metadata but tags, versions. A cell's id is a hash of its text, so it
    moves with the cell, and a text edited after the last save is noticed.
    """
    result = nbformat.v4.new_notebook()
    result.nbformat, result.nbformat_minor = 4, 5
    result.metadata = nbformat.from_dict(
        {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {
                "file_extension": ".py",
                "mimetype": "text/x-python",
                "name": "python",
                "pygments_lexer": "ipython3",
            },
        }
    )
    count = 0
    seen = {}
    for cell in notebook.cells:
        copy = nbformat.from_dict(
            {"cell_type": cell.cell_type, "source": _tidy(cell.source), "metadata": {}}
        )
        tags = sorted(set(cell.metadata.get("tags", [])))
        if tags:
            copy.metadata["tags"] = tags
        digest = hashlib.sha256(f"{cell.cell_type}\n{copy.source}".encode()).hexdigest()
        seen[digest] = seen.get(digest, 0) + 1
        repeated = f"-{seen[digest]}" if seen[digest] > 1 else ""
        copy.id = digest[:12] + repeated
        if cell.cell_type == "code":
            count += 1
            executed = cell.get("execution_count") is not None
            copy.execution_count = count if executed else None
            copy.outputs = _normal_outputs(cell.get("outputs", []), copy)
        if cell.get("attachments"):
            copy.attachments = cell.attachments
        result.cells.append(copy)
    return result


def _tidy(source):
    return "\n".join(line.rstrip() for line in source.rstrip().split("\n"))


def _compact(encoded):
    """A PNG in 256 colors, a third of the size; one that is so already is kept."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    except UnidentifiedImageError:
        return encoded
    if image.mode == "P":
        return encoded
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A") if "A" in image.mode else None)
    compact = io.BytesIO()
    paper.quantize(256, dither=Image.Dither.NONE).save(compact, "png", optimize=True)
    return base64.b64encode(compact.getvalue()).decode("ascii")


def _normal_outputs(outputs, cell):
    kept = []
    for output in outputs:
        output = nbformat.from_dict(output)
        kind = output.output_type
        if kind == "stream":
            if output.name == "stderr":
                continue
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
                continue
        elif kind in ("display_data", "execute_result"):
            if any(name.startswith(WIDGET) for name in output.data):
                continue  # without a kernel it is only the text of its repr
            if "image/png" in output.data:
                png = output.data["image/png"].strip()
                output.data["image/png"] = _compact(png)
            output.metadata = {}
            output.pop("transient", None)
            if kind == "execute_result":
                output.execution_count = cell.execution_count
        kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            # As nbval does before it compares: what a progress bar wrote last stays.
            output.text = re.sub(r"(?m)^.*\r(?=[^\n])", "", output.text)
    return kept


def to_text(notebook):
    """Serialize a notebook; equal notebooks give equal bytes."""
    return nbformat.writes(
        notebook, indent=1, sort_keys=True, ensure_ascii=False
    ).rstrip("\n") + ("\n")


def write(path, notebook):
    """Write a notebook whole or not at all; leave an equal file untouched."""
    text = to_text(notebook)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    partial = path.with_suffix(".ipynb.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
    return True


def read(path):
    """Read a notebook as nbformat 4, saying which file it is when that fails."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise NotebookFailure(f"cannot be read as a notebook: {error}") from error


# --- one address ----------------------------------------------------------------

_LINKS = "Run without installing: "

_COLAB = """\
# In Colab this cell fetches the course; elsewhere it does nothing.
import os
import sys

in_colab = "google.colab" in sys.modules
if in_colab and not os.path.exists("exercise_checks.py"):
    address = "{address}"
    if not os.path.exists("aecourse"):
        !git clone -q --depth 1 $address aecourse
    %pip install -q -e "aecourse[course]"
    os.chdir("aecourse/notebooks")
    # A package installed like this is found by the next kernel only.
    sys.path[:0] = [os.path.abspath(".."), os.getcwd()]"""


def repository():
    """The address of the course: `[project.urls] Repository` in pyproject.toml.

    The one place where it is written by hand; all others are written by `address`.
    """
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    address = tomllib.loads(text)["project"]["urls"]["Repository"]
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]*[\w-]", address):
        raise SystemExit(
            "`[project.urls] Repository` in pyproject.toml must read "
            f"https://github.com/OWNER/NAME. Received: Repository={address!r}"
        )
    return address


def links(name, address):
    """The line under a notebook's first words that opens it in a hosted JupyterLab."""
    place, file = address.removeprefix("https://github.com/"), f"notebooks/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{place}/blob/main/{file}"
    binder = f"https://mybinder.org/v2/gh/{place}/main?urlpath=lab/tree/{file}"
    return f"{_LINKS}[Colab]({colab}) · [Binder]({binder})"


def colab_cell(address):
    """The source of the cell that fetches the course in Colab."""
    return _COLAB.format(address=address)


def place_address(notebook, name, address):
    """Put links and Colab cell into a notebook, in place of those that are there.

    The links end the first cell, after the title. The Colab cell is the first code
    cell, before the one that imports the course. It shows nothing, so that an executed
    notebook need not be executed again.
    """
    first = notebook.cells[0]
    paragraphs = first.source.rstrip().split("\n\n")
    paragraphs = [text for text in paragraphs if not text.startswith(_LINKS)]
    first.source = "\n\n".join([*paragraphs, links(name, address)])
    comment = _COLAB.splitlines()[0]
    cells = [cell for cell in notebook.cells if not cell.source.startswith(comment)]
    start = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    cell = nbformat.v4.new_code_cell(colab_cell(address))
    if cells[start].execution_count is not None:
        cell.execution_count = 1
    notebook.cells = [*cells[:start], cell, *cells[start:]]
    return notebook


def place_links(text, address):
    """Renew the line of links in the README, the address in CITATION.cff."""
    line = re.escape(_LINKS) + r"\[.*"
    text = re.sub(rf"(?m)^{line}", links("00_start_here", address), text)
    return re.sub(r"(?m)^repository-code: .*", f'repository-code: "{address}"', text)


# --- the verbs ------------------------------------------------------------------


def _announce(text):
    print(f"{text:<58}", end=" ", flush=True)


def _seconds(start):
    return f"{time.monotonic() - start:5.0f} s"


def run(paths, backend, build):
    """Execute notebooks, write an HTML page of each, report each in one line."""
    from nbconvert import HTMLExporter

    failed = []
    for path in paths:
        _announce(f"{title(path)} ({backend})")
        start = time.monotonic()
        notebook, problem = None, None
        try:
            notebook = read(path)
            execute(notebook, path.parent, {"KERAS_BACKEND": backend})
        except NotebookFailure as failure:
            problem = failure
        if notebook is not None:  # a page of a failed notebook shows where it failed
            target = build / f"{title(path)}.html"
            target.parent.mkdir(parents=True, exist_ok=True)
            page, _ = HTMLExporter().from_notebook_node(
                notebook, resources={"metadata": {"name": path.stem}}
            )
            target.write_text(page, encoding="utf-8")
        if problem is None:
            count = sum(match["mark"] == "✔" for _, match in claims_in(notebook))
            print(f"{count:3d} claims checked {_seconds(start)}", flush=True)
        else:
            print(f"FAILED {_seconds(start)}\n    {problem}", flush=True)
            failed.append(title(path))
    _finish(failed, len(paths), f"executed; pages in {build}")
    return 1 if failed else 0


def save(paths):
    """Execute notebooks and store them in normal form; a failing one stays as it is."""
    environment = {
        "KERAS_BACKEND": REFERENCE_BACKEND,
        "AECOURSE_SEED": "0",
        "AECOURSE_BUDGET": "quick",
    }
    failed = []
    for path in paths:
        _announce(f"{title(path)} ({REFERENCE_BACKEND})")
        start = time.monotonic()
        try:
            notebook = read(path)
            execute(notebook, path.parent, environment)
        except NotebookFailure as failure:
            print(f"FAILED {_seconds(start)}\n    {failure}", flush=True)
            failed.append(title(path))
            continue
        changed = write(path, normalize(notebook))
        count = len(claims_in(notebook))
        state = "saved" if changed else "unchanged"
        print(f"{count:3d} claims {state} {_seconds(start)}", flush=True)
        for number, text in _stderr_of(notebook):
            print(f"    dropped from code cell {number}, stderr: {text[:200]!r}")
    _finish(failed, len(paths), "saved in normal form")
    return 1 if failed else 0


def _stderr_of(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                yield number, output.text.strip()


def normalize_files(paths):
    """Rewrite notebooks in normal form without executing them."""
    failed = []
    for path in paths:
        try:
            if write(path, normalize(read(path))):
                print(f"{title(path)} rewritten in normal form")
        except NotebookFailure as failure:
            print(f"{title(path)} {failure}")
            failed.append(title(path))
    return 1 if failed else 0


def write_address(paths, address):
    """Write the address of the repository into notebooks, README and citation."""
    failed = []
    for path in paths:
        try:
            notebook = place_address(read(path), title(path), address)
            if write(path, normalize(notebook)):
                print(f"{title(path)} points to {address}")
        except NotebookFailure as failure:
            print(f"{title(path)} {failure}")
            failed.append(title(path))
    for path in (ROOT / "README.md", ROOT / "CITATION.cff"):
        text = path.read_text(encoding="utf-8")
        if place_links(text, address) != text:
            path.write_text(place_links(text, address), encoding="utf-8", newline="\n")
            print(f"{path.name} points to {address}")
    return 1 if failed else 0


def _finish(failed, total, done):
    if failed:
        print(f"\n{len(failed)} of {total} failed: {', '.join(failed)}")
    else:
        print(f"\n{total} notebooks {done}")


# --- claims over seeds ----------------------------------------------------------


def seeds(paths, seed_list, backends, table):
    """Execute notebooks over seeds and backends; tabulate what each claim measured."""
    failed = []
    sections = {}
    for path in paths:
        measured = {}
        problems = []
        for backend in backends:
            for seed in seed_list:
                _announce(f"{title(path)} ({backend}, seed {seed})")
                start = time.monotonic()
                trouble = _one_seed(path, backend, seed, measured)
                problems += [f"{backend}, seed {seed}: {line}" for line in trouble]
                state = "FAILED" if trouble else "holds "
                print(f"{state} {_seconds(start)}", flush=True)
                for line in trouble:
                    print(f"    {line}", flush=True)
        if problems:
            failed.append(title(path))
        if measured or problems:
            sections[title(path)] = _section(
                title(path), measured, problems, seed_list, backends
            )
        _write_table(table, sections)
    _finish(failed, len(paths), f"hold over seeds {seed_list}; table in {table}")
    return 1 if failed else 0


def _one_seed(path, backend, seed, measured):
    """Execute once, add to `measured` what was claimed; return what went wrong."""
    environment = {"KERAS_BACKEND": backend, "AECOURSE_SEED": str(seed)}
    try:
        notebook = read(path)
        execute(notebook, path.parent, environment, allow_errors=True)
    except NotebookFailure as failure:
        return [str(failure)]
    trouble = []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                text = ANSI.sub("", f"{output.ename}: {output.evalue}")
                trouble.append(f"code cell {number} raised {text}")
            elif output.output_type == "stream" and path.parent.name == "solutions":
                trouble += [
                    f"code cell {number}: exercise {exercise} says {verdict!r}"
                    for exercise, verdict in EXERCISE.findall(output.text)
                    if verdict != "correct"
                ]
    seen = collections.Counter()
    for _, match in claims_in(notebook):
        claim = (match["sentence"], match["required"])
        seen[claim] += 1  # a sentence repeated in a notebook is another claim
        entry = measured.setdefault(
            (*claim, seen[claim]), {"unit": match["unit"], "runs": []}
        )
        entry["runs"].append(
            (backend, seed, float(match["value"]), match["mark"] == "✔")
        )
    return trouble


def _section(name, measured, problems, seed_list, backends):
    """One notebook's part of the table, as Markdown lines."""
    runs = len(seed_list) * len(backends)
    columns = [f"{backend}: min … max" for backend in backends]
    header = ["claim", "required", *columns, "holds", "margin"]
    lines = [
        f"## {name}",
        "",
        f"Seeds {', '.join(map(str, seed_list))}; {_versions(backends)}; "
        f"{_machine()}; {datetime.date.today().isoformat()}.",
        "",
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
    ]
    for (sentence, required, _), entry in measured.items():
        cells = [sentence, required]
        for backend in backends:
            values = [value for name, _, value, _ in entry["runs"] if name == backend]
            cells.append(_range(values, entry["unit"]))
        held = sum(holds for _, _, _, holds in entry["runs"])
        cells.append(f"{held}/{runs}")
        cells.append(_margin([run[2] for run in entry["runs"]], required))
        cells = [cell.replace("|", "\\|") for cell in cells]
        lines.append("| " + " | ".join(cells) + " |")
    if problems:
        lines += ["", "Failed:", ""]
        lines += [f"- {' '.join(problem.split())}" for problem in problems]
    return "\n".join(lines) + "\n"


def _range(values, unit):
    if not values:
        return "–"
    low, high = min(values), max(values)
    return f"{low:g}{unit}" if low == high else f"{low:g} … {high:g}{unit}"


def _margin(values, required):
    """Standard deviations over all runs from the nearest bound to their mean."""
    number = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
    above = re.findall(rf"^{number} < ", required)
    above += re.findall(rf" > {number}[^<>]*$", required)
    below = re.findall(rf" < {number}[^<>]*$", required)
    if len(values) < 2 or not all(map(math.isfinite, values)) or not above + below:
        return "–"
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    if deviation == 0:
        return "no spread"
    room = [mean - float(bound) for bound in above]
    room += [float(bound) - mean for bound in below]
    return f"{min(room) / deviation:.1f} sd"


def _versions(backends):
    parts = [f"Keras {importlib.metadata.version('keras')}"]
    for backend in backends:
        names = [backend, "tensorflow-cpu"] if backend == "tensorflow" else [backend]
        for name in names:
            try:
                parts.append(f"{backend} {importlib.metadata.version(name)}")
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return ", ".join(parts)


def _machine():
    python = platform.python_version()
    return f"{os.cpu_count()} {platform.machine()} cores, Python {python}"


_PREFACE = """\
# The claims over seeds

Written by `make seeds`, which executes the notebooks once for each backend and each
value of `AECOURSE_SEED`. A notebook's part is replaced when it is run again. `margin`
is the distance from the mean over all runs to the nearest bound, in standard
deviations of the runs (sd): the larger, the more robust the claim. Values are as
printed, to three digits.
"""


def _write_table(table, sections):
    """Replace the sections of the notebooks that were run, keep the others."""
    kept = {}
    if table.exists():
        for part in re.split(r"(?m)^(?=## )", table.read_text(encoding="utf-8"))[1:]:
            kept[part.splitlines()[0].removeprefix("## ").strip()] = part
    kept.update(sections)
    table.parent.mkdir(parents=True, exist_ok=True)
    order = sorted(kept, key=lambda name: (name.startswith("solutions/"), name))
    parts = [_PREFACE, *[kept[name].rstrip("\n") + "\n" for name in order]]
    table.write_text("\n".join(parts), encoding="utf-8", newline="\n")


# --- the command line -----------------------------------------------------------


def _words(text):
    return text.replace(",", " ").split()


def main(arguments=None):
    """Parse the command line and do what it says; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Run the course's notebooks without a browser."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--only",
        type=_words,
        default=[],
        metavar="NAMES",
        help="starts of names, such as '01' or 'solutions/01'; all without it",
    )
    common.add_argument(
        "--folder", type=Path, default=NOTEBOOKS, help="the notebooks' folder"
    )
    command = verbs.add_parser("run", parents=[common], help="execute, write HTML")
    command.add_argument(
        "--backend",
        choices=BACKENDS,
        default=os.environ.get("KERAS_BACKEND") or REFERENCE_BACKEND,
    )
    command.add_argument("--build", type=Path, default=Path("build"))
    verbs.add_parser("save", parents=[common], help="execute, store outputs")
    verbs.add_parser("normalize", parents=[common], help="normal form, no execution")
    verbs.add_parser("address", parents=[common], help="links and the Colab cell")
    command = verbs.add_parser("seeds", parents=[common], help="tabulate the claims")
    command.add_argument("--seeds", type=_words, default=["0", "1", "2", "3", "4"])
    command.add_argument("--backends", type=_words, default=["jax", "tensorflow"])
    command.add_argument(
        "--table", type=Path, default=ROOT / "benchmarks" / "claims.md"
    )
    options = parser.parse_args(arguments)

    paths = find(options.only, options.folder.resolve())
    if not paths:
        print(f"There are no notebooks in {options.folder}.")
        return 1
    if options.verb == "run":
        return run(paths, options.backend, options.build)
    if options.verb == "save":
        return save(paths)
    if options.verb == "normalize":
        return normalize_files(paths)
    if options.verb == "address":
        return write_address(paths, repository())
    if not all(seed.isdigit() for seed in options.seeds) or not options.seeds:
        parser.error(f"--seeds must be whole numbers. Received: {options.seeds}")
    if not set(options.backends) <= set(BACKENDS) or not options.backends:
        parser.error(f"--backends must be of {BACKENDS}. Received: {options.backends}")
    return seeds(
        paths, [int(s) for s in options.seeds], options.backends, options.table
    )


if __name__ == "__main__":
    sys.exit(main())
