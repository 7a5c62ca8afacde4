"""Function: an operation with a backward of the user's own."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..tensor import Tensor, tick
from .contributions import Part, fit
from .gradmode import mode, no_grad
from .primitive import Primitive, as_tensor, record


class Context:
    """What `forward` leaves for `backward`: saved tensors, and any attributes of the user's."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.needs_input_grad = tuple(isinstance(x, Tensor) and bool(x.requires_grad) for x in inputs)
        self.saved_at = tick()
        self.saved: list[Any] = []
        self.constant: list[Tensor] = []
        self.zeros = True

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs for `backward`, which finds them in `saved_tensors`."""
        self.saved = list(tensors)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """These outputs require no gradient."""
        self.constant = list(outputs)

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default), or None, for an output that did not matter."""
        self.zeros = value

    def seal(self) -> None:
        """Keep values and origins, not tensors: an output holds its node, and that this context."""
        kept: list[Any] = []
        for t in self.saved:
            if t is not None:
                t.memory.shared = True
                origin = None if not t.requires_grad else t if t.node is None else ref(t.node)
                kept.append((t.array, t.memory, origin))
            else:
                kept.append(None)
        self.saved = kept

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that `forward` saved; an error if one was overwritten since."""
        tensors: list[Any] = []
        for kept in self.saved:
            if isinstance(kept, tuple):
                array, memory, origin = kept
                if memory.written > self.saved_at:
                    raise RuntimeError("saved_tensors: a saved tensor was overwritten in place after forward")
                parent = origin() if isinstance(origin, ref) else origin
                kept = Tensor(array) if parent is None else as_tensor(array, parent)
            tensors.append(kept)
        return tuple(tensors)


class Function:
    """Subclass with static `forward(ctx, *args)` and `backward(ctx, *gradients)`; call `Yours.apply(*args)`.

    `backward` gets the gradient of each output and returns one for each argument (None for those that
    are not tensors). Gradients of gradients work if it is written in tensor operations.

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
        outputs = result if isinstance(result, tuple) else (result,)
        if mode.enabled and any(ctx.needs_input_grad):
            outputs = tuple(x.detach() if any(x is a for a in args) else x for x in outputs)
            cls._attach(ctx, args, outputs)
        ctx.seal()
        return outputs if isinstance(result, tuple) else outputs[0]

    @classmethod
    def _attach(cls, ctx: Context, args: tuple[Any, ...], outputs: tuple[Tensor, ...]) -> None:
        rule: Any = lambda g, _y, *_inputs, ctx: cls._backward(ctx, g, _inputs)  # noqa: E731
        way_back = Primitive(cls.__name__, cls.forward, [rule], variadic=True)
        arrays = [x.array if isinstance(x, Tensor) else x for x in args]
        if len(outputs) == 1:
            record(way_back, args, arrays, {"ctx": ctx}, outputs[0])
            ctx.output_like = [(outputs[0].shape, outputs[0].dtype)]
            return
        ctx.output_like = [(x.shape, x.dtype) for x in outputs]
        hub = Tensor(np.empty(0))
        record(way_back, args, arrays, {"ctx": ctx}, hub)
        for k, output in enumerate(outputs):
            if not any(output is x for x in ctx.constant):
                record(_select, [hub], [None], {"k": k}, output)

    @classmethod
    def _backward(cls, ctx: Any, g: Any, inputs: tuple[Any, ...]) -> list[Any]:
        parts = g if isinstance(g, dict) else {0: g}
        create = any(isinstance(part, Tensor) for part in parts.values())
        gradients = []
        for k, (shape, dtype) in enumerate(ctx.output_like):
            part = parts.get(k, np.zeros(shape, dtype) if ctx.zeros else None)
            gradients.append(part if part is None or isinstance(part, Tensor) else Tensor(part))
        returned = cls.backward(ctx, *gradients)
        shares = list(returned) if isinstance(returned, tuple) else [returned]
        if len(shares) != len(inputs):
            raise RuntimeError(
                f"{cls.__name__}.backward: {len(shares)} gradients returned for {len(inputs)} arguments"
            )
        return [cls._checked(i, share, x, create) for i, (share, x) in enumerate(zip(shares, inputs))]

    @classmethod
    def _checked(cls, i: int, share: Any, x: Any, create: bool) -> Any:
        if share is None or not hasattr(x, "shape"):
            return None
        if not isinstance(share, Tensor):
            raise TypeError(
                f"{cls.__name__}.backward: gradient {i} is {type(share).__name__}, not a Tensor or None"
            )
        try:
            return fit(share if create else share.array, x.shape)
        except (ValueError, IndexError) as error:
            raise RuntimeError(
                f"{cls.__name__}.backward: gradient {i} has shape {share.shape}, the argument {x.shape}"
            ) from error


_select = Primitive("output", lambda y: y, [lambda g, _y, _x, *, k: Part(k, g)])
