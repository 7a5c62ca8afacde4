"""How scripts write into tensors: through views, into leaves under no_grad, and into results with a graph."""

import operator

import numpy as np
import pytest

import tinygrad_rnn as torch
from tinygrad_rnn import nn


def test_basic_indexing_of_a_tensor_without_a_graph_gives_writable_views():
    t = torch.zeros(2, 1, 3)
    t[1][0][2] = 1
    t[0].fill_(2)
    row = t[1, 0]
    row[0] += 4
    assert t.tolist() == [[[2, 2, 2]], [[4, 0, 1]]]


@pytest.mark.parametrize(
    "write, expected",
    [
        (lambda t: t.view(-1)[4].fill_(5), [[0, 0, 0], [0, 5, 0]]),
        (lambda t: t.t()[0].add_(3), [[3, 0, 0], [3, 0, 0]]),
        (lambda t: t.split([1, 2], 1)[1].copy_(torch.tensor([1, 2])), [[0, 1, 2], [0, 1, 2]]),
        (lambda t: t.chunk(2)[0].normal_(1, 0), [[1, 1, 1], [0, 0, 0]]),
        (lambda t: t.unsqueeze(0)[:, :, 0].uniform_(2, 2), [[2, 0, 0], [2, 0, 0]]),
        (lambda t: t.narrow(1, 0, 2).sub_(1), [[-1, -1, 0], [-1, -1, 0]]),
        (lambda t: t.data[1].add_(1), [[0, 0, 0], [1, 1, 1]]),
        (lambda t: t.detach().numpy().__setitem__((0, 0), 9), [[9, 0, 0], [0, 0, 0]]),
        (lambda t: [row.add_(i) for i, row in enumerate(t)], [[0, 0, 0], [1, 1, 1]]),
        (lambda t: t[:, [0, 2]].add_(7), [[0, 0, 0], [0, 0, 0]]),  # advanced indices copy
        (lambda t: t[t == 0].add_(7), [[0, 0, 0], [0, 0, 0]]),
        (lambda t: t.clone().add_(1), [[0, 0, 0], [0, 0, 0]]),
        (lambda t: t.t().contiguous().add_(1), [[0, 0, 0], [0, 0, 0]]),
        (lambda t: t.diagonal().fill_(2), [[2, 0, 0], [0, 2, 0]]),
        (lambda t: t.t().diagonal(-1).fill_(2), [[0, 2, 0], [0, 0, 2]]),
        (lambda t: t.flip(0).add_(1), [[0, 0, 0], [0, 0, 0]]),
        (lambda t: nn.utils.rnn.unpad_sequence(t, [2, 1, 1])[0].add_(1), [[0, 0, 0], [0, 0, 0]]),
    ],
)
def test_what_a_view_writes_the_tensor_sees(write, expected):
    t = torch.zeros(2, 3)
    write(t)
    assert t.tolist() == expected


def test_assignment_by_masks_lists_and_slices():
    t = torch.zeros(2, 3)
    t[:, 1] = torch.tensor([1.0, 2.0])
    t[t == 0] = 7
    t[[0, 1], [2, 0]] = torch.tensor([3, 4])  # integers become floats
    t[1:, -1] -= 1
    assert t.tolist() == [[7, 1, 3], [4, 2, 6]]


def test_a_network_writes_its_outputs_into_zeros():
    net = nn.Linear(2, 2, bias=False)
    xs = torch.arange(6.0).view(3, 2)
    y = torch.zeros(4, 2)
    for i, x in enumerate(xs):
        y[i] = net(x)
    loss = (y * torch.tensor([[1.0], [2.0], [3.0], [4.0]])).sum()
    loss.backward()
    np.testing.assert_allclose(net.weight.grad.numpy(), [[0 + 2 * 2 + 3 * 4, 1 + 2 * 3 + 3 * 5]] * 2)


def test_what_was_read_before_a_later_write_keeps_its_gradient():
    w = torch.ones(2, requires_grad=True)
    y = torch.zeros(3, 2)
    y[0] = w * 2
    y[1] = y[0] * w  # 2 w²
    y[2] = y[1] * w  # 2 w³
    y[2].sum().backward()
    assert w.grad.tolist() == [6, 6]


