"""The adding problem: sum the two marked numbers. A relu RNN that starts as the identity (IRNN)."""

import numpy as np
import torch
import torch.nn as nn


def batch(rng, batch_size, seq_len):
    values = rng.uniform(0, 1, (batch_size, seq_len))
    markers = np.zeros((batch_size, seq_len))
    for row in range(batch_size):
        first, second = rng.choice(seq_len, 2, replace=False)
        markers[row, [first, second]] = 1
    x = np.stack([values, markers], axis=-1)
    return torch.from_numpy(x).float(), torch.from_numpy((values * markers).sum(1)).float()


class IRNN(nn.Module):
    def __init__(self, hidden_size):
        super(IRNN, self).__init__()
        self.rnn = nn.RNN(2, hidden_size, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)
        nn.init.eye_(self.rnn.weight_hh_l0)
        nn.init.constant_(self.rnn.bias_ih_l0, 0)
        nn.init.zeros_(self.rnn.bias_hh_l0)
        self.fc.bias.data.fill_(0)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.fc(out[:, -1, :]).squeeze(-1)


def main():
    rng = np.random.RandomState(7)
    model = IRNN(32)
    model.rnn.weight_ih_l0.data.copy_(torch.from_numpy(rng.normal(0, 0.1, (32, 2))))
    model.fc.weight.data.copy_(torch.from_numpy(rng.normal(0, 0.1, (1, 32))))
    assert torch.equal(model.rnn.weight_hh_l0 @ torch.ones(32), torch.ones(32))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(200):
        x, y = batch(rng, 32, 10)
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}: mse {loss:.4f}, always guessing 1 gives {((y - 1) ** 2).mean():.4f}")
    return {"losses": losses, "baseline": (1 - y).pow(2).mean().item()}


if __name__ == "__main__":
    main()
