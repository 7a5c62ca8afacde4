"""Differential equations and orthogonal maps: oscillators, reflections, rates, gaps in time, spikes."""

from __future__ import annotations

import math
from typing import Any

from published_cells import Sized, TwoStates, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.nn import Parameter

F = nn.functional


@published
class Antisymmetric(Sized):
    """h' = h + ε σ(z) ∘ tanh((W - Wᵀ - γ 1) h + V x + b) (Chang et al. 2019, eq. 17)."""

    def __init__(self, D: int, H: int, gamma: float = 0.01, epsilon: float = 0.1) -> None:
        super().__init__(D, H)
        self.W = Parameter(tg.randn(H, H) / math.sqrt(H))
        self.Vh, self.Vz = nn.Linear(D, H), nn.Linear(D, H)
        self.gamma, self.epsilon = gamma, epsilon

    def step(self, x: Any, h: Any) -> Any:
        M = tg.triu(self.W, 1) - tg.triu(self.W, 1).transpose(0, 1) - self.gamma * tg.eye(self.hidden_size)
        z = tg.sigmoid(h @ M.t() + self.Vz(x))
        return h + self.epsilon * z * tg.tanh(h @ M.t() + self.Vh(x))


@published
class CoRNN(TwoStates):
    """z' = z + Δt (tanh(W y + 𝒲 z + V x + b) - γ y - ε z), y' = y + Δt z' (Rusch & Mishra 2021, eq. 3)."""

    def __init__(self, D: int, H: int, dt: float = 0.1, gamma: float = 2.7, epsilon: float = 4.7) -> None:
        super().__init__(D, H)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        self.i2h = nn.Linear(D + H + H, H)

    def step(self, x: Any, state: Any) -> Any:
        hy, hz = state
        i2h_inp = tg.cat((x, hz, hy), 1)
        hz = hz + self.dt * (tg.tanh(self.i2h(i2h_inp)) - self.gamma * hy - self.epsilon * hz)
        hy = hy + self.dt * hz
        return hy, hz


@published
class LEM(TwoStates):
    """Δ = Δt σ̂, z' = (1 - Δ) z + Δ tanh(W_z y + V_z x), y' = (1 - Δ̄) y + Δ̄ tanh(W_y z' + V_y x)
    (Rusch et al. 2022).
    """

    def __init__(self, D: int, H: int, dt: float = 0.8) -> None:
        super().__init__(D, H)
        self.inp2hid, self.hid2hid = nn.Linear(D, 4 * H), nn.Linear(H, 3 * H)
        self.transform_z, self.dt = nn.Linear(H, H), dt

    def step(self, x: Any, state: Any) -> Any:
        y, z = state
        i_dt1, i_dt2, i_z, i_y = self.inp2hid(x).chunk(4, 1)
        h_dt1, h_dt2, h_y = self.hid2hid(y).chunk(3, 1)
        ms_dt_bar = self.dt * tg.sigmoid(i_dt1 + h_dt1)
        ms_dt = self.dt * tg.sigmoid(i_dt2 + h_dt2)
        z = (1.0 - ms_dt) * z + ms_dt * tg.tanh(i_y + h_y)
        y = (1.0 - ms_dt_bar) * y + ms_dt_bar * tg.tanh(self.transform_z(z) + i_z)
        return y, z


@published
class Householder(Sized):
    """h' = φ(Q h + W x), Q a product of reflections 1 - 2 u uᵀ / uᵀu
    (Mhammedi et al. 2017), φ = leaky relu.
    """

    def __init__(self, D: int, H: int, reflections: int = 2) -> None:
        super().__init__(D, H)
        self.U, self.W = Parameter(tg.randn(reflections, H)), nn.Linear(D, H)

    def step(self, x: Any, h: Any) -> Any:
        for u in self.U.unbind(0):
            h = h - 2 * (h @ u)[:, None] * u / u.dot(u)
        return F.leaky_relu(h + self.W(x), 0.1)


@published
class Rotations(Sized):
    """h' = modrelu(R(θ) P h + W x): planar rotations of pairs (Jing et al. 2017), modReLU
    (Arjovsky et al. 2016).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.theta, self.W = Parameter(tg.linspace(0.2, 2, H // 2)), nn.Linear(D, H)
        self.b = Parameter(tg.ones(H) * 0.1)

    def step(self, x: Any, h: Any) -> Any:
        even, odd = h[:, ::2], h[:, 1::2]
        cos, sin = tg.cos(self.theta), tg.sin(self.theta)
        h = tg.stack([cos * even - sin * odd, sin * even + cos * odd], dim=-1).flatten(1).roll(1, dims=1)
        h = h + self.W(x)
        return tg.sign(h) * F.relu(tg.abs(h) + self.b)


@published
class CTRNN(Sized):
    """τ dh/dt = -h + W φ(h) + U x (Beer 1995), an Euler step with one τ a unit."""

    dt = 0.5

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.U, self.W, self.log_tau = nn.Linear(D, H), nn.Linear(H, H, bias=False), Parameter(tg.zeros(H))

    def step(self, x: Any, h: Any) -> Any:
        rate = (self.dt / F.softplus(self.log_tau).add(1)).clamp(max=1.0)
        return h + rate * (-h + self.W(F.softplus(h)) + self.U(x))


@published
class LipschitzRNN(Sized):
    """ḣ = A h + tanh(W h + U x + b), A = (1 - β)(M + Mᵀ) + β (M - Mᵀ) - γ 1
    (Erichson et al. 2021, eq. 4).
    """

    def __init__(self, D: int, H: int, beta: float = 0.75, gamma: float = 0.001, eps: float = 0.1) -> None:
        super().__init__(D, H)
        self.beta, self.gamma, self.eps = beta, gamma, eps
        self.M_A, self.M_W = Parameter(tg.randn(H, H) * 0.3), Parameter(tg.randn(H, H) * 0.3)
        self.U = nn.Linear(D, H)
        self.register_buffer("I", tg.eye(H))

    def mixed(self, M: Any) -> Any:
        return (1 - self.beta) * (M + M.T) + self.beta * (M - M.T) - self.gamma * self.I

    def step(self, x: Any, h: Any) -> Any:
        A, W = self.mixed(self.M_A), self.mixed(self.M_W)
        return h + self.eps * tg.matmul(h, A) + self.eps * tg.tanh(tg.matmul(h, W) + self.U(x))


@published
class ODERNN(Sized):
    """h ← h + Δt f(h) in four Euler steps over the gap before x, then a GRU step (Rubanova et al. 2019)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.func = nn.Sequential(nn.Linear(H, 5), nn.Tanh(), nn.Linear(5, H))
        self.gru = nn.GRUCell(D - 1, H)

    def step(self, x: Any, h: Any) -> Any:
        dt, x = x[:, :1].abs(), x[:, 1:]
        for _ in range(4):
            h = h + dt / 4 * self.func(h)
        return self.gru(x, h)


