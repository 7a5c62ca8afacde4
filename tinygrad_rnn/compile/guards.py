"""Guards: all that a step can read, and so all that a program depends on.

    found = Snapshot(cell)
    found.tensors      {"weight_hh": …, "inner.0.bias": …}     arguments of a program, read anew at each call
    found.plain        {"hidden_size": …, "config": …}         all else, in a form to be compared: the guard

A program is used again only if nothing of `plain` has changed: attributes of the cell, of its submodules and
of objects that it holds (by value where they are numbers and texts, by content where they are arrays, by
identity where they are functions), hooks, attributes of classes, and the global and closure variables that
the code of the step names. Next: twin.py.
"""

from __future__ import annotations

import builtins
import dis
import enum
import hashlib
import sys
import types
from array import array
from collections import deque
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..dtypes import get_default_dtype
from ..engine.tensor import Tensor
from ..nn.hooks import Hooks
from ..nn.module import Module
from ..random import Generator

CALLED = frozenset("__call__ __getattr__ __getitem__ __len__ __iter__ __bool__ __eq__".split())  # unnamed
ATOMS = {bool, int, str, bytes, type(None), type(Ellipsis)}
BY_IDENTITY = (type, types.ModuleType, types.BuiltinFunctionType, types.FunctionType, np.ufunc, Generator)
BOOKS = vars(Module()).keys() - {"training"}  # what every module keeps for itself
LARGE = 2**16  # bytes of an array from which its content is hashed
MANY = 10_000  # entries of a container from which it is told by identity
PACKAGE, NUMPY, PYTHON = Path(__file__).parent.parent, Path(np.__file__).parent, Path(enum.__file__).parent
HEAP_TYPE = 1 << 9  # a class that was made by a class statement


