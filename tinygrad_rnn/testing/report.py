"""What a check tells: the numbers that differ, and code that makes them differ again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import GradcheckError
from ..tensor import Tensor
from .probe import Probe, tensors_in

PRINTED = 1000  # numbers of one tensor that are still printed


@dataclass(frozen=True)
class Entry:
    """One entry of a Jacobian (or of what random directions see of it), from backward and from values."""

    output: str
    argument: str
    backward: float
    complex_step: float | None
    central: float

    @property
    def true(self) -> float:
        """The better of the two oracles' numbers."""
        return self.central if self.complex_step is None else self.complex_step


@dataclass(frozen=True)
class Checked:
    """What `gradcheck` compared. False if something is wrong, or if a kink was in the way everywhere."""

    entries: int  # numbers of the Jacobian that were compared
    oracles: tuple[str, ...]
    why_not_complex: str = ""  # if the complex step was not among them
    kinks: tuple[
        str, ...
    ] = ()  # entries left out: there the function has no derivative, or none that can be seen
    wrong: tuple[Entry, ...] = ()  # entries in which backward differs
    largest_error: float = 0.0  # |backward - complex step| / the largest derivative, at its worst

    def __bool__(self) -> bool:
        return not self.wrong and (self.entries > 0 or not self.kinks)


class WrongGradient(GradcheckError, AssertionError):
    """A gradient differs from the derivative: `wrong` holds every entry that does, `inputs` what was given.

    `summary` is the message without the code that reproduces it.
    """

    def __init__(self, summary: str, code: str, wrong: Sequence[Entry], inputs: Sequence[Any]) -> None:
        super().__init__(f"{summary}\nto reproduce:\n{code}")
        self.summary, self.wrong, self.inputs = summary, list(wrong), list(inputs)


def wrong_gradient(what: str, probe: Probe, result: Checked, culprit: str) -> WrongGradient:
    """The error that tells all."""
    wrong = result.wrong
    worst = max(wrong, key=lambda e: math.inf if math.isnan(e.backward) else abs(e.backward - e.true))
    lines = [
        f"{what}: the gradient of {probe.name} is wrong"
        f" ({len(wrong)} of {result.entries} entries differ{pattern(wrong)})",
        f"    d {worst.output} / d {worst.argument}",
        f"        backward              {worst.backward:.17g}",
    ]
    if worst.complex_step is not None:
        lines.append(f"        complex step          {worst.complex_step:.17g}")
    lines.append(f"        central differences   {worst.central:.17g}")
    if culprit:
        lines.append(f"    {culprit}")
    code = "\n".join("    " + line for line in reproduction(what, probe))
    return WrongGradient("\n".join(lines), code, wrong, probe.inputs)


def pattern(wrong: Sequence[Entry]) -> str:
    """What all wrong entries have in common, if that is a plain thing."""
    ratios = [e.backward / e.true for e in wrong if e.true]
    if any(math.isnan(e.backward) for e in wrong):
        return ": NaN"
    if not ratios or max(ratios) - min(ratios) > 1e-3 * abs(ratios[0]):
        return ""
    return {0.0: ": backward gives zero", -1.0: ": the sign"}.get(
        round(ratios[0], 3), f": by the factor {ratios[0]:.4g}"
    )


# --- code


def reproduction(what: str, probe: Probe) -> list[str]:
    """Lines of Python that call the check again on the same numbers."""
    names = [f"x{i}" for i in range(len(probe.inputs))]
    given = {id(t) for t in tensors_in(probe.inputs)}
    lines = [
        "import tinygrad_rnn as tg",
        "from math import inf, nan",
        f"from tinygrad_rnn.testing import {what}",
    ]
    lines += [f"{name} = {code(x)}" for name, x in zip(names, probe.inputs)]
    parameters = {name: leaf for name, leaf in probe.leaves.items() if id(leaf) not in given}
    if parameters:
        lines.append("parameters = {")
        lines += [f"    {name!r}: {code(leaf)}," for name, leaf in parameters.items()]
        lines.append(
            "}  # what fn reads without being given it: copy the values into your module's parameters"
        )
    more = ", parameters=..." if parameters else ""
    return [*lines, f"{what}(fn, [{', '.join(names)}]{more})  # fn: {probe.name}"]


def code(value: Any) -> str:
    """An expression that gives `value` back: tensors, arrays, and tuples, lists and dictionaries of them."""
    if isinstance(value, Tensor):
        return _code_of_tensor(value)
    if isinstance(value, np.ndarray):
        return f"np.array({value.tolist()}, np.{value.dtype}).reshape({value.shape})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {code(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        parts = ", ".join(map(code, value))
        return (
            f"{type(value).__name__}({parts})"
            if hasattr(value, "_fields")
            else f"({parts},)"
            if value
            else "()"
        )
    if isinstance(value, list):
        return f"[{', '.join(map(code, value))}]"
    return repr(value)


def _code_of_tensor(t: Tensor) -> str:
    more = ", requires_grad=True" if t.requires_grad else ""
    if not t.numel():
        return f"tg.zeros({t.shape}, dtype=tg.{t.dtype}{more})"
    if t.numel() > PRINTED:
        return f"...  # {t.numel()} numbers of shape {t.shape}: see the error's `inputs`"
    return f"tg.tensor({t.tolist()}, dtype=tg.{t.dtype}{more})"


def name_of(fn: Callable[..., Any] | object) -> str:
    """What a function, a class or an object is called in messages."""
    return getattr(fn, "__qualname__", None) or type(fn).__qualname__
