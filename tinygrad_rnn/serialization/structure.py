"""Nested Python objects as a flat table that JSON can hold.

Every container, array and tensor is one row of a table, after the rows it refers to:

    {"root": ["ref", 2], "objects": [["Tensor", 0, false], ["list", [1, 2.5]],
                                     ["dict", [["w", ["ref", 0]], ["loss", ["ref", 1]]]]]}

So what is shared is written once, no depth needs recursion, and a reference can only point backwards.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..engine.tensor import Array, Tensor
from ..nn.cells import LSTMState
from ..nn.parameter import Parameter
from .atoms import PLAIN, atom, is_atom
from .limits import Limits
from .npy import is_storable

SEQUENCES: dict[str, Callable[[Any], Any]] = {k.__name__: k for k in (list, tuple, set, frozenset)}
MAPPINGS: dict[str, Callable[[Any], Any]] = {k.__name__: k for k in (dict, OrderedDict)}
SETS, HASHABLE = ("set", "frozenset"), ("tuple", "frozenset")
TENSORS: dict[str, type[Tensor]] = {k.__name__: k for k in (Tensor, Parameter)}
NUMERIC = "biufc"  # kinds of dtypes that tensors have
PAIRS = {"LSTMState": "tuple"}  # what PyTorch has as a plain tuple, and `load` gives as one
Trail = Any  # how an object was reached: () for the root, (trail of its container, place in it)


def describe(obj: Any) -> tuple[dict[str, Any], list[Array]]:
    """Return the table of `obj`, and the arrays it refers to.

    Raises TypeError for what is not plain data, ValueError for what would take too long to load.
    """
    table = Table()
    table.add(obj)
    return {"root": table.node(obj), "objects": table.rows}, table.arrays


class Table:
    """Rows for objects and what they contain; `place` finds an object's row by identity."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.arrays: list[Array] = []
        self.place: dict[int, int] = {}
        self.array_place: dict[Any, int] = {}
        self.limits = Limits()

    def add(self, root: Any) -> None:
        """Give rows to `root` and its parts, parts first; depth needs no recursion."""
        stack: list[tuple[Any, Trail]] = [(root, ())]
        path: set[int] = set()  # containers on the way from the root to the top of the stack
        while stack:
            value, trail = stack[-1]
            refuse(value, trail)
            if is_atom(value) or id(value) in self.place:
                stack.pop()
            elif id(value) in path:  # seen before, so its parts have rows by now
                path.remove(id(value))
                stack.pop()
                self.place[id(value)] = len(self.rows)
                self.rows.append(self.row(value))
            else:
                path.add(id(value))
                for label, part in parts(value):
                    if id(part) in path:
                        raise ValueError(f"save: {shown(trail)} contains a container that it is itself in")
                    if type(part) not in PLAIN and id(part) not in self.place:
                        stack.append((part, (trail, label)))

    def row(self, value: Any) -> list[Any]:
        """Return the row of an object whose parts have theirs."""
        kind = PAIRS.get(type(value).__name__, type(value).__name__)
        if isinstance(value, Tensor):
            self.limits.row(())
            return [kind, self.stored(value.array), bool(value.requires_grad)]
        if isinstance(value, np.ndarray):
            self.limits.row(())
            return ["array", self.stored(value)]
        nodes = [self.node(part) for part in value]
        if kind in MAPPINGS:
            parts = [self.node(part) for part in value.values()]
            self.limits.row(nodes + parts, hashed=nodes)
            self.limits.keys(nodes, list(value))
            return [kind, [list(pair) for pair in zip(nodes, parts, strict=True)]]
        is_set = kind in SETS
        self.limits.row(nodes, hashed=nodes if is_set else (), hashable=kind in HASHABLE)
        if is_set:
            self.limits.keys(nodes, list(value))
        return [kind, sorted(nodes, key=json.dumps) if is_set else nodes]

    def node(self, value: Any) -> Any:
        """How a row speaks of a value."""
        return atom(value) if is_atom(value) else ["ref", self.place[id(value)]]

    def stored(self, array: Array) -> int:
        """The number of `array` among the arrays: the same for the same memory, seen in the same way."""
        seen = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype)
        if seen not in self.array_place:
            self.array_place[seen] = len(self.arrays)
            self.arrays.append(array)
        return self.array_place[seen]


def parts(value: Any) -> Iterable[tuple[Any, Any]]:
    """Yield what a container holds, keys included, each with its place in it."""
    if isinstance(value, dict):
        yield from (("key", key) for key in value)
        yield from value.items()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from enumerate(value)


# --- what cannot be saved


def refuse(value: Any, trail: Trail) -> None:
    """Raise a TypeError for what is not plain data, with what to save instead."""
    kind = type(value)
    if kind is np.ndarray:
        fine = is_storable(value.dtype)
    elif isinstance(value, (np.generic, np.dtype)):
        dtype = value if isinstance(value, np.dtype) else value.dtype
        fine = not dtype.hasobject and np.dtype(dtype.str) == dtype
    elif kind in TENSORS.values():
        fine = value.dtype.kind in NUMERIC
    else:
        fine = kind in (*PLAIN, *SEQUENCES.values(), *MAPPINGS.values(), LSTMState)
    if not fine:
        raise TypeError(f"save: {shown(trail)}, a {kind.__name__}, cannot be saved; {instead_of(value)}")


def instead_of(value: Any) -> str:
    """Return what to save instead of `value`."""
    if callable(getattr(value, "state_dict", None)):
        return "save its state_dict() instead, and give that to load_state_dict() of a new one"
    if isinstance(value, (np.ndarray, np.generic, np.dtype, Tensor)):
        return f"only plain arrays and tensors of numbers and text can, not {getattr(value, 'dtype', value)}"
    for base in (int, float, str, bytes, tuple, list, dict, set, frozenset):
        if isinstance(value, base):
            return f"save it as a plain {base.__name__}"
    return "save the tensors, arrays, numbers, strings, lists and dicts that it is made of"


def shown(trail: Trail) -> str:
    """Return a trail as Python would write it: `obj['model'][0]`."""
    labels = []
    while trail:
        trail, label = trail
        labels.append(f"[{label!r}]")
    return "obj" + "".join(reversed(labels))
