PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: help test lint types docs-check coverage size frames names matrix guard mutate clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

test:  ## the tests
	$(PYTHON) -m pytest

lint:  ## ruff
	$(PYTHON) -m ruff check .

types:  ## mypy --strict on the package
	$(PYTHON) -m mypy --strict

docs-check:  ## the examples in docstrings, and the README's programs
	$(PYTHON) -m pytest --doctest-modules tinygrad_rnn examples tests/readme

coverage:  ## the lines and branches of the package that no test runs: an error if there are any
	HYPOTHESIS_PROFILE=ci $(PYTHON) -m pytest --ignore=tests/parity --cov=tinygrad_rnn

size:  ## lines of every file and the longest functions; an error if one has outgrown its budget
	$(PYTHON) tools/size.py

frames:  ## files, functions and lines that one GRU step executes; an error if there are more than there were
	$(PYTHON) tools/frames.py --check

names:  ## write the imports of operations, and the stub for type checkers, from what operations say of themselves
	$(PYTHON) tools/names.py

matrix:  ## the tests on Python 3.10 to 3.13, each with the oldest and the newest NumPy
	.ci/matrix

guard:  ## compiled training steps against their matrix products alone: some seconds
	$(PYTHON) benchmarks/guard.py

mutate:  ## break the source in every way, and see what the tests miss; ONLY=text JOBS=n SAMPLE=n SEED=n
	$(PYTHON) tools/mutate.py --only '$(ONLY)' --jobs $(or $(JOBS),1) $(if $(SAMPLE),--sample $(SAMPLE)) --seed $(or $(SEED),0)

clean:  ## remove what can be made again
	rm -rf .venv build dist *.egg-info .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
