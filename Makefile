# Each target builds .venv when it is missing; delete the folder to start afresh.
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
# Further overrides of `make demo`, as in DEMO="model=gru seed=2".
DEMO =
# Further options of the tests, as in PYTEST="-k plan -x".
PYTEST =

.PHONY: demo test test-slow check docs

demo: $(INSTALLED)
	$(BIN)/python tools/demo.py $(DEMO)

test: $(INSTALLED)
	$(BIN)/python -m pytest -rs -m "not slow" $(PYTEST)

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -rs -m slow $(PYTEST)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict asr

docs: $(INSTALLED)
	$(BIN)/python tools/configuration.py

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[digits,dev]'
	touch $@
