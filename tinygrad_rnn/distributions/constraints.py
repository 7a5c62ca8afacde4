"""Conditions on the values of a parameter, or of a draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Constraint(NamedTuple):
    """A condition: its `text`, for errors, and `check(array)`, the truth value of each number (or vector)."""

    text: str
    check: Callable[[Any], Any]


real = Constraint("a number", lambda x: x == x)
positive = Constraint("above 0", lambda x: x > 0)
nonnegative = Constraint("at least 0", lambda x: x >= 0)
unit_interval = Constraint("between 0 and 1", lambda x: (x >= 0) & (x <= 1))
boolean = Constraint("0 or 1", lambda x: (x == 0) | (x == 1))
simplex = Constraint(
    "probabilities that are at least 0 and sum to 1 in the last dimension",
    lambda x: (x >= 0).all(-1) & (np.abs(x.sum(-1) - 1) < 1e-6),
)


def interval(low: Any, high: Any) -> Constraint:
    """From `low` to `high`, arrays or numbers, both included."""
    return Constraint(f"between {low} and {high}", lambda x: (x >= low) & (x <= high))


def integer_interval(low: int, high: int) -> Constraint:
    """Integers from `low` to `high`, both included."""
    return Constraint(f"an integer from {low} to {high}", lambda x: (x % 1 == 0) & (x >= low) & (x <= high))
