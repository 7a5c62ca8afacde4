"""Operations in place, and conversions.

`x.add_(y)` writes into the memory of x. If a gradient is to pass, x becomes the result of the operation
instead, in new memory, so that earlier uses keep the old values. Every view of x sees the write, both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..engine.tensor import Tensor, method
from . import elementwise, index, reduce, shape
from .aliasing import assign, rearrange, write
from .create import rng_of
from .inputs import LEFT_OUT, named, refuse

IN_PLACE = {
    elementwise: """abs add addcdiv addcmul bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp
        clamp_max clamp_min cos div erf exp expm1 floor floor_divide lerp log log1p log2 logical_and
        logical_not logical_or logical_xor mul neg pow reciprocal relu remainder round rsqrt sigmoid sign sin
        sqrt square sub tanh xlogy""",
    index: "index_add masked_fill scatter scatter_add",
    reduce: "cumprod cumsum",
    shape: "tril triu",
}
RESHAPING = {shape: "squeeze t transpose unsqueeze"}
OPERATORS = {  # += and its like
    "add": "add_",
    "sub": "sub_",
    "mul": "mul_",
    "truediv": "div_",
    "floordiv": "floor_divide_",
    "mod": "remainder_",
    "pow": "pow_",
    "and": "bitwise_and_",
    "or": "bitwise_or_",
    "xor": "bitwise_xor_",
}


def _in_place(operation: Callable[..., Tensor], finish: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Attach `x.operation_(…)`, which gives the result to x."""
    name = operation.__name__

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            refuse(name, LEFT_OUT & kwargs.keys())
        return finish(self, operation(self, *args, **kwargs))

    method(f"{name}_")(named(f"{name}_", in_place, f"`{name}`, in place."))


for _table, _finish in ((IN_PLACE, write), (RESHAPING, rearrange)):
    for _file, _names in _table.items():
        for _name in _names.split():
            _in_place(getattr(_file, _name), _finish)
for _name, _method in OPERATORS.items():
    method(f"__i{_name}__")(getattr(Tensor, _method))
method("clip_")(Tensor.clamp_)


def _factor_first(name: str, factor: str, tensors: int) -> None:
    """Let `x.add_(2, y)`, as older programs have it, be `x.add_(y, alpha=2)`; and so on."""
    current = getattr(Tensor, name)

    @wraps(current)
    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if len(args) > tensors:
            kwargs[factor], *args = args  # type: ignore[assignment]
        return current(self, *args, **kwargs)  # type: ignore[no-any-return]

    method(name)(in_place)


for _name in ("add_", "sub_"):
    _factor_first(_name, "alpha", 1)
for _name in ("addcmul_", "addcdiv_"):
    _factor_first(_name, "value", 2)


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
