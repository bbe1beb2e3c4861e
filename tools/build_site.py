"""Build the course's site from the stored outputs; no notebook is executed.

    python -m tools.build_site        build/site; a warning of Sphinx is an error

Sphinx reads the repository itself, so a page lies where its file lies. It checks every
link and anchor between pages; what it does with a page is in docs/conf.py. Nothing on
the site may come from another machine.
"""

import argparse
import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools import notebooks

DOCS = notebooks.ROOT / "docs"
API = DOCS / "api"  # made here, not committed

# Of MathJax only what renders TeX, and the extensions that it loads when a formula
# needs them.
MATHJAX = ("tex-svg.js", "input/tex/extensions")

FRONT = '<!DOCTYPE html><meta http-equiv="refresh" content="0; url=docs/index.html">'

# What a browser fetches to show a page: all but the targets of <a> and canonical links.
LOADED = re.compile(
    r"<(?:script|img|iframe|source|embed|video|audio|object|"
    r'link(?![^>]*rel="(?:next|prev|search|index|canonical)))\s(?:[^>]*\s)?'
    r"""(?:src|data|href)="((?:https?:)?//[^"]+)"""
    r"""|(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)"""
)


def write_api():
    """Write a page for each public module, and the table of them."""
    shutil.rmtree(API, ignore_errors=True)
    API.mkdir()
    rows = ["| module | what is in it |", "|---|---|"]
    for path in sorted((notebooks.ROOT / "aecourse").glob("[a-z]*")):
        source = path / "__init__.py" if path.is_dir() else path
        docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
        name = f"aecourse.{path.stem}"
        rows.append(
            f"| [`{name}`](api/{path.stem}.rst) | {docstring.splitlines()[0]} |"
        )
        page = f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n"
        (API / f"{path.stem}.rst").write_text(page, encoding="utf-8")
    (API / "table.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")


def sphinx(source, target):
    """Run Sphinx with the settings of docs/; return what it complains about."""
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going"]
    command += ["-c", str(DOCS), "-d", f"{target}-doctrees", str(source), str(target)]
    environment = {**os.environ, "KERAS_BACKEND": notebooks.REFERENCE_BACKEND}
    process = subprocess.run(
        command, env=environment, stderr=subprocess.PIPE, encoding="utf-8"
    )
    said = notebooks.ANSI.sub("", process.stderr).strip().splitlines()
    return (said or ["Sphinx failed."]) if process.returncode else []


def loaded_from_elsewhere(folder):
    """List what pages and styles of a built site load from another machine."""
    return [
        f"{path.relative_to(folder)} loads {html or css} from another machine"
        for path in sorted([*folder.rglob("*.html"), *folder.rglob("*.css")])
        for html, css in LOADED.findall(path.read_text(encoding="utf-8"))
    ]


def build(folder):
    """Build the site in `folder`; return what is wrong with it, one line each."""
    shutil.rmtree(folder, ignore_errors=True)
    write_api()
    wrong = sphinx(notebooks.ROOT, folder)
    package = importlib.util.find_spec("sphinx-mathjax-offline")
    for name in MATHJAX:
        source = Path(package.origin).parent / "static" / "mathjax" / name
        target = folder / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, target)
    (folder / "index.html").write_text(FRONT, encoding="utf-8")
    return wrong + loaded_from_elsewhere(folder)


def main(arguments=None):
    """Build and check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("build/site"))
    folder = parser.parse_args(arguments).folder.resolve()
    start = time.monotonic()
    wrong = build(folder)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    state = f"{len(wrong)} faults" if wrong else "no fault"
    print(f"{folder / 'index.html'}: {state}, {time.monotonic() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
