"""Laws of cells in layers: missing states, stacks, both directions, masks, biases."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.tensor import Array, Tensor
from ...nn.cells import Cell, Step, each
from ...nn.containers import ModuleList
from ...nn.parameter import Parameter
from ...ops import cat
from ..probe import tensors_in
from .case import Case, Run, parameters_in
from .law import Differs, same, same_all


def a_missing_state_is_the_initial_one(case: Case) -> None:
    """state=None equals the cell's initial state, which is zeros unless it is learned: one step and
    many, values and gradients, all of them finite.
    """
    given = _initial(case)
    if not any(s.requires_grad for s in tensors_in(given)):
        for k, s in enumerate(tensors_in(given)):
            same(f"initial state {k}", s.array, np.zeros_like(s.array), exact=True)
    _same_without("the run", case, case.run(lengths=case.lengths))
    if len(case.xs):
        _same_without("one step", case, lambda xs, s: _one_step(case.cell, xs[0], s))


def _initial(case: Case) -> Any:
    """What the cell says its initial state is."""
    _, B, D = case.xs.shape
    return case.cell.initial_state(B, Tensor(case.xs.reshape(-1, D)))


def _same_without(what: str, case: Case, run: Run) -> None:
    """Running without a state equals running from the initial one."""
    missing = case.see(lambda xs, _: run(xs, None), case.xs, case.state)
    explicit = case.see(lambda xs, _: run(xs, _initial(case)), case.xs, case.state, missing.u, missing.v)
    same(f"outputs of {what} without a state", missing.ys, explicit.ys)
    for k, (got, want) in enumerate(zip(missing.last, explicit.last)):
        same(f"last state {k} of {what} without a state", got, want)
    same_all(f"for {what} without a state, the gradient of", missing.grads, explicit.grads)
    found = {"outputs": missing.ys} | {f"the gradient of {name}": g for name, g in missing.grads.items()}
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise Differs(f"for {what} without a state, {name}: {np.sum(~np.isfinite(array))} not finite")


def _one_step(cell: Cell, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Output and state of the cell called by itself."""
    result = cell(x, state)
    if isinstance(result, Step):
        return result
    return (result[0] if isinstance(result, tuple) else result), result


def every_parameter_matters(case: Case) -> str | None:
    """Every parameter gets a gradient that is not zero everywhere, and so does a given initial state."""
    if len(case.xs) < 2:
        return "too few steps in this case"
    run = case.run()
    seen = case.see(lambda xs, _: run(xs, None), case.xs, case.state)
    least = _rounding(seen.grads)
    for name, g in parameters_in(seen.grads).items():
        _not_zero(f"the gradient of {name} is zero everywhere", [g], least)
    grads = case.see(run, case.xs, case.state).grads
    given = [g for name, g in grads.items() if name.startswith("state[")]
    what = "the gradient of the initial state is zero everywhere: nothing depends on it"
    _not_zero(what, given, _rounding(grads))
    return None


def _rounding(grads: dict[str, Array]) -> float:
    """What rounding may leave of a gradient that is zero, beside these."""
    return 64 * float(np.finfo(float).eps) * max(float(np.abs(g).max(initial=0)) for g in grads.values())


def _not_zero(what: str, grads: Sequence[Array], least: float) -> None:
    """Raise Differs if there are gradients, and none is more than rounding. What is not a number is more."""
    if grads and all((np.abs(g) <= least).all() for g in grads):
        largest = max(float(np.abs(g).max(initial=0)) for g in grads)
        raise Differs(f"{what} (but for rounding, {largest:.1g})" if largest else what)


def two_biases_are_one(case: Case) -> str | None:
    """bias_ih and bias_hh equal one bias with their sum (in the rows `summed_biases`, by default all)."""
    own = dict(case.cell.named_parameters())
    pairs = [(name, name.replace("bias_ih", "bias_hh")) for name in own if "bias_ih" in name]
    pairs = [(i, h) for i, h in pairs if h in own]
    if not pairs:
        return "the cell has no bias_ih and bias_hh"
    one = copy.deepcopy(case.cell)
    merged = dict(one.named_parameters())
    for i, h in pairs:
        rows = slice(None) if case.summed_biases is None else case.summed_biases
        merged[i].array[rows] += merged[h].array[rows]
        merged[h].array[rows] = 0
    two = case.see(case.run(), case.xs, case.state)
    sum_ = case.see(case.run(one), case.xs, case.state, two.u, two.v, module=one)
    same("outputs with one bias", sum_.ys, two.ys)
    same_all("with one bias, the gradient of", sum_.grads, two.grads)
    return None


