"""Gradients against two oracles that know nothing of backward: the complex step and central differences.

Central differences always decide; the complex step, wherever the function is analytic, decides to 1e-12.
Read `probe.py` (a function without a trace), `differences.py` (the oracles), `examine.py` (the comparison).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..nn.module import Module
from .blame import culprit
from .examine import Options, examine
from .probe import Probe
from .report import Checked, wrong_gradient
from .second import gradient_of

Parameters = Module | Mapping[str, Tensor] | Sequence[Tensor] | None


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    parameters: Parameters = None,
    raise_exception: bool = True,
    **options: Any,
) -> Checked:
    """Compare the gradients of `fn(*inputs)` with its derivatives; a WrongGradient if they differ.

    Checked are the float64 tensors that require a gradient among `inputs` (nested ones too) and among
    `parameters`: what fn reads without being given it, a module or tensors. An argument, or all outputs
    together, of at most `limit` (48) numbers are looked at entry by entry; larger ones along `directions`
    (3) random directions, drawn from `seed`.

    Backward may differ from central differences by their own error plus `atol` (1e-8, times the largest
    number of that output) plus `rtol` (1e-6) relatively; from the complex step by `exact` (1e-12) of the
    largest derivative of that output by the same tensor plus a hundredth of the output, and by what a change
    of the inputs' last bits does to it, if that is more. Where the complex step is of no use (an operation
    refuses complex numbers, or is not analytic, and so contradicts the differences) the result says so.
    Entries with a kink inside the step are left out and listed in the result, which is false if of some
    argument nothing else is left, but zeros: `assert gradcheck(...)` notices that too.

    >>> import tinygrad_rnn as tg
    >>> x = tg.tensor([0.3, -1.2], dtype=tg.float64, requires_grad=True)
    >>> gradcheck(tg.tanh, [x]).oracles
    ('complex step', 'central differences')
    """
    with opened("gradcheck", fn, inputs, parameters) as probe:
        result = examine(probe, _chosen("gradcheck", options))
        if result.wrong and raise_exception:
            raise wrong_gradient("gradcheck", probe, result, culprit(probe), parameters, options)
    return result


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    parameters: Parameters = None,
    raise_exception: bool = True,
    **options: Any,
) -> Checked:
    """`gradcheck` of the gradient of `fn(*inputs)`: second derivatives.

    The gradient is that of Σ v · outputs, for random factors v that are checked along with the inputs.
    """
    chosen = _chosen("gradgradcheck", options)
    with opened("gradgradcheck", fn, inputs, parameters) as probe, gradient_of(probe, chosen.seed) as slopes:
        result = examine(slopes, chosen)
        if result.wrong and raise_exception:
            blamed = culprit(probe, second=True)
            raise wrong_gradient("gradgradcheck", probe, result, blamed, parameters, options)
    return result


def _chosen(what: str, options: Mapping[str, Any]) -> Options:
    """The options; an error that names those there are."""
    unknown = ", ".join(name for name in options if name not in Options._fields)
    if unknown:
        raise TypeError(
            f"{what}: there is no option {unknown}; the options are {', '.join(Options._fields)} "
            "(steps follow from the values)"
        )
    return Options(**options)


def opened(what: str, fn: Callable[..., Any], inputs: Any, parameters: Parameters) -> Probe:
    """A probe of `fn`, whose leaves are the tensors that require a gradient; errors for those that
    cannot be checked.
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    module = fn if parameters is None and isinstance(fn, Module) else parameters
    named = [*_named(fn, given), *_named_parameters(module)]
    leaves = {
        name: t
        for k, (name, t) in enumerate(named)
        if t.requires_grad and all(t is not u for _, u in named[:k])
    }
    if not leaves:
        raise ValueError(f"{what}: no input requires a gradient; pass tensors made with requires_grad=True")
    for name, t in leaves.items():
        if t.dtype != np.float64:
            raise TypeError(
                f"{what}: {name} is {t.dtype}, differences need float64; pass x.double(), use module.double()"
            )
        if not t.is_leaf:
            raise ValueError(f"{what}: {name} has a history; pass x.detach().requires_grad_()")
    return Probe(fn, given, leaves, list(module.buffers()) if isinstance(module, Module) else ())


def _named(fn: Callable[..., Any], inputs: Sequence[Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors among the inputs, under the names that the signature of `fn` gives them."""
    try:
        called = inspect.signature(fn).parameters.values()
        names = [p.name for p in called if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        names = []
    for i, x in enumerate(inputs):
        yield from _inside(names[i] if i < len(names) else f"inputs[{i}]", x)


def _inside(name: str, x: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(x, Tensor):
        yield name, x
    elif isinstance(x, (tuple, list, Mapping)):
        for key, part in x.items() if isinstance(x, Mapping) else enumerate(x):
            yield from _inside(f"{name}[{key!r}]", part)


def _named_parameters(parameters: Parameters) -> Iterator[tuple[str, Tensor]]:
    if isinstance(parameters, Module):
        yield from parameters.named_parameters()
    elif isinstance(parameters, Mapping):
        yield from parameters.items()
    else:
        yield from ((f"parameters[{i}]", p) for i, p in enumerate(parameters or ()))
