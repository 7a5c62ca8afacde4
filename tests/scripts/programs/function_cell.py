"""A minimal gated unit whose backward is written by hand, as an autograd.Function."""

import numpy as np
import torch
from torch import nn
from torch.autograd import Function, gradcheck


class MGUFunction(Function):
    """f = σ(a_f), n = tanh(a_n), h' = (1 - f) h + f n."""

    @staticmethod
    def forward(ctx, a_f, a_n, h):
        f, n = torch.sigmoid(a_f), torch.tanh(a_n)
        ctx.save_for_backward(f, n, h)
        return (1 - f) * h + f * n

    @staticmethod
    def backward(ctx, grad_h):
        f, n, h = ctx.saved_tensors
        grad_a_f = grad_a_n = grad_old = None
        if ctx.needs_input_grad[0]:
            grad_a_f = grad_h * (n - h) * f * (1 - f)
        if ctx.needs_input_grad[1]:
            grad_a_n = grad_h * f * (1 - n * n)
        if ctx.needs_input_grad[2]:
            grad_old = grad_h * (1 - f)
        return grad_a_f, grad_a_n, grad_old


class MGU(nn.Module):
    def __init__(self, input_features, state_size):
        super().__init__()
        self.state_size = state_size
        self.weights = nn.Parameter(torch.empty(2 * state_size, input_features + state_size))
        self.bias = nn.Parameter(torch.empty(2 * state_size))

    def forward(self, xs, by_hand=True):
        h = xs.new_zeros(xs.size(1), self.state_size)
        for x in xs:
            gates = torch.addmm(self.bias, torch.cat([h, x], dim=1), self.weights.t())
            a_f, a_n = gates.chunk(2, dim=1)
            if by_hand:
                h = MGUFunction.apply(a_f, a_n, h)
            else:
                f = torch.sigmoid(a_f)
                h = (1 - f) * h + f * torch.tanh(a_n)
        return h


def main():
    rng = np.random.RandomState(1)
    small = [torch.tensor(rng.randn(2, 3), requires_grad=True) for _ in range(3)]
    assert gradcheck(MGUFunction.apply, small, eps=1e-6, atol=1e-4)

    cell, readout = MGU(2, 12), nn.Linear(12, 1)
    parameters = [*cell.parameters(), *readout.parameters()]
    for p in parameters:
        p.data = torch.tensor(rng.uniform(-0.4, 0.4, p.shape)).float()
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for step in range(100):  # is the sum of the signs positive?
        xs = torch.from_numpy(rng.choice([-1.0, 1.0], (7, 20, 2))).float()
        labels = (xs[..., 0].sum(0) > 0).float()
        loss = nn.functional.binary_cross_entropy_with_logits(readout(cell(xs)).squeeze(1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    readout(cell(xs)).sum().backward()
    by_hand = [p.grad.clone() for p in parameters]
    for p in parameters:
        p.grad.zero_()
    loss = readout(cell(xs)).sum()
    loss.backward()
    cell.zero_grad()
    readout(cell(xs, by_hand=False)).sum().backward()
    again = cell.weights.grad
    cell.zero_grad()
    readout(cell(xs)).sum().backward()
    assert torch.allclose(cell.weights.grad, again, atol=1e-5)
    assert by_hand[0].shape == again.shape
    return {"losses": losses}


if __name__ == "__main__":
    main()
