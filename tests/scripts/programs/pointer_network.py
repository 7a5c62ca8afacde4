"""A pointer network: attention over the inputs is the answer. It points at numbers from small to large."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class PointerNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.encoder = nn.GRU(1, hidden, batch_first=True)
        self.cell = nn.GRUCell(1, hidden)
        self.W1 = nn.Linear(hidden, hidden, bias=False)
        self.W2 = nn.Linear(hidden, hidden, bias=False)
        self.v = nn.Linear(hidden, 1, bias=False)

    def forward(self, x, target=None):
        batch, n = x.shape
        memory, h = self.encoder(x.unsqueeze(-1))
        h = h.squeeze(0)
        keys = self.W1(memory)
        taken = torch.zeros_like(x, dtype=torch.bool)
        token = x.new_full((batch, 1), -1.0)
        rows, log_probs, pointers = torch.arange(batch), [], []
        for t in range(n):
            h = self.cell(token, h)
            scores = self.v(torch.tanh(keys + self.W2(h)[:, None, :])).squeeze(-1)
            scores = scores.masked_fill(taken, float("-inf"))
            log_probs.append(F.log_softmax(scores, dim=-1))
            pointer = log_probs[-1].argmax(-1) if target is None else target[:, t]
            pointers.append(pointer)
            taken = taken.clone()
            taken[rows, pointer] = True
            token = x.gather(1, pointer.unsqueeze(1))
        return torch.stack(log_probs, dim=1), torch.stack(pointers, dim=1)


def main():
    rng = np.random.RandomState(6)
    net = PointerNet(20)
    for p in net.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.4, 0.4, p.shape)))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    losses = []
    for step in range(150):
        x = torch.from_numpy(rng.rand(32, 4)).float()
        values, order = x.sort(dim=1)
        log_probs, _ = net(x, order)
        nll = -log_probs.gather(2, order.unsqueeze(2)).squeeze(2)
        loss = nll.mean()
        optimizer.zero_grad()
        loss.backward()
        for p in net.parameters():
            assert torch.isfinite(p.grad).all()  # minus infinity never reaches a gradient
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        x = torch.from_numpy(rng.rand(200, 4)).float()
        _, pointers = net(x)
        assert torch.equal(pointers.sort(dim=1)[0], torch.arange(4).expand(200, 4))  # each number once
        found = torch.gather(x, 1, pointers)
        climbing = (found[:, 1:] >= found[:, :-1]).float().mean()
    print(f"loss {losses[-1]:.3f}, {climbing:.1%} of the steps go up")
    return {"losses": losses, "climbing": climbing.item()}


if __name__ == "__main__":
    main()
