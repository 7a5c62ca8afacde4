"""Documents of sentences of words: attention over packed words, then over packed sentences."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


class Attention(nn.Module):
    """A weighted mean of each packed sequence."""

    def __init__(self, size):
        super().__init__()
        self.project = nn.Linear(size, size)
        self.context = nn.Linear(size, 1, bias=False)

    def forward(self, packed):
        scores = self.context(torch.tanh(self.project(packed.data))).squeeze(1)
        scores = torch.exp(scores - scores.max())
        weights, _ = pad_packed_sequence(
            PackedSequence(scores, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices),
            batch_first=True,
        )
        weights = weights / weights.sum(dim=1, keepdim=True)
        values, _ = pad_packed_sequence(packed, batch_first=True)
        return (values * weights.unsqueeze(2)).sum(dim=1), weights


class HAN(nn.Module):
    def __init__(self, n_words, size, n_classes):
        super().__init__()
        self.embed = nn.Embedding(n_words, size, padding_idx=0)
        self.words = nn.GRU(size, size, bidirectional=True, batch_first=True)
        self.sentences = nn.GRU(2 * size, size, bidirectional=True, batch_first=True)
        self.over_words, self.over_sentences = Attention(2 * size), Attention(2 * size)
        self.out = nn.Linear(2 * size, n_classes)

    def forward(self, documents, n_sentences, n_words):
        packed = pack_padded_sequence(documents, n_sentences.tolist(), batch_first=True, enforce_sorted=False)
        lengths = pack_padded_sequence(n_words, n_sentences.tolist(), batch_first=True, enforce_sorted=False)
        words = pack_padded_sequence(
            self.embed(packed.data), lengths.data.tolist(), batch_first=True, enforce_sorted=False
        )
        vectors, alphas = self.over_words(self.words(words)[0])
        sentences = packed._replace(data=vectors)
        document, betas = self.over_sentences(self.sentences(sentences)[0])
        return self.out(document), alphas, betas


def corpus(n, seed):
    """A document's class is the one key word (1, 2 or 3) in one of its sentences."""
    rng = np.random.default_rng(seed)
    documents, n_sentences, n_words = np.zeros((n, 4, 5), int), rng.integers(1, 5, n), np.ones((n, 4), int)
    labels = rng.integers(0, 3, n)
    for d in range(n):
        for s in range(n_sentences[d]):
            n_words[d, s] = rng.integers(1, 6)
            documents[d, s, : n_words[d, s]] = rng.integers(4, 12, n_words[d, s])
        s = rng.integers(n_sentences[d])
        documents[d, s, rng.integers(n_words[d, s])] = labels[d] + 1
    return [torch.from_numpy(a) for a in (documents, n_sentences, n_words, labels)]


def main():
    documents, n_sentences, n_words, labels = corpus(30, 0)
    model, rng = HAN(12, 8, 3), np.random.default_rng(1)
    for name, p in sorted(model.named_parameters()):
        p.data.copy_(torch.from_numpy(rng.normal(0, 0.4, tuple(p.shape))))
    model.embed.weight.data[model.embed.padding_idx].zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    losses = []
    for _ in range(14):
        scores, alphas, betas = model(documents, n_sentences, n_words)
        loss = nn.functional.cross_entropy(scores, labels, label_smoothing=0.01)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    accuracy = (scores.argmax(dim=1) == labels).float().mean()
    unused = betas[torch.arange(betas.size(1)) >= n_sentences[:, None]]
    assert torch.allclose(betas.sum(1), torch.ones(len(betas))) and not unused.any()
    return {"losses": losses, "accuracy": accuracy.item()}


if __name__ == "__main__":
    main()
