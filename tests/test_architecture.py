"""Who may import whom, and what every module of the library owes the others."""

import ast
import subprocess
import sys
from pathlib import Path

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
    "layers": ({"layers", "objectives", "schedules"}, {"keras"}),
    "schedules": (set(), {"keras"}),
    "models": ({"layers", "models"}, {"keras", "numpy"}),
    "diagnostics": (
        {"diagnostics", "layers", "objectives"},
        {"keras", "numpy", "scipy", "sklearn", "skimage"},
    ),
    "datasets": ({"datasets"}, {"keras", "numpy", "scipy", "sklearn", "mlxtend"}),
    "linear": ({"linear"}, {"numpy", "scipy", "sklearn"}),
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_imports_only_what_it_may(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert problems(module_of(path), imports_of(tree, path)) == []


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
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
    names = {
        path: "aecourse." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in FILES
    }
    left = {
        names[path]: imports_of(tree, path) & set(names.values())
        for path, tree in trees.items()
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


def saved_classes(tree):
    """Classes that Keras writes into a model's file, by their bases."""
    saved = ("Layer", "Loss", "Model", "Metric", "LearningRateSchedule", "Constraint")
    saved += ("Regularizer", "Initializer", "Conv2DTranspose", "Dense")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(
            ast.unparse(base).split(".")[-1] in saved for base in node.bases
        ):
            yield node


def is_registered(node):
    """Whether a class is registered under the package's name."""
    return 'register_keras_serializable(package="aecourse")' in "".join(
        ast.unparse(decorator).replace("'", '"') for decorator in node.decorator_list
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_saved_classes_are_registered_under_the_package(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    missing = [node.name for node in saved_classes(tree) if not is_registered(node)]
    assert missing == []


def test_there_are_saved_classes():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in FILES]
    found = {node.name for tree in trees for node in saved_classes(tree)}
    assert found >= {"Sampling", "KLRegularization", "BernoulliNLL"}


@pytest.mark.parametrize(
    "decorator",
    [
        "",
        "@keras.saving.register_keras_serializable()",
        '@keras.saving.register_keras_serializable(package="other")',
    ],
)
def test_an_unregistered_class_is_noticed(decorator):
    (node,) = saved_classes(ast.parse(f"{decorator}\nclass A(keras.Layer):\n    pass"))
    assert not is_registered(node)
