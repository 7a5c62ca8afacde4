"""Laws of gradients: that they are the derivative, that they add up, that they are nobody else's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import no_grad
from ...engine.tensor import Tensor
from ...nn.cells import each
from ...nn.loop import advance
from ..gradcheck import gradcheck, gradgradcheck
from ..probe import tensors_in
from .case import SHORT, Case, leaf, same_noise
from .law import Differs, same


def _checked(check: Any, case: Case, steps: int) -> str | None:
    """`check` along random directions; if they show an error, again entry by entry, to name the place, and
    if all of them lead over kinks, to find others.
    """
    run = case.run()

    def cell_over_time(xs: Tensor, state: Any) -> Any:
        return run(xs, state)

    inputs = [leaf(case.xs[:steps]), each(leaf, case.state)]
    quick = check(
        cell_over_time,
        inputs,
        parameters=case.cell,
        limit=0,
        directions=1,
        seed=case.seed,
        raise_exception=False,
    )
    limit = 200 if len(case.xs) <= SHORT else 20  # of many steps, every entry takes long
    if quick.wrong:
        check(cell_over_time, inputs, parameters=case.cell, limit=limit)
        e = quick.wrong[0]
        raise Differs(
            f"{check.__name__}, along random directions only: d {e.output} / d {e.argument} "
            f"is {e.true:.17g}, backward gives {e.backward:.17g}"
        )
    if quick:
        return None
    closely = check(cell_over_time, inputs, parameters=case.cell, limit=limit)
    return (
        None
        if closely
        else f"nothing could be compared for {', '.join(closely.hidden)}: kinks are in the way"
    )


def backward_is_the_derivative(case: Case) -> str | None:
    """Reverse mode = complex step = central differences: for inputs, parameters and initial states,
    through all steps.
    """
    return _checked(gradcheck, case, len(case.xs))


def second_derivatives(case: Case) -> str | None:
    """The gradient of the gradient = its complex step = its central differences."""
    return _checked(gradgradcheck, case, 2)


def gradients_accumulate(case: Case) -> None:
    """A second backward pass doubles every leaf's gradient to the last bit, and changes nothing else."""
    x, state = leaf(case.xs), each(leaf, case.state)
    leaves = {
        "xs": x,
        **{f"state[{i}]": s for i, s in enumerate(tensors_in(state))},
        **dict(case.cell.named_parameters()),
    }
    case.cell.zero_grad()
    try:
        for passes in (1, 2):
            with same_noise(case.seed):
                ys, last = case.run()(x, state)
            held = {"outputs": ys, **{f"last[{i}]": s for i, s in enumerate(tensors_in(last))}, **leaves}
            before = {name: np.array(t.array) for name, t in held.items()}
            (ys.sum() + sum(s.sum() for s in tensors_in(last))).backward()
            for name, t in held.items():
                same(f"{name}, after backward,", t.array, before[name], exact=True)
            if passes == 1:
                once = {name: np.array(t.grad.array) for name, t in leaves.items() if t.grad is not None}
        for name, g in once.items():
            grad = leaves[name].grad
            same(
                f"the gradient of {name}, after two passes,",
                0 if grad is None else grad.array,
                2 * g,
                exact=True,
            )
    finally:
        case.cell.zero_grad()


def gradients_share_no_memory(case: Case) -> None:
    """A gradient shares memory with no input, no output, no parameter and no other gradient."""
    x, state = leaf(case.xs), each(leaf, case.state)
    leaves = {
        "xs": x,
        **{f"state[{i}]": s for i, s in enumerate(tensors_in(state))},
        **dict(case.cell.named_parameters()),
    }
    case.cell.zero_grad()
    try:
        ys, last = case.run()(x, state)
        seed = Tensor(np.ones(ys.shape))
        (ys * seed).sum().backward(retain_graph=True)
        ys.backward(seed)
        grads = {f"the gradient of {name}": t.grad.array for name, t in leaves.items() if t.grad is not None}
        others = {
            "outputs": ys.array,
            "the given gradient": seed.array,
            **{name: t.array for name, t in leaves.items()},
        }
        others |= {f"last[{i}]": s.array for i, s in enumerate(tensors_in(last))}
        for k, (name, g) in enumerate(grads.items()):
            for other, array in [*others.items(), *list(grads.items())[:k]]:
                if np.shares_memory(g, array):
                    raise Differs(f"{name} shares memory with {other}")
    finally:
        case.cell.zero_grad()


def a_step_is_pure(case: Case) -> None:
    """A step gives the same result each time, writes into nothing that it is given, and keeps no memory
    of its results.
    """
    cell, T = case.cell, len(case.xs)
    with no_grad():
        x, state = Tensor(case.xs.copy()), each(lambda s: Tensor(s.array.copy()), case.state)
        given = {"xs": x, **{f"state[{i}]": s for i, s in enumerate(tensors_in(state))}}
        given |= dict(cell.named_parameters())
        if not cell.training:  # running statistics are kept in training
            given |= dict(cell.named_buffers())
        before = {name: np.array(t.array) for name, t in given.items()}
        results: list[tuple[Any, list[Any]]] = []
        s = state
        for t in range(T):
            y, s = advance(cell, cell.project(x[t]), s)
            held = [y, *tensors_in(s)]
            results.append((held, [np.array(h.array) for h in held]))
        for t, (held, values) in enumerate(results):
            for tensor, value in zip(held, values):
                same(f"a result of step {t}, when all steps are done,", tensor.array, value, exact=True)
        for name, tensor in given.items():
            same(f"{name}, after the steps,", tensor.array, before[name], exact=True)
        if T:
            y, _ = advance(cell, cell.project(x[0]), state)
            same("the output of step 0, run again,", y.array, results[0][1][0], exact=True)
