"""L-BFGS: a quasi-Newton method that remembers the last few steps instead of a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..engine.tensor import Array, Tensor
from .line_search import Line, Point, strong_wolfe
from .optimizer import Closure, Group, Optimizer, Params, State, non_negative, positive


class LBFGS(Optimizer):
    """L-BFGS for a deterministic objective; one `step(closure)` makes up to `max_iter` iterations.

        s = θ - θ_before,   y = g - g_before        of the last `history_size` iterations with yᵀs > 0
        d = -H g             H: the inverse Hessian made from these s and y, starting from (sᵀy / yᵀy) I
        θ ← θ + t d

    t is `lr` (in the very first iteration at most lr / Σ|gᵢ|) or, with `line_search_fn="strong_wolfe"`, found
    by a line search that starts there. A step ends after `max_iter` iterations or `max_eval` calls of the
    closure (default 5/4 of `max_iter`), as soon as max |gᵢ| ≤ `tolerance_grad`, or when the loss changes by
    less than `tolerance_change`, or no θᵢ by more. There is one parameter group.

    Nocedal & Wright 2006, "Numerical optimization", algorithms 7.4 and 7.5, equation 7.20.
    """

    _called = False

    def __init__(
        self, params: Params, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip

    def add_param_group(self, param_group: Group) -> None:
        """Raises ValueError for a second group: there is one direction, of all parameters together."""
        if self.param_groups:
            raise ValueError("LBFGS has one parameter group; pass all parameters in one list")
        super().add_param_group(param_group)

    def _check_options(self, group: Group) -> None:
        super()._check_options(group)
        non_negative(group, "lr", "tolerance_grad", "tolerance_change")
        for name in ("max_iter", "max_eval", "history_size"):
            positive(name, group[name])
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn={group['line_search_fn']!r}: must be None or 'strong_wolfe'")

    def step(self, closure: Closure | None = None) -> Any:
        """Iterate until a criterion holds; return the loss before the first iteration.

        `closure()` clears the gradients, computes the loss, calls `backward` and returns the loss.
        """
        if closure is None:
            raise TypeError("LBFGS.step: needs a closure that computes loss and gradients anew")
        self._called = True
        group, state = self.param_groups[0], self.state[self._parameters()[0]]
        objective, tolerance = Objective(closure, self._parameters()), group["tolerance_change"]
        loss = objective.evaluate()
        f, g = float(loss), objective.gradient()
        for left in reversed(range(group["max_iter"])):
            if np.abs(g).max() <= group["tolerance_grad"]:
                break
            state["n_iter"] = state.get("n_iter", 0) + 1
            d = direction(g, state, group["history_size"])
            t = first_step(g, state, float(group["lr"]))
            state.update(d=Tensor(d), t=t, prev_flat_grad=Tensor(g), prev_loss=f)
            here = Point(0.0, f, g, float(g @ d))
            if here.slope > -tolerance:
                break
            state["t"], f, g, _ = self._advance(objective, here, d, t, last=not left)
            moved, gained = np.abs(d).max() * state["t"], abs(f - here.f)
            if objective.evals >= group["max_eval"] or moved <= tolerance or gained < tolerance:
                break
        state["func_evals"] = state.get("func_evals", 0) + objective.evals
        return loss

    def _advance(self, objective: Objective, here: Point, d: Array, t: float, last: bool) -> Point:
        """Go from `here` along d, by t or as far as the line search says; return the point there.

        After the last fixed step the objective is not computed: nothing would look at it.
        """
        group, x = self.param_groups[0], objective.position()

        def phi(t: float) -> Point:
            objective.move(x + t * d)
            f, g = float(objective.evaluate()), objective.gradient()
            return Point(t, f, g, float(g @ d))

        if group["line_search_fn"] is None:
            if not last:
                return phi(t)
            p = here._replace(t=t)
        else:
            line = Line(phi, here, float(np.abs(d).max()), group["max_eval"] - objective.evals)
            p = strong_wolfe(line, t, group["tolerance_change"])
        objective.move(x + p.t * d)
        return p

    def _fits(self, p: Tensor, value: Tensor) -> bool:
        return value.shape in ((sum(q.array.size for q in self._parameters()),), ())


class Objective:
    """The objective as a function of one vector, all parameters end to end; counts its evaluations."""

    def __init__(self, closure: Closure, params: list[Tensor]) -> None:
        self.closure, self.params, self.evals = closure, params, 0

    def evaluate(self) -> Any:
        """What the closure returns here; its gradients are in the parameters afterwards."""
        self.evals += 1
        with enable_grad():
            loss = self.closure()
        if loss is None:
            raise TypeError("LBFGS.step: the closure returned None; it must return the loss")
        return loss

    def gradient(self) -> Array:
        """The gradient of all parameters as one vector."""
        grads = [np.zeros_like(p.array) if p.grad is None else p.grad.array for p in self.params]
        return np.concatenate([g.ravel() for g in grads])

    def position(self) -> Array:
        """All parameters as one vector."""
        return np.concatenate([p.array.ravel() for p in self.params])

    def move(self, x: Array) -> None:
        """Give the parameters the values in the vector x."""
        end = 0
        for p in self.params:
            start, end = end, end + p.array.size
            p.array[...] = x[start:end].reshape(p.shape)
            p.bump_version()


def first_step(g: Array, state: State, lr: float) -> float:
    """The step length to try first: nothing is known of the scale of d = -g in the very first iteration."""
    return min(1.0, 1.0 / float(np.abs(g).sum())) * lr if state["n_iter"] == 1 else lr


def direction(g: Array, state: State, history_size: int) -> Array:
    """Add the last step to the history; return -H g (algorithm 7.4, the two-loop recursion)."""
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
    else:
        remember(g, state, history_size)
    triples = zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True)
    history = [(y.array, s.array, float(ro)) for y, s, ro in triples]
    d, alphas = -g, []
    for y, s, ro in reversed(history):
        alphas.append(alpha := ro * float(s @ d))
        d -= alpha * y
    d *= float(state["H_diag"])
    for y, s, ro in history:
        beta = ro * float(y @ d)
        d += (alphas.pop() - beta) * s
    return d


def remember(g: Array, state: State, history_size: int) -> None:
    """Keep y, s and 1 / yᵀs of the last step, if the objective curves upwards along it."""
    y, s = g - state["prev_flat_grad"].array, state["d"].array * float(state["t"])
    ys = float(y @ s)
    if ys > 1e-10:
        for name, value in (("old_dirs", Tensor(y)), ("old_stps", Tensor(s)), ("ro", 1 / ys)):
            state[name] = [*state[name], value][-history_size:]
        state["H_diag"] = ys / float(y @ y)
