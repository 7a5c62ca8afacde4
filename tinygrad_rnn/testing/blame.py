"""Which operation is at fault: every operation that a function ran, examined by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autograd import Function, GradcheckError
from ..autograd import primitive as recording
from ..tensor import Tensor
from .examine import Options, examine
from .probe import Probe
from .report import Checked
from .second import gradient_of


class Call(NamedTuple):
    """An operation and what it was run on."""

    name: str
    operation: Callable[..., Any]
    inputs: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """Calls of one kind are examined once."""
        return f"{self.name} of {[getattr(x, 'shape', x) for x in self.inputs]}"


def culprit(probe: Probe, second: bool = False) -> str:
    """A sentence naming the first operation whose own gradient is wrong, or nothing if each is right."""
    with recorded() as calls:
        probe.run()
    for call in {call.kind: call for call in reversed(calls)}.values():
        found = _examined(call, second)
        if found is not None and found.wrong:
            entry = found.wrong[0]
            return (
                f"the operation at fault is {call.kind}: d {entry.output} / d {entry.argument} "
                f"is {entry.true:.9g}, its rule gives {entry.backward:.9g}"
            )
    return ""


def _examined(call: Call, second: bool) -> Checked | None:
    leaves = {
        f"argument {i}": x for i, x in enumerate(call.inputs) if isinstance(x, Tensor) and x.requires_grad
    }
    try:
        with Probe(call.operation, call.inputs, leaves) as probe:
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
        calls.append(Call(primitive.name, lambda *xs: recording.apply(primitive, xs, fixed), _copies(inputs)))
        record(primitive, inputs, arrays, static, out)

    def logged_attach(cls: Any, ctx: Any, args: Any, outputs: Any) -> None:
        calls.append(Call(cls.__name__, cls.apply, _copies(args)))
        attach.__func__(cls, ctx, args, outputs)

    recording.record, Function._attach = logged, classmethod(logged_attach)  # type: ignore[assignment, method-assign]
    try:
        yield calls
    finally:
        recording.record, Function._attach = record, attach  # type: ignore[method-assign]


def _copies(inputs: Any) -> tuple[Any, ...]:
    def copy(x: Tensor) -> Tensor:
        return Tensor(np.array(x.array), requires_grad=bool(x.requires_grad))

    return tuple(copy(x) if isinstance(x, Tensor) else x for x in inputs)
