"""The property-test kit: gradients against oracles, and laws for cells, operations, modules and optimizers.

    gradcheck, gradgradcheck           derivatives against the complex step and central differences
    check_cell                         every law of recurrent cells, for any cell
    check_op, check_module, check_optimizer
    assert_close                       as in PyTorch
    RandomCell, RandomGraph            cells and functions made of random programs
    strategies                         Hypothesis strategies: arrays, indices, ragged batches, cells, graphs

A test of a cell of your own is one line: `def test_my_cell(): check_cell(MyCell)`.
"""

from importlib import import_module
from typing import Any

from ..autograd import GradcheckError
from .close import assert_close
from .gradcheck import gradcheck, gradgradcheck
from .laws import LAWS, LawBroken, Verdict, check_cell, check_module, check_op, check_optimizer
from .random_cell import RandomCell
from .random_graph import RandomGraph
from .report import Checked, Entry, WrongGradient

__all__ = [
    "Checked",
    "Entry",
    "GradcheckError",
    "LAWS",
    "LawBroken",
    "RandomCell",
    "RandomGraph",
    "Verdict",
    "WrongGradient",
    "assert_close",
    "check_cell",
    "check_module",
    "check_op",
    "check_optimizer",
    "gradcheck",
    "gradgradcheck",
    "strategies",
]


def __getattr__(name: str) -> Any:
    """`strategies` is imported when it is asked for: it alone needs Hypothesis."""
    if name == "strategies":
        return import_module(".strategies", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
