"""Derivatives of functions: vjp, jvp, jacobian, hessian, hvp.

Each takes `func` and its `inputs` (a tensor or a tuple of tensors) and has PyTorch's signature.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .engine import grad
from .gradmode import enable_grad

Func = Callable[..., Any]


def vjp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and vᵀ J, J being the Jacobian; `v` has the output's form (optional for a scalar)."""
    with enable_grad():
        xs = _fresh(inputs, create_graph)
        ys = func(*xs)
        shares = _grads("vjp", _tuple(ys), xs, None if v is None else _tuple(v), create_graph, strict)
    return _result(ys, ys, create_graph), _result(shares, inputs, create_graph)


def jvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and J v; `v` has the inputs' form. Two reverse passes: J v = d(uᵀ J v)/du, for any u."""
    with enable_grad():
        xs = _fresh(inputs, create_graph)
        ys = func(*xs)
        us = [_leaf(np.zeros_like(y.array)) for y in _tuple(ys)]
        shares = _grads("jvp", _tuple(ys), xs, us, True, strict)
        vs = [Tensor(np.ones_like(x.array)) for x in xs] if v is None else _tuple(v)
        products = _grads(
            "jvp",
            [s for s in shares if s.requires_grad],
            us,
            [w for w, s in zip(vs, shares) if s.requires_grad],
            create_graph,
            False,
        )
    return _result(ys, ys, create_graph), _result(products, ys, create_graph)


def jacobian(func: Func, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """d func / d inputs: S + R for output shape S and input shape R (tuples of them, as the forms are)."""
    with enable_grad():
        xs = _fresh(inputs, create_graph)
        ys = func(*xs)
        rows = tuple(_blocks(y, xs, create_graph, strict) for y in _tuple(ys))
    rows = tuple(_result(blocks, inputs, create_graph) for blocks in rows)
    return rows if isinstance(ys, tuple) else rows[0]


def hessian(func: Func, inputs: Any, create_graph: bool = False, strict: bool = False) -> Any:
    """d² func / d inputs², for a scalar function: shape R + R (a tuple of tuples for a tuple of inputs)."""

    def slope(*xs: Tensor) -> Any:
        y = func(*xs)
        if not isinstance(y, Tensor) or y.numel() != 1:
            raise RuntimeError("hessian: func must return one number")
        shares = _grads("hessian", [y.reshape(())], xs, None, True, strict)
        return tuple(shares) if isinstance(inputs, tuple) else shares[0]

    return jacobian(slope, inputs, create_graph)


def hvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """func(inputs) and H v, H being the Hessian of the scalar `func`; `v` has the inputs' form."""
    with enable_grad():
        xs = _fresh(inputs, create_graph)
        y = func(*xs)
        slopes = _grads("hvp", [y], xs, None, True, strict)
        vs = [Tensor(np.ones_like(x.array)) for x in xs] if v is None else _tuple(v)
        live = [(s, w) for s, w in zip(slopes, vs) if s.requires_grad]
        products = _grads("hvp", [s for s, _ in live], xs, [w for _, w in live], create_graph, strict)
    return _result(y, y, create_graph), _result(products, inputs, create_graph)


def _tuple(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else tuple(x) if isinstance(x, list) else (x,)


def _leaf(array: Any) -> Tensor:
    return Tensor(array).requires_grad_()


def _fresh(inputs: Any, create_graph: bool) -> list[Tensor]:
    """Tensors to differentiate by: in the caller's graph only if that is to be differentiated further."""
    return [x.view_as(x) if create_graph and x.requires_grad else _leaf(x.array) for x in _tuple(inputs)]


def _grads(what: str, ys: Any, xs: Any, vs: Any, create: bool, strict: bool) -> list[Tensor]:
    pairs = [(y, v) for y, v in zip(ys, vs or [None] * len(ys)) if y.requires_grad]
    if not pairs:
        shares: Any = [None] * len(xs)
    else:
        given = [v for _, v in pairs]
        shares = grad(
            [y for y, _ in pairs], xs, given, retain_graph=True, create_graph=create, allow_unused=True
        )
    if strict and any(s is None for s in shares):
        raise RuntimeError(f"{what}: strict=True, and the result does not depend on every input")
    return [Tensor(np.zeros_like(x.array)) if s is None else s for s, x in zip(shares, xs)]


def _blocks(y: Tensor, xs: list[Tensor], create: bool, strict: bool) -> list[Tensor]:
    """dy/dx for each x, one reverse pass for each element of y."""
    rows = []
    for k in range(y.numel()):
        unit = np.zeros(y.numel(), y.dtype)
        unit[k] = 1
        rows.append(_grads("jacobian", [y], xs, [Tensor(unit.reshape(y.shape))], create, strict))
    if not rows:
        return [Tensor(np.zeros(y.shape + x.shape, y.dtype)) for x in xs]
    return [np.reshape(np.stack([row[i] for row in rows]), y.shape + x.shape) for i, x in enumerate(xs)]


def _result(values: Any, form: Any, create_graph: bool) -> Any:
    """`values` in the form of `form`: a tuple or one tensor, cut off from the graph unless it is wanted."""
    values = tuple(x if create_graph else x.detach() for x in _tuple(values))
    return values if isinstance(form, tuple) else values[0]
