"""Collation: a list of samples becomes one batch, structure kept.

Numbers and arrays gain a leading dimension, strings stay as they are, and containers are collated
entry by entry: a batch of pairs is a pair of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from copy import copy
from typing import Any

import numpy as np

from ... import ops
from ...engine.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch from a list of samples of one kind.

    | samples                        | batch                                                   |
    |--------------------------------|---------------------------------------------------------|
    | tensors, arrays of one shape   | a tensor, stacked along a new first dimension           |
    | NumPy numbers, `int`, `bool`   | a 1-D tensor of their dtype (`int64`, `bool`)           |
    | `float`                        | a 1-D tensor, `float64`                                 |
    | `str`, `bytes`                 | the samples, as they are                                |
    | mappings, named tuples, lists  | the same kind, each entry collated                      |
    | tuples                         | a list, each entry collated                             |

    >>> default_collate([("a", {"n": 1}), ("b", {"n": 2})])
    [('a', 'b'), {'n': tensor([1, 2])}]
    """
    if not batch:
        raise ValueError("default_collate: the batch is empty")
    first = batch[0]
    if isinstance(first, Tensor):
        same_shapes(batch)
        return ops.stack(batch)
    if isinstance(first, np.ndarray) and first.dtype.kind in "biuf":
        same_shapes(batch)
        return ops.stack([ops.from_numpy(np.asarray(a)) for a in batch])
    if isinstance(first, (np.bool_, np.number)):
        return ops.from_numpy(np.array(batch))
    if isinstance(first, float):
        return ops.tensor(batch, dtype=np.float64)
    if isinstance(first, int):
        return ops.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        same_keys(batch)
        return refill(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        same_lengths(batch)
        return rebuild(first, [default_collate(entries) for entries in zip(*batch, strict=True)])
    kind = first.dtype if isinstance(first, np.ndarray) else type(first).__name__
    raise TypeError(
        "default_collate: samples must be tensors, NumPy arrays, numbers, strings, mappings or sequences of "
        f"these, got {kind}; pass collate_fn"
    )


def default_convert(data: Any) -> Any:
    """A sample with its NumPy arrays and numbers as tensors; arrays are shared, not copied.

    >>> default_convert({"n": np.int64(1), "name": "one"})
    {'n': tensor(1), 'name': 'one'}
    """
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        return ops.from_numpy(data)
    if isinstance(data, (np.bool_, np.number)):
        return ops.from_numpy(np.array(data))
    if isinstance(data, Mapping):
        return refill(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return rebuild(data, [default_convert(entry) for entry in data])
    return data


def refill(like: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """A mapping of the type of `like` (a `dict`, where that cannot be made) with these entries."""
    if not isinstance(like, MutableMapping):
        return made(type(like), entries)
    try:
        twin = copy(like)  # keeps what the type knows beside its entries, as a default factory
        twin.update(entries)
    except TypeError:
        return entries
    return twin


def rebuild(like: Sequence[Any], entries: list[Any]) -> Any:
    """A sequence of the type of `like` (a `list` for a plain tuple, or where that cannot be made)."""
    if isinstance(like, tuple):
        return type(like)(*entries) if hasattr(like, "_fields") else entries
    if not isinstance(like, MutableSequence):
        return made(type(like), entries)
    try:
        twin = copy(like)
        for i, entry in enumerate(entries):
            twin[i] = entry
    except TypeError:
        return entries
    return twin


def made(kind: Callable[[Any], Any], entries: Any) -> Any:
    """`kind(entries)`, or the entries themselves where the type is made otherwise."""
    try:
        return kind(entries)
    except TypeError:
        return entries


def same_keys(batch: Iterable[Mapping[Any, Any]]) -> None:
    """Refuse mappings whose keys differ: a key that the first lacks would be lost."""
    first, *rest = batch
    for sample in rest:
        if sample.keys() != first.keys():
            raise KeyError(f"default_collate: samples with different keys: {list(first)} and {list(sample)}")


def same_shapes(batch: Iterable[Any]) -> None:
    """Refuse tensors or arrays of different shapes."""
    shapes = sorted({tuple(sample.shape) for sample in batch if isinstance(sample, (Tensor, np.ndarray))})
    if len(shapes) > 1:
        raise RuntimeError(
            f"default_collate: samples have different shapes {', '.join(map(str, shapes[:3]))}; "
            "pass collate_fn to DataLoader, such as one that calls nn.utils.rnn.pad_sequence"
        )


def same_lengths(batch: Iterable[Sequence[Any]]) -> None:
    """Refuse sequences of different lengths."""
    lengths = sorted({len(sample) for sample in batch})
    if len(lengths) > 1:
        raise RuntimeError(f"default_collate: samples have different lengths {lengths}; pass collate_fn")
