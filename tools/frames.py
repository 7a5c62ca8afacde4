"""Count what one hand-written GRU step executes in the package: files, functions, distinct lines.

python tools/frames.py            prints the counts, and the frames from `loss.backward()` to a rule
python tools/frames.py --check    fails if one has grown beyond LIMITS
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent / "tinygrad_rnn"
LIMITS = {"forward": (9, 27, 124), "backward": (9, 38, 185), "frames": (4,)}


class Count:
    """The files, functions and lines of the package that a call executes."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.lines: set[tuple[str, int]] = set()
        self.deepest = 0  # package frames above a rule of derivatives.py, itself included
        sys.settrace(self.trace)
        try:
            call()
        finally:
            sys.settrace(None)

    def trace(self, frame: FrameType, event: str, _: object) -> Any:
        """Note a call or a line of the package; called by Python for each."""
        code = frame.f_code
        if not code.co_filename.startswith(str(PACKAGE)):
            return self.trace
        self.functions.add((code.co_filename, code.co_name))
        if event == "line":
            self.lines.add((code.co_filename, frame.f_lineno))
        if event == "call" and code.co_name == "<lambda>" and code.co_filename.endswith("derivatives.py"):
            self.deepest = max(self.deepest, depth(frame))
        return self.trace

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Files, functions, lines."""
        return len({file for file, _ in self.lines}), len(self.functions), len(self.lines)


def depth(frame: FrameType | None) -> int:
    """The frames of the package that are on the stack."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename.startswith(str(PACKAGE))
        frame = frame.f_back
    return found


def step(x: Any, h: Any, W: Any, U: Any, b: Any, H: int) -> Any:
    """A GRU's step, and the loss Σ h²."""
    a, u = x @ W + b, h @ U
    r = (a[:, :H] + u[:, :H]).sigmoid()
    z = (a[:, H : 2 * H] + u[:, H : 2 * H]).sigmoid()
    n = (a[:, 2 * H :] + r * u[:, 2 * H :]).tanh()
    y = (1 - z) * n + z * h
    return (y * y).sum()


def main() -> str | None:
    sys.path.insert(0, str(PACKAGE.parent))
    import tinygrad_rnn as tg

    B, D, H = 2, 3, 4
    shapes = (B, D), (B, H), (D, 3 * H), (H, 3 * H), (3 * H,)
    leaves = [tg.rand(*shape).requires_grad_() for shape in shapes]
    loss = step(*leaves, H)
    forward = Count(lambda: step(*leaves, H))
    backward = Count(loss.backward)
    found = {"forward": forward.numbers, "backward": backward.numbers, "frames": (backward.deepest,)}
    for name, numbers in found.items():
        print(f"{name:9}", *numbers, f"(at most {LIMITS[name]})")
    grown = [k for k, numbers in found.items() if any(n > m for n, m in zip(numbers, LIMITS[k]))]
    return f"grown: {', '.join(grown)}" if grown and "--check" in sys.argv else None


if __name__ == "__main__":
    sys.exit(main())
