"""Cells with fewer connections between steps: IndRNN, simple recurrent units, and the clockwork RNN.

B sequences, D inputs, H hidden units; σ the logistic function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...dtypes import int64
from ...engine.tensor import Tensor
from ...ops import relu, remainder, sigmoid, tanh, where, zeros
from ..cells import GatedCell, Step
from ..functional import linear

Shapes = dict[str, tuple[int, ...]]


class IndRNNCell(GatedCell):
    """Independently recurrent network: a unit sees itself alone (Li et al. 2018, eq. 2):

        h' = φ(W_ih x + b_ih + u ∘ h)                  φ is relu or tanh

    Args:
        nonlinearity: "relu" (default, as in the paper) or "tanh".

    weight_hh (H,) is u; there is one bias, bias_ih (H,).

    Raises:
        ValueError: another nonlinearity.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.IndRNNCell(3, 5).weight_hh.shape
    (5,)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "relu",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"IndRNNCell: nonlinearity is 'relu' or 'tanh', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    @classmethod
    def shapes(cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0) -> Shapes:
        """The parameters' names and shapes."""
        found = super().shapes(input_size, hidden_size, bias) | {"weight_hh": (hidden_size,)}
        found.pop("bias_hh", None)
        return found

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = W_ih x + b_ih (B, H) and h (B, H)."""
        phi = tanh if self.nonlinearity == "tanh" else relu
        return phi(a + self.weight_hh * h)

    def extra_repr(self) -> str:
        """The sizes, and φ if it is not relu."""
        return super().extra_repr() + ("" if self.nonlinearity == "relu" else ", nonlinearity=tanh")


class SRUCell(GatedCell):
    """Simple recurrent unit: gates see the state unit by unit (Lei et al. 2018, eq. 1-4 and § 3.2):

        z  = W_z x                                     candidate
        f  = σ(W_f x + v_f ∘ c + b_f)                  forget gate
        r  = σ(W_r x + v_r ∘ c + b_r)                  reset gate
        c' = f ∘ c + (1 - f) ∘ z
        h  = r ∘ c' + (1 - r) ∘ x                      the output; the state is c

    If D ≠ H, a product W_x x stands for the x of the last line. weight_ih (3H or 4H, D): the rows of z, f, r
    and x; weight_ch (2, H): v_f, v_r; bias_ih (2H,): b_f, b_r.

    >>> import tinygrad_rnn as tg
    >>> h, c = tg.nn.SRUCell(3, 5)(tg.randn(4, 3))
    >>> h.shape, c.shape
    ((4, 5), (4, 5))
    """

    keep_gate = 0  # f, the first of those with a bias

    @classmethod
    def shapes(cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0) -> Shapes:
        """The parameters' names and shapes."""
        super().shapes(input_size, hidden_size, bias)  # refuses sizes below 1
        D, H = input_size, hidden_size
        weights: Shapes = {"weight_ih": ((3 if D == H else 4) * H, D), "weight_ch": (2, H)}
        return weights | ({"bias_ih": (2 * H,)} if bias else {})

    def project(self, xs: Tensor) -> Any:
        """(W_z x, W_f x + b_f, W_r x + b_r, W_x x or x), (N, H) each."""
        H = self.hidden_size
        z, f, r, *x = linear(xs, self.weight_ih).split(H, -1)
        if self.bias_ih is not None:
            f, r = f + self.bias_ih[:H], r + self.bias_ih[H:]
        return z, f, r, x[0] if x else xs

    def step(self, a: Any, c: Tensor) -> Step:
        """h and c' from a of `project` (B, H) each, and c (B, H)."""
        z, a_f, a_r, x = a
        v_f, v_r = self.weight_ch
        f = sigmoid(a_f + v_f * c)
        r = sigmoid(a_r + v_r * c)
        c = f * c + (1 - f) * z
        return Step(r * c + (1 - r) * x, c)


class ClockworkState(NamedTuple):
    """The state of a clockwork RNN: h (B, H), and how many steps there were, t (B, 1), int64."""

    h: Tensor
    t: Tensor


class ClockworkRNNCell(GatedCell):
    """Clockwork RNN: groups of units that move every 1, 2, 4, … steps (Koutník et al. 2014, eq. 1-3):

        ĥ  = tanh(W_ih x + b_ih + (M ∘ W_hh) h + b_hh)
        h' = ĥ in the groups whose period divides t, else h
        t' = t + 1

    The mask M lets a unit see those of its own and of longer periods: M_ij = 1 if period_j ≥ period_i.

    Args:
        periods: of the groups, which have as many units each; default 1, 2, 4, 8, as many as divide H and at
            most four. Their number must divide H.

    The state is (h, t).

    Raises:
        ValueError: periods that are no positive integers, or whose number does not divide H.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.ClockworkRNNCell(3, 6, periods=(1, 3))(tg.randn(4, 3)).h.shape
    (4, 6)
    """

    states = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        periods: Sequence[int] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        count = math.gcd(hidden_size, 4)
        self.periods = tuple(2**k for k in range(count)) if periods is None else tuple(periods)
        if not self.periods or hidden_size % len(self.periods):
            raise ValueError(
                f"ClockworkRNNCell: {len(self.periods)} periods do not divide hidden_size {hidden_size}"
            )
        if not all(isinstance(p, int) and p > 0 for p in self.periods):
            raise ValueError(f"ClockworkRNNCell: periods must be positive integers, got {self.periods}")
        of_unit = np.repeat(self.periods, hidden_size // len(self.periods)).astype(self.weight_hh.dtype)
        self.register_buffer("period", Tensor(of_unit.astype(np.int64)), persistent=False)
        seen = (of_unit >= of_unit[:, None]).astype(of_unit.dtype)
        self.register_buffer("mask", Tensor(seen), persistent=False)

    def initial_state(self, batch_size: int, like: Tensor) -> ClockworkState:
        """Zeros."""
        h = zeros(batch_size, self.hidden_size, dtype=like.dtype)
        return ClockworkState(h, zeros(batch_size, 1, dtype=int64))

    def recur(self, h: Tensor) -> Tensor:
        """(M ∘ W_hh) h + b_hh: (B, H) -> (B, H)."""
        return linear(h, self.weight_hh * self.mask, self.bias_hh)

    def step(self, a: Tensor, state: Any) -> ClockworkState:
        """h' and t' from a = W_ih x + b_ih (B, H) and the state (h, t)."""
        h, t = state
        moves = remainder(t, self.period) == 0
        return ClockworkState(where(moves, tanh(a + self.recur(h)), h), t + 1)

    def checked(self, hx: Any, shape: tuple[int, ...]) -> Any:
        """A state (h, t) that a user gave: h of `shape`, t with one number a row; else an error."""
        h, t = hx if isinstance(hx, tuple) and len(hx) == 2 else (None, None)
        found = getattr(h, "shape", None), getattr(t, "shape", None)
        if found != (shape, (*shape[:-1], 1)):
            raise RuntimeError(
                f"ClockworkRNNCell: hx must be (h, t) of shapes {shape} and {(*shape[:-1], 1)}, got {found}"
            )
        return hx

    def extra_repr(self) -> str:
        """The sizes and the periods."""
        return f"{super().extra_repr()}, periods={self.periods}"
