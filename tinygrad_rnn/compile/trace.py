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
from dataclasses import dataclass, field, replace
from typing import Any

from ..autograd.gradmode import mode, no_grad, set_grad_enabled
from ..engine.accumulate import Accumulator as Sum
from ..engine.backward import backward_pass as run
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import advance, tensors_in
from ..pickling import attributes
from ..random import drawing_from
from .guards import reads_of
from .noise import Draw, Traced
from .recorder import Trace
from .symbols import Mixing, Untraceable, Value
from .twin import Watch, members, twin_of

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
    given_tree: Any = None  # the form of the state that the step was given; of the one that it makes:
    state_tree: Any = None
    kept: dict[int, Any] = field(default_factory=dict)  # the arrays that the step brought along, by id

    backward: bool = False
    state_asks: list[bool] = field(default_factory=list)  # which states were traced with a gradient
    really_ask: list[bool] = field(default_factory=list)  # which have one, if only those do that have to
    asks: list[bool] = field(default_factory=list)  # which outputs and next states have one,
    first_asks: list[bool] = field(default_factory=list)  # and those of the first step
    noise: list[Value] = field(default_factory=list)  # random numbers, a row for each sequence
    draws: list[Draw] = field(default_factory=list)  # where they come from

    def copied(self) -> Step:
        """The same step, which no rewriting of this one changes."""
        twins: dict[int, Value] = {}

        def twin(v: Any) -> Any:
            return twins[id(v)] if isinstance(v, Value) else v

        for v in self.values:
            twins[id(v)] = replace(v, args=tuple(map(twin, v.args)))
        found: dict[str, Any] = {}
        for name, x in vars(self).items():
            if name in ("draws", "asks", "first_asks", "state_asks", "really_ask"):
                found[name] = x
            elif isinstance(x, list):
                found[name] = list(map(twin, x))
            elif isinstance(x, dict) and name != "kept":
                found[name] = {k: twin(v) for k, v in x.items()}
            else:
                found[name] = twin(x)
        return Step(**found)

    def results(self) -> list[Value]:
        """What the program has to compute."""
        found = [*self.ys, *self.nexts, self.d_x, *self.d_states, *self.d_params.values()]
        return [v for v in found if v is not None]

    def replace(self, by: Callable[[Any], Any]) -> None:
        """Let `by(v)` stand for each result v."""
        self.ys, self.nexts = [by(v) for v in self.ys], [by(v) for v in self.nexts]
        self.d_x, self.d_states = by(self.d_x), [by(d) for d in self.d_states]
        self.d_params = {path: by(d) for path, d in self.d_params.items()}


def trace(cell: Cell, x: Tensor, state: Any, backward: bool, early: bool = False) -> Step:
    """One step of `cell` on symbols shaped like x (N, ...) and `state`; with `backward`, its gradients.

    With `early`, x is what the cell's `project` has made of the inputs.
    """
    sizes = {n for t in [x, *tensors_in(state), *members(cell).values()] for n in t.shape}
    free = [r for r in PRIMES if not any(n % r == 0 for n in sizes if n)]
    try:
        return trace_several(cell, x, state, backward, early, free[0], free[1])
    except Mixing:  # or some sizes add up to the number of rows: then not to another one
        return trace_several(cell, x, state, backward, early, free[-1], free[-2])


def trace_several(
    cell: Cell, x: Tensor, state: Any, backward: bool, early: bool, first: int, second: int
) -> Step:
    """The step on several numbers of rows, which must be the same program for all of them."""
    leaves = tensors_in(state)

    def run_on(n: int, given: Any, grown: bool, strict: bool = True) -> Step:
        asks = [s.dtype.kind == "f" for s in leaves]
        return run_step(cell, x, given, asks, grown, Trace(n, codes_of(cell), not grown, strict), early)

    step = run_on(first, state, backward)
    if backward and step.really_ask != step.state_asks:
        trace = Trace(first, codes_of(cell), False)
        step = run_step(cell, x, state, step.really_ask, True, trace, early)
    others = [run_on(second, state, False)]
    if step.kept.keys() & others[0].kept.keys():
        raise Untraceable("a tensor from outside is used; make it an attribute of the cell")
    if repr(step.given_tree) != repr(step.state_tree):  # later steps are given the other kind of tuple
        parts = iter(leaves)
        others.append(run_on(second, each(lambda _: next(parts), step.state_tree), False))
    alike = all(same(step, other) and step.draws == other.draws for other in others)
    if alike and reads_of(cell).functions:  # a user's: they may look at the number of rows unnoticed
        plain = run_on(first, state, False, False)
        sizes = {max(2, len(leaves[0])), max(2, len(x)), 1009}
        alike = all(same(plain, run_on(n, state, False, False)) for n in sizes)
    if not alike:
        raise Untraceable(
            "step does something else when it is run again, or with another number of sequences"
        )
    return step


