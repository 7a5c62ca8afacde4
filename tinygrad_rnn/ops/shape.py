"""Shapes: the same numbers in another arrangement.

The primitives are reshape, permute, expand, cat and stack; splitting and flipping are indexing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..engine import derivatives
from ..engine.derivatives import along, getitem, place, slices_of
from ..engine.tensor import Tensor, method
from .elementwise import choose
from .index import get, index_select
from .inputs import attribute, axes_of, axis_and_size, axis_of, cast, clone, named, sizes_of, tensor_of

Tensors = Sequence[Tensor]

@lru_cache(maxsize=256)  # cells cut their gates apart at every step
def _equal_slices(n: int, size: int, axis: int) -> list[tuple[Any, ...]]:
    """The indices of consecutive pieces of `size`, the last perhaps smaller, of `n` entries."""
    return slices_of([min(size, n - start) for start in range(0, n, size)] if n else [0], axis)


# --- rearranging


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same numbers, row by row, in another shape; one size may be -1."""
    return derivatives.reshape(input, shape=sizes_of("reshape", shape))


def view(input: Tensor, *shape: Any) -> Tensor:
    """`reshape` of the same memory."""
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise NotImplementedError("view: reading the bytes as another dtype is not supported; use to(dtype)")
    y = reshape(input, *shape)
    if y.array.size and not np.may_share_memory(y.array, input.array):
        raise RuntimeError(f"view: {y.shape} cannot share the memory of this {input.shape}; use reshape")
    return y


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim made one."""
    a, b = axis_of("flatten", input, start_dim), axis_of("flatten", input, end_dim)
    if a > b:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return reshape(input, *input.shape[:a], math.prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


view_as = named("view_as", lambda input, other: view(input, other.shape), "`view` in the other's shape.")
ravel = named("ravel", lambda input: reshape(input, input.numel()), "All numbers in one dimension.")


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dimension i of the result is dimension dims[i] of the input."""
    axes = tuple(axis_of("permute", input, d) for d in sizes_of("permute", dims))
    if sorted(axes) != list(range(input.ndim)):
        raise RuntimeError(f"permute: dims {dims} must name each dimension of {input.shape} once")
    return derivatives.permute(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions change places."""
    axes = list(range(input.ndim)) or [0]
    a, b = axis_of("transpose", input, dim0), axis_of("transpose", input, dim1)
    axes[a], axes[b] = axes[b], axes[a]
    return derivatives.permute(input, axes=tuple(axes)) if input.shape else input


def t(input: Tensor) -> Tensor:
    """Aᵀ, for at most two dimensions."""
    if input.ndim > 2:
        raise RuntimeError(f"t: at most two dimensions, got shape {input.shape}; use transpose or permute")
    return derivatives.permute(input, axes=(1, 0)) if input.ndim == 2 else input


@attribute
def T(self: Tensor) -> Tensor:
    """All dimensions in reverse order."""
    return derivatives.permute(self, axes=tuple(range(self.ndim))[::-1])


@attribute
def mT(self: Tensor) -> Tensor:
    """The last two dimensions change places."""
    return transpose(self, -2, -1)


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions `source` (one or several) move to the places `destination`; the others keep their order."""
    a, b = axes_of("movedim", input, source), axes_of("movedim", input, destination)
    if len(a) != len(b):
        raise RuntimeError(f"movedim: {source} and {destination} must name as many dimensions")
    order = [i for i in range(input.ndim) if i not in a]
    for to, axis in sorted(zip(b, a)):
        order.insert(to, axis)
    return derivatives.permute(input, axes=tuple(order))


def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1 (all of them, or those in `dim`)."""
    axes = axes_of("squeeze", input, dim)
    shape = tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes)
    return derivatives.reshape(input, shape=shape)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    axis = axis_of("unsqueeze", input, dim, new=1)
    return derivatives.reshape(input, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def expand(input: Tensor, *size: Any) -> Tensor:
    """Dimensions of size 1 repeated to `size` without a copy; -1 leaves a size, new ones come in front."""
    wanted = list(sizes_of("expand", size))
    for i in range(1, min(input.ndim, len(wanted)) + 1):
        if wanted[-i] == -1:
            wanted[-i] = input.shape[-i]
    return derivatives.expand(input, shape=tuple(wanted))


broadcast_to = named("broadcast_to", lambda input, size: expand(input, size), "`expand` to `size`.")
expand_as = named(
    "expand_as", lambda input, other: expand(input, other.shape), "`expand` to the other's shape."
)


def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor repeats[i] times along dimension i; new dimensions come in front."""
    counts = sizes_of("repeat", repeats)
    if len(counts) < input.ndim or min(counts, default=0) < 0:
        raise RuntimeError(f"repeat: {counts} must say how many times for each dimension of {input.shape}")
    shape = (1,) * (len(counts) - input.ndim) + input.shape
    pairs = [n for pair in zip(counts, shape) for n in pair]
    spread = expand(reshape(input, [m for n in shape for m in (1, n)]), pairs)
    y = reshape(spread, [a * b for a, b in zip(counts, shape)])
    return y if y.array.flags.writeable else clone(y)  # always a copy


def tile(input: Tensor, *dims: Any) -> Tensor:
    """`repeat`, once along leading dimensions that `dims` does not name."""
    counts = sizes_of("tile", dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each entry of dimension `dim` repeated `repeats` times (a number, or one for each entry)."""
    input = ravel(input) if dim is None else input
    axis, n = axis_and_size("repeat_interleave", input, dim or 0)
    return index_select(input, axis, np.repeat(np.arange(n), tensor_of("repeat_interleave", repeats).array))


# --- joining and cutting


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


def cat(tensors: Tensors, dim: int = 0) -> Tensor:
    """Tensors joined along a dimension they have; empty 1-D tensors are passed over."""
    xs = _several("cat", tensors)
    xs = [x for x in xs if x.shape != (0,)] or xs[:1]
    axis = axis_of("cat", xs[0], dim)
    return derivatives.cat(*xs, axis=axis, sizes=[x.shape[axis] if x.shape else 0 for x in xs])


def stack(tensors: Tensors, dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension."""
    xs = _several("stack", tensors)
    return derivatives.stack(*xs, axis=axis_of("stack", xs[0], dim, new=1))


def vstack(tensors: Tensors) -> Tensor:
    """Rows on top of each other."""
    return cat([reshape(x, 1, -1 if x.numel() else 0) if x.ndim < 2 else x for x in tensors], 0)


def hstack(tensors: Tensors) -> Tensor:
    """Columns beside each other."""
    xs = [reshape(x, 1) if not x.shape else x for x in tensors]
    return cat(xs, min(1, xs[0].ndim - 1) if xs else 0)


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


def split(input: Tensor, split_size_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given size (the last may be smaller), or of the given sizes, along `dim`."""
    axis, n = axis_and_size("split", input, dim)
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes < 0 or sizes == 0 != n:
            raise RuntimeError(f"split: the size of a piece must be positive, got {sizes}")
        return tuple([getitem(input, index=i) for i in _equal_slices(n, sizes, axis)])
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise RuntimeError(f"split: sizes {list(sizes)} do not add up to {n}, the size of dim {dim}")
    return tuple([getitem(input, index=i) for i in slices_of(sizes, axis)])


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: the number of pieces must be positive, got {chunks}")
    n = axis_and_size("chunk", input, dim)[1]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The entries of dimension `dim`, without it."""
    axis, n = axis_and_size("unbind", input, dim)
    return tuple([getitem(input, index=along(axis, i)) for i in range(n)])


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """Entry `index` of dimension `dim`, without it."""
    return get(input, along(axis_and_size("select", input, dim)[0], int(index)))


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """Entries start … start + length - 1 of dimension `dim`; a negative start counts from the end."""
    axis, n = axis_and_size("narrow", input, dim)
    first = int(start) + n if start < 0 else int(start)
    if not 0 <= first <= first + length <= n:
        raise RuntimeError(
            f"narrow: {length} entries from {start} are not in dim {dim} of shape {input.shape}"
        )
    return getitem(input, index=along(axis, slice(first, first + length)))


# --- turning and masking


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Each of `dims` in reverse order; always a copy."""
    axes = axes_of("flip", input, sizes_of("flip", dims)) if sizes_of("flip", dims) else ()
    index = tuple(slice(None, None, -1 if i in axes else 1) for i in range(input.ndim))
    return clone(getitem(input, index=index))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Entries move on by `shifts` along `dims`, those pushed out come in again in front."""
    steps = sizes_of("roll", (shifts,))
    if dims is None and len(steps) == 1:
        return reshape(roll(ravel(input), shifts, 0), input.shape)
    axes = () if dims is None else axes_of("roll", input, dims)
    if len(steps) != len(axes):
        raise RuntimeError(f"roll: shifts {shifts} and dims {dims} must have as many entries")
    for step, axis in zip(steps, axes):
        n = input.shape[axis]
        input = index_select(input, axis, (np.arange(n) - step) % max(n, 1))
    return input


def _below(name: str, input: Tensor, diagonal: int) -> Any:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: at least two dimensions are needed, got shape {input.shape}")
    return np.tri(input.shape[-2], input.shape[-1], diagonal, dtype=bool)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix; zeros above `diagonal`."""
    return choose(_below("tril", input, diagonal), input, False)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix; zeros below `diagonal`."""
    return choose(_below("triu", input, diagonal - 1), False, input)


def _diagonal(rows: int, columns: int, offset: int) -> slice:
    """Where the places (i, i + offset) of a matrix are, read row by row."""
    first, step = offset if offset > 0 else -offset * columns, columns + 1
    n = max(min(rows, rows + offset, columns, columns - offset), 0)
    return slice(first, first + n * step, step)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The entries with j = i + offset of dimensions dim1, dim2, as the last dimension.

    A view, if the matrices, or their transposes, lie in order in the memory; else a copy.
    """
    matrices = movedim(input, (dim1, dim2), (-2, -1))
    if matrices.ndim == 2 and not matrices.is_contiguous():
        matrices, offset = t(matrices), -offset
    *batch, rows, columns = matrices.shape
    flat = reshape(matrices, *batch, rows * columns)
    return getitem(flat, index=(..., _diagonal(rows, columns, offset)))


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy of the diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input.ndim == 2:
        rows, columns = input.shape
        return clone(getitem(reshape(input, rows * columns), index=_diagonal(rows, columns, diagonal)))
    if input.ndim != 1:
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {input.shape}")
    n = input.numel() + abs(diagonal)
    return reshape(place(input, indices=[_diagonal(n, n, diagonal)], shape=(n * n,)), n, n)


def contiguous(input: Tensor) -> Tensor:
    """Itself if its memory is in order, else a copy that is."""
    return input if input.array.flags.c_contiguous else clone(input)


@method()
def is_contiguous(self: Tensor) -> bool:
    """True if its memory is in order: row after row, without gaps."""
    return self.array.flags.c_contiguous
