"""Lines: calls before they are written, so that two that do the same to neighbouring slices become one.

    sigmoid(a[0:6], out=a[0:6]); sigmoid(a[6:12], out=a[6:12])      becomes      sigmoid(a[0:12], out=a[0:12])

Next: emit.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .spots import Spot
from .storage import IN_PLACE
from .symbols import Value


class Line(NamedTuple):
    """One call: an operation, its operands (spots or source), and where the result goes."""

    op: str
    args: tuple[Any, ...]
    out: Spot
    static: dict[str, Any]
    value: Value | None


class External(NamedTuple):
    """An operand that the caller gave: x, or the gradient of an output."""

    base: int
    lo: int | None
    hi: int | None
    chain: str


def merged(lines: list[Line]) -> list[Line]:
    """Make one call of two that do the same to neighbouring slices."""
    i = 0
    lines = list(lines)
    while i < len(lines):
        for j in range(i + 1, len(lines)):
            both = joined(lines[i], lines[j])
            if both is not None and all(independent(lines[j], between) for between in lines[i:j]):
                lines[i] = both
                del lines[j]
                i -= 1
                break
        i += 1
    return lines


def neighbours(a: Any, b: Any) -> Any:
    """Two adjacent slices as one, equal source as itself, else None."""
    if isinstance(a, Spot) and isinstance(b, Spot):
        if (
            a.buffer is b.buffer
            and a.which == b.which
            and a.hi is not None
            and a.hi == b.lo
            and not a.chain
            and not b.chain
        ):
            return Spot(a.buffer, a.which, a.lo, b.hi)
        return None
    if isinstance(a, str) and isinstance(b, str):
        return a if a == b and a.replace(".", "").replace("-", "").isdigit() else None
    return None


def joined(a: Line, b: Line) -> Line | None:
    """Two lines as one, if they do the same to neighbouring slices (in either order)."""
    if a.op != b.op or a.op not in IN_PLACE | {"copy"} or len(a.args) != len(b.args) or a.static != b.static:
        return None
    for x, y in ((a, b), (b, a)):
        parts = [neighbours(p, q) for p, q in zip((*x.args, x.out), (*y.args, y.out))]
        if all(p is not None for p in parts):
            return Line(a.op, tuple(parts[:-1]), parts[-1], a.static, a.value)
    return None


def independent(later: Line, earlier: Line) -> bool:
    """True if two lines may change places."""
    reads = [s for s in later.args if isinstance(s, Spot)]
    others = [s for s in earlier.args if isinstance(s, Spot)]
    return not (
        any(s.overlaps(earlier.out) for s in reads)
        or any(s.overlaps(later.out) for s in others)
        or later.out.overlaps(earlier.out)
    )
