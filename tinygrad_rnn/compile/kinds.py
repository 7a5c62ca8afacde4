"""Kinds: which values have a row for each sequence, and which operations keep the rows apart.

The step is traced on R rows, R a prime that nothing else has as a size, so that a shape tells. Kinds are

    const     from parameters and numbers only
    row       (R, ...): a row for each sequence, each computed from that row alone
    fold      (R n, k): a row made into several; only a sum over all rows may follow
    turned    (k, R): rows as columns; likewise
    stacked   (2 R, k): several rows below each other; likewise
    reduced   a sum over rows, such as the gradient of a weight, and what is linear in it

For h (R, H): `tanh(h)` is row, `h.mean(1)` is row, `h.T @ d_a` is reduced, and `h - h.mean(0)` mixes rows:
Untraceable. Next: trace.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..autograd.primitive import user_line
from .symbols import Untraceable, Value

ELEMENTWISE = set(
    "neg abs exp expm1 log log1p log2 sqrt sin cos tanh sigmoid relu erf sign floor ceil round "
    "add sub mul div remainder floor_divide pow maximum minimum logaddexp where monomial cast "
    "negative absolute subtract multiply divide power equal not_equal less less_equal greater "
    "greater_equal logical_and logical_or logical_xor logical_not isnan isinf isfinite invert "
    "bitwise_and bitwise_or bitwise_xor".split()
)
LINEAR = set("permute reshape add sub neg mul div cast sum expand getitem place matmul".split())


def kind_of(rows: int, op: str, values: list[Value], static: dict[str, Any], shape: tuple[int, ...]) -> str:
    """The kind of a new value; Untraceable if the operation mixes rows."""
    kinds = {v.kind for v in values}
    leads = shape[:1] == (rows,) and rows not in shape[1:]
    if kinds <= {"const"}:
        if rows in shape and not (op == "expand" and leads):
            raise mixes(op, values)
        return "row" if rows in shape else "const"
    if "reduced" in kinds:
        factors = [v.kind for v in values] if op in ("mul", "div", "matmul") else []
        if (
            op not in LINEAR
            or not kinds <= {"const", "reduced"}
            or rows in shape
            or factors.count("reduced") > 1
        ):
            raise mixes(op, values)
        return "reduced"
    if op == "matmul":
        return product_kind(values, leads)
    if op == "einsum":
        return einsum_kind(values, static, leads)
    if op == "sum" and 0 in axes_in(static, values) and kinds <= {"row", "fold"}:
        return "reduced"
    if op == "cat" and axes_in(static, values) == (0,) and kinds == {"row"}:
        return "stacked"
    if op == "permute" and len(shape) == 2 and kinds <= {"row", "fold", "stacked"}:
        return "turned"
    if op == "reshape" and kinds == {"row"} and not leads and fold_of(values[0], rows, shape):
        return "fold"
    if kinds <= {"row", "const"} and leads and keeps_rows(op, values, static, shape):
        return "row"
    raise mixes(op, values)


def product_kind(values: list[Value], leads: bool) -> str:
    """The kind of a product."""
    a, b = values
    if a.kind == "turned" and b.kind in ("row", "fold", "stacked") and len(b.shape) == 2:
        stacks = (a.args[0].kind == "stacked") + (b.kind == "stacked")
        if stacks == 1 or (stacks and [x.shape[0] for x in a.args[0].args] != [x.shape[0] for x in b.args]):
            raise mixes("matmul", values)
        return "split" if stacks else "reduced"
    batched = len(a.shape) >= 3 and len(a.shape) == len(b.shape)
    if (
        leads
        and a.kind == "row"
        and ((b.kind == "const" and len(b.shape) <= 2 and len(a.shape) > 1) or (b.kind == "row" and batched))
    ):
        return "row"
    raise mixes("matmul", values)


def einsum_kind(values: list[Value], static: dict[str, Any], leads: bool) -> str:
    """The kind of an einsum: the letter of the rows must be one, and must stand first."""
    letters = {t[:1] for t, v in zip(static["terms"], values) if v.kind == "row"}
    others = "".join(t[1:] if v.kind == "row" else t for t, v in zip(static["terms"], values))
    letter = next(iter(letters))
    if len(letters) == 1 and letter not in others and {v.kind for v in values} <= {"row", "const"}:
        if letter not in static["out"]:
            return "reduced"
        if static["out"][0] == letter and leads:
            return "row"
    raise mixes("einsum", values)


def keeps_rows(op: str, values: list[Value], static: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """True if row i of the result is made of row i of the inputs."""
    if op in ELEMENTWISE:
        return all(
            len(v.shape) == len(shape) if v.kind == "row" else len(v.shape) < len(shape) or v.shape[0] == 1
            for v in values
        )
    if op in ("sum", "amax", "prod", "cumsum", "cat", "stack"):
        return 0 not in axes_in(static, values, op == "stack")
    if op in ("reshape", "expand"):
        return len(values[0].shape) == len(shape) or op == "reshape"
    if op == "permute":
        return bool(static["axes"][0] == 0)
    if op == "getitem":
        return whole_rows(static["index"], len(values[0].shape))
    if op == "place":
        return all(whole_rows(i, len(shape)) for i in static["indices"]) and all(
            v.kind == "row" for v in values
        )
    if op == "put":
        return whole_rows(static["index"], len(shape)) and values[0].kind == "row"
    return False


def whole_rows(index: Any, ndim: int) -> bool:
    """True if an index takes dimension 0 whole."""
    index = index if isinstance(index, tuple) else (index,)
    if index and index[0] is Ellipsis:
        return all(isinstance(i, (slice, int)) for i in index[1:]) and len(index) - 1 < ndim
    return bool(index) and is_whole(index[0])


def fold_of(value: Value, rows: int, shape: tuple[int, ...]) -> bool:
    """True if `shape` makes several rows of each."""
    return any(
        shape == (rows * math.prod(value.shape[1:j]), *value.shape[j:]) for j in range(1, len(value.shape))
    )


def mixes(op: str, values: list[Value]) -> Untraceable:
    """The error for an operation between rows, or one of which that is not known."""
    shapes = " and ".join(str(v.shape) for v in values)
    return Untraceable(
        f"{op} of {shapes} may mix rows (dimension 0 are the sequences, each on its own), at {user_line()}"
    )


def axes_in(static: dict[str, Any], values: Sequence[Any], more: int = 0) -> tuple[int, ...]:
    """The dimensions that an operation names, counted from the front (`more`: added by the operation)."""
    axis, n = static["axis"], len(values[0].shape) + more
    return tuple(i % n for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def is_whole(index: Any) -> bool:
    """True for the slice that takes everything."""
    return (
        isinstance(index, slice)
        and index.start in (None, 0)
        and index.stop is None
        and index.step in (None, 1)
    )


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
