"""Losses of probabilities: cross-entropies, log likelihoods, divergence. x is the input, t the target."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...engine.tensor import Tensor
from ...ops import amax, clamp, exp, gather, log, log1p, logaddexp, ones_like, where, xlogy
from .activation import log_softmax
from .loss import Flag, fitting, reduced, reduction_of

# --- classes: x (C), (N, C) or (N, C, d₁, …)


class Classes(NamedTuple):
    """Class indices ready for use, and how much each counts."""

    chosen: Tensor  # with 0 for those that are ignored
    keep: Tensor | None  # False where ignored; None: nowhere
    weight: Tensor | None  # of each chosen class; None: 1

    def kept(self, x: Tensor) -> Tensor:
        """`x`, and 0 where ignored: no gradient passes there, not even if the mean of nothing is NaN."""
        return x if self.keep is None else where(self.keep, x, 0.0)

    def weighted(self, x: Tensor) -> Tensor:
        """`x` times the weights of the classes, and 0 where ignored."""
        return self.kept(x if self.weight is None else x * self.weight)

    def reduced(self, losses: Tensor, reduction: str) -> Tensor:
        """The losses summed up or, by what each counts, averaged."""
        if reduction != "mean" or (self.keep is None and self.weight is None):
            return reduced(losses, None, None, reduction)
        return losses.sum() / self.weighted(ones_like(losses)).sum()


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """ℓ = -Σ_c w_c q_c ln softmax(x)_c over the C classes (dimension 1 of x; 0 if x has only one).

    The target is either class indices (N, d₁, …), where q is 1 at the index, or the probabilities q,
    of x's shape. With `label_smoothing` ε, q becomes (1 - ε) q + ε/C. The mean is weighted by w at
    the target's classes; targets equal to `ignore_index` count as if they were not there.

    >>> import tinygrad_rnn as tg
    >>> cross_entropy(tg.tensor([[0.0, 0.0], [100.0, 0.0]]), tg.tensor([1, 0]), reduction="none")
    tensor([0.6931, 0.    ])
    """
    reduction = reduction_of(size_average, reduce, reduction)
    dim = _class_dim("cross_entropy", input, weight)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be within [0, 1], got {label_smoothing}")
    if target.is_floating_point():
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing, dim)
    input, classes = _classes("cross_entropy", input, target, weight, ignore_index, dim)
    shifted = input - amax(input.detach(), dim, keepdim=True)
    log_total = log(exp(shifted).sum(dim))
    losses = classes.weighted(log_total - _picked(shifted, classes.chosen, dim))
    if label_smoothing:
        spread = log_total.unsqueeze(dim) - shifted  # -ln p, for each class
        spread = (spread if weight is None else spread * _along(weight, dim, input)).mean(dim)
        losses = (1 - label_smoothing) * losses + label_smoothing * classes.kept(spread)
    return classes.reduced(losses, reduction)


def _soft_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    dim: int,
) -> Tensor:
    """Cross-entropy with probabilities for targets."""
    if target.shape != input.shape:
        raise RuntimeError(
            f"cross_entropy: probabilities {target.shape} do not have the input's shape {input.shape}"
        )
    if ignore_index >= 0:
        raise NotImplementedError(
            "cross_entropy: ignore_index is not supported with probabilities for targets"
        )
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[dim]
    terms = log_softmax(input, dim) * (target if weight is None else target * _along(weight, dim, input))
    return reduced(-terms.sum(dim), None, None, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = -w_t x_t, for log probabilities x and class indices t; all else as in `cross_entropy`."""
    dim = _class_dim("nll_loss", input, weight)
    input, classes = _classes("nll_loss", input, target, weight, ignore_index, dim)
    losses = classes.weighted(-_picked(input, classes.chosen, dim))
    return classes.reduced(losses, reduction_of(size_average, reduce, reduction))


def _class_dim(name: str, input: Tensor, weight: Tensor | None) -> int:
    if input.ndim == 0:
        raise RuntimeError(f"{name}: input must be (C), (N, C) or (N, C, …), got a single number")
    dim = min(1, input.ndim - 1)
    if weight is not None and weight.shape != (input.shape[dim],):
        raise RuntimeError(
            f"{name}: weight {weight.shape} must hold one number for each of {input.shape[dim]} classes"
        )
    return dim


def _along(weight: Tensor, dim: int, input: Tensor) -> Tensor:
    return weight.reshape(-1, *(1,) * (input.ndim - dim - 1))


