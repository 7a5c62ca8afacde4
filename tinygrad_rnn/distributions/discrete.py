"""Bernoulli and Categorical: given by probabilities, or by their logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..nn.functional import binary_cross_entropy_with_logits, sigmoid, softmax
from ..ops import arange, bernoulli, clamp, full, log, log1p, logsumexp, where
from ..random import default_generator
from . import constraints
from .distribution import Distribution, broadcast_all


def _one_of(name: str, probs: Any, logits: Any) -> tuple[str, Tensor]:
    """The one parameter that is given, and its name."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: give probs or logits, and not both")
    given, value = ("probs", probs) if logits is None else ("logits", logits)
    return given, broadcast_all(name, value)[0]


def _clamped(probs: Tensor) -> Tensor:
    """Probabilities held away from 0 and 1, so that their logarithms are finite."""
    least = float(np.finfo(probs.dtype).eps)
    return clamp(probs, least, 1 - least)


class Bernoulli(Distribution):
    """p(1) = probs, p(0) = 1 - probs.

    Args:
        probs: the probability of 1, between 0 and 1; a tensor or a number.
        logits: ln(probs / (1 - probs)), instead of probs.
        validate_args: as in `Distribution`.

    Raises:
        ValueError: neither or both are given.

    >>> Bernoulli(logits=0.0).entropy()  # ln 2
    tensor(0.6931)
    """

    arg_constraints = MappingProxyType({"probs": constraints.unit_interval, "logits": constraints.real})
    has_enumerate_support = True
    support = constraints.boolean

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        name, value = _one_of("Bernoulli", probs, logits)
        super().__init__({name: value}, value.shape, (), validate_args)

    @cached_property
    def probs(self) -> Tensor:
        """The probability of 1: σ(logits)."""
        return sigmoid(self.logits)

    @cached_property
    def logits(self) -> Tensor:
        """ln probs - ln(1 - probs)"""
        probs = _clamped(self.probs)
        return log(probs) - log1p(-probs)

    @property
    def mean(self) -> Tensor:
        """probs"""
        return self.probs

    @property
    def mode(self) -> Tensor:
        """1 if probs is above ½, 0 if it is below, NaN between."""
        likely: Tensor = where(self.probs == 0.5, math.nan, (self.probs > 0.5).to(self.probs.dtype))
        return likely

    @property
    def variance(self) -> Tensor:
        """probs (1 - probs)"""
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """0 and 1, in the parameter's dtype: sample_shape + batch_shape."""
        return bernoulli(self.probs.detach().expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        """x ln probs + (1 - x) ln(1 - probs)"""
        self._validate_sample(value)
        logits, value = broadcast_all("Bernoulli.log_prob", self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        """-probs ln probs - (1 - probs) ln(1 - probs)"""
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 and 1: (2, *batch_shape), or (2, 1, …) if it is not to `expand`."""
        return _enumerated(arange(2, dtype=self.probs.dtype), self.batch_shape, expand)


class Categorical(Distribution):
    """p(k) = probs_k, of K categories 0 … K - 1.

    Args:
        probs: (*, K), at least 0; they are divided by their sum.
        logits: (*, K), instead of probs: p is their softmax.
        validate_args: as in `Distribution`.

    Raises:
        ValueError: neither or both are given, or a number.

    >>> import tinygrad_rnn as tg
    >>> dice = Categorical(probs=tg.ones(6))
    >>> dice.sample((2, 3)).shape, dice.log_prob(tg.tensor(5)).exp().item()
    ((2, 3), 0.1666666716337204)
    """

    arg_constraints = MappingProxyType({"probs": constraints.simplex, "logits": constraints.real})
    has_enumerate_support = True
    parameter_dims = 1

    def __init__(
        self, probs: Tensor | None = None, logits: Tensor | None = None, validate_args: bool | None = None
    ) -> None:
        name, value = _one_of("Categorical", probs, logits)
        if value.ndim < 1:
            raise ValueError(f"Categorical: {name} must be (*, K), got a number")
        given = value / value.sum(-1, keepdim=True) if logits is None else _normalized(value)
        super().__init__({name: given}, value.shape[:-1], (), validate_args)

    @cached_property
    def probs(self) -> Tensor:
        """(*, K): softmax(logits)."""
        return softmax(self.logits, -1)

    @cached_property
    def logits(self) -> Tensor:
        """(*, K): ln probs."""
        return log(_clamped(self.probs))

    @property
    def _num_events(self) -> int:
        """K"""
        return int(getattr(self, self._names[0]).shape[-1])

    @property
    def support(self) -> constraints.Constraint:
        """Integers from 0 to K - 1."""
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        """NaN: categories are no numbers."""
        return full(self.batch_shape, math.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Tensor:
        """The most likely category."""
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN: categories are no numbers."""
        return self.mean

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """int64 categories: sample_shape + batch_shape.

        For u uniform, the first k with u < p(0) + … + p(k).
        """
        upto = np.cumsum(self.probs.array, -1, dtype=np.float64)
        u = default_generator.rng.random(self._extended_shape(sample_shape))[..., None] * upto[..., -1:]
        return Tensor(np.asarray((upto <= u).sum(-1)))

    def log_prob(self, value: Tensor) -> Tensor:
        """ln probs_x"""
        self._validate_sample(value)
        shape = np.broadcast_shapes(value.shape, self.batch_shape)
        logits = self.logits.expand(*shape, self._num_events)
        return logits.gather(-1, value.long().expand(shape).unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """-Σ probs ln probs"""
        finite = clamp(self.logits, min=float(np.finfo(self.logits.dtype).min))  # 0 · -inf is 0 here
        return -(finite * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """0 … K - 1: (K, *batch_shape), or (K, 1, …) if it is not to `expand`."""
        return _enumerated(arange(self._num_events), self.batch_shape, expand)


def _normalized(logits: Tensor) -> Tensor:
    """logits - ln Σ exp(logits)"""
    return logits - logsumexp(logits, -1, keepdim=True)


def _enumerated(values: Tensor, batch_shape: tuple[int, ...], expand: bool) -> Tensor:
    """`values` along a new first dimension before the batch's."""
    values = values.reshape(-1, *[1] * len(batch_shape))
    return values.expand(-1, *batch_shape) if expand else values
