"""Primitive: a NumPy function and its derivative rules. Node: one application of it, recorded.

A rule is mathematics: `rule(g, y, *inputs, **static)` is the vector-Jacobian product gᵀ ∂y/∂input, for the
gradient `g` of the output `y`. It calls NumPy functions only, so it runs on arrays and, through NumPy's
protocols, on tensors (create_graph: gradients of gradients) and on the symbols of compile/.

    exp = primitive("exp", np.exp, lambda g, y, _x: g * y)

An argument with a leading underscore is not read: its values are not saved, and only `_x.shape` is known.
`static` are the arguments that have no gradient, by keyword (an axis, an index). Next: derivatives.py.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Protocol

import numpy as np

from .tensor import Array, Storage, Tensor, next_sequence_number

Rule = Callable[..., Any]
REGISTRY: dict[str, Primitive] = {}  # every primitive, by name
ANY, NUMBERS, INTEGERS, FLOATS = "fciub", "fciu", "iub", "fc"  # kinds of dtypes that an operation takes
_new = object.__new__


class Mode(threading.local):
    """The switches of this thread."""

    enabled = True  # operations on tensors that require gradients are recorded
    interpreter: Any = None  # called by `apply` instead of NumPy: compile's tracer, a checker of values


mode = Mode()


# --- a primitive, and what its rules may return instead of an array


@dataclass(eq=False, slots=True)
class Scattered:
    """Zeros, with `g` added at `index`: the VJP of x[index]. Slices of one x share a buffer."""

    g: Any
    index: Any


@dataclass(eq=False, slots=True)
class Product:
    """The product aᵀ g, for a (n, k) and g (n, m), not yet computed.

    A weight used at T steps gets one product of stacked factors: Σₜ aₜᵀ gₜ = [a₁;…;a_T]ᵀ [g₁;…;g_T].
    """

    a: Any
    g: Any


@dataclass(eq=False, slots=True)
class OutputGradient:
    """The gradient `g` of output number `k` of a node that has several outputs."""

    k: int
    g: Any


@dataclass(eq=False)
class Primitive:
    """A NumPy forward with one rule for each input, or (`variadic`) one rule that returns a list for all."""

    name: str
    forward: Callable[..., Any]
    rules: Sequence[Rule]
    variadic: bool = False
    _: KW_ONLY
    doc: str = ""  # a sentence for users, of a row that is an operation as it stands
    takes: str = ""  # kinds of dtypes that it takes (default: with one input FLOATS, else ANY)
    numpy: Callable[..., Any] | None = None  # NumPy's function of the same meaning, if it is not `forward`
    in_place: bool = True  # there is a form `name_` that writes the result into its first argument
    complex_forward: Callable[..., Any] | None = None  # where `forward` is not analytic (testing/)
    hand_on: Callable[[Any, Node, Any], Any] | None = None  # passes an unfinished sum on: accumulate.py
    batches_products: bool = False  # products may stay unfinished in the gradient of its output

    def __post_init__(self) -> None:
        self.rules = tuple(self.rules)
        masks = range(2 if self.variadic else 1 << len(self.rules))
        self.saves = [self._saved_for(needed) for needed in masks]
        self.takes = self.takes or (FLOATS if len(self.rules) == 1 else ANY)

    def _saved_for(self, needed: int) -> tuple[bool, Sequence[int]]:
        """The values that the rules in the bitmask `needed` read: (the output?, indices of inputs)."""
        rules = [inspect.signature(rule) for k, rule in enumerate(self.rules) if needed >> k & 1]
        names = [[p.name for p in rule.parameters.values() if p.kind < p.KEYWORD_ONLY] for rule in rules]
        read = [k for k, several in enumerate(zip(*names)) if any(name[0] != "_" for name in several)]
        return 1 in read, [k - 2 for k in read if k > 1]

    def __call__(self, *inputs: Any, **static: Any) -> Tensor:
        """Run it on tensors, arrays and numbers."""
        return apply(self, inputs, static)


def primitive(name: str, forward: Callable[..., Any], *rules: Rule, **options: Any) -> Primitive:
    """Make a Primitive and register it under its name."""
    REGISTRY[name] = made = Primitive(name, forward, rules, **options)
    return made


def apply(primitive: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> Tensor:
    """Run `primitive` on tensors, arrays and numbers, and record it if a gradient may be asked for."""
    if mode.interpreter is not None:
        return mode.interpreter(primitive, inputs, static)  # type: ignore[no-any-return]
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
        out.storage = Storage()
    else:
        out._share_storage(inputs[0])  # perhaps a view: ops/aliasing.py
    if tracked and mode.enabled:
        record(primitive, inputs, arrays, static, out)
    return out


def refused(name: str, arrays: Sequence[Any], error: Exception) -> Exception:
    """NumPy's error again, with the name of the operation and the shapes of its operands."""
    kind = next((k for k in (IndexError, TypeError) if isinstance(error, k)), RuntimeError)
    return kind(f"{name}, given {' and '.join(str(np.shape(a)) for a in arrays)}: {str(error).strip()}")


