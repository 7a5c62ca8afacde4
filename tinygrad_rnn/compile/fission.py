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
else it is better done while the step's numbers are in the cache. Next: spots.py.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from .kinds import columns_of
from .symbols import Value, key_of
from .trace import Step

PARTS = [f"{way} {part}" for way in ("forward", "back") for part in ("before", "loop", "after")]


@dataclass
class Plan:
    """The parts of a program: values in the order in which they are computed."""

    step: Step
    backward: bool
    hoist: bool
    parts: dict[str, list[Value]] = field(default_factory=lambda: {name: [] for name in PARTS})
    part: dict[int, str] = field(default_factory=dict)  # where each value is made: in a part, or "const"


def plan(step: Step, backward: bool, hoist: bool) -> Plan:
    """The plan of a step; with `backward`, of its gradients too."""
    new = Plan(step, backward, hoist)
    if hoist:
        widen(step)
    Simplifier(step).run()
    needed, ahead = ancestors(step.results()), ancestors([*step.ys, *step.nexts])
    values = [v for v in step.values if id(v) in needed and v.op is not None]
    split(new, "forward", [v for v in values if id(v) in ahead], step.states, step.nexts, set())
    seeds, carried = some(step.d_nexts), some(step.d_states)
    rest = [v for v in values if id(v) not in ahead]
    split(new, "back", rest, seeds, carried, set(map(id, seeds)))
    return new


def some(values: Iterable[Value | None]) -> list[Value]:
    """The values that there are."""
    return [v for v in values if v is not None]


def ancestors(values: Iterable[Value]) -> set[int]:
    """The ids of all values that these are made of, themselves included."""
    seen: set[int] = set()
    stack = list(values)
    while stack:
        v = stack.pop()
        if id(v) not in seen:
            seen.add(id(v))
            stack.extend(v.inputs())
    return seen


def descendants(values: list[Value], sources: Iterable[Value]) -> set[int]:
    """The ids of those among `values` (in order) that are made of `sources`, and of the sources."""
    found = {id(s) for s in sources}
    for v in values:
        if any(id(a) in found for a in v.args):
            found.add(id(v))
    return found


def split(
    new: Plan, way: str, values: list[Value], carried: list[Value], next_: list[Value], brief: set[int]
) -> None:
    """Share values among before, loop and after.

    What is made of the `carried` values is late; of this, the next step waits for what `next_` is made of.
    What reads a `brief` input, there for one step only, is done in the loop.
    """
    late, awaited = descendants(values, carried), ancestors(next_)
    early_products = ancestors(
        v for v in values if v.op == "matmul" and v.kind == "row" and id(v) not in late
    )
    idle = [v for v in values if id(v) in late and id(v) not in awaited]
    after_products = descendants(idle, [v for v in idle if v.op == "matmul"])
    for v in values:
        if v.kind == "const":
            new.part[id(v)] = "const"
            continue
        reads_brief = v.op != "matmul" and any(id(a) in brief for a in v.args)
        if v.kind != "row" or any(new.part.get(id(a)) == f"{way} after" for a in v.args):
            part = "after"
        elif id(v) not in late:
            part = "before" if new.hoist or id(v) in early_products else "loop"
        elif id(v) in awaited:
            part = "loop"
        else:
            part = "after" if id(v) in after_products or (new.hoist and not reads_brief) else "loop"
        new.parts[f"{way} {part}"].append(v)
        new.part[id(v)] = f"{way} {part}"


# --- identities


def widen(step: Step) -> None:
    """One call on all of `a` for several on slices of it: i, f, o = σ(a_i), σ(a_f), σ(a_o) look at σ(a).

    That computes what nobody needs (σ(a_g)), but a small step's time goes into calls, not into numbers.
    """
    groups: dict[Any, list[Value]] = {}
    for v in step.values[: step.forward_count]:
        if v.op in ("sigmoid", "tanh") and v.kind == "row" and columns_of(v.args[0]):
            groups.setdefault((v.op, id(v.args[0].args[0])), []).append(v)
    for (op, _), same in groups.items():
        cuts = [v.args[0] for v in same]
        a = cuts[0].args[0]
        if len(same) < 2 or 2 * sum(cut.shape[1] for cut in cuts) < a.shape[1]:
            continue
        first, last = step.values.index(same[0]), step.values.index(same[-1])
        early = any(x in same for y in step.values[first:last] for x in y.args)
        place = step.values[first if early else last]
        whole = Value(op, (a,), {}, a.shape, a.dtype, "row")
        for v, cut in zip(same, cuts):
            v.op, v.args, v.static = "getitem", (whole,), cut.static
        rest = [v for v in step.values if v is place or v not in same]
        k = rest.index(place)
        step.values = [*rest[:k], whole, *same, *rest[k + 1 :]]
        step.forward_count += 1


