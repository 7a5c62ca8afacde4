"""Random functions of tensors, with inputs for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...engine.tensor import Tensor
from ..random_graph import BINARY, OTHERS, UNARY, Instruction, RandomGraph, execute
from .arrays import shapes, tensors
from .indices import axes, indices

LARGEST = 64  # numbers in a register


@st.composite
def graphs(draw: st.DrawFn, max_size: int = 6, max_inputs: int = 3) -> tuple[RandomGraph, list[Tensor]]:
    """A RandomGraph, and leaves that require gradients for it: views, indices, broadcasting,
    assignments, reuse.
    """
    count = draw(st.integers(1, max_inputs))
    leaves = [draw(tensors(shapes(max_dims=2, max_side=3), requires_grad=True)) for _ in range(count)]
    registers, program = [t.detach() for t in leaves], []
    for _ in range(draw(st.integers(1, max_size))):
        instruction = draw(_instruction(registers))
        program.append(instruction)
        registers.append(execute(instruction, registers))
    return RandomGraph(count, program), leaves


@st.composite
def _instruction(draw: st.DrawFn, registers: list[Tensor]) -> Instruction:
    """One that fits; where two registers do not go together, an operation on one of them."""
    name = draw(st.sampled_from([*UNARY, *BINARY, *OTHERS]))
    r = draw(st.integers(0, len(registers) - 1))
    q = draw(st.integers(0, len(registers) - 1))
    x, y = registers[r], registers[q]
    if name == "sum":
        return name, r, draw(axes(x.ndim))
    if name == "reshape":
        return name, r, draw(st.sampled_from([(x.numel(),), (1, *x.shape), x.shape[::-1]]))
    if name == "transpose":
        return name, r
    if name == "index":
        return _at_most(name, r, x, draw(indices(x.shape)))
    if name == "assign":
        return name, r, draw(indices(x.shape)), q
    if name == "expand" and x.numel() * 2 <= LARGEST:
        return name, r, (2, *x.shape)
    if name in ("matmul", "cat", *BINARY):
        return _of_two(name, r, q, x, y)
    return (name if name in UNARY else "tanh"), r


def _at_most(name: str, r: int, x: Tensor, index: Any) -> Instruction:
    """An index, unless it repeats too much."""
    return (name, r, index) if np.zeros(x.shape)[index].size <= LARGEST else ("tanh", r)


def _of_two(name: str, r: int, q: int, x: Tensor, y: Tensor) -> Instruction:
    if name == "matmul":
        return (
            (name, r, q)
            if x.ndim and y.ndim and x.shape[-1] == y.shape[-2 if y.ndim > 1 else 0] and x.ndim + y.ndim < 5
            else ("sin", r)
        )
    if name == "cat":
        return (name, r, q, 0) if x.ndim and x.shape[1:] == y.shape[1:] and y.ndim == x.ndim else ("tanh", r)
    try:
        size = int(np.prod(np.broadcast_shapes(x.shape, y.shape)))
    except ValueError:
        size = LARGEST + 1
    return (name, r, q) if size <= LARGEST else ("bell", r)
