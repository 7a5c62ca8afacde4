"""LSTMs with other equations."""

from __future__ import annotations

import math
from typing import Any

from published_cells import Sized, TwoStates, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import LSTMState, Parameter, Step

F = nn.functional


@published
class ForgetBiasLSTM(TwoStates):
    """i, g, f, o from one product; c' = σ(f + 1) c + σ(i) tanh(g), h' = tanh(c') σ(o)
    (Jozefowicz et al. 2015).
    """

    forget_bias = 1.0

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.linear = nn.Linear(D + H, 4 * H)

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        i, j, f, o = tg.split(self.linear(tg.cat([x, h], 1)), self.hidden_size, dim=1)
        c = c * tg.sigmoid(f + self.forget_bias) + tg.sigmoid(i) * tg.tanh(j)
        return tg.tanh(c) * tg.sigmoid(o), c


@published
class ChronoLSTM(TwoStates):
    """An LSTM whose forget biases are ln U(1, T_max - 1), the input's -b_f
    (Tallec & Ollivier 2018, eq. 16).
    """

    def __init__(self, D: int, H: int, T_max: int = 8) -> None:
        super().__init__(D, H)
        self.cell = nn.LSTMCell(D, H)
        with tg.no_grad():
            self.cell.bias_ih.zero_()
            self.cell.bias_hh[H : 2 * H] = tg.log(tg.rand(H) * (T_max - 2) + 1)
            self.cell.bias_hh[:H] = -self.cell.bias_hh[H : 2 * H]

    def step(self, x: Any, state: Any) -> Any:
        return self.cell(x, state)


@published
class PeepholeLSTM(TwoStates):
    """i = σ(· + p_i c), f = σ(· + p_f c), o = σ(· + p_o c') (Gers & Schmidhuber 2000)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x2h, self.h2h = nn.Linear(D, 4 * H), nn.Linear(H, 4 * H, bias=False)
        self.w_ci, self.w_cf, self.w_co = (Parameter(tg.randn(1, H) * 0.5) for _ in range(3))

    def project(self, xs: Any) -> Any:
        return self.x2h(xs)

    def step(self, a: Any, state: Any) -> Any:
        h, c = state
        H = self.hidden_size
        gates = a + self.h2h(h)
        i = tg.sigmoid(gates[:, :H] + self.w_ci * c)
        f = tg.sigmoid(gates[:, H : 2 * H] + self.w_cf * c)
        c = f * c + i * tg.tanh(gates[:, 2 * H : 3 * H])
        o = tg.sigmoid(gates[:, 3 * H :] + self.w_co * c)
        return o * tg.tanh(c), c


@published
class CIFG(TwoStates):
    """i = 1 - f (Greff et al. 2017)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.weight_ih, self.weight_hh = Parameter(tg.randn(3, H, D)), Parameter(tg.randn(3, H, H))
        self.bias = Parameter(tg.zeros(3, H))

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        f, o, g = (
            F.linear(x, w, b) + F.linear(h, u) for w, u, b in zip(self.weight_ih, self.weight_hh, self.bias)
        )
        f, o = f.sigmoid(), o.sigmoid()
        c = f * c + (1 - f) * g.tanh()
        return o * c.tanh(), c


