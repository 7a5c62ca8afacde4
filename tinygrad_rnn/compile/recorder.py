"""Recorder: while it watches a thread, every operation on symbols is noted instead of run.

    u = h @ W.T                     v1 = permute(W), u = matmul(h, v1): named after the variable
    tanh(u) * tanh(u)               v2 = tanh(u), v3 = mul(v2, v2): the same is noted once
    cat([h, e]).T @ cat([d, g])     h.T @ d + e.T @ g: so are the gradients of a weight that is used twice

Next: members.py.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ..autograd.gradmode import mode
from ..engine.primitive import record
from ..engine.tensor import Storage, Tensor
from .kinds import axes_in, is_row, kind_of
from .symbols import Symbol, Value, dummy, key_of, mixture, refused


class Trace:
    """Notes what is done to symbols. While it watches a thread, `apply` calls it instead of NumPy."""

    def __init__(self, rows: int, codes: set[Any], real: bool) -> None:
        self.rows, self.codes, self.real = rows, codes, real
        self.values: list[Value] = []
        self.known: dict[Any, Value] = {}  # an operation done twice on the same values is done once
        self.kept: dict[int, tuple[Any, Any]] = {}  # arrays that the step brought along
        self.frames: dict[int, Any] = {}

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
        if mode.enabled and tracked:
            record(primitive, inputs, arrays, static, out)
        return out

    def note(self, op: str, forward: Callable[..., Any], inputs: Any, static: dict[str, Any]) -> Value:
        """The value of an operation."""
        if any(isinstance(i, Symbol) for s in static.values() for i in (s if isinstance(s, tuple) else (s,))):
            raise refused(f"{op}: an index depends on data")
        args = tuple(self.value_of(x) for x in inputs)
        key = (*key_of(op, args), repr(static))
        if key not in self.known or "array" in repr(static):  # whose text may be shortened
            with np.errstate(all="ignore"):
                y = forward(*[dummy(a) if isinstance(a, Value) else a for a in args], **static)
            self.known[key] = self.made(op, args, static, np.shape(y), np.asarray(y).dtype)
        return self.known[key]

    def made(
        self, op: str, args: tuple[Any, ...], static: dict[str, Any], shape: tuple[int, ...], dtype: Any
    ) -> Value:
        """A value that is neither trivial nor mixes rows."""
        values = [a for a in args if isinstance(a, Value)]
        if op == "permute" and values and values[0].op == "permute":
            axes = tuple(values[0].static["axes"][i] for i in static["axes"])
            return self.made(op, values[0].args, {"axes": axes}, shape, dtype)
        still = op == "permute" and tuple(static["axes"]) == tuple(range(len(shape)))
        if values and (still or (op in ("reshape", "expand") and values[0].shape == shape)):
            return values[0]
        if op == "cat" and axes_in(static, values) == (0,) and {v.kind for v in values} == {"turned"}:
            wide = [v.args[0] for v in values]  # [aᵀ; bᵀ] = [a b]ᵀ
            sizes = {"axis": 1, "sizes": [v.shape[1] for v in wide]}
            return self.turned(self.made("cat", tuple(wide), sizes, shape[::-1], dtype))
        kind = kind_of(self.rows, op, values, static, shape)
        if kind == "split":  # [a₁; a₂]ᵀ [g₁; g₂] = a₁ᵀ g₁ + a₂ᵀ g₂
            pairs = zip(values[0].args[0].args, values[1].args)
            parts = [self.made("matmul", (self.turned(a), g), {}, shape, dtype) for a, g in pairs]
            return reduce(lambda a, b: self.made("add", (a, b), {}, shape, dtype), parts)
        return self.added(Value(op, args, static, shape, dtype, kind))

    def turned(self, v: Value) -> Value:
        """The transpose of a matrix."""
        return self.made("permute", (v,), {"axes": (1, 0)}, v.shape[::-1], v.dtype)

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
        if self.rows in array.shape:
            return self.repeated(array)
        found = array.item() if array.shape == () else self.constant(array)
        self.kept[id(array)] = (array, found)
        return found

    def constant(self, array: Any) -> Value:
        """An array as a value."""
        return self.added(Value(None, (), {}, array.shape, array.dtype, "const", data=array))

    def repeated(self, array: Any) -> Value:
        """An array with a row for each sequence: the same number everywhere, or it cannot be known."""
        first = array.reshape(-1)[:1]
        if not is_row(array.shape, self.rows) or (array != first).any():
            what = f"an array {array.shape} has a row for each sequence but comes from no input"
            raise refused(f"{what} (random numbers?)")
        one = self.constant(first.reshape((1,) * array.ndim))
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

    def name_locals(self, frame: Any) -> None:
        """Give the variables of a frame to the values they hold."""
        for name, x in frame.f_locals.items():
            array = getattr(x, "array", None)
            if isinstance(array, Symbol) and array.value is not None and not array.value.name:
                array.value.name = name
                if x.node is not None and x.requires_grad:
                    x.register_hook(lambda g, value=array.value: name_gradient(g, value))


def name_gradient(g: Tensor, of: Value) -> None:
    """The gradient of a value called x is d_x."""
    value = g.array.value if isinstance(g.array, Symbol) else None
    if value is not None and not value.name and of.name:
        value.name = f"d_{of.name}"
