"""Every public name says what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import tinygrad_rnn

QUIET = {"tinygrad_rnn.testing.strategies"}  # needs Hypothesis, which these tests have, but is imported lazily


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
        if getattr(thing, "__module__", module.__name__) == module.__name__ or hasattr(module, "__all__"):
            if (inspect.isclass(thing) or callable(thing)) and not isinstance(thing, np.dtype):
                yield name, thing


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
            for method, function in vars(thing).items():
                if not method.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                    if not (inspect.getdoc(getattr(thing, method)) or "").strip():
                        silent.append(f"{name}.{method}")
    assert not silent, f"{module.__name__}: no docstring for {silent}"
