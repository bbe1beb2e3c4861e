"""How fast the course's models train, beside the stock layers and beside peers.

    python benchmarks/speed.py             all tables; about half an hour on two cores
    python benchmarks/speed.py --quick     the same tables from tiny runs: does it work?
    python benchmarks/speed.py --gpu       on an accelerator, with full MNIST
    python benchmarks/speed.py --only mlp  one table: conv, builder, mlp, batch, nll,
                                           jacobian, memory, import, separated by commas

Each contestant lives in a process of its own, with its own backend. All processes stay
alive and take turns (A B C A B C ...), so that a busy minute of the machine meets them
all, and a ratio compares neighbors in time. Peers that are not installed are left out
by name; `pip install -r requirements-bench.txt` brings them. The tables are Markdown,
for `benchmarks/RESULTS.md`.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import contestants
import numpy as np

HERE = Path(__file__).resolve().parent
TITLES = {
    "conv": "Conv VAE of the keras.io example, 2 latent axes",
    "builder": "Conv VAE of the builders, 2 latent axes",
    "mlp": "MLP VAE 784-200-200-50",
}
# Passes over the images in one epoch, so that an epoch takes about a second.
PASSES = {"conv": 1, "builder": 2, "mlp": 10}
PARTS = (*TITLES, "batch", "nll", "jacobian", "memory", "import")
REFERENCE = "aecourse, JAX"
SCALED = {
    "conv": ("aecourse, TensorFlow", "aecourse, JAX", "stock layer, JAX"),
    "mlp": ("aecourse, TensorFlow", "aecourse, JAX", "hand-written JAX"),
}
# Encoder, number of inputs, latent_dim: each of the two grows alone.
JACOBIANS = (
    *(("dense", num_inputs, 32) for num_inputs in (64, 256, 784)),
    *(("dense", 784, latent_dim) for latent_dim in (8, 128)),
    ("conv", 784, 32),
)
MEMORY = {
    "kl_per_axis": (10_000, 100_000),
    "mutual_information": (2_000, 8_000),
    "importance_sampled_nll": (1_000, 4_000),
    "off_manifold_distance": (1_000, 4_000),
}
# What `aecourse` is imported for in a notebook, on top of Keras with its backend.
IMPORT = """
import sys, time
import keras
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
IMPORTS = {
    "`import aecourse`": "import aecourse",
    "`from aecourse import layers, losses, models`": (
        "from aecourse import layers, losses, models"
    ),
}
# glibc hands freed memory of this size back and takes it again at each step. With
# these settings it keeps it.
KEEP_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
}


class Failed(Exception):
    """A contestant's process ended early; the text is the end of what it said."""


class Contestant:
    """A training process that runs one epoch when asked."""

    def __init__(self, name, network, batch_size, path, options):
        self.name = name
        arguments = ["train", name, network, batch_size, options.seed, path]
        arguments.append(1 if options.quick or options.gpu else PASSES[network])
        self.errors = tempfile.TemporaryFile("w+")
        self.process = start(arguments, options.environment, self.errors)
        self.first = self._answer()
        self.rounds = []

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.rounds.append(self._answer())

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()
        self.errors.close()

    def _answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.errors.seek(0)
        raise Failed(f"{self.name}: {self.errors.read()[-2000:]}")

    def rates(self):
        """Images/s, one number a round."""
        return [r["images"] / r["seconds"] for r in self.rounds]

    def cpu(self):
        """Milliseconds of processor time a thousand images, one number a round."""
        return [1e6 * r["cpu_seconds"] / r["images"] for r in self.rounds]