@published
class LayerNormLSTM(TwoStates):
    """Gates of LN(W_h h) + LN(W_x x) + b, h' = σ(o) tanh(LN(c')) (Ba et al. 2016, eq. 20-22)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.weight_ih, self.weight_hh = Parameter(tg.randn(4 * H, D)), Parameter(tg.randn(4 * H, H))
        self.layernorm_i, self.layernorm_h = nn.LayerNorm(4 * H), nn.LayerNorm(4 * H)
        self.layernorm_c = nn.LayerNorm(H)

    def step(self, input: Any, state: Any) -> Any:
        hx, cx = state
        igates = self.layernorm_i(tg.mm(input, self.weight_ih.t()))
        hgates = self.layernorm_h(tg.mm(hx, self.weight_hh.t()))
        ingate, forgetgate, cellgate, outgate = (igates + hgates).chunk(4, 1)
        cy = self.layernorm_c(forgetgate.sigmoid() * cx + ingate.sigmoid() * cellgate.tanh())
        return outgate.sigmoid() * tg.tanh(cy), cy


@published
class ProjectionLSTM(Sized):
    """h' = P (o ∘ tanh c'), smaller than c (Sak et al. 2014, eq. 6), clipped."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.gates, self.proj = nn.Linear(D + 2, 4 * H), nn.Linear(H, 2, bias=False)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return LSTMState(self.zeros(like, batch_size, 2), self.zeros(like, batch_size, self.hidden_size))

    def step(self, x: Any, state: Any) -> Any:
        gates = self.gates(tg.cat([x, state.h], -1)).view(x.shape[0], 4, -1)
        i, f, o = tg.sigmoid(gates[:, :3]).unbind(1)
        c = (f * state.c + i * gates[:, 3].tanh()).clamp(-3, 3)
        return LSTMState(self.proj(o * c.tanh()), c)


@published
class OriginalLSTM(TwoStates):
    """c' = c + i g(x, h), h' = o h(c'), no forget gate; g in ±2, h in ±1
    (Hochreiter & Schmidhuber 1997).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.i, self.o, self.g = (nn.Linear(D + H, H) for _ in range(3))

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        z = tg.cat([x, h], dim=-1)
        c = c + tg.sigmoid(self.i(z)) * (4 * tg.sigmoid(self.g(z)) - 2)
        return tg.sigmoid(self.o(z)) * (2 * tg.sigmoid(c) - 1), c


@published
class NoOutputGateLSTM(TwoStates):
    """h' = tanh(c') (Greff et al. 2017: NOG), with activations by name."""

    activation = "tanh"

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.lin = nn.ModuleDict({gate: nn.Linear(D + H, H) for gate in ("i", "f", "g")})

    def act(self, x: Any) -> Any:
        return getattr(tg, self.activation)(x)

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        z = {name: layer(tg.cat((x, h), 1)) for name, layer in self.lin.items()}
        c = tg.sigmoid(z["f"]) * c + tg.sigmoid(z["i"]) * self.act(z["g"])
        return self.act(c), c


@published
class MultiplicativeLSTM(TwoStates):
    """m = W_mx x ∘ W_mh h takes the place of h in the gates (Krause et al. 2016, eq. 18-22)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.wx, self.wh = nn.Linear(D, 4 * H, bias=False), nn.Linear(H, 4 * H)
        self.wmx, self.wmh = nn.Linear(D, H, bias=False), nn.Linear(H, H, bias=False)

    def step(self, data: Any, state: Any) -> Any:
        hidden, cell = state
        m = self.wmx(data) * self.wmh(hidden)
        gates = self.wx(data) + self.wh(m)
        i, f, o, u = gates.chunk(4, 1)
        i, f, u, o = F.sigmoid(i), F.sigmoid(f), F.tanh(u), F.sigmoid(o)
        cell = f * cell + i * u
        hidden = o * F.tanh(cell)
        return hidden, cell


@published
class JANET(Sized):
    """c' = σ(f) c + (1 - σ(f - β)) tanh(g): the forget gate alone
    (van der Westhuizen & Lasenby 2018, eq. 13).
    """

    def __init__(self, D: int, H: int, beta: float = 1.0) -> None:
        super().__init__(D, H)
        self.U, self.W, self.beta = nn.Linear(D, 2 * H), nn.Linear(H, 2 * H, bias=False), beta

    def project(self, xs: Any) -> Any:
        return self.U(xs)

    def step(self, a: Any, c: Any) -> Any:
        s, g = (a + self.W(c)).chunk(2, -1)
        return tg.sigmoid(s) * c + (1 - tg.sigmoid(s - self.beta)) * g.tanh()


