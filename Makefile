PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)

.PHONY: help test lint types docs-check size matrix clean

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

size:  ## lines of every file, the longest functions, and the budget of the engine
	$(PYTHON) .ci/size.py

matrix:  ## the tests on Python 3.10 to 3.13, each with the oldest and the newest NumPy
	.ci/matrix

clean:  ## remove what can be made again
	rm -rf .venv build dist *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
