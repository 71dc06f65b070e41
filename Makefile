# Botpulse. `make` alone says what there is; `make demo` and `make test` set everything up by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.botpulse-ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check schema check-ops audit sbom faults soak bench bench-docs

help: ## Say what there is to make
	@echo "Botpulse: make TARGET [PYTHON=python3.13]"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "The first run of any of them installs what is locked in requirements.lock into $(VENV)/."

setup: $(READY) ## Create .venv with everything from the lock file (the command is then .venv/bin/botpulse)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys' 2>/dev/null || { \
		echo "make: $(PYTHON) is not there: install Python 3.11, 3.12 or 3.13, or name one: make setup PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "make: $$($(PYTHON) -V 2>&1) does not fit, Botpulse needs 3.11, 3.12 or 3.13: make setup PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) can't create virtual environments: install its venv module (Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	@echo "Installing into $(VENV) (once; again when the lock file changes) ..."
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
		&& $(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

demo: $(READY) ## A real Kafka and Postgres, 50,000 simulated events, both services, the dashboards; checked to the cent
	@$(BIN)/botpulse demo

test: $(READY) ## All tests, on a real Kafka and a real Postgres
	@$(BIN)/pytest

check: $(READY) ## Format, lint, types, import rules, and that no event version became narrower
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/botpulse schemas check

schema: $(READY) ## Write projections/sql/schema.sql and docs/database.md from the migrations
	@$(BIN)/python -m deploy.catalogue

faults: $(READY) ## The long fault campaign: an hour or 300 faults; FAULTS="--seed 7 --faults 100" and the like
	@$(BIN)/python -m tests.faults $(FAULTS)

soak: $(READY) ## streams alone under 2,000,000 events with 20 kills and 10 rebalance storms, to the cent
	@$(BIN)/python -m tests.faults --soak $(FAULTS)

bench: $(READY) ## A short round of all benchmarks, a few minutes; BENCH="--repeat 3" and the like
	@$(BIN)/botpulse bench streams --events 200000 --users 100000 --workers 1 --stock-events 20000 $(BENCH)
	@$(BIN)/botpulse bench recovery --users 100000 --restart-users 10000 $(BENCH)
	@$(BIN)/botpulse bench projections --events 100000 --users 20000 --row-events 10000 $(BENCH)
	@$(BIN)/botpulse bench replay --events 100000 --users 20000 $(BENCH)
	@$(BIN)/botpulse bench latency --seconds 20
	@$(BIN)/botpulse bench queries --users 20000 --events 200000

bench-docs: $(READY) ## All benchmarks in full, an hour on a quiet machine; the tables go into docs/benchmarks.md
	@$(BIN)/botpulse bench streams --repeat 3 --into docs/benchmarks.md
	@$(BIN)/botpulse bench streams --known --users 10000 --users 1000000 --repeat 3 --into docs/benchmarks.md
	@$(BIN)/botpulse bench recovery --repeat 3 --into docs/benchmarks.md
	@$(BIN)/botpulse bench projections --repeat 3 --into docs/benchmarks.md
	@$(BIN)/botpulse bench replay --events 10000000 --into docs/benchmarks.md
	@$(BIN)/botpulse bench latency --into docs/benchmarks.md
	@$(BIN)/botpulse bench queries --into docs/benchmarks.md

check-ops: $(READY) ## What needs tools outside the lock file: compose, Dockerfile, Kubernetes, alerts, AsyncAPI; fetched once
	@$(BIN)/python -m deploy.checks
	@$(BIN)/pytest tests/ops

audit: $(READY) ## Known vulnerabilities of what is locked
	@$(BIN)/python -m deploy.checks.tools pip-audit --requirement requirements.lock --no-deps --disable-pip

sbom: $(READY) ## What the image is made of, as CycloneDX, into dist/sbom.json
	@mkdir -p dist
	@$(BIN)/python -m deploy.checks.tools cyclonedx-py requirements --of JSON --output-file dist/sbom.json requirements.lock
