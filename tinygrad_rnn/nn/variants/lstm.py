"""LSTMs with peepholes, coupled gates, layer normalisation, and exponential gates.

B sequences, D inputs, H hidden units; σ the logistic function; b_i stands for b_ii + b_hi, and so on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ...engine.tensor import Tensor
from ...ops import exp, maximum, sigmoid, tanh, where, zeros
from .. import init
from ..cells import GatedCell, LSTMCell, LSTMState
from ..functional import layer_norm, linear, logsigmoid

Shapes = dict[str, tuple[int, ...]]


class PeepholeLSTMCell(LSTMCell):
    """LSTM whose gates see the cell state (Gers & Schmidhuber 2000; Graves 2013, eq. 7-11):

        i  = σ(W_ii x + W_hi h + p_i ∘ c + b_i)        input gate
        f  = σ(W_if x + W_hf h + p_f ∘ c + b_f)        forget gate
        g  = tanh(W_ig x + W_hg h + b_g)               candidate
        c' = f ∘ c + i ∘ g
        o  = σ(W_io x + W_ho h + p_o ∘ c' + b_o)       output gate, which sees the new state
        h' = o ∘ tanh(c')

    weight_ch (3, H): p_i, p_f, p_o. The state is (h, c).

    >>> import tinygrad_rnn as tg
    >>> h, c = tg.nn.PeepholeLSTMCell(3, 5)(tg.randn(4, 3))
    >>> h.shape, c.shape
    ((4, 5), (4, 5))
    """

    @classmethod
    def shapes(cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0) -> Shapes:
        """The parameters' names and shapes."""
        return super().shapes(input_size, hidden_size, bias) | {"weight_ch": (3, hidden_size)}

    def step(self, a: Tensor, state: Any) -> LSTMState:
        """h', c' from a = W_i x + b_i (B, 4H) and the state (h, c)."""
        h, c = state
        p_i, p_f, p_o = self.weight_ch
        a_i, a_f, a_g, a_o = (a + self.recur(h)).chunk(4, -1)
        i = sigmoid(a_i + p_i * c)
        f = sigmoid(a_f + p_f * c)
        g = tanh(a_g)
        c = f * c + i * g
        o = sigmoid(a_o + p_o * c)
        return LSTMState(o * tanh(c), c)


class CIFGCell(LSTMCell):
    """LSTM with coupled gates, i = 1 - f (Greff et al. 2017, "LSTM: A Search Space Odyssey"):

        f  = σ(W_if x + W_hf h + b_f)                  forget gate
        g  = tanh(W_ig x + W_hg h + b_g)               candidate
        o  = σ(W_io x + W_ho h + b_o)                  output gate
        c' = f ∘ c + (1 - f) ∘ g
        h' = o ∘ tanh(c')

    The state is (h, c); |c| stays below 1 once it is.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.CIFGCell(3, 5).weight_ih.shape
    (15, 3)
    """

    gates = 3
    write_gate, keep_gate = None, 0  # f

    def step(self, a: Tensor, state: Any) -> LSTMState:
        """h', c' from a = W_i x + b_i (B, 3H) and the state (h, c)."""
        h, c = state
        a_f, a_g, a_o = (a + self.recur(h)).chunk(3, -1)
        f = sigmoid(a_f)
        c = f * c + (1 - f) * tanh(a_g)
        return LSTMState(sigmoid(a_o) * tanh(c), c)


