"""Shapes: the same numbers in another arrangement.

The primitives are reshape, permute and expand; flipping and diagonals are indexing. Next: join.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import derivatives
from ..engine.derivatives import getitem, place
from ..engine.primitive import apply
from ..engine.tensor import Tensor, method
from .aliasing import rearrange
from .elementwise import choose, clone
from .index import index_select
from .inputs import attribute, axes_of, axis_and_size, axis_of, sizes_of, tensor_of
from .operation import operation

Tensors = Sequence[Tensor]

# --- rearranging


@operation(method=True, numpy=np.reshape)
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same numbers, row by row, in another shape; one size may be -1."""
    return apply(derivatives.reshape, (input,), {"shape": sizes_of("reshape", shape)})


@operation(method=True)
def view(input: Tensor, *shape: Any) -> Tensor:
    """`reshape` of the same memory."""
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise NotImplementedError("view: reading the bytes as another dtype is not supported; use to(dtype)")
    y = reshape(input, *shape)
    if y.array.size and not np.may_share_memory(y.array, input.array):
        raise RuntimeError(f"view: {y.shape} cannot share the memory of this {input.shape}; use reshape")
    return y


@operation(method=True)
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions start_dim … end_dim made one."""
    a, b = axis_of("flatten", input, start_dim), axis_of("flatten", input, end_dim)
    if a > b:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    return reshape(input, *input.shape[:a], math.prod(input.shape[a : b + 1]), *input.shape[b + 1 :])


@operation(method=True)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the other's shape."""
    return view(input, other.shape)


@operation(method=True, numpy=np.ravel)
def ravel(input: Tensor) -> Tensor:
    """All numbers in one dimension."""
    return reshape(input, input.numel())


@operation(method=True)
def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dimension i of the result is dimension dims[i] of the input."""
    axes = tuple(axis_of("permute", input, d) for d in sizes_of("permute", dims))
    if sorted(axes) != list(range(input.ndim)):
        raise RuntimeError(f"permute: dims {dims} must name each dimension of {input.shape} once")
    return derivatives.permute(input, axes=axes)


@operation(method=True, in_place=rearrange, numpy=np.swapaxes, aliases=("swapaxes",))
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions change places."""
    axes = list(range(input.ndim)) or [0]
    a, b = axis_of("transpose", input, dim0), axis_of("transpose", input, dim1)
    axes[a], axes[b] = axes[b], axes[a]
    return derivatives.permute(input, axes=tuple(axes)) if input.shape else input


@operation(method=True, in_place=rearrange)
def t(input: Tensor) -> Tensor:
    """Aᵀ, for at most two dimensions."""
    if input.ndim > 2:
        raise RuntimeError(f"t: at most two dimensions, got shape {input.shape}; use transpose or permute")
    return apply(derivatives.permute, (input,), {"axes": (1, 0)}) if input.ndim == 2 else input


@attribute
def T(self: Tensor) -> Tensor:
    """All dimensions in reverse order."""
    return apply(derivatives.permute, (self,), {"axes": tuple(range(self.ndim))[::-1]})


@attribute
def mT(self: Tensor) -> Tensor:
    """The last two dimensions change places."""
    return transpose(self, -2, -1)


@operation(method=True, numpy=np.moveaxis, aliases=("moveaxis",))
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Dimensions `source` (one or several) move to the places `destination`; the others keep their order."""
    a, b = axes_of("movedim", input, source), axes_of("movedim", input, destination)
    if len(a) != len(b):
        raise RuntimeError(f"movedim: {source} and {destination} must name as many dimensions")
    order = [i for i in range(input.ndim) if i not in a]
    for to, axis in sorted(zip(b, a)):
        order.insert(to, axis)
    return derivatives.permute(input, axes=tuple(order))


@operation(method=True, in_place=rearrange, numpy=np.squeeze)
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1 (all of them, or those in `dim`)."""
    axes = axes_of("squeeze", input, dim)
    shape = tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes)
    return derivatives.reshape(input, shape=shape)


