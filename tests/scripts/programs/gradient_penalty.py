"""A recurrent critic whose slope is held at one: gradients of gradients through time (double backward)."""

import numpy as np
import torch
import torch.nn as nn
from torch import autograd


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(1, 10, batch_first=True)
        self.fc = nn.Linear(10, 1)

    def forward(self, x):
        output, _ = self.rnn(x)
        return self.fc(output[:, -1])


def calc_gradient_penalty(critic, real, fake, alpha):
    interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(interpolates)
    gradients = autograd.grad(
        outputs=scores,
        inputs=interpolates,
        grad_outputs=torch.ones(scores.size()),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean(), gradients.norm(2, dim=1).mean()


def main():
    rng = np.random.RandomState(3)
    critic = Critic()
    for p in critic.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, p.shape)))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.02, betas=(0.5, 0.9))
    losses = []
    t = np.arange(6)[None, :, None]
    for step in range(60):
        real = torch.from_numpy(np.sin(t + rng.uniform(0, 6, (16, 1, 1)))).float()
        fake = torch.from_numpy(rng.uniform(-1, 1, (16, 6, 1))).float()
        alpha = torch.from_numpy(rng.rand(16, 1, 1)).float()
        for p in critic.parameters():
            p.requires_grad = True
        optimizer.zero_grad()
        wasserstein = critic(real).mean() - critic(fake).mean()
        penalty, slope = calc_gradient_penalty(critic, real, fake, alpha)
        (10 * penalty - wasserstein).backward()
        optimizer.step()
        losses.append(penalty.item())
    for p in critic.parameters():
        p.requires_grad = False
    assert not critic(real).requires_grad
    return {"losses": losses, "distance": wasserstein.item(), "slope": slope.item()}


if __name__ == "__main__":
    main()
