"""Steps of every kind, one at a time: what compiles equals the eager loop, what does not says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_compiled_cells import assert_same, everything

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.nn.cells import Step

D = H = 4


def weights(*shape: int) -> Any:
    seed = sum(ord(c) for c in str(shape))
    return nn.Parameter(tg.tensor(np.random.default_rng(seed).standard_normal(shape) * 0.5))


class Own(nn.Cell):
    """Parameters of every rank, a shared one, and others in submodules; `step` is given."""

    hidden_size = H

    def __init__(self) -> None:
        super().__init__()
        self.W, self.U, self.b, self.k = weights(H, H), weights(H, H), weights(H), weights()
        self.row, self.cube = weights(1, H), weights(H, 2, H)
        self.again = self.U
        self.inner = nn.Sequential(nn.Linear(H, H), nn.Tanh()).double()
        self.twice = self.inner
        self.register_module("nothing", None)


def cell(step: Any, **more: Any) -> Any:
    return type("Given", (Own,), {"step": step, **more})()


class Cube(Own):
    """A state (B, 2, H)."""

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return tg.zeros(batch_size, 2, H, dtype=like.dtype)


class Pair(Own):
    """A state of two tensors."""

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return (tg.zeros(batch_size, H, dtype=like.dtype),) * 2


class Bounded(Function):
    """The identity; its gradient is g / (1 + g²)."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g / (1 + g * g)


def both_ways(self: Any, a: Any, h: Any) -> Any:
    return tg.tanh(h @ self.W) * tg.sigmoid(h @ self.U + a)


def two_sums(self: Any, a: Any, h: Any) -> Any:
    return tg.tanh(h @ self.W + a + self.b) * tg.sigmoid(h @ self.U + a + self.b)


def assigned(self: Any, a: Any, h: Any) -> Any:
    y = tg.zeros_like(h)
    y[:, 1:3] = tg.tanh(a + h @ self.W)[:, :2]
    return y


