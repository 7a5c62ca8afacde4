"""Losses as modules; their equations are in functional/loss.py and functional/likelihood.py."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from . import functional as F
from .functional.loss import Flag, reduction_of
from .module import Module


class Loss(Module):
    """A loss and its reduction: "mean", "sum" or "none" (`size_average` and `reduce` are older spellings)."""

    def __init__(self, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction_of(size_average, reduce, reduction)


class WeightedLoss(Loss):
    """A loss with a buffer `weight`, which may be None."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


# --- of classes


class CrossEntropyLoss(WeightedLoss):
    """ℓ = -Σ_c w_c q_c ln softmax(x)_c, for class indices or class probabilities q"""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Flag = None,
        ignore_index: int = -100,
        reduce: Flag = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x (N, C, …), t (N, …) or (N, C, …)"""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(WeightedLoss):
    """ℓ = -w_t x_t, for log probabilities x and class indices t"""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Flag = None,
        ignore_index: int = -100,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x (N, C, …), t (N, …)"""
        return F.nll_loss(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


# --- of sequences


class CTCLoss(Module):
    """ℓ = -ln Σ_{π spells y} Π_t p_t(π_t), over all alignments π of a label sequence y: see `F.ctc_loss`.

    Arguments:
        blank: the class that means "nothing new" (0).
        reduction: "mean" (each ℓ over its target's length, then the mean), "sum" or "none".
        zero_infinity: take 0 for the infinite loss, and gradient, of a target that has too few frames.

    >>> import tinygrad_rnn as tg
    >>> log_probs = tg.zeros(50, 16, 20).log_softmax(2)
    >>> targets = tg.randint(1, 20, (16, 30))
    >>> CTCLoss(reduction="none")(log_probs, targets, [50] * 16, [20] * 16).shape
    (16,)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__()
        self.blank, self.zero_infinity = blank, zero_infinity
        self.reduction = reduction_of(None, None, reduction)

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        """ln p (T, B, C), y (B, L) or in a row, and the lengths of both, B integers each."""
        return F.ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            self.blank,
            self.reduction,
            self.zero_infinity,
        )


# --- of probabilities


class BCELoss(WeightedLoss):
    """ℓ = -w (t ln x + (1 - t) ln(1 - x)), x a probability"""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """ℓ = -w (p t ln σ(x) + (1 - t) ln(1 - σ(x))), p = `pos_weight`"""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(Loss):
    """ℓ = t (ln t - x), x log probabilities; reduction="batchmean" gives the divergence"""

    def __init__(
        self,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, "mean" if reduction == "batchmean" else reduction)
        if reduction == "batchmean" and size_average is None and reduce is None:
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Loss):
    """ℓ = (ln v + (x - t)²/v) / 2, v the variance, at least ε"""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """x, t of one shape, v of that shape or one number for each row"""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """ℓ = eˣ - t x, or x - t ln(x + ε) without `log_input`"""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Flag = None,
        eps: float = 1e-8,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.poisson_nll_loss(
            input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


# --- of differences


class MSELoss(Loss):
    """ℓ = (x - t)²"""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """ℓ = |x - t|"""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """ℓ = d²/2β where |d| = |x - t| < β, else |d| - β/2"""

    def __init__(
        self, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """ℓ = d²/2 where |d| = |x - t| ≤ δ, else δ (|d| - δ/2)"""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(None, None, reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.huber_loss(input, target, self.reduction, self.delta)


# --- of margins


class MarginLoss(Loss):
    """A loss with a margin: what the three below have in common."""

    def __init__(
        self, margin: float = 0.0, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin


class CosineEmbeddingLoss(MarginLoss):
    """ℓ = 1 - cos(x₁, x₂) where t = 1, max(0, cos(x₁, x₂) - margin) where t = -1"""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """x₁, x₂ (N, D), t (N)"""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(MarginLoss):
    """ℓ = max(0, margin - t (x₁ - x₂)), t = ±1"""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """x₁, x₂, t of one shape"""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(MarginLoss):
    """ℓ = x where t = 1, max(0, margin - x) where t = -1"""

    def __init__(
        self, margin: float = 1.0, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
    ) -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(Loss):
    """ℓ = ln(1 + e^(-t x)), t = ±1"""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """x, t of one shape"""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """ℓ = max(0, margin + ‖a - p‖ - ‖a - n‖)"""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """a, p, n (N, D)"""
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )
