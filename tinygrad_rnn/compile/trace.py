"""Trace: run one step of a cell on symbols, and write down what it did.

A `Symbol` is an array of which only shape and dtype are known. The cell's own code runs on tensors
made of symbols; every primitive it calls is noted as a `Value`. Then the engine's own backward runs on
the result: its rules are the same primitives, so they are noted in the same way. For `h = tanh(a + h @ W.T)`:

    forward                            backward, from d_h (what arrives from the output and the next step)
      v1 = permute(W)  (1, 0)            v5 = mul(h, h)
      v2 = matmul(h, v1)                 v6 = sub(1, v5)
      v3 = add(a, v2)                    d_a = mul(d_h, v6)
      h  = tanh(v3)                      d_h = matmul(d_a, W), d_W = matmul(permute(d_a), h)

There is no second table of derivatives. The step is run on ROWS sequences, a prime that no weight has as
a size, so that a shape tells what has a row for each sequence (kinds.py). Next: fission.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..autograd.gradmode import enable_grad, mode, no_grad
from ..engine.accumulate import Accumulator as Sum
from ..engine.backward import backward_pass as run
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import advance, tensors_in
from ..random import default_generator
from .members import members, twin_of
from .recorder import Trace
from .symbols import Untraceable, Value

PRIMES = (13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73)


@dataclass
class Step:
    """One step and its backward, as values. Trees of states are flat lists here."""

    x: Any
    states: list[Value]
    dtype: Any
    rows: int
    params: dict[str, Value]
    ys: list[Value] = field(default_factory=list)
    nexts: list[Value] = field(default_factory=list)
    d_ys: list[Value | None] = field(default_factory=list)  # None: no gradient passes there
    d_nexts: list[Value | None] = field(default_factory=list)
    d_x: Any = None
    d_states: list[Any] = field(default_factory=list)
    d_params: dict[str, Any] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    forward_count: int = 0  # how many of the values belong to forward
    y_tree: Any = None
    state_tree: Any = None
    kept: dict[int, Any] = field(default_factory=dict)  # the arrays that the step brought along, by id

    def results(self) -> list[Value]:
        """What the program has to compute."""
        found = [*self.ys, *self.nexts, self.d_x, *self.d_states, *self.d_params.values()]
        return [v for v in found if v is not None]

    def replace(self, by: Callable[[Any], Any]) -> None:
        """Let `by(v)` stand for each result v."""
        self.ys, self.nexts = [by(v) for v in self.ys], [by(v) for v in self.nexts]
        self.d_x, self.d_states = by(self.d_x), [by(d) for d in self.d_states]
        self.d_params = {path: by(d) for path, d in self.d_params.items()}


def trace(cell: Cell, x: Tensor, state: Any, backward: bool) -> Step:
    """One step of `cell` on symbols shaped like x (N, ...) and `state`; with `backward`, its gradients."""
    sizes = {n for t in [x, *tensors_in(state), *members(cell).values()] for n in t.shape}
    first, second = [r for r in PRIMES if not any(n % r == 0 for n in sizes if n)][:2]
    before = default_generator.get_state()
    try:
        step = run_step(cell, x, state, backward, Trace(first, codes_of(cell), False))
        again = run_step(cell, x, state, False, Trace(second, codes_of(cell), True))
    finally:
        drawn = default_generator.get_state().array.tobytes() != before.array.tobytes()
        if drawn:
            default_generator.set_state(before)
    if drawn:
        raise Untraceable("step draws random numbers")
    if step.kept.keys() & again.kept.keys():
        raise Untraceable("a tensor from outside is used; make it an attribute of the cell")
    if not same(step, again):
        raise Untraceable(
            "step does something else when it is run again, or with another number of sequences"
        )
    return step


def codes_of(cell: Cell) -> set[Any]:
    """The code whose variables give values their names."""
    return {getattr(type(cell), name).__code__ for name in ("step", "project")}


def run_step(cell: Cell, x: Tensor, state: Any, backward: bool, trace: Trace) -> Step:
    """Trace the step, and its backward."""

    def rows(name: str, t: Tensor, tracked: bool) -> Tensor:
        return trace.input(name, (trace.rows, *t.shape[1:]), t.dtype, backward and tracked)

    tensors = members(cell)
    params = parameters(trace, tensors, backward)
    data = rows("x", x, x.requires_grad)
    live = each(lambda s: rows("", s, s.dtype.kind == "f"), state)
    step = Step(
        x=trace.value_of(data.array),
        states=[trace.value_of(s.array) for s in tensors_in(live)],
        dtype=next((s.dtype for s in tensors_in(state) if s.dtype.kind == "f"), x.dtype),
        rows=trace.rows,
        params={path: trace.value_of(t.array) for path, t in params.items()},
        state_tree=form(state),
        values=trace.values,
        kept=trace.kept,
    )
    twin = twin_of(cell, {id(t): params[path] for path, t in tensors.items()}, {})
    before, mode.interpreter = mode.interpreter, trace
    try:
        y, following = run_forward(trace, step, twin, data, live)
        if backward:
            run_backward(trace, step, y, following, data, live, params)
    finally:
        mode.interpreter = before
    return step


def parameters(trace: Trace, tensors: dict[str, Tensor], backward: bool) -> dict[str, Tensor]:
    """A symbol for each tensor of the cell, in a tensor; one that has two paths has one symbol."""
    found: dict[int, Tensor] = {}
    for path, t in tensors.items():
        if t.node is not None:
            raise Untraceable(f"{path} is the result of an operation, not a parameter or a constant")
        if id(t) not in found:
            name = path.replace(".", "_")
            found[id(t)] = trace.input(name, t.shape, t.dtype, backward and t.requires_grad)
    return {path: found[id(t)] for path, t in tensors.items()}


def run_forward(trace: Trace, step: Step, cell: Cell, data: Tensor, live: Any) -> tuple[Any, Any]:
    """The cell's own code, on symbols: its output and next state."""
    with enable_grad():
        y, following = advance(cell, cell.project(data), live)
    for frame in trace.frames.values():
        trace.name_locals(frame)
    step.forward_count, step.y_tree = len(trace.values), form(y)
    if repr(form(following)) != repr(step.state_tree):
        made, given = (repr(tree).replace("None", "tensor") for tree in (form(following), step.state_tree))
        raise Untraceable(f"step makes a state of the form {made} from one of {given}")
    step.ys = [as_row(trace, t, "output") for t in tensors_in(y)]
    step.nexts = [as_row(trace, t, "state") for t in tensors_in(following)]
    for s, n in zip(step.states, step.nexts):
        if s.shape != n.shape or s.dtype != n.dtype:
            raise Untraceable(
                f"step makes a state {n.shape[1:]} {n.dtype} from one of {s.shape[1:]} {s.dtype}"
            )
    return y, following


