"""Kinds: which values have a row for each sequence, and which operations keep the rows apart.

The step is traced on R rows, R a prime that nothing else has as a size, so that a shape tells. Kinds are

    const     from parameters and numbers only
    row       (R, ...): a row for each sequence, each computed from that row alone
    fold      (R n, k): a row made into several; only a sum over all rows may follow
    turned    (k, R): rows as columns; likewise
    reduced   a sum over rows, such as the gradient of a weight, and what is linear in it

For h (R, H): `tanh(h)` is row, `h.mean(1)` is row, `h.T @ d_a` is reduced, and `h - h.mean(0)` mixes rows:
Untraceable. Next: row_first.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .symbols import Mixing, Value, user_line

SAME_NAME = (
    "add floor_divide exp expm1 log log1p log2 sqrt sin cos tanh sign floor ceil remainder maximum minimum "
    "logaddexp negative absolute subtract multiply divide power equal not_equal less less_equal greater "
    "greater_equal logical_and logical_or logical_xor logical_not isnan isinf isfinite invert bitwise_and "
    "bitwise_or bitwise_xor"
)
OTHER_NAME = "neg:negative abs:absolute round:rint sub:subtract mul:multiply div:divide pow:power"
UFUNCS = {name: name for name in SAME_NAME.split()} | dict(pair.split(":") for pair in OTHER_NAME.split())
ELEMENTWISE = {*UFUNCS, "sigmoid", "relu", "erf", "where", "monomial", "cast"}
LINEAR = set(
    "permute reshape add sub neg mul div cast sum expand getitem place matmul where cumsum cat stack".split()
)


def is_linear(op: str, args: Sequence[Any]) -> bool:
    """True if an operation is linear in those arguments that are sums over rows, all together."""
    summed = [isinstance(a, Value) and a.kind == "reduced" for a in args]
    if op in ("mul", "matmul"):
        return summed.count(True) == 1
    if op == "div":
        return summed == [True, False]
    if op == "where":  # of a constant mask
        args, summed = args[1:], summed[1:]
    zero = [not isinstance(a, Value) and a == 0 for a in args]
    return op in LINEAR and all(s or z for s, z in zip(summed, zero))


def kind_of(rows: int, op: str, args: Sequence[Any], static: dict[str, Any], shape: tuple[int, ...]) -> str:
    """The kind of a new value; "" if the operation may mix rows."""
    values = [a for a in args if isinstance(a, Value)]
    kinds = {v.kind for v in values}
    if kinds <= {"const"}:
        kind = "const" if rows not in shape else "row" if op == "expand" and is_row(shape, rows) else ""
    elif "reduced" in kinds:
        linear = kinds <= {"const", "reduced"} and is_linear(op, args)
        kind = "reduced" if linear and rows not in shape else ""
    else:
        kind = kind_of_rows(rows, op, values, static, shape)
    return kind


def mixing(op: str, args: Sequence[Any]) -> Mixing:
    """The error for an operation that may mix rows."""
    shapes = " and ".join(str(a.shape) for a in args if isinstance(a, Value))
    what = f"{op} of {shapes} may mix rows (dimension 0 are the sequences, each on its own)"
    return Mixing(what, user_line())


def is_row(shape: tuple[int, ...], rows: int) -> bool:
    """True if the sequences are dimension 0, and no other."""
    return shape[:1] == (rows,) and rows not in shape[1:]


def kind_of_rows(rows: int, op: str, values: list[Value], static: Any, shape: tuple[int, ...]) -> str:
    """The kind of what is made of rows; "" if they may be mixed."""
    kinds, leads = {v.kind for v in values}, is_row(shape, rows)
    axes = axes_in(static, values) if op in ("sum", "cat") else ()
    if op == "matmul":
        return product_kind(values[0], values[1], leads)
    if op == "sum" and 0 in axes and kinds <= {"row", "fold"}:
        return "reduced"
    if op == "permute" and not leads and kinds <= {"row", "fold"} and (kinds == {"row"} or len(shape) == 2):
        return "turned"
    if op == "reshape" and kinds == {"row"} and not leads and folds(values[0], rows, shape):
        return "fold"
    return "row" if kinds <= {"row", "const"} and leads and keeps_rows(op, values, static, shape) else ""


def product_kind(a: Value, b: Value, leads: bool) -> str:
    """The kind of a product."""
    several = ("row", "fold")
    if a.kind == "turned" and a.args[0].kind in several and b.kind in several and len(b.shape) == 2:
        return "reduced"
    by_const = (
        a.kind == "row" and b.kind == "const" and len(a.shape) > max(1, len(b.shape) - (len(b.shape) < 3))
    )
    of_const = a.kind == "const" and b.kind == "row" and len(b.shape) > max(2, len(a.shape))
    by_row = a.kind == b.kind == "row" and len(a.shape) == len(b.shape) >= 3
    return "row" if leads and (by_const or of_const or by_row) else ""


def keeps_rows(op: str, values: list[Value], static: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """True if row i of the result is made of row i of the inputs."""
    n = len(shape)
    if op in ELEMENTWISE:  # what has the dimension of the rows is rows, or has one for all
        return all(
            len(v.shape) == n if v.kind == "row" else len(v.shape) < n or v.shape[0] == 1 for v in values
        )
    if op in ("sum", "amax", "prod", "cumsum", "cumprod", "cat", "stack", "argmax", "argmin", "argsort"):
        return 0 not in axes_in(static, values, op == "stack")
    if op == "permute":
        return bool(static["axes"][0] == 0)
    if op == "getitem":
        return whole_rows(static["index"], len(values[0].shape))
    if op in ("gather", "scatter"):
        return static["axis"] != 0 and all(v.kind == "row" and len(v.shape) == n for v in values)
    if op == "put":
        return whole_rows(static["index"], n) and values[0].kind == "row" and len(values[-1].shape) <= n
    if op == "place":
        return all(whole_rows(i, n) for i in static["indices"]) and all(v.kind == "row" for v in values)
    return op == "reshape" or (op == "expand" and len(values[0].shape) == n)


def folds(value: Value, rows: int, shape: tuple[int, ...]) -> bool:
    """True if `shape` makes several rows of each."""
    inner = value.shape
    return any(shape == (rows * math.prod(inner[1:j]), *inner[j:]) for j in range(1, len(inner)))


def whole_rows(index: Any, ndim: int) -> bool:
    """True if an index takes dimension 0 whole."""
    index = index if isinstance(index, tuple) else (index,)
    if index and index[0] is Ellipsis:
        return all(isinstance(i, (slice, int)) for i in index[1:]) and len(index) - 1 < ndim
    return bool(index) and is_whole(index[0])


def axes_in(static: dict[str, Any], values: Sequence[Any], more: int = 0) -> tuple[int, ...]:
    """The dimensions that an operation names, counted from the front (`more`: added by the operation)."""
    axis, n = static["axis"], len(values[0].shape) + more
    return tuple(i % n for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def is_advanced(index: Any) -> bool:
    """True if an array is among the indices, which makes NumPy copy."""
    return any(hasattr(i, "dtype") for i in (index if isinstance(index, tuple) else (index,)))


def canonical_index(index: Any, shape: tuple[int, ...]) -> Any:
    """The one form of an index without arrays: `[..., -2:]` of (R, 6) is `[:, 4:6]`."""
    entries = index if isinstance(index, tuple) else (index,)
    if any(hasattr(i, "dtype") or isinstance(i, bool) for i in entries):
        return index
    taken = sum(i is not None and i is not Ellipsis for i in entries)
    found: list[Any] = []
    sizes = iter(shape)
    for i in entries:
        if i is Ellipsis:
            found += [slice(None) for _ in zip(range(len(shape) - taken), sizes)]
        elif i is None:
            found.append(None)
        elif isinstance(i, slice):
            n = next(sizes)
            start, stop, step = i.indices(n)
            if (start, stop, step) == (0, n, 1):
                found.append(slice(None))
            elif step == 1:
                found.append(slice(start, max(start, stop)))
            else:
                found.append(slice(start, None if stop < 0 else stop, step))
        else:
            found.append(int(i) % next(sizes))
    return tuple(found)


def is_whole(index: Any) -> bool:
    """True for the slice that takes everything."""
    if not isinstance(index, slice):
        return False
    return index.start in (None, 0) and index.stop is None and index.step in (None, 1)


def columns(index: Any) -> tuple[int, int] | None:
    """(lo, hi) if an index is `[:, lo:hi]`."""
    if isinstance(index, tuple) and len(index) == 2 and is_whole(index[0]) and isinstance(index[1], slice):
        lo, hi, step = index[1].start, index[1].stop, index[1].step
        if isinstance(lo, int) and isinstance(hi, int) and 0 <= lo <= hi and step in (None, 1):
            return lo, hi
    return None


def columns_of(v: Any) -> tuple[int, int] | None:
    """(lo, hi) if `v` is a value `a[:, lo:hi]`."""
    return columns(v.static["index"]) if isinstance(v, Value) and v.op == "getitem" else None
