"""Plain recurrences: Elman to clockwork, low rank, taps and delay lines, a reservoir."""

from __future__ import annotations

from typing import Any

import numpy as np
from published_cells import Sized, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter, Step

F = nn.functional


@published
class Elman(Sized):
    """h' = tanh(W x + U h) (Elman 1990), y = V h'."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.i2h = nn.Linear(D + H, H)
        self.h2o = nn.Linear(H, 2)

    def step(self, x: Any, hidden: Any) -> Any:
        combined = tg.cat((x, hidden), 1)
        hidden = tg.tanh(self.i2h(combined))
        output = F.log_softmax(self.h2o(hidden), dim=1)
        return Step(output, hidden)


@published
class Jordan(Sized):
    """h = σ(W x + U y), y' = V h (Jordan 1986): the output comes back, not the hidden layer."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.U, self.V = nn.Linear(D, 5), nn.Linear(H, 5, bias=False), nn.Linear(5, H)

    def step(self, x: Any, y: Any) -> Any:
        h = (self.W(x) + self.U(y)).sigmoid()
        return self.V(h)


@published
class IRNN(Sized):
    """h' = max(0, W x + U h + b), U = 1 at first (Le, Jaitly & Hinton 2015)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W = Parameter(tg.randn(H, D) * 0.3)
        self.U = Parameter(tg.eye(H))
        self.b = Parameter(tg.zeros(H))

    def step(self, x: Any, h: Any) -> Any:
        return F.relu(x.matmul(self.W.t()) + tg.mm(h, self.U.T) + self.b)


@published
class IndRNN(Sized):
    """h' = max(0, W x + u ∘ h + b) (Li et al. 2018, eq. 2), |u| clipped."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.u = nn.Linear(D, H), Parameter(tg.ones(H))

    def project(self, xs: Any) -> Any:
        return self.W(xs)

    def step(self, a: Any, h: Any) -> Any:
        return F.relu(tg.addcmul(a, self.u.clamp(-1.2, 1.2).expand_as(h), h))


@published
class SCRN(Sized):
    """s' = (1 - α) B x + α s, h' = σ(P s' + A x + R h), y = U h' + V s' (Mikolov et al. 2014, eq. 4-6)."""

    alpha = 0.95

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.A, self.R = nn.Linear(D, H, bias=False), nn.Linear(H, H, bias=False)
        self.B, self.P = nn.Linear(D, 2, bias=False), nn.Linear(2, H, bias=False)
        self.U, self.V = nn.Linear(H, 3), nn.Linear(2, 3, bias=False)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, 2)

    def step(self, x: Any, state: Any) -> Any:
        h, s = state
        s = (1 - self.alpha) * self.B(x) + self.alpha * s
        h = tg.sigmoid(self.P(s) + self.A(x) + self.R(h))
        return Step(self.U(h) + self.V(s), (h, s))


@published
class MIRNN(Sized):
    """h' = tanh(α ∘ Wx ∘ Uh + β₁ ∘ Uh + β₂ ∘ Wx + b) (Wu et al. 2016, eq. 3)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.U = nn.Linear(D, H, bias=False), nn.Linear(H, H, bias=False)
        self.alpha, self.beta1 = Parameter(tg.ones(H)), Parameter(tg.ones(H) * 0.5)
        self.beta2, self.b = Parameter(tg.ones(H) * 0.5), Parameter(tg.zeros(H))

    def step(self, x: Any, h: Any) -> Any:
        Wx, Uh = self.W(x), self.U(h)
        return tg.tanh(self.alpha * Wx * Uh + self.beta1 * Uh + self.beta2 * Wx + self.b)


@published
class FastRNN(Sized):
    """h' = σ(α) tanh(W x + U h + b) + σ(β) h, α and β numbers (Kusupati et al. 2018, eq. 1)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.U = Parameter(tg.randn(D, H) * 0.1), Parameter(tg.randn(H, H) * 0.1)
        self.bias_update = Parameter(tg.ones(1, H))
        self.alpha, self.beta = Parameter(tg.tensor([[-3.0]])), Parameter(tg.tensor([[3.0]]))

    def step(self, x: Any, h: Any) -> Any:
        c = tg.tanh(tg.matmul(x, self.W) + tg.matmul(h, self.U) + self.bias_update)
        return tg.sigmoid(self.beta) * h + tg.sigmoid(self.alpha) * c


@published
class FastGRNN(Sized):
    """z = σ(a + b_z), ĥ = tanh(a + b_h), h' = (ζ (1 - z) + ν) ∘ ĥ + z ∘ h
    (Kusupati et al. 2018, eq. 3), low rank.
    """

    def __init__(self, D: int, H: int, rank: int = 2) -> None:
        super().__init__(D, H)
        self.W1, self.W2 = Parameter(tg.randn(rank, D) * 0.4), Parameter(tg.randn(H, rank) * 0.4)
        self.U1, self.U2 = Parameter(tg.randn(rank, H) * 0.4), Parameter(tg.randn(H, rank) * 0.4)
        self.bias_gate, self.bias_update = Parameter(tg.ones(1, H)), Parameter(tg.ones(1, H))
        self.zeta, self.nu = Parameter(tg.tensor([[1.0]])), Parameter(tg.tensor([[-4.0]]))

    def step(self, x: Any, h: Any) -> Any:
        wComp = tg.matmul(tg.matmul(x, self.W1.t()), self.W2.t())
        uComp = tg.matmul(tg.matmul(h, self.U1.t()), self.U2.t())
        pre_comp = wComp + uComp
        z = tg.sigmoid(pre_comp + self.bias_gate)
        c = tg.tanh(pre_comp + self.bias_update)
        return z * h + (tg.sigmoid(self.zeta) * (1.0 - z) + tg.sigmoid(self.nu)) * c


