"""Execute the course's notebooks without a browser.

    python -m tools.execute              execute, write HTML pages to build/
    python -m tools.execute --save       execute on the reference backend, store outputs

Each notebook runs in its own folder, in a kernel of the Python that runs this file.
"""

import functools
import os
import sys

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter

from tools import normal_form, notebooks

# Seconds for one cell; none for the full budget.
CELL_TIMEOUT = 600

# What is stored depends on none of the reader's settings.
STORED = {
    "KERAS_BACKEND": notebooks.REFERENCE_BACKEND,
    "AECOURSE_SEED": "0",
    "AECOURSE_BUDGET": "quick",
}


def execute(notebook, folder, environment, allow_errors=False):
    """Execute a notebook in place, in `folder`, with variables added to the process's.

    Raises:
        NotebookFailure: naming the code cell that failed, unless `allow_errors`.
    """
    # The kernel beside this Python comes before the kernels of the machine.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    variables = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment}
    full = variables.get("AECOURSE_BUDGET") == "full"
    started = []
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout=None if full else CELL_TIMEOUT,
        allow_errors=allow_errors,
        # A kernel on this machine warns that its local connection is not encrypted.
        extra_arguments=["--IPKernelApp.log_level=40"],
        on_cell_execute=lambda cell, cell_index: started.append(cell.source.strip()),
    )
    try:
        client.execute(env=variables)
    except CellExecutionError as error:
        said = f"{error.ename}: {notebooks.ANSI.sub('', error.evalue)}"
        raise notebooks.NotebookFailure(f"{_place(started)} raised {said}") from error
    except (CellTimeoutError, DeadKernelError) as error:
        said = str(error).partition("\n")[0]
        raise notebooks.NotebookFailure(f"{_place(started)}: {said}") from error
    return notebook


def _place(started):
    """Name the cell that was running: its number among code cells, its first line."""
    if not started:
        return "the kernel's start"
    return f"code cell {len(started)} ({started[-1].splitlines()[0]})"


def run(path, backend, build):
    """Execute a notebook and write an HTML page, also of one that fails on its way."""
    notebook = notebooks.read(path)
    try:
        execute(notebook, path.parent, {"KERAS_BACKEND": backend})
    finally:
        target = build / f"{notebooks.title(path)}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        resources = {"metadata": {"name": path.stem}}
        page, _ = HTMLExporter().from_notebook_node(notebook, resources=resources)
        target.write_text(page, encoding="utf-8")
    return f"{len(notebooks.claims_in(notebook))} claims hold"


def save(path):
    """Execute a notebook and store it in normal form; a failing one stays as it is."""
    notebook = execute(notebooks.read(path), path.parent, STORED)
    changed = normal_form.write(path, normal_form.normalize(notebook))
    said = f"{len(notebooks.claims_in(notebook))} claims hold, "
    said += "saved" if changed else "unchanged"
    for number, output in notebooks.outputs_of(notebook):
        if output.get("name") == "stderr":
            said += f"\n    dropped from code cell {number}, stderr: "
            said += repr(output.text.strip()[:200])
    return said


def main(arguments=None):
    """Parse the command line and do what it says; return the exit status."""
    parser = notebooks.parser(__doc__, build="build")
    parser.add_argument("--save", action="store_true", help="store the outputs")
    options = parser.parse_args(arguments)
    paths = notebooks.find(options.only)
    if options.save:
        backend, done = notebooks.REFERENCE_BACKEND, "saved in normal form"
        return notebooks.each(paths, backend, save, done)
    work = functools.partial(run, backend=options.backend, build=options.build)
    done = f"run; pages in {options.build}"
    return notebooks.each(paths, options.backend, work, done)


if __name__ == "__main__":
    sys.exit(main())
