# Two commands do everything on a fresh machine: `make reproduce` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RESULTS ?= results
# Processes that run tests; files stay together, for what they compile.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
export JAX_PLATFORMS ?= cpu

.PHONY: reproduce reproduce-all test test-all test-dowhy lint format docs benchmarks clean
.DEFAULT_GOAL := help

help:
	@echo "make reproduce   install, run the main experiments, print our tables beside the papers' (10 minutes)"
	@echo "make reproduce-all  every experiment, most at a small scale (an hour)"
	@echo "make test        install, run the tests (ten to twenty minutes on two cores, less from the second time on)"
	@echo "make test-all    the slow studies too"
	@echo "make test-dowhy  our estimators inside DoWhy, in an environment of its own"
	@echo "make format      ruff format, and what ruff can fix"
	@echo "make lint        the format, ruff's rules, types"
	@echo "make docs        write docs/api/, the reference, from the docstrings"
	@echo "make benchmarks  this library beside its peers, written to docs/measurements/benchmarks.md"

# One stamp per set of extras: an install is repeated only when pyproject.toml changes.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.reproduce: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[data]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.reproduce

reproduce: $(VENV)/.reproduce
	$(BIN)/python -m experiments.reproduce --results $(RESULTS)

reproduce-all: $(VENV)/.reproduce
	$(BIN)/python -m experiments.reproduce --all --results $(RESULTS)

test: $(VENV)/.test
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.test
	$(PYTEST)

# DoWhy allows only an older SciPy: its tests have an environment of their own.
test-dowhy:
	$(PYTHON) -m venv .venv-dowhy
	.venv-dowhy/bin/python -m pip install --quiet --disable-pip-version-check -e . pytest 'dowhy>=0.14'
	.venv-dowhy/bin/python -m pytest tests/effects/test_dowhy.py

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.reproduce
	$(BIN)/python docs/make_api.py

benchmarks: $(VENV)/.test
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m benchmarks.run --publish

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
