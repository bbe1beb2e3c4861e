"""Settings of pytest for the whole project.

`pytest` runs the library's tests, on Keras' backend jax unless `KERAS_BACKEND` says
otherwise. `pytest --nbval notebooks/` executes the notebooks and compares what they
print with what is stored, from any directory; the settings it needs are made here, for
as options in `pyproject.toml` they would stop pytest where nbval is not installed.
"""

import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "jax")

# The measured value at the end of a claim may differ between runs; the sentence before
# it, with its threshold, may not. ✔ is written as an escape because nbval reads this
# in the locale's encoding.
SANITIZE = r"""regex: (?m)^(\u2714 .*\))  \[measured [^\[\]\n]*\]$
replace: \1
"""

# Most of the time of the library's tests is XLA's compiling, on JAX and in TensorFlow's
# training steps. Without its optimizations it takes a third of it; the notebooks are
# checked with them. Both backends read the variable when they start.
QUICK_XLA = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false"
)

CELL_TIMEOUT = 600.0  # a dead kernel is noticed only after it
NO_TIMEOUT = 7 * 24 * 3600.0  # for AECOURSE_BUDGET=full
NBVAL_CELL_TIMEOUT = 2000.0  # nbval's default: what an option not given looks like


def pytest_configure(config):
    """Set nbval's options and the environment, unless the caller does."""
    option = config.option
    # The library's tests draw figures without a screen; a notebook says `inline`.
    os.environ.setdefault("MPLBACKEND", "Agg")
    if not (getattr(option, "nbval", False) or getattr(option, "nbval_lax", False)):
        os.environ.setdefault("XLA_FLAGS", QUICK_XLA)
        return
    if option.nbval_sanitize_with is None:
        with tempfile.NamedTemporaryFile(
            "w", prefix="aecourse-", suffix=".cfg", encoding="ascii", delete=False
        ) as file:
            file.write(SANITIZE)
        option.nbval_sanitize_with = file.name
        config.add_cleanup(lambda: os.unlink(file.name))
    if option.nbval_cell_timeout == NBVAL_CELL_TIMEOUT:
        full = os.environ.get("AECOURSE_BUDGET") == "full"
        option.nbval_cell_timeout = NO_TIMEOUT if full else CELL_TIMEOUT
    if option.nbval_kernel_name is None:
        option.nbval_current_env = True


def pytest_terminal_summary(terminalreporter):
    """Print the seconds of each notebook."""
    seconds = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            path, _, _ = getattr(report, "nodeid", "").partition("::")
            if path.endswith(".ipynb"):
                seconds[path] = seconds.get(path, 0.0) + getattr(report, "duration", 0)
    if seconds:
        terminalreporter.section("seconds a notebook")
    for path, duration in sorted(seconds.items()):
        terminalreporter.write_line(f"{duration:6.0f}  {path}")
