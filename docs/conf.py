"""Settings of Sphinx for the course's site: see tools/build_site.py.

Nothing is executed and no other machine is asked, when the site is built or when it is
read.
"""

import importlib.metadata
import inspect
import itertools
import posixpath
import re
import sys
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import address, notebooks  # noqa: E402

project = "aecourse"
author = "the aecourse authors"
copyright = "the aecourse authors. Code Apache-2.0, prose and figures CC BY 4.0"
version = release = importlib.metadata.version("aecourse")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
extensions += ["sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/**", "data/README.md", "benchmarks/*.md"]
include_patterns += ["CHANGELOG.md", "CONTRIBUTING.md"]
exclude_patterns = [".*", "**/.*", "build", "data/cache", "docs/_static"]
exclude_patterns += ["benchmarks/mutants.md"]  # for those who change the library

# Notebooks: the stored outputs, and no script for widgets from another machine.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_code_prompt_show = nb_code_prompt_hide = "For Colab alone: fetch the course"

copybutton_prompt_text = ">>> "  # of an example only the code is copied

# Mathematics: the forms that JupyterLab renders, too.
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_dmath_allow_labels = False
myst_heading_anchors = 4
mathjax_path = "mathjax/tex-svg.js"
# So that words within a formula may hold an escaped underscore.
mathjax3_config = {
    "loader": {"load": ["[tex]/textmacros"]},
    "tex": {"packages": {"[+]": ["textmacros"]}},
}

# The library: a module's page is its docstrings, in the order of the file.
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"
default_role = "py:obj"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False
napoleon_custom_sections = [("Call arguments", "params_style"), "Output shape"]

# How it looks.
html_theme = "sphinx_book_theme"
html_title = "aecourse"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
html_use_index = html_domain_indices = False  # the search finds names
html_context = {"default_mode": "auto"}
html_theme_options = {
    "repository_url": address.repository(),
    "repository_branch": "main",
    "path_to_docs": "",
    "use_repository_button": True,
    "use_download_button": True,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search is in the sidebar
    "launch_buttons": {
        "colab_url": "https://colab.research.google.com",
        "binderhub_url": "https://mybinder.org",
        "notebook_interface": "jupyterlab",
    },
    "show_navbar_depth": 1,
    "show_toc_level": 2,
}


# --- reading a page -------------------------------------------------------------

LINK = re.compile(r"(?<=\]\()[^()\s:#]+(?=[)#])")
FIGURE = re.compile(r"\*Figure(?: \d+)?: (.+?)\*\s*(\n\n|\Z)", re.DOTALL)

# What links to a file or folder on the left means, on the site, the page on the right.
INSTEAD = {
    "README.md": "docs/index.md",
    "notebooks": "docs/index.md",
    "notebooks/solutions": "docs/solutions.md",
    "data": "data/README.md",
}


def read_source(app, docname, source):
    """A link to a file that is no page leads to the repository; figures get words."""

    def lead(match):
        here = posixpath.dirname(docname)
        path = posixpath.normpath(posixpath.join(here, match[0]))
        page = posixpath.splitext(path)[0] in app.env.found_docs
        if path in INSTEAD:
            return posixpath.relpath(INSTEAD[path], here or ".")
        if page or path.endswith((".png", ".svg")) or not (ROOT / path).exists():
            return match[0]  # Sphinx finds it, or complains
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{address.repository()}/{kind}/main/{path}"

    if app.env.doc2path(docname).suffix != ".ipynb":
        source[0] = LINK.sub(lead, source[0])
        return
    notebook = nbformat.reads(source[0], as_version=4)
    for cell, below in itertools.pairwise([*notebook.cells, None]):
        words = FIGURE.match(below.source if below else "")
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(lead, cell.source)
        elif "google.colab" in cell.source:
            cell.metadata.tags = ["hide-input"]  # not for those who read
        elif words:  # for those who do not see it
            text = re.sub(r"[$`*]", "", " ".join(words[1].split()))
            cell.metadata.mystnb = {"image": {"alt": text}}
    source[0] = nbformat.writes(notebook)


# --- claims, and what the prose mentions ----------------------------------------


