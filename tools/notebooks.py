"""What the tools share: finding notebooks, reading them and their claims, reporting.

The tools are beside this file, one a file; the Makefile's verbs call them with
`python -m tools.NAME`.
"""

import argparse
import os
import re
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
BACKENDS = ("jax", "tensorflow", "torch")

# The backend whose outputs are stored: the default, and the one that saves fastest.
REFERENCE_BACKEND = "jax"

# A claim as `aecourse.claims` writes it, whether it holds or not.
CLAIM = re.compile(
    r"^(?P<mark>[✔✘]) (?P<sentence>.*) \(required: (?P<required>.*)\)"
    r"  \[measured (?P<value>[-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan))"
    r"(?P<unit>[^\[\]]*)\]$",
    re.MULTILINE,
)
EXERCISE = re.compile(r"^exercise (\d+): (.*)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class NotebookFailure(Exception):
    """A notebook does not do what it should; each argument says where and why."""


def find(only=(), folder=NOTEBOOKS):
    """List the notebooks, worked solutions last, or those whose names start as asked.

    Args:
        only: strings such as "01", "01_linear", "solutions/01", "01,02" or a path.
        folder: where the notebooks and their `solutions` folder are.
    """
    found = sorted(folder.glob("*.ipynb")) + sorted(folder.glob("solutions/*.ipynb"))
    starts = " ".join(only).replace(",", " ").split()
    chosen = []
    for start in starts:
        start = start.removeprefix("./").removeprefix("notebooks/")
        matches = [
            path
            for path in found
            if path.name.startswith(start) or f"{title(path)}.ipynb".startswith(start)
        ]
        if not matches:
            raise SystemExit(f"No notebook starts with {start!r}.")
        chosen += matches
    return [path for path in found if path in chosen or not starts]


def title(path):
    """`01_linear_autoencoder_is_pca` or `solutions/01_linear_autoencoder_is_pca`."""
    return f"{'solutions/' * (path.parent.name == 'solutions')}{path.stem}"


def read(path):
    """Read a notebook as nbformat 4, saying that it is none when that fails."""
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise NotebookFailure(f"cannot be read as a notebook: {error}") from error


def outputs_of(notebook):
    """Yield (number of the code cell, output)."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        for output in cell.outputs:
            yield number, output


def claims_in(notebook):
    """List the claims in a notebook's outputs: (code cell, match of `CLAIM`)."""
    found = []
    for number, output in outputs_of(notebook):
        text = output.get("evalue" if output.output_type == "error" else "text", "")
        if output.get("name") != "stderr":
            found += [(number, match) for match in CLAIM.finditer(text)]
    return found


# --- the tools' command lines ---------------------------------------------------


def parser(description, build=None):
    """A command line with `--only`; with a folder to `build`, with `--backend`, too."""
    result = argparse.ArgumentParser(description=description.partition("\n")[0])
    text = "starts of names, such as 01 or solutions/01; all without it"
    result.add_argument("--only", nargs="*", default=[], metavar="NAME", help=text)
    if build:
        backend = os.environ.get("KERAS_BACKEND") or REFERENCE_BACKEND
        result.add_argument("--backend", choices=BACKENDS, default=backend)
        result.add_argument("--build", type=Path, default=Path(build))
    return result


def timed(label, work, *arguments):
    """Call `work`; print the label, the seconds and what it returns, or its failure.

    Returns:
        The `NotebookFailure`, or None.
    """
    print(label.ljust(58), end=" ", flush=True)
    start = time.monotonic()
    try:
        said, failure = work(*arguments), None
    except NotebookFailure as error:
        said, failure = "\n    ".join(["FAILED", *error.args]), error
    print(f"{time.monotonic() - start:5.0f} s  {said}", flush=True)
    return failure


def each(paths, backend, work, done):
    """Call `work` with each notebook, report each; return the exit status."""
    label = f"{{}} ({backend})".format
    return finish([p for p in paths if timed(label(title(p)), work, p)], paths, done)


def finish(failed, paths, done):
    """Print the last line; return the exit status."""
    names = ", ".join(map(title, failed))
    few = f"{len(failed)} of {len(paths)} failed: {names}"
    print(f"\n{few if failed else f'{len(paths)} notebooks {done}'}")
    return 1 if failed else 0
