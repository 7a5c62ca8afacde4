"""Sentiment of short reviews: pretrained vectors copied in, padding zeroed, packed LSTM, one logit."""

import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

GOOD = "superb lovely moving clever".split()
BAD = "dull awful clumsy boring".split()
PLAIN = "the film plot was and actors music a very scene".split()
itos = ["<unk>", "<pad>"] + sorted(GOOD + BAD + PLAIN)
stoi = {word: i for i, word in enumerate(itos)}
UNK_IDX, PAD_IDX = stoi["<unk>"], stoi["<pad>"]


def review(rng):
    label = rng.randrange(2)
    words = [rng.choice(PLAIN) for _ in range(rng.randint(2, 7))]
    for _ in range(rng.randint(1, 2)):
        words.insert(rng.randrange(len(words) + 1), rng.choice(GOOD if label else BAD))
    return words, label


class BucketIterator:
    """Batches of similar lengths, longest first inside a batch."""

    def __init__(self, examples, batch_size):
        self.examples = sorted(examples, key=lambda e: len(e[0]))
        self.batch_size = batch_size

    def __len__(self):
        return (len(self.examples) + self.batch_size - 1) // self.batch_size

    def __iter__(self):
        for i in range(0, len(self.examples), self.batch_size):
            batch = sorted(self.examples[i : i + self.batch_size], key=lambda e: -len(e[0]))
            lengths = torch.tensor([len(words) for words, _ in batch])
            text = torch.full((int(lengths.max()), len(batch)), PAD_IDX, dtype=torch.long)
            for j, (words, _) in enumerate(batch):
                text[: len(words), j] = torch.tensor([stoi.get(w, UNK_IDX) for w in words])
            yield text, lengths, torch.tensor([label for _, label in batch]).float()


class RNN(nn.Module):
    def __init__(
        self, vocab_size, embedding_dim, hidden_dim, output_dim, n_layers, bidirectional, dropout, pad_idx
    ):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=pad_idx)
        self.rnn = nn.LSTM(
            embedding_dim, hidden_dim, num_layers=n_layers, bidirectional=bidirectional, dropout=dropout
        )
        self.fc = nn.Linear(hidden_dim * 2, output_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, text, text_lengths):
        embedded = self.dropout(self.embedding(text))
        packed_embedded = nn.utils.rnn.pack_padded_sequence(embedded, text_lengths.to("cpu"))
        packed_output, (hidden, cell) = self.rnn(packed_embedded)
        output, output_lengths = nn.utils.rnn.pad_packed_sequence(packed_output)
        hidden = self.dropout(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1))
        return self.fc(hidden)


def count_parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def binary_accuracy(preds, y):
    rounded_preds = torch.round(torch.sigmoid(preds))
    correct = (rounded_preds == y).float()
    return correct.sum() / len(correct)


def train(model, iterator, optimizer, criterion):
    epoch_loss, epoch_acc = 0, 0
    model.train()
    for text, text_lengths, label in iterator:
        optimizer.zero_grad()
        predictions = model(text, text_lengths).squeeze(1)
        loss = criterion(predictions, label)
        acc = binary_accuracy(predictions, label)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item()
        epoch_acc += acc.item()
    return epoch_loss / len(iterator), epoch_acc / len(iterator)


def evaluate(model, iterator, criterion):
    epoch_loss, epoch_acc = 0, 0
    model.eval()
    with torch.no_grad():
        for text, text_lengths, label in iterator:
            predictions = model(text, text_lengths).squeeze(1)
            epoch_loss += criterion(predictions, label).item()
            epoch_acc += binary_accuracy(predictions, label).item()
    return epoch_loss / len(iterator), epoch_acc / len(iterator)


def main(dropout=0.2):
    torch.manual_seed(1234)
    rng = random.Random(1234)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_iterator = BucketIterator([review(rng) for _ in range(100)], 20)
    valid_iterator = BucketIterator([review(rng) for _ in range(60)], 20)
    vectors = torch.from_numpy(np.random.RandomState(0).randn(len(itos), 8)).float()

    model = RNN(len(itos), 8, 10, 1, 2, True, dropout, PAD_IDX)
    weights = np.random.RandomState(1)
    for p in model.parameters():
        p.data.copy_(torch.from_numpy(weights.uniform(-0.3, 0.3, p.shape)))
    print(f"The model has {count_parameters(model):,} trainable parameters")
    model.embedding.weight.data.copy_(vectors)
    model.embedding.weight.data[UNK_IDX] = torch.zeros(8)
    model.embedding.weight.data[PAD_IDX].zero_()
    optimizer = optim.Adam(model.parameters(), lr=8e-3)
    criterion = nn.BCEWithLogitsLoss()
    model, criterion = model.to(device), criterion.to(device)
    losses, best_valid_loss = [], float("inf")
    for epoch in range(9):
        start_time = time.time()
        train_loss, train_acc = train(model, train_iterator, optimizer, criterion)
        valid_loss, valid_acc = evaluate(model, valid_iterator, criterion)
        secs = int(time.time() - start_time)
        losses += [train_loss, valid_loss]
        best_valid_loss = min(best_valid_loss, valid_loss)
        print(f"Epoch: {epoch + 1:02} | Epoch Time: {secs}s")
        print(f"\t Val. Loss: {valid_loss:.3f} |  Val. Acc: {valid_acc * 100:.2f}%")
    assert not model.embedding.weight.data[PAD_IDX].any()

    def predict(sentence):
        model.eval()
        indexed = [stoi.get(t, UNK_IDX) for t in sentence.split()]
        tensor = torch.LongTensor(indexed).to(device).unsqueeze(1)
        return torch.sigmoid(model(tensor, torch.LongTensor([len(indexed)]))).item()

    good, bad = predict("a superb film very moving"), predict("the plot was dull and awful")
    assert predict("an unheard word") == predict("some unseen word")
    return {"losses": losses, "accuracy": valid_acc, "gap": good - bad}


if __name__ == "__main__":
    main()
