"""Beta and StudentT, whose densities need the gamma function.

Stirling's series, exact to rounding for z ≥ 10 (Abramowitz and Stegun, 6.1.40, 6.3.18), after
Γ(x) = Γ(x + 10) / (x (x + 1) … (x + 9)): a composition, so that it has derivatives of all orders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..autograd import is_grad_enabled
from ..engine.tensor import Tensor
from ..ops import log, log1p, where, xlogy
from ..random import default_generator
from . import constraints
from .distribution import Distribution, broadcast_all

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)  # B₂, B₄, …
SHIFT = 10


def lgamma(x: Tensor) -> Tensor:
    """ln Γ(x), for x > 0: with z = x + 10,

    (z - ½) ln z - z + ½ ln 2π + Σ B₂ₖ / (2k (2k - 1) z²ᵏ⁻¹) - Σ ln(x + i)
    """
    z = x + SHIFT
    series = sum(b / (2 * k * (2 * k - 1)) * z ** (1 - 2 * k) for k, b in enumerate(BERNOULLI, 1))
    below = sum(log(x + i) for i in range(SHIFT))
    return (z - 0.5) * log(z) - z + math.log(2 * math.pi) / 2 + series - below


def digamma(x: Tensor) -> Tensor:
    """d/dx ln Γ(x), for x > 0: ln z - 1 / (2z) - Σ B₂ₖ / (2k z²ᵏ) - Σ 1 / (x + i), z = x + 10."""
    z = x + SHIFT
    series = sum(b / (2 * k) * z ** (-2 * k) for k, b in enumerate(BERNOULLI, 1))
    below = sum(1 / (x + i) for i in range(SHIFT))
    return log(z) - 0.5 / z - series - below


class Beta(Distribution):
    """p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b), for x between 0 and 1.

    Args:
        concentration1: a, positive; a tensor or a number, as the next one: they broadcast.
        concentration0: b, positive.
        validate_args: as in `Distribution`.

    There is no rsample: no simple function of noise gives a draw.

    >>> Beta(1.0, 3.0).mean
    tensor(0.25)
    """

    arg_constraints = MappingProxyType(
        {"concentration1": constraints.positive, "concentration0": constraints.positive}
    )
    support = constraints.unit_interval
    concentration1: Tensor
    concentration0: Tensor

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        a, b = broadcast_all("Beta", concentration1, concentration0)
        super().__init__({"concentration1": a, "concentration0": b}, a.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """a / (a + b)"""
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Tensor:
        """a b / ((a + b)² (a + b + 1))"""
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total * total * (total + 1))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of shape sample_shape + batch_shape, without a gradient."""
        a, b = self.concentration1.array, self.concentration0.array
        drawn = default_generator.rng.beta(a, b, self._extended_shape(sample_shape))
        return Tensor(np.asarray(drawn, a.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        """(a - 1) ln x + (b - 1) ln(1 - x) - ln B(a, b)"""
        self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        return xlogy(a - 1, value) + xlogy(b - 1, 1 - value) - self._log_beta()

    def _log_beta(self) -> Tensor:
        """ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b)"""
        a, b = self.concentration1, self.concentration0
        return lgamma(a) + lgamma(b) - lgamma(a + b)

    def entropy(self) -> Tensor:
        """ln B(a, b) - (a - 1) ψ(a) - (b - 1) ψ(b) + (a + b - 2) ψ(a + b)"""
        a, b = self.concentration1, self.concentration0
        return self._log_beta() - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)


class StudentT(Distribution):
    """p(x) = Γ((df + 1) / 2) / (Γ(df / 2) √(df π) scale) · (1 + y² / df)^(-(df + 1) / 2).

    y = (x - loc) / scale.

    Args:
        df: the degrees of freedom, positive; a tensor or a number, as the next two: they broadcast.
        loc: the middle.
        scale: positive.
        validate_args: as in `Distribution`.

    >>> StudentT(3.0).variance
    tensor(3.)
    """

    arg_constraints = MappingProxyType(
        {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    )
    has_rsample = True
    support = constraints.real
    df: Tensor
    loc: Tensor
    scale: Tensor

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        df, loc, scale = broadcast_all("StudentT", df, loc, scale)
        super().__init__({"df": df, "loc": loc, "scale": scale}, df.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """loc; NaN for df ≤ 1."""
        middle: Tensor = where(self.df <= 1, math.nan, self.loc)
        return middle

    @property
    def mode(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """scale² df / (df - 2); infinite for 1 < df ≤ 2, NaN for df ≤ 1."""
        finite = self.df > 2
        df = where(finite, self.df, 3.0)
        spread = where(finite, self.scale * self.scale * df / (df - 2), math.inf)
        known: Tensor = where(self.df <= 1, math.nan, spread)
        return known

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale · noise, the noise of loc 0 and scale 1; not differentiable in df.

        Raises:
            NotImplementedError: df requires a gradient.
        """
        if self.df.requires_grad and is_grad_enabled():
            raise NotImplementedError(
                "StudentT: rsample has no gradient for df; use sample(), or df.detach()"
            )
        noise = default_generator.rng.standard_t(self.df.array, self._extended_shape(sample_shape))
        return self.loc + self.scale * Tensor(np.asarray(noise, self.loc.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        """-(df + 1) / 2 · ln(1 + y² / df) - ln scale - ln(df π) / 2 - ln Γ(df / 2) + ln Γ((df + 1) / 2)"""
        self._validate_sample(value)
        y, half = (value - self.loc) / self.scale, self.df / 2
        norm = log(self.scale) + log(self.df * math.pi) / 2 + lgamma(half) - lgamma(half + 0.5)
        return -(half + 0.5) * log1p(y * y / self.df) - norm

    def entropy(self) -> Tensor:
        """ln scale + (df + 1) / 2 (ψ((df + 1) / 2) - ψ(df / 2)) + ln(df) / 2 + ln B(df / 2, 1 / 2)"""
        half = self.df / 2
        log_beta = lgamma(half) + math.lgamma(0.5) - lgamma(half + 0.5)
        curve = (half + 0.5) * (digamma(half + 0.5) - digamma(half))
        return log(self.scale) + curve + log(self.df) / 2 + log_beta
