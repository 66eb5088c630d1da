# Everything runs from .venv, which `make install` builds from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 200
SEED ?= 0
WORKERS ?= 2
.DEFAULT_GOAL := help
.PHONY: help search test install lint bench benchquick benchfsck chaos clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

search: install  ## a real search: Lightning and Keras on scikit-learn's digits
	$(BIN)/automl search search_spaces/digits.yaml

test: install  ## all tests, in WORKERS=2 processes; a file's stay together, and each process has a Ray
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: install  ## ruff and mypy
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.benchmarks  ## all benchmarks, into benchmarks/RESULTS.md; ONLY=peers for one of them
	$(BIN)/python benchmarks/compose.py $(addprefix --only ,$(ONLY))

benchquick: .venv/.benchmarks  ## small versions of them, to see whether they run; ONLY as above
	$(BIN)/python benchmarks/compose.py --quick $(addprefix --only ,$(ONLY))

benchfsck: install  ## automl fsck on a search of 10,000 trials
	$(BIN)/python benchmarks/fsck.py

chaos: install  ## kill every part of searches again and again: KILLS=200 SEED=0
	$(BIN)/python -m tests.faults --kills $(KILLS) --seed $(SEED)

install: .venv/.ready  ## the virtual environment alone

# The stamp is written last, so an interrupted install is simply done again.
.venv/.ready: pyproject.toml constraints.txt
	@sh infra/preflight.sh $(PYTHON)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

# What automl is compared with: for the benchmarks alone.
.venv/.benchmarks: .venv/.ready
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[benchmarks]'
	@touch $@

clean:  ## the virtual environment and caches (no results)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