STEPS: dict[str, Any] = {
    "a gradient that is not linear": lambda self, a, h: Bounded.apply(tg.tanh(a + h @ self.W)),
    "a sum that is needed twice": two_sums,
    "the input in two ways": lambda self, a, h: tg.tanh(a + tg.sin(a.cumsum(-1)) + h @ self.W) + a.cumsum(-1),
    "a late share of the input": lambda self, a, h: a + tg.sin(a.cumsum(-1)) + tg.tanh(h) @ self.W,
    "numbers in turn": lambda self, a, h: tg.tanh(a) - (h / 4) * 2 + -(h * 0.5) * 0.3 + (h * 0.2 - h * 0.1),
    "two precisions": lambda self, a, h: tg.tanh(a + h.float() * a),
    "a late share, of the state": lambda self, a, h: Step(h, a + tg.sin(a.cumsum(-1)) + tg.tanh(h) @ self.W),
    "a mask": lambda self, a, h: tg.tanh(a + h * (h > 0)),
    "a submodule, twice": lambda self, a, h: self.inner(a + self.twice(h)),
    "a parameter under two names": lambda self, a, h: tg.tanh(a @ self.again + h @ self.U),
    "one state in two products": both_ways,
    "an ellipsis": lambda self, a, h: tg.tanh(a + tg.cat([h[..., 1:], h[..., :1]], -1) @ self.W),
    "a number": lambda self, a, h: tg.tanh(a * self.k + h / (2 + self.k)),
    "a number of NumPy": lambda self, a, h: tg.tanh(a + np.float64(0.5) * h) * np.array(0.9),
    "arrays": lambda self, a, h: tg.tanh(a + h * np.linspace(0.1, 1, H)) + tg.tensor([[0.1, 0.2, 0.3, 0.4]]),
    "the same number in each row": lambda self, a, h: tg.tanh(a + h + 0.1 * tg.ones_like(h)),
    "infinity": lambda self, a, h: tg.tanh(tg.where(h > 0.9, float("inf"), a + h) - 1),
    "minus infinity": lambda self, a, h: tg.tanh(tg.maximum(h + a, float("-inf"))),
    "a choice between constants": lambda self, a, h: tg.tanh(a + h * tg.where(self.b > 0, 1.0, 0.5)),
    "constants side by side": lambda self, a, h: tg.tanh(a + h @ tg.cat([self.W[:2], self.U[2:]])),
    "constants stacked": lambda self, a, h: tg.tanh(a + h * tg.stack([self.b, self.row[0]]).sum(0)),
    "a slice of a cube": lambda self, a, h: tg.tanh(a + h @ self.cube.permute(1, 2, 0)[0]),
    "constant columns": lambda self, a, h: tg.tanh(a + h * self.W[:, 1]),
    "rows stacked": lambda self, a, h: tg.tanh(tg.stack([a, h @ self.W, h], 1).mean(1)),
    "rows spread": lambda self, a, h: tg.tanh(a + (h[:, :1].expand(-1, H) * h)),
    "a largest": lambda self, a, h: tg.tanh(a - h.amax(-1, keepdim=True)),
    "the output is the input": lambda self, a, h: Step(a, tg.tanh(a + h @ self.W)),
    "the output is part of the input": lambda self, a, h: Step(a[:, 1:3], tg.tanh(a + h @ self.W)),
    "the output is the state before": lambda self, a, h: Step(h, tg.tanh(a + h @ self.W)),
    "the output is part of the state": lambda self, a, h: Step(h[:, 1:], tg.tanh(a + h @ self.W)),
    "the output is a constant": lambda self, a, h: Step(tg.ones_like(h), tg.tanh(a + h)),
    "the output is detached": lambda self, a, h: Step((h * 2).detach(), tg.tanh(a + h @ self.W)),
    "a bias of the output": lambda self, a, h: Step(h @ self.U + self.b, tg.tanh(a + h @ self.W)),
    "outputs only": lambda self, a, h: Step(tg.tanh(a @ self.W), h),
    "a state that stays": lambda self, a, h: Step(tg.tanh(a + h @ self.W), h),
    "a state that is forgotten": lambda self, a, h: tg.tanh(a @ self.W + self.b),
    "a state that is the input": lambda self, a, h: Step(h + a, a),
    "a state cut off": lambda self, a, h: tg.tanh(a + h.detach() @ self.W),
    "NumPy of a detached state": lambda self, a, h: tg.tanh(a + h.detach().numpy() * np.float64(2) * self.b),
    "in single precision": lambda self, a, h: tg.tanh(a + (h.float() * 2).double()),
    "a negative factor": lambda self, a, h: tg.tanh(a) * (1 - h) - h * (-a) / (2 + a * a),
    "two factors": lambda self, a, h: (a * h + a * (-self.b)) / (3 + h * h),
}
OTHERS: dict[str, Any] = {
    "a state of rank 3": (Cube, lambda self, a, h: tg.tanh(a.unsqueeze(1) + h @ self.W)),
    "rank 3, turned": (
        Cube,
        lambda self, a, h: tg.tanh(h.transpose(1, 2) @ h @ self.U + a.unsqueeze(1))[:, :2],
    ),
    "rank 3, rank 2 out": (
        Cube,
        lambda self, a, h: Step(h[:, 0] + a, tg.tanh((a @ self.W).unsqueeze(1) * h)),
    ),
    "rank 3, side by side": (
        Cube,
        lambda self, a, h: tg.tanh(tg.cat([h[:, :, 1:], h[:, :, :1]], 2) + a.unsqueeze(1)),
    ),
    "states exchanged": (Pair, lambda self, a, s: (s[1], tg.tanh(s[0] @ self.W + a))),
    "states alike": (Pair, lambda self, a, s: (tg.tanh(s[0] + s[1] + a),) * 2),
    "a state that nobody reads": (Pair, lambda self, a, s: (tg.tanh(s[0] @ self.W + a), s[0] * 2)),
    "a state that stays among two": (Pair, lambda self, a, s: (tg.tanh(s[0] @ self.W + s[1] + a), s[1])),
    "parts of one product": (
        Pair,
        lambda self, a, s: tuple(
            tg.tanh(s[0] @ tg.cat([self.W, self.U], 1) + tg.cat([a, s[1]], 1)).chunk(2, 1)
        ),
    ),
}


