"""Layers over time: `Recurrent` around any cells, stacked, both ways; RNN, LSTM and GRU with PyTorch's names.

T steps, B sequences, D inputs, H hidden units.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops import stack, zeros
from . import init
from .cells import Cell, GatedCell, GRUCell, LSTMCell, LSTMState, RNNCell, each
from .containers import ModuleList
from .loop import State, tensors_in, unroll_stack
from .loop import advance as advance
from .loop import unroll as unroll
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence, mask_of, pack, rows_of, unpack


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
        self.batch_first, self.dropout = batch_first, self._fraction(dropout)

    def _fraction(self, dropout: float) -> float:
        if not 0 <= dropout <= 1:
            raise ValueError(f"{type(self).__name__}: dropout must lie between 0 and 1, got {dropout}")
        if dropout and len(self.widths) == 1:
            warnings.warn(
                f"{type(self).__name__}: dropout={dropout} acts between layers, and there is only one",
                stacklevel=4,
            )
        return float(dropout)

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
            ys = unpack(data, where.t, where.b, T, B)
        return ys.transpose(0, 1) if self.batch_first else ys, last

    def _mask(self, lengths: Any, mask: Any, T: int, B: int) -> Any:
        if mask is None:
            found = mask_of(lengths, T)
        elif lengths is not None:
            raise ValueError("give lengths or mask, not both")
        else:
            found = np.asarray(mask).astype(bool)
            found = found.T if self.batch_first else found
        if found.shape != (T, B):
            what = "lengths" if mask is None else "mask"
            raise ValueError(f"{what}: for {found.shape} steps and sequences, the batch has {(T, B)}")
        return found

    def run_packed(self, packed: PackedSequence, states: list[State]) -> tuple[Tensor, list[State]]:
        """The layers over a PackedSequence; states in the order of the caller's columns."""
        there = packed.sorted_indices
        if there is not None:
            states = [None if s is None else each(lambda x: x[there], s) for s in states]
        data, last = self.run_rows(packed.data, packed.batch_sizes.tolist(), packed.batch_size, states)
        if there is None:
            return data, last
        back = there.argsort()  # unsorted_indices may not have been given
        return data, [each(lambda x: x[back], s) for s in last]

    def run_rows(
        self, data: Tensor, sizes: list[int], B: int, states: list[State]
    ) -> tuple[Tensor, list[State]]:
        """The layers over packed rows of B sequences; a missing state becomes the initial one here, once."""
        layers = self.layers()
        cells = [cell for layer in layers for cell in layer]
        whole = [cell.initial_state(B, data) if s is None else s for cell, s in zip(cells, states)]
        for s in tensors_in(tuple(whole)):
            if len(s) != B:
                raise RuntimeError(f"{type(self).__name__}: a state of {len(s)} rows for {B} sequences")
        return unroll_stack(layers, data, sizes, whole, self.dropout if self.training else 0.0, self.unroll)

    unroll = staticmethod(unroll)  # compile/ puts another one in its place


# --- PyTorch's layers


class RNNBase(Recurrent):
    """What RNN, LSTM and GRU share: PyTorch's parameters (`weight_ih_l0`, …, `_reverse`), stacked states."""

    cell: type[GatedCell]
    mode: str  # PyTorch's name of the layer

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
        if proj_size and not issubclass(self.cell, LSTMCell):
            raise ValueError(f"{name}: proj_size is an option of LSTM alone")
        if proj_size and not 0 < proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size {proj_size} must be less than hidden_size {hidden_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.widths = [1 + bidirectional] * num_layers
        self.dropout, self.proj_size = self._fraction(dropout), proj_size
        self._names: list[dict[str, str]] = []  # of each cell: its parameters' names there and here
        for layer in range(num_layers):
            D = (proj_size or hidden_size) * (1 + bidirectional) if layer else input_size
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + bidirectional]:
                shapes = self.cell.shapes(D, hidden_size, bias, proj_size)
                self._names.append({name: name + suffix for name in shapes})
                for name, shape in shapes.items():
                    weight = Parameter(zeros(shape, device=device, dtype=dtype))
                    self.register_parameter(name + suffix, weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def layers(self) -> list[list[Cell]]:
        """Cells over this layer's own weights, whatever stands under their names now."""
        cells = (self._cell(names) for names in self._names)
        return [[next(cells) for _ in range(width)] for width in self.widths]

    def _cell(self, names: dict[str, str]) -> Cell:
        own = self._parameters
        weights = {  # a plain tensor may stand in a parameter's place
            there: own[here] if here in own else getattr(self, here) for there, here in names.items()
        }
        absent = {} if self.bias else {"bias_ih": None, "bias_hh": None}
        return self.cell.over(**weights, **absent, **self._options())  # type: ignore[no-any-return]

    def _options(self) -> dict[str, Any]:
        return {"hidden_size": self.hidden_size}

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names.values()] for names in self._names]

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
        data, D, time = input.data if packed else input, self.input_size, int(self.batch_first)
        if data.ndim not in ((2,) if packed else (2, 3)) or data.shape[-1] != D:
            raise RuntimeError(
                f"{type(self).__name__}: input {data.shape} must be (T, B, {D}), (T, {D}) or a PackedSequence"
            )
        alone = not packed and data.ndim == 2
        xs = data.unsqueeze(1 - time) if alone else input
        batch = () if alone else (input.batch_size if packed else data.shape[1 - time],)
        states = [None] * sum(self.widths) if hx is None else self._split(hx, batch)
        output, last = self.run(xs, states, lengths, mask)
        state = each(lambda *s: stack(s) if len(s) > 1 else s[0].unsqueeze(0), *last)
        return (output.squeeze(1 - time), each(lambda s: s.squeeze(1), state)) if alone else (output, state)

    def _split(self, hx: Any, batch: tuple[int, ...]) -> list[State]:
        """The states of the cells, from a tensor (layers directions, *batch, H) of all."""
        return self._parts("hx", hx, batch, self.hidden_size)

    def _parts(self, name: str, state: Any, batch: tuple[int, ...], size: int) -> list[Tensor]:
        shape, found = (sum(self.widths), *batch, size), getattr(state, "shape", type(state).__name__)
        if found != shape:
            raise RuntimeError(f"{type(self).__name__}: {name} must have shape {shape}, got {found}")
        return list((state if batch else state.unsqueeze(1)).unbind(0))

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
        super().__init__(*args, **kwargs)
        self.nonlinearity, self.mode = nonlinearity, f"RNN_{nonlinearity.upper()}"

    def _options(self) -> dict[str, Any]:
        return {"hidden_size": self.hidden_size, "nonlinearity": self.nonlinearity}


class LSTM(RNNBase):
    """LSTMCell over time; the state is (h, c). With `proj_size` P, h has size P and outputs directions P."""

    cell = LSTMCell
    mode = "LSTM"

    def _split(self, hx: Any, batch: tuple[int, ...]) -> list[State]:
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise RuntimeError(f"LSTM: hx must be a pair (h, c), got {type(hx).__name__}")
        h = self._parts("h", hx[0], batch, self.proj_size or self.hidden_size)
        c = self._parts("c", hx[1], batch, self.hidden_size)
        return [LSTMState(*pair) for pair in zip(h, c)]


class GRU(RNNBase):
    """GRUCell over time, reset applied after the product."""

    cell = GRUCell
    mode = "GRU"
