"""Learning to learn: an LSTM proposes the updates of another problem's parameters, and learns by it."""

import numpy as np
import torch
import torch.nn as nn


class LearnedOptimizer(nn.Module):
    """Each coordinate is a sequence of the batch: gradient in, update out."""

    def __init__(self, hidden_sz=12):
        super().__init__()
        self.hidden_sz = hidden_sz
        self.recurs = nn.LSTMCell(2, hidden_sz)
        self.output = nn.Linear(hidden_sz, 1)

    def forward(self, gradient, state):
        size = (gradient.abs() + 1e-8).log() / 10
        features = torch.cat([size.clamp(min=-1), gradient.sign()], dim=1)
        hidden, cell = self.recurs(features, state)
        return 0.1 * self.output(hidden), (hidden, cell)


def quadratic(rng):
    W, y = torch.from_numpy(rng.randn(5, 5)), torch.from_numpy(rng.randn(5))
    return lambda theta: ((W @ theta - y) ** 2).sum() / 5


def unroll(opt_net, problem, n_steps, meta_opt=None, bptt=5):
    theta = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    state = tuple(theta.new_zeros(5, opt_net.hidden_sz) for _ in range(2))
    curve, all_losses = [], None
    for step in range(1, n_steps + 1):
        loss = problem(theta)
        all_losses = loss if all_losses is None else all_losses + loss
        curve.append(loss.item())
        loss.backward(retain_graph=meta_opt is not None)
        gradient = theta.grad.detach().view(5, 1)
        update, state = opt_net(gradient, state)
        theta = theta + update.squeeze(1)
        theta.retain_grad()
        if meta_opt is None or step % bptt == 0:
            if meta_opt is not None:
                meta_opt.zero_grad()
                all_losses.backward()
                meta_opt.step()
            all_losses = None
            theta = theta.detach().requires_grad_()
            state = tuple(s.detach() for s in state)
    return curve


def main():
    rng = np.random.RandomState(0)
    opt_net = LearnedOptimizer().double()
    for p in opt_net.parameters():
        p.data = torch.from_numpy(rng.uniform(-0.2, 0.2, p.shape))
    meta_opt = torch.optim.Adam(opt_net.parameters(), lr=0.01)
    losses = []
    for task in range(40):
        curve = unroll(opt_net, quadratic(rng), 15, meta_opt)
        losses.append(curve[-1] / curve[0])
    held_out = [unroll(opt_net, quadratic(rng), 15) for _ in range(10)]
    return {"losses": losses, "held_out": float(np.mean([c[-1] / c[0] for c in held_out]))}


if __name__ == "__main__":
    main()
