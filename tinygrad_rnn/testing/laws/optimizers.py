"""`check_optimizer`: the laws of an optimizer, tried on a small least-squares problem."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import enable_grad
from ...nn.parameter import Parameter
from ...tensor import Array, Tensor
from ..probe import name_of
from .law import Differs, Law, Verdict, chosen, judge, same

STEPS = 8


@dataclass
class Problem:
    """Least squares: L(W, b) = mean (X W + b - Y)², for matrices drawn from `seed`."""

    make: Callable[..., Any]  # parameters (or groups of them) -> optimizer
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.Generator(np.random.PCG64(self.seed))
        self.X, self.Y = Tensor(rng.standard_normal((12, 3))), Tensor(rng.standard_normal((12, 2)))
        self.start = rng.standard_normal((3, 2)), rng.standard_normal(2)

    def parameters(self) -> list[Parameter]:
        """Fresh W and b."""
        return [Parameter(p.copy()) for p in self.start]

    def optimizer(self, parameters: Any) -> Any:
        """A fresh optimizer of them."""
        return self.make(parameters, **self.options)

    def closure(self, parameters: Sequence[Parameter]) -> Callable[[], Tensor]:
        """What an optimizer may call: clear the gradients, compute them anew, return the loss."""
        W, b = parameters

        def closure() -> Tensor:
            with enable_grad():
                for p in parameters:
                    p.grad = None
                error = self.X @ W + b - self.Y
                loss = (error * error).mean()
                loss.backward()
            return loss

        return closure

    def run(self, optimizer: Any, parameters: Sequence[Parameter], steps: int = STEPS) -> list[Array]:
        """Where some steps lead."""
        for _ in range(steps):
            optimizer.step(self.closure(parameters))
        return [np.array(p.array) for p in parameters]


def it_descends(problem: Problem) -> None:
    """300 steps bring the loss at least a tenth of the way down to its minimum."""
    parameters = problem.parameters()
    before = problem.closure(parameters)().item()
    A = np.concatenate([problem.X.array, np.ones((12, 1))], 1)
    least = np.square(A @ np.linalg.lstsq(A, problem.Y.array)[0] - problem.Y.array).mean()
    problem.run(problem.optimizer(parameters), parameters, 300)
    after = problem.closure(parameters)().item()
    if not after - least < 0.9 * (before - least):
        raise Differs(f"the loss went from {before:.6g} to {after:.6g}; its minimum is {least:.6g}")


def a_resumed_run_is_the_same_run(problem: Problem) -> None:
    """A new optimizer that loads the state_dict half-way goes on to the last bit as the old one."""
    through = problem.parameters()
    wanted = problem.run(problem.optimizer(through), through, 2 * STEPS)
    half = problem.parameters()
    first = problem.optimizer(half)
    problem.run(first, half)
    second = problem.optimizer(half)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for name, got, want in zip("Wb", problem.run(second, half), wanted):
        same(f"{name}, of the resumed run,", got, want, exact=True)


def groups_are_independent(problem: Problem) -> str | None:
    """Two groups with the same options go the way of one group; with options of their own, of two
    optimizers.
    """
    one, two = problem.parameters(), problem.parameters()
    try:
        grouped = problem.optimizer([{"params": [two[0]]}, {"params": [two[1]]}])
    except (ValueError, NotImplementedError) as error:
        return f"no groups: {error}"
    wanted = problem.run(problem.optimizer(one), one)
    for name, got, want in zip("Wb", problem.run(grouped, two), wanted):
        same(f"{name}, in a group of its own,", got, want, exact=True)
    _own_options(problem, getattr(grouped, "defaults", {}).get("lr"))
    return None


def _own_options(problem: Problem, lr: Any) -> None:
    """Half the learning rate for b: in a group, and in an optimizer of its own."""
    if not isinstance(lr, (int, float)):
        return
    slow = {"lr": lr / 2}
    one, two = problem.parameters(), problem.parameters()
    apart = [problem.optimizer([one[0]]), problem.optimizer([{"params": [one[1]], **slow}])]
    grouped = [problem.optimizer([{"params": [two[0]]}, {"params": [two[1]], **slow}])]
    full = problem.parameters()
    problem.run(problem.optimizer(full), full)
    for parameters, optimizers in ((one, apart), (two, grouped)):
        for _ in range(STEPS):
            problem.closure(parameters)()
            for optimizer in optimizers:
                optimizer.step()
    for name, got, want in zip("Wb", two, one):
        same(f"{name}, in a group with half the learning rate for b,", got, want, exact=True)
    if np.array_equal(two[1].array, full[1].array):
        raise Differs("b, in a group with half the learning rate, goes the way of the full one")


def what_has_no_gradient_stays(problem: Problem) -> None:
    """A parameter without a gradient is left alone, and changes nothing for the others."""
    parameters, idle = problem.parameters(), Parameter(np.ones(3))
    alone = problem.parameters()
    wanted = problem.run(problem.optimizer(alone), alone)
    for name, got, want in zip("Wb", problem.run(problem.optimizer([*parameters, idle]), parameters), wanted):
        same(f"{name}, beside a parameter without a gradient,", got, want)
    same("the parameter without a gradient", idle, np.ones(3), exact=True)


def it_writes_parameters_in_place(problem: Problem) -> None:
    """A step writes into the parameters' own memory and not into their gradients; it returns the
    closure's first loss.
    """
    parameters = problem.parameters()
    arrays, views = [p.array for p in parameters], [p.detach() for p in parameters]
    optimizer, closure = problem.optimizer(parameters), problem.closure(parameters)
    losses, last = [], list[Array]()

    def watched() -> Tensor:
        losses.append(closure())
        last[:] = [np.array(p.grad.array) for p in parameters if p.grad is not None]
        return losses[-1]

    returned = optimizer.step(watched)
    for name, p, array, view, g in zip("Wb", parameters, arrays, views, last):
        if p.array is not array or not np.array_equal(view.array, p.array):
            raise Differs(f"{name} has moved to other memory")
        if p.grad is None or np.shares_memory(p.grad.array, p.array):
            raise Differs(f"the gradient of {name} is gone, or has become its memory")
        same(f"the gradient of {name}, after the step,", p.grad, g, exact=True)
    same("what step returns", float(returned), float(losses[0]), exact=True)


def an_old_graph_refuses_to_run(problem: Problem) -> None:
    """backward through a graph made before a step is an error, not a wrong gradient."""
    parameters = problem.parameters()
    optimizer = problem.optimizer(parameters)
    stale = (parameters[0] * parameters[0]).sum()
    before = np.array(parameters[0].array)
    optimizer.step(problem.closure(parameters))
    if np.array_equal(before, parameters[0].array):
        raise Differs("the first step changed nothing")
    try:
        stale.backward()
    except RuntimeError:
        return
    raise Differs("a graph that still needed the old values ran on the new ones")


def zero_grad_clears(problem: Problem) -> None:
    """zero_grad removes every gradient."""
    parameters = problem.parameters()
    optimizer = problem.optimizer(parameters)
    problem.closure(parameters)()
    optimizer.zero_grad()
    for name, p in zip("Wb", parameters):
        if p.grad is not None and p.grad.array.any():
            raise Differs(f"the gradient of {name} is still there")


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        it_descends,
        a_resumed_run_is_the_same_run,
        groups_are_independent,
        what_has_no_gradient_stays,
        it_writes_parameters_in_place,
        an_old_graph_refuses_to_run,
        zero_grad_clears,
    )
}


def check_optimizer(
    make: Callable[..., Any],
    *,
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    seed: int = 0,
    **options: Any,
) -> Verdict:
    """Try every law of optimizers on `make(parameters, **options)`; LawBroken names those that it breaks.

    `laws` and `skip` are names of those to try, and not to; the problem follows from `seed`.

    >>> import tinygrad_rnn as tg
    >>> print(check_optimizer(tg.optim.Adam, lr=0.05, laws=["it_descends"]))
    it_descends  held
    """
    tried = chosen("check_optimizer", LAWS, laws, skip)
    more = "".join(f", {k}={v!r}" for k, v in options.items())

    def again(names: list[str], problem: Problem) -> str:
        return f"check_optimizer({name_of(make)}, laws={names!r}, seed={seed}{more})"

    return judge(tried, [Problem(make, options, seed)], name_of(make), again)
