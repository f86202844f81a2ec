# Two commands on a fresh machine with Python 3.11+ and make:  make demo   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
SOURCES := pyproject.toml constraints.txt $(wildcard transforms/warp/cpu*.cpp transforms/warp/cpu*.h)

.PHONY: help demo test check lint types tests clean
help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

demo: $(VENV)/.onewarp  ## the main job on drawn pictures: presize, cache, train, and a report in demo/report.html
	@echo "==> running the demo (two minutes or so)"
	$(BIN)/onewarp demo --out demo

test: check  ## an environment, lint, types and all tests

check: lint types tests  ## lint, types and tests

lint: $(VENV)/.dev
	@echo "==> lint"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict
	@echo "==> types"
	@mkdir -p .typing && ln -sfn .. .typing/onewarp
	$(BIN)/mypy -p onewarp

tests: $(VENV)/.dev  ## the tests alone
	@echo "==> tests"
	$(BIN)/python -m pytest -q

$(VENV)/.uv:
	@echo "==> making an environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(VENV)/.onewarp: $(VENV)/.uv $(SOURCES)
	@echo "==> installing onewarp and what it needs (the first time: torch, some minutes)"
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.onewarp
	@echo "==> installing what the tests need"
	$(INSTALL) --group dev --editable '.[train]'
	@touch $@

clean:  ## remove the environment and everything made
	rm -rf $(VENV) .typing build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '_cpu*.so' -delete
