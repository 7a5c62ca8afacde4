"""Contributions to a gradient, and their sum.

Most contributions are plain arrays (or tensors, for gradients of gradients). Two kinds wait until
they are asked for, because the sum of many is cheaper than each alone:

    Placed(g, index)    zeros, with g added at `index`         many slices share one buffer
    Product(a, g)       aᵀ g, summed over all leading axes     Σₜ aₜᵀ gₜ = [a₁;…;a_T]ᵀ [g₁;…;g_T]
"""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any

import numpy as np

from .primitive import primitive


class Placed:
    """A gradient of `x[index]`, seen from `x`: zeros of x's shape with `g` added at `index`."""

    __slots__ = ("g", "index")

    def __init__(self, g: Any, index: Any) -> None:
        self.g, self.index = g, index


class Product:
    """aᵀ g, for a (n, k) and g (n, m): a weight's share, from one of the n-row uses of it."""

    __slots__ = ("a", "g")

    def __init__(self, a: Any, g: Any) -> None:
        self.a, self.g = a, g


class Part:
    """The gradient of output number `k` of a node that has several."""

    __slots__ = ("k", "g")

    def __init__(self, k: int, g: Any) -> None:
        self.k, self.g = k, g


def add_at(buffer: Any, index: Any, g: Any) -> None:
    """buffer[index] += g, where positions that `index` repeats receive every share."""
    if not is_advanced(index):
        view = buffer[index]
        if view.__class__ is np.ndarray:
            np.add(view, g, out=view)
        else:  # one element: a number, not a view
            buffer[index] += g
        return
    arrays = index if isinstance(index, tuple) else (index,)
    if all(isinstance(i, np.ndarray) and i.dtype.kind in "iu" for i in arrays) and buffer.flags.c_contiguous:
        lead = buffer.shape[: len(arrays)]
        rows = np.ravel_multi_index([i % n for i, n in zip(np.broadcast_arrays(*arrays), lead)], lead)
        add_rows(buffer.reshape(rows_and(buffer.shape, len(arrays))), rows, g)
    else:
        np.add.at(buffer, index, g)


def rows_and(shape: tuple[int, ...], lead: int) -> tuple[int, ...]:
    """`shape` with its first `lead` dimensions made one."""
    return (math.prod(shape[:lead]), *shape[lead:])


def add_rows(buffer: Any, rows: Any, g: Any) -> None:
    """buffer[rows[k]] += g[k] for every k, sorted to write each row once: far faster than np.add.at."""
    g = g.reshape(rows.size, *buffer.shape[1:])
    rows = rows.reshape(-1)
    if buffer.ndim == 1:  # here it is the fastest
        np.add.at(buffer, rows, g)
        return
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    buffer[rows[starts]] += np.add.reduceat(g[order], starts, axis=0)


def is_advanced(index: Any) -> bool:
    """True if NumPy would copy: an array (integers or a mask) is among the indices."""
    if index.__class__ is tuple:
        for i in index:  # noqa: SIM110  (any() over a generator costs three times as much)
            if i.__class__ is np.ndarray:
                return True
        return False
    return isinstance(index, np.ndarray)


def _place(*parts: Any, indices: Any, shape: Any) -> Any:
    out = np.zeros(shape, parts[0].dtype)
    for part, index in zip(parts, indices):
        add_at(out, index, part)
    return out


place = primitive(
    "place", _place, lambda g, _y, *_parts, indices, shape: [g[i] for i in indices], variadic=True
)
place.__doc__ = "Zeros of `shape` with `parts[k]` added at `indices[k]`: the adjoint of indexing."


def fit(g: Any, shape: tuple[int, ...]) -> Any:
    """Broadcasting's adjoint, in its one place: `g` summed down, or spread out, to `shape`."""
    extra = len(g.shape) - len(shape)  # below 0: g has fewer dimensions
    axes = [k for k in range(len(g.shape)) if k < extra or shape[k - extra] == 1 != g.shape[k]]
    if axes:
        g = np.add.reduce(g, axis=tuple(axes), keepdims=True)
        g = np.reshape(g, g.shape[max(extra, 0) :])
    return g if g.shape == shape else np.broadcast_to(g, shape)


class Sum:
    """The sum of the contributions to one gradient of `shape`.

    Arrays are added in place into a buffer that is nobody else's (`owned`); tensors out of place.
    """

    __slots__ = ("shape", "dense", "owned", "placed", "products", "parts")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.dense: Any = None
        self.owned = False
        self.placed: list[Placed] = []
        self.products: list[Product] = []
        self.parts: dict[int, Any] | None = None

    def add(self, d: Any) -> None:
        """Take one more contribution."""
        kind = d.__class__
        if kind is Placed:
            self.add_placed(d)
        elif kind is Product:
            self.products.append(d)
        elif kind is Sum:
            self.add_dense(d.total())
        elif kind is Part:
            self.parts = {} if self.parts is None else self.parts
            self.parts[d.k] = self.parts[d.k] + d.g if d.k in self.parts else d.g
        else:
            self.add_dense(d if d.shape == self.shape else fit(d, self.shape))

    def add_dense(self, d: Any) -> None:
        """Take an array or tensor of the right shape."""
        if self.dense is None:
            self.dense = d
        elif self.owned:
            self.dense += d
        else:
            total = self.dense + d  # of 0-d arrays NumPy makes a number
            self.dense = np.asarray(total) if isinstance(total, np.generic) else total
            self.owned = self.dense.__class__ is np.ndarray

    def add_placed(self, d: Placed) -> None:
        """Take a slice's gradient: into the buffer, or, for tensors, later with all others."""
        if d.g.__class__ is not np.ndarray:
            self.placed.append(d)
            return
        if not self.owned:
            self.dense = np.zeros(self.shape, d.g.dtype) if self.dense is None else self.dense.copy()
            self.owned = True
        add_at(self.dense, d.index, d.g)

    def own(self) -> Any:
        """The sum, in an array that is nobody else's."""
        self.total()
        if not self.owned:
            self.dense, self.owned = self.dense.copy(), True
        return self.dense

    def total(self) -> Any:
        """The sum."""
        if self.parts is not None:
            return self.parts
        if self.placed:
            indices = [d.index for d in self.placed]
            self.add_dense(place(*[d.g for d in self.placed], indices=indices, shape=self.shape))
            self.placed = []
        if self.products:
            self.add_dense(product([d.a for d in self.products], [d.g for d in self.products]))
            self.products = []
            self.owned = self.dense.__class__ is np.ndarray
        return self.dense


def owned(g: Any) -> Sum:
    """An array that nobody else holds, as a sum: it need not be copied to be kept."""
    total = Sum(g.shape)
    total.dense, total.owned = g, True
    return total


def product(a: list[Any], g: list[Any]) -> Any:
    """Σₜ aₜᵀ gₜ as one product; of tensors as a sum of products."""
    if len(a) > 1 and a[0].__class__ is not np.ndarray:
        return reduce(operator.add, (product([x], [y]) for x, y in zip(a, g)))
    stacked_a, stacked_g = (a[0], g[0]) if len(a) == 1 else (np.concatenate(a), np.concatenate(g))
    return np.matmul(stacked_a.swapaxes(0, 1), stacked_g)
