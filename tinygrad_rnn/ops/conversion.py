"""Conversions: to Python and NumPy, to other dtypes, and from Python's older spellings of a tensor.

What a tensor is as a Python object (its length, truth value, text) is here too.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..device import cpu as the_device
from ..device import device as Device
from ..engine.tensor import Array, Storage, Tensor, method
from .inputs import attribute, cast, named


class Size(tuple[int, ...]):
    """A shape, as `t.size()` gives it. `Tensor(t.size())` has that shape; `Tensor((2, 3))` holds 2 and 3."""

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)


@method("_array_from")
def array_from(self: Tensor, *data: Any) -> Array:
    """The array for `Tensor(*data)`: a NumPy float, data as default floats, or zeros of the given sizes."""
    if len(data) == 1 and isinstance(data[0], np.floating):
        return np.asarray(data[0])
    if len(data) == 1 and not isinstance(data[0], (int, Size)):
        return np.array(data[0], dtypes.get_default_dtype())
    shape = data[0] if data and isinstance(data[0], Size) else data or (0,)
    return np.zeros(shape, dtypes.get_default_dtype())


# --- sizes and kinds


@method()
def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or its entry `dim`."""
    return Size(self.shape) if dim is None else self.shape[dim]


@method()
def dim(self: Tensor) -> int:
    """The number of dimensions."""
    return self.array.ndim


@attribute
def is_leaf(self: Tensor) -> bool:
    """True unless a recorded operation made it."""
    return self.node is None


@attribute
def grad_fn(self: Tensor) -> Any:
    """The node of the operation that made it, or None."""
    return self.node


@attribute
def device(self: Tensor) -> Device:
    """Always the processor."""
    return the_device


@method("numel", "nelement")
def numel(self: Tensor) -> int:
    """The number of elements."""
    return self.array.size


@method()
def element_size(self: Tensor) -> int:
    """The bytes of one element."""
    return self.array.itemsize


@method()
def is_floating_point(self: Tensor) -> bool:
    """True for float dtypes."""
    return self.array.dtype.kind == "f"


# --- to Python and NumPy


@method()
def numpy(self: Tensor) -> Array:
    """The array itself (shared memory) of a tensor that requires no gradient."""
    if self.requires_grad:
        raise RuntimeError("numpy(): the tensor requires a gradient; use t.detach().numpy()")
    self.storage.shared = True
    return self.array


@method()
def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Array:
    return np.array(self.numpy(), dtype, copy=copy)


@method()
def item(self: Tensor) -> Any:
    """The one element, as a Python number."""
    if self.array.size != 1:
        raise RuntimeError(f"item(): a tensor of shape {self.shape} is not one number")
    return self.array.item()


@method()
def tolist(self: Tensor) -> Any:
    """Nested lists of Python numbers (a number, if 0-d)."""
    return self.array.tolist()


@method()
def __float__(self: Tensor) -> float:
    return float(self.item())


@method()
def __int__(self: Tensor) -> int:
    return int(self.item())


@method()
def __bool__(self: Tensor) -> bool:
    if self.array.size != 1:
        raise RuntimeError(
            f"bool(): a tensor of shape {self.shape} is neither true nor false; use .any() or .all()"
        )
    return bool(self.array.item())


@method()
def __index__(self: Tensor) -> int:
    if self.array.dtype.kind not in "iub":
        raise TypeError(f"only an integer tensor can be an index, this one is {self.dtype}")
    return int(self.item())


@method()
def __len__(self: Tensor) -> int:
    if not self.shape:
        raise TypeError("len() of a 0-d tensor")
    return self.shape[0]


@method()
def __iter__(self: Tensor) -> Iterator[Tensor]:
    if not self.shape:
        raise TypeError("iteration over a 0-d tensor")
    return (self[i] for i in range(self.shape[0]))


@method()
def __contains__(self: Tensor, element: Any) -> bool:
    return bool((self.array == (element.array if isinstance(element, Tensor) else element)).any())


@method()
def __format__(self: Tensor, spec: str) -> str:
    return format(str(self) if self.shape else self.item(), spec)


@method()
def __repr__(self: Tensor) -> str:
    numbers = np.array2string(self.array, separator=", ", precision=4, prefix="tensor(", threshold=1000)
    plain = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
    more = "" if self.dtype in plain and self.array.size else f", dtype={self.dtype}"
    if self.node is not None:
        more += f", grad_fn=<{self.node.name}>"
    elif self.requires_grad:
        more += ", requires_grad=True"
    return f"tensor({numbers}{more})"


@method()
def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if self.node is not None:
        raise RuntimeError(
            "deepcopy: only a tensor without a graph can be copied whole; use detach() or clone()"
        )
    twin = type(self).__new__(type(self))
    memo[id(self)] = twin
    fresh = {"array": self.array.copy(), "storage": Storage(), "graph_id": None, "hooks": None}
    rest = {k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k not in fresh}
    twin.__dict__.update(fresh | rest)
    return twin


# --- to other dtypes and devices


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
