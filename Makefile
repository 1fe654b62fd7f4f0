# Everything a fresh machine with Python 3.11+, pip and make needs is done here.
PYTHON ?= python3
VENV := .venv
SHELL := bash
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest
WORKDIR ?= edge-demo

.DEFAULT_GOAL := help
.PHONY: help install old-phone compilers swift demo test test-fast test-full lint format bench lock vectors clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## the virtual environment .venv with everything pinned

$(READY): requirements/bootstrap.txt requirements/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/all.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(READY)

# tflite-runtime exists for Python 3.11 with NumPy 1 only, so it lives apart; the engine of that name looks for it here.
OLD_PHONE := $(VENV)/old-phone

old-phone: $(OLD_PHONE)/.ready ## tflite-runtime 2.14 in an environment of its own: the device "tflite-runtime" (needs Python 3.11)

$(OLD_PHONE)/.ready: requirements/old-phone.txt $(READY)
	$(BIN)/uv venv --quiet --clear --python 3.11 --no-python-downloads $(OLD_PHONE)
	$(BIN)/uv pip install --quiet --python $(OLD_PHONE)/bin/python --require-hashes -r requirements/old-phone.txt
	@touch $(OLD_PHONE)/.ready

# Installed into a folder of their own, with hashes and without install scripts; the lock file names no registry. The
# compiler of Dart is the one that Dart Sass brings for 32-bit Linux, hence --force; 64-bit Linux runs it too.
COMPILERS := $(VENV)/compilers

compilers: $(COMPILERS)/.ready ## what compiles the generated sources in tests: tsc, kotlinc (needs Java) and dart, from npm

$(COMPILERS)/.ready: requirements/compilers/package.json requirements/compilers/package-lock.json $(READY)
	rm -rf $(COMPILERS) && mkdir -p $(COMPILERS)
	cp requirements/compilers/package.json requirements/compilers/package-lock.json $(COMPILERS)
	npm ci --prefix $(COMPILERS) --force --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(COMPILERS)/.ready

swift: $(READY) ## Debian 13's Swift in a folder of its own, for the test of the generated Swift (half a gigabyte to fetch)
	./scripts/swift $(VENV)/swift

demo: install ## the main job, end to end, on this machine (a minute or two)
	$(BIN)/edge demo --workdir $(WORKDIR)
	@echo; echo "To go on with these commands: . $(BIN)/activate"

test: install ## everything but the long suites
	$(PYTEST) -n 2 --dist loadgroup -m "not slow"

test-fast: install ## what needs no training, no conversion and no long suite (under two minutes)
	$(PYTEST) -n 2 --dist loadgroup -m "not slow and not convert and not e2e and not sampled"

test-full: install ## the long suites too; writes docs/reports/test-full.txt
	@mkdir -p docs/reports
	set -o pipefail; $(PYTEST) -n 2 --dist loadgroup --no-header -q | tee docs/reports/test-full.txt

lint: install ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## the published figures, each with its control
	$(BIN)/edge bench

vectors: install ## write the protocol vectors anew
	$(BIN)/python -m device_tests.vectors docs/protocol/vectors

lock: install ## pin the requirements anew (hashes, no registry address)
	./scripts/lock $(BIN)/uv

clean: ## remove what this file made
	rm -rf $(VENV) $(WORKDIR) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
