"""Recorder: while it watches a thread, every operation on symbols is noted instead of run.

    u = h @ W.T         notes   v1 = permute(W), u = matmul(h, v1)        and names u after the variable
    h.T @ d + e.T @ d   …       a sum of products; an operation done twice on the same values is noted once

Next: trace.py.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.gradmode import mode
from ..autograd.primitive import record, user_line
from ..tensor import Memory, Tensor
from .kinds import axes_in, kind_of
from .symbols import Symbol, Untraceable, Value, dummy, mixture


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
        value = Value(None, (), {}, shape, np.dtype(dtype), "row" if shape[:1] == (self.rows,) else "const")
        value.name = name
        self.values.append(value)
        tensor = self.tensor(value)
        tensor.requires_grad = requires_grad
        return tensor

    def symbol(self, value: Value) -> Symbol:
        """The symbol of a value."""
        numbers = mixture(value.shape, value.dtype) if self.real else dummy(value)
        symbol: Symbol = numbers.view(Symbol)
        symbol.value, symbol.trace = value, self
        return symbol

    def tensor(self, value: Value) -> Tensor:
        """A tensor around a symbol."""
        tensor: Tensor = object.__new__(Tensor)
        tensor.array, tensor.memory = self.symbol(value), Memory()
        return tensor

    # --- notes

    def __call__(self, primitive: Any, inputs: Any, static: dict[str, Any]) -> Tensor:
        """In the place of `apply`: note the operation."""
        self.look_at_names()
        arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
        if any(isinstance(x, Tensor) and x.requires_grad and not isinstance(x.array, Symbol) for x in inputs):
            raise Untraceable(
                f"a tensor that requires a gradient does not belong to the cell, at {user_line()}"
            )
        out = self.tensor(self.note(primitive.name, primitive.forward, arrays, static))
        if mode.enabled and any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
            record(primitive, inputs, arrays, static, out)
        return out

    def note(self, op: str, forward: Callable[..., Any], inputs: Any, static: dict[str, Any]) -> Value:
        """The value of an operation."""
        if any(isinstance(i, Symbol) for s in static.values() for i in (s if isinstance(s, tuple) else (s,))):
            raise Untraceable(f"{op}: an index depends on data, at {user_line()}")
        args = tuple(self.value_of(x) for x in inputs)
        key: tuple[Any, ...] = (
            op,
            *(id(a) if isinstance(a, Value) else (type(a), a) for a in args),
            repr(static),
        )
        if key in self.known and "array" not in key[-1]:
            return self.known[key]
        with np.errstate(all="ignore"):
            y = forward(*[dummy(a) if isinstance(a, Value) else a for a in args], **static)
        value = self.known[key] = self.made(op, args, static, np.shape(y), np.asarray(y).dtype)
        return value

    def made(
        self, op: str, args: tuple[Any, ...], static: dict[str, Any], shape: tuple[int, ...], dtype: Any
    ) -> Value:
        """A value that is neither trivial nor mixes rows."""
        values = [a for a in args if isinstance(a, Value)]
        first = values[0] if values else None
        if op == "permute" and first is not None:
            if first.op == "permute":
                inner = first.static["axes"]
                return self.made(
                    op, first.args, {"axes": tuple(inner[i] for i in static["axes"])}, shape, dtype
                )
            if tuple(static["axes"]) == tuple(range(len(shape))):
                return first
        if op in ("reshape", "expand") and first is not None and first.shape == shape:
            return first
        if (
            op == "cat"
            and axes_in(static, values) == (0,)
            and all(v.op == "permute" and v.kind == "turned" for v in values)
        ):
            return self.turned_cat([v.args[0] for v in values], shape, dtype)
        kind = kind_of(self.rows, op, values, static, shape)
        if kind == "split":  # [a₁; a₂]ᵀ [g₁; g₂] = a₁ᵀ g₁ + a₂ᵀ g₂
            return self.split(values, dtype)
        value = Value(op, args, static, shape, dtype, kind)
        self.values.append(value)
        return value

    def turned_cat(self, values: list[Value], shape: tuple[int, ...], dtype: Any) -> Value:
        """[aᵀ; bᵀ] = [a b]ᵀ"""
        static = {"axis": 1, "sizes": [v.shape[1] for v in values]}
        wide = self.made("cat", tuple(values), static, shape[::-1], dtype)
        return self.made("permute", (wide,), {"axes": (1, 0)}, shape, dtype)

    def split(self, values: list[Value], dtype: Any) -> Value:
        """The product of two stacks as a sum of products."""
        total: Any = None
        for a, g in zip(values[0].args[0].args, values[1].args):
            turned = self.made("permute", (a,), {"axes": (1, 0)}, a.shape[::-1], dtype)
            shape = (a.shape[1], g.shape[1])
            part = self.made("matmul", (turned, g), {}, shape, dtype)
            total = part if total is None else self.made("add", (total, part), {}, shape, dtype)
        return total  # type: ignore[no-any-return]

    def value_of(self, x: Any) -> Any:
        """A value for an argument; numbers stand for themselves."""
        if isinstance(x, Symbol):
            if x.value is None:
                raise Untraceable(
                    f"a view of a value was taken outside the operations that can be traced, at {user_line()}"
                )
            return x.value
        if isinstance(x, np.generic):
            x = x.item()
        if isinstance(x, np.ndarray):
            return self.brought(x)
        if isinstance(x, float) and math.isnan(x):
            raise Untraceable(f"a number was computed from values that are not known yet, at {user_line()}")
        return x

    def brought(self, array: Any) -> Any:
        """A constant that the step brought along: a number, the same number in every row, or an array."""
        if id(array) in self.kept:
            return self.kept[id(array)][1]
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise Untraceable(f"an array was computed from values that are not known yet, at {user_line()}")
        if array.shape == ():
            self.kept[id(array)] = (array, array.item())
            return array.item()
        if self.rows in array.shape:
            first = array.reshape(-1)[0]
            if array.shape[0] != self.rows or self.rows in array.shape[1:] or (array != first).any():
                raise Untraceable(
                    f"an array {array.shape} has a row for each sequence but comes from no input "
                    f"(random numbers?), at {user_line()}"
                )
            one = Value(None, (), {}, (1,) * array.ndim, array.dtype, "const")
            one.data = np.full((1,) * array.ndim, first)
            self.values.append(one)
            return self.made("expand", (one,), {"shape": array.shape}, array.shape, array.dtype)
        value = Value(None, (), {}, array.shape, array.dtype, "const")
        value.data = array
        self.values.append(value)
        self.kept[id(array)] = (array, value)
        return value

    # --- names

    def look_at_names(self) -> None:
        """Name values after the variables of `project` and `step` that hold them."""
        frame = sys._getframe(2)
        for _ in range(12):
            if frame is None:
                break
            if frame.f_code in self.codes:
                self.frames[id(frame)] = frame
                self.name_locals(frame)
                break
            frame = frame.f_back  # type: ignore[assignment]

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
