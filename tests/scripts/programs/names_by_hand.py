"""Which language is a name from? A recurrent cell made of two linear layers, updated leaf by leaf."""

import math
import random
import time

import numpy as np
import torch
import torch.nn as nn

LETTERS = "abcdefghijklmnopqrstuvwxyz '"
ENDINGS = {"A": ["ovich", "enko", "sky"], "B": ["ez", "ado", "illa"], "C": ["mann", "berg", "stein"]}
CATEGORIES = sorted(ENDINGS)
LEARNING_RATE = 0.04


def random_name(rng, category):
    stem = "".join(rng.choice("bcdfglmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 2)))
    return stem + rng.choice(ENDINGS[category])


def letter_to_index(letter):
    return LETTERS.find(letter)


def line_to_tensor(line):
    tensor = torch.zeros(len(line), 1, len(LETTERS))
    for li, letter in enumerate(line):
        tensor[li][0][letter_to_index(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super(RNN, self).__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        hidden = torch.tanh(self.i2h(combined))
        output = self.softmax(self.i2o(combined))
        return output, hidden

    def init_hidden(self):
        return torch.zeros(1, self.hidden_size)


criterion = nn.NLLLoss()


def train(rnn, category_tensor, line_tensor):
    hidden = rnn.init_hidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-LEARNING_RATE)
    return output, loss.item()


def category_from_output(output):
    top_n, top_i = output.topk(1)
    category_i = top_i[0].item()
    return CATEGORIES[category_i], category_i


def time_since(since):
    seconds = time.time() - since
    return "%dm %ds" % (seconds // 60, math.floor(seconds % 60))


def main():
    rng = random.Random(5)
    rnn = RNN(len(LETTERS), 32, len(CATEGORIES))
    weights = np.random.RandomState(0)
    for p in rnn.parameters():
        p.data.copy_(torch.from_numpy(weights.uniform(-0.15, 0.15, p.size())))
    start, current, losses = time.time(), 0.0, []
    for step in range(1, 601):
        category = rng.choice(CATEGORIES)
        name = random_name(rng, category)
        category_tensor = torch.tensor([CATEGORIES.index(category)], dtype=torch.long)
        output, loss = train(rnn, category_tensor, line_to_tensor(name))
        current += loss
        if step % 50 == 0:
            guess, _ = category_from_output(output)
            correct = "yes" if guess == category else "no (%s)" % category
            print("%d (%s) %.4f %s / %s %s" % (step, time_since(start), loss, name, guess, correct))
            losses.append(current / 50)
            current = 0.0

    confusion = torch.zeros(len(CATEGORIES), len(CATEGORIES))
    with torch.no_grad():
        for _ in range(60):
            category = rng.choice(CATEGORIES)
            hidden = rnn.init_hidden()
            for letter in line_to_tensor(random_name(rng, category)):
                output, hidden = rnn(letter, hidden)
            confusion[CATEGORIES.index(category)][category_from_output(output)[1]] += 1
    for i in range(len(CATEGORIES)):
        confusion[i] = confusion[i] / confusion[i].sum()
    return {"losses": losses, "accuracy": confusion.diag().mean().item()}


if __name__ == "__main__":
    main()
