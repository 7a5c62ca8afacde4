"""Recorder: while it watches a thread, every operation on symbols is noted instead of run.

    u = h @ W.T                     v1 = permute(W), u = matmul(h, v1): named after the variable
    tanh(u) * tanh(u)               v2 = tanh(u), v3 = mul(v2, v2): the same is noted once

Next: writes.py.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.gradmode import mode
from ..engine.primitive import record
from ..engine.tensor import Storage, Tensor
from .kinds import canonical_index, columns, is_advanced, is_row, kind_of, mixing
from .row_first import RowFirst
from .symbols import Symbol, Untraceable, Value, dummy, key_of, mixture, refused, user_line
from .writes import Writes


class Trace:
    """Notes what is done to symbols. While it watches a thread, `apply` calls it instead of NumPy."""

    def __init__(self, rows: int, codes: set[Any], real: bool, strict: bool = True) -> None:
        self.rows, self.codes, self.real, self.strict = rows, codes, real, strict
        self.values: list[Value] = []
        self.known: dict[Any, Value] = {}  # an operation done twice on the same values is done once
        self.kept: dict[int, tuple[Any, Any]] = {}  # arrays that the step brought along
        self.frames: dict[int, Any] = {}
        self.writes = Writes()

    def forget(self) -> None:
        """Let go of tensors and frames: they hold symbols, which hold this trace."""
        self.writes = Writes()
        self.known, self.frames = {}, {}

    # --- symbols

    def input(self, name: str, shape: tuple[int, ...], dtype: Any, requires_grad: bool) -> Tensor:
        """A new input of the program, as a tensor."""
        kind = "row" if shape[:1] == (self.rows,) else "const"
        tensor = self.tensor(self.added(Value(None, (), {}, shape, np.dtype(dtype), kind, name)))
        tensor.requires_grad = requires_grad
        return tensor

    def symbol(self, value: Value) -> Symbol:
        """The symbol of a value."""
        numbers = mixture(value) if self.real else dummy(value)
        symbol: Symbol = numbers.view(Symbol)
        symbol.value, symbol.trace = value, self
        return symbol

    def tensor(self, value: Value) -> Tensor:
        """A tensor around a symbol."""
        tensor: Tensor = object.__new__(Tensor)
        tensor.array, tensor.storage = self.symbol(value), Storage()
        return tensor

    # --- notes

    def __call__(self, primitive: Any, inputs: Any, static: dict[str, Any]) -> Tensor:
        """In the place of `apply`: note the operation."""
        self.look_at_names()
        arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
        tracked = [x.array for x in inputs if isinstance(x, Tensor) and x.requires_grad]
        if not all(isinstance(array, Symbol) for array in tracked):
            raise refused("a tensor that requires a gradient does not belong to the cell")
        out = self.tensor(self.note(primitive.name, primitive.forward, arrays, static))
        self.writes.saw(out, primitive.name, inputs[0], static)
        if mode.enabled and tracked:
            record(with_line(primitive, user_line()), inputs, arrays, static, out)
        return out

    def assign(self, tensor: Tensor, index: Any, value: Tensor) -> None:
        """In the place of a write in place: see writes.py."""
        self.writes.assign(tensor, index, value)

    def note(self, op: str, forward: Callable[..., Any], inputs: Any, static: dict[str, Any]) -> Value:
        """The value of an operation."""
        if op == "getitem" and (axis := along(static["index"], inputs[0])) is not None:
            return self.note("gather", take_along, (inputs[0], static["index"][axis]), {"axis": axis})
        if op == "place" and any(has_symbol(i) for i in static["indices"]):
            return self.scattered(inputs, static["indices"], static["shape"])
        if any(map(has_symbol, static.values())):
            raise refused(f"{op}: an index depends on data")
        args = tuple(self.value_of(x) for x in inputs)
        static = canonical(static, args)
        if op == "put":
            return self.put(args[0], args[1], static["index"])
        key = (*key_of(op, args), repr(static))
        if key not in self.known or "array" in repr(static):  # whose text may be shortened
            with np.errstate(all="ignore"):
                y = forward(*[dummy(a) if isinstance(a, Value) else a for a in args], **static)
            plain = tuple(int(n) for n in np.shape(y))
            self.known[key] = self.made(op, args, static, plain, np.asarray(y).dtype)
        return self.known[key]

    def scattered(self, parts: Any, indices: Any, shape: Any) -> Value:
        """Zeros with parts added at indices, some of which are places along a dimension."""
        total: Any = None
        for part, index in zip(parts, indices):
            zeros = np.broadcast_to(np.zeros((), part.dtype), shape)
            axis = along(index, zeros)
            if axis is not None:
                static = {"axis": axis, "shape": shape}
                value = self.note(
                    "scatter", lambda g, i, axis, shape: np.zeros(shape, g.dtype), (part, index[axis]), static
                )
            elif has_symbol(index):
                raise refused("place: an index depends on data")
            else:
                value = self.note(
                    "place",
                    lambda g, indices, shape: np.zeros(shape, g.dtype),
                    (part,),
                    {"indices": [index], "shape": shape},
                )
            total = (
                value
                if total is None
                else self.note("add", np.add, (self.symbol(total), self.symbol(value)), {})
            )
        return total  # type: ignore[no-any-return]

    def put(self, x: Any, v: Any, index: Any) -> Value:
        """x with v at an index: of neighbouring columns, what stands before, v, and what stands behind."""
        if not isinstance(x, Value):
            raise refused("a number cannot be assigned to")
        if not isinstance(v, Value):
            v = self.constant(np.full((1,) * len(x.shape), v, x.dtype))
        if not is_advanced(index) and all(i == slice(None) for i in index):
            return self.note("expand", np.broadcast_to, (self.symbol(v),), {"shape": x.shape})
        cut = columns(index)
        if cut is None or len(x.shape) != 2:
            return self.made("put", (x, v), {"index": index}, x.shape, x.dtype)
        shape = (x.shape[0], cut[1] - cut[0])
        v = self.note(
            "expand", lambda a, shape: np.broadcast_to(a, shape), (self.array_of(v),), {"shape": shape}
        )
        parts = [self.getitem(x, 0, cut[0]), v, self.getitem(x, cut[1], x.shape[1])]
        parts = [p for p in parts if p.shape[1]]
        sizes = [p.shape[1] for p in parts]
        return (
            parts[0]
            if len(parts) == 1
            else self.made("cat", tuple(parts), {"axis": 1, "sizes": sizes}, x.shape, x.dtype)
        )

    def getitem(self, x: Value, lo: int, hi: int) -> Value:
        """x[:, lo:hi]"""
        index = (slice(None), slice(lo, hi))
        return self.note("getitem", lambda a, index: a[index], (self.symbol(x),), {"index": index})

    def array_of(self, v: Any) -> Any:
        """What stands for a value among the arguments of an operation."""
        return self.symbol(v) if isinstance(v, Value) else np.asarray(v)

    def made(
        self, op: str, args: tuple[Any, ...], static: dict[str, Any], shape: tuple[int, ...], dtype: Any
    ) -> Value:
        """A value that is neither trivial nor mixes rows."""
        values = [a for a in args if isinstance(a, Value)]
        if op == "permute" and values and values[0].op == "permute":
            axes = tuple(values[0].static["axes"][i] for i in static["axes"])
            return self.made(op, values[0].args, {"axes": axes}, shape, dtype)
        if op == "cast" and values and values[0].dtype == static["dtype"]:
            return values[0]
        still = op == "permute" and tuple(static["axes"]) == tuple(range(len(shape)))
        if op == "getitem" and not is_advanced(static["index"]):
            still = all(i == slice(None) for i in static["index"])
        if values and (still or (op in ("reshape", "expand") and values[0].shape == shape)):
            return values[0]
        kind = kind_of(self.rows, op, args, static, shape) if self.strict else "row"
        if not kind:
            found = RowFirst(self).done(op, args, static, shape, dtype)
            if found is None:
                raise mixing(op, args)
            return found
        return self.added(Value(op, args, static, shape, dtype, kind))

    def added(self, value: Value) -> Value:
        """The value, as the newest of the program."""
        self.values.append(value)
        return value

    def value_of(self, x: Any) -> Any:
        """A value for an argument; numbers stand for themselves."""
        if isinstance(x, Symbol):
            if x.value is None:
                raise refused("a view of a value was taken outside the operations that can be traced")
            return x.value
        if isinstance(x, np.generic):
            x = x.item()
        if isinstance(x, np.ndarray):
            return self.brought(x)
        if isinstance(x, float) and math.isnan(x):
            raise refused("a number was computed from values that are not known yet")
        return x

    def brought(self, array: Any) -> Any:
        """A constant that the step brought along: a number, the same number in every row, or an array."""
        if id(array) in self.kept:
            return self.kept[id(array)][1]
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise refused("an array was computed from values that are not known yet")
        if self.strict and self.rows in array.shape:
            return self.repeated(array)
        found = array.item() if array.shape == () else self.constant(array)
        self.kept[id(array)] = (array, found)
        return found

    def constant(self, array: Any) -> Value:
        """An array as a value."""
        return self.added(Value(None, (), {}, array.shape, array.dtype, "const", data=array))

    def repeated(self, array: Any) -> Value:
        """An array with a row for each sequence: the same row for each, or it cannot be known."""
        if not is_row(array.shape, self.rows) or (array != array[:1]).any():
            what = f"an array {array.shape} has a row for each sequence but comes from no input"
            raise refused(f"{what} (random numbers?)")
        same = array.size and (array == array.flat[0]).all()
        one = self.constant(array.flat[0].reshape((1,) * array.ndim) if same else array[:1].copy())
        return self.made("expand", (one,), {"shape": array.shape}, array.shape, array.dtype)

    # --- names

    def look_at_names(self) -> None:
        """Name values after the variables of `project` and `step` that hold them."""
        frame: Any = sys._getframe(2)
        while frame is not None and frame.f_code not in self.codes:
            frame = frame.f_back
        if frame is not None:
            self.frames[id(frame)] = frame
            self.name_locals(frame)

    def name_frames(self) -> None:
        """Name the values of all frames that were seen. (A caller that held them would make a cycle.)"""
        for frame in self.frames.values():
            self.name_locals(frame)

    def name_locals(self, frame: Any) -> None:
        """Give the variables of a frame to the values they hold."""
        for name, x in frame.f_locals.items():
            array = getattr(x, "array", None)
            if isinstance(array, Symbol) and array.value is not None and not array.value.name:
                array.value.name = name
                if x.node is not None and x.requires_grad:
                    x.register_hook(lambda g, value=array.value: name_gradient(g, value))


def with_line(primitive: Any, line: str) -> Any:
    """The same primitive; what its rules do that cannot be traced is told with the user's line."""

    def told(rule: Any) -> Any:
        def told_rule(*args: Any, **static: Any) -> Any:
            try:
                return rule(*args, **static)
            except Untraceable as error:
                what = f"the gradient of {primitive.name} ({error.message})"
                raise type(error)(what, line) from None

        return told_rule

    twin = copy.copy(primitive)
    twin.rules = tuple(map(told, primitive.rules))
    return twin


