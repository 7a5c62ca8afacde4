"""Anomaly detection: the first NaN or infinity, forward or backward, is an error that names its line.

It is an interpreter (`mode.interpreter`): it runs each primitive, and looks at what went in and came out.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.accumulate import stacked_product
from ..engine.primitive import Node, Primitive, Product, apply, mode
from ..engine.tensor import Tensor
from .gradmode import Setting, Switch


def user_line() -> str:
    """`file:line: code` of the innermost caller outside this package."""
    package, stack = __file__.rsplit("autograd", 1)[0], traceback.extract_stack()
    frame = ([f for f in stack if not f.filename.startswith(package)] or stack)[-1]
    return f"{frame.filename}:{frame.lineno}: {frame.line}"


def check_finite(value: Any, what: str, where: str | None) -> None:
    """Raise if `value` holds NaN or infinity, naming the operation and the user's line."""
    if value.dtype.kind in "fc" and not np.isfinite(value).all():
        bad = value[~np.isfinite(value)].flat[0]
        raise RuntimeError(f"detect_anomaly: {what} holds {bad}, at {where or user_line()}")


class Checker:
    """An interpreter that raises at the first value or gradient that is not finite."""

    def __call__(self, primitive: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> Tensor:
        """Apply `primitive`, and look at its inputs and its output."""
        mode.interpreter = None
        try:
            out = apply(primitive, inputs, static)
        finally:
            mode.interpreter = self
        for x in inputs:
            check_finite(np.asarray(getattr(x, "array", x)), f"an input of {primitive.name}", None)
        check_finite(out.array, f"the output of {primitive.name}", None)
        if out.node is not None:
            out.node.extra("line", user_line())
        return out

    @staticmethod
    def inspect_vjp(key: Node | Tensor, g: Any) -> None:
        """Look at `g`, a VJP of a node or the gradient of a leaf; `backward_pass` calls this."""
        if isinstance(key, Tensor):
            check_finite(np.asarray(getattr(g, "array", g)), "the sum of the gradients of a leaf", "backward")
            return
        g = stacked_product([g.a], [g.g]) if isinstance(g, Product) else getattr(g, "g", g)
        if g is not None:
            check_finite(np.asarray(getattr(g, "array", g)), f"a gradient of {key.name}", key.line)


CHECKER = Checker()


def is_anomaly_enabled() -> bool:
    """True if values and gradients are checked in this thread (see detect_anomaly)."""
    return mode.interpreter is CHECKER


class detect_anomaly(Switch):
    """The first NaN or infinity, forward or backward, is an error naming the operation and its line.

    It slows every operation down: for debugging. Context manager or decorator.
    """

    name, value = "interpreter", CHECKER


class set_detect_anomaly(Setting):
    """`detect_anomaly`, on or off by the argument; as a plain call, from here on."""

    name = "interpreter"

    def __init__(self, mode: bool) -> None:
        super().__init__(CHECKER if mode else None)
