"""Normal, Laplace, Exponential and Uniform: a draw is a simple function of noise and parameters.

x a value, u uniform noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops import abs, clamp, erf, exp, expm1, full_like, log, log1p, reciprocal, sign, where, zeros_like
from ..random import default_generator
from . import constraints
from .distribution import Distribution, broadcast_all


def _noise(values: Any, like: Tensor) -> Tensor:
    """Drawn numbers in the dtype of a parameter."""
    return Tensor(np.asarray(values, like.dtype))


class Normal(Distribution):
    """p(x) = exp(-((x - loc) / scale)² / 2) / (√(2π) scale).

    Args:
        loc: the mean; a tensor or a number, as the next one: they broadcast.
        scale: the standard deviation, positive.
        validate_args: as in `Distribution`.

    >>> import tinygrad_rnn as tg
    >>> Normal(tg.tensor([0.0, 1.0]), 2.0).log_prob(tg.tensor(1.0))
    tensor([-1.7371, -1.6121])
    """

    arg_constraints = MappingProxyType({"loc": constraints.real, "scale": constraints.positive})
    has_rsample = True
    support = constraints.real
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        loc, scale = broadcast_all("Normal", loc, scale)
        super().__init__({"loc": loc, "scale": scale}, loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """scale"""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale²"""
        return self.scale * self.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale · noise, the noise standard normal."""
        noise = default_generator.rng.standard_normal(self._extended_shape(sample_shape))
        return self.loc + self.scale * _noise(noise, self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """-((x - loc) / scale)² / 2 - ln scale - ln √(2π)"""
        self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return z * z / -2 - log(self.scale) - math.log(2 * math.pi) / 2

    def cdf(self, value: Tensor) -> Tensor:
        """(1 + erf((x - loc) / (scale √2))) / 2"""
        self._validate_sample(value)
        return (1 + erf((value - self.loc) / (self.scale * math.sqrt(2)))) / 2

    def entropy(self) -> Tensor:
        """½ + ln √(2π) + ln scale"""
        return log(self.scale) + (1 + math.log(2 * math.pi)) / 2


class Laplace(Distribution):
    """p(x) = exp(-|x - loc| / scale) / (2 scale).

    Args:
        loc: the mean; a tensor or a number, as the next one: they broadcast.
        scale: the mean distance from it, positive.
        validate_args: as in `Distribution`.

    >>> Laplace(0.0, 1.0).entropy()
    tensor(1.6931)
    """

    arg_constraints = MappingProxyType({"loc": constraints.real, "scale": constraints.positive})
    has_rsample = True
    support = constraints.real
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        loc, scale = broadcast_all("Laplace", loc, scale)
        super().__init__({"loc": loc, "scale": scale}, loc.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """2 scale²"""
        return 2 * self.scale * self.scale

    @property
    def stddev(self) -> Tensor:
        """√2 scale"""
        return math.sqrt(2) * self.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale · noise, the noise of loc 0 and scale 1."""
        noise = default_generator.rng.laplace(size=self._extended_shape(sample_shape))
        return self.loc + self.scale * _noise(noise, self.loc)

    def log_prob(self, value: Tensor) -> Tensor:
        """-ln(2 scale) - |x - loc| / scale"""
        self._validate_sample(value)
        return -log(2 * self.scale) - abs(value - self.loc) / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        """½ - ½ sign(x - loc) (exp(-|x - loc| / scale) - 1)"""
        self._validate_sample(value)
        away = value - self.loc
        return 0.5 - 0.5 * sign(away) * expm1(-abs(away) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        """loc - scale sign(p - ½) ln(1 - 2 |p - ½|)"""
        away = value - 0.5
        return self.loc - self.scale * sign(away) * log1p(-2 * abs(away))

    def entropy(self) -> Tensor:
        """1 + ln(2 scale)"""
        return 1 + log(2 * self.scale)


class Exponential(Distribution):
    """p(x) = rate · exp(-rate x), for x ≥ 0.

    Args:
        rate: 1 / mean, positive; a tensor or a number.
        validate_args: as in `Distribution`.

    >>> Exponential(2.0).mean
    tensor(0.5)
    """

    arg_constraints = MappingProxyType({"rate": constraints.positive})
    has_rsample = True
    support = constraints.nonnegative
    rate: Tensor

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (rate,) = broadcast_all("Exponential", rate)
        super().__init__({"rate": rate}, rate.shape, (), validate_args)

    @property
    def mean(self) -> Tensor:
        """1 / rate"""
        return reciprocal(self.rate)

    @property
    def mode(self) -> Tensor:
        """0"""
        return zeros_like(self.rate)

    @property
    def stddev(self) -> Tensor:
        """1 / rate"""
        return reciprocal(self.rate)

    @property
    def variance(self) -> Tensor:
        """1 / rate²"""
        return self.rate**-2

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """noise / rate, the noise of rate 1."""
        noise = default_generator.rng.standard_exponential(self._extended_shape(sample_shape))
        return _noise(noise, self.rate) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        """ln rate - rate x"""
        self._validate_sample(value)
        return log(self.rate) - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        """1 - exp(-rate x)"""
        self._validate_sample(value)
        return 1 - exp(-self.rate * value)

    def icdf(self, value: Tensor) -> Tensor:
        """-ln(1 - p) / rate"""
        return -log1p(-value) / self.rate

    def entropy(self) -> Tensor:
        """1 - ln rate"""
        return 1 - log(self.rate)


class Uniform(Distribution):
    """p(x) = 1 / (high - low), for low ≤ x < high.

    Args:
        low: a tensor or a number, as the next one: they broadcast.
        high: above low.
        validate_args: as in `Distribution`.

    >>> import tinygrad_rnn as tg
    >>> Uniform(0.0, 4.0).cdf(tg.tensor([1.0, 3.0]))
    tensor([0.25, 0.75])
    """

    arg_constraints = MappingProxyType({"low": constraints.real, "high": constraints.real})
    has_rsample = True
    low: Tensor
    high: Tensor

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        low, high = broadcast_all("Uniform", low, high)
        super().__init__({"low": low, "high": high}, low.shape, (), validate_args)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not (self.low < self.high).all():
            raise ValueError(f"Uniform: low {self.low.array} must be below high {self.high.array}")

    @property
    def support(self) -> constraints.Constraint:
        """From low to high."""
        return constraints.interval(self.low.array.real, self.high.array.real)

    @property
    def mean(self) -> Tensor:
        """(low + high) / 2"""
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        """NaN: all values are equally likely."""
        return full_like(self.high, math.nan)

    @property
    def stddev(self) -> Tensor:
        """(high - low) / √12"""
        return (self.high - self.low) / math.sqrt(12)

    @property
    def variance(self) -> Tensor:
        """(high - low)² / 12"""
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """low + u (high - low)"""
        u = _noise(default_generator.rng.random(self._extended_shape(sample_shape)), self.low)
        return self.low + u * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """-ln(high - low), or -inf for an x that is not in [low, high)"""
        self._validate_sample(value)
        inside = (self.low <= value) & (value < self.high)
        density: Tensor = where(inside, -log(self.high - self.low), -math.inf)
        return density

    def cdf(self, value: Tensor) -> Tensor:
        """(x - low) / (high - low), held within [0, 1]"""
        self._validate_sample(value)
        return clamp((value - self.low) / (self.high - self.low), 0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """low + p (high - low)"""
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        """ln(high - low)"""
        return log(self.high - self.low)
