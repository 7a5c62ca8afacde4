"""One cycle: the rate goes up and down once, the momentum the opposite way."""

from __future__ import annotations

import math

from ..optimizer import Group, Optimizer, check_number, positive
from .base import LRScheduler, checked, per_group


class OneCycleLR(LRScheduler):
    """One cycle of `total_steps` batches (or `epochs * steps_per_epoch`); call `step` after each batch.

    The rate goes from `max_lr / div_factor` up to `max_lr` in the first `pct_start` of the steps, then down
    to `max_lr / (div_factor * final_div_factor)`; with `three_phase` symmetrically down to the first rate,
    then to the last one. With `cycle_momentum` the momentum (or β1) goes the opposite way between
    `max_momentum` and `base_momentum`. Between two values a and b, at the fraction p of a phase:

        b + ½ (a - b) (1 + cos(π p))   with anneal_strategy="cos",       a + (b - a) p   with "linear"

    Smith & Topin 2019, "Super-convergence: very fast training of neural networks using large learning
    rates".
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True, base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95, div_factor: float = 25.0, final_div_factor: float = 1e4,
        three_phase: bool = False, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or both epochs and steps_per_epoch")
            total_steps = positive("epochs", epochs) * positive("steps_per_epoch", steps_per_epoch)
        check_number("pct_start", pct_start, lambda x: 0 <= x <= 1, "in [0, 1]")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy={anneal_strategy!r}: must be 'cos' or 'linear'")
        if cycle_momentum and not {"momentum", "betas"} & checked(optimizer).defaults.keys():
            raise ValueError(f"cycle_momentum=True: {type(optimizer).__name__} has no momentum")
        self.total_steps, self.pct_start = positive("total_steps", total_steps), pct_start
        self.anneal_strategy, self.three_phase = anneal_strategy, three_phase
        self.cycle_momentum = cycle_momentum
        names = ("max_lr", "max_momentum", "base_momentum") if cycle_momentum else ("max_lr",)
        options = {"max_lr": max_lr, "max_momentum": max_momentum, "base_momentum": base_momentum}
        columns = {name: per_group(name, options[name], optimizer) for name in names}
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group.update({name: column[i] for name, column in columns.items()})
                group["initial_lr"] = group["max_lr"] / div_factor
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`; the momentum is set at once."""
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {self.last_epoch}, but total_steps={self.total_steps}")
        p, (lr_from, lr_to), (momentum_from, momentum_to) = self._phase()
        lrs = []
        for group in self.optimizer.param_groups:
            lrs.append(self._between(group[lr_from], group[lr_to], p))
            if self.cycle_momentum:
                set_momentum(group, self._between(group[momentum_from], group[momentum_to], p))
        return lrs

    def _phase(self) -> tuple[float, tuple[str, str], tuple[str, str]]:
        """How much of the present phase is over, and what rates and momenta it leads from and to."""
        peak, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        high, low = "max_momentum", "base_momentum"
        phases = [(peak, ("initial_lr", "max_lr"), (high, low)), (last, ("max_lr", "min_lr"), (low, high))]
        if self.three_phase:
            phases[1:] = [(2 * peak, ("max_lr", "initial_lr"), (low, high)),
                          (last, ("initial_lr", "min_lr"), (high, high))]  # fmt: skip
        start = 0.0
        while self.last_epoch > phases[0][0] and len(phases) > 1:
            start = phases.pop(0)[0]
        end, lr, momentum = phases[0]
        return (self.last_epoch - start) / (end - start) if end != start else 1.0, lr, momentum

    def _between(self, a: float, b: float, p: float) -> float:
        if self.anneal_strategy == "linear":
            return (b - a) * p + a
        return b + (a - b) / 2 * (math.cos(math.pi * p) + 1)


def set_momentum(group: Group, momentum: float) -> None:
    """Set the option that plays the part of momentum in this group: β1 of Adam's kin, else `momentum`."""
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
