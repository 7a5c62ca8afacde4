"""Values in place: copies, constants and random numbers. (`x.add_(y)` is made by `@operation`.)"""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor, method
from .aliasing import assign
from .create import rng_of


@method()
def copy_(self: Tensor, src: Any) -> Tensor:
    """The values of `src`, broadcast, in this tensor's dtype."""
    assign(self, ..., src)
    return self


@method()
def fill_(self: Tensor, value: Any) -> Tensor:
    """`value` everywhere."""
    return copy_(self, value)


@method()
def zero_(self: Tensor) -> Tensor:
    """0 everywhere."""
    return copy_(self, 0)


# --- random values


@method()
def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Random numbers, uniform in [a, b)."""
    return copy_(self, a + (b - a) * rng_of(generator).random(self.shape))


@method()
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Random numbers, normal."""
    return copy_(self, mean + std * rng_of(generator).standard_normal(self.shape))


@method()
def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
    """1 with probability p, else 0."""
    return copy_(self, rng_of(generator).random(self.shape) < p)


@method()
def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Any = None) -> Tensor:
    """Random integers: `random_(high)` from 0, `random_(low, high)` from low, up to high - 1."""
    bounds = (0, low or 2**24) if high is None else (low, high)
    return copy_(self, rng_of(generator).integers(*bounds, self.shape))
