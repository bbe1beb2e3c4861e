"""List the numbers in the prose of notebooks that nothing bears out.

    python -m tools.prose_numbers --only 01

A number is borne out if the notebook's code or outputs hold it, rounded as the prose
rounds it, or its part of benchmarks/claims.md does; in a paragraph that names
another table of benchmarks/, that table, too. Exercises and references are not read.
"""

import re
import sys

from tools import notebooks

TABLES = notebooks.ROOT / "benchmarks"
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|\.\d)(?P<percent> ?%)?")
# Formulas, code, links, tags; and what counts notebooks, exercises, papers or years.
NO_MEASUREMENT = re.compile(
    r"(?s)\$\$.*?\$\$|\$[^$\n]+\$|`[^`]*`|\]\([^)]*\)|<[^>]+>"
    r"|(?m:^#+ .*$)|(?m:^\*{0,2}\(?\d+[.)](?!\d))|\(\d\)|\b(?:19|20)\d\d\b"
    r"|\b(?i:notebook|exercise|section|figure)s? \d+(?:(?:, | and | to |–)+\d+)*"
    r"|(?<=\|)[\d ,;]+(?:to|and|[\d ,;]|\(not written yet\))*(?=\|)"
)
# Below, a number counts things: two networks, 10 classes.
SMALLEST = 13


def numbers_in(text):
    """Yield (as written, value, digits after the point) of each number in a text."""
    for match in NUMBER.finditer(text):
        written = match[0].removesuffix(match["percent"] or "").replace(",", "")
        digits = len(written.partition(".")[2])
        yield match[0], float(written), digits


def evidence(text):
    """The values that code, outputs or a table hold; a share counts as percent, too."""
    found = re.findall(r"\d+(?:[_,]\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?", text)
    values = {float(re.sub("[_,]", "", number)) for number in found}
    return values | {100 * value for value in values if value < 1}


def unborne(notebook, name):
    """List the numbers in a notebook's prose that nothing bears out, as written."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = [cell.source for cell in code]
    for _, output in notebooks.outputs_of(notebook):
        texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    claims = (TABLES / "claims.md").read_text(encoding="utf-8")
    texts += [part for part in claims.split("\n## ") if part.startswith(f"{name}\n")]
    known = evidence("\n".join(texts))
    prose = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    prose = prose.partition("\n## Exercises")[0]
    for paragraph in prose.split("\n\n"):
        here = set(known)
        for table in set(re.findall(r"benchmarks/(\w+\.md)", paragraph)):
            here |= evidence((TABLES / table).read_text(encoding="utf-8"))
        for written, value, digits in numbers_in(NO_MEASUREMENT.sub(" ", paragraph)):
            counts = digits == 0 and value < SMALLEST
            if not counts and value not in {round(one, digits) for one in here}:
                yield written


def main(arguments=None):
    """List them; return the exit status."""
    paths = notebooks.find(notebooks.parser(__doc__).parse_args(arguments).only)
    wrong = 0
    for path in paths:
        found = list(unborne(notebooks.read(path), notebooks.title(path)))
        wrong += bool(found)
        print(f"{notebooks.title(path)}: {', '.join(found) or 'all borne out'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
