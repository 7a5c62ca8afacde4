"""GRUs of every kind, and other gated cells of one state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from published_cells import Sized, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter

F = nn.functional


@published
class UGRNN(Sized):
    """h' = g h + (1 - g) s(c), one gate (Collins et al. 2017, eq. 13-15)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.dense = nn.Linear(D + H, 2 * H)

    def step(self, x: Any, h: Any) -> Any:
        g, c = tg.split(self.dense(tg.cat([x, h], dim=1)), [self.hidden_size] * 2, dim=1)
        g = tg.sigmoid(g + 1.0)
        return g * h + (1.0 - g) * tg.tanh(c)


@published
class ResetBeforeGRU(Sized):
    """ĥ = tanh(W x + U (r ∘ h)): the reset before the product (Cho et al. 2014, eq. 5-8)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.gates, self.candidate = nn.Linear(D + H, 2 * H), nn.Linear(D + H, H)

    def step(self, x: Any, h: Any) -> Any:
        z, r = tg.sigmoid(self.gates(tg.cat([x, h], 1))).chunk(2, 1)
        n = tg.tanh(self.candidate(tg.cat([x, r * h], 1)))
        return z * h + (1 - z) * n


@published
class MGU(Sized):
    """f = σ(gate), h' = (1 - f) h + f tanh(W x + U (f ∘ h)): minimal gated unit
    (Zhou et al. 2016, eq. 7).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W_h, self.U_h = nn.Linear(D, H), nn.Linear(H, H, bias=False)
        self.make_gate(D, H)

    def make_gate(self, D: int, H: int) -> None:
        self.W_f, self.U_f = nn.Linear(D, H), nn.Linear(H, H, bias=False)

    def gate(self, x: Any, h: Any) -> Any:
        return self.W_f(x) + self.U_f(h)

    def step(self, x: Any, h: Any) -> Any:
        f = tg.sigmoid(self.gate(x, h))
        return (1 - f) * h + f * tg.tanh(self.W_h(x) + self.U_h(f * h))


@published
class MGU2(MGU):
    """MGU whose gate reads h alone (Heck & Salem 2017, eq. 9)."""

    def make_gate(self, D: int, H: int) -> None:
        self.U_f = nn.Linear(H, H, bias=False)

    def gate(self, x: Any, h: Any) -> Any:
        return self.U_f(h)


@published
class MGU3(MGU):
    """MGU whose gate is a bias: the same for all rows (Heck & Salem 2017, eq. 11)."""

    def make_gate(self, D: int, H: int) -> None:
        self.b_f = Parameter(tg.zeros(H))

    def gate(self, x: Any, h: Any) -> Any:
        return self.b_f


@published
class CoupledGRU(Sized):
    """r = 1 - z: one gate resets and updates; gates by a loop over names."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        for name in ("z", "n"):
            setattr(self, f"W_{name}", nn.Linear(D, H))
            setattr(self, f"U_{name}", nn.Linear(H, H))

    def step(self, x: Any, h: Any) -> Any:
        def affine(name: str, y: Any) -> Any:
            return getattr(self, f"W_{name}")(x) + getattr(self, f"U_{name}")(y)

        z = affine("z", h).sigmoid()
        r = 1 - z
        return z * h + r * affine("n", r * h).tanh()


@published
class LiGRU(Sized):
    """h' = z h + (1 - z) relu(W x + U h), no reset
    (Ravanelli et al. 2018, eq. 6-8); one dropout mask of ones.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.w, self.u = nn.Linear(D, 2 * H, bias=False), nn.Linear(H, 2 * H, bias=False)
        self.norm = nn.LayerNorm(2 * H, eps=1e-3)
        self.act = nn.ReLU()

    def project(self, xs: Any) -> Any:
        return self.norm(self.w(xs))

    def step(self, wx: Any, h: Any) -> Any:
        at, zt = (wx + self.u(h)).chunk(2, 1)
        zt = tg.sigmoid(zt)
        hcand = self.act(at)
        return zt * h + (1 - zt) * hcand


