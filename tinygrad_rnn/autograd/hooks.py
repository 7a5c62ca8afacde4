"""Where gradients arrive: hooks that see or replace them, and the tensors that keep them."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..tensor import Tensor, method, tick
from .contributions import Sum
from .primitive import Node


def value_of(g: Any) -> Any:
    """A gradient, its sum made if that was still to be done."""
    return g.total() if g.__class__ is Sum else g


def own(g: Any, dtype: Any) -> Any:
    """The gradient `g` as a tensor that shares memory with nothing; recorded if `g` is."""
    if g.__class__ is Sum:
        total = g.total()
        if g.owned and total.dtype == dtype:
            return Tensor(total)
        g = total
    if isinstance(g, Tensor) and g.requires_grad:
        return np.copy(g)
    return Tensor(np.array(getattr(g, "array", g), dtype))


def accumulate(tensor: Tensor, g: Any) -> None:
    """Add a gradient to `tensor.grad`, which shares memory with nothing else."""
    if tensor.grad is None:
        tensor.grad = own(g, tensor.dtype)
        return
    g = value_of(g)
    if isinstance(g, Tensor) and (g.requires_grad or tensor.grad.requires_grad):
        tensor.grad = tensor.grad + g
    else:
        tensor.grad.array += getattr(g, "array", g)
        tensor.grad.touch()


def call_hooks(hooks: dict[int, Any] | None, g: Any) -> Any:
    """What the gradient becomes after every hook had it."""
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


def visit(node: Node, g: Any) -> Any:
    """The gradient of a node's output, after its hooks; the tensor that retains it is given it."""
    extras = node.extras or {}
    g = call_hooks(extras.get("hooks"), value_of(g))
    tensor = extras["retain"]() if "retain" in extras else None
    if tensor is not None:
        accumulate(tensor, g)
    return g


def retains(tensor: Tensor) -> bool:
    """True if `visit` gives this tensor, which is no leaf, its gradient."""
    return "retain" in (tensor.node.extras or {}) and tensor.node.extras["retain"]() is tensor


class RemovableHandle:
    """Takes a hook away again: `handle.remove()`, or as a context manager."""

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.hooks, self.id = hooks, tick()
        while self.id in hooks:  # unpickled from another process, which counted as this one does
            self.id = tick()
        hooks[self.id] = hook

    def remove(self) -> None:
        """The hook is no longer called."""
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
        return RemovableHandle(self.node.extra("hooks", {}), hook)
    self.hooks = {} if self.hooks is None else self.hooks
    return RemovableHandle(self.hooks, hook)


@method()
def retain_grad(self: Tensor) -> None:
    """Let `backward` set `.grad` of this tensor too, though it is not a leaf."""
    if self.node is not None:
        self.node.extra("retain", ref(self))
    elif not self.requires_grad:
        raise RuntimeError("retain_grad: the tensor requires no gradient")
