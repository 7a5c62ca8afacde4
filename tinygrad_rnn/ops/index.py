"""Indexing: everything NumPy's basic and advanced indexing does, and what is made of it.

Three primitives, each other's adjoints: `x[index]`, `place` (zeros with values added at an index; in
autograd/contributions.py) and `put` (x with values replaced at an index).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.contributions import Placed, is_advanced, place
from ..autograd.gradmode import mode
from ..autograd.primitive import primitive, refused
from ..tensor import UNRECORDED, Array, Memory, Tensor, method
from .elementwise import choose, where
from .inputs import axis_of, mask_of, tensor_of

# --- rows


def _getitem(x: Any, *, index: Any) -> Any:
    y = x[index]
    if isinstance(y, np.ndarray):
        return y
    several = index if isinstance(index, tuple) else (index,)
    return x[(*several, ...)]  # of one element a 0-d view, not a number


def _put(x: Any, v: Any, *, index: Any, reuse: bool) -> Any:
    y = x if reuse else x.copy(order="K")
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


def plain(index: Any, shape: tuple[int, ...]) -> Any:
    """`index` into `shape` for NumPy: tensors and lists as arrays, 0-d integer tensors as integers."""
    if isinstance(index, tuple):
        return _integers_first(tuple(plain(i, shape) for i in index), shape)
    if isinstance(index, Tensor):
        if not index.shape and index.dtype.kind == "i":
            return int(index.array)
        index = index.array
    elif isinstance(index, (list, range, bool)):
        index = np.asarray(index)
        index = index.astype(np.int64) if index.size == 0 else index
    if isinstance(index, np.ndarray) and index.dtype.kind not in "biu":
        raise IndexError(f"x[index]: an index must hold integers or truth values, got {index.dtype}")
    if isinstance(index, np.ndarray) and index.dtype == np.uint8:
        index = index.astype(bool)  # before PyTorch had bool tensors, comparisons gave uint8
    return index


def _integers_first(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """PyTorch takes integers before arrays, NumPy with them, which differs if a slice stands between."""
    arrays = [isinstance(i, np.ndarray) for i in index]
    integers = [isinstance(i, int) for i in index]
    together = [k for k in range(len(index)) if arrays[k] or integers[k]]
    if not any(arrays) or not any(integers) or together[-1] - together[0] + 1 == len(together):
        return index
    number = np.arange(np.prod(shape)).reshape(shape)
    takes = [i.ndim if array and i.dtype == bool else 1 for i, array in zip(index, arrays)]  # dimensions
    first = [[slice(None)] * n if array else [i] for i, array, n in zip(index, arrays, takes)]
    then = [i if array or i is Ellipsis else slice(None) for i, array in zip(index, arrays)]
    chosen = number[tuple(i for part in first for i in part)]
    return np.unravel_index(chosen[tuple(i for i, integer in zip(then, integers) if not integer)], shape)


@method("__getitem__")
def get(input: Tensor, index: Any) -> Tensor:
    """input[index], as NumPy and PyTorch have it; a basic index gives a view."""
    if index.__class__ is not int and index.__class__ is not slice:
        index = plain(index, input.shape)
    return getitem(input, index=index)


@method("__setitem__")
def assign(input: Tensor, index: Any, value: Any) -> None:
    """input[index] = value, differentiably: the tensor becomes the result of `put`, and every view of it sees
    that; earlier uses keep the old values. Without a graph on either side the memory itself is written.
    """
    index = plain(index, input.shape)
    value = tensor_of("x[index] = value", value, input.dtype)
    if mode.anomaly.__class__ is not bool:  # a trace (see compile/)
        mode.anomaly.assign(input, index, value)
        return
    if mode.enabled and (input.requires_grad or value.requires_grad):
        refuse_leaf(input)
        if _is_part(value, input, index):
            return
        extra = value.ndim - input.array[index].ndim  # NumPy passes over leading dimensions of size 1
        value = value.reshape(value.shape[extra:]) if extra > 0 else value
        reuse = not input.memory.shared and input.array.base is None  # no one can tell that it is overwritten
        change(input, put(input, value, index=index, reuse=reuse))
        return
    numbers = value.array
    if is_advanced(index) and np.may_share_memory(input.array, numbers):
        numbers = numbers.copy()  # NumPy does so itself for slices only
    try:
        input.array[index] = numbers
    except (ValueError, IndexError) as error:
        raise refused("x[index] = value", (input.array, value.array), error) from None
    input.touch()


def _is_part(value: Tensor, input: Tensor, index: Any) -> bool:
    """True if `value` is input[index] itself, as it is after `x[index] += v` has changed that."""
    kin = value.memory is input.memory and value.family is input.family and value.node is not None
    if not kin or is_advanced(index):
        return False
    part, shown = _getitem(input.array, index=index), value.array
    steps = [[step for n, step in zip(a.shape, a.strides) if n > 1] for a in (part, shown)]
    return part.shape == shown.shape and part.ctypes.data == shown.ctypes.data and steps[0] == steps[1]


def refuse_leaf(tensor: Tensor) -> None:
    """Raise if `tensor` is a leaf that requires a gradient, and operations are recorded."""
    if mode.enabled and tensor.requires_grad and tensor.node is None:
        raise RuntimeError(
            "in place: the tensor is a leaf that requires a gradient; change a clone(), or use no_grad()"
        )


def change(tensor: Tensor, result: Tensor) -> None:
    """`tensor` takes on a recorded `result`, and every living tensor that shows the same memory sees it.

    They move to new memory, laid out as the old one is: who kept values from before still has those.
    """
    if tensor.family is UNRECORDED:
        raise RuntimeError("in place: a view made under no_grad cannot pass a gradient; make it outside")
    array = tensor.array
    if array.size and any(n > 1 and stride == 0 for n, stride in zip(array.shape, array.strides)):
        raise RuntimeError("in place: an expanded tensor shows one number several times; change a clone()")
    others = [t for t in tensor.memory.living() if t is not tensor]
    if not others or not array.size:
        tensor.become(result)
        return
    new = Ground([array, *(t.array for t in others)])
    new.views[0][...] = result.array
    new.show(new.numbers, array)[...] = np.arange(array.size).reshape(array.shape)
    written, memory = result.reshape(-1), Memory()
    after = [result, *(_rewritten(t, written, new) if t.family is tensor.family else t for t in others)]
    for t, now, shown in zip([tensor, *others], after, new.views):
        shown.flags.writeable = t.array.flags.writeable
        t.become(now)
        t.array = shown
        memory.admit(t, tensor)


def _rewritten(tensor: Tensor, written: Tensor, new: Ground) -> Tensor:
    """`tensor` with those elements of `written` that it shows."""
    numbers = new.show(new.numbers, tensor.array)
    hit = np.asarray(numbers >= 0)
    if not hit.any():
        return tensor
    refuse_leaf(tensor)
    if hit.all():
        return getitem(written, index=numbers)
    return put(tensor, getitem(written, index=numbers[hit]), index=hit, reuse=False)


class Ground:
    """New memory for all that some arrays show of an old one: for their values, and to number elements in."""

    def __init__(self, arrays: list[Array]) -> None:
        bounds = [np.lib.array_utils.byte_bounds(a) for a in arrays if a.size]
        self.low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        size = (high - self.low) // arrays[0].itemsize
        self.values, self.numbers = np.empty(size, arrays[0].dtype), np.full(size, -1)
        self.views = [self.show(self.values, a) for a in arrays]
        for view, a in zip(self.views, arrays):
            view[...] = a

    def show(self, ground: Array, a: Array) -> Array:
        """The part of `ground` (values or numbers) that stands for what `a` shows."""
        if not a.size:
            return ground[:0].reshape(a.shape)
        steps = (a.ctypes.data - self.low, *a.strides)
        if any(n % a.itemsize for n in steps):
            raise RuntimeError("in place: numbers that are no whole steps apart in memory; change a clone()")
        start, *strides = (n // a.itemsize * ground.itemsize for n in steps)
        return np.ndarray(a.shape, ground.dtype, ground, start, strides)


# --- by number along a dimension


def along(axis: int, index: Any) -> tuple[Any, ...]:
    """The index that applies `index` to dimension `axis` and leaves those before it whole."""
    return (slice(None),) * axis + (index,)


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
    """What `scatter` writes: a number, or as much of `src` as `index` asks for."""
    values, shape = tensor_of(name, src, dtype), tensor_of(name, index).shape
    if not values.shape:
        return values
    if len(shape) != values.ndim or any(n > m for n, m in zip(shape, values.shape)):
        raise RuntimeError(f"{name}: index {shape} does not fit src {values.shape}, which may be larger")
    return getitem(values, index=tuple(map(slice, shape)))


def gather(input: Tensor, dim: int, index: Any) -> Tensor:
    """y[i, j, …] = x[index[i, j, …], j, …], for dim 0; x may be larger than `index` in other dimensions."""
    x, places = _aimed("gather", input, dim, index)
    y = getitem(x, index=places)
    return y if input.shape else y.reshape(index.shape)


def scatter(input: Tensor, dim: int, index: Any, src: Any = None, *, value: Any = None) -> Tensor:
    """A copy of x with y[index[i, j, …], j, …] = src[i, j, …], for dim 0; or one `value` in all places."""
    x, places = _aimed("scatter", input, dim, index)
    values = _source("scatter", value if src is None else src, index, input.dtype)
    return put(x, values, index=places, reuse=False).reshape(input.shape)


def scatter_add(input: Tensor, dim: int, index: Any, src: Tensor) -> Tensor:
    """x with src[i, j, …] added at [index[i, j, …], j, …], for dim 0; repeated places receive every share."""
    x, places = _aimed("scatter_add", input, dim, index)
    values = _source("scatter_add", src, index, input.dtype)
    return input + place(values, indices=[places], shape=x.shape).reshape(input.shape)


def index_select(input: Tensor, dim: int, index: Any) -> Tensor:
    """The entries `index` (1-D) of dimension `dim`."""
    if not input.shape:
        return index_select(input.reshape(1), dim, index).reshape(())
    axis = axis_of("index_select", input, dim)
    numbers = _numbers("index_select", index, input.shape[axis])
    if numbers.ndim > 1:
        raise IndexError(f"index_select: index must be 1-D, got shape {numbers.shape}")
    return getitem(input, index=along(axis, numbers.reshape(-1)))


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


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where `mask` is true, else x."""
    return choose(mask_of("masked_fill", mask), tensor_of("masked_fill", value, input.dtype), input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The values of x where `mask` is true (they broadcast), as a 1-D tensor."""
    shape = np.broadcast_shapes(input.shape, mask.shape)
    whole = input if input.shape == shape else input.expand(shape)
    return getitem(whole, index=np.broadcast_to(mask_of("masked_select", mask), shape))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the values that are not zero, a row each; or a tuple, an index for each dimension."""
    return where(input != 0) if as_tuple else Tensor(np.argwhere(input.array))
