"""The examples of the docstrings and of the README run, on every backend."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import aecourse

README = Path(__file__).resolve().parent.parent / "README.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS

MODULES = ["aecourse"] + [
    module.name for module in pkgutil.walk_packages(aecourse.__path__, "aecourse.")
]
# Built by `variational_autoencoder`, whose example shows it.
SHOWN_ELSEWHERE = {"aecourse.models.variational.VariationalAutoencoder"}
# Every public function and class of these shows how it is used.
SHOWN = [
    module.name
    for module in pkgutil.iter_modules(aecourse.__path__)
    if module.name not in ("checks", "datasets")
]


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in MODULES:
        for test in finder.find(importlib.import_module(name)):
            if test.examples:
                yield test


EXAMPLES = sorted(examples(), key=lambda test: test.name)


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_docstring_example(test, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # an example that writes a file writes it here
    report = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert result.failed == 0, "".join(report)


def public(module):
    """The functions and classes of a module or a package for its users."""
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", None) == module.__name__
        is_shown = name in getattr(module, "__all__", [name] if is_own else [])
        if is_shown and not name.startswith("_"):
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{value.__module__}.{name}", value


@pytest.mark.parametrize("module", SHOWN)
def test_public_names_have_an_example(module):
    shown = {test.name for test in EXAMPLES}
    names = list(public(importlib.import_module(f"aecourse.{module}")))
    assert names
    missing = [
        name
        for name, value in names
        if name not in shown | SHOWN_ELSEWHERE
        and not (inspect.isclass(value) and issubclass(value, Exception))
    ]
    assert missing == []


def readme_blocks():
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    return re.findall(r"(?ms)^```python\n(.*?)^```", text)


def test_the_readme_has_code():
    assert readme_blocks()


def test_the_readme_runs(tmp_path, monkeypatch):
    """All blocks in order, in one namespace, as a reader would paste them."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "readme"}
    for number, block in enumerate(readme_blocks(), 1):
        exec(compile(block, f"README.md, Python block {number}", "exec"), namespace)
