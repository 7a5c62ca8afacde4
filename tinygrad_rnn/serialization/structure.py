"""Nested Python objects as a flat table that JSON can hold, and back.

Every container, array and tensor is one row of a table, after the rows it refers to:

    {"root": ["ref", 2], "objects": [["Tensor", 0, false], ["list", [1, 2.5]],
                                     ["dict", [["w", ["ref", 0]], ["loss", ["ref", 1]]]]]}

So what is shared is written once, depth costs nothing, and a reference can only point backwards. In a
row, what JSON has stands for itself; other values without parts are `[tag, text, …]`.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..engine.tensor import Tensor
from ..nn.cells import LSTMState
from ..nn.parameter import Parameter
from .archive import Array, LoadError

SEQUENCES: dict[str, Callable[[Any], Any]] = {k.__name__: k for k in (list, tuple, set, frozenset)}
MAPPINGS: dict[str, Callable[[Any], Any]] = {k.__name__: k for k in (dict, OrderedDict)}
TENSORS: dict[str, type[Tensor]] = {k.__name__: k for k in (Tensor, Parameter)}
PLAIN = (type(None), bool, int, float, str, bytes)
PAIRS = {"LSTMState": "tuple"}  # what PyTorch has as a plain tuple, and `load` gives as one
LONGEST_DTYPE = 9000  # letters; NumPy does not read longer headers
Trail = Any  # how an object was reached: () for the root, (trail of its container, place in it)


# --- values without parts


def is_atom(value: Any) -> bool:
    """True for what has no row of its own."""
    return type(value) in PLAIN or isinstance(value, (np.generic, np.dtype))


def atom(value: Any) -> Any:
    """JSON for a value without parts."""
    kind = type(value)
    if kind is int and abs(value) >= 2**63:
        return ["int", hex(value)]
    if kind is float and not math.isfinite(value):
        return ["float", struct.pack(">d", value).hex()]
    if kind is str and any("\ud800" <= c <= "\udfff" for c in value):  # JSON would join surrogates to pairs
        return ["str", value.encode("utf-8", "surrogatepass").hex()]
    if kind is bytes:
        return ["bytes", base64.b64encode(value).decode("ascii")]
    if kind is np.str_:
        return ["np.str_", atom("".join(value))]  # str() of it would drop zeros at the end
    if kind is np.bytes_:
        return ["np.bytes_", atom(bytes(value))]
    if isinstance(value, np.generic):
        return ["number", value.dtype.str, value.tobytes().hex()]
    if isinstance(value, np.dtype):
        return ["dtype", value.str]
    return value


def number(name: str, text: str) -> Any:
    """A NumPy scalar from its bytes."""
    dtype, content = np.dtype(name), bytes.fromhex(text)
    if dtype.hasobject or dtype.itemsize != len(content):  # the bytes of an object would be an address
        raise LoadError("the file is damaged (a number's bytes do not fit its dtype)")
    return np.ndarray((), dtype, content)[()]


ATOMS: dict[str, Callable[..., Any]] = {
    "int": lambda text: int(text, 16),
    "float": lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    "str": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "np.str_": lambda node: np.str_(from_atom(node)),
    "np.bytes_": lambda node: np.bytes_(from_atom(node)),
    "number": number,
    "dtype": np.dtype,
}


def from_atom(node: Any) -> Any:
    """The value of an `atom`."""
    if isinstance(node, list):
        tag, *content = node
        return ATOMS[tag](*content)
    if isinstance(node, dict):
        raise LoadError("the file is damaged (its structure is not one that save writes)")
    return node


# --- objects to rows


def describe(obj: Any) -> tuple[dict[str, Any], list[Array]]:
    """The table of `obj`, and the arrays it refers to."""
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

    def add(self, root: Any) -> None:
        """Give rows to `root` and its parts, parts first. No recursion, so that depth has no limit."""
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
        """The row of an object whose parts have theirs."""
        kind = PAIRS.get(type(value).__name__, type(value).__name__)
        if kind in MAPPINGS:
            return [kind, [[self.node(key), self.node(part)] for key, part in value.items()]]
        if isinstance(value, Tensor):
            return [kind, self.stored(value.array), bool(value.requires_grad)]
        if isinstance(value, np.ndarray):
            return ["array", self.stored(value)]
        nodes = [self.node(part) for part in value]
        return [kind, sorted(nodes, key=json.dumps) if isinstance(value, (set, frozenset)) else nodes]

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
    """What a container holds, keys included, each with its place in it."""
    if isinstance(value, dict):
        yield from (("key", key) for key in value)
        yield from value.items()
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from enumerate(value)


# --- what cannot be saved


def refuse(value: Any, trail: Trail) -> None:
    """A TypeError for what has no place in a file, with what to save instead."""
    kind = type(value)
    if kind is np.ndarray:
        fine = is_storable(value.dtype)
    elif isinstance(value, (np.generic, np.dtype)):
        dtype = value if isinstance(value, np.dtype) else value.dtype
        fine = is_storable(dtype) and np.dtype(dtype.str) == dtype
    elif kind in TENSORS.values():
        fine = value.dtype.kind in "biufc"
    else:
        fine = kind in (*PLAIN, *SEQUENCES.values(), *MAPPINGS.values(), LSTMState)
    if not fine:
        raise TypeError(f"save: {shown(trail)}, a {kind.__name__}, cannot be saved; {instead_of(value)}")


def is_storable(dtype: np.dtype[Any]) -> bool:
    """True if `.npy` gives this dtype back, without a pickle."""
    if dtype.hasobject:
        return False
    description = npy.dtype_to_descr(dtype)
    return len(str(description)) < LONGEST_DTYPE and npy.descr_to_dtype(description) == dtype


def instead_of(value: Any) -> str:
    """What to save instead of `value`."""
    if callable(getattr(value, "state_dict", None)):
        return "save its state_dict() instead, and give that to load_state_dict() of a new one"
    if isinstance(value, (np.ndarray, np.generic, np.dtype, Tensor)):
        return f"only plain arrays and tensors of numbers and text can, not {getattr(value, 'dtype', value)}"
    for base in (int, float, str, bytes, tuple, list, dict, set, frozenset):
        if isinstance(value, base):
            return f"save it as a plain {base.__name__}"
    return "save the tensors, arrays, numbers, strings, lists and dicts that it is made of"


def shown(trail: Trail) -> str:
    """A trail as Python would write it: `obj['model'][0]`."""
    labels = []
    while trail:
        trail, label = trail
        labels.append(f"[{label!r}]")
    return "obj" + "".join(reversed(labels))


# --- rows to objects


def restore(structure: dict[str, Any], arrays: list[Array]) -> Any:
    """The object that `describe` described."""
    built: list[Any] = []
    tensors: dict[int, Tensor] = {}

    def value(node: Any) -> Any:
        if isinstance(node, list) and node[0] == "ref":
            return built[checked(node[1], built)]
        return from_atom(node)

    def tensor(i: int) -> Tensor:
        """A tensor over array `i`; all of them know that they share it."""
        if i in tensors:
            return tensors[i].detach()
        return tensors.setdefault(i, Tensor(arrays[checked(i, arrays)]))

    for kind, *content in structure["objects"]:
        if kind in TENSORS:
            place, requires_grad = content
            source = Parameter(tensor(place), False) if kind == "Parameter" else tensor(place)
            built.append(source.requires_grad_(requires_grad))
        elif kind == "array":
            built.append(tensor(content[0]).detach().numpy())
        elif kind in MAPPINGS:
            pairs = [(value(key), value(part)) for key, part in content[0]]
            built.append(whole(MAPPINGS[kind](pairs), pairs))
        else:
            items = [value(node) for node in content[0]]
            built.append(whole(SEQUENCES[kind](items), items))
    return value(structure["root"])


def checked(i: Any, table: list[Any]) -> int:
    """`i`, if it is a place in `table`."""
    if type(i) is not int or not 0 <= i < len(table):
        raise LoadError("the file is damaged (something it refers to is not there)")
    return i


def whole(container: Any, items: list[Any]) -> Any:
    """`container`, if it has kept all the items it was made of."""
    if len(container) != len(items):
        raise LoadError("the file is damaged (a key occurs twice)")
    return container
