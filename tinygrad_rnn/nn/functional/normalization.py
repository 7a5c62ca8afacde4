"""Normalisation by the root mean square, and over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...engine.tensor import Tensor
from ...ops import rsqrt


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """y = x / √(mean(x²) + ε) · w, over the last dimensions (Zhang and Sennrich, 2019).

    Args:
        input: (*, *normalized_shape).
        normalized_shape: the last dimensions, over which the mean is taken.
        weight: of that shape, or None for 1.
        eps: ε; None is the distance from 1 to the next number of the input's dtype.

    Raises:
        RuntimeError: the input's shape does not end so, or it holds integers.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.rms_norm(tg.tensor([1., 7.]), (2,))
    tensor([0.2, 1.4])
    """
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"rms_norm: normalized_shape {shape} is not the end of the input's shape {input.shape}"
        )
    if not input.is_floating_point():
        raise RuntimeError(f"rms_norm: needs a float tensor, got {input.dtype}; use .float()")
    if weight is not None and weight.shape != shape:
        raise RuntimeError(f"rms_norm: weight has shape {weight.shape}, normalized_shape is {shape}")
    least = float(np.finfo(input.dtype).eps) if eps is None else eps
    y = input * rsqrt((input * input).mean(tuple(range(-len(shape), 0)), keepdim=True) + least)
    return y if weight is None else y * weight


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / √(var + ε) · w + b, mean and variance over a group of channels (Wu and He, 2018).

    Args:
        input: (B, C, *). Of each row the C channels are cut into groups, each with its own mean.
        num_groups: how many groups; it divides C.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        eps: ε.

    Raises:
        RuntimeError: shapes that do not fit, or integers.
        ValueError: one number alone, which has no variance.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.group_norm(tg.tensor([[1., 3., 10., 30.]]), 2)
    tensor([[-1.,  1., -1.,  1.]])
    """
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: input must be (B, C, …) with C a multiple of num_groups {num_groups}, "
            f"got shape {input.shape}"
        )
    B, C, *rest = input.shape
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != (C,):
            raise RuntimeError(f"group_norm: {name} has shape {given.shape}, the input has {C} channels")
    if input.numel() == num_groups and B == 1:
        raise ValueError(f"group_norm: one number in a group has no variance, got an input of {input.shape}")
    grouped = input.reshape(B, num_groups, input.numel() // max(B * num_groups, 1))
    centered = grouped - grouped.mean(-1, keepdim=True)
    y = centered * rsqrt((centered * centered).mean(-1, keepdim=True) + eps)
    y, channels = y.reshape(input.shape), (C, *[1] * len(rest))
    y = y if weight is None else y * weight.reshape(channels)
    return y if bias is None else y + bias.reshape(channels)
