"""Samplers: the order in which samples are visited.

A sampler yields indices one at a time, when they are asked for; it need not end. What is random is
drawn when an iteration begins, so that two passes differ and a seed fixes both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar, cast

import numpy as np

from ...engine.tensor import Tensor
from ...random import Generator, default_generator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BLOCK = 1024  # draws with replacement are made this many at a time


def rng_of(generator: Generator | None, user: str) -> np.random.Generator:
    """NumPy's generator under `generator`, or under the default one if that is None."""
    if generator is None:
        return default_generator.rng
    if not isinstance(generator, Generator):
        raise TypeError(f"{user}: generator must be a Generator or None, got {type(generator).__name__}")
    return generator.rng


def positive(name: str, value: int, user: str) -> int:
    """`value`, if it is an integer above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"{user}: {name} must be a positive integer, got {value!r}")
    return value


def flag(name: str, value: bool, user: str) -> bool:
    """`value`, if it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{user}: {name} must be True or False, got {value!r}")
    return value


def batched(items: Iterable[T], batch_size: int, drop_last: bool) -> Iterator[list[T]]:
    """Lists of `batch_size` consecutive items; the last may be shorter, unless `drop_last` leaves it out."""
    iterator = iter(items)
    while batch := list(islice(iterator, batch_size)):
        if drop_last and len(batch) < batch_size:
            return
        yield batch


def number_of_batches(n: int, batch_size: int, drop_last: bool) -> int:
    """How many lists `batched` makes of `n` items."""
    return n // batch_size if drop_last else -(-n // batch_size)


class Sampler(Generic[T_co]):
    """An order of visiting samples: a subclass defines `__iter__`, and `__len__` if it ends."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__}: a Sampler must define __iter__")


class SequentialSampler(Sampler[int]):
    """`0, 1, 2, …, len(data_source) - 1`."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Random indices of `data_source`: a permutation, or independent draws with `replacement`.

    `num_samples` (default: all) may exceed the number of samples; without replacement a new permutation
    then follows the one before. A pass without a `generator` takes one seed from the default generator
    when it begins, so that random numbers drawn elsewhere during the pass do not change its order.

    >>> from tinygrad_rnn.random import Generator
    >>> sorted(RandomSampler("abc", generator=Generator().manual_seed(0)))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = flag("replacement", replacement, "RandomSampler")
        self._num_samples = num_samples
        self.generator = generator
        rng_of(generator, "RandomSampler")
        positive("num_samples", self.num_samples, "RandomSampler")

    @property
    def num_samples(self) -> int:
        """The number of indices in one pass; follows a data source that changes its length."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n, left = positive("len(data_source)", len(self.data_source), "RandomSampler"), self.num_samples
        rng = rng_of(self.generator, "RandomSampler")
        if self.generator is None:
            rng = np.random.default_rng(rng.integers(2**63))
        while left > 0:
            order = rng.integers(n, size=BLOCK) if self.replacement else rng.permutation(n)
            yield from order[:left].tolist()
            left -= len(order)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given `indices` in random order, each once."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        rng_of(generator, "SubsetRandomSampler")
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        rng = rng_of(self.generator, "SubsetRandomSampler")
        for i in rng.permutation(len(self.indices)).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, `i` with a probability in proportion to `weights[i]`.

    Without replacement the weights of what is left are rescaled after each draw. When only weights of zero
    are left, these follow in random order, as in PyTorch; `num_samples` may not exceed the number of weights.
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        user = "WeightedRandomSampler"
        w = np.array(weights.array if isinstance(weights, Tensor) else weights, np.float64)
        if w.ndim != 1:
            raise ValueError(f"{user}: weights must be one-dimensional, got shape {w.shape}")
        if not (np.isfinite(w).all() and (w >= 0).all() and w.any()):
            raise ValueError(f"{user}: weights must be finite, not negative, and not all zero")
        rng_of(generator, user)
        self.weights = w
        self.num_samples = positive("num_samples", num_samples, user)
        self.replacement = flag("replacement", replacement, user)
        self.generator = generator
        if not replacement and num_samples > len(w):
            raise ValueError(
                f"{user}: num_samples={num_samples} without replacement, with {len(w)} weights; "
                "pass replacement=True or fewer samples"
            )

    def __iter__(self) -> Iterator[int]:
        rng = rng_of(self.generator, "WeightedRandomSampler")
        p = self.weights / self.weights.max()  # their sum stays finite
        p /= p.sum()
        n = self.num_samples if self.replacement else min(self.num_samples, int(np.count_nonzero(p)))
        drawn: list[int] = rng.choice(len(p), n, self.replacement, p).tolist()
        if n < self.num_samples:
            drawn += rng.permutation(np.flatnonzero(p == 0))[: self.num_samples - n].tolist()
        return iter(drawn)

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` consecutive indices of another sampler, or of any iterable.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=True))
    [[0, 1], [2, 3]]
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = positive("batch_size", batch_size, "BatchSampler")
        self.drop_last = flag("drop_last", drop_last, "BatchSampler")

    def __iter__(self) -> Iterator[list[int]]:
        return batched(self.sampler, self.batch_size, self.drop_last)

    def __len__(self) -> int:
        return number_of_batches(len(cast(Any, self.sampler)), self.batch_size, self.drop_last)
