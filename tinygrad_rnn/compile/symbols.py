"""Symbols: arrays of which only shape and dtype are known, and the values of a program that they stand for.

    h = Symbol (13, 6) float32            np.tanh(h) does not compute: it notes  Value tanh(h)  in h's trace
    if h.sum() > 0: …                     has no answer: Untraceable, with the line

Next: kinds.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.anomaly import user_line
from ..engine.tensor import Tensor
from ..ops.protocol import FUNCTIONS

OF_VALUES = {np.all, np.any, np.argmax, np.argmin, np.argsort, np.sort, np.allclose, np.array_equal}


class Untraceable(Exception):
    """This cell cannot be compiled; the message names the operation, and the line where there is one."""


def refused(message: str) -> Untraceable:
    """The error, with the user's line."""
    return Untraceable(f"{message}, at {user_line()}")


@dataclass(eq=False, repr=False)
class Value:
    """One array of the program: an input (`op` is None), or what operation `op` makes of `args`."""

    op: str | None
    args: tuple[Any, ...]
    static: dict[str, Any]
    shape: Any
    dtype: Any
    kind: str
    name: str = ""
    data: Any = None  # the array, of a constant that the step brought along

    def inputs(self) -> list[Value]:
        """Those arguments that are values, not numbers."""
        return [a for a in self.args if isinstance(a, Value)]

    def __repr__(self) -> str:
        args = ", ".join(getattr(a, "name", "") or str(a) for a in self.args)
        return f"{self.name or '·'}{self.shape} = {self.op}({args})"


def key_of(op: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Equal for two calls of an operation that, with the same static arguments, give the same value."""
    return (op, *(id(a) if isinstance(a, Value) else (type(a), a) for a in args))


class Symbol(np.ndarray[Any, Any]):
    """An array without values. Asking for one is an error; NumPy's functions note themselves."""

    value: Any = None
    trace: Any = None

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        trace = next(x.trace for x in inputs if isinstance(x, Symbol) and x.trace is not None)
        if method != "__call__" or kwargs:
            raise refused(f"np.{ufunc.__name__}.{method} on values")
        return trace.symbol(trace.note(ufunc.__name__, ufunc, inputs, {}))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function not in FUNCTIONS or function in OF_VALUES:
            raise refused(f"np.{function.__name__} on values")
        return FUNCTIONS[function](*as_tensors(args), **{k: as_tensors(v) for k, v in kwargs.items()})

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        """The symbol in another dtype."""
        static = {"dtype": np.dtype(dtype), "was": self.dtype}
        if static["dtype"] == self.dtype:
            return self
        return self.trace.symbol(
            self.trace.note("cast", lambda x, dtype, was: x.astype(dtype), (self,), static)
        )


def as_tensors(x: Any) -> Any:
    """Tensors of symbols, also of those in a list; all else as it is."""
    if isinstance(x, Symbol):
        return x.trace.tensor(x.trace.value_of(x))
    return type(x)(map(as_tensors, x)) if isinstance(x, (list, tuple)) else x


def _no_value(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise refused(f"{name} asks for a value (a branch or number that depends on data)")

    refuse.__doc__ = f"`{name}` asks for a value: an error."
    return refuse


def _as_tensor(name: str) -> Callable[..., Any]:
    def method(self: Symbol, *args: Any) -> Any:
        return getattr(as_tensors(self), name)(*args)

    method.__doc__ = f"`{name}`, noted."
    return method


VALUES = "item tolist all any copy argsort nonzero max min __bool__ __float__ __int__ __index__ __setitem__"
METHODS = "swapaxes reshape transpose squeeze sum __getitem__"  # rules call them on values without a gradient
for _name in VALUES.split():
    setattr(Symbol, _name, _no_value(_name.strip("_")))
for _name in METHODS.split():
    setattr(Symbol, _name, _as_tensor(_name))


def dummy(value: Value) -> Any:
    """An array of the value's shape and dtype, all NaN, which no one takes for a result."""
    filler = np.nan if value.dtype.kind == "f" else 0x5EA1 if value.dtype.itemsize > 1 else 1
    return np.broadcast_to(np.asarray(filler, value.dtype), value.shape)


def mixture(value: Value) -> Any:
    """Numbers of both signs, no two rows alike: what is computed from them behind our back is no constant."""
    numbers = np.sin(np.arange(1, 1 + math.prod(value.shape)) * 1.7).reshape(value.shape)
    scaled = {"b": numbers > 0.1, "f": numbers}.get(value.dtype.kind, numbers * 100)
    return scaled.astype(value.dtype)
