"""A guard against slower compiled programs: training steps as a ratio to their matrix products alone.

    python benchmarks/guard.py        some seconds; status 1 if a ratio is over its limit

Seconds mean little from one machine to another, and from one minute to the next; the ratio to what NumPy's
BLAS has to do anyway means more. A limit is one and a half times what was measured when it was written down;
a machine that is busy with something else gets three attempts.
"""

from __future__ import annotations

from contestants import CONTESTANTS
from run import measure

LIMITS = {  # cell, (T, B, D, H): the largest ratio allowed
    ("lstm", (25, 1, 64, 100)): 5.0,
    ("lstm", (50, 32, 64, 128)): 2.9,
    ("gru", (25, 1, 64, 100)): 4.9,
    ("gru", (50, 32, 64, 128)): 3.4,
    ("rnn", (25, 1, 64, 100)): 4.8,
    ("rnn", (50, 32, 64, 128)): 3.0,
}
ATTEMPTS = 3


def ratio(cell: str, size: tuple[int, ...]) -> float:
    """A compiled training step's time, divided by that of its products."""
    pairs = {name: CONTESTANTS[name][1](cell, size) for name in ("compiled", "products alone")}
    best = measure(pairs, rounds=2, seconds=0.2)
    return best["compiled"][1] / best["products alone"][1]


def main() -> None:
    slow = []
    for (cell, size), limit in LIMITS.items():
        for _ in range(ATTEMPTS):
            found = ratio(cell, size)
            if found <= limit:
                break
        verdict = "" if found <= limit else f"   SLOWER, in {ATTEMPTS} attempts"
        print(f"{cell:5}{size!s:20} {found:.2f} times its products, limit {limit}{verdict}", flush=True)
        slow += [cell] if verdict else []
    if slow:
        raise SystemExit("compiled programs have become slower: " + ", ".join(dict.fromkeys(slow)))


if __name__ == "__main__":
    main()
