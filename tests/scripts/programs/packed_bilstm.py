"""Do the brackets match? A bidirectional LSTM over packed batches of strings of different lengths."""

import random

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

PAD, VOCAB = 0, {"(": 1, ")": 2}


def balanced(text):
    depth = 0
    for c in text:
        depth += 1 if c == "(" else -1
        if depth < 0:
            return False
    return depth == 0


class Brackets(Dataset):
    def __init__(self, n, seed):
        rng = random.Random(seed)
        self.samples = []
        while len(self.samples) < n:
            text = "".join(rng.choice("()") for _ in range(rng.randint(1, 3) * 2))
            if len(self.samples) % 2 == balanced(text):
                self.samples.append((text, int(balanced(text))))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        text, label = self.samples[index]
        return torch.tensor([VOCAB[c] for c in text]), label, text


def collate(batch):
    sequences, labels, texts = zip(*batch)
    lengths = torch.LongTensor([len(s) for s in sequences])
    padded = pad_sequence(sequences, batch_first=True, padding_value=PAD)
    return padded, lengths, torch.tensor(labels), list(texts)


class Classifier(nn.Module):
    def __init__(self, hidden_size=16):
        super().__init__()
        self.embedding = nn.Embedding(3, 8, padding_idx=PAD)
        self.lstm = nn.LSTM(8, hidden_size, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, 2)

    def forward(self, padded, lengths):
        packed = pack_padded_sequence(self.embedding(padded), lengths, batch_first=True, enforce_sorted=False)
        packed_output, (h_n, c_n) = self.lstm(packed)
        output, output_lengths = pad_packed_sequence(packed_output, batch_first=True)
        assert torch.equal(output_lengths, lengths)
        last = torch.cat([h_n[-2], h_n[-1]], dim=1)
        # the forward half of the last valid output is the forward state
        H = h_n.size(2)
        index = (lengths - 1).view(-1, 1, 1).expand(-1, 1, H)
        assert torch.allclose(output[:, :, :H].gather(1, index).squeeze(1), h_n[-2])
        return self.fc(last)


def evaluate(model, loader):
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for padded, lengths, labels, _ in loader:
            _, predicted = torch.max(model(padded, lengths), dim=1)
            total += labels.size(0)
            correct += (predicted == labels).sum().item()
    return correct / total


def main():
    train_set, test_set = Brackets(96, seed=1), Brackets(40, seed=2)
    train_loader = DataLoader(train_set, batch_size=24, shuffle=False, collate_fn=collate)
    test_loader = DataLoader(test_set, batch_size=16, collate_fn=collate)
    model = Classifier()
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.data = torch.from_numpy(rng.uniform(-0.4, 0.4, p.shape).astype(np.float32))
    with torch.no_grad():
        model.embedding.weight[PAD].fill_(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.CrossEntropyLoss()
    losses = []
    for epoch in range(16):
        model.train()
        running_loss = 0.0
        for padded, lengths, labels, texts in train_loader:
            assert len(texts) == len(labels) and all(isinstance(t, str) for t in texts)
            optimizer.zero_grad()
            loss = criterion(model(padded, lengths), labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item() * padded.size(0)
        losses.append(running_loss / len(train_set))
        print(f"epoch {epoch + 1}: {losses[-1]:.3f}, test {evaluate(model, test_loader):.1%}")
    assert torch.equal(model.embedding.weight[PAD], torch.zeros(8))  # padding is never trained
    return {"losses": losses, "accuracy": evaluate(model, test_loader)}


if __name__ == "__main__":
    main()
