"""Elementwise: the step of all optimizers that treat each element of each parameter by itself.

Such an optimizer is one formula, which a subclass writes in `_update` on NumPy arrays, in place. The loop
over the parameters, weight decay, `maximize` and the memory for intermediate values are here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..engine.tensor import Array, Tensor
from .optimizer import Closure, Group, Optimizer, Params, State


class Elementwise(Optimizer):
    """An optimizer whose update of θ needs θ, g and the state of θ only. Subclasses define `_update`."""

    _called = False

    def __init__(self, params: Params, defaults: Group) -> None:
        super().__init__(params, defaults)
        self._scratch = Scratch()

    def step(self, closure: Closure | None = None) -> Any:
        """Update each parameter that has a gradient.

        `closure()`, if given, computes the loss and the gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = self._decay(p.array, p.grad.array, group)
                    self._update(p.array, g, self.state[p], group)
                    p.bump_version()
        self._called = True
        return loss

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        """Write the new θ to `theta`. `g` must not be written to: it may be the gradient itself."""
        raise NotImplementedError(f"{type(self).__name__}: define _update(theta, g, state, group)")

    def _decay(self, theta: Array, g: Array, group: Group) -> Array:
        """What stands for the gradient: g ← -g with `maximize`; then weight decay, of one of two kinds.

        g ← g + λ θ               the gradient of ½ λ θ² is added to the objective's
        θ ← (1 - lr λ) θ          decoupled (see AdamW)
        """
        decay, maximize = group.get("weight_decay", 0), group["maximize"]
        if decay and group.get("decoupled_weight_decay"):
            theta *= 1 - float(group["lr"]) * decay
            decay = 0
        if not decay:
            return np.negative(g, out=self._scratch(theta)) if maximize else g
        decayed = np.multiply(theta, decay, out=self._scratch(theta))
        return (np.subtract if maximize else np.add)(decayed, g, out=decayed)

    def _fits(self, p: Tensor, value: Tensor) -> bool:
        return value.shape in (p.shape, ())


class Scratch:
    """Memory for an update's intermediate values, used again by the next parameter.

    `scratch(like, k)` is the k-th array of the shape and dtype of `like`; its content is arbitrary. There is
    as much memory behind it as the largest parameter needs. It is no state: a copy of it is empty.
    """

    def __init__(self) -> None:
        self._memory: dict[tuple[int, str], Array] = {}
        self._views: dict[tuple[int, str, tuple[int, ...]], Array] = {}

    def __call__(self, like: Array, k: int = 0) -> Array:
        key = k, like.dtype.char, like.shape
        view = self._views.get(key)
        if view is None:
            memory = self._memory.get(key[:2])
            if memory is None or memory.size < like.size:
                self._views.clear()
                memory = self._memory[key[:2]] = np.empty(like.size, like.dtype)
            view = self._views[key] = memory[: like.size].reshape(like.shape)
        return view

    def __reduce__(self) -> tuple[type[Scratch], tuple[()]]:
        return Scratch, ()


def variable(state: State, name: str, theta: Array, start: float = 0.0) -> Array:
    """The array that `state` has under `name`: of θ's shape and dtype, filled with `start` at first."""
    if name not in state:
        state[name] = Tensor(np.full_like(theta, start))
    array: Array = state[name].array
    return array


def count(state: State) -> int:
    """t: one more than at the last update."""
    t: int = state.get("step", 0) + 1
    state["step"] = t
    return t


def average(mean: Array, x: Array, beta: float, out: Array) -> None:
    """mean ← β mean + (1 - β) x, the exponentially weighted mean. `out` is overwritten, and may be x."""
    np.multiply(x, 1 - beta, out=out)
    mean *= beta
    mean += out