class Simplifier:
    """Rewrites the values of a step in place, in their order."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.new: list[Value] = []  # the values as they will be
        self.swap: dict[int, Value] = {}  # what stands for an old value
        self.known: dict[Any, Value] = {}  # what is not computed twice
        self.uses: Counter[int] = Counter()
        self.factors: dict[int, tuple[Value, Any]] = {}  # of products that are not made yet: g and factor

    def run(self) -> None:
        """Apply the identities, and let the step speak of the new values."""
        step, results = self.step, self.step.results()
        needed = ancestors(results) | {id(v) for v in step.values if v.op is None}
        forward = [v for v in step.values[: step.forward_count] if id(v) in needed]
        backward = [v for v in step.values[step.forward_count :] if id(v) in needed]
        for v in [*forward, *backward]:
            self.uses.update(map(id, v.args))
        for v in results:
            self.uses[id(v)] += 2
        late = descendants(forward, step.states)
        for v in forward:
            self.put(v, self.sum_early(v, late) if v.op == "add" and v.kind == "row" else None)
        hot = descendants(backward, some([*step.d_ys, *step.d_nexts]))
        for v in backward:
            self.regroup(v, hot)
        step.values = self.new
        step.replace(self.whole)

    # --- building

    def make(self, op: str, args: tuple[Any, ...], like: Value, name: str = "") -> Value:
        """A value of an elementwise operation on rows."""
        key = key_of(op, args)
        if key not in self.known:
            values = [a for a in args if isinstance(a, Value)]
            shape = np.broadcast_shapes(*(a.shape for a in values))
            kind = "row" if any(a.kind == "row" for a in values) else "const"
            self.known[key] = value = Value(op, args, {}, shape, like.dtype, kind, name)
            self.new.append(value)
        return self.known[key]

    def put(self, v: Value, replacement: Any = None) -> None:
        """Take over a value, its arguments replaced."""
        if replacement is not None:
            self.swap[id(v)] = replacement
            replacement.name = v.name or replacement.name
            return
        v.args = tuple(self.whole(a) for a in v.args)
        self.new.append(v)
        if not v.static:
            self.known.setdefault(key_of(v.op, v.args), v)

    def whole(self, v: Any) -> Any:
        """What stands for `v` now, a delayed factor multiplied."""
        if id(v) in self.factors:
            self.swap[id(v)] = Value("mul", self.factors.pop(id(v)), {}, v.shape, v.dtype, v.kind, v.name)
            self.new.append(self.swap[id(v)])
        return self.swap.get(id(v), v)

    # --- u + (a + b)

    def sum_early(self, v: Value, late: set[int]) -> Any:
        """A sum in which what is known before the loop is added first; None if there is nothing to gain."""
        terms = self.terms(v, v)
        const = [t for t in terms if t.kind == "const"]
        known = [t for t in terms if t.kind != "const" and id(t) not in late]
        awaited = [t for t in terms if t.kind != "const" and id(t) in late]
        early = len(const) >= 2 or (awaited and len(const) + len(known) >= 2)
        if len(terms) < 3 or not early:
            return None
        name = next((a.name for a in v.args if a.op == "add" and a.name), "")
        total = None
        for group in (const, known, awaited):
            shares = [self.whole(t) for t in group]
            if not shares:
                continue
            share = reduce(lambda s, t: self.make("add", (s, t), v), shares)
            of = name if group is known else ""
            total = share if total is None else self.make("add", (share, total), v, of)
        return total if total is not None and total.shape == v.shape else None

    def terms(self, v: Value, root: Value) -> list[Value]:
        """What `v` is a sum of."""
        found: list[Value] = []
        for a in v.args:
            if not isinstance(a, Value) or a.dtype != root.dtype:
                return [v]
            inner = a.op == "add" and self.uses[id(a)] == 1
            found += self.terms(a, root) if inner else [a]
        return found

    # --- one factor for each gradient

    def regroup(self, v: Value, hot: set[int]) -> None:
        """Take over a backward value; if it is a gradient times something, the product may wait."""
        form = self.form(v, hot) if id(v) in hot and v.kind == "row" else None
        if form is None:
            self.put(v)
            return
        self.factors[id(v)] = form
        if self.uses[id(v)] != 1:
            self.whole(v)

    def form(self, v: Value, hot: set[int]) -> tuple[Value, Any] | None:
        """(g, factor) with v = g * factor, or None."""
        if v.op not in ("mul", "neg", "div", "add", "sub") or any(a.dtype != v.dtype for a in v.inputs()):
            return None
        is_hot = [isinstance(a, Value) and id(a) in hot for a in v.args]
        if v.op in ("add", "sub"):
            return self.common(v) if all(is_hot) else None
        if v.op != "neg" and is_hot != [True, False] and (is_hot != [False, True] or v.op == "div"):
            return None
        a, *others = v.args if is_hot[0] else v.args[::-1]
        g, factor = self.factors.pop(id(a), (None, None))
        others = [self.whole(b) for b in others]
        if g is not None and exact(str(v.op), (factor, *others)):
            return g, self.calc(str(v.op), (factor, *others), v)
        if g is not None:
            self.factors[id(a)] = (g, factor)
        return (self.whole(a), others[0]) if v.op == "mul" else None

    def common(self, v: Value) -> tuple[Value, Any] | None:
        """g * a ± g * b = g * (a ± b)"""
        a, b = (self.factors.get(id(x)) for x in v.args)
        if a is None or b is None or a[0] is not b[0] or v.args[0] is v.args[1]:
            return None
        if not exact(str(v.op), (a[1], b[1])):
            return None
        for x in v.args:
            del self.factors[id(x)]
        return a[0], self.calc(str(v.op), (a[1], b[1]), v)

    def calc(self, op: str, args: tuple[Any, ...], like: Value) -> Any:
        """An operation on factors; numbers are computed here."""
        if not any(isinstance(a, Value) for a in args):
            return FOLDED[op](*args)
        for a, b in (args, args[::-1]) if op == "add" else ():
            if isinstance(a, Value) and a.op == "neg":  # -a + b = b - a
                return self.make("sub", (b, a.args[0]), like)
        return self.make(op, args, like)


def exact(op: str, args: tuple[Any, ...]) -> bool:
    """True if an operation on numbers can be done beforehand without rounding, or is none on numbers."""
    if any(isinstance(a, Value) or not math.isfinite(a) for a in args):
        return all(isinstance(a, Value) or math.isfinite(a) for a in args)
    function = FOLDED[op]
    if op == "div" and args[1] == 0:
        return False
    return bool(Fraction(function(*args)) == function(*map(Fraction, args)))


FOLDED: dict[str, Any] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
}
