# Two commands do everything: "make demo" shows the main job, "make test" proves the code.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_DIR ?= demo
# Processes that test side by side; all that starts Ray is tested by one of them.
WORKERS ?= 2
# All that is installed is compiled once, on all cores: otherwise Python does that when it first imports a module, or, where it may not
# write beside it, at every start of every process. Some packages carry files that no Python of today compiles.
COMPILE := $(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types docs check bench mutants locks clean

demo: $(VENV)/.demo
	$(BIN)/facerec demo --dir $(DEMO_DIR)

test: $(VENV)/.test
	$(BIN)/coverage erase
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --cov --cov-report=term

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

docs: $(VENV)/.test
	$(BIN)/python docs/generate.py build/docs
	$(BIN)/zensical build --strict

check: lint types docs test

# Ours, the older system's way, a plain loop with dlib, and decoding alone, in turns.
bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks.bench

# Changes the code of naming in many small ways; each change must make a test fail. Some hours.
mutants: $(VENV)/.test
	$(INSTALL) --editable '.[mutation]'
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# What the image installs, each wheel with its hash, for the Python that makes it: for CUDA, and, where INDEX names an index of torch's
# builds for the CPU, for that.
locks: $(VENV)/.test
	$(BIN)/python .ci/lock.py requirements.cuda.txt
	$(if $(INDEX),$(BIN)/python .ci/lock.py requirements.cpu.txt --extra-index-url $(INDEX),@echo "no INDEX is given: only for CUDA")

clean:
	rm -rf $(VENV) $(DEMO_DIR)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing FaceRec into $(VENV): some minutes the first time ..."
	$(INSTALL) --editable '.[demo]'
	@$(COMPILE)
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing FaceRec and what tests it into $(VENV): some minutes the first time ..."
	$(INSTALL) --editable '.[demo,docs,test]'
	@# It asks for an older Pillow than ours, for a part of it that is not used here.
	$(INSTALL) --no-deps iiif-prezi3
	@$(COMPILE)
	@touch $(VENV)/.demo $@
