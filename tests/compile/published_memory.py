"""States that are slots, stacks and fast weights; attention; experts; a network that makes weights."""

from __future__ import annotations

import math
from typing import Any

from published_cells import Sized, published

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter, Step

F = nn.functional


@published
class FastWeights(Sized):
    """A' = λ A + η h hᵀ, h' = tanh(LN(W h + C x + A' h)) (Ba et al. 2016, eq. 1-2)."""

    def __init__(self, D: int, H: int, lam: float = 0.95, eta: float = 0.5) -> None:
        super().__init__(D, H)
        self.lam, self.eta = lam, eta
        self.C, self.W, self.ln = nn.Linear(D, H), nn.Linear(H, H, bias=False), nn.LayerNorm(H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        H = self.hidden_size
        return self.zeros(like, batch_size, H), self.zeros(like, batch_size, H, H)

    def step(self, x: Any, state: Any) -> Any:
        h, A = state
        A = self.lam * A + self.eta * tg.bmm(h.unsqueeze(2), h.unsqueeze(1))
        boundary = self.W(h) + self.C(x)
        hs = tg.tanh(boundary)
        for _ in range(2):
            hs = tg.tanh(self.ln(boundary + tg.bmm(hs.unsqueeze(1), A).squeeze(1)))
        return hs, A


@published
class DifferentiablePlasticity(Sized):
    """h' = tanh(x + h (w + α ∘ Hebb)), Hebb' = (1 - η) Hebb + η h h'ᵀ (Miconi et al. 2018, eq. 1-2)."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__(D, H)
        self.w, self.alpha = Parameter(0.3 * tg.randn(H, H)), Parameter(0.3 * tg.randn(H, H))
        self.eta, self.inp = Parameter(tg.tensor([0.1])), nn.Linear(D, H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        H = self.hidden_size
        return self.zeros(like, batch_size, H), self.zeros(like, batch_size, H, H)

    def step(self, x: Any, state: Any) -> Any:
        h, hebb = state
        weights = self.w + tg.mul(self.alpha, hebb)
        new = tg.tanh(h.unsqueeze(1).bmm(weights).squeeze(1) + self.inp(x))
        hebb = (1 - self.eta) * hebb + self.eta * tg.bmm(h.unsqueeze(2), new.unsqueeze(1))
        return new, hebb


@published
class NeuralTuringMachine(Sized):
    """Content addressing w = softmax(β cos(M, k)), shift, sharpening, erase and add
    (Graves et al. 2014, eq. 2-9).
    """

    def __init__(self, D: int, H: int, N: int = 3) -> None:
        super().__init__(D, H)
        self.N, self.controller = N, nn.Linear(D + H, H)
        self.heads = nn.Linear(H, H + 1 + 1 + 3 + 1 + H + H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        N, H = self.N, self.hidden_size
        return (
            self.zeros(like, batch_size, N, H) + 0.1,
            self.zeros(like, batch_size, N) + 1 / N,
            self.zeros(like, batch_size, H),
        )

    def step(self, x: Any, state: Any) -> Any:
        M, w, read = state
        H = self.hidden_size
        h = tg.tanh(self.controller(tg.cat([x, read], 1)))
        k, beta, g, s, gamma, e, a = self.heads(h).split([H, 1, 1, 3, 1, H, H], dim=1)
        k, e, a = k.tanh(), e.sigmoid(), a.tanh()
        beta, g, s, gamma = F.softplus(beta), g.sigmoid(), F.softmax(s, dim=1), 1 + F.softplus(gamma)
        wc = F.softmax(beta * F.cosine_similarity(M + 1e-3, k.unsqueeze(1) + 1e-3, dim=-1), dim=1)
        wg = g * wc + (1 - g) * w.abs()
        shifted = tg.cat([wg[:, -1:], wg, wg[:, :1]], dim=1)
        wt = sum(s[:, j : j + 1] * shifted[:, j : j + self.N] for j in range(3))
        wt = (wt + 1e-3) ** gamma
        w = wt / wt.sum(dim=1, keepdim=True)
        erase, add = tg.matmul(w.unsqueeze(-1), e.unsqueeze(1)), tg.matmul(w.unsqueeze(-1), a.unsqueeze(1))
        M = M * (1 - erase) + add
        read = tg.matmul(w.unsqueeze(1), M).squeeze(1)
        return Step(tg.cat([h, read], 1), (M, w, read))


@published
class StackRNN(Sized):
    """s'[0] = push d + pop s[1] + stay s[0], s'[i] = push s[i-1] + pop s[i+1] + …
    (Joulin & Mikolov 2015, eq. 4-5).
    """

    def __init__(self, D: int, H: int, depth: int = 4) -> None:
        super().__init__(D, H)
        self.U, self.R, self.P = nn.Linear(D, H), nn.Linear(H, H), nn.Linear(1, H)
        self.A, self.D, self.depth = nn.Linear(H, 3), nn.Linear(H, 1), depth

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.depth)

    def step(self, x: Any, state: Any) -> Any:
        h, stack = state
        h = tg.sigmoid(self.U(x) + self.R(h) + self.P(stack[:, 0].unsqueeze(1)))
        push, pop, stay = F.softmax(self.A(h), dim=1).unsqueeze(2).unbind(1)
        top = tg.sigmoid(self.D(h))
        pushed = tg.cat([top, stack[:, :-1]], dim=1)
        popped = F.pad(stack[:, 1:], (0, 1))
        return h, push * pushed + pop * popped + stay * stack


@published
class EntityNetwork(Sized):
    """g_j = σ(x h_j + x w_j), h_j' = norm(h_j + g_j φ(U h_j + V w_j + W x))
    (Henaff et al. 2017, eq. 1-4).
    """

    def __init__(self, D: int, H: int, slots: int = 3) -> None:
        super().__init__(D, H)
        self.slots, self.keys = slots, Parameter(tg.randn(slots, H))
        self.inp, self.U, self.V, self.W = (
            nn.Linear(D, H),
            nn.Linear(H, H, bias=False),
            nn.Linear(H, H),
            nn.Linear(H, H),
        )
        self.activation = nn.PReLU()

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.keys.to(like.dtype).unsqueeze(0).expand(batch_size, -1, -1).clone()

    def step(self, x: Any, h: Any) -> Any:
        s = self.inp(x).unsqueeze(1)
        gate = tg.sigmoid((s * h).sum(-1) + (s * self.keys).sum(-1))
        candidate = self.activation(self.U(h) + self.V(self.keys) + self.W(s))
        h = h + gate.unsqueeze(-1) * candidate
        return h / (h.norm(dim=-1, keepdim=True) + 1e-8)


@published
class RelationalMemory(Sized):
    """M' = gated(M, MLP(softmax(Q Kᵀ / √d) V)), attention of slots over slots and the input
    (Santoro et al. 2018).
    """

    def __init__(self, D: int, H: int, slots: int = 2, heads: int = 2) -> None:
        super().__init__(D, H)
        self.slots, self.heads = slots, heads
        self.inp, self.qkv, self.out = nn.Linear(D, H), nn.Linear(H, 3 * H), nn.Linear(H, H)
        self.norm, self.gates = nn.LayerNorm(H), nn.Linear(H, 2 * H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        eye = tg.eye(self.slots, self.hidden_size, dtype=like.dtype)
        return eye.expand(batch_size, -1, -1)

    def attend(self, x: Any) -> Any:
        B, N, H = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, H // self.heads).permute(2, 0, 3, 1, 4)
        weights = F.softmax(q @ k.transpose(-2, -1) / math.sqrt(H // self.heads), dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(B, N, H))

    def step(self, x: Any, M: Any) -> Any:
        x = self.inp(x)[:, None]
        both = tg.cat([M, x], dim=1)
        new = self.norm(both + self.attend(both))[:, : self.slots]
        i, f = (self.gates(x) + self.gates(M.tanh())).chunk(2, dim=2)
        M = tg.sigmoid(f + 1) * M + tg.sigmoid(i) * tg.tanh(new)
        return Step(M.mean(dim=1), M)


@published
class IndependentMechanisms(Sized):
    """k of n cells are active: those whose query scores the input highest, the others stay
    (Goyal et al. 2021).
    """

    def __init__(self, D: int, H: int, n: int = 3, k: int = 2) -> None:
        super().__init__(D, H)
        self.n, self.k = n, k
        self.W, self.U = Parameter(tg.randn(n, D, H) * 0.5), Parameter(tg.randn(n, H, H) * 0.5)
        self.key, self.query = nn.Linear(D, H), nn.Linear(H, H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.n, self.hidden_size)

    def step(self, x: Any, h: Any) -> Any:
        score = tg.einsum("bh,bnh->bn", self.key(x), self.query(h))
        top = tg.topk(score, self.k, dim=1).indices
        mask = tg.zeros_like(score).scatter_(1, top, 1.0).unsqueeze(-1)
        new = tg.tanh(tg.einsum("bd,ndh->bnh", x, self.W) + tg.einsum("bnh,nhk->bnk", h, self.U))
        new = new * F.softmax(score, dim=1).unsqueeze(-1)
        h = mask * new + (1 - mask) * h
        return Step(h.flatten(start_dim=1), h)


@published
class MixtureOfExperts(Sized):
    """h' = Σ_e p_e tanh(W_e [x, h]), p = softmax(G [x, h]) (Jacobs et al. 1991)."""

    def __init__(self, D: int, H: int, experts: int = 3) -> None:
        super().__init__(D, H)
        self.gate, self.experts = (
            nn.Linear(D + H, experts),
            nn.ModuleList([nn.Linear(D + H, H) for _ in range(experts)]),
        )

    def step(self, x: Any, h: Any) -> Any:
        z = tg.cat([x, h], dim=-1)
        p = F.softmax(self.gate(z), dim=-1)
        outs = tg.stack([tg.tanh(expert(z)) for expert in self.experts], dim=1)
        return tg.einsum("be,beh->bh", p, outs)


@published
class HyperRNN(Sized):
    """A small RNN makes the scales d(z) of the large one: h' = tanh(d_h(z) ∘ W_h h + d_x(z) ∘ W_x x + b(z))
    (Ha et al. 2017, eq. 6-7).
    """

    def __init__(self, D: int, H: int, z: int = 2) -> None:
        super().__init__(D, H)
        self.hyper, self.z = nn.RNNCell(D + H, z), z
        self.scale = nn.Linear(z, 3 * H)
        self.W_h, self.W_x = nn.Linear(H, H, bias=False), nn.Linear(D, H, bias=False)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        return self.zeros(like, batch_size, self.hidden_size), self.zeros(like, batch_size, self.z)

    def step(self, x: Any, state: Any) -> Any:
        h, z = state
        z = self.hyper(tg.cat([h, x], dim=1), z)
        d_h, d_x, b = self.scale(z).chunk(3, dim=1)
        return tg.tanh(d_h * self.W_h(h) + d_x * self.W_x(x) + b), z


@published
class SlidingAttention(Sized):
    """y = softmax(q Kᵀ) V over the last four keys and values, kept as states: windowed attention
    (Beltagy et al. 2020).
    """

    def __init__(self, D: int, H: int, window: int = 4) -> None:
        super().__init__(D, H)
        self.window, self.qkv = window, nn.Linear(D, 3 * H)

    def initial_state(self, batch_size: int, like: Any) -> Any:
        kv = self.zeros(like, batch_size, self.window, self.hidden_size)
        return kv, kv.clone(), self.zeros(like, batch_size, self.window) - 4

    def step(self, x: Any, state: Any) -> Any:
        K, V, bias = state
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        K, V = tg.cat([K[:, 1:], k.unsqueeze(1)], 1), tg.cat([V[:, 1:], v.unsqueeze(1)], 1)
        bias = F.pad(bias[:, 1:], (0, 1), value=0.0)
        scores = tg.baddbmm(bias.unsqueeze(1), q.unsqueeze(1), K.transpose(1, 2))
        return Step(tg.bmm(F.softmax(scores, dim=-1), V)[:, 0], (K, V, bias))
