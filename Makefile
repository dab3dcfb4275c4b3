# What people type. Each target does its own set-up; run `make` for the list.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDENTS ?= 20000
export PATH := $(CURDIR)/$(BIN):$(PATH)
# With it, every start of Ansible compiles its sources again: 5 s instead of 2.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up down app test test-unit test-roles test-lab lint format bench docs tools tools-test clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: tools $(VENV)/ready ## A whole province on this machine (STUDENTS=20000)
	@xjops up --students $(STUDENTS)

down: $(VENV)/ready ## Stop the province on this machine (keeps keys and caches)
	@xjops lab down

app: $(VENV)/ready ## The registry application alone, on SQLite, at http://127.0.0.1:8000
	@app/assets/build
	@cd app && registry dev

test: test-unit test-roles test-lab ## Everything: units, roles, and a province of its own

test-unit: tools-test $(VENV)/ready ## Tests that need no lab
	@app/assets/build
	@pytest tests/xjops -m 'not lab' -n 2
	@pytest tests/app -n 2

test-roles: tools-test $(VENV)/ready ## Every role's molecule scenario on throw-away hosts
	@pytest tests/roles

test-lab: tools-test $(VENV)/ready ## End to end on a lab of its own (never the user's)
	@pytest tests/lab

lint: tools $(VENV)/ready ## ruff, mypy, import-linter, ansible-lint, yamllint, djlint
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports
	@yamllint --strict .
	@ansible-lint --offline
	@djlint --quiet --check --lint xjops/reports
	@cd app && djlint --quiet --check --lint registry

format: $(VENV)/ready ## Format Python and templates
	@ruff check --fix . && ruff format . && djlint --reformat xjops/reports && cd app && djlint --reformat registry

bench: tools-test $(VENV)/ready ## Measure: make bench B=up|vm|import|cli; the last line is one JSON object
	@test -f tests/bench/$(B).py || { echo "make bench: no benchmark '$(B)'; one of: $$(ls tests/bench/[a-z]*.py | xargs -n1 basename -s .py | xargs)" >&2; exit 2; }
	@python tests/bench/$(B).py

docs: $(VENV)/ready ## Build the documentation into site/
	@mkdocs build --strict --quiet && echo "built: site/index.html"

tools: LISTS = requirements/debian.txt
tools: ## Install the Debian packages that are missing (needs root)
	@$(install-missing)

tools-test: LISTS = requirements/debian.txt requirements/debian-test.txt
tools-test: ## Install what tests and benchmarks need besides
	@$(install-missing)

define install-missing
missing=$$(cat $(LISTS) | sed 's/#.*//' | xargs -n1 | while read -r package; do \
  dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null | grep -q 'ok installed' || echo "$$package"; done); \
if [ -n "$$missing" ]; then \
  [ "$$(id -u)" = 0 ] || { echo "make tools: missing: $$missing; run it as root, or: sudo apt-get install" $$missing >&2; exit 1; }; \
  echo "installing:" $$missing; export DEBIAN_FRONTEND=noninteractive; \
  apt-get update -qq && RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

$(VENV)/ready: requirements/dev.txt pyproject.toml app/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "make: Python 3.11 is needed (Debian 12 has it); PYTHON=$(PYTHON) is $$($(PYTHON) -V)" >&2; exit 1; }
	@echo "preparing $(VENV) …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes --no-deps -r <(sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ /p}' requirements/dev.txt)
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . -e app
	@touch $@

clean: ## Remove what was built in the checkout (not the caches outside it)
	@rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