def states_of(own: Any, B: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(B)
    zero = own.initial_state(B, tg.zeros(1, dtype=tg.float64))
    zeros = zero if isinstance(zero, tuple) else (zero,)
    return tuple(tg.tensor(rng.standard_normal(z.shape)) for z in zeros)


@pytest.mark.parametrize("name", [*STEPS, *OTHERS])
@pytest.mark.parametrize(("T", "B"), [(3, 2), (2, 400)])
def test_a_compiled_step_equals_the_eager_one(name: str, T: int, B: int) -> None:
    kind, step = OTHERS.get(name, (Own, STEPS.get(name)))
    own = type("Given", (kind,), {"step": step})()
    eager = nn.Recurrent(own)
    compiled = tg.compile(eager, fullgraph=True)
    rng = np.random.default_rng(0)
    x, begin = tg.tensor(rng.standard_normal((T, B, D))), states_of(own, B)
    for lengths in (None, tg.tensor([T - k % (T + 1) for k in range(B)])):
        assert_same(*(everything(layer, x, begin, lengths=lengths) for layer in (compiled, eager)))
    both = nn.Recurrent([(own, own)])
    found = [layer(x)[0].detach().numpy() for layer in (tg.compile(both, fullgraph=True), both)]
    assert_same([found[0]], [found[1]])


FAR = nn.Parameter(tg.ones(H, dtype=tg.float64))
REFUSED: dict[str, Any] = {
    "matmul of .* may mix rows": lambda self, a, h: tg.tanh(a + h @ h.t() @ a),
    "cumsum of .* may mix rows": lambda self, a, h: tg.tanh(a + h.cumsum(0)),
    "stack of .* may mix rows": lambda self, a, h: tg.tanh(a + tg.stack([self.b] * h.shape[0])),
    r"cat of \(.*, 4\) and \(.*, 4\) may mix rows": lambda self, a, h: (
        tg.cat([h, a]).t() @ tg.stack([h, a], 1).reshape(-1, H)
    ),
    "np.all on values": lambda self, a, h: tg.tanh(a + h.cumprod(-1)),
    "a tensor that requires a gradient does not belong to the cell": lambda self, a, h: tg.tanh(a + h * FAR),
    "getitem: an index depends on data": lambda self, a, h: tg.tanh(a + self.W[(h[:, 0] > 0).long()]),
    "a view of a value was taken outside": lambda self, a, h: a + tg.Tensor(h.detach().numpy().T).t(),
    "a number was computed from values": lambda self, a, h: h + float(np.asarray(a.detach().numpy()).max()),
    "has a row for each sequence but comes from no input": lambda self, a, h: (
        h + tg.arange(h.shape[0]).unsqueeze(1) * a
    ),
    r"np.multiply.reduce on values": lambda self, a, h: (
        a + np.multiply.reduce(h.detach().numpy(), 1)[:, None]
    ),
    "item asks for a value": lambda self, a, h: a + h.sum().item(),
    "a state of the form .*tensor, tensor.* from one of tensor": lambda self, a, h: Step(h, (h, a)),
    r"a state \(8,\) float64 from one of \(4,\) float64": lambda self, a, h: tg.cat([h, a], 1),
    "step returns float as output, not a tensor": lambda self, a, h: Step(1.0, h),
    r"step returns output of shape \(4,\), which has no row": lambda self, a, h: Step(self.b * 2, h),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_compiled_is_said(words: str) -> None:
    compiled = tg.compile(nn.Recurrent(cell(REFUSED[words])), fullgraph=True)
    with pytest.raises(RuntimeError, match=words):
        compiled(tg.ones(3, 2, D, dtype=tg.float64).requires_grad_())


@pytest.mark.filterwarnings("ignore:compile. runs eagerly:RuntimeWarning")
def test_what_is_assigned_in_a_step_counts_compiled_or_not() -> None:
    eager = nn.Recurrent(cell(assigned))
    x, begin = tg.randn(3, 2, D, dtype=tg.float64), states_of(Own(), 2)
    assert_same(*(everything(layer, x, begin) for layer in (tg.compile(eager), eager)))
