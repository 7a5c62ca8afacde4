"""Translate number words, last word first: encoder, attention decoder, teacher forcing, a pair at a time."""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

SOS_token = 0
EOS_token = 1
MAX_LENGTH = 4
teacher_forcing_ratio = 0.5


class Lang:
    def __init__(self, name):
        self.name = name
        self.word2index = {}
        self.index2word = {0: "SOS", 1: "EOS"}
        self.n_words = 2

    def add_sentence(self, sentence):
        for word in sentence.split(" "):
            if word not in self.word2index:
                self.word2index[word] = self.n_words
                self.index2word[self.n_words] = word
                self.n_words += 1


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super(EncoderRNN, self).__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size)

    def forward(self, input, hidden):
        embedded = self.embedding(input).view(1, 1, -1)
        output, hidden = self.gru(embedded, hidden)
        return output, hidden

    def initHidden(self):
        return torch.zeros(1, 1, self.hidden_size, device=device)


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, dropout_p=0.0, max_length=MAX_LENGTH):
        super(AttnDecoderRNN, self).__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attn = nn.Linear(hidden_size * 2, max_length)
        self.attn_combine = nn.Linear(hidden_size * 2, hidden_size)
        self.dropout = nn.Dropout(dropout_p)
        self.gru = nn.GRU(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, input, hidden, encoder_outputs):
        embedded = self.dropout(self.embedding(input).view(1, 1, -1))
        attn_weights = F.softmax(self.attn(torch.cat((embedded[0], hidden[0]), 1)), dim=1)
        attn_applied = torch.bmm(attn_weights.unsqueeze(0), encoder_outputs.unsqueeze(0))
        output = torch.cat((embedded[0], attn_applied[0]), 1)
        output = F.relu(self.attn_combine(output).unsqueeze(0))
        output, hidden = self.gru(output, hidden)
        return F.log_softmax(self.out(output[0]), dim=1), hidden, attn_weights


def tensor_from_sentence(lang, sentence):
    indexes = [lang.word2index[word] for word in sentence.split(" ")] + [EOS_token]
    return torch.tensor(indexes, dtype=torch.long, device=device).view(-1, 1)


def encode(encoder, input_tensor):
    hidden = encoder.initHidden()
    outputs = torch.zeros(MAX_LENGTH, encoder.hidden_size, device=device)
    for ei in range(input_tensor.size(0)):
        output, hidden = encoder(input_tensor[ei], hidden)
        outputs[ei] = output[0, 0]
    return outputs, hidden


def train(input_tensor, target_tensor, encoder, decoder, optimizers, criterion, use_teacher_forcing):
    for optimizer in optimizers:
        optimizer.zero_grad()
    target_length = target_tensor.size(0)
    encoder_outputs, decoder_hidden = encode(encoder, input_tensor)
    decoder_input = torch.tensor([[SOS_token]], device=device)
    loss = 0
    for di in range(target_length):
        decoder_output, decoder_hidden, _ = decoder(decoder_input, decoder_hidden, encoder_outputs)
        loss += criterion(decoder_output, target_tensor[di])
        if use_teacher_forcing:
            decoder_input = target_tensor[di]
        else:
            topv, topi = decoder_output.topk(1)
            decoder_input = topi.squeeze().detach()
            if decoder_input.item() == EOS_token:
                break
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return loss.item() / target_length


def evaluate(encoder, decoder, input_lang, output_lang, sentence):
    with torch.no_grad():
        encoder_outputs, hidden = encode(encoder, tensor_from_sentence(input_lang, sentence))
        decoder_input = torch.tensor([[SOS_token]], device=device)
        words, attentions = [], torch.zeros(MAX_LENGTH, MAX_LENGTH)
        for di in range(MAX_LENGTH):
            output, hidden, attention = decoder(decoder_input, hidden, encoder_outputs)
            attentions[di] = attention.data
            topv, topi = output.data.topk(1)
            if topi.item() == EOS_token:
                break
            words.append(output_lang.index2word[topi.item()])
            decoder_input = topi.squeeze().detach()
        return words, attentions[: di + 1]


def main():
    random.seed(3)
    numbers, zahlen = "one two three".split(), "eins zwei drei".split()
    pairs = []
    for n in (1, 2):
        for _ in range(12):
            picks = [random.randrange(3) for _ in range(n)]
            pairs.append((" ".join(numbers[i] for i in picks), " ".join(zahlen[i] for i in reversed(picks))))
    source, target = Lang("english"), Lang("german")
    for a, b in pairs:
        source.add_sentence(a)
        target.add_sentence(b)

    hidden_size = 20
    encoder = EncoderRNN(source.n_words, hidden_size).to(device)
    decoder = AttnDecoderRNN(hidden_size, target.n_words).to(device)
    rng = np.random.RandomState(0)
    for model in (encoder, decoder):
        for p in model.parameters():
            p.data.copy_(torch.from_numpy(rng.uniform(-0.3, 0.3, tuple(p.shape)).astype(np.float32)))
    optimizers = [optim.SGD(m.parameters(), lr=0.05, momentum=0.7) for m in (encoder, decoder)]
    criterion = nn.NLLLoss()
    losses, total = [], 0
    for step in range(1, 301):
        a, b = random.choice(pairs)
        teach = True if random.random() < teacher_forcing_ratio else False
        input_tensor, target_tensor = tensor_from_sentence(source, a), tensor_from_sentence(target, b)
        loss = train(input_tensor, target_tensor, encoder, decoder, optimizers, criterion, teach)
        total += loss
        if step % 30 == 0:
            print("(%d %d%%) %.4f" % (step, step / 300 * 100, total / 30))
            losses.append(total / 30)
            total = 0
    right = 0
    for a, b in pairs:
        words, attentions = evaluate(encoder, decoder, source, target, a)
        assert torch.allclose(attentions.sum(1), torch.ones(len(attentions)), atol=1e-5)
        right += " ".join(words) == b
    return {"losses": losses, "right": right / len(pairs)}


if __name__ == "__main__":
    main()
