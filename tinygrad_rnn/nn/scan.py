"""Layers whose recurrence is linear, so that their states come from a scan instead of a loop over time.

Each is `Recurrent` around its cells, with the same parameters, states and results: what differs is `unroll`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .cells import Cell, each
from .linear_cells import LinearCell, MinGRUCell, MinLSTMCell, QRNNCell
from .loop import size_of, unroll
from .lru import LRUCell
from .recurrent import Recurrent
from .utils.rnn import unpack


def scan(
    cell: Cell, data: Tensor, sizes: Sequence[int], state: Any = None, reverse: bool = False
) -> tuple[Any, Any]:
    """Run a cell over packed rows as `unroll` does, but a LinearCell with all steps at once.

    Args:
        cell: the cell; one that is no LinearCell is run step by step.
        data: packed rows (N, D): those of step 0, then of step 1, …
        sizes: how many rows each step has, never more than the step before.
        state: a row for each sequence, in the order of the rows; default: the cell's initial state.
        reverse: read each sequence from its last step to its first.

    Returns:
        The outputs (N, …), and every sequence's last state.
    """
    T = len(sizes)
    if not T or not isinstance(cell, LinearCell):
        return unroll(cell, data, sizes, state, reverse)
    h = cell.initial_state(sizes[0], data) if state is None else state
    B, a, mask = size_of(h), cell.project(data), None
    if min(sizes) == B:
        hs = cell.run(each(lambda x: x.reshape(T, B, *x.shape[1:]), a), h, None, reverse)
        rows = each(lambda s: s.reshape(T * B, *s.shape[2:]), hs)
    else:
        exists = np.arange(B) < np.asarray(sizes)[:, None]
        t, b = np.nonzero(exists)
        mask = Tensor(exists[:, :, None])
        hs = cell.run(each(lambda x: unpack(x, t, b, T, B), a), h, mask, reverse)
        rows = each(lambda s: s[t, b], hs)
    return cell.output(a, rows), each(lambda s: s[0 if reverse else -1], hs)


class LinearRNN(Recurrent):
    """What MinGRU, MinLSTM, QRNN and LRU share: cells over time by a scan.

    Args:
        input_size: D.
        hidden_size: H.
        num_layers: how many layers stand on top of each other.
        batch_first: batches are (B, T, …) instead of (T, B, …).
        dropout: the fraction dropped between layers in training.
        bidirectional: in each layer a second cell reads from the last step to the first.
        options: of the cell: `bias` (default True), `device`, `dtype`; of LRU the ring.

    Called as `Recurrent`: `layer(xs, state, lengths=, mask=)` with xs (T, B, D), or a PackedSequence; returns
    the outputs (T, B, directions × width) and the last state: of one cell (B, H), of several a list, layer by
    layer. `state_dict` is that of `Recurrent` of the same cells.
    """

    cell: type[LinearCell]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **options: Any,
    ) -> None:
        if num_layers < 1:
            raise ValueError(f"{type(self).__name__}: num_layers must be at least 1, got {num_layers}")
        layers, D = [], input_size
        for _ in range(num_layers):
            layers.append(tuple(self.cell(D, hidden_size, **options) for _ in range(1 + bidirectional)))
            D = sum(cell.output_size for cell in layers[-1])
        one = num_layers == 1 and not bidirectional
        super().__init__(layers[0][0] if one else layers, batch_first, dropout)

    unroll = staticmethod(scan)


class MinGRU(LinearRNN):
    """MinGRUCell over time, by a scan: z = σ(W_iz x + b_iz), h' = (1 - z) ∘ h + z ∘ (W_in x + b_in).

    >>> import tinygrad_rnn as tg
    >>> ys, h = tg.nn.MinGRU(3, 5)(tg.randn(4000, 2, 3))
    >>> ys.shape, h.shape
    ((4000, 2, 5), (2, 5))
    """

    cell = MinGRUCell


class MinLSTM(LinearRNN):
    """MinLSTMCell over time, by a scan: h' = f / (f + i) ∘ h + i / (f + i) ∘ (W_in x + b_in)."""

    cell = MinLSTMCell


class QRNN(LinearRNN):
    """QRNNCell over time, by a scan: c' = f ∘ c + (1 - f) ∘ z, outputs o ∘ c'."""

    cell = QRNNCell


class LRU(LinearRNN):
    """LRUCell over time, by a scan: h' = λ ∘ h + exp(γ) ∘ (B x), outputs Re(C h') + d ∘ x of size D.

    >>> import tinygrad_rnn as tg
    >>> ys, (re, im) = tg.nn.LRU(3, 5, r_min=0.9, max_phase=0.3)(tg.randn(100, 2, 3))
    >>> ys.shape, re.shape
    ((100, 2, 3), (2, 5))
    """

    cell = LRUCell
