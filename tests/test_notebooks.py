"""What a notebook must be before it is worth executing.

Each rule is a function that takes a `Page` and yields the problems it finds. The first
part of the file applies all rules to each notebook and lists all problems; the second
part breaks a small sound notebook in one way after another and demands that the right
rule notices.
"""

import ast
import copy
import dataclasses
import functools
import re

import nbformat
import pytest

from tools import address, normal_form, prose_numbers
from tools import notebooks as tool

MAX_BYTES = 1_000_000
MAX_LINES = 30
MAX_WIDTH = 74
MIN_SHARE_CHECKED = 0.75
MAX_CLAIMS = 12
MAX_SHARE_CHECKING = 0.18  # of the lines of code
MIN_FIGURES = 5
# Words that a reader could not look up, each with the one to use.
PRIVATE_WORDS = {
    r"bends?|bent": "nonlinearity, nonlinear",
    r"laws? of (?:the )?codes?": "distribution",
    r"summed squares": "squared error",
    r"first weights": "initial weights",
    r"mended": "restored",
    r"strangers?": "out-of-distribution images",
    r"by bare hands": "from scratch",
    r"dear|bills?|earns?": "the cost in nats",
    r"(?<!standard )(?<!absolute )deviations?": "standard deviation",
    r"turns?(?! out| into| to| on| off| the page)": "rotates",
    r"one (?:often |sometimes )?reads|it is said": "the source by name",
}
# Numbers of the prose that are sizes of the data, sums or rounded, by notebook.
SIZES = {"5,000", "3,500", "500", "1,000"}
DERIVED_NUMBERS = {
    "00_start_here": {"4,000"},  # "more than 4,000"
    "solutions/00_start_here": {"190"},
    "02_deep_autoencoders": {"60,000"},  # the digits of the paper
    # 64 times 0.05, the splits of 16 states, log 2.
    "03_loss_is_a_noise_model": {"3.2", "32,767", "0.69"},
}
EXEMPT_SECTIONS = ("Setup", "Summary", "Exercises", "References")

SETUP = """\
import os

os.environ.setdefault("KERAS_BACKEND", "jax")
from aecourse import runtime

runtime.quiet_start()

import keras
"""

IGNORE = "nbval-ignore-output"
COMMENT_MARKER = re.compile(r"^\s*#\s*(NBVAL_|PYTEST_VALIDATE_)", re.MULTILINE)
TRAINING = re.compile(r"\.(fit|train_on_batch|apply|apply_gradients|stateless_apply)\(")
MACHINE = re.compile(
    r"(?<![\w.:/])/(?:home|Users|root|tmp|var|usr|opt|mnt|content|private)/\w"
    r"|\b[A-Z]:\\\w|site-packages|ipykernel_\d| at 0x[0-9a-f]{6,}"
)
BACKENDS = {"tensorflow", "jax", "jaxlib", "torch"}
REPOSITORY = address.repository()


@dataclasses.dataclass
class Page:
    """A notebook with what the checks want to know about it."""

    name: str  # 01_linear_autoencoder_is_pca
    notebook: nbformat.NotebookNode
    is_solution: bool
    text: str  # the file

    @property
    def cells(self):
        return self.notebook.cells

    @functools.cached_property
    def code(self):
        """The code cells with their numbers, which start at 1."""
        return list(enumerate((c for c in self.cells if c.cell_type == "code"), 1))

    @functools.cached_property
    def prose(self):
        """Markdown without its code blocks."""
        parts = [cell.source for cell in self.cells if cell.cell_type == "markdown"]
        return re.sub(r"(?ms)^```.*?^```", "", "\n\n".join(parts))

    @property
    def headings(self):
        """(level, title) in order."""
        found = re.findall(r"(?m)^(#{1,6}) +(.*?) *$", self.prose)
        return [(len(marks), title) for marks, title in found]

    @functools.cached_property
    def sections(self):
        """(title of a ## section, its cells) in order."""
        sections = []
        for cell in self.cells:
            pieces = [cell]
            if cell.cell_type == "markdown":
                parts = re.split(r"(?m)^(?=## )", cell.source)
                pieces = [nbformat.v4.new_markdown_cell(part) for part in parts]
            for piece in pieces:
                if piece.cell_type == "markdown" and piece.source.startswith("## "):
                    title = piece.source.splitlines()[0].removeprefix("## ").strip()
                    sections.append((title, []))
                if sections:
                    sections[-1][1].append(piece)
        return sections


