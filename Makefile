# `make run` and `make test` need Python >= 3.11, make and a C compiler. With npm, curl, wrk,
# faketime and strace, which .ci/run installs, the tests that use them run too.
PYTHON ?= python3
PORT ?= 8080
DATA_DIR ?= .trunkline
BIN := .venv/bin
ENVIRONMENTS := engine previous langchain clients
NODE_ENVIRONMENTS := node cli
export PYTHONDONTWRITEBYTECODE =
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Options of the bench, such as ARGS="--only small --gate".
ARGS ?=
.PHONY: setup run test test-clients check bench fmt lock clean

setup: .venv/ready .venv/ready-dev

.venv/bin/python:
	@command -v $(PYTHON) > /dev/null || { \
		echo "There is no $(PYTHON) here. Trunkline needs Python 3.11 or newer; say which: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Trunkline needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1); say which: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "$(PYTHON) cannot make environments: its venv module is missing. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

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

test: check $(ENVIRONMENTS:%=.envs/%/ready) $(if $(shell command -v npm),.envs/node/ready)
	TESTS_THOROUGH=1 $(BIN)/python -m pytest -q -n 2 -m "hypothesis and not slow and not acceptance and not engine"
	TESTS_THOROUGH=1 $(BIN)/python -m pytest -q -m "slow or acceptance or engine"

# Three vendors' coding clients at work on a small task, through a gateway. They are 1 GB, so `make test` leaves them out.
test-clients: setup .envs/cli/ready
	$(BIN)/python -m tests.clients.run tests/clients/figures.json

# Heavy or clashing parts of the tests live in environments of their own: a real engine, older clients, frameworks.
.envs/%/ready: tests/environments/%.lock | .venv/bin/python
	$(PYTHON) -m venv --clear .envs/$*
	.envs/$*/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

.envs/%/ready: tests/environments/%/package.json tests/environments/%/package-lock.json
	mkdir -p .envs/$*
	cp $^ .envs/$*
	cd .envs/$* && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

# Not `npm ci`, which wants opencode's programs for every kind of machine in the lock, and not all are to be had.
.envs/cli/ready: tests/environments/cli/package.json tests/environments/cli/package-lock.json
	mkdir -p .envs/cli
	cp $^ .envs/cli
	cd .envs/cli && npm install --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

bench: setup
	$(BIN)/python -m bench.run $(ARGS)

fmt: setup
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .
	$(BIN)/python -m trunkline.cli.reference docs/reference/settings.md
	$(BIN)/python -m trunkline.cli.compatibility docs/compatibility.md

# Locks carry hashes and no address of a registry.
COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-emit-index-url --no-emit-find-links --no-header

lock: setup
	$(COMPILE) pyproject.toml requirements-build.in -o requirements.lock
	$(COMPILE) -c requirements.lock requirements-dev.in -o requirements-dev.lock
	for name in $(ENVIRONMENTS); do \
		$(COMPILE) tests/environments/$$name.in -o tests/environments/$$name.lock || exit 1; done
	for name in $(NODE_ENVIRONMENTS); do \
		(cd tests/environments/$$name && npm install --package-lock-only --omit-lockfile-registry-resolved \
			--no-audit --no-fund --ignore-scripts --loglevel=error) || exit 1; done

clean:
	rm -rf .venv .envs .mypy_cache .ruff_cache .hypothesis bench/build
