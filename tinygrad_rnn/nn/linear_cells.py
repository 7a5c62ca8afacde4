"""Cells that are linear in their state, as `Cell`s: their layers over time, by a scan, are in scan.py.

    h' = f ∘ h + v        f and v depend on the input alone

T steps, B sequences, D inputs, H hidden units; N rows of inputs of all steps; σ the logistic function.
"""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops import sigmoid, tanh
from .cells import GatedCell, Step
from .functional import linear_recurrence, logsigmoid


class LinearCell(GatedCell):
    """A cell with h' = f ∘ h + v: subclasses define `coefficients`, and `output` if that is not h'.

    Parameters: weight_ih (gates H, D), bias_ih (gates H), gate after gate, uniform in ±1/√H. No weight acts
    on the state.
    """

    @classmethod
    def shapes(
        cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0
    ) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes."""
        found = super().shapes(input_size, hidden_size, bias, proj_size)
        return {name: shape for name, shape in found.items() if name.endswith("_ih")}

    def coefficients(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """(f, v) of h' = f ∘ h + v, (N, H) each, from projected inputs a (N, gates H)."""
        raise NotImplementedError(f"{type(self).__name__}: define coefficients(a)")

    def output(self, a: Any, h: Any) -> Tensor:
        """The output, from projected inputs and the states after them: h itself."""
        return h  # type: ignore[no-any-return]

    def step(self, a: Any, h: Any) -> Any:
        """h' from a = W x + b (B, gates H) and h (B, H)."""
        f, v = self.coefficients(a)
        return f * h + v

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.hidden_size

    def run(self, a: Any, h: Any, mask: Tensor | None, reverse: bool) -> Any:
        """The states after all steps, (T, B, H), from a (T, B, gates H) and the first state h (B, H).

        mask (T, B, 1): the steps that count; at others the state stays as it is. None: all of them.
        """
        f, v = self.coefficients(a)
        if mask is not None:
            f, v = f.masked_fill(~mask, 1.0), v.masked_fill(~mask, 0.0)
        return linear_recurrence(f, v, h, reverse)


class MinGRUCell(LinearCell):
    """minGRU, a GRU whose gates do not see the state (Feng et al. 2024, "Were RNNs All We Needed?", § 3.1):

        z  = σ(W_iz x + b_iz)              update gate
        n  = W_in x + b_in                 candidate
        h' = (1 - z) ∘ h + z ∘ n

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are b_iz and b_in.
        device, dtype: of the parameters.

    Called with x (B, D) or (D,) and h (B, H) or (H,), zeros by default; returns h'. Parameters weight_ih
    (2H, D) and bias_ih (2H,): the rows of z, then of n. Over time: `MinGRU`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MinGRUCell(3, 5)(tg.randn(4, 3)).shape
    (4, 5)
    """

    gates = 2
    write_gate = 0  # z

    def coefficients(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """1 - z and z ∘ n."""
        a_z, n = a.chunk(2, -1)
        z = sigmoid(a_z)
        return 1 - z, z * n


class MinLSTMCell(LinearCell):
    """minLSTM, an LSTM whose gates do not see the state and sum to 1 (Feng et al. 2024, § 3.2):

        f  = σ(W_if x + b_if)              forget gate
        i  = σ(W_ii x + b_ii)              input gate
        n  = W_in x + b_in                 candidate
        h' = f / (f + i) ∘ h + i / (f + i) ∘ n

    f / (f + i) is computed as σ(ln f - ln i), which holds where both gates are 0 in floating point.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are b_if, b_ii and b_in.
        device, dtype: of the parameters.

    Called with x (B, D) or (D,) and h (B, H) or (H,), zeros by default; returns h'. Parameters weight_ih
    (3H, D) and bias_ih (3H,): the rows of f, i, n. Over time: `MinLSTM`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MinLSTMCell(3, 5)(tg.randn(4, 3)).shape
    (4, 5)
    """

    gates = 3
    keep_gate, write_gate = 0, 1  # f, i

    def coefficients(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """f / (f + i) and i / (f + i) ∘ n."""
        a_f, a_i, n = a.chunk(3, -1)
        log_ratio = logsigmoid(a_f) - logsigmoid(a_i)
        return sigmoid(log_ratio), sigmoid(-log_ratio) * n


class QRNNCell(LinearCell):
    """Quasi-recurrent network with fo-pooling and a window of one step (Bradbury et al. 2017, eq. 3 and 4):

        z  = tanh(W_iz x + b_iz)           candidate
        f  = σ(W_if x + b_if)              forget gate
        o  = σ(W_io x + b_io)              output gate
        c' = f ∘ c + (1 - f) ∘ z
        h  = o ∘ c'                        the output; the state is c

    For a window of k steps put `nn.Conv1d` in front of it.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are biases.
        device, dtype: of the parameters.

    Called with x (B, D) or (D,) and c (B, H) or (H,), zeros by default; returns Step(h, c'). Parameters
    weight_ih (3H, D) and bias_ih (3H,): the rows of z, f, o. Over time: `QRNN`.

    >>> import tinygrad_rnn as tg
    >>> h, c = tg.nn.QRNNCell(3, 5)(tg.randn(4, 3))
    >>> h.shape, c.shape
    ((4, 5), (4, 5))
    """

    gates = 3
    keep_gate = 1  # f

    def coefficients(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """f and (1 - f) ∘ z."""
        a_z, a_f, _ = a.chunk(3, -1)
        f = sigmoid(a_f)
        return f, (1 - f) * tanh(a_z)

    def output(self, a: Tensor, c: Tensor) -> Tensor:
        """o ∘ c"""
        return sigmoid(a.chunk(3, -1)[2]) * c

    def step(self, a: Tensor, c: Tensor) -> Step:
        """h and c' from a = W x + b (B, 3H) and c (B, H)."""
        c = super().step(a, c)
        return Step(self.output(a, c), c)
