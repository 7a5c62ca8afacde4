"""Filters of series, and lattices of probabilities in the logarithm."""

from __future__ import annotations

from typing import Any

from published_cells import Sized, TwoStates, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter, Step

F = nn.functional


@published
class Kalman(Sized):
    """m, P of a position and a speed, one measured number
    (Kalman 1960): predict with A (2, 2), update with gain K.
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.register_buffer("A", tg.tensor([[1.0, 0.5], [0.0, 1.0]]))
        self.log_q, self.log_r, self.C = (
            Parameter(tg.zeros(2)),
            Parameter(tg.zeros(())),
            Parameter(tg.tensor([[1.0, 0.2]])),
        )

    def initial_state(self, batch_size: int, like: Any) -> Any:
        eye = tg.eye(2, dtype=like.dtype)
        return self.zeros(like, batch_size, 2, 1), eye.repeat(batch_size, 1, 1)

    def step(self, x: Any, state: Any) -> Any:
        m, L = state
        P = tg.matmul(L, L.transpose(-1, -2))
        m, P = self.A @ m, self.A @ P @ self.A.T + tg.diag(self.log_q.exp())
        S = self.C @ P @ self.C.T + self.log_r.exp()
        K = P @ self.C.T / S
        innovation = x[:, :1, None] - self.C @ m
        m = m + K @ innovation
        P = (tg.eye(2, dtype=x.dtype) - K @ self.C) @ P
        likelihood = -0.5 * (innovation**2 / S + tg.log(S))
        return Step(likelihood.reshape(-1, 1), (m, P / 4))


@published
class PID(Sized):
    """u = k_p e + k_i ∫e + k_d ė with anti-windup, setpoint and measurement in the input
    (Åström & Hägglund 1995).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.kp, self.ki, self.kd = (Parameter(tg.tensor(k)) for k in (1.0, 0.3, 0.1))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size), self.zeros(like, batch_size)

    def step(self, x: Any, state: Any) -> Any:
        integral, previous = state
        setpoint, measured = x[:, 0], x[:, 1]
        e = setpoint - measured
        integral = (integral + e).clamp(-2.0, 2.0)
        u = self.kp * e + self.ki * integral + self.kd * (e - previous)
        return Step(u.clip(-4, 4), (integral, e))


@published
class HoltWinters(Sized):
    """Level, trend, and a season of four that turns: ℓ' = α (x - s) + (1 - α)(ℓ + b) (Winters 1960)."""

    def __init__(self, D: int, H: int, season: int = 4) -> None:
        super().__init__(D, H)
        self.season, self.raw = season, Parameter(tg.zeros(3))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        n = self.zeros(like, batch_size, 1)
        return n, n.clone(), self.zeros(like, batch_size, self.season)

    def step(self, x: Any, state: Any) -> Any:
        level, trend, seasonal = state
        alpha, beta, gamma = tg.sigmoid(self.raw)
        x, s = x[:, :1], seasonal[:, 0:1]
        forecast = level + trend + s
        new_level = alpha * (x - s) + (1 - alpha) * (level + trend)
        trend = beta * (new_level - level) + (1 - beta) * trend
        s = gamma * (x - new_level) + (1 - gamma) * s
        return Step(forecast, (new_level, trend, tg.cat([seasonal[:, 1:], s], dim=1)))


@published
class RunningNorm(TwoStates):
    """Mean and variance by exponential weights, x normalised by them
    (West 1979); the state is of D numbers.
    """

    def __init__(self, D: int, H: int, momentum: float = 0.9) -> None:
        super().__init__(D, D)
        self.momentum, self.weight, self.bias = momentum, Parameter(tg.ones(D)), Parameter(tg.zeros(D))

    def step(self, x: Any, state: Any) -> Any:
        mean, var = state
        delta = x - mean
        mean = mean + (1 - self.momentum) * delta
        var = self.momentum * (var + (1 - self.momentum) * delta.square())
        return Step(delta * tg.rsqrt(var.abs() + 1e-1) * self.weight + self.bias, (mean, var))