def has_symbol(x: Any) -> bool:
    """True if a static argument holds what depends on data."""
    return isinstance(x, Symbol) or (isinstance(x, tuple) and any(isinstance(i, Symbol) for i in x))


def along(index: Any, x: Any) -> int | None:
    """The dimension, if an index takes from x[i, j, …] the places that a symbol names along one dimension."""
    if not isinstance(index, tuple) or len(index) != len(x.shape):
        return None
    axes = [k for k, i in enumerate(index) if isinstance(i, Symbol)]
    if len(axes) != 1 or len(index[axes[0]].shape) != len(index):
        return None
    grid = np.ogrid[tuple(map(slice, index[axes[0]].shape))]
    same = all(k == axes[0] or np.array_equal(i, g) for k, (i, g) in enumerate(zip(index, grid)))
    return axes[0] if same else None


def take_along(x: Any, index: Any, axis: int) -> Any:
    """The form of x[i, index[i, k]]."""
    return np.broadcast_to(np.zeros((), x.dtype), index.shape)


def canonical(static: dict[str, Any], args: Any) -> dict[str, Any]:
    """Static arguments with every index in its one form, and plain numbers for sizes."""
    if "shape" in static:
        static = {**static, "shape": tuple(map(int, static["shape"]))}
    if "index" in static and isinstance(args[0], Value):
        return {**static, "index": canonical_index(static["index"], args[0].shape)}
    if "indices" in static:
        return {**static, "indices": [canonical_index(i, static["shape"]) for i in static["indices"]]}
    return static


def name_gradient(g: Tensor, of: Value) -> None:
    """The gradient of a value called x is d_x."""
    value = g.array.value if isinstance(g.array, Symbol) else None
    if value is not None and not value.name and of.name:
        value.name = f"d_{of.name}"
