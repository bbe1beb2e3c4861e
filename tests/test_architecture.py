"""Who may import whom, and what every module of the library owes the others."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import keras
import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "aecourse"
FILES = sorted(PACKAGE.rglob("*.py"))

# What a module may import: modules of ours, packages of others. The standard library
# is open to all, and so is `checks`, which words the refusals and imports none of ours.
RULES = {
    "__init__": (set(), set()),
    "checks": (set(), {"numpy"}),
    "objectives": (set(), {"keras"}),
    "losses": ({"objectives"}, {"keras"}),
    "layers": ({"layers", "objectives"}, {"keras"}),
    "schedules": (set(), {"keras"}),
    "models": ({"layers", "models"}, {"keras", "numpy"}),
    "diagnostics": (
        {"diagnostics", "layers", "objectives"},
        {"keras", "numpy", "scipy", "sklearn", "skimage"},
    ),
    "datasets": ({"datasets"}, {"keras", "numpy", "sklearn"}),
    "linear": ({"linear"}, {"numpy", "scipy"}),
    "plots": ({"plots"}, {"numpy", "scipy", "matplotlib"}),
    "claims": (set(), set()),
    # Inside functions only: the oracle of the likelihood notebook and the tests.
    "runtime": (set(), {"keras", "numpy", "tensorflow_probability"}),
}
NO_KERAS = ("aecourse", "runtime", "checks", "claims", "linear", "plots")


def module_of(path):
    """`objectives`, `layers` for each of its files, `__init__` for the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports_of(tree, path):
    """Every imported module by its full name, also inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            if node.module == "aecourse":
                found |= {f"aecourse.{alias.name}" for alias in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("import_module", "__import__")
        ):
            found.add(ast.literal_eval(node.args[0]))
    return found


IMPORTS = {
    path: imports_of(ast.parse(path.read_text(encoding="utf-8")), path)
    for path in FILES
}


def split(imports):
    """(modules of ours, packages of others) without the standard library."""
    ours = {name.split(".")[1] for name in imports if name.startswith("aecourse.")}
    ours |= {"__init__"} if "aecourse" in imports else set()
    others = {name.split(".")[0] for name in imports} - {"aecourse"}
    return ours, others - set(sys.stdlib_module_names)


def problems(module, imports):
    """What an import breaks; an empty list when all are allowed."""
    if module not in RULES:
        return [f"{module} has no rule: add it to the architecture first"]
    ours, others = split(imports)
    may_ours, may_others = RULES[module]
    wrong = sorted(ours - may_ours - {"checks"}) + sorted(others - may_others)
    return [f"{module} may not import {name}" for name in wrong]


def test_every_file_imports_only_what_it_may():
    found = {
        path.relative_to(PACKAGE).as_posix(): problems(module_of(path), imports)
        for path, imports in IMPORTS.items()
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_rules_allow_nothing_that_no_file_does():
    unused = []
    for module, (may_ours, may_others) in RULES.items():
        names = [
            imports for path, imports in IMPORTS.items() if module_of(path) == module
        ]
        ours, others = split(set().union(*names))
        unused += [(module, name) for name in (may_ours - ours) | (may_others - others)]
    assert unused == []


@pytest.mark.parametrize(
    "module, line",
    [
        ("objectives", "import tensorflow as tf"),
        ("layers", "from jax import numpy"),
        ("models", "def f():\n    import torch"),
        ("datasets", "import importlib\nimportlib.import_module('torch.nn')"),
        ("objectives", "from aecourse import losses"),
        ("losses", "from aecourse.layers import Sampling"),
        ("linear", "import keras"),
        ("claims", "import numpy"),
        ("runtime", "from aecourse import claims"),
        ("plots", "from aecourse.models import autoencoder"),
        ("trainer", "import os"),
    ],
)
def test_rule_notices_a_forbidden_import(module, line):
    assert problems(module, imports_of(ast.parse(line), Path("toy.py")))


def test_rules_allow_no_cycle():
    left = {module: set(ours) - {module} for module, (ours, _) in RULES.items()}
    while left:
        free = [module for module, ours in left.items() if not ours & set(left)]
        assert free, f"a cycle among {sorted(left)}"
        for module in free:
            del left[module]


def test_files_of_a_package_import_no_cycle():
    names = {
        path: "aecourse." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in FILES
    }
    left = {
        names[path]: imports & set(names.values()) for path, imports in IMPORTS.items()
    }
    while left:
        free = [name for name, used in left.items() if not used & set(left) - {name}]
        assert free, f"a cycle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.fixture(scope="module")
def loaded_by():
    """{module: what is loaded after its import}, in this order in one process."""
    code = (
        "import importlib, sys\n"
        f"for name in {NO_KERAS!r}:\n"
        "    importlib.import_module(f'aecourse.{name}'.replace('.aecourse', ''))\n"
        "    print(name, *sorted(m for m in sys.modules if '.' not in m))\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return {line.split()[0]: set(line.split()[1:]) for line in output.splitlines()}


@pytest.mark.parametrize("name", NO_KERAS)
def test_is_imported_without_keras_or_a_backend(name, loaded_by):
    # The first in the list to fail is at fault.
    assert not loaded_by[name] & {"keras", "tensorflow", "jax", "torch"}


def test_importing_the_package_loads_nothing_heavy(loaded_by):
    assert not loaded_by["aecourse"] & {"numpy", "scipy", "sklearn", "matplotlib"}


# What Keras writes into a model's file by its registered name. A model is a layer.
SAVED = (
    keras.layers.Layer,
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.initializers.Initializer,
)


def saved_classes():
    """The classes that the library defines and Keras saves, whatever their bases."""
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        for value in vars(module).values():
            if inspect.isclass(value) and issubclass(value, SAVED):
                if value.__module__ == module.__name__:
                    yield value


def unregistered(classes):
    """Names of those whose registered name is not the package's.

    A private class that others derive from is only a part of them and is never saved.
    """
    classes = list(classes)
    return [
        one.__name__
        for one in classes
        if keras.saving.get_registered_name(one) != f"aecourse>{one.__name__}"
        and not (one.__name__.startswith("_") and one.__subclasses__())
    ]


def test_saved_classes_are_registered_under_the_package():
    classes = list(saved_classes())
    names = {one.__name__ for one in classes}
    # Derived from `Layer`, `Conv2D`, `Model`, `Loss` and `LearningRateSchedule`.
    some = {"Sampling", "MaskedConv2D", "VariationalAutoencoder", "BernoulliNLL"}
    assert names >= some | {"CyclicalAnnealing"}
    assert unregistered(classes) == []


def test_an_unregistered_class_is_noticed():
    class Forgotten(keras.layers.Conv2D):
        pass

    class _Lonely(keras.layers.Layer):
        pass

    @keras.saving.register_keras_serializable(package="other")
    class Elsewhere(keras.losses.Loss):
        pass

    wrong = [Forgotten, _Lonely, Elsewhere]
    assert unregistered(wrong) == [one.__name__ for one in wrong]


# --- signatures

MODULES = sorted({module_of(path) for path in FILES} - {"__init__", "checks"})
# The sentence, the value and what is required of it: a claim reads like one.
POSITIONAL = {"claims.check": 3}


def public_callables(module):
    """`(name, function)` of the public names of a module, methods included."""
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
    ]
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value):
            for method, function in vars(value).items():
                ours = inspect.isfunction(function) and not inherited(value, method)
                if ours and (method == "__init__" or not method.startswith("_")):
                    yield f"{name}.{method}", function
        elif inspect.isfunction(value):
            yield name, value


def inherited(owner, method):
    """Whether a base class has the method already, so that its signature is given."""
    return method != "__init__" and any(
        hasattr(base, method) for base in owner.__bases__ if base is not object
    )


def num_positional(function):
    """How many arguments may be passed without their names, `self` left out."""
    parameters = inspect.signature(function).parameters.values()
    positional = [
        parameter.name
        for parameter in parameters
        if parameter.kind
        in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(positional) - (positional[:1] == ["self"])


def too_many_positional(module, module_name):
    """What takes more than two arguments without their names."""
    return [
        name
        for name, function in public_callables(module)
        if num_positional(function) > POSITIONAL.get(f"{module_name}.{name}", 2)
    ]


@pytest.mark.parametrize("name", MODULES)
def test_arguments_after_the_second_are_keyword_only(name):
    module = importlib.import_module(f"aecourse.{name}")
    assert list(public_callables(module))
    assert too_many_positional(module, name) == []


def test_a_third_positional_argument_is_noticed():
    class Toy:
        __all__ = ("f", "Layer")

        def f(a, b, c, *, d):  # noqa: N805
            pass

        class Layer:
            def __init__(self, a, b, c=1):
                pass

            def fits(self, a, b):
                pass

    assert too_many_positional(Toy, "toy") == ["f", "Layer.__init__"]
