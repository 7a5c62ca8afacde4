"""Program: compiled source that can be run, its memory, and its place in an eager graph.

    program = Program(cell, x, state, …)      trace -> plan -> storage -> source -> Python functions
    w = program.memory.lease(sizes, B).w      a set of buffers that nobody else uses now
    program.forward(w, x, h0, …)              outputs are copies: what the user holds is never written again

In an eager graph one run of a layer is one node, `UNROLLED`. Its buffers are given back after backward, or
when the node dies. A second backward through it, or one with `create_graph`, computes anew what it needs.
Back to __init__.py, which finds the program for a call.
"""

from __future__ import annotations

import linecache
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from weakref import finalize

import numpy as np

from ..autograd.function import attach
from ..autograd.gradients import grad
from ..autograd.gradmode import enable_grad, mode
from ..engine.accumulate import owned
from ..engine.primitive import Primitive
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import tensors_in, unroll
from ..random import drawing_from
from .demo import demo
from .emit import Emitter
from .fission import ancestors, plan
from .noise import Replay, draw_all, in_order
from .spots import fits_last
from .storage import Storage
from .trace import Step, trace
from .trial import trial
from .twin import members, twin_of
from .verifier import verify

HOIST = 8 * 1024  # bytes of one step's state up to which elementwise work is done for all steps at once
_number = count(1)


class Lease:
    """Buffers in use. They go back to where they came from when they are given back, or forgotten."""

    def __init__(self, memory: Memory, key: Any, w: Any) -> None:
        self.memory, self.key, self.w = memory, key, w

    def end(self) -> None:
        """Give the buffers back."""
        if self.w is not None:
            w, self.w = self.w, None
            self.memory.give_back(self.key, w)

    __del__ = end


class Memory:
    """Sets of buffers by shape: made when all are in use, kept for the next call, few at a time.

    There is no lock, which a process could be forked under: single operations on lists and dicts are atomic.
    """

    shapes, sets = 4, 2  # how many shapes are remembered, and how many sets of buffers of each

    def __init__(self, make: Any, last: bool) -> None:
        self.make, self.last = make, last
        self.idle: dict[Any, list[Any]] = {}

    def lease(self, sizes: Any, B: int) -> Lease:
        """Buffers for steps of the given sizes, of B sequences."""
        key = (len(sizes), B) if self.last else (tuple(sizes), B)
        try:
            return Lease(self, key, self.idle[key].pop())
        except (KeyError, IndexError):
            return Lease(self, key, self.make(*key))

    def give_back(self, key: Any, w: Any) -> None:
        """Keep buffers for the next call."""
        idle = self.idle.pop(key, [])
        if len(idle) < self.sets:
            idle.append(w)
        self.idle[key] = idle  # the newest is the last
        for old in list(self.idle)[: -self.shapes]:
            self.idle.pop(old, None)


