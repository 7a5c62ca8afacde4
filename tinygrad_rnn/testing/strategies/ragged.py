"""Ragged batches: padded, packed, masked."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ...engine.tensor import Array, Tensor
from ...nn.utils.rnn import PackedSequence, pack_padded_sequence
from .arrays import arrays


def lengths(T: int, B: int) -> st.SearchStrategy[list[int]]:
    """B lengths between 0 and T."""
    return st.lists(st.integers(0, T), min_size=B, max_size=B)


def masks(T: int, B: int) -> st.SearchStrategy[Array]:
    """Which steps of which sequences count: any, not only those at the beginning."""
    return hnp.arrays(bool, (T, B))


@st.composite
def ragged_batches(
    draw: st.DrawFn, D: int = 2, max_T: int = 5, max_B: int = 4, padding: float = 0.0
) -> tuple[Array, list[int]]:
    """A padded batch (T, B, D) and its lengths; `padding` stands where no step is."""
    T, B = draw(st.integers(0, max_T)), draw(st.integers(1, max_B))
    xs, chosen = draw(arrays((T, B, D), any_layout=False)), draw(lengths(T, B))
    xs[np.arange(T)[:, None] >= np.asarray(chosen)] = padding
    return xs, chosen


@st.composite
def packed_sequences(draw: st.DrawFn, /, **options: Any) -> PackedSequence:
    """PackedSequences, of `ragged_batches(**options)`."""
    xs, chosen = draw(ragged_batches(**options))
    return pack_padded_sequence(Tensor(xs), chosen, enforce_sorted=False)
