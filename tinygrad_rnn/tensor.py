"""Tensor: an array that remembers how it was made.

A tensor has an `array` (NumPy's), and, if a gradient may be asked of it, either nothing behind it
(a leaf: `node is None`) or the `node` of the operation that made it. This file names no operation:
those that tensors have as methods are attached by the files that define them (`@method`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from . import dtypes
from .device import cpu, device

if TYPE_CHECKING:
    from ._methods import TensorMethods
else:
    TensorMethods = object

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

tick = count(1).__next__  # one clock orders the making of nodes and the writing of memory


class Memory:
    """What is known of the memory under an array: who else looks at it, when it was last written."""

    written = 0  # tick of the last write in place; a node made before it may not read the value any more
    shared = False  # a node keeps the values, or there is another view: assignment must copy first
    viewers: list[ref[Tensor]] | None = None  # once there are several; some may be gone or have moved
    room = 8  # how many of them there may be before those that are gone are struck off

    def admit(self, viewer: Tensor, source: Tensor) -> None:
        """`viewer` shows this memory from now on, as `source` does."""
        viewer.memory = self
        viewers = self.viewers
        if viewers is None:
            self.viewers, self.shared = [ref(source), ref(viewer)], True
        elif len(viewers) < self.room:
            viewers.append(ref(viewer))
        else:
            self.viewers = [*(r for r in viewers if r() is not None), ref(viewer)]
            self.room = 2 * len(self.viewers) + 8

    def living(self) -> list[Tensor]:
        """The tensors that show this memory, if there are several."""
        found = [viewer() for viewer in self.viewers or ()]
        return list(dict.fromkeys(t for t in found if t is not None and t.memory is self))

    def __reduce__(self) -> Any:
        return Memory, ()  # a copy is under other arrays


UNRECORDED = "made under no_grad"


class Size(tuple[int, ...]):
    """A shape, as `t.size()` gives it. `Tensor(t.size())` has that shape; `Tensor((2, 3))` holds 2 and 3."""

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self)


class Tensor(TensorMethods):
    """An array that remembers how it was made, so that a gradient can be carried back to its origins.

    `Tensor(array)` wraps a NumPy array without copying it; `tinygrad_rnn.tensor(data)` copies.
    """

    array: Array
    memory: Memory
    node: Any = None  # autograd's record of the operation; None for a leaf
    family: Any = None  # views that one graph goes through; detach() starts another, no_grad gives UNRECORDED
    hooks: Any = None  # of a leaf; other tensors' hooks live on their node
    _requires_grad: bool = False
    _grad: Tensor | None = None
    __hash__ = object.__hash__

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        """Wrap one NumPy array; the older spellings `Tensor([1, 2])` and `Tensor(2, 3)` make floats."""
        if len(data) == 1 and isinstance(data[0], np.ndarray):
            self.array = data[0]
        elif len(data) == 1 and isinstance(data[0], np.floating):
            self.array = np.asarray(data[0])
        elif len(data) == 1 and not isinstance(data[0], (int, Size)):
            self.array = np.array(data[0], dtypes.get_default_dtype())
        else:
            shape = data[0] if data and isinstance(data[0], Size) else data or (0,)
            self.array = np.zeros(shape, dtypes.get_default_dtype())
        self.memory = Memory()
        self.memory.shared = True  # whoever made the array may still hold it
        if requires_grad:
            self.requires_grad_()

    # --- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        return self.array.shape

    @property
    def dtype(self) -> dtypes.Dtype:
        """The type of its numbers."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    @property
    def device(self) -> device:
        """Always the processor."""
        return cpu

    @property
    def is_leaf(self) -> bool:
        """True unless an operation made it that a gradient can be carried back through."""
        return self.node is None

    @property
    def grad_fn(self) -> Any:
        """The record of the operation that made it, or None."""
        return self.node

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its entry `dim`."""
        return Size(self.shape) if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        """The bytes of one element."""
        return self.array.itemsize

    def is_floating_point(self) -> bool:
        """True for float dtypes."""
        return self.array.dtype.kind == "f"

    # --- the graph

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded, so that a gradient can be carried back through them."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
        if value is not None and (value.shape, value.dtype) != (self.shape, self.dtype):
            raise RuntimeError(
                f"grad: a {value.dtype} tensor of shape {value.shape} cannot be the gradient "
                f"of a {self.dtype} tensor of shape {self.shape}"
            )
        self._grad = value

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask `backward` for the gradient of this leaf (a float tensor)."""
        if requires_grad and self.array.dtype.kind not in "fc":
            raise RuntimeError(f"requires_grad: only float tensors have gradients, this one is {self.dtype}")
        if not requires_grad and self.node is not None:
            raise RuntimeError("requires_grad_(False): not a leaf; use detach()")
        self._requires_grad = bool(requires_grad)
        return self

    def detach(self) -> Tensor:
        """The same memory, without the graph."""
        twin = Tensor(self.array)
        twin.family = object()
        self.memory.admit(twin, self)
        return twin

    def detach_(self) -> Tensor:
        """Forget how this tensor was made."""
        self.node, self._requires_grad = None, False
        return self

    def become(self, result: Tensor) -> Tensor:
        """Take on values and history of `result`: what an operation in place does to a recorded tensor."""
        retained = self.node is not None and (self.node.extras or {}).pop("retain", None)
        self.array, self.memory = result.array, result.memory
        self.node, self._requires_grad = result.node, result._requires_grad
        if self.memory.viewers is not None:
            self.memory.admit(self, result)
        if retained:
            self.node.extra("retain", retained)
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, without the graph; assigning replaces the values' array."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
        self.array = value.array
        if value.memory is not self.memory:
            self.family = object()
            value.memory.admit(self, value)

    def touch(self) -> None:
        """Record that the memory was written: a graph that still needs the old values will refuse to run."""
        self.memory.written = tick()

    # --- to Python and NumPy

    def numpy(self) -> Array:
        """The array itself (shared memory) of a tensor that requires no gradient."""
        if self.requires_grad:
            raise RuntimeError("numpy(): the tensor requires a gradient; use t.detach().numpy()")
        self.memory.shared = True
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self) -> Any:
        """The one element, as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(f"item(): a tensor of shape {self.shape} is not one number")
        return self.array.item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers (a number, if 0-d)."""
        return self.array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise RuntimeError(
                f"bool(): a tensor of shape {self.shape} is neither true nor false; use .any() or .all()"
            )
        return bool(self.array.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "iub":
            raise TypeError(f"only an integer tensor can be an index, this one is {self.dtype}")
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, element: Any) -> bool:
        return bool((self.array == (element.array if isinstance(element, Tensor) else element)).any())

    def __format__(self, spec: str) -> str:
        return format(str(self) if self.shape else self.item(), spec)

    def __repr__(self) -> str:
        numbers = np.array2string(self.array, separator=", ", precision=4, prefix="tensor(", threshold=1000)
        plain = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
        more = "" if self.dtype in plain and self.array.size else f", dtype={self.dtype}"
        if self.node is not None:
            more += f", grad_fn=<{self.node.name}>"
        elif self.requires_grad:
            more += ", requires_grad=True"
        return f"tensor({numbers}{more})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.node is not None:
            raise RuntimeError(
                "deepcopy: only a tensor without a graph can be copied whole; use detach() or clone()"
            )
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        fresh = {"array": self.array.copy(), "memory": Memory(), "family": None, "hooks": None}
        rest = {k: copy.deepcopy(v, memo) for k, v in self.__dict__.items() if k not in fresh}
        twin.__dict__.update(fresh | rest)
        return twin


def method(*names: str) -> Callable[[F], F]:
    """Attach a function to Tensor as a method, under `names` (default: its own)."""

    def attach(function: F) -> F:
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        return function

    return attach