@published
class GARCH(Sized):
    """σ²' = ω + α r² + β σ² (Bollerslev 1986), y the negative log-likelihood of r."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.omega, self.ab = Parameter(tg.tensor(-1.0)), Parameter(tg.zeros(3))

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return tg.ones(batch_size, 1, dtype=like.dtype) * 2

    def step(self, x: Any, var: Any) -> Any:
        r = x.mean(dim=1, keepdim=True)
        alpha, beta, _ = F.softmax(self.ab, dim=0)
        nll = 0.5 * (tg.log(var) + r**2 / var)
        return Step(nll, F.softplus(self.omega) + alpha * r**2 + beta * var)


@published
class HMMForward(Sized):
    """α'_j = b_j(x) + logsumexp_i (α_i + log A_ij) (Rabiner 1989, eq. 20), Gaussian emissions."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.transition, self.mu = Parameter(tg.randn(H, H)), Parameter(tg.randn(H, D))
        self.log_sigma = Parameter(tg.zeros(H, D))

    def emission(self, x: Any) -> Any:
        z = (x.unsqueeze(1) - self.mu) / self.log_sigma.exp()
        return (-0.5 * z.pow(2) - self.log_sigma).sum(dim=-1)

    def step(self, x: Any, alpha: Any) -> Any:
        log_A = F.log_softmax(self.transition, dim=1)
        return self.emission(x) + tg.logsumexp(alpha.unsqueeze(2) + log_A, dim=1)


@published
class CRFForward(Sized):
    """α' = e + logsumexp over the previous tag of (α + transitions)
    (Lafferty et al. 2001; Lample et al. 2016).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.hidden2tag, self.transitions = nn.Linear(D, H), Parameter(tg.randn(H, H))

    def project(self, xs: Any) -> Any:
        return self.hidden2tag(xs)

    def step(self, feat: Any, forward_var: Any) -> Any:
        alphas_t = []
        for next_tag in range(self.hidden_size):
            emit_score = feat[:, next_tag].view(-1, 1)
            next_tag_var = forward_var + self.transitions[next_tag] + emit_score
            alphas_t.append(next_tag_var.logsumexp(dim=1).view(-1, 1))
        return tg.cat(alphas_t, 1)


@published
class Viterbi(Sized):
    """δ'_j = e_j + max_i (δ_i + A_ij): max-plus (Viterbi 1967), with the path's last tag."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.emit, self.A = nn.Linear(D, H), Parameter(tg.randn(H, H))

    def step(self, x: Any, delta: Any) -> Any:
        best, _ = (delta[:, :, None] + self.A[None]).max(dim=1)
        return best + self.emit(x)


@published
class CTCLattice(Sized):
    """α'_s = p_s + logsumexp(α_s, α_{s-1}, α_{s-2}), the last where labels differ
    (Graves et al. 2006, eq. 6).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, 2 * H + 1)
        self.log_probs = nn.Sequential(nn.Linear(D, H + 1), nn.LogSoftmax(dim=-1))
        self.labels = [0 if s % 2 == 0 else s // 2 + 1 for s in range(2 * H + 1)]
        skip = tg.tensor([0.0 if s % 2 and s > 1 else -1e4 for s in range(2 * H + 1)])
        self.register_buffer("skip", skip)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return F.pad(self.zeros(like, batch_size, 1), (0, self.hidden_size - 1), value=-30.0)

    def step(self, x: Any, alpha: Any) -> Any:
        p = self.log_probs(x)[:, self.labels]
        one = F.pad(alpha[:, :-1], (1, 0), value=-1e4)
        two = F.pad(alpha, (2, 0), value=-1e4)[:, : self.hidden_size] + self.skip
        return tg.stack([alpha, one, two], dim=-1).logsumexp(dim=-1) + p


@published
class LearnedOptimizer(TwoStates):
    """Adam's moments, a small network instead of the quotient, rows are parameters
    (Andrychowicz et al. 2016; Metz 2020).
    """

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, D)
        self.mlp = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

    def step(self, g: Any, state: Any) -> Any:
        m, v = state
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        features = tg.stack((g, m, m / (v.abs().sqrt() + 1e-1)), dim=-1)
        direction, magnitude = self.mlp(features).unbind(dim=-1)
        return Step(-direction * tg.exp(0.1 * magnitude), (m, v))