def stored_text(cell):
    """Everything a code cell shows as text."""
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text", ""))
        texts += [v for k, v in output.get("data", {}).items() if "image/" not in k]
    return "\n".join(str(text) for text in texts)


def syntax(cell):
    """The nodes of a cell's syntax, with magics and shell lines left out."""
    return ast.walk(ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", cell.source)))


def is_claim(cell):
    return "claims.check(" in cell.source


def tags(cell):
    return cell.metadata.get("tags", [])


# --- the rules ------------------------------------------------------------------

RULES = []


def rule(function):
    """Add a rule to those that every notebook must keep."""
    RULES.append(function)
    return function


def problems_of(page):
    """List all that is wrong with a page, with the name of the rule."""
    problems = []
    for broken in RULES:
        try:
            problems += [f"{broken.__name__}: {problem}" for problem in broken(page)]
        except Exception as error:  # say it, and go on to the other rules
            problems.append(f"{broken.__name__} cannot be applied: {error!r}")
    return problems


@rule
def cells_are_executed_in_order(page):
    counts = [cell.execution_count for _, cell in page.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}: save it with `make notebooks`"
    if not counts:
        yield "there is no code"


@rule
def no_cell_is_empty(page):
    for index, cell in enumerate(page.cells, 1):
        if not cell.source.strip():
            yield f"cell {index} is empty"


@rule
def no_error_or_stderr_is_stored(page):
    for number, cell in page.code:
        for output in cell.outputs:
            if output.output_type == "error" or output.get("name") == "stderr":
                yield f"code cell {number} stores an error or stderr"


@rule
def no_machine_is_seen_in_outputs(page):
    for number, cell in page.code:
        text = stored_text(cell)
        found = MACHINE.findall(text)
        if str(tool.ROOT) in text:
            found.append(str(tool.ROOT))
        for place in found:
            yield f"code cell {number} shows a path or an address: {place!r}"


@rule
def cells_are_neither_skipped_nor_excused(page):
    for number, cell in page.code:
        if set(tags(cell)) - {IGNORE}:
            yield f"code cell {number} has tags {tags(cell)}; only {IGNORE} is used"
        if COMMENT_MARKER.search(cell.source):
            yield f"code cell {number} speaks to nbval in a comment; use the tag"


@rule
def claims_are_compared(page):
    for number, cell in page.code:
        if is_claim(cell) and IGNORE in tags(cell):
            yield f"code cell {number} makes a claim and is tagged {IGNORE}"


@rule
def claims_and_training_catch_nothing(page):
    for number, cell in page.code:
        if not is_claim(cell) and not TRAINING.search(cell.source):
            continue
        catches = any(isinstance(node, ast.Try | ast.TryStar) for node in syntax(cell))
        if catches or "suppress(" in cell.source:
            yield f"code cell {number} could hide a failure: `try` or `suppress`"


@rule
def claims_are_printed_by_the_library(page):
    for number, cell in page.code:
        if "✔" in cell.source:
            yield f"code cell {number} writes a ✔ of its own"
        if is_claim(cell) and not tool.CLAIM.search(stored_text(cell)):
            yield f"code cell {number} stores no claim"
        if not is_claim(cell) and "✔" in stored_text(cell):
            yield f"code cell {number} shows a ✔ without `claims.check`"


@rule
def most_cells_are_compared(page):
    compared = [IGNORE not in tags(cell) for _, cell in page.code]
    if sum(compared) < MIN_SHARE_CHECKED * len(compared):
        yield (
            f"only {sum(compared)} of {len(compared)} code cells are compared, "
            f"fewer than {MIN_SHARE_CHECKED:.0%}"
        )


@rule
def it_opens_in_one_click(page):
    if not page.code:
        return
    name = f"{'solutions/' * page.is_solution}{page.name}"
    # Without outputs: the copy of a notebook with its figures is slow.
    bare = [{**cell, "outputs": []} for cell in page.cells]
    bare = nbformat.from_dict({"cells": bare})
    fresh = address.place_address(bare, name, REPOSITORY)
    cells = [(cell.cell_type, cell.source) for cell in page.cells]
    if cells != [(cell.cell_type, cell.source) for cell in fresh.cells]:
        yield "links or Colab cell are not those of pyproject.toml: `make address`"


@rule
def it_starts_with_the_setup_cell(page):
    if len(page.code) < 2:
        return
    setup = page.code[1][1].source  # the first cell fetches the course in Colab
    if not setup.startswith(SETUP):
        yield f"the second code cell does not start with\n{SETUP}"
    if "plt." in page.text:
        if "%matplotlib inline" not in setup:
            yield "the second code cell lacks the line %matplotlib inline"
        if not re.search(r'plt\.rcParams\["figure\.dpi"\] = (?:80|120)', setup):
            yield "the second code cell does not set the figures' dpi to 120"


@rule
def it_says_what_it_runs_on(page):
    cells = [cell for _, cell in page.code if "runtime.describe()" in cell.source]
    if not cells or IGNORE not in tags(cells[0]):
        yield f"no cell tagged {IGNORE} prints `runtime.describe()`"


@rule
def code_cells_are_short_and_narrow(page):
    for number, cell in page.code:
        lines = cell.source.splitlines()
        if len(lines) > MAX_LINES:
            yield f"code cell {number} has {len(lines)} lines, more than {MAX_LINES}"
        for line in lines:
            if len(line) > MAX_WIDTH:
                yield f"code cell {number} has a line of {len(line)} characters: {line}"


@rule
def the_file_is_small(page):
    size = len(page.text.encode())
    if size >= MAX_BYTES:
        yield f"the file has {size:,} bytes, not under {MAX_BYTES:,}"


@rule
def figures_have_words(page):
    cells = [*page.cells, None]
    for cell, below in zip(cells, cells[1:], strict=False):
        if cell.cell_type != "code":
            continue
        shown = {name for o in cell.outputs for name in o.get("data", {})}
        if not any(name.startswith("image/") for name in shown):
            continue
        words = below.source if below and below.cell_type == "markdown" else ""
        match = re.match(r"\*Figure(?: \d+)?: (.+?)\*\s*(\n\n|\Z)", words, re.DOTALL)
        if not match or len(match[1].split()) < 5:
            yield (
                f"the figure of code cell {cell.execution_count} is not followed by "
                "a markdown cell that starts with `*Figure: …*`, in five words or more"
            )


@rule
def sections_measure_or_derive(page):
    if page.is_solution:
        return
    for title, cells in page.sections:
        if title in EXEMPT_SECTIONS:
            continue
        claimed = any(cell.cell_type == "code" and is_claim(cell) for cell in cells)
        prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
        if not claimed and not re.search(r"\b(Derivation|Proof)\b", prose):
            yield f"section {title!r} has no claim, and no Derivation or Proof"


def is_a_lesson(page):
    """Whether a notebook is written in the course's voice; the others will be."""
    return 'plt.rcParams["figure.dpi"] = 120' in page.code[1][1].source


@rule
def it_teaches_more_than_it_checks(page):
    if page.is_solution or not is_a_lesson(page):
        return
    claims, checking, lines = 0, 0, 0
    for _, cell in page.code:
        claims += stored_text(cell).count("✔")
        lines += sum(bool(line.strip()) for line in cell.source.splitlines())
        for node in syntax(cell):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "claims.check":
                checking += node.end_lineno - node.lineno + 1
    if claims > MAX_CLAIMS:
        yield f"{claims} claims, more than {MAX_CLAIMS}"
    if checking > MAX_SHARE_CHECKING * lines:
        yield f"{checking} of {lines} lines of code check: more than 18 %"
    if page.text.count('"image/png"') < MIN_FIGURES:
        yield f"fewer than {MIN_FIGURES} figures"
    if "plots.model_diagram(" not in page.text:
        yield "no diagram of a model"


@rule
def its_words_can_be_looked_up(page):
    if not is_a_lesson(page):
        return
    for words, better in PRIVATE_WORDS.items():
        found = re.search(rf"\b(?:{words})\b", page.prose, re.IGNORECASE)
        if found:
            yield f"{found[0]!r} in the prose: say {better}"


@rule
def its_numbers_are_borne_out(page):
    if not is_a_lesson(page):
        return
    name = f"{'solutions/' * page.is_solution}{page.name}"
    for number in prose_numbers.unborne(page.notebook, name):
        if number not in SIZES | DERIVED_NUMBERS.get(name, set()):
            yield f"no code, output or table bears out {number!r} in the prose"


@rule
def headings_are_in_order(page):
    number = int(page.name.split("_")[0])
    ones = [title for level, title in page.headings if level == 1]
    if len(ones) != 1 or page.headings[0][0] != 1:
        yield f"there is not exactly one `#` heading, at the top: {ones}"
    if not ones or not re.fullmatch(rf"{number}\. \S.*", ones[0]):
        yield f"the title does not read `# {number}. …`: {ones}"
    levels = [level for level, _ in page.headings]
    if any(b > a + 1 for a, b in zip(levels, levels[1:], strict=False)):
        yield f"a heading skips a level: {levels}"
    if page.is_solution:
        return
    twos = [title for level, title in page.headings if level == 2]
    if twos[-3:] != ["Summary", "Exercises", "References"]:
        yield f"it does not end with Summary, Exercises, References but {twos[-3:]}"


@rule
def no_backend_is_imported(page):
    for number, cell in page.code:
        for node in syntax(cell):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                if name.split(".")[0] in BACKENDS:
                    yield f"code cell {number} imports {name}"


def exercise_verdicts(page):
    """{number: verdict} of the exercise checks in the stored outputs."""
    found = {}
    for _, cell in page.code:
        for number, verdict in tool.EXERCISE.findall(stored_text(cell)):
            found.setdefault(int(number), []).append(verdict)
    return found


def exercise_numbers(page):
    """The numbers of the exercises in the prose of the section."""
    prose = "".join(
        cell.source + "\n\n"
        for title, cells in page.sections
        for cell in cells
        if title == "Exercises" and cell.cell_type == "markdown"
    )
    return [int(number) for number in re.findall(r"(?m)^\*\*(\d+)\.", prose)]


@rule
def exercises_are_open_here_and_solved_there(page):
    verdicts = exercise_verdicts(page)
    wanted = "correct" if page.is_solution else "not done yet"
    for number, found in verdicts.items():
        if set(found) != {wanted}:
            yield f"exercise {number} says {found}, not {wanted!r}"
    if len(verdicts) < 2:
        yield f"fewer than two exercises check themselves: {sorted(verdicts)}"
    if page.is_solution:
        return
    numbers = exercise_numbers(page)
    if numbers != list(range(1, len(numbers) + 1)) or not 4 <= len(numbers) <= 6:
        yield f"exercises, as `**1. …`, are not 4 to 6 numbered in order: {numbers}"


@rule
def it_is_in_normal_form(page):
    if normal_form.to_text(normal_form.normalize(page.notebook)) != page.text:
        yield "it is not in normal form: `make format`, or save it: `make notebooks`"


# --- applied to the notebooks ---------------------------------------------------


@functools.cache
def read(path):
    text = path.read_text(encoding="utf-8")
    return Page(
        name=path.stem,
        notebook=nbformat.reads(text, as_version=4),
        is_solution=path.parent.name == "solutions",
        text=text,
    )


PATHS = tool.find()
COURSE = [path for path in PATHS if path.parent.name != "solutions"]


@pytest.mark.parametrize("path", PATHS, ids=tool.title)
def test_notebook_keeps_all_rules(path):
    problems = problems_of(read(path))
    assert not problems, "\n".join([f"{tool.title(path)}:", *problems])


def test_there_are_notebooks_and_each_is_numbered_and_in_the_readme():
    assert {path.stem[:2] for path in COURSE} >= {"00", "01", "10"}
    readme = (tool.ROOT / "README.md").read_text(encoding="utf-8")
    names = [path.name for path in COURSE]
    assert [n for n in names if not re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", n)] == []
    assert [n for n in names if f"notebooks/{n}" not in readme] == []


def test_each_notebook_has_solutions_of_the_same_exercises():
    exercises, solved = {}, {}
    for path in PATHS:
        numbers = set(exercise_verdicts(read(path)))
        (exercises if path in COURSE else solved)[path.name] = numbers
    assert exercises == solved


# --- the rules bite -------------------------------------------------------------

CLAIM_LINE = "✔ it is so (required: size < 1)  [measured 0.5]\n"
PIXEL = "iVBORw0KGgo="


def markdown(source):
    return nbformat.v4.new_markdown_cell(source)


def code(source, *outputs, tag=None):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs), execution_count=1)
    if tag:
        cell.metadata["tags"] = [tag]
    return cell


