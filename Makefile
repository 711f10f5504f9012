# Everything a newcomer needs: `make demo` (the product, end to end) and `make test` (every check).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRAININGS ?= 24
# tests start many processes, each of which would compile all of src/ anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint pytest docs clean

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; name it with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade "torch>=2.11,<2.14"
	$(BIN)/python -m pip install -q -e ".[dev]"
	@touch $@

demo: $(VENV)/installed
	$(BIN)/convlift improve digits --trainings $(TRAININGS) || [ $$? -eq 4 ]  # 4: not proven, which is no error

test: $(VENV)/installed
	$(MAKE) --jobs=2 lint pytest

# worksteal: neighbours run in one process, so that a fixture of a file or a room is made once
pytest: $(VENV)/installed
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/installed
	$(BIN)/ruff check src tests simulation benchmarks docs
	$(BIN)/ruff format --check src tests simulation benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