@published
class GRUD(Sized):
    """A GRU over inputs with gaps: what is missing decays to the mean, so does h
    (Che et al. 2018, eq. 10-15).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.x_mean = Parameter(tg.zeros(1))
        self.gamma_x, self.gamma_h, self.gru = nn.Linear(1, 1), nn.Linear(1, H), nn.GRUCell(2, H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, 1)

    def step(self, inputs: Any, state: Any) -> Any:
        h, x_last = state
        x, m, delta = tg.split(inputs, 1, dim=1)
        m, delta = (m > 0).to(x.dtype), delta.abs()
        decay_x, decay_h = tg.exp(-F.relu(self.gamma_x(delta))), tg.exp(-F.relu(self.gamma_h(delta)))
        x_last = tg.where(m > 0, x, x_last)
        x_hat = m * x + (1 - m) * (decay_x * x_last + (1 - decay_x) * self.x_mean)
        return self.gru(tg.cat([x_hat, m], 1), decay_h * h), x_last


@published
class LiquidTimeConstant(Sized):
    """h ← (h + Δt f A) / (1 + Δt (1/τ + f)), f = σ(W [x, h] + b), three times a step
    (Hasani et al. 2021, eq. 3).
    """

    def __init__(self, D: int, H: int, unfolds: int = 3) -> None:
        super().__init__(D, H)
        self.f, self.A = nn.Linear(D + H, H), Parameter(tg.randn(H))
        self.tau, self.unfolds = Parameter(tg.ones(H)), unfolds

    def step(self, x: Any, h: Any) -> Any:
        dt = 1.0 / self.unfolds
        for _ in range(self.unfolds):
            f = tg.sigmoid(self.f(tg.cat([x, h], dim=-1)))
            h = (h + dt * f * self.A) / (1 + dt * (1 / F.softplus(self.tau) + f))
        return h


@published
class ClosedFormContinuous(Sized):
    """h' = σ(-f t) ∘ g + (1 - σ(-f t)) ∘ k over a shared trunk
    (Hasani et al. 2022, eq. 4), t in the input.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.backbone = nn.Sequential(nn.Linear(D - 1 + H, 6), nn.SiLU())
        self.ff1, self.ff2, self.time_a, self.time_b = (nn.Linear(6, H) for _ in range(4))

    def step(self, x: Any, h: Any) -> Any:
        ts = x[..., -1].unsqueeze(-1)
        z = self.backbone(tg.cat([x[..., :-1], h], 1))
        ff1, ff2 = tg.tanh(self.ff1(z)), tg.tanh(self.ff2(z))
        t_interp = tg.sigmoid(self.time_a(z) * ts + self.time_b(z))
        return ff1 * (1.0 - t_interp) + t_interp * ff2


@published
class InnerIterations(Sized):
    """z ← tanh(W z + U x + V h) from 0, three times: a fixed point, cut short (Bai et al. 2019)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.W, self.U, self.V = nn.Linear(H, H), nn.Linear(D, H), nn.Linear(H, H, bias=False)
        self.norm = nn.LayerNorm(H)

    def step(self, x: Any, h: Any) -> Any:
        inject = self.U(x) + self.V(h)
        z = tg.zeros_like(h)
        for _ in range(3):
            z = self.norm(z + tg.tanh(self.W(z) + inject))
        return z


class Spike(Function):
    """1 where v > 0; the gradient is that of a fast sigmoid, 1 / (1 + 25 |v|)² (Zenke & Ganguli 2018)."""

    @staticmethod
    def forward(ctx: Any, v: Any) -> Any:
        ctx.save_for_backward(v)
        return (v > 0).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (v,) = ctx.saved_tensors
        return g / (25 * v.abs() + 1.0) ** 2


@published
class LeakyIntegrateAndFire(TwoStates):
    """u' = β u + W x + V s - s θ, s' = [u' > θ] (Eshraghian et al. 2021), with a surrogate gradient."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.fc, self.rec = nn.Linear(D, H), nn.Linear(H, H)
        self.beta, self.threshold = Parameter(tg.tensor(0.9)), Parameter(tg.tensor(0.3))

    def step(self, x: Any, state: Any) -> Any:
        spk, mem = state
        reset = spk.detach() * self.threshold
        mem = self.beta.clamp(0, 1) * mem + self.fc(x) + self.rec(spk) - reset
        return Spike.apply(mem - self.threshold), mem
