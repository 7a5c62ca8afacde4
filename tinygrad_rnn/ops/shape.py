"""Shapes: the same numbers in another arrangement.

Primitives: reshape, permute, expand, cat, stack. Splitting and flipping are indexing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.contributions import place
from ..autograd.primitive import primitive
from ..tensor import Tensor, method
from .elementwise import _cast, cast, tensor_of, where
from .index import along, axis_of, getitem, index_select

# --- rows

_reshape = primitive(
    "reshape", lambda x, *, shape: x.reshape(shape), lambda g, _y, _x, *, shape: np.reshape(g, _x.shape)
)
_permute = primitive(
    "permute",
    lambda x, *, axes: x.transpose(axes),
    lambda g, _y, _x, *, axes: np.transpose(g, sorted(range(len(axes)), key=axes.__getitem__)),
)
_expand = primitive("expand", lambda x, *, shape: np.broadcast_to(x, shape), lambda g, _y, _x, *, shape: g)
_cat = primitive(
    "cat",
    lambda *xs, axis, sizes: np.concatenate(xs, axis),
    lambda g, _y, *_xs, axis, sizes: [g[i] for i in _slices(sizes, axis)],
    variadic=True,
)
_stack = primitive(
    "stack",
    lambda *xs, axis: np.stack(xs, axis),
    lambda g, _y, *_xs, axis: [g[along(axis, i)] for i in range(len(_xs))],
    variadic=True,
)


def _slices(sizes: Sequence[int], axis: int) -> list[tuple[Any, ...]]:
    """The indices of consecutive pieces of the given sizes."""
    ends = np.cumsum(sizes).tolist()
    return [along(axis, slice(end - size, end)) for size, end in zip(sizes, ends)]


# --- dimensions given by the user


def axes_of(name: str, input: Tensor, dim: Any) -> tuple[int, ...]:
    """`dim` (None: all) as a tuple of distinct dimensions counted from the front; () for a 0-d tensor."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(input.ndim))
    axes = tuple(axis_of(name, input, d) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"{name}: dim {dim} names a dimension twice")
    return axes if input.shape else ()


def sizes_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape given as `f(2, 3)` or `f((2, 3))`."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple(int(n) for n in sizes)


# --- rearranging


@method()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same numbers, row by row, in another shape; one size may be -1."""
    sizes = sizes_of(shape)
    try:
        return _reshape(input, shape=sizes)
    except ValueError:
        raise RuntimeError(f"reshape: {input.shape} ({input.numel()} numbers) does not fit {sizes}") from None


@method()
def view(input: Tensor, *shape: Any) -> Tensor:
    """`reshape`."""
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise NotImplementedError("view: reading the bytes as another dtype is not supported; use to(dtype)")
    return reshape(input, *shape)


@method()
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of `other`."""
    return reshape(input, other.shape)


@method()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim made one."""
    if not input.shape:
        return reshape(input, 1)
    a, b = axis_of("flatten", input, start_dim), axis_of("flatten", input, end_dim)
    if a > b:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return reshape(input, *input.shape[:a], math.prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


@method()
def ravel(input: Tensor) -> Tensor:
    """All numbers in one dimension."""
    return reshape(input, -1) if input.numel() else reshape(input, 0)


@method()
def permute(input: Tensor, *axes: Any, dims: Any = ()) -> Tensor:
    """Dimension i of the result is dimension dims[i] of the input."""
    dims = sizes_of(axes or (dims,))
    axes = tuple(axis_of("permute", input, d) for d in dims)
    if sorted(axes) != list(range(input.ndim)):
        raise RuntimeError(f"permute: dims {dims} must name each dimension of {input.shape} once")
    return _permute(input, axes=axes)


@method("transpose", "swapaxes")
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions change places."""
    a, b = axis_of("transpose", input, dim0), axis_of("transpose", input, dim1)
    axes = list(range(input.ndim))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return _permute(input, axes=tuple(axes))


