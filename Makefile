# Needs python3 >= 3.11 and make. pip fetches everything else. Every target prints what it does.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-run
READY_DEV := $(VENV)/.ready-dev
# Runs of brokers share the cores by their costs (tests/support/slots.py), so that five tests may go on at a time: most of them
# wait more than they work. The shipped scenarios run side by side in one suite of their own.
BROKERS := -n 5 --dist worksteal --durations=10 tests/integration tests/conformance tests/e2e --ignore tests/e2e/test_scenarios.py
SCENARIOS := -n 0 --durations=5 tests/e2e/test_scenarios.py
LOCK := --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --quiet
TOUR := scenarios/gate/latency.yaml scenarios/canary/memory-restart.yaml \
	scenarios/canary/collateral-stall.yaml scenarios/canary/collateral-stall-twin.yaml \
	scenarios/canary/rocketmq-concurrent.yaml scenarios/canary/rocketmq-concurrent-twin.yaml

.PHONY: help run test test-ci unit lint images bench prove mutants lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY) ## Run six scenarios on real brokers (NATS, Kafka and RocketMQ)
	@echo "== tour: a gate (must pass), three canaries (must fail) and the twins of two (must pass); reports are written to reports/"
	$(BIN)/harness run --runtime process $(TOUR)

# All stages of a tier run even when one fails; a failure is reported at the end.
AGAIN := $(BIN)/python tests/support/made_again.py
STAGE = $(AGAIN) begin; failed=""; stage() { echo "== $$1"; shift; $(BIN)/python -m pytest "$$@" || { code=$$?; [ $$code = 1 ] || exit $$code; failed=1; }; }
ENDED = $(AGAIN) check || failed=1; [ -z "$$failed" ] || { echo "error: tests failed, see above"; exit 1; }

test: lint ## Run lint, all unit and property tests, and one of each kind of broker run (10 minutes)
	@$(STAGE); \
	stage "unit and property" -n 2 --durations=10 tests/unit tests/property; \
	stage "one of each kind of broker run" --tier fast $(BROKERS); \
	stage "scenarios, one of each kind" --tier fast $(SCENARIOS); \
	$(ENDED)

test-ci: $(READY_DEV) ## Run what CI runs after `make test`: containers, every scenario, every fault (docs/testing.md)
	@$(STAGE); \
	stage "containers, faults and all other broker runs" --tier ci $(BROKERS); \
	stage "every scenario" --tier ci $(SCENARIOS); \
	$(ENDED)

unit: $(READY_DEV) ## Run unit and property tests alone
	$(BIN)/python -m pytest -n 2 tests/unit tests/property

lint: $(READY_DEV) ## Run ruff, mypy --strict and the import rules; validate every scenario
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "$(BIN)/mypy, and next to it $(BIN)/lint-imports and $(BIN)/harness validate scenarios"
	@$(BIN)/mypy & types=$$!; failed=""; \
	$(BIN)/lint-imports --no-cache --no-logo || failed=1; \
	$(BIN)/harness validate scenarios || failed=1; \
	wait $$types || failed=1; [ -z "$$failed" ]

images: $(READY) ## Build the images of nodes in containers (needs a Docker engine)
	@echo "== images"
	$(BIN)/harness images build

bench: $(READY_DEV) ## Run the benchmarks (ratios, measured in turn in one run)
	$(BIN)/python tests/benchmarks/bench.py

prove: $(READY_DEV) ## Make the long proofs (hours; resumed when broken off), or one: make prove PROOF="kills"
	$(BIN)/python tests/proofs/prove.py $(if $(PROOF),"$(PROOF)")

mutants: $(READY_DEV) ## Do the fast tests notice small changes of the checks? A sample, drawn by the commit (an hour)
	PYTHONPATH=tests $(BIN)/python -m proofs.mutants $(MUTANTS)

lock: $(VENV)/bin/pip ## Resolve the dependencies again and write the two lock files
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile $(LOCK) --upgrade --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile $(LOCK) --upgrade --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## Remove what killed runs left behind, and the virtual environment
	-[ -x $(BIN)/harness ] && $(BIN)/harness clean
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Set PYTHON=..."; exit 4; }
	@echo "== making the virtual environment"
	$(PYTHON) -m venv $(VENV)

$(READY): requirements.lock pyproject.toml | $(VENV)/bin/pip
	@echo "== installing the locked dependencies"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(READY_DEV): requirements-dev.lock $(READY)
	@echo "== installing the dependencies of the tests"
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
