"""Statements: the parts of a plan, and its loop, as calls of NumPy.

    row v = mul(d_h, s), v at d_a[t]      becomes      np.multiply(d_h, s, out=d_a)

In the loop a name is a view of this step: `workspace` makes the views once for a shape, and
`for d_h, s, d_a in w.back_steps:` hands them out. Next: emit.py.
"""

from __future__ import annotations

from .lines import Line, merged
from .numpy_text import PRODUCTS, items, wrapped
from .operands import Operands
from .spots import Buffer, Spot, disjoint, is_view, slices_of
from .symbols import Value


def part_of(s: Spot, lo: int, hi: int) -> Spot:
    """Entries lo … hi - 1 of a spot."""
    start = s.lo or 0
    return s._replace(lo=start + lo, hi=start + hi)


def gaps(v: Value, out: Spot, cuts: list[tuple[int, int]]) -> list[Spot]:
    """The parts of `out` that no part of `v` is written to."""
    ends, starts = [0, *(hi for _, hi in sorted(cuts))], [*(lo for lo, _ in sorted(cuts)), v.shape[1]]
    return [part_of(out, lo, hi) for lo, hi in zip(ends, starts) if lo < hi]


class Statements(Operands):
    """The statements of one plan."""

    # --- one part

    def lines_of(self, values: list[Value]) -> list[Line]:
        """The calls of a part of the program."""
        found = []
        for v in values:
            if v.kind != "row" or is_view(v):
                continue
            out = self.storage.spot(v)
            if v.op in ("place", "cat") and (cuts := slices_of(v)) is not None:
                found += self.copies(v, out, cuts) if disjoint(cuts) else self.sums(v, out, cuts)
            elif v.op == "matmul" and self.last:
                dot = all(a.dtype == v.dtype for a in v.inputs())  # np.dot is quicker to call than matmul
                args = (self.transposed(v.args[1]), self.arg(v.args[0]))
                found.append(Line("dot" if dot else "matmul", args, out, v.static))
            else:
                found.append(Line(str(v.op), tuple(map(self.arg, v.args)), out, v.static))
        return found

    def copies(self, v: Value, out: Spot, cuts: list[tuple[int, int]]) -> list[Line]:
        """Copy the parts of a larger value that were not written to their slices at once; zeros between."""
        lines = [] if out.buffer.zeros else [Line("copy", ("0",), gap, {}) for gap in gaps(v, out, cuts)]
        lines += [
            Line("copy", (self.arg(piece),), part_of(out, lo, hi), {})
            for piece, (lo, hi) in zip(v.args, cuts)
        ]
        return [line for line in lines if line.args[0] != line.out]

    def sums(self, v: Value, out: Spot, cuts: list[tuple[int, int]]) -> list[Line]:
        """Zeros, to which parts are added that overlap."""
        lines = [Line("copy", ("0",), out, {})]
        for piece, (lo, hi) in zip(v.args, cuts):
            target = part_of(out, lo, hi)
            lines.append(Line("add", (target, self.arg(piece)), target, {}))
        return lines

    def part(self, values: list[Value]) -> list[str]:
        """The statements of a part that runs over all steps at once."""
        out = []
        for line in merged(self.lines_of(values)):
            args, target = (
                [self.whole(a) if isinstance(a, Spot) else a for a in line.args],
                self.whole(line.out),
            )
            if line.op in ("matmul", "dot") and self.last:
                self.helpers["products"] = PRODUCTS
                out.append(f"products({', '.join(args)}, out={target})")
            else:
                out += self.say(line, args, target)
        return out

    def say(self, line: Line, args: list[str], out: str, in_loop: bool = False) -> list[str]:
        """A line as source."""
        if line.op == "neg" and not (self.last and in_loop):  # NumPy 2.4 negates some strided arrays wrongly
            return self.call("mul", [*args, "-1"], line.static, out, self.last)
        return self.call(line.op, args, line.static, out, self.last)

    # --- the loop

    def loop(self, way: str, values: list[Value]) -> list[str]:
        """The loop, and before it the names of what is the same memory at each step."""
        lines = merged(self.lines_of(values))
        for after, target in self.storage.ends[way]:
            lines.append(Line("copy", ("0" if after is None else self.storage.spot(after),), target, {}))
        used = dict.fromkeys(s for line in lines for s in (*line.reads(), line.out))
        given = list(dict.fromkeys(s.buffer for s in used if s.buffer.scope == "given"))
        local = {s: self.at_step(s) for s in used if s.buffer.scope == "given"}
        local |= {s: self.unique(self.local_name(s, way)) for s in used if s not in local}
        fixed, views = {}, {}
        for s, name in local.items():
            if self.last and s.buffer.scope in ("step", "live"):  # the same memory at each step
                fixed[name] = self.at_step(s)
            elif s.buffer.scope != "given":
                views[name] = self.at_step(s)
        body = []
        for line in lines:
            out = local[line.out]
            if line.op == "sigmoid" and self.last and self.plan.hoist:
                n = self.ones(line.out)
                fixed[f"ones_{n}"] = f"w.ones[:{n}]"
                out += f", one=ones_{n}"
            body += self.say(line, [local[a] if isinstance(a, Spot) else a for a in line.args], out, True)
        self.loop_views[way] = list(views.values())
        before = [f"{name} = {text}" for name, text in fixed.items()]
        head = wrapped(self.header(way, list(views), given)) if body else []
        return [*before, *head, *(f"    {text}" for text in body)]

    def ones(self, s: Spot) -> int:
        """The width of a spot, of which there is to be an array of ones."""
        n: int = s.buffer.tail[0] if s.lo is None or s.hi is None else s.hi - s.lo
        self.most_ones = max(self.most_ones, n)
        return n

    def header(self, way: str, views: list[str], given: list[Buffer]) -> str:
        """The line that starts the loop: the views of this step, and the rows of what the caller gave."""
        names, turn = items(views), self.turn(way)
        if not given:
            return f"for {f'({names})' if len(names) > 90 else names or '_'} in w.{way}_steps:"
        steps = "{}_columns" + turn if self.last else f"[{{}}[s:e] for s, e in w.blocks{turn}]"
        targets = ", ".join(f"{b.name}_t" for b in given)
        sources = ", ".join(steps.format(b.name) for b in given)
        each = f"(({names}), {targets})" if views else f"_, {targets}"
        return f"for {each} in zip(w.{way}_steps, {sources}):"

    def turn(self, way: str) -> str:
        """What to write behind something with an entry for each step, if the loop runs against its order."""
        return "[::-1]" if (way == "back") != (self.reverse and self.last) else ""

    def local_name(self, s: Spot, way: str) -> str:
        """The name of what is written last to a spot, or of what looks at it."""
        b = s.buffer
        if b.scope in ("history", "live") and s.lo is None and not s.chain:
            return f"{b.name}_next" if s.which == "next" else b.name
        held = [(v.name, where) for v, where in b.holds if v.name]
        same = [name for name, where in held if where == s]
        if same:
            return same[-1]
        if s in self.looks:
            return self.looks[s]
        if s.lo is None:
            return b.name
        inside = [n for n, x in held if x.lo is not None and s.lo <= x.lo and (x.hi or 0) <= (s.hi or 0)]
        return "_".join(list(dict.fromkeys(inside))[-3:]) or f"{b.name}_{s.lo}"
