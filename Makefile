# Everything a developer does is one of these targets; CI runs `make check` and `make test`.
#   make run     a server with a demo run; prints the address to open
#   make test    all tests, real services included
#   make check   lint, format, types, import rules, generated reference
#   make bench   the numbers
#   make chaos   the long fault tests
#   make conformance  the suites that others wrote for WebSocket servers and HTTP APIs
#   make coverage  all tests again, measured; fails below the floor
#   make format  repair what `make check` can repair
#   make pins    renew requirements/*.txt from pyproject.toml

BIN := .venv/bin
STATE := .run

.PHONY: run test check bench chaos conformance coverage format pins clean
.DELETE_ON_ERROR:

run: .venv/runtime-installed
	@$(BIN)/python scripts/run_demo.py $(STATE)

# Hundreds of processes are started: without the variable, none has to compile runcast again. Many
# tests wait more than they compute, so there are more workers than cores.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2) --dist worksteal
test: .venv/dev-installed
	@scripts/setup-tests
	$(PYTEST)

# Not part of `make test`: measuring every process costs a third more time.
coverage: .venv/dev-installed
	@scripts/setup-tests
	$(PYTEST) --cov --cov-report=term

check: .venv/dev-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m scripts.reference --check
	$(BIN)/pytest -q tests/test_docs.py -k "not runs_as_written"

bench: .venv/dev-installed
	@scripts/setup-bench
	$(BIN)/python -m bench

chaos: .venv/dev-installed
	@scripts/setup-tests
	@scripts/chaos

conformance: .venv/dev-installed
	@scripts/setup-conformance
	@scripts/conformance

format: .venv/dev-installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python -m scripts.reference

# Registries are whatever the machine is set up to use: no pin may name one.
PIN := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet
pins: .venv/dev-installed
	$(BIN)/pip install --quiet uv
	$(PIN) --extra dev --output-file requirements/dev.txt
	$(PIN) --constraint requirements/dev.txt --output-file requirements/runtime.txt

clean:
	rm -rf .venv .run .conformance tests/browser/node_modules tests/agents_real/node_modules \
		bench/peers/npm/node_modules

.venv/made:
	@scripts/make-venv
	@touch $@

.venv/runtime-installed: requirements/runtime.txt pyproject.toml | .venv/made
	@scripts/install runtime
	@touch $@

# What developing needs holds all that running needs, in the same versions.
.venv/dev-installed: requirements/dev.txt pyproject.toml | .venv/made
	@scripts/install dev
	@touch $@ .venv/runtime-installed
