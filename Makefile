# Each target builds .venv when it is missing; delete the folder to start afresh. The demo needs the package alone.
VENV = .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
COMPLETE = $(VENV)/.complete
# Further overrides of `make demo`, as in DEMO="model=gru seed=2".
DEMO =
# Further options of the tests, as in PYTEST="-k plan -x".
PYTEST =
# Further options of pip, as in PIP="--extra-index-url https://download.pytorch.org/whl/cpu".
PIP =

# Two files of tests at a time, each on one thread: small models gain nothing from more.
TESTS = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rs -n 2 --dist loadfile

# Links, anchors and docstrings that do not exist fail.
SITE = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

.PHONY: demo test test-slow check docs

demo: $(INSTALLED)
	$(BIN)/python tools/demo.py $(DEMO)

test: $(COMPLETE)
	$(TESTS) -m "not slow" $(PYTEST)

# Those on a Slurm of two nodes need root, slurm-wlm and munge; those in a browser chromium.
test-slow: $(COMPLETE)
	$(TESTS) -m slow $(PYTEST)

check: $(COMPLETE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict asr
	$(BIN)/lint-imports
	$(SITE)

# The generated pages, and the site in build/site.
docs: $(COMPLETE)
	$(BIN)/python -m tools.docs
	$(SITE)

$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP) --editable '.[digits]'
	touch $@

$(COMPLETE): $(INSTALLED)
	$(BIN)/python -m pip install --quiet $(PIP) --editable '.[beam,cluster,dashboard,digits,english,hub,huggingface,lhotse,onnx,phones,remote,text,dev]'
	touch $@
