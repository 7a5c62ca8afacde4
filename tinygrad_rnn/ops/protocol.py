"""NumPy's protocols: `np.tanh(t)`, `array * t` and `np.concatenate([t, u])` give differentiable tensors.

This also lets a rule, written with NumPy, run on tensors. `@operation(numpy=…)` names the functions whose
arguments mean the same; here are those that need a translation. A function without an entry is a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, method
from .index import index_select
from .linalg import tensordot
from .operation import FUNCTIONS as FUNCTIONS


def _expand_dims(a: Tensor, axis: Any) -> Tensor:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in sorted(i % (a.ndim + len(axes)) for i in axes):
        a = a.unsqueeze(i)
    return a


# fmt: off
OTHER_ARGUMENTS: dict[Any, Callable[..., Any]] = {
    np.positive: lambda x: x,
    np.var: lambda a, axis=None, ddof=0, keepdims=False: a.var(axis, keepdim=keepdims, correction=ddof),
    np.std: lambda a, axis=None, ddof=0, keepdims=False: a.std(axis, keepdim=keepdims, correction=ddof),
    np.linalg.norm: lambda x, ord=None, axis=None, keepdims=False: x.norm(ord or 2, axis, keepdims),
    np.cumsum: lambda a, axis=None: (a.ravel() if axis is None else a).cumsum(axis or 0),
    np.cumprod: lambda a, axis=None: (a.ravel() if axis is None else a).cumprod(axis or 0),
    np.sort: lambda a, axis=-1: a.sort(axis).values,
    np.expand_dims: _expand_dims,
    np.transpose: lambda a, axes=None: a.permute(*(range(a.ndim)[::-1] if axes is None else axes)),
    np.flip: lambda m, axis=None: m.flip(tuple(range(m.ndim)) if axis is None else axis),
    np.roll: lambda a, shift, axis=None: a.roll(shift, axis),
    np.repeat: lambda a, repeats, axis=None: a.repeat_interleave(repeats, axis),
    np.split: lambda ary, parts, axis=0: ary.split(ary.shape[axis] // parts, axis),
    np.take: lambda a, ids, axis=None: index_select(
        a.ravel() if axis is None else a, axis or 0, np.asarray(ids)),
    np.tensordot: lambda a, b, axes=2: tensordot(a, b, axes),
    np.dot: lambda a, b: a @ b if b.ndim < 3 else tensordot(a, b, ([-1], [-2])),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.numel(),
}
# fmt: on
FUNCTIONS.update(OTHER_ARGUMENTS)


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    if function not in FUNCTIONS:
        raise TypeError(
            f"np.{function.__name__} has no rule for tensors; compose it of tinygrad_rnn operations, "
            "or use t.detach().numpy() if no gradient is needed"
        )
    return FUNCTIONS[function](*args, **kwargs)


@method()
def __array_ufunc__(self: Tensor, ufunc: Any, kind: str, *inputs: Any, **kwargs: Any) -> Any:
    if kind == "reduce" and ufunc is np.add:
        return inputs[0].sum(kwargs.get("axis", 0), kwargs.get("keepdims", False))
    if kind != "__call__":
        raise TypeError(f"np.{ufunc.__name__}.{kind} has no rule for tensors; only the plain call has")
    return _call(ufunc, inputs, kwargs)


@method()
def __array_function__(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    return _call(function, args, kwargs)
