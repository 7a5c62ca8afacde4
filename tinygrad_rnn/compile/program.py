"""Program: compiled source that can be run, its memory, and its place in an eager graph.

    program = build(cell, x, state, …)        trace -> plan -> storage -> source -> Python functions
    w = program.memory.lease(sizes, B)        a set of buffers that nobody else uses now
    program.run.forward(w, x, h0, …)          outputs are copies: what the user holds is never written again

In an eager graph one run of a layer is one node, `UNROLLED`. Its buffers are given back after backward, or
when the node dies. A second backward through it, or one with `create_graph`, computes anew what it needs.
"""

from __future__ import annotations

import linecache
import threading
import time
from collections import OrderedDict
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..autograd.contributions import owned
from ..autograd.engine import grad
from ..autograd.function import attach
from ..autograd.gradmode import enable_grad, mode
from ..autograd.primitive import Primitive
from ..nn.cells import Cell
from ..nn.loop import unroll
from ..tensor import Tensor
from .demo import demo
from .emit import Emitter
from .fission import plan
from .spots import fits_last
from .storage import Storage
from .trace import flat, members, trace, twin_of, unflat

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
    """Sets of buffers by shape: made when all are in use, kept for the next call, few at a time."""

    shapes, sets = 4, 2  # how many shapes are remembered, and how many sets of buffers of each

    def __init__(self, make: Any, last: bool) -> None:
        self.make, self.last = make, last
        self.idle: OrderedDict[Any, list[Any]] = OrderedDict()
        self.lock = threading.RLock()  # a lease may end while another is made, in the same thread too

    def lease(self, sizes: Any, B: int) -> Lease:
        """Buffers for steps of the given sizes, of B sequences."""
        key = (len(sizes), B) if self.last else (tuple(sizes), B)
        with self.lock:
            idle = self.idle.get(key)
            w = idle.pop() if idle else None
        return Lease(self, key, self.make(*key) if w is None else w)

    def give_back(self, key: Any, w: Any) -> None:
        """Keep buffers for the next call."""
        with self.lock:
            idle = self.idle.setdefault(key, [])
            self.idle.move_to_end(key)
            if len(idle) < self.sets:
                idle.append(w)
            while len(self.idle) > self.shapes:
                self.idle.popitem(last=False)


class Program:
    """The functions made for one cell, one dtype, one set of wanted gradients."""

    def __init__(self, cell: Cell, x: Tensor, state: Any, sizes: Any, reverse: bool, backward: bool) -> None:
        start = time.perf_counter()
        leaves = flat(state)
        wants = (bool(x.requires_grad), True)
        B, dense = len(leaves[0]), all(n == len(leaves[0]) for n in sizes)
        step = self.step = trace(cell, x, state, wants, backward)
        if not x.requires_grad:
            step.d_x = None
        widest = max(s.array[:1].nbytes for s in leaves) * B
        ways = plan(step, backward, widest <= HOIST)
        self.last = dense and fits_last(ways)
        storage = Storage(ways, self.last)
        title = (type(cell).__doc__ or type(cell).__name__).strip()
        self.emitter = Emitter(ways, storage, reverse, title)
        text = self.emitter.source
        self.name = f"<compiled {type(cell).__name__} {next(_number)}>"
        self.backward, self.y_count = backward, len(step.ys)
        self.source = text + "\n\n" + demo(self.emitter, x, leaves, members(cell), len(sizes), B)
        linecache.cache[self.name] = (len(self.source), None, self.source.splitlines(True), self.name)
        space: dict[str, Any] = {"__name__": self.name}
        exec(compile(self.source, self.name, "exec"), space)
        self.run = SimpleNamespace(**{k: space.get(k) for k in ("forward", "backward", "workspace")})
        self.memory = Memory(self.run.workspace, self.last)
        self.brought = [v.data for v in self.emitter.arrays]
        self.names = list(dict.fromkeys(self.emitter.paths))  # one path for each different tensor
        self.seconds = time.perf_counter() - start

    def buffers(self, w: Any) -> dict[str, Any]:
        """Name, shape and bytes of each buffer in a workspace."""
        return {k: v for k, v in vars(w).items() if isinstance(v, np.ndarray)}


class Call(SimpleNamespace):
    """One run of a layer: the program, the cell, the steps' sizes, the form of the state, its buffers."""

    program: Program
    cell: Cell
    sizes: Any
    reverse: bool
    state: Any
    B: int
    lease: Lease | None


def run_forward(call: Any, arrays: list[Any]) -> tuple[Lease, Any]:
    """The outputs and last states, as arrays, and the buffers that backward will need."""
    program = call.program
    lease = program.memory.lease(call.sizes, call.B)
    with np.errstate(over="ignore"):
        return lease, program.run.forward(lease.w, *arrays, *program.brought)


def run_recorded(call: Call, inputs: list[Tensor]) -> list[Tensor]:
    """Outputs, then last states, as results of one node."""
    arrays = [t.array for t in inputs]
    call.lease, found = run_forward(call, arrays)
    outputs = [fresh(a) for a in found]
    attach(UNROLLED, inputs, arrays, {"call": call}, outputs)
    return outputs


def fresh(array: Any) -> Tensor:
    """A tensor of an array that nobody else holds."""
    tensor = Tensor(array)
    tensor.memory.shared = False
    return tensor


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
        found = iter(program.run.backward(lease.w, *given, inputs[0], *weights, *program.brought))
    lease.end()
    shares = [None if step.d_x is None else next(found)]
    shares += [None if d is None else next(found) for d in step.d_nexts]
    by_path = {path: next(found) for path, g in step.d_params.items() if g is not None}
    shares += [by_path.get(path) for path in program.names]
    return kept(shares)


def kept(shares: list[Any]) -> list[Any]:
    """Gradients that the program made need no copy to be kept, unless one array stands for two parameters."""
    places = [id(g) for g in shares]
    return [
        owned(g) if isinstance(g, np.ndarray) and g.base is None and places.count(id(g)) == 1 else g
        for g in shares
    ]


UNROLLED = Primitive("Unrolled", run_forward, [way_back], variadic=True)


def eager_gradients(call: Any, inputs: Any, gradients: Any) -> list[Any]:
    """The same gradients by running the cell eagerly, with a graph of their own."""
    states = len(flat(call.state))
    needs = [isinstance(t, Tensor) and t.requires_grad for t in inputs]
    tensors = [t if isinstance(t, Tensor) else Tensor(t) for t in inputs]
    with enable_grad():
        copies = [t.clone() if need else t for t, need in zip(tensors, needs)]
        originals = members(call.cell)
        swapped = {id(originals[path]): c for path, c in zip(call.program.names, copies[1 + states :])}
        cell = twin_of(call.cell, swapped, {})
        y, last = unroll(
            cell, copies[0], call.sizes, unflat(call.state, iter(copies[1 : 1 + states])), call.reverse
        )
        pairs = [
            (o, g) for o, g in zip([*flat(y), *flat(last)], gradients) if g is not None and o.requires_grad
        ]
        wanted = [c for c, need in zip(copies, needs) if need]
        found = iter(
            grad([o for o, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True)
        )
    return [next(found) if need else None for need in needs]
