"""Every public name says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn

ROOT = Path(__file__).resolve().parents[2]
QUIET = {
    "tinygrad_rnn.testing.strategies"
}  # needs Hypothesis, which these tests have, but is imported lazily


def modules():
    yield tinygrad_rnn
    for found in pkgutil.walk_packages(tinygrad_rnn.__path__, "tinygrad_rnn."):
        if not found.name.rsplit(".", 1)[-1].startswith("_"):
            yield importlib.import_module(found.name)


MODULES = list(modules())


def public(module):
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    for name in names:
        thing = getattr(module, name)
        here = getattr(thing, "__module__", module.__name__) == module.__name__ or hasattr(module, "__all__")
        if here and callable(thing) and not isinstance(thing, np.dtype):
            yield name, thing


def methods_of(thing):
    for name, member in vars(thing).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_module_opens_with_what_it_is(module):
    assert (module.__doc__ or "").strip(), f"{module.__name__} has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_has_a_docstring(module):
    silent = [name for name, thing in public(module) if not (inspect.getdoc(thing) or "").strip()]
    assert not silent, f"{module.__name__}: no docstring for {silent}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_method_has_a_docstring(module):
    silent = []
    for name, thing in public(module):
        if inspect.isclass(thing) and thing.__module__.startswith("tinygrad_rnn"):
            silent += [
                f"{name}.{method}"
                for method in methods_of(thing)
                if not inspect.getdoc(getattr(thing, method))
            ]
    assert not silent, f"{module.__name__}: no docstring for {silent}"


RIDDLES = ("What", "Whether", "Those", "Where", "Who")
PLAIN = ("engine", "autograd", "ops", "compat")  # whose docstrings all open with a verb, a noun or a formula


@pytest.mark.parametrize("room", PLAIN)
def test_no_docstring_opens_with_a_riddle(room):
    for path in (ROOT / "tinygrad_rnn" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                first = (ast.get_docstring(node) or "").partition(" ")[0]
                assert first not in RIDDLES, f"{path}: {getattr(node, 'name', 'the module')}"