# --- recording it


class Shaped(Protocol):
    """All that a rule may know of an input whose values were not saved. (Its producer stands in for it.)"""

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the dimensions."""


class Node:
    """A graph node: one application of a primitive. It saves only the values that the needed rules read."""

    __slots__ = (
        "primitive", "sequence_number", "parents", "inputs", "static", "output", "shape", "saved_storages",
        "extras", "__weakref__",
    )  # fmt: skip

    primitive: Primitive
    sequence_number: int  # parents have smaller ones: descending order is a topological order
    parents: Any  # for each input its node, or the leaf itself, or None (no gradient); None in all: freed
    inputs: Sequence[Array | Shaped | None]  # for each input: its array, if saved; else the parent
    static: Any
    output: Any  # the output's array, if it is saved
    shape: tuple[int, ...]  # of the output
    saved_storages: Sequence[Storage]  # none may be written in place before the rules have run
    extras: dict[str, Any] | None  # rare: "hook", called with the gradient; "line", the user's source line

    @property
    def name(self) -> str:
        """The primitive's name."""
        return self.primitive.name

    @property
    def line(self) -> str:
        """The user's source line that made this node, if anomaly detection was on."""
        return str((self.extras or {}).get("line", "a line that was not run under detect_anomaly()"))

    def extra(self, key: str, default: Any) -> Any:
        """The entry `key` of `extras`, set to `default` if it is missing."""
        if self.extras is None:
            self.extras = {}
        return self.extras.setdefault(key, default)


def record(
    primitive: Primitive, inputs: Sequence[Any], arrays: list[Any], static: dict[str, Any], out: Tensor
) -> None:
    """Make `out` the output of a new node: `primitive` of `inputs` (whose values are `arrays`)."""
    parents: list[Any] = []
    needed, bit = 0, 1  # bit k: the gradient of input k is needed
    for x in inputs:
        parent = None
        if isinstance(x, Tensor) and x._requires_grad:
            needed += bit
            parent = x.node
            if parent is None:
                parent = x
        parents.append(parent)
        bit += bit
    node: Node = _new(Node)
    node.primitive = primitive
    node.sequence_number = next_sequence_number()
    node.parents = parents
    node.static = static
    node.shape = out.array.shape
    node.extras = None
    save(node, primitive, needed, inputs, arrays, out)
    out.node = node
    out._requires_grad = True


def save(
    node: Node, primitive: Primitive, needed: int, inputs: Sequence[Any], arrays: list[Any], out: Tensor
) -> None:
    """Save in `node` the values that the rules of the inputs in the bitmask `needed` read."""
    saves_output, read = primitive.saves[1 if primitive.variadic else needed]
    if primitive.variadic and read:  # its rule reads all inputs, or none
        read = range(len(inputs))
    saved, storages = node.parents.copy(), []
    for k in read:
        saved[k] = arrays[k]
        x = inputs[k]
        if isinstance(x, Tensor):
            storage = x.storage
            storage.shared = True
            storages.append(storage)
    if saves_output:
        node.output = out.array
        out.storage.shared = True
        storages.append(out.storage)
    else:
        node.output = None
    node.inputs = saved
    node.saved_storages = storages


def saved_tensor(array: Any, parent: Node | Tensor | None) -> Any:
    """A saved array as the tensor it came from, so that a rule applied to it is itself recorded."""
    if parent is None or array is parent:  # a constant, or not saved
        return array
    if isinstance(parent, Tensor):
        if parent.array is not array:
            raise RuntimeError("backward: the .data of a leaf was replaced after it was used")
        return parent
    twin = Tensor(array)
    twin.node, twin._requires_grad = parent, True
    return twin
