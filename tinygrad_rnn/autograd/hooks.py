"""Gradient hooks, `.grad`, and tensors in the graph that retain their gradient."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..engine.accumulate import Accumulator, value_of
from ..engine.primitive import Node
from ..engine.tensor import Tensor, method, next_sequence_number

Tensor.hooks = None  # of a leaf, by number; those of other tensors are in their node's NodeHooks


def own(g: Any, dtype: Any) -> Tensor:
    """The gradient `g` as a tensor that shares memory with nothing; recorded if `g` is."""
    if g.__class__ is Accumulator:
        total = g.value()
        if g.owned and total.dtype == dtype:
            return Tensor(total)
        g = total
    if isinstance(g, Tensor) and g.requires_grad:
        return np.copy(g)  # type: ignore[return-value]  # NumPy's protocol makes a tensor
    return Tensor(np.array(getattr(g, "array", g), dtype))


def accumulate_grad(tensor: Tensor, g: Any) -> None:
    """Add a gradient to `tensor.grad`, which shares memory with nothing else."""
    if tensor.grad is None:
        tensor.grad = own(g, tensor.dtype)
        return
    g = value_of(g)
    if isinstance(g, Tensor) and (g.requires_grad or tensor.grad.requires_grad):
        tensor.grad = tensor.grad + g
    else:
        tensor.grad.array += getattr(g, "array", g)
        tensor.grad.bump_version()


def call_hooks(hooks: dict[int, Any] | None, g: Any) -> Any:
    """The gradient `g` after each hook saw it and perhaps replaced it."""
    if not hooks:
        return g
    g = value_of(g)
    for hook in list(hooks.values()):
        changed = hook(g if isinstance(g, Tensor) else Tensor(g.copy()))
        if changed is None:
            continue
        if not isinstance(changed, Tensor):
            raise TypeError(f"a gradient hook must return a Tensor or None, got {type(changed).__name__}")
        if changed.shape != g.shape:
            raise RuntimeError(f"a gradient hook returned shape {changed.shape} for a gradient of {g.shape}")
        g = changed if isinstance(g, Tensor) else changed.array
    return g


class NodeHooks:
    """Hooks on the output of a node: the engine calls this with its gradient, and goes on with the result."""

    def __init__(self) -> None:
        self.hooks: dict[int, Any] = {}
        self.retaining: ref[Tensor] | None = None  # the tensor that called retain_grad()

    def __call__(self, g: Any) -> Any:
        """Run the hooks, and store the gradient on the tensor that called retain_grad()."""
        g = call_hooks(self.hooks, g)
        tensor = None if self.retaining is None else self.retaining()
        if tensor is not None:
            accumulate_grad(tensor, g)
        return g


def hooks_of(node: Node) -> NodeHooks:
    """The NodeHooks of a node, made if it has none."""
    return node.extra("hook", NodeHooks())  # type: ignore[no-any-return]


def retains(tensor: Tensor) -> bool:
    """True if the pass itself stores the gradient of this tensor, which is no leaf."""
    hooks = (tensor.node.extras or {}).get("hook")
    return hooks is not None and hooks.retaining is not None and hooks.retaining() is tensor


def take_retaining(node: Node | None) -> ref[Tensor] | None:
    """The tensor that retains a node's gradient, which it does no longer; None if there is none."""
    hooks = ((node and node.extras) or {}).get("hook")
    if hooks is None:
        return None
    retaining, hooks.retaining = hooks.retaining, None
    return retaining  # type: ignore[no-any-return]


class RemovableHandle:
    """Takes a hook away again: `handle.remove()`, or as a context manager."""

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks, self.id = hooks, next_sequence_number()
        while self.id in hooks:  # unpickled from another process, which counted as this one does
            self.id = next_sequence_number()
        hooks[self.id] = hook

    def remove(self) -> None:
        """Let the hook no longer be called."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


@method()
def register_hook(self: Tensor, hook: Any) -> RemovableHandle:
    """Call `hook(gradient)` when the gradient of this tensor is known; what it returns replaces it."""
    if not self.requires_grad:
        raise RuntimeError("register_hook: the tensor requires no gradient")
    if self.node is not None:
        return RemovableHandle(hooks_of(self.node).hooks, hook)
    self.hooks = {} if self.hooks is None else self.hooks
    return RemovableHandle(self.hooks, hook)


@method()
def retain_grad(self: Tensor) -> None:
    """Let `backward` set `.grad` of this tensor too, though it is not a leaf."""
    if self.node is not None:
        hooks_of(self.node).retaining = ref(self)
    elif not self.requires_grad:
        raise RuntimeError("retain_grad: the tensor requires no gradient")
