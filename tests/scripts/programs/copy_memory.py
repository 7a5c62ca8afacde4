"""The copying task: remember a few symbols over a gap, then say them again."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N_SYMBOLS, N_REMEMBER, GAP = 3, 2, 4
BLANK, GO = 0, N_SYMBOLS + 1


def copy_data(rng, batch_size):
    symbols = rng.randint(1, N_SYMBOLS + 1, (batch_size, N_REMEMBER))
    x = np.zeros((batch_size, N_REMEMBER + GAP + N_REMEMBER), dtype=np.int64)
    x[:, :N_REMEMBER] = symbols
    x[:, N_REMEMBER + GAP - 1] = GO
    y = np.zeros_like(x)
    y[:, -N_REMEMBER:] = symbols
    return torch.from_numpy(x), torch.LongTensor(y)


class Memory(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.gru = nn.GRU(N_SYMBOLS + 2, hidden_size, batch_first=True)
        self.readout = nn.Linear(hidden_size, N_SYMBOLS + 1)

    def forward(self, x):
        onehot = F.one_hot(x, num_classes=N_SYMBOLS + 2).to(torch.double)
        states, _ = self.gru(onehot)
        return self.readout(states)


def main():
    rng = np.random.RandomState(3)
    model = Memory(32).double()
    for name, p in model.named_parameters():
        if "bias" in name:
            nn.init.zeros_(p)
        else:
            p.data = torch.tensor(rng.normal(0, 1 / np.sqrt(p.shape[1]), p.shape))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=4e-3, alpha=0.9)
    losses = []
    for step in range(220):
        x, y = copy_data(rng, 32)
        logits = model(x)
        loss = F.cross_entropy(logits.transpose(1, 2), y)  # classes in dimension 1
        same = F.cross_entropy(logits.reshape(-1, N_SYMBOLS + 1), y.view(-1))
        assert torch.allclose(loss, same)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        x, y = copy_data(rng, 100)
        recalled = model(x).argmax(dim=-1)[:, -N_REMEMBER:]
        accuracy = (recalled == y[:, -N_REMEMBER:]).float().mean()
    guessing = N_REMEMBER * np.log(N_SYMBOLS) / x.size(1)
    print("loss %.4f (guessing: %.4f), recalled %.2f" % (loss.item(), guessing, accuracy))
    return {"losses": losses, "accuracy": accuracy.item()}


if __name__ == "__main__":
    main()