def stdout(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def figure():
    data = {"image/png": PIXEL, "text/plain": "<Figure size 320x240 with 1 Axes>"}
    return nbformat.v4.new_output("display_data", data=data)


def stub(number, verdict="not done yet"):
    verdict = stdout(f"exercise {number}: {verdict}\n")
    return code(f"toy.exercise_{number}(answer)", verdict)


SETUP_CELL = f"""{SETUP}import matplotlib.pyplot as plt

%matplotlib inline
plt.rcParams["figure.dpi"] = 80"""


def title_cell(text, name):
    return markdown(f"{text}\n\n{address.links(name, REPOSITORY)}")


def sound_cells():
    """The cells of a notebook that keeps every rule, by name."""
    exercises = "\n\n".join(f"**{number}. Do.** (code) It." for number in (1, 2, 3, 4))
    return {
        "title": title_cell(
            "# 3. A toy\n\nOne sentence.\n\n```\n# no heading\n```", "03_toy"
        ),
        "colab": code(address.colab_cell(REPOSITORY)),
        "setup": code(SETUP_CELL),
        "describe": code("print(runtime.describe())", stdout("Keras\n"), tag=IGNORE),
        "section": markdown("## It is so"),
        "training": code("history = model.fit(x, x, verbose=0)"),
        "claim": code('claims.check("it is so", 0.5, "size < 1")', stdout(CLAIM_LINE)),
        "figure": code("ax.plot(x)\nplt.show()", figure()),
        "alt": markdown("*Figure: a line that falls from left to right.*\n\nIt falls."),
        "theory": markdown("## Why?\n\n**Proof.** Because.\n\n### More\n\nSo."),
        "summary": markdown("## Summary\n\nIt is so."),
        "exercises": markdown(f"## Exercises\n\n{exercises}"),
        "first": stub(1),
        "second": stub(2),
        "references": markdown("## References\n\nNone."),
    }


def page_of(cells, is_solution=False, text=None):
    notebook = nbformat.v4.new_notebook(
        cells=[copy.deepcopy(c) for c in cells.values()]
    )
    notebook = normal_form.normalize(notebook)
    text = text or normal_form.to_text(notebook)
    return Page("03_toy", notebook, is_solution, text)


def sound_solution():
    return page_of(
        {
            "title": title_cell("# 3. A toy: solutions", "solutions/03_toy"),
            "colab": code(address.colab_cell(REPOSITORY)),
            "setup": code(SETUP_CELL),
            "describe": code("print(runtime.describe())", tag=IGNORE),
            "heading": markdown("## Exercise 1"),
            "first": stub(1, "correct"),
            "second": stub(2, "correct"),
        },
        is_solution=True,
    )


def test_sound_pages_pass():
    assert problems_of(page_of(sound_cells())) == []
    assert problems_of(sound_solution()) == []


def set_source(name, source):
    def change(cells):
        cells[name].source = source

    return change


def add_source(name, source):
    def change(cells):
        cells[name].source += source

    return change


def replace(name, old, new):
    def change(cells):
        assert old in cells[name].source
        cells[name].source = cells[name].source.replace(old, new)

    return change


def set_tag(name, tag):
    def change(cells):
        cells[name].metadata["tags"] = [tag]

    return change


def add_output(name, output):
    def change(cells):
        cells[name].outputs.append(output)

    return change


def remove(*names):
    def change(cells):
        for name in names:
            del cells[name]

    return change


def clear(name):
    def change(cells):
        cells[name].execution_count, cells[name].outputs = None, []

    return change


def ignore_most(cells):
    for name in ("training", "figure", "first"):
        cells[name].metadata["tags"] = [IGNORE]


ERROR = nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])
RESULT = nbformat.v4.new_output(
    "execute_result", data={"text/plain": "<f at 0x7f1234567890>"}, execution_count=1
)

