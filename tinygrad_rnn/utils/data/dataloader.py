"""DataLoader: the batches of a dataset, in a sampler's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

from ...random import Generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset, fetch, size
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    batched,
    flag,
    number_of_batches,
    positive,
    rng_of,
)

T_co = TypeVar("T_co", covariant=True)


NO_WORKERS: dict[str, Any] = {
    "num_workers": 0,
    "pin_memory": False,
    "timeout": 0,
    "worker_init_fn": None,
    "multiprocessing_context": None,
    "prefetch_factor": None,
    "persistent_workers": False,
    "pin_memory_device": "",
    "in_order": True,
}


class DataLoader(Generic[T_co]):
    """Iterates over a dataset's batches; every `for` loop begins a new pass.

    - `batch_size` samples make a batch (the last one may be smaller; `drop_last` leaves it out). With
      `batch_size=None` there are no batches: samples come one by one.
    - The order is the dataset's; with `shuffle`, a new permutation for each pass, drawn from `generator`;
      or that of a `sampler` (any iterable of indices) or a `batch_sampler` (of lists of indices).
      Samplers are asked for one batch at a time, so they need not end.
    - `collate_fn` makes a batch of a list of samples; see `default_collate`.

    Samples are loaded in the calling process: arguments about workers and pinned memory accept their
    defaults only, and raise `NotImplementedError` otherwise.

    >>> for batch in DataLoader(range(5), batch_size=2):
    ...     print(batch)
    tensor([0, 1])
    tensor([2, 3])
    tensor([4])
    """

    FIXED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last")

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        in_process_only(
            num_workers=num_workers,
            pin_memory=pin_memory,
            timeout=timeout,
            worker_init_fn=worker_init_fn,
            multiprocessing_context=multiprocessing_context,
            prefetch_factor=prefetch_factor,
            persistent_workers=persistent_workers,
            pin_memory_device=pin_memory_device,
            in_order=in_order,
        )
        rng_of(generator, "DataLoader")
        refuse_contradictions(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size if batch_sampler is None else None
        self.drop_last = drop_last
        self.generator = generator
        if not isinstance(dataset, IterableDataset):
            sized: Any = dataset
            if sampler is None:
                sampler = RandomSampler(sized, generator=generator) if shuffle else SequentialSampler(sized)
            if batch_sampler is None and batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        single = self.batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if single else default_collate)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.FIXED and name in self.__dict__:
            raise ValueError(f"DataLoader: {name} cannot be changed afterwards; make a new DataLoader")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        return map(self.collate_fn, self._samples())

    def _samples(self) -> Iterator[Any]:
        """What `collate_fn` is given: the samples of one batch in a list, or single samples."""
        if isinstance(self.dataset, IterableDataset):
            whole = iter(self.dataset)
            return whole if self.batch_size is None else batched(whole, self.batch_size, self.drop_last)
        if self.batch_sampler is None:
            return (self.dataset[i] for i in cast(Any, self.sampler))
        return (fetch(self.dataset, indices) for indices in self.batch_sampler)

    def __len__(self) -> int:
        """The number of batches of one pass (of samples, with `batch_size=None`)."""
        if not isinstance(self.dataset, IterableDataset):
            return size(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = size(self.dataset)
        return n if self.batch_size is None else number_of_batches(n, self.batch_size, self.drop_last)


def get_worker_info() -> None:
    """Always None, which says: this is the process that asked for the samples."""


def in_process_only(**given: Any) -> None:
    """Refuse what has no meaning without worker processes or accelerators."""
    for name, value in given.items():
        if value != NO_WORKERS[name]:
            raise NotImplementedError(
                f"DataLoader: {name}={value!r} is not supported, because samples are loaded in the calling "
                f"process; use {name}={NO_WORKERS[name]!r}"
            )


def refuse_contradictions(
    dataset: Any, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any
) -> None:
    """Refuse arguments of which one would have to be ignored."""
    flag("drop_last", drop_last, "DataLoader")
    if isinstance(dataset, IterableDataset):
        exclusive("an IterableDataset", shuffle=shuffle, sampler=sampler, batch_sampler=batch_sampler)
    if sampler is not None:
        exclusive("sampler", shuffle=shuffle)
    if batch_sampler is not None:
        given = batch_size != 1  # the default, which has to count as not given
        exclusive("batch_sampler", batch_size=given, shuffle=shuffle, sampler=sampler, drop_last=drop_last)
    elif batch_size is None:
        exclusive("batch_size=None", drop_last=drop_last)
    else:
        positive("batch_size", batch_size, "DataLoader")


def exclusive(what: str, **others: Any) -> None:
    """Refuse arguments that contradict `what`, unless they are left alone (None or False)."""
    for name, value in others.items():
        if value is not None and value is not False:
            raise ValueError(f"DataLoader: {name} cannot be given together with {what}")