class Program:
    """The functions made for one cell, one dtype, one set of wanted gradients; proved and tried."""

    def __init__(
        self,
        cell: Cell,
        x: Tensor,
        state: Any,
        sizes: Any,
        reverse: bool,
        backward: bool,
        dense: bool,
        early: bool = False,
    ) -> None:
        start = time.perf_counter()
        leaves = tensors_in(state)
        B = len(leaves[0])
        self.early = early  # what `project` does is done eagerly
        self.step = trace(cell, x, state, backward, early)
        widest = max(s.array[:1].nbytes for s in leaves) * B
        ways = plan(self.step.copied(), backward, widest <= HOIST)
        self.last = dense and fits_last(ways)
        title = str(type(cell).__doc__ or type(cell).__name__).strip()
        made = Emitter(ways, Storage(ways, self.last), reverse, title)
        self.paths, self.brought = made.paths, [v.data for v in made.arrays]
        traced = time.perf_counter()
        verify(made.source, self.step, self.paths, B if dense else 0, reverse)
        proved = time.perf_counter()
        trial(made.source, self.step, self.paths, self.brought, cell, x, state, (B, dense, reverse), early)
        self.seconds_of_proof = proved - traced, time.perf_counter() - proved
        self.source = made.source + "\n\n" + demo(made, x, leaves, members(cell), len(sizes), B)
        for buffer in made.storage.buffers:
            buffer.holds = []  # spots hold their buffer
        self.name = f"<compiled {type(cell).__name__} {next(_number)}>"
        space = self.run_source()
        self.forward: Any = space["forward"]
        self.backward: Any = space.get("backward")
        self.memory = Memory(space["workspace"], self.last)
        self.reaches: dict[Any, tuple[list[bool], set[str]]] = {}
        self.seconds = time.perf_counter() - start

    def run_source(self) -> dict[str, Any]:
        """The functions of the source, whose lines a traceback can show as long as the program lives."""
        linecache.cache[self.name] = (len(self.source), None, self.source.splitlines(True), self.name)
        space: dict[str, Any] = {"__name__": self.name}
        finalize(self, forget, self.name, space)
        exec(compile(self.source, self.name, "exec"), space)
        return space

    def reached(self, given: frozenset[int], carried: bool) -> tuple[list[bool], set[str]]:
        """What has a gradient at all: of x and the states, and which parameters (see live_seeds)."""
        key = given, carried
        if key not in self.reaches:
            step, live = self.step, live_seeds(self.step, given, carried)
            inputs = [d is not None and bool(ancestors([d]) & live) for d in (step.d_x, *step.d_states)]
            kept = [False, *(len(step.ys) + k in given for k in range(len(step.states)))]
            paths = {path for path, d in step.d_params.items() if d is not None and ancestors([d]) & live}
            self.reaches[key] = [a or b for a, b in zip(inputs, kept)], paths
        return self.reaches[key]

    def buffers(self, w: Any) -> dict[str, Any]:
        """Name, shape and bytes of each buffer in a workspace."""
        return {k: v for k, v in vars(w).items() if isinstance(v, np.ndarray)}


def forget(name: str, space: dict[str, Any]) -> None:
    """Let go of a program's lines and of its functions, which hold each other."""
    linecache.cache.pop(name, None)
    space.clear()


@dataclass(eq=False)
class Call:
    """One run of a layer of B sequences; `sizes`: how many of them each step has."""

    program: Program
    cell: Cell
    sizes: Any
    reverse: bool
    B: int
    lease: Lease | None = None
    noise: Sequence[Any] = ()


def run(call: Call, inputs: list[Tensor]) -> list[Tensor]:
    """Outputs, then last states; if the program has a backward, as results of one node."""
    arrays = [t.array for t in inputs]
    call.noise = draw_all(call.program.step.draws, call.sizes, call.reverse)
    lease, found = run_forward(call, arrays)
    outputs = [Tensor(a) for a in found]
    for tensor in outputs:
        tensor.storage.shared = False  # nobody else holds its array
    if call.program.backward:
        call.lease = lease
        asks = asking(call, inputs)
        attach(UNROLLED, inputs, arrays, {"call": call}, [t if a else None for t, a in zip(outputs, asks)])
    else:
        lease.end()
    return outputs


def asking(call: Call, inputs: list[Tensor]) -> list[bool]:
    """Which outputs and last states have a gradient, as they would eagerly."""
    step = call.program.step
    untouched = call.sizes[0] < call.B  # a sequence without a step keeps the state that it was given
    kept = [untouched and s.requires_grad for s in inputs[1 : 1 + len(step.states)]]
    asks, n = step.first_asks if len(call.sizes) == 1 else step.asks, len(step.ys)
    return [*asks[:n], *(a or b for a, b in zip(asks[n:], kept))]


def run_forward(call: Call, arrays: list[Any]) -> tuple[Lease, Any]:
    """The outputs and last states, as arrays, and the buffers that backward will need."""
    lease = call.program.memory.lease(call.sizes, call.B)
    with np.errstate(over="ignore"):
        x, *rest = arrays
        return lease, call.program.forward(lease.w, x, *call.noise, *rest, *call.program.brought)


