"""Recurrences that are linear in their state: state spaces, convolution and attention without softmax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from published_cells import Sized, TwoStates, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter, Step

F = nn.functional


@published
class S4DReal(Sized):
    """h' = e^{ΔA} h + Δ B x, y = C h + d x, state (B, D, N) (Gu et al. 2022), A = -(n + 1)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.log_dt, self.d = Parameter(tg.zeros(D) - 1), Parameter(tg.ones(D))
        self.log_A = Parameter(tg.log(tg.arange(1, H + 1).float()).repeat(D, 1))
        self.B, self.C = Parameter(tg.ones(D, H)), Parameter(tg.randn(D, H))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.input_size, self.hidden_size)

    def step(self, x: Any, h: Any) -> Any:
        dt = tg.exp(self.log_dt)[:, None]
        dA = tg.exp(-dt * tg.exp(self.log_A))
        h = dA * h + (dt * self.B) * x.unsqueeze(-1)
        y = tg.einsum("bdn,dn->bd", h, self.C) + self.d * x
        return Step(F.gelu(y), h)


@published
class LRU(TwoStates):
    """h' = λ ∘ h + γ B x, y = Re(C h) + d ∘ x, λ = e^{-e^ν + iθ}, as two reals (Orvieto et al. 2023)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.nu, self.theta = Parameter(tg.randn(H) * 0.1), Parameter(tg.rand(H))
        self.B, self.C, self.d = nn.Linear(D, 2 * H, bias=False), nn.Linear(2 * H, D), Parameter(tg.ones(D))

    def step(self, x: Any, state: Any) -> Any:
        re, im = state
        r = tg.exp(-tg.exp(self.nu))
        lam_re, lam_im = r * tg.cos(self.theta), r * tg.sin(self.theta)
        gamma = tg.sqrt(1 - r**2)
        Bx_re, Bx_im = self.B(x).chunk(2, dim=-1)
        re, im = lam_re * re - lam_im * im + gamma * Bx_re, lam_re * im + lam_im * re + gamma * Bx_im
        return Step(self.C(tg.cat([re, -im], dim=-1)) + self.d * x, (re, im))


@published
class SelectiveSSM(Sized):
    """h' = e^{Δ A} h + Δ B x, y = C h, and Δ, B, C are functions of x (Gu & Dao 2023, algorithm 2)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x_proj, self.dt_proj = nn.Linear(D, 1 + 2 * H, bias=False), nn.Linear(1, D)
        self.A_log = Parameter(tg.log(tg.arange(1, H + 1, dtype=tg.float32)).expand(D, H).clone())
        self.D = Parameter(tg.ones(D))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.input_size, self.hidden_size)

    def step(self, u: Any, h: Any) -> Any:
        n = self.hidden_size
        delta, B, C = self.x_proj(u).split([1, n, n], dim=-1)
        delta = F.softplus(self.dt_proj(delta))
        deltaA = tg.exp(tg.einsum("bd,dn->bdn", delta, -tg.exp(self.A_log)))
        deltaB_u = tg.einsum("bd,bn,bd->bdn", delta, B, u)
        h = deltaA * h + deltaB_u
        return Step(tg.einsum("bdn,bn->bd", h, C) + u * self.D, h)


@published
class LegendreMemory(Sized):
    """m' = Ā m + B̄ u, u = e_x x + e_h h + e_m m, h' = tanh(W_x x + W_h h + W_m m')
    (Voelker et al. 2019, eq. 6-7).
    """

    def __init__(self, D: int, H: int, order: int = 3, theta: float = 4.0) -> None:
        super().__init__(D, H)
        Q = np.arange(order)
        R = (2 * Q + 1)[:, None] / theta
        i, j = np.meshgrid(Q, Q, indexing="ij")
        A = np.where(i < j, -1, (-1.0) ** (i - j + 1)) * R
        self.register_buffer("A", tg.tensor(np.eye(order) + 0.3 * A))
        self.register_buffer("B", tg.tensor(0.3 * (-1.0) ** Q[:, None] * R))
        self.e_x, self.e_h = nn.Linear(D, 1, bias=False), nn.Linear(H, 1, bias=False)
        self.e_m, self.W_x = nn.Linear(order, 1, bias=False), nn.Linear(D, H)
        self.W_h, self.W_m, self.order = nn.Linear(H, H), nn.Linear(order, H), order

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.order)

    def step(self, x: Any, state: Any) -> Any:
        h, m = state
        u = self.e_x(x) + self.e_h(h) + self.e_m(m)
        m = F.linear(m, self.A) + F.linear(u, self.B)
        return tg.tanh(self.W_x(x) + self.W_h(h) + self.W_m(m)), m


