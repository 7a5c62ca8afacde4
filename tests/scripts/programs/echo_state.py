"""An echo state network: a reservoir of fixed random weights in buffers, a readout by conjugate gradients."""

import numpy as np
import torch
import torch.nn as nn


class Reservoir(nn.Module):
    def __init__(self, n_units, radius=0.9, leak=0.3, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        W = torch.from_numpy(rng.uniform(-1, 1, (n_units, n_units)))
        W[torch.from_numpy(rng.random((n_units, n_units)) > 0.2)] = 0
        W.diagonal().zero_()
        v = torch.ones(n_units, dtype=W.dtype)
        for _ in range(60):  # power iteration on WᵀW bounds the spectral radius
            v = W.t().mv(W.mv(v))
            v /= v.norm()
        self.register_buffer("W", W * (radius / W.mv(v).norm()))
        self.register_buffer("W_in", torch.from_numpy(rng.uniform(-0.5, 0.5, (n_units, 2))))
        self.register_buffer("steps", torch.tensor(0), persistent=False)
        self.leak = leak

    @torch.no_grad()
    def forward(self, u, washout):
        x = self.W.new_zeros(self.W.size(0))
        states = x.new_empty(len(u), 2 + len(x))
        for t, value in enumerate(u):
            drive = torch.stack([torch.ones_like(value), value]).unsqueeze(1)
            pre = torch.addmm(self.W_in @ drive, self.W, x.unsqueeze(1)).squeeze(1)
            x = torch.lerp(x, torch.tanh(pre), self.leak)
            states[t, 0], states[t, 1], states[t, 2:] = 1, value, x
            self.steps += 1
        return states[washout:]


def conjugate_gradients(A, b):
    """Ever better solutions of A w = b."""
    w, r = torch.zeros_like(b), b.clone()
    p, rr = r.clone(), r.dot(r)
    while True:
        Ap = A.mv(p)
        alpha = rr / p.dot(Ap)
        w.add_(p, alpha=alpha.item())
        r.sub_(Ap, alpha=float(alpha))
        before, rr = rr, r.dot(r)
        p.mul_(rr / before).add_(r)
        yield w


def main():
    t = torch.arange(0, 30, 0.1, dtype=torch.float64)
    series = torch.sin(t) * torch.cos(0.31 * t)
    reservoir = Reservoir(40)
    states, targets = reservoir(series[:-1], 20), series[21:]
    A = states.t().mm(states)
    A.diagonal().add_(0.1)
    losses = []
    for w, _ in zip(conjugate_gradients(A, states.t().mv(targets)), range(8)):
        losses.append((states.mv(w) - targets).square().mean().sqrt().item())
    assert reservoir.steps == len(series) - 1 and list(reservoir.state_dict()) == ["W", "W_in"]
    assert not list(reservoir.parameters())
    return {"losses": losses, "spread": states[:, 2:].std(0).median().item()}


if __name__ == "__main__":
    main()
