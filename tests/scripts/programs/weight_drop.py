"""DropConnect on the recurrent weights: before each pass a plain tensor takes the parameter's place."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn import Parameter


class WeightDrop(torch.nn.Module):
    def __init__(self, module, weights, dropout=0):
        super(WeightDrop, self).__init__()
        self.module = module
        self.weights = weights
        self.dropout = dropout
        self._setup()

    def widget_demagnetizer_y2k_edition(self, *args, **kwargs):
        return

    def _setup(self):
        if issubclass(type(self.module), torch.nn.RNNBase):
            self.module.flatten_parameters = self.widget_demagnetizer_y2k_edition
        for name_w in self.weights:
            w = getattr(self.module, name_w)
            del self.module._parameters[name_w]
            self.module.register_parameter(name_w + "_raw", Parameter(w.data))

    def _setweights(self):
        for name_w in self.weights:
            raw_w = getattr(self.module, name_w + "_raw")
            setattr(self.module, name_w, F.dropout(raw_w, p=self.dropout, training=self.training))

    def forward(self, *args):
        self._setweights()
        return self.module.forward(*args)


class LockedDropout(nn.Module):
    """One mask for all steps."""

    def forward(self, x, dropout=0.5):
        if not self.training or not dropout:
            return x
        m = x.data.new(1, x.size(1), x.size(2)).bernoulli_(1 - dropout)
        mask = m.div_(1 - dropout)
        mask = mask.expand_as(x)
        return mask * x


def main(dropout=0.2):
    torch.manual_seed(5)
    rng = np.random.RandomState(5)
    wdrnn = WeightDrop(nn.LSTM(4, 16), ["weight_hh_l0"], dropout=dropout)
    locked, head = LockedDropout(), nn.Linear(16, 4)
    assert sorted(n for n, _ in wdrnn.named_parameters()) == sorted(
        "module." + n for n in ("bias_hh_l0", "bias_ih_l0", "weight_hh_l0_raw", "weight_ih_l0")
    )
    params = list(wdrnn.parameters()) + list(head.parameters())
    for p in params:
        p.data.copy_(torch.from_numpy(rng.uniform(-0.4, 0.4, p.size())))
    optimizer = torch.optim.Adam(params, lr=0.02)
    losses = []
    for step in range(90):  # repeat the symbol of two steps ago
        symbols = torch.from_numpy(rng.randint(0, 4, (8, 12)))
        xs = torch.eye(4)[symbols]
        output, _ = wdrnn(xs)
        loss = F.cross_entropy(head(locked(output, dropout / 2))[2:].reshape(-1, 4), symbols[:-2].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    raw = wdrnn.module.weight_hh_l0_raw
    assert raw.grad is not None and raw.grad.abs().sum() > 0
    wdrnn.train()
    wdrnn(xs)
    dropped = (wdrnn.module.weight_hh_l0 == 0).float().mean().item()
    wdrnn.eval()
    with torch.no_grad():
        first, second = wdrnn(xs)[0], wdrnn(xs)[0]
    assert torch.equal(first, second) and torch.equal(wdrnn.module.weight_hh_l0, raw)
    return {"losses": losses, "dropped": dropped}


if __name__ == "__main__":
    main()
