"""What is a view of its input, and what a copy: writing into a result reaches the input as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")

RESULTS = """
    x.flip(0)
    x.flip(1)
    x[:1].flip(0)
    x.roll(0)
    x.roll(1, 0)
    x.diagonal()
    x.diagonal(1)
    x.t().diagonal()
    x.diag()
    x.T
    x.mT
    x.t()
    x.contiguous()
    x.t().contiguous()
    x.reshape(-1)
    x.t().reshape(-1)
    x.view(6)
    x.flatten()
    x.ravel()
    x.permute(1, 0)
    x.transpose(0, 1)
    x.movedim(0, 1)
    x.squeeze()
    x.unsqueeze(0)
    x.repeat(1, 1)
    x.tile(1)
    x.repeat_interleave(1)
    x.split(1)[0]
    x.chunk(1)[0]
    x.unbind(0)[0]
    x.select(0, 1)
    x.narrow(0, 0, 1)
    x[0]
    x[:]
    x[...]
    x[None]
    x[0, 0]
    x[:, 1]
    x[::2]
    x[[0, 1]]
    x[x==x]
    x[L.tensor([0])]
    x[L.tensor(0)]
    x[0:1, [0]]
    x.index_select(0, L.tensor([0, 1]))
    x.gather(0, L.zeros(2, 3, dtype=L.long))
    x.take_along_dim(L.zeros(2, 3, dtype=L.long), 0)
    x.clone()
    x.detach()
    x.data
    x.float()
    x.to(L.float32)
    x.to('cpu')
    x.cpu()
    x.type_as(x)
    x.to(L.float32, copy=True)
    x.type(L.FloatTensor)
    +x
    x.abs()
    x.relu()
    x.clamp(-9, 9)
    x.sum(0, keepdim=True)
    x[:1].sum(0)
    x[:1].mean(0)
    x[:1].amax(0)
    x[:1].max(0)[0]
    x[:1].prod(0)
    x.sort()[0]
    x.topk(3)[0]
    x.cumsum(0)
    x[:1].cumsum(0)
    x.tril(5)
    x.triu(-5)
    x.masked_fill(x!=x, 0.)
    L.where(x==x, x, x)
    L.cat([x])
    L.stack([x])
    L.hstack([x])
    L.vstack([x])
    L.cat([x, x[:0]])
    L.einsum('ij->ij', x)
    L.einsum('ij->ji', x)
    L.tensor(x)
    L.as_tensor(x)
    L.as_tensor(x.numpy())
    L.from_numpy(x.numpy())
    L.FloatTensor(x)
    L.FloatTensor(x.numpy())
    L.FloatTensor(x[0])
    x.new_tensor(x)
    x.new(x)
    x.squeeze().unsqueeze(0)
    x.view_as(x)
    x.round()
    x.bernoulli(0.5)
    F.pad(x, (0, 0))
    F.pad(x, (-1, 0))
    F.pad(x, (0, 0, -1, 0))
    F.dropout(x, 0.5, False)
    F.dropout(x, 0.0)
    F.relu(x)
    F.softmax(x, 1)
    F.normalize(x)
    F.linear(x, L.eye(3))
    F.layer_norm(x, (3, ))
    F.embedding(L.tensor([0, 1]), x)
    F.hardtanh(x, -9, 9)
    F.threshold(x, -9, 0)
    F.leaky_relu(x)
    F.one_hot(L.tensor([0, 1]))
    nn.Identity()(x)
    nn.Dropout(0.5).eval()(x)
    nn.Flatten()(x)
    nn.utils.rnn.pad_sequence([x])
    nn.utils.rnn.pad_sequence([x, x])
    nn.utils.rnn.pack_sequence([x])[0]
    nn.utils.rnn.pack_padded_sequence(x.unsqueeze(-1), [2, 2, 2])[0]
    nn.utils.rnn.pad_packed_sequence(nn.utils.rnn.pack_padded_sequence(x.unsqueeze(-1), [2, 2, 2]))[0]
    nn.utils.rnn.unpad_sequence(x.unsqueeze(-1), L.tensor([2, 2, 2]))[0]
    nn.utils.rnn.unpack_sequence(nn.utils.rnn.pack_sequence([x]))[0]
    nn.utils.parameters_to_vector([x])
    nn.Parameter(x).data
    nn.Embedding.from_pretrained(x).weight.data
    L.utils.data.default_collate([x])
    L.utils.data.TensorDataset(x)[0][0]
    next(iter(L.utils.data.DataLoader(x, batch_size=1)))
    next(iter(L.utils.data.DataLoader(x, batch_size=None)))
    L.autograd.Variable(x)
    L.autograd.Variable(x).data
    x.unique().view(-1)
    x.addcmul(x*0, x)
    x.lerp(x, 0.)
    x.div(1, rounding_mode='trunc')
    x.pow(1)
    x.norm(dim=0)
    x[:1].norm(dim=0)
    x.add(0)
    x.mul(1)
    x.maximum(x)
    x.where(x==x, x)
    L.addmm(x, L.zeros(2, 1), L.zeros(1, 3))
    L.matmul(x, L.eye(3))
    x.copy_(x)
    x.masked_select(x==x)
    x.nonzero()
    x.std(0)
    x.var(0)
    x.logsumexp(0)
    x[:1].logsumexp(0)
    x.double().float()
    x.scatter(0, L.zeros(1, 1, dtype=L.long), 0.)
    x.index_add(0, L.tensor([0]), x[:1]*0)
    L.clamp_min(x, -9)
    L.median(x, 0)[0]
    nn.Sequential()(x)
    L.nn.init.zeros_(x)
    F.glu(x.view(2, 3).repeat(1, 2))
"""


def reached(lib, program):
    """Whether the input changes when the result is filled."""
    x = lib.from_numpy(np.arange(1, 7, dtype=np.float32).reshape(2, 3))
    y = eval(program, {"L": lib, "nn": lib.nn, "F": lib.nn.functional, "x": x}).detach()
    before = x.clone()  # after the program, which may itself write
    y.fill_(99)
    return not x.equal(before)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("program", [line.strip() for line in RESULTS.strip().splitlines()])
def test_a_result_shares_memory_with_its_input_or_not(program):
    assert reached(tg, program) == reached(torch, program)
