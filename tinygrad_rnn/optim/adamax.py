"""Adamax: Adam with the largest of the recent gradients in place of their root mean square."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array
from .adam import Moments
from .elementwise import average, count, variable
from .optimizer import Group, Params, State


class Adamax(Moments):
    """Adamax: m is the running mean of g, u a maximum that decays; (β1, β2) = `betas`.

        g ← ∇f(θ) + λ θ
        m ← β1 m + (1 - β1) g
        u ← max(β2 u, |g| + ε)
        θ ← θ - lr / (1 - β1ᵗ) · m / u

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 2 (ε is PyTorch's).

    >>> from tinygrad_rnn import optim, tensor
    >>> w = tensor([1.0, -1.0], requires_grad=True)
    >>> optimizer = optim.Adamax([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.5, -0.5], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, (beta1, beta2) = count(state), group["betas"]
        m, u = variable(state, "exp_avg", theta), variable(state, "exp_inf", theta)
        step = self._scratch(theta, 1)
        average(m, g, beta1, out=step)
        np.abs(g, out=step)
        step += group["eps"]
        u *= beta2
        np.maximum(u, step, out=u)
        np.divide(m, u, out=step)
        step *= float(group["lr"]) / (1 - beta1**t)
        theta -= step
