"""Time: the one loop that drives any cell, and the layers made of it.

`unroll` runs one cell over packed rows (see utils/rnn.py), forwards or backwards in time. `Recurrent`
stacks cells, both directions too; RNN, LSTM and GRU are `Recurrent` around our cells, with PyTorch's names.

T steps, B sequences, D inputs, H hidden units; N rows in all, sizes[t] of them at step t.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..ops import cat, stack, zeros
from ..tensor import Tensor
from . import init
from .cells import Cell, GatedCell, GRUCell, LSTMCell, LSTMState, RNNCell, Step
from .containers import ModuleList
from .functional import dropout
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence, mask_of, pack, rows_of, unpack

State = Any  # a tensor (B, ...), or a (named) tuple of states


# --- states, and the rows of them


def each(f: Any, *states: State) -> State:
    """`f` of corresponding tensors, in the form of the states."""
    if not isinstance(states[0], tuple):
        return f(*states)
    parts = [each(f, *parts) for parts in zip(*states)]
    return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)


def rows(state: State, start: int, end: int) -> State:
    """Rows start … end - 1 of a state."""
    return each(lambda s: s[start:end], state)


def joined(states: list[State]) -> State:
    """States below one another."""
    return states[0] if len(states) == 1 else each(lambda *s: cat(s), *states)


def size_of(state: State) -> int:
    """The number of rows."""
    while isinstance(state, tuple):
        state = state[0]
    return len(state)


# --- the loop


def unroll(
    cell: Cell, data: Tensor, sizes: Sequence[int], state: State = None, reverse: bool = False
) -> tuple[Any, State]:
    """Run `cell` over packed rows: outputs (N, ...) in the same order, and every sequence's last state.

    data (N, ...): the rows of step 0, then of step 1, …; sizes[t]: how many step t has, never more than
    step t - 1. `state` has a row for each sequence, in the order of the rows; sequences without a row
    keep theirs. With `reverse`, each sequence is read from its own last step to its first.
    """
    whole = cell.initial_state(sizes[0] if len(sizes) else 0, data) if state is None else state
    a = cell.project(data)
    if not len(sizes):
        return advance(cell, a, rows(whole, 0, 0))[0], whole
    n = sizes[-1] if reverse else size_of(whole)
    live, finished = (rows(whole, 0, n), [rows(whole, sizes[0], size_of(whole))]) if reverse else (whole, [])
    ends = np.cumsum(sizes).tolist()
    ys: list[Any] = [None] * len(sizes)
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        if sizes[t] < n:
            finished.append(rows(live, sizes[t], n))
            live = rows(live, 0, sizes[t])
        elif sizes[t] > n:
            live = joined([live, rows(whole, n, sizes[t])])
        n = sizes[t]
        ys[t], live = advance(cell, rows(a, ends[t] - n, ends[t]), live)
    return each(lambda *y: cat(y), *ys), joined([live, *(s for s in reversed(finished) if size_of(s))])


def advance(cell: Cell, a: Any, state: State) -> tuple[Any, State]:
    """One step: output and next state. Unless the cell says otherwise, the (first) state is the output."""
    result = cell.step(a, state)
    if isinstance(result, Step):
        return result
    return (result[0] if isinstance(result, tuple) else result), result


def unroll_stack(
    layers: Sequence[Sequence[Cell]], data: Tensor, sizes: Sequence[int], states: Sequence[State], drop: float
) -> tuple[Tensor, list[State]]:
    """Layers on top of each other, each of one cell or of two (forwards, backwards) side by side."""
    last: list[State] = []
    for k, cells in enumerate(layers):
        data = dropout(data, drop) if k and drop else data
        ys = []
        for reverse, cell in enumerate(cells):
            y, state = unroll(cell, data, sizes, states[len(last)], bool(reverse))
            ys.append(y)
            last.append(state)
        data = ys[0] if len(ys) == 1 else cat(ys, -1)
    return data, last


# --- any cell over time


class Recurrent(Module):
    """Any cells over time: `Recurrent(cell)`, stacked `Recurrent([a, b])`, both ways `Recurrent([(a, b)])`.

    Called with xs (T, B, ...), or (B, T, ...) with `batch_first`, or a PackedSequence; a list of initial
    states, one for each cell in order (for a single cell, its state itself); and, for a padded batch,
    either `lengths` (B,) or `mask` (T, B) (laid out as xs is): what does not count changes nothing.
    Returns the outputs, zeros where there is no step, and the last states in the form they are given in.
    """

    def __init__(self, cells: Any, batch_first: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.single = isinstance(cells, Cell)
        layers = [c if isinstance(c, (tuple, list)) else (c,) for c in ([cells] if self.single else cells)]
        if not layers or any(len(layer) not in (1, 2) for layer in layers):
            raise ValueError(
                "Recurrent: each layer is one cell, or a pair (forwards, backwards); at least one layer"
            )
        self.cells = ModuleList([cell for layer in layers for cell in layer])
        self.widths = [len(layer) for layer in layers]
        self.batch_first, self.dropout = batch_first, dropout

    def layers(self) -> list[list[Cell]]:
        """The cells, layer by layer."""
        cells: Iterator[Any] = iter(self.cells)
        return [[next(cells) for _ in range(width)] for width in self.widths]

    def forward(
        self, input: Any, state: Any = None, *, lengths: Any = None, mask: Any = None
    ) -> tuple[Any, Any]:
        """The outputs and the last states."""
        count = sum(self.widths)
        states = [None] * count if state is None else [state] if self.single else list(state)
        if len(states) != count:
            raise ValueError(f"Recurrent: {len(states)} initial states given for {count} cells")
        output, last = self.run(input, states, lengths, mask)
        return output, last[0] if self.single else last

    def run(
        self, input: Any, states: list[State], lengths: Any = None, mask: Any = None
    ) -> tuple[Any, list[State]]:
        """Bring any form of input to packed rows, run the layers, and bring the outputs back to that form."""
        if isinstance(input, PackedSequence):
            if lengths is not None or mask is not None:
                raise ValueError("a PackedSequence knows its lengths: give neither lengths nor mask")
            data, last = self.run_packed(input, states)
            return input._replace(data=data), last
        xs = input.transpose(0, 1) if self.batch_first else input
        T, B = xs.shape[:2]
        if lengths is None and mask is None:
            data, last = self.run_rows(xs.reshape(T * B, *xs.shape[2:]), [B] * T, B, states)
            ys = data.reshape(T, B, *data.shape[1:])
        else:
            where = rows_of(self._mask(lengths, mask, T, B))
            data, last = self.run_packed(pack(xs, where), states)
            ys = unpack(data, where, T, B)
        return ys.transpose(0, 1) if self.batch_first else ys, last

    def _mask(self, lengths: Any, mask: Any, T: int, B: int) -> Any:
        if mask is None:
            found = mask_of(lengths, T)
        elif lengths is not None:
            raise ValueError("give lengths or mask, not both")
        else:
            found = np.asarray(mask.array if isinstance(mask, Tensor) else mask).astype(bool)
            found = found.T if self.batch_first else found
        if found.shape != (T, B):
            raise ValueError(
                f"{'lengths' if mask is None else 'mask'}: {found.shape} steps and sequences, the batch has {(T, B)}"
            )
        return found

    def run_packed(self, packed: PackedSequence, states: list[State]) -> tuple[Tensor, list[State]]:
        """The layers over a PackedSequence; states in the order of the caller's columns."""
        there, back = packed.sorted_indices, packed.unsorted_indices
        if there is not None:
            states = [None if s is None else each(lambda x: x[there], s) for s in states]
        data, last = self.run_rows(packed.data, packed.batch_sizes.tolist(), packed.batch_size, states)
        return data, last if back is None else [each(lambda x: x[back], s) for s in last]

    def run_rows(
        self, data: Tensor, sizes: list[int], B: int, states: list[State]
    ) -> tuple[Tensor, list[State]]:
        """The layers over packed rows of B sequences; a missing state becomes the initial one here, once."""
        layers = self.layers()
        cells = [cell for layer in layers for cell in layer]
        whole = [cell.initial_state(B, data) if s is None else s for cell, s in zip(cells, states)]
        for state in whole:
            if size_of(state) != B:
                raise RuntimeError(
                    f"{type(self).__name__}: a state of {size_of(state)} rows for {B} sequences"
                )
        return unroll_stack(layers, data, sizes, whole, self.dropout if self.training else 0.0)


