"""Ragged batches: sequences of different lengths, padded or packed.

Padded: (T, B, ...), each sequence in its column, filled up at the end. Packed: only the rows that
exist, those of step 0 first, then those of step 1, …, the longest sequences foremost:

    a b c          data         a d f b e c        (three sequences: abc, de, f)
    d e            batch_sizes  3 2 1
    f
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.derivatives import getitem, place
from ...engine.tensor import Array, Tensor
from ...ops import as_tensor, cat, stack, where


class PackedSequence(NamedTuple):
    """A ragged batch without padding; made by `pack_padded_sequence` or `pack_sequence`.

    `sorted_indices[k]` is the column that stands k-th (longest first), `unsorted_indices` the way back;
    None if they were in order already. A sequence of length 0 has no rows, only its index.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    @property
    def batch_size(self) -> int:
        """The number of sequences, those of length 0 included."""
        if self.sorted_indices is not None:
            return len(self.sorted_indices)
        return int(self.batch_sizes.array[0]) if len(self.batch_sizes) else 0

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data in another dtype (see Tensor.to)."""
        return self._replace(data=self.data.to(*args, **kwargs))


class Rows(NamedTuple):
    """Where packed rows stand in a padded batch: row n is step `t[n]` of column `b[n]`."""

    t: Array
    b: Array
    sizes: Array  # how many rows each step has
    order: Array  # columns, longest first


def rows_of(mask: Array) -> Rows:
    """The rows of a padded batch in packed order. mask (T, B): which steps of each column count.

    Steps that do not count need not stand at the end: the others move up.
    """
    lengths = mask.sum(0)
    order = np.argsort(-lengths, kind="stable")
    exists = np.arange(lengths.max(initial=0))[:, None] < lengths[order]
    steps = np.argsort(~mask, axis=0, kind="stable")[:, order]  # of each column, the steps that count first
    k, column = np.nonzero(exists)
    return Rows(steps[k, column], order[column], exists.sum(1), order)


def mask_of(lengths: Any, T: int) -> Array:
    """mask[t, b]: whether step t < lengths[b]."""
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or (lengths.dtype.kind not in "iu" and lengths.size):
        raise ValueError(f"lengths: expected a list of integers, one for each sequence, got {lengths!r}")
    if lengths.size and not 0 <= lengths.min() <= lengths.max() <= T:
        raise ValueError(f"lengths: {lengths.tolist()} must lie between 0 and the {T} steps of the batch")
    mask: Array = np.arange(T)[:, None] < lengths
    return mask


def pack(xs: Tensor, rows: Rows) -> PackedSequence:
    """The rows of xs (T, B, ...) that exist."""
    order = Tensor(rows.order)
    return PackedSequence(
        getitem(xs, index=(rows.t, rows.b)), Tensor(rows.sizes), order, Tensor(np.argsort(rows.order))
    )


def unpack(data: Tensor, t: Array, b: Array, T: int, B: int) -> Tensor:
    """A padded batch (T, B, ...) with packed row n at step t[n] of column b[n], zeros elsewhere."""
    return place(data, indices=[(t, b)], shape=(T, B, *data.shape[1:]))


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch (T, B, ...), or (B, T, ...) with `batch_first`; length 0 is allowed.

    With `enforce_sorted` the lengths must not increase; without, they are sorted here.
    """
    xs = input.transpose(0, 1) if batch_first else input
    mask = mask_of(lengths, xs.shape[0])
    if mask.shape[1] != xs.shape[1]:
        raise ValueError(f"lengths: {mask.shape[1]} given for {xs.shape[1]} sequences")
    counts = mask.sum(0)
    if enforce_sorted and (np.diff(counts) > 0).any():
        raise RuntimeError(
            f"lengths: {counts.tolist()} must not increase; pass enforce_sorted=False to have them sorted"
        )
    packed = pack(xs, rows_of(mask))
    in_order = enforce_sorted and (counts > 0).all()
    return packed._replace(sorted_indices=None, unsorted_indices=None) if in_order else packed


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded batch (T, B, ...), or (B, T, ...) with `batch_first`, and the lengths (B,).

    `total_length` is T, if it should be more than the longest length.
    """
    sizes, B = sequence.batch_sizes.array, sequence.batch_size
    T = len(sizes) if total_length is None else total_length
    if T < len(sizes):
        raise ValueError(f"total_length: {total_length} is less than the longest sequence, {len(sizes)}")
    lengths = (np.arange(B) < sizes[:, None]).sum(0)
    order = np.arange(B) if sequence.sorted_indices is None else sequence.sorted_indices.array
    t, column = np.nonzero(np.arange(B) < sizes[:, None])
    mask = mask_of(lengths[np.argsort(order)], T)
    padded = unpack(sequence.data, t, order[column], T, B)
    if padding_value != 0:
        padded = where(Tensor(mask.reshape(mask.shape + (1,) * (padded.ndim - 2))), padded, padding_value)
    return padded.transpose(0, 1) if batch_first else padded, Tensor(mask.sum(0))


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (T_b, ...) side by side, filled up: (T, B, ...), or (B, T, ...) with `batch_first`."""
    if padding_side not in ("right", "left"):
        raise ValueError(f"padding_side: 'right' or 'left', not {padding_side!r}")
    sequences = list(sequences)
    if not sequences:
        raise ValueError("pad_sequence: expected at least one sequence")
    T = max(len(x) for x in sequences)
    columns = []
    for x in sequences:
        fill = x.new_full((T - len(x), *x.shape[1:]), padding_value)
        columns.append(cat([x, fill] if padding_side == "right" else [fill, x]))
    return stack(columns, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each with its own length."""
    columns = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [column[: int(n)].clone() for column, n in zip(columns, as_tensor(lengths).tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (T_b, ...)."""
    return pack_padded_sequence(
        pad_sequence(sequences), [len(x) for x in sequences], enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed batch."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