BREAKS = {
    cells_are_executed_in_order: [clear("claim")],
    no_cell_is_empty: [
        set_source("training", "\n"),
        set_source("alt", " "),
    ],
    no_error_or_stderr_is_stored: [add_output("training", ERROR)],
    no_machine_is_seen_in_outputs: [
        add_output("training", stdout("/home/ada/x")),
        add_output("training", stdout("see /tmp/tmp3f/a")),
        add_output("training", stdout(r"C:\Users\ada")),
        add_output("training", stdout(f"{tool.ROOT}/a")),
        add_output("training", RESULT),
    ],
    cells_are_neither_skipped_nor_excused: [
        set_tag("training", "raises-exception"),
        set_tag("claim", "nbval-skip"),
        add_source("claim", "\n# NBVAL_IGNORE_OUTPUT"),
    ],
    claims_are_compared: [set_tag("claim", IGNORE)],
    claims_and_training_catch_nothing: [
        set_source("training", "try:\n    model.fit(x)\nfinally:\n    pass"),
        set_source("claim", "with suppress(E):\n    claims.check(s, 1, q)"),
    ],
    claims_are_printed_by_the_library: [
        set_source("claim", 'print("✔ it is so (required: a < 1)  [measured 0]")'),
        add_output("training", stdout(CLAIM_LINE)),
        add_source("training", '\nclaims.check("s", 1, "q < 2")'),
    ],
    most_cells_are_compared: [ignore_most],
    it_opens_in_one_click: [
        remove("colab"),
        add_source("colab", "\n# more"),
        replace("colab", REPOSITORY, "https://a.b/c"),
        replace("title", "mybinder.org", "a.b"),
        add_source("title", "\n\nThe links are not last."),
    ],
    it_starts_with_the_setup_cell: [
        set_source("setup", "import keras"),
        replace("setup", 'setdefault("KERAS_BACKEND", "jax")', "clear()"),
        replace("setup", "80", "100"),
        replace("setup", "%matplotlib inline", ""),
    ],
    it_says_what_it_runs_on: [
        remove("describe"),
        set_tag("describe", "another"),
    ],
    code_cells_are_short_and_narrow: [
        add_source("training", "\npass" * MAX_LINES),
        add_source("training", "\n#" + "x" * MAX_WIDTH),
    ],
    the_file_is_small: [add_source("title", "x" * MAX_BYTES)],
    figures_have_words: [
        remove("alt"),
        set_source("alt", "It falls.\n\n*Figure: a line that falls.*"),
        set_source("alt", "*Figure: a line.*"),
        set_source("alt", "*Figure: a line that falls right down"),
    ],
    sections_measure_or_derive: [
        remove("claim"),
        add_source("theory", "\n\n## Thus\n\nA hope."),
    ],
    headings_are_in_order: [
        set_source("title", "# 4. A toy"),
        set_source("title", "A toy"),
        add_source("title", "\n\n# 3. Again"),
        set_source("section", "#### It is so"),
        remove("summary"),
        add_source("references", "\n\n## More\n\n**Proof.**"),
    ],
    no_backend_is_imported: [
        add_source("training", "\nimport torch.nn as nn"),
        add_source("training", "\nfrom jax import numpy as jnp"),
        add_source("claim", "\nif x:\n    import tensorflow"),
    ],
    exercises_are_open_here_and_solved_there: [
        remove("second"),
        add_output("second", stdout("\nexercise 2: correct\n")),
        set_source("exercises", "## Exercises\n\n**1. One.**\n\n**2. Two.**"),
    ],
}