# --- PyTorch's layers


class RNNBase(Recurrent):
    """What RNN, LSTM and GRU share: PyTorch's parameters (`weight_ih_l0`, …, `_reverse`), stacked states."""

    cell: type[GatedCell]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        Module.__init__(self)
        name = type(self).__name__
        if num_layers < 1:
            raise ValueError(f"{name}: num_layers must be at least 1, got {num_layers}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must lie between 0 and 1, got {dropout}")
        if not 0 <= proj_size < hidden_size and proj_size:
            raise ValueError(
                f"{name}: proj_size must be less than hidden_size {hidden_size}, got {proj_size}"
            )
        self.input_size, self.hidden_size, self.num_layers, self.bias = (
            input_size,
            hidden_size,
            num_layers,
            bias,
        )
        self.batch_first, self.dropout, self.bidirectional, self.proj_size = (
            batch_first,
            float(dropout),
            bidirectional,
            proj_size,
        )
        self.widths = [1 + bidirectional] * num_layers
        for layer, reverse in self._cells():
            D = input_size if layer == 0 else (proj_size or hidden_size) * (1 + bidirectional)
            for weight, shape in self.cell.shapes(D, hidden_size, bias, proj_size).items():
                self.register_parameter(
                    weight + _suffix(layer, reverse), Parameter(zeros(shape, device=device, dtype=dtype))
                )
        self.reset_parameters()

    def _cells(self) -> Iterator[tuple[int, bool]]:
        return ((layer, bool(r)) for layer in range(self.num_layers) for r in range(1 + self.bidirectional))

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def layers(self) -> list[list[Cell]]:
        """Cells over this layer's own weights, whatever stands under their names now."""
        return [[self._cell(k, bool(r)) for r in range(width)] for k, width in enumerate(self.widths)]

    def _cell(self, layer: int, reverse: bool) -> Cell:
        suffix = _suffix(layer, reverse)
        weights = {
            name: getattr(self, name + suffix) for name in self.cell.shapes(1, 1, self.bias, self.proj_size)
        }
        absent = {} if self.bias else {"bias_ih": None, "bias_hh": None}
        return self.cell.over(**weights, **absent, **self._options())  # type: ignore[no-any-return]

    def _options(self) -> dict[str, Any]:
        return {"hidden_size": self.hidden_size}

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        names = self.cell.shapes(1, 1, self.bias, self.proj_size)
        return [[getattr(self, name + _suffix(*cell)) for name in names] for cell in self._cells()]

    def flatten_parameters(self) -> None:
        """Nothing to do: there is no second copy of the weights to bring up to date."""

    def forward(
        self, input: Any, hx: Any = None, *, lengths: Any = None, mask: Any = None
    ) -> tuple[Any, Any]:
        """Outputs (T, B, directions H) and last states (layers directions, B, H), from input (T, B, D).

        With `batch_first` batches are (B, T, ...), the states are not. Unbatched input (T, D) has states
        without B. A PackedSequence gives one. `lengths` or `mask` as in Recurrent.
        """
        packed = isinstance(input, PackedSequence)
        data = input.data if packed else input
        D = self.input_size
        if data.ndim not in ((2,) if packed else (2, 3)) or data.shape[-1] != D:
            raise RuntimeError(
                f"{type(self).__name__}: input {data.shape} must be (T, B, {D}), (T, {D}) or a PackedSequence"
            )
        if not packed and data.ndim == 2:
            batch = 0 if self.batch_first else 1
            states = None if hx is None else each(lambda s: s.unsqueeze(1), hx)
            output, last = self.forward(data.unsqueeze(batch), states, lengths=lengths, mask=mask)
            return output.squeeze(batch), each(lambda s: s.squeeze(1), last)
        B = input.batch_size if packed else data.shape[0 if self.batch_first else 1]
        output, last = self.run(
            input, [None] * sum(self.widths) if hx is None else self._split(hx, B), lengths, mask
        )
        return output, each(lambda *s: stack(s), *last)

    def _split(self, hx: Any, B: int) -> list[State]:
        """The states of the cells, from tensors (layers directions, B, H) of all."""
        count = sum(self.widths)
        self._check_state("hx", hx, (count, B, self.hidden_size))
        return list(hx.unbind(0))

    def _check_state(self, name: str, state: Any, shape: tuple[int, ...]) -> None:
        found = getattr(state, "shape", type(state).__name__)
        if found != shape:
            raise RuntimeError(f"{type(self).__name__}: {name} must have shape {shape}, got {found}")

    def extra_repr(self) -> str:
        """The sizes, and what is not the default."""
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
        }
        more = [f"{k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *more])


def _suffix(layer: int, reverse: bool) -> str:
    return f"_l{layer}" + ("_reverse" if reverse else "")


class RNN(RNNBase):
    """RNNCell over time: h' = φ(W_ih x + b_ih + W_hh h + b_hh), φ being tanh or relu.

    >>> import tinygrad_rnn as tg
    >>> rnn = tg.nn.RNN(input_size=3, hidden_size=5, num_layers=2)
    >>> ys, h = rnn(tg.randn(7, 4, 3))
    >>> ys.shape, h.shape
    ((7, 4, 5), (2, 4, 5))
    """

    cell = RNNCell

    def __init__(self, *args: Any, nonlinearity: str = "tanh", **kwargs: Any) -> None:
        if len(args) > 3 and isinstance(args[3], str):  # PyTorch's fourth argument
            nonlinearity, args = args[3], args[:3] + args[4:]
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        if kwargs.get("proj_size"):
            raise ValueError("RNN: proj_size is an option of LSTM alone")
        super().__init__(*args, **kwargs)
        self.nonlinearity = nonlinearity

    def _options(self) -> dict[str, Any]:
        return {"hidden_size": self.hidden_size, "nonlinearity": self.nonlinearity}


class LSTM(RNNBase):
    """LSTMCell over time; the state is (h, c). With `proj_size` P, h has size P and outputs directions P."""

    cell = LSTMCell

    def _split(self, hx: Any, B: int) -> list[State]:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise RuntimeError(f"LSTM: hx must be a pair (h, c), got {type(hx).__name__}")
        count = sum(self.widths)
        self._check_state("h", hx[0], (count, B, self.proj_size or self.hidden_size))
        self._check_state("c", hx[1], (count, B, self.hidden_size))
        return [LSTMState(h, c) for h, c in zip(hx[0].unbind(0), hx[1].unbind(0))]


class GRU(RNNBase):
    """GRUCell over time, reset applied after the product."""

    cell = GRUCell

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("proj_size"):
            raise ValueError("GRU: proj_size is an option of LSTM alone")
        super().__init__(*args, **kwargs)
