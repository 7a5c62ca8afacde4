"""`check_op`: the laws of an operation on tensors, with NumPy for a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ...autograd import grad, no_grad
from ...engine.tensor import Array, Tensor
from ..examine import Options
from ..gradcheck import gradcheck, gradgradcheck
from ..probe import name_of, tensors_in
from ..report import Checked, code
from .arguments import arrays_of, each_argument, named_tensors, options_told, spelled
from .case import leaf
from .law import Differs, Law, Verdict, chosen, judge, same

CLOSENESS = Options()  # the defaults of gradcheck
CANCELLED = 8 * float(np.finfo(np.float32).eps)  # what is left, in float32, of a few terms of order 1


@dataclass
class OpCase:
    """An operation, what it should be, and arguments for it; their float64 arrays are differentiated."""

    fn: Callable[..., Any]
    reference: Callable[..., Any]
    arrays: Sequence[Any]
    rtol: float = 1e-4
    closeness: Mapping[str, Any] = field(default_factory=dict)  # options of gradcheck

    def inputs(self, dtype: Any = np.float64) -> list[Any]:
        """Fresh tensors: leaves for float64 arrays (in `dtype`), constants for other arrays; the rest
        as it is.
        """

        def made(_: str, x: Any) -> Any:
            if not isinstance(x, np.ndarray):
                return x
            return leaf(x.astype(dtype)) if x.dtype == np.float64 else Tensor(x)

        return each_argument(made, self.arrays)

    def rounded(self) -> OpCase:
        """The same with numbers that float32 holds: so that rounding them changes none."""

        def held(_: str, x: Any) -> Any:
            if not (isinstance(x, np.ndarray) and x.dtype == np.float64):
                return x
            with np.errstate(over="ignore", under="ignore"):
                return x.astype(np.float32).astype(np.float64)

        return replace(self, arrays=each_argument(held, self.arrays))

    def expected(self) -> list[Array]:
        """What the reference gives."""
        found = self.reference(*self.arrays)
        return [np.asarray(y) for y in (found if isinstance(found, (tuple, list)) else [found])]

    def pulled(self, inputs: list[Any]) -> tuple[list[Tensor], list[Array | None]]:
        """Outputs, and the gradients of Σ cos(k)·outputs for each leaf, k numbering them."""
        ys = tensors_in(self.fn(*inputs))
        leaves = [x for x in tensors_in(inputs) if x.requires_grad]
        live = [y for y in ys if y.requires_grad]
        seeds = [Tensor(np.cos(np.arange(y.numel())).reshape(y.shape)) for y in live]
        found = grad(live, leaves, seeds, allow_unused=True) if live and leaves else [None] * len(leaves)
        return ys, [None if g is None else g.array for g in found]


def values_are_the_references(case: OpCase) -> None:
    """The operation gives what the reference gives on arrays."""
    ys, wanted = tensors_in(case.fn(*case.inputs())), case.expected()
    for k, (y, want) in _paired("beside the reference", ys, wanted):
        same(f"output {k}", y, want)


def backward_is_the_derivative(case: OpCase) -> str | None:
    """Reverse mode = complex step = central differences."""
    return _differentiated(gradcheck, case)


def second_derivatives(case: OpCase) -> str | None:
    """The gradient of the gradient = its complex step = its central differences."""
    return _differentiated(gradgradcheck, case)


def _differentiated(check: Callable[..., Checked], case: OpCase) -> str | None:
    inputs = case.inputs()
    if not any(x.requires_grad for x in tensors_in(inputs)):
        return "no float64 input"
    ys = tensors_in(case.fn(*inputs))
    if ys and all(y.dtype.kind not in "fc" for y in ys):
        return "no float output"
    if not any(y.requires_grad for y in ys):
        raise Differs("no output requires a gradient")
    return unchecked(check(case.fn, inputs, **case.closeness))


def unchecked(result: Checked) -> str | None:
    """Why a check that found nothing wrong is no proof of anything; None if it is."""
    if result:
        return None
    first = f", as {result.kinks[0]}" if result.kinks else ""
    return f"not checked: {result.entries} entries compared, {len(result.kinks)} at kinks{first}"


def gradients_do_not_depend_on_who_asks(case: OpCase) -> None:
    """An input's gradient is the same when it alone requires one; values are the same when none does,
    and under no_grad.
    """
    ys, together = case.pulled(case.inputs())
    places = [place for place, x in named_tensors(case.inputs()).items() if x.requires_grad]
    for place, g in zip(places, together):
        _, (alone,) = case.pulled(_detached(case.inputs(), place))
        _same_gradient(f"the gradient of {place}, asked for alone,", alone, g)
    quiet = tensors_in(case.fn(*_detached(case.inputs(), "")))
    with no_grad():
        quieter = tensors_in(case.fn(*case.inputs()))
    for what, found in (("of inputs that require no gradient", quiet), ("under no_grad", quieter)):
        for k, (got, y) in _paired(what, found, ys):
            if got.requires_grad:
                raise Differs(f"output {k} {what} requires a gradient that nobody asked for")
            same(f"output {k} {what}", got, y, exact=True)


def _detached(inputs: Sequence[Any], kept: str) -> list[Any]:
    """All tensors detached, but for the one at the place `kept`."""
    return each_argument(
        lambda place, x: x.detach() if isinstance(x, Tensor) and place != kept else x, inputs
    )


def _paired(what: str, got: Sequence[Any], want: Sequence[Any]) -> Iterator[tuple[int, tuple[Any, Any]]]:
    """The outputs numbered, in pairs; raise Differs if there are not as many."""
    if len(got) != len(want):
        raise Differs(f"{what}: {len(got)} outputs instead of {len(want)}")
    return enumerate(zip(got, want))


def _both(what: str, got: Array | None, want: Array | None) -> bool:
    """True if there are both gradients, False if there is none; raise Differs if there is one."""
    if (got is None) != (want is None):
        raise Differs(f"{what}: {'none instead of one' if got is None else 'one instead of none'}")
    return got is not None


def _same_gradient(what: str, got: Array | None, want: Array | None) -> None:
    if _both(what, got, want):
        same(what, got, want)


def memory_layout_does_not_matter(case: OpCase) -> None:
    """Inputs that lie transposed, with gaps, backwards or read-only in memory give the same values and
    gradients.
    """
    ys, gradients = case.pulled(case.inputs())
    for name, arranged in LAYOUTS.items():
        inputs = case.inputs()
        for x in tensors_in(inputs):
            x.array = arranged(x.array)
        others, moved = case.pulled(inputs)
        for k, (other, y) in _paired(f"of inputs {name} in memory", others, ys):
            same(f"output {k} of inputs {name} in memory", other, y)
        for k, (g, want) in enumerate(zip(moved, gradients)):
            _same_gradient(f"gradient {k} of inputs {name} in memory", g, want)


def _with_gaps(x: Array) -> Array:
    return np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x


def _backwards(x: Array) -> Array:
    return np.flip(np.flip(x).copy())


def _read_only(x: Array) -> Array:
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "transposed": lambda x: np.array(x, order="F"),
    "with gaps": _with_gaps,
    "backwards": _backwards,
    "read-only": _read_only,
}


def float32_stays_float32(case: OpCase) -> None:
    """float32 inputs give the outputs and gradients of the same numbers in float64, rounded, in float32."""
    case = case.rounded()
    ys, gradients = case.pulled(case.inputs())
    with np.errstate(all="ignore"):  # float32 overflows sooner
        narrow, narrow_gradients = case.pulled(case.inputs(np.float32))
    for k, (y, want) in _paired("of float32 inputs", narrow, ys):
        if y.requires_grad != want.requires_grad:
            told = "a gradient, in float64 none" if y.requires_grad else "no gradient, in float64 one"
            raise Differs(f"output {k} of float32 inputs requires {told}")
        _rounded(f"output {k}", y.array, want.array, case.rtol)
    height = max((_largest(y.array) for y in ys if y.requires_grad), default=0.0)
    leaves = [x for x in tensors_in(case.inputs()) if x.requires_grad]
    for k, (x, g, wide) in enumerate(zip(leaves, narrow_gradients, gradients)):
        width = _largest(x.array)
        terms = height / width if width else 0.0  # a gradient's terms are of this size, and may cancel
        if _both(f"gradient {k} of float32 inputs", g, wide):
            _rounded(f"gradient {k}", g, wide, case.rtol, CANCELLED * terms)


def _largest(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0))


def _rounded(what: str, got: Any, wide: Any, rtol: float, least: float = 0.0) -> None:
    """Raise Differs unless `got` is `wide`, in float32 and within `rtol` of its largest number, or within
    `least`.
    """
    dtype = np.float32 if wide.dtype == np.float64 else wide.dtype
    if got.dtype != dtype:
        raise Differs(f"{what} of float32 inputs is {got.dtype}")
    if got.shape != wide.shape:
        raise Differs(f"{what} of float32 inputs: shape {got.shape} instead of {wide.shape}")
    if dtype != np.float32:
        return
    with np.errstate(all="ignore"):
        want = wide.astype(dtype)  # infinite or zero beyond the ends of float32
        tiny = float(np.finfo(dtype).tiny)  # smaller numbers have lost digits
        allowed = max(rtol * _largest(want), least, tiny)
        if not np.allclose(got, want, rtol, allowed, equal_nan=True):
            raise Differs(f"{what}: in float32 off by {np.abs(got - want).max():.3g}")


def nothing_is_written(case: OpCase) -> None:
    """Inputs are never written, and no gradient shares memory with an input, an output or another
    gradient.
    """
    inputs = case.inputs()
    given = named_tensors(inputs)
    before = {name: np.array(x.array) for name, x in given.items()}
    ys, gradients = case.pulled(inputs)
    held = [(name, x.array) for name, x in given.items()]
    held += [(f"output {k}", y.array) for k, y in enumerate(ys)]
    for name, x in given.items():
        same(f"{name}, afterwards,", x.array, before[name], exact=True)
    for k, g in enumerate(gradients):
        for name, array in held:
            if g is not None and np.shares_memory(g, array):
                raise Differs(f"gradient {k} shares memory with {name}")
        if g is not None:
            held.append((f"gradient {k}", g))


LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        values_are_the_references,
        backward_is_the_derivative,
        second_derivatives,
        gradients_do_not_depend_on_who_asks,
        memory_layout_does_not_matter,
        float32_stays_float32,
        nothing_is_written,
    )
}


def check_op(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    *examples: Sequence[Any],
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    rtol: float = 1e-4,
    exact: float = CLOSENESS.exact,
    atol: float = CLOSENESS.atol,
    **static: Any,
) -> Verdict:
    """Try every law of operations on `fn`; LawBroken names those that it breaks, and how to see it again.

    Each of `examples` is a list of arguments: arrays, tensors and NumPy's scalars, also in nested tuples,
    lists and dictionaries, which `fn` gets as tensors, those of float64 as leaves that require a gradient,
    and `reference` as arrays; and anything else, as it is. `static` are keyword arguments for both, as they
    are. float32 results may be off by `rtol`, derivatives by what `gradcheck` calls `exact` (from the complex
    step; relative) and `atol` (from differences): larger ones for an operation that is ill-conditioned.
    `laws` and `skip` are names of those to try, and not to.

    >>> import numpy as np, tinygrad_rnn as tg
    >>> print(check_op(tg.mul, np.multiply, [np.ones((2, 3)), np.ones(3)], laws=["second_derivatives"]))
    second_derivatives  held
    """
    if not examples:
        raise ValueError("check_op: give at least one list of arguments")
    tried = chosen("check_op", LAWS, laws, skip)
    named = partial(fn, **static) if static else fn
    wanted = partial(reference, **static) if static else reference
    closeness = {"exact": exact, "atol": atol}
    cases = [OpCase(named, wanted, arrays_of("check_op", x), rtol, closeness) for x in examples]
    more = options_told(check_op, {"rtol": rtol, **closeness}, static)
    called, told = spelled(fn=fn, reference=reference)

    def again(names: list[str], case: OpCase) -> str:
        given = f"{called['fn']}, {called['reference']}, {code(case.arrays)}"
        return f"check_op({given}, laws={names!r}{more}){told}"

    return judge(tried, cases, name_of(fn), again)
