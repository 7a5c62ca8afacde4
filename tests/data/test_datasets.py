"""Datasets: every sample is reachable, once, under the index that says where it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.random import Generator, manual_seed
from tinygrad_rnn.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Letters(Dataset[str]):
    def __init__(self, text: str) -> None:
        self.text = text

    def __getitem__(self, index: int) -> str:
        return self.text[index]

    def __len__(self) -> int:
        return len(self.text)


class Stream(IterableDataset[int]):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.n))

    def __len__(self) -> int:
        return self.n


def test_a_tensor_datasets_sample_is_one_row_of_each_tensor() -> None:
    x, y = Tensor(np.arange(6.0).reshape(3, 2)), Tensor(np.array([7, 8, 9]))
    data = TensorDataset(x, y)
    assert len(data) == 3
    assert [(a.tolist(), b.item()) for a, b in data] == [([0, 1], 7), ([2, 3], 8), ([4, 5], 9)]
    assert data[-1][1].item() == 9
    assert data[0:2][1].tolist() == [7, 8]


@given(st.lists(st.text(max_size=5), min_size=1, max_size=5))
def test_a_concatenation_is_indexed_like_the_joined_text(texts: list[str]) -> None:
    data, joined = ConcatDataset([Letters(t) for t in texts]), "".join(texts)
    assert len(data) == len(joined)
    for i in range(-len(joined), len(joined)):
        assert data[i] == joined[i]
    for i in (len(joined), -len(joined) - 1):
        with pytest.raises(IndexError, match=f"index {i} is out of range for {len(joined)} samples"):
            data[i]
    assert list(data) == list(joined)


def test_adding_datasets_puts_one_after_the_other() -> None:
    assert list(Letters("ab") + Letters("c")) == ["a", "b", "c"]  # type: ignore[call-overload]
    chained = Stream(2) + Stream(3)
    assert isinstance(chained, ChainDataset)
    assert list(chained) == [0, 1, 0, 1, 2]
    assert len(chained) == 5


@given(st.text(min_size=1), st.data())
def test_a_subset_of_a_subset_is_a_subset(text: str, data: st.DataObject) -> None:
    places = st.lists(st.integers(0, len(text) - 1), min_size=1)
    outer = data.draw(places)
    inner = data.draw(st.lists(st.integers(0, len(outer) - 1)))
    subset = Subset(Subset(Letters(text), outer), inner)
    expected = [text[outer[i]] for i in inner]
    assert list(subset) == subset.__getitems__(list(range(len(inner)))) == expected  # type: ignore[call-overload]
    assert len(subset) == len(inner)


def test_a_list_of_indices_is_passed_on_by_a_subset() -> None:
    data = TensorDataset(Tensor(np.arange(10, 20)))
    assert Subset(data, [5, 1, 7])[[2, 0]][0].tolist() == [17, 15]


@given(lengths=st.lists(st.integers(0, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_a_split_is_a_partition(lengths: list[int], seed: int) -> None:
    assume(sum(lengths) != 1)  # then they are fractions
    n = sum(lengths)
    parts = random_split(range(n), lengths, Generator().manual_seed(seed))  # type: ignore[arg-type]
    assert [len(part) for part in parts] == lengths
    assert sorted(i for part in parts for i in part) == list(range(n))  # type: ignore[attr-defined]


@given(n=st.integers(0, 1000), shares=st.lists(st.integers(1, 20), min_size=1, max_size=6))
@pytest.mark.filterwarnings("ignore:random_split")
def test_fractions_are_rounded_down_and_the_rest_dealt_out_from_the_first(n: int, shares: list[int]) -> None:
    fractions = [k / sum(shares) for k in shares]
    parts = random_split(range(n), fractions)  # type: ignore[arg-type]
    floors = [int(np.floor(n * f)) for f in fractions]
    rest = n - sum(floors)
    assert [len(part) for part in parts] == [k + (i < rest) for i, k in enumerate(floors)]
    assert sorted(i for part in parts for i in part) == list(range(n))  # type: ignore[attr-defined]


def test_a_split_is_fixed_by_its_generator_or_the_default_one() -> None:
    def split(generator: Generator | None) -> list[Any]:
        return [part.indices for part in random_split(range(30), [20, 10], generator)]  # type: ignore[arg-type]

    assert split(Generator().manual_seed(5)) == split(Generator().manual_seed(5)) != split(Generator())
    manual_seed(5)
    assert split(None) == split(Generator().manual_seed(5)) != split(None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random_split(range(10), [5, 6]), r"add up to the dataset's 10.* got \[5, 6\]"),
        (lambda: random_split(range(10), [12, -2]), "add up"),
        (lambda: random_split(range(10), [5.0, 5.0]), "add up"),
        (lambda: random_split(range(10), [0.5, 0.6]), "fractions"),
        (lambda: random_split(range(10), [1.5, -0.5]), "between 0 and 1"),
        (lambda: random_split(range(10), [5, 5], generator=0), "generator"),
        (lambda: TensorDataset(Tensor(np.zeros((2, 1))), Tensor(np.zeros(3))), r"\[\(2, 1\), \(3,\)\]"),
        (lambda: TensorDataset(Tensor(np.zeros(()))), "first size"),
        (lambda: TensorDataset(), "first size"),
        (lambda: ConcatDataset([]), "datasets is empty"),
        (lambda: ConcatDataset([Stream(2)]), "use ChainDataset"),
        (lambda: ChainDataset([Letters("a")]), "only IterableDatasets can be chained, got Letters"),
    ],
)
def test_bad_arguments_are_explained(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_an_empty_part_is_announced() -> None:
    with pytest.warns(UserWarning, match=r"subset 1 is empty \(0\.1 of 3 samples\)"):
        random_split(range(3), [0.9, 0.1])  # type: ignore[arg-type]


def test_datasets_say_what_a_subclass_must_define() -> None:
    with pytest.raises(NotImplementedError, match="must define __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="must define __iter__"):
        iter(IterableDataset())
