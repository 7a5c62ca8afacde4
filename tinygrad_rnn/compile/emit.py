"""Emit: a plan, and where its values live, as a module of NumPy source.

    plan          before: a           loop: h                              after: -
    source        a = ...             for h, a, h_next in w.forward_steps: ...     return rows(w.h[1:]), ...

It has three functions: `workspace` allocates the buffers and makes, once for a shape, the views that the loop
uses at each step; `forward` and `backward` fill them (statements.py writes what stands in them). Functions of
NumPy are imported by name, `add(u, a, out=a)`, which a loop of small steps feels. Next: demo.py.
"""

from __future__ import annotations

import re
from typing import Any

from .fission import Plan
from .numpy_text import NAMES, ROWS, items, wrapped
from .operands import AFTER, BEFORE, LOOP, START
from .spots import Buffer
from .statements import Statements
from .storage import Storage
from .symbols import Value


class Emitter(Statements):
    """The source of one plan."""

    def __init__(self, plan: Plan, storage: Storage, reverse: bool, title: str) -> None:
        super().__init__(plan, storage, reverse)
        functions = [self.forward()] + ([self.backward()] if plan.backward else [])
        self.source = self.module(title, [self.workspace(), *functions])

    # --- functions

    def forward(self) -> list[str]:
        """The function `forward`."""
        states = dict(zip((state for state, _ in self.storage.carry["forward"]), self.initial))
        head = f"def forward({', '.join(['w', *self.xs, *self.initial, *self.constant_names()])}):"
        self.fill("forward")
        results = [*map(self.output, self.plan.step.ys), *map(self.final, states)]
        return self.function(head, self.shapes(), states, results)

    def backward(self) -> list[str]:
        """The function `backward`."""
        step = self.plan.step
        states = {d: name for d, name in zip(step.d_nexts, self.d_last) if d is not None}
        head = f"def backward({', '.join(['w', *self.d_y, *self.d_last, *self.xs, *self.constant_names()])}):"
        self.begin()
        self.fill("back")
        results = [] if step.d_x is None else [self.gradient_of_x(step.d_x)]
        results += map(self.final, states)
        results += [self.reduce(g) for g in step.d_params.values() if g is not None]
        return self.function(head, [f"The gradients of {', '.join(self.wanted())}"], states, results)

    def fill(self, way: str) -> None:
        """The statements of a function, section by section; those that results need may follow."""
        before, loop, after = (self.plan.parts[f"{way} {part}"] for part in ("before", "loop", "after"))
        self.sections[BEFORE] = self.part(before)
        self.sections[LOOP] = self.loop(way, loop)
        self.sections[AFTER] += self.part([v for v in after if not self.storage.direct(v)])

    def function(self, head: str, doc: list[str], states: dict[Value, str], results: list[str]) -> list[str]:
        """A function of sections, each under its comment; `states`: what the loop starts from."""
        text = "\n".join(line for part in doc for line in wrapped("    " + part)).strip()
        out = [*wrapped(head), f'    """{text}' + ("\n    " if "\n" in text else "") + '"""']
        written = "\n".join(line for lines in self.sections.values() for line in lines)
        self.sections[START] += [
            f"{name}_columns = {name}.reshape(w.T, w.B, -1).transpose(0, 2, 1)"
            for name in (*self.xs, *self.d_y)
            if f"{name}_columns" in written
        ]
        self.sections[START] += [self.set_state(state, name) for state, name in states.items()]
        for title, lines in self.sections.items():
            out += [f"    # --- {title}"] * bool(title and lines) + [f"    {line}" for line in lines]
        return [*out, f"    return {items(results) or '()'}"]

    def constant_names(self) -> list[str]:
        """The arguments that are the same at each step."""
        return [self.names[id(v)] for v in self.constants]

    def wanted(self) -> list[str]:
        """The arguments of `forward` that have gradients, in the order in which `backward` returns them."""
        step = self.plan.step
        states = [name for name, d in zip(self.initial, step.d_nexts) if d is not None]
        weights = [self.names[id(step.params[path])] for path, g in step.d_params.items() if g is not None]
        return ([] if step.d_x is None else [self.x]) + states + weights

    def shapes(self) -> list[str]:
        """What `forward` is given and returns, with shapes."""
        step, N = self.plan.step, "T B" if self.last else "N"

        def shaped(name: str, shape: list[Any]) -> str:
            return f"{name} ({items(map(str, shape))})"

        given = [shaped(name, [N, *v.shape[1:]]) for name, v in zip(self.xs, (step.x, *step.noise))]
        given += [shaped(name, ["B", *v.shape[1:]]) for name, v in zip(self.initial, step.states)]
        given += [shaped(name, [*v.shape]) for name, v in zip(self.constant_names(), self.constants)]
        found = [shaped("y", [N, *y.shape[1:]]) for y in step.ys]
        found += [shaped(v.name, ["B", *v.shape[1:]]) for v in step.states]
        return [", ".join(given), f"-> {', '.join(found)}, the last"]

    # --- what goes in and comes out

    def gradient_of_x(self, d_x: Value) -> str:
        """Source of the gradient of x, (N, D)."""
        if not self.storage.direct(d_x):
            return self.output(d_x)
        d_a, W = d_x.args
        return self.noted(d_x, f"np.matmul({self.columns(d_a)}.T, {self.const(W)})")

    def set_state(self, state: Value, name: str) -> str:
        """The statement that puts an initial state in its place."""
        b = self.storage.spots[id(state)].buffer
        index = "..." if b.scope != "history" else "-1" if self.reverse else "0"
        return f"w.{b.name}[{index}] = {name}{'.T' if self.last else ''}"

    def final(self, state: Value) -> str:
        """Source of a last state."""
        b = self.storage.spots[id(state)].buffer
        index = "" if b.scope != "history" else "[0]" if self.reverse else "[-1]"
        return f"w.{b.name}{index}{'.T' if self.last else ''}.copy()"

    def output(self, y: Value) -> str:
        """Source of an output: rows (N, …), in memory of their own."""
        if not self.last or self.is_given(y):
            return f"{self.rows(y)}.copy()"
        self.helpers["rows"] = ROWS
        return f"rows({self.rows(y)})"

    # --- memory

    def workspace(self) -> list[str]:
        """The function `workspace`."""
        size = "T" if self.last else "sizes"
        out = [
            f"def workspace({size}, B):",
            '    """The memory of one run: buffers, and the views of them that each step uses."""',
            f"    w = SimpleNamespace({size}={size}, B=B)",
        ]
        if not self.last:
            turn = "[::-1]" if self.reverse else ""
            out += [
                "    ends = np.cumsum(sizes).tolist()",
                "    N = sum(sizes)",
                f"    w.blocks = [(e - n, e) for n, e in zip(sizes, ends)]{turn}",
            ]
        out += [
            f"    w.{b.name} = {self.allocation(b)}  # {self.comment(b)}"
            for b in self.storage.buffers
            if b.holds
        ]
        if self.most_ones:
            out.append(f"    w.ones = np.ones(({self.most_ones}, B), DTYPE)")
        for name, (width, dtype) in self.wide.items():
            out.append(f"    w.{name} = np.empty(({width}, T * B), {self.dtype(dtype)})")
        for way, views in self.loop_views.items():
            out += wrapped(f"    w.{way}_steps = [({items(views)}) for {self.steps(way)}]")
        return [*out, "    return w"]

    def steps(self, way: str) -> str:
        """The `for` that goes through the steps, in the order of the loop."""
        if self.last:
            return f"t in {'reversed(range(T))' if self.turn(way) else 'range(T)'}"
        return f"s, e in w.blocks{self.turn(way)} for n in (e - s,)"

    def allocation(self, b: Buffer) -> str:
        """The call that makes a buffer."""
        steps = {"all": ["T"], "history": ["T + 1"]}.get(b.scope, [])
        tail = list(map(str, b.tail))
        shape = [*steps, *tail, "B"] if self.last else ["N" if b.scope == "all" else "B", *tail]
        return f"np.{'zeros' if b.zeros else 'empty'}(({items(shape)}), {self.dtype(b.dtype)})"

    def comment(self, b: Buffer) -> str:
        """What a buffer holds."""
        names = ", then ".join(dict.fromkeys(v.name for v, _ in b.holds if v.name))
        kind = {
            "step": "scratch of one step",
            "live": "the gradient that is carried back" if b.way == "back" else "one state",
            "history": "of every step, the first included",
            "all": "of every step",
        }[b.scope]
        return f"{names}: {kind}" if names else kind

    def module(self, title: str, functions: list[list[str]]) -> str:
        """The whole module."""
        texts = [text.strip("\n") + "\n" for text in self.helpers.values()]
        texts, used = by_name(texts + ["\n".join(f) + "\n" for f in functions])
        imports = ["import math"] if "erf" in self.helpers else []
        imports += ["from types import SimpleNamespace", "", "import numpy as np"]
        imports += [f"from numpy import {', '.join(used)}"] if used else []
        head = [docstring(title), "", *imports, "", f"DTYPE = np.{self.plan.step.dtype}", ""]
        return "\n\n".join(["\n".join(head), *texts])


def docstring(text: str) -> str:
    """A docstring as source: whatever the text is, none of it can become code."""
    text = text.replace("\\", "\\\\").replace('"', '\\"' if '"""' in text or text.endswith('"') else '"')
    plain = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return f'"""{plain}\n"""'


def by_name(texts: list[str]) -> tuple[list[str], list[str]]:
    """`add(u, a, out=a)` for `np.add(u, a, out=a)`, which is slower to look up; and the names to import."""
    calls = re.compile(rf"\bnp\.({'|'.join(sorted(NAMES))})\(")
    used = {name for text in texts for name in calls.findall(text)}
    return [calls.sub(r"\1(", text) for text in texts], sorted(used)
