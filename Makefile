# Everything from a clean clone; needs Python 3.11, pip and make. Each target does its own set-up.
#   make demo            the whole loop on a small production line that is made up for it
#   make env             the environments alone; then .venv/bin/flawsmith works
#   make env WHEELS=dir  the same without a network, from what `make wheels WHEELS=dir` fetched elsewhere
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help env wheels check test test-all demo clean clean-all

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3))
UV_VERSION := 0.13.9
WHEELS ?=
INSPECTOR ?= scripted

BIN := .venv/bin
UV := .tools/bin/uv
export UV_PYTHON_DOWNLOADS := never
export UV_HTTP_TIMEOUT ?= 300
export FIFTYONE_DO_NOT_TRACK := true

OFFLINE_PIP := $(if $(WHEELS),--no-index --find-links $(WHEELS))
OFFLINE_UV := $(if $(WHEELS),--offline --no-index --find-links $(WHEELS))

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

env: .venv/.installed .venv-label-studio/.installed  ## make the two environments (WHEELS=folder: offline)

.tools/.uv-$(UV_VERSION):
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target .tools $(OFFLINE_PIP) uv==$(UV_VERSION)
	touch $@

# Bytecode is written once, for all: a command imports thousands of modules, and may not be able to write beside them.
.venv/.installed: pyproject.toml constraints.txt .tools/.uv-$(UV_VERSION)
	[ -x $(BIN)/python ] || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip install --compile-bytecode --python $(BIN)/python $(OFFLINE_UV) \
		--constraints constraints.txt --build-constraints constraints.txt --group dev --editable '.[export,mlflow,prefect]'
	touch $@

# Label Studio's server pins versions that the rest cannot live with.
.venv-label-studio/.installed: constraints-label-studio.txt .tools/.uv-$(UV_VERSION)
	[ -x .venv-label-studio/bin/python ] || $(UV) venv --quiet --python $(PYTHON) .venv-label-studio
	$(UV) pip install --compile-bytecode --python .venv-label-studio/bin/python $(OFFLINE_UV) \
		--constraints constraints-label-studio.txt label-studio
	touch $@

wheels:  ## fetch all that `make env WHEELS=folder` needs into that folder
	[ -n "$(WHEELS)" ] || { echo "say where to: make wheels WHEELS=folder" >&2; exit 2; }
	mkdir -p $(WHEELS)
	$(PYTHON) -m pip wheel --disable-pip-version-check --no-deps --find-links $(WHEELS) --wheel-dir $(WHEELS) \
		--requirement constraints.txt uv==$(UV_VERSION)
	$(PYTHON) -m pip wheel --disable-pip-version-check --no-deps --find-links $(WHEELS) --wheel-dir $(WHEELS) \
		--requirement constraints-label-studio.txt

check: .venv/.installed  ## style, types and the borders between the floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: env  ## every test but the slow ones, real servers included
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: env  ## every test
	$(BIN)/python -m pytest -n auto

demo: env  ## the whole loop (INSPECTOR=me: you answer the questions)
	$(BIN)/flawsmith demo --inspector $(INSPECTOR)

clean:  ## remove caches and what was built; the environments and runs/ stay
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

clean-all: clean  ## remove the environments too; runs/ stays
	rm -rf .venv .venv-label-studio .venv-peers .tools *.egg-info
