"""Statements: the parts of a plan, and its loop, as calls of NumPy.

    row v = mul(d_h, s), v at d_a[t]      becomes      np.multiply(d_h, s, out=d_a)

In the loop a name is a view of this step. Next: emit.py.
"""

from __future__ import annotations

from typing import Any

from .lines import External, Line, merged
from .numpy_text import ERF, PRODUCTS, SIGMOID, call, wrapped
from .operands import Operands
from .spots import Spot, slices_of
from .symbols import Value


class Statements(Operands):
    """The statements of one plan."""

    # --- one part

    def lines_of(self, values: list[Value], consts: list[str], fixed: bool) -> list[Line]:
        """The calls of a part of the program. `fixed`: also the copies at the end of a step."""
        found = []
        for v in values:
            if v.kind != "row" or self.storage.is_view(v):
                continue
            out = self.storage.spot(v)
            if v.op in ("place", "cat") and (cuts := slices_of(v)) and out.chain == "":
                for piece, (lo, hi) in zip(v.args, cuts):
                    start = out.lo or 0
                    target = Spot(out.buffer, out.which, start + lo, start + hi)
                    source = self.arg(piece, consts, v)
                    if source != target:
                        found.append(Line("copy", (source,), target, {}, v))
                continue
            args = [self.arg(a, consts, v) for a in v.args]
            if v.op == "matmul" and self.last:
                args = [self.transposed(v.args[1], consts), args[0]]
            op = "dot" if v.op == "matmul" and self.last and same_dtype(v) else str(v.op)
            found.append(Line(op, tuple(args), out, v.static, v))
        return found

    def part(self, parts: dict[str, list[Value]], name: str, consts: list[str]) -> list[str]:
        """The statements of a part that runs over all steps at once."""
        out = []
        for line in merged(self.lines_of(parts[name], consts, False)):
            args = [a if isinstance(a, str) else self.all_text(a) for a in line.args]
            if line.op in ("matmul", "dot") and self.last:
                self.helpers["products"] = PRODUCTS
                out.append(f"products({args[0]}, {args[1]}, out={self.whole(line.out)})")
            else:
                out += self.say(line, args, self.whole(line.out))
        return out

    def say(self, line: Line, args: list[str], out: str) -> list[str]:
        """A line as source."""
        if line.op in ("sigmoid", "erf"):
            self.helpers[line.op] = SIGMOID if line.op == "sigmoid" else ERF
        return call(line.op, args, line.static, out, self.last)

    # --- the loop

    def loop(self, way: str, consts: list[str]) -> tuple[list[str], list[str]]:
        """(statements before the loop, the loop itself)."""
        parts = self.plan.forward if way == "forward" else self.plan.back
        lines = merged(self.lines_of(parts["loop"], consts, True))
        for after, target in self.storage.ends[way]:
            source = "0" if after is None else self.storage.spot(after)
            lines.append(Line("copy", (source,), target, {}, after))
        self.looks = {
            self.storage.spot(v): v.name
            for v in self.plan.step.values
            if v.name and v.kind == "row" and self.storage.is_view(v) and self.storage.is_placed(v)
        }
        locals_: dict[Any, str] = {}
        views, fixed, externals = [], [], {}
        used = [s for line in lines for s in (*line.args, line.out) if isinstance(s, Spot)]
        for s in dict.fromkeys(used):
            locals_[s] = name = self.unique(self.local_name(s, way))
            if self.last and s.buffer.scope in ("step", "live"):
                fixed.append((name, self.at_step(s)))
            else:
                views.append((name, self.at_step(s)))
        body = []
        for line in lines:
            args = []
            for a in line.args:
                if isinstance(a, External):
                    externals[a.base] = f"{self.external_names[a.base]}_t"
                    cut = "" if a.lo is None else f"[{a.lo}:{a.hi}]" if self.last else f"[:, {a.lo}:{a.hi}]"
                    args.append(externals[a.base] + cut + a.chain)
                else:
                    args.append(locals_[a] if isinstance(a, Spot) else a)
            out = locals_[line.out]
            if line.op == "sigmoid" and self.last and self.plan.hoist:
                out += f", one={self.ones(line.out, fixed)}"
            body += self.say(line, args, out)
        self.loop_views[way] = views
        return self.loop_text(way, views, fixed, externals, body)

    def ones(self, s: Spot, fixed: list[tuple[str, str]]) -> str:
        """The name of an array of ones, as wide as a spot."""
        n = s.buffer.tail[0] if s.lo is None or s.hi is None else s.hi - s.lo
        self.most_ones = max(self.most_ones, n)
        name = f"ones_{n}"
        if (name, f"w.ones[:{n}]") not in fixed:
            fixed.append((name, f"w.ones[:{n}]"))
        return name

    def loop_text(
        self, way: str, views: Any, fixed: Any, externals: dict[int, str], body: list[str]
    ) -> tuple[list[str], list[str]]:
        """The loop's header and body."""
        before = [f"{name} = {text}" for name, text in fixed]
        backwards = (way == "back") != self.reverse
        targets, sources = [], []
        for base, name in externals.items():
            outer = self.external_names[base]
            if self.last:
                source = f"{outer}_columns[::-1]" if backwards else f"{outer}_columns"
            else:
                source = f"[{outer}[s:e] for s, e in w.blocks{'[::-1]' if way == 'back' else ''}]"
            targets.append(name)
            sources.append(source)
        names = ", ".join(name for name, _ in views) + ("," if len(views) == 1 else "")
        steps = f"w.{way}_steps"
        if externals:
            head = (
                f"for (({names}), {', '.join(targets)}) in zip({steps}, {', '.join(sources)}):"
                if views
                else f"for _, {', '.join(targets)} in zip({steps}, {', '.join(sources)}):"
            )
        else:
            head = f"for {f'({names})' if len(names) > 90 else names or '_'} in {steps}:"
        if not body:
            return before, []
        return before, wrapped(head) + ["    " + text for text in body]

    def local_name(self, s: Spot, way: str) -> str:
        """The name of what is written last to a spot."""
        held = [
            v.name
            for v, where in s.buffer.holds
            if (where.lo, where.hi, where.which) == (s.lo, s.hi, s.which) and v.name and not s.chain
        ]
        name = held[-1] if held else s.buffer.name
        if s.buffer.scope == "history" and s.which == "next" and s.lo is None and not s.chain:
            return f"{s.buffer.name}_next"
        if s.buffer.scope in ("history", "live") and s.lo is None and not s.chain:
            return s.buffer.name
        if not held and s in self.looks:
            return self.looks[s]
        if not held and s.lo is not None:
            parts = [
                v.name
                for v, where in s.buffer.holds
                if v.name and where.lo is not None and s.lo <= where.lo and (where.hi or 0) <= (s.hi or 0)
            ]
            views = list(dict.fromkeys(parts))[-3:]
            return "_".join(views) if views else f"{name}_{s.lo}"
        return name


def same_dtype(v: Value) -> bool:
    """True if the factors have the product's dtype: then np.dot can write it, quicker to call than matmul."""
    return all(a.dtype == v.dtype for a in v.args if isinstance(a, Value))
