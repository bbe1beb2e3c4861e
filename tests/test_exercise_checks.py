"""A check of an exercise prints one line and never raises."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import exercise_checks
from tools import notebooks


@exercise_checks.exercise(3)
def double_it(double):
    """The toy exercise of this file."""
    if double(2) != 4:
        return "twice two\n  is four"
    return None


def told(capsys, *answers, check=double_it):
    """What a check prints, without the number of the exercise."""
    assert check(*answers) is None
    line = capsys.readouterr().out
    assert line.startswith("exercise 3: ") and line.count("\n") == 1
    return line.removeprefix("exercise 3: ").rstrip("\n")


def raises(error):
    def answer(*_):
        raise error

    return answer


def test_an_unfinished_stub_is_not_done(capsys):
    assert told(capsys, lambda x: NotImplemented) == "not done yet"


def test_an_unfinished_part_is_not_done(capsys):
    assert told(capsys, lambda x: (x, NotImplemented)) == "not done yet"


def test_an_unfinished_value_is_not_done(capsys):
    assert told(capsys, NotImplemented) == "not done yet"


def test_a_wrong_answer_gets_the_hint_on_one_line(capsys):
    assert told(capsys, lambda x: x + 1) == "twice two is four"


def test_a_right_answer_is_correct(capsys):
    assert told(capsys, lambda x: 2 * x) == "correct"


def test_a_forgotten_return_is_named(capsys):
    assert "returns None" in told(capsys, lambda x: None)


@pytest.mark.parametrize(
    "error", [ValueError("bad\nshape"), NotImplementedError(), ZeroDivisionError("0")]
)
def test_an_error_in_the_answer_is_a_hint(error, capsys):
    text = told(capsys, raises(error))
    words = " ".join(str(error).split())
    name = type(error).__name__
    assert text == f"your code raises {name}: {words}".removesuffix(": ")


def test_a_wrong_signature_is_a_hint(capsys):
    assert "your code raises TypeError" in told(capsys, lambda: 4)


def test_an_answer_that_breaks_the_check_is_a_hint(capsys):
    assert "cannot be checked: TypeError" in told(capsys, 3)  # 3 cannot be called


def test_an_array_and_a_layer_are_passed_as_they_are(capsys):
    class Layer:
        def __call__(self, x):
            return x

    given = [np.ones(2), Layer(), Layer, 2.0]
    received = []
    check = exercise_checks.exercise(3)(lambda *answers: received.extend(answers))
    assert told(capsys, *given, check=check) == "correct"
    assert all(a is b for a, b in zip(given, received, strict=True))


def test_a_checked_function_keeps_its_name_and_signature(capsys):
    def named(x, y=1):
        return x

    received = []
    told(capsys, named, check=exercise_checks.exercise(3)(received.append))
    assert received[0].__name__ == "named"
    assert inspect.signature(received[0]) == inspect.signature(named)


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
