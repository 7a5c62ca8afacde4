"""What a check tells: the numbers that differ, and code that makes them differ again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from ..autograd import GradcheckError
from ..engine.tensor import Tensor
from ..nn.module import Module
from .probe import Probe, name_of, tensors_in

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
    """What `gradcheck` compared. False if something is wrong, or if kinks hid all gradient of an argument."""

    entries: int  # numbers of the Jacobian that were compared
    oracles: tuple[str, ...]
    why_not_complex: str = ""  # if the complex step was not among them
    kinks: tuple[str, ...] = ()  # entries left out: there is no derivative, or none that can be seen
    hidden: tuple[str, ...] = ()  # arguments of which kinks left nothing to compare, but zeros
    wrong: tuple[Entry, ...] = ()  # entries in which backward differs
    largest_error: float = 0.0  # the worst |backward - complex step|, relative as `exact` is

    def __bool__(self) -> bool:
        return not self.wrong and not self.hidden


class WrongGradient(GradcheckError, AssertionError):
    """A gradient differs from the derivative: `wrong` holds every entry that does, `inputs` what was given.

    `summary` is the message without the code that reproduces it.
    """

    def __init__(self, summary: str, code: str, wrong: Sequence[Entry], inputs: Sequence[Any]) -> None:
        super().__init__(f"{summary}\nto reproduce:\n{code}")
        self.summary, self.wrong, self.inputs = summary, list(wrong), list(inputs)


def wrong_gradient(
    what: str,
    probe: Probe,
    result: Checked,
    culprit: str,
    parameters: Any = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> WrongGradient:
    """The error that tells all; `parameters` and `options` are what the check was given."""
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
    if all(abs(e.backward - e.true) <= 1e-6 * abs(e.true) for e in wrong):
        lines.append("    it may be rounding, if the function cancels numbers here: then pass a larger exact")
    if culprit:
        lines.append(f"    {culprit}")
    code = "\n".join("    " + line for line in reproduction(what, probe, parameters, options))
    return WrongGradient("\n".join(lines), code, wrong, probe.inputs)


def pattern(wrong: Sequence[Entry]) -> str:
    """What all wrong entries have in common, if that is a plain thing."""
    ratios = [e.backward / e.true for e in wrong if e.true]
    if any(math.isnan(e.backward) for e in wrong):
        return ": NaN"
    if not ratios:
        return ""
    off = ratios[0] - 1
    if max(ratios) - min(ratios) > 1e-3 * min(abs(ratios[0]), abs(off)):
        return ": backward gives zero" if not any(ratios) else ""
    plain = {0.0: ": backward gives zero", -1.0: ": the sign"}
    factor = f"{ratios[0]:.4g}" if abs(off) > 1e-3 else f"1 {'+' if off > 0 else '-'} {abs(off):.2g}"
    return plain.get(round(ratios[0], 3), f": by the factor {factor}")


# --- code


def reproduction(what: str, probe: Probe, parameters: Any, options: Mapping[str, Any]) -> list[str]:
    """Lines of Python that call the check again on the same numbers, with the same noise."""
    names: dict[int, str] = {}
    lines = []
    for i, x in enumerate(probe.inputs):
        lines.append(f"x{i} = {names.get(id(x)) or code(x)}{_too_large(x)}")
        names.setdefault(id(x), f"x{i}")
    fn = probe.name if is_its_name(probe.fn) else "fn"
    held = probe.fn if parameters is None and isinstance(probe.fn, Module) else parameters
    lines += _restored(held, "fn" if held is probe.fn else "parameters", probe)
    if probe.draws:
        lines.append(f"tg.set_rng_state(tg.tensor(list({bytes(probe.noise.array)!r}), dtype=tg.uint8))")
    more = ", parameters=parameters" if held is not None and held is not probe.fn else ""
    more += "".join(f", {name}={value!r}" for name, value in options.items())
    given = ", ".join(f"x{i}" for i in range(len(probe.inputs)))
    call = f"{what}({fn}, [{given}]{more})" + (f"  # fn: {probe.name}" if fn != probe.name else "")
    return [*_imports(what, probe.inputs, "\n".join(lines)), *lines, call]


def is_its_name(fn: Any) -> bool:
    """True if the name of a function is what it is called in code: not of lambdas, objects, bound methods."""
    of_whom = getattr(fn, "__self__", None)
    bound = of_whom is not None and not isinstance(of_whom, (type, ModuleType))
    return hasattr(fn, "__name__") and not bound and name_of(fn).replace(".", "").isidentifier()


def _imports(what: str, inputs: Sequence[Any], lines: str) -> list[str]:
    """Of the names that `code` may have used, all that need it."""
    found = ["import tinygrad_rnn as tg", f"from tinygrad_rnn.testing import {what}"]
    tuples = {type(x): x for x in inputs if isinstance(x, tuple) and hasattr(x, "_fields")}
    found += [f"from {kind.__module__} import {kind.__qualname__}" for kind in tuples]
    if "np." in lines:
        found.insert(0, "import numpy as np")
    if "nan" in lines or "inf" in lines:
        found.insert(0, "from math import inf, nan")
    return found


def _restored(held: Any, owner: str, probe: Probe) -> list[str]:
    """Lines that give what fn reads without being given it (`held`, called `owner`) its values again."""
    given = {id(t) for t in tensors_in(probe.inputs)}
    values = {name: leaf for name, leaf in probe.leaves.items() if id(leaf) not in given}
    if isinstance(held, Module):
        places = {name: f"{owner}.get_parameter({name!r})" for name in values}
        saved = {id(b): Tensor(array) for b, _, array in probe.buffers}
        for name, b in held.named_buffers():
            places[name], values[name] = f"{owner}.get_buffer({name!r})", saved[id(b)]
    else:
        places = {name: f"{owner}[{name!r}]" if isinstance(held, Mapping) else name for name in values}
    return [
        f"# {places[name]}: of shape {t.shape}, too large to print"
        if t.numel() > PRINTED
        else f"{places[name]}.data = {code(t.detach())}"
        for name, t in values.items()
    ]


def _too_large(x: Any) -> str:
    """What is to be said of tensors in x that are not printed."""
    shapes = [t.shape for t in tensors_in(x) if t.numel() > PRINTED]
    told = ", ".join(f"{math.prod(shape)} numbers of shape {shape}" for shape in shapes)
    return f"  # ...: {told}, in the error's `inputs`" if shapes else ""


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
        return "..."
    return f"tg.tensor({t.tolist()}, dtype=tg.{t.dtype}{more})"
