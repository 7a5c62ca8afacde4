"""What layers compute: products, look-ups, dropout, normalisation, padding, distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...dtypes import FLOATS
from ...engine.tensor import Tensor
from ...ops import cat, clamp, full, matmul, narrow, norm, rsqrt, where
from ...ops.inputs import matched
from ...random import default_generator
from .padding import pad_by_repeating

# --- products and look-ups


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x Wᵀ + b, for x (*, D), W (K, D), b (K): (*, K)."""
    y = matmul(input, weight.t())
    return y if bias is None else y + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_k = x₁ᵀ W_k x₂ + b_k, for x₁ (*, D₁), x₂ (*, D₂), W (K, D₁, D₂): (*, K)."""
    if input1.shape[:-1] != input2.shape[:-1] or weight.shape[1:] != (input1.shape[-1], input2.shape[-1]):
        raise RuntimeError(
            f"bilinear: input1 {input1.shape}, input2 {input2.shape} and weight {weight.shape} do not fit"
        )
    k, d1, d2 = weight.shape
    left = matmul(input1, weight.permute(1, 0, 2).reshape(d1, k * d2)).reshape(*input1.shape[:-1], k, d2)
    y = (left * input2.unsqueeze(-2)).sum(-1)
    return y if bias is None else y + bias


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (N, D) at the indices `input` (*): (*, D). Row `padding_idx` gets no gradient.

    Raises IndexError for an index outside 0 … N-1.
    """
    refuse_embedding_options(max_norm, norm_type, scale_grad_by_freq, sparse)
    rows = input.array
    if rows.dtype.kind != "i":
        raise TypeError(f"embedding: input must hold integers, got {input.dtype}; use .long()")
    if rows.size and not 0 <= rows.min() <= rows.max() < weight.shape[0]:
        raise IndexError(f"embedding: indices {rows.min()} … {rows.max()} given for {weight.shape[0]} rows")
    out = weight[input]
    if padding_idx is None:
        return out
    padding = rows == row_of(padding_idx, weight.shape[0])
    return where(padding[..., None], out.detach(), out) if padding.any() else out


def refuse_embedding_options(max_norm: Any, norm_type: float, scale_grad_by_freq: bool, sparse: bool) -> None:
    """Raise if an option is given that is not supported."""
    if max_norm is not None or norm_type != 2.0:
        raise NotImplementedError("embedding: max_norm and norm_type are not supported")
    if scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: scale_grad_by_freq and sparse are not supported")


