"""LSTMs with something around them: time, attention, chunks, another LSTM, dropout, rounding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from published_cells import Sized, TwoStates, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter

F = nn.functional


@published
class PhasedLSTM(TwoStates):
    """c' = k c̃ + (1 - k) c, k open for a part of each unit's period, t in the input
    (Neil et al. 2016, eq. 6-10).
    """

    def __init__(self, D: int, H: int, leak: float = 0.001) -> None:
        super().__init__(D, H)
        self.lstm, self.leak = nn.LSTMCell(D - 1, H), leak
        self.tau, self.s = Parameter(tg.exp(tg.linspace(0, 2, H))), Parameter(tg.zeros(H) + 0.2)
        self.r_on = Parameter(tg.ones(H) * 0.4)

    def step(self, inputs: Any, state: Any) -> Any:
        x, t = inputs[:, :-1], inputs[:, -1:].abs() * 3
        h, c = state
        phi = tg.remainder(t - self.s, self.tau) / self.tau
        k_up, k_down = 2 * phi / self.r_on, 2 - 2 * phi / self.r_on
        k_closed = self.leak * phi
        k = tg.where(phi < self.r_on, k_down, k_closed)
        k = tg.where(phi < 0.5 * self.r_on, k_up, k)
        h_new, c_new = self.lstm(x, (h, c))
        return k * h_new + (1 - k) * h, k * c_new + (1 - k) * c


@published
class OrderedNeuronsLSTM(TwoStates):
    """Master gates f̃ = cumax, ĩ = 1 - cumax, overlap ω = f̃ ĩ (Shen et al. 2019, eq. 7-15), in chunks."""

    def __init__(self, D: int, H: int, chunk_size: int = 2) -> None:
        super().__init__(D, H)
        self.chunk_size, self.n_chunk = chunk_size, H // chunk_size
        self.ih, self.hh = nn.Linear(D, 4 * H + self.n_chunk * 2), nn.Linear(H, 4 * H + self.n_chunk * 2)

    @staticmethod
    def cumsoftmax(x: Any, dim: int = -1) -> Any:
        return tg.cumsum(F.softmax(x, dim=dim), dim=dim)

    def step(self, x: Any, state: Any) -> Any:
        hx, cx = state
        cx = cx.view(-1, self.n_chunk, self.chunk_size)
        gates = self.ih(x) + self.hh(hx)
        cingate, cforgetgate = gates[:, : self.n_chunk * 2].chunk(2, 1)
        outgate, cell, ingate, forgetgate = (
            gates[:, self.n_chunk * 2 :].view(-1, self.n_chunk * 4, self.chunk_size).chunk(4, 1)
        )
        cingate, cforgetgate = 1.0 - self.cumsoftmax(cingate), self.cumsoftmax(cforgetgate)
        cingate, cforgetgate = cingate[:, :, None], cforgetgate[:, :, None]
        ingate, forgetgate, cell, outgate = (
            ingate.sigmoid(), forgetgate.sigmoid(), cell.tanh(), outgate.sigmoid()
        )  # fmt: skip
        overlap = cforgetgate * cingate
        forgetgate = forgetgate * overlap + (cforgetgate - overlap)
        ingate = ingate * overlap + (cingate - overlap)
        cy = forgetgate * cx + ingate * cell
        hy = outgate * tg.tanh(cy)
        return hy.view(-1, self.hidden_size), cy.view(-1, self.hidden_size)


class MogrifierConfig(NamedTuple):
    """rounds: how often x and h scale each other."""

    rounds: int = 5


@published
class Mogrifier(TwoStates):
    """x ← 2σ(Q h) ∘ x and h ← 2σ(R x) ∘ h in turn, then an LSTM (Melis et al. 2020, eq. 1-2)."""

    def __init__(self, D: int, H: int, config: MogrifierConfig = MogrifierConfig()) -> None:  # noqa: B008
        super().__init__(D, H)
        self.config, self.lstm = config, nn.LSTMCell(D, H)
        self.q = nn.ModuleList([nn.Linear(D, H) if k % 2 else nn.Linear(H, D) for k in range(config.rounds)])

    def mogrify(self, x: Any, h: Any) -> tuple[Any, Any]:
        for k in range(self.config.rounds):
            if k % 2 == 0:
                x = 2 * tg.sigmoid(self.q[k](h)) * x
            else:
                h = 2 * tg.sigmoid(self.q[k](x)) * h
        return x, h

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        x, h = self.mogrify(x, h)
        return self.lstm(x, (h, c))


@published
class NestedLSTM(Sized):
    """The cell state of an LSTM is the hidden state of another (Moniz & Krueger 2017, eq. 6-13)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.outer, self.inner = nn.Linear(D + H, 4 * H), nn.LSTMCell(H, H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        h = self.zeros(like, batch_size, self.hidden_size)
        return h, (h.clone(), h.clone())

    def step(self, x: Any, state: Any) -> Any:
        h, (c, inner_c) = state
        i, f, o, g = self.outer(tg.cat([x, h], dim=1)).chunk(4, dim=1)
        inner_h = tg.sigmoid(f) * c
        c, inner_c = self.inner(tg.sigmoid(i) * tg.tanh(g), (inner_h, inner_c))
        return tg.sigmoid(o) * tg.tanh(c), (c, inner_c)


@published
class FeatureAttentionLSTM(TwoStates):
    """x̃ = softmax(v tanh(W [h, c] + U x)) ∘ x, then an LSTM
    (Qin et al. 2017, eq. 8-11: DA-RNN's encoder).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.attn, self.lstm = nn.Linear(2 * H + 1, 5), nn.LSTMCell(D, H)
        self.v = nn.Linear(5, 1, bias=False)

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        context = tg.cat((h, c), dim=1).unsqueeze(1).repeat(1, self.input_size, 1)
        e = self.v(tg.tanh(self.attn(tg.cat((context, x.unsqueeze(2)), dim=2)))).squeeze(-1)
        return self.lstm(x * F.softmax(e, dim=1), (h, c))


@published
class TimeAwareLSTM(TwoStates):
    """c ← c - c_s + c_s / ln(e + Δt), c_s = tanh(W c) (Baytas et al. 2017, eq. 1-4), Δt in the input."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W_d, self.lstm = nn.Linear(H, H), nn.LSTMCell(D - 1, H)

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        x, dt = x.split([self.input_size - 1, 1], dim=1)
        c_short = tg.tanh(self.W_d(c))
        c = (c - c_short) + c_short / tg.log(np.e + dt.abs())
        return self.lstm(x, (h, c))


@published
class ZoneoutLSTM(TwoStates):
    """Each unit of h and c keeps its old value with probability z
    (Krueger et al. 2017, eq. 5); its mean in evaluation.
    """

    def __init__(self, D: int, H: int, z_h: float = 0.3, z_c: float = 0.4) -> None:
        super().__init__(D, H)
        self.cell, self.z_h, self.z_c = nn.LSTMCell(D, H), z_h, z_c

    def zoneout(self, old: Any, new: Any, prob: float) -> Any:
        if self.training:
            mask = tg.bernoulli(tg.full_like(old, prob))
            return mask * old + (1 - mask) * new
        return prob * old + (1 - prob) * new

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        new_h, new_c = self.cell(x, (h, c))
        return self.zoneout(h, new_h, self.z_h), self.zoneout(c, new_c, self.z_c)


@published
class RecurrentDropoutLSTM(TwoStates):
    """c' = f c + i dropout(g): the candidate alone is dropped (Semeniuta et al. 2016, eq. 10)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.linear, self.p = nn.Linear(D + H, 4 * H), 0.25

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        f, i, o, g = self.linear(tg.cat([x, h], 1)).chunk(4, 1)
        g = F.dropout(tg.tanh(g), p=self.p, training=self.training)
        c = tg.sigmoid(f) * c + tg.sigmoid(i) * g
        return tg.sigmoid(o) * tg.tanh(c), c


@published
class HardLSTM(TwoStates):
    """Gates hardsigmoid, values rounded to eighths, the gradient straight through (Hubara et al. 2018)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.gates = nn.Linear(D + H, 4 * H)

    def quantise(self, x: Any) -> Any:
        return x + (tg.round(x * 8) / 8 - x).detach()

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        i, f, g, o = self.gates(tg.cat([x, self.quantise(h)], 1)).view(-1, 4, self.hidden_size).unbind(1)
        c = F.hardsigmoid(f) * c + F.hardsigmoid(i) * F.hardtanh(g)
        return F.hardsigmoid(o) * F.hardtanh(c), self.quantise(c)
