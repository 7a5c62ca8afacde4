"""A tensor where Python wants a number, a sequence or a string."""

# ruff: noqa: UP031, UP032  (the older ways of formatting are what is tested)

import math

import numpy as np
import pytest

import tinygrad_rnn as torch


@pytest.mark.parametrize(
    "text, expected",
    [
        (lambda t: f"{t(1.23456):.4f}", "1.2346"),
        (lambda t: f"{t(7):03d}", "007"),
        (lambda t: f"{t(0.25):.1%}", "25.0%"),
        (lambda t: f"{t(2.5)} {t(3)}", "2.5 3"),
        (lambda t: f"{t(2.5):>6}", "   2.5"),
        (lambda t: "%.3f" % t(1.5), "1.500"),
        (lambda t: "%.3f" % t([1.5]), "1.500"),
        (lambda t: "%d" % t(7), "7"),
        (lambda t: "{:.2f} {:5d}".format(t(1.5), t(7)), "1.50     7"),
        (lambda t: f"{t([1, 2])}", "tensor([1, 2])"),
        (lambda t: "%s" % t(7), "tensor(7)"),
        (lambda t: "abc"[t(1)] + "abc"[t([-1])], "bc"),
    ],
)
def test_in_text(text, expected):
    assert text(torch.tensor) == expected


def test_a_loss_with_a_graph_can_be_printed():
    loss = (torch.ones(3, requires_grad=True) * 2).sum()
    assert f"{loss:.4f}" == "6.0000" and "%.4f" % loss == "6.0000" and f"{loss}" == "6.0"
    assert loss.item() == 6 and loss.tolist() == 6 and float(loss) == 6


def test_as_python_numbers():
    assert int(torch.tensor(3.7)) == 3 and float(torch.tensor([2.5])) == 2.5
    assert math.exp(torch.tensor(0.0)) == 1 and math.sqrt(torch.tensor([4.0])) == 2
    assert [10, 20, 30][torch.tensor(2)] == 30 and list(range(torch.tensor(3))) == [0, 1, 2]
    assert np.zeros(torch.tensor(2)).shape == (2,) and round(torch.tensor(2.567).item(), 2) == 2.57
    assert bool(torch.tensor([2])) and not torch.tensor(0.0)
    assert sum([torch.tensor(1.0), torch.tensor(2.0)]).item() == 3
    assert max(torch.tensor([1, 3, 2])).item() == 3 and max(torch.tensor(2.0), 1.0).item() == 2
    assert isinstance(torch.tensor(3).item(), int) and isinstance(torch.tensor(True).item(), bool)


@pytest.mark.parametrize(
    "convert, message",
    [
        (lambda: bool(torch.tensor([1, 2])), "neither true nor false"),
        (lambda: float(torch.zeros(2)), "is not one number"),
        (lambda: torch.zeros(2, 2).item(), "is not one number"),
        (lambda: [1, 2][torch.tensor(1.0)], "only an integer tensor can be an index"),
        (lambda: len(torch.tensor(1)), "0-d"),
        (lambda: list(torch.tensor(1)), "0-d"),
    ],
)
def test_what_is_no_number_or_no_sequence_says_so(convert, message):
    with pytest.raises((RuntimeError, TypeError), match=message):
        convert()


def test_as_a_sequence():
    x = torch.arange(6).view(2, 3)
    assert len(x) == 2 and [row.tolist() for row in x] == [[0, 1, 2], [3, 4, 5]]
    _, second = x
    assert second[-1].item() == 5 and 4 in x and 9 not in x
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]] and sorted(x[1].tolist(), reverse=True) == [5, 4, 3]


def test_sizes():
    x = torch.zeros(2, 3)
    assert x.size() == (2, 3) and x.size(-1) == x.size(dim=1) == x.shape[1] == x.size()[1] == 3
    assert x.size() + (1,) == (2, 3, 1) and list(x.size()) == [2, 3] and x.size().numel() == 6
    assert x.dim() == x.ndimension() == x.ndim == 2
    assert x.numel() == x.nelement() == torch.numel(x) == 6
    for made in (torch.zeros(x.size()), torch.Tensor(x.size()), x.new_zeros(x.size()), x.new(x.size())):
        assert made.shape == (2, 3)
    assert torch.Tensor((2, 3)).tolist() == [2, 3] and torch.Tensor().shape == (0,)


def test_conversions():
    x = torch.tensor([1.7, -1.7, 0.0])
    assert x.long().tolist() == x.int().tolist() == x.short().tolist() == [1, -1, 0]
    assert x.bool().tolist() == [True, True, False]
    assert (x > 0).float().mean().item() == pytest.approx(1 / 3)
    names = "float double half long int short char byte bool".split()
    dtypes = "float32 float64 float16 int64 int32 int16 int8 uint8 bool".split()
    assert [str(getattr(torch.ones(1), name)().dtype) for name in names] == dtypes
    correct = (torch.tensor([1, 2, 2]) == torch.tensor([1, 2, 3])).sum().item()
    assert correct == 2 and isinstance(correct, int)


def test_numbers_of_numpy_mix():
    x = torch.ones(2)
    for y in (x * np.float64(2), np.float64(2) * x, x + np.ones(2, np.float32), x / np.float32(0.5)):
        assert isinstance(y, torch.Tensor) and y.dtype == torch.float32 and y.tolist() == [2, 2]
    assert torch.tensor([np.float64(1)]).dtype == torch.float64
    assert torch.tensor(np.int32(2)).dtype == torch.int32
    assert torch.arange(3)[np.int64(1)].item() == 1 and torch.arange(3)[np.array([0, 2])].tolist() == [0, 2]
    assert np.asarray(x).tolist() == [1, 1] and np.mean(x.numpy()) == 1
