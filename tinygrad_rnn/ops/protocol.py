"""NumPy's protocols: `np.tanh(t)`, `array * t` and `np.concatenate([t, u])` give differentiable tensors.

This is also what lets a rule, written with NumPy, run on tensors. What has no entry here is a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor, method
from . import create, elementwise, index, inputs, linalg, reduce, shape

Table = dict[Any, Callable[..., Any]]

SAME_NAME = """
    add exp expm1 log log1p log2 sqrt square reciprocal sin cos tanh sign floor ceil maximum minimum logaddexp remainder
    logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_xor isnan isinf isfinite
"""
OTHER_NAME = {
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "negative": "neg",
    "absolute": "abs",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
    "invert": "bitwise_not",
}
UFUNCS: Table = {
    getattr(np, theirs): getattr(elementwise, ours)
    for theirs, ours in {**{name: name for name in SAME_NAME.split()}, **OTHER_NAME}.items()
}
UFUNCS[np.matmul] = linalg.matmul
UFUNCS[np.floor_divide] = Tensor.floor_divide
UFUNCS[np.positive] = lambda x: x


def _expand_dims(a: Tensor, axis: Any) -> Tensor:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = a.ndim + len(axes)
    for i in sorted(i % rank for i in axes):
        a = shape.unsqueeze(a, i)
    return a


def _flat(operation: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's axis=None: of the flattened array."""
    return lambda a, *args, axis=None: operation(a.ravel() if axis is None else a, *args, dim=axis or 0)


# fmt: off
FUNCTIONS: Table = {
    np.sum: reduce.sum, np.mean: reduce.mean, np.prod: reduce.prod, np.max: reduce.amax, np.min: reduce.amin,
    np.all: reduce.all, np.any: reduce.any, np.argmax: reduce.argmax, np.argmin: reduce.argmin,
    np.var: lambda a, axis=None, ddof=0, keepdims=False: reduce.var(a, axis, keepdim=keepdims, correction=ddof),
    np.std: lambda a, axis=None, ddof=0, keepdims=False: reduce.std(a, axis, keepdim=keepdims, correction=ddof),
    np.linalg.norm: lambda x, ord=None, axis=None, keepdims=False: reduce.norm(x, ord or 2, axis, keepdims),
    np.cumsum: lambda a, axis=None: reduce.cumsum(a.ravel() if axis is None else a, axis or 0),
    np.cumprod: lambda a, axis=None: reduce.cumprod(a.ravel() if axis is None else a, axis or 0),
    np.sort: lambda a, axis=-1: reduce.sort(a, axis).values, np.argsort: reduce.argsort,
    np.where: elementwise.where, np.clip: elementwise.clamp,
    np.allclose: elementwise.allclose, np.array_equal: elementwise.equal,
    np.reshape: shape.reshape, np.ravel: shape.ravel, np.expand_dims: _expand_dims, np.squeeze: shape.squeeze,
    np.transpose: lambda a, axes=None: shape.permute(a, range(a.ndim)[::-1] if axes is None else axes),
    np.swapaxes: shape.transpose, np.moveaxis: shape.movedim, np.broadcast_to: shape.broadcast_to,
    np.flip: lambda m, axis=None: shape.flip(m, tuple(range(m.ndim)) if axis is None else axis),
    np.roll: lambda a, shift, axis=None: shape.roll(a, shift, axis),
    np.tile: shape.tile, np.repeat: lambda a, repeats, axis=None: shape.repeat_interleave(a, repeats, axis),
    np.concatenate: shape.cat, np.stack: shape.stack, np.vstack: shape.vstack, np.hstack: shape.hstack,
    np.split: lambda ary, parts, axis=0: shape.split(ary, ary.shape[axis] // parts, axis),
    np.tril: shape.tril, np.triu: shape.triu, np.diagonal: shape.diagonal,
    np.take: lambda a, indices, axis=None: index.index_select(a.ravel() if axis is None else a, axis or 0, indices),
    np.take_along_axis: index.take_along_dim,
    np.einsum: linalg.einsum, np.tensordot: lambda a, b, axes=2: linalg.tensordot(a, b, axes), np.inner: linalg.inner,
    np.outer: linalg.outer, np.trace: linalg.trace,
    np.dot: lambda a, b: linalg.matmul(a, b) if b.ndim < 3 else linalg.tensordot(a, b, ([-1], [-2])),
    np.zeros_like: create.zeros_like, np.ones_like: create.ones_like, np.copy: inputs.clone,
    np.shape: lambda a: a.shape, np.ndim: lambda a: a.ndim, np.size: lambda a: a.numel(),
}
# fmt: on


def _supported(table: Table, function: Any, name: str) -> Callable[..., Any]:
    if function not in table:
        raise TypeError(
            f"{name} has no rule for tensors; compose it of tinygrad_rnn operations, "
            "or use t.detach().numpy() if no gradient is needed"
        )
    return table[function]


@method()
def __array_ufunc__(self: Tensor, ufunc: Any, kind: str, *inputs: Any, **kwargs: Any) -> Any:
    if kind == "reduce" and ufunc is np.add:
        return reduce.sum(inputs[0], kwargs.get("axis", 0), kwargs.get("keepdims", False))
    if kind != "__call__" or kwargs:
        more = ", ".join(kwargs)
        raise TypeError(
            f"np.{ufunc.__name__}: on tensors only the plain call is supported, not {kind} {more}"
        )
    return _supported(UFUNCS, ufunc, f"np.{ufunc.__name__}")(*inputs)


@method()
def __array_function__(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _supported(FUNCTIONS, function, f"np.{function.__name__}")(*args, **kwargs)