@published
class LayerNormGRU(Sized):
    """r, z = σ(LN(W x + U h)), n = tanh(LN(W x) + r LN(U h)) (Ba et al. 2016, eq. 27-29)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x2h, self.h2h = nn.Linear(D, 3 * H), nn.Linear(H, 3 * H)
        self.ln_rz = nn.LayerNorm(2 * H, elementwise_affine=True)
        self.ln_xn, self.ln_hn = nn.LayerNorm(H), nn.LayerNorm(H)

    def step(self, x: Any, h: Any) -> Any:
        H = self.hidden_size
        gx, gh = self.x2h(x), self.h2h(h)
        rz = tg.sigmoid(self.ln_rz(gx[..., : 2 * H] + gh[..., : 2 * H]))
        r, z = rz[..., :H], rz[..., H:]
        n = tg.tanh(self.ln_xn(gx[..., 2 * H :]) + r * self.ln_hn(gh[..., 2 * H :]))
        return n + z * (h - n)


@published
class MUT1(Sized):
    """z = σ(W x + b), r = σ(W x + U h + b), h' = tanh(U (r h) + tanh x + b) z + h (1 - z)
    (Jozefowicz et al. 2015).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.embed, self.xz, self.xr = nn.Linear(D, H), nn.Linear(D, H), nn.Linear(D, H)
        self.hr, self.hh = nn.Linear(H, H, bias=False), nn.Linear(H, H)

    def step(self, x: Any, h: Any) -> Any:
        z, r = tg.sigmoid(self.xz(x)), tg.sigmoid(self.xr(x) + self.hr(h))
        return tg.tanh(self.hh(r * h) + tg.tanh(self.embed(x))) * z + h * (1 - z)


@published
class MUT2(Sized):
    """MUT1 with z = σ(W x + U h), r = σ(x + U h) (Jozefowicz et al. 2015)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.inp, self.xz, self.xh = nn.Linear(D, H), nn.Linear(H, H), nn.Linear(H, H)
        self.hz, self.hr, self.hh = (nn.Linear(H, H, bias=False) for _ in range(3))

    def step(self, x: Any, h: Any) -> Any:
        x = self.inp(x)
        z, r = F.sigmoid(self.xz(x) + self.hz(h)), F.sigmoid(x + self.hr(h))
        candidate = F.tanh(self.hh(r * h) + self.xh(x))
        return candidate.mul(z).add(h.mul(1 - z))


@published
class MUT3(Sized):
    """z = σ(W x + U tanh h), r = σ(W x + U h) (Jozefowicz et al. 2015)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x, self.h = nn.Linear(D, 3 * H), nn.ModuleList(nn.Linear(H, H) for _ in range(3))

    def step(self, x: Any, h: Any) -> Any:
        x_z, x_r, x_h = self.x(x).view(-1, 3, self.hidden_size).unbind(dim=1)
        z, r = tg.sigmoid(x_z + self.h[0](tg.tanh(h))), tg.sigmoid(x_r + self.h[1](h))
        return tg.tanh(self.h[2](r * h) + x_h) * z + h * (1 - z)


@published
class ChaosFree(Sized):
    """h' = θ tanh h + η tanh(W x), θ and η gates (Laurent & von Brecht 2017, eq. 1-2)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.U_theta, self.U_eta = nn.Linear(H, H, bias=False), nn.Linear(H, H, bias=False)
        self.V, self.W = nn.Linear(D, 2 * H), nn.Linear(D, H, bias=False)

    def step(self, x: Any, h: Any) -> Any:
        v_theta, v_eta = self.V(x).chunk(2, dim=1)
        theta, eta = tg.sigmoid(self.U_theta(h) + v_theta), tg.sigmoid(self.U_eta(h) + v_eta)
        return theta * h.tanh() + eta * self.W(x).tanh()


@published
class STAR(Sized):
    """h' = tanh((1 - k) h + k tanh(W x)), k = σ(W x + U h) (Turkoglu et al. 2021, eq. 10-12)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x_K, self.x_z, self.h_K = nn.Linear(D, H), nn.Linear(D, H), nn.Linear(H, H, bias=False)

    def step(self, x: Any, h: Any) -> Any:
        gate_x, gate_z, gate_h = self.x_K(x).squeeze(), self.x_z(x).squeeze(), self.h_K(h).squeeze()
        K_gain = tg.sigmoid(gate_x + gate_h)
        z = tg.tanh(gate_z)
        h_new = K_gain * z + (1 - K_gain) * h
        return tg.tanh(h_new)


