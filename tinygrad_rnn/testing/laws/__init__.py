"""Laws, and what tries them on a cell, an operation, a module, an optimizer.

A law is a function of a case; its docstring states it. Read `law.py`, then `cells.py` (check_cell) and
the files it names: gradients, precision, batches, time, states, rtrl. The others hold laws and check in
one file.
"""

from .cells import LAWS, check_cell
from .law import LawBroken, Verdict
from .modules import check_module
from .operations import check_op
from .optimizers import check_optimizer

__all__ = ["LAWS", "LawBroken", "Verdict", "check_cell", "check_module", "check_op", "check_optimizer"]
