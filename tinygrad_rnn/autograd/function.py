"""Function: an operation with a backward of the user's own."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..engine.accumulate import unbroadcast
from ..engine.primitive import Node, OutputGradient, Primitive, mode, record, saved_tensor
from ..engine.tensor import Tensor, next_sequence_number
from .anomaly import is_anomaly_enabled, user_line
from .gradmode import no_grad


class Context:
    """Carries saved tensors, and any attributes of the user's, from `forward` to `backward`."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        self._saved: list[Any] = []
        self._constant: tuple[Tensor, ...] = ()
        self._materialize = True
        self._likes: list[Any] = []  # (shape, dtype) of each output, None for what is no tensor
        self._node: Any = None  # weak reference to the record of this run

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for `backward`, which finds them in `saved_tensors`."""
        self._saved = list(tensors)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs require no gradient."""
        self._constant = outputs

    def mark_dirty(self, *_: Tensor) -> None:
        """Not supported."""
        raise NotImplementedError("mark_dirty: forward must not write into its arguments; return new tensors")

    def set_materialize_grads(self, value: bool) -> None:
        """Let the gradient of an output that did not matter be zeros (True, the default) or None."""
        self._materialize = value

    def seal(self, outputs: tuple[Any, ...]) -> None:
        """Save (array, storage, producer), not tensors: output → node → ctx → output would be a cycle."""
        self._sealed_at = next_sequence_number()
        for i, t in enumerate(self._saved):
            if t is not None:
                t.storage.shared = True
                number = next((k for k, x in enumerate(outputs) if x is t), None)
                origin = number if number is not None else (t if t.node is None else t.node)
                self._saved[i] = (t.array, t.storage, origin if t.requires_grad else None)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that `forward` saved; an error if one was overwritten since."""
        return tuple(kept if kept is None else self._unseal(*kept) for kept in self._saved)

    def _unseal(self, array: Any, storage: Any, origin: Any) -> Tensor:
        if storage.version > self._sealed_at:
            raise RuntimeError("saved_tensors: a saved tensor was overwritten in place after forward")
        if origin is None:
            return Tensor(array)
        if isinstance(origin, (Node, Tensor)):
            return saved_tensor(array, origin)  # type: ignore[no-any-return]
        return self._output(Tensor(array), origin)

    def _output(self, x: Tensor, k: int) -> Tensor:
        hub: Tensor = saved_tensor(np.empty(0), self._node())
        record(OUTPUT, [hub], [hub.array], {"k": k}, x)
        return x


OUTPUT = Primitive("output", lambda y: y, [lambda g, _y, _x, *, k: OutputGradient(k, g)])


def attach(primitive: Primitive, inputs: Any, kept: list[Any], static: dict[str, Any], outputs: Any) -> Node:
    """Make all floating-point `outputs` results of one run of a primitive; None stands for one that is not.

    Its rule is given the gradients of those outputs that matter, a dict by number, and what is `kept`.
    """
    hub = Tensor(np.empty(0))
    record(primitive, inputs, kept, static, hub)
    if is_anomaly_enabled():
        hub.node.extra("line", user_line())
    for k, x in enumerate(outputs):
        if isinstance(x, Tensor) and x.dtype.kind in "fc":
            record(OUTPUT, [hub], [hub.array], {"k": k}, x)
    return hub.node  # type: ignore[no-any-return]


class Function:
    """Subclass with static `forward(ctx, *args)` and `backward(ctx, *gradients)`; call `Yours.apply(*args)`.

    `backward` gets the gradient of each output and returns one for each argument (None for those that
    are not tensors). Gradients of gradients work if it is written in tensor operations. A static
    `setup_context(ctx, inputs, output)`, if there is one, gets the ctx in place of `forward`.

    >>> import tinygrad_rnn as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _backward_rule: Primitive

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The outputs: a tensor or a tuple of tensors."""
        raise NotImplementedError("Function: define a static forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """One gradient for each argument of forward."""
        raise NotImplementedError("Function: define a static backward(ctx, ...)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward`, and record that `backward` is the way back."""
        ctx = Context(args)
        with no_grad():
            if hasattr(cls, "setup_context"):
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        if not isinstance(result, (Tensor, tuple)):
            kind = type(result).__name__
            raise TypeError(f"{cls.__name__}.forward: expected a tensor or a tuple of tensors, got {kind}")
        outputs = result if isinstance(result, tuple) else (result,)
        if mode.enabled and any(ctx.needs_input_grad):
            outputs = tuple(
                x.detach() if any(x is a for a in args) and isinstance(x, Tensor) else x for x in outputs
            )
            cls._attach(ctx, args, outputs)
        ctx.seal(outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    @classmethod
    def _attach(cls, ctx: Context, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        """Every output is a part of one node, whose rule is `backward`."""
        if "_backward_rule" not in cls.__dict__:
            rule: Any = lambda g, _y, *_inputs, ctx: cls._vjps(ctx, g, _inputs)  # noqa: E731
            cls._backward_rule = Primitive(cls.__name__, cls.forward, [rule], variadic=True)
        live = [None if any(x is c for c in ctx._constant) else x for x in outputs]
        ctx._node = ref(attach(cls._backward_rule, args, list(args), {"ctx": ctx}, live))
        ctx._likes = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in outputs]

    @classmethod
    def _vjps(cls, ctx: Any, parts: dict[int, Any], inputs: tuple[Any, ...]) -> list[Any]:
        """Call `backward` with the gradients of the outputs, and check the VJPs that it returns."""
        gradients = []
        for k, like in enumerate(ctx._likes):
            g = parts.get(k, np.zeros(*like) if like and ctx._materialize else None)
            gradients.append(Tensor(g) if isinstance(g, np.ndarray) else g)
        returned = cls.backward(ctx, *gradients)
        vjps = list(returned) if isinstance(returned, tuple) else [returned]
        n = len(inputs)
        if len(vjps) < n or any(d is not None for d in vjps[n:]):
            raise RuntimeError(f"{cls.__name__}.backward: {len(vjps)} gradients returned for {n} arguments")
        create = mode.enabled
        return [
            cls._checked(i, g, x, create) if ctx.needs_input_grad[i] else None
            for i, (g, x) in enumerate(zip(vjps, inputs))
        ]

    @classmethod
    def _checked(cls, i: int, share: Any, x: Any, create: bool) -> Any:
        name = f"{cls.__name__}.backward: gradient {i}"
        if share is None:
            return None
        if not isinstance(share, Tensor):
            raise TypeError(f"{name} is {type(share).__name__}, not a Tensor or None")
        shape = share.shape
        if len(shape) < len(x.shape) or any(n not in (1, m) for n, m in zip(x.shape[::-1], shape[::-1])):
            raise RuntimeError(f"{name} has shape {shape}, the argument {x.shape}")
        return unbroadcast(share if create else share.array, x.shape)
