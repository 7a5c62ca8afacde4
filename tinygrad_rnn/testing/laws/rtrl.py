"""Backpropagation through time against real-time recurrent learning (Williams & Zipser 1989).

The same gradient, computed forwards: P_t = ∂s_t/∂θ is carried along with the state s_t,

    P_0 = ∂s_0/∂θ      P_t = (∂s_t/∂s_{t-1}) P_{t-1} + ∂s_t/∂θ
    dL/dθ = Σ_t u_t (∂y_t/∂s_{t-1} P_{t-1} + ∂y_t/∂θ) + v P_T

and the Jacobians of a single step come from the complex step. No line of backward is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...engine.tensor import Array, Tensor
from ...nn.cells import each
from ...nn.loop import advance
from ..examine import jacobians
from ..probe import Probe, tensors_in
from .case import Case, Seen, leaf, near, rows


def real_time_recurrent_learning(case: Case) -> None:
    """Backpropagation through time = real-time recurrent learning, which computes the same gradient
    forwards.
    """
    case = replace(
        case, xs=case.xs[:4, :2], state=rows(case.state, slice(0, 2))
    )  # it costs the more rows, the more states to differentiate
    seen = case.see(case.run(), case.xs, case.state)
    for name, g in influence(case, seen).items():
        near(f"the gradient of {name}, by backward,", seen.grads[name], g)


def influence(case: Case, seen: Seen) -> dict[str, Array]:
    """dL/dθ for the parameters and the initial state, L being Σ u·outputs + Σ v·last states."""
    parameters = {name: p for name, p in case.cell.named_parameters() if p.requires_grad}
    state = each(leaf, case.state)
    carried = [s for s in tensors_in(state) if s.requires_grad]
    sizes = [p.numel() for p in parameters.values()]
    n, S = sum(sizes), sum(s.numel() for s in carried)
    P = np.hstack([np.zeros((S, n)), np.eye(S)])  # θ: the parameters, then the initial state
    total = np.zeros(n + S)
    for t, x in enumerate(case.xs):
        J, y_size, state = _step(case, x, state, parameters)
        direct = np.hstack([*(J[name] for name in parameters), np.zeros((len(J["s0"]), S))])
        through = np.hstack([J[f"s{i}"] for i in range(len(carried))])
        moved = through @ P + direct
        total += seen.u[t].ravel() @ moved[:y_size]
        P = moved[y_size:]
    total += np.concatenate([v.ravel() for v, s in zip(seen.v, tensors_in(state)) if s.requires_grad]) @ P
    ends = np.cumsum([*sizes, *(s.numel() for s in carried)])[:-1]
    shapes = {name: p.shape for name, p in parameters.items()} | {
        f"state[{i}]": s.shape for i, s in enumerate(carried)
    }
    return {name: g.reshape(shape) for (name, shape), g in zip(shapes.items(), np.split(total, ends))}


def _step(
    case: Case, x: Array, state: Any, parameters: Mapping[str, Tensor]
) -> tuple[dict[str, Array], int, Any]:
    """The Jacobians of [output, next state] by parameters and state parts s0, s1, …; the output's size;
    the next state.
    """

    def step(x: Tensor, state: Any) -> Any:
        return advance(case.cell, case.cell.project(x), state)

    carried = {f"s{i}": s for i, s in enumerate(s for s in tensors_in(state) if s.requires_grad)}
    with Probe(step, [Tensor(x), state], {**parameters, **carried}) as probe:
        following = step(Tensor(x), state)
        return jacobians(probe), probe.outputs[0].numel(), each(leaf, following[1])
