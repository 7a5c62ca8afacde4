"""Rates that fall, or rise, by a factor: a given function of the epoch, steps, a line, a power."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from ..optimizer import Optimizer, check_number, positive
from .base import LRScheduler, per_group

Factor = Callable[[int], float]


class Functions(LRScheduler):
    """A schedule by functions of the epoch: one, `lr_lambda`, for all groups, or a list of one for each.

    Functions are not part of the state dict; of a callable object it has the attributes.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | list[Factor], last_epoch: int = -1) -> None:
        self.lr_lambdas: list[Any] = per_group("lr_lambda", lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        attributes = [getattr(f, "__dict__", None) for f in self.lr_lambdas]
        kept = [None if isinstance(f, FunctionType) else a for f, a in zip(self.lr_lambdas, attributes)]
        return {**super().state_dict(), "lr_lambdas": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        self.lr_lambdas = functions
        for function, attributes in zip(functions, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class LambdaLR(Functions):
    """lr = lr₀ · λ(e), with one function `lr_lambda` for all groups, or a list of one for each.

    Functions are not part of the state dict; of a callable object it has the attributes.
    """

    def get_lr(self) -> list[float]:
        return [
            lr * factor(self.last_epoch) for lr, factor in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class MultiplicativeLR(Functions):
    """lr ← λ(e) lr, every epoch from the first on; `lr_lambda` as for `LambdaLR`."""

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return self._present()
        e = self.last_epoch
        return [lr * factor(e) for lr, factor in zip(self._present(), self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """lr ← γ lr, every `step_size` epochs."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size, self.gamma = positive("step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [lr * self.gamma for lr in self._present()] if due else self._present()


class MultiStepLR(LRScheduler):
    """lr ← γ lr, at each epoch of `milestones`; twice at one that is there twice."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        times = self.milestones.count(self.last_epoch)
        return [lr * self.gamma**times for lr in self._present()] if times else self._present()


class LinearLR(LRScheduler):
    """lr from `start_factor` · lr₀ to `end_factor` · lr₀ in `total_iters` equal steps (a warm-up).

    lr ← lr · fₑ / fₑ₋₁,   fₑ = start + (end - start) e / total_iters
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_number("start_factor", start_factor, lambda x: 0 < x <= 1, "greater than 0 and at most 1")
        check_number("end_factor", end_factor, lambda x: 0 <= x <= 1, "at least 0 and at most 1")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = positive("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        e, rise = self.last_epoch, self.end_factor - self.start_factor
        if e == 0:
            return [lr * self.start_factor for lr in self._present()]
        if self._is_initial or e > self.total_iters:
            return self._present()
        ratio = 1 + rise / (self.total_iters * self.start_factor + (e - 1) * rise)
        return [lr * ratio for lr in self._present()]


class ExponentialLR(LRScheduler):
    """lr ← γ lr, every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self._present() if self._is_initial else [lr * self.gamma for lr in self._present()]


class ConstantLR(LRScheduler):
    """lr ← `factor` lr at first, and lr ← lr / `factor` after `total_iters` epochs: a one-step warm-up."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        check_number("factor", factor, lambda x: 0 < x <= 1, "greater than 0 and at most 1")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._present()]
        if self.last_epoch != self.total_iters:
            return self._present()
        return [lr * (1 / self.factor) for lr in self._present()]


class PolynomialLR(LRScheduler):
    """lr from lr₀ to 0 in `total_iters` epochs, as a power of what is left of them.

    lr ← lr · fₑ / fₑ₋₁,   fₑ = (1 - e / total_iters)^power
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters, self.power = positive("total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        e, n = self.last_epoch, self.total_iters
        if self._is_initial or e > n:
            return self._present()
        ratio = ((1 - e / n) / (1 - (e - 1) / n)) ** self.power
        return [lr * ratio for lr in self._present()]
