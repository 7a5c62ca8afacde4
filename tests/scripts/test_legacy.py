"""The spellings of older tutorials mean what they meant."""

import numpy as np
import pytest

import tinygrad_rnn as torch
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Variable
from tinygrad_rnn.compat.legacy import BY_NAME, set_default_tensor_type

KINDS = pytest.mark.parametrize(
    "kind, dtype",
    [
        (torch.FloatTensor, "float32"),
        (torch.DoubleTensor, "float64"),
        (torch.HalfTensor, "float16"),
        (torch.LongTensor, "int64"),
        (torch.IntTensor, "int32"),
        (torch.ShortTensor, "int16"),
        (torch.CharTensor, "int8"),
        (torch.ByteTensor, "uint8"),
        (torch.BoolTensor, "bool"),
    ],
)


@KINDS
def test_constructors_take_sizes_or_data(kind, dtype):
    for made, values in [
        (kind(2, 3), np.zeros((2, 3))),
        (kind(np.int64(2)), np.zeros(2)),
        (kind(), np.zeros(0)),
        (kind([[0, 1], [1, 0]]), [[0, 1], [1, 0]]),
        (kind((1, 0)), [1, 0]),
        (kind(range(2)), [0, 1]),
        (kind(np.array([1.0, 0.0])), [1, 0]),
        (kind([torch.tensor(1), torch.tensor(0)]), [1, 0]),
        (kind(torch.ones(2, 3).size()), np.zeros((2, 3))),
        (kind(torch.tensor(1.0).size()), 0),
    ]:
        assert made.dtype == dtype and type(made) is torch.Tensor
        np.testing.assert_array_equal(made.numpy(), np.array(values, dtype), strict=True)
    assert isinstance(kind(1), kind) and kind(1).type() == f"torch.{kind.__name__}"
    assert BY_NAME[f"torch.{kind.__name__}"] is kind


def test_a_type_is_asked_of_the_numbers():
    x = torch.zeros(2)
    assert isinstance(x, torch.FloatTensor) and not isinstance(x, torch.LongTensor)
    assert not isinstance(np.zeros(2, np.float32), torch.FloatTensor)
    assert torch.is_tensor(x) and not torch.is_tensor([0.0])


def test_data_of_the_same_type_is_not_copied():
    x = torch.zeros(2)
    torch.FloatTensor(x)[0] = 5
    array = np.zeros(2, np.float32)
    torch.FloatTensor(array)[1] = 7
    assert x.tolist() == [5, 0] and array.tolist() == [0, 7]


@pytest.mark.parametrize(
    "data, message",
    [
        ((2.5,), "LongTensor: expected sizes, or one sequence"),
        ((2, [1]), "LongTensor: expected sizes, or one sequence"),
        ((torch.zeros(2),), r"LongTensor: the tensor holds float32; use t\.to\(int64\)"),
        (("ab",), "LongTensor: invalid literal"),
        (([[1, 2], [3]],), "LongTensor: .*inhomogeneous"),
    ],
)
def test_what_is_no_data_is_refused(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        torch.LongTensor(*data)


def test_type_converts():
    x = torch.tensor([1.7, -1.7])
    for wanted in (torch.LongTensor, "torch.LongTensor", torch.int64, torch.long):
        assert x.type(wanted).dtype == torch.int64 and x.type(wanted).tolist() == [1, -1]
    w = torch.ones(2, requires_grad=True)
    w.type(torch.DoubleTensor).sum().backward()
    assert w.grad.dtype == torch.float32 and w.grad.tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match=r"torch\.cuda\.FloatTensor"):
        x.type("torch.cuda.FloatTensor")


def test_new_keeps_the_type():
    x = torch.zeros(2, dtype=torch.float64)
    assert x.new(2, 3).shape == (2, 3) and x.new(2, 3).dtype == torch.float64
    assert x.new([1, 2]).tolist() == [1, 2] and x.new(x.size()).shape == (2,)


def test_variable_is_the_tensor_without_its_graph():
    w = torch.ones(2, requires_grad=True)
    v = Variable(w * 2)
    assert v.is_leaf and not v.requires_grad and isinstance(w, Variable) and isinstance(v, torch.Tensor)
    x = torch.ones(2)
    v = torch.autograd.Variable(x, requires_grad=True)
    (v * v).sum().backward()
    v.data[0] = 3
    assert v.grad.tolist() == [2, 2] and x.tolist() == [3, 1] and not x.requires_grad


def test_volatile_and_what_is_no_tensor_are_refused():
    with pytest.raises(NotImplementedError, match=r"volatile=True is no more; .* no_grad"):
        Variable(torch.ones(2), volatile=True)
    assert not Variable(torch.ones(2), volatile=False).requires_grad
    with pytest.raises(TypeError, match="Variable: expected a tensor, got list"):
        Variable([1.0])
    with pytest.raises(RuntimeError, match="only float tensors have gradients"):
        Variable(torch.LongTensor([1]), requires_grad=True)


def test_default_tensor_type():
    try:
        set_default_tensor_type("torch.DoubleTensor")
        assert torch.zeros(1).dtype == torch.float64
        set_default_tensor_type(torch.FloatTensor)
        assert torch.zeros(1).dtype == torch.float32
        with pytest.raises(TypeError, match="int64 is not a float dtype"):
            set_default_tensor_type(torch.LongTensor)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_byte_tensor_selects():
    x = torch.arange(6).view(2, 3)
    assert x[torch.ByteTensor([0, 1])].tolist() == [[3, 4, 5]]
    assert x[:, torch.ByteTensor([1, 0, 1])].tolist() == [[0, 2], [3, 5]]
    x[torch.ByteTensor([[1, 0, 0], [0, 0, 1]])] = 9
    assert x.tolist() == [[9, 1, 2], [3, 4, 9]]


def test_initializers_without_underscore():
    for name in "constant eye normal orthogonal sparse uniform".split():
        assert getattr(nn.init, name) is getattr(nn.init, name + "_")
    for name in ("kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"):
        assert getattr(nn.init, name) is getattr(nn.init, name + "_")
    assert nn.utils.clip_grad_norm is nn.utils.clip_grad_norm_


def test_losses_by_size_average_and_reduce():
    x, y = torch.FloatTensor([1, 3]), torch.zeros(2)
    assert nn.MSELoss(size_average=False)(x, y).item() == 10
    assert nn.MSELoss(size_average=True)(x, y).item() == 5
    assert nn.MSELoss(reduce=False)(x, y).tolist() == [1, 9]


def test_a_factor_may_come_before_the_tensor_in_place():
    x, y, z = torch.zeros(2), torch.tensor([1.0, 2.0]), torch.tensor([4.0, 8.0])
    assert x.add_(-0.5, y).tolist() == [-0.5, -1]
    assert x.sub_(2, y).tolist() == [-2.5, -5]
    assert x.addcmul_(0.5, y, z).tolist() == [-0.5, 3]
    assert x.addcdiv_(-4, y, z).tolist() == [-1.5, 2]
    assert x.add_(y, alpha=2).tolist() == [0.5, 6] and x.addcdiv_(y, z, value=4).tolist() == [1.5, 7]
    with pytest.raises(TypeError, match="add"):
        x.add_(y, 1, 2)