@operation(method=True, in_place=rearrange)
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    axis = axis_of("unsqueeze", input, dim, new=1)
    return derivatives.reshape(input, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


@operation(method=True)
def expand(input: Tensor, *size: Any) -> Tensor:
    """Dimensions of size 1 repeated to `size` without a copy; -1 leaves a size, new ones come in front."""
    wanted = list(sizes_of("expand", size))
    for i in range(1, min(input.ndim, len(wanted)) + 1):
        if wanted[-i] == -1:
            wanted[-i] = input.shape[-i]
    return derivatives.expand(input, shape=tuple(wanted))


method("broadcast_to")(expand)


@operation(numpy=np.broadcast_to)
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """`expand` to `size`."""
    return expand(input, size)


@operation(method=True)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the other's shape."""
    return expand(input, other.shape)


@operation(method=True)
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor repeats[i] times along dimension i; new dimensions come in front."""
    counts = sizes_of("repeat", repeats)
    if len(counts) < input.ndim or min(counts, default=0) < 0:
        raise RuntimeError(f"repeat: {counts} must say how many times for each dimension of {input.shape}")
    shape = (1,) * (len(counts) - input.ndim) + input.shape
    often = [k != 1 for k in counts]  # a dimension that stays needs no new one before it
    pairs = [m for k, n, many in zip(counts, shape, often) for m in ((k, n) if many else (n,))]
    apart = [m for n, many in zip(shape, often) for m in ((1, n) if many else (n,))]
    spread = expand(reshape(input, apart), pairs)
    y = reshape(spread, [a * b for a, b in zip(counts, shape)])
    return y if y.array.flags.writeable else clone(y)  # always a copy


@operation(method=True, numpy=np.tile)
def tile(input: Tensor, *dims: Any) -> Tensor:
    """`repeat`, once along leading dimensions that `dims` does not name."""
    counts = sizes_of("tile", dims)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


@operation(method=True)
def repeat_interleave(input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """Each entry of dimension `dim` repeated `repeats` times (a number, or one for each entry)."""
    input = ravel(input) if dim is None else input
    axis, n = axis_and_size("repeat_interleave", input, dim or 0)
    return index_select(input, axis, np.repeat(np.arange(n), tensor_of("repeat_interleave", repeats).array))


# --- turning and masking


@operation(method=True)
def flip(input: Tensor, *dims: Any) -> Tensor:
    """Each of `dims` in reverse order; always a copy."""
    axes = axes_of("flip", input, sizes_of("flip", dims)) if sizes_of("flip", dims) else ()
    index = tuple(slice(None, None, -1 if i in axes else 1) for i in range(input.ndim))
    return clone(getitem(input, index=index))


@operation(method=True)
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


@operation(method=True, in_place=True, numpy=np.tril)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix; zeros above `diagonal`."""
    return choose(_below("tril", input, diagonal), input, False)


@operation(method=True, in_place=True, numpy=np.triu)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix; zeros below `diagonal`."""
    return choose(_below("triu", input, diagonal - 1), False, input)


def _diagonal(rows: int, columns: int, offset: int) -> slice:
    """The slice of the elements (i, i + offset) of a matrix that is read row by row."""
    first, step = offset if offset > 0 else -offset * columns, columns + 1
    n = max(min(rows, rows + offset, columns, columns - offset), 0)
    return slice(first, first + n * step, step)


@operation(method=True, numpy=np.diagonal)
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


@operation(method=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A copy of the diagonal of a matrix, or the matrix with a vector on its diagonal."""
    if input.ndim == 2:
        rows, columns = input.shape
        return clone(getitem(reshape(input, rows * columns), index=_diagonal(rows, columns, diagonal)))
    if input.ndim != 1:
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {input.shape}")
    n = input.numel() + abs(diagonal)
    return reshape(place(input, indices=[_diagonal(n, n, diagonal)], shape=(n * n,)), n, n)


@operation(method=True)
def contiguous(input: Tensor) -> Tensor:
    """Itself if its memory is in order, else a copy that is."""
    return input if input.array.flags.c_contiguous else clone(input)


@method()
def is_contiguous(self: Tensor) -> bool:
    """True if its memory is in order: row after row, without gaps."""
    return self.array.flags.c_contiguous
