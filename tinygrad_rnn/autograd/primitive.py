"""Primitives: operations with rules, and the record of each time one was run.

A rule is mathematics: `rule(g, y, *inputs, **static)` is the share of one input in the gradient,
given the gradient `g` of the output `y`. It calls NumPy functions only, so it works on arrays and,
through NumPy's protocols, on tensors (for gradients of gradients).

An argument whose name starts with an underscore is not read by the rule: of it only `.shape` is
known, its values are not kept.

    tanh = primitive("tanh", np.tanh, lambda g, y, _x: g * (1 - y * y))
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tensor import UNRECORDED, Memory, Tensor, tick
from .gradmode import mode

Rule = Callable[..., Any]
Operation = Callable[..., Tensor]

REGISTRY: dict[str, Primitive] = {}
_new = object.__new__


class Primitive:
    """A NumPy forward and its rules: one for each input, or (`variadic`) one for all of them."""

    def __init__(
        self, name: str, forward: Callable[..., Any], rules: Sequence[Rule], variadic: bool = False
    ) -> None:
        self.name, self.forward, self.rules, self.variadic = name, forward, tuple(rules), variadic
        self.reads = [self._read_by(asked) for asked in range(2 if variadic else 1 << len(rules))]

    def _read_by(self, asked: int) -> tuple[bool, list[int]]:
        """What the rules read that are `asked` (bit k: rule k): the output? which inputs?"""
        rules = [self._positional(rule)[1:] for k, rule in enumerate(self.rules) if asked >> k & 1]
        read = [k for k, names in enumerate(zip(*rules)) if not all(name.startswith("_") for name in names)]
        return 0 in read, [k - 1 for k in read if k]

    @staticmethod
    def _positional(rule: Rule) -> list[str]:
        named = inspect.signature(rule).parameters.values()
        return [p.name for p in named if p.kind in (p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]


class Node:
    """One run of a primitive: on what, and what came out. It keeps what the rules read that will be asked."""

    __slots__ = (
        "primitive",
        "order",
        "parents",
        "inputs",
        "static",
        "output",
        "shape",
        "memories",
        "extras",
        "__weakref__",
    )

    primitive: Primitive
    order: int  # a later node never feeds an earlier one
    parents: Any  # of each input: its node, the leaf itself, or None; None instead of the list: freed
    inputs: Sequence[Any]  # the arrays, of those that are kept; else the parent, which knows the shape
    static: Any
    output: Any  # the array, if it is kept
    shape: tuple[int, ...]
    memories: Sequence[Memory]  # of all that is kept: none may be written before the rules have run
    extras: dict[str, Any] | None  # what few nodes have: hooks, who retains the gradient, the user's line

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.primitive.name

    def extra(self, key: str, default: Any) -> Any:
        """The entry `key` of `extras`, made if it is missing."""
        if self.extras is None:
            self.extras = {}
        return self.extras.setdefault(key, default)


def primitive(name: str, forward: Callable[..., Any], *rules: Rule, variadic: bool = False) -> Operation:
    """Register an operation, and return it as a function on tensors: `forward` and `rules` as above."""
    this = REGISTRY[name] = Primitive(name, forward, rules, variadic)

    def operation(*inputs: Any, **static: Any) -> Tensor:
        return apply(this, inputs, static)

    operation.__name__ = operation.__qualname__ = name
    return operation


def apply(primitive: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> Tensor:
    """Run `primitive` on tensors, arrays and numbers, and record it if a gradient may be asked for."""
    watch = mode.anomaly
    if watch.__class__ is not bool:  # a trace (see compile/): its symbols have no values to run on
        return watch(primitive, inputs, static)  # type: ignore[no-any-return]
    arrays = []
    tracked = False
    for x in inputs:
        if isinstance(x, Tensor):
            arrays.append(x.array)
            if x._requires_grad:
                tracked = True
        else:
            arrays.append(x)
    try:
        y = primitive.forward(*arrays, **static)
    except (ValueError, TypeError, IndexError) as error:
        raise refused(primitive.name, arrays, error) from None
    if y.__class__ is not np.ndarray:
        y = np.asarray(y)
    out: Tensor = _new(Tensor)
    out.array = y
    if y.base is None:
        out.memory = Memory()
    else:
        share(out, inputs[0])
    if watch:
        for x in arrays:
            check_finite(np.asarray(x), f"an input of {primitive.name}", None)
        check_finite(y, f"the output of {primitive.name}", None)
    if tracked and mode.enabled:
        record(primitive, inputs, arrays, static, out)
    return out


def refused(name: str, arrays: Sequence[Any], error: Exception) -> Exception:
    """What NumPy would not do, said with the name of the operation and the shapes it was given."""
    kind = next((k for k in (IndexError, TypeError) if isinstance(error, k)), RuntimeError)
    return kind(f"{name}, given {' and '.join(str(np.shape(a)) for a in arrays)}: {str(error).strip()}")


def share(out: Tensor, source: Any) -> None:
    """`out`, whose array has a base, is a view of the memory of `source`, unless NumPy copied on the way."""
    base = out.array.base
    if isinstance(source, Tensor) and (base is source.array or base is source.array.base):
        out.family = source.family if mode.enabled or not source._requires_grad else UNRECORDED
        source.memory.admit(out, source)
    else:
        out.memory = Memory()


def record(
    primitive: Primitive, inputs: Sequence[Any], arrays: list[Any], static: dict[str, Any], out: Tensor
) -> None:
    """Make `out` remember that it came from `inputs` by `primitive`."""
    parents: list[Any] = []
    asked, bit = 0, 1  # which rules backward will ask
    for x in inputs:
        parent = None
        if isinstance(x, Tensor) and x._requires_grad:
            asked += bit
            parent = x.node
            if parent is None:
                parent = x
        parents.append(parent)
        bit += bit
    if primitive.variadic:  # its rule reads every input, or none
        reads_output, some = primitive.reads[1]
        read: Sequence[int] = range(len(inputs)) if some else ()
    else:
        reads_output, read = primitive.reads[asked]
    kept, memories = parents.copy(), []  # a parent knows the shape
    for k in read:
        kept[k] = arrays[k]
        x = inputs[k]
        if isinstance(x, Tensor):
            memory = x.memory
            memory.shared = True
            memories.append(memory)
    node: Node = _new(Node)
    node.primitive = primitive
    node.order = tick()
    node.parents = parents
    node.inputs = kept
    node.static = static
    node.shape = out.array.shape
    if reads_output:
        node.output = out.array
        out.memory.shared = True
        memories.append(out.memory)
    else:
        node.output = None
    node.memories = memories
    node.extras = {"where": user_line()} if mode.anomaly is True else None
    out.node = node
    out._requires_grad = True


def as_tensor(array: Any, parent: Node | Tensor | None) -> Any:
    """The tensor that a kept value was, so that a rule on it is itself recorded."""
    if parent is None or array is parent:
        return array
    if isinstance(parent, Tensor):
        if parent.array is not array:
            raise RuntimeError("backward: the .data of a leaf was replaced after it was used")
        return parent
    twin = Tensor(array)
    twin.node, twin._requires_grad = parent, True
    return twin


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
