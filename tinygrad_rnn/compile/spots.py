"""Spots: places in the memory of a program.

    d_a                a Buffer, an array for all steps
    d_a[:, 0:6]        a Spot: the same buffer, lo = 0, hi = 6; two spots overlap, or can be written apart

Next: storage.py, which decides what lives where.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any, NamedTuple

from .fission import Plan
from .kinds import ELEMENTWISE, axes_in, columns
from .symbols import Value
from .trace import Step

LAST = ELEMENTWISE | {
    "matmul",
    "getitem",
    "place",
    "cat",
    "sum",
    "amax",
    "expand",
    "permute",
    "reshape",
    "copy",
}


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


class Spot(NamedTuple):
    """A buffer, or entries lo … hi - 1 of its first feature dimension; `chain`: how else it is seen."""

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


class Region(NamedTuple):
    """What a view sees of a value."""

    base: Value
    lo: int | None = None
    hi: int | None = None
    chain: str = ""


def fits_last(step: Step, plan: Plan) -> bool:
    """True if the features-first layout can hold the plan."""
    rows = [v for values in plan.parts.values() for v in values]
    inputs = [step.x, *step.states, *step.ys, *step.nexts]
    if any(len(v.shape) != 2 for v in inputs) or any(v.kind in ("fold", "stacked") for v in rows):
        return False
    for v in rows:
        if v.kind == "row" and not (len(v.shape) == 2 and v.op in LAST and _fits(v)):
            return False
        if v.kind == "reduced" and any(
            a.kind == "row" and v.op not in ("matmul", "sum") for a in v.args if isinstance(a, Value)
        ):
            return False
    return True


def _fits(v: Value) -> bool:
    if v.op == "getitem":
        return columns(v.static["index"]) is not None
    if v.op == "place":
        return all(columns(i) for i in v.static["indices"])
    if v.op in ("reshape", "permute"):
        return False
    args = [a for a in v.args if isinstance(a, Value)]
    return all(len(a.shape) == 2 for a in args if a.kind == "row" or v.op == "matmul") and all(
        len(a.shape) <= 2 for a in args
    )


def fresh(name: str, taken: set[str]) -> str:
    """`name`, or name2, name3, … if it is taken; it is taken from now on."""
    number = next(k for k in count(1) if (name if k == 1 else f"{name}{k}") not in taken)
    name = name if number == 1 else f"{name}{number}"
    taken.add(name)
    return name


def slices_of(v: Value) -> list[tuple[int, int]] | None:
    """Where the parts of `v` stand, if they are disjoint slices `[:, lo:hi]`."""
    if v.op == "cat":
        if axes_in(v.static, list(v.args)) != (1,):
            return None
        ends = [sum(v.static["sizes"][: i + 1]) for i in range(len(v.args))]
        return [(end - n, end) for n, end in zip(v.static["sizes"], ends)]
    cuts = [columns(i) for i in v.static["indices"]]
    found = [c for c in cuts if c is not None]
    ordered = sorted(found)
    disjoint = len(found) == len(cuts) and all(a[1] <= b[0] for a, b in pairwise(ordered))
    return found if disjoint else None


def is_advanced(index: Any) -> bool:
    """True if an array is among the indices, which makes NumPy copy."""
    return any(hasattr(i, "dtype") for i in (index if isinstance(index, tuple) else (index,)))


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


def view_text(v: Value) -> str:
    """What to write behind an array of rows to see it as `v` does."""
    if v.op == "getitem":
        return f"[{index_text(v.static['index'])}]"
    if v.op == "permute":
        return f".transpose({v.static['axes']})"
    raise ValueError(f"{v.op} is not a view")
