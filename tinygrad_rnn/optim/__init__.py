"""Optimizers and schedules of the learning rate, with PyTorch's names, defaults and formulas.

>>> from tinygrad_rnn import optim, tensor
>>> w = tensor([3.0], requires_grad=True)
>>> optimizer = optim.Adam([w], lr=0.1)
>>> for _ in range(200):
...     optimizer.zero_grad()
...     loss = ((w - 1) ** 2).sum()
...     loss.backward()
...     optimizer.step()
>>> round(w.item(), 2)
1.0
"""

from . import lr_scheduler as lr_scheduler
from .adagrad import Adadelta, Adagrad
from .adam import Adam, AdamW, NAdam, RAdam
from .adamax import Adamax
from .asgd import ASGD
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD

__all__ = [
    "ASGD", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "NAdam", "Optimizer", "RAdam",
    "RMSprop", "Rprop", "lr_scheduler",
]  # fmt: skip
