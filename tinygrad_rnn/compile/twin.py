"""Twin: the copy of a cell that is traced, over symbols in place of tensors, and what a step writes to it.

What a step writes besides its result would be done once, while it is traced, and never by the program: it is
noticed, refused by name, and seen by nobody else. Next: noise.py.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..nn.module import Module
from .guards import BY_IDENTITY, Snapshot, is_users


def twin_of(cell: Module, tensors: dict[int, Tensor], early: bool = False) -> Any:
    """The same cell over other tensors; with `early`, its inputs are projected already."""
    twin = copied(cell, tensors, {})
    if early:
        vars(twin)["project"] = lambda xs: xs
    return twin


def copied(module: Any, tensors: dict[int, Tensor], memo: dict[int, Any]) -> Any:
    """Copy a module (or list, dict, array, object of a user) over other tensors, to be written at will."""
    if isinstance(module, Tensor):
        return tensors.get(id(module), module)
    if id(module) in memo:
        return memo[id(module)]
    kind: Any = type(module)
    twin = module
    if isinstance(module, dict):
        twin = memo[id(module)] = kind.__new__(kind)
        dict.update(twin, {k: copied(v, tensors, memo) for k, v in module.items()})
    elif isinstance(module, list):
        twin = memo[id(module)] = kind.__new__(kind)
        list.extend(twin, [copied(v, tensors, memo) for v in module])
    elif isinstance(module, tuple):
        parts = [copied(v, tensors, memo) for v in module]
        twin = kind(*parts) if hasattr(module, "_fields") else kind(parts)
    elif isinstance(module, (np.ndarray, set)):
        twin = module.copy()
    elif isinstance(module, Module) or (
        is_users(kind) and "__dict__" in dir(module) and not isinstance(module, (*BY_IDENTITY, enum.Enum))
    ):
        twin = memo[id(module)] = kind.__new__(kind)
        vars(twin).update({k: copied(v, tensors, memo) for k, v in vars(module).items()})
    memo[id(module)] = twin
    return twin


def members(cell: Module) -> dict[str, Tensor]:
    """All tensors of a cell, by path."""
    return Snapshot(cell).tensors


class Watch:
    """Notices what a traced step writes besides its result, and takes back what others would see of it."""

    def __init__(self, twin: Module) -> None:
        self.twin, self.before = twin, Snapshot(twin)
        self.copies = [(x, x.copy()) for _, x in self.before.reads.now() if type(x) in (list, dict, set)]
        self.variables = [(place, name, value) for (_, value), (place, name) in self.places()]

    def places(self) -> Iterator[Any]:
        """The variables that the step's code names: what they are now, and where they live."""
        reads = self.before.reads
        return zip(reads.now(), reads.variables.values())

    def written(self) -> list[str]:
        """The names of what was written since; variables and containers are as they were afterwards."""
        after = Snapshot(self.twin)
        names = {**self.before.plain, **after.plain}
        found = [name for name in names if self.before.plain.get(name) != after.plain.get(name)]
        tensors = {**self.before.tensors, **after.tensors}
        found += [path for path in tensors if self.before.tensors.get(path) is not after.tensors.get(path)]
        for place, name, value in self.variables:
            if isinstance(place, dict) and place.get(name) is not value:
                place[name] = value
            elif isinstance(place, types.CellType) and value is not None and place.cell_contents is not value:
                place.cell_contents = value
        for x, copy in self.copies:
            if x != copy:
                refill(x, copy)
        return list(dict.fromkeys(name if " " in name else f"self.{name}" for name in found))


def refill(x: Any, copy: Any) -> None:
    """Give a container the entries it had."""
    x.clear()
    x.extend(copy) if isinstance(x, list) else x.update(copy)
