"""Cells composed of random operations: what holds for them all holds because of the loop and the engine.

A program is a list of instructions on registers, each (B, n). The first registers are the projected
inputs, then the states; each instruction adds one. What no instruction has used goes into the core, from
which the next states and the output come: so every weight matters.

    ("linear", n, r)   W r + b, n wide          ("mean", r, q)   (r + q) / 2, of equal width
    ("tanh", r)  ("sin", r)  ("sigmoid", r)     ("gate", r, q)   tanh(r) ∘ q, of equal width
    ("softmax", r)   of at least 2              ("turn", r)      r, its columns in reverse order
    ("leaky", r)     x, or x/10 if negative     ("join", r, q)   both side by side
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..nn.cells import Cell, Step
from ..nn.functional import leaky_relu, linear, softmax
from ..nn.parameter import Parameter
from ..ops import cat, flip, sigmoid, sin, tanh, zeros

Instruction = tuple[Any, ...]

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": tanh,
    "sin": sin,
    "sigmoid": sigmoid,
    "softmax": lambda r: softmax(r, -1),
    "leaky": lambda r: leaky_relu(r, 0.1),
    "turn": lambda r: flip(r, -1),
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": lambda r, q: (r + q) / 2,
    "gate": lambda r, q: tanh(r) * q,
    "join": lambda r, q: cat([r, q], -1),
}
UPDATES = ("plain", "leaky", "gated")


def widths(inputs: Sequence[int], program: Sequence[Instruction]) -> list[int]:
    """The width of every register; an error for an instruction that does not fit."""
    found = list(inputs)
    for instruction in program:
        name, *args = instruction
        registers = args[1:] if name == "linear" else args
        if name not in {"linear", *UNARY, *BINARY} or not all(0 <= r < len(found) for r in registers):
            raise ValueError(
                f"RandomCell: {instruction} is no instruction on the registers 0 … {len(found) - 1}"
            )
        sizes = [found[r] for r in registers]
        if (name in ("mean", "gate") and sizes[0] != sizes[1]) or (name == "softmax" and sizes[0] < 2):
            raise ValueError(f"RandomCell: {instruction} on registers of widths {sizes}")
        found.append(args[0] if name == "linear" else sum(sizes) if name == "join" else sizes[0])
    return found


class RandomCell(Cell):
    """A cell with a program; its repr is the code that makes it again, weights included.

    `projected`: the widths of the projected inputs, () for the inputs themselves. `states`: widths of
    the states, of which a third and further ones are nested in a tuple. `update`: how a state becomes
    the next, s' = n ("plain"), s + (n - s)/2 ("leaky") or z s + (1 - z) n ("gated"), n = tanh(W core + b).
    `output`: the width of the output W core + b; None: it is the first state.
    """

    def __init__(
        self,
        input_size: int,
        states: Sequence[int],
        program: Sequence[Instruction] = (),
        projected: Sequence[int] = (),
        update: str = "plain",
        output: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if update not in UPDATES:
            raise ValueError(f"RandomCell: update is one of {UPDATES}, not {update!r}")
        self.input_size, self.states, self.program = input_size, tuple(states), tuple(map(tuple, program))
        self.projected, self.update, self.output, self.seed = tuple(projected), update, output, seed
        self.hidden_size = self.states[0]
        rng = np.random.Generator(np.random.PCG64(seed))
        for k, n in enumerate(self.projected):
            self._affine(f"in{k}", n, input_size, rng)
        inputs = [*(self.projected or (input_size,)), *self.states]
        size = widths(inputs, self.program)
        for k, (name, *args) in enumerate(self.program):
            if name == "linear":
                self._affine(f"op{k}", args[0], size[args[1]], rng)
        used = {r for name, *args in self.program for r in (args[1:] if name == "linear" else args)}
        self.core = [r for r in range(len(size)) if r not in used]
        for k, n in enumerate(self.states):
            for gate in ("n", "z") if update == "gated" else ("n",):
                self._affine(f"{gate}{k}", n, sum(size[r] for r in self.core), rng)
        if output is not None:
            self._affine("y", output, sum(size[r] for r in self.core), rng)

    def _affine(self, name: str, n: int, m: int, rng: np.random.Generator) -> None:
        """Parameters W_name (n, m) and b_name (n)."""
        self.register_parameter(f"W_{name}", Parameter(rng.standard_normal((n, m)) / math.sqrt(m)))
        self.register_parameter(f"b_{name}", Parameter(rng.standard_normal(n) / 2))

    def affine(self, name: str, x: Tensor) -> Tensor:
        """W_name x + b_name."""
        return linear(x, getattr(self, f"W_{name}"), getattr(self, f"b_{name}"))

    def project(self, xs: Tensor) -> Any:
        """The projected inputs, or the inputs themselves."""
        parts = tuple(self.affine(f"in{k}", xs) for k in range(len(self.projected)))
        return parts if len(parts) > 1 else parts[0] if parts else xs

    def step(self, a: Any, state: Any) -> Any:
        """The program, then the update of every state."""
        old = _flat(state)
        registers = [*_flat(a), *old]
        for k, (name, *args) in enumerate(self.program):
            if name == "linear":
                registers.append(self.affine(f"op{k}", registers[args[1]]))
            else:
                operation: Any = UNARY.get(name) or BINARY[name]
                registers.append(operation(*(registers[r] for r in args)))
        core = cat([registers[r] for r in self.core], -1)
        new = self._nested([self._updated(k, s, core) for k, s in enumerate(old)])
        return new if self.output is None else Step(self.affine("y", core), new)

    def _updated(self, k: int, s: Tensor, core: Tensor) -> Tensor:
        n = tanh(self.affine(f"n{k}", core))
        if self.update == "plain":
            return n
        z = 0.5 if self.update == "leaky" else sigmoid(self.affine(f"z{k}", core))
        return z * s + (1 - z) * n

    def _nested(self, states: list[Tensor]) -> Any:
        return (
            states[0]
            if len(states) == 1
            else tuple(states)
            if len(states) == 2
            else (*states[:2], tuple(states[2:]))
        )

    def initial_state(self, batch_size: int, like: Tensor) -> Any:
        """Zeros."""
        return self._nested([zeros(batch_size, n, dtype=like.dtype) for n in self.states])

    def __repr__(self) -> str:
        return (
            f"RandomCell(input_size={self.input_size}, states={self.states}, program={self.program}, "
            f"projected={self.projected}, update={self.update!r}, output={self.output}, seed={self.seed})"
        )


def _flat(state: Any) -> list[Tensor]:
    return [t for part in state for t in _flat(part)] if isinstance(state, tuple) else [state]