def lesson(*changes):
    """Cells of a sound notebook with the course's dpi, five figures and a diagram."""
    cells = sound_cells()
    replace("setup", "80", "120")(cells)
    cells["training"].outputs += [figure()] * (MIN_FIGURES - 1)  # one more below
    add_source("training", "\nplots.model_diagram(blocks)" + "\nmore()" * 20)(cells)
    for change in changes:
        change(cells)
    return page_of(cells)


def test_a_lesson_has_figures_a_diagram_few_claims_and_words_one_can_look_up():
    rules = it_teaches_more_than_it_checks, its_words_can_be_looked_up
    rules = *rules, its_numbers_are_borne_out

    def problems(*changes):
        return [line for rule in rules for line in rule(lesson(*changes))]

    assert problems() == []
    assert problems(replace("training", "plots.model_diagram", "f")) == [
        "no diagram of a model"
    ]
    more = add_output("claim", stdout(CLAIM_LINE * MAX_CLAIMS))
    assert problems(more) == ["13 claims, more than 12"]
    checks = add_source("claim", '\nclaims.check(\n"s",\n1,\n"q < 2"\n)' * 2)
    (line,) = problems(checks)
    assert "lines of code check" in line
    assert problems(remove("figure")) == ["fewer than 5 figures"]
    for sentence, word in (
        ("The net bends the line.", "bends"),
        ("The deviation of the codes.", "deviation"),
        ("As ONE READS.", "ONE READS"),
    ):
        (line,) = problems(add_source("title", f"\n\n{sentence}"))
        assert line.startswith(f"{word!r} in the prose")
    fine = add_source("title", "\n\nThe standard deviation turns out small; unbent.")
    assert problems(fine) == []


