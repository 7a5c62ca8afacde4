"""Do two sequences hold the same symbols? One LSTM reads both; the Manhattan distance decides."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence


class MaLSTM(nn.Module):
    def __init__(self, n_symbols, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(n_symbols, 6)
        self.lstm = nn.LSTM(6, hidden_size)
        self.double()

    def encode(self, sequences):
        packed = pack_sequence([self.embedding(s) for s in sequences], enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        return h.squeeze(0)

    def forward(self, left, right):
        return torch.exp(-torch.norm(self.encode(left) - self.encode(right), p=1, dim=1))


def pair(rng):
    """A sequence with a copy of itself in another order, or with another sequence."""
    left = [rng.randrange(4) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.5:
        return left, rng.sample(left, len(left)), 1.0
    while True:
        right = [rng.randrange(4) for _ in range(rng.randint(1, 4))]
        if sorted(right) != sorted(left):
            return left, right, 0.0


def batch(rng, n):
    left, right, same = zip(*(pair(rng) for _ in range(n)))
    tensors = [[torch.tensor(s) for s in side] for side in (left, right)]
    return (*tensors, torch.tensor(same, dtype=torch.float64))


def main():
    rng = random.Random(2)
    weights = np.random.default_rng(2)
    net = MaLSTM(4, 12)
    for p in net.parameters():
        p.data = torch.from_numpy(weights.uniform(-0.5, 0.5, p.shape))
    optimizer = torch.optim.Adadelta(net.parameters(), lr=2.0, rho=0.9)
    losses = []
    for step in range(120):
        left, right, same = batch(rng, 24)
        similarity = net(left, right)
        loss = nn.MSELoss()(similarity, same)
        optimizer.zero_grad()
        loss.backward()
        total_norm = nn.utils.clip_grad_norm_(net.parameters(), 1.25)
        assert total_norm >= 0 and total_norm.dtype == torch.float64
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        left, right, same = batch(rng, 200)
        similarity = net(left, right)
        swapped = net(right, left)
    assert torch.allclose(similarity, swapped)  # the measure is symmetric
    accuracy = ((similarity > 0.5).double() == same).double().mean().item()
    return {"losses": losses, "accuracy": accuracy}


if __name__ == "__main__":
    main()
