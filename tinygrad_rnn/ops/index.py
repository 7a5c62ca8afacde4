"""Indexing: everything NumPy's basic and advanced indexing does, and what is made of it.

Three primitives, each other's adjoints: `getitem` (x[index]), `place` (zeros with values added at an index)
and `put` (x with values replaced at an index). `x[index] = value` is in aliasing.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.derivatives import along, getitem, place, put
from ..engine.primitive import apply
from ..engine.tensor import Tensor, method
from .elementwise import choose, where
from .inputs import axis_of, mask_of, plain_index, tensor_of
from .operation import operation


@method("__getitem__")
def get(input: Tensor, index: Any) -> Tensor:
    """input[index], as NumPy and PyTorch have it; a basic index gives a view."""
    if index.__class__ is not int and index.__class__ is not slice:
        index = plain_index(index, input.shape)
    return apply(getitem, (input,), {"index": index})


# --- by number along a dimension


def _numbers(name: str, index: Any, size: int, least: int = 0) -> Any:
    """`index` as an array of integers, each of them in a dimension of `size`."""
    array = tensor_of(name, index).array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: index must hold integers, got {array.dtype}")
    if array.size and not least <= array.min() <= array.max() < size:
        bad = array[(array < least) | (array >= size)].flat[0]
        raise IndexError(f"{name}: index {bad} is out of range for a dimension of size {size}")
    return array


def _aimed(name: str, input: Tensor, dim: int, index: Any) -> tuple[Tensor, tuple[Any, ...]]:
    """x, and the index (…, i, index[…, i, j, …], j, …): `index` along `dim`, the others by their numbers."""
    axis, size = axis_of(name, input, dim), input.shape[dim] if input.shape else 1
    numbers = _numbers(name, index, size)
    if not input.shape:
        input, numbers = input.reshape(1), numbers.reshape(-1)
    smaller = [n <= m or i == axis for i, (n, m) in enumerate(zip(numbers.shape, input.shape))]
    if len(numbers.shape) != input.ndim or not all(smaller):
        raise RuntimeError(
            f"{name}: index {numbers.shape} does not fit {input.shape}, which may be larger but in {dim}"
        )
    grid: list[Any] = list(np.ogrid[tuple(map(slice, numbers.shape))])
    grid[axis] = numbers
    return input, tuple(grid)


def _source(name: str, src: Any, index: Any, dtype: Any) -> Tensor:
    """The values that `scatter` writes: a number, or as much of `src` as `index` asks for."""
    values, shape = tensor_of(name, src, dtype), tensor_of(name, index).shape
    if not values.shape:
        return values
    if len(shape) != values.ndim or any(n > m for n, m in zip(shape, values.shape)):
        raise RuntimeError(f"{name}: index {shape} does not fit src {values.shape}, which may be larger")
    return getitem(values, index=tuple(map(slice, shape)))


@operation(method=True)
def gather(input: Tensor, dim: int, index: Any) -> Tensor:
    """y[i, j, …] = x[index[i, j, …], j, …], for dim 0; x may be larger than `index` in other dimensions."""
    x, places = _aimed("gather", input, dim, index)
    y = getitem(x, index=places)
    return y if input.shape else y.reshape(index.shape)


@operation(method=True, in_place=True)
def scatter(input: Tensor, dim: int, index: Any, src: Any = None, *, value: Any = None) -> Tensor:
    """A copy of x with y[index[i, j, …], j, …] = src[i, j, …], for dim 0; or one `value` in all places."""
    x, places = _aimed("scatter", input, dim, index)
    values = _source("scatter", value if src is None else src, index, input.dtype)
    return put(x, values, index=places, reuse=False).reshape(input.shape)


@operation(method=True, in_place=True)
def scatter_add(input: Tensor, dim: int, index: Any, src: Tensor) -> Tensor:
    """x with src[i, j, …] added at [index[i, j, …], j, …], for dim 0; repeated places get every summand."""
    x, places = _aimed("scatter_add", input, dim, index)
    values = _source("scatter_add", src, index, input.dtype)
    return input + place(values, indices=[places], shape=x.shape).reshape(input.shape)


@operation(method=True)
def index_select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The entries `index` (1-D) of dimension `dim`."""
    if not input.shape:
        return index_select(input.reshape(1), dim, index).reshape(())
    axis = axis_of("index_select", input, dim)
    numbers = _numbers("index_select", index, input.shape[axis])
    if numbers.ndim > 1:
        raise IndexError(f"index_select: index must be 1-D, got shape {numbers.shape}")
    return getitem(input, index=along(axis, numbers.reshape(-1)))


@operation(method=True, in_place=True)
def index_add(input: Tensor, dim: int, index: Any, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """x with `alpha source` added at the entries `index` (1-D) of dimension `dim`."""
    axis = axis_of("index_add", input, dim)
    numbers = _numbers("index_add", index, input.shape[axis]).reshape(-1)
    if source.shape != input.shape[:axis] + numbers.shape + input.shape[axis + 1 :]:
        raise RuntimeError(
            f"index_add: {numbers.size} entries of dim {dim} of {input.shape} are not {source.shape}"
        )
    values = tensor_of("index_add", source if alpha == 1 else source * alpha, input.dtype)
    return input + place(values, indices=[along(axis, numbers)], shape=input.shape)


@operation(method=True, numpy=np.take_along_axis)
def take_along_dim(input: Tensor, indices: Any, dim: int | None = None) -> Tensor:
    """y[…, i, …] = x[…, indices[…, i, …], …]; the other dimensions broadcast. Without `dim`, of x.ravel()."""
    if dim is None:
        return take_along_dim(input.reshape(-1), indices.reshape(-1), 0)
    axis = axis_of("take_along_dim", input, dim)
    if indices.ndim != input.ndim:
        raise RuntimeError(f"take_along_dim: {input.shape} and indices {indices.shape} differ in dimensions")
    size = input.shape[axis]
    numbers = _numbers("take_along_dim", indices, size, -size)
    grid: list[Any] = list(np.ogrid[tuple(map(slice, input.shape))])
    grid[axis] = numbers
    return getitem(input, index=tuple(grid))


@operation(method=True, in_place=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` is true, else x."""
    return choose(mask_of("masked_fill", mask), tensor_of("masked_fill", value, input.dtype), input)


@operation(method=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The values of x where `mask` is true (they broadcast), as a 1-D tensor."""
    shape = np.broadcast_shapes(input.shape, mask.shape)
    whole = input if input.shape == shape else input.expand(shape)
    return getitem(whole, index=np.broadcast_to(mask_of("masked_select", mask), shape))


@operation(method=True)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the values that are not zero, a row each; or a tuple, an index for each dimension."""
    return where(input != 0) if as_tuple else Tensor(np.argwhere(input.array))