@method()
def t(input: Tensor) -> Tensor:
    """Aᵀ, for at most two dimensions."""
    if input.ndim > 2:
        raise RuntimeError(f"t: at most two dimensions, got shape {input.shape}; use transpose or permute")
    return _permute(input, axes=(1, 0)) if input.ndim == 2 else input


Tensor.T = property(lambda self: _permute(self, axes=tuple(reversed(range(self.ndim)))), doc="All dimensions in reverse order.")
Tensor.mT = property(lambda self: transpose(self, -2, -1), doc="The last two dimensions exchanged.")


@method("movedim", "moveaxis")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions `source` (one or several) move to the places `destination`; the others keep their order."""
    a, b = axes_of("movedim", input, source), axes_of("movedim", input, destination)
    if len(a) != len(b):
        raise RuntimeError(f"movedim: source {source} and destination {destination} must name as many dimensions")
    order = [i for i in range(input.ndim) if i not in a]
    for place, axis in sorted(zip(b, a)):
        order.insert(place, axis)
    return _permute(input, axes=tuple(order))


@method()
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1 (all of them, or those in `dim`)."""
    axes = axes_of("squeeze", input, dim)
    return reshape(input, tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes))


@method()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    n = input.ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"unsqueeze: dim {dim} is out of range for shape {input.shape}")
    axis = dim % n
    return _reshape(input, shape=input.shape[:axis] + (1,) + input.shape[axis:])


@method("expand", "broadcast_to")
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated to `sizes` without a copy; -1 leaves a size, new ones come in front."""
    shape = sizes_of(sizes)
    old = (-1,) * (len(shape) - input.ndim) + input.shape
    full = tuple(m if n == -1 else n for n, m in zip(shape, old))
    try:
        return _expand(input, shape=full)
    except ValueError:
        raise RuntimeError(f"expand: shape {input.shape} does not broadcast to {shape}") from None


broadcast_to = expand


@method()
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return expand(input, other.shape)


@method("repeat", "tile")
def repeat(input: Tensor, *sizes: Any) -> Tensor:
    """The whole tensor sizes[i] times along dimension i; new dimensions come in front."""
    counts = sizes_of(sizes)
    counts = (1,) * (input.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - input.ndim) + input.shape
    pairs = [n for pair in zip(counts, shape) for n in pair]
    spread = expand(reshape(input, [m for n in shape for m in (1, n)]), pairs)
    return reshape(spread, [a * b for a, b in zip(counts, shape)])


tile = repeat


@method()
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each entry of dimension `dim` repeated `repeats` times (a number, or one for each entry)."""
    input = ravel(input) if dim is None else input
    axis = 0 if dim is None else axis_of("repeat_interleave", input, dim)
    counts = repeats.array if isinstance(repeats, Tensor) else repeats
    return index_select(input, axis, Tensor(np.repeat(np.arange(input.shape[axis]), counts)))


# --- joining and cutting


def _several(name: str, tensors: Any) -> list[Tensor]:
    if isinstance(tensors, Tensor) or not (found := [tensor_of(name, x) for x in tensors]):
        raise (TypeError if isinstance(tensors, Tensor) else ValueError)(f"{name}: expected a non-empty list of tensors")
    if len({x.dtype for x in found}) > 1:
        common = found[0].dtype
        for x in found[1:]:
            common = dtypes.promote(common, x.dtype)
        found = [cast(x, common) for x in found]
    return found


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension they have; empty 1-D tensors are passed over."""
    xs = _several("cat", tensors)
    xs = [x for x in xs if x.shape != (0,)] or xs[:1]
    axis = axis_of("cat", xs[0], dim)
    try:
        return _cat(*xs, axis=axis, sizes=[x.shape[axis] for x in xs])
    except (ValueError, IndexError):
        raise RuntimeError(f"cat: shapes {[x.shape for x in xs]} must agree but along dim {dim}") from None


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    xs = _several("stack", tensors)
    n = xs[0].ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"stack: dim {dim} is out of range for tensors of shape {xs[0].shape}")
    if any(x.shape != xs[0].shape for x in xs):
        raise RuntimeError(f"stack: all shapes must be equal, got {[x.shape for x in xs]}")
    return _stack(*xs, axis=dim % n)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Rows on top of each other."""
    return cat([reshape(x, 1, -1) if x.ndim < 2 else x for x in tensors], 0)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Columns beside each other."""
    xs = [reshape(x, 1) if not x.shape else x for x in tensors]
    return cat(xs, 0 if xs[0].ndim == 1 else 1)


@method()
def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given size (the last may be smaller), or of the given sizes, along `dim`."""
    axis = axis_of("split", input, dim)
    n, sizes = input.shape[axis], split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise RuntimeError(f"split: the size of a piece must be positive, got {sizes}")
        sizes = [min(sizes, n - start) for start in range(0, n, sizes)] or [0]
    if sum(sizes) != n:
        raise RuntimeError(f"split: sizes {list(sizes)} do not add up to {n}, the size of dim {dim}")
    return tuple(getitem(input, index=i) for i in _slices(sizes, axis))


