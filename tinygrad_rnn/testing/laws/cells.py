"""`check_cell`: every law of recurrent cells, for any cell."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...nn.cells import Cell, GRUCell, each
from ...nn.module import Module
from ...nn.recurrent import Recurrent
from ...ops import zeros, zeros_like
from ...random import get_rng_state, set_rng_state
from ...tensor import Tensor
from ..probe import name_of
from . import batches, gradients, rtrl, states, time
from .case import Case, draw, scatter
from .law import Law, Verdict, chosen, judge

LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        gradients.backward_is_the_derivative,
        gradients.second_derivatives,
        gradients.gradients_accumulate,
        batches.rows_are_independent,
        batches.ragged_rows_equal_rows_alone,
        batches.no_steps_keep_the_state,
        batches.padding_is_never_read,
        time.a_run_can_be_split,
        time.a_detached_state_truncates,
        time.reversed_time_swaps_directions,
        states.a_missing_state_is_the_initial_one,
        states.every_parameter_matters,
        states.layers_equal_loops,
        states.two_biases_are_one,
        gradients.gradients_share_no_memory,
        gradients.a_step_is_pure,
        rtrl.real_time_recurrent_learning,
    )
}


def check_cell(
    cell: Any,
    *,
    input_size: int | None = None,
    hidden_size: int = 4,
    cases: int = 3,
    seed: int = 0,
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    over: Callable[..., Any] = Recurrent,
    keep_parameters: bool = False,
    summed_biases: slice | None = None,
) -> Verdict:
    """Try every law of recurrent cells on `cell`; LawBroken names those that it breaks, and how to see it.

    `cell` is a Cell, or a module called as PyTorch's cells are, `state = cell(x, state)`, or a class of
    such, made as `cell(input_size, hidden_size)`. An instance is copied; parameters are in float64, and
    noise is added to them (unless `keep_parameters`), so that no bias is zero. Each law is tried on
    `cases` random cases, which follow from `seed`. `laws` are the names of those to try (default: all,
    in LAWS), `skip` of those not to. `over` runs cells over time, with the interface of Recurrent: pass
    your own loop to have it examined. `summed_biases`: the rows in which bias_ih and bias_hh enter as a
    sum, if not all.

    >>> import tinygrad_rnn as tg
    >>> print(check_cell(tg.nn.RNNCell, laws=["every_parameter_matters"]))
    every_parameter_matters  held
    """
    tried = chosen("check_cell", LAWS, laws, skip)
    noise = get_rng_state()
    try:
        own, size = _prepared(cell, input_size, hidden_size, seed, keep_parameters)
        if summed_biases is None and isinstance(own, GRUCell):
            summed_biases = slice(0, 2 * own.hidden_size)  # the candidate's are apart: r ∘ (W h + b_hh)
        drawn = [_case(own, size, seed + k, over, summed_biases) for k in range(cases)]
        return judge(tried, drawn, name_of(cell), _again(cell))
    finally:
        set_rng_state(noise)


def _again(cell: Any) -> Callable[[list[str], Case], str]:
    code = name_of(cell) if isinstance(cell, type) or "\n" in repr(cell) else repr(cell)
    return lambda names, case: (
        f"check_cell({code}, laws={names!r}, cases=1, seed={case.seed})  # {case.sizes}"
    )


# --- any cell


class Called(Cell):
    """A module that is called as PyTorch's cells are, as a Cell."""

    def __init__(self, module: Module, input_size: int) -> None:
        super().__init__()
        self.module, self.input_size = module, input_size

    def step(self, a: Any, state: Any) -> Any:
        """module(x, state)"""
        return self.module(a, state)

    def initial_state(self, batch_size: int, like: Tensor) -> Any:
        """Zeros of the form of a state: what the module returns when it is given none."""
        result = self.module(zeros(max(batch_size, 1), self.input_size, dtype=like.dtype))
        state = getattr(result, "state", result)
        return each(lambda s: zeros_like(s.detach())[:batch_size], state)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """The module's own forward, which decides what a missing state is."""
        return self.module(x) if state is None else self.module(x, state)


def _prepared(cell: Any, input_size: int | None, hidden_size: int, seed: int, keep: bool) -> tuple[Cell, int]:
    if isinstance(cell, type):
        cell = cell(input_size or 3, hidden_size)
        input_size = input_size or 3
    if not isinstance(cell, Module):
        raise TypeError(f"check_cell: expected a cell, a module or a class of them, got {name_of(cell)}")
    size = input_size or getattr(cell, "input_size", None)
    if not size:
        raise ValueError(f"check_cell: {name_of(cell)} does not tell its input_size; pass input_size=")
    own = copy.deepcopy(cell).double().eval()
    if not keep:
        scatter(own, np.random.Generator(np.random.PCG64(seed)))
    return (own if isinstance(own, Cell) else Called(own, size)), size


def _case(
    cell: Cell, input_size: int, seed: int, over: Callable[..., Any], summed_biases: slice | None
) -> Case:
    """A case of few steps and rows, one of them of length 0 and one of full length."""
    rng = np.random.Generator(np.random.PCG64(seed))
    T = int(rng.integers(3, 6))
    lengths = [0, T, *rng.integers(0, T + 1, int(rng.integers(0, 3))).tolist()]
    return draw(
        cell, input_size, seed, T, rng.permutation(lengths).tolist(), over=over, summed_biases=summed_biases
    )
