"""A compiled layer follows every change of what its step reads; what a step writes is refused by name."""

from __future__ import annotations

import enum
import types
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

H = 3
RATE = 0.5
TABLE = {"rate": [0.5, 0.25]}


class Kind(enum.Enum):
    SIN = 1
    TANH = 2


@dataclass
class Config:
    rate: float = 0.5
    deep: Any = field(default_factory=lambda: types.SimpleNamespace(rate=0.5))
    kind: Kind = Kind.TANH
    offset = 0.25  # of the class


class Slotted:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 0.5


class Base(nn.Cell):
    hidden_size = H
    gain = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.U = nn.Linear(H, H)
        self.rate, self.config, self.slotted = 0.5, Config(), Slotted()
        self.rates, self.table, self.array = [0.5, [0.5]], {"rate": 0.5}, np.full(H, 0.5, np.float32)
        self.function = tg.tanh
        self.register_buffer("scale", tg.ones(H))
        self.plain = tg.ones(H)
        self.n, self.seen = 0, []


def helper(x: Any, factor: float = 0.5) -> Any:
    return x * factor * RATE


def reading(read: Any) -> Any:
    """A layer whose step is tanh(a + U h) times what `read(cell)` gives."""

    def step(self: Any, a: Any, h: Any) -> Any:
        return tg.tanh(a + self.U(h)) * read(self)

    return nn.Recurrent(type("Reading", (Base,), {"step": step})())


def set_global(name: str, value: Any) -> Any:
    def change(cell: Any) -> Any:
        globals()[name] = value

    return change


def closure() -> tuple[Any, Any]:
    rate = 0.5

    def change(cell: Any) -> None:
        nonlocal rate
        rate = 0.75

    return (lambda cell: rate), change


