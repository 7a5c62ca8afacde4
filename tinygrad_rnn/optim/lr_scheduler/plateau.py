"""A rate that falls when a metric stops improving."""

from __future__ import annotations

import math
from typing import Any

from ..optimizer import Optimizer, check_number
from .base import LRScheduler, checked, per_group, refuse_epoch


class ReduceLROnPlateau(LRScheduler):
    """lr ← max(`factor` · lr, `min_lr`) when a metric has not improved for more than `patience` epochs.

    Better is: below best · (1 - threshold) with mode="min" and threshold_mode="rel", below best - threshold
    with "abs"; above best · (1 + threshold), above best + threshold with mode="max". After a reduction
    `cooldown` epochs do not count. A change of at most `eps` is not made.
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
        min_lr: float | list[float] = 0, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        check_number("factor", factor, lambda x: x < 1, "less than 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode={mode!r}: must be 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode={threshold_mode!r}: must be 'rel' or 'abs'")
        self.optimizer = checked(optimizer)
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.min_lr = min_lr
        per_group("min_lr", min_lr, optimizer)  # refuse a list of wrong length now, not at the first plateau
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = self._present()

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """End an epoch whose metric, a number or a tensor of one element, was `metrics`."""
        refuse_epoch(epoch)
        self.last_epoch += 1
        metric = float(metrics)
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._set_lr()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._present()

    def get_lr(self) -> list[float]:
        """The reduced rates."""
        least = per_group("min_lr", self.min_lr, self.optimizer)
        pairs = [(lr, max(lr * self.factor, low)) for lr, low in zip(self._present(), least, strict=True)]
        return [new if old - new > self.eps else old for old, new in pairs]

    def _is_better(self, metric: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        relative = self.threshold_mode == "rel"
        bound = self.best * (1 + sign * self.threshold) if relative else self.best + sign * self.threshold
        return sign * metric > sign * bound
