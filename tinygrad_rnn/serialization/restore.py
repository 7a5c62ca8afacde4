"""The table of a file as objects again: each row is checked, then built; see structure.py for the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.tensor import Array, Tensor
from ..nn.parameter import Parameter
from .atoms import from_atom
from .errors import damaged
from .limits import Limits, is_reference
from .structure import HASHABLE, MAPPINGS, NUMERIC, SEQUENCES, SETS, TENSORS


def restore(structure: dict[str, Any], arrays: list[Array]) -> Any:
    """Return the object that `describe` described; refuses what it cannot have written."""
    builder = Builder(arrays)
    for row in structure["objects"]:
        builder.add(row)
    builder.limits.end(structure["root"])
    if not all(builder.used):
        raise damaged("an array belongs to nothing")
    return builder.value(structure["root"])


class Builder:
    """Builds the objects of rows, in order; each row is checked before its object is built."""

    def __init__(self, arrays: list[Array]) -> None:
        self.arrays = arrays
        self.used = bytearray(len(arrays))
        self.built: list[Any] = []
        self.tensors: dict[int, Tensor] = {}
        self.limits = Limits()

    def add(self, row: Any) -> None:
        """Build the object of the next row."""
        kind, *content = row
        if kind in TENSORS:
            self.built.append(self.wrapped(kind, *content))
        elif kind == "array":
            (place,) = content
            self.limits.row(())
            self.built.append(self.tensor(place).detach().numpy())
        elif kind in MAPPINGS:
            (pairs,) = content
            self.built.append(self.mapping(MAPPINGS[kind], pairs))
        elif kind in SEQUENCES:
            (nodes,) = content
            self.built.append(self.sequence(kind, nodes))
        else:
            raise damaged("its structure is not one that save writes")

    def wrapped(self, kind: str, place: Any, requires_grad: Any) -> Tensor:
        """Return a tensor or parameter over an array."""
        self.limits.row(())
        tensor = self.tensor(place)
        if type(requires_grad) is not bool or tensor.dtype.kind not in NUMERIC:
            raise damaged("a tensor is not written as save does")
        source = Parameter(tensor, False) if kind == "Parameter" else tensor
        return source.requires_grad_(requires_grad)

    def tensor(self, place: Any) -> Tensor:
        """Return a tensor over an array; all of them know that they share it."""
        if type(place) is not int or not 0 <= place < len(self.arrays):
            raise damaged("an array that it refers to is not there")
        self.used[place] = 1
        if place in self.tensors:
            return self.tensors[place].detach()
        return self.tensors.setdefault(place, Tensor(self.arrays[place]))

    def mapping(self, make: Callable[[Any], Any], pairs: list[Any]) -> Any:
        """Return a dict or OrderedDict."""
        if any(type(pair) is not list or len(pair) != 2 for pair in pairs):
            raise damaged("its structure is not one that save writes")
        nodes, parts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        self.limits.row(nodes + parts, hashed=nodes)
        keys = self.values(nodes)
        self.limits.keys(nodes, keys)
        return whole(make(zip(keys, self.values(parts), strict=True)), pairs)

    def sequence(self, kind: str, nodes: list[Any]) -> Any:
        """Return a list, tuple, set or frozenset."""
        is_set = kind in SETS
        self.limits.row(nodes, hashed=nodes if is_set else (), hashable=kind in HASHABLE)
        items = self.values(nodes)
        if is_set:
            self.limits.keys(nodes, items)
        return whole(SEQUENCES[kind](items), items)

    def values(self, nodes: list[Any]) -> list[Any]:
        """Return the values that nodes stand for."""
        return [self.value(node) if type(node) is list else node for node in nodes]

    def value(self, node: Any) -> Any:
        """Return the value that a node stands for."""
        return self.built[node[1]] if is_reference(node) else from_atom(node)


def whole(container: Any, items: list[Any]) -> Any:
    """Return `container`, if it has kept all the items it was made of."""
    if len(container) != len(items):
        raise damaged("a key occurs twice")
    return container