def _classes(
    name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, dim: int
) -> tuple[Tensor, Classes]:
    """The checked classes, and `input` so that not even NaN matters where it is ignored."""
    index, count = target.array, input.shape[dim]
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: target must hold class indices (integers), got {target.dtype}")
    if target.shape != input.shape[:dim] + input.shape[dim + 1 :]:
        raise ValueError(
            f"{name}: target {target.shape} does not fit input {input.shape}, classes along dimension {dim}"
        )
    keep = None
    ignored = index == ignore_index
    if ignored.any():
        index = np.where(ignored, 0, index)
        if not np.isfinite(np.moveaxis(input.array, dim, -1)[ignored]).all():
            input = where(np.expand_dims(ignored, dim), 0.0, input)
        keep = Tensor(np.asarray(~ignored))
    if index.size and not 0 <= index.min() <= index.max() < count:
        raise IndexError(
            f"{name}: class indices {index.min()} … {index.max()} in target, for {count} classes"
        )
    at = Tensor(np.asarray(index, np.int64))
    return input, Classes(at, keep, None if weight is None else weight[at])


def _picked(x: Tensor, index: Tensor, dim: int) -> Tensor:
    return gather(x, dim, index.unsqueeze(dim)).squeeze(dim)


# --- two outcomes


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = -w (t ln x + (1 - t) ln(1 - x)), x a probability; the logarithms are held above -100.

    Where x is 0 or 1 the derivative is that of PyTorch, (x - t) 10¹². Prefer the form with logits.
    """
    if input.shape != target.shape:
        raise ValueError(
            f"binary_cross_entropy: input {input.shape} and target {target.shape} must have the same shape"
        )
    x = input.array
    if not ((x >= 0) & (x <= 1)).all():
        raise RuntimeError(f"binary_cross_entropy: input must hold probabilities, got {x.min()} … {x.max()}")
    edge = x * (1 - x) < 1e-12
    inner = where(edge, 0.5, input) if edge.any() else input
    losses = -(target * log(inner) + (1 - target) * log1p(-inner))
    if edge.any():
        losses = where(edge, _edge_loss(input, target), losses)
    if weight is not None:
        losses = losses * fitting("binary_cross_entropy", "weight", weight, input)
    return reduced(losses, size_average, reduce, reduction)


def _edge_loss(input: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy for x next to 0 or 1: the value as it is, the derivative by x capped."""
    x = input.detach()
    value = target * clamp(log(clamp(x, min=1e-44)), min=-100) + (1 - target) * clamp(
        log(clamp(1 - x, min=1e-44)), min=-100
    )
    slope = 1e12 * input * (0.5 * input - target.detach())  # its derivative by x is (x - t) 10¹²
    return slope - slope.detach() - value


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """ℓ = -w (p t ln σ(x) + (1 - t) ln(1 - σ(x))), p = `pos_weight`, by ln(1 + e⁻ˣ) and so for every x."""
    name = "binary_cross_entropy_with_logits"
    if input.shape != target.shape:
        raise ValueError(f"{name}: input {input.shape} and target {target.shape} must have the same shape")
    surprise = logaddexp(-input, 0.0)  # -ln σ(x)
    if pos_weight is not None:
        surprise = surprise * (1 + (fitting(name, "pos_weight", pos_weight, input) - 1) * target)
    losses = (1 - target) * input + surprise
    if weight is not None:
        losses = losses * fitting(name, "weight", weight, input)
    return reduced(losses, size_average, reduce, reduction)


# --- distributions


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """ℓ = t (ln t - x), x = ln of the model's probabilities; with `log_target`, target is ln t.

    `reduction="batchmean"`, the sum over the batch's size, is the divergence; "mean" divides by the
    number of elements.
    """
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean" and size_average is None and reduce is None:
        return losses.sum() / (input.shape[0] if input.ndim else 1)
    return reduced(losses, size_average, reduce, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = (ln v + (x - t)²/v) / 2, v = max(var, ε), one for each x or for each row; `full` adds ln(2π)/2."""
    variance = var if isinstance(var, Tensor) else Tensor(np.full(input.shape, var, input.dtype))
    if (variance.array < 0).any():
        raise ValueError("gaussian_nll_loss: var has negative entries")
    if variance.shape == input.shape[:-1] != input.shape:
        variance = variance.unsqueeze(-1)
    if variance.ndim != input.ndim or any(
        v not in (1, n) for v, n in zip(variance.shape, input.shape, strict=True)
    ):
        raise ValueError(f"gaussian_nll_loss: var {variance.shape} does not fit input {input.shape}")
    raised = variance + (
        clamp(variance.detach(), min=eps) - variance.detach()
    )  # the clamp is no part of the derivative
    d = input - target
    losses = 0.5 * (log(raised) + d * d / raised)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, None, None, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Flag = None,
    eps: float = 1e-8,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """ℓ = eˣ - t x, or x - t ln(x + ε) without `log_input`; `full` adds ln t! (Stirling's, for t > 1)."""
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = where(target > 1, target, 1.0)
        stirling = large * log(large) - large + 0.5 * log(2 * math.pi * large)
        losses = losses + where(target > 1, stirling, 0.0)
    return reduced(losses, size_average, reduce, reduction)
