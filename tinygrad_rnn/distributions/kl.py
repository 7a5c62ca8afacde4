"""Kullback–Leibler divergences, KL(p ‖ q) = E_p ln(p / q), of pairs of distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..engine.tensor import Tensor
from ..nn.functional import softplus
from ..ops import abs, exp, log, where
from .compound import Independent
from .continuous import Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Categorical
from .distribution import Distribution, sum_last
from .gamma import Beta, digamma

Divergence = Callable[[Any, Any], Tensor]
_REGISTRY: dict[tuple[type, type], Divergence] = {}


def register_kl(type_p: type[Distribution], type_q: type[Distribution]) -> Callable[[Divergence], Divergence]:
    """Decorate a function of p and q: it is KL(p ‖ q) for these two types and what is derived from them.

    >>> class Fixed(Normal):
    ...     pass
    >>> @register_kl(Fixed, Fixed)
    ... def nothing(p, q):
    ...     return p.loc * 0
    >>> kl_divergence(Fixed(0.0, 1.0), Fixed(0.0, 1.0))
    tensor(0.)
    """

    def register(divergence: Divergence) -> Divergence:
        _REGISTRY[type_p, type_q] = divergence
        return divergence

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p ‖ q), of the batch shape of both.

    Args:
        p: the distribution over which the mean is taken.
        q: the other one: of the same type, or of one that `register_kl` has been given a function for.

    Raises:
        NotImplementedError: for this pair there is none.

    >>> kl_divergence(Exponential(1.0), Exponential(1.0))
    tensor(0.)
    """
    for type_p in type(p).__mro__:
        for type_q in type(q).__mro__:
            if (type_p, type_q) in _REGISTRY:
                return _REGISTRY[type_p, type_q](p, q)
    raise NotImplementedError(
        f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}; give one to register_kl"
    )


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio, z = (p.scale / q.scale) ** 2, (p.loc - q.loc) / q.scale
    return (ratio + z * z - 1 - log(ratio)) / 2


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, away = p.scale / q.scale, abs(p.loc - q.loc)
    return away / q.scale + ratio * exp(-away / p.scale) - log(ratio) - 1


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - log(ratio)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    outside = (q.low > p.low) | (q.high < p.high)
    divergence: Tensor = where(outside, math.inf, log((q.high - q.low) / (p.high - p.low)))
    return divergence


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    zero = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    one = where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, one))
    zero = where(p.probs == 1, 0.0, where(q.probs == 1, math.inf, zero))
    total: Tensor = one + zero
    return total


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    shares = where(q.probs == 0, math.inf, p.probs * (p.logits - q.logits))
    total: Tensor = where(p.probs == 0, 0.0, shares).sum(-1)
    return total


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    shares = (a - c) * digamma(a) + (b - d) * digamma(b) + (c + d - a - b) * digamma(a + b)
    return q._log_beta() - p._log_beta() + shares


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            f"kl_divergence: {p} and {q} must have one number of reinterpreted dimensions"
        )
    return sum_last(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
