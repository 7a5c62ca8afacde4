"""Convolutions: one product of the weight with all windows of the input.

    y[b, o, i] = Σ_c Σ_k  w[o, c, k] x[b, c, stride · i + dilation · k] + bias[o]

(cross-correlation, as everywhere in deep learning: the kernel is not turned round).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...engine.tensor import Tensor
from ...ops import matmul
from .basic import pad
from .windows import Sizes, per_dimension, reach, windows, with_batch


def edges(
    name: str, padding: Any, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[int]:
    """The amounts for `F.pad`, last dimension first, of a `padding` of numbers, "valid" or "same"."""
    if not isinstance(padding, str):
        sizes = per_dimension(name, "padding", padding, len(kernel), 0)
        return [n for size in reversed(sizes) for n in (size, size)]
    if padding not in ("valid", "same"):
        raise ValueError(f"{name}: padding must be numbers, 'valid' or 'same', got {padding!r}")
    if padding == "valid":
        return [0] * 2 * len(kernel)
    if max(stride) > 1:
        raise ValueError(f"{name}: padding='same' needs a stride of 1, got {tuple(stride)}")
    missing = [reach(k, d) - 1 for k, d in zip(reversed(kernel), reversed(dilation))]
    return [n for m in missing for n in (m // 2, m - m // 2)]  # of an odd number, more come at the end


def _check(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, dims: int) -> None:
    """Raise if the channels of input, weight and bias do not fit, or a dimension of the weight is 0."""
    if weight.ndim != dims + 2 or 0 in weight.shape:
        raise RuntimeError(
            f"{name}: weight must have {dims + 2} dimensions (out, in / groups, kernel), none of them 0, "
            f"got shape {weight.shape}"
        )
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"{name}: groups must be positive and divide the {weight.shape[0]} output channels, got {groups}"
        )
    channels = input.shape[-dims - 1]
    if channels != weight.shape[1] * groups:
        raise RuntimeError(
            f"{name}: the input {input.shape} has {channels} channels, but a weight {weight.shape} in "
            f"{groups} groups takes {weight.shape[1] * groups}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(
            f"{name}: bias must have one number for each of {weight.shape[0]} channels, got {bias.shape}"
        )


def _conv(
    name: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    """The convolution over the last `dims` dimensions."""
    batch, alone = with_batch(name, input, dims)
    _check(name, input, weight, bias, groups, dims)
    step, spread = (
        per_dimension(name, n, v, dims, 1) for n, v in (("stride", stride), ("dilation", dilation))
    )
    kernel = weight.shape[2:]
    around = edges(name, padding, kernel, step, spread)
    x = pad(batch, around) if any(around) else batch
    read = windows(name, x, kernel, step, spread)  # (B, C, K, *n)
    B, C, K, *counts = read.shape
    out, n = weight.shape[0], math.prod(counts)
    if groups == 1:
        y = matmul(weight.reshape(out, C * K), read.reshape(B, C * K, n))
    else:
        inside = C // groups * K
        y = matmul(weight.reshape(groups, out // groups, inside), read.reshape(B, groups, inside, n))
    y = y.reshape(B, out, *counts)
    y = y if bias is None else y + bias.reshape(out, *[1] * dims)
    return y.squeeze(0) if alone else y


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Any = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """y[b, o, i] = Σ_c Σ_k w[o, c, k] x[b, c, s · i + d · k] + bias[o]: (B, C, L) -> (B, O, n).

    n = ⌊(L + 2 padding - d (K - 1) - 1) / s⌋ + 1.

    Args:
        input: (B, C, L), or (C, L) for one sequence without a batch.
        weight: (O, C / groups, K).
        bias: (O,), or None.
        stride: the distance s of neighbouring windows.
        padding: zeros added at both ends; "valid" is 0, "same" as many as keep the length (stride 1 only).
        dilation: the distance d of what a window reads.
        groups: output channels are cut into as many groups; each sees its share of the input channels.

    Raises:
        RuntimeError: shapes that do not fit; a kernel larger than the padded input; no channels.
        ValueError: "same" with a stride, or another word.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.conv1d(tg.tensor([[1., 2., 4., 8.]]), tg.tensor([[[-1., 1.]]]))
    tensor([[1., 2., 4.]])
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Any = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """`conv1d` over two dimensions: (B, C, H, W) -> (B, O, n, m), for a weight (O, C / groups, K, M).

    Args:
        input: (B, C, H, W), or (C, H, W) for one image without a batch.
        weight: (O, C / groups, K, M).
        bias: (O,), or None.
        stride: as in conv1d, one number or two, as are padding and dilation.
        padding: zeros added at both ends of each dimension, or "valid" or "same".
        dilation: the distance of what a window reads.
        groups: as in conv1d.

    Raises:
        RuntimeError, ValueError: as in conv1d.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.conv2d(tg.ones(1, 1, 3, 4), tg.ones(1, 1, 2, 2), padding=(1, 0)).shape
    (1, 1, 4, 3)
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)
