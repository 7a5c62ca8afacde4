"""Functions composed of random operations on tensors of any shapes.

A program is a list of instructions on registers, the first of which are the inputs; what no
instruction has used is the result. Values stay moderate and no operation has a kink.

    ("tanh", r) and others of UNARY      ("add", r, q) and others of BINARY, which broadcast
    ("matmul", r, q)                     ("sum", r, axis)            ("reshape", r, shape)
    ("transpose", r)                     ("index", r, index)         ("expand", r, shape)
    ("cat", r, q, axis)                  ("assign", r, index, q)     r with r[index] = Σ q
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..engine.tensor import Tensor
from ..ops import cat, exp, logaddexp, matmul, sigmoid, sin, tanh
from .report import code

Instruction = tuple[Any, ...]

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": tanh,
    "sin": sin,
    "sigmoid": sigmoid,
    "bell": lambda r: exp(-(r * r)),
    "square": lambda r: tanh(r) * r,
    "clone": lambda r: r.clone(),
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda r, q: r + q,
    "sub": lambda r, q: r - q,
    "mul": lambda r, q: r * tanh(q),
    "div": lambda r, q: r / (q * q + 1),
    "logaddexp": logaddexp,
}


def _assigned(r: Tensor, index: Any, q: Tensor) -> Tensor:
    y = r.clone()
    y[index] = q.sum()
    return y


OTHERS: dict[str, Callable[..., Tensor]] = {
    "matmul": matmul,
    "sum": lambda r, axis: r.sum(axis),
    "reshape": lambda r, shape: r.reshape(shape),
    "transpose": lambda r: r.T,
    "index": lambda r, index: r[index],
    "expand": lambda r, shape: r.expand(shape),
    "cat": lambda r, q, axis: cat([r, q], axis),
    "assign": _assigned,
}
REGISTERS = {
    "matmul": (0, 1),
    "cat": (0, 1),
    "assign": (0, 2),
    **dict.fromkeys(BINARY, (0, 1)),
}  # others: (0,)


def registers_of(instruction: Instruction) -> tuple[int, ...]:
    """The registers that an instruction reads."""
    name, *args = instruction
    return tuple(args[i] for i in REGISTERS.get(name, (0,)))


def execute(instruction: Instruction, registers: Sequence[Tensor]) -> Tensor:
    """The register that an instruction adds."""
    name, *args = instruction
    for i in REGISTERS.get(name, (0,)):
        args[i] = registers[args[i]]
    operation: Any = UNARY.get(name) or BINARY.get(name) or OTHERS[name]
    result: Tensor = operation(*args)
    return result


class RandomGraph:
    """A function with a program: called with `inputs` tensors, it returns a tuple. Its repr is code."""

    def __init__(self, inputs: int, program: Sequence[Instruction]) -> None:
        self.inputs, self.program = inputs, tuple(map(tuple, program))
        used = {r for instruction in self.program for r in registers_of(instruction)}
        self.results = [r for r in range(inputs + len(self.program)) if r not in used]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        registers = list(inputs)
        for instruction in self.program:
            registers.append(execute(instruction, registers))
        return tuple(registers[r] for r in self.results)

    def __repr__(self) -> str:
        return f"RandomGraph({self.inputs}, {code(self.program)})"
