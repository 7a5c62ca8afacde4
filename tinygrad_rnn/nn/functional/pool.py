"""Max pooling: each window of the input becomes its largest number.

Where that stands is found by comparing slices of plain arrays, and the value is then looked up there, so that
its gradient is that of indexing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from .windows import Sizes, kernel_slices, per_dimension, reach, with_batch


def pool_counts(
    name: str,
    lengths: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> list[int]:
    """How many windows there are along each dimension; with `ceil_mode` a last one may hang over the end."""
    counts = []
    for n, k, s, p, d in zip(lengths, kernel, stride, padding, dilation):
        if 2 * p > reach(k, d):
            raise RuntimeError(
                f"{name}: padding {p} is more than half of the {reach(k, d)} that the kernel reaches over"
            )
        room = n + 2 * p - reach(k, d)
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:  # that window would begin in the padding at the end
            count -= 1
        if count < 1 or n == 0:
            raise RuntimeError(
                f"{name}: a kernel {tuple(kernel)} with dilation {tuple(dilation)} does not fit an input "
                f"that is {tuple(lengths)} long with padding {tuple(padding)}; use a smaller kernel"
            )
        counts.append(count)
    return counts


def pool_edges(
    lengths: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    counts: Sequence[int],
) -> list[tuple[int, int]]:
    """(before, after) along each dimension: the padding, so that all windows are inside."""
    ends = [(c - 1) * s + reach(k, d) for c, s, k, d in zip(counts, stride, kernel, dilation)]
    return [(p, max(end - n - p, 0)) for p, end, n in zip(padding, ends, lengths)]


# --- the largest of each window


def _where_largest(x: Any, around: Sequence[tuple[int, int]], slices: Sequence[Any]) -> Any:
    """The place of each window's largest number in its plane, row by row: first of equals, but last NaN."""
    numbers = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    inside = np.pad(np.ones(numbers.shape, bool), around)
    if not inside.all():
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        x = np.pad(x, [(0, 0), (0, 0), *around], constant_values=lowest)
        numbers = np.pad(numbers, around)
    top = x[slices[0]]
    for index in slices[1:]:
        top = np.maximum(top, x[index])
    K, rank = len(slices), np.zeros(top.shape, np.min_scalar_type(len(slices)))  # few bytes: a fast pass
    for k, index in enumerate(slices):
        here = (x[index] == top) & inside[index]
        np.maximum(rank, here.astype(rank.dtype) * rank.dtype.type(K - k), out=rank)
    chosen = K - rank
    if np.isnan(top).any():
        for k, index in enumerate(slices):
            chosen[np.isnan(x[index])] = k
    padded = np.arange(numbers.size).reshape(numbers.shape)
    steps = np.array([padded[index].flat[0] for index in slices])
    return numbers.reshape(-1)[padded[slices[0]] + steps[chosen]]


def _max_pool(
    name: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """Max pooling over the last `dims` dimensions."""
    batch, alone = with_batch(name, input, dims)
    kernel = per_dimension(name, "kernel_size", kernel_size, dims, 1)
    step = per_dimension(name, "stride", kernel if stride is None else stride, dims, 1)
    edge, spread = (
        per_dimension(name, "padding", padding, dims, 0),
        per_dimension(name, "dilation", dilation, dims, 1),
    )
    B, C, *lengths = batch.shape
    counts = pool_counts(name, lengths, kernel, step, edge, spread, ceil_mode)
    around = pool_edges(lengths, kernel, step, edge, spread, counts)
    places = _where_largest(batch.array, around, kernel_slices(kernel, step, spread, counts))
    planes = np.arange(B * C).reshape(B, C, *[1] * dims) * math.prod(lengths)
    y = batch.reshape(-1)[planes + places] if batch.numel() else batch.new_zeros(places.shape)
    y, indices = (t.squeeze(0) if alone else t for t in (y, Tensor(places)))
    return (y, indices) if return_indices else y


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """y[b, c, i] = max_k x[b, c, s · i + d · k]: (B, C, L) -> (B, C, n).

    The first of equals gets the gradient.

    Args:
        input: (B, C, L), or (C, L).
        kernel_size: K, how many numbers a window has.
        stride: the distance s of neighbouring windows; by default K, so that they do not overlap.
        padding: -∞ added at both ends, at most half of the kernel.
        dilation: the distance d of what a window reads.
        ceil_mode: let a last window hang over the end, if it begins inside.
        return_indices: return also where in its sequence each number stood.

    Returns:
        (B, C, n) or (C, n); with `return_indices` a pair of that and int64 indices of the same shape.

    Raises:
        RuntimeError: no window fits; too much padding.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.max_pool1d(tg.tensor([[1., 3., 2., 0.]]), 2, return_indices=True)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return _max_pool(
        "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        input: (B, C, H, W), or (C, H, W).
        kernel_size: rows and columns of a window; one integer for both, as in the next three.
        stride: by default the kernel's size.
        padding: -∞ added at both ends of each dimension, at most half of the kernel.
        dilation: the distance of what a window reads.
        ceil_mode: let last windows hang over the end.
        return_indices: return also the place of each number in its image, counted row by row.

    Raises:
        RuntimeError: as in max_pool1d.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.max_pool2d(tg.arange(8.).reshape(1, 2, 4), 2)
    tensor([[[5., 7.]]])
    """
    return _max_pool(
        "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )
