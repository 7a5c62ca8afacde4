"""Which operation is at fault: every operation that a function ran, examined by itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autograd import Function, GradcheckError
from ..engine import primitive as recording
from ..engine.tensor import Tensor
from .examine import Options, examine
from .probe import Probe
from .report import Checked
from .second import gradient_of


class Call(NamedTuple):
    """An operation and what it was run on."""

    name: str
    operation: Callable[..., Any]
    arguments: Sequence[str]
    inputs: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """Calls of one kind are examined once."""
        return f"{self.name} of {', '.join(str(getattr(x, 'shape', x)) for x in self.inputs)}"

    def leaves(self) -> dict[str, Tensor]:
        """The inputs that require a gradient, by the names that the operation gives them."""
        names = [*self.arguments, *(f"argument {i}" for i in range(len(self.arguments), len(self.inputs)))]
        return {name: x for name, x in zip(names, self.inputs) if isinstance(x, Tensor) and x.requires_grad}


def culprit(probe: Probe, second: bool = False) -> str:
    """A sentence naming the first operation whose own gradient is wrong, or nothing if each is right."""
    with recorded() as calls:
        probe.run()
    firsts: dict[str, Call] = {}
    for call in calls:
        firsts.setdefault(call.kind, call)
    for call in firsts.values():
        found = _examined(call, second)
        if found is not None and found.wrong:
            entry = found.wrong[0]
            return (
                f"the operation at fault is {call.kind}: d {entry.output} / d {entry.argument} "
                f"is {entry.true:.9g}, its rule gives {entry.backward:.9g}"
            )
    return ""


def _examined(call: Call, second: bool) -> Checked | None:
    try:
        with Probe(call.operation, call.inputs, call.leaves()) as probe:
            if not second:
                return examine(probe, Options(limit=24))
            with gradient_of(probe, 0) as slopes:
                return examine(slopes, Options(limit=24))
    except (GradcheckError, TypeError):  # not finite, not deterministic, not in float64: no verdict
        return None


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """The list of operations that are recorded inside, with copies of what they were run on."""
    calls: list[Call] = []
    record, attach = recording.record, Function.__dict__["_attach"]

    def logged(primitive: Any, inputs: Any, arrays: Any, static: Any, out: Any) -> None:
        fixed = {**static, "reuse": False} if "reuse" in static else static
        names = [] if primitive.variadic else _parameters(primitive.rules[0], skip=2)
        again = lambda *xs: recording.apply(primitive, xs, fixed)  # noqa: E731
        calls.append(Call(primitive.name, again, names, _copies(inputs)))
        record(primitive, inputs, arrays, static, out)

    def logged_attach(cls: Any, ctx: Any, args: Any, outputs: Any) -> None:
        calls.append(Call(cls.__name__, cls.apply, _parameters(cls.forward, skip=1), _copies(args)))
        attach.__func__(cls, ctx, args, outputs)

    recording.record, Function._attach = logged, classmethod(logged_attach)  # type: ignore[assignment, method-assign]
    try:
        yield calls
    finally:
        recording.record, Function._attach = record, attach  # type: ignore[method-assign]


def _parameters(function: Any, skip: int) -> list[str]:
    """The names of the positional parameters, without the first `skip` and without leading underscores."""
    called = inspect.signature(function).parameters.values()
    return [p.name.lstrip("_") for p in called if p.kind is p.POSITIONAL_OR_KEYWORD][skip:]


def _copies(inputs: Any) -> tuple[Any, ...]:
    def copy(x: Tensor) -> Tensor:
        return Tensor(np.array(x.array), requires_grad=bool(x.requires_grad))

    return tuple(copy(x) if isinstance(x, Tensor) else x for x in inputs)
