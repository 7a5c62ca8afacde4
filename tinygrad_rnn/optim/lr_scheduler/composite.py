"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, refuse_epoch
from .plateau import ReduceLROnPlateau


class Composite(LRScheduler):
    """Base of schedules that let others act on their optimizer."""

    _schedulers: list[LRScheduler]

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        what = type(self).__name__
        self._schedulers = list(schedulers)
        if not self._schedulers:
            raise ValueError(f"{what}: schedulers is empty; give at least one")
        for i, scheduler in enumerate(self._schedulers):
            if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
                kind = type(scheduler).__name__
                raise TypeError(f"{what}: schedulers[{i}] must be a scheduler of epochs, got {kind}")
        self.optimizer = self._schedulers[0].optimizer if optimizer is None else optimizer
        for i, scheduler in enumerate(self._schedulers):
            if scheduler.optimizer is not self.optimizer:
                raise ValueError(f"{what}: schedulers[{i}] belongs to another optimizer")

    def state_dict(self) -> dict[str, Any]:
        """All it knows but the optimizer, with the states of its schedulers."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from `state_dict()` of one that is made of schedulers of the same kinds."""
        schedulers = self._schedulers
        states = state_dict.get("_schedulers", [])
        if len(states) != len(schedulers):
            raise ValueError(
                f"load_state_dict: {len(states)} schedulers were saved, here are {len(schedulers)}"
            )
        super().load_state_dict(state_dict)
        self._schedulers = schedulers
        for scheduler, state in zip(schedulers, states, strict=True):
            scheduler.load_state_dict(state)


class ChainedScheduler(Composite):
    """All `schedulers` at once: `step` steps each; those that continue from the present rate multiply.

    `optimizer` is that of the schedulers, and can be left out.

    >>> from tinygrad_rnn import optim, tensor
    >>> optimizer = optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = optim.lr_scheduler.ChainedScheduler([warm_up, decay])
    >>> rates = []
    >>> for epoch in range(3):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.25, 0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = self._present()

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch."""
        refuse_epoch(epoch)
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._present()

    def _start(self) -> None:
        for scheduler in self._schedulers:
            scheduler._start()
        self._last_lr = self._present()


class SequentialLR(Composite):
    """`schedulers` one after the other: at each of the `milestones` the next begins, from lr₀.

    `milestones`: epochs in rising order, one fewer than schedulers; `last_epoch` is the epoch to go on from.

    >>> from tinygrad_rnn import optim, tensor
    >>> optimizer = optim.SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=2)
    >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = optim.lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> rates = []
    >>> for epoch in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.25, 0.625, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: list[int],
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self._take(schedulers, optimizer)
        if len(milestones) != len(self._schedulers) - 1 or sorted(milestones) != list(milestones):
            raise ValueError(
                f"SequentialLR: milestones={milestones!r}: must be {len(self._schedulers) - 1} epochs in "
                "rising order, one fewer than schedulers"
            )
        self._milestones = list(milestones)
        self._start()
        self.last_epoch = last_epoch + 1

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch."""
        refuse_epoch(epoch)
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i and self._milestones[i - 1] == self.last_epoch:
            self._restart(scheduler)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _restart(self, scheduler: LRScheduler) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        scheduler._start()

    def _start(self) -> None:
        self._restart(self._schedulers[0])
        self.last_epoch, self._last_lr = 0, self._schedulers[0].get_last_lr()
