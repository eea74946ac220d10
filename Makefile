# Two commands on a fresh machine: `make demo` does the main job, `make test` checks everything.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: demo test check install bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[video,dev]'
	touch $(STAMP)

demo: install
	$(BIN)/motif demo

test: install
	$(BIN)/python -m pytest

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

bench: install
	$(BIN)/python benchmarks/suite.py --gate
	$(BIN)/python benchmarks/scores.py
	$(BIN)/python benchmarks/matcher.py
	$(BIN)/python benchmarks/bvh_parse.py

clean:
	rm -rf .venv out build src/*.egg-info
