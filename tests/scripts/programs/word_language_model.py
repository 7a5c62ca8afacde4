"""A word-level language model: tied weights, hidden states carried over, SGD by hand, lr / 4 on a plateau."""

import io
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = (
    "the king saw the queen <eos> the queen saw a bird <eos> a bird saw the king <eos> "
    "the king fed a bird <eos> the queen fed the king <eos> a bird fed the queen <eos> "
) * 8


class Dictionary(object):
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super(RNNModel, self).__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout if nlayers > 1 else 0.0)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            if nhid != ninp:
                raise ValueError("When using the tied flag, nhid must be equal to emsize")
            self.decoder.weight = self.encoder.weight
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        size = (self.nlayers, bsz, self.nhid)
        if self.rnn_type == "LSTM":
            return (weight.new_zeros(size), weight.new_zeros(size))
        return weight.new_zeros(size)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def repackage_hidden(h):
    """Wraps hidden states in new tensors, to detach them from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def evaluate(model, criterion, source, bptt):
    model.eval()
    total_loss = 0.0
    hidden = model.init_hidden(source.size(1))
    with torch.no_grad():
        for i in range(0, source.size(0) - 1, bptt):
            data, targets = get_batch(source, i, bptt)
            output, hidden = model(data, hidden)
            total_loss += len(data) * criterion(output, targets).item()
            hidden = repackage_hidden(hidden)
    return total_loss / (len(source) - 1)


def train_epoch(model, criterion, source, bptt, lr, clip):
    model.train()
    total_loss = 0.0
    hidden = model.init_hidden(source.size(1))
    for i in range(0, source.size(0) - 1, bptt):
        data, targets = get_batch(source, i, bptt)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total_loss += len(data) * loss.item()
    return total_loss / (len(source) - 1)


def generate(model, dictionary, n_words, temperature=1.0):
    hidden = model.init_hidden(1)
    input = torch.randint(len(dictionary), (1, 1), dtype=torch.long)
    words = []
    with torch.no_grad():
        for _ in range(n_words):
            output, hidden = model(input, hidden)
            word_weights = output.squeeze().div(temperature).exp().cpu()
            word_idx = torch.multinomial(word_weights, 1)[0]
            input.fill_(word_idx)
            words.append(dictionary.idx2word[word_idx])
    return " ".join(words)


def main(dropout=0.1):
    torch.manual_seed(1111)
    dictionary = Dictionary()
    ids = torch.tensor([dictionary.add_word(w) for w in TEXT.split()]).type(torch.int64)
    train_data, val_data = batchify(ids, 4), batchify(ids[-74:], 2)
    model = RNNModel("LSTM", len(dictionary), 16, 16, 2, dropout, tie_weights=True)
    assert len(list(model.parameters())) == 1 + 8 + 1  # the tied matrix counts once
    rng = np.random.RandomState(0)
    for p in model.parameters():
        p.data.copy_(torch.from_numpy(rng.uniform(-0.5, 0.5, p.shape)))
    criterion = nn.NLLLoss()
    lr, best_val_loss, losses, best = 10.0, None, [], io.BytesIO()
    for epoch in range(1, 15):
        loss = train_epoch(model, criterion, train_data, 8, lr, clip=1.0)
        val_loss = evaluate(model, criterion, val_data, 8)
        losses += [loss, val_loss]
        print("| epoch {:3d} | loss {:5.2f} | ppl {:8.2f}".format(epoch, val_loss, math.exp(val_loss)))
        if not best_val_loss or val_loss < best_val_loss:
            best = io.BytesIO()
            torch.save(model.state_dict(), best)
            best_val_loss = val_loss
        else:
            lr /= 4.0
    best.seek(0)
    reloaded = RNNModel("LSTM", len(dictionary), 16, 16, 2, dropout, tie_weights=True)
    reloaded.load_state_dict(torch.load(best))
    reloaded.rnn.flatten_parameters()
    assert reloaded.decoder.weight is reloaded.encoder.weight
    assert evaluate(reloaded, criterion, val_data, 8) == best_val_loss
    text = generate(reloaded, dictionary, 30)
    print(text)
    return {"losses": losses, "perplexity": math.exp(best_val_loss), "text": text}


if __name__ == "__main__":
    main()
