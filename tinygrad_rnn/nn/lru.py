"""The linear recurrent unit: a complex diagonal recurrence, as two reals (Orvieto et al. 2023).

Over time, turn with the state: for k_t = e^{-iθt} h_t the factor is no longer λ = r e^{iθ} but its modulus,

    h_t = λ ∘ h_{t-1} + u_t    ⇔    k_t = r ∘ k_{t-1} + e^{-iθt} u_t

so the real `linear_recurrence` does for both parts, and since |e^{iθt}| = 1, nothing grows.

T steps, B sequences, D inputs and outputs, H complex hidden units; N rows of inputs of all steps.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Tensor
from ..ops import cat, cos, exp, sin, where, zeros
from . import init
from .cells import Step
from .functional import linear, linear_recurrence
from .linear_cells import LinearCell


class LRUState(NamedTuple):
    """The complex state of an LRU, as its real and its imaginary part, (B, H) each."""

    re: Tensor
    im: Tensor


class LRUCell(LinearCell):
    """Linear recurrent unit (Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks"):

        λ  = exp(-exp(ν) + i exp(θ))       |λ| < 1
        h' = λ ∘ h + exp(γ) ∘ (B x)
        y  = Re(C h') + d ∘ x              the output, (B, D); the state is h, complex as two reals

    λ begins uniform on the ring r_min ≤ |λ| ≤ r_max, its angle between 0 and max_phase (Lemma 3.2), and γ at
    ln √(1 - |λ|²), which keeps the size of h; B has deviation 1/√(2D), C 1/√H, d 1 (Appendix A).

    Args:
        input_size: D, also the size of the output.
        hidden_size: H, the number of complex units.
        r_min, r_max: the ring, 0 ≤ r_min < r_max ≤ 1. Long memory wants r_min near 1.
        max_phase: the largest angle, in radians; long memory wants it small.
        device, dtype: of the parameters.

    Called with x (B, D) or (D,) and (re, im), (B, H) or (H,) each, zeros by default; returns
    Step(y, (re, im)). Parameters: nu, theta, gamma (H,); weight_ih (2H, D), the rows of Re B, then of Im B;
    weight_ho (D, 2H), the columns of Re C, then of -Im C; d (D,). Over time: `LRU`.

    Raises:
        ValueError: a ring that is none.

    >>> import tinygrad_rnn as tg
    >>> y, (re, im) = tg.nn.LRUCell(3, 5, r_min=0.9)(tg.randn(4, 3))
    >>> y.shape, re.shape
    ((4, 3), (4, 5))
    """

    states = 2
    r_min: float
    r_max: float
    max_phase: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if not 0 <= r_min < r_max <= 1 or not 0 < max_phase:
            raise ValueError(
                f"LRUCell: 0 <= r_min < r_max <= 1 and max_phase > 0 are needed, got r_min={r_min}, "
                f"r_max={r_max}, max_phase={max_phase}"
            )
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        super().__init__(input_size, hidden_size, True, device, dtype)

    @classmethod
    def shapes(
        cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0
    ) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes."""
        super().shapes(input_size, hidden_size, bias)  # refuses sizes below 1
        D, H = input_size, hidden_size
        vectors: dict[str, tuple[int, ...]] = dict.fromkeys(("nu", "theta", "gamma"), (H,))
        return {**vectors, "weight_ih": (2 * H, D), "weight_ho": (D, 2 * H), "d": (D,)}

    def reset_parameters(self) -> None:
        """Draw all parameters anew: λ on the ring, the rest normal."""
        D, H = self.input_size, self.hidden_size
        init.uniform_(self.nu, self.r_min**2, self.r_max**2)  # |λ|²: uniform on the ring's area
        init.uniform_(self.theta, 0, self.max_phase)
        tiny = np.finfo(self.nu.dtype).tiny
        squared = np.clip(self.nu.array, tiny, 1 - np.finfo(self.nu.dtype).eps)
        init.write(self.nu, np.log(-np.log(squared) / 2))
        init.write(self.theta, np.log(np.maximum(self.theta.array, tiny)))
        init.write(self.gamma, np.log1p(-squared) / 2)
        init.normal_(self.weight_ih, 0, 1 / math.sqrt(2 * D))
        init.normal_(self.weight_ho, 0, 1 / math.sqrt(H))
        init.normal_(self.d)

    @property
    def output_size(self) -> int:
        """The width of the output."""
        return self.input_size

    def initial_state(self, batch_size: int, like: Tensor) -> LRUState:
        """Zeros."""
        return LRUState(*(zeros(batch_size, self.hidden_size, dtype=like.dtype) for _ in range(2)))

    def project(self, xs: Tensor) -> Any:
        """x, for d ∘ x, and u = exp(γ) ∘ (B x), (N, 2H): its real part, then the imaginary."""
        gamma = exp(self.gamma)
        return xs, linear(xs, self.weight_ih) * cat([gamma, gamma])

    def step(self, a: Any, state: Any) -> Step:
        """y and h' from a = (x, u), (B, D) and (B, 2H), and h = (re, im)."""
        re, im = state
        u_re, u_im = a[1].chunk(2, -1)
        r, theta = exp(-exp(self.nu)), exp(self.theta)
        c, s = r * cos(theta), r * sin(theta)  # λ
        h = LRUState(c * re - s * im + u_re, s * re + c * im + u_im)
        return Step(self.output(a, h), h)

    def output(self, a: Any, h: Any) -> Tensor:
        """Re(C h) + d ∘ x"""
        y: Tensor = linear(cat(h, -1), self.weight_ho) + self.d * a[0]
        return y

    def run(self, a: Any, h: Any, mask: Tensor | None, reverse: bool) -> LRUState:
        """The states after all steps, as in LinearCell, for h = (re, im)."""
        u = a[1]
        r, (c, s) = exp(-exp(self.nu)), self.turns(len(u), mask, reverse)
        u_re, u_im = u.chunk(2, -1)
        r, v = cat([r, r]), cat([c * u_re + s * u_im, c * u_im - s * u_re], -1)
        if mask is not None:
            r, v = where(mask, r, 1.0), v.masked_fill(~mask, 0.0)
        k_re, k_im = linear_recurrence(r, v, cat(h, -1), reverse).chunk(2, -1)
        return LRUState(c * k_re - s * k_im, s * k_re + c * k_im)

    def turns(self, T: int, mask: Tensor | None, reverse: bool) -> tuple[Tensor, Tensor]:
        """cos θt and sin θt, (T, B or 1, H), t being how many steps have counted so far.

        In float64: of an angle of thousands of turns, float32 would lose the fraction.
        """
        count = np.ones((T, 1, 1)) if mask is None else mask.array.astype(float)
        t = np.cumsum(count[::-1], 0)[::-1] if reverse else np.cumsum(count, 0)
        angle = exp(self.theta).double() * Tensor(t)
        return cos(angle).to(self.theta.dtype), sin(angle).to(self.theta.dtype)

    def extra_repr(self) -> str:
        """The sizes and the ring."""
        return f"{self.input_size}, {self.hidden_size}, r_min={self.r_min}, r_max={self.r_max}"
