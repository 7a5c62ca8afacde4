"""Cells drawn at random: the compiled program gives what the eager loop gives, values and every gradient."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Cell, Parameter, Recurrent

UNARY: dict[str, Any] = {
    "tanh": tg.tanh,
    "sigmoid": tg.sigmoid,
    "sin": tg.sin,
    "exp of tanh": lambda x: tg.exp(tg.tanh(x)),
    "relu": tg.relu,
    "softmax": lambda x: nn.functional.softmax(x, -1),
    "centred": lambda x: x - x.mean(-1, keepdim=True),
    "normed": lambda x: x / tg.sqrt((x * x).sum(-1, keepdim=True) + 1),
    "square root": lambda x: tg.sqrt(x * x + 1),
    "leaky": lambda x: nn.functional.leaky_relu(x, 0.1),
    "clamped": lambda x: tg.clamp(x, -0.7, 0.7),
    "cube": lambda x: x**3 / 10,
    "turned": lambda x: tg.cat([x[:, 1:], x[:, :1]], -1),
    "flipped": lambda x: x.flip(-1),
    "gathered": lambda x: x[:, [0, -1] * (x.shape[1] // 2) + [0] * (x.shape[1] % 2)],
    "padded": lambda x: tg.cat([x[:, :-1], x[:, :1] * 0 + 0.5], -1),
    "running sum": lambda x: x.cumsum(-1) / 3,
    "largest": lambda x: x - x.amax(-1, keepdim=True),
    "in a cube": lambda x: tg.einsum("bi,bj->bij", x, x).sum(-1) / 3,
    "three ranks": lambda x: (x.unsqueeze(1) * x.unsqueeze(2)).mean(1),
    "gelu": lambda x: nn.functional.gelu(x),
    "softplus": lambda x: nn.functional.softplus(x),
    "erf": lambda x: tg.erf(x),
}
BINARY: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "-": lambda a, b: a - b,
    "gate": lambda a, b: tg.sigmoid(a) * b,
    "ratio": lambda a, b: a / (1 + b * b),
    "larger": tg.maximum,
    "where": lambda a, b: tg.where(a > b, a * 0.5, b),
    "blend": lambda a, b: a + 0.3 * (b - a),
    "row scale": lambda a, b: a * tg.tanh(b.sum(-1, keepdim=True)),
}


class Drawn(Cell):
    """A cell whose step is a list of operations drawn at random."""

    def __init__(
        self, sizes: tuple[int, int], states: int, program: list[Any], output: str, project: bool
    ) -> None:
        super().__init__()
        D, H = sizes
        self.hidden_size, self.states, self.program, self.output, self.early = (
            H,
            states,
            program,
            output,
            project,
        )
        rng = np.random.default_rng(len(program) + 7 * states)
        draw = lambda *shape: Parameter(tg.tensor(rng.standard_normal(shape) * 0.5))  # noqa: E731
        self.w_in, self.w, self.v, self.b = draw(D, H), draw(H, H), draw(H, 2), draw(H)
        self.u = draw(H, 4 * H)  # what the gates read

    def initial_state(self, batch_size: int, like: Any) -> Any:
        zero = tg.zeros(batch_size, self.hidden_size, dtype=like.dtype)
        return zero if self.states == 1 else (zero,) * self.states

    def project(self, xs: Any) -> Any:
        return xs @ self.w_in if self.early else xs

    def step(self, a: Any, state: Any) -> Any:
        a = a if self.early else a @ self.w_in
        values = [a, *(state if isinstance(state, tuple) else (state,))]
        for kind, name, i, j in self.program:
            x, y = values[i % len(values)], values[j % len(values)]
            if kind == "unary":
                values.append(UNARY[name](x))
            elif kind == "binary":
                values.append(BINARY[name](x, y))
            elif kind == "gates":  # functions of neighbouring slices; some are read before the last is made
                parts: list[Any] = []
                for gate, part in zip(name, (x @ self.u).chunk(4, -1)):
                    parts.append(GATES[gate](part) if j % 2 else GATES[gate](part) * 0.5)
                values.append(parts[0] * parts[1] + parts[-1] * y)
            else:
                values.append(tg.tanh(x @ self.w + self.b))
        new = tuple(
            tg.tanh(values[-1 - k]) if k != 1 else values[-1 - k % len(values)] * 0.5
            for k in range(self.states)
        )
        following = new[0] if self.states == 1 else new
        if self.output == "state":
            return following
        y = values[-1] @ self.v if self.output == "product" else values[len(values) // 2] * 2
        return nn.cells.Step(y, following)


GATES = {"s": tg.sigmoid, "t": tg.tanh, "r": tg.relu, "i": lambda x: x}
gates = st.text("sstri", min_size=2, max_size=4).filter(lambda kinds: kinds.count("s") > 1)
operation = st.one_of(
    st.tuples(st.just("gates"), gates, st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("product"), st.just(""), st.integers(0, 9), st.just(0)),
)


def everything(layer: Any, x: Any, states: Any, **more: Any) -> list[Any]:
    """Outputs, last states, and all gradients of a random function of them, as arrays."""
    for p in layer.parameters():
        p.grad = None
    x = x.detach().requires_grad_()
    states = None if states is None else tuple(s.detach().requires_grad_() for s in states)
    y, last = layer(x, states if states is None or len(states) > 1 else states[0], **more)
    last = last if isinstance(last, tuple) else (last,)
    rng = np.random.default_rng(0)
    sum(
        ((t * tg.tensor(rng.standard_normal(t.shape))).sum() for t in (y, *last)),
        tg.zeros((), dtype=tg.float64),
    ).backward()
    leaves = [x, *(states or ()), *layer.parameters()]
    return [t.detach().numpy() for t in (y, *last)] + [
        None if t.grad is None else t.grad.numpy() for t in leaves
    ]


def assert_same(found: list[Any], wanted: list[Any]) -> None:
    """Equal to 1e-12 of the largest number, or (for sums that cancel) of one."""
    for a, b in zip(found, wanted):
        assert (a is None or not a.any()) if b is None else a is not None or not b.any()
        if a is not None and b is not None:
            assert a.shape == b.shape
            scale = max(np.abs(b).max(initial=0), 1e-3)
            np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=1e-12)


@settings(max_examples=settings.default.max_examples * 3 // 2)
@given(
    program=st.lists(operation, min_size=1, max_size=7),
    states=st.integers(1, 3),
    output=st.sampled_from(["state", "product", "value"]),
    early=st.booleans(),
    reverse=st.booleans(),
    shape=st.tuples(st.integers(0, 4), st.sampled_from([1, 2, 3, 900])),
    ragged=st.booleans(),
)
def test_random_cells(
    program: Any, states: int, output: str, early: bool, reverse: bool, shape: Any, ragged: bool
) -> None:
    T, B = shape
    cell = Drawn((2, 3), states, program, output, early)
    eager = Recurrent([(cell, cell)]) if reverse else Recurrent(cell)
    rng = np.random.default_rng(T + B)
    x = tg.tensor(rng.standard_normal((T, B, 2)))
    lengths = {"lengths": tg.tensor(rng.integers(0, T + 1, B))} if ragged else {}
    begin = () if reverse else tuple(tg.tensor(rng.standard_normal((B, 3))) for _ in range(states))
    compiled = tg.compile(eager, fullgraph=True)
    if reverse:
        y, _ = compiled(x, **lengths)
        z, _ = eager(x, **lengths)
        assert_same([y.detach().numpy()], [z.detach().numpy()])
    else:
        assert_same(everything(compiled, x, begin, **lengths), everything(eager, x, begin, **lengths))
        with tg.no_grad():
            a, b = (layer(x, begin if states > 1 else begin[0], **lengths)[0] for layer in (compiled, eager))
        assert_same([a.numpy()], [b.numpy()])


@pytest.mark.parametrize("name", sorted(UNARY))
def test_each_operation(name: str) -> None:
    cell = Drawn(
        (2, 4), 2, [("unary", name, 1, 0), ("binary", "+", 3, 0), ("unary", name, 4, 0)], "product", True
    )
    eager = Recurrent(cell)
    x, begin = tg.randn(3, 2, 2, dtype=tg.float64), tuple(tg.randn(2, 4, dtype=tg.float64) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = tg.compile(eager)
        assert_same(everything(compiled, x, begin), everything(eager, x, begin))
        assert_same(
            everything(compiled, x, begin, lengths=tg.tensor([3, 1])),
            everything(eager, x, begin, lengths=tg.tensor([3, 1])),
        )


class Forms(Cell):
    """A cell that does something else for each form of its state."""

    hidden_size = 3

    def step(self, a: Any, state: Any) -> Any:
        if isinstance(state[0], tuple):
            (p, q), r = state
            return nn.cells.Step(p + a, ((tg.tanh(p + a), q * r), r))
        if isinstance(state[1], tuple):
            p, (q, r) = state
            return nn.cells.Step(q - a, (tg.sin(p - a), (q + r, r)))
        p, q, r = state
        return nn.cells.Step(r * a, (p, q + a, tg.tanh(r)))


def test_states_of_several_forms_have_a_program_each() -> None:
    eager = Recurrent(Forms())
    compiled = tg.compile(eager, fullgraph=True)
    x = tg.randn(4, 2, 3, dtype=tg.float64)
    p, q, r = (tg.randn(2, 3, dtype=tg.float64) for _ in range(3))
    for state in ((p, q), r), (p, (q, r)), (p, q, r):
        (y, _), (wanted, _) = compiled(x, state), eager(x, state)
        np.testing.assert_allclose(y.numpy(), wanted.numpy(), rtol=1e-12)
