"""The comparison itself: a Jacobian, or what random directions see of it, by three methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Array, Tensor
from .differences import Slopes, central, complex_step, describe
from .probe import Probe
from .report import Checked, Entry

BOTH = ("complex step", "central differences")


class Options(NamedTuple):
    """How closely is looked, and at how much of a Jacobian."""

    rtol: float = 1e-6
    atol: float = 1e-8
    exact: float = 1e-12
    limit: int = 48
    directions: int = 3
    seed: int = 0


class Line(NamedTuple):
    """A direction in which a tensor is displaced, as large as the tensor's own values allow."""

    name: str
    along: Array
    scales: tuple[float, ...]  # what steps are multiples of

    def share(self, g: Array) -> float:
        """What the gradient `g` says of this direction: ∞ elsewhere is no matter."""
        moved = self.along != 0
        return float(g[moved] @ self.along[moved])


class Row(NamedTuple):
    """An output, or a combination of all of them."""

    name: str
    output: int  # which tensor it belongs to
    size: float  # the largest number of that tensor


class Block(NamedTuple):
    """The share of one tensor in the Jacobian, seen in some rows and columns, by each method."""

    argument: str
    lines: list[Line]
    backward: Array  # (rows, columns)
    central: list[Slopes]  # one for each column
    complex_step: Array | None
    unrest: Array  # how far rounding alone moves the complex step, as far as that is known


def examine(probe: Probe, options: Options) -> Checked:
    """Compare backward with the oracles, for every leaf of the probe."""
    with np.errstate(all="ignore"):
        return _examine(probe, options)


def _examine(probe: Probe, options: Options) -> Checked:
    rng = np.random.Generator(np.random.PCG64(options.seed))
    rows, seeds = _rows(probe, options, rng)
    pulled = [probe.pull(seed) for seed in seeds]
    project = None if len(probe.value) <= options.limit else np.stack(seeds)
    lines = {name: list(_lines(name, probe.values[name], options, rng)) for name in probe.leaves}
    slopes = {name: _central(probe, leaf, lines[name], project) for name, leaf in probe.leaves.items()}
    try:
        exact, why = _complex_step(probe, lines, project), ""
    except Exception as error:  # whatever an operation raises that cannot take complex numbers
        exact, why = None, f"{type(error).__name__}: {error}"
    blocks = []
    for name in probe.leaves:
        backward = np.array([[line.share(g[name]) for line in lines[name]] for g in pulled])
        blocks.append(
            Block(
                name,
                lines[name],
                backward,
                slopes[name],
                None if exact is None else exact[name],
                np.zeros(backward.shape),
            )
        )
    if exact is not None and not all(_agree(exact[name], slopes[name]) for name in probe.leaves):
        blocks = [b._replace(complex_step=None) for b in blocks]
        why = "it contradicts the differences: an operation is not analytic"
    result = _compare(blocks, rows, options, why)
    if result.wrong and exact is not None and not why:  # by more than what rounding does to this function?
        unrest = _unrest(probe, lines, project, exact)
        result = _compare([b._replace(unrest=unrest[b.argument]) for b in blocks], rows, options, why)
    return result


# --- where to look


def _rows(probe: Probe, options: Options, rng: np.random.Generator) -> tuple[list[Row], list[Array]]:
    m = len(probe.value)
    if m > options.limit:
        combination = Row("a random combination of the outputs", 0, float(np.abs(probe.value).max(initial=0)))
        return [combination] * options.directions, list(rng.standard_normal((options.directions, m)))
    sizes = [float(np.abs(y.array).max(initial=0)) for y in probe.outputs]
    owners = [k for k, y in enumerate(probe.outputs) for _ in range(y.numel())]
    return [Row(probe.place(i), k, sizes[k]) for i, k in enumerate(owners)], list(np.eye(m))


def _lines(name: str, value: Array, options: Options, rng: np.random.Generator) -> Iterator[Line]:
    sizes = np.maximum(np.abs(value), 1)
    if value.size <= options.limit:
        for i in np.ndindex(value.shape):
            along = np.zeros(value.shape)
            along[i] = 1
            where = f"{name}[{', '.join(map(str, i))}]" if i else name
            yield Line(where, along, _scales(value, along, float(sizes[i])))
        return
    for _ in range(options.directions if value.size else 0):
        along = sizes * rng.standard_normal(value.shape)
        length = float(np.linalg.norm(along))
        along, scale = along / length, length / float(np.sqrt(value.size))
        yield Line(f"{name} along a random direction", along, _scales(value, along, scale))


def _scales(value: Array, along: Array, usual: float) -> tuple[float, ...]:
    """The usual scale, and how far one can go until some value has changed by its own size, if less."""
    moved = (along != 0) & (value != 0)
    nearest = float(np.abs(value[moved] / along[moved]).min(initial=np.inf))
    return (usual, nearest) if nearest < usual else (usual,)


# --- the oracles


def _along(probe: Probe, leaf: Tensor, line: Line, project: Array | None) -> Callable[[Any], Array]:
    """The outputs (or their projections) as a function of how far `leaf` is displaced along `line`."""
    value = leaf.array

    def f(step: Any) -> Array:
        y = probe.at(leaf, value + step * line.along)
        return y if project is None else project @ y

    return f


def _central(probe: Probe, leaf: Tensor, lines: Sequence[Line], project: Array | None) -> list[Slopes]:
    with np.errstate(all="ignore"):
        here = probe.value if project is None else project @ probe.value
        return [central(_along(probe, leaf, line, project), here, *line.scales) for line in lines]


