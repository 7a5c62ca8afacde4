"""NumPy's protocols: `np.tanh(t)`, `array * t` and `np.concatenate([t, u])` give differentiable tensors.

This is also what lets a rule, written with NumPy, run on tensors. What has no entry here is a TypeError.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, method
from .inputs import OPERATIONS

SAME_NAME = """
    add exp expm1 floor_divide log log1p log2 matmul sqrt square reciprocal sin cos tanh sign floor
    ceil maximum minimum logaddexp remainder logical_and logical_or logical_not logical_xor
    bitwise_and bitwise_or bitwise_xor isnan isinf isfinite sum mean prod all any argmax argmin
    argsort allclose where reshape ravel squeeze tile tril triu diagonal broadcast_to stack vstack
    hstack einsum inner outer trace zeros_like ones_like
"""
OTHER_NAME = """
    subtract:sub multiply:mul divide:div power:pow negative:neg absolute:abs invert:bitwise_not
    equal:eq not_equal:ne less:lt less_equal:le greater:gt greater_equal:ge
    max:amax min:amin amax:amax amin:amin clip:clamp concatenate:cat swapaxes:transpose moveaxis:movedim
    take_along_axis:take_along_dim array_equal:equal copy:clone
"""


def _named(name: str) -> Callable[..., Any]:
    return lambda *args, **kwargs: OPERATIONS[name](*args, **kwargs)


def _expand_dims(a: Tensor, axis: Any) -> Tensor:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in sorted(i % (a.ndim + len(axes)) for i in axes):
        a = a.unsqueeze(i)
    return a


# fmt: off
FUNCTIONS: dict[Any, Callable[..., Any]] = {
    **{getattr(np, name): _named(name) for name in SAME_NAME.split()},
    **{getattr(np, pair.split(":")[0]): _named(pair.split(":")[1]) for pair in OTHER_NAME.split()},
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
    np.take: lambda a, ids, axis=None: OPERATIONS["index_select"](
        a.ravel() if axis is None else a, axis or 0, np.asarray(ids)),
    np.tensordot: lambda a, b, axes=2: OPERATIONS["tensordot"](a, b, axes),
    np.dot: lambda a, b: a @ b if b.ndim < 3 else OPERATIONS["tensordot"](a, b, ([-1], [-2])),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a: a.numel(),
}
# fmt: on


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
