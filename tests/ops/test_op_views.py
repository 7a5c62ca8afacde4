"""Views share memory, and operations in place write into it; with a gradient they change who holds what."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg

VIEWS = {
    "x[1]": np.s_[1],
    "x[:, 1:]": np.s_[:, 1:],
    "x[0, 1]": np.s_[0, 1],
    "x[..., 2]": np.s_[..., 2],
    "x[None, 0]": np.s_[None, 0],
}


@pytest.mark.parametrize("index", VIEWS.values(), ids=VIEWS)
def test_a_basic_index_is_a_view(index):
    x = tg.zeros(2, 3, 4)
    view = x[index]
    view.fill_(7)
    expected = np.zeros((2, 3, 4))
    expected[index] = 7
    np.testing.assert_array_equal(x.numpy(), expected)
    x.zero_()
    assert not view.any()


ARRANGED = {
    "reshape": lambda x: x.reshape(6, 4),
    "view": lambda x: x.view(-1),
    "transpose": lambda x: x.transpose(0, 2),
    "permute": lambda x: x.permute(2, 0, 1),
    "T": lambda x: x[0].T,
    "squeeze": lambda x: x[:1].squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "select": lambda x: x.select(2, -1),
    "split": lambda x: x.split(2, 2)[1],
    "chunk": lambda x: x.chunk(2, -1)[0],
    "unbind": lambda x: x.unbind(1)[2],
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "a view of a view": lambda x: x[1][2],
    "contiguous": lambda x: x.contiguous(),
}


@pytest.mark.parametrize("arrange", ARRANGED.values(), ids=ARRANGED)
def test_a_rearranged_tensor_is_a_view(arrange):
    x = tg.zeros(2, 3, 4)
    view = arrange(x)
    view += 1
    assert x.sum().item() == view.numel() and view.min().item() == 1


COPIES = {
    "clone": lambda x: x.clone(),
    "an index of numbers": lambda x: x[[0, 1]],
    "a mask": lambda x: x[x == 0],
    "cat": lambda x: tg.cat([x]),
    "repeat": lambda x: x.repeat(1, 1, 1),
    "arithmetic": lambda x: x + 0,
    "to": lambda x: x.to(tg.float32, copy=True),
    "tensor": lambda x: tg.tensor(x),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_copy_is_not_a_view(copy):
    x = tg.zeros(2, 3, 4)
    copy(x).fill_(1)
    assert not x.any()


def test_in_place_operations_write_into_the_memory():
    array = np.array([1.0, 4.0, 9.0])
    x = tg.from_numpy(array)
    assert x.sqrt_() is x
    x.add_(1).mul_(2).sub_(tg.tensor([1.0, 1.0, 1.0]), alpha=3)
    np.testing.assert_array_equal(array, [1, 3, 5])
    x -= 1
    x *= x
    x /= 2
    x **= 2
    np.testing.assert_array_equal(array, [0, 4, 64])
    x.clamp_(max=5).masked_fill_(x > 4, -1).copy_(x.flip(0))
    np.testing.assert_array_equal(array, [-1, 4, 0])


def test_numbers_are_written_in_the_dtype_of_the_tensor():
    x = tg.zeros(3, dtype=tg.float64)
    x[0], x[1] = 0.1, np.float32(0.5)
    x[2:].fill_(0.7)
    assert x.tolist() == [0.1, 0.5, 0.7]
    assert x.masked_fill(x > 0.6, 0.3).tolist() == [0.1, 0.5, 0.3]
    whole = tg.zeros(1, dtype=tg.int64)
    whole[0] = 2.9
    assert whole.tolist() == [2]


def test_shape_in_place():
    x = tg.arange(6.0).reshape(1, 2, 3)
    y = x
    x.squeeze_(0).t_().unsqueeze_(1).transpose_(0, 1)
    assert y is x and x.shape == (1, 3, 2)
    x[0, 0, 1] = 9
    assert x.tolist() == [[[0, 9], [1, 4], [2, 5]]]


# --- with a gradient


def test_earlier_uses_keep_the_old_values():
    x = tg.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    square = y * y
    y[0] = 10.0
    y.mul_(2)
    (square.sum() + y.sum()).backward()
    assert (square.tolist(), y.tolist()) == ([4, 9], [20, 6])
    assert x.grad.tolist() == [4, 6 + 2]


def test_a_kept_value_that_is_overwritten_without_a_graph_is_an_error():
    x = tg.tensor([2.0, 3.0], requires_grad=True)
    y = x * 1
    square = y * y
    with tg.no_grad():
        y.zero_()
    with pytest.raises(RuntimeError, match="mul needs for its gradient was overwritten"):
        square.sum().backward()


def test_a_leaf_may_be_written_only_without_a_graph():
    x = tg.ones(2, requires_grad=True)
    for change in (lambda: x.add_(1), lambda: x.__setitem__(0, 1), lambda: x[0].add_(1), lambda: x.zero_()):
        with pytest.raises(RuntimeError, match="leaf that requires a gradient"):
            change()
    with tg.no_grad():
        x -= 0.5
        x[0] = 3
    x.data.mul_(2)
    assert x.tolist() == [6, 1] and x.requires_grad and x.is_leaf


def test_a_detached_view_shares_its_values_but_no_gradient():
    x = tg.ones(3, requires_grad=True)
    y = x * 1
    detached = y.detach()
    detached.add_(x * 2)
    assert detached.tolist() == y.tolist() == [3, 3, 3]
    (detached.sum() + 10 * y.sum()).backward()
    assert x.grad.tolist() == [2 + 10] * 3
    assert y.grad_fn.name == "mul" and detached.grad_fn.name == "add"


def test_where_a_gradient_cannot_pass_is_an_error():
    x = tg.ones(3, requires_grad=True)
    y = x * 1
    with tg.no_grad():
        unrecorded = y[:2]
    with pytest.raises(RuntimeError, match="made under no_grad cannot pass a gradient"):
        unrecorded[0] = x[0]
    with pytest.raises(RuntimeError, match="made under no_grad"):
        unrecorded[:1].mul_(x[0])
    with pytest.raises(RuntimeError, match=r"several times; change a clone\(\)"):
        tg.zeros(1).expand(3).add_(x)
    records = np.zeros(2, [("a", "f8"), ("b", "f4")])
    field = tg.Tensor(records["a"])
    part = field[1:]
    with pytest.raises(RuntimeError, match=r"no whole steps apart in memory; change a clone\(\)"):
        part += x[0]
    assert part.tolist() == [0] and unrecorded.tolist() == [1, 1] == y[:2].tolist()
