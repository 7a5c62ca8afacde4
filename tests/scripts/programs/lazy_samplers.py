"""Samplers and datasets that never end: only as much is drawn as training asks for."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler
from torch.utils.data.sampler import SubsetRandomSampler, WeightedRandomSampler


class Parity(Dataset):
    """The bits of a number, and whether an odd number of them is set."""

    def __init__(self, bits):
        self.bits = bits
        self.visited = []

    def __len__(self):
        return 2**self.bits

    def __getitem__(self, i):
        self.visited.append(int(i))
        bits = np.array([(i >> k) & 1 for k in range(self.bits)], dtype=np.float64)
        return {"bits": torch.from_numpy(bits).unsqueeze(1), "label": int(bits.sum()) % 2, "name": f"n{i}"}


class Forever(Sampler):
    """All indices in an order of its own, again and again."""

    def __init__(self, data_source, rng):
        self.data_source, self.rng, self.drawn = data_source, rng, 0

    def __iter__(self):
        for _ in itertools.count():
            for i in self.rng.permutation(len(self.data_source)).tolist():
                self.drawn += 1
                yield i


class Stream(IterableDataset):
    def __iter__(self):
        return ((torch.tensor([n]), n % 3) for n in itertools.count())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 12, batch_first=True)
        self.fc = nn.Linear(12, 1)

    def forward(self, x):
        output, hidden = self.rnn(x)
        return self.fc(hidden.squeeze(0)).squeeze(-1)


def main():
    rng = np.random.RandomState(1)
    data = Parity(4)
    sampler = Forever(data, rng)
    loader = DataLoader(data, batch_size=16, sampler=sampler)
    net = Net().double()
    for p in net.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.6, 0.6, p.shape)))
    optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01, momentum=0.5)
    criterion = nn.BCEWithLogitsLoss()
    losses, steps = [], 150
    for batch in itertools.islice(loader, steps):
        assert sorted(batch) == ["bits", "label", "name"] and len(batch["name"]) == 16
        optimizer.zero_grad()
        loss = criterion(net(batch["bits"]), batch["label"].double())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sampler.drawn == len(data.visited) == 16 * steps  # nothing was drawn in advance

    first = next(iter(DataLoader(Stream(), batch_size=5)))
    assert first[0].tolist() == [[0], [1], [2], [3], [4]] and first[1].tolist() == [0, 1, 2, 0, 1]

    data.visited.clear()
    half = SubsetRandomSampler(range(8), generator=torch.Generator().manual_seed(0))
    for batch in DataLoader(data, batch_size=3, sampler=half):
        assert batch["bits"].shape[1:] == (4, 1)
    assert sorted(data.visited) == list(range(8))

    data.visited.clear()
    weights = [1.0 if n in (3, 5) else 0.0 for n in range(16)]
    chosen = WeightedRandomSampler(weights, 40, generator=torch.Generator().manual_seed(0))
    list(DataLoader(data, sampler=chosen))
    assert set(data.visited) == {3, 5} and len(data.visited) == 40
    accuracy = ((net(batch_of(data)[0]) > 0).long() == batch_of(data)[1]).float().mean().item()
    return {"losses": losses, "accuracy": accuracy}


def batch_of(data):
    samples = [data[i] for i in range(len(data))]
    return torch.stack([s["bits"] for s in samples]), torch.tensor([s["label"] for s in samples])


if __name__ == "__main__":
    main()