@published
class RAN(Sized):
    """c' = i W x + f c, h = tanh c: no product of the state in the content (Lee et al. 2017, eq. 1-4)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.w = Parameter(tg.randn(3 * H, D) * 0.5)
        self.u, self.b = Parameter(tg.randn(2 * H, H) * 0.5), Parameter(tg.zeros(2 * H))

    def step(self, x: Any, c: Any) -> Any:
        h = tg.tanh(c)
        xs = tg.mm(x, self.w.t())
        gates = tg.addmm(self.b, h, self.u.t()) + xs[:, self.hidden_size :]
        i, f = tg.sigmoid(gates).chunk(2, dim=1)
        return i * xs[:, : self.hidden_size] + f * c


@published
class BRC(Sized):
    """a = 1 + tanh(W x + w ∘ h), c = σ(·), h' = c h + (1 - c) tanh(U x + a h)
    (Vecoven et al. 2021, eq. 8-10).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.U, self.w_c, self.w_a = nn.Linear(D, 3 * H), Parameter(tg.randn(H)), Parameter(tg.randn(H))

    def step(self, x: Any, h: Any) -> Any:
        U_c, U_a, U_h = self.U(x).chunk(3, -1)
        c = tg.sigmoid(U_c + self.w_c * h)
        a = 1.0 + tg.tanh(U_a + self.w_a * h)
        return c * h + (1.0 - c) * tg.tanh(U_h + a * h)


@published
class NBRC(Sized):
    """BRC whose gates read all units: W h for w ∘ h (Vecoven et al. 2021, eq. 11-12)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.U, self.W = nn.Linear(D, 3 * H, bias=False), nn.Linear(H, 2 * H)

    def step(self, x: Any, h: Any) -> Any:
        U_c, U_a, U_h = self.U(x).split(self.hidden_size, -1)
        W_c, W_a = self.W(h).split(self.hidden_size, -1)
        c, a = (U_c + W_c).sigmoid(), (U_a + W_a).tanh() + 1
        return c * h + (1 - c) * (U_h + a * h).tanh()


@published
class AUGRU(Sized):
    """z̃ = α z: an attention score, in the input, scales the update gate
    (Zhou et al. 2019, eq. 18-20: DIEN).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.weight_ih, self.weight_hh = Parameter(tg.randn(3 * H, D - 1)), Parameter(tg.randn(3 * H, H))
        self.bias_ih, self.bias_hh = Parameter(tg.zeros(3 * H)), Parameter(tg.zeros(3 * H))

    def step(self, inputs: Any, hx: Any) -> Any:
        x, att_score = inputs[:, :-1], inputs[:, -1].sigmoid()
        gi = F.linear(x, self.weight_ih, self.bias_ih)
        gh = F.linear(hx, self.weight_hh, self.bias_hh)
        i_r, i_z, i_n = gi.chunk(3, 1)
        h_r, h_z, h_n = gh.chunk(3, 1)
        reset_gate, update_gate = tg.sigmoid(i_r + h_r), tg.sigmoid(i_z + h_z)
        new_state = tg.tanh(i_n + reset_gate * h_n)
        att_score = att_score.view(-1, 1)
        update_gate = att_score * update_gate
        return (1.0 - update_gate) * hx + update_gate * new_state


@dataclass
class HeadsConfig:
    """heads: how many groups of units have gates of their own; dropout: of the new state, in training."""

    heads: int = 2
    dropout: float = 0.2


@published
class MultiHeadGRU(Sized):
    """A GRU in groups: block-diagonal products by a loop over heads (Kuchaiev & Ginsburg 2017)."""

    def __init__(self, D: int, H: int, config: HeadsConfig | None = None) -> None:
        super().__init__(D, H)
        self.config = config or HeadsConfig()
        n = self.config.heads
        self.heads = nn.ModuleList([nn.GRUCell(D, H // n) for _ in range(n)])
        self.mix = nn.Linear(H, H)
        self.drop = nn.Dropout(self.config.dropout)

    def step(self, x: Any, h: Any) -> Any:
        parts = h.split(self.hidden_size // self.config.heads, dim=-1)
        out = [head(x, part) for head, part in zip(self.heads, parts)]
        return self.drop(tg.cat(out, dim=-1)) + self.mix(h) / 4


@published
class BatchedHeadsGRU(Sized):
    """The same groups by one bmm: h (B, n, k) with U (n, k, 3k)."""

    def __init__(self, D: int, H: int, heads: int = 2) -> None:
        super().__init__(D, H)
        self.n, self.k = heads, H // heads
        self.W = nn.Linear(D, 3 * H)
        self.U = Parameter(tg.randn(heads, self.k, 3 * self.k))

    def step(self, x: Any, h: Any) -> Any:
        gx = self.W(x).view(-1, self.n, 3 * self.k)
        hs = h.view(-1, self.n, self.k)
        gh = tg.bmm(hs.transpose(0, 1), self.U).transpose(0, 1)
        r, z = tg.sigmoid(gx[..., : 2 * self.k] + gh[..., : 2 * self.k]).chunk(2, -1)
        n = tg.tanh(gx[..., 2 * self.k :] + r * gh[..., 2 * self.k :])
        return ((1 - z) * n + z * hs).reshape(-1, self.hidden_size)
