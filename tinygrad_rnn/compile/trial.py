"""Trial: a new program, before its first use, against the eager cell on a small drawn case.

The verifier proves that a program computes what was traced; the trial asks whether what was traced is what
the cell does. Three steps in float64, parameters near their values, everything else drawn: outputs, last
states and every gradient must agree. The numbers come from a generator of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.gradients import grad
from ..autograd.gradmode import set_grad_enabled
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import tensors_in, unroll
from ..random import drawing_from
from .noise import Replay, draw_all, in_order
from .trace import Step, like
from .twin import members, twin_of

T = 3
TOLERANCE = 1e-8, 1e-5  # of float64; of programs that round to float32 on the way


class Disagrees(Exception):
    """A program does not do what the eager cell does."""


def trial(
    source: str,
    step: Step,
    paths: list[str],
    brought: list[Any],
    cell: Cell,
    x: Any,
    state: Any,
    case: Any,
    early: bool = False,
) -> None:
    """Raise Disagrees unless the program and the cell give the same numbers.

    step: as traced; paths: the parameters that are arguments; case: (B, dense, reverse), of which the first
    steps of few sequences are taken.
    """
    B, dense, reverse = case
    rng = np.random.Generator(np.random.PCG64(0))
    few = min(B, 2)
    sizes = [few] * T if dense else [3, 2, 1]
    rows = few if dense else 4
    data = drawn(rng, (sum(sizes), *x.shape[1:]), x)
    asks = iter(step.state_asks)
    states = each(lambda s: drawn(rng, (rows, *s.shape[1:]), s, asks=next(asks)), state)
    tensors = members(cell)
    near = {id(t): like(drawn(rng, t.shape, t, t.array), t) for t in tensors.values()}
    noise = draw_all(step.draws, sizes, reverse, rng)
    replay = drawing_from(Replay(in_order(noise, sizes, reverse)))
    with replay, set_grad_enabled(step.backward), np.errstate(all="ignore"):
        y, last = unroll(twin_of(cell, near, early), data, sizes, states, reverse)
    space, w = in_double_precision(source, sizes, rows)
    weights = [near[id(tensors[path])].array for path in paths]
    given = [data.array, *noise]
    with np.errstate(all="ignore"):
        found = space["forward"](w, *given, *(s.array for s in tensors_in(states)), *weights, *brought)
    results = [*tensors_in(y), *tensors_in(last)]
    tolerance = TOLERANCE[any(v.dtype == np.float32 for v in step.values) and step.dtype != np.float32]
    compare([f"output {k}" for k in range(len(results))], found, results, tolerance)
    if step.backward:
        leaves = {"x": data, **{f"state {k}": s for k, s in enumerate(tensors_in(states))}}
        leaves |= {path: near[id(t)] for path, t in tensors.items()}
        compare_gradients(space, w, step, given, [*weights, *brought], results, leaves, tolerance, rng)
    space.clear()  # its functions hold it


def in_double_precision(source: str, sizes: list[int], rows: int) -> tuple[dict[str, Any], Any]:
    """The functions of a program, in float64, and a workspace."""
    space: dict[str, Any] = {"__name__": "trial"}
    exec(compile(source, "<trial>", "exec"), space)
    space["DTYPE"] = np.float64
    by_number = space["workspace"].__code__.co_varnames[0] == "T"  # or by the sizes of the steps
    return space, space["workspace"](len(sizes) if by_number else sizes, rows)


def drawn(rng: Any, shape: Any, like: Tensor, near: Any = None, asks: bool | None = None) -> Tensor:
    """Draw numbers in the form of a tensor: normal, or near given ones, in float64; of no floats 0 and 1."""
    if like.dtype.kind != "f":
        return Tensor((rng.random(shape) < 0.5).astype(like.dtype) if near is None else near)
    numbers = rng.standard_normal(shape) * 0.5
    if near is not None:
        numbers = near * (1 + 0.1 * numbers) + 0.02 * numbers
    return Tensor(np.asarray(numbers, np.float64)).requires_grad_(
        like.requires_grad if asks is None else asks
    )


def compare_gradients(
    space: Any,
    w: Any,
    step: Step,
    given: Any,
    constants: Any,
    results: Any,
    leaves: Any,
    tolerance: float,
    rng: Any,
) -> None:
    """The program's backward against the engine's, from random gradients of all results."""
    seeds = [np.asarray(rng.standard_normal(t.shape), np.float64) for t in results]
    asks = [t.requires_grad for t in results]
    seeds = [s if asked else s * 0 for s, asked in zip(seeds, asks)]
    with np.errstate(all="ignore"):
        found = iter(space["backward"](w, *seeds, *given, *constants))
    names = [] if step.d_x is None else ["x"]
    names += [f"state {k}" for k, d in enumerate(step.d_nexts) if d is not None]
    names += [path for path, g in step.d_params.items() if g is not None]
    roots = [(t, Tensor(s)) for t, s, asked in zip(results, seeds, asks) if asked]
    wanted = {name: t for name, t in leaves.items() if t.requires_grad}
    with np.errstate(all="ignore"):
        outputs, gs = [t for t, _ in roots], [s for _, s in roots]
        gradients = grad(outputs, list(wanted.values()), gs, allow_unused=True)
    eager = dict(zip(wanted, gradients))
    mine = dict(zip(names, found))
    for name, g in eager.items():
        if g is not None or name in mine:
            a = mine.get(name, np.zeros(wanted[name].shape))
            b = Tensor(np.zeros(wanted[name].shape)) if g is None else g
            compare([f"the gradient of {name}"], [a], [b], tolerance)


def compare(names: list[str], found: Any, wanted: Any, tolerance: float) -> None:
    """Raise Disagrees for the first pair that differs."""
    for name, a, t in zip(names, found, wanted):
        b = t.array
        if a.shape != b.shape:
            raise Disagrees(f"{name} has shape {a.shape}, run eagerly {b.shape}")
        if a.dtype.kind != "f":
            wrong = float((a != b).sum())
        else:
            finite = np.isfinite(b)
            scale = np.abs(b[finite]).max(initial=1.0)
            with np.errstate(all="ignore"):
                wrong = np.abs(np.where(finite, a - b, ~((a == b) | (np.isnan(a) & np.isnan(b))))).max(
                    initial=0
                )
            wrong = float(wrong) / scale
        if not wrong <= tolerance:
            raise Disagrees(f"{name} differs from the eager run by {wrong:.1e} of its size")
