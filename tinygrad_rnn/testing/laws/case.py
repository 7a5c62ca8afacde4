"""A case: a cell, and a ragged batch with initial states to run it on.

T steps, B sequences, D inputs; xs (T, B, D); a state is a tensor (B, ...) or a (named) tuple of states.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...autograd import enable_grad, grad, no_grad
from ...engine.tensor import Array, Tensor
from ...nn.cells import Cell, GRUCell, each
from ...nn.module import Module
from ...nn.recurrent import Recurrent
from ...random import get_rng_state, manual_seed, set_rng_state
from ..probe import tensors_in
from .law import same

Run = Callable[[Tensor, Any], tuple[Any, Any]]

SHORT = 5  # steps that most cases have at most
DIFFERENCES = 1e-9  # of the larger of 1 and the largest number: what central differences may be off by


class Seen(NamedTuple):
    """What a run shows: outputs (T, B, ...), last states, and the gradients of Σ u·outputs + Σ v·last
    states.
    """

    ys: Array
    last: list[Array]
    grads: dict[str, Array]
    u: Array
    v: list[Array]


@dataclass(repr=False)
class Case:
    """What a law is tried on. Everything random in it follows from `seed`; its repr is the call to `draw`."""

    cell: Cell
    xs: Array
    state: Any
    lengths: Array
    seed: int = 0
    over: Callable[..., Any] = Recurrent  # what runs cells over time
    summed_biases: slice | None = None  # the rows in which bias_ih and bias_hh enter as a sum
    keep_parameters: bool = False  # no noise may be added to them

    def __repr__(self) -> str:
        T, _, D = self.xs.shape
        more = "" if self.summed_biases is None else f", summed_biases={self.summed_biases}"
        more += ", keep_parameters=True" if self.keep_parameters else ""
        return f"draw({self.cell!r}, {D}, {self.seed}, {T}, {self.lengths.tolist()}{more})"

    def rng(self) -> np.random.Generator:
        """A stream of random numbers, the same one on every call."""
        return np.random.Generator(np.random.PCG64(self.seed))

    @property
    def sizes(self) -> str:
        """The sizes, for messages."""
        T, B, D = self.xs.shape
        mode = ", in training mode" if self.cell.training else ""
        return f"T={T}, B={B}, D={D}, lengths={self.lengths.tolist()}, seed={self.seed}{mode}"

    @property
    def noisy(self) -> bool:
        """True if a run in training mode draws random numbers."""
        if not self.cell.training:
            return False
        with same_noise(self.seed), no_grad():
            before = get_rng_state().array.copy()
            self.run()(Tensor(self.xs), self.state)
            return not np.array_equal(get_rng_state().array, before)

    @property
    def initial(self) -> list[Array]:
        """The arrays of the initial state."""
        return [s.array for s in tensors_in(self.state)]

    def sibling(self, k: int) -> Cell:
        """The k-th other cell like this one, with weights of its own (unless parameters are kept)."""
        twin = copy.deepcopy(self.cell)
        if not self.keep_parameters:
            scatter(twin, np.random.Generator(np.random.PCG64([self.seed, k])))
        return twin

    def sibling_state(self, k: int) -> Any:
        """An initial state for the k-th sibling."""
        return random_state(self.state, np.random.Generator(np.random.PCG64([self.seed, k])))

    def run(self, cells: Any = None, **options: Any) -> Run:
        """How `cells` (default: the cell) run over time, in its mode; `options` are lengths or mask."""
        layer = self.over(self.cell if cells is None else cells)
        if isinstance(layer, Module):
            layer.train(self.cell.training)
        return lambda xs, state: layer(xs, state, **options)

    def see(
        self,
        run: Run,
        xs: Array,
        state: Any,
        u: Array | None = None,
        v: Sequence[Array] | None = None,
        module: Any = None,
    ) -> Seen:
        """Run on fresh leaves, and carry the gradient of Σ u·outputs + Σ v·last states back to all of them.

        `u` and `v` are drawn if they are not given; `module` (default: the cell) holds the parameters.
        Random numbers are the same in every run.
        """
        x, s = (
            leaf(xs),
            each(leaf, state) if isinstance(state, (Tensor, tuple)) else [each(leaf, part) for part in state],
        )
        named = {"xs": x, **{f"state[{i}]": t for i, t in enumerate(tensors_in(s))}}
        named.update((self.cell if module is None else module).named_parameters())
        wanted = {name: t for name, t in named.items() if t.requires_grad}
        with enable_grad(), same_noise(self.seed):
            ys, last = run(x, s)
            parts = tensors_in(last)
            rng = self.rng()
            u = rng.standard_normal(ys.shape) if u is None else u
            v = [rng.standard_normal(p.shape) for p in parts] if v is None else v
            loss = (ys * Tensor(u)).sum() + sum(
                (p * Tensor(w)).sum() for p, w in zip(parts, v) if p.dtype.kind == "f"
            )
        found = grad(loss, list(wanted.values()), allow_unused=True, materialize_grads=True)
        grads = {name: g.array for name, g in zip(wanted, found)}
        return Seen(np.array(ys.array), [np.array(p.array) for p in parts], grads, u, list(v))


def near(what: str, got: Any, want: Any) -> None:
    """`same`, but for what differences, the oracle where the complex step is of no use, may be off by."""
    size = max(1.0, float(np.abs(want).max(initial=0)))
    if np.shape(got) != np.shape(want) or not (np.abs(got - want) <= DIFFERENCES * size).all():
        same(what, got, want)


@contextmanager
def same_noise(seed: int) -> Iterator[None]:
    """Inside, the default generator starts from `seed`; afterwards it is as before."""
    before = get_rng_state()
    manual_seed(seed)
    try:
        yield
    finally:
        set_rng_state(before)


def leaf(x: Any) -> Tensor:
    """A fresh copy of an array or tensor that requires a gradient, if it can."""
    array = np.array(x.array if isinstance(x, Tensor) else x)
    return Tensor(array, requires_grad=array.dtype.kind == "f")


def rows(state: Any, chosen: Any) -> Any:
    """Some rows of every tensor of a state, as leaves."""
    return each(lambda s: leaf(s.array[chosen]), state)


def columns(arrays: Sequence[Array], chosen: Any) -> list[Array]:
    """Some rows of every array."""
    return [a[chosen] for a in arrays]


def parameters_in(grads: dict[str, Array]) -> dict[str, Array]:
    """The gradients of parameters alone."""
    return {name: g for name, g in grads.items() if name != "xs" and not name.startswith("state[")}


def draw(
    cell: Cell,
    input_size: int,
    seed: int,
    T: int,
    lengths: Sequence[int],
    *,
    summed_biases: slice | None = None,
    **options: Any,
) -> Case:
    """A case with normal inputs and initial states, T steps and a sequence of each of the given lengths."""
    if summed_biases is None and isinstance(cell, GRUCell):
        summed_biases = slice(0, 2 * cell.hidden_size)  # the candidate's are apart: r ∘ (W h + b_hh)
    rng = np.random.Generator(np.random.PCG64(seed))
    B = len(lengths)
    xs = rng.standard_normal((T, B, input_size))
    state = random_state(cell.initial_state(B, Tensor(xs.reshape(T * B, input_size))), rng)
    counts = np.asarray(lengths, np.int64)
    return Case(cell, xs, state, counts, seed, summed_biases=summed_biases, **options)


def random_state(like: Any, rng: np.random.Generator) -> Any:
    """A state of the same form with normal numbers; tensors that are not float stay."""
    return each(lambda s: leaf(0.5 * rng.standard_normal(s.shape) if s.dtype.kind == "f" else s), like)


def scatter(module: Module, rng: np.random.Generator) -> None:
    """Add normal noise to every parameter: no bias stays zero, no two weights equal."""
    for p in module.parameters():
        p.array = p.array + 0.3 * rng.standard_normal(p.shape)
