"""Operations in place, and conversions.

`x.add_(y)` writes into the memory of x, which every view of it sees, unless a gradient is to pass:
then x becomes the result of the operation, and earlier uses keep the old values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random as rng
from ..autograd.gradmode import mode
from ..device import device as Device
from ..tensor import Tensor, method
from . import elementwise, index, reduce, shape
from .elementwise import cast, tensor_of
from .index import assign


def refuse_leaf(tensor: Tensor) -> None:
    """Raise if `tensor` is a leaf that requires a gradient, and operations are recorded."""
    if mode.enabled and tensor.requires_grad and tensor.node is None:
        raise RuntimeError(
            "in-place operation on a leaf that requires a gradient: do it under no_grad(), or use y = x + …"
        )


def write(tensor: Tensor, values: Any) -> Tensor:
    """Give `tensor` new values: into its memory, or, if they have a graph, as its new history."""
    if mode.enabled and (tensor.requires_grad or getattr(values, "requires_grad", False)):
        refuse_leaf(tensor)
        if tensor.is_view:
            raise RuntimeError("in-place operation with a gradient on a view: use the operation that makes a new tensor")
        return tensor.become(cast(values, tensor.dtype))
    array = values.array if isinstance(values, Tensor) else np.asarray(values)
    if array.dtype.kind == "f" and tensor.dtype.kind in "biu":
        raise RuntimeError(f"in-place operation: a {array.dtype} result does not fit into a {tensor.dtype} tensor")
    np.copyto(tensor.array, array, casting="unsafe")
    tensor.touch()
    return tensor


def _in_place(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = operation(self, *args, **kwargs)
        if result.shape != self.shape:
            raise RuntimeError(f"{in_place.__name__}: the result has shape {result.shape}, the tensor {self.shape}")
        return write(self, result)

    in_place.__name__ = in_place.__qualname__ = operation.__name__ + "_"
    in_place.__doc__ = f"`{operation.__name__}`, in place."
    return in_place


_FORMS = {
    elementwise: "add sub mul div pow neg abs exp log sqrt rsqrt reciprocal square sin cos tanh sigmoid relu floor ceil "
    "round sign clamp lerp remainder",
    index: "masked_fill scatter scatter_add index_add",
    reduce: "cumsum cumprod",
    shape: "tril triu",
}
for _file, _names in _FORMS.items():
    for _name in _names.split():
        method(_name + "_")(_in_place(getattr(_file, _name)))
method("clip_")(Tensor.clamp_)
for _name in "add sub mul pow".split():
    method(f"__i{_name}__")(getattr(Tensor, _name + "_"))
method("__itruediv__")(Tensor.div_)


def _in_place_shape(name: str) -> None:
    operation = getattr(shape, name)

    def in_place(self: Tensor, *args: Any) -> Tensor:
        refuse_leaf(self)
        result = operation(self, *args)
        self.array = result.array  # the memory stays: this is still its tensor
        if self.node is not None:
            self.node, self._requires_grad = result.node, result._requires_grad
        return self

    in_place.__doc__ = f"`{name}`, in place."
    method(name + "_")(in_place)


for _name in "squeeze unsqueeze transpose t".split():
    _in_place_shape(_name)


@method()
def zero_(self: Tensor) -> Tensor:
    """0 everywhere."""
    return fill_(self, 0)


@method()
def fill_(self: Tensor, value: Any) -> Tensor:
    """`value` everywhere."""
    assign(self, ..., value)
    return self


@method()
def copy_(self: Tensor, src: Any) -> Tensor:
    """The values of `src`, broadcast, in this tensor's dtype."""
    assign(self, ..., src)
    return self


def _rng(generator: Any) -> np.random.Generator:
    return (generator or rng.default_generator).rng  # type: ignore[no-any-return]


def _random(self: Tensor, values: Any) -> Tensor:
    return write(self, Tensor(values.astype(self.dtype)))


@method()
def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Tensor:
    """Random numbers, uniform in [a, b)."""
    return _random(self, a + (b - a) * _rng(generator).random(self.shape))


@method()
def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Random numbers, normal."""
    return _random(self, mean + std * _rng(generator).standard_normal(self.shape))


@method()
def bernoulli_(self: Tensor, p: float = 0.5, *, generator: Any = None) -> Tensor:
    """1 with probability p, else 0."""
    return _random(self, _rng(generator).random(self.shape) < p)


@method()
def random_(self: Tensor, low: int = 0, high: int | None = None, *, generator: Any = None) -> Tensor:
    """Random integers: `random_(high)` from 0, `random_(low, high)` from low, up to high - 1."""
    bounds = (0, low or 2**24) if high is None else (low, high)
    return _random(self, _rng(generator).integers(*bounds, self.shape))


# --- conversions


@method()
def to(self: Tensor, *targets: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False) -> Tensor:
    """This tensor in another dtype (gradients pass), or like another tensor; the only device is the processor."""
    for target in targets:
        if isinstance(target, Tensor):
            dtype = target.dtype
        elif isinstance(target, (str, Device)):
            device = target
        else:
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
    def convert(self: Tensor) -> Tensor:
        return cast(self, np.dtype(dtype))

    convert.__name__ = name
    convert.__doc__ = f"This tensor as {dtype}."
    method(name)(convert)


for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
    "char": "int8", "byte": "uint8", "bool": "bool",
}.items():
    _conversion(_name, _dtype)
