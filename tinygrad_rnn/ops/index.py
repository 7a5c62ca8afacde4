"""Indexing: everything NumPy's basic and advanced indexing does, and what is made of it.

Three primitives, each other's adjoints: `x[index]`, `place` (zeros with values added at an index; in
autograd/contributions.py) and `put` (x with values replaced at an index).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.contributions import Placed, is_advanced, place
from ..autograd.gradmode import mode
from ..autograd.primitive import primitive
from ..tensor import Tensor, method
from .elementwise import cast, tensor_of, where

# --- indices


def plain(index: Any) -> Any:
    """`index` with tensors and lists as NumPy arrays, and 0-d integer tensors as integers.

    As in PyTorch, uint8 is a mask: before there were bool tensors, comparisons gave that.
    """
    if isinstance(index, tuple):
        return tuple(plain(i) for i in index)
    if isinstance(index, Tensor):
        if not index.shape and index.dtype.kind == "i":
            return int(index.array)
        index = index.array
    elif isinstance(index, (list, range)):
        index = np.array([i.item() if isinstance(i, Tensor) and not i.shape else i for i in index])
        index = index.astype(np.int64) if index.size == 0 else index
    if isinstance(index, np.ndarray) and index.dtype == np.uint8:
        return index.astype(bool)
    if isinstance(index, np.ndarray) and index.dtype.kind not in "biu":
        raise IndexError(f"an index must hold integers or truth values, got {index.dtype}")
    return index


def axis_of(name: str, input: Tensor, dim: int) -> int:
    """`dim` counted from the front; an error in `name` if there is no such dimension."""
    n = len(input.shape) or 1
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}")
    if not -n <= int(dim) < n:
        raise IndexError(f"{name}: dim {dim} is out of range for shape {input.shape}")
    return int(dim) % n


def along(axis: int, index: Any) -> tuple[Any, ...]:
    """The index that applies `index` to dimension `axis` and leaves those before it whole."""
    return (slice(None),) * axis + (index,)


def _grid(indices: Any, axis: int) -> tuple[Any, ...]:
    """The index (…, i, indices[…, i, j, …], j, …): `indices` along `axis`, each other dimension by its own number."""
    grid: list[Any] = list(np.ogrid[tuple(slice(n) for n in indices.shape)])
    grid[axis] = indices
    return tuple(grid)


# --- rows


def _getitem(x: Any, *, index: Any) -> Any:
    y = x[index]
    if isinstance(y, np.ndarray):
        return y
    return x[(*index, ...) if isinstance(index, tuple) else (index, ...)]  # one element: a 0-d view, not a number


def _put(x: Any, v: Any, *, index: Any, reuse: bool) -> Any:
    y = x if reuse else x.copy()
    y[index] = v
    return y


def _put_x(g: Any, _y: Any, _x: Any, _v: Any, *, index: Any, reuse: bool) -> Any:
    hit = np.zeros(g.shape, bool)
    hit[index] = True
    return np.where(hit, 0, g)


def _put_v(g: Any, _y: Any, _x: Any, _v: Any, *, index: Any, reuse: bool) -> Any:
    if not is_advanced(index):
        return g[index]
    writer = np.zeros(g.shape, np.int64)  # of an element that is written twice, the last value counts
    order = np.arange(writer[index].size).reshape(writer[index].shape)
    writer[index] = order
    return np.where(writer[index] == order, g[index], 0)


getitem = primitive("getitem", _getitem, lambda g, _y, _x, *, index: Placed(g, index))
put = primitive("put", _put, _put_x, _put_v)


# --- x[index] and x[index] = value


@method("__getitem__")
def index(input: Tensor, index: Any) -> Tensor:
    """input[index], as NumPy and PyTorch have it; a basic index gives a view."""
    if index.__class__ is not int and index.__class__ is not slice:
        index = plain(index)
    return getitem(input, index=index)


@method("__setitem__")
def assign(input: Tensor, index: Any, value: Any) -> None:
    """input[index] = value, differentiably: the tensor becomes the result of `put`, and earlier uses keep the old values.

    Without a graph on either side the memory is written, and every view sees it.
    """
    index = plain(index)
    value = cast(tensor_of("assignment", value), input.dtype)
    if not (mode.enabled and (input.requires_grad or value.requires_grad)):
        input.array[index] = value.array
        input.touch()
        return
    if input.requires_grad and input.node is None:
        raise RuntimeError(
            "x[index] = value: x is a leaf that requires a gradient; write y = x.clone(); y[index] = value, "
            "or, to overwrite a parameter, do it under no_grad()"
        )
    if input.is_view:
        raise RuntimeError(
            "x[i][j] = value: x[i] is a view, and x would not see a value that passes a gradient; "
            "write x[i, j] = value, or assign to a clone()"
        )
    reuse = not input.memory.shared and input.array.base is None  # no one can tell that it is overwritten
    input.become(put(input, value, index=index, reuse=reuse))


# --- compositions


def _long(name: str, index: Any) -> Any:
    array = tensor_of(name, index).array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: index must hold integers, got {array.dtype}")
    return array


@method()
def index_select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The entries `index` (1-D) of dimension `dim`."""
    return getitem(input, index=along(axis_of("index_select", input, dim), _long("index_select", index).reshape(-1)))


