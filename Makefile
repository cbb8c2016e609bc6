# `make run` and `make test` need Python >= 3.11, make and a C compiler; nothing else.
PYTHON ?= python3
PORT ?= 8080
DATA_DIR ?= .trunkline
BIN := .venv/bin
export PYTHONDONTWRITEBYTECODE =
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup run test check bench fmt lock clean

setup: .venv/ready .venv/ready-dev

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trunkline needs Python 3.11 or newer; say which: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# What the server needs. The build backend is in the lock, so nothing is fetched that has no hash.
.venv/ready: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q trunkline
	@touch $@

# What the checks and tests need on top.
.venv/ready-dev: requirements-dev.lock .venv/ready
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

run: .venv/ready
	$(BIN)/trunkline serve --data-dir $(DATA_DIR) --port $(PORT) --welcome

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not acceptance and not engine"

test: check
	$(BIN)/python -m pytest -q -m "slow or acceptance or engine"

bench: setup
	$(BIN)/python -m bench.run

fmt: setup
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

# Locks carry hashes and no index address.
lock: setup
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade pyproject.toml requirements-build.in -o requirements.lock
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade -c requirements.lock requirements-dev.in -o requirements-dev.lock

clean:
	rm -rf .venv .envs .mypy_cache .ruff_cache .hypothesis bench/build
