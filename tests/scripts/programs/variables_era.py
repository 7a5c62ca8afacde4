"""In the spelling of 2017: Variables, LongTensors, weight.new, F.sigmoid, init without underscores."""

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init
import torch.optim as optim
from torch.autograd import Variable

use_cuda = torch.cuda.is_available()
FloatTensor = torch.cuda.FloatTensor if use_cuda else torch.FloatTensor
LongTensor = torch.cuda.LongTensor if use_cuda else torch.LongTensor


class OldLSTM(nn.Module):
    def __init__(self, input_size, hidden_size, n_layers=1):
        super(OldLSTM, self).__init__()
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.embed = nn.Embedding(input_size, hidden_size)
        self.i2f = nn.Linear(2 * hidden_size, hidden_size)
        self.i2g = nn.Linear(2 * hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, input_size)
        init.xavier_uniform(self.i2f.weight)
        init.orthogonal(self.i2g.weight)
        init.constant(self.i2f.bias, 1)

    def init_hidden(self, bsz):
        weight = next(self.parameters()).data
        return Variable(weight.new(bsz, self.hidden_size).zero_())

    def forward(self, word, hidden):
        combined = torch.cat((self.embed(word), hidden), 1)
        f = F.sigmoid(self.i2f(combined))
        hidden = f * hidden + (1 - f) * F.tanh(self.i2g(combined))
        return F.log_softmax(self.h2o(hidden), dim=1), hidden


def to_variable(rows):
    tensor = LongTensor(rows)
    if use_cuda:
        tensor = tensor.cuda()
    return autograd.Variable(tensor)


def main():
    torch.manual_seed(1)
    torch.set_default_tensor_type("torch.FloatTensor")
    text = np.array([i % 5 if i % 10 < 5 else 4 - i % 5 for i in range(120)])  # 0 1 2 3 4 4 3 …
    model = OldLSTM(5, 16)
    rng = np.random.RandomState(1)
    for p in model.parameters():
        p.data = torch.from_numpy(rng.uniform(-0.4, 0.4, p.size())).type(FloatTensor)
    assert isinstance(model.embed.weight.data, torch.FloatTensor) and not model.embed.weight.is_cuda
    optimizer = optim.Adagrad(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
    criterion = nn.NLLLoss(size_average=False)
    losses = []
    for epoch in range(25):
        total = 0
        hidden = model.init_hidden(4)
        for start in range(0, 24, 6):
            chunk = np.stack([text[k * 29 + start : k * 29 + start + 7] for k in range(4)], axis=1)
            inputs, targets = to_variable(chunk[:-1].tolist()), to_variable(chunk[1:].tolist())
            hidden = Variable(hidden.data)
            model.zero_grad()
            loss = Variable(torch.zeros(1))
            for t in range(6):
                output, hidden = model(inputs[t], hidden)
                loss += criterion(output, targets[t])
            loss.backward()
            nn.utils.clip_grad_norm(model.parameters(), 5)
            optimizer.step()
            total += loss.data[0]
        losses.append(float(total) / (24 * 4))
        if epoch % 10 == 0:
            print("epoch %d, loss %.3f" % (epoch, losses[-1]))

    x = Variable(torch.Tensor([[1, 2], [3, 4]]), requires_grad=True)
    y = (x * x).sum()
    y.backward(torch.Tensor([1])[0])
    assert x.grad.data.tolist() == [[2, 4], [6, 8]] and x.data.type() == "torch.FloatTensor"
    assert x.data.type(torch.LongTensor).type() == "torch.LongTensor"
    assert (x.data > 2).type("torch.ByteTensor").sum() == 2
    _, best = torch.max(output.data, 1)
    accuracy = (best == targets[-1].data).float().mean()
    return {"losses": losses, "accuracy": float(accuracy)}


if __name__ == "__main__":
    main()