def way_back(parts: dict[int, Any], _y: Any, *inputs: Any, call: Call) -> list[Any]:
    """The gradients of x, states and parameters, from those of the outputs and last states that matter."""
    program, step = call.program, call.program.step
    results = [*step.ys, *step.nexts]
    if mode.enabled:
        return eager_gradients(call, inputs, [parts.get(k) for k in range(len(results))])
    lease, call.lease = call.lease, None
    if lease is None:  # a second backward
        lease, _ = run_forward(call, list(inputs))
    rows = [len(inputs[0])] * len(step.ys) + [call.B] * len(step.nexts)
    given = [
        parts[k] if k in parts else np.zeros((n, *v.shape[1:]), v.dtype)
        for k, (n, v) in enumerate(zip(rows, results))
    ]
    weights = inputs[1 + len(step.states) :]
    with np.errstate(over="ignore"):
        found = iter(program.backward(lease.w, *given, inputs[0], *call.noise, *weights, *program.brought))
    lease.end()
    x_and_states = [None if d is None else next(found) for d in (step.d_x, *step.d_nexts)]
    by_path = {path: next(found) for path, g in step.d_params.items() if g is not None}
    reached, paths = program.reached(frozenset(parts), len(call.sizes) > 1)
    x_and_states = [g if is_reached else None for g, is_reached in zip(x_and_states, reached)]
    by_path = {path: g for path, g in by_path.items() if path in paths}
    return kept([*x_and_states, *(by_path.get(path) for path in program.paths)])


def live_seeds(step: Step, given: frozenset[int], carried: bool) -> set[int]:
    """The gradients (by id) that something reaches, from those outputs and last states that are `given` one.

    carried: there are several steps, so that gradients of states are handed on. Eagerly what nothing reaches
    has no gradient at all, which an optimizer can tell from zeros.
    """
    seeds = [*step.d_ys, *step.d_nexts]
    live = {id(seeds[k]) for k in given}
    while carried:
        more = {
            id(seed)
            for seed, d in zip(step.d_nexts, step.d_states)
            if seed is not None and d is not None and ancestors([d]) & live
        }
        if more <= live:
            break
        live |= more
    return live


def kept(shares: list[Any]) -> list[Any]:
    """Gradients that the program made need no copy to be kept, unless one array stands for two parameters."""
    places = [id(g) for g in shares]
    return [
        owned(g) if isinstance(g, np.ndarray) and g.base is None and places.count(id(g)) == 1 else g
        for g in shares
    ]


UNROLLED = Primitive("Unrolled", run_forward, [way_back], variadic=True)


def eager_gradients(call: Call, inputs: Any, gradients: Any) -> list[Any]:
    """The same gradients by running the cell eagerly, with a graph of their own."""
    tensors = [t if isinstance(t, Tensor) else Tensor(t) for t in inputs]
    with enable_grad():
        copies = [t.clone() if t.requires_grad else t for t in tensors]
        rest = iter(copies)
        data, state = next(rest), each(lambda _: next(rest), call.program.step.given_tree)
        originals = members(call.cell)
        swapped = {id(originals[path]): next(rest) for path in call.program.paths}
        with drawing_from(Replay(in_order(list(call.noise), call.sizes, call.reverse))):
            twin = twin_of(call.cell, swapped, call.program.early)
            y, last = unroll(twin, data, call.sizes, state, call.reverse)
        given = zip([*tensors_in(y), *tensors_in(last)], gradients)
        pairs = [(o, g) for o, g in given if g is not None and o.requires_grad]
        roots, seeds = [o for o, _ in pairs], [g for _, g in pairs]
        wanted = [c for c, t in zip(copies, tensors) if t.requires_grad]
        found = iter(grad(roots, wanted, seeds, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in tensors]
