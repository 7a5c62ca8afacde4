"""Fission: what must stay inside the time loop, and what need not.

From a traced step (trace.py) this makes a `Plan`: lists of values for before the loop, the loop, and
after the loop, forward and backward. For `h = tanh(a + h @ W.T)` with a = x @ W_ih.T + b:

    forward   before   a = x @ W_ih.T + b                  needs no state: all steps at once
              loop     h = tanh(a[t] + h @ W.T)            the next step waits for it
    backward  before   s = 1 - h * h                       needs no incoming gradient: all steps at once
              loop     d_a[t] = d_h * s[t];  d_h = d_a[t] @ W
              after    d_W = d_a.T @ h;  d_x = d_a @ W_ih  no step waits for it: one product, not T

First three identities make the loop shorter: constants and inputs are summed before what the loop adds
(`u + (a + b)`, not `a + (u + b)`); a gradient meets one factor (`d_h * (o * (1 - o))`, not two in turn);
d_h * a - d_h * b is d_h * (a - b). What nothing needs falls away. Products always leave the loop if they
can; elementwise work leaves it (`hoist`) if a step is so small that the calls cost more than the numbers:
else it is better done while the step's numbers are in the cache. Next: storage.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .kinds import columns
from .symbols import Value
from .trace import Step

PRODUCTS = {"matmul", "einsum"}
VIEWS = {"getitem", "permute", "reshape"}


class Plan:
    """The parts of a program: values in the order in which they are computed."""

    def __init__(self, step: Step, backward: bool, hoist: bool) -> None:
        self.step, self.backward, self.hoist = step, backward, hoist
        self.const: list[Value] = []
        self.forward: dict[str, list[Value]] = {"before": [], "loop": [], "after": []}
        self.back: dict[str, list[Value]] = {"before": [], "loop": [], "after": []}
        self.part: dict[int, str] = {}  # of each value: "input", "const", "forward loop", …
        self.results: list[Value] = []


def plan(step: Step, backward: bool, hoist: bool) -> Plan:
    """The plan of a step; with `backward`, of its gradients too."""
    new = Plan(step, backward, hoist)
    if hoist:
        widen(step)
    Simplifier(step).run()
    outputs = [*step.ys, *step.nexts]
    gradients = [step.d_x, *step.d_states, *step.d_params.values()] if backward else []
    new.results = [*outputs, *(g for g in gradients if g is not None)]
    needed = ancestors(new.results)
    values = [v for v in step.values if id(v) in needed and v.op is not None]
    ahead = ancestors(outputs)
    split_forward(new, [v for v in values if id(v) in ahead])
    if backward:
        split_backward(new, [v for v in values if id(v) not in new.part])
    return new


def ancestors(values: Iterable[Value]) -> set[int]:
    """The ids of all values that these are made of, themselves included."""
    seen: set[int] = set()
    stack = list(values)
    while stack:
        v = stack.pop()
        if id(v) not in seen:
            seen.add(id(v))
            stack.extend(a for a in v.args if isinstance(a, Value))
    return seen


def descendants(values: list[Value], sources: Iterable[Value]) -> set[int]:
    """The ids of those among `values` (in order) that are made of `sources`, and of the sources."""
    found = {id(s) for s in sources}
    for v in values:
        if any(id(a) in found for a in v.args):
            found.add(id(v))
    return found


def split_forward(new: Plan, values: list[Value]) -> None:
    """Sort the forward values into before, loop and after."""
    step = new.step
    late = descendants(values, step.states)
    sort(new, new.forward, "forward", values, late, ancestors(step.nexts), set())


def split_backward(new: Plan, values: list[Value]) -> None:
    """Sort the backward values. What depends on the carried gradient is late."""
    step = new.step
    late = descendants(values, [d for d in step.d_nexts if d is not None])
    carried = {id(d) for d in step.d_nexts if d is not None}
    sort(new, new.back, "back", values, late, ancestors([d for d in step.d_states if d is not None]), carried)


def sort(
    new: Plan,
    parts: dict[str, list[Value]],
    way: str,
    values: list[Value],
    late: set[int],
    awaited: set[int],
    brief: set[int],
) -> None:
    """Where each value is computed. What reads a `brief` input, there for one step, is done in the loop."""
    rows = [v for v in values if v.kind != "const"]
    early = [v for v in rows if id(v) not in late and v.kind == "row"]
    out = ancestors(v for v in early if v.op in PRODUCTS)
    idle = [v for v in rows if id(v) in late and id(v) not in awaited]
    after = descendants(
        idle, [v for v in rows if v.op in PRODUCTS and id(v) in late and id(v) not in awaited]
    )
    for v in values:
        if v.kind == "const":
            new.const.append(v)
            new.part[id(v)] = "const"
            continue
        if v.kind != "row":
            part = "after"
        elif id(v) not in late:
            part = "before" if new.hoist or id(v) in out else "loop"
        elif id(v) in awaited:
            part = "loop"
        else:
            reads = any(id(a) in brief for a in v.args) and v.op not in PRODUCTS
            part = "after" if (new.hoist and not reads) or id(v) in after else "loop"
        if part == "loop" and any(new.part.get(id(a)) == f"{way} after" for a in v.args):
            part = "after"
        parts[part].append(v)
        new.part[id(v)] = f"{way} {part}"


# --- identities


def widen(step: Step) -> None:
    """One call on all of `a` for several on slices of it: i, f, o = σ(a_i), σ(a_f), σ(a_o) look at σ(a).

    That computes what nobody needs (σ(a_g)), but a small step's time goes into calls, not into numbers.
    """
    groups: dict[Any, list[Value]] = {}
    for v in step.values[: step.forward_count]:
        if v.op in ("sigmoid", "tanh") and v.kind == "row" and (cut := slice_of(v.args[0])):
            groups.setdefault((v.op, id(cut[0])), []).append(v)
    for (op, _), same in groups.items():
        a = same[0].args[0].args[0]
        cuts = [columns(v.args[0].static["index"]) or (0, 0) for v in same]
        if len(same) < 2 or 2 * sum(hi - lo for lo, hi in cuts) < a.shape[1]:
            continue
        at = {id(v): k for k, v in enumerate(step.values)}
        first, last = at[id(same[0])], at[id(same[-1])]
        early = any(x is v for y in step.values[first:last] for x in y.args for v in same)
        whole = Value(op, (a,), {}, a.shape, a.dtype, "row")
        place = step.values[first if early else last]
        for v, (lo, hi) in zip(same, cuts):
            v.op, v.args, v.static = "getitem", (whole,), {"index": (slice(None), slice(lo, hi))}
        rest = [v for v in step.values if v is place or not any(v is x for x in same)]
        k = next(k for k, v in enumerate(rest) if v is place)
        step.values = [*rest[:k], whole, *same, *rest[k + 1 :]]
        step.forward_count += 1


def slice_of(v: Any) -> Any:
    """(what v is a slice of, the slice), if v is `a[:, lo:hi]`; else None."""
    cut = columns(v.static["index"]) if isinstance(v, Value) and v.op == "getitem" else None
    return None if cut is None else (v.args[0], cut)


class Simplifier:
    """Rewrites the values of a step in place, in their order."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.new: list[Value] = []
        self.swap: dict[int, Value] = {}
        self.known: dict[Any, Value] = {}
        self.uses: dict[int, int] = {}
        self.factors: dict[
            int, tuple[Value, Any]
        ] = {}  # a gradient seen as (gradient, factor) that is not yet multiplied

    def run(self) -> None:
        """Apply the identities, and let the step speak of the new values."""
        step = self.step
        results = [*step.ys, *step.nexts, step.d_x, *step.d_states, *step.d_params.values()]
        needed = ancestors([v for v in results if v is not None])
        for v in step.values:
            if id(v) in needed:
                for a in v.args:
                    self.uses[id(a)] = self.uses.get(id(a), 0) + 1
        for v in results:
            self.uses[id(v)] = self.uses.get(id(v), 0) + 2
        forward = [v for v in step.values[: step.forward_count] if id(v) in needed or v.op is None]
        late = descendants(forward, step.states)
        for v in forward:
            self.put(v, self.sum_early(v, late) if v.op == "add" and v.kind == "row" else None)
        rest = [v for v in step.values[step.forward_count :] if id(v) in needed or v.op is None]
        hot = descendants(rest, [d for d in (*step.d_ys, *step.d_nexts) if d is not None])
        for v in rest:
            self.regroup(v, hot)
        step.values = self.new
        step.ys, step.nexts = [self.whole(v) for v in step.ys], [self.whole(v) for v in step.nexts]
        step.d_x = self.whole(step.d_x)
        step.d_states = [self.whole(d) for d in step.d_states]
        step.d_params = {k: self.whole(d) for k, d in step.d_params.items()}

    # --- building

    def make(self, op: str, args: tuple[Any, ...], like: Value, name: str = "") -> Value:
        """A value of an elementwise operation on rows."""
        key = (op, *(id(a) if isinstance(a, Value) else (type(a), a) for a in args))
        if key in self.known:
            return self.known[key]
        shapes = [a.shape for a in args if isinstance(a, Value)]
        n = max(map(len, shapes))
        shape = tuple(max(s[i - n] if len(s) >= n - i else 1 for s in shapes) for i in range(n))
        kind = "row" if any(isinstance(a, Value) and a.kind == "row" for a in args) else "const"
        value = self.known[key] = Value(op, args, {}, shape, like.dtype, kind)
        value.name = name
        self.new.append(value)
        return value

    def put(self, v: Value, replacement: Any = None) -> None:
        """Take over a value, its arguments replaced."""
        if replacement is not None:
            self.swap[id(v)] = replacement
            replacement.name = v.name or replacement.name
            return
        v.args = tuple(self.whole(a) if isinstance(a, Value) else a for a in v.args)
        self.new.append(v)
        self.known.setdefault(
            (v.op, *(id(a) if isinstance(a, Value) else (type(a), a) for a in v.args)) if not v.static else v,
            v,
        )

    def whole(self, v: Any) -> Any:
        """What stands for `v` now, a delayed factor multiplied."""
        if v is None or not isinstance(v, Value):
            return v
        if id(v) in self.factors:
            g, factor = self.factors.pop(id(v))
            product = Value("mul", (g, factor), {}, v.shape, v.dtype, v.kind)
            product.name = v.name
            self.new.append(product)
            self.swap[id(v)] = product
        return self.swap.get(id(v), v)

    # --- u + (a + b)

    def sum_early(self, v: Value, late: set[int]) -> Any:
        """A sum in which what is known before the loop is added first; None if there is nothing to gain."""
        terms = self.terms(v, v)
        groups: list[list[Value]] = [[], [], []]
        for t in terms:
            groups[0 if t.kind == "const" else 1 if id(t) not in late else 2].append(t)
        if len(terms) < 3 or (len(groups[0]) < 2 and (not groups[2] or len(groups[0]) + len(groups[1]) < 2)):
            return None
        total: Any = None
        name = next((a.name for a in v.args if isinstance(a, Value) and a.op == "add" and a.name), "")
        for k, group in enumerate(groups):
            share: Any = None
            for t in group:
                share = self.whole(t) if share is None else self.make("add", (share, self.whole(t)), v)
            if share is not None:
                total = (
                    share if total is None else self.make("add", (share, total), v, name if k == 1 else "")
                )
        return total if total.shape == v.shape else None

    def terms(self, v: Value, root: Value) -> list[Value]:
        """What `v` is a sum of."""
        found: list[Value] = []
        for a in v.args:
            if not isinstance(a, Value) or a.dtype != root.dtype:
                return [v]
            inner = a.op == "add" and self.uses.get(id(a)) == 1
            found += self.terms(a, root) if inner else [a]
        return found

    # --- one factor for each gradient

    def regroup(self, v: Value, hot: set[int]) -> None:
        """Take over a backward value; if it is a gradient times something, the product may wait."""
        if id(v) in hot and v.kind == "row" and v.op in ("mul", "neg", "div", "add", "sub"):
            form = self.form(v, hot)
            if form is not None:
                g, factor = form
                self.factors[id(v)] = (g, factor)
                if self.uses.get(id(v)) != 1:
                    self.whole(v)
                return
        self.put(v)

    def form(self, v: Value, hot: set[int]) -> Any:
        """(g, factor) with v = g * factor, or None."""
        is_hot = [isinstance(a, Value) and id(a) in hot for a in v.args]
        if any(
            isinstance(a, Value) and (a.kind not in ("row", "const") or a.dtype != v.dtype) for a in v.args
        ):
            return None
        if v.op == "neg":
            found = self.factors.pop(id(v.args[0]), None)
            return None if found is None else (found[0], self.calc("neg", (found[1],), v))
        if v.op in ("add", "sub"):
            return self.common(v) if all(is_hot) else None
        if is_hot not in ([True, False], [False, True]) or (v.op == "div" and is_hot[1]):
            return None
        a, b = v.args if is_hot[0] else v.args[::-1]
        found = self.factors.pop(id(a), None)
        b = self.whole(b)
        if v.op == "div":
            return None if found is None else (found[0], self.calc("div", (found[1], b), v))
        return (self.whole(a), b) if found is None else (found[0], self.calc("mul", (found[1], b), v))

    def common(self, v: Value) -> Any:
        """g * a ± g * b = g * (a ± b)"""
        a, b = (self.factors.get(id(x)) for x in v.args)
        if a is None or b is None or a[0] is not b[0] or v.args[0] is v.args[1]:
            return None
        for x in v.args:
            del self.factors[id(x)]
        return a[0], self.calc(str(v.op), (a[1], b[1]), v)

    def calc(self, op: str, args: tuple[Any, ...], like: Value) -> Any:
        """An operation on factors; numbers are computed here."""
        if any(isinstance(a, Value) for a in args):
            if (
                op in ("add", "sub", "mul")
                and args[0].__class__ is Value
                and args[0].op == "neg"
                and op == "add"
            ):
                return self.make("sub", (args[1], args[0].args[0]), like)
            if op == "add" and isinstance(args[1], Value) and args[1].op == "neg":
                return self.make("sub", (args[0], args[1].args[0]), like)
            return self.make(op, args, like)
        x = args[0]
        return (
            -x
            if op == "neg"
            else x + args[1]
            if op == "add"
            else x - args[1]
            if op == "sub"
            else x * args[1]
            if op == "mul"
            else x / args[1]
        )
