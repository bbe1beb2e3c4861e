"""Change the library in one small place at a time and see whether a test notices.

    make mutants ONLY="aecourse/objectives.py aecourse/linear --sample 40"

A mutant is the library with one change: a mean for a sum, a sign, an axis, a number
off by one. Only tests that execute the changed statement run, on JAX. What survives is
a fact that no test holds; or it changes nothing, and stands with its reason in
`benchmarks/mutants.md`, counted apart.

It is quick because every mutant is a fork of one process that has imported all
packages, and because programs that the unchanged library has compiled are kept. Which
test runs which line is measured once for each test file and kept in `build/mutants`,
until the file or the library changes.
"""

import argparse
import ast
import collections
import copy
import hashlib
import importlib.machinery
import json
import multiprocessing.connection
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "build" / "mutants"
RECORD = ROOT / "benchmarks" / "mutants.md"
ROOMS = "objectives losses layers models schedules linear diagnostics".split()
PACKAGES = "keras jax pytest coverage scipy.stats sklearn.decomposition matplotlib"
# The first changes the library by itself; the others start processes of their own.
NO_JUDGES = {"test_checks_bite", "test_benchmarks", "test_backends", "test_devices"}
NO_JUDGES |= {"test_wheel"}
PYTEST = "-q --tb=no --assert=plain -p no:cacheprovider -p no:nbval".split()
REQUIRED = 0.95
AT_A_TIME = 2
SECONDS_OF_TESTS = 60  # for each mutant, the quickest test files first

PAIRS = [("sum", "mean"), ("nansum", "nanmean"), ("any", "all"), ("min", "max")]
PAIRS += [("minimum", "maximum"), ("argmin", "argmax"), (ast.Add, ast.Sub)]
PAIRS += [(ast.Mult, ast.Div), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.And, ast.Or)]
PAIRS += [(ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)]
OTHER = dict(PAIRS) | {b: a for a, b in PAIRS}
Mutant = collections.namedtuple("Mutant", "file line function change code tests")


def variants(node):
    """What may take the place of `node`."""
    match node:
        case ast.Call(func=ast.Attribute(attr="stop_gradient"), args=[x]):
            yield x
        case ast.Call(func=ast.Attribute(attr="log" | "log1p")):
            yield ast.BinOp(node, ast.Div(), ast.Constant(0.6931471805599453))
        case ast.Call(func=ast.Attribute(attr=name)) if name in OTHER:
            yield changed(node, func=changed(node.func, attr=OTHER[name]))
        case ast.Call(func=ast.Name(id="min" | "max" | "any" | "all" as name)):
            yield changed(node, func=changed(node.func, id=OTHER[name]))
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
            if type(op) in OTHER:
                yield changed(node, op=OTHER[type(op)]())
        case ast.Compare(ops=[op]):
            yield changed(node, ops=[OTHER[type(op)]()])
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=x):
            yield x
        case ast.Return(value=ast.Compare() | ast.BoolOp()):
            yield changed(node, value=ast.UnaryOp(ast.Not(), node.value))
        case ast.keyword(arg="axis", value=ast.Constant(value=0)):
            yield changed(node, value=ast.Constant(1))
        case ast.keyword(arg="axis", value=ast.Constant() | ast.UnaryOp()):
            yield changed(node, value=ast.Constant(0))
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            if value == 0.5 or value >= 10:
                yield ast.Constant(2 * value)
            elif value == int(value):
                yield ast.Constant(value + 1)


def changed(node, **fields):
    node = copy.copy(node)
    vars(node).update(fields)
    return node


def is_left_alone(node):
    """Words, and what only words do."""
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.FunctionDef(name="__repr__"):
            return True
        case ast.Call(func=ast.Name(id="refuse") | ast.Attribute(attr="warn")):
            return True
    return isinstance(node, ast.keyword) and node.arg == "strict"


def changes(node, above=()):
    """`(chain of nodes, old text, new text)` of each change, while the tree has it."""
    above = (*above, node)
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "annotation", "returns"):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or is_left_alone(child):
                continue
            others = list(variants(child))
            for other in others:
                ast.fix_missing_locations(ast.copy_location(other, child))
                old = around(child, above)
                put(node, field, index, other)
                yield (*above, child), old, around(other, above)
                put(node, field, index, child)
            if not (isinstance(child, ast.keyword) and others):
                yield from changes(child, above)


def put(node, field, index, child):
    if isinstance(getattr(node, field), list):
        getattr(node, field)[index] = child
    else:
        setattr(node, field, child)


