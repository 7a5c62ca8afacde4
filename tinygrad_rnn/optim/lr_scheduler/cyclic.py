"""Cycles: the rate goes up and down again and again, the momentum the opposite way."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

from ..optimizer import Optimizer, check_number
from .base import LRScheduler, checked, per_group
from .one_cycle import set_momentum

MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(LRScheduler):
    """Triangles between `base_lr` and `max_lr`; call `step` after each batch.

        lr = base_lr + (max_lr - base_lr) · p · s

    p goes from 0 to 1 in `step_size_up` batches and back in `step_size_down` (default: as many). The height s
    is 1 with mode="triangular", ½^(c - 1) in cycle c = 1, 2, … with "triangular2", and gamma^e with
    "exp_range"; `scale_fn`, if given, is s instead, of c, or of e with scale_mode="iterations". With
    `cycle_momentum` the momentum (or β1) is max_momentum - (max_momentum - base_momentum) · p · s.
    Rates and momenta may be lists of one for each group. A `scale_fn` is not part of the state dict.

    Smith 2017, "Cyclical learning rates for training neural networks".

    >>> from tinygrad_rnn import optim, tensor
    >>> optimizer = optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> rates = []
    >>> for batch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list[float], max_lr: float | list[float],
        step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular",
        gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None, scale_mode: str = "cycle",
        cycle_momentum: bool = True, base_momentum: float = 0.8, max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if mode not in MODES and scale_fn is None:
            raise ValueError(f"mode={mode!r}: must be one of {MODES}, or give scale_fn")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"scale_mode={scale_mode!r}: must be 'cycle' or 'iterations'")
        check_number("step_size_up", step_size_up, lambda n: n > 0, "positive")
        step_size_down = step_size_up if step_size_down is None else step_size_down
        check_number("step_size_down", step_size_down, lambda n: n > 0, "positive")
        if cycle_momentum and not {"momentum", "betas"} & checked(optimizer).defaults.keys():
            raise ValueError(f"cycle_momentum=True: {type(optimizer).__name__} has no momentum")
        base_lrs = per_group("base_lr", base_lr, optimizer)
        self.max_lrs = per_group("max_lr", max_lr, optimizer)
        self.total_size = float(step_size_up + step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        self.base_momentums = per_group("base_momentum", base_momentum, optimizer)
        self.max_momentums = per_group("max_momentum", max_momentum, optimizer)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                group["lr"] = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def get_lr(self) -> list[float]:
        """Return the rates for `last_epoch`; the momentum is set at once."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle
        p = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = p * self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            momenta = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, momenta, strict=True):
                set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _scale(self, x: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(x)
        if self.mode == "triangular":
            return 1.0
        return float(0.5 ** (x - 1) if self.mode == "triangular2" else self.gamma**x)

    def state_dict(self) -> dict[str, Any]:
        function = self.scale_fn
        kept = None if isinstance(function, FunctionType) else getattr(function, "__dict__", None)
        return {**super().state_dict(), "scale_fn": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        function = self.scale_fn
        super().load_state_dict(state_dict)
        self.scale_fn = function
        if function is not None and state_dict["scale_fn"] is not None:
            vars(function).update(state_dict["scale_fn"])