def start(arguments, environment, errors):
    command = [sys.executable, str(HERE / "contestants.py"), *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def missing(name):
    """The packages that a contestant needs and this Python does not have."""
    return [
        package
        for package in contestants.CONTESTANTS[name]
        if importlib.util.find_spec(package) is None
    ]


def compete(names, network, batch_size, path, options):
    """Contestants that have trained `options.rounds` rounds, taking turns."""
    with contextlib.ExitStack() as stack:
        running = []
        for name in names:
            contestant = Contestant(name, network, batch_size, path, options)
            stack.callback(contestant.close)
            running.append(contestant)
        for _ in range(options.rounds):
            for contestant in running:
                contestant.run()
    return running


def training_table(network, path, options):
    names = [name for name in contestants.CONTESTANTS if not missing(name)]
    if network == "mlp":  # it has no transposed convolution
        names = [name for name in names if not name.startswith("stock")]
    finished = compete(names, network, options.batch_size, path, options)
    reference = next((c for c in finished if c.name == REFERENCE), finished[0])
    if options.gpu and reference.first["device"] == "cpu":
        raise Failed(f"--gpu: {reference.name} found no accelerator")
    rows = []
    for contestant in sorted(finished, key=lambda c: -statistics.median(c.rates())):
        pairs = zip(contestant.rates(), reference.rates(), strict=True)
        rows.append(
            [
                contestant.name,
                spread([mine / theirs for mine, theirs in pairs], "{:.2f}"),
                spread(contestant.rates(), "{:,.0f}"),
                spread(contestant.cpu(), "{:,.0f}"),
                f"{contestant.first['first_seconds']:.1f}",
                contestant.first["device"],
            ]
        )
    heading = [
        "contestant",
        f"ratio to {reference.name}",
        "images/s",
        "processor ms per 1,000 images",
        "start and first epoch, s",
        "device",
    ]
    print_table(f"{TITLES[network]}, batch {options.batch_size}", heading, rows)
    for name in contestants.CONTESTANTS:
        if missing(name):
            print(f"Left out: {name}, which needs {', '.join(missing(name))}.\n")


def batch_table(path, options):
    rows = []
    for network, names in SCALED.items():
        names = [name for name in names if not missing(name)]
        for batch_size in options.batch_sizes:
            for contestant in compete(names, network, batch_size, path, options):
                rates = spread(contestant.rates(), "{:,.0f}")
                rows.append([network, contestant.name, str(batch_size), rates])
    rows.sort(key=lambda row: row[:2])
    heading = ["network", "contestant", "batch", "images/s"]
    print_table("Images/s against the batch size", heading, rows)


def nll_table(path, options):
    """Time must grow with K, memory must not."""
    backends = [b for b in ("jax", "tensorflow") if importlib.util.find_spec(b)]
    answers = {}
    for _ in range(min(options.rounds, 3)):
        for backend in backends:
            for num_samples in options.num_samples:
                environment = {**options.environment, "KERAS_BACKEND": backend}
                arguments = ["nll", num_samples, options.num_images]
                arguments += [options.seed, path]
                answer = run_once(arguments, environment)
                answers.setdefault((backend, num_samples), []).append(answer)
    rows = [
        [
            backend,
            f"{num_samples:,}",
            spread([a["images"] / a["seconds"] for a in found], "{:,.1f}"),
            spread(
                [1e6 * a["seconds"] / a["images"] / num_samples for a in found],
                "{:,.0f}",
            ),
            spread([a["added_megabytes"] for a in found], "{:,.0f}"),
        ]
        for (backend, num_samples), found in answers.items()
    ]
    heading = ["backend", "K", "images/s", "µs per sample", "peak memory added, MB"]
    title = f"Importance-sampled NLL of {options.num_images} images, MLP VAE"
    print_table(title, heading, rows)


def jacobian_table(options):
    """A step with the penalty as a multiple of a plain one, epochs in turn."""
    rows = []
    for backend in (b for b in ("jax", "tensorflow") if importlib.util.find_spec(b)):
        environment = {**options.environment, "KERAS_BACKEND": backend}
        for kind, num_inputs, latent_dim in JACOBIANS[: 1 if options.quick else None]:
            size = [kind, num_inputs, latent_dim]
            arguments = ["jacobian", *size, options.rounds, options.seed]
            answer = run_once(arguments, environment)
            plain = answer["seconds"].pop("plain")
            step = spread([1e3 * s / answer["steps"] for s in plain], "{:.1f}")
            ratios = {"exact": "not run"}
            for method, seconds in answer["seconds"].items():
                pairs = zip(seconds, plain, strict=True)
                ratios[method] = spread([mine / p for mine, p in pairs], "{:.2f}")
            row = [backend, *map(str, size), ratios["exact"], ratios["hutchinson"]]
            rows.append([*row, step, answer["device"]])
    heading = ["backend", "encoder", "inputs", "latent_dim", "exact", "Hutchinson"]
    heading += ["plain step, ms", "device"]
    title = "JacobianPenalty: a training step as a multiple of a plain one, batch 128"
    print_table(title, heading, rows)


def memory_table(options):
    """Memory must not grow with the number of images."""
    rows = []
    for name, sizes in MEMORY.items():
        for num_images in sizes[: 1 if options.quick else None]:
            answers = [
                run_once(
                    ["memory", name, num_images, options.seed],
                    {**options.environment, "KERAS_BACKEND": "jax"},
                )
                for _ in range(1 if options.quick else 3)
            ]
            numbers = [
                spread([a[key] for a in answers], form)
                for key, form in (("seconds", "{:.2f}"), ("added_megabytes", "{:,.0f}"))
            ]
            rows.append([f"`{name}`", f"{num_images:,}", *numbers])
    heading = ["diagnostic", "images", "s", "peak memory added, MB"]
    print_table("Diagnostics against the number of images, JAX", heading, rows)


def run_once(arguments, environment):
    with tempfile.TemporaryFile("w+") as errors:
        process = start(arguments, environment, errors)
        output, _ = process.communicate()
        if process.returncode:
            errors.seek(0)
            raise Failed(errors.read()[-2000:])
    return json.loads(output.splitlines()[-1])


def import_table(options):
    rows = []
    for name, statement in IMPORTS.items():
        seconds = [import_seconds(statement, options) for _ in range(options.rounds)]
        rows.append([name, spread([1e3 * s for s in seconds], "{:.1f}")])
    print_table("Import on top of Keras", ["statement", "ms"], rows)


def import_seconds(statement, options):
    command = [sys.executable, "-c", IMPORT.format(statement=statement)]
    environment = {**options.environment, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(done.stderr[-2000:])
    return float(done.stdout.splitlines()[-1])


def spread(values, form):
    """Median, then least and greatest: `1.02 (0.98-1.07)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return form.format(middle)
    return f"{form.format(middle)} ({form.format(low)}-{form.format(high)})"


def print_table(title, heading, rows):
    print(f"### {title}\n")
    for row in [heading, ["---"] * len(heading), *rows]:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def save_images(path, options):
    """The binarized training digits, written once for all contestants."""
    code = (
        "import sys, numpy as np\n"
        "from aecourse import datasets\n"
        "x = datasets.load_mnist(sys.argv[2]).x_train\n"
        "x = x[: int(sys.argv[4]) or None]\n"
        "np.save(sys.argv[1], datasets.binarize(x, int(sys.argv[3])))\n"
    )
    size = "full" if options.gpu else "subset"
    command = [sys.executable, "-c", code, path, size, options.seed, options.images]
    environment = {**options.environment, "KERAS_BACKEND": "jax"}
    subprocess.run([str(part) for part in command], env=environment, check=True)
    return len(np.load(path, mmap_mode="r"))


def processor():
    """The processor's name, where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def describe(num_images, options):
    """The lines above the tables: what was run, where, with which versions."""
    packages = ("aecourse", "keras", "tensorflow-cpu", "tensorflow", "jax", "torch")
    found = []
    for package in (*packages, "optax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    command = " ".join(["python", "benchmarks/speed.py", *sys.argv[1:]])
    print(f"- Command: `{command}`, {datetime.date.today()}, seed {options.seed}")
    print(f"- Device: {processor()}, {os.cpu_count()} processors, {platform.system()}")
    print(f"- Versions: Python {platform.python_version()}, {', '.join(found)}")
    print(
        f"- Protocol: {num_images} binarized digits, {options.rounds} round(s) of one "
        "epoch in turn after an epoch that compiles; median (least-greatest); ratios "
        "are of the same round\n",
        flush=True,
    )


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny runs")
    parser.add_argument("--gpu", action="store_true", help="full MNIST, accelerator")
    parser.add_argument("--only", default=",".join(PARTS), help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep-memory",
        action="store_true",
        help="glibc keeps freed memory, for every contestant (Linux)",
    )
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    for part in options.only:
        if part not in PARTS:
            parser.error(f"--only takes {', '.join(PARTS)}. Received: {part}")
    options.rounds = options.rounds or (1 if options.quick else 7)
    options.images = 256 if options.quick else 0
    options.batch_sizes = (64, 128) if options.quick else (32, 128, 512)
    options.num_samples = (5, 50) if options.quick else (50, 500, 5000)
    options.num_images = 4 if options.quick else 100
    path = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    options.environment = {
        **os.environ,
        **(KEEP_MEMORY if options.keep_memory else {}),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    return options


def main(arguments=None):
    options = parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images.npy")
        describe(save_images(path, options), options)
        for part in PARTS:
            if part not in options.only:
                continue
            if part in TITLES:
                training_table(part, path, options)
            elif part == "batch":
                batch_table(path, options)
            elif part == "nll":
                nll_table(path, options)
            elif part == "jacobian":
                jacobian_table(options)
            elif part == "memory":
                memory_table(options)
            else:
                import_table(options)


if __name__ == "__main__":
    main()