def run_backward(
    trace: Trace, step: Step, y: Any, following: Any, data: Tensor, live: Any, params: dict[str, Tensor]
) -> None:
    """The engine's backward, on symbols, from the gradients of the output and of the next state."""
    roots, seeds, states = [], [], tensors_in(live)
    for tree, found, name in ((y, step.d_ys, "d_y"), (following, step.d_nexts, "d_next")):
        for t in tensors_in(tree):
            found.append(None)
            if t.requires_grad:
                seeds.append(trace.input(name, t.shape, t.dtype, False))
                roots.append(t if t.node is None else t.node)
                found[-1] = trace.value_of(seeds[-1].array)
    wanted = {t for t in (data, *states, *params.values()) if t.requires_grad}
    with no_grad():
        gradients = run(roots, seeds, wanted, True, True)

    def gradient(t: Tensor) -> Any:
        g = gradients.get(t)
        g = g.value() if isinstance(g, Sum) else g
        return None if g is None else trace.value_of(g.array)

    step.d_x, step.d_states = gradient(data), [gradient(s) for s in states]
    step.d_params = {path: gradient(t) for path, t in params.items() if t.requires_grad}


def as_row(trace: Trace, tensor: Any, what: str) -> Value:
    """The value of an output or a state, which must have a row for each sequence."""
    if not isinstance(tensor, Tensor):
        raise Untraceable(f"step returns {type(tensor).__name__} as {what}, not a tensor")
    value = trace.value_of(tensor.array)
    if not isinstance(value, Value) or value.kind != "row":
        raise Untraceable(f"step returns {what} of shape {tensor.shape}, which has no row for each sequence")
    return value


def form(tree: Any) -> Any:
    """The form of a state, without its tensors."""
    return each(lambda _: None, tree)


def same(a: Step, b: Step) -> bool:
    """True if two traces, of different numbers of rows, are the same program."""
    place_a, place_b = ({id(v): i for i, v in enumerate(s.values)} for s in (a, b))

    def described(step: Step, place: Any, v: Value) -> Any:
        args = [place[id(x)] if isinstance(x, Value) else x for x in v.args]
        static = {k: rowless(s, step.rows) for k, s in v.static.items()}
        data = None if v.data is None else v.data.tolist()
        return repr((v.op, args, static, v.kind, rowless(v.shape, step.rows), data))

    seen_a, seen_b = a.values[: a.forward_count], b.values[: b.forward_count]
    return len(seen_a) == len(seen_b) and all(
        described(a, place_a, v) == described(b, place_b, w) for v, w in zip(seen_a, seen_b)
    )


def rowless(x: Any, rows: int) -> Any:
    """A static argument with the number of rows, and its multiples, taken out."""
    if isinstance(x, (tuple, list)):
        return [rowless(i, rows) for i in x]
    if isinstance(x, int) and not isinstance(x, bool) and x and x % rows == 0:
        return f"{x // rows} rows"
    return x
