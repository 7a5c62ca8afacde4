"""utils.data against PyTorch's: the same batches, structures and lengths of all that is not random."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.utils import data as ours

torch = pytest.importorskip("torch")
theirs = torch.utils.data


class Pair(NamedTuple):
    x: Any
    y: Any


def plain(batch: Any) -> Any:
    """A batch of either library as Python and NumPy objects."""
    if isinstance(batch, (Tensor, torch.Tensor)):
        array = np.asarray(batch.tolist(), str(batch.dtype).removeprefix("torch."))
        return (str(array.dtype), array.shape, array.tolist())
    if isinstance(batch, dict):
        return (type(batch), [(key, plain(value)) for key, value in batch.items()])
    if isinstance(batch, (list, tuple)):
        return (type(batch), [plain(entry) for entry in batch])
    return batch


array = np.arange(6, dtype=np.float32).reshape(2, 3)
SAMPLES: list[list[Any]] = [
    [1, 2],
    [1.5, 2],
    [True, False],
    [True, 2],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.int8(1), np.int8(2)],
    [array, array + 1],
    [np.array(1.5), np.array(2.5)],
    [("a", 1, array), ("b", 2, array)],
    [["a", 1], ["b", 2]],
    [Pair(1, "a"), Pair(2, "b")],
    [{"x": 1, "y": ("a", {"z": 2.5})}, {"x": 3, "y": ("b", {"z": 4.5})}],
    [OrderedDict(b=1, a=[2])] * 3,
    [[], []],
    [(), ()],
    [{}, {}],
    [range(3), range(3)],
]


@pytest.mark.parametrize("samples", SAMPLES, ids=str)
def test_collation(samples: list[Any]) -> None:
    assert plain(ours.default_collate(samples)) == plain(theirs.default_collate(samples))


@pytest.mark.parametrize("samples", SAMPLES, ids=str)
def test_conversion(samples: list[Any]) -> None:
    assert plain(ours.default_convert(samples)) == plain(theirs.default_convert(samples))


@given(
    n=st.integers(0, 30),
    batch_size=st.none() | st.integers(1, 8),
    drop_last=st.booleans(),
    iterable=st.booleans(),
    how=st.sampled_from(["order", "sampler", "batch_sampler"]),
)
def test_batches_and_their_number(n: int, batch_size: Any, drop_last: bool, iterable: bool, how: str) -> None:
    outcomes = []
    for library in (ours, theirs):

        class Numbers(library.IterableDataset):  # type: ignore[misc, name-defined]
            def __iter__(self) -> Any:
                return iter(range(n))

            def __len__(self) -> int:
                return n

        arguments: dict[str, Any] = {"batch_size": batch_size, "drop_last": drop_last}
        if how == "sampler":
            arguments["sampler"] = list(range(n))[::-1]
        elif how == "batch_sampler":
            arguments["batch_sampler"] = [[0] * 3, [], list(range(n))]
        try:
            loader = library.DataLoader(Numbers() if iterable else range(n), collate_fn=list_of, **arguments)
            outcomes.append((list(loader), len(loader)))
        except (ValueError, IndexError) as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


def list_of(batch: Any) -> Any:
    return list(batch) if isinstance(batch, list) else batch


@given(n=st.integers(0, 200), shares=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any))
@pytest.mark.filterwarnings("ignore")
def test_split_sizes(n: int, shares: list[int]) -> None:
    fractions = [k / sum(shares) for k in shares]
    if sum(fractions) > 1:  # rounded up; PyTorch takes these for counts and refuses them
        return
    sizes = [
        [len(part) for part in library.random_split(range(n), fractions)]  # type: ignore[attr-defined]
        for library in (ours, theirs)
    ]
    assert sizes[0] == sizes[1]


def test_what_both_refuse() -> None:
    for library in (ours, theirs):
        for make in (
            lambda d: d.DataLoader([1], sampler=[0], shuffle=True),
            lambda d: d.DataLoader([1], batch_size=None, drop_last=True),
            lambda d: d.DataLoader([1], batch_sampler=[[0]], batch_size=3),
            lambda d: d.DataLoader([], shuffle=True),
            lambda d: d.RandomSampler([1], num_samples=0),
            lambda d: d.BatchSampler([1], 0, False),
            lambda d: d.WeightedRandomSampler([[1.0]], 1),
            lambda d: d.random_split([1, 2, 3], [1, 1]),
            lambda d: setattr(d.DataLoader([1]), "batch_size", 3),
        ):
            with pytest.raises(ValueError):
                make(library)


def test_lazy_passes_ask_their_sampler_for_the_same_number_of_indices() -> None:
    asked = []
    for library in (ours, theirs):
        taken = []

        def endless(taken: list[int] = taken) -> Any:
            while True:
                taken.append(len(taken))
                yield taken[-1] % 3

        loader = iter(library.DataLoader(range(3), batch_size=2, sampler=endless()))  # type: ignore[attr-defined]
        assert [next(loader).tolist() for _ in range(2)] == [[0, 1], [2, 0]]
        asked.append(len(taken))
    assert asked[0] == asked[1] == 4
