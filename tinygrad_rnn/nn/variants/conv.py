"""The LSTM whose products are convolutions, for sequences of images.

B sequences, C channels of the input, H of the state; images of `size` (n, m); σ the logistic function.
"""

from __future__ import annotations

import math
from typing import Any

from ...engine.tensor import Tensor
from ...ops import sigmoid, tanh, zeros
from .. import init
from ..cells import Cell, LSTMState
from ..functional import conv2d
from ..parameter import Parameter


class ConvLSTMCell(Cell):
    """Convolutional LSTM (Shi et al. 2015, eq. 3, without peepholes), ⋆ being the convolution:

        i  = σ(W_ii ⋆ x + W_hi ⋆ h + b_i)              input gate
        f  = σ(W_if ⋆ x + W_hf ⋆ h + b_f)              forget gate
        g  = tanh(W_ig ⋆ x + W_hg ⋆ h + b_g)           candidate
        o  = σ(W_io ⋆ x + W_ho ⋆ h + b_o)              output gate
        c' = f ∘ c + i ∘ g
        h' = o ∘ tanh(c')

    Args:
        input_size: C, the channels of x.
        hidden_size: H, the channels of h and c.
        kernel_size: of the convolutions, odd, so that images keep their size (zeros around them).
        bias: whether there is b.
        device, dtype: of the parameters.

    Called with x (B, C, n, m) and (h, c), (B, H, n, m) each, zeros by default; returns (h', c').
    `nn.Recurrent(cell)` takes (T, B, C, n, m). Parameters: weight_ih (4H, C, K, K), weight_hh (4H, H, K, K),
    bias (4H,), uniform in ±1/√(H K²).

    Raises:
        ValueError: sizes below 1, or an even kernel.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.ConvLSTMCell(2, 5)(tg.randn(4, 2, 8, 6)).h.shape
    (4, 5, 8, 6)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        kernel_size: int = 3,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        C, H, K = input_size, hidden_size, kernel_size
        if C < 1 or H < 1 or K < 1 or K % 2 == 0:
            raise ValueError(
                f"ConvLSTMCell: input_size {C}, hidden_size {H} must be positive, kernel_size {K} odd"
            )
        self.input_size, self.hidden_size, self.kernel_size = C, H, K
        self.weight_ih = Parameter(zeros(4 * H, C, K, K, device=device, dtype=dtype))
        self.weight_hh = Parameter(zeros(4 * H, H, K, K, device=device, dtype=dtype))
        self.register_parameter("bias", Parameter(zeros(4 * H, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√(H K²)."""
        bound = 1 / (math.sqrt(self.hidden_size) * self.kernel_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int, like: Tensor) -> LSTMState:
        """Zeros (B, H, n, m), images of the size of those in `like` (…, n, m)."""
        h = zeros(batch_size, self.hidden_size, *like.shape[-2:], dtype=like.dtype)
        return LSTMState(h, zeros(*h.shape, dtype=h.dtype))

    def project(self, xs: Tensor) -> Tensor:
        """W_i ⋆ x + b: (N, C, n, m) -> (N, 4H, n, m)."""
        return conv2d(xs, self.weight_ih, self.bias, padding=self.kernel_size // 2)

    def step(self, a: Tensor, state: Any) -> LSTMState:
        """h', c' from a = W_i ⋆ x + b (B, 4H, n, m) and the state (h, c)."""
        h, c = state
        a_i, a_f, a_g, a_o = (a + conv2d(h, self.weight_hh, padding=self.kernel_size // 2)).chunk(4, 1)
        c = sigmoid(a_f) * c + sigmoid(a_i) * tanh(a_g)
        return LSTMState(sigmoid(a_o) * tanh(c), c)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.hidden_size}, kernel_size={self.kernel_size}"
