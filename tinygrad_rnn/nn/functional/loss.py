"""Losses of numbers and of distances. x is the input, t the target, ℓ the loss of one element.

`reduction` is "mean" or "sum" of all ℓ, or "none"; `size_average` and `reduce` are its older spellings.
Losses of probabilities are in `likelihood.py`.
"""

from __future__ import annotations

import warnings

from ...engine.tensor import Tensor
from ...ops import abs, clamp, logaddexp, minimum, sqrt, where
from .basic import pairwise_distance

Flag = bool | None


def reduction_of(size_average: Flag, reduce: Flag, reduction: str) -> str:
    """The reduction that the older arguments `size_average` and `reduce` ask for, if either is given."""
    if size_average is not None or reduce is not None:
        return "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
    return reduction


def reduced(losses: Tensor, size_average: Flag, reduce: Flag, reduction: str) -> Tensor:
    """All losses, their mean or their sum."""
    reduction = reduction_of(size_average, reduce, reduction)
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


def _difference(name: str, input: Tensor, target: Tensor) -> Tensor:
    if input.shape != target.shape:
        warnings.warn(
            f"{name}: input {input.shape} and target {target.shape} are broadcast; give equal shapes",
            stacklevel=3,
        )
    return input - target


def fitting(name: str, argument: str, given: Tensor, input: Tensor) -> Tensor:
    """`given`, if it broadcasts to the shape of `input`; one that makes it larger is a mistake."""
    pairs = zip(reversed(given.shape), reversed(input.shape))
    if given.ndim > input.ndim or not all(n in (1, m) for n, m in pairs):
        raise RuntimeError(f"{name}: {argument} {given.shape} does not fit input {input.shape}")
    return given


# --- of the difference d = x - t


def mse_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """ℓ = d²"""
    d = _difference("mse_loss", input, target)
    return reduced(d * d, size_average, reduce, reduction)


def l1_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """ℓ = |d|"""
    return reduced(abs(_difference("l1_loss", input, target)), size_average, reduce, reduction)


def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """ℓ = d²/2 where |d| ≤ δ, else δ (|d| - δ/2) (Huber, 1964)"""
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")
    return reduced(_huber(_difference("huber_loss", input, target), delta), None, None, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """ℓ = d²/2β where |d| < β, else |d| - β/2 (Girshick, Fast R-CNN, 2015)"""
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    d = _difference("smooth_l1_loss", input, target)
    return reduced(_huber(d, beta) / beta if beta else abs(d), size_average, reduce, reduction)


def _huber(d: Tensor, delta: float) -> Tensor:
    """m (d - m/2) with m = d held within ±δ: its derivative is m, without a case distinction."""
    m = clamp(d, -delta, delta)
    return m * (d - 0.5 * m)


# --- of a margin


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """ℓ = ln(1 + e^(-t x)), t = ±1"""
    fitting("soft_margin_loss", "target", target, input)
    return reduced(logaddexp(-target * input, 0.0), size_average, reduce, reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = x where t = 1, max(0, margin - x) where t = -1"""
    near, far = where(target == -1, 0.0, input), where(target == 1, 0.0, clamp(margin - input, min=0))
    return reduced(near + far, size_average, reduce, reduction)


def _same_rank(name: str, *inputs: Tensor) -> None:
    """Raise if inputs have different numbers of dimensions, which would be compared each with each."""
    if len({x.ndim for x in inputs}) > 1:
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise RuntimeError(f"{name}: the inputs must have as many dimensions, got shapes {shapes}")


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = max(0, margin - t (x₁ - x₂)), t = ±1"""
    _same_rank("margin_ranking_loss", input1, input2, target)
    return reduced(clamp(margin - target * (input1 - input2), min=0), size_average, reduce, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = 1 - cos where t = 1, max(0, cos - margin) where t = -1; cos is that of x₁ and x₂, (N, D) or (D)"""
    if input1.shape != input2.shape or target.shape != input1.shape[:-1] or input1.ndim > 2:
        shapes = f"{input1.shape}, {input2.shape} with target {target.shape}"
        raise RuntimeError(
            f"cosine_embedding_loss: inputs (N, D) with a target (N), or (D) with (), needed; got {shapes}"
        )
    lengths = sqrt(((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12))
    cos = (input1 * input2).sum(-1) / lengths
    losses = where(target == 1, 1.0 - cos, 0.0) + where(target == -1, clamp(cos - margin, min=0), 0.0)
    return reduced(losses, size_average, reduce, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = max(0, margin + ‖a - p‖ - ‖a - n‖); `swap` takes ‖p - n‖ if it is smaller (Balntas et al., 2016)"""
    _same_rank("triplet_margin_loss", anchor, positive, negative)
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(clamp(margin + near - far, min=0), size_average, reduce, reduction)
