"""Gradients against finite differences, with PyTorch's signatures.

Central differences: (f(x + h) - f(x - h)) / 2h = f'(x) + O(h²). They say nothing at a kink and little
in float32, so the inputs must be float64 and away from kinks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Array, Tensor
from .gradients import grad
from .gradmode import enable_grad

Func = Callable[..., Any]


class GradcheckError(RuntimeError):
    """Analytical and numerical gradients differ."""


def gradcheck(
    func: Func,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    **unsupported: Any,
) -> bool:
    """True if the gradients of `func(*inputs)` equal central differences of step `eps`.

    That is |analytical - numerical| ≤ atol + rtol |numerical| in every entry of the Jacobian, for every
    float64 input that requires a gradient. Otherwise a `GradcheckError` naming output, input, place and
    both numbers, or False without `raise_exception`. `nondet_tol` is how far two backward passes may differ.
    """
    if unsupported:
        raise NotImplementedError(f"gradcheck: not supported: {', '.join(unsupported)}")
    xs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wrong = [x for x in xs if isinstance(x, Tensor) and x.requires_grad and x.dtype != np.float64]
    if wrong:
        raise ValueError(
            f"gradcheck: inputs must be float64 for finite differences to mean anything, got {wrong[0].dtype}"
        )
    if not any(isinstance(x, Tensor) and x.requires_grad for x in xs):
        raise ValueError("gradcheck: no input requires a gradient")
    try:
        for o, y in enumerate(outputs_of(func, xs)):
            if y.dtype.kind == "f":
                _check_output(func, xs, o, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Func,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    **unsupported: Any,
) -> bool:
    """`gradcheck` of the gradients of `func`: second derivatives.

    `grad_outputs` are the factors of the outputs, checked along with the inputs; by default random ones of
    a fixed seed.
    """
    xs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    ys = [y for y in outputs_of(func, xs) if y.requires_grad]
    if grad_outputs is None:
        rng = np.random.Generator(np.random.PCG64(0))
        vs = [Tensor(rng.standard_normal(y.shape), requires_grad=True) for y in ys]
    else:
        vs = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)

    def slopes(*args: Any) -> tuple[Any, ...]:
        points, factors = args[: len(xs)], args[len(xs) :]
        wanted = [x for x in points if isinstance(x, Tensor) and x.requires_grad]
        outputs = [y for y in outputs_of(func, points) if y.requires_grad]
        found = grad(outputs, wanted, factors, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        slopes,
        [*xs, *vs],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        **unsupported,
    )


def outputs_of(func: Func, xs: Sequence[Any]) -> list[Tensor]:
    """The outputs of `func` as a list."""
    with enable_grad():
        y = func(*xs)
    ys = list(y) if isinstance(y, (tuple, list)) else [y]
    for y in ys:
        if not isinstance(y, Tensor):
            raise ValueError(f"gradcheck: func must return tensors, got {type(y).__name__}")
    return ys


def _check_output(
    func: Func, xs: list[Any], o: int, eps: float, atol: float, rtol: float, nondet_tol: float
) -> None:
    for i, x in enumerate(xs):
        if not isinstance(x, Tensor) or not x.requires_grad:
            continue
        analytical, again = _analytical(func, xs, o, x), _analytical(func, xs, o, x)
        with np.errstate(invalid="ignore"):  # ∞ - ∞
            if (np.abs(analytical - again) > nondet_tol).any():
                raise GradcheckError(f"gradcheck: two backward passes of output {o} differ for input {i}")
            numerical = _numerical(func, xs, o, x, eps)
            off = ~(np.abs(analytical - numerical) <= atol + rtol * np.abs(numerical))
        if off.any():
            row, column = np.argwhere(off)[0]
            raise GradcheckError(
                f"gradcheck: d output {o} [{row}] / d input {i} {np.unravel_index(column, x.shape)}: "
                f"backward gives {analytical[row, column]:.9g}, finite differences "
                f"{numerical[row, column]:.9g} ({off.sum()} of {off.size} entries differ)"
            )


def _analytical(func: Func, xs: list[Any], o: int, x: Tensor) -> Array:
    """The Jacobian (outputs, inputs), a backward pass for each row."""
    y = outputs_of(func, xs)[o]
    jacobian = np.zeros((y.numel(), x.numel()))
    if y.requires_grad:
        for row in range(y.numel()):
            unit = np.zeros(y.shape)
            unit.flat[row] = 1
            (g,) = grad(y, x, Tensor(unit), retain_graph=True, allow_unused=True)
            jacobian[row] = 0 if g is None else g.array.ravel()
    return jacobian


def _numerical(func: Func, xs: list[Any], o: int, x: Tensor, eps: float) -> Array:
    """The Jacobian (outputs, inputs), two evaluations for each column."""
    before, columns = x.array, []
    try:
        for column in range(before.size):
            values = []
            for h in (eps, -eps):
                x.array = before.copy()
                x.array.flat[column] += h
                values.append(outputs_of(func, xs)[o].array.ravel())
            columns.append((values[0] - values[1]) / (2 * eps))
    finally:
        x.array = before
    return np.stack(columns, 1) if columns else np.zeros((outputs_of(func, xs)[o].numel(), 0))
