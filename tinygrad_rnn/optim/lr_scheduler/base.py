"""LRScheduler: what all schedules of the learning rate share, and the checks of their arguments."""

from __future__ import annotations

import warnings
from typing import Any

from ..optimizer import Optimizer


class LRScheduler:
    """Base of all schedulers: a subclass defines `get_lr()`, the rates of all groups for `last_epoch`.

    Making a scheduler sets the first rates and notes each group's `initial_lr`. To go on after a break make
    optimizer and scheduler as before and load the state dicts of both, or pass `last_epoch`.
    """

    _is_initial = False  # True in the step that the constructor makes
    _last_lr: list[float]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"last_epoch={last_epoch}, but param_groups[{i}] has no 'initial_lr'; "
                    "load the optimizer's state dict first, or start with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._first_step()

    def _first_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def _start(self) -> None:
        """Begin at epoch 0, from the groups' present rates; see SequentialLR."""
        self.last_epoch = -1
        self._first_step()

    def get_lr(self) -> list[float]:
        """The rates of the groups for `last_epoch`; `step` calls it. Use `get_last_lr()` to look."""
        raise NotImplementedError(f"{type(self).__name__}: define get_lr()")

    def get_last_lr(self) -> list[float]:
        """The rates that the last step set, one for each group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch."""
        refuse_epoch(epoch)
        if self._step_count == 1 and not self.optimizer._called:
            message = "scheduler.step() before optimizer.step() skips the first learning rate; call it after"
            warnings.warn(message, UserWarning, stacklevel=2)
        self._step_count += 1
        self.last_epoch += 1
        self._set_lr()

    def _set_lr(self) -> None:
        lrs, groups = self.get_lr(), self.optimizer.param_groups
        if len(lrs) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: made for {len(lrs)} parameter groups, now there are {len(groups)}; "
                "add groups before making the scheduler"
            )
        for group, lr in zip(groups, lrs, strict=True):
            group["lr"] = lr
        self._last_lr = lrs

    def _present(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All it knows but the optimizer, whose state dict should be saved as well."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from `state_dict()`. Raises ValueError for what another kind of scheduler saved."""
        missing = sorted(self.state_dict().keys() - state_dict.keys())
        if missing:
            raise ValueError(f"load_state_dict: not the state of a {type(self).__name__}, it lacks {missing}")
        self.__dict__.update(state_dict)


def checked(optimizer: Any) -> Optimizer:
    """The optimizer, if it is one."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer: expected an Optimizer, got {type(optimizer).__name__}")
    return optimizer


def per_group(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """One value for each parameter group, from one for all or a list of them."""
    groups = len(checked(optimizer).param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name}: {len(value)} values for {groups} parameter groups")
    return list(value)


def refuse_epoch(epoch: Any) -> None:
    """Raise for the old form `step(epoch)`."""
    if epoch is not None:
        raise NotImplementedError(f"step(epoch={epoch!r}): call step() once after each epoch")
