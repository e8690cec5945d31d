# Two commands matter: `make run` (last night's aggregation, end to end) and `make test`.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
STAMP := .venv.stamp
DATE ?= 2026-11-20
ROWS ?= 1000000
WORKERS ?= 2
PORT ?= 8080
FUZZ_SECONDS ?= 600
PACKAGES ?= 1000
KILLS ?= 200
RUN_KILLS ?= 300

# Nothing that runs here asks the network for anything.
export GUIJI_HOME ?= $(CURDIR)/var
export GX_ANALYTICS_ENABLED := false
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install run up test check bench fuzz chaos year clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make the virtual environment from the lock file

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "guiji needs Python 3.11 or newer; none was found. Install it or say: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "guiji needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1). Say: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { echo "$(PYTHON) cannot make virtual environments; install its venv module" >&2; exit 1; }
	$(BIN)/python -m pip install -qq --require-hashes --no-deps --requirement requirements.lock
	$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --editable .
	@# Where Python is told to leave no compiled files, every command and every task would compile our rooms again.
	$(BIN)/python -m compileall -qq -j 0 pipelines dags
	@touch $@

run: $(STAMP) ## run one night through the Airflow DAGs over data_samples (DATE=YYYY-MM-DD)
	$(BIN)/python dags/local_airflow run --date $(DATE)

up: $(STAMP) ## start Airflow with its web page and the receiver, until Ctrl-C (PORT=8080)
	$(BIN)/python dags/local_airflow up --airflow-port $(PORT)

check: $(STAMP) ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

test: check ## check, then all tests
	$(BIN)/python -m pytest -n $(WORKERS) -rs

bench: $(STAMP) ## the benchmark table (ROWS=1000000)
	$(BIN)/python -m benchmarks --rows $(ROWS)

fuzz: $(STAMP) ## read files changed at random (FUZZ_SECONDS=600)
	GUIJI_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/bad_inputs/test_fuzz.py

chaos: $(STAMP) ## kill every step again and again (RUN_KILLS=300 per database; PACKAGES=1000 KILLS=200 per protocol)
	GUIJI_CHAOS_RUN_KILLS=$(RUN_KILLS) $(BIN)/python -m pytest tests/chaos/test_kills.py
	GUIJI_CHAOS_PACKAGES=$(PACKAGES) GUIJI_CHAOS_KILLS=$(KILLS) $(BIN)/python -m pytest tests/delivery/test_chaos.py

year: $(STAMP) ## the simulated year of the clock, all of 2026
	GUIJI_YEAR=whole $(BIN)/python -m pytest tests/operations/test_a_year.py

clean: ## remove everything that was produced, and the environment
	rm -rf var $(VENV) $(STAMP) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
