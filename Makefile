# Two commands on a fresh machine with Python 3.11+ and make:  make demo   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
TOGETHER := --numprocesses auto --maxprocesses 4 --dist loadfile
SOURCES := pyproject.toml constraints.txt $(wildcard transforms/warp/cpu*.cpp transforms/warp/cpu*.h)

.PHONY: help demo test check lint types tests clean
help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

demo: $(VENV)/.onewarp  ## the main job on drawn pictures: presize, cache, train, and a report in demo/report.html
	@echo "==> running the demo (two minutes or so)"
	$(BIN)/onewarp demo --out demo

test: check simd  ## an environment, lint, types and all tests, the decoder's with pillow-simd too

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
	$(BIN)/python -m pytest -q -rs $(TOGETHER)

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
	$(INSTALL) --group dev --group adapters --editable '.[train]'
	@touch $@

clean:  ## remove the environment and everything made
	rm -rf $(VENV) $(SIMD) $(LOWEST) .typing build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '_cpu*.so' -delete

# ---- pillow-simd owns the folder PIL, as Pillow does: the two never share an environment ------------------------------
SIMD := .venv-simd
SIMD_TESTS := tests/transforms/decoding

.PHONY: simd
simd: $(SIMD)/.tried  ## the decode tests with pillow-simd in Pillow's place, in an environment of its own
	@if [ -e $(SIMD)/.built ]; then \
	    echo "==> the decode tests under pillow-simd"; \
	    $(SIMD)/bin/python -c "import PIL; print('Pillow is', PIL.__version__); assert '.post' in PIL.__version__" && \
	    $(SIMD)/bin/python -m pytest -q $(SIMD_TESTS); \
	else echo "==> SKIPPED: the decode tests under pillow-simd, which could not be built; see above, then rm -r $(SIMD)"; fi

$(SIMD)/.tried: pyproject.toml constraints.txt
	@echo "==> making an environment in $(SIMD), in which pillow-simd is built (it needs g++, libjpeg-dev, zlib1g-dev)"
	$(PYTHON) -m venv --clear $(SIMD)
	$(SIMD)/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo "pillow ; python_version < '3'" > $(SIMD)/without-pillow.txt
	$(SIMD)/bin/uv pip install --quiet --python $(SIMD)/bin/python --constraint constraints.txt \
	    --override $(SIMD)/without-pillow.txt --group dev --editable .
	@if $(SIMD)/bin/uv pip install --quiet --python $(SIMD)/bin/python --no-binary pillow-simd pillow-simd; \
	    then touch $(SIMD)/.built; fi
	@touch $@

# ---- the lowest versions that pyproject.toml names hold --------------------------------------------------------------
LOWEST := .venv-lowest

.PHONY: lowest
lowest: $(LOWEST)/.made  ## all tests with the lowest versions that pyproject.toml names, in an environment of its own
	@echo "==> the tests with the lowest versions"
	$(LOWEST)/bin/python -m pytest -q -rs $(TOGETHER)

$(LOWEST)/.made: $(VENV)/.uv pyproject.toml
	@echo "==> making an environment in $(LOWEST) of the lowest versions"
	$(PYTHON) -m venv --clear $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --group dev --editable '.[train]'
	@touch $@
