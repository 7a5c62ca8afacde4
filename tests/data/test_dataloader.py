"""DataLoader: every sample of a pass in one batch, in the sampler's order, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.random import Generator, manual_seed
from tinygrad_rnn.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    Subset,
    TensorDataset,
    default_collate,
    get_worker_info,
)


class Counting(IterableDataset[int]):
    """The numbers from 0, perhaps without end; says how many were taken."""

    def __init__(self, n: int | None = None) -> None:
        self.n, self.taken = n, 0

    def __iter__(self) -> Iterator[int]:
        for i in count() if self.n is None else range(self.n):
            self.taken = i + 1
            yield i

    def __len__(self) -> int:
        if self.n is None:
            raise TypeError("endless")
        return self.n


def values(loader: DataLoader[Any]) -> list[Any]:
    return [batch.tolist() for batch in loader]


@given(
    n=st.integers(1, 40),
    batch_size=st.integers(1, 15),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    iterable=st.booleans(),
)
def test_a_pass_is_a_partition_into_batches(
    n: int, batch_size: int, shuffle: bool, drop_last: bool, iterable: bool
) -> None:
    data: Any = Counting(n) if iterable else range(n)
    loader = DataLoader(data, batch_size, shuffle and not iterable, drop_last=drop_last)
    batches = values(loader)
    assert len(batches) == len(loader)
    assert all(len(batch) == batch_size for batch in batches[: n // batch_size])
    seen = [i for batch in batches for i in batch]
    kept = n - n % batch_size if drop_last else n
    assert len(seen) == len(set(seen)) == kept
    if not shuffle or iterable:
        assert seen == list(range(kept))


def test_rows_stay_together_when_shuffled() -> None:
    x = np.arange(20.0).reshape(10, 2)
    loader = DataLoader(TensorDataset(Tensor(x), Tensor(x.sum(1))), batch_size=3, shuffle=True)
    for row, total in loader:
        assert (row.array.sum(1) == total.array).all()


def test_every_pass_is_shuffled_anew_and_fixed_by_the_generator() -> None:
    def passes(generator: Generator | None) -> list[Any]:
        loader = DataLoader(range(30), 30, shuffle=True, generator=generator)  # type: ignore[arg-type]
        return [values(loader) for _ in range(3)]

    one = passes(Generator().manual_seed(4))
    assert one == passes(Generator().manual_seed(4))
    assert one[0] != one[1] != one[2]
    manual_seed(4)
    default = passes(None)
    manual_seed(4)
    assert default == passes(None)


def test_two_passes_at_once_do_not_disturb_each_other() -> None:
    loader = DataLoader(range(6), 2)  # type: ignore[arg-type]
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(loader, loader, strict=True)]
    assert pairs == [([0, 1], [0, 1]), ([2, 3], [2, 3]), ([4, 5], [4, 5])]


def test_without_batches_samples_come_as_they_are() -> None:
    rows = [np.zeros(2), np.ones(2)]
    samples = list(DataLoader(rows, batch_size=None))  # type: ignore[arg-type]
    assert [t.tolist() for t in samples] == [[0, 0], [1, 1]]
    assert list(DataLoader([("a", 1), ("b", 2)], batch_size=None)) == [["a", 1], ["b", 2]]  # type: ignore[arg-type]
    assert list(DataLoader(Counting(3), batch_size=None)) == [0, 1, 2]
    assert len(DataLoader(Counting(3), batch_size=None)) == len(DataLoader("abc", batch_size=None)) == 3  # type: ignore[arg-type]


def test_an_endless_sampler_and_an_endless_dataset_are_read_as_batches_are_asked_for() -> None:
    class Endless(Sampler[int]):
        asked = 0

        def __iter__(self) -> Iterator[int]:
            for i in count():
                self.asked = i + 1
                yield i % 5

    sampler, stream = Endless(), Counting()
    by_index = iter(DataLoader(range(5), 2, sampler=sampler))  # type: ignore[arg-type]
    in_order = iter(DataLoader(stream, 3))
    assert [b.tolist() for b in islice(by_index, 3)] == [[0, 1], [2, 3], [4, 0]]
    assert [b.tolist() for b in islice(in_order, 2)] == [[0, 1, 2], [3, 4, 5]]
    assert (sampler.asked, stream.taken) == (6, 6)


def test_a_batch_sampler_may_be_any_iterable_of_lists() -> None:
    loader = DataLoader("abcd", batch_sampler=[[3, 0], [1]], collate_fn="".join)  # type: ignore[arg-type]
    assert list(loader) == ["da", "b"]
    assert len(loader) == 2
    assert loader.batch_size is None


def test_a_dataset_that_fetches_batches_is_asked_for_them() -> None:
    class Table(Dataset[int]):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * i for i in indices]

        def __len__(self) -> int:
            return 5

    assert values(DataLoader(Table(), 2)) == [[0, 10], [20, 30], [40]]
    assert values(DataLoader(Subset(Table(), [4, 1]), 2)) == [[40, 10]]


def test_a_sampler_of_keys_reads_a_dictionary() -> None:
    loader = DataLoader({"a": 1, "b": 2}, batch_size=2, sampler=["b", "a"])  # type: ignore[arg-type]
    assert values(loader) == [[2, 1]]


def test_samples_are_in_the_process_that_asks_for_them() -> None:
    assert get_worker_info() is None


def test_the_defaults_of_what_needs_workers_are_accepted() -> None:
    loader = DataLoader(range(2), num_workers=0, pin_memory=False, timeout=0, worker_init_fn=None)  # type: ignore[arg-type]
    assert values(loader) == [[0], [1]]


def test_what_does_nothing_on_a_processor_or_without_workers_is_accepted_as_in_pytorch() -> None:
    loader = DataLoader(range(2), pin_memory=True, pin_memory_device="cuda", worker_init_fn=print)  # type: ignore[arg-type]
    assert values(loader) == [[0], [1]]


# --- a TensorDataset is indexed once a batch


class Watched(Tensor):
    """A tensor that notes what it is indexed with."""

    seen: list[Any]

    def __getitem__(self, index: Any) -> Any:
        self.seen.append(index)
        return Tensor(self.array)[index]


def watched(array: Any) -> Watched:
    t = Watched(np.asarray(array))
    t.seen = []
    return t


@given(
    n=st.integers(1, 20),
    batch_size=st.integers(1, 7),
    subset=st.lists(st.integers(-1, 0), min_size=1, max_size=9),
    twice=st.booleans(),
)
def test_tensors_are_indexed_once_and_the_batch_is_that_of_its_samples(
    n: int, batch_size: int, subset: list[int], twice: bool
) -> None:
    x, y = watched(np.arange(2.0 * n).reshape(n, 2)), watched(np.arange(n))
    data: Any = Subset(TensorDataset(x, y), np.array(subset)) if twice else TensorDataset(x, y)
    data = Subset(data, subset) if twice else data
    at_once = list(DataLoader(data, batch_size))
    assert len(x.seen) == len(y.seen) == len(at_once)
    one_by_one = list(DataLoader(data, batch_size, collate_fn=lambda samples: default_collate(samples)))
    for a, b in zip(at_once, one_by_one, strict=True):
        assert type(a) is type(b) is list and len(a) == len(b) == 2
        assert [(t.dtype, t.tolist()) for t in a] == [(t.dtype, t.tolist()) for t in b]


class Doubled(TensorDataset):
    def __getitem__(self, index: Any) -> Any:
        assert type(index) is int
        return tuple(2 * t for t in super().__getitem__(index))


def test_other_datasets_and_indices_are_asked_for_each_sample() -> None:
    x = Tensor(np.arange(4.0))
    assert [b[0].tolist() for b in DataLoader(Doubled(x), 2)] == [[0, 2], [4, 6]]
    arrays: Any = TensorDataset(np.arange(3))  # type: ignore[arg-type]
    assert [b[0].tolist() for b in DataLoader(arrays, 2)] == [[0, 1], [2]]
    slices = DataLoader(TensorDataset(x), batch_sampler=[[slice(0, 2), slice(2, 4)]])  # type: ignore[list-item]
    assert [b[0].tolist() for b in slices] == [[[0, 1], [2, 3]]]
    with pytest.raises(ValueError, match="the batch is empty"):
        list(DataLoader(TensorDataset(x), batch_sampler=[[]]))


def test_gradients_reach_the_tensors_of_a_dataset() -> None:
    x = Tensor(np.arange(4.0), requires_grad=True)
    for (batch,) in DataLoader(TensorDataset(x), batch_sampler=[[0, 3], [3]]):
        batch.sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 0, 0, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ({"shuffle": True, "sampler": [0]}, "shuffle cannot be given together with sampler"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_size cannot be given together with batch_sampler"),
        ({"batch_sampler": [[0]], "shuffle": True}, "shuffle cannot be given together with batch_sampler"),
        ({"batch_sampler": [[0]], "drop_last": True}, "drop_last cannot be given"),
        ({"batch_sampler": [[0]], "sampler": [0]}, "sampler cannot be given"),
        ({"batch_size": None, "drop_last": True}, "drop_last cannot be given together with batch_size=None"),
        ({"drop_last": 1}, "drop_last must be True or False"),
        ({"generator": 1}, "generator must be a Generator"),
        ({"dataset": Counting(3), "shuffle": True}, "shuffle cannot be given together with an Iterable"),
        ({"dataset": Counting(3), "sampler": [0]}, "sampler cannot be given together with an Iterable"),
        ({"dataset": Counting(3), "batch_sampler": [[0]]}, "batch_sampler cannot be given together"),
        ({"num_workers": -1}, "num_workers must be a whole number, 0 for none, got -1"),
        ({"num_workers": True}, "num_workers must be a whole number"),
        ({"num_workers": 1.0}, "num_workers must be a whole number"),
        ({"timeout": -1, "num_workers": 1}, "timeout must be at least 0 seconds, got -1"),
        ({"timeout": float("nan"), "num_workers": 1}, "timeout must be at least 0 seconds, got nan"),
        ({"timeout": 1}, "timeout=1 needs num_workers > 0"),
        ({"prefetch_factor": 2}, "prefetch_factor=2 needs num_workers > 0"),
        ({"prefetch_factor": 0, "num_workers": 1}, "prefetch_factor must be a positive integer, got 0"),
        ({"persistent_workers": True}, "persistent_workers needs num_workers > 0"),
        ({"persistent_workers": 1}, "persistent_workers must be True or False"),
        ({"pin_memory": 1}, "pin_memory must be True or False"),
        ({"in_order": None}, "in_order must be True or False"),
        ({"worker_init_fn": 1}, "worker_init_fn must be callable, got int"),
        ({"multiprocessing_context": "spawn"}, "multiprocessing_context='spawn' needs num_workers > 0"),
        ({"multiprocessing_context": "thread", "num_workers": 1}, "must be one of .*spawn.*, got 'thread'"),
        ({"multiprocessing_context": 3, "num_workers": 1}, "must be a context or one of .*, got int"),
        ({"dataset": [], "shuffle": True}, "num_samples must be a positive integer, got 0"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        DataLoader(**{"dataset": range(3), **arguments})


def test_what_would_have_no_effect_cannot_be_assigned() -> None:
    loader = DataLoader(range(3), 2)  # type: ignore[arg-type]
    for name in ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last"):
        with pytest.raises(ValueError, match=f"{name} cannot be changed"):
            setattr(loader, name, None)
    loader.collate_fn = sum
    assert list(loader) == [1, 2]


def test_an_empty_dataset_has_no_batches() -> None:
    assert values(DataLoader([], 2)) == []  # type: ignore[arg-type]
    assert len(DataLoader([], 2)) == 0  # type: ignore[arg-type]