def alike(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


READS: dict[str, tuple[Any, Any]] = {
    "an attribute": (lambda c: c.rate, lambda c: setattr(c, "rate", 0.75)),
    "an attribute of another type": (lambda c: c.rate, lambda c: setattr(c, "rate", True)),
    "a class attribute": (lambda c: c.gain, lambda c: setattr(type(c), "gain", 0.75)),
    "a list": (lambda c: c.rates[1][0], lambda c: c.rates[1].__setitem__(0, 0.75)),
    "a dict": (lambda c: c.table["rate"], lambda c: c.table.update(rate=0.75)),
    "an object": (lambda c: c.config.rate, lambda c: setattr(c.config, "rate", 0.75)),
    "an object in an object": (lambda c: c.config.deep.rate, lambda c: setattr(c.config.deep, "rate", 0.75)),
    "an object with slots": (lambda c: c.slotted.rate, lambda c: setattr(c.slotted, "rate", 0.75)),
    "the class of an object": (lambda c: c.config.offset, lambda c: setattr(Config, "offset", 0.75)),
    "an enum": (
        lambda c: 0.5 if c.config.kind is Kind.TANH else 0.75,
        lambda c: setattr(c.config, "kind", Kind.SIN),
    ),
    "an array": (lambda c: tg.tensor(c.array), lambda c: c.array.__setitem__(1, 0.75)),
    "a global": (lambda c: RATE, set_global("RATE", 0.75)),
    "a global of a helper": (lambda c: helper(c.rate), set_global("RATE", 0.8)),
    "a global list in a dict": (lambda c: TABLE["rate"][0], lambda c: TABLE["rate"].__setitem__(0, 0.75)),
    "a default": (lambda c: helper(c.rate), lambda c: setattr(helper, "__defaults__", (0.75,))),
    "a closure": closure(),
    "a function": (lambda c: c.function(tg.ones(H)), lambda c: setattr(c, "function", tg.sin)),
    "training": (lambda c: 0.5 if c.training else 0.75, lambda c: c.eval()),
    "a submodule": (lambda c: c.U.weight.sum(0), lambda c: setattr(c, "U", nn.Linear(H, H))),
    "a parameter": (lambda c: c.U.bias, lambda c: setattr(c.U, "bias", nn.Parameter(tg.ones(H)))),
    "a buffer": (lambda c: c.scale, lambda c: c.scale.mul_(2)),
    "a plain tensor": (lambda c: c.plain, lambda c: setattr(c, "plain", tg.full((H,), 2.0))),
    "a hook that is added": (
        lambda c: c.U(tg.ones(1, H)).sum(0),
        lambda c: c.U.register_forward_hook(lambda m, args, y: y * 2),
    ),
    "a shape": (lambda c: c.plain.shape[0] / 4, lambda c: (setattr(c, "plain", tg.ones(1)), None)[1]),
    "grad mode": (lambda c: 0.5 if tg.is_grad_enabled() else 0.75, lambda c: tg.set_grad_enabled(False)),
}


@pytest.fixture(autouse=True)
def the_module_as_it_was() -> Any:
    kept = RATE, list(TABLE["rate"]), helper.__defaults__, Config.offset
    yield
    globals()["RATE"], TABLE["rate"][:], helper.__defaults__, Config.offset = kept
    tg.set_grad_enabled(True)


@pytest.mark.parametrize("name", READS)
def test_what_a_step_reads_is_a_guard(name: str) -> None:
    read, change = READS[name]
    eager = reading(read)
    compiled = tg.compile(eager, fullgraph=True)
    x = tg.randn(4, 2, H)
    before = compiled(x)[0].detach().numpy()
    np.testing.assert_allclose(before, eager(x)[0].detach().numpy(), rtol=1e-5, atol=1e-6)
    change(eager.cells[0])
    after = compiled(x)[0].detach().numpy()
    np.testing.assert_allclose(after, eager(x)[0].detach().numpy(), rtol=1e-5, atol=1e-6)
    assert np.abs(after - before).max() > 1e-3  # the change matters
    compiled(x)
    assert len(compiled._programs.found) <= 2  # and is noticed once


def test_a_hook_that_is_removed() -> None:
    eager = reading(lambda c: 1.0)
    handle = eager.cells[0].U.register_forward_hook(lambda m, args, y: y * 3)
    compiled, x = tg.compile(eager, fullgraph=True), tg.randn(4, 2, H)
    compiled(x)
    handle.remove()
    alike(compiled(x)[0], eager(x)[0])


def test_a_method_that_is_replaced() -> None:
    eager = reading(lambda c: 1.0)
    compiled, x = tg.compile(eager, fullgraph=True), tg.randn(4, 2, H)
    compiled(x)
    type(eager.cells[0]).step = lambda self, a, h: tg.sin(a + self.U(h))
    alike(compiled(x)[0], eager(x)[0])


SEEN: list[int] = []
COUNT = 0


def count_global() -> float:
    global COUNT
    COUNT += 1
    return 1.0


def inner_counter() -> Any:
    n = 0

    def count(cell: Any) -> float:
        nonlocal n
        n += 1
        return 1.0

    return count


WRITES: dict[str, tuple[str, Any]] = {
    "an attribute": ("self.n", lambda c: setattr(c, "n", c.n + 1) or 1.0),
    "a new attribute": ("self.last", lambda c: setattr(c, "last", 1) or 1.0),
    "a list": ("self.seen", lambda c: c.seen.append(1) or 1.0),
    "an object": ("self.config", lambda c: setattr(c.config, "rate", c.config.rate + 1) or 1.0),
    "an array": ("self.array", lambda c: c.array.__setitem__(0, c.array[0] + 1) or 1.0),
    "a buffer in place": ("self.scale", lambda c: c.scale.mul_(2) is None or 1.0),
    "a buffer that is replaced": ("self.scale", lambda c: setattr(c, "scale", c.scale * 2) or 1.0),
    "a plain tensor": ("self.plain", lambda c: setattr(c, "plain", c.plain + 1) or 1.0),
    "a global list": ("global SEEN", lambda c: SEEN.append(1) or 1.0),
    "a global": ("global COUNT", lambda c: count_global()),
    "a closure": ("count's n", inner_counter()),
}


@pytest.mark.parametrize("name", WRITES)
def test_what_a_step_writes_is_refused_by_name_and_done_once_a_step(name: str) -> None:
    told, write = WRITES[name]
    results = []
    for compiling in (False, True):
        SEEN.clear()
        globals()["COUNT"] = 0
        tg.manual_seed(0)
        layer = reading(inner_counter() if name == "a closure" else write)
        x = tg.randn(4, 2, H)
        if compiling:
            with pytest.raises(RuntimeError, match=f"step writes .*{told}"):
                tg.compile(layer, fullgraph=True)(x)
            with pytest.warns(RuntimeWarning, match=f"runs eagerly: step writes .*{told}"):
                y, _ = tg.compile(layer)(x)
        else:
            y, _ = layer(x)
        cell = layer.cells[0]
        left = (
            cell.n,
            cell.seen,
            cell.config.rate,
            cell.array.tolist(),
            cell.scale.tolist(),
            len(SEEN),
            COUNT,
        )
        results.append((y.detach().numpy(), left))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]


def test_the_number_of_sequences_is_nothing_to_branch_on() -> None:
    for sizes in (lambda h: h.shape[0], lambda h: h.size(0), lambda h: h.shape[0] * 2):
        layer = reading(lambda c: 1.0)
        type(layer.cells[0]).step = lambda self, a, h, sizes=sizes: (
            tg.tanh(a + h) * (2.0 if sizes(h) > 300 else 1.0)
        )
        with pytest.raises(RuntimeError, match="step compares the number of sequences"):
            tg.compile(layer, fullgraph=True)(tg.randn(3, 2, H))
    for B in (2, 40, 300):
        layer = reading(lambda c: 1.0)
        type(layer.cells[0]).step = lambda self, a, h: (
            tg.tanh(a + h) * (2.0 if len(h) in (1, 2, 40, 300) else 1.0)
        )
        x = tg.randn(3, B, H)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = tg.compile(layer)(x)[0]
        np.testing.assert_allclose(found.detach().numpy(), layer(x)[0].detach().numpy(), rtol=1e-6)