@published
class QRNN(Sized):
    """z, f, o from a window of two inputs; c' = f c + (1 - f) z, h = o c'
    (Bradbury et al. 2017, eq. 3-5).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.linear = nn.Linear(2 * D, 3 * H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.input_size)

    def step(self, x: Any, state: Any) -> Any:
        c, previous = state
        z, f, o = self.linear(tg.cat([previous, x], dim=1)).chunk(3, dim=1)
        f = f.sigmoid()
        c = f * c + (1 - f) * z.tanh()
        return Step(o.sigmoid() * c, (c, x))


@published
class SRU(Sized):
    """f = σ(W_f x + v_f c + b_f), c' = f c + (1 - f) W x, h = r c' + (1 - r) x
    (Lei et al. 2018, eq. 1-4).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.weight = Parameter(tg.randn(D, 4 * H) * 0.5)
        self.weight_c, self.bias = Parameter(tg.randn(2 * H) * 0.5), Parameter(tg.zeros(2 * H))
        self.scale_x = math.sqrt(1 + math.exp(0.5) * 2)

    def project(self, xs: Any) -> Any:
        return xs @ self.weight

    def step(self, u: Any, c: Any) -> Any:
        u = u.view(u.size(0), self.hidden_size, 4)
        v_f, v_r = self.weight_c.view(2, -1)
        b_f, b_r = self.bias.view(2, -1)
        f = (u[..., 1] + c * v_f + b_f).sigmoid()
        r = (u[..., 2] + c * v_r + b_r).sigmoid()
        c = u[..., 0] + (c - u[..., 0]) * f
        return Step(c * r + u[..., 3] * self.scale_x * (1 - r), c)


@published
class MinGRU(Sized):
    """h' = (1 - z) h + z g(W_h x), z = σ(W_z x) (Feng et al. 2024, sec. 3.1), g of its log-space form."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.to_hidden_and_gate = nn.Linear(D, 2 * H, bias=False)

    def g(self, x: Any) -> Any:
        return tg.where(x >= 0, x + 0.5, x.sigmoid())

    def step(self, x: Any, h: Any) -> Any:
        hidden, gate = self.to_hidden_and_gate(x).chunk(2, dim=-1)
        return tg.lerp(h, self.g(hidden), gate.sigmoid())


@published
class MinLSTM(Sized):
    """h' = f/(f + i) h + i/(f + i) W_h x
    (Feng et al. 2024, sec. 3.2), the quotient by softplus differences.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.linear_f, self.linear_i, self.linear_h = (nn.Linear(D, H) for _ in range(3))

    def project(self, xs: Any) -> Any:
        diff = F.softplus(-self.linear_f(xs)) - F.softplus(-self.linear_i(xs))
        return tg.cat([-F.softplus(diff), -F.softplus(-diff), self.linear_h(xs)], -1)

    def step(self, a: Any, h: Any) -> Any:
        log_f, log_i, g = tg.chunk(a, 3, -1)
        return log_f.exp() * h + log_i.exp() * g


@published
class LinearAttention(Sized):
    """S' = S + φ(k) vᵀ, z' = z + φ(k), y = φ(q) S' / φ(q) z', φ = elu + 1
    (Katharopoulos et al. 2020, eq. 18-20).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.query, self.key, self.value = nn.Linear(D, H), nn.Linear(D, H), nn.Linear(D, 3)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        H = self.hidden_size
        return self.zeros(like, batch_size, H, 3), self.zeros(like, batch_size, H)

    def step(self, x: Any, state: Any) -> Any:
        S, z = state
        Q, K, V = F.elu(self.query(x)) + 1, F.elu(self.key(x)) + 1, self.value(x)
        S = S + tg.einsum("bd,bm->bdm", K, V)
        z = z + K
        Z = 1 / (tg.einsum("bd,bd->b", Q, z).pow(2) + 1e-1)
        return Step(tg.einsum("bd,bdm,b->bm", Q, S, Z), (S, z))


@published
class DeltaNet(Sized):
    """S' = S + β (v - S k) kᵀ, y = S' q, k and q of length one
    (Schlag et al. 2021, eq. 22-24; Yang et al. 2024).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.qkv, self.beta, self.out = nn.Linear(D, 3 * H, bias=False), nn.Linear(D, 1), nn.Linear(H, D)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size, self.hidden_size)

    def step(self, x: Any, S: Any) -> Any:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k = F.normalize(F.silu(q), dim=-1), F.normalize(F.silu(k), p=2, dim=-1)
        beta = self.beta(x).sigmoid()
        v_old = (S @ k[..., None])[..., 0]
        S = S + ((v - v_old) * beta)[..., None] * k[..., None, :]
        return Step(self.out((S @ q[..., None]).squeeze(-1)), S)