def codes_of(cell: Cell) -> set[Any]:
    """The code whose variables give values their names."""
    return {getattr(type(cell), name).__code__ for name in ("step", "project")}


def run_step(
    cell: Cell, x: Tensor, state: Any, asks: list[bool], backward: bool, trace: Trace, early: bool
) -> Step:
    """Trace the step, and its backward; asks: which states have a gradient."""
    flags = iter(asks)
    tensors = members(cell)
    params = parameters(trace, tensors, backward)
    data = rows(trace, "x", x, backward and x.requires_grad)
    live = each(lambda s: rows(trace, "", s, backward and next(flags)), state)
    step = Step(
        x=trace.value_of(data.array),
        states=[trace.value_of(s.array) for s in tensors_in(live)],
        dtype=next((s.dtype for s in tensors_in(state) if s.dtype.kind == "f"), x.dtype),
        rows=trace.rows,
        params={path: trace.value_of(t.array) for path, t in params.items()},
        given_tree=form(state),
        values=trace.values,
        kept=trace.kept,
        backward=backward,
        state_asks=asks,
    )
    trace.writes.forbid({"its input": data, "its state": live, **{f"self.{p}": t for p, t in params.items()}})
    twin = twin_of(cell, {id(t): params[path] for path, t in tensors.items()}, early)
    before, mode.interpreter = mode.interpreter, trace
    try:
        y, following = run_forward(trace, step, twin, data, live)
        if backward:
            given = [s.requires_grad for s in tensors_in(state)]
            find_who_asks(step, tensors_in(y), tensors_in(following), tensors_in(live), given)
            run_backward(trace, step, y, following, data, live, params)
    finally:
        mode.interpreter = before
        trace.writes.restore()
        trace.forget()
    return step


def rows(trace: Trace, name: str, like: Tensor, requires_grad: bool) -> Tensor:
    """A symbol with a row for each sequence, in a tensor."""
    return trace.input(name, (trace.rows, *like.shape[1:]), like.dtype, requires_grad)


def parameters(trace: Trace, tensors: dict[str, Tensor], backward: bool) -> dict[str, Tensor]:
    """A symbol for each tensor of the cell, in a tensor; one that has two paths has one symbol."""
    found: dict[int, Tensor] = {}
    for path, t in tensors.items():
        if t.node is not None:
            raise Untraceable(f"{path} is the result of an operation, not a parameter or a constant")
        if id(t) not in found:
            name = "".join(c if f"_{c}".isidentifier() else "_" for c in path)
            found[id(t)] = like(trace.input(name, t.shape, t.dtype, backward and t.requires_grad), t)
    return {path: found[id(t)] for path, t in tensors.items()}


def like(tensor: Tensor, original: Tensor) -> Tensor:
    """Make a tensor an instance of the original's class, with what a program has given that one."""
    tensor.__class__ = type(original)
    vars(tensor).update(attributes(original))
    return tensor


def run_forward(trace: Trace, step: Step, cell: Cell, data: Tensor, live: Any) -> tuple[Any, Any]:
    """The cell's own code, on symbols: its output and next state. It may write nothing else."""
    source, watch = Traced(trace), Watch(cell)
    with set_grad_enabled(mode.enabled), drawing_from(source):
        a = cell.project(data)
        if source.draws:
            raise Untraceable("project draws random numbers")  # for all steps at once: it is done eagerly
        y, following = advance(cell, a, live)
    trace.name_frames()
    if written := watch.written():
        raise Untraceable(f"step writes {', '.join(written)}: a program would do so only once")
    step.noise, step.draws = source.values, source.draws
    step.y_tree = form(y)
    step.state_tree = form(following)
    if plain_form(step.state_tree) != plain_form(step.given_tree):
        made, given = (repr(tree).replace("None", "tensor") for tree in (step.state_tree, step.given_tree))
        raise Untraceable(f"step makes a state of the form {made} from one of {given}")
    step.ys = [as_row(trace, t, "output") for t in tensors_in(y)]
    step.nexts = [as_row(trace, t, "state") for t in tensors_in(following)]
    step.forward_count = len(trace.values)
    for s, n in zip(step.states, step.nexts):
        if s.shape != n.shape or s.dtype != n.dtype:
            raise Untraceable(
                f"step makes a state {n.shape[1:]} {n.dtype} from one of {s.shape[1:]} {s.dtype}"
            )
    return y, following


