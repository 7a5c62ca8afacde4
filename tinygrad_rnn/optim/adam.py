"""Adam and its kin: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math

import numpy as np

from ..engine.tensor import Array
from .elementwise import Elementwise, average, count, variable
from .optimizer import Group, Params, State, check_number, non_negative


class Moments(Elementwise):
    """What the optimizers of this file share: the two running means, and the options these need.

    m ← β1 m + (1 - β1) g          its expectation is 1 - β1ᵗ times the mean of g
    v ← β2 v + (1 - β2) g²         its expectation is 1 - β2ᵗ times the mean of g²
    """

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "eps", "weight_decay")
        if not isinstance(group["betas"], (tuple, list)) or len(group["betas"]) != 2:
            raise TypeError(f"betas={group['betas']!r}: must be two numbers")
        for i, beta in enumerate(group["betas"]):
            check_number(f"betas[{i}]", beta, lambda x: 0 <= x < 1, "at least 0 and less than 1")

    def _moments(self, theta: Array, g: Array, state: State, group: Group) -> tuple[Array, Array]:
        beta1, beta2 = group["betas"]
        m, v = variable(state, "exp_avg", theta), variable(state, "exp_avg_sq", theta)
        scratch = self._scratch(theta, 1)
        average(m, g, beta1, scratch)
        average(v, np.multiply(g, g, out=scratch), beta2, scratch)
        return m, v


class Adam(Moments):
    """Adam: m and v are the running means of g and g², decaying with (β1, β2) = `betas`.

        g ← ∇f(θ) + λ θ
        m ← β1 m + (1 - β1) g
        v ← β2 v + (1 - β2) g²
        m̂ = m / (1 - β1ᵗ),   v̂ = v / (1 - β2ᵗ)
        θ ← θ - lr m̂ / (√v̂ + ε)

    `amsgrad` puts the largest v so far in place of v. `decoupled_weight_decay` makes it `AdamW`.
    Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; Reddi, Kale & Kumar 2018,
    "On the convergence of Adam and beyond" (AMSGrad).
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, (beta1, beta2) = count(state), group["betas"]
        m, v = self._moments(theta, g, state, group)
        if group["amsgrad"]:
            v_max = variable(state, "max_exp_avg_sq", theta)
            v = np.maximum(v_max, v, out=v_max)
        root = math.sqrt(1 - beta2**t)  # √v̂ + ε = (√v + ε root) / root
        step = np.sqrt(v, out=self._scratch(theta, 1))
        step += group["eps"] * root
        np.divide(m, step, out=step)
        step *= float(group["lr"]) * root / (1 - beta1**t)
        theta -= step


class AdamW(Adam):
    """Adam with decoupled weight decay: λ does not enter m and v.

        θ ← (1 - lr λ) θ - lr m̂ / (√v̂ + ε),   g = ∇f(θ)

    Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2 (with λ multiplied by lr).
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def _loaded_group(self, group: Group, saved: Group) -> Group:
        return super()._loaded_group(group, {**saved, "decoupled_weight_decay": True})  # whoever saved it


class NAdam(Moments):
    """Adam with Nesterov's momentum, which grows with t; ψ is `momentum_decay`.

        μₜ = β1 (1 - ½ 0.96^(t ψ)),   Π ← Π μₜ
        m ← β1 m + (1 - β1) g,   v ← β2 v + (1 - β2) g²
        m̂ = μₜ₊₁ m / (1 - Π μₜ₊₁) + (1 - μₜ) g / (1 - Π)
        θ ← θ - lr m̂ / (√v̂ + ε),   v̂ = v / (1 - β2ᵗ)

    Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2 (there μₜ takes β1's place in m too).
    """

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "momentum_decay")

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, (beta1, beta2), psi = count(state), group["betas"], group["momentum_decay"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (s * psi)) for s in (t, t + 1))
        product = state["mu_product"] = float(state.get("mu_product", 1)) * mu
        m, v = self._moments(theta, g, state, group)
        lr_root = float(group["lr"]) * (root := math.sqrt(1 - beta2**t))  # √v̂ + ε = (√v + ε root) / root
        step, scratch = self._scratch(theta, 1), self._scratch(theta, 2)
        np.multiply(g, lr_root * (1 - mu) / (1 - product), out=step)
        step += np.multiply(m, lr_root * mu_next / (1 - product * mu_next), out=scratch)
        np.sqrt(v, out=scratch)
        scratch += group["eps"] * root
        step /= scratch
        theta -= step


class RAdam(Moments):
    """Adam that waits until v is trustworthy; ρ is about how many gradients v has averaged.

        m ← β1 m + (1 - β1) g,   v ← β2 v + (1 - β2) g²,   m̂ = m / (1 - β1ᵗ)
        ρ∞ = 2 / (1 - β2) - 1,   ρ = ρ∞ - 2 t β2ᵗ / (1 - β2ᵗ)
        r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
        θ ← θ - lr r m̂ √(1 - β2ᵗ) / (√v + ε)  if ρ > 5,   θ ← θ - lr m̂  otherwise

    Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2 (there ρ > 4).
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
        })  # fmt: skip

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        t, (beta1, beta2) = count(state), group["betas"]
        m, v = self._moments(theta, g, state, group)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        scale, step = float(group["lr"]) / (1 - beta1**t), self._scratch(theta, 1)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            np.sqrt(v, out=step)
            step += group["eps"]
            np.divide(m, step, out=step)
            step *= scale * r * math.sqrt(1 - beta2**t)
        else:
            np.multiply(m, scale, out=step)
        theta -= step
