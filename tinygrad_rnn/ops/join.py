"""Joining tensors (cat, stack) and cutting them into pieces (split, chunk, unbind), which is indexing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..engine import derivatives
from ..engine.derivatives import along, getitem, slices_of
from ..engine.primitive import apply
from ..engine.tensor import Tensor
from .index import get
from .inputs import axis_and_size, axis_of, cast, tensor_of
from .operation import operation
from .shape import expand, reshape, transpose

Tensors = Sequence[Tensor]


def _several(name: str, tensors: Any) -> list[Tensor]:
    """A non-empty list of tensors, in their common dtype."""
    if isinstance(tensors, (Tensor, np.ndarray)):
        raise TypeError(f"{name}: expected a list or tuple of tensors, got one tensor")
    found = [tensor_of(name, x) for x in tensors]
    if not found:
        raise RuntimeError(f"{name}: expected a non-empty list of tensors")
    common = found[0].dtype
    for x in found:
        if x.array.dtype is not common:
            common = dtypes.promote(common, x.dtype)
    return [x if x.array.dtype is common else cast(x, common) for x in found]


@operation(numpy=np.concatenate, aliases=("concat", "concatenate",))
def cat(tensors: Tensors, dim: int = 0) -> Tensor:
    """Tensors joined along a dimension they have; empty 1-D tensors are passed over."""
    xs = _several("cat", tensors)
    xs = [x for x in xs if x.shape != (0,)] or xs[:1]
    axis = axis_of("cat", xs[0], dim)
    return derivatives.cat(*xs, axis=axis, sizes=[x.shape[axis] if x.shape else 0 for x in xs])


@operation(numpy=np.stack)
def stack(tensors: Tensors, dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    xs = _several("stack", tensors)
    return derivatives.stack(*xs, axis=axis_of("stack", xs[0], dim, new=1))


@operation(numpy=np.vstack)
def vstack(tensors: Tensors) -> Tensor:
    """Rows on top of each other."""
    return cat([reshape(x, 1, -1 if x.numel() else 0) if x.ndim < 2 else x for x in tensors], 0)


@operation(numpy=np.hstack)
def hstack(tensors: Tensors) -> Tensor:
    """Columns beside each other."""
    xs = [reshape(x, 1) if not x.shape else x for x in tensors]
    return cat(xs, min(1, xs[0].ndim - 1) if xs else 0)


@operation()
def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of the points of a grid: result k, (N₀, N₁, …), is the 1-D tensor k along axis k.

    With indexing="xy" the first two axes change places.
    """
    listed = len(tensors) == 1 and isinstance(tensors[0], (list, tuple))
    xs = _several("meshgrid", tensors[0] if listed else tensors)
    sizes = [x.numel() for x in xs]
    if max(x.ndim for x in xs) > 1 or indexing not in ("ij", "xy"):
        shapes = [x.shape for x in xs]
        raise RuntimeError(f"meshgrid: needs 1-D tensors, and 'ij' or 'xy', got {shapes} and {indexing!r}")
    lines = [reshape(x, [n if i == k else 1 for i, n in enumerate(sizes)]) for k, x in enumerate(xs)]
    grids = [expand(x, sizes) for x in lines]
    return tuple(grids if indexing == "ij" or len(xs) < 2 else [transpose(x, 0, 1) for x in grids])


@lru_cache(maxsize=256)  # cells cut their gates apart at every step
def _equal_slices(n: int, size: int, axis: int) -> list[tuple[Any, ...]]:
    """The indices of consecutive pieces of `size`, the last perhaps smaller, of `n` entries."""
    return slices_of([min(size, n - start) for start in range(0, n, size)] if n else [0], axis)


@operation(method=True)
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given size (the last may be smaller), or of the given sizes, along `dim`."""
    axis, n = axis_and_size("split", input, dim)
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes < 0 or sizes == 0 != n:
            raise RuntimeError(f"split: the size of a piece must be positive, got {sizes}")
        return tuple([apply(getitem, (input,), {"index": i}) for i in _equal_slices(n, sizes, axis)])
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise RuntimeError(f"split: sizes {list(sizes)} do not add up to {n}, the size of dim {dim}")
    return tuple([getitem(input, index=i) for i in slices_of(sizes, axis)])


@operation(method=True)
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: the number of pieces must be positive, got {chunks}")
    axis, n = axis_and_size("chunk", input, dim)
    pieces = _equal_slices(n, -(-n // chunks), axis) if n else slices_of([0] * chunks, axis)
    return tuple([apply(getitem, (input,), {"index": i}) for i in pieces])


@operation(method=True)
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of dimension `dim`, without it."""
    axis, n = axis_and_size("unbind", input, dim)
    return tuple([getitem(input, index=along(axis, i)) for i in range(n)])


@operation(method=True)
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Entry `index` of dimension `dim`, without it."""
    return get(input, along(axis_and_size("select", input, dim)[0], int(index)))


@operation(method=True)
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Entries start … start + length - 1 of dimension `dim`; a negative start counts from the end."""
    axis, n = axis_and_size("narrow", input, dim)
    first = int(start) + n if start < 0 else int(start)
    if not 0 <= first <= first + length <= n:
        raise RuntimeError(
            f"narrow: {length} entries from {start} are not in dim {dim} of shape {input.shape}"
        )
    return getitem(input, index=along(axis, slice(first, first + length)))
