"""SGD: gradient descent, with momentum."""

from __future__ import annotations

import numpy as np

from ..engine.tensor import Array, Tensor
from .elementwise import Elementwise
from .optimizer import Group, Params, State, non_negative


class SGD(Elementwise):
    """Stochastic gradient descent; μ is `momentum`, τ `dampening`.

        g ← ∇f(θ) + λ θ
        b ← μ b + (1 - τ) g        from the second update on; b = g at the first
        g ← g + μ b   if `nesterov`,   g ← b   otherwise
        θ ← θ - lr g

    Without momentum only the first and the last line. Robbins & Monro 1951, "A stochastic approximation
    method"; Polyak 1964 (momentum); Sutskever et al. 2013, "On the importance of initialization and momentum
    in deep learning" (Nesterov's, here with lr outside of b).

    >>> from tinygrad_rnn import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist()
    [0.0]
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
            "foreach": foreach, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                f"nesterov=True needs momentum > 0 and dampening=0, "
                f"got momentum={group['momentum']}, dampening={group['dampening']}"
            )

    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        mu, scratch = group["momentum"], self._scratch(theta, 1)
        if mu:
            b = self._velocity(g, state, mu, group["dampening"], scratch)
            if group["nesterov"]:
                np.multiply(b, mu, out=scratch)
                g = np.add(scratch, g, out=scratch)
            else:
                g = b
        theta -= np.multiply(g, float(group["lr"]), out=scratch)

    @staticmethod
    def _velocity(g: Array, state: State, mu: float, tau: float, scratch: Array) -> Array:
        b: Array
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = Tensor(g.copy())
            b = state["momentum_buffer"].array
        else:
            b = state["momentum_buffer"].array
            b *= mu
            b += np.multiply(g, 1 - tau, out=scratch) if tau else g
        return b
