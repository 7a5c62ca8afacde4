"""Spellings from before PyTorch 0.4, which tutorials on recurrent networks are still full of.

    FloatTensor(2, 3)   LongTensor([1, 2])            a constructor for each type of numbers
    t.type()   t.type(LongTensor)   t.new(2, 3)       asking for that type, and making more of it
    Variable(x)                                       a tensor once had to be wrapped to have a gradient
    x.add_(2, y)                                      the factor once came first: x.add_(y, alpha=2)
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from .. import dtypes
from ..engine.tensor import Tensor, method
from ..ops.conversion import Size


class Kind(type):
    """Makes `isinstance(t, LongTensor)` a question about the numbers in `t`."""

    dtype: dtypes.Dtype | None = None  # None: any

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Tensor) and cls.dtype in (None, x.dtype)


class Typed(metaclass=Kind):
    """Construct a plain tensor: what the types share."""

    def __new__(cls, *data: Any) -> Any:
        if len(data) == 1 and isinstance(data[0], Size):
            return Tensor(np.zeros(data[0], cls.dtype))
        if all(isinstance(n, (int, np.integer)) for n in data):
            return Tensor(np.zeros(data or (0,), cls.dtype))
        if len(data) > 1 or not hasattr(data[0], "__len__"):
            raise TypeError(f"{cls.__name__}: expected sizes, or one sequence, array or tensor, got {data}")
        values = data[0]
        if isinstance(values, Tensor):
            if values.dtype != cls.dtype:
                raise TypeError(f"{cls.__name__}: the tensor holds {values.dtype}; use t.to({cls.dtype})")
            return values.detach()
        try:
            return Tensor(np.asarray(values, cls.dtype))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{cls.__name__}: {error}") from None


def _typed(name: str, dtype: dtypes.Dtype) -> Any:
    doc = f"{dtype}: `{name}(2, 3)` is 2 by 3 zeros, `{name}(data)` takes a list, an array or a tensor."
    return Kind(name, (Typed,), {"dtype": dtype, "__doc__": doc, "__module__": __name__})


FloatTensor = _typed("FloatTensor", dtypes.float32)
DoubleTensor = _typed("DoubleTensor", dtypes.float64)
HalfTensor = _typed("HalfTensor", dtypes.float16)
LongTensor = _typed("LongTensor", dtypes.int64)
IntTensor = _typed("IntTensor", dtypes.int32)
ShortTensor = _typed("ShortTensor", dtypes.int16)
CharTensor = _typed("CharTensor", dtypes.int8)
ByteTensor = _typed("ByteTensor", dtypes.uint8)
BoolTensor = _typed("BoolTensor", dtypes.bool_)

BY_NAME = {f"torch.{kind.__name__}": kind for kind in Typed.__subclasses__()}
BY_DTYPE = {kind.dtype: kind for kind in BY_NAME.values()}


def dtype_of(kind: Any) -> dtypes.Dtype:
    """The dtype that `"torch.LongTensor"`, `LongTensor` or a dtype names."""
    kind = BY_NAME.get(kind, kind) if isinstance(kind, str) else kind
    return dtypes.as_dtype(kind.dtype if isinstance(kind, Kind) else kind)


@method("type")
def type_(self: Tensor, dtype: Any = None) -> Any:
    """The tensor in another type; without an argument the name of its type, such as "torch.FloatTensor"."""
    return f"torch.{BY_DTYPE[self.dtype].__name__}" if dtype is None else self.to(dtype_of(dtype))


@method()
def new(self: Tensor, *data: Any) -> Tensor:
    """A new tensor with numbers of the same type, of the given sizes (zeros) or data."""
    made: Tensor = BY_DTYPE[self.dtype](*data)
    return made


method("ndimension")(Tensor.dim)
Tensor.is_cuda = False


def _factor_first(name: str, factor: str, tensors: int) -> None:
    """Let `x.add_(2, y)`, as older programs have it, be `x.add_(y, alpha=2)`; so with the other factors."""
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


def is_tensor(obj: Any) -> bool:
    """True if `obj` is a tensor."""
    return isinstance(obj, Tensor)


def set_default_tensor_type(t: Any) -> None:
    """Make the numbers of `t` (`DoubleTensor` or its name) the dtype of new float tensors."""
    dtypes.set_default_dtype(dtype_of(t))


class Variable(metaclass=Kind):
    """`Variable(x)` is x without its graph: the same memory, a leaf. Every tensor is a Variable."""

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable: expected a tensor, got {type(data).__name__}; use tensor(data)")
        if volatile:
            raise NotImplementedError("Variable: volatile=True is no more; run what uses it under no_grad()")
        return data.detach().requires_grad_(requires_grad)
