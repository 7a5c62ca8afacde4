"""The one time loop: `unroll` runs any cell over packed rows (see utils/rnn.py), forwards or backwards.

T steps, B sequences; N rows in all, sizes[t] of them at step t. A state is a tensor (B, ...), or a (named)
tuple of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops import cat
from .cells import Cell, Step, each
from .functional import dropout

State = Any


def rows(state: State, start: int, end: int) -> State:
    """Rows start … end - 1 of a state."""
    return each(lambda s: s[start:end], state)


def joined(states: list[State]) -> State:
    """States below one another."""
    return states[0] if len(states) == 1 else each(lambda *s: cat(s), *states)


def tensors_in(state: State) -> list[Tensor]:
    """The tensors of a state."""
    return [t for part in state for t in tensors_in(part)] if isinstance(state, tuple) else [state]


def size_of(state: State) -> int:
    """The number of rows."""
    return len(tensors_in(state)[0])


def unroll(
    cell: Cell, data: Tensor, sizes: Sequence[int], state: State = None, reverse: bool = False
) -> tuple[Any, State]:
    """Run `cell` over packed rows: outputs (N, ...) in the same order, and every sequence's last state.

    data (N, ...): the rows of step 0, then of step 1, …; sizes[t]: how many step t has, never more than
    step t - 1. `state` has a row for each sequence, in the order of the rows; sequences without a row
    keep theirs. With `reverse`, each sequence is read from its own last step to its first.
    """
    whole = cell.initial_state(sizes[0] if len(sizes) else 0, data) if state is None else state
    a = cell.project(data)
    if not len(sizes):
        return advance(cell, a, rows(whole, 0, 0))[0], whole
    n = sizes[-1] if reverse else size_of(whole)
    live, finished = (rows(whole, 0, n), [rows(whole, sizes[0], size_of(whole))]) if reverse else (whole, [])
    ends = np.cumsum(sizes).tolist()
    ys: list[Any] = [None] * len(sizes)
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        if sizes[t] < n:
            finished.append(rows(live, sizes[t], n))
            live = rows(live, 0, sizes[t])
        elif sizes[t] > n:
            live = joined([live, rows(whole, n, sizes[t])])
        n = sizes[t]
        ys[t], live = advance(cell, rows(a, ends[t] - n, ends[t]), live)
    return each(lambda *y: cat(y), *ys), joined([live, *(s for s in reversed(finished) if size_of(s))])


def advance(cell: Cell, a: Any, state: State) -> tuple[Any, State]:
    """One step: output and next state. Unless the cell says otherwise, the (first) state is the output."""
    result = cell.step(a, state)
    if isinstance(result, Step):
        return result
    return (result[0] if isinstance(result, tuple) else result), result


def unroll_stack(
    layers: Sequence[Sequence[Cell]],
    data: Tensor,
    sizes: Sequence[int],
    states: Sequence[State],
    drop: float,
    unroll: Any = unroll,
) -> tuple[Tensor, list[State]]:
    """Layers on top of each other, each of one cell or of two (forwards, backwards) side by side."""
    last: list[State] = []
    for k, cells in enumerate(layers):
        data = dropout(data, drop) if k and drop else data
        ys = []
        for reverse, cell in enumerate(cells):
            y, state = unroll(cell, data, sizes, states[len(last)], bool(reverse))
            ys.append(y)
            last.append(state)
        data = ys[0] if len(ys) == 1 else cat(ys, -1)
    return data, last
