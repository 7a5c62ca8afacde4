"""Learn a rhyme by heart, letter by letter, and recite it at several temperatures."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = "the rain in may makes hay all day. "
CHARS = sorted(set(TEXT))
INDEX = {c: i for i, c in enumerate(CHARS)}


class CharRNN(nn.Module):
    def __init__(self, n_chars, hidden_size, n_layers):
        super().__init__()
        self.hidden_size, self.n_layers = hidden_size, n_layers
        self.encoder = nn.Embedding(n_chars, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, n_layers)
        self.decoder = nn.Linear(hidden_size, n_chars)

    def forward(self, input, hidden):
        encoded = self.encoder(input.view(-1, 1))
        output, hidden = self.gru(encoded, hidden)
        return self.decoder(output.view(-1, self.hidden_size)), hidden

    def init_hidden(self):
        return torch.zeros(self.n_layers, 1, self.hidden_size)


def char_tensor(string):
    tensor = torch.zeros(len(string)).long()
    for c in range(len(string)):
        tensor[c] = INDEX[string[c]]
    return tensor


def generate(model, prime="t", length=40, temperature=0.8):
    hidden = model.init_hidden()
    predicted = prime
    inp = char_tensor(prime)[-1]
    with torch.no_grad():
        for _ in range(length):
            output, hidden = model(inp, hidden)
            weights = output.data.view(-1).div(temperature).exp()
            top_i = torch.multinomial(weights, 1)[0]
            predicted += CHARS[top_i]
            inp = char_tensor(predicted[-1])
    return predicted


def entropy_of_next(model, prefix, temperature):
    hidden = model.init_hidden()
    with torch.no_grad():
        for c in char_tensor(prefix):
            output, hidden = model(c, hidden)
        probs = F.softmax(output.squeeze() / temperature, dim=0)
    return -(probs * torch.log(probs + 1e-12)).sum().item()


def main():
    torch.manual_seed(11)
    model = CharRNN(len(CHARS), 32, 1)
    rng = np.random.default_rng(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.as_tensor(rng.uniform(-0.2, 0.2, p.shape), dtype=p.dtype))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.CrossEntropyLoss()
    losses = []
    inputs, targets = char_tensor(TEXT[:-1]), char_tensor(TEXT[1:])
    for epoch in range(60):
        hidden = model.init_hidden()
        model.zero_grad()
        output, hidden = model(inputs, hidden)
        loss = criterion(output, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if epoch % 20 == 0:
            print(f"[{epoch:3d}] {losses[-1]:.4f} {generate(model, 'th', 20)!r}")
    recited = generate(model, "t", len(TEXT) - 2, temperature=0.25)
    print(recited)
    correct = sum(a == b for a, b in zip(recited, TEXT)) / len(recited)
    cold, hot = (entropy_of_next(model, "the ", t) for t in (0.5, 2.0))
    return {"losses": losses, "recited": correct, "hotter_by": hot - cold}


if __name__ == "__main__":
    main()