@method()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: the number of pieces must be positive, got {chunks}")
    n = input.shape[axis_of("chunk", input, dim)]
    return split(input, max(-(-n // chunks), 1), dim)


@method()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of dimension `dim`, without it."""
    axis = axis_of("unbind", input, dim)
    return tuple(getitem(input, index=along(axis, i)) for i in range(input.shape[axis]))


@method()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Entry `index` of dimension `dim`, without it."""
    return input[along(axis_of("select", input, dim), int(index))]


@method()
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Entries start … start + length - 1 of dimension `dim`."""
    axis = axis_of("narrow", input, dim)
    if not 0 <= start <= start + length <= input.shape[axis]:
        raise RuntimeError(f"narrow: {start}:{start + length} is out of range for dim {dim} of shape {input.shape}")
    return getitem(input, index=along(axis, slice(start, start + length)))


# --- turning and masking


@method()
def flip(input: Tensor, *axes: Any, dims: Any = ()) -> Tensor:
    """Each of `dims` in reverse order."""
    dims = sizes_of(axes or (dims,))
    axes = axes_of("flip", input, dims) if dims else ()
    turned = tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(input.ndim))
    return getitem(input, index=turned)


@method()
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Entries move on by `shifts` along `dims`, those pushed out come in again in front."""
    if dims is None:
        return reshape(roll(ravel(input), shifts, 0), input.shape)
    for shift, axis in zip(sizes_of((shifts,)), axes_of("roll", input, dims)):
        n = max(input.shape[axis], 1)
        input = index_select(input, axis, Tensor((np.arange(input.shape[axis]) - shift) % n))
    return input


@method()
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix; zeros above `diagonal`."""
    return where(Tensor(np.tri(*input.shape[-2:], diagonal, dtype=bool)), input, 0)


@method()
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix; zeros below `diagonal`."""
    return where(Tensor(np.tri(*input.shape[-2:], diagonal - 1, dtype=bool)), 0, input)


def _diagonal(rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    i = np.arange(max(-offset, 0), max(min(rows, columns - offset), max(-offset, 0)))
    return i, i + offset


@method()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The entries with j = i + offset of dimensions dim1, dim2, as the last dimension."""
    matrices = movedim(input, (dim1, dim2), (-2, -1))
    return getitem(matrices, index=(..., *_diagonal(*matrices.shape[-2:], offset)))


@method()
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input.ndim == 2:
        return getitem(input, index=_diagonal(*input.shape, diagonal))
    n = input.numel() + abs(diagonal)
    return place(input, indices=[_diagonal(n, n, diagonal)], shape=(n, n))


@method()
def clone(input: Tensor) -> Tensor:
    """A copy; gradients pass through it."""
    return _cast(input, dtype=input.dtype, was=input.dtype)


@method()
def contiguous(input: Tensor) -> Tensor:
    """Itself if its memory is in order, else a copy that is."""
    return input if input.array.flags.c_contiguous else clone(input)
