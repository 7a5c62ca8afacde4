"""Tag a rare class in padded batches: class weights, ignore_index, and the same loss again with a mask."""

import numpy as np
import torch
import torch.nn as nn

PAD_TAG = -100


def make_batch(rng, batch_size):
    """The tag is 1 where a symbol repeats the one before it, else 0; rows end at random."""
    lengths = np.sort(rng.randint(3, 10, batch_size))[::-1].copy()
    x = np.zeros((batch_size, lengths[0]), dtype=np.int64)
    y = np.full(x.shape, PAD_TAG)
    for i, n in enumerate(lengths):
        x[i, :n] = rng.randint(1, 5, n)
        y[i, :n] = np.concatenate([[0], x[i, 1:n] == x[i, : n - 1]])
    return torch.from_numpy(x), torch.from_numpy(y), lengths


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 8, padding_idx=0)
        self.rnn = nn.GRU(8, 16, batch_first=True, bidirectional=True)
        self.out = nn.Linear(32, 2)

    def forward(self, x, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.embed(x), lengths, batch_first=True)
        output, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.out(output)


def masked_loss(logits, tags, weight):
    """The weighted mean by hand."""
    mask = (tags != PAD_TAG).float()
    labels = tags.clone()
    labels[labels == PAD_TAG] = 0
    log_probs = torch.log_softmax(logits, dim=-1)
    picked = -torch.gather(log_probs, dim=2, index=labels.unsqueeze(2)).squeeze(2)
    share = weight[labels] * mask
    return (picked * share).sum() / share.sum()


def f1_score(predicted, tags):
    keep = tags != PAD_TAG
    predicted, tags = predicted[keep], tags[keep]
    true_positive = ((predicted == 1) & (tags == 1)).sum().item()
    return 2 * true_positive / ((predicted == 1).sum().item() + (tags == 1).sum().item())


def main():
    rng = np.random.RandomState(9)
    model = Tagger()
    for p in model.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, p.shape)))
    model.embed.weight.data[0].zero_()
    class_weights = torch.FloatTensor([1.0, 3.0])
    criterion = nn.CrossEntropyLoss(weight=class_weights, ignore_index=PAD_TAG)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.015, betas=(0.9, 0.99))
    losses = []
    for step in range(80):
        x, y, lengths = make_batch(rng, 24)
        logits = model(x, lengths)
        loss = criterion(logits.view(-1, 2), y.view(-1))
        assert abs(loss.item() - masked_loss(logits, y, class_weights).item()) < 1e-5
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        x, y, lengths = make_batch(rng, 60)
        f1 = f1_score(model(x, lengths).argmax(-1), y)
    return {"losses": losses, "f1": f1}


if __name__ == "__main__":
    main()
