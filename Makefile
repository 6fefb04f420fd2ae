# Each target builds .venv when it is missing; delete the folder to start afresh.
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
# Further overrides of `make demo`, as in DEMO="model=gru seed=2".
DEMO =
# Further options of the tests, as in PYTEST="-k plan -x".
PYTEST =

# Two files of tests at a time, each on one thread: small models gain nothing from more.
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n 2 --dist loadfile

.PHONY: demo test test-slow test-slurm check docs

demo: $(INSTALLED)
	$(BIN)/python tools/demo.py $(DEMO)

test: $(INSTALLED)
	$(TESTS) -m "not slow" $(PYTEST)

test-slow: $(INSTALLED)
	$(TESTS) -m slow --ignore=tests/cluster/test_slurm.py $(PYTEST)

# On a real Slurm of two nodes, which needs root, slurm-wlm and munge.
test-slurm: $(INSTALLED)
	$(TESTS) tests/cluster/test_slurm.py $(PYTEST)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict asr

docs: $(INSTALLED)
	$(BIN)/python tools/configuration.py

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[digits,cluster,beam,dev]'
	touch $@
