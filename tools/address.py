"""Write the repository's address into all that names it.

    python -m tools.address

The address is written by hand in one place: `[project.urls] Repository` in
pyproject.toml. A new notebook gets its links and its Colab cell like this, too. No
notebook is executed.
"""

import re
import sys
import tomllib

import nbformat

from tools import normal_form, notebooks

_LINKS = "Run without installing: "

_COLAB = """\
# In Colab this cell fetches the course; elsewhere it does nothing.
import os
import sys

in_colab = "google.colab" in sys.modules
if in_colab and not os.path.exists("exercise_checks"):
    address = "{address}"
    if not os.path.exists("aecourse"):
        !git clone -q --depth 1 $address aecourse
    %pip install -q -e "aecourse[course]"
    os.chdir("aecourse/notebooks")
    # A package installed like this is found by the next kernel only.
    sys.path[:0] = [os.path.abspath(".."), os.getcwd()]"""


def repository():
    """The address of the course: `[project.urls] Repository` in pyproject.toml."""
    text = (notebooks.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["urls"]["Repository"]


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


def main(arguments=None):
    """Write the address into notebooks, README and citation; return the status."""
    address = repository()
    changed = []
    for path in notebooks.find(notebooks.parser(__doc__).parse_args(arguments).only):
        fresh = place_address(notebooks.read(path), notebooks.title(path), address)
        if normal_form.write(path, normal_form.normalize(fresh)):
            changed.append(notebooks.title(path))
    for path in (notebooks.ROOT / "README.md", notebooks.ROOT / "CITATION.cff"):
        text = path.read_text(encoding="utf-8")
        if place_links(text, address) != text:
            path.write_text(place_links(text, address), encoding="utf-8", newline="\n")
            changed.append(path.name)
    print(f"{len(changed)} files now point to {address}", *changed, sep="\n    ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
