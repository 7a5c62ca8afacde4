"""Part-of-speech tags from an LSTM, on Python lists of words, one sentence at a time."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def prepare_sequence(seq, to_ix):
    idxs = [to_ix[w] for w in seq]
    return torch.tensor(idxs, dtype=torch.long)


training_data = [
    ("the cat drinks the milk".split(), ["DET", "NN", "V", "DET", "NN"]),
    ("nobody saw that bird".split(), ["NN", "V", "DET", "NN"]),
    ("a bird saw the cat".split(), ["DET", "NN", "V", "DET", "NN"]),
]
word_to_ix = {}
for sent, _ in training_data:
    for word in sent:
        if word not in word_to_ix:
            word_to_ix[word] = len(word_to_ix)
tag_to_ix = {"DET": 0, "NN": 1, "V": 2}


class LSTMTagger(nn.Module):
    def __init__(self, embedding_dim, hidden_dim, vocab_size, tagset_size):
        super(LSTMTagger, self).__init__()
        self.hidden_dim = hidden_dim
        self.word_embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.lstm = nn.LSTM(embedding_dim, hidden_dim)
        self.hidden2tag = nn.Linear(hidden_dim, tagset_size)
        self.hidden = self.init_hidden()

    def init_hidden(self):
        return (torch.zeros(1, 1, self.hidden_dim), torch.zeros(1, 1, self.hidden_dim))

    def forward(self, sentence):
        embeds = self.word_embeddings(sentence)
        lstm_out, self.hidden = self.lstm(embeds.view(len(sentence), 1, -1), self.hidden)
        tag_space = self.hidden2tag(lstm_out.view(len(sentence), -1))
        return F.log_softmax(tag_space, dim=1)


def main():
    model = LSTMTagger(6, 6, len(word_to_ix), len(tag_to_ix))
    rng = np.random.RandomState(4)
    for name, param in model.named_parameters():
        scale = 1.0 if "embeddings" in name else 0.4
        param.data = torch.Tensor((scale * rng.randn(*param.shape)).astype("float32"))
    loss_function = nn.NLLLoss()
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    losses = []
    for epoch in range(80):
        total = torch.Tensor([0])
        for sentence, tags in training_data:
            model.zero_grad()
            model.hidden = model.init_hidden()
            tag_scores = model(prepare_sequence(sentence, word_to_ix))
            loss = loss_function(tag_scores, prepare_sequence(tags, tag_to_ix))
            loss.backward()
            optimizer.step()
            total += loss.data
        losses.append(total.item())
    right = n = 0
    with torch.no_grad():
        for sentence, tags in training_data:
            model.hidden = model.init_hidden()
            values, indices = torch.max(model(prepare_sequence(sentence, word_to_ix)), 1)
            for w, tag, i in zip(sentence, tags, indices):
                print(w, i.item(), tag)
                right += int(i) == tag_to_ix[tag]
                n += 1
    return {"losses": losses, "accuracy": right / n}


if __name__ == "__main__":
    main()
