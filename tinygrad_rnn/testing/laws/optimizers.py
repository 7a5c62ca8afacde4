"""`check_optimizer`: the laws of an optimizer, tried on a small least-squares problem."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import enable_grad
from ...engine.tensor import Array, Tensor
from ...nn.parameter import Parameter
from ..probe import name_of
from ..report import code
from .arguments import spelled
from .law import Differs, Law, Verdict, chosen, judge, same

STEPS = 8
SHAPES = (3, 2), (4,), ()  # of the parameters that take a reference's steps
EXACT = 1e-12  # of the largest number of a parameter: what another order of the same operations may change

Reference = Callable[..., Any]  # parameter, gradient, state, **options -> the new parameter


@dataclass
class Problem:
    """Least squares: L(W, b) = mean (X W + b - Y)², for matrices drawn from `seed`."""

    make: Callable[..., Any]  # parameters (or groups of them) -> optimizer
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    reference: Reference | None = None

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


def it_takes_the_references_steps(problem: Problem) -> str | None:
    """10 steps on random gradients of all magnitudes lead every parameter where the reference leads it."""
    if problem.reference is None:
        return "no reference given"
    rng = np.random.Generator(np.random.PCG64(problem.seed))
    wanted = [rng.standard_normal(shape) for shape in SHAPES]
    states: list[dict[str, Any]] = [{} for _ in wanted]
    parameters = [Parameter(p.copy()) for p in wanted]
    optimizer = problem.optimizer(parameters)
    for step in range(1, 11):
        gradients = [10 ** rng.uniform(-2, 2) * rng.standard_normal(shape) for shape in SHAPES]
        optimizer.step(_giving(parameters, gradients))
        for k, (p, g) in enumerate(zip(parameters, gradients)):
            wanted[k] = _reference_step(problem, wanted[k], g, states[k])
            _same_step(f"parameter {k} of shape {p.shape}, after step {step},", p.array, wanted[k])
    return None


def _giving(parameters: Sequence[Parameter], gradients: Sequence[Array]) -> Callable[[], Tensor]:
    """A closure that gives the parameters these gradients."""

    def closure() -> Tensor:
        for p, g in zip(parameters, gradients):
            p.grad = Tensor(np.array(g))
        return Tensor(np.zeros(()))

    return closure


def _reference_step(problem: Problem, parameter: Array, gradient: Array, state: dict[str, Any]) -> Array:
    assert problem.reference is not None
    found = problem.reference(parameter.copy(), np.array(gradient), state, **problem.options)
    new = np.asarray(found)
    if new.shape != parameter.shape or new.dtype != np.float64:
        raise TypeError(
            f"reference: returned {new.dtype} of shape {new.shape} for a parameter of float64 and shape "
            f"{parameter.shape}; return the new parameter"
        )
    return new


def _same_step(what: str, got: Array, want: Array) -> None:
    """Raise Differs unless two parameters are equal but for rounding."""
    with np.errstate(invalid="ignore"):
        off = float(np.nan_to_num(np.abs(got - want), nan=np.inf).max())
    if not off <= EXACT * float(np.abs(want).max()):
        raise Differs(f"{what} is off by {off:.3g}: {got.tolist()} instead of {want.tolist()}")


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
        it_takes_the_references_steps,
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
    reference: Reference | None = None,
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    seed: int = 0,
    **options: Any,
) -> Verdict:
    """Try every law of optimizers on `make(parameters, **options)`; LawBroken names those that it breaks.

    Without `reference` the formula of the update is not examined: a wrong one that descends breaks no law.
    `reference(parameter, gradient, state, **options)` returns the new parameter after one step, in plain
    NumPy: `parameter` and `gradient` are float64 arrays of one shape, of its own to change; `state` is a dict
    for each parameter, empty at the first step, in which it keeps what it needs at the next; `options` are
    those given here, without defaults. It must agree to 1e-12 of the parameter's largest number.

    `laws` and `skip` are names of those to try, and not to; the problem follows from `seed`.

    >>> import tinygrad_rnn as tg
    >>> def sgd(parameter, gradient, state, lr):
    ...     return parameter - lr * gradient
    >>> laws = ["it_descends", "it_takes_the_references_steps"]
    >>> print(check_optimizer(tg.optim.SGD, lr=0.05, reference=sgd, laws=laws))
    it_descends                    held
    it_takes_the_references_steps  held
    """
    if reference is not None and not callable(reference):
        raise TypeError(f"check_optimizer: reference={reference!r}: must be a function, or left out")
    tried = chosen("check_optimizer", LAWS, laws, skip)
    functions = {"make": make} if reference is None else {"make": make, "reference": reference}
    called, told = spelled(**functions)
    given = ", ".join([called.pop("make"), *(f"{role}={name}" for role, name in called.items())])
    more = "".join(f", {k}={code(v)}" for k, v in options.items())

    def again(names: list[str], problem: Problem) -> str:
        return f"check_optimizer({given}, laws={names!r}, seed={seed}{more}){told}"

    return judge(tried, [Problem(make, options, seed, reference)], name_of(make), again)
