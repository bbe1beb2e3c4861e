"""Settings of Sphinx for the course's site. `make site` reads them: see tools/site.py.

Nothing is executed and no other machine is asked, when the site is built or when it is
read.
"""

import importlib
import inspect
import itertools
import json
import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import roles
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import notebooks, site  # noqa: E402

logger = logging.getLogger(__name__)
_about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_about = _about["project"]

project = "aecourse"
author = "the aecourse authors"
copyright = "the aecourse authors. Code Apache-2.0, prose and figures CC BY 4.0"
version = release = _about["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_static"]
nitpicky = True
nitpick_ignore_regex = [("py:(class|exc)", r"(Value|Type|Key|Index|Runtime|OS)Error")]

# Notebooks: the stored outputs, and no script for widgets from another machine.
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_code_prompt_show = nb_code_prompt_hide = "For Colab alone: fetch the course"

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
default_role = "name"
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
    "repository_url": notebooks.repository(),
    "repository_branch": site.BRANCH,
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

FIGURE = re.compile(r"\*Figure(?: \d+)?: (.+?)\*\s*(\n\n|\Z)", re.DOTALL)


def read_source(app, docname, source):
    """Links lead where they should on the site, lists are filled, figures get words."""
    page = Path(app.env.doc2path(docname)).relative_to(app.srcdir).as_posix()
    files = {page: file for file, page in site.pages().items()}
    if page not in files:
        return
    try:
        if page.endswith(".ipynb"):
            source[0] = read_notebook(source[0], files[page])
        else:
            source[0] = site.adapt(source[0], files[page])
            for comment, generate in site.LISTS.items():
                if comment in source[0]:
                    source[0] = source[0].replace(comment, generate())
    except site.SiteError as error:
        logger.warning("%s", error, location=docname)


def read_notebook(text, file):
    """The notebook as text again, with links and figures as the site needs them."""
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = site.adapt(cell["source"], file)
        elif "google.colab" in cell["source"]:
            cell["metadata"]["tags"] = ["hide-input"]  # not for those who read
    # A cell that held only badges is empty now.
    notebook["cells"] = [cell for cell in notebook["cells"] if cell["source"].strip()]
    give_words(notebook["cells"])
    return json.dumps(notebook)


def give_words(cells):
    """The description below a figure becomes its text for those who do not see it."""
    for cell, below in itertools.pairwise(cells):
        words = FIGURE.match(below["source"])
        if cell["cell_type"] == "code" and words:
            text = re.sub(r"[$`*]", "", " ".join(words[1].split()))
            cell["metadata"]["mystnb"] = {"image": {"alt": text}}


# --- claims, and what the prose mentions ----------------------------------------


class Claims(SphinxPostTransform):
    """A line that `claims.check` printed is set as a verdict, not as a listing."""

    default_priority = 1

    def run(self, **kwargs):
        for block in list(self.document.findall(nodes.literal_block)):
            if "stream" in block["classes"] and notebooks.CLAIM.search(block.astext()):
                block.replace_self(list(self.pieces(block)))

    def pieces(self, block):
        lines = block.astext().splitlines()
        for claimed, group in itertools.groupby(
            lines, lambda line: bool(notebooks.CLAIM.match(line))
        ):
            if claimed:
                verdicts = map(self.verdict, map(notebooks.CLAIM.match, group))
                yield nodes.container("", *verdicts, classes=["output", "claims"])
            else:
                rest = block.deepcopy()
                rest.rawsource = "\n".join(group)
                rest.children = [nodes.Text(rest.rawsource)]
                yield rest

    def verdict(self, claim):
        measured = f"[measured {claim['value']}{claim['unit']}]"
        return nodes.paragraph(
            "",
            "",
            nodes.inline("", claim["mark"], classes=["mark"]),
            nodes.Text(f" {claim['sentence']} "),
            nodes.inline("", f"(required: {claim['required']})", classes=["required"]),
            nodes.Text(" "),
            nodes.inline("", measured, classes=["measured"]),
        )


