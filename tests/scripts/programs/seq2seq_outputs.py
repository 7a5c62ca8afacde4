"""Sort digits with an LSTM encoder and decoder; outputs are written one by one into a tensor of zeros."""

import random

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

N_DIGITS, LENGTH, SOS = 5, 3, 5


class Encoder(nn.Module):
    def __init__(self, input_dim, emb_dim, hid_dim, n_layers):
        super().__init__()
        self.embedding = nn.Embedding(input_dim, emb_dim)
        self.rnn = nn.LSTM(emb_dim, hid_dim, n_layers)

    def forward(self, src):
        outputs, (hidden, cell) = self.rnn(self.embedding(src))
        return hidden, cell


class Decoder(nn.Module):
    def __init__(self, output_dim, emb_dim, hid_dim, n_layers):
        super().__init__()
        self.output_dim = output_dim
        self.embedding = nn.Embedding(output_dim, emb_dim)
        self.rnn = nn.LSTM(emb_dim, hid_dim, n_layers)
        self.fc_out = nn.Linear(hid_dim, output_dim)

    def forward(self, input, hidden, cell):
        embedded = self.embedding(input.unsqueeze(0))
        output, (hidden, cell) = self.rnn(embedded, (hidden, cell))
        return self.fc_out(output.squeeze(0)), hidden, cell


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder, device):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.device = device

    def forward(self, src, trg, teacher_forcing_ratio=0.5):
        batch_size, trg_len = trg.shape[1], trg.shape[0]
        outputs = torch.zeros(trg_len, batch_size, self.decoder.output_dim).to(self.device)
        hidden, cell = self.encoder(src)
        input = trg[0, :]
        for t in range(1, trg_len):
            output, hidden, cell = self.decoder(input, hidden, cell)
            outputs[t] = output
            teacher_force = random.random() < teacher_forcing_ratio
            top1 = output.argmax(1)
            input = trg[t] if teacher_force else top1
        return outputs


def batch(rng, n):
    src = rng.randint(0, N_DIGITS, (LENGTH, n))
    trg = np.concatenate([np.full((1, n), SOS), np.sort(src, axis=0)])
    return torch.tensor(src), torch.tensor(trg)


def main():
    random.seed(0)
    rng = np.random.RandomState(0)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    model = Seq2Seq(Encoder(N_DIGITS, 8, 24, 1), Decoder(N_DIGITS + 1, 8, 24, 1), device).to(device)

    def init_weights(m):
        for name, param in m.named_parameters(recurse=False):
            param.data.copy_(torch.from_numpy(rng.uniform(-0.35, 0.35, param.shape)))

    model.apply(init_weights)
    optimizer = optim.Adam(model.parameters(), lr=0.015)
    criterion = nn.CrossEntropyLoss(ignore_index=SOS)
    losses = []
    for step in range(150):
        src, trg = batch(rng, 32)
        optimizer.zero_grad()
        output = model(src, trg)
        output_dim = output.shape[-1]
        loss = criterion(output[1:].view(-1, output_dim), trg[1:].view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        src, trg = batch(rng, 50)
        guess = model(src, trg, 0)[1:].argmax(2)
    exact = (guess == trg[1:]).all(0).float().mean().item()
    print(f"{loss:.4f} {exact:.2f}", [f"{d}" for d in guess[:, 0].tolist()])
    return {"losses": losses, "sorted": exact}


if __name__ == "__main__":
    main()
