"""Time and peak memory of recurrent training steps: ours, and those of others, taking turns.

    python benchmarks/run.py                          every cell and size: some minutes
    python benchmarks/run.py --cells lstm --sizes 25,1,64,100 --rounds 5

Machines are noisy, and thread pools spin for a while after their last product. So contestants take turns
within one run; before each turn there is a pause and two calls that are not timed; the best time counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from contestants import CONTESTANTS, Pair
from report import Row, machine, markdown, plot

SIZES = "25,1,64,100 50,32,64,128 100,64,128,256 100,64,512,512"
GROWING = "50,32,64,64 100,32,64,64 200,32,64,64 400,32,64,64 50,8,64,64 50,128,64,64 50,32,64,256"
SLOW = 2.0  # seconds; a contestant that takes longer for one call has one turn
PAUSE = 0.1  # seconds; the thread pools of OpenBLAS and OpenMP spin for about 0.03 s


def options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", default="lstm,gru,rnn", help="comma-separated: lstm, gru, rnn")
    parser.add_argument("--sizes", default=SIZES, help="T,B,D,H, separated by spaces")
    parser.add_argument("--growing", action="store_true", help="also the sizes in which T, B or H grows")
    parser.add_argument("--only", default="", help="comma-separated contestants")
    parser.add_argument("--rounds", type=int, default=10, help="turns each contestant takes")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a turn")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--out", type=Path, help="write the table here, as Markdown, with a plot beside it")
    parser.add_argument(
        "--peak", nargs=3, help=argparse.SUPPRESS
    )  # contestant, cell, size: print peak memory, in MB
    return parser.parse_args(argv)


def turn(run: Any, seconds: float) -> float:
    """The best time of a call, after a pause and two calls that do not count (one, of a slow contestant)."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    run()
    if time.perf_counter() - start < SLOW:
        run()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def measure(pairs: dict[str, Pair], rounds: int, seconds: float) -> dict[str, tuple[float, float]]:
    """Best seconds of (forward, training step) for each contestant, taking turns."""
    best = {name: (float("inf"), float("inf")) for name in pairs}
    for _ in range(rounds):
        for name, pair in pairs.items():
            if SLOW < best[name][1] < float("inf"):
                continue
            times = turn(pair.forward, seconds / 2), turn(pair.step, seconds)
            best[name] = (min(best[name][0], times[0]), min(best[name][1], times[1]))
    return best


def agree(pairs: dict[str, Pair]) -> None:
    """All contestants must compute the same gradient of the recurrent weight, or the race means nothing."""
    found = {
        name: np.asarray(g.numpy() if hasattr(g, "numpy") else g)
        for name, pair in pairs.items()
        if (g := pair.step()) is not None
    }
    first = next(iter(found.values()))
    for name, g in found.items():
        if not np.allclose(g, first, rtol=2e-2, atol=2e-3 * np.abs(first).max()):
            raise SystemExit(f"{name} computes another gradient than {next(iter(found))}")


def peak_memory(name: str, cell: str, size: tuple[int, ...]) -> float:
    """Megabytes of resident memory that training steps need at their peak, in a process of their own."""
    argv = [sys.executable, __file__, "--peak", name, cell, ",".join(map(str, size))]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def resident(what: str) -> float:
    """Megabytes of memory in use (VmRSS), or at most in use since a reset (VmHWM); Linux alone says."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def print_peak(name: str, cell: str, size: str) -> None:
    pair = CONTESTANTS[name][1](cell, tuple(map(int, size.split(","))))
    CONTESTANTS[name][1](
        cell, (2, 1, 2, 2)
    ).step()  # what a library loads at its first step is not the step's
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, end = resident("VmRSS"), time.perf_counter() + SLOW
    for _ in range(3):
        if time.perf_counter() < end:
            pair.step()
    print(resident("VmHWM") - before)


def main(argv: list[str] | None = None) -> None:
    given = options(argv)
    if given.peak:
        print_peak(*given.peak)
        return
    chosen = given.only.split(",") if given.only else list(CONTESTANTS)
    here = [name for name in chosen if importlib.util.find_spec(CONTESTANTS[name][0])]
    for name in chosen:
        if name not in here:
            print(f"passed over: {name} ({CONTESTANTS[name][0]} is not installed)")
    print(machine())
    rows: list[Row] = []
    for cell in given.cells.split(","):
        for text in (given.sizes + (" " + GROWING if given.growing else "")).split():
            size = tuple(map(int, text.split(",")))
            pairs = {name: CONTESTANTS[name][1](cell, size) for name in here}
            agree(pairs)
            load = os.getloadavg()[0]
            for name, (forward, step) in measure(pairs, given.rounds, given.seconds).items():
                memory = float("nan") if given.no_memory else peak_memory(name, cell, size)
                rows.append(Row(cell, size, name, forward, step, memory, load))
            print(markdown([row for row in rows if row.cell == cell and row.size == size]), flush=True)
    if given.out:
        command = " ".join(["python benchmarks/run.py", *(argv or sys.argv[1:])])
        given.out.write_text(
            "# Training steps, side by side\n\n![a training step's time relative to its products alone]"
            f"({given.out.stem}.png)\n\n{machine()}\n\n    {command}\n\n{markdown(rows)}\n"
        )
        plot(rows, given.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
