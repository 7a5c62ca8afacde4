"""Tensor itself: what it is, how it leaves the graph, and how it is copied."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


# --- wrapping


def test_an_array_is_wrapped_and_tensor_copies():
    array = np.array([1.0, 2.0])
    wrapped, copied = tg.Tensor(array), tg.tensor(array)
    array[0] = 5
    assert wrapped.tolist() == [5, 2] and copied.tolist() == [1, 2] and wrapped.dtype == tg.float64


def test_the_older_spellings_make_floats():
    assert tg.Tensor([1, 2]).dtype == tg.float32 and tg.Tensor(2, 3).shape == (2, 3)
    assert tg.Tensor(np.float64(3)).dtype == tg.float64 and tg.Tensor().shape == (0,)
    assert tg.Tensor([1.0], requires_grad=True).requires_grad


def test_a_wrapped_array_is_never_written_with_a_graph():
    array = np.zeros(3)
    y = tg.Tensor(array)
    y[0] = leaf(7.0)[0]
    assert array.tolist() == [0, 0, 0] and y.tolist() == [7, 0, 0]


# --- leaves and results


def test_leaves_and_results():
    x = leaf(1.0, 2.0)
    y = x * 2
    assert x.is_leaf and x.grad_fn is None and y.grad_fn.name == "mul" and not y.is_leaf
    assert (y.shape, y.size(), y.size(0), y.dim(), y.ndim, y.numel(), y.element_size()) == (
        (2,),
        (2,),
        2,
        1,
        1,
        2,
        8,
    )
    assert y.is_floating_point() and not tg.tensor([1]).is_floating_point() and str(y.device) == "cpu"


def test_detach_shares_memory_and_stops_gradients():
    x = leaf(1.0, 2.0)
    y = x * 3
    d = y.detach()
    assert not d.requires_grad and d.is_leaf and np.shares_memory(d.array, y.array)
    (d * y).sum().backward()
    assert x.grad.tolist() == [9, 18]
    d[0] = 100
    assert y.tolist() == [100, 6]


def test_detach_in_place_forgets_the_graph():
    x = leaf(1.0, 2.0)
    y = x * 3
    assert y.detach_() is y and not y.requires_grad and y.is_leaf and y.tolist() == [3, 6]


def test_data_is_the_memory_without_the_graph():
    x = leaf(1.0, 2.0)
    x.data[0] = 5
    x.data.mul_(2)
    assert x.tolist() == [10, 4] and x.requires_grad
    new = tg.tensor([7.0, 8.0, 9.0], dtype=tg.float64)
    x.data = new
    assert x.tolist() == [7, 8, 9] and x.is_leaf and x.requires_grad
    x.data.zero_()
    assert new.tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="data: expected a Tensor, got ndarray"):
        x.data = np.ones(3)


def test_an_array_is_given_away_only_without_a_graph():
    x = leaf(1.0, 2.0)
    for ask in (lambda: x.numpy(), lambda: (x * 2).numpy(), lambda: np.asarray(x)):
        with pytest.raises(RuntimeError, match=r"use t.detach\(\).numpy\(\)"):
            ask()
    array = x.detach().numpy()
    array[0] = 9
    assert x.tolist() == [9, 2] and np.asarray(x.detach(), dtype=np.float32).dtype == np.float32


def test_an_array_that_was_given_away_is_not_written_with_a_graph():
    y = tg.zeros(2, dtype=tg.float64)
    array = y.numpy()
    y[0] = leaf(1.0)[0]
    y[1] = leaf(2.0)[0]
    assert array.tolist() == [0, 0] and y.tolist() == [1, 2]


# --- as numbers


@pytest.mark.parametrize("convert", [float, int, bool])
def test_only_one_number_is_a_number(convert):
    assert convert(tg.tensor([[3.0]])) == convert(3.0)
    with pytest.raises(RuntimeError, match=r"a tensor of shape \(2,\)"):
        convert(tg.tensor([1.0, 2.0]))


def test_only_an_integer_is_an_index():
    assert ["a", "b"][tg.tensor(1)] == "b"
    with pytest.raises(TypeError, match="only an integer tensor can be an index, this one is float32"):
        ["a", "b"][tg.tensor(1.0)]


def test_length_and_iteration():
    x = leaf(1.0, 2.0)
    assert len(x) == 2 and [row.item() for row in x] == [1, 2] and 2.0 in x and tg.tensor(3.0) not in x
    with pytest.raises(TypeError, match=r"len\(\) of a 0-d tensor"):
        len(tg.tensor(1.0))
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(tg.tensor(1.0))


def test_how_it_is_printed():
    x = tg.tensor([1.0, 2.5], requires_grad=True)
    assert repr(x) == "tensor([1. , 2.5], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 5.], grad_fn=<mul>)"
    assert repr(tg.tensor([1.0], dtype=tg.float64)) == "tensor([1.], dtype=float64)"
    assert repr(tg.tensor([1, 2])) == "tensor([1, 2])" and "dtype=float32" in repr(tg.zeros(0))
    assert f"{tg.tensor(3.14159):.2f}" == "3.14" and f"{x}" == repr(x) and f"{tg.tensor(2):>4}" == "   2"
    assert "..." in repr(tg.zeros(2000))


def test_tensors_are_hashed_by_identity():
    x, y = tg.tensor(1.0), tg.tensor(1.0)
    assert len({x, y, x}) == 2 and {x: "x"}[x] == "x"


# --- copies


def test_a_deep_copy_shares_nothing():
    x = leaf(1.0, 2.0)
    x.grad = tg.ones(2, dtype=tg.float64)
    x.register_hook(lambda g: g * 100)
    twin = copy.deepcopy(x)
    assert twin.requires_grad and twin.is_leaf and twin.grad.tolist() == [1, 1]
    (twin * 3).sum().backward()
    assert twin.grad.tolist() == [4, 4] and x.grad.tolist() == [1, 1]  # and hooks stay behind
    with tg.no_grad():
        twin.zero_()
    assert x.tolist() == [1, 2]


def test_a_deep_copy_keeps_one_tensor_one():
    x = tg.tensor([1.0])
    a, b, view = copy.deepcopy([x, x, x[:]])
    a[0] = 5
    assert a is b and view.tolist() == [1]


def test_tensors_that_were_pickled_share_no_memory():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    twin, whole, view = pickle.loads(pickle.dumps([x, x.detach(), x.detach()[1:]]))
    assert twin.requires_grad and twin.is_leaf and twin.tolist() == [1, 2]
    whole.add_(twin)
    whole.sum().backward()
    assert whole.tolist() == [2, 4] and view.tolist() == [2] and twin.tolist() == x.tolist() == [1, 2]
    assert twin.grad.tolist() == [1, 1] and x.grad is None


def test_a_tensor_with_a_graph_cannot_be_copied_deeply():
    with pytest.raises(RuntimeError, match=r"deepcopy: .* use detach\(\) or clone\(\)"):
        copy.deepcopy(leaf(1.0) * 2)


def test_a_deep_copy_of_a_layer_learns_by_itself():
    layer = nn.LSTM(2, 3, num_layers=2)
    twin = copy.deepcopy(layer)
    xs = tg.randn(4, 1, 2)
    assert tg.equal(layer(xs)[0], twin(xs)[0])
    twin(xs)[0].sum().backward()
    assert all(p.grad is None for p in layer.parameters())
    with tg.no_grad():
        for p in twin.parameters():
            p -= p.grad
    assert not tg.equal(layer(xs)[0], twin(xs)[0])
    assert all(isinstance(p, nn.Parameter) for p in twin.parameters())


def test_a_clone_is_in_the_graph():
    x = leaf(1.0, 2.0)
    y = x.clone()
    y[0] = 5
    (y * 2).sum().backward()
    assert x.grad.tolist() == [0, 2] and x.tolist() == [1, 2]
