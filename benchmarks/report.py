"""What the benchmark prints: where it ran, a table with ratios, and a plot."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    cell: str
    size: tuple[int, ...]
    name: str
    forward: float  # seconds
    step: float  # seconds
    memory: float  # megabytes
    load: float


def machine() -> str:
    """Processor, cores, BLAS, versions, and how busy the machine is."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":")[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        processor = names[0] if names else processor
    blas: Any = np.show_config(mode="dicts")
    blas = blas["Build Dependencies"]["blas"]
    versions = []
    for package in ("numpy", "torch", "jax", "autograd", "mygrad"):
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return (
        f"{processor}, {os.cpu_count()} cores, {threads} threads, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, {', '.join(versions)}; "
        f"BLAS {blas['name']} {blas['version']}; float32"
    )


def markdown(rows: Iterable[Row]) -> str:
    """A table: milliseconds, megabytes, and our compiled training step as a ratio to each contestant's."""
    rows = list(rows)
    lines = [
        "| cell | T, B, D, H | contestant | forward ms | step ms | peak MB | compiled / it: forward | step |",
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    compiled = {(row.cell, row.size): row for row in rows if row.name == "compiled"}
    for row in rows:
        ours = compiled.get((row.cell, row.size))
        ratios = f"{ours.forward / row.forward:.2f} | {ours.step / row.step:.2f}" if ours else "– | –"
        memory = "–" if row.memory != row.memory else f"{row.memory:.1f}"
        size = ", ".join(map(str, row.size))
        times = f"{row.forward * 1e3:.3g} | {row.step * 1e3:.3g}"
        lines.append(f"| {row.cell} | {size} | {row.name} | {times} | {memory} | {ratios} |")
    return "\n".join(lines)


def plot(rows: list[Row], path: Path) -> None:
    """A training step's time relative to the products alone, a panel for each cell."""
    try:
        import matplotlib
    except ImportError:
        print(f"no plot: matplotlib is not installed ({path} not written)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    cells = list(dict.fromkeys(row.cell for row in rows))
    most = len({row.size for row in rows})
    figure, panels = pyplot.subplots(
        1, len(cells), figsize=(max(5.5, 0.8 * most) * len(cells) + 1.5, 5), squeeze=False, sharey=True
    )
    for panel, cell in zip(panels[0], cells):
        here = [row for row in rows if row.cell == cell]
        sizes = list(dict.fromkeys(row.size for row in here))
        bound = {row.size: row.step for row in here if row.name == "products alone"}
        for name in dict.fromkeys(row.name for row in here):
            times = {row.size: row.step for row in here if row.name == name}
            points = [(k, times[size] / bound.get(size, 1)) for k, size in enumerate(sizes) if size in times]
            panel.plot(*zip(*points), "o-", label=name, linewidth=2.5 if name == "compiled" else 0.6)
        panel.set_yscale("log")
        panel.set_xticks(
            range(len(sizes)), [", ".join(map(str, size)) for size in sizes], rotation=40, ha="right"
        )
        panel.set_title(cell)
        panel.set_xlabel("T, B, D, H")
        panel.grid(True, which="both", alpha=0.25)
    panels[0][0].set_ylabel("training step / its matrix products alone")
    panels[0][-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