@published
class NASCell(TwoStates):
    """The cell that a search found: eight products, a tree of tanh, relu, sigmoid
    (Zoph & Le 2017, fig. 8).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.inputs, self.m = nn.Linear(D, 8 * H, bias=False), nn.Linear(H, 8 * H)

    def step(self, x: Any, state: Any) -> Any:
        m_prev, c_prev = state
        inputs, m = self.inputs(x).split(self.hidden_size, 1), self.m(m_prev).split(self.hidden_size, 1)
        l0 = [
            (m[0] + inputs[0]).sigmoid(), F.relu(m[1] + inputs[1]), (m[2] + inputs[2]).sigmoid(),
            F.relu(m[3] * inputs[3]), (m[4] + inputs[4]).tanh(), (m[5] + inputs[5]).sigmoid(),
            (m[6] + inputs[6]).tanh(), (m[7] + inputs[7]).sigmoid(),
        ]  # fmt: skip
        l1_0, l1_1 = (l0[0] * l0[1]).tanh(), (l0[2] + l0[3]).tanh()
        l1_2, l1_3 = (l0[4] * l0[5]).tanh(), (l0[6] + l0[7]).sigmoid()
        l2_0, l2_1 = (l1_0 + c_prev).tanh(), (l1_2 + l1_3).tanh()
        new_c = l2_0 * l1_1
        return tg.tanh(new_c * l2_1), new_c


@published
class ScalarXLSTM(Sized):
    """sLSTM: exponential gates, m' = max(log f + m, i), c' / n' (Beck et al. 2024, eq. 8-17)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.R = nn.Linear(D, 4 * H), nn.Linear(H, 4 * H, bias=False)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        z = self.zeros(like, batch_size, self.hidden_size)
        return z, z.clone(), tg.ones_like(z), z.clone()

    def step(self, x: Any, state: Any) -> Any:
        h, c, n, m = state
        z, i, f, o = (self.W(x) + self.R(h)).chunk(4, dim=-1)
        log_f = F.logsigmoid(f)
        m_new = tg.maximum(log_f + m, i)
        i, f = tg.exp(i - m_new), tg.exp(log_f + m - m_new)
        c = f * c + i * tg.tanh(z)
        n = f * n + i
        return o.sigmoid() * c / n, c, n, m_new


@published
class TLSTM(TwoStates):
    """Gates that read x and the last x, not h: f, o = σ(W x + V x₋), c' = f c + (1 - f) W x
    (Balduzzi & Ghifary 2016).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.V, self.b = nn.Linear(D, 3 * H, bias=False), nn.Linear(D, 2 * H, bias=False), Parameter(
            tg.zeros(3, H)
        )  # fmt: skip

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.input_size)

    def step(self, x: Any, state: Any) -> Any:
        c, x_last = state
        z, f, o = self.W(x).chunk(3, -1)
        vf, vo = self.V(x_last).chunk(2, -1)
        f = tg.sigmoid(f + vf + self.b[0])
        o = tg.tanh(o + vo + self.b[1])
        c = f * c + (1 - f) * (z + self.b[2])
        return Step(o * c, (c, x))


@published
class HighwayLSTM(TwoStates):
    """h' = r o tanh(c') + (1 - r) W x, all from one product of eye-initialised weights
    (Zhang et al. 2016).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.weight = nn.ParameterList([Parameter(tg.randn(D + H, H) / math.sqrt(D + H)) for _ in range(5)])
        self.bias = nn.ParameterDict({name: Parameter(tg.zeros(H)) for name in "ifgor"})
        self.carry = nn.Linear(D, H, bias=False)

    def step(self, x: Any, state: Any) -> Any:
        h, c = state
        xh = tg.cat([x, h], -1)
        i, f, g, o, r = [xh @ w + self.bias[name] for w, name in zip(self.weight, "ifgor")]
        c = tg.addcmul(f.sigmoid() * c, i.sigmoid(), g.tanh())
        r = r.sigmoid()
        return r * (o.sigmoid() * c.tanh()) + (1 - r) * self.carry(x), c
