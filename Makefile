# Needs python3 >= 3.11 and make. pip fetches everything else. Every target prints what it does.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-run
READY_DEV := $(VENV)/.ready-dev
# Several nodes of Kafka use all CPUs of a small machine, so tests that start them run alone; all others run two at a time.
ALONE := -n 0 -m several_jvms
TOGETHER := -n 2 --dist worksteal -m "not several_jvms"
LOCK := --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 --quiet
TOUR := scenarios/gate/latency.yaml scenarios/canary/memory-restart.yaml \
	scenarios/canary/collateral-stall.yaml scenarios/canary/collateral-stall-twin.yaml

.PHONY: help run test unit lint images bench prove lock clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

run: $(READY) ## Run four scenarios on real brokers (NATS and Kafka)
	@echo "== tour: a gate (must pass), two canaries (must fail) and the twin of the second (must pass); reports are written to reports/"
	$(BIN)/harness run --runtime process $(TOUR)

test: lint ## Run everything: lint, unit, property, conformance, integration, end to end
	@echo "== tests: all stages run even when one fails; a failure is reported at the end"
	@failed=""; \
	stage() { echo "== $$1"; shift; $(BIN)/python -m pytest -n 2 "$$@" || { code=$$?; [ $$code = 1 ] || exit $$code; failed=1; }; }; \
	stage "unit and property" tests/unit tests/property; \
	stage "integration, and end to end" --dist loadfile --durations=10 \
		tests/integration tests/e2e --ignore tests/e2e/test_scenarios.py; \
	stage "faults and scenarios on clusters of Kafka, one at a time" $(ALONE) --durations=10 \
		tests/conformance tests/e2e/test_scenarios.py; \
	stage "all other faults and scenarios" $(TOGETHER) --durations=10 \
		tests/conformance tests/e2e/test_scenarios.py; \
	[ -z "$$failed" ] || { echo "error: tests failed, see above"; exit 1; }

unit: $(READY_DEV) ## Run unit and property tests alone
	$(BIN)/python -m pytest -n 2 tests/unit tests/property

lint: $(READY_DEV) ## Run ruff, mypy --strict and the import rules; validate every scenario
	@echo "== lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/harness validate scenarios

images: $(READY) ## Build the images of nodes in containers (needs a Docker engine)
	@echo "== images"
	$(BIN)/harness images build

bench: $(READY_DEV) ## Run the benchmarks (ratios, measured in turn in one run)
	$(BIN)/python tests/benchmarks/bench.py

prove: $(READY_DEV) ## Run the long proofs: every scenario 10 times (3 in containers), every fault everywhere, 50 random kills
	HARNESS_REPEAT=10 HARNESS_REPEAT_DOCKER=3 $(BIN)/python -m pytest $(ALONE) tests/e2e/test_scenarios.py -k ends_as_declared
	HARNESS_REPEAT=10 HARNESS_REPEAT_DOCKER=3 $(BIN)/python -m pytest $(TOGETHER) tests/e2e/test_scenarios.py -k ends_as_declared
	HARNESS_EVERYWHERE=1 $(BIN)/python -m pytest $(ALONE) tests/conformance
	HARNESS_EVERYWHERE=1 $(BIN)/python -m pytest $(TOGETHER) tests/conformance
	HARNESS_KILLS=50 $(BIN)/python -m pytest tests/e2e/test_kill.py

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
