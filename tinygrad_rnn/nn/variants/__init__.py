"""Recurrent cells that people have made of the RNN, the LSTM and the GRU, with their papers and equations.

All are `Cell`s: `nn.Recurrent(cell)` runs them over time, stacked, both ways, ragged. They are made so:

    cell(input_size, hidden_size, bias=True, device=None, dtype=None)

input_size D and hidden_size H; bias: whether there are b_…; device and dtype: of the parameters. They are
called as `cell(x, state)` with x (B, D) or (D,) and the state in the form that the cell returns, zeros by
default. Weights are PyTorch's: weight_ih (gates H, D), weight_hh (gates H, H), bias_ih and bias_hh (gates H),
gate after gate in the order of the equations, uniform in ±1/√H; gains of a layer normalisation begin at 1.
"""

from .conv import ConvLSTMCell
from .gru import LayerNormGRUCell, MGUCell, ResetBeforeGRUCell
from .lstm import CIFGCell, LayerNormLSTMCell, PeepholeLSTMCell, SLSTMCell, SLSTMState
from .simple import ClockworkRNNCell, ClockworkState, IndRNNCell, SRUCell

__all__ = [
    "CIFGCell",
    "ClockworkRNNCell",
    "ClockworkState",
    "ConvLSTMCell",
    "IndRNNCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MGUCell",
    "PeepholeLSTMCell",
    "ResetBeforeGRUCell",
    "SLSTMCell",
    "SLSTMState",
    "SRUCell",
]