def find_who_asks(step: Step, ys: Any, nexts: Any, live: Any, given: list[bool]) -> None:
    """Note which outputs and states have a gradient, at the first step and at later ones.

    A state has one if it is given one, or if the step makes it of something that has: the least fixed point.
    """
    made_of = [leaves_of(t) for t in (*ys, *nexts)]
    states = {id(s): k for k, s in enumerate(live)}

    def asks(known: list[bool]) -> list[bool]:
        return [any(known[states[x]] if x in states else True for x in leaves) for leaves in made_of]

    step.first_asks, known = asks(given), given
    while (more := [a or b for a, b in zip(known, asks(known)[len(ys) :])]) != known:
        known = more
    step.really_ask, step.asks = known, asks(known)


def leaves_of(t: Tensor) -> set[int]:
    """The ids of the leaves that a tensor has a gradient with respect to."""
    found, stack = set(), [t if t.node is None else t.node] if t.requires_grad else []
    seen = set()
    while stack:
        x = stack.pop()
        if isinstance(x, Tensor):
            found.add(id(x))
        elif id(x) not in seen:
            seen.add(id(x))
            stack.extend(parent for parent in x.parents if parent is not None)
    return found


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
        return None if g is None else trace.value_of(getattr(g, "array", g))

    step.d_x, step.d_states = gradient(data), [gradient(s) for s in states]
    for k, (s, t) in enumerate(zip(states, tensors_in(following))):
        if s.requires_grad and step.d_nexts[k] is None:  # only what was given has a gradient
            step.d_nexts[k] = trace.value_of(trace.input("d_next", t.shape, t.dtype, False).array)
    step.d_params = {path: gradient(t) for path, t in params.items() if t.requires_grad}


def as_row(trace: Trace, tensor: Any, what: str) -> Value:
    """The value of an output or a state, which must have a row for each sequence."""
    if not isinstance(tensor, Tensor):
        raise Untraceable(f"step returns {type(tensor).__name__} as {what}, not a tensor")
    value = trace.value_of(tensor.array)
    if not isinstance(value, Value) or (trace.strict and value.kind != "row"):
        raise Untraceable(f"step returns {what} of shape {tensor.shape}, which has no row for each sequence")
    return value


def plain_form(tree: Any) -> Any:
    """The form of a state, a tuple and a named tuple being alike."""
    return tuple(map(plain_form, tree)) if isinstance(tree, tuple) else tree


def form(tree: Any) -> Any:
    """The form of a state, without its tensors."""
    return each(lambda _: None, tree)


def same(a: Step, b: Step) -> bool:
    """True if two traces, of different numbers of rows, are the same program."""
    place_a, place_b = ({id(v): i for i, v in enumerate(s.values)} for s in (a, b))

    def described(step: Step, place: Any, v: Value) -> Any:
        args = [place[id(x)] if isinstance(x, Value) else x for x in v.args]
        static = {k: of_rows(s, step.rows, b.rows) if k == "shape" else s for k, s in v.static.items()}
        data = None if v.data is None else v.data.tolist()
        if v.data is not None and (v.data == v.data.reshape(-1)[:1]).all():  # one number, in every row
            data = v.data.reshape(-1)[:1].tolist()
        return repr((v.op, args, static, of_rows(v.shape, step.rows, b.rows), data))

    seen_a, seen_b = a.values[: a.forward_count], b.values[: b.forward_count]
    return len(seen_a) == len(seen_b) and all(
        described(a, place_a, v) == described(b, place_b, w) for v, w in zip(seen_a, seen_b)
    )


def of_rows(shape: Any, rows: int, n: int) -> tuple[int, ...]:
    """A shape in a step on `rows` sequences, for n of them."""
    return tuple(int(k) // rows * n if k and k % rows == 0 else int(k) for k in shape)
