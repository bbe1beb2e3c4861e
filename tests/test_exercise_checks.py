"""A check of an exercise prints one line and never raises."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest

import exercise_checks
from tools import notebooks as tool


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


# --- the checks of the notebooks ------------------------------------------------

NAMES = [module.name for module in pkgutil.iter_modules(exercise_checks.__path__)]


def test_each_module_has_a_notebook_and_each_notebook_its_module():
    notebooks = {path.stem[3:] for path in tool.find()}
    assert notebooks == set(NAMES)


def test_a_module_imports_no_more_than_it_needs():
    code = "import sys, exercise_checks.start_here; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tool.NOTEBOOKS,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(process.stdout.split())
    assert loaded.isdisjoint({"keras", "scipy", "sklearn"})
    ours = {name for name in loaded if name.startswith("exercise_checks")}
    assert ours == {"exercise_checks", "exercise_checks.start_here"}


def checks_in(name):
    """The checks of a module by name: `exercise_1` and so on."""
    module = importlib.import_module(f"exercise_checks.{name}")
    return {k: v for k, v in vars(module).items() if k.startswith("exercise_")}


def test_each_notebook_calls_all_checks_of_its_module_and_no_other():
    called, wanted = {}, {}
    for path in tool.find():
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        calls = re.findall(r"(?m)^(\w+)\.(exercise_\d)\(", code)
        called[tool.title(path)] = set(calls)
        name = path.stem[3:]
        wanted[tool.title(path)] = {(name, check) for check in checks_in(name)}
    assert called == wanted


@pytest.mark.parametrize("name", NAMES)
def test_check_knows_unfinished_and_hopeless_answers(name, capsys):
    """The right answers are in `solutions/`, whose outputs are compared."""
    checks = checks_in(name)
    assert len(checks) >= 2
    for check in checks.values():
        count = len(inspect.signature(check).parameters)
        unfinished = [lambda *_, **__: NotImplemented] * count
        assert told(capsys, check, *unfinished) == "not done yet"
        for answer in (raises(ValueError("no")), lambda *_, **__: None, "no", None):
            said = told(capsys, check, *[answer] * count)
            assert said not in ("correct", "not done yet")