def row_of(padding_idx: int, rows: int) -> int:
    """`padding_idx`, counted from the front."""
    if not -rows <= padding_idx < rows:
        raise ValueError(f"embedding: padding_idx {padding_idx} is outside the {rows} rows")
    return padding_idx % rows


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 zeros (*, num_classes) with a 1 at each index of `tensor` (*); by default the largest plus 1."""
    index = tensor.array
    if index.dtype.kind not in "iu":
        raise TypeError(f"one_hot: the indices must be integers, got {tensor.dtype}; use .long()")
    if num_classes == -1:
        if not index.size:
            raise RuntimeError("one_hot: give num_classes, it cannot be inferred from an empty tensor")
        num_classes = int(index.max()) + 1
    if index.size and not 0 <= index.min() <= index.max() < num_classes:
        raise RuntimeError(f"one_hot: indices {index.min()} … {index.max()} given for {num_classes} classes")
    return Tensor((index[..., None] == np.arange(num_classes)).astype(np.int64))


# --- dropout


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each number with probability p and scale the others by 1 / (1 - p) (Srivastava et al., 2014).

    Without `training`, x itself. The draws come from the default generator.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be a probability, got {p}")
    if not training or p == 0:
        return input
    if not input.is_floating_point():
        raise TypeError(f"dropout: needs a float tensor, got {input.dtype}; use .float()")
    keep = default_generator.rng.random(input.shape, np.float32) >= p
    scale = input.dtype.type(0 if p == 1 else 1 / (1 - p))
    y = input * Tensor(np.asanyarray(keep * scale))
    return input.copy_(y) if inplace else y


# --- normalisation


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / √(var + ε) · w + b, over the last dimensions, of the given shape (Ba et al., 2016)."""
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"layer_norm: normalized_shape {shape} is not the end of the input's shape {input.shape}"
        )
    axes = tuple(range(-len(shape), 0))
    centered = input - input.mean(axes, keepdim=True)
    variance = (centered * centered).mean(axes, keepdim=True)
    y = centered * rsqrt(variance + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / √(var + ε) · w + b for each channel (dimension 1 of x) (Ioffe and Szegedy, 2015).

    In training, mean and variance are the batch's, and the running ones move towards them by
    `momentum` (towards the unbiased variance); else they are the running ones.
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm: input must be (N, C) or (N, C, …), got shape {input.shape}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: give both of running_mean and running_var, or neither")
    count = input.shape[1]
    for name, given in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if given is not None and given.shape != (count,):
            raise RuntimeError(f"batch_norm: {name} has shape {given.shape}, the input has {count} channels")
    channels, axes = (1, count, *(1,) * (input.ndim - 2)), (0, *range(2, input.ndim))
    if training:
        mean = input.mean(axes, keepdim=True)
        centered = input - mean
        variance = (centered * centered).mean(axes, keepdim=True)
        unbiased = variance.detach() * _unbiased(input)
        _follow(running_mean, mean.detach(), momentum)
        _follow(running_var, unbiased, momentum)
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm: running_mean and running_var are needed unless training=True")
    else:
        centered, variance = input - running_mean.reshape(channels), running_var.reshape(channels)
    scale = rsqrt(variance + eps)
    y = centered * (scale if weight is None else scale * weight.reshape(channels))
    return y if bias is None else y + bias.reshape(channels)


def _unbiased(input: Tensor) -> float:
    """n / (n - 1) for n values of each channel."""
    n = input.numel() // max(input.shape[1], 1)
    if n < 2:
        raise ValueError(
            f"batch_norm: one value per channel has no variance to train on (input {input.shape})"
        )
    return n / (n - 1)


def _follow(running: Tensor | None, new: Tensor, momentum: float) -> None:
    if running is not None:
        with no_grad():
            running.mul_(1 - momentum).add_(new.reshape(-1), alpha=momentum)


# --- shapes and distances


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with `value` (0) around it: `pad` = (before, after) of the last dimension, then of others.

    Negative numbers cut off. The modes "reflect", "replicate" and "circular" take no value and repeat what
    the input holds, in all dimensions after (B, C) or (C).
    """
    if mode != "constant":
        if value:
            raise ValueError(f"pad: mode {mode!r} repeats the input, it takes no value, got {value}")
        return pad_by_repeating(input, pad, mode)
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise RuntimeError(
            f"pad: {len(pad)} numbers given, a pair for each of at most {input.ndim} dimensions is needed"
        )
    for k in range(len(pad) // 2):
        dim, before, after = input.ndim - 1 - k, int(pad[2 * k]), int(pad[2 * k + 1])
        kept = input.shape[dim] + min(before, 0) + min(after, 0)
        if kept < 0:
            raise RuntimeError(
                f"pad: {(before, after)} cuts more off dimension {dim} than shape {input.shape} has"
            )
        input = narrow(input, dim, max(-before, 0), kept)
        blocks = [
            full(_resized(input, dim, n), value or 0, dtype=input.dtype)
            for n in (max(before, 0), max(after, 0))
        ]
        input = cat([blocks[0], input, blocks[1]], dim)
    return input


def _resized(x: Tensor, dim: int, size: int) -> tuple[int, ...]:
    return (*x.shape[:dim], size, *x.shape[dim + 1 :])


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖ₚ, ε) along `dim`."""
    return input / clamp(norm(input, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x₁·x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)) along `dim`; in the derivative ε is no bound (as in PyTorch)."""
    if x1.shape != x2.shape:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
        x1, x2 = x1.broadcast_to(shape), x2.broadcast_to(shape)
    x1, x2 = matched("cosine_similarity", x1, x2, kinds=FLOATS)
    lengths = [norm(x, 2, dim) for x in (x1, x2)]
    a, b = (n + (clamp(n.detach(), min=eps) - n.detach()) for n in lengths)
    return (x1 * x2).sum(dim) / (a * b)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """‖x₁ - x₂ + ε‖ₚ along the last dimension."""
    return norm(x1 - x2 + eps, p, -1, keepdim=keepdim)
