"""Operations in place, and conversions.

`x.add_(y)` writes into the memory of x. If a gradient is to pass, x becomes the result of the operation
instead, in new memory, so that earlier uses keep the old values. Every view of x sees the write, both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.gradmode import mode
from ..device import device as Device
from ..tensor import Tensor, method
from . import elementwise, index, reduce, shape
from .create import rng_of
from .index import assign, change, refuse_leaf
from .inputs import LEFT_OUT, cast, named, refuse

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


def write(tensor: Tensor, values: Tensor) -> Tensor:
    """Give `tensor` new values: into its memory, or, if they have a graph, as its new history."""
    refuse_leaf(tensor)
    if values.shape != tensor.shape or dtypes.category(values.dtype) > dtypes.category(tensor.dtype):
        given, held = (f"{x.dtype} of shape {x.shape}" for x in (values, tensor))
        raise RuntimeError(f"in place: a result, {given}, does not fit into the tensor, {held}")
    if mode.anomaly.__class__ is not bool:  # a trace (see compile/)
        mode.anomaly.assign(tensor, None, values)
    elif mode.enabled and (tensor.requires_grad or values.requires_grad):
        change(tensor, cast(values, tensor.dtype))
    else:
        np.copyto(tensor.array, values.array, casting="unsafe")
        tensor.touch()
    return tensor


def _look(tensor: Tensor, result: Tensor) -> Tensor:
    """Show the same memory in the shape of `result`."""
    refuse_leaf(tensor)
    tensor.array = result.array  # the memory stays: this is still its tensor
    if tensor.node is not None:
        tensor.node = result.node
    return tensor


def _in_place(operation: Callable[..., Tensor], finish: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Attach `x.operation_(…)`, which gives the result to x."""
    name = operation.__name__

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            refuse(name, LEFT_OUT & kwargs.keys())
        return finish(self, operation(self, *args, **kwargs))

    method(f"{name}_")(named(f"{name}_", in_place, f"`{name}`, in place."))


for _table, _finish in ((IN_PLACE, write), (RESHAPING, _look)):
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


# --- conversions


@method()
def to(
    self: Tensor,
    *targets: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """This tensor in another dtype (gradients pass), or in another tensor's. The only device is 'cpu'."""
    for target in targets:
        if isinstance(target, Tensor):
            dtype = target.dtype
        elif isinstance(target, (str, Device)):
            device = target
        elif target is not None:
            dtype = target
    if device is not None:
        Device(device)
    moved = self if dtype is None else cast(self, dtype)
    return moved.clone() if copy and moved is self else moved


@method()
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of `other`."""
    return cast(self, other.dtype)


@method()
def cpu(self: Tensor) -> Tensor:
    """Itself: the processor is the only device."""
    return self


@method()
def cuda(self: Tensor, device: Any = None) -> Tensor:
    """There is no CUDA device."""
    raise NotImplementedError("cuda: the only device is 'cpu'; ask tinygrad_rnn.cuda.is_available() first")


def _conversion(name: str, dtype: str) -> None:
    method(name)(named(name, lambda self: cast(self, dtype), f"This tensor as {dtype}."))


DTYPES = {"half": "float16", "float": "float32", "double": "float64", "bool": "bool", "byte": "uint8"}
for _name, _dtype in {**DTYPES, "char": "int8", "short": "int16", "int": "int32", "long": "int64"}.items():
    _conversion(_name, _dtype)