class Same:
    """An object in a guard that equals itself alone. It is held, so that no other can take its place."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.x is other.x

    def __hash__(self) -> int:
        return id(self.x)

    def __repr__(self) -> str:
        return f"Same({getattr(self.x, '__name__', type(self.x).__name__)})"


class Snapshot:
    """What a cell consists of now."""

    def __init__(self, cell: Module) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.plain: dict[str, Any] = {}
        self.seen: dict[int, str] = {}
        self.iterators, self.alive = list[str](), list[Any]()
        self.functions: dict[Any, Any] = {}  # those of the user's that the cell, or what it holds, can call
        self.reads = reads_of(cell, ())
        self.inside = True
        self.module(cell, "")
        self.inside = False  # tensors of other owners are no arguments
        self.plain["the default dtype"] = str(get_default_dtype())
        known = -1
        while len(self.functions) > known:
            known = len(self.functions)
            self.reads = reads_of(cell, tuple(self.functions.values()))
            for name, x in self.reads.now():
                if name not in self.plain:
                    self.plain[name] = self.frozen(x, name)

    def key(self) -> tuple[Any, ...]:
        """The guard of a program."""
        return tuple(self.plain.items())

    def module(self, module: Module, prefix: str) -> None:
        """Note the attributes of a module and of those below it."""
        if id(module) in self.seen:
            self.plain[prefix] = ("is", self.seen[id(module)])
            return
        self.seen[id(module)] = prefix
        self.plain[f"{prefix}type"] = Same(type(module))
        for name, x in vars(module).items():
            if isinstance(x, Hooks):
                x = [list(kind.values()) for kind in vars(x).values()]
            if name not in BOOKS or isinstance(x, list):
                self.plain[prefix + name] = self.frozen(x, prefix + name)
        for source in (module._parameters, module._buffers):
            for name, t in source.items():
                self.plain[prefix + name] = self.frozen(t, prefix + name)
        for name, child in module._modules.items():
            if child is not None:
                self.module(child, f"{prefix}{name}.")

    def frozen(self, x: Any, path: str) -> Any:
        """A value in a form that can be compared and kept; tensors are noted by path."""
        kind = type(x)
        if kind in ATOMS:
            return kind, x
        if isinstance(x, Tensor):
            if self.inside:
                self.tensors.setdefault(path, x)
            return "tensor"
        if kind in (float, complex):
            return kind, repr(x)  # NaN equals itself here, and 0.0 is not -0.0
        if isinstance(x, (*BY_IDENTITY, types.MethodType, property, staticmethod, classmethod)):
            return self.code(x, path)
        if isinstance(x, types.MappingProxyType):
            x = dict(x)
            self.alive.append(x)  # or another object might get its place, and be taken for it
        if hasattr(kind, "__next__"):
            self.iterators.append(path)
        if isinstance(x, (tuple, list, dict, set, frozenset)) and len(x) > MANY:
            return Same(x), len(x)
        if id(x) in self.seen:
            return "is", self.seen[id(x)]
        self.seen[id(x)] = path
        if isinstance(x, (tuple, list)):
            return Same(kind), tuple(self.frozen(y, f"{path}.{i}") for i, y in enumerate(x))
        if isinstance(x, dict):
            more = self.frozen(vars(x), path) if hasattr(x, "__dict__") else None
            pairs = ((self.frozen(k, f"{path} key"), self.frozen(y, f"{path}.{k}")) for k, y in x.items())
            return Same(kind), tuple(pairs), more
        if isinstance(x, np.ndarray):
            return kind, x.shape, str(x.dtype), content(x)
        return self.object(x, kind, path)

    def code(self, x: Any, path: str) -> Any:
        """A function, a method, a class or a module: itself, and what of it can change."""
        f = plain_function(x)
        if f is not None and f.__code__ not in self.functions and is_users(f):
            self.functions[f.__code__] = f
        if isinstance(x, type) and id(x) not in self.seen and is_users(x) and not is_installed(x):
            self.seen[id(x)] = path
            own = class_attributes(x, self.reads.names)
            return Same(x), tuple((name, self.frozen(y, f"{path}.{name}")) for name, y in own)
        if isinstance(x, types.MethodType):
            return Same(x.__func__), self.frozen(x.__self__, f"{path} self")
        if isinstance(x, types.BuiltinMethodType) and not isinstance(x.__self__, (types.ModuleType, type)):
            return x.__name__, self.frozen(x.__self__, f"{path} self")  # such as the `get` of a dict
        return Same(x)

    def object(self, x: Any, kind: type, path: str) -> Any:
        """An object of a class: what it is made of."""
        if isinstance(x, (set, frozenset)):
            return Same(kind), frozenset(self.frozen(y, f"{path} entry") for y in x)
        if isinstance(x, (np.generic, np.dtype, range, slice)):
            return kind, repr(x)
        if isinstance(x, (bytearray, memoryview, array)):
            return kind, bytes(x)
        if isinstance(x, deque):
            return Same(kind), tuple(self.frozen(y, f"{path}.{i}") for i, y in enumerate(x))
        if isinstance(x, Module):
            self.seen.pop(id(x))
            self.module(x, f"{path}.")
            return "module"
        if isinstance(x, partial):
            return self.frozen(x.func, path), self.frozen((x.args, x.keywords), path)
        if not attributes_of(x) or (not self.inside and is_installed(kind)):
            return Same(x)
        own = tuple((name, self.frozen(y, f"{path}.{name}")) for name, y in attributes_of(x))
        of_class = class_attributes(kind, self.reads.names | CALLED)
        return Same(kind), own, tuple((name, self.frozen(y, f"{path}.{name}")) for name, y in of_class)


def content(x: Any) -> Any:
    """The content of an array: itself, or a hash that no two arrays share."""
    if x.dtype.hasobject:
        return repr(x.tolist())
    return x.tobytes() if x.nbytes <= LARGE else hashlib.blake2b(np.ascontiguousarray(x).tobytes()).digest()


def attributes_of(x: Any) -> list[tuple[str, Any]]:
    """The attributes that an object has itself, in its __dict__ or its slots."""
    found = []
    for c in type(x).__mro__:
        slots = c.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            name = f"_{c.__name__.lstrip('_')}{name}" if private else name
            if name != "__weakref__" and hasattr(x, name):
                found.append((name, getattr(x, name)))
    return [*found, *getattr(x, "__dict__", {}).items()]


def class_attributes(kind: type, names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes among `names` of a user's class, each from the class that defines it first."""
    found: dict[str, Any] = {}
    for c in kind.__mro__:
        if is_users(c):
            found = {name: x for name, x in vars(c).items() if name in names} | found
    yield from found.items()


def is_users(x: Any) -> bool:
    """True for a module, class or function that is not of this package, NumPy or Python."""
    if isinstance(x, types.FunctionType):
        file = x.__code__.co_filename
    else:
        module = x if isinstance(x, types.ModuleType) else sys.modules.get(getattr(x, "__module__", ""))
        if module is builtins:  # or a class that was made by exec()
            return isinstance(x, type) and bool(x.__flags__ & HEAP_TYPE)
        file = getattr(module, "__file__", None) or ("" if not hasattr(module, "__loader__") else "<script>")
        if module is not None and not hasattr(module, "__file__") and module.__name__ != "__main__":
            file = str(PYTHON)  # built into Python
    return is_users_file(file)


def is_installed(kind: type, module: Any = None) -> bool:
    """True for a class (or a module) of an installed package: what it consists of does not change."""
    module = module or sys.modules.get(kind.__module__)
    return "site-packages" in (getattr(module, "__file__", None) or "")


