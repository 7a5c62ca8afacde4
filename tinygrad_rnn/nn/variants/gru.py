"""GRUs with the reset before the product, with one gate, and with layer normalisation.

B sequences, D inputs, H hidden units; σ the logistic function; b_r stands for b_ir + b_hr, and so on.
"""

from __future__ import annotations

from typing import Any

from ...engine.tensor import Tensor
from ...ops import cat, sigmoid, tanh
from .. import init
from ..cells import GatedCell
from ..functional import layer_norm, linear


def part(x: Any, start: int, end: int) -> Any:
    """Rows start … end - 1 of a weight or bias; None if there is none."""
    return None if x is None else x[start:end]


class ResetBeforeGRUCell(GatedCell):
    """GRU with the reset before the product (Cho et al. 2014, eq. 5-8; Keras' `reset_after=False`):

        r  = σ(W_ir x + W_hr h + b_r)                  reset gate
        z  = σ(W_iz x + W_hz h + b_z)                  update gate
        n  = tanh(W_in x + W_hn (r ∘ h) + b_n)         candidate
        h' = (1 - z) ∘ n + z ∘ h

    >>> import tinygrad_rnn as tg
    >>> tg.nn.ResetBeforeGRUCell(3, 5)(tg.randn(4, 3)).shape
    (4, 5)
    """

    gates = 3
    keep_gate = 1  # z

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = W_i x + b_i (B, 3H) and h (B, H)."""
        H, W, b = self.hidden_size, self.weight_hh, self.bias_hh
        a_r, a_z, a_n = a.chunk(3, -1)
        h_r, h_z = linear(h, W[: 2 * H], part(b, 0, 2 * H)).chunk(2, -1)
        r = sigmoid(a_r + h_r)
        z = sigmoid(a_z + h_z)
        n = tanh(a_n + linear(r * h, W[2 * H :], part(b, 2 * H, 3 * H)))
        return (1 - z) * n + z * h


class MGUCell(GatedCell):
    """Minimal gated unit: one gate forgets and resets (Zhou et al. 2016, eq. 7):

        f  = σ(W_if x + W_hf h + b_f)                  forget gate
        n  = tanh(W_in x + W_hn (f ∘ h) + b_n)         candidate
        h' = (1 - f) ∘ h + f ∘ n

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MGUCell(3, 5).weight_hh.shape
    (10, 5)
    """

    gates = 2
    write_gate = 0  # f

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = W_i x + b_i (B, 2H) and h (B, H)."""
        H, W, b = self.hidden_size, self.weight_hh, self.bias_hh
        a_f, a_n = a.chunk(2, -1)
        f = sigmoid(a_f + linear(h, W[:H], part(b, 0, H)))
        n = tanh(a_n + linear(f * h, W[H:], part(b, H, 2 * H)))
        return (1 - f) * h + f * n


class LayerNormGRUCell(GatedCell):
    """GRU with layer normalisation (Ba et al. 2016, "Layer Normalization", eq. 27-29):

        r, z = σ(N(W_i x) ∘ s_i + b_i + N(W_h h) ∘ s_h + b_h)            their rows
        n    = tanh(N(W_in x) ∘ s_in + b_in + r ∘ (N(W_hn h) ∘ s_hn + b_hn))
        h'   = (1 - z) ∘ n + z ∘ h

    N(y) = (y - mean y) / √(var y + eps), over the 2H numbers of r and z together, and over the H of n.
    gain_ih and gain_hh (3H,) are s_i and s_h. The paper's z is our 1 - z.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.LayerNormGRUCell(3, 5)(tg.randn(4, 3)).shape
    (4, 5)
    """

    gates = 3
    keep_gate = 1  # z
    eps = 1e-5

    @classmethod
    def shapes(
        cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0
    ) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes."""
        gains = dict.fromkeys(("gain_ih", "gain_hh"), (3 * hidden_size,))
        return super().shapes(input_size, hidden_size, bias) | gains

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H; gains 1."""
        super().reset_parameters()
        init.ones_(self.gain_ih)
        init.ones_(self.gain_hh)

    def normal(self, y: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
        """N(y) ∘ gain + bias: of the first 2H numbers of a row (…, 3H), and of the others."""
        H = self.hidden_size
        parts = []
        for start, end in ((0, 2 * H), (2 * H, 3 * H)):
            g, b = gain[start:end], part(bias, start, end)
            parts.append(layer_norm(y[..., start:end], (end - start,), g, b, self.eps))
        return cat(parts, -1)

    def project(self, xs: Tensor) -> Tensor:
        """N(W_i x) ∘ s_i + b_i: (N, D) -> (N, 3H)."""
        return self.normal(linear(xs, self.weight_ih), self.gain_ih, self.bias_ih)

    def recur(self, h: Tensor) -> Tensor:
        """N(W_h h) ∘ s_h + b_h: (B, H) -> (B, 3H)."""
        return self.normal(linear(h, self.weight_hh), self.gain_hh, self.bias_hh)

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = N(W_i x) ∘ s_i + b_i (B, 3H) and h (B, H)."""
        a_r, a_z, a_n = a.chunk(3, -1)
        h_r, h_z, h_n = self.recur(h).chunk(3, -1)
        r = sigmoid(a_r + h_r)
        z = sigmoid(a_z + h_z)
        n = tanh(a_n + r * h_n)
        return (1 - z) * n + z * h
