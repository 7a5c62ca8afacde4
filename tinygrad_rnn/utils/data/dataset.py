"""Datasets: samples by index (`Dataset`), or one after another (`IterableDataset`)."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import Any, Generic, TypeVar, cast

from ...engine.tensor import Tensor
from ...random import Generator
from .sampler import rng_of

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples by index: a subclass defines `__getitem__`, and `__len__` for whoever needs to know it.

    `a + b` is one after the other. A subclass may define `__getitems__(indices)`, a list of samples,
    where fetching a batch at once is cheaper.
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__}: a Dataset must define __getitem__")

    def __add__(self, other: Dataset[T_co]) -> Dataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Samples one after another, perhaps without end: a subclass defines `__iter__`."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: an IterableDataset must define __iter__")

    def __add__(self, other: Dataset[T_co]) -> Dataset[T_co]:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample `i` is `(t[i] for t in tensors)`; the tensors agree in their first size."""

    def __init__(self, *tensors: Tensor) -> None:
        shapes = [t.shape for t in tensors]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(f"TensorDataset: tensors must agree in their first size, got shapes {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return fetch(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other, as one; their lengths are read once, here."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: datasets is empty; give at least one")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise TypeError("ConcatDataset: an IterableDataset has no indices; use ChainDataset")
        self.cumulative_sizes = list(accumulate(size(d) for d in self.datasets))

    def __getitem__(self, index: int) -> T_co:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {n} samples")
        index %= n
        which = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Iterable datasets one after the other."""

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise TypeError(f"ChainDataset: only IterableDatasets can be chained, got {type(d).__name__}")

    def __iter__(self) -> Iterator[T_co]:
        return chain.from_iterable(cast("list[IterableDataset[T_co]]", self.datasets))

    def __len__(self) -> int:
        return sum(map(size, self.datasets))


def size(dataset: Any) -> int:
    """`len(dataset)`, of a dataset that has one."""
    return len(dataset)


def fetch(dataset: Any, indices: list[Any]) -> list[Any]:
    """The samples at `indices`: all at once where the dataset knows how."""
    if callable(getattr(dataset, "__getitems__", None)):
        return list(dataset.__getitems__(indices))
    return [dataset[i] for i in indices]


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T]]:
    """Disjoint random subsets of the given lengths, which add up to the whole dataset.

    Lengths that add up to 1 are fractions: each is rounded down, and what is left is dealt out one
    sample each from the first subset on.

    >>> from tinygrad_rnn.random import Generator
    >>> [len(part) for part in random_split(range(10), [0.5, 0.25, 0.25], Generator())]
    [6, 2, 2]
    """
    n = size(dataset)
    counts = fractions_of(n, lengths) if math.isclose(math.fsum(lengths), 1) else lengths
    if any(not hasattr(k, "__index__") or k < 0 for k in counts) or sum(counts) != n:
        raise ValueError(
            f"random_split: lengths must be counts that add up to the dataset's {n}, or fractions that add "
            f"up to 1, got {list(lengths)}"
        )
    order = iter(rng_of(generator, "random_split").permutation(n).tolist())
    return [Subset(dataset, list(islice(order, k))) for k in cast("Sequence[int]", counts)]


def fractions_of(n: int, fractions: Sequence[float]) -> list[int]:
    """`n` shared out by fractions that add up to 1."""
    if any(not 0 <= f <= 1 for f in fractions):
        raise ValueError(f"random_split: fractions must lie between 0 and 1, got {list(fractions)}")
    counts = [math.floor(n * f) for f in fractions]
    for i in range(n - sum(counts)):
        counts[i % len(counts)] += 1
    for i, count in enumerate(counts):
        if count == 0:
            warnings.warn(f"random_split: subset {i} is empty ({fractions[i]} of {n} samples)", stacklevel=3)
    return counts
