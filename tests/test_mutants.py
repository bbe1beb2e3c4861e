"""benchmarks/mutants: which small changes it makes, and where it makes none."""

import ast
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import mutants  # noqa: E402


def changed_lines(text):
    return {new for _, _, new in mutants.changes(ast.parse(text))}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("y = ops.sum(x, axis=0)", {"ops.mean(x, axis=0)", "ops.sum(x, axis=1)"}),
        ("y = 0.5 * a", {"0.5 / a", "1.0 * a"}),
        ("y = -a", {"a"}),
        ("y = ops.log(a)", {"ops.log(a) / 0.6931471805599453"}),
        ("y = x[1:]", {"x[2:]"}),
        ("y = ops.stop_gradient(a)", {"a"}),
        ("y = a <= b", {"a < b"}),
        ("y = not a", {"a"}),
        ("y += b", {"y -= b"}),
        ("def f():\n    return a == b", {"return a != b", "return not a == b"}),
    ],
)
def test_changes_one_small_thing(text, expected):
    new = changed_lines(text)
    assert {line.removeprefix("y = ") for line in new} == expected


@pytest.mark.parametrize(
    "text",
    [
        '"""Sum of 1 + 1."""',
        "raise ValueError(1 + 1)",
        "refuse(name, f'at most {1 + 1}')",
        "def __repr__(self):\n    return 1 + 1",
        "zip(a, b, strict=True)",
    ],
)
def test_leaves_words_alone(text):
    assert changed_lines(text) == set()


def test_the_tree_is_as_before_when_all_changes_are_made():
    tree = ast.parse("def f(x, k=1):\n    return 0.5 * ops.sum(-x[k:], axis=0) < 1")
    before = ast.dump(tree)
    assert len(list(mutants.changes(tree))) == 9
    assert ast.dump(tree) == before


def test_of_a_slow_file_of_tests_the_quick_ones_judge():
    file = Path("aecourse/layers/tied.py")
    seconds = {
        "tests/test_plots.py::quick": 1.0,
        "tests/test_tied.py::quick": 2.0,
        "tests/test_tied.py::slow": 90.0,
        "tests/test_tied.py::brisk": 3.0,
    }
    chosen, total = mutants.selected(file, set(seconds), seconds)
    quick, brisk = "tests/test_tied.py::quick", "tests/test_tied.py::brisk"
    assert chosen == [[quick, brisk], ["tests/test_plots.py::quick"]]
    assert total == 6.0


def test_the_file_of_tests_named_like_the_first_word_of_a_mutants_file_judges_first():
    file = Path("aecourse/layers/jacobian_chain.py")
    seconds = {"tests/test_plots.py::quick": 1.0, "tests/test_jacobian.py::slow": 50.0}
    chosen, _ = mutants.selected(file, set(seconds), seconds)
    assert chosen[0] == ["tests/test_jacobian.py::slow"]
