"""Rates that follow a cosine, once or with restarts."""

from __future__ import annotations

import math

from ..optimizer import Optimizer, check_number, positive
from .base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from lr₀ to η = `eta_min` in `T_max` epochs; then it rises again.

        lr ← η + (lr - η) cₑ / cₑ₋₁,   cₑ = 1 + cos(π e / T_max)

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", equation 5, no restarts.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: float, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_number("T_max", T_max, lambda n: n > 0, "positive")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._present()
        e, T, eta = self.last_epoch, self.T_max, self.eta_min
        if (e - 1) % (2 * T) == T:  # cₑ₋₁ = 0: the rate is η, which tells nothing of lr₀
            rise = (1 - math.cos(math.pi / T)) / 2
            return [lr + (lr0 - eta) * rise for lr, lr0 in zip(self._present(), self.base_lrs, strict=True)]
        ratio = (1 + math.cos(math.pi * e / T)) / (1 + math.cos(math.pi * (e - 1) / T))
        return [eta + (lr - eta) * ratio for lr in self._present()]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from lr₀ to η = `eta_min` in Tᵢ epochs, then at once back to lr₀.

        lr = η + ½ (lr₀ - η) (1 + cos(π T_cur / Tᵢ)),   T_cur: epochs since the last restart

    T₀ is `T_0`; each next Tᵢ is `T_mult` times as long. Loshchilov & Hutter 2017, "SGDR: stochastic gradient
    descent with warm restarts", equation 5.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0, self.T_mult, self.eta_min = positive("T_0", T_0), positive("T_mult", T_mult), eta_min
        self.T_i: float = T_0
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]

    def _start(self) -> None:
        self.step(0)

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to `epoch`, which may be a fraction: `step(epoch + batch / batches)`."""
        if epoch is None:
            self.last_epoch += 1
            self.T_cur += 1
        else:
            check_number("epoch", epoch, lambda x: x >= 0, "at least 0")
            self.last_epoch = math.floor(epoch)
            self.T_cur, self.T_i = epoch, self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        self._set_lr()
