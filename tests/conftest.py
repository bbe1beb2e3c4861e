"""Settings of the library's tests alone: they compile much and compute little."""

import os

# Most of the time of these tests is XLA's, on JAX and in TensorFlow's training steps.
# Without its optimizations it takes half of it. The notebooks are checked with them.
# JAX and TensorFlow read the variable when they start, as do the processes that a test
# starts; a variable that is set already stays.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)
