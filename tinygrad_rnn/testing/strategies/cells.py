"""Random cells, and cases to try laws on."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..laws.case import Case
from ..laws.case import draw as drawn_case
from ..laws.subject import prepared
from ..random_cell import BINARY, UNARY, UPDATES, Instruction, RandomCell, widths


@st.composite
def programs(draw: st.DrawFn, inputs: tuple[int, ...], max_size: int = 5) -> tuple[Instruction, ...]:
    """Instructions for a RandomCell whose first registers have the widths `inputs`."""
    program: list[Instruction] = []
    for _ in range(draw(st.integers(0, max_size))):
        sizes = widths(inputs, program)
        r = draw(st.integers(0, len(sizes) - 1))
        alike = [q for q, n in enumerate(sizes) if n == sizes[r]]
        names = (
            ["linear", *UNARY, *BINARY] if sizes[r] > 1 else ["linear", *(set(UNARY) - {"softmax"}), *BINARY]
        )
        name = draw(st.sampled_from(sorted(names)))
        if name == "linear":
            program.append((name, draw(st.integers(1, 3)), r))
        elif name in UNARY:
            program.append((name, r))
        else:
            program.append((name, r, draw(st.sampled_from(alike if name != "join" else range(len(sizes))))))
    return tuple(program)


@st.composite
def cells(draw: st.DrawFn, max_size: int = 5) -> RandomCell:
    """Cells composed of random operations: one to three states, projections, outputs that are not states."""
    input_size = draw(st.integers(1, 3))
    states = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    projected = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    program = draw(programs((*(projected or (input_size,)), *states), max_size))
    update, output = draw(st.sampled_from(UPDATES)), draw(st.none() | st.integers(1, 3))
    return RandomCell(input_size, states, program, projected, update, output, draw(st.integers(0, 99)))


@st.composite
def cases(
    draw: st.DrawFn,
    /,
    cell: Any,
    max_T: int = 4,
    max_B: int = 3,
    *,
    input_size: int | None = None,
    hidden_size: int = 4,
    **options: Any,
) -> Case:
    """A case for the laws: the cell (or one drawn), inputs, initial states and lengths, 0 included.

    `cell` is what check_cell takes, or a strategy of such; it is copied, in float64 and evaluation mode, and
    its parameters stay as they are.
    """
    given = draw(cell) if isinstance(cell, st.SearchStrategy) else cell
    own, size = prepared("strategies.cases", given, input_size, hidden_size)
    T = draw(st.integers(0, max_T))
    lengths = draw(st.lists(st.integers(0, T), min_size=1, max_size=max_B))
    return drawn_case(own, size, draw(st.integers(0, 999)), T, lengths, **options)
