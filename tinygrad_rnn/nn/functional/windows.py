"""Windows that slide over the last dimensions: what convolution, pooling and `unfold` have in common.

    windows(x)[b, c, k, i] = x[b, c, stride · i + dilation · k]         along each of the last dimensions

They are made of one strided slice for each place k in the kernel, not for each window i: the gradient, which
adds up what overlapping windows read, is then a few additions of whole slices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from ...engine.tensor import Tensor
from ...ops import stack
from .basic import pad

Sizes = int | Sequence[int]


def per_dimension(name: str, argument: str, value: Any, dims: int, least: int) -> tuple[int, ...]:
    """`value`, one integer or one for each of the last `dims` dimensions, as a tuple."""
    sizes = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    sizes = sizes * dims if len(sizes) == 1 else sizes
    if len(sizes) != dims or not all(hasattr(n, "__index__") for n in sizes):
        wanted = "an integer" if dims == 1 else f"an integer or {dims} of them"
        raise TypeError(f"{name}: {argument} must be {wanted}, got {value!r}")
    if min(sizes) < least:
        raise RuntimeError(f"{name}: {argument} must be at least {least}, got {value!r}")
    return tuple(map(int, sizes))


def with_batch(name: str, input: Tensor, dims: int) -> tuple[Tensor, bool]:
    """`input` as (B, C, *L) with `dims` last dimensions, and whether it was (C, *L): one example alone."""
    shape = "L" if dims == 1 else "H, W"
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}: input must be (C, {shape}) or (B, C, {shape}), got shape {input.shape}")
    alone = input.ndim == dims + 1
    return (input.unsqueeze(0) if alone else input), alone


def reach(size: int, dilation: int) -> int:
    """The entries from the first to the last that a kernel of `size` reads: d (k - 1) + 1."""
    return dilation * (size - 1) + 1


def fitting(
    name: str, lengths: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """How many windows fit along each dimension: ⌊(L - d (k - 1) - 1) / s⌋ + 1."""
    if any(reach(k, d) > n for n, k, d in zip(lengths, kernel, dilation)):
        reached = tuple(map(reach, kernel, dilation))
        raise RuntimeError(
            f"{name}: a kernel that reaches over {reached} does not fit an input that is, with its padding, "
            f"only {tuple(lengths)} long; pad it, or use a smaller kernel or dilation"
        )
    return tuple((n - reach(k, d)) // s + 1 for n, k, s, d in zip(lengths, kernel, stride, dilation))


def kernel_slices(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], counts: Sequence[int]
) -> list[tuple[Any, ...]]:
    """For each place in the kernel, row by row, the index of what all windows read there."""
    return [
        (
            ...,
            *(
                slice(d * k, d * k + s * (n - 1) + 1, s)
                for k, s, d, n in zip(place, stride, dilation, counts)
            ),
        )
        for place in product(*map(range, kernel))
    ]


def windows(
    name: str, input: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """All windows of `input` (B, C, *L): (B, C, K, *n), K numbers in each, n windows along each dimension."""
    counts = fitting(name, input.shape[2:], kernel, stride, dilation)
    return stack([input[index] for index in kernel_slices(kernel, stride, dilation, counts)], 2)


def unfold(
    input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """Every window of an image as a column: (B, C, H, W) -> (B, C · K, n), or (C, H, W) -> (C · K, n).

    A convolution is a product of its weight (O, C · K) with these columns ("im2col").

    Args:
        input: (B, C, H, W) or (C, H, W).
        kernel_size: rows and columns of a window, K = rows · columns; one integer for both.
        dilation: the distance of what a window reads (1: neighbours).
        padding: zeros added at both ends of each dimension.
        stride: the distance of neighbouring windows.

    Returns:
        the n windows, row by row; of each column, the first K numbers are of channel 0.

    Raises:
        RuntimeError: the kernel does not fit into the padded input.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.unfold(tg.arange(6.).reshape(1, 1, 2, 3), (2, 2))
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    kernel, step = (
        per_dimension("unfold", n, v, 2, 1) for n, v in (("kernel_size", kernel_size), ("stride", stride))
    )
    spread = per_dimension("unfold", "dilation", dilation, 2, 1)
    edges = per_dimension("unfold", "padding", padding, 2, 0)
    batch, alone = with_batch("unfold", input, 2)
    y = windows("unfold", zeros_around(batch, edges), kernel, step, spread)
    y = y.reshape(y.shape[0], y.shape[1] * y.shape[2], math.prod(y.shape[3:]))
    return y.squeeze(0) if alone else y


def zeros_around(input: Tensor, edges: Sequence[int]) -> Tensor:
    """`input` with edges[i] zeros at both ends of dimension i of the last ones."""
    return pad(input, [n for edge in reversed(edges) for n in (edge, edge)]) if any(edges) else input
