"""Layer-normalised LSTM cells in a ModuleList over frozen embeddings, and an optimizer of one's own."""

import math

import numpy as np
import torch
import torch.nn as nn
from torch.optim.optimizer import Optimizer


class PlainAdam(Optimizer):
    """Adam without options."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                beta1, beta2 = group["betas"]
                state["step"] += 1
                state["exp_avg"].mul_(beta1).add_(p.grad, alpha=1 - beta1)
                state["exp_avg_sq"].mul_(beta2).add_(p.grad * p.grad, alpha=1 - beta2)
                step_size = group["lr"] * math.sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
                p.sub_(step_size * state["exp_avg"] / (state["exp_avg_sq"].sqrt() + group["eps"]))
        return loss


class LayerNormLSTMCell(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.i2h = nn.Linear(input_size, 4 * hidden_size, bias=False)
        self.h2h = nn.Linear(hidden_size, 4 * hidden_size)
        self.norm_i, self.norm_h = nn.LayerNorm(4 * hidden_size), nn.LayerNorm(4 * hidden_size)
        self.norm_c = nn.LayerNorm(hidden_size)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.norm_i(self.i2h(x)) + self.norm_h(self.h2h(h))).chunk(4, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * g.tanh()
        h = o.sigmoid() * self.norm_c(c).tanh()
        return h, c


class Stack(nn.Module):
    def __init__(self, vectors, sizes, n_out):
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(vectors, freeze=True)
        widths = [vectors.size(1)] + sizes
        self.cells = nn.ModuleList(LayerNormLSTMCell(a, b) for a, b in zip(widths, sizes))
        self.sizes = sizes
        self.out = nn.Linear(sizes[-1], n_out)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, tokens):
        self.calls += 1
        zeros = self.out.weight.new_zeros
        states = [(zeros(tokens.size(1), n), zeros(tokens.size(1), n)) for n in self.sizes]
        for x in self.embedding(tokens):
            for k, cell in enumerate(self.cells):
                states[k] = cell(x, states[k])
                x = states[k][0]
        return self.out(x)


def main():
    rng = np.random.RandomState(8)
    vectors = torch.from_numpy(rng.randn(6, 5))
    model = Stack(vectors, [12, 8], 6).double()
    for name, p in model.named_parameters():
        if p.requires_grad and p.dim() > 1:
            p.data.copy_(torch.from_numpy(rng.uniform(-0.4, 0.4, p.shape)))
    nn.init.zeros_(model.out.bias)
    for cell in model.cells:
        cell.h2h.bias.data.zero_()
    optimizer = PlainAdam(filter(lambda p: p.requires_grad, model.parameters()), lr=0.02)
    losses = []
    for step in range(70):  # which symbol came first?
        tokens = torch.from_numpy(rng.randint(0, 6, (5, 24)))

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(tokens), tokens[0])
            loss.backward()
            return loss

        losses.append(optimizer.step(closure).item())
        for param_group in optimizer.param_groups:
            param_group["lr"] = 0.02 * 0.98**step
    assert torch.equal(model.embedding.weight, vectors) and model.embedding.weight.grad is None
    assert model.state_dict()["calls"].item() == 70 and int(model.calls) == 70
    return {"losses": losses}


if __name__ == "__main__":
    main()
