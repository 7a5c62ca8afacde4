"""RMSprop: steps scaled by the root of a running mean of the squared gradient."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array
from .elementwise import Elementwise, average, count, variable
from .optimizer import Group, Params, State, non_negative


class RMSprop(Elementwise):
    """RMSprop; μ is `momentum`.

        g ← ∇f(θ) + λ θ
        v ← α v + (1 - α) g²
        m ← α m + (1 - α) g,   s = √(v - m²)      if `centered`;   s = √v   otherwise
        b ← μ b + g / (s + ε)
        θ ← θ - lr b

    Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6.5; Graves 2013, "Generating
    sequences with recurrent neural networks", equations 38-41 (centered; there ε is under the root).
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum,
            "centered": centered, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "alpha", "eps", "weight_decay", "momentum")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        count(state)
        alpha, mu, s = group["alpha"], group["momentum"], self._scratch(theta, 1)
        v = variable(state, "square_avg", theta)
        average(v, np.multiply(g, g, out=s), alpha, out=s)
        if group["centered"]:
            m = variable(state, "grad_avg", theta)
            average(m, g, alpha, out=s)
            np.subtract(v, np.multiply(m, m, out=s), out=s)
            np.maximum(s, 0, out=s)  # a variance; rounding alone can make it negative
            np.sqrt(s, out=s)
        else:
            np.sqrt(v, out=s)
        s += group["eps"]
        step = np.divide(g, s, out=s)
        if mu:
            b = variable(state, "momentum_buffer", theta)
            b *= mu
            b += step
            step = np.multiply(b, float(group["lr"]), out=s)
        else:
            step *= float(group["lr"])
        theta -= step
