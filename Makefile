# Every target does its own set-up in .venv, quietly, and is fast the second time.
#   make demo     watch real documents being curated
#   make test     lint, types and all tests: what CI runs
#   make soak     the tests that take long
#   make check    format, lint, types and the fast tests: what to run before a commit
#   make bench    benchmarks against alternatives, printed as ratios
#   make setup    the environment only

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-text
DEV_READY := $(VENV)/.ready-dev
# What needs no cluster waits more than it works. Tests on a cluster share it, so they come one by one, in a process whose death is noticed.
SIDE_BY_SIDE := -n auto --maxprocesses 4
ONE_BY_ONE := -n 1

.PHONY: help setup demo test soak check bench format clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^#   //p' Makefile

$(RUN_READY): pyproject.toml scripts/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/install.sh text
	@touch $@

$(DEV_READY): pyproject.toml scripts/install.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/install.sh dev
	@touch $@ $(RUN_READY)

setup: $(DEV_READY)

demo: $(RUN_READY)
	@$(BIN)/python -m examples.demo

test: $(DEV_READY)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/basedpyright --level error
	@# To make the other environment is mostly to wait, so it is made beside the first tests; what goes wrong is told below, when it is needed.
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/newer_xenna.sh --install >/dev/null 2>&1 & beside=$$!; \
		$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not ray and not soak"; status=$$?; wait $$beside; exit $$status
	@$(BIN)/python -m pytest -q $(ONE_BY_ONE) -m "ray and not soak"
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/newer_xenna.sh tests/conformance tests/backends/cluster/test_messages.py \
		-m "not soak" -k "(xenna-streaming and lifecycle and (setup or teardown)) or version"

soak: $(DEV_READY)
	@$(BIN)/python -m pytest -q -m soak

check: $(DEV_READY)
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/basedpyright --level error
	@$(BIN)/python -m pytest -q $(SIDE_BY_SIDE) -m "not slow and not ray and not soak"

format: $(DEV_READY)
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

bench: $(DEV_READY)
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .venv-newer .pytest_cache .ruff_cache .hypothesis demo_output benchmarks/out