def _complex_step(probe: Probe, lines: dict[str, list[Line]], project: Array | None) -> dict[str, Array]:
    """(rows, columns) for each leaf that `lines` names."""
    found = {}
    rows = len(probe.value if project is None else project)
    with probe.complex(), np.errstate(all="ignore"):
        for name, own in lines.items():
            columns = [complex_step(_along(probe, probe.leaves[name], line, project)) for line in own]
            found[name] = np.stack(columns, 1) if columns else np.zeros((rows, 0))
    return found


def _unrest(
    probe: Probe, lines: dict[str, list[Line]], project: Array | None, exact: dict[str, Array]
) -> dict[str, Array]:
    """How far the complex step moves between inputs that differ in their last bits."""
    found = {name: np.zeros(x.shape) for name, x in exact.items()}
    for seed in range(4):
        with probe.nudged(seed):
            for name, x in _complex_step(probe, lines, project).items():
                found[name] = np.maximum(found[name], np.abs(x - exact[name]))
    return found


def _agree(exact: Array, columns: Sequence[Slopes]) -> bool:
    """True if the complex step does not contradict central differences, where these can be trusted."""
    for column, slopes in zip(exact.T, columns):
        allowed = slopes.error + 1e-4 * np.abs(slopes.value) + 1e-6
        with np.errstate(all="ignore"):
            if not (np.abs(column - slopes.value) <= allowed)[slopes.settled].all():
                return False
    return True


def jacobians(probe: Probe) -> dict[str, Array]:
    """∂outputs/∂leaf (outputs, numbers of the leaf) for every leaf, from values alone: by complex step,
    or by differences.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    whole = Options(limit=max((v.size for v in probe.values.values()), default=0))
    lines = {name: list(_lines(name, value, whole, rng)) for name, value in probe.values.items()}
    witnesses = {name: (along, slopes) for name, along, slopes in slopes_along(probe, 1, 0)}
    try:
        found = _complex_step(probe, lines, None)
    except Exception:  # whatever an operation raises that cannot take complex numbers
        found = {}
    for name, (along, slopes) in witnesses.items():
        if name not in found or not np.allclose(found[name] @ along.ravel(), slopes, 1e-4, 1e-6):
            columns = _central(probe, probe.leaves[name], lines[name], None)
            found[name] = np.stack([c.value for c in columns], 1)
    return found


def slopes_along(probe: Probe, directions: int, seed: int) -> Iterator[tuple[str, Array, Array]]:
    """(name of a leaf, a random direction, the slopes of all outputs along it), from values alone, as
    `jacobians`.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    for name, leaf in probe.leaves.items():
        for line in _lines(name, probe.values[name], Options(limit=-1, directions=directions), rng):
            witness = _central(probe, leaf, [line], None)
            try:
                exact = _complex_step(probe, {name: [line]}, None)[name]
            except Exception:  # whatever an operation raises that cannot take complex numbers
                exact = None
            trusted = exact[:, 0] if exact is not None and _agree(exact, witness) else witness[0].value
            yield name, line.along, trusted


# --- the verdict


def _compare(blocks: list[Block], rows: list[Row], options: Options, why: str) -> Checked:
    wrong: list[Entry] = []
    kinks: list[str] = []
    hidden: list[str] = []
    entries, largest = 0, 0.0
    for block in blocks:
        told, before = False, len(kinks)
        for k, i in np.ndindex(len(block.lines), len(rows)):
            line, slopes, row = block.lines[k], block.central[k], rows[i]
            if not slopes.settled[i]:
                kinks.append(f"{row.name} by {line.name}: {describe(slopes, i)}")
                continue
            exact = None if block.complex_step is None else float(block.complex_step[i, k])
            entry = Entry(row.name, line.name, float(block.backward[i, k]), exact, float(slopes.value[i]))
            unit = _unit(block, rows, i)
            close = options.exact * unit + 8 * float(block.unrest[i, k])
            if not _fine(entry, float(slopes.error[i]), close, row.size, options):
                wrong.append(entry)
            told |= bool(entry.backward or entry.true)
            entries += 1
            if exact is not None:
                largest = max(largest, abs(entry.backward - exact) / unit)
        if len(kinks) > before and not told:
            hidden.append(block.argument)
    oracles = BOTH[1:] if why else BOTH
    return Checked(entries, oracles, why, tuple(kinks), tuple(hidden), tuple(wrong), largest)


def _unit(block: Block, rows: list[Row], i: int) -> float:
    """What `exact` is a fraction of: the largest derivative of the output that row i belongs to, and a
    hundredth of that output (or of 1), which is what rounding may leave of derivatives that cancel.
    """
    unit = 0.01 * max(rows[i].size, 1.0)
    if block.complex_step is not None:
        same = [row.output == rows[i].output for row in rows]
        unit += float(np.abs(block.complex_step[same]).max(initial=0))
    return unit


def _fine(entry: Entry, error: float, close: float, size: float, options: Options) -> bool:
    """True if backward is what the oracles say: the complex step within `close`. NaN and ∞ never are."""
    apart = abs(entry.backward - entry.central)
    allowed = error + options.atol * size + options.rtol * abs(entry.central)
    if entry.complex_step is None or not apart <= allowed:
        return apart <= allowed
    return abs(entry.backward - entry.complex_step) <= close
