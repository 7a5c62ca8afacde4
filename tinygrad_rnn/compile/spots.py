"""Spots: places in the memory of a program.

    d_a                a Buffer, an array for all steps
    d_a[:, 0:6]        a Spot: the same buffer, lo = 0, hi = 6; two spots overlap, or can be written apart

Next: storage.py, which decides what lives where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, count, pairwise
from typing import Any, NamedTuple

from .fission import Plan
from .kinds import ELEMENTWISE, axes_in, columns, columns_of, is_advanced
from .symbols import Value

LAST = ELEMENTWISE | set("matmul getitem place cat sum amax expand copy".split())


@dataclass(eq=False)
class Buffer:
    """Memory of a workspace: `tail` is the shape of one row."""

    tail: tuple[int, ...]
    dtype: Any
    scope: str
    way: str
    holds: list[tuple[Value, Spot]] = field(default_factory=list)
    zeros: bool = False  # what no part is written to stays zero
    reserved: bool = False  # no scratch for others
    name: str = ""


class Region(NamedTuple):
    """What a view sees of a value: entries lo … hi - 1 of its first feature dimension; `chain`: how else."""

    base: Value
    lo: int | None = None
    hi: int | None = None
    chain: str = ""


class Spot(NamedTuple):
    """A buffer, or part of it, as in Region."""

    buffer: Buffer
    which: str = ""  # of a history: "in" or "next"
    lo: int | None = None
    hi: int | None = None
    chain: str = ""

    def overlaps(self, other: Spot) -> bool:
        """True unless the two have no number in common."""
        if self.buffer is not other.buffer or (self.which and other.which and self.which != other.which):
            return False
        if self.lo is None or other.lo is None or self.hi is None or other.hi is None:
            return True
        return self.lo < other.hi and other.lo < self.hi

    def seen(self, r: Region) -> Spot:
        """The spot of a view, if this is that of its base."""
        start = self.lo or 0
        lo, hi = (self.lo, self.hi) if r.lo is None or r.hi is None else (start + r.lo, start + r.hi)
        return Spot(self.buffer, self.which, lo, hi, self.chain + r.chain)


def is_view(v: Value) -> bool:
    """True if a value is only another way to look at one. (A slice of rows cannot be reshaped in place.)"""
    if v.op == "getitem":
        return not is_advanced(v.static["index"])
    return v.op == "permute" or (v.op == "reshape" and v.kind != "row")


def region(v: Value) -> Region:
    """Of what value `v` is a view, and which part it sees."""
    if v.kind != "row" or not is_view(v):
        return Region(v)
    inner, cut = region(v.args[0]), columns_of(v)
    if cut and not inner.chain:
        start = inner.lo or 0
        return Region(inner.base, start + cut[0], start + cut[1])
    look = f".transpose({v.static['axes']})" if v.op == "permute" else f"[{index_text(v.static['index'])}]"
    return inner._replace(chain=inner.chain + look)


def fits_last(plan: Plan) -> bool:
    """True if the features-first layout can hold the plan."""
    step = plan.step
    ends = [step.x, *step.noise, *step.states, *step.ys, *step.nexts]
    return all(len(v.shape) == 2 for v in ends) and all(
        _fits(v) for values in plan.parts.values() for v in values
    )


def _fits(v: Value) -> bool:
    if v.kind == "reduced":
        return v.op in ("matmul", "sum") or all(a.kind != "row" for a in v.inputs())
    if v.kind != "row":
        return v.kind != "fold"
    if v.op not in LAST or len(v.shape) != 2 or any(len(a.shape) > 2 for a in v.inputs()):
        return False
    if v.op == "getitem":
        return columns_of(v) is not None
    if v.op == "place":
        return all(columns(i) for i in v.static["indices"])
    return all(len(a.shape) == 2 for a in v.inputs() if a.kind == "row" or v.op == "matmul")


def fresh(name: str, taken: set[str]) -> str:
    """`name`, or name2, name3, … if it is taken; it is taken from now on."""
    found = next(n for k in count(1) if (n := name if k == 1 else f"{name}{k}") not in taken)
    taken.add(found)
    return found


def slices_of(v: Value) -> list[tuple[int, int]] | None:
    """Where the parts of `v` stand, if they are slices `[:, lo:hi]`, with numbers in each."""
    if v.op == "cat":
        sizes = v.static["sizes"]
        return (
            [(end - n, end) for n, end in zip(sizes, accumulate(sizes))]
            if axes_in(v.static, v.args) == (1,)
            else None
        )
    cuts = [columns(i) for i in v.static["indices"]]
    found = [c for c in cuts if c is not None]
    return found if len(found) == len(cuts) and len(v.shape) == 2 else None


def disjoint(cuts: list[tuple[int, int]]) -> bool:
    """True if no two slices have an entry in common."""
    return all(a[1] <= b[0] for a, b in pairwise(sorted(cuts)))


def index_text(index: Any) -> str:
    """An index as source."""
    parts = []
    for i in index if isinstance(index, tuple) else (index,):
        if isinstance(i, slice):
            text = f"{'' if i.start is None else i.start}:{'' if i.stop is None else i.stop}"
            parts.append(text + (f":{i.step}" if i.step not in (None, 1) else ""))
        elif hasattr(i, "dtype"):
            parts.append(f"np.array({i.tolist()})")
        else:
            parts.append("..." if i is Ellipsis else "None" if i is None else str(i))
    return ", ".join(parts)
