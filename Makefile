# The README's two commands are `make demo` and `make test`; each sets up all it needs in .venv.
#   PYTHON=python3.12 make test      another interpreter (3.11 to 3.13)
#   PIP_ARGS="..." make test         more arguments for pip, for example an index with CPU builds of torch
#   make test PYTEST_ARGS="-k ndcg"  some of the tests

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PIP_ARGS ?=
PYTEST_ARGS ?=
# A process a core; four at most, for each of them may open a language model.
SIDE_BY_SIDE ?= --numprocesses logical --maxprocesses 4 --dist loadfile
DEMO_SHOP ?= demo-shop
BENCHMARKS = $(notdir $(basename $(shell grep -l __main__ benchmarks/*.py)))

# The language model of the demo lies in a package: nothing is fetched from a hub unless the caller says so.
HF_HUB_OFFLINE ?= 1
export HF_HUB_OFFLINE

.PHONY: sbom audit demo test lint types layers unit docs nightly bench clean

demo: $(VENV)/.demo
	KUAPIN_RESULTS=benchmarks/results KUAPIN_COMMIT=$$(git rev-parse --short=12 HEAD 2>/dev/null) $(BIN)/kuapin demo $(DEMO_SHOP)

test: lint types layers unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

nightly: test sbom audit
	$(BIN)/pytest -m nightly
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done

# What the environment holds, as CycloneDX; and whether a flaw of any of it is known (asks PyPI).
sbom: $(VENV)/.dev
	$(BIN)/cyclonedx-py environment --output-format JSON --output-file sbom.json $(BIN)/python

audit: $(VENV)/.dev
	$(BIN)/python operations/audit.py

bench: $(VENV)/.dev
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name --quick || exit 1; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# One pip call each, so that the constraints hold for everything at once; the stamp says that it succeeded.
# The development install holds the demo's, so that `make demo` after `make test` installs nothing.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $(VENV)/.dev $(VENV)/.demo

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[demo]'
	touch $(VENV)/.demo

# The first Python from 3.11 to 3.13 that can make a virtual environment (Debian has that in python3-venv).
$(BIN)/python:
	@set -e; for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	     >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$($$candidate --version)"; \
	    rm -rf $(VENV); $$candidate -m venv $(VENV); exit 0; \
	  fi; \
	done; \
	echo "Kuapin needs Python 3.11, 3.12 or 3.13 with venv. Debian: apt-get install python3 python3-venv;" \
	     "macOS: brew install python@3.13" >&2; exit 1