@published
class Retention(Sized):
    """S' = γ S + kᵀ v in heads with γ_n = 1 - 2^{-5-n}, group norm of y (Sun et al. 2023, eq. 6-8)."""

    def __init__(self, D: int, H: int, heads: int = 2) -> None:
        super().__init__(D, H)
        self.n, self.k = heads, H // heads
        self.W, self.g, self.norm = (
            nn.Linear(D, 3 * H),
            nn.Linear(D, H),
            nn.LayerNorm(self.k, elementwise_affine=False),
        )
        self.register_buffer("gamma", 1 - 2 ** (-5.0 - tg.arange(heads).float()))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.n, self.k, self.k)

    def step(self, x: Any, S: Any) -> Any:
        q, k, v = (t.view(x.shape[0], self.n, self.k) for t in self.W(x).chunk(3, -1))
        S = self.gamma.view(1, self.n, 1, 1) * S + k.unsqueeze(-1) * v.unsqueeze(-2)
        y = (q.unsqueeze(-1) * S).sum(dim=-2)
        y = self.norm(y).flatten(1)
        return Step(F.silu(self.g(x)) * y, S)


@published
class MatrixXLSTM(Sized):
    """mLSTM: C' = f C + i v kᵀ, n' = f n + i k, h = o C q / max(|n q|, 1), stabilised
    (Beck et al. 2024, eq. 19-27).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.q, self.k, self.v, self.o = (nn.Linear(D, H) for _ in range(4))
        self.igate, self.fgate = nn.Linear(D, 1), nn.Linear(D, 1)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        H = self.hidden_size
        zeros = [self.zeros(like, batch_size, *shape) for shape in ((H, H), (H, 1), (1, 1))]
        return tuple(zeros)

    def step(self, x: Any, state: Any) -> Any:
        C, n, m = state
        q, k, v = (
            self.q(x).unsqueeze(-1),
            self.k(x).unsqueeze(-1) / math.sqrt(self.hidden_size),
            self.v(x).unsqueeze(-1),
        )
        igate, fgate = self.igate(x).unsqueeze(-1), self.fgate(x).unsqueeze(-1)
        log_fg = F.logsigmoid(fgate)
        m_new = tg.max(log_fg + m, igate)
        fg, ig = tg.exp(log_fg + m - m_new), tg.exp(igate - m_new)
        C = fg * C + ig * (k @ v.transpose(-1, -2))
        n = fg * n + ig * k
        num = q.transpose(-1, -2) @ C
        qn_dotproduct = q.transpose(-1, -2) @ n
        denom = tg.maximum(qn_dotproduct.abs(), tg.exp(-m_new)) + 1e-6
        return Step(self.o(x).sigmoid() * (num / denom).squeeze(1), (C, n, m_new))


@published
class RWKV(Sized):
    """wkv = (a + e^{u + k} v) / (b + e^{u + k}), a' = e^{-w} a + e^k v, shifted by a maximum
    (Peng et al. 2023, app. D).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.mix = Parameter(tg.rand(3, D))
        self.key, self.value, self.receptance = (nn.Linear(D, H, bias=False) for _ in range(3))
        self.time_decay, self.time_first = Parameter(tg.randn(H)), Parameter(tg.randn(H))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        z = self.zeros(like, batch_size, self.hidden_size)
        return z, z + 1, z - 1, self.zeros(like, batch_size, self.input_size)

    def step(self, x: Any, state: Any) -> Any:
        aa, bb, pp, last = state
        xk, xv, xr = (x * m + last * (1 - m) for m in self.mix)
        r, k, v = tg.sigmoid(self.receptance(xr)), self.key(xk), self.value(xv)
        ww = self.time_first + k
        qq = tg.maximum(pp, ww)
        e1, e2 = tg.exp(pp - qq), tg.exp(ww - qq)
        wkv = (e1 * aa + e2 * v) / (e1 * bb + e2)
        ww = pp - tg.exp(self.time_decay)
        qq = tg.maximum(ww, k)
        e1, e2 = tg.exp(ww - qq), tg.exp(k - qq)
        return Step(r * wkv, (e1 * aa + e2 * v, e1 * bb + e2, qq, x))