class Claims(SphinxPostTransform):
    """A line that `claims.check` printed is set as a verdict, not as a listing."""

    default_priority = 1

    def run(self, **kwargs):
        for block in list(self.document.findall(nodes.literal_block)):
            if "stream" in block["classes"] and notebooks.CLAIM.search(block.astext()):
                block.replace_self(list(self.pieces(block)))

    def pieces(self, block):
        match, every = notebooks.CLAIM.match, block.astext().splitlines()
        for claimed, lines in itertools.groupby(every, lambda line: bool(match(line))):
            if claimed:
                verdicts = [self.verdict(match(line)) for line in lines]
                yield nodes.container("", *verdicts, classes=["output", "claims"])
            else:
                text = "\n".join(lines)
                yield nodes.literal_block(text, text, **block.attributes)

    def verdict(self, claim):
        required = f"(required: {claim['required']})"
        measured = f"[measured {claim['value']}{claim['unit']}]"
        texts = [claim["mark"], claim["sentence"], required, measured]
        names = ["mark", "sentence", "required", "measured"]
        verdict = nodes.paragraph()
        for name, text in zip(names, texts, strict=True):
            verdict += [nodes.inline("", text, classes=[name]), nodes.Text(" ")]
        return verdict


class Mentions(SphinxTransform):
    """The site links what the prose names: notebooks 03 and 10, `losses.PoissonNLL`."""

    default_priority = 700
    mention = re.compile(r"\bnotebooks? \d\d(?:(?:, and |, | and | to |–)\d\d)*\b")
    apart = (nodes.reference, nodes.title, nodes.literal_block, addnodes.pending_xref)
    apart += (nodes.literal, nodes.math)
    stems = {path.stem[:2]: path.stem for path in notebooks.find()}

    def apply(self, **kwargs):
        for node in list(self.document.findall(nodes.literal)):
            name, kind = node.astext(), "obj"
            if name in self.stems.values():
                name, kind = f"/notebooks/{name}", "doc"
            if re.fullmatch(r"[/\w]+[./]\w[.\w]*", name) and not self.is_apart(node):
                node.replace_self(self.link(node.deepcopy(), kind, name))
        for text in list(self.document.findall(nodes.Text)):
            if self.mention.search(text) and not self.is_apart(text):
                text.parent.replace(text, list(self.linked(text)))

    def is_apart(self, node):
        while node := node.parent:
            if isinstance(node, self.apart):
                return True
        return False

    def linked(self, text):
        end = 0
        for mention in self.mention.finditer(text):
            for number in re.finditer(r"\d\d", mention[0]):
                start = mention.start() + number.start()
                target = f"/notebooks/{self.stems.get(number[0])}"
                if number[0] in self.stems and target != f"/{self.env.docname}":
                    yield nodes.Text(text[end:start])
                    end = start + 2
                    yield self.link(nodes.inline("", number[0]), "doc", target)
        yield nodes.Text(text[end:])

    def link(self, node, kind, target):
        """Link a node to a page ("doc") or to what it names in the library ("obj")."""
        return addnodes.pending_xref(
            "",
            node,
            refdomain="std" if kind == "doc" else "py",
            reftype=kind,
            refdoc=self.env.docname,
            reftarget=target,
            refexplicit=True,
            refwarn=kind == "doc",
        )


# --- the library ----------------------------------------------------------------


def find_name(app, env, node, text):
    """`losses.PoissonNLL` means `aecourse.losses.PoissonNLL`; the rest is only code."""
    if node["refdomain"] == "py" and "." in node["reftarget"]:
        full = f"aecourse.{node['reftarget']}"
        domain, page = env.domains.python_domain, node["refdoc"]
        return domain.resolve_xref(env, page, app.builder, "obj", full, node, text)


def adapt_docstring(app, what, name, obj, options, lines):
    """A docstring is written for those who read it in the file.

    So an indented block after a colon, without `::`, is a formula or code, and bars
    are those of an absolute value.
    """
    if what in ("attribute", "data", "property"):
        # Or napoleon takes the words before the colon for a type.
        lines[:1] = [line.replace(": ", " – ", 1) for line in lines[:1]]
    for index, line in enumerate(lines):
        if re.search(r"(?<![`|])\|\w", line) and not re.search("`|>>>", line):
            lines[index] = line.replace("|", r"\|")
        blank, block = (*lines[index + 1 : index + 3], "", "")[:2]
        deeper = len(block) - len(block.lstrip()) > len(line) - len(line.lstrip())
        if line.endswith(":") and not blank.strip() and block.strip() and deeper:
            lines[index] = f"{line}:"


def sign_of_class(app, what, name, obj, options, signature, returns):
    """A layer's signature is that of its `__init__`: Keras puts a `__new__` before."""
    if what == "class" and inspect.isfunction(obj.__init__):
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
        signature = str(inspect.Signature(bare))
    return signature, returns


def setup(app):
    """Connect what is above."""
    app.connect("source-read", read_source)
    app.connect("missing-reference", find_name)
    app.connect("autodoc-process-docstring", adapt_docstring, priority=400)
    app.connect("autodoc-process-signature", sign_of_class)
    app.add_transform(Mentions)
    app.add_post_transform(Claims)
