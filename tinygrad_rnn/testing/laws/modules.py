"""`check_module`: the laws of a module with parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import backward, no_grad
from ...engine.tensor import Array, Tensor
from ...nn.module import Module
from ...random import get_rng_state, set_rng_state
from ..gradcheck import gradcheck, gradgradcheck
from ..probe import name_of, tensors_in
from ..report import Checked, code
from .arguments import arrays_of, each_argument, named_tensors, options_told
from .case import leaf, scatter
from .law import Differs, Law, Verdict, chosen, judge, same
from .operations import CLOSENESS, unchecked


@dataclass
class ModuleCase:
    """A module in float64, and arguments for it, whose float64 arrays become leaves with a gradient."""

    module: Module
    arrays: Sequence[Any]
    noise: Tensor  # the state of the default generator at the start of every call
    closeness: Mapping[str, Any] = field(default_factory=dict)  # options of gradcheck

    def inputs(self) -> list[Any]:
        """Fresh arguments."""
        return each_argument(lambda _, x: leaf(x) if isinstance(x, np.ndarray) else x, self.arrays)

    def values(self, module: Module) -> list[Array]:
        """The outputs, without a graph, of a copy of a module (buffers may change in a call)."""
        set_rng_state(self.noise)
        with no_grad():
            return [np.array(y.array) for y in tensors_in(copy.deepcopy(module)(*self.inputs()))]


def backward_is_the_derivative(case: ModuleCase) -> str | None:
    """Reverse mode = complex step = central differences, for inputs and parameters, noise being frozen."""
    return _differentiated(gradcheck, case)


def second_derivatives(case: ModuleCase) -> str | None:
    """The gradient of the gradient = its complex step = its central differences."""
    return _differentiated(gradgradcheck, case, limit=16)


def _differentiated(check: Callable[..., Checked], case: ModuleCase, **options: Any) -> str | None:
    inputs = case.inputs()
    if not any(x.requires_grad for x in [*tensors_in(inputs), *case.module.parameters()]):
        return "nothing requires a gradient"
    return unchecked(check(case.module, inputs, **options, **case.closeness))


def every_parameter_matters(case: ModuleCase) -> None:
    """Every parameter that requires a gradient gets one that is not zero everywhere."""
    case.module.zero_grad()
    ys = tensors_in(case.module(*case.inputs()))
    live = [y for y in ys if y.requires_grad]
    backward(live, [Tensor(np.cos(np.arange(y.numel())).reshape(y.shape)) for y in live])
    found = {name: p.grad for name, p in case.module.named_parameters() if p.requires_grad}
    case.module.zero_grad()
    for name, g in found.items():
        if g is None or not g.array.any():
            raise Differs(f"the gradient of {name} is {'missing' if g is None else 'zero everywhere'}")


def evaluation_is_deterministic(case: ModuleCase) -> None:
    """In evaluation mode a call draws no random number and changes no buffer, and a second one gives
    the same.
    """
    module = copy.deepcopy(case.module).eval()
    buffers, noise = _values(module.named_buffers()), get_rng_state()
    with no_grad():
        first, second = (tensors_in(module(*case.inputs())) for _ in range(2))
    same("the state of the default generator", get_rng_state(), noise, exact=True)
    for k, (a, b) in enumerate(zip(first, second)):
        same(f"output {k} of the second call", b, a, exact=True)
    for name, b in module.named_buffers():
        same(f"the buffer {name}, after two calls,", b, buffers[name], exact=True)


def inputs_are_never_written(case: ModuleCase) -> None:
    """A call writes neither into its arguments nor into parameters."""
    inputs = case.inputs()
    held = {**named_tensors(inputs), **dict(case.module.named_parameters())}
    before = _values(held.items())
    with no_grad():
        case.module(*inputs)
    for name, t in held.items():
        same(f"{name}, after a call,", t, before[name], exact=True)


def the_state_is_everything(case: ModuleCase) -> None:
    """A module of another history that loads the state_dict gives the same outputs."""
    other = copy.deepcopy(case.module)
    scatter(other, np.random.Generator(np.random.PCG64(1)))
    with no_grad():
        other(*case.inputs())
    other.load_state_dict(case.module.state_dict())
    for k, (got, want) in enumerate(zip(case.values(other), case.values(case.module))):
        same(f"output {k} after load_state_dict", got, want, exact=True)


def a_copy_is_independent(case: ModuleCase) -> None:
    """A deep copy gives the same outputs, and changing it changes nothing in the original."""
    before, other = case.values(case.module), copy.deepcopy(case.module)
    for k, (got, want) in enumerate(zip(case.values(other), before)):
        same(f"output {k} of a deep copy", got, want, exact=True)
    for t in [*other.parameters(), *other.buffers()]:
        t.array[...] = 7
    for k, (got, want) in enumerate(zip(case.values(case.module), before)):
        same(f"output {k}, after a copy was changed,", got, want, exact=True)


def _values(named: Any) -> dict[str, Array]:
    return {name: np.array(t.array) for name, t in named}


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        backward_is_the_derivative,
        second_derivatives,
        every_parameter_matters,
        evaluation_is_deterministic,
        inputs_are_never_written,
        the_state_is_everything,
        a_copy_is_independent,
    )
}


def check_module(
    module: Module,
    *examples: Sequence[Any],
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    seed: int = 0,
    exact: float = CLOSENESS.exact,
    rtol: float = CLOSENESS.rtol,
    atol: float = CLOSENESS.atol,
) -> Verdict:
    """Try every law of modules on a copy of `module` in float64; LawBroken names those that it breaks.

    Each of `examples` is a list of arguments; arrays, tensors and NumPy's scalars, also in nested tuples,
    lists and dictionaries, become tensors, those of float64 leaves that require a gradient. Parameters get
    normal noise from `seed`, so that none is zero. `exact`, `rtol` and `atol` are those of `gradcheck`:
    larger ones are for a module that is ill-conditioned. `laws` and `skip` are names of those to try, and
    not to.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> print(check_module(tg.nn.Linear(3, 2), [np.ones((4, 3))], laws=["the_state_is_everything"]))
    the_state_is_everything  held
    """
    if not isinstance(module, Module):
        raise TypeError(f"check_module: expected a Module, got {name_of(module)}")
    if not examples:
        raise ValueError("check_module: give at least one list of arguments")
    tried = chosen("check_module", LAWS, laws, skip)
    own = copy.deepcopy(module).double()
    scatter(own, np.random.Generator(np.random.PCG64(seed)))
    noise = get_rng_state()
    closeness = {"exact": exact, "rtol": rtol, "atol": atol}
    more = options_told(check_module, closeness, {"seed": seed})
    told = f"  # module: the {name_of(module)} that was given"

    def again(names: list[str], case: ModuleCase) -> str:
        return f"check_module(module, {code(case.arrays)}, laws={names!r}{more}){told}"

    cases = [ModuleCase(own, arrays_of("check_module", x), noise, closeness) for x in examples]
    return judge(tried, cases, name_of(module), again)
