"""What `check_cell` is given, brought into one form: a Cell in float64; and errors for what is no cell."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...dtypes import float64
from ...engine.tensor import Tensor
from ...nn.cells import Cell, Step, each
from ...nn.loop import advance
from ...nn.module import Module
from ...nn.parameter import Parameter
from ...nn.recurrent import Recurrent
from ...ops import zeros, zeros_like
from ..probe import name_of
from . import states
from .law import LawBroken, statement, world_kept


def prepared(who: str, cell: Any, input_size: int | None, hidden_size: int) -> tuple[Cell, int]:
    """A copy of the cell in float64 and evaluation mode with its input's size, whatever was given; errors in
    `who` for what is no cell.
    """
    own = cell
    if callable(cell) and not isinstance(cell, Module):
        own = cell(input_size or 3, hidden_size)
        input_size = input_size or 3
    if isinstance(own, Recurrent):
        raise TypeError(f"{who}: {name_of(own)} is a layer and runs over time by itself; pass its cell")
    if not isinstance(own, Module):
        raise TypeError(f"{who}: expected a cell, a module or what makes one, got {name_of(cell)}")
    size = input_size or getattr(own, "input_size", None)
    if not size:
        raise ValueError(f"{who}: {name_of(cell)} does not tell its input_size; pass input_size=")
    own = copy.deepcopy(own).double().eval()
    own = own if isinstance(own, Cell) else Called(own, size).eval()
    _check_start(who, name_of(cell), own, size)
    return own, size


def _check_start(who: str, name: str, cell: Cell, size: int) -> None:
    """Errors for a cell that has no initial state, or one that no loop can carry."""
    law = states.a_missing_state_is_the_initial_one
    try:
        state = cell.initial_state(1, zeros(1, size, dtype=float64))
    except Exception as error:
        raise LawBroken(
            f"{name} breaks the law {law.__name__}: {statement(law)}\n"
            f"    without a state, on an input of shape (1, {size}): {type(error).__name__}: {error}",
            [law.__name__],
        ) from error
    for part in _parts(state):
        if not isinstance(part, Tensor):
            raise TypeError(
                f"{who}: the state of {name} holds a {name_of(type(part))}; "
                "a state is a tensor or a (named) tuple of states"
            )
    _check_form(who, name, copy.deepcopy(cell), zeros(1, size, dtype=float64), state)


def _check_form(who: str, name: str, cell: Cell, x: Tensor, state: Any) -> None:
    """Errors for a step that returns no state as it needs it, but a pair of output and state."""
    advice = "a tuple is a state, as (h, c): return nn.Step(y, state) if the output is not the state"
    try:
        with world_kept(), np.errstate(all="ignore"):
            following = advance(cell, cell.project(x), state)[1]
    except Exception as error:
        of_form = isinstance(error, (TypeError, ValueError, AttributeError))
        if of_form and isinstance(cell, Called) and isinstance(state, tuple):
            raise TypeError(
                f"{who}: {name} fails on the state {_form(state)} that it returns itself "
                f"({type(error).__name__}: {error}); {advice}"
            ) from error
        return  # the laws tell what else is wrong
    if _form(following) != _form(state):
        raise TypeError(
            f"{who}: {name} was given the state {_form(state)} and returned {_form(following)}; {advice}"
        )


def _form(state: Any) -> str:
    """A state's form, as (tensor, (tensor, tensor))."""
    if isinstance(state, tuple):
        return f"({', '.join(map(_form, state))})"
    return "tensor" if isinstance(state, Tensor) else name_of(type(state))


def _parts(state: Any) -> list[Any]:
    """What nested tuples hold."""
    return [p for part in state for p in _parts(part)] if isinstance(state, tuple) else [state]


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
        state = result.state if isinstance(result, Step) else result
        return each(lambda s: zeros_like(s.detach())[:batch_size] if isinstance(s, Tensor) else s, state)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """The module's own forward, which decides what a missing state is."""
        return self.module(x) if state is None else self.module(x, state)

    def named_parameters(self, *args: Any, **options: Any) -> Iterator[tuple[str, Parameter]]:
        """The module's, under the names that they have there."""
        return self.module.named_parameters(*args, **options)
