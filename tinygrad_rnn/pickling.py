"""Pickling and shallow copies of tensors, so that modules and optimizers, which are made of them, have both.

As in PyTorch, a pickled tensor is its values, `requires_grad`, its class and the attributes that a program
gave it; its gradient and its hooks stay behind. One tensor under two names is one tensor again afterwards.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .engine.tensor import Array, Tensor, method

OWN = {*Tensor.__annotations__, "hooks", "graph_id"}  # what tensors have from the engine and from autograd/


@method("__reduce_ex__")
def reduce(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    """Return what `pickle` needs to make the tensor again; refuse one that has a graph.

    `protocol` is the pickle protocol, of no importance here: arrays know what to do with each.
    """
    if not self.is_leaf:
        raise RuntimeError(
            f"pickle: a tensor of shape {tuple(self.shape)} that an operation made cannot take its graph "
            "along; pickle t.detach() instead"
        )
    if self.hooks:
        warnings.warn("pickle: the hooks of a tensor are not pickled", UserWarning, stacklevel=2)
    return parts(self)


def parts(tensor: Tensor) -> tuple[Any, ...]:
    """Return `rebuild` and its arguments, which make a leaf of the same class, values and attributes."""
    values = tensor.array.view()  # its own entry in the pickle, even if another tensor shows the same memory
    return rebuild, (type(tensor), values, tensor.requires_grad, attributes(tensor))


def rebuild(kind: type[Tensor], values: Array, requires_grad: bool, more: dict[str, Any]) -> Tensor:
    """Return a `kind` over `values`, with `more` attributes: what unpickling calls.

    Values in memory that cannot be written to, such as a file that joblib maps, are copied.
    """
    array = np.array(values, copy=None if values.flags.writeable else True)
    return made(kind, Tensor(array), requires_grad, more)


@method("__copy__")
def shallow_copy(self: Tensor) -> Tensor:
    """Return another leaf over the same memory, for `copy.copy`."""
    return made(type(self), self.detach(), self.requires_grad, attributes(self))


def made(kind: type[Tensor], source: Tensor, requires_grad: bool, more: dict[str, Any]) -> Tensor:
    """Return a `kind` that shares the memory of `source`; a subclass's `__init__` is not called."""
    tensor = source
    if kind is not Tensor:
        tensor = kind.__new__(kind)
        Tensor.__init__(tensor, source.array)
        tensor.data = source
    vars(tensor).update(more)
    return tensor.requires_grad_(requires_grad)


def attributes(tensor: Tensor) -> dict[str, Any]:
    """Return the attributes that a program has given to `tensor`, beside those that a tensor has."""
    return {name: value for name, value in vars(tensor).items() if name not in OWN}
