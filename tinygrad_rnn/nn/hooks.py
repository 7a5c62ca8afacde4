"""Functions that run around the forward and the backward pass of a module.

Forward hooks see arguments and results. Backward hooks see gradients: the inputs and the outputs
of the module pass through an identity (`Tap`) whose backward shows them what flows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Function
from ..autograd.hooks import RemovableHandle
from ..engine.tensor import Tensor

Gradients = tuple[Tensor | None, ...]


class Hooks:
    """The hooks of one module, of each kind in the order they run."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}  # id: (hook, whether it is given the keyword arguments)
        self.after: dict[int, Any] = {}
        self.backward_before: dict[int, Any] = {}  # id: hook
        self.backward: dict[int, Any] = {}

    def add(self, kind: str, entry: Any, prepend: bool) -> RemovableHandle:
        """Append `entry` to the hooks of `kind`, or put it before them."""
        hooks: dict[int, Any] = getattr(self, kind)
        earlier = list(hooks.items())
        handle = RemovableHandle(hooks, entry)
        if prepend:
            for key, other in earlier:  # to the end, in the order they had
                del hooks[key]
                hooks[key] = other
        return handle

    def run(self, module: Hooked, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One forward pass of `module` with everything around it."""
        for hook, with_kwargs in list(self.before.values()):
            args, kwargs = self._before(module, hook, with_kwargs, args, kwargs)
        passage = Passage(module, self) if self.backward or self.backward_before else None
        if passage is not None:
            args = passage.enter(args)
        result = module.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.after.values()):
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            result = result if changed is None else changed
        return result if passage is None else passage.leave(result)

    @staticmethod
    def _before(module: Hooked, hook: Any, with_kwargs: bool, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if not with_kwargs:
            changed = hook(module, args)
            return (
                args if changed is None else changed if isinstance(changed, tuple) else (changed,)
            ), kwargs
        changed = hook(module, args, kwargs)
        if changed is None:
            return args, kwargs
        if not (isinstance(changed, tuple) and len(changed) == 2):
            raise RuntimeError(f"forward pre-hook: return None or a pair (args, kwargs), not {changed!r}")
        return changed


class Tap(Function):
    """The identity on several tensors; backward lets `visit(gradients)` say what their gradients become."""

    @staticmethod
    def forward(ctx: Any, visit: Callable[[Gradients], Gradients], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.visit = visit
        ctx.set_materialize_grads(False)
        return tensors

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return (None, *ctx.visit(gradients))


class Passage:
    """One forward pass of a module with backward hooks, and what its gradients meet on the way back."""

    def __init__(self, module: Hooked, hooks: Hooks) -> None:
        self.module, self.hooks = module, hooks
        self.inputs: list[int] = []  # which arguments, and which outputs, carry gradients; of how many
        self.outputs: list[int] = []
        self.counts = (0, 0)
        self.grad_output: Gradients = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with a tap on those that require a gradient."""
        self.inputs = _carriers(args)
        self.counts = (len(args), 0)
        return _tapped(args, self.inputs, self.visit_inputs)

    def leave(self, result: Any) -> Any:
        """The result, with a tap on the tensors in it (a tensor, or a tuple with tensors in it)."""
        values = result if isinstance(result, tuple) else (result,)
        self.outputs = _carriers(values)
        self.counts = (self.counts[0], len(values))
        tapped = _tapped(values, self.outputs, self.visit_outputs)
        if not isinstance(result, tuple):
            return tapped[0]
        return type(result)(*tapped) if hasattr(result, "_fields") else tapped

    def visit_outputs(self, gradients: Gradients) -> Gradients:
        """The gradients of the outputs are known."""
        self.grad_output = _spread(gradients, self.outputs, self.counts[1])
        for hook in list(self.hooks.backward_before.values()):
            self.grad_output = _replaced(self.grad_output, hook(self.module, self.grad_output))
        gradients = tuple(self.grad_output[i] for i in self.outputs)
        if not self.inputs:
            self.visit_inputs(())
        return gradients

    def visit_inputs(self, gradients: Gradients) -> Gradients:
        """The gradients of the inputs are known."""
        grad_input = _spread(gradients, self.inputs, self.counts[0])
        grad_output, self.grad_output = self.grad_output, ()
        for hook in list(self.hooks.backward.values()):
            grad_input = _replaced(grad_input, hook(self.module, grad_input, grad_output))
        return tuple(grad_input[i] for i in self.inputs)


def _carriers(values: tuple[Any, ...]) -> list[int]:
    return [i for i, x in enumerate(values) if isinstance(x, Tensor) and x.requires_grad]


def _tapped(
    values: tuple[Any, ...], at: list[int], visit: Callable[[Gradients], Gradients]
) -> tuple[Any, ...]:
    through = dict(zip(at, Tap.apply(visit, *(values[i] for i in at)), strict=True)) if at else {}
    return tuple(through.get(i, x) for i, x in enumerate(values))


def _spread(gradients: Gradients, at: list[int], count: int) -> Gradients:
    known = dict(zip(at, gradients, strict=True))
    return tuple(known.get(i) for i in range(count))


def _replaced(before: Gradients, changed: Any) -> Gradients:
    """What a backward hook returned, checked; None leaves the gradients as they were."""
    if changed is None:
        return before
    after = changed if isinstance(changed, tuple) else (changed,)
    if len(after) != len(before):
        raise RuntimeError(f"backward hook: {len(after)} gradients returned, {len(before)} expected")
    return after


class Hooked:
    """Something with a `forward` that is called through hooks."""

    _hooks: Hooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; call it as `module(...)`, which also runs the hooks."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(): define what it computes")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.run(self, args, kwargs)

    def _hook(self, kind: str, entry: Any, prepend: bool) -> RemovableHandle:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks.add(kind, entry, prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each forward; a result other than None replaces `args`.

        With `with_kwargs`: `hook(module, args, kwargs)`, which may return a pair `(args, kwargs)`.
        """
        return self._hook("before", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each forward; a result other than None replaces `output`.

        With `with_kwargs`: `hook(module, args, kwargs, output)`.
        """
        if always_call:
            raise NotImplementedError("register_forward_hook: always_call=True is not supported")
        return self._hook("after", (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the outputs' gradients are known; it may return others."""
        return self._hook("backward_before", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the positional inputs are known.

        Both are tuples, with None for what has no gradient. A result other than None replaces `grad_input`.
        """
        return self._hook("backward", hook, prepend)
