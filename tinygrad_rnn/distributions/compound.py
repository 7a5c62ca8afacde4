"""Distributions made of others: Independent and MixtureSameFamily."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ..engine.tensor import Tensor
from ..nn.functional import log_softmax
from ..ops import logsumexp
from .constraints import Constraint
from .discrete import Categorical
from .distribution import Distribution, sum_last

D = TypeVar("D", bound="Independent")
M = TypeVar("M", bound="MixtureSameFamily")


class Independent(Distribution):
    """p(x) = Π p(xᵢ): the last batch dimensions of a distribution become dimensions of one draw.

    Args:
        base_distribution: any distribution.
        reinterpreted_batch_ndims: how many of its batch dimensions.
        validate_args: as in `Distribution`.

    Raises:
        ValueError: it has fewer.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.distributions import Normal
    >>> vector = Independent(Normal(tg.zeros(4, 3), tg.ones(3)), 1)
    >>> tuple(vector.batch_shape), tuple(vector.event_shape), vector.log_prob(tg.zeros(3)).shape
    ((4,), (3,), (4,))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        batch, count = base_distribution.batch_shape, reinterpreted_batch_ndims
        if not 0 <= count <= len(batch):
            raise ValueError(
                f"Independent: reinterpreted_batch_ndims {count} must be between 0 and {len(batch)}, for the "
                f"batch_shape {tuple(batch)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        kept = len(batch) - count
        event = (*batch[kept:], *base_distribution.event_shape)
        super().__init__({}, batch[:kept], event, validate_args)

    def expand(self: D, batch_shape: Sequence[int]) -> D:
        """The same distribution in another batch shape."""
        count = self.reinterpreted_batch_ndims
        base = self.base_dist.expand((*batch_shape, *self.event_shape[:count]))
        return type(self)(base, count, self._validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """True if the base distribution has an rsample."""
        return self.base_dist.has_rsample

    @property
    def support(self) -> Constraint:
        """Values that can be drawn."""
        return self.base_dist.support

    @property
    def mean(self) -> Tensor:
        """E x: batch_shape + event_shape."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The most likely value: batch_shape + event_shape."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """Of each number by itself: batch_shape + event_shape."""
        return self.base_dist.variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of shape sample_shape + batch_shape + event_shape, without a gradient."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws through which a gradient reaches the parameters."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ ln p(xᵢ)"""
        return sum_last(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        """The sum of the entropies."""
        return sum_last(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(Distribution):
    """p(x) = Σₖ πₖ pₖ(x), the K components being the last batch dimension of one distribution.

    Args:
        mixture_distribution: π, a Categorical of K; its batch_shape is () or the components' without K.
        component_distribution: any distribution of batch_shape (*, K).
        validate_args: as in `Distribution`.

    Raises:
        ValueError: the mixture is no Categorical, or of another number or batch of components.

    The head of a mixture density network (Bishop, 1994): three Gaussians for the next value of each row.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn.distributions import Categorical, MixtureSameFamily, Normal
    >>> head, y = tg.nn.Linear(8, 9), tg.randn(5, 8)  # y: what an RNN gives for 5 rows
    >>> logits, mean, spread = head(y).chunk(3, -1)
    >>> components = Normal(mean, tg.nn.functional.softplus(spread) + 1e-3)
    >>> p = MixtureSameFamily(Categorical(logits=logits), components)
    >>> loss = -p.log_prob(tg.zeros(5)).mean()
    >>> loss.backward()
    >>> p.sample().shape, p.mean.shape, head.weight.grad.shape
    ((5,), (5,), (9, 8))
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                f"MixtureSameFamily: mixture_distribution must be a Categorical, got {mixture_distribution!r}"
            )
        mixture, batch = mixture_distribution.batch_shape, component_distribution.batch_shape
        count = mixture_distribution._num_events
        fits = all(m == 1 or n == 1 or m == n for m, n in zip(mixture[::-1], batch[:-1][::-1]))
        if batch[-1:] != (count,) or not fits:
            raise ValueError(
                f"MixtureSameFamily: a mixture of batch_shape {tuple(mixture)} and {count} categories does "
                f"not fit components of batch_shape {tuple(batch)}, whose last size is their number"
            )
        self.mixture_distribution, self.component_distribution = mixture_distribution, component_distribution
        event = component_distribution.event_shape
        self._component_dim = -1 - len(event)
        super().__init__({}, batch[:-1], event, validate_args)

    def expand(self: M, batch_shape: Sequence[int]) -> M:
        """The same distribution in another batch shape."""
        count = self.mixture_distribution._num_events
        component = self.component_distribution.expand((*batch_shape, count))
        return type(self)(self.mixture_distribution.expand(batch_shape), component, self._validate_args)

    @property
    def support(self) -> Constraint:
        """Values that every component can draw."""
        inner = self.component_distribution.support
        return Constraint(inner.text, lambda x: inner.check(np.expand_dims(x, self._component_dim)))

    def _weights(self) -> Tensor:
        """π as (*, K, 1, …), to multiply what the components have."""
        probs = self.mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """Σ πₖ meanₖ"""
        return (self._weights() * self.component_distribution.mean).sum(self._component_dim)

    @property
    def variance(self) -> Tensor:
        """Σ πₖ (varianceₖ + (meanₖ - mean)²)"""
        away = self.component_distribution.mean - self.mean.unsqueeze(self._component_dim)
        return (self._weights() * (self.component_distribution.variance + away * away)).sum(
            self._component_dim
        )

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of shape sample_shape + batch_shape + event_shape: each component draws, one draw is kept."""
        drawn = self.component_distribution.sample(sample_shape).array
        mixture = self.mixture_distribution
        if mixture.batch_shape != self.batch_shape:
            mixture = mixture.expand(self.batch_shape)
        k = mixture.sample(sample_shape).array
        k = k.reshape(*k.shape, *[1] * (len(self.event_shape) + 1))
        return Tensor(np.take_along_axis(drawn, k, self._component_dim).squeeze(self._component_dim))

    def log_prob(self, value: Tensor) -> Tensor:
        """ln Σ πₖ pₖ(x)"""
        self._validate_sample(value)
        of_components = self.component_distribution.log_prob(value.unsqueeze(self._component_dim))
        return logsumexp(of_components + log_softmax(self.mixture_distribution.logits, -1), -1)

    def cdf(self, value: Tensor) -> Tensor:
        """Σ πₖ cdfₖ(x)"""
        of_components = self.component_distribution.cdf(value.unsqueeze(self._component_dim))
        return (of_components * self.mixture_distribution.probs).sum(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