@method()
def take_along_dim(input: Tensor, indices: Any, dim: int | None = None) -> Tensor:
    """y[…, i, …] = x[…, indices[…, i, …], …]; the other dimensions broadcast. Without `dim`, of the flattened input."""
    chosen = _long("take_along_dim", indices)
    if dim is None:
        return getitem(input.reshape((-1,)), index=chosen.reshape(-1))
    axis = axis_of("take_along_dim", input, dim)
    if chosen.ndim != input.ndim:
        raise RuntimeError(f"take_along_dim: input {input.shape} and indices {chosen.shape} must have as many dimensions")
    shape = list(np.broadcast_shapes(*[s[:axis] + (1,) + s[axis + 1 :] for s in (input.shape, chosen.shape)]))
    grid = _grid(np.broadcast_to(chosen, shape[:axis] + [chosen.shape[axis]] + shape[axis + 1 :]), axis)
    kept = [i if j == axis or n != 1 else np.zeros_like(i) for j, (i, n) in enumerate(zip(grid, input.shape))]
    return getitem(input, index=tuple(kept))


@method()
def gather(input: Tensor, dim: int, index: Any) -> Tensor:
    """y[i, j, …] = x[index[i, j, …], j, …], for dim 0; `index` may be smaller than x in the other dimensions."""
    axis, chosen = axis_of("gather", input, dim), _long("gather", index)
    _check_grid("gather", input.shape, chosen.shape, axis)
    return getitem(input, index=_grid(chosen, axis)) if input.shape else input.reshape(chosen.shape)


def _check_grid(name: str, shape: tuple[int, ...], index: tuple[int, ...], axis: int) -> None:
    fits = len(shape) == len(index) and all(n <= m for i, (n, m) in enumerate(zip(index, shape)) if i != axis)
    if shape and not fits:
        raise RuntimeError(f"{name}: index {index} must have the dimensions of {shape} and be no larger, but along dim {axis}")


def _source(name: str, input: Tensor, dim: int, index: Any, src: Any) -> tuple[Any, Tensor]:
    """Where `scatter` writes, and what."""
    axis, chosen = axis_of(name, input, dim), _long(name, index)
    _check_grid(name, input.shape, chosen.shape, axis)
    values = cast(tensor_of(name, src), input.dtype)
    if values.shape:
        _check_grid(name, values.shape, chosen.shape, -1)
        values = values[tuple(slice(n) for n in chosen.shape)]
    return _grid(chosen, axis), values


@method()
def scatter(input: Tensor, dim: int, index: Any, src: Any) -> Tensor:
    """A copy of x with y[index[i, j, …], j, …] = src[i, j, …], for dim 0; `src` is a tensor or a number."""
    where_, values = _source("scatter", input, dim, index, src)
    return put(input, values, index=where_, reuse=False)


@method()
def scatter_add(input: Tensor, dim: int, index: Any, src: Tensor) -> Tensor:
    """x with src[i, j, …] added at [index[i, j, …], j, …], for dim 0; repeated places receive every share."""
    where_, values = _source("scatter_add", input, dim, index, src)
    return input + place(values, indices=[where_], shape=input.shape)


@method()
def index_add(input: Tensor, dim: int, index: Any, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """x with `alpha source` added at the entries `index` (1-D) of dimension `dim`."""
    axis = axis_of("index_add", input, dim)
    where_ = along(axis, _long("index_add", index))
    return input + place(cast(source * alpha, input.dtype), indices=[where_], shape=input.shape)


@method()
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` is true, else x."""
    filled = cast(tensor_of("masked_fill", value), input.dtype)
    return where(mask, filled, input)


@method()
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The values of x where `mask` is true (they broadcast), as a 1-D tensor."""
    shape = np.broadcast_shapes(input.shape, mask.shape)
    whole = input if input.shape == shape else input.expand(shape)
    return getitem(whole, index=np.broadcast_to(mask.array.astype(bool), shape))


@method()
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the values that are not zero, a row each; or a tuple, an index for each dimension."""
    found = np.nonzero(input.array)
    return tuple(Tensor(i) for i in found) if as_tuple else Tensor(np.stack(found, -1) if found else np.zeros((0, 0), np.int64))
