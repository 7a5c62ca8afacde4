"""Random numbers in a step: drawn before the loop, the same and in the same order as in the eager loop.

    F.dropout(h, 0.5)            in the step: h * (noise >= 0.5) / 0.5
    the program                  noise (N, H) is one more argument; each step reads its rows of it
    a call                       draws for the first step, then for the second, …: then the program runs

So the seed that a user sets gives one result, compiled or not. While a step is traced, nobody's generator is
asked: a draw gives a symbol. A second, eager run of the same call (second derivatives) is handed the numbers
of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Tensor
from ..nn.cells import Cell
from ..random import drawing_from
from .symbols import Untraceable, refused
from .twin import members, twin_of

SIZE = {
    "random": 0,
    "standard_normal": 0,
    "standard_exponential": 0,
    "uniform": 2,
    "normal": 2,
    "integers": 2,
}


class Draw(NamedTuple):
    """A call in a step, `generator.method(*args, size, **options)`: a row for each sequence."""

    generator: Any
    method: str
    args: tuple[Any, ...]
    tail: tuple[int, ...]
    options: tuple[tuple[str, Any], ...]

    def numbers(self, n: int, rng: Any = None) -> Any:
        """The numbers for n sequences, from the generator (or another source)."""
        function = getattr(self.generator.own if rng is None else rng, self.method)
        return function(*self.args, size=(n, *self.tail), **dict(self.options))


class Method:
    """The methods of NumPy's generator, each done by `do(generator, name, args, size, options)`."""

    def __init__(self, generator: Any, do: Callable[..., Any]) -> None:
        self._generator, self._do = generator, do

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in SIZE:
            raise refused(f"step draws random numbers by {name}")
        place = SIZE[name]

        def method(*args: Any, **options: Any) -> Any:
            rest, size = list(args), options.pop("size", None)
            if len(rest) > place:
                size = rest.pop(place)
            if "dtype" not in options and len(rest) > place:
                options["dtype"] = rest.pop()
            return self._do(self._generator, name, tuple(rest), size, options)

        return method


class Traced:
    """What a traced step draws from: a draw becomes an input of the program."""

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self.draws: list[Draw] = []
        self.values: list[Any] = []

    def of(self, generator: Any) -> Method:
        """In the place of a generator."""
        return Method(generator, self.draw)

    def draw(self, generator: Any, name: str, args: Any, size: Any, options: Any) -> Any:
        """A symbol for the numbers."""
        shape = size if isinstance(size, tuple) else (size,)
        rows = self.trace.rows
        if shape[:1] != (rows,) or (self.trace.strict and rows in shape[1:]):
            raise refused(f"step draws random numbers of shape {size}, not a row for each sequence")
        draw = Draw(generator, name, args, tuple(shape[1:]), tuple(options.items()))
        like = draw.numbers(1, np.random.Generator(np.random.PCG64(0)))
        tensor = self.trace.input("noise", (rows, *draw.tail), like.dtype, False)
        self.draws.append(draw)
        self.values.append(self.trace.value_of(tensor.array))
        return tensor.array


class Replay:
    """What an eager run draws from that is to get the numbers of another one."""

    def __init__(self, numbers: Iterator[Any]) -> None:
        self.next = numbers

    def of(self, generator: Any) -> Method:
        """In the place of a generator."""
        return Method(generator, lambda *_: next(self.next))


def draw_all(draws: list[Draw], sizes: Any, reverse: bool, rng: Any = None) -> list[Any]:
    """Numbers for all rows of steps of the given sizes, one array (N, …) for each draw of a step."""
    if not draws:
        return []
    blocks: list[Any] = [None] * len(sizes)
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        blocks[t] = [draw.numbers(sizes[t], rng) for draw in draws]
    return [np.concatenate([block[k] for block in blocks]) for k in range(len(draws))]


def in_order(noise: list[Any], sizes: Any, reverse: bool) -> Iterator[Any]:
    """The numbers of `draw_all` in the order in which an eager run asks for them."""
    ends = np.cumsum([0, *sizes]).tolist()
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        for numbers in noise:
            yield numbers[ends[t] : ends[t + 1]]


class Private:
    """A source of numbers that nobody else draws from."""

    def __init__(self) -> None:
        self.rng = np.random.Generator(np.random.PCG64(0))

    def of(self, generator: Any) -> Any:
        """In the place of a generator."""
        return self.rng


def projected(cell: Cell, data: Tensor) -> Tensor:
    """What the cell's `project` makes of the inputs, which need not be traceable: of interest is its form."""
    copies = {id(t): t.detach().clone().requires_grad_(t.requires_grad) for t in members(cell).values()}
    with drawing_from(Private()):
        a = twin_of(cell, copies).project(data)  # nothing that it does is seen
    if not isinstance(a, Tensor):
        raise Untraceable(
            f"project, which cannot be compiled itself, returns {type(a).__name__}, not one tensor"
        )
    return a
