# Everything a checkout needs, with Python 3.11 and nothing else: no sudo, no global installs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# The quickest Python 3.11 on PATH, unless one is named.
PYTHON ?=
BOOT = $(or $(PYTHON),$(shell command -v python3.11 || command -v python3 || echo python3))

.PHONY: help setup up down status test lint smoke proof bench learn docs clean

help: ## Show these targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.synced ## Install what running needs.

up: $(VENV)/.synced ## Start everything, load the sample, say what to try.
	@$(BIN)/lakehouse up

down: ## Stop what `make up` started; data stays.
	@if [ -x $(BIN)/lakehouse ]; then $(BIN)/lakehouse down; else echo "nothing was running"; fi

status: $(VENV)/.synced ## Show each process.
	@$(BIN)/lakehouse status

# Each worker rewrites the asserts of every module: half of its collection is saved where Python may keep what it compiled.
test: $(VENV)/.synced-dev ## Run all tests, four files at a time: many of them wait.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 4 --dist loadfile

# Libraries of peers have no types, and what they give is Any.
BENCH_TYPES := --no-warn-return-any --ignore-missing-imports --disable-error-code import-untyped --no-warn-unused-ignores

lint: $(VENV)/.synced-dev ## Style, types, layers, conventions.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=bench $(BIN)/mypy --explicit-package-bases $(BENCH_TYPES) bench/*.py
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/test_conventions.py

smoke: $(VENV)/.synced-dev ## Try each capability once, on one stack, within a minute.
	@$(BIN)/python -m pytest -q tests/smoke

proof: $(VENV)/.synced-dev ## Judge every claim of the documentation; JUNIT=file: of tests that ran already.
	@$(BIN)/python -m pytest -q tests/proof/test_claims.py
	@$(BIN)/lakehouse proof --mode contract $(if $(JUNIT),--junit $(abspath $(JUNIT)))
	@$(BIN)/lakehouse proof --mode integration $(if $(JUNIT),--junit $(abspath $(JUNIT)))

bench: $(VENV)/.synced-dev ## Measure the hot paths against their limits, and their ratios against the committed ones.
	@$(BIN)/python bench/_run.py

learn: $(VENV)/.synced-dev ## See a small model get better by its own runs, on a stack of its own; twenty minutes.
	@$(BIN)/python bench/small_model.py --quick

docs: $(VENV)/.synced-dev ## Write what is generated from code.
	@$(BIN)/lakehouse doctor --write-env-example .env.example
	@if [ -f docs/generate.py ]; then $(BIN)/python docs/generate.py; fi

clean: down ## Remove the environment and caches; data in .lakehouse stays.
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# `--inexact` leaves the development tools alone when they are there.
$(VENV)/.synced: uv.lock pyproject.toml | $(BIN)/uv
	@echo "installing packages as locked"
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --no-dev --inexact
	@touch $@

$(VENV)/.synced-dev: uv.lock pyproject.toml | $(BIN)/uv
	@echo "installing packages as locked, with the development tools"
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --quiet --frozen --inexact
	@touch $@ $(VENV)/.synced

$(BIN)/uv:
	@command -v '$(BOOT)' >/dev/null || { echo "Python 3.11 is needed, and there is no $(BOOT); install python3.11, or: make up PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(BOOT) setup/make_venv.py $(VENV) $(UV_VERSION) $(PYTHON)