@published
class RecurrentHighway(Sized):
    """s ← tanh(R_h s) ∘ t + s ∘ (1 - t), t = σ(R_t s), thrice; the input in the first
    (Zilly et al. 2017, eq. 6-9).
    """

    def __init__(self, D: int, H: int, depth: int = 3) -> None:
        super().__init__(D, H)
        self.depth = depth
        self.inp = nn.Linear(D, 2 * H, bias=False)
        self.layers = nn.ModuleList([nn.Linear(H, 2 * H) for _ in range(depth)])

    def step(self, x: Any, s: Any) -> Any:
        for k, layer in enumerate(self.layers):
            z = layer(s) if k else layer(s) + self.inp(x)
            h, t = z.split(self.hidden_size, dim=-1)
            t = t.sigmoid()
            s = h.tanh() * t + s * (1 - t)
        return s


@published
class Clockwork(Sized):
    """Module g is updated where t mod 2^g = 0, and hears slower ones only
    (Koutník et al. 2014); t is a state.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.U = nn.Linear(D, H), nn.Linear(H, H, bias=False)
        period = 2 ** (tg.arange(H) // 2)
        self.register_buffer("period", period.float())
        self.register_buffer("mask", (period[None, :] >= period[:, None]).float())

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, 1)

    def step(self, x: Any, state: Any) -> Any:
        h, t = state
        new = tg.tanh(self.W(x) + F.linear(h, self.U.weight * self.mask))
        active = (t.round() % self.period) == 0
        return tg.where(active, new, h), t + 1


@published
class DelayLine(Sized):
    """y_t = Σ_k w_k ∘ x_{t-k}: the last K inputs, the oldest pushed out (Waibel et al. 1989)."""

    def __init__(self, D: int, H: int, K: int = 3) -> None:
        super().__init__(D, H)
        self.K, self.w = K, Parameter(tg.randn(K, D))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.K, self.input_size)

    def step(self, x: Any, line: Any) -> Any:
        line = tg.cat([line[:, 1:], x[:, None, :]], dim=1)
        return Step(tg.einsum("bkd,kd->bd", line, self.w), line)


@published
class NARX(Sized):
    """y' = MLP(x_t … x_{t-2}, y_t … y_{t-2}) (Lin et al. 1996): two tapped lines."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.mlp = nn.Sequential(nn.Linear(3 * D + 3, H), nn.Tanh(), nn.Linear(H, 1))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, 3 * self.input_size), self.zeros(like, batch_size, 3)

    def step(self, x: Any, state: Any) -> Any:
        xs, ys = state
        xs = tg.hstack((x, xs[:, : -self.input_size]))
        y = self.mlp(tg.hstack((xs, ys)))
        return Step(y.squeeze(1), (xs, F.pad(ys[:, :-1], (1, 0)) + F.pad(y, (0, 2))))


@published
class EchoState(Sized):
    """h' = (1 - a) h + a tanh(W_in x + W h), W frozen, y = W_out [1; x; h']
    (Jaeger 2001; Lukoševičius 2012).
    """

    def __init__(self, D: int, H: int, leak: float = 0.3, radius: float = 0.9) -> None:
        super().__init__(D, H)
        rng = np.random.default_rng(0)
        W = rng.uniform(-0.5, 0.5, (H, H))
        W *= radius / np.abs(np.linalg.eigvals(W)).max()
        self.register_buffer("W", tg.tensor(W))
        self.register_buffer("W_in", tg.tensor(rng.uniform(-0.5, 0.5, (H, 1 + D))))
        self.readout, self.leak = nn.Linear(1 + D + H, 2), leak

    def step(self, x: Any, h: Any) -> Any:
        one = tg.ones(x.size(0), 1, dtype=x.dtype)
        u = tg.cat([one, x], -1)
        h = (1 - self.leak) * h + self.leak * tg.tanh(u @ self.W_in.T + h @ self.W.T)
        return Step(self.readout(tg.cat([u, h], -1)), h)


@published
class GatedCounter(Sized):
    """k = σ-gated counters that rise, fall, and are read where positive
    (Weiss et al. 2018), written in place.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.act, self.out = nn.Linear(D + H, 2 * H), nn.Linear(H, 3)

    def step(self, x: Any, counters: Any) -> Any:
        seen = (counters > 0).to(x.dtype)
        up, down = tg.sigmoid(self.act(tg.cat([x, seen], 1))).chunk(2, 1)
        new = counters.clone()
        new += up
        new -= down * seen
        new[:, 0] = new[:, 0] * 0.5
        return Step(self.out(tg.tanh(new)), F.hardtanh(new, -3.0, 3.0))


@published
class TensorRNN(Sized):
    """h' = tanh(Σ_d x_d U_d h + W x): a matrix for each input
    (Sutskever et al. 2011, eq. 7, not factored).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.U, self.W = Parameter(tg.randn(H, D, H) * 0.3), nn.Linear(D, H)
        self.pair = nn.Bilinear(D, H, H, bias=False)

    def step(self, x: Any, h: Any) -> Any:
        return tg.tanh(tg.einsum("bd,kdh,bh->bk", x, self.U, h) + self.pair(x, h) + self.W(x))
