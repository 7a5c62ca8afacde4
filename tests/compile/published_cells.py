"""Published and everyday cells, each as its authors print it and as people write it in PyTorch.

    CELLS = cells()          every class that is entered by @published, by name
    CELLS[name](D, H)        takes x (T, B, D), or what its `draw_inputs(T, B, numbers)` makes

They stand in published_*.py, a file for each family. Symbols: x one step, h the state,
D inputs, H hidden units.
Nothing in them is written for the compiler. What the two classes below share is only the sizes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import tinygrad_rnn as tg
from tinygrad_rnn import nn

FAMILIES = ("plain", "oscillators", "linear", "lstms", "lstms_around", "grus", "memory", "filters", "noise")
CELLS: dict[str, Any] = {}


def published(cell: Any) -> Any:
    """Enter a class into CELLS."""
    CELLS[cell.__name__] = cell
    return cell


def cells() -> dict[str, Any]:
    """All classes that are entered, family after family."""
    for family in FAMILIES:
        import_module(f"published_{family}")
    return CELLS


class Sized(nn.Cell):
    """A cell that knows its sizes."""

    def __init__(self, D: int, H: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = D, H

    def zeros(self, like: Any, B: int, *shape: int) -> Any:
        """A state of zeros (B, *shape)."""
        return tg.zeros(B, *shape, dtype=like.dtype)


class TwoStates(Sized):
    """A cell with two states (B, H)."""

    def initial_state(self, batch_size: int, like: Any) -> Any:
        h = self.zeros(like, batch_size, self.hidden_size)
        return h, h.clone()
