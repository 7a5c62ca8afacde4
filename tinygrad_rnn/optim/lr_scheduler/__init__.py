"""Schedules of the learning rate. Call `scheduler.step()` after the optimizer's steps of each epoch.

In the formulas e is `last_epoch`, the number of calls of `step` so far, and lr₀ the group's rate at the
start. A rule written `lr ← ...` continues from the present rate, so it keeps what others did to it
and several schedulers can act on one optimizer; a rule written `lr = ...` sets the rate whatever it was.

>>> from tinygrad_rnn import optim, tensor
>>> optimizer = optim.SGD([tensor([1.0], requires_grad=True)], lr=0.5)
>>> scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
>>> for epoch in range(3):
...     print(scheduler.get_last_lr())
...     optimizer.step()
...     scheduler.step()
[0.5]
[0.25]
[0.125]
"""

from .base import LRScheduler
from .composite import ChainedScheduler, SequentialLR
from .cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from .cyclic import CyclicLR
from .decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .one_cycle import OneCycleLR
from .plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # its name in older programs

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR",
    "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR",
    "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
