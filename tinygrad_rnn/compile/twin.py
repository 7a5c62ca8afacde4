"""Twin: the copy of a cell that is traced, over symbols in place of tensors, and what a step writes to it.

What a step writes besides its result would be done once, while it is traced, and never by the program: it is
noticed, refused by name, and seen by nobody else. Next: noise.py.
"""

from __future__ import annotations

import copy
import enum
import types
from array import array
from collections import deque
from functools import partial
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..nn.module import Module
from .guards import BY_IDENTITY, Snapshot, attributes_of, is_users
from .symbols import Untraceable


def twin_of(cell: Module, tensors: dict[int, Tensor], early: bool = False) -> Any:
    """The same cell over other tensors; with `early`, its inputs are projected already."""
    twin = copied(cell, tensors, {})
    if early:
        vars(twin)["project"] = lambda xs: xs
    return twin


def copied(x: Any, tensors: dict[int, Tensor], memo: dict[int, Any]) -> Any:
    """Copy a module, and all that it holds, over other tensors; what cannot be written is kept as it is."""
    if isinstance(x, Tensor):
        return tensors.get(id(x), x)
    if id(x) in memo:
        return memo[id(x)]
    kind: Any = type(x)
    if isinstance(x, (*BY_IDENTITY, enum.Enum)):
        return x

    def each(several: Any) -> Any:
        return [copied(v, tensors, memo) for v in several]

    if isinstance(x, types.MethodType):
        return types.MethodType(x.__func__, copied(x.__self__, tensors, memo))
    if isinstance(x, partial):
        return partial(*each([x.func, *x.args]), **copied(x.keywords, tensors, memo))
    twin = x
    if isinstance(x, (dict, list)):
        twin = memo[id(x)] = kind.__new__(kind)
        twin.update(zip(x, each(x.values()))) if isinstance(x, dict) else twin.extend(each(x))
    elif isinstance(x, tuple):
        twin = kind(*each(x)) if hasattr(x, "_fields") else kind(each(x))
    elif isinstance(x, (np.ndarray, set, bytearray, deque, array)):
        twin = copy.copy(x)
    elif attributes_of(x):
        twin = memo[id(x)] = kind.__new__(kind)
    memo[id(x)] = twin
    if twin is not x:
        for name, v in attributes_of(x):
            object.__setattr__(twin, name, copied(v, tensors, memo))
    return twin


def members(cell: Module) -> dict[str, Tensor]:
    """All tensors of a cell, by path."""
    return Snapshot(cell).tensors


class Watch:
    """Notices what a traced step writes besides its result, and takes back what others would see of it."""

    def __init__(self, twin: Module) -> None:
        self.twin, self.before = twin, Snapshot(twin)
        reads = self.before.reads
        if reads.stores:
            raise Untraceable(f"step writes {', '.join(reads.stores)}: a program would do so only once")
        if self.before.iterators:
            raise Untraceable(f"{self.before.iterators[0]} is an iterator, which a program cannot follow")
        self.kept: dict[int, tuple[Any, Any]] = {}
        for _, x in reads.now():
            self.keep(x)

    def keep(self, x: Any) -> None:
        """Remember what an object, and all that it holds, consists of."""
        if id(x) in self.kept or isinstance(x, (Tensor, Module, *BY_IDENTITY[1:])):
            return
        if isinstance(x, type):
            inside: Any = {name: y for name, y in vars(x).items() if not callable(y)} if is_users(x) else None
        elif isinstance(x, (list, dict, set, deque, bytearray, np.ndarray)):
            inside = x.copy()
        else:
            inside = dict(attributes_of(x)) or None
        if inside is not None:
            self.kept[id(x)] = (x, inside)
            if not isinstance(x, (bytearray, np.ndarray)):
                for y in inside.values() if isinstance(inside, dict) else inside:
                    self.keep(y)

    def written(self) -> list[str]:
        """The names of what was written since; what others see is as it was afterwards."""
        after = Snapshot(self.twin)
        names = {**self.before.plain, **after.plain}
        found = [name for name in names if self.before.plain.get(name) != after.plain.get(name)]
        tensors = {**self.before.tensors, **after.tensors}
        found += [path for path in tensors if self.before.tensors.get(path) is not after.tensors.get(path)]
        for x, inside in self.kept.values():
            restore(x, inside)
        return list(dict.fromkeys(name if " " in name else f"self.{name}" for name in found))


def restore(x: Any, inside: Any) -> None:
    """Give an object the content that it had, where that has changed."""
    if isinstance(x, np.ndarray):
        if x.flags.writeable:
            x[...] = inside
    elif isinstance(x, (list, dict, set, deque, bytearray)):
        x.clear()
        x.extend(inside) if isinstance(x, (list, deque, bytearray)) else x.update(inside)
    else:
        for name, y in inside.items():
            if getattr(x, name, None) is not y and not name.startswith("__"):
                setattr(x, name, y) if isinstance(x, type) else object.__setattr__(x, name, y)
