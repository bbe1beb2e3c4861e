# The verbs of the course. Only Python 3.11 to 3.13 and make are needed beforehand.
#   make lab                     read and run the notebooks
#   make test                    everything that must hold, on both backends
#   make help                    the other verbs
# BACKEND=jax (default), tensorflow or torch chooses Keras' backend.

ifndef BACKEND
BACKEND := $(or $(KERAS_BACKEND),jax)
endif
ONLY ?=
SEEDS ?= 0 1 2 3 4
BACKENDS ?= jax tensorflow
LAB_OPTIONS ?=
# Two files at a time, each in one process. A library thread that waits for another on
# a busy core spins, so each process is given one.
PYTEST_OPTIONS ?= -q -n 2 --dist loadfile
BENCH_OPTIONS ?=

ifeq ($(filter $(BACKEND),jax tensorflow torch),)
$(error BACKEND must be jax, tensorflow or torch. Received: BACKEND=$(BACKEND))
endif

# Linux: memory in large pages. JAX takes the memory of a training step anew each time;
# page by small page that is a good part of a convolutional step.
GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1
export GLIBC_TUNABLES

PY := .venv/bin/python
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export KERAS_BACKEND := $(BACKEND)
ifdef PYTHON
export PYTHON
endif

# The stamp names the folder it was made in. A moved folder, a copied one and an
# environment whose Python is gone are installed again.
STAMP := .venv/.installed
FOUND := $(shell $(PY) -c 'print(open("$(STAMP)").read().strip())' 2>/dev/null)

.PHONY: help install lab run test test-library test-notebooks lint format notebooks \
	address browser site seeds numbers bench mutants clean stale

help:
	@echo "make lab        open the notebooks in JupyterLab         (BACKEND=jax)"
	@echo "make run        execute them, write pages to build/      (BACKEND=jax ONLY=01)"
	@echo "make test       lint, tests and notebooks, both backends"
	@echo "make install    set up .venv and nothing else            (PYTHON=python3.12)"
	@echo "make lint       check style            make format       repair style"
	@echo "make notebooks  execute and store the outputs            (ONLY=01)"
	@echo "make address    write the address in pyproject.toml into all that names it"
	@echo "make browser    run them in JupyterLab in Chromium       (BACKEND=jax ONLY=01)"
	@echo "make site       pages of the stored outputs in build/site, links checked"
	@echo "make seeds      tabulate all claims over seeds           (ONLY=01 SEEDS='0 1')"
	@echo "make numbers    numbers of the prose that nothing bears out      (ONLY=01)"
	@echo "make bench      speed beside stock layers and peers      (BENCH_OPTIONS=--quick)"
	@echo "make mutants    does a test notice each small change?    (ONLY=aecourse/linear)"
	@echo "make test-library, test-notebooks      one part, one backend (BACKEND=jax)"
	@echo "make clean      remove .venv, build/ and caches"

install: $(STAMP)

$(STAMP): requirements.txt pyproject.toml $(if $(filter-out $(CURDIR),$(FOUND))$(if $(FOUND),,x),stale)
	@sh tools/install.sh

stale:

lab: $(STAMP)
	$(PY) -m jupyter lab --notebook-dir=notebooks $(LAB_OPTIONS)

run: $(STAMP)
	@$(PY) -m tools.execute --backend $(BACKEND) --only "$(ONLY)"

# A heading before each step, with the seconds since the start; the first failure ends it.
test: $(STAMP)
	@start=$$(date +%s); \
	step() { \
		printf '\n=== %s  (after %s s)\n' "$$1" "$$(($$(date +%s) - start))"; \
		shift; \
		$(MAKE) --no-print-directory "$$@" || { \
			printf '\n=== FAILED: make %s\n' "$$*" >&2; exit 1; }; \
	}; \
	step "lint" lint; \
	step "library on TensorFlow" test-library BACKEND=tensorflow; \
	step "library on JAX" test-library BACKEND=jax; \
	step "notebooks on TensorFlow" test-notebooks BACKEND=tensorflow; \
	step "notebooks on JAX" test-notebooks BACKEND=jax; \
	printf '\n=== all passed  (after %s s)\n' "$$(($$(date +%s) - start))"

test-library: $(STAMP)
	@$(ONE_THREAD) $(PY) -m pytest $(PYTEST_OPTIONS)

test-notebooks: $(STAMP)
	@$(ONE_THREAD) $(PY) -m pytest --nbval notebooks/ $(PYTEST_OPTIONS)

lint: $(STAMP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(STAMP)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .
	@$(PY) -m tools.normal_form

notebooks: $(STAMP)
	@$(PY) -m tools.execute --save --only "$(ONLY)"

address: $(STAMP)
	@$(PY) -m tools.address

browser: $(STAMP)
	@$(PY) -m tools.browser --backend $(BACKEND) --only "$(ONLY)"

# Nothing is executed, no other machine is asked.
site: $(STAMP)
	@$(PY) -m tools.build_site

seeds: $(STAMP)
	@$(PY) -m tools.seeds --only "$(ONLY)" --seeds $(SEEDS) --backends $(BACKENDS)

numbers: $(STAMP)
	@$(PY) -m tools.prose_numbers --only "$(ONLY)"

bench: $(STAMP)
	@$(PY) benchmarks/speed.py $(BENCH_OPTIONS)

# Minutes for a file, most of an hour for all of the library.
mutants: $(STAMP)
	@$(PY) benchmarks/mutants.py $(ONLY)

clean:
	rm -rf .venv build docs/api aecourse.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
