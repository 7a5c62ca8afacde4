"""What is counted, put in order or laid out: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg


def test_median_along_a_dimension():
    x = tg.tensor([[5.0, 1.0, 3.0, 4.0], [np.nan, 0.0, 2.0, 1.0]])
    values, indices = x.median(1)
    assert values[0] == 3 and np.isnan(values[1].item()) and indices.tolist() == [2, 0]
    assert x[:1].median(0, keepdim=True).values.tolist() == [[5, 1, 3, 4]]
    assert tg.median(tg.tensor([3, 1, 2])).item() == 2 and tg.median(tg.tensor(7.0), -1).values == 7
    with pytest.raises(IndexError, match="nothing to choose from"):
        tg.zeros(0, 2).median(0)


def test_unique_gives_values_places_and_counts():
    x = tg.tensor([[3, 1], [1, 2]])
    values, places, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and counts.tolist() == [2, 1, 1]
    assert values[places].equal(x)
    rows, places, counts = tg.unique(tg.tensor([[3, 1], [1, 2], [3, 1]]), True, True, True, dim=0)
    assert rows.tolist() == [[1, 2], [3, 1]] and places.tolist() == [1, 0, 1] and counts.tolist() == [1, 2]
    assert tg.tensor([np.nan, 1, np.nan]).unique().shape == (3,)  # no missing number is like another
    assert tg.tensor([True, True]).unique().tolist() == [True]


def test_bincount_counts_or_adds_weights():
    words = tg.tensor([2, 0, 2, 5])
    assert words.bincount().tolist() == [1, 0, 2, 0, 0, 1] and words.bincount(minlength=8).shape == (8,)
    weights = tg.tensor([0.5, 1.0, 2.0, 4.0], requires_grad=True)
    sums = words.bincount(weights)
    assert sums.tolist() == [1, 0, 2.5, 0, 0, 4] and sums.dtype == tg.float32
    (sums * sums).sum().backward()
    assert weights.grad.tolist() == [5, 2, 5, 8]
    assert words.bincount(words).dtype == tg.float64
    assert tg.bincount(words[:0], minlength=2).tolist() == [0, 0]


@pytest.mark.parametrize(
    "numbers, weights, message",
    [
        ([0.0], None, "integers from 0 up"),
        ([-1], None, "integers from 0 up"),
        ([[1]], None, "1-D"),
        ([1, 2], [1.0], r"input \(2,\) and weights \(1,\)"),
    ],
)
def test_what_bincount_cannot_count(numbers, weights, message):
    with pytest.raises(RuntimeError, match=f"bincount: .*{message}"):
        tg.tensor(numbers).bincount(None if weights is None else tg.tensor(weights))


def test_meshgrid_gives_the_coordinates_of_a_grid():
    x, y = tg.arange(2), tg.arange(3) * 10
    rows, columns = tg.meshgrid(x, y)
    assert (rows + columns).tolist() == [[0, 10, 20], [1, 11, 21]]
    across, down = tg.meshgrid([x, y], indexing="xy")
    assert (across + down).tolist() == [[0, 1], [10, 11], [20, 21]]
    assert [g.shape for g in tg.meshgrid(x, tg.tensor(1), y[:0], indexing="xy")] == [(1, 2, 0)] * 3
    for tensors, indexing in (([tg.ones(2, 2)], "ij"), ([], "ij"), ([x], "yx")):
        with pytest.raises(RuntimeError, match="meshgrid"):
            tg.meshgrid(*tensors, indexing=indexing)


def test_is_contiguous_tells_how_the_memory_lies():
    x = tg.zeros(2, 3)
    assert x.is_contiguous() and x[1].is_contiguous() and x[:1].t().is_contiguous()
    assert not x.t().is_contiguous() and not x[:, 0].is_contiguous() and not x[0].expand(2, 3).is_contiguous()
    assert x.t().contiguous().is_contiguous()
