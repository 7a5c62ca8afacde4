"""Loading: what one task of a pass gives, in the process that asks for it or in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from .collate import default_collate
from .dataset import IterableDataset, Subset, TensorDataset, fetch
from .sampler import batched


@dataclass
class Recipe:
    """What a loader does with its dataset, and what a worker process is given of it."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batch_size: int | None
    drop_last: bool
    auto_batch: bool  # False: samples come one by one

    def load(self, task: Any) -> Any:
        """Return the batch of a list of indices or, without batches, the sample of one index."""
        if not self.auto_batch:
            return self.collate_fn(self.dataset[task])
        if self.collate_fn is default_collate:
            rows = at_once(self.dataset, task)
            if rows is not None:
                return rows
        return self.collate_fn(fetch(self.dataset, task))

    def stream(self) -> Iterator[Any]:
        """Yield the batches, or the samples, of an iterable dataset."""
        whole = iter(self.dataset)
        return map(
            self.collate_fn,
            whole if self.batch_size is None else batched(whole, self.batch_size, self.drop_last),
        )

    @property
    def iterable(self) -> bool:
        """True if the dataset has no indices."""
        return isinstance(self.dataset, IterableDataset)


def at_once(dataset: Any, indices: list[Any]) -> list[Tensor] | None:
    """Return what `default_collate` makes of a TensorDataset's samples, each tensor indexed once.

    None for other datasets, for a class that has its own `__getitem__`, and for indices that are no integers.
    """
    while type(dataset) is Subset:
        dataset, indices = dataset.dataset, [dataset.indices[i] for i in indices]
    if type(dataset) is not TensorDataset or not all(isinstance(t, Tensor) for t in dataset.tensors):
        return None
    if not indices or not set(map(type, indices)) <= {int, np.int64}:
        return None
    return list(dataset[np.array(indices)])