def around(node, above):
    """The text of a node with as much around it as fits on one line."""
    text = ast.unparse(node)
    for parent in reversed(above):
        wider = ast.unparse(parent)
        if "\n" in wider or len(wider) > 75:
            break
        text = wider
    return text


def mutants_of(file, lines):
    """The mutants of a file, each with the tests that run its statement."""
    tree, everyone = ast.parse(file.read_text()), set().union(*lines.values())
    for chain, old, new in changes(tree):
        names = [node.name for node in chain if hasattr(node, "name")]
        statement = [node for node in chain if isinstance(node, ast.stmt)][-1]
        first, last = statement.lineno, statement.end_lineno
        if isinstance(statement, ast.FunctionDef):  # a default: whoever runs the body
            first = statement.body[0].lineno
        elif hasattr(statement, "body"):
            last = max(first, statement.body[0].lineno - 1)
        tests = set().union(*(lines.get(n, set()) for n in range(first, last + 1)))
        if not any(isinstance(node, ast.FunctionDef) for node in chain):
            tests = everyone
        yield Mutant(
            file.relative_to(ROOT).as_posix(),
            getattr(chain[-1], "lineno", first),
            ".".join(names),
            f"`{old}` → `{new}`".replace("|", "\\|"),
            compile(tree, str(file), "exec"),
            tests,
        )


def forked(jobs):
    """Run each `(name, seconds, function, *arguments)` in a fork of its own.

    Yields `(name, exit code)`, with a negative one where the time was up.
    """
    fork, jobs, running = multiprocessing.get_context("fork"), iter(jobs), {}
    try:
        while True:
            while len(running) < AT_A_TIME and (job := next(jobs, None)):
                process = fork.Process(target=alone, args=job[2:])
                process.start()
                running[process] = job[0], time.monotonic() + job[1]
            if not running:
                return
            multiprocessing.connection.wait([p.sentinel for p in running], timeout=1)
            for process, (name, deadline) in list(running.items()):
                if process.is_alive() and time.monotonic() > deadline:
                    end(process)
                if not process.is_alive():
                    del running[process]
                    yield name, process.exitcode
    finally:
        for process in running:
            end(process)


def end(process):
    os.killpg(process.pid, signal.SIGKILL)  # with all that a test has started
    process.join()


def alone(function, *arguments):
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    sys.exit(function(*arguments))


def judge(mutant, test_files):
    """Whether a test fails, file by file."""
    import jax
    import pytest

    if mutant is not None:  # it reads the compiled programs and adds none
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1e9)
        loader, path = importlib.machinery.SourceFileLoader, str(ROOT / mutant.file)
        original = loader.get_code

        def get_code(self, name):
            return mutant.code if self.path == path else original(self, name)

        loader.get_code = get_code
    return any(pytest.main([*PYTEST, "-x", *tests]) for tests in test_files)


class Recorder:
    """A plugin of pytest: the lines and the seconds of each test that passes."""

    def __init__(self, coverage):
        self.coverage, self.seconds, self.failed = coverage, collections.Counter(), []

    def pytest_runtest_setup(self, item):
        self.coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def trace(test_file, kept):
    """Write what `test_file` runs in the library."""
    import coverage
    import pytest

    measured = coverage.Coverage(data_file=None, include=[f"{ROOT}/aecourse/*"])
    recorder = Recorder(measured)
    with measured.collect():
        pytest.main([*PYTEST, str(test_file)], plugins=[recorder])
    for test in recorder.failed:
        recorder.seconds.pop(test, None)
    lines, passed = {}, set(recorder.seconds)
    for file in measured.get_data().measured_files():
        for line, tests in measured.get_data().contexts_by_lineno(file).items():
            # What runs while the file is imported belongs to all of its tests.
            of_line = passed if "" in tests else passed & set(tests)
            name = Path(file).relative_to(ROOT).as_posix()
            lines.setdefault(name, {})[line] = sorted(of_line)
    found = {"lines": lines, "seconds": recorder.seconds, "failed": recorder.failed}
    kept.write_text(json.dumps(found))


