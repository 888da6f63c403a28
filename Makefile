# Every target that a user calls has its help behind '##'; `make` alone prints them.

PYTHON ?= python3
COMPOSE ?= docker compose
BIN := .venv/bin
PACKAGES := proto services/flowcontrol services/servicekit services/server services/client .
WINDOW_BYTES ?= 65535

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-repeat lint proto lock

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  \033[1m%-34s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/ready ## Install everything into .venv, from pinned and hashed requirements

.venv/ready: requirements/dev.txt pyproject.toml proto/pyproject.toml $(wildcard services/*/pyproject.toml)
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make setup: PYTHON=$(PYTHON) must be Python 3.11 or newer with venv (on Debian: apt install python3-venv)" >&2; exit 2; }
	@echo "Setting up .venv, once; this takes about a minute"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
	@touch $@

demo: .venv/ready ## Prove it all in a minute, without Docker; WINDOW_BYTES=16384 or any other
	@$(BIN)/lab demo --window-bytes $(WINDOW_BYTES)

test: .venv/ready ## Run all tests; those that need Docker skip where there is none
	@$(BIN)/pytest

test-repeat: .venv/ready ## Run the flow control tests 100 times over
	@$(BIN)/pytest -m repeat services/flowcontrol/tests

lint: .venv/ready ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

proto: .venv/ready ## Generate the Python code of the contract anew
	@cd proto && ../$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. stockservice/stock.proto

lock: .venv/ready ## Pin all requirements anew, with hashes
	@$(BIN)/python -m pip install --quiet uv
	@cd requirements && for name in dev server client build; do \
	  ../$(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header \
	    $$name.in $$([ $$name = dev ] || echo -c dev.txt) -o $$name.txt || exit; done
