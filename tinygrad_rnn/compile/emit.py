"""Emit: a plan, and where its values live, as a module of NumPy source.

It has three functions: `workspace` allocates the buffers and makes, once for a shape, the views that the loop
uses at each step; `forward` and `backward` fill them (statements.py writes what stands in them). Functions of
NumPy are imported by name, `add(u, a, out=a)`, which a loop of small steps feels.
"""

from __future__ import annotations

import re
from typing import Any

from .lines import External
from .numpy_text import NAMES, ROWS, wrapped
from .spots import Buffer
from .statements import Statements
from .symbols import Value


class Emitter(Statements):
    """The source of one plan."""

    # --- functions

    def forward(self) -> list[str]:
        """The function `forward`."""
        step = self.plan.step
        consts: list[str] = []
        self.external_names = {id(step.x): self.x}
        before = self.part(self.plan.forward, "before", consts)
        fixed, loop = self.loop("forward", consts)
        after = self.part(self.plan.forward, "after", consts)
        start = [
            self.set_state(state, name)
            for (state, _), name in zip(self.storage.carry["forward"], self.initial)
        ]
        results = [self.output(y) for y in step.ys] + [
            self.final(state) for state, _ in self.storage.carry["forward"]
        ]
        head = "def forward(" + ", ".join(["w", self.x, *self.initial, *self.constants]) + "):"
        text = "\n".join(before + loop + after)
        view = [self.columns_of(self.x)] if self.last and f"{self.x}_columns" in text else []
        first = consts + view + start
        sections = self.sections(first, before, fixed + loop, after)
        return self.function(head, self.shapes(step.ys), sections, results)

    def backward(self) -> list[str]:
        """The function `backward`."""
        step = self.plan.step
        self.names = {k: v for k, v in self.names.items() if v in self.constants or k == id(step.x)}
        self.taken = set(self.arguments)
        self.gradient_names = {
            id(g): f"d_{path}".replace(".", "_") for path, g in step.d_params.items() if g is not None
        }
        consts: list[str] = []
        self.external_names = {
            id(step.x): self.x,
            **{id(d): n for d, n in zip(step.d_ys, self.d_y) if d is not None},
        }
        before = self.part(self.plan.back, "before", consts)
        fixed, loop = self.loop("back", consts)
        after, results = [], []
        product = step.d_x is not None and self.storage.direct(step.d_x)
        rest = {"after": [v for v in self.plan.back["after"] if not (product and v is step.d_x)]}
        after += self.part(rest, "after", consts)
        if step.d_x is not None:
            results.append(self.gradient_of_x(step.d_x, product, consts, after))
        for d, _ in self.storage.carry["back"]:
            results.append(self.final(d))
        for g in step.d_params.values():
            if g is not None:
                results.append(self.reduce(g, consts, after) if g.kind != "const" else self.const(g, consts))
        start = [
            self.set_state(d, n)
            for d, n in zip(
                (d for d, _ in self.storage.carry["back"]),
                (n for d, n in zip(step.d_nexts, self.d_last) if d is not None),
            )
        ]
        head = "def backward(" + ", ".join(["w", *self.d_y, *self.d_last, self.x, *self.constants]) + "):"
        text = "\n".join(before + loop + after)
        views = [self.columns_of(n) for n in (self.x, *self.d_y) if self.last and f"{n}_columns" in text]
        first = consts + views + start
        doc = [f"The gradients of {', '.join(self.wanted())}"]
        return self.function(head, doc, self.sections(first, before, fixed + loop, after), results)

    def wanted(self) -> list[str]:
        """The arguments of `forward` that have gradients, in the order in which `backward` returns them."""
        step = self.plan.step
        states = [name for name, d in zip(self.initial, step.d_nexts) if d is not None]
        weights = [self.names[id(step.params[path])] for path, g in step.d_params.items() if g is not None]
        return ([] if step.d_x is None else [self.x]) + states + weights

    def shapes(self, ys: list[Value]) -> list[str]:
        """What `forward` is given and returns, with shapes."""
        step, N = self.plan.step, "T B" if self.last else "N"

        def shaped(name: str, v: Value, rows: str) -> str:
            sizes = [rows, *map(str, v.shape[1:])] if rows else list(map(str, v.shape))
            return f"{name} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"

        constants = {id(v): v for v in [*step.params.values(), *self.arrays]}.values()
        given = [shaped(self.x, step.x, N)]
        given += [shaped(name, v, "B") for name, v in zip(self.initial, step.states)]
        given += [shaped(name, v, "") for name, v in zip(self.constants, constants)]
        found = [shaped("y", y, N) for y in ys] + [shaped(v.name, v, "B") for v in step.states]
        return [f"{', '.join(given)}", f"-> {', '.join(found)}, the last"]

    def gradient_of_x(self, d_x: Value, product: bool, consts: list[str], after: list[str]) -> str:
        """Source of the gradient of x, (N, D)."""
        if product:
            name = self.unique("d_x")
            rows = self.rows(d_x.args[0], consts, after, True)
            after.append(f"{name} = np.matmul({rows}.T, {self.const(d_x.args[1], consts)})")
            return name
        return self.output(d_x)

    def set_state(self, state: Value, name: str) -> str:
        """The statement that puts an initial state in its place."""
        b = self.storage.spots[id(state)].buffer
        place = f"w.{b.name}[{'-1' if self.reverse else '0'}]" if b.scope == "history" else f"w.{b.name}[...]"
        return f"{place} = {name}{'.T' if self.last else ''}"

    def final(self, state: Value) -> str:
        """Source of a last state."""
        b = self.storage.spots[id(state)].buffer
        text = f"w.{b.name}[{'0' if self.reverse else '-1'}]" if b.scope == "history" else f"w.{b.name}"
        return f"{text}.T.copy()" if self.last else f"{text}.copy()"

    def output(self, y: Value) -> str:
        """Source of an output: rows (N, …), in memory of their own."""
        r = self.storage.region(y)
        if id(r.base) not in self.storage.spots:
            a = External(id(r.base), r.lo, r.hi, r.chain)
            name = self.external_names[a.base]
            return f"{name}{f'[:, {a.lo}:{a.hi}]' if a.lo is not None else ''}{a.chain}.copy()"
        text = self.whole(self.storage.spot(y))
        if not self.last:
            return f"{text}.copy()"
        self.helpers["rows"] = ROWS
        return f"rows({text})"

    def columns_of(self, name: str) -> str:
        """The statement that looks at rows (N, K) as (T, K, B)."""
        return f"{name}_columns = {name}.reshape(w.T, w.B, -1).transpose(0, 2, 1)"

    def sections(self, first: list[str], *parts: list[str]) -> list[tuple[str, list[str]]]:
        """The parts of a function, with the comments that stand above them."""
        titles = (
            "",
            "before the loop, for all steps at once",
            "the loop",
            "after the loop, for all steps at once",
        )
        return list(zip(titles, (first, *parts)))

    def function(
        self, head: str, doc: list[str], sections: list[tuple[str, list[str]]], results: list[str]
    ) -> list[str]:
        """A function of sections, each under its comment."""
        text = "\n".join(line for part in doc for line in wrapped("    " + part)).strip()
        out = [*wrapped(head), f'    """{text}' + ("\n    " if "\n" in text else "") + '"""']
        for title, lines in sections:
            if lines:
                out += ([f"    # --- {title}"] if title else []) + [f"    {text}" for text in lines]
        return [*out, f"    return {', '.join(results)}{',' if len(results) == 1 else ''}"]

    def workspace(self) -> list[str]:
        """The function `workspace`."""
        out = [
            "def workspace(T, B):" if self.last else "def workspace(sizes, B):",
            '    """The memory of one run: buffers, and the views of them that each step uses."""',
        ]
        out.append(
            "    w = SimpleNamespace(T=T, B=B)" if self.last else "    w = SimpleNamespace(sizes=sizes, B=B)"
        )
        if not self.last:
            out.append("    ends = np.cumsum(sizes).tolist()")
            out.append("    N = sum(sizes)")
            out.append(
                "    w.blocks = [(e - n, e) for n, e in zip(sizes, ends)]"
                + ("[::-1]" if self.reverse else "")
            )
        for b in self.storage.buffers:
            if b.holds:
                out.append(f"    w.{b.name} = {self.allocation(b)}  # {self.comment(b)}")
        if self.most_ones:
            out.append(f"    w.ones = np.ones(({self.most_ones}, B), DTYPE)")
        for name, (width, dtype) in self.wide.items():
            out.append(f"    w.{name} = np.empty(({width}, T * B), {self.dtype(dtype)})")
        for way in ("forward", "back"):
            views = self.loop_views.get(way)
            if views is None:
                continue
            names = ", ".join(text for _, text in views) + ("," if len(views) == 1 else "")
            if self.last:
                order = "reversed(range(T))" if (way == "back") != self.reverse else "range(T)"
                text = f"    w.{way}_steps = [({names}) for t in {order}]"
            else:
                blocks = f"w.blocks{'[::-1]' if way == 'back' else ''}"
                text = f"    w.{way}_steps = [({names}) for s, e in {blocks} for n in (e - s,)]"
            out += wrapped(text)
        return [*out, "    return w"]

    def allocation(self, b: Buffer) -> str:
        """The call that makes a buffer."""
        tail = ", ".join(map(str, b.tail))
        if self.last:
            shape = {"all": f"T, {tail}, B", "history": f"T + 1, {tail}, B"}.get(b.scope, f"{tail}, B")
        else:
            shape = ", ".join(filter(None, ["N" if b.scope == "all" else "B", tail]))
        comma = "," if shape in ("N", "B") else ""
        return f"np.{'zeros' if b.zeros else 'empty'}(({shape}{comma}), {self.dtype(b.dtype)})"

    def dtype(self, dtype: Any) -> str:
        """A dtype as source; the program's own has a name, so that a reader can change it."""
        return "DTYPE" if dtype == self.plan.step.dtype else repr(str(dtype))

    def comment(self, b: Buffer) -> str:
        """What a buffer holds."""
        names = list(dict.fromkeys(v.name for v, _ in b.holds if v.name))
        kind = {
            "step": "scratch of one step",
            "live": "one state",
            "history": "of every step, the first included",
            "all": "of every step",
        }[b.scope]
        if b.way == "back" and b.scope == "live":
            kind = "the gradient that is carried back"
        return (", then ".join(names) + ": " if names else "") + kind

    def source(self) -> str:
        """The whole module."""
        functions = [self.forward()]
        if self.plan.backward:
            functions.append(self.backward())
        functions.insert(0, self.workspace())
        texts = [text.strip("\n") + "\n" for text in self.helpers.values()]
        texts, used = by_name(texts + ["\n".join(f) + "\n" for f in functions])
        head = [
            f'"""{self.title}\n"""',
            "",
            "import math" if "erf" in self.helpers else "",
            "from types import SimpleNamespace",
            "",
            "import numpy as np",
            f"from numpy import {', '.join(used)}" if used else "",
            "",
            f"DTYPE = np.{self.plan.step.dtype}",
            "",
        ]
        parts = ["\n".join(line for k, line in enumerate(head) if line or head[k - 1])]
        return "\n\n".join(parts + texts)


def by_name(texts: list[str]) -> tuple[list[str], list[str]]:
    """`add(u, a, out=a)` for `np.add(u, a, out=a)`, which is slower to look up; and the names to import."""
    calls = re.compile(rf"\bnp\.({'|'.join(sorted(NAMES))})\(")
    used = {name for text in texts for name in calls.findall(text)}
    return [calls.sub(r"\1(", text) for text in texts], sorted(used)
