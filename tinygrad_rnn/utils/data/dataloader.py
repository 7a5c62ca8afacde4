"""DataLoader: the batches of a dataset, in a sampler's order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Generic, TypeVar, cast
from weakref import finalize

import numpy as np

from ...random import Generator
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset, size
from .fetch import Recipe
from .pool import Pool
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    flag,
    number_of_batches,
    positive,
    rng_of,
)

T_co = TypeVar("T_co", covariant=True)


class DataLoader(Generic[T_co]):
    """Iterates over a dataset's batches; every `for` loop begins a new pass.

    - `batch_size` samples make a batch (the last one may be smaller; `drop_last` leaves it out). With
      `batch_size=None` there are no batches: samples come one by one.
    - The order is the dataset's; with `shuffle`, a new permutation for each pass, drawn from `generator`;
      or that of a `sampler` (any iterable of indices) or a `batch_sampler` (of lists of indices).
      Samplers are asked for one batch at a time, so they need not end.
    - `collate_fn` makes a batch of a list of samples; see `default_collate`.
    - `num_workers` processes load the batches; with 0 the calling process does. The batches are the same, in
      the same order (any order with `in_order=False`). `prefetch_factor` (2) batches are loaded ahead by
      each. An error in a worker is raised here, with the worker's traceback; processes end with the loop,
      however it ends, or with `persistent_workers` live as long as the loader.
    - Workers are started by `multiprocessing_context`: "fork", "spawn", "forkserver", or a context; None is
      Python's default. Where that is not "fork", dataset and functions must be picklable.
    - `worker_init_fn(id)` is called first in each worker, and `get_worker_info()` tells it who it is. Worker
      `id` has the seed base + id, of which Python's, NumPy's and the package's generators start; the base
      follows from `generator` and the number of passes, and takes no number from it.
    - `timeout` seconds is the longest to wait for a worker's batch; 0 is for ever.
    - `pin_memory` and `pin_memory_device` do nothing, as in PyTorch on a processor.

    An IterableDataset is read whole by each worker, unless it takes its part by `get_worker_info()`.

    >>> for batch in DataLoader(range(5), batch_size=2):
    ...     print(batch)
    tensor([0, 1])
    tensor([2, 3])
    tensor([4])
    """

    FIXED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last", "persistent_workers")

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
        check_workers(num_workers, timeout, worker_init_fn, multiprocessing_context, prefetch_factor)
        flags = {"pin_memory": pin_memory, "persistent_workers": persistent_workers, "in_order": in_order}
        for name, value in flags.items():
            flag(name, value, "DataLoader")
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: persistent_workers needs num_workers > 0")
        rng_of(generator, "DataLoader")
        refuse_contradictions(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size if batch_sampler is None else None
        self.drop_last = drop_last
        self.generator = generator
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.persistent_workers, self.in_order = persistent_workers, in_order
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.multiprocessing_context = multiprocessing_context
        self._pool: Pool | None = None  # that of persistent workers
        self._passes = 0
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
        batches = self.batch_sampler is not None
        recipe = Recipe(self.dataset, self.collate_fn, self.batch_size, self.drop_last, batches)
        if self.num_workers:
            return self._in_workers(recipe)
        return recipe.stream() if recipe.iterable else map(recipe.load, self._tasks())

    def _tasks(self) -> Iterator[Any]:
        """Return what is asked for, one batch or sample after the other."""
        if isinstance(self.dataset, IterableDataset):
            return repeat(None)
        return iter(cast(Any, self.sampler if self.batch_sampler is None else self.batch_sampler))

    def _in_workers(self, recipe: Recipe) -> Iterator[Any]:
        pool = self._pool
        if pool is None:
            pool = Pool(
                recipe, self.num_workers, self._base_seed(), self.worker_init_fn,
                self.multiprocessing_context, cast(int, self.prefetch_factor), self.timeout, self.in_order,
            )  # fmt: skip
            if self.persistent_workers:
                self._pool = pool
                finalize(self, pool.close)
        try:
            yield from pool.batches(self._tasks())
        except GeneratorExit:  # the loop was left
            raise
        except BaseException:
            self._pool = None
            raise
        finally:
            if self._pool is not pool:
                pool.close()

    def _base_seed(self) -> int:
        """Return a number that `generator` and the passes so far determine; the generator stays as it is."""
        self._passes += 1
        state: Any = rng_of(self.generator, "DataLoader").bit_generator.state
        entropy = [state["state"]["state"], state["state"]["inc"], self._passes]
        return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def __len__(self) -> int:
        """The number of batches of one pass (of samples, with `batch_size=None`)."""
        if not isinstance(self.dataset, IterableDataset):
            return size(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n = size(self.dataset)
        return n if self.batch_size is None else number_of_batches(n, self.batch_size, self.drop_last)


def check_workers(
    num_workers: Any, timeout: Any, worker_init_fn: Any, multiprocessing_context: Any, prefetch_factor: Any
) -> None:
    """Refuse arguments about workers that are out of range, or that have no workers to be about."""
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(f"DataLoader: num_workers must be a whole number, 0 for none, got {num_workers!r}")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0:
        raise ValueError(f"DataLoader: timeout must be at least 0 seconds, got {timeout!r}")
    if worker_init_fn is not None and not callable(worker_init_fn):
        raise TypeError(f"DataLoader: worker_init_fn must be callable, got {type(worker_init_fn).__name__}")
    if prefetch_factor is not None:
        positive("prefetch_factor", prefetch_factor, "DataLoader")
    if num_workers == 0:
        given = {"timeout": timeout or None, "prefetch_factor": prefetch_factor}
        for name, value in (given | {"multiprocessing_context": multiprocessing_context}).items():
            if value is not None:
                raise ValueError(f"DataLoader: {name}={value!r} needs num_workers > 0")
    elif multiprocessing_context is not None:
        check_context(multiprocessing_context)


def check_context(context: Any) -> None:
    """Refuse what is neither a context nor the name of a start method."""
    import multiprocessing

    methods = multiprocessing.get_all_start_methods()
    if isinstance(context, str) and context not in methods:
        raise ValueError(f"DataLoader: multiprocessing_context must be one of {methods}, got {context!r}")
    if not isinstance(context, str) and not callable(getattr(context, "Process", None)):
        raise TypeError(
            f"DataLoader: multiprocessing_context must be a context or one of {methods}, got "
            f"{type(context).__name__}"
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
