"""Cells drawn at random as source: every way to write a step that people use, in every place.

    cell = drawn_cell(random.Random(7))       cell.text is the class that was drawn

A step works on registers (B, n) of several widths. Slices are written in every way that Python and PyTorch
know, parameters are gains and biases of every rank in every place and used more than once, states are
shifted, exchanged, read in part, and kept; outputs are states, functions of them, or neither.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

UNARY = """
tg.tanh({x})
tg.sigmoid({x})
F.relu({x})
F.gelu({x})
F.silu({x})
F.softplus({x})
tg.sin({x})
tg.exp(tg.tanh({x}))
tg.sqrt({x} * {x} + 1)
{x} ** 2 / 4
{x}.pow(3) / 9
{x}.abs()
{x}.clamp(-0.7, 0.7)
F.leaky_relu({x}, 0.1)
F.elu({x})
tg.log1p({x} * {x})
tg.erf({x})
-{x}
1 - {x}
2 * {x} - 0.5
{x} / 3
1 / (2 + {x} * {x})
{x}.flip(-1)
{x}.roll(1, -1)
{x}.cumsum(-1) / 3
F.softmax({x}, -1)
F.log_softmax({x}, -1) / 3
{x} - {x}.mean(-1, keepdim=True)
{x} - {x}.amax(-1, keepdim=True)
{x} - {x}.max(1)[0][:, None]
{x} * ({x} > 0)
{x} / ({x} * {x}).sum(-1, keepdim=True).add(1).sqrt()
{x} * {x}.sum(1).unsqueeze(1) / 4
{x} - {x}.logsumexp(-1, keepdim=True)
{x}.detach() * {x}
F.layer_norm({x}, ({n},))
F.pad({x}[:, 1:], (1, 0))
F.pad({x}[:, :-1], (0, 1), value=0.5)
tg.stack([{x}, {x} * 2], 1).sum(1) / 2
tg.stack([{x}, 1 - {x}], -1).logsumexp(-1)
tg.einsum('bi,bj->bij', {x}, {x}).sum(-1) / 3
({x}.unsqueeze(1) * {x}.unsqueeze(2)).mean(1)
tg.cat([{x}[:, 1:], {x}[:, :1]], 1)
tg.where({x} > 0.1, {x} * 0.5, {x})
""".strip().split("\n")
BINARY = """
{x} + {y}
{x} - {y}
{x} * {y}
{x} / (1 + {y} * {y})
tg.maximum({x}, {y})
tg.minimum({x}, {y})
tg.where({x} > {y}, {x}, {y} * 0.5)
tg.sigmoid({x}) * {y}
{x} + 0.3 * ({y} - {x})
tg.tanh({x}) * tg.tanh({y})
{x} * tg.tanh({y}.sum(-1, keepdim=True))
({x} + {y}) / 2
{x} * {y} + {x} * (1 - {y})
{x} * {y} - {y} * 0.5
tg.logaddexp({x}, {y})
{x} * {y}[:, :1]
tg.lerp({x}, {y}, 0.25)
""".strip().split("\n")
WITH_PARAMETERS = """
{x} * {row}
{x} + {row}
{x} * {row} + {row2}
({x} + {row}) * {row2}
{x} * {number}
{x} + {number}
{x} * {flat} + {flat2}
{x} / (1 + {row} ** 2)
tg.sigmoid({row}) * {x}
tg.sigmoid({number}) * {x}
{x} * tg.tanh({row}) + F.silu({row2})
{x} @ {square}
{x} @ {square}.T
F.linear({x}, {square}, {row})
F.layer_norm({x}, ({n},), {row}, {row2})
({x} - {x}.mean(-1, keepdim=True)) * {row} + {row2}
tg.tanh({x} * {row} + {row2})
tg.tanh({x} @ {square} + {row})
{x} * F.softmax({row}, 0)
{x} * {row}.exp().clamp(max=2)
{x} + F.gelu({row})
tg.where({row} > 0, {x}, {x} * {number})
{x} * tg.erf({row})
F.prelu({x}, {number})
""".strip().split("\n")
SLICES = """
{x}[:, {i}:{j}]
{x}[..., {i}:{j}]
{x}.narrow(1, {i}, {k})
{x}[:, {i}:{j}:1]
{x}[:, -{u}:{j}]
{x}[:, [{list}]]
{x}.split([{i}, {k}, {rest}], -1)[1]
tg.cat([{x}[:, m:m + 1] for m in range({i}, {j})], 1)
tg.stack({x}.unbind(1)[{i}:{j}], 1)
{x}.index_select(1, tg.tensor([{list}]))
{x}.reshape(-1, {n}, 1)[:, {i}:{j}, 0]
{x}[:, None, {i}:{j}].squeeze(1)
""".strip().split("\n")
HEADS = """
{x}[:, :{j}]
{x}[:, 0:{j}]
{x}[:, :-{rest}]
{x}.split([{j}, {rest}], 1)[0]
{x}[:, :{j}] * 1
""".strip().split("\n")
TAILS = """
{x}[:, {i}:]
{x}[:, -{u}:]
{x}[..., {i}:]
{x}.split([{i}, {u}], 1)[1]
""".strip().split("\n")
HALVES = """
{x}.chunk(2, -1)[{h}]
{x}.chunk(2, 1)[{h}]
{x}.split({m}, 1)[{h}]
{x}.view(-1, 2, {m})[:, {h}]
{x}.reshape(-1, 2, {m}).sum(1)
""".strip().split("\n")
ONES = """
{x}[:, {i}][:, None]
{x}[:, {i}].unsqueeze(-1)
{x}[:, {i}:{j}]
{x}.unbind(1)[{i}].unsqueeze(1)
{x}.select(1, {i}).reshape(-1, 1)
{x}[:, {i}, None]
""".strip().split("\n")
IN_PLACE = (
    "{v} = {x}.clone()\n        {v} += {y}", "{v} = {x} * 1\n        {v}.mul_({y}).add_(0.1)",
    "{v} = tg.zeros_like({x})\n        {v}[:, :{j}] = {y}[:, :{j}]",
    "{v} = {x}.clone()\n        {v}[:, {i}:] = {y}[:, {i}:] * 0.5",
    "{v} = tg.tanh({x})\n        {v} = {v} * {y}\n        {v} *= 0.5",
)  # fmt: skip


class Writer:
    """Writes the lines of one class."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.widths: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def parameter(self, *shape: int) -> str:
        """A parameter of this shape: a new one, or one that is used already."""
        known = [name for name, s in self.shapes.items() if s == shape]
        if known and self.rng.random() < 0.4:
            return f"self.{self.rng.choice(known)}"
        name = f"p{len(self.shapes)}"
        self.shapes[name] = shape
        return f"self.{name}"

    def register(self, text: str, width: int) -> str:
        """A line `v = text`."""
        v = f"v{len(self.widths)}"
        self.lines.append(text if text.startswith("{v}") else f"{v} = {text}")
        self.lines[-1] = self.lines[-1].replace("{v}", v)
        self.widths[v] = width
        return v

    def any(self, width: int | None = None) -> str:
        """A register, the newest more often than others."""
        names = [v for v, n in self.widths.items() if width in (None, n)]
        return names[max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))]

    def slice(self, x: str, k: int | None = None) -> str:
        """Part of a register, of k columns, in one of the ways to write it."""
        rng, n = self.rng, self.widths[x]
        if k is None and n % 2 == 0 and rng.random() < 0.3:
            return self.register(rng.choice(HALVES).format(x=x, h=rng.randrange(2), m=n // 2), n // 2)
        k = rng.randint(1, n) if k is None else k
        i = rng.choice([0, n - k, rng.randint(0, n - k)])
        forms = list(SLICES) if i + k < n or i else ["{x}[:, {i}:{j}]", "{x}[:, :]", "{x}[:, :{j}]"]
        if i == 0 and k < n:
            forms += HEADS * 2
        if i and i + k == n:
            forms += TAILS * 2
        if k == 1:
            forms += ONES
        fields = {"i": i, "j": i + k, "k": k, "u": n - i, "rest": n - i - k, "n": n}
        text = rng.choice([f for f in forms if not ("{rest}" in f and "split" in f and fields["rest"] < 0)])
        return self.register(text.format(x=x, list=", ".join(map(str, range(i, i + k))), **fields), k)

    def widen(self, x: str, width: int) -> str:
        """A register of this width, made of another."""
        rng, n = self.rng, self.widths[x]
        if n == width:
            return x
        if n > width and rng.random() < 0.6:
            return self.slice(x, width)
        if n < width and rng.random() < 0.5:
            return self.register(f"tg.cat([{x}, {self.widen(self.any(), width - n)}], 1)", width)
        if n == 1 and rng.random() < 0.5:
            return self.register(
                rng.choice(["{x}.expand(-1, {w})", "{x}.repeat(1, {w})"]).format(x=x, w=width), width
            )
        if rng.random() < 0.3:
            W, b = self.parameter(width, n), self.parameter(width)
            return self.register(f"F.linear({x}, {W}, {b})", width)
        return self.register(f"{x} @ {self.parameter(n, width)}", width)

    def operation(self) -> None:
        """One more register."""
        rng = self.rng
        x = self.any()
        n = self.widths[x]
        kind = rng.choice("uuubbbppppsscwi")
        if kind == "u":
            self.register(rng.choice(UNARY).format(x=x, n=n), n)
        elif kind == "b":
            y = self.widen(self.any(), n)
            self.register(rng.choice(BINARY).format(x=x, y=y), n)
        elif kind == "p":
            text = rng.choice(WITH_PARAMETERS)
            self.register(text.format(x=x, n=n, **{key: self.parameter(*shape) for key, shape in {
                "row": (n,), "row2": (n,), "flat": (1, n), "flat2": (1, n), "number": (), "square": (n, n),
            }.items() if "{" + key + "}" in text}), n)  # fmt: skip
        elif kind == "s":
            self.slice(x)
        elif kind == "c":
            y = self.any()
            if n + self.widths[y] <= 8:
                self.register(f"tg.cat([{x}, {y}], {rng.choice(['1', '-1'])})", n + self.widths[y])
        elif kind == "w":
            self.widen(x, rng.randint(1, 6))
        elif n > 1:
            y = self.widen(self.any(), n)
            text = rng.choice(IN_PLACE)
            i = rng.randint(1, n - 1)
            self.register("{v}" + text[3:].format(v="{v}", x=x, y=y, i=i, j=i), n)


def drawn_text(rng: Random) -> tuple[str, dict[str, Any]]:
    """The source of a cell, and its sizes."""
    w = Writer(rng)
    D, states = rng.randint(1, 4), [rng.randint(1, 6) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    project = ["return xs"]
    a_width = D
    if rng.random() < 0.6:
        a_width = rng.randint(1, 8)
        W, b = w.parameter(a_width, D), w.parameter(a_width)
        project = [f"return F.linear(xs, {W}, {b})"]
        if rng.random() < 0.2:
            project = [f"return tg.tanh(xs @ {W}.T) * {b}"]
    w.widths["a"] = a_width
    names = [f"s{k}" for k in range(len(states))]
    w.widths |= dict(zip(names, states))
    unpack = f"{', '.join(names)} = state" if len(states) > 1 else "s0 = state"
    for _ in range(rng.randint(1, 9)):
        w.operation()
    new = []
    for k, n in enumerate(states):
        how = rng.random()
        if how < 0.5:
            x = w.widen(w.any(), n)
            new.append(w.register(f"tg.tanh({x})", n))
        elif how < 0.6:
            new.append(names[k])
        elif how < 0.7 and n > 1:
            x = w.widen(w.any(), 1)
            form = rng.choice(["tg.cat([{s}[:, 1:], {x}], 1)", "tg.cat([{x}, {s}[:, :-1]], 1)"])
            new.append(w.register(form.format(s=names[k], x=x), n))
        elif how < 0.85:
            x, W = w.any(), None
            W = w.parameter(w.widths[x], n)
            z = w.register(f"tg.sigmoid({x} @ {W})", n)
            new.append(w.register(f"{z} * {names[k]} + (1 - {z}) * tg.tanh({w.widen(w.any(), n)})", n))
        else:
            new.append(w.widen(w.any(), n))
    state = new[0] if len(new) == 1 else f"({', '.join(new)})"
    if rng.random() < 0.5:
        state = f"nn.cells.Step({w.any()}, {state})"
    init = [f"self.{name} = weight({', '.join(map(str, shape))})" for name, shape in w.shapes.items()] or [
        "pass"
    ]
    body = "\n".join(f"        {line}" for line in [unpack, *w.lines, f"return {state}"])
    text = "\n".join([
        "class Drawn(nn.Cell):",
        "    def __init__(self):",
        "        super().__init__()",
        *(f"        {line}" for line in init),
        "    def project(self, xs):",
        *(f"        {line}" for line in project),
        "    def step(self, a, state):",
        body,
    ])  # fmt: skip
    return text, {"D": D, "states": states}


def drawn_cell(rng: Random) -> Any:
    """A cell, in float64; `text` is its source, `D` and `widths` are its sizes."""
    text, sizes = drawn_text(rng)
    numbers = np.random.Generator(np.random.PCG64(rng.randrange(2**32)))

    def weight(*shape: int) -> Any:
        return nn.Parameter(tg.tensor(numbers.standard_normal(shape) * 0.6, dtype=tg.float64))

    space: dict[str, Any] = {"tg": tg, "nn": nn, "F": nn.functional, "weight": weight}
    exec(text, space)
    cell = space["Drawn"]()
    cell.text, cell.D, cell.state_widths = text, sizes["D"], tuple(sizes["states"])
    return cell


def states_for(cell: Any, B: int, numbers: Any) -> Any:
    """Random initial states that ask for gradients."""
    found = tuple(
        tg.tensor(numbers.standard_normal((B, n)) * 0.5, dtype=tg.float64).requires_grad_()
        for n in cell.state_widths
    )
    return found if len(found) > 1 else found[0]
