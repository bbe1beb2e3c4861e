"""A check of an exercise prints one line and never raises."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

import exercise_checks
from tools import notebooks


def told(capsys, check, *answers):
    """What a check prints, without the number of the exercise."""
    assert check(*answers) is None
    line = capsys.readouterr().out
    start = check.__name__.replace("_", " ") + ": "
    assert line.startswith(start) and line.count("\n") == 1
    return line.removeprefix(start).rstrip("\n")


@exercise_checks.check
def exercise_3(double):
    """The toy exercise of this file."""
    if double(2) != 4:
        return "twice two\n  is four"
    return None


def raises(error):
    def answer(*_):
        raise error

    return answer


@pytest.mark.parametrize(
    "answer, verdict",
    [
        (NotImplemented, "not done yet"),
        (lambda x: NotImplemented, "not done yet"),
        (lambda x: (x, NotImplemented), "not done yet"),
        (lambda x: x + 1, "twice two is four"),
        (lambda x: 2 * x, "correct"),
        (lambda x: None, "your function returns None: no `return`?"),
        (raises(ValueError("bad\nshape")), "your code raises ValueError: bad shape"),
        (raises(NotImplementedError()), "your code raises NotImplementedError"),
    ],
)
def test_it_gives_the_verdict_on_one_line(answer, verdict, capsys):
    assert told(capsys, exercise_3, answer) == verdict


def test_a_wrong_signature_is_a_hint(capsys):
    assert "your code raises TypeError" in told(capsys, exercise_3, lambda: 4)


def test_an_answer_that_breaks_the_check_is_a_hint(capsys):
    said = told(capsys, exercise_3, 3)  # 3 cannot be called
    assert "cannot be checked: TypeError" in said


def test_the_line_bears_the_number_of_the_exercise(capsys):
    exercise_3(NotImplemented)
    assert capsys.readouterr().out == "exercise 3: not done yet\n"


def test_values_and_layers_pass_as_they_are_and_functions_keep_their_name(capsys):
    class Layer:
        def __call__(self, x):
            return x

    def named(x, y=1):
        return x

    received = []

    @exercise_checks.check
    def exercise_1(*answers):
        received.extend(answers)

    given = [np.ones(2), Layer(), Layer, 2.0]
    assert told(capsys, exercise_1, *given, named) == "correct"
    assert all(a is b for a, b in zip(given, received[:-1], strict=True))
    assert received[-1].__name__ == "named"
    assert inspect.signature(received[-1]) == inspect.signature(named)


MODULES = [
    path.stem[3:] for path in notebooks.find() if path.parent.name != "solutions"
]


@pytest.mark.parametrize("name", MODULES)
def test_checks_know_unfinished_and_hopeless_answers(name, capsys):
    """The checks of the notebooks themselves; the right answers are in `solutions/`."""
    module = importlib.import_module(f"exercise_checks.{name}")
    checks = {n: check for n, check in vars(module).items() if n.startswith("check_")}
    assert len(checks) >= 2
    for check_name, check in checks.items():
        count = len(inspect.signature(check.__wrapped__).parameters)
        number = check_name.removeprefix("check_")

        assert check(*[lambda *_, **__: NotImplemented] * count) is None
        assert capsys.readouterr().out == f"exercise {number}: not done yet\n"

        hopeless = [raises(ValueError("no")), lambda *_, **__: None, "nonsense", None]
        for answer in hopeless:
            assert check(*[answer] * count) is None
            line = capsys.readouterr().out
            assert re.fullmatch(rf"exercise {number}: .+\n", line)
            assert not line.endswith((": correct\n", ": not done yet\n"))


def test_every_module_of_checks_belongs_to_a_notebook():
    folder = Path(exercise_checks.__file__).parent
    assert sorted(MODULES) == sorted(p.stem for p in folder.glob("[!_]*.py"))


def test_the_checks_of_one_notebook_do_not_load_those_of_another():
    code = (
        "import sys; from exercise_checks import start_here;"
        "print(*[m for m in sys.modules if m.startswith('exercise_checks.')])"
    )
    command = [sys.executable, "-c", code]
    folder = Path(exercise_checks.__file__).parents[1]
    output = subprocess.check_output(command, text=True, cwd=folder)
    assert output.split() == ["exercise_checks.start_here"]
