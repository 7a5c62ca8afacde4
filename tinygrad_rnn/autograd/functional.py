"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp.

Each takes `func` and its `inputs` (a tensor or a tuple of tensors) and has PyTorch's signature. With
`strict`, a result that does not depend on an input is an error instead of zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from .gradients import grad
from .gradmode import enable_grad

Func = Callable[..., Any]


def vjp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and vᵀ J, J being the Jacobian; `v` has the output's form (optional for one number)."""
    with enable_grad():
        xs = _fresh("vjp", inputs, create_graph)
        ys = func(*xs)
        vs = _vector("vjp", v, _tuple("vjp", ys))
        vjps = _grads("vjp", _tuple("vjp", ys), xs, vs, create_graph, strict)
    return _result(ys, ys, create_graph), _result(vjps, inputs, create_graph)


def jvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and J v; `v` has the inputs' form (optional for one number).

    Two reverse passes: J v = d(uᵀ J v)/du, for any u.
    """
    with enable_grad():
        xs = _fresh("jvp", inputs, create_graph)
        vs = _vector("jvp", v, xs)
        ys = func(*xs)
        us = [_leaf(np.zeros_like(y.array)) for y in _tuple("jvp", ys)]
        vjps = _grads("jvp", _tuple("jvp", ys), xs, us, True, strict)
        products = _grads("jvp", vjps, us, vs, create_graph, False)
    return _result(ys, ys, create_graph), _result(products, ys, create_graph)


def jacobian(
    func: Func,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """d func / d inputs: S + R for output shape S and input shape R (tuples of them, as the forms are)."""
    if vectorize or strategy != "reverse-mode":
        raise NotImplementedError("jacobian: vectorize and strategy='forward-mode' are not supported")
    with enable_grad():
        xs = _fresh("jacobian", inputs, create_graph)
        ys = func(*xs)
        rows = tuple(_blocks(y, xs, create_graph, strict) for y in _tuple("jacobian", ys))
    rows = tuple(_result(blocks, inputs, create_graph) for blocks in rows)
    return rows if isinstance(ys, tuple) else rows[0]


def hessian(
    func: Func, inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False
) -> Any:
    """d² func / d inputs², for a scalar function: shape R + R (a tuple of tuples for a tuple of inputs)."""

    def slope(*xs: Tensor) -> Any:
        return _result(_slopes("hessian", func, xs, strict)[1], inputs, True)

    return jacobian(slope, inputs, create_graph, strict, vectorize)


def hvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and H v, H being the Hessian of the scalar `func`; `v` has the inputs' form."""
    with enable_grad():
        xs = _fresh("hvp", inputs, create_graph)
        vs = _vector("hvp", v, xs)
        y, slopes = _slopes("hvp", func, xs, strict)
        products = _grads("hvp", slopes, xs, vs, create_graph, strict)
    return _result(y, y, create_graph), _result(products, inputs, create_graph)


def _tuple(what: str, x: Any) -> tuple[Tensor, ...]:
    xs = x if isinstance(x, tuple) else (x,)
    for each in xs:
        if not isinstance(each, Tensor):
            kind = type(each).__name__
            raise TypeError(f"{what}: inputs, v and outputs are a tensor or a tuple of tensors, not {kind}")
    return xs


def _vector(what: str, v: Any, form: Any) -> list[Tensor]:
    """`v` as a list of tensors shaped like those of `form`; a 1 if that is one number."""
    if v is None:
        if len(form) != 1 or form[0].numel() != 1:
            raise RuntimeError(f"{what}: v can only be left out for a single tensor with a single element")
        return [Tensor(np.ones_like(form[0].array))]
    vs = _tuple(what, v)
    if [x.shape for x in vs] != [x.shape for x in form]:
        raise RuntimeError(f"{what}: v has shapes {[x.shape for x in vs]}, not {[x.shape for x in form]}")
    return list(vs)


def _leaf(array: Any) -> Tensor:
    return Tensor(array).requires_grad_()


def _fresh(what: str, inputs: Any, create_graph: bool) -> list[Tensor]:
    """Tensors to differentiate by: in the caller's graph only if that is to be differentiated further."""
    return [
        x.view_as(x) if create_graph and x.requires_grad else _leaf(x.array) for x in _tuple(what, inputs)
    ]


def _slopes(what: str, func: Func, xs: Any, strict: bool) -> tuple[Tensor, list[Tensor]]:
    """The one number that `func` returns, and its recorded gradients."""
    y = func(*xs)
    if not isinstance(y, Tensor) or y.numel() != 1:
        raise RuntimeError(f"{what}: func must return a tensor with a single element")
    slopes = _grads(what, [y], xs, [Tensor(np.ones_like(y.array))], True, strict)
    if strict and not all(s.requires_grad for s in slopes):
        raise RuntimeError(f"{what}: strict=True, and the gradient does not depend on the inputs")
    return y, slopes


def _grads(what: str, ys: Any, xs: Any, vs: Any, create: bool, strict: bool) -> list[Tensor]:
    """Σ vᵀ dy/dx for each x, zeros where nothing depends on it."""
    live = [(y, v) for y, v in zip(ys, vs) if y.requires_grad]
    vjps: Any = [None] * len(xs)
    if live:
        roots, factors = zip(*live)
        vjps = grad(roots, xs, factors, retain_graph=True, create_graph=create, allow_unused=True)
    if strict and any(s is None for s in vjps):
        raise RuntimeError(f"{what}: strict=True, and the result does not depend on every input")
    return [Tensor(np.zeros_like(x.array)) if s is None else s for s, x in zip(vjps, xs)]


def _blocks(y: Tensor, xs: list[Tensor], create: bool, strict: bool) -> list[Any]:
    """dy/dx for each x, one reverse pass for each element of y."""
    rows = []
    for k in range(y.numel()):
        unit = np.zeros(y.numel(), y.dtype)
        unit[k] = 1
        rows.append(_grads("jacobian", [y], xs, [Tensor(unit.reshape(y.shape))], create, strict))
    if not rows:
        return [Tensor(np.zeros(y.shape + x.shape, y.dtype)) for x in xs]
    stacks: list[Any] = [np.stack([row[i] for row in rows]) for i in range(len(xs))]
    return [stack.reshape(y.shape + x.shape) for stack, x in zip(stacks, xs)]


def _result(values: Any, form: Any, create_graph: bool) -> Any:
    """`values` in the form of `form`: a tuple or one tensor, cut off from the graph unless it is wanted."""
    values = values if isinstance(values, (tuple, list)) else [values]
    values = tuple(x if create_graph else x.detach() for x in values)
    return values if isinstance(form, tuple) else values[0]
