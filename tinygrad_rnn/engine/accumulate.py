"""Accumulate: the gradient of a value is the sum of one vector-Jacobian product (VJP) for each use.

Most VJPs are plain arrays (or tensors, under create_graph). Some stay unfinished, because the sum of many is
cheaper than each alone:

    Scattered(g, index)    zeros with g added at `index`          many slices share one buffer
    Product(a, g)          aᵀ g                                   Σₜ aₜᵀ gₜ = [a₁;…;a_T]ᵀ [g₁;…;g_T]
    OutputGradient(k, g)   g belongs to output k of several       kept apart, by number

Next: backward.py.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import numpy as np

from .derivatives import add_at, place
from .primitive import OutputGradient, Product, Scattered
from .tensor import Tensor

Key = Any  # what a gradient belongs to: a Node (its output), or a leaf Tensor


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum (or expand) `g` to `shape`: the adjoint of broadcasting. The only place that does this."""
    extra = len(g.shape) - len(shape)  # below 0: g has fewer dimensions
    axes = [k for k in range(len(g.shape)) if k < extra or (shape[k - extra] == 1 and g.shape[k] != 1)]
    if axes:
        g = np.add.reduce(g, axis=tuple(axes), keepdims=True)
        g = np.reshape(g, g.shape[max(extra, 0) :])
    return g if g.shape == shape else np.broadcast_to(g, shape)


def stacked_product(a: list[Any], g: list[Any]) -> Any:
    """Σₜ aₜᵀ gₜ as one product; of tensors as a sum of products."""
    if len(a) > 1 and a[0].__class__ is not np.ndarray:
        return reduce(operator.add, (stacked_product([x], [y]) for x, y in zip(a, g)))
    all_a, all_g = (a[0], g[0]) if len(a) == 1 else (np.concatenate(a), np.concatenate(g))
    return np.matmul(all_a.swapaxes(0, 1), all_g)


class Accumulator:
    """A sum of VJPs of one `shape`: an array or tensor `dense`, and the unfinished ones beside it.

    Arrays are added in place into a buffer that nobody else holds (`owned`); tensors out of place.
    """

    __slots__ = ("shape", "dense", "owned", "scattered", "products", "outputs")

    def __init__(self, shape: tuple[int, ...], dense: Any = None, owned: bool = False) -> None:
        self.shape = shape
        self.dense = dense
        self.owned = owned
        self.scattered: list[Scattered] = []
        self.products: list[Product] = []
        self.outputs: dict[int, Any] | None = None

    def add(self, d: Any) -> None:
        """Add one VJP of any form."""
        form = d.__class__
        if form is Scattered:
            self.add_scattered(d)
        elif form is Product:
            self.products.append(d)
        elif form is Accumulator:
            self.add_dense(d.value())
        elif form is OutputGradient:
            self.outputs = {} if self.outputs is None else self.outputs
            self.outputs[d.k] = self.outputs[d.k] + d.g if d.k in self.outputs else d.g
        else:
            self.add_dense(d if d.shape == self.shape else unbroadcast(d, self.shape))

    def add_dense(self, d: Any) -> None:
        """Add an array or tensor of the right shape."""
        if self.dense is None:
            self.dense = d
        elif self.owned:
            self.dense += d
        else:
            total = self.dense + d  # of 0-d arrays NumPy makes a number
            self.dense = np.asarray(total) if isinstance(total, np.generic) else total
            self.owned = self.dense.__class__ is np.ndarray

    def add_scattered(self, d: Scattered) -> None:
        """Add a slice's gradient: into the buffer, or, for tensors, later with all others."""
        if d.g.__class__ is not np.ndarray:
            self.scattered.append(d)
            return
        if not self.owned:
            self.dense = np.zeros(self.shape, d.g.dtype) if self.dense is None else self.dense.copy()
            self.owned = True
        add_at(self.dense, d.index, d.g)

    def value(self) -> Any:
        """The sum, with all that was unfinished added; of several outputs, a dict of their gradients."""
        if self.outputs is not None:
            return self.outputs
        if self.scattered:
            indices = [d.index for d in self.scattered]
            self.add_dense(place(*[d.g for d in self.scattered], indices=indices, shape=self.shape))
            self.scattered = []
        if self.products:
            self.add_dense(stacked_product([d.a for d in self.products], [d.g for d in self.products]))
            self.products = []
            self.owned = self.dense.__class__ is np.ndarray
        return self.dense

    def owned_value(self) -> Any:
        """The sum, in an array that nobody else holds."""
        self.value()
        if not self.owned:
            self.dense, self.owned = self.dense.copy(), True
        return self.dense


def owned(g: Any) -> Accumulator:
    """Wrap an array that nobody else holds: it need not be copied to become a `.grad`."""
    return Accumulator(g.shape, g, True)


def value_of(g: Any) -> Any:
    """The finished gradient of an Accumulator; any other gradient as it is."""
    return g.value() if g.__class__ is Accumulator else g


class Gradients(dict[Key, Any]):
    """The gradients of nodes and leaves that are waiting for their turn: arrays, tensors or Accumulators."""

    def add(self, key: Key, d: Any) -> None:
        """Add the VJP `d` to the gradient of `key`."""
        total = self.get(key)
        if total is None and d.__class__ is Accumulator:
            self[key] = d
            return
        if total.__class__ is not Accumulator:
            total = self[key] = Accumulator(key.shape, total)
        total.add(np.asarray(d) if isinstance(d, np.generic) else d)


def key_of(x: Tensor) -> Key:
    """The key of the gradient of `x`: its node, or a leaf itself."""
    return x if x.node is None else x.node