class Mentions(SphinxTransform):
    """The site links what the prose names: notebooks 03 and 10, `losses.PoissonNLL`."""

    default_priority = 700
    mention = re.compile(r"\bnotebooks? \d\d(?:(?:, and |, | and | to |–)\d\d)*\b")
    apart = (nodes.reference, nodes.title, nodes.literal_block, addnodes.pending_xref)
    stems = {
        path.stem[:2]: path.stem
        for path in notebooks.find()
        if path.parent.name != "solutions"
    }

    def apply(self, **kwargs):
        for node in list(self.document.findall(nodes.literal)):
            name = node.astext()
            if self.is_apart(node):
                continue
            if name in self.stems.values():
                node.replace_self(self.link(node.deepcopy(), name))
            elif name in NAMES:
                full = NAMES[name]
                node.replace_self(api_link(node.deepcopy(), full, self.env.docname))
        for text in list(self.document.findall(nodes.Text)):
            if self.mention.search(text) and not self.is_apart(text):
                text.parent.replace(text, list(self.linked(text)))

    def is_apart(self, node):
        while node := node.parent:
            if isinstance(node, (*self.apart, nodes.literal, nodes.math)):
                return True
        return False

    def linked(self, text):
        end = 0
        for mention in self.mention.finditer(text):
            for number in re.finditer(r"\d\d", mention[0]):
                start = mention.start() + number.start()
                stem = self.stems.get(number[0])
                if stem is None or f"notebooks/{stem}" == self.env.docname:
                    continue
                yield nodes.Text(text[end:start])
                end = start + 2
                yield self.link(nodes.inline("", number[0]), stem)
        yield nodes.Text(text[end:])

    def link(self, node, stem):
        return addnodes.pending_xref(
            "",
            node,
            refdomain="std",
            reftype="doc",
            refdoc=self.env.docname,
            reftarget=f"/notebooks/{stem}",
            refexplicit=True,
            refwarn=True,
        )


# --- the library ----------------------------------------------------------------


def public_names():
    """{the name as a docstring writes it: the full name}."""
    found = {}
    for module in site.modules():
        loaded = importlib.import_module(f"aecourse.{module}")
        found[f"aecourse.{module}"] = f"aecourse.{module}"
        public = getattr(loaded, "__all__", None) or [
            name
            for name, value in vars(loaded).items()
            if getattr(value, "__module__", None) == loaded.__name__
        ]
        for name in public:
            full = f"aecourse.{module}.{name}"
            found[full] = found[f"{module}.{name}"] = full
    return found


def name_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """What single backticks mean in a docstring: code, and a link where it is ours."""
    env = inliner.document.settings.env
    literal = nodes.literal(rawtext, text)
    # A bare name may be an argument's; one with a capital or an underscore is ours
    # where the module on this page has it.
    bare = re.search("[A-Z_]", text) and f"{env.ref_context.get('py:module')}.{text}"
    full = NAMES.get(text) or NAMES.get(bare)
    if full is None:
        return [literal], []
    return [api_link(literal, full, env.docname)], []


def api_link(node, full, docname):
    """Link a node to where the library's pages describe what it names."""
    return addnodes.pending_xref(
        "",
        node,
        refdomain="py",
        reftype="mod" if full.count(".") == 1 else "obj",
        refdoc=docname,
        reftarget=full,
        refwarn=True,
    )


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


NAMES = {}


def setup(app):
    """Connect what is above."""
    NAMES.update(public_names())
    roles.register_local_role("name", name_role)
    app.connect("config-inited", add_staged_files)
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", adapt_docstring, priority=400)
    app.connect("autodoc-process-signature", sign_of_class)
    app.add_transform(Mentions)
    app.add_post_transform(Claims)


def add_staged_files(app, config):
    """MathJax lies beside the pages that Sphinx reads, not in the repository."""
    config.html_static_path.append(str(Path(app.srcdir) / "_static"))
