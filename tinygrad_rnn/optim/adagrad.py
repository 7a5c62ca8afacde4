"""Adagrad and Adadelta: steps scaled by all the squared gradients of the past, and by the recent ones."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array
from .elementwise import Elementwise, average, count, variable
from .optimizer import Group, Params, State, check_number, non_negative


class Adagrad(Elementwise):
    """Adagrad; s starts at `initial_accumulator_value`, δ is `lr_decay`.

        g ← ∇f(θ) + λ θ
        s ← s + g²
        θ ← θ - lr / (1 + (t - 1) δ) · g / (√s + ε)

    Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
            "foreach": foreach, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, step = count(state), self._scratch(theta, 1)
        s = variable(state, "sum", theta, start=group["initial_accumulator_value"])
        s += np.multiply(g, g, out=step)
        np.sqrt(s, out=step)
        step += group["eps"]
        np.divide(g, step, out=step)
        step *= float(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
        theta -= step


class Adadelta(Elementwise):
    """Adadelta: v is the running mean of g², u that of Δ²; both decay with ρ.

        g ← ∇f(θ) + λ θ
        v ← ρ v + (1 - ρ) g²
        Δ = g √(u + ε) / √(v + ε)
        u ← ρ u + (1 - ρ) Δ²
        θ ← θ - lr Δ

    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1 (there lr = 1).
    """

    def __init__(
        self, params: Params, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "eps", "weight_decay")
        check_number("rho", group["rho"], lambda x: 0 <= x <= 1, "in [0, 1]")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        count(state)
        rho, eps = group["rho"], group["eps"]
        v, u = variable(state, "square_avg", theta), variable(state, "acc_delta", theta)
        delta, scratch = self._scratch(theta, 1), self._scratch(theta, 2)
        average(v, np.multiply(g, g, out=scratch), rho, out=scratch)
        np.add(u, eps, out=delta)
        delta /= np.add(v, eps, out=scratch)
        np.sqrt(delta, out=delta)
        delta *= g
        average(u, np.multiply(delta, delta, out=scratch), rho, out=scratch)
        theta -= np.multiply(delta, float(group["lr"]), out=scratch)
