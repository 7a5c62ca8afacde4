"""Average pooling: each window of the input becomes its mean, a sum over windows (see windows.py)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...ops import cat
from .basic import pad
from .pool import pool_counts, pool_edges
from .windows import Sizes, per_dimension, windows, with_batch

# --- the mean of each window


def _inside(length: int, kernel: int, stride: int, padding: int, count: int, count_include_pad: bool) -> Any:
    """How many numbers of each window along one dimension the mean is of."""
    first = np.arange(count) * stride - padding
    end = np.minimum(first + kernel, length + padding)
    return end - first if count_include_pad else np.minimum(end, length) - np.maximum(first, 0)


def _avg_pool(
    name: str,
    dims: int,
    input: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """Average pooling over the last `dims` dimensions."""
    batch, alone = with_batch(name, _floats(name, input), dims)
    kernel = per_dimension(name, "kernel_size", kernel_size, dims, 1)
    step = per_dimension(name, "stride", kernel if stride is None else stride, dims, 1)
    edge, spread = per_dimension(name, "padding", padding, dims, 0), (1,) * dims
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor_override must not be 0")
    lengths = batch.shape[2:]
    counts = pool_counts(name, lengths, kernel, step, edge, spread, ceil_mode)
    around = pool_edges(lengths, kernel, step, edge, spread, counts)
    numbers = [n for pair in reversed(around) for n in pair]
    total = windows(name, pad(batch, numbers) if any(numbers) else batch, kernel, step, spread)
    total = total[(..., *map(slice, counts))].sum(2)
    if divisor is None:
        of = [_inside(*of, count_include_pad) for of in zip(lengths, kernel, step, edge, counts)]
        y = total / Tensor(np.asarray(math.prod(np.ix_(*of)), total.dtype))
    else:
        y = total / divisor
    return y.squeeze(0) if alone else y


def _floats(name: str, input: Tensor) -> Tensor:
    """`input`, unless it holds integers, which have no mean in their dtype."""
    if not input.is_floating_point():
        raise RuntimeError(f"{name}: needs a float tensor, got {input.dtype}; use .float()")
    return input


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """y[b, c, i] = Σ_k x[b, c, s · i + k] / K: (B, C, L) -> (B, C, n).

    Args:
        input: (B, C, L), or (C, L).
        kernel_size: K, how many numbers a window has.
        stride: the distance s of neighbouring windows; by default K, so that they do not overlap.
        padding: zeros added at both ends, at most half of the kernel.
        ceil_mode: let a last window hang over the end, if it begins inside; what hangs over is not counted.
        count_include_pad: the zeros of `padding` count as numbers; else the mean is of the input's own.

    Raises:
        RuntimeError: no window fits; too much padding; integers.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.avg_pool1d(tg.tensor([[1., 3., 2., 0.]]), 2)
    tensor([[2., 1.]])
    """
    options = stride, padding, ceil_mode, count_include_pad, None
    return _avg_pool("avg_pool1d", 1, input, kernel_size, *options)


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """`avg_pool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        input: (B, C, H, W), or (C, H, W).
        kernel_size: rows and columns of a window; one integer for both, as in the next two.
        stride: by default the kernel's size.
        padding: zeros added at both ends of each dimension, at most half of the kernel.
        ceil_mode: let last windows hang over the end.
        count_include_pad: the zeros of `padding` count as numbers.
        divisor_override: divide the sums by this instead of by how many numbers they are of.

    Raises:
        RuntimeError: as in avg_pool1d; divisor_override is 0.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.avg_pool2d(tg.arange(8.).reshape(1, 2, 4), 2)
    tensor([[[2.5, 4.5]]])
    """
    options = stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool2d", 2, input, kernel_size, *options)


# --- as many windows as are asked for


def _adaptive(name: str, input: Tensor, axis: int, count: int) -> Tensor:
    """The means of n = `count` windows along `axis`: entries from ⌊i L / n⌋ below ⌈(i + 1) L / n⌉ of L."""
    length = input.shape[axis]
    if not length:
        raise RuntimeError(f"{name}: dimension {axis} of the input {input.shape} is empty")
    bounds = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
    means = [input.narrow(axis, a, b - a).mean(axis, keepdim=True) for a, b in bounds]
    return cat(means, axis) if means else input.narrow(axis, 0, 0)


def _adaptive_avg_pool(name: str, dims: int, input: Tensor, output_size: Any) -> Tensor:
    """Adaptive average pooling over the last `dims` dimensions, one after the other."""
    batch, alone = with_batch(name, _floats(name, input), dims)
    asked = output_size if isinstance(output_size, (tuple, list)) else [output_size] * dims
    sizes = [n if wanted is None else wanted for wanted, n in zip(asked, batch.shape[2:])]
    counts = per_dimension(name, "output_size", sizes if len(asked) == dims else asked, dims, 0)
    for axis, count in enumerate(counts, 2):
        batch = _adaptive(name, batch, axis, count)
    return batch.squeeze(0) if alone else batch


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means of n windows of (nearly) equal size: (B, C, L) -> (B, C, n).

    Window i holds the entries from ⌊i L / n⌋ below ⌈(i + 1) L / n⌉: neighbours may share one.

    Args:
        input: (B, C, L), or (C, L).
        output_size: n; None keeps the length.

    Raises:
        RuntimeError: L is 0, n is negative, or integers.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.adaptive_avg_pool1d(tg.arange(6.).reshape(1, 6), 2)
    tensor([[1., 4.]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """`adaptive_avg_pool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        input: (B, C, H, W), or (C, H, W).
        output_size: n and m, one integer for both; None keeps a length.

    Raises:
        RuntimeError: as in adaptive_avg_pool1d.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.adaptive_avg_pool2d(tg.arange(8.).reshape(1, 2, 4), (1, None))
    tensor([[[2., 3., 4., 5.]]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)