def test_a_number_of_a_lesson_is_borne_out():
    said = stdout("loss 8.146, share 0.125, 12,345 images; 2.5e-3\n")
    measured = add_output("training", said)
    fine = (
        "The loss is 8.15, or 8.1; 12.5 % of 12,345 images, 0.0025. In 1986, notebook"
    )
    fine += " 14, exercise 33: $x = 9.9$, `9.9`, [1](http://a.b/9.9), 12 of them."
    assert not list(
        its_numbers_are_borne_out(lesson(measured, add_source("title", f"\n\n{fine}")))
    )
    for number in ("8.2", "8.14", "12.4%", "1,234", "13"):
        wrong = add_source("title", f"\n\nIt is {number} today.")
        (line,) = its_numbers_are_borne_out(lesson(measured, wrong))
        assert repr(number) in line
    # A table counts where it is named.
    speed = (prose_numbers.TABLES / "RESULTS.md").read_text(encoding="utf-8")
    rare = max(re.findall(r"\d+\.\d+", speed), key=len)
    for words, count in (
        (f"It is {rare}.", 1),
        (f"{rare} in benchmarks/RESULTS.md", 0),
    ):
        page = lesson(add_source("title", f"\n\n{words}"))
        assert len(list(its_numbers_are_borne_out(page))) == count


@pytest.mark.parametrize("broken", BREAKS, ids=lambda function: function.__name__)
def test_rule_notices_each_break(broken):
    unnoticed = []
    for number, change in enumerate(BREAKS[broken], 1):
        cells = sound_cells()
        change(cells)
        if not list(broken(page_of(cells))):
            unnoticed.append(number)
    assert not unnoticed, f"of its breaks in BREAKS, numbers {unnoticed}"


def test_every_rule_is_broken_once():
    assert set(RULES) - set(BREAKS) == {
        it_is_in_normal_form,
        it_teaches_more_than_it_checks,
        its_words_can_be_looked_up,
        its_numbers_are_borne_out,
    }  # they have tests of their own


@pytest.mark.parametrize(
    "change",
    [
        lambda notebook: notebook.cells[1].metadata.update(collapsed=True),
        lambda notebook: notebook.cells[0].update(id="random"),
        lambda notebook: notebook.metadata.update(widgets={}),
        lambda notebook: notebook.metadata.kernelspec.update(name="my-env"),
        lambda notebook: notebook.cells[1].update(execution_count=7),
        # A text that was edited after the last save: its id no longer fits.
        lambda notebook: notebook.cells[5].update(source="history = None"),
    ],
)
def test_a_page_out_of_normal_form_is_noticed(change):
    page = page_of(sound_cells())
    change(page.notebook)
    page.text = normal_form.to_text(page.notebook)
    assert list(it_is_in_normal_form(page))


def test_all_problems_of_a_page_are_listed_even_if_a_rule_cannot_be_applied():
    cells = sound_cells()
    cells["training"].source = "x = ("  # no Python
    del cells["alt"], cells["second"]
    text = "\n".join(problems_of(page_of(cells)))
    for name in ("figures_have_words: ", "exercises_are_open_here_and_solved_there: "):
        assert name in text
    assert "no_backend_is_imported cannot be applied: SyntaxError" in text


def test_a_stored_stderr_is_noticed():
    # Normalizing drops it, so it is put back afterwards.
    page = page_of(sound_cells())
    cell = page.code[0][1]
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text="W0000")]
    assert list(no_error_or_stderr_is_stored(page))


def test_a_solution_that_is_not_correct_is_noticed():
    page = sound_solution()
    page.code[-1][1].outputs[0].text = "exercise 2: not done yet\n"
    assert list(exercises_are_open_here_and_solved_there(page))
