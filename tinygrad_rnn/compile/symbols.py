"""Symbols: arrays of which only shape and dtype are known, and the values of a program that they stand for.

    h = Symbol (13, 6) float32            np.tanh(h) does not compute: it notes  Value tanh(h)  in h's trace
    if h.sum() > 0: …                     has no answer: Untraceable, with the line

Next: kinds.py.
"""

from __future__ import annotations

import linecache
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops.protocol import FUNCTIONS

OF_VALUES = {np.all, np.any, np.sort, np.allclose, np.array_equal}
SHORT = {  # the names that operations of tensors have
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "negative": "neg",
    "power": "pow",
    "absolute": "abs",
}
LIBRARIES = (str(Path(__file__).parent.parent), str(Path(np.__file__).parent))
ORDERS = {np.argmax, np.argmin, np.argsort}


class Untraceable(Exception):
    """This cell cannot be compiled; the message names the operation, and the line where there is one."""

    def __init__(self, message: str, line: str = "") -> None:
        super().__init__(f"{message}, at {line}" if line else message)
        self.message = message


class Mixing(Untraceable):
    """An operation may mix rows, by the shapes of its arguments."""


def user_line() -> str:
    """`file:line: code` of the innermost caller that belongs neither to this package nor to NumPy."""
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"


def refused(message: str) -> Untraceable:
    """The error, with the user's line."""
    return Untraceable(message, user_line())


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


class Rows(int):
    """The number of sequences in a trace: a step may pass it on, but not branch on it."""

    def __hash__(self) -> int:
        if not is_ours(sys._getframe(1)):  # a set or a dict asks
            raise refused("step compares the number of sequences, which differs from call to call")
        return int(self).__hash__()


def _compared(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def compare(self: Rows, *other: Any) -> Any:
        if not is_ours(sys._getframe(1)):
            raise refused("step compares the number of sequences, which differs from call to call")
        return plain(self, *other)

    return compare


def _reckoned(name: str) -> Callable[..., Any]:
    plain = getattr(int, name)

    def reckon(self: Rows, other: Any) -> Any:
        y = plain(self, other)
        return Rows(y) if type(y) is int else y

    return reckon


for _name in "eq ne lt le gt ge bool".split():
    setattr(Rows, f"__{_name}__", _compared(f"__{_name}__"))
for _name in "add radd sub rsub mul rmul floordiv rfloordiv mod rmod".split():
    setattr(Rows, f"__{_name}__", _reckoned(f"__{_name}__"))


def is_ours(frame: Any) -> bool:
    """True for a frame of this package, or of NumPy."""
    return bool(frame.f_code.co_filename.startswith(LIBRARIES))


class Symbol(np.ndarray[Any, Any]):
    """An array without values. Asking for one is an error; NumPy's functions note themselves."""

    value: Any = None
    trace: Any = None

    @property  # type: ignore[misc]
    def shape(self) -> Any:
        """The sizes; that of the rows is one that a step cannot branch on."""
        plain = super().shape
        if self.value is None or self.value.kind == "const" or not plain or not plain[0]:
            return plain
        return plain if plain[0] % self.trace.rows else (Rows(plain[0]), *plain[1:])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        trace = next(x.trace for x in inputs if isinstance(x, Symbol) and x.trace is not None)
        if method == "reduce" and ufunc is np.add and kwargs.get("out") is None:
            axis, keepdims = kwargs.get("axis", 0), kwargs.get("keepdims", False)
            return as_arrays(as_tensors(inputs[0]).sum(axis, keepdims))
        if method != "__call__" or kwargs:
            raise refused(f"np.{ufunc.__name__}.{method} on values")
        return trace.symbol(trace.note(SHORT.get(ufunc.__name__, ufunc.__name__), ufunc, inputs, {}))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in (np.max, np.min):
            kwargs.pop("initial", None)  # of no number, and that is no row
        if function in (np.may_share_memory, np.shares_memory):
            return True  # eager code asks whether a view is one
        if function in ORDERS:
            return ordered(function.__name__, *args, **kwargs)
        if function not in FUNCTIONS or function in OF_VALUES:
            raise refused(f"np.{function.__name__} on values")
        return as_arrays(
            FUNCTIONS[function](*as_tensors(args), **{k: as_tensors(v) for k, v in kwargs.items()})
        )

    def copy(self, *_: Any, **__: Any) -> Any:
        """The symbol itself: what it stands for never changes."""
        return self

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


def as_arrays(x: Any) -> Any:
    """Symbols for tensors of them."""
    if isinstance(x, Tensor):
        return x.array
    return type(x)(map(as_arrays, x)) if isinstance(x, (list, tuple)) else x


def ordered(name: str, a: Symbol, axis: Any = -1, keepdims: bool = False, kind: Any = None) -> Symbol:
    """Where the largest or smallest number of each row stands, or all in their order."""
    if axis is None:
        raise refused(f"np.{name} of all values")
    static = {"axis": axis % a.ndim} | ({} if name == "argsort" else {"keepdims": keepdims})
    function: Any = {"argmax": np.argmax, "argmin": np.argmin, "argsort": stable}[name]
    return a.trace.symbol(a.trace.note(name, function, (a,), static))  # type: ignore[no-any-return]


def stable(a: Any, axis: int) -> Any:
    """The indices that sort, equal numbers in their order."""
    return np.argsort(a, axis=axis, kind="stable")


def bounds(v: Any) -> tuple[int, int] | None:
    """The smallest and largest integer that a value can hold, if it is made of places along a dimension."""
    if v.op in ("argmax", "argmin", "argsort"):
        return 0, v.args[0].shape[v.static["axis"]] - 1
    if v.op in ("getitem", "reshape", "permute", "expand", "cast") and v.dtype.kind in "iu":
        return bounds(v.args[0])
    if v.op in ("sub", "subtract") and isinstance(v.args[0], int) and isinstance(v.args[1], Value):
        inner = bounds(v.args[1])
        return inner and (v.args[0] - inner[1], v.args[0] - inner[0])
    return None


def _bound(name: str, k: int) -> Callable[..., Any]:
    def bound(self: Symbol, *_: Any, **__: Any) -> Any:
        found = bounds(self.value) if self.value is not None else None
        if found is None:
            raise refused(f"{name} asks for a value (a branch or number that depends on data)")
        return found[k]

    bound.__doc__ = f"`{name}` of places along a dimension is known; of other values it is an error."
    return bound


def _no_value(name: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise refused(f"{name} asks for a value (a branch or number that depends on data)")

    refuse.__doc__ = f"`{name}` asks for a value: an error."
    return refuse


def _as_tensor(name: str) -> Callable[..., Any]:
    def method(self: Symbol, *args: Any) -> Any:
        return as_arrays(getattr(as_tensors(self), name)(*args))

    method.__doc__ = f"`{name}`, noted."
    return method


VALUES = "item tolist all any argsort nonzero __bool__ __float__ __int__ __index__ __setitem__"
for _k, _name in enumerate(("min", "max")):
    setattr(Symbol, _name, _bound(_name, _k))
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
    return np.asarray(scaled).astype(value.dtype)
