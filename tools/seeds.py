"""Execute notebooks over seeds and backends; tabulate what each claim measured.

python -m tools.seeds --only 01 --seeds 0 1 --backends jax
"""

import collections
import datetime
import importlib.metadata
import itertools
import math
import os
import platform
import re
import statistics
import sys
from pathlib import Path

from aecourse import claims
from tools import notebooks
from tools.execute import execute

PREFACE = """\
# The claims over seeds

Written by `make seeds`, which executes the notebooks once for each backend and each
value of `AECOURSE_SEED`. A notebook's part is replaced when it is run again. `margin`
is the distance from the mean over all runs to the nearest bound, in standard
deviations of the runs (sd): the larger, the more robust the claim. Values are as
printed, to three digits.
"""


def tabulate(path, seeds, backends, table):
    """Execute a notebook over seeds and backends, write its part of the table.

    Returns:
        Whether every claim held and nothing else was wrong.
    """
    runs, problems = collections.defaultdict(list), []
    name = notebooks.title(path)
    for backend, seed in itertools.product(backends, seeds):
        label = f"{name} ({backend}, seed {seed})"
        failure = notebooks.timed(label, one, path, backend, seed, runs)
        lines = failure.args if failure else ()
        problems += [f"{backend}, seed {seed}: {line}" for line in lines]
    if runs or problems:
        write(table, name, section(name, runs, problems, seeds, backends))
    return not problems


def one(path, backend, seed, runs):
    """Execute once; add to `runs` what each claim measured.

    Raises:
        NotebookFailure: naming all that is wrong.
    """
    environment = {"KERAS_BACKEND": backend, "AECOURSE_SEED": str(seed)}
    notebook = notebooks.read(path)
    execute(notebook, path.parent, environment, allow_errors=True)
    trouble, seen = [], collections.Counter()
    for number, output in notebooks.outputs_of(notebook):
        if output.output_type == "error":
            text = notebooks.ANSI.sub("", f"{output.ename}: {output.evalue}")
            trouble.append(f"code cell {number} raised {text}")
        elif path.parent.name == "solutions":
            answers = notebooks.EXERCISE.findall(output.get("text", ""))
            wrong = [answer for answer in answers if answer[1] != "correct"]
            for exercise, said in wrong:
                trouble.append(f"code cell {number}: exercise {exercise} says {said!r}")
    for _, claim in notebooks.claims_in(notebook):
        words = claim["sentence"], claim["required"], claim["unit"]
        seen[words] += 1  # a sentence repeated in a notebook is another claim
        run = backend, float(claim["value"]), claim["mark"] == "✔"
        runs[*words, seen[words]].append(run)
    if trouble:
        raise notebooks.NotebookFailure(*trouble)
    return "holds"


def section(name, runs, problems, seeds, backends):
    """One notebook's part of the table, in Markdown."""
    python = f"{os.cpu_count()} {platform.machine()} cores, Python"
    lines = [
        f"## {name}",
        "",
        f"Seeds {', '.join(map(str, seeds))}; {_versions(backends)}; "
        f"{python} {platform.python_version()}; {datetime.date.today().isoformat()}.",
        "",
    ]
    columns = [f"{backend}: min … max" for backend in backends]
    rows = [["claim", "required", *columns, "holds", "margin"]]
    rows.append(["---"] * len(rows[0]))
    for (sentence, required, unit, _), found in runs.items():
        ranges = []
        for backend in backends:
            values = sorted({value for name, value, _ in found if name == backend})
            ends = " … ".join(f"{v:g}" for v in values[:1] + values[1:][-1:])
            ranges.append(ends + unit if values else "–")
        held = f"{sum(holds for *_, holds in found)}/{len(seeds) * len(backends)}"
        far = margin([value for _, value, _ in found], required)
        words = [text.replace("|", r"\|") for text in (sentence, required)]
        rows.append([*words, *ranges, held, far])
    lines += [f"| {' | '.join(row)} |" for row in rows]
    if problems:
        lines += ["", "Failed:", ""]
        lines += [f"- {' '.join(problem.split())}" for problem in problems]
    return "\n".join(lines) + "\n"


def margin(values, required):
    """Standard deviations over all runs from the nearest bound to their mean."""
    conditions, _ = claims.parse(required)
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return "–"
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    if deviation == 0:
        return "no spread"
    sides = {"<": -1, "≤": -1, ">": 1, "≥": 1}
    room = [sides[sign] * (mean - bound) for sign, bound in conditions]
    return f"{min(room) / deviation:.1f} sd"


def _versions(backends):
    packages = importlib.metadata.packages_distributions()
    names = [name for name in ("keras", *backends) if name in packages]
    versions = {name: importlib.metadata.version(packages[name][0]) for name in names}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def write(table, name, text):
    """Put a notebook's part into the table, in place of an older one."""
    kept = {}
    if table.exists():
        for part in re.split(r"(?m)^(?=## )", table.read_text(encoding="utf-8"))[1:]:
            kept[part.splitlines()[0].removeprefix("## ").strip()] = part
    kept[name] = text
    order = sorted(kept, key=lambda name: (name.startswith("solutions/"), name))
    parts = [PREFACE, *[kept[name].rstrip("\n") + "\n" for name in order]]
    table.write_text("\n".join(parts), encoding="utf-8", newline="\n")


def main(arguments=None):
    """Parse the command line and do what it says; return the exit status."""
    parser = notebooks.parser(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--backends",
        nargs="+",
        choices=notebooks.BACKENDS,
        default=["jax", "tensorflow"],
    )
    table = notebooks.ROOT / "benchmarks" / "claims.md"
    parser.add_argument("--table", type=Path, default=table)
    options = parser.parse_args(arguments)
    paths = notebooks.find(options.only)
    failed = [
        path
        for path in paths
        if not tabulate(path, options.seeds, options.backends, options.table)
    ]
    done = f"hold over seeds {options.seeds}; table in {options.table}"
    return notebooks.finish(failed, paths, done)


if __name__ == "__main__":
    sys.exit(main())
