"""NumPy's protocols: `np.tanh(t)`, `array * t` and `np.concatenate([t, u])` give differentiable tensors.

This is also what lets a rule, written with NumPy, run on tensors. What has no entry here is a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor, method
from . import create, elementwise, index, linalg, reduce, shape

UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: elementwise.add, np.subtract: elementwise.sub, np.multiply: elementwise.mul, np.divide: elementwise.div,
    np.power: elementwise.pow, np.remainder: elementwise.remainder, np.negative: elementwise.neg,
    np.positive: lambda x: x, np.absolute: elementwise.abs, np.exp: elementwise.exp, np.expm1: elementwise.expm1,
    np.log: elementwise.log, np.log1p: elementwise.log1p, np.log2: elementwise.log2, np.sqrt: elementwise.sqrt,
    np.square: elementwise.square, np.reciprocal: elementwise.reciprocal, np.sin: elementwise.sin,
    np.cos: elementwise.cos, np.tanh: elementwise.tanh, np.sign: elementwise.sign, np.floor: elementwise.floor,
    np.ceil: elementwise.ceil, np.maximum: elementwise.maximum, np.minimum: elementwise.minimum,
    np.logaddexp: elementwise.logaddexp, np.matmul: linalg.matmul, np.equal: elementwise.eq,
    np.not_equal: elementwise.ne, np.less: elementwise.lt, np.less_equal: elementwise.le, np.greater: elementwise.gt,
    np.greater_equal: elementwise.ge, np.logical_and: elementwise.logical_and, np.logical_or: elementwise.logical_or,
    np.logical_not: elementwise.logical_not, np.bitwise_and: elementwise.bitwise_and,
    np.bitwise_or: elementwise.bitwise_or, np.invert: elementwise.bitwise_not, np.isnan: elementwise.isnan,
    np.isinf: elementwise.isinf, np.isfinite: elementwise.isfinite,
    np.floor_divide: lambda a, b: elementwise.div(a, b, rounding_mode="floor"),
}  # fmt: skip


def _reduction(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, axis=None, keepdims=False: operation(a, axis, keepdims)


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _reduction(reduce.sum), np.mean: _reduction(reduce.mean), np.prod: _reduction(reduce.prod),
    np.max: _reduction(reduce.amax), np.amax: _reduction(reduce.amax), np.min: _reduction(reduce.amin),
    np.amin: _reduction(reduce.amin), np.all: _reduction(reduce.all), np.any: _reduction(reduce.any),
    np.argmax: _reduction(reduce.argmax), np.argmin: _reduction(reduce.argmin),
    np.var: lambda a, axis=None, ddof=0, keepdims=False: reduce.var(a, axis, keepdim=keepdims, correction=ddof),
    np.std: lambda a, axis=None, ddof=0, keepdims=False: reduce.std(a, axis, keepdim=keepdims, correction=ddof),
    np.cumsum: lambda a, axis=None: reduce.cumsum(a.ravel() if axis is None else a, axis or 0),
    np.cumprod: lambda a, axis=None: reduce.cumprod(a.ravel() if axis is None else a, axis or 0),
    np.where: elementwise.where,
    np.clip: elementwise.clamp,
    np.reshape: lambda a, shape: a.reshape(shape),
    np.ravel: shape.ravel,
    np.transpose: lambda a, axes=None: a.permute(tuple(axes) if axes is not None else tuple(range(a.ndim))[::-1]),
    np.swapaxes: shape.transpose,
    np.moveaxis: shape.movedim,
    np.expand_dims: shape.unsqueeze,
    np.squeeze: shape.squeeze,
    np.broadcast_to: lambda array, shape: array.expand(shape),
    np.flip: lambda m, axis=None: m.flip(tuple(range(m.ndim)) if axis is None else axis),
    np.roll: lambda a, shift, axis=None: shape.roll(a, shift, axis),
    np.tile: lambda A, reps: shape.repeat(A, reps),
    np.repeat: shape.repeat_interleave,
    np.concatenate: lambda arrays, axis=0: shape.cat(arrays, axis),
    np.stack: lambda arrays, axis=0: shape.stack(arrays, axis),
    np.vstack: shape.vstack,
    np.hstack: shape.hstack,
    np.split: lambda ary, sections, axis=0: shape.split(ary, ary.shape[axis] // sections, axis),
    np.tril: shape.tril,
    np.triu: shape.triu,
    np.diagonal: shape.diagonal,
    np.take: lambda a, indices, axis=None: index.index_select(
        a.ravel() if axis is None else a, axis or 0, create.as_tensor(indices)
    ),
    np.take_along_axis: lambda arr, indices, axis: index.take_along_dim(arr, indices, axis),
    np.einsum: linalg.einsum,
    np.tensordot: lambda a, b, axes=2: linalg.tensordot(a, b, axes),
    np.dot: lambda a, b: linalg.matmul(a, b) if b.ndim < 3 else linalg.tensordot(a, b, ([-1], [-2])),
    np.outer: linalg.outer,
    np.inner: linalg.inner,
    np.trace: linalg.trace,
    np.linalg.norm: lambda x, ord=None, axis=None, keepdims=False: reduce.norm(x, ord or 2, axis, keepdims),
    np.zeros_like: lambda a: create.zeros_like(a),
    np.ones_like: lambda a: create.ones_like(a),
    np.copy: shape.clone,
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.numel(),
    np.sort: lambda a, axis=-1: reduce.sort(a, axis).values,
    np.argsort: lambda a, axis=-1: reduce.argsort(a, axis),
    np.allclose: elementwise.allclose,
    np.array_equal: elementwise.equal,
}


def _supported(table: dict[Any, Callable[..., Any]], function: Any, name: str) -> Callable[..., Any]:
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
        raise TypeError(f"np.{ufunc.__name__}: on tensors only the plain call is supported, not {kind} {more}")
    return _supported(UFUNCS, ufunc, f"np.{ufunc.__name__}")(*inputs)


@method()
def __array_function__(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _supported(FUNCTIONS, function, f"np.{function.__name__}")(*args, **kwargs)
