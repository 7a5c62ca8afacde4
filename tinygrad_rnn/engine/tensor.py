"""Tensor: a NumPy array, the node that made it, and its gradient.

    x = Tensor(array, requires_grad=True)    a leaf: x.node is None
    y = tanh(x)                              y.node records that tanh made y from x
    y.backward(g)                            adds gᵀ ∂y/∂x to x.grad

No operation is named here. Methods are attached by the files that define them (`@method`).
Next: primitive.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._methods import TensorMethods
else:
    TensorMethods = object

Array = NDArray[Any]
F = TypeVar("F", bound=Callable[..., Any])

next_sequence_number = count(1).__next__  # nodes and writes share one counter: which came first is known


class Storage:
    """The memory under one or more tensors, as far as the engine asks: when it was last written.

    ops/aliasing.py keeps `aliases`, and decides what a write in place has to do.
    """

    version = 0  # sequence number of the last write: a node made before it must not read the values any more
    shared = False  # a node saved the values, or an alias exists: a write in place has to copy first
    aliases: Any = None  # weak references to the tensors on this storage, once there are several

    def __reduce__(self) -> Any:
        return Storage, ()  # a copied tensor has memory of its own


class Tensor(TensorMethods):
    """An array that remembers how it was made, so that a gradient can be carried back to its origins.

    `Tensor(array)` wraps a NumPy array without copying it; `tinygrad_rnn.tensor(data)` copies.
    `requires_grad=True` makes it a leaf whose gradient `backward` computes.
    """

    array: Array
    storage: Storage
    node: Any = None  # the Node of the operation that made it; None for a leaf
    _requires_grad: bool = False
    _grad: Tensor | None = None
    __hash__ = object.__hash__

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        """Wrap one NumPy array; the older spellings `Tensor([1, 2])` and `Tensor(2, 3)` make floats."""
        given = data[0] if len(data) == 1 else None
        self.array = given if isinstance(given, np.ndarray) else self._array_from(*data)
        self.storage = Storage()
        self.storage.shared = True  # whoever made the array may still hold it
        if requires_grad:
            self.requires_grad_()

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.array.ndim

    # --- its place in the graph

    @property
    def requires_grad(self) -> bool:
        """True if operations on it are recorded, so that a gradient can be carried back through them."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask `backward` for the gradient of this leaf (a float tensor), or no longer; returns itself."""
        if requires_grad and self.array.dtype.kind not in "fc":
            raise RuntimeError(f"requires_grad: only float tensors have gradients, this one is {self.dtype}")
        if not requires_grad and self.node is not None:
            raise RuntimeError("requires_grad_(False): not a leaf; use detach()")
        self._requires_grad = bool(requires_grad)
        return self

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


def method(*names: str) -> Callable[[F], F]:
    """Attach a function to Tensor as a method, under `names` (default: its own)."""

    def attach(function: F) -> F:
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        return function

    return attach