# --- stacks


class Fitted(Cell):
    """A cell for inputs of another size, through a fixed matrix: so that any cells can be stacked."""

    def __init__(self, cell: Cell, matrix: Array) -> None:
        super().__init__()
        self.cell = cell
        self.matrix = Parameter(matrix)

    def project(self, xs: Tensor) -> Any:
        """The cell's projection of xs M."""
        return self.cell.project(xs @ self.matrix)

    def step(self, a: Any, state: Any) -> Any:
        """The cell's step."""
        return self.cell.step(a, state)

    def initial_state(self, batch_size: int, like: Tensor) -> Any:
        """The cell's initial state."""
        return self.cell.initial_state(batch_size, like)


def stack_of(case: Case) -> tuple[list[list[Cell]], ModuleList, list[Any]]:
    """Two layers in both directions, of the cell and its siblings; a module of all; their initial states."""
    rng, D = case.rng(), case.xs.shape[-1]
    width = case.see(case.run(), case.xs[:0], case.state).ys.shape[-1]
    upper = [Fitted(case.sibling(k), rng.standard_normal((2 * width, D))) for k in (2, 3)]
    cells = [case.cell, case.sibling(1), *upper]
    states = [case.state, *(case.sibling_state(k) for k in (1, 2, 3))]
    return [cells[:2], cells[2:]], ModuleList(cells), states


def layers_equal_loops(case: Case) -> None:
    """Two layers in both directions, with any mask, equal plain loops over each row that call the cell
    for every step: values and gradients.
    """
    layers, own, states = stack_of(case)
    mask = case.rng().random(case.xs.shape[:2]) < 0.6
    fast = case.see(case.run(layers, mask=Tensor(mask)), case.xs, states, module=own)
    slow = case.see(
        lambda xs, s: _loops(layers, xs, s, mask, fast.ys.shape[-1]), case.xs, states, fast.u, fast.v, own
    )
    same("outputs of the layers", fast.ys, slow.ys)
    for k, (got, want) in enumerate(zip(fast.last, slow.last)):
        same(f"last state {k} of the layers", got, want)
    same_all("in the layers, the gradient of", fast.grads, slow.grads)


def _loops(
    layers: Sequence[Sequence[Cell]], xs: Tensor, states: list[Any], mask: Array, width: int
) -> tuple[Any, Any]:
    """Outputs (T, B, width), and the last state of each cell."""
    ys, ends = Tensor(np.zeros((*mask.shape, width))), []
    for b in range(mask.shape[1]):
        counted = np.flatnonzero(mask[:, b])
        own = [each(lambda s, b=b: s[b : b + 1], state) for state in states]
        outputs, end = _row(layers, [xs[int(t), b : b + 1] for t in counted], own)
        for t, y in zip(counted, outputs):
            ys = ys + _at(ys, int(t), b, y)
        ends.append(end)
    return ys, [each(lambda *s: cat(s), *of_cell) for of_cell in zip(*ends)]


def _row(
    layers: Sequence[Sequence[Cell]], data: list[Tensor], states: list[Any]
) -> tuple[list[Tensor], list[Any]]:
    """One sequence, a layer after another: its outputs and each cell's last state."""
    ends: list[Any] = []
    for cells in layers:
        directions = []
        for backwards, cell in enumerate(cells):
            state, ys = states[len(ends)], {}
            for t in range(len(data))[:: -1 if backwards else 1]:
                ys[t], state = _one_step(cell, data[t], state)
            directions.append(ys)
            ends.append(state)
        data = [cat([ys[t] for ys in directions], -1) for t in range(len(data))]
    return data, ends


def _at(like: Tensor, t: int, b: int, y: Tensor) -> Tensor:
    """Zeros like `like` (T, B, width), but for the row `y` (1, width) at (t, b)."""
    here = np.zeros((*like.shape[:2], 1))
    here[t, b] = 1
    return Tensor(here) * y
