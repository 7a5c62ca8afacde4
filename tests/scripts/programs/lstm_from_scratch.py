"""An LSTM layer from nothing but Parameters, trained to delay its input, and checked against nn.LSTM."""

import math

import numpy as np
import torch
import torch.nn as nn
from torch.nn import Parameter, init


class NaiveLSTM(nn.Module):
    def __init__(self, input_sz: int, hidden_sz: int):
        super().__init__()
        self.input_sz = input_sz
        self.hidden_size = hidden_sz
        self.W = Parameter(torch.Tensor(input_sz, hidden_sz * 4))
        self.U = Parameter(torch.Tensor(hidden_sz, hidden_sz * 4))
        self.bias = Parameter(torch.Tensor(hidden_sz * 4))
        self.init_weights()

    def init_weights(self):
        stdv = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -stdv, stdv)
            weight.data.uniform_(-stdv, stdv)

    def forward(self, x, init_states=None):
        """x is (batch, sequence, feature)"""
        bs, seq_sz, _ = x.size()
        hidden_seq = []
        if init_states is None:
            h_t, c_t = (
                torch.zeros(bs, self.hidden_size).to(x.device),
                torch.zeros(bs, self.hidden_size).to(x.device),
            )
        else:
            h_t, c_t = init_states
        HS = self.hidden_size
        for t in range(seq_sz):
            x_t = x[:, t, :]
            gates = x_t @ self.W + h_t @ self.U + self.bias
            i_t, f_t, g_t, o_t = (
                torch.sigmoid(gates[:, :HS]),
                torch.sigmoid(gates[:, HS : HS * 2]),
                torch.tanh(gates[:, HS * 2 : HS * 3]),
                torch.sigmoid(gates[:, HS * 3 :]),
            )
            c_t = f_t * c_t + i_t * g_t
            h_t = o_t * torch.tanh(c_t)
            hidden_seq.append(h_t.unsqueeze(0))
        hidden_seq = torch.cat(hidden_seq, dim=0)
        hidden_seq = hidden_seq.transpose(0, 1).contiguous()
        return hidden_seq, (h_t, c_t)


def main():
    torch.manual_seed(0)
    rng = np.random.RandomState(0)
    net = nn.ModuleDict({"lstm": NaiveLSTM(1, 16), "out": nn.Linear(16, 1)})
    bound = 1 / math.sqrt(16)
    assert all(-bound <= p.min().item() and p.max().item() <= bound for p in net["lstm"].parameters())
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(torch.tensor(rng.uniform(-bound, bound, tuple(p.shape))))
        net["lstm"].bias[16:32] += 1  # remember by default
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.03, total_steps=80)
    losses = []
    for step in range(80):
        x = torch.from_numpy(rng.uniform(-1, 1, (16, 10, 1))).float()
        output, _ = net["lstm"](x)
        loss = ((net["out"](output)[:, 2:] - x[:, :-2]) ** 2).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())

    reference = nn.LSTM(1, 16, batch_first=True)
    with torch.no_grad():
        reference.weight_ih_l0.copy_(net["lstm"].W.t())
        reference.weight_hh_l0.copy_(net["lstm"].U.T)
        reference.bias_ih_l0.copy_(net["lstm"].bias)
        reference.bias_hh_l0.zero_()
    expected, (h_n, c_n) = reference(x)
    output, (h_t, c_t) = net["lstm"](x)
    assert torch.allclose(output, expected, atol=1e-5) and torch.allclose(c_t, c_n[0], atol=1e-5)
    return {"losses": losses}


if __name__ == "__main__":
    main()