def traced():
    """Which tests run a line, `{file: {line: tests}}`, and the seconds of each test."""
    common = sorted((ROOT / "aecourse").rglob("*.py"))
    common += sorted((ROOT / "tests").glob("[!t]*.py"))
    library = b"".join(file.read_bytes() for file in common)
    imports = rf"(?m)^from aecourse(\.| import .*\b)({'|'.join(ROOMS)})\b"
    kept = {}
    for file in sorted((ROOT / "tests").glob("test_*.py")):
        judges = file.stem == "test_examples" or re.search(imports, file.read_text())
        if judges and file.stem not in NO_JUDGES:
            digest = hashlib.sha256(library + file.read_bytes()).hexdigest()[:16]
            kept[file] = CACHE / f"{file.stem}-{digest}.json"
    missing = [file for file in kept if not kept[file].exists()]
    for name, status in forked((f, 3600, trace, f, kept[f]) for f in missing):
        print(f"{name.name} traced", flush=True)
        if status:
            raise SystemExit(f"{name} could not be run")
    lines, seconds = collections.defaultdict(dict), {}
    for path in kept.values():
        found = json.loads(path.read_text())
        seconds |= found["seconds"]
        for test in found["failed"]:
            print(f"fails already, so it judges no mutant: {test}")
        for file, of_file in found["lines"].items():
            for line, tests in of_file.items():
                lines[file].setdefault(int(line), set()).update(tests)
    return lines, seconds


def selected(file, tests, seconds):
    """The test files of a mutant, each a list of tests, and the seconds of all.

    First the files named like a part of the mutant's path, or like the first word of
    its file, then the quick ones, as much of them as the time allows; in a file the
    quick tests first.
    """
    by_file, chosen, total = collections.defaultdict(list), [], 0.0
    for test in sorted(tests, key=seconds.get):
        by_file[test.partition(".py::")[0]].append(test)
    parts = file.with_suffix("").parts
    own = {f"tests/test_{part}" for part in (*parts, file.stem.partition("_")[0])}
    costs = {name: sum(map(seconds.get, by_file[name])) for name in by_file}
    for name in sorted(by_file, key=lambda name: (name not in own, costs[name])):
        quick = []
        for test in by_file[name]:
            if total == 0 or total + seconds[test] < SECONDS_OF_TESTS:
                quick.append(test)
                total += seconds[test]
        if quick:
            chosen.append(quick)
    return chosen, total


def score(file, lines, seconds, sample):
    """Judge the mutants of one file and print those that survive."""
    start, counts, jobs, survivors = time.monotonic(), collections.Counter(), [], []
    mutants = list(mutants_of(file, lines))
    if sample and sample < len(mutants):
        mutants = random.Random(0).sample(mutants, sample)
    rows = RECORD.read_text().splitlines() if RECORD.exists() else []
    equivalent = {tuple(row.split(" | ")[:3]) for row in rows}
    for mutant in mutants:
        if (f"| {mutant.file}", mutant.function, mutant.change) in equivalent:
            counts["equivalent"] += 1
        elif not mutant.tests:
            survivors.append(mutant)
        else:
            tests, normal = selected(file, mutant.tests, seconds)
            jobs.append((mutant, 10 + 3 * normal, judge, mutant, tests))
    if jobs:  # the same tests must pass where nothing is changed
        everyone = set().union(*(job[0].tests for job in jobs))
        tests, normal = selected(file, everyone, seconds)
        [(_, status)] = forked([(None, 60 + 3 * normal, judge, None, tests)])
        if status:
            raise SystemExit(f"{file}: its tests fail without a mutant")
    for mutant, status in forked(jobs):
        counts["late"] += status < 0
        if status == 0:
            survivors.append(mutant)
    counts["judged"] = len(mutants) - counts["equivalent"]
    counts["caught"] = counts["judged"] - len(survivors)
    report(file.relative_to(ROOT), counts, time.monotonic() - start)
    for mutant in sorted(survivors, key=lambda mutant: mutant.line):
        reason = "" if mutant.tests else "no test runs it"
        print(f"line {mutant.line}:")
        print(f"| {mutant.file} | {mutant.function} | {mutant.change} | {reason}")
    return counts


def report(name, counts, seconds):
    print(
        f"{name}: {counts['caught']} of {counts['judged']} mutants caught "
        f"({counts['late']} by the time limit), {counts['equivalent']} equivalent, "
        f"{seconds:.0f} s",
        flush=True,
    )


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", help="files and folders of aecourse/")
    parser.add_argument("--sample", type=int, help="so many mutants of a file")
    options = parser.parse_args()
    files = []
    for path in options.paths or [f"aecourse/{room}" for room in ROOMS]:
        path = ROOT / path
        files += (
            sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    sys.path[0] = str(ROOT)
    os.environ["KERAS_BACKEND"] = "jax"
    # Threads that wait for each other on busy cores spin.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(CACHE / "jax")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    for package in PACKAGES.split():
        importlib.import_module(package)
    start, total = time.monotonic(), collections.Counter()
    lines, seconds = traced()
    for file in files:
        total += score(
            file, lines[file.relative_to(ROOT).as_posix()], seconds, options.sample
        )
    report("All", total, time.monotonic() - start)
    return total["caught"] < REQUIRED * total["judged"]


if __name__ == "__main__":
    sys.exit(main())