class LayerNormLSTMCell(LSTMCell):
    """LSTM with layer normalisation (Ba et al. 2016, "Layer Normalization", eq. 20-22):

        i, f, g, o = N(W_i x) ∘ s_i + b_i + N(W_h h) ∘ s_h + b_h
        c' = σ(f) ∘ c + σ(i) ∘ tanh(g)
        h' = σ(o) ∘ tanh(N(c') ∘ s_c + b_c)

    N(y) = (y - mean y) / √(var y + eps), over all 4H numbers of a row (over H for c'). gain_ih and gain_hh
    (4H,) are s_i and s_h; gain_c and bias_c (H,). The state is (h, c).

    >>> import tinygrad_rnn as tg
    >>> tg.nn.LayerNormLSTMCell(3, 5)(tg.randn(4, 3)).h.shape
    (4, 5)
    """

    eps = 1e-5

    @classmethod
    def shapes(cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0) -> Shapes:
        """The parameters' names and shapes."""
        H = hidden_size
        more: Shapes = {"gain_ih": (4 * H,), "gain_hh": (4 * H,), "gain_c": (H,)}
        return super().shapes(input_size, H, bias) | more | ({"bias_c": (H,)} if bias else {})

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        if not bias:
            self.register_parameter("bias_c", None)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H; gains 1."""
        super().reset_parameters()
        for gain in (self.gain_ih, self.gain_hh, self.gain_c):
            init.ones_(gain)

    def project(self, xs: Tensor) -> Tensor:
        """N(W_i x) ∘ s_i + b_i: (N, D) -> (N, 4H)."""
        y = linear(xs, self.weight_ih)
        return layer_norm(y, y.shape[-1:], self.gain_ih, self.bias_ih, self.eps)

    def recur(self, h: Tensor) -> Tensor:
        """N(W_h h) ∘ s_h + b_h: (B, H) -> (B, 4H)."""
        y = linear(h, self.weight_hh)
        return layer_norm(y, y.shape[-1:], self.gain_hh, self.bias_hh, self.eps)

    def step(self, a: Tensor, state: Any) -> LSTMState:
        """h', c' from a = N(W_i x) ∘ s_i + b_i (B, 4H) and the state (h, c)."""
        h, c = state
        a_i, a_f, a_g, a_o = (a + self.recur(h)).chunk(4, -1)
        c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
        normal = layer_norm(c, c.shape[-1:], self.gain_c, self.bias_c, self.eps)
        return LSTMState(sigmoid(a_o) * tanh(normal), c)


class SLSTMState(NamedTuple):
    """The state of an sLSTM, (B, H) each: output h, cell c, normaliser n, and the stabiliser m, a logarithm.

    c and n are kept divided by eᵐ.
    """

    h: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


class SLSTMCell(GatedCell):
    """sLSTM: exponential gates, normalised and stabilised (Beck et al. 2024, "xLSTM", eq. 8-17):

        z  = tanh(W_iz x + W_hz h + b_z)               candidate
        ĩ  = W_ii x + W_hi h + b_i                     logarithm of the input gate
        f̃  = ln σ(W_if x + W_hf h + b_f)               logarithm of the forget gate
        o  = σ(W_io x + W_ho h + b_o)                  output gate
        m' = max(f̃ + m, ĩ)                             ĩ if n = 0: nothing is stored yet
        i, f = exp(ĩ - m'), exp(f̃ + m - m')            at most 1
        c' = f ∘ c + i ∘ z
        n' = f ∘ n + i
        h' = o ∘ c' / n'

    h' does not depend on m, which only keeps the exponentials within range. The state is (h, c, n, m).

    >>> import tinygrad_rnn as tg
    >>> tg.nn.SLSTMCell(3, 5)(tg.randn(4, 3)).h.shape
    (4, 5)
    """

    gates = 4
    states = 4
    keep_gate = 2  # f

    def initial_state(self, batch_size: int, like: Tensor) -> SLSTMState:
        """Zeros."""
        return SLSTMState(*(zeros(batch_size, self.hidden_size, dtype=like.dtype) for _ in range(4)))

    def step(self, a: Tensor, state: Any) -> SLSTMState:
        """The next state from a = W_i x + b_i (B, 4H) and the state (h, c, n, m)."""
        h, c, n, m = state
        a_z, log_i, a_f, a_o = (a + self.recur(h)).chunk(4, -1)
        before = where(n == 0, log_i, logsigmoid(a_f) + m)
        m = maximum(before, log_i)
        i = exp(log_i - m)
        f = exp(before - m)
        c = f * c + i * tanh(a_z)
        n = f * n + i
        return SLSTMState(sigmoid(a_o) * c / n, c, n, m)
