"""Lines: calls before they are written, so that two that do the same to neighbouring slices become one.

    sigmoid(a[0:6], out=a[0:6]); sigmoid(a[6:12], out=a[6:12])      becomes      sigmoid(a[0:12], out=a[0:12])

Next: operands.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .spots import Spot
from .storage import IN_PLACE


class Line(NamedTuple):
    """One call: an operation, its operands (spots, or source), and where the result goes."""

    op: str
    args: tuple[Any, ...]
    out: Spot
    static: dict[str, Any]

    def reads(self) -> list[Spot]:
        """The operands that are spots."""
        return [s for s in self.args if isinstance(s, Spot)]


def merged(lines: list[Line]) -> list[Line]:
    """Make one call of two that do the same to neighbouring slices."""
    lines, i = list(lines), 0
    while i < len(lines):
        for j in range(i + 1, len(lines)):
            both = joined(lines[i], lines[j])
            if both is not None and all(independent(lines[j], between) for between in lines[i:j]):
                lines[i] = both
                del lines[j]
                break  # and look for one more neighbour
        else:
            i += 1
    return lines


def joined(a: Line, b: Line) -> Line | None:
    """Two lines as one, if they do the same to neighbouring slices (in either order)."""
    if a.op != b.op or a.op not in IN_PLACE | {"copy"} or a.static != b.static:
        return None
    for x, y in ((a, b), (b, a)):
        *args, out = (neighbours(p, q) for p, q in zip((*x.args, x.out), (*y.args, y.out)))
        if out is not None and None not in args:
            return Line(a.op, tuple(args), out, a.static)
    return None


def neighbours(a: Any, b: Any) -> Any:
    """Two adjacent slices as one, equal numbers as themselves, else None."""
    if isinstance(a, Spot) and isinstance(b, Spot):
        adjacent = a.hi is not None and a.hi == b.lo and not a.chain and not b.chain
        same = a.buffer is b.buffer and a.which == b.which
        return Spot(a.buffer, a.which, a.lo, b.hi) if same and adjacent else None
    is_number = isinstance(a, str) and a.replace(".", "").replace("-", "").isdigit()
    return a if a == b and is_number else None


def independent(later: Line, earlier: Line) -> bool:
    """True if two lines may change places."""
    pairs = [(s, earlier.out) for s in (*later.reads(), later.out)] + [
        (s, later.out) for s in earlier.reads()
    ]
    return not any(a.overlaps(b) for a, b in pairs)