@pytest.mark.parametrize(
    "spell",
    [
        lambda w, lr: w.data.add_(w.grad.data, alpha=-lr),
        lambda w, lr: w.data.add_(-lr * w.grad),
        lambda w, lr: w.data.sub_(lr * w.grad),
        lambda w, lr: setattr(w, "data", w.data - lr * w.grad.data),
        lambda w, lr: w.data.copy_(w.data - lr * w.grad),
        lambda w, lr: w.data.__setitem__(slice(None), w.data - lr * w.grad),
        lambda w, lr: torch.no_grad()(lambda: w.sub_(lr * w.grad))(),
        lambda w, lr: torch.no_grad()(lambda: w.add_(w.grad, alpha=-lr))(),
        lambda w, lr: torch.no_grad()(lambda: w.copy_(w - lr * w.grad))(),
        lambda w, lr: torch.no_grad()(lambda: w.__isub__(lr * w.grad))(),
    ],
)
def test_leaf_updates(spell):
    w = nn.Parameter(torch.tensor([1.0, 2.0]))
    for expected in ([0.5, 1.0], [0.25, 0.5]):
        w.grad = None
        (w * w).sum().backward()
        spell(w, 0.25)
        assert w.tolist() == expected and w.is_leaf and w.requires_grad and isinstance(w, nn.Parameter)


def test_gradients_are_zeroed_in_every_spelling():
    w = torch.ones(2, requires_grad=True)
    for zero in (
        lambda: w.grad.zero_(),
        lambda: w.grad.data.zero_(),
        lambda: setattr(w, "grad", None),
        lambda: w.grad.fill_(0),
    ):
        (w * 3).sum().backward()
        assert w.grad.tolist() == [3, 3]
        zero()


def test_writing_into_a_leaf_with_a_gradient_says_what_to_write_instead():
    w = torch.ones(2, requires_grad=True)
    for write in (lambda: w.add_(1), lambda: w.fill_(0), lambda: w.__setitem__(0, 1), lambda: w.__iadd__(1)):
        with pytest.raises(RuntimeError, match=r"leaf that requires a gradient.*no_grad"):
            write()
    assert w.tolist() == [1, 1]


def test_embeddings_take_pretrained_rows():
    emb = nn.Embedding(4, 2)
    emb.weight.data.copy_(torch.from_numpy(np.arange(8.0).reshape(4, 2)))  # float64 into float32
    emb.weight.data[3].zero_()
    emb.weight.data[1] = torch.ones(2)
    with torch.no_grad():
        emb.weight[0].fill_(5)
    assert emb(torch.LongTensor([[0, 1], [2, 3]])).tolist() == [[[5, 5], [1, 1]], [[4, 5], [0, 0]]]
    assert emb.weight.dtype == torch.float32 and emb.weight.requires_grad


def test_states_are_detached_in_every_spelling():
    net = nn.LSTM(1, 2)
    h, c = net(torch.ones(3, 1, 1))[1]
    for cut in (
        lambda: tuple(s.detach() for s in (h, c)),
        lambda: tuple(s.data for s in (h, c)),
        lambda: tuple(torch.autograd.Variable(s.data) for s in (h, c)),
        lambda: tuple(s.clone().detach_() for s in (h, c)),
        lambda: [s.detach() for s in (h, c)],
    ):
        state = cut()
        assert not any(s.requires_grad for s in state)
        out, _ = net(torch.ones(2, 1, 1), state)
        out.sum().backward()
    assert h.requires_grad


def test_a_plain_tensor_in_place_of_a_weight():
    net = nn.GRU(1, 2)
    raw = net.weight_hh_l0
    del net._parameters["weight_hh_l0"]
    x = torch.ones(3, 1, 1)
    for factor in (1.0, 0.5):
        net.weight_hh_l0 = raw * factor
        raw.grad = None
        net(x)[0].sum().backward()
        assert raw.grad.abs().sum() > 0
    assert "weight_hh_l0" not in net.state_dict() and len(list(net.parameters())) == 3


@pytest.mark.parametrize(
    "change, left, right, expected",
    [
        (operator.iadd, [5, 7], [1, 2], [6, 9]),
        (operator.isub, [5, 7], [1, 2], [4, 5]),
        (operator.imul, [5, 7], [1, 2], [5, 14]),
        (operator.ifloordiv, [5, 7], [1, 2], [5, 3]),
        (operator.imod, [5, 7], [2, 4], [1, 3]),
        (operator.ipow, [5, 7], [1, 2], [5, 49]),
        (operator.iand, [True, True], [True, False], [True, False]),
        (operator.ior, [False, False], [True, False], [True, False]),
        (operator.ixor, [True, True], [True, False], [False, True]),
    ],
)
def test_augmented_assignment_writes_the_memory_that_others_see(change, left, right, expected):
    """A mask of finished sequences, `done |= token == end`, may be held in two places."""
    kept = torch.tensor(left)
    same = kept
    changed = change(kept, torch.tensor(right))
    assert changed is same and same.tolist() == expected
