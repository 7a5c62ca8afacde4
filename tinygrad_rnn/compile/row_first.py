"""Row first: an operation on values whose rows are not dimension 0, as one on values whose rows are.

    (W @ h.T).T            h.T (H, R) is the transpose of h (R, H)
    W @ h.T                is the transpose of h @ W.T
    (…).T                  two transposes fall away: h @ W.T

Every value with its rows elsewhere is a transpose of one with its rows in front, and each operation below
goes on so. What cannot be done so mixes rows. Next: recorder.py.
"""

from __future__ import annotations

import math
from typing import Any

from .kinds import ELEMENTWISE, axes_in
from .symbols import Value


class RowFirst:
    """Rewrites operations of one trace."""

    def __init__(self, trace: Any) -> None:
        self.trace, self.rows = trace, trace.rows

    def place(self, v: Any) -> int | None:
        """The dimension of the rows; None for a constant."""
        return v.shape.index(self.rows) if isinstance(v, Value) and v.kind in ("row", "turned") else None

    def moved(self, v: Value, start: int, end: int) -> Value:
        """`v` with dimension `start` put where dimension `end` is."""
        axes = [i for i in range(len(v.shape)) if i != start]
        axes.insert(end, start)
        shape = tuple(v.shape[i] for i in axes)
        made: Value = self.trace.made("permute", (v,), {"axes": tuple(axes)}, shape, v.dtype)
        return made

    def done(
        self, op: str, args: tuple[Any, ...], static: Any, shape: tuple[int, ...], dtype: Any
    ) -> Value | None:
        """The value of an operation; None if this is no way to do it."""
        inner = all(v.kind in ("row", "turned", "const") for v in args if isinstance(v, Value))
        of_rows = [v for v in args if isinstance(v, Value) and v.kind == "turned"]
        if not inner or any(v.args[0].kind != "row" for v in of_rows):
            return None
        if op == "matmul" and len(of_rows) == 2 and self.rows not in shape:
            return self.summed(args[0], args[1], shape, dtype)
        if op == "sum" and of_rows and self.rows not in shape:
            return self.total(args[0], static, shape, dtype)
        if shape.count(self.rows) != 1:
            return None
        if not of_rows and op not in ("reshape", "stack", "place"):
            return None
        places = [self.place(a) for a in args]
        q = shape.index(self.rows)
        if op in ELEMENTWISE or op == "expand":
            return self.elementwise(op, args, static, shape, dtype, q)
        if op == "matmul":
            return self.product(args[0], args[1], shape, dtype, q)
        if op == "reshape":
            return self.reshaped(args[0], places[0] or 0, shape, dtype, q)
        if op == "getitem" and not any(hasattr(i, "dtype") or i is None for i in static["index"]):
            return self.part(args[0], places[0] or 0, static["index"], shape, dtype, q)
        if op == "place":
            return self.filled(args, static, shape, dtype, q)
        if op == "stack" and len(set(places)) == 1 and places[0] is not None:
            return self.stacked(args, places[0], static, shape, dtype, q)
        if op in ("sum", "amax", "prod", "cumsum", "cat") and len(set(places)) == 1:
            return self.along(op, args, places[0] or 0, static, shape, dtype, q)
        return None

    def elementwise(self, op: str, args: Any, static: Any, shape: Any, dtype: Any, q: int) -> Value | None:
        """Number by number, of arguments that broadcast."""
        n, fronts = len(shape), []
        for a in args:
            if isinstance(a, Value):
                p, missing = self.place(a), n - len(a.shape)
                apart = p is not None and p + missing != q
                if apart or (p is None and q >= missing and a.shape[q - missing] != 1):
                    return None
                if missing and (p is not None or missing < n):
                    full = (1,) * missing + a.shape
                    if p is not None:
                        a = self.trace.made("reshape", (self.moved(a, p, 0),), {"shape": (self.rows,
                        *self.without(full, q))},
                                            (self.rows, *self.without(full, q)), a.dtype)  # fmt: skip
                        fronts.append(a)
                        continue
                    a = self.trace.made("reshape", (a,), {"shape": full}, full, a.dtype)
                a = self.moved(a, q, 0) if len(a.shape) == n else a
            fronts.append(a)
        front = (self.rows, *self.without(shape, q))
        static = {"shape": front} if op == "expand" else static
        return self.moved(self.trace.made(op, tuple(fronts), static, front, dtype), 0, q)

    def product(self, a: Any, b: Any, shape: Any, dtype: Any, q: int) -> Value | None:
        """W xᵀ is (x Wᵀ)ᵀ, and x W with rows inside is the product of a row for each, for a constant W."""
        n = len(shape)
        if a.kind == "const" and q == n - 1 and len(a.shape) == len(b.shape) == n:
            turned = (*shape[:-2], shape[-1], shape[-2])
            swapped = (self.moved(b, n - 1, n - 2), self.moved(a, n - 1, n - 2))
            flipped = self.product(*swapped, turned, dtype, n - 2)
            return flipped and self.moved(flipped, n - 2, n - 1)
        if b.kind != "const" or q != n - 2 or len(a.shape) != n or len(b.shape) != n:
            return None
        made, front = self.trace.made, self.moved(a, q, 0)
        if n == 2:
            return made("matmul", (front, b), {}, shape, dtype)  # type: ignore[no-any-return]
        lead = (self.rows, *shape[:-2], 1)
        alone = made("reshape", (front,), {"shape": (*lead, a.shape[-1])}, (*lead, a.shape[-1]), a.dtype)
        each = made("matmul", (alone, b), {}, (*lead, shape[-1]), dtype)
        rows = (*lead[:-1], shape[-1])
        return self.moved(made("reshape", (each,), {"shape": rows}, rows, dtype), 0, q)

    def summed(self, a: Value, b: Value, shape: Any, dtype: Any) -> Value | None:
        """Several products that sum over the rows: Σ_r a[…, i, r] b[…, r, j]."""
        n = len(shape)
        if self.place(a) != n - 1 or self.place(b) != n - 2 or not len(a.shape) == len(b.shape) == n > 2:
            return None
        left, right = (self.rows, *a.shape[:-1], 1), (self.rows, *b.shape[:-2], 1, b.shape[-1])
        made = self.trace.made
        factors = (
            made("reshape", (self.moved(a, n - 1, 0),), {"shape": left}, left, a.dtype),
            made("reshape", (self.moved(b, n - 2, 0),), {"shape": right}, right, b.dtype),
        )
        each = made("mul", factors, {}, (self.rows, *shape), dtype)
        return made("sum", (each,), {"axis": (0,), "keepdims": False}, shape, dtype)  # type: ignore[no-any-return]

    def stacked(self, args: Any, p: int, static: Any, shape: Any, dtype: Any, q: int) -> Value:
        """Side by side in a new dimension."""
        axis = static["axis"] % len(shape)
        front = axis if axis > p else axis + 1
        parts = tuple(self.moved(a, p, 0) for a in args)
        made = self.trace.made("stack", parts, {"axis": front}, (self.rows, *self.without(shape, q)), dtype)
        return self.moved(made, 0, q)

    def reshaped(self, x: Value, p: int, shape: Any, dtype: Any, q: int) -> Value | None:
        """Another form before and behind the rows."""
        if math.prod(x.shape[:p]) != math.prod(shape[:q]) or (p, q) == (0, 0):
            return None
        front = (self.rows, *self.without(shape, q))
        made = self.trace.made("reshape", (self.moved(x, p, 0),), {"shape": front}, front, dtype)
        return self.moved(made, 0, q)

    def part(self, x: Value, p: int, index: Any, shape: Any, dtype: Any, q: int) -> Value | None:
        """A slice that takes all rows."""
        full = [*index, *[slice(None)] * (len(x.shape) - len(index))]
        if full[p] != slice(None):
            return None
        front = (self.rows, *self.without(shape, q))
        static = {"index": (slice(None), *self.without(full, p))}
        return self.moved(self.trace.made("getitem", (self.moved(x, p, 0),), static, front, dtype), 0, q)

    def filled(self, args: Any, static: Any, shape: Any, dtype: Any, q: int) -> Value | None:
        """Parts at slices that take all rows."""
        fronts, indices = [], []
        for part, index in zip(args, static["indices"]):
            if any(hasattr(i, "dtype") or i is None for i in index):
                return None
            full = [*index, *[slice(None)] * (len(shape) - len(index))]
            p = sum(not isinstance(i, int) for i in full[:q])
            if full[q] != slice(None) or self.place(part) != p:
                return None
            fronts.append(self.moved(part, p, 0))
            indices.append((slice(None), *self.without(full, q)))
        front = (self.rows, *self.without(shape, q))
        made = self.trace.made("place", tuple(fronts), {"indices": indices, "shape": front}, front, dtype)
        return self.moved(made, 0, q)

    def total(self, x: Value, static: Any, shape: Any, dtype: Any) -> Value:
        """A sum over the rows, and other dimensions."""
        p = self.place(x) or 0
        axis = tuple(sorted(i + (i < p) if i != p else 0 for i in axes_in(static, [x])))
        keep = static["keepdims"]
        front = (1, *self.without(shape, p)) if keep else shape
        made = self.trace.made("sum", (self.moved(x, p, 0),), {**static, "axis": axis}, front, dtype)
        return self.moved(made, 0, p) if keep else made

    def along(self, op: str, args: Any, p: int, static: Any, shape: Any, dtype: Any, q: int) -> Value | None:
        """Sums and their like along other dimensions than that of the rows."""
        axes = axes_in(static, args)
        if p in axes:
            return None
        front = tuple(i + (i < p) for i in axes)
        axis = front if isinstance(static["axis"], tuple) else front[0]
        made = self.trace.made(
            op,
            tuple(self.moved(a, p, 0) for a in args),
            {**static, "axis": axis},
            (self.rows, *self.without(shape, q)),
            dtype,
        )
        return self.moved(made, 0, q)

    @staticmethod
    def without(x: Any, k: int) -> tuple[Any, ...]:
        """All entries but the k-th."""
        return (*x[:k], *x[k + 1 :])
