"""Rprop: steps whose lengths depend on signs of gradients alone."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array
from .elementwise import Elementwise, count, variable
from .optimizer import Group, Params, State, check_number, non_negative


class Rprop(Elementwise):
    """Resilient backpropagation: every number has a step Δ of its own, which starts at lr.

        s = g g', g' the gradient of the step before
        Δ ← η₊ Δ if s > 0,  η₋ Δ if s < 0;   within Δmin … Δmax
        g ← 0 if s < 0
        θ ← θ - sign(g) Δ

    (η₋, η₊) = `etas`, (Δmin, Δmax) = `step_sizes`. For gradients of whole data sets, not of batches.
    Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm" (without weight backtracking).

    >>> from tinygrad_rnn import optim, tensor
    >>> w = tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = optim.Rprop([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5, -2.5], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr")
        for name in ("etas", "step_sizes"):
            if not isinstance(group[name], (tuple, list)) or len(group[name]) != 2:
                raise TypeError(f"{name}={group[name]!r}: must be two numbers")
        check_number("etas[0]", group["etas"][0], lambda x: 0 < x < 1, "greater than 0 and less than 1")
        check_number("etas[1]", group["etas"][1], lambda x: x > 1, "greater than 1")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        count(state)
        low, high = group["etas"]
        before = variable(state, "prev", theta)
        delta = variable(state, "step_size", theta, start=float(group["lr"]))
        agreement = np.multiply(g, before, out=self._scratch(theta, 1))
        delta *= np.where(agreement > 0, high, np.where(agreement < 0, low, 1)).astype(theta.dtype)
        np.clip(delta, *group["step_sizes"], out=delta)
        np.copyto(before, g)
        before[agreement < 0] = 0
        theta -= np.multiply(np.sign(before), delta, out=agreement)