@lru_cache(maxsize=1024)
def is_users_file(file: str) -> bool:
    """True for a file outside of this package, NumPy and Python's own library."""
    path = Path(file)
    if PACKAGE in path.parents or NUMPY in path.parents:
        return False
    return (PYTHON not in path.parents and path != PYTHON) or "site-packages" in path.parts


# --- the code of a step


class Reads:
    """The variables and class attributes that functions read, and the functions that they call."""

    def __init__(self, functions: list[Any], classes: list[type]) -> None:
        self.variables: dict[str, tuple[Any, str]] = {}  # as it is told: where it lives, its name there
        self.functions: dict[Any, Any] = {}
        self.names: frozenset[str] = frozenset()
        self.stores: list[str] = []  # variables that the functions write, and what they print
        self.classes = classes
        waiting = list(functions)
        while waiting:
            function = waiting.pop()
            if function.__code__ not in self.functions and len(self.functions) < 500:
                self.functions[function.__code__] = function
                waiting += self.function(function)

    def function(self, f: Any) -> list[Any]:
        """Note what a function reads; the functions of the user's among it."""
        names = frozenset(name for code in nested(f.__code__) for name in (*code.co_names, *texts(code)))
        self.names |= names
        if vars(f):
            self.variables[f"{f.__qualname__}'s attributes"] = (f, "__dict__")
        self.stores += [name for name in stores(f) if name not in self.stores]
        for name in names:
            if name in f.__globals__:
                self.variables[f"global {name}"] = (f.__globals__, name)
        for name, cell in zip(f.__code__.co_freevars, f.__closure__ or ()):
            self.variables[f"{f.__name__}'s {name}"] = (cell, "cell_contents")
        for name in ("__defaults__", "__kwdefaults__"):
            self.variables[f"{f.__qualname__}{name}"] = (f, name)
        found = [value for _, value in self.now()]
        for x in list(found):
            if isinstance(x, types.ModuleType) and is_users(x) and not is_installed(type(x), x):
                for name in names & vars(x).keys():
                    self.variables[f"{x.__name__}.{name}"] = (vars(x), name)
                    found.append(vars(x)[name])
        for c in [*self.classes, *(x for x in found if isinstance(x, type))]:
            found += [y for _, y in class_attributes(c, names)]
        return [g for x in found if (g := plain_function(x)) is not None and is_users(g)]

    def now(self) -> list[tuple[str, Any]]:
        """The variables, as they are now, and the class attributes."""
        found = []
        for told, (place, name) in self.variables.items():
            try:
                found.append((told, place[name] if isinstance(place, dict) else getattr(place, name)))
            except (KeyError, ValueError):  # deleted, or a closure that is not filled yet
                found.append((told, None))
        for c in self.classes:
            found += [(f"{c.__name__}.{name}", x) for name, x in class_attributes(c, self.names)]
        return found


def stores(f: Any) -> Iterator[str]:
    """The variables of others that a function writes, by name; and `print`, which would print only once."""
    for code in nested(f.__code__):
        for line in dis.get_instructions(code):
            if line.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                yield f"global {line.argval}"
            elif line.opname == "STORE_DEREF" and line.argval in f.__code__.co_freevars:
                yield f"{f.__name__}'s {line.argval}"
        if "print" in code.co_names and "print" not in f.__globals__:
            yield "to the screen (print)"


def plain_function(x: Any) -> Any:
    """The function behind a method, a property or a static method; None for what is none."""
    if isinstance(x, (types.MethodType, staticmethod, classmethod)):
        x = x.__func__
    elif isinstance(x, property):
        x = x.fget
    return x if isinstance(x, types.FunctionType) else None


def texts(code: Any) -> list[str]:
    """The constants of a code object that may be names: getattr(self, "rate")."""
    return [x for x in code.co_consts if isinstance(x, str) and x.isidentifier()]


def nested(code: Any) -> Iterator[Any]:
    """A code object, and those of the functions and comprehensions in it."""
    yield code
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            yield from nested(x)


_known: WeakKeyDictionary[type, dict[Any, Reads]] = WeakKeyDictionary()


def reads_of(cell: Module, more: tuple[Any, ...] = ()) -> Reads:
    """What the code of a cell, and `more` functions, read; looked for once, as long as they are the same."""
    modules = list(cell.modules())
    classes = list(dict.fromkeys(type(m) for m in modules if is_users(type(m))))
    functions = [
        f
        for c in classes
        for name in ("step", "project", "forward", "__call__")
        if (f := plain_function(getattr(c, name, None))) is not None and is_users(f)
    ]
    known = _known.setdefault(type(cell), {})
    key = tuple(map(Same, (*functions, *more)))
    if key not in known:
        if len(known) > 8:
            known.clear()
        known[key] = Reads([*functions, *more], classes)
    return known[key]
