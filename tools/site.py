"""Build the course's site from the stored outputs; no notebook is executed.

    python -m tools.site        build/site, every internal link and anchor followed

`make site` calls it. The pages lie where the repository's files lie, so that a relative
link between notebooks holds in JupyterLab, on the site and in the repository's browser;
a link to a file that is no page leads to the repository. What Sphinx does with a page
is in docs/conf.py.
"""

import argparse
import ast
import html.parser
import importlib.util
import os
import posixpath
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools import notebooks

ROOT = notebooks.ROOT
DOCS = ROOT / "docs"
BRANCH = "main"

# The parts of the course: title, number of the first notebook. A part ends where the
# next begins.
PARTS = (
    ("Start", 0),
    ("Part I: deterministic autoencoders", 1),
    ("Part II: probabilistic autoencoders", 9),
)

# Pages that are no notebooks and come from outside docs/: file and page.
OTHER_PAGES = {
    "data/README.md": "data/README.md",
    "benchmarks/claims.md": "benchmarks/claims.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}

# What links to a file or folder on the left means, on the site, the page on the right.
INSTEAD = {
    "README.md": "index.md",
    "notebooks": "index.md",
    "notebooks/solutions": "solutions.md",
    "data": "data/README.md",
}

# Of MathJax only what renders TeX, and the extensions that it loads when a formula
# needs them.
MATHJAX = ("tex-svg.js", "input/tex/extensions")


class SiteError(Exception):
    """The site cannot be built; the text says why."""


# --- what is on the site --------------------------------------------------------


def pages():
    """{file of the repository: page of the site} for all that is written by hand."""
    found = {}
    for path in notebooks.find():
        found[path.relative_to(ROOT).as_posix()] = path.relative_to(ROOT).as_posix()
    for path in sorted(DOCS.glob("*.md")):
        found[f"docs/{path.name}"] = path.name
    found.update(OTHER_PAGES)
    return found


def modules():
    """{public module: first line of its docstring}, without importing any."""
    found = {}
    for path in sorted((ROOT / "aecourse").iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if path.stem.startswith("_") or source.suffix != ".py" or not source.exists():
            continue
        docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
        found[path.stem] = (docstring or "").partition("\n")[0]
    return found


def listed():
    """{number: (stem, title, one line, minutes)} of the README's table of notebooks."""
    row = re.compile(
        r"^\| (\d\d) \| \[(.+?)\]\(notebooks/(\S+)\.ipynb\) \| (.+) \| (.+?) \|$", re.M
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return {
        int(number): (stem, title, line, minutes)
        for number, title, stem, line, minutes in row.findall(readme)
    }


def by_part():
    """[(title of the part, numbers of its notebooks)], empty parts left out."""
    numbers = sorted(
        int(path.name[:2]) for path in notebooks.find() if _is_course(path)
    )
    ends = [first for _, first in PARTS[1:]] + [100]
    parts = [
        (title, [n for n in numbers if first <= n < end])
        for (title, first), end in zip(PARTS, ends, strict=True)
    ]
    return [(title, numbers) for title, numbers in parts if numbers]


def _is_course(path):
    return path.parent.name != "solutions"


def _toctree(entries, *options):
    return "\n".join(["```{toctree}", *options, "", *entries, "```"])


def table_of_notebooks():
    """The course by parts, in Markdown, for the front page."""
    rows = listed()
    lines = []
    for part, numbers in by_part():
        lines += [f"## {part}", "", "| | notebook | in one line | minutes |"]
        lines += ["|---|---|---|---|"]
        for number in numbers:
            if number not in rows:
                raise SiteError(f"Notebook {number:02} is not in the README's table.")
            stem, title, line, minutes = rows[number]
            link = f"[{title}](notebooks/{stem}.ipynb)"
            lines.append(f"| {number:02} | {link} | {line} | {minutes} |")
        lines += [
            "",
            _toctree(
                [f"notebooks/{rows[number][0]}" for number in numbers],
                ":hidden:",
                f":caption: {part}",
            ),
            "",
        ]
    return "\n".join(lines)


def list_of_solutions():
    """The worked solutions, in Markdown."""
    stems = [path.stem for path in notebooks.find() if not _is_course(path)]
    return _toctree([f"notebooks/solutions/{stem}" for stem in stems], ":maxdepth: 1")


def table_of_modules():
    """The library's modules, in Markdown."""
    rows = ["| module | what is in it |", "|---|---|"]
    for name, line in modules().items():
        rows.append(f"| [`aecourse.{name}`](api/{name}.rst) | {line} |")
    tree = _toctree([f"api/{name}" for name in modules()], ":hidden:", ":titlesonly:")
    return "\n".join([*rows, "", tree])


# Comments in the pages of docs/ that the build replaces, so that nothing is listed by
# hand.
LISTS = {
    "<!-- the notebooks -->": table_of_notebooks,
    "<!-- the solutions -->": list_of_solutions,
    "<!-- the modules -->": table_of_modules,
}


# --- links ----------------------------------------------------------------------

LINK = re.compile(r"(\]\()([^()\s]+)(\s[^()]*)?(\))")
CODE = re.compile(r"(?ms)^(```|~~~).*?^\1|`[^`\n]+`")
# A badge is a picture from another machine; a button of the page does its work.
BADGE = re.compile(r"\[!\[[^\]]*\]\(https?://[^)]*\)\]\([^)]*\)[ \t]*\n?")


def link(target, file):
    """Where a link of a repository's file leads on the site.

    Args:
        target: the link as it is written, such as `../data/README.md#the-data-folder`.
        file: the file that it stands in, such as `notebooks/00_start_here.ipynb`.
    """
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not parts.path:
        return target
    here = posixpath.dirname(file)
    path = posixpath.normpath(posixpath.join(here, unquote(parts.path)))
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    staged = pages()
    page = INSTEAD.get(path) or staged.get(path)
    if page is None and path.startswith("notebooks/figures/"):
        page = path
    if page is None and (DOCS / "_static" in (ROOT / path).parents):
        page = path.removeprefix("docs/")
    if page is not None:
        base = posixpath.dirname(staged.get(file, file)) or "."
        return posixpath.relpath(page, base) + fragment
    if path.startswith("..") or not (ROOT / path).exists():
        raise SiteError(f"{file}: the link to {target} leads nowhere.")
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{notebooks.repository()}/{kind}/{BRANCH}/{path}{fragment}"


def adapt(markdown, file):
    """Markdown of a repository's file as it is read on the site."""
    markdown = BADGE.sub("", markdown)
    pieces, start = [], 0
    for code in [*CODE.finditer(markdown), None]:
        prose = markdown[start : code.start() if code else None]
        pieces.append(
            LINK.sub(lambda m: m[1] + link(m[2], file) + (m[3] or "") + m[4], prose)
        )
        if code:
            pieces.append(code[0])
            start = code.end()
    return "".join(pieces)


# --- building -------------------------------------------------------------------


def mathjax():
    """The folder with MathJax that the package sphinx-mathjax-offline carries."""
    found = importlib.util.find_spec("sphinx-mathjax-offline")
    if found is None:
        raise SiteError("The package sphinx-mathjax-offline is missing: make install")
    return Path(found.origin).parent / "static" / "mathjax"


def stage(source):
    """Lay out in a folder what Sphinx reads."""
    for file, page in pages().items():
        (source / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, source / page)
    shutil.copytree(ROOT / "notebooks" / "figures", source / "notebooks" / "figures")
    (source / "api").mkdir()
    for name in modules():
        title = f"aecourse.{name}"
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {title}\n"
        (source / "api" / f"{name}.rst").write_text(text, encoding="utf-8")
    static = source / "_static" / "mathjax"
    for name in MATHJAX:
        path = mathjax() / name
        (static / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        copy(path, static / name)


def build(folder):
    """Build the site in `folder`, which is replaced when that succeeds.

    Returns:
        What Sphinx complains about, a list of lines; then `folder` is left alone.
    """
    work = folder.with_name(folder.name + "-work")
    shutil.rmtree(work, ignore_errors=True)
    (work / "source").mkdir(parents=True)
    stage(work / "source")
    process = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-W", "--keep-going"]
        + ["-c", str(DOCS), "-d", str(work / "doctrees")]
        + [str(work / "source"), str(work / "html")],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": notebooks.REFERENCE_BACKEND},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    if process.returncode:
        said = notebooks.ANSI.sub("", process.stderr).replace(f"{work}/source/", "")
        return said.strip().splitlines() or [f"Sphinx ended with {process.returncode}."]
    shutil.rmtree(folder, ignore_errors=True)
    (work / "html").rename(folder)
    shutil.rmtree(work)
    return []


# --- checking -------------------------------------------------------------------


class _Page(html.parser.HTMLParser):
    """The anchors of a page, where it leads, and what it loads."""

    LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src"}
    LOADS |= {"embed": "src", "video": "src", "audio": "src", "object": "data"}

    def __init__(self):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.no_alt = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and found.get("href"):
            rel = (found.get("rel") or "").split()
            if not {"next", "prev", "search", "index", "canonical"} & set(rel):
                self.loads.append(found["href"])
        if found.get(self.LOADS.get(tag)):
            self.loads.append(found[self.LOADS[tag]])
        if tag == "img" and not found.get("alt"):
            self.no_alt.append(found.get("src"))


def html_pages(folder):
    """The pages of a built site; the theme leaves templates of its own in _static."""
    return sorted(set(folder.rglob("*.html")) - set(folder.glob("_static/**/*.html")))


def read_page(path):
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


ELSEWHERE = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)")


def problems(folder):
    """What is wrong with the links of a built site; one line each."""
    read = {path: read_page(path) for path in html_pages(folder)}
    found = []
    for path, page in read.items():
        name = path.relative_to(folder).as_posix()
        for target in page.loads:
            if urlsplit(target).netloc:
                found.append(f"{name} loads {target} from another machine")
        for source in page.no_alt:
            found.append(f"{name} shows {source} without words")
        for target in [*page.links, *page.loads]:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            aim = path
            if parts.path:
                aim = Path(os.path.normpath(path.parent / unquote(parts.path)))
            if aim.is_dir():
                aim = aim / "index.html"
            if not aim.is_file() or folder not in aim.parents:
                found.append(f"{name} leads to {target}, which is not there")
            elif parts.fragment and aim in read:
                if unquote(parts.fragment) not in read[aim].anchors | {"top"}:
                    found.append(f"{name} leads to {target}, which has no such anchor")
    for path in sorted(folder.rglob("*.css")):
        for target in ELSEWHERE.findall(path.read_text(encoding="utf-8")):
            name = path.relative_to(folder).as_posix()
            found.append(f"{name} loads {target} from another machine")
    return found


def main(arguments=None):
    """Build and check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("build/site"))
    folder = parser.parse_args(arguments).folder.resolve()
    start = time.monotonic()
    try:
        wrong = build(folder) or problems(folder)
    except SiteError as error:
        wrong = [str(error)]
    for line in wrong:
        print(line)
    if wrong:
        print(f"The site has faults: {len(wrong)} lines above.")
        return 1
    count = len(html_pages(folder))
    print(f"{count} pages in {time.monotonic() - start:.0f} s: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
