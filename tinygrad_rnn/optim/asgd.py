"""ASGD: gradient descent whose iterates are averaged."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array
from .elementwise import Elementwise, count, variable
from .optimizer import Group, Params, State, check_number, non_negative


class ASGD(Elementwise):
    """Averaged stochastic gradient descent; the average, `state[p]["ax"]`, starts after `t0` steps.

        g ← ∇f(θ) + λ θ
        θ ← (1 - λ_d η) θ - η g           λ_d = `lambd`;  η = lr at t = 1
        a ← a + μ (θ - a)                 a = θ as long as μ = 1
        η ← lr / (1 + λ_d lr t)^α         α = `alpha`
        μ ← 1 / max(1, t - t0)

    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    >>> from tinygrad_rnn import optim, tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = optim.ASGD([w], lr=0.25, lambd=0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w, optimizer.state[w]["ax"]
    (tensor([0.5], requires_grad=True), tensor([0.5]))
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "weight_decay")
        for name in ("lambd", "alpha", "t0"):
            check_number(name, group[name], lambda x: True, "a number")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, lr, lambd = count(state), float(group["lr"]), group["lambd"]
        number = np.empty((), theta.dtype)
        etas, mus = variable(state, "eta", number, start=lr), variable(state, "mu", number, start=1)
        eta, mu = float(etas), float(mus)
        mean, step = variable(state, "ax", theta), self._scratch(theta, 1)
        theta *= 1 - lambd * eta
        theta -= np.multiply(g, eta, out=step)
        np.subtract(theta, mean, out=step)
        step *= mu
        mean += step
        if mu == 1:
            mean[...] = theta  # a + (θ - a) is rounded
        etas[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
        mus[...] = 1 / max(1, t - group["t0"])
