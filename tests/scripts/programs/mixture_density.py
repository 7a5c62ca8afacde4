"""A mixture density RNN: two Gaussians for the next value of a series that jumps up or down; then samples."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

K = 2


class MDNRNN(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_size)
        self.z_pi = nn.Linear(hidden_size, K)
        self.z_mu = nn.Linear(hidden_size, K)
        self.z_sigma = nn.Linear(hidden_size, K)

    def forward(self, x, state=None):
        y, state = self.lstm(x, state)
        return self.z_pi(y), self.z_mu(y), F.softplus(self.z_sigma(y)) + 1e-3, state


def mdn_loss(logits, mu, sigma, target):
    log_pi = F.log_softmax(logits, -1)
    log_normal = -0.5 * ((target - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_pi + log_normal, dim=-1).mean()


def series(rng, T, batch):
    """x' = 0.5 x ± 1, with a little noise: two answers are right, their mean never is."""
    x = np.zeros((T + 1, batch, 1))
    for t in range(T):
        x[t + 1] = 0.5 * x[t] + rng.choice([-1.0, 1.0], (batch, 1)) + 0.1 * rng.randn(batch, 1)
    return torch.from_numpy(x).float()


def sample(net, steps, temperature=1.0):
    x, state, out = torch.zeros(1, 1, 1), None, []
    with torch.no_grad():
        for _ in range(steps):
            logits, mu, sigma, state = net(x, state)
            k = torch.multinomial(F.softmax(logits.view(-1) / temperature, 0), num_samples=1)
            x = torch.normal(mu.view(-1)[k], sigma.view(-1)[k]).view(1, 1, 1)
            out.append(x.item())
    return out


def main():
    torch.manual_seed(4)
    rng = np.random.RandomState(4)
    net = MDNRNN(10)
    for p in net.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, p.shape)))
    net.z_mu.bias.data = torch.Tensor([-0.5, 0.5])
    optimizer = torch.optim.RAdam(net.parameters(), lr=0.03)
    losses = []
    for step in range(140):
        xs = series(rng, 10, 16)
        logits, mu, sigma, _ = net(xs[:-1])
        loss = mdn_loss(logits, mu, sigma, xs[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    entropy = math.log(2) + 0.5 * math.log(2 * math.pi * math.e * 0.1**2)
    drawn = [0.0, *sample(net, 200)]
    jumps = np.array([b - 0.5 * a for a, b in zip(drawn, drawn[1:])])
    near = np.mean(np.minimum(abs(jumps - 1), abs(jumps + 1)) < 0.5)
    print(f"{losses[-1]:.3f}, best possible about {entropy:.3f}; {near:.0%} of the samples jump by one")
    return {"losses": losses, "near": float(near), "ups": float(np.mean(jumps > 0))}


if __name__ == "__main__":
    main()
