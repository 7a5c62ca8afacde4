"""Reductions: many numbers become one, along `dim` (default: all dimensions).

g: the gradient of the output; y: the output; x: the input.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..autograd.primitive import primitive
from ..tensor import Tensor, method
from .elementwise import abs, cast, exp, log, maximum, neg, sqrt, tensor_of, where
from .index import axis_of, take_along_dim
from .shape import axes_of

Dim = int | Sequence[int] | None


class Extremes(NamedTuple):
    """Values along a dimension and where they stand: what max, min, sort, topk and their like return."""

    values: Tensor
    indices: Tensor


# --- rows (each keeps the reduced dimensions, so that g broadcasts against x)

_sum = primitive("sum", lambda x, *, axis: np.add.reduce(x, axis=axis, keepdims=True), lambda g, _y, _x, *, axis: g)


def _shared(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
    largest = np.equal(x, y).astype(g.dtype)
    return g * (largest / np.add.reduce(largest, axis=axis, keepdims=True))


def _others(x: Any, axis: int) -> Any:
    """At each place the product of all other places: of those before times of those after, so zeros do no harm."""
    first = np.take(x, [0], axis=axis)
    one = np.ones_like(first)
    rest, front = np.take(x, np.arange(1, x.shape[axis]), axis), np.take(x, np.arange(x.shape[axis] - 1), axis)
    before = np.cumprod(np.concatenate([one, front], axis=axis), axis=axis)
    after = np.flip(np.cumprod(np.flip(np.concatenate([rest, one], axis=axis), axis), axis=axis), axis)
    return before * after


def _cumprod_rule(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    """Σⱼ gⱼ ∂yⱼ/∂xᵢ: the sum of (g y)ⱼ for j ≥ i, over xᵢ; with zeros among x, every ∂yⱼ/∂xᵢ by itself."""
    if np.all(x != 0):
        return np.flip(np.cumsum(np.flip(g * y, axis), axis=axis), axis) / x
    n = x.shape[axis]
    row = np.moveaxis(x, axis, -1)
    prefixes = np.where(np.tri(n, dtype=bool), np.expand_dims(row, -2), 1)  # row j: x₁ … xⱼ, then ones
    shares = np.where(np.tri(n, dtype=bool), _others(prefixes, -1), 0)
    return np.moveaxis(np.add.reduce(np.expand_dims(np.moveaxis(g, axis, -1), -1) * shares, axis=-2), -1, axis)


_amax = primitive("amax", lambda x, *, axis: np.max(x, axis=axis, keepdims=True), _shared)
_prod = primitive(
    "prod",
    lambda x, *, axis: np.prod(x, axis=axis, keepdims=True),
    lambda g, _y, x, *, axis: g * (_others(x, axis) if x.shape[axis] else x),
)
_cumsum = primitive(
    "cumsum",
    lambda x, *, axis: np.cumsum(x, axis=axis),
    lambda g, _y, _x, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis),
)
_cumprod = primitive("cumprod", lambda x, *, axis: np.cumprod(x, axis=axis), _cumprod_rule)


# --- sums and means


def _kept(y: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """`y`, whose reduced dimensions have size 1, with or without them."""
    if keepdim or not axes:
        return y
    return y.reshape(tuple(n for i, n in enumerate(y.shape) if i not in axes))


def _floats(name: str, input: Any) -> Tensor:
    input = tensor_of(name, input)
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"{name}: needs a float tensor, got {input.dtype}; use .float()")
    return input


@method()
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ x. Integers and truth values are summed as int64."""
    input = tensor_of("sum", input)
    if dtype is not None or input.dtype.kind in "biu":
        input = cast(input, dtypes.int64 if dtype is None else dtype)
    axes = axes_of("sum", input, dim)
    return _kept(_sum(input, axis=axes), axes, keepdim)


@method()
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ x / n"""
    input = _floats("mean", input if dtype is None else cast(input, dtype))
    axes = axes_of("mean", input, dim)
    n = math.prod(input.shape[i] for i in axes)
    total = sum(input, axes, keepdim) if axes else input
    return total / n if n else total / Tensor(np.zeros((), input.dtype))


@method()
def var(input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """Σ (x - mean)² / (n - correction); `correction` is 1, or 0 with unbiased=False."""
    input = _floats("var", input)
    axes = axes_of("var", input, dim)
    n = math.prod(input.shape[i] for i in axes) - (float(unbiased) if correction is None else correction)
    away = input - mean(input, axes, keepdim=True)
    return sum(away * away, axes, keepdim) / Tensor(np.asarray(builtins.max(n, 0.0), input.dtype))


@method()
def std(input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """√var"""
    return sqrt(var(input, dim, unbiased, keepdim, correction=correction))


@method()
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Π x. Its gradient is exact where x holds zeros."""
    input = tensor_of("prod", input)
    if dtype is not None or input.dtype.kind in "biu":
        input = cast(input, dtypes.int64 if dtype is None else dtype)
    if dim is None or not input.shape:
        return _kept(_prod(input.reshape((-1,)), axis=0), (0,), False)
    axis = axis_of("prod", input, dim)
    return _kept(_prod(input, axis=axis), (axis,), keepdim)


@method()
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """ln Σ eˣ, without overflow."""
    input = _floats("logsumexp", input)
    axes = axes_of("logsumexp", input, dim)
    top = np.max(input.array.real, axis=axes, keepdims=True, initial=-np.inf)
    top = Tensor(np.where(np.isfinite(top), top, 0).astype(top.dtype))
    return _kept(log(sum(exp(input - top), axes, True)) + top, axes, keepdim)


@method()
def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """‖x‖ₚ = (Σ |x|ᵖ)^(1/p), also for p = inf, -inf, 0 (the number of non-zeros), "fro". At x = 0 its derivative is 0."""
    input = _floats("norm", input)
    p = 2 if p in (None, "fro") else p
    if isinstance(p, str):
        raise NotImplementedError(f"norm: p={p!r} is not supported; use a number or 'fro'")
    axes = axes_of("norm", input, dim)
    if p == math.inf:
        return amax(abs(input), axes, keepdim)
    if p == -math.inf:
        return amin(abs(input), axes, keepdim)
    if p == 0:
        return sum(cast(input != 0, input.dtype), axes, keepdim)
    powers = input * input if p == 2 else abs(input) if p == 1 else abs(where(input == 0, 1, input)) ** p * (input != 0)
    total = sum(powers, axes, keepdim)
    return total if p == 1 else where(total == 0, 0, where(total == 0, 1, total) ** (1 / p))


# --- extremes and order


@method()
def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest value; ties share the gradient evenly."""
    input = tensor_of("amax", input)
    axes = axes_of("amax", input, dim)
    if builtins.any(input.shape[i] == 0 for i in axes):
        raise IndexError(f"amax: nothing to choose from in shape {input.shape} along {axes}")
    return _kept(_amax(input, axis=axes), axes, keepdim)


@method()
def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest value; ties share the gradient evenly."""
    input = tensor_of("amin", input)
    return ~amax(~input, dim, keepdim) if input.dtype.kind in "bu" else neg(amax(neg(input), dim, keepdim))


def _choose(name: str, input: Tensor, best: Any, dim: int, keepdim: bool) -> Extremes:
    axis = axis_of(name, input, dim)
    if not input.shape:
        return Extremes(input.clone(), Tensor(np.asarray(0)))
    if not input.shape[axis]:
        raise IndexError(f"{name}: nothing to choose from in shape {input.shape} along {dim}")
    indices = Tensor(np.expand_dims(best(input.array, axis=axis), axis))
    values = take_along_dim(input, indices, axis)
    return Extremes(_kept(values, (axis,), keepdim), _kept(indices, (axis,), keepdim))


@method()
def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest value; with `dim`, values and indices (of the first among equals, which gets the gradient).

    With a tensor for `dim`: `maximum(input, dim)`.
    """
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return amax(input) if dim is None else _choose("max", input, np.argmax, dim, keepdim)


@method()
def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest value; with `dim`, values and indices (of the first among equals, which gets the gradient).

    With a tensor for `dim`: `minimum(input, dim)`.
    """
    if isinstance(dim, Tensor):
        return neg(maximum(neg(input), neg(dim)))
    return amin(input) if dim is None else _choose("min", input, np.argmin, dim, keepdim)


@method()
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the largest value stands (the first among equals); without `dim`, in the flattened tensor."""
    return Tensor(np.asarray(np.argmax(input.array, axis=dim, keepdims=keepdim)))


@method()
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the smallest value stands (the first among equals); without `dim`, in the flattened tensor."""
    return Tensor(np.asarray(np.argmin(input.array, axis=dim, keepdims=keepdim)))


@method()
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`; equal values keep their order."""
    if not input.shape:
        return Tensor(np.asarray(0))
    if descending:  # sort the reversed array and reverse the result: equal values keep their order
        backwards = np.argsort(np.flip(input.array, dim), axis=dim, kind="stable")
        return Tensor(np.flip(input.shape[dim] - 1 - backwards, dim).copy())
    return Tensor(np.argsort(input.array, axis=dim, kind="stable"))


@method()
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Extremes:
    """The values in order along `dim`, and where each stood; equal values keep their order."""
    indices = argsort(input, dim, descending)
    return Extremes(take_along_dim(input, indices, dim) if input.shape else input, indices)


@method()
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
    """The k largest (or smallest) values along `dim`, in order, and where they stand."""
    axis = axis_of("topk", input, dim)
    if not 0 <= k <= (input.shape[axis] if input.shape else 1):
        raise RuntimeError(f"topk: k={k} is out of range for shape {input.shape} along dim {dim}")
    indices = argsort(input, axis, descending=largest).narrow(axis, 0, k)
    return Extremes(take_along_dim(input, indices, axis), indices)


# --- running results and truth values


@method()
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """yₜ = x₁ + … + xₜ"""
    if dtype is not None or input.dtype.kind in "biu":
        input = cast(input, dtypes.int64 if dtype is None else dtype)
    return _cumsum(input, axis=dim) if input.shape else input.clone()


@method()
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """yₜ = x₁ ⋯ xₜ. Its gradient is exact where x holds zeros."""
    if dtype is not None or input.dtype.kind in "biu":
        input = cast(input, dtypes.int64 if dtype is None else dtype)
    return _cumprod(input, axis=dim) if input.shape else input.clone()


@method()
def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """True if every value is non-zero."""
    return Tensor(np.asarray(np.all(input.array, axis=axes_of("all", input, dim), keepdims=keepdim)))


@method()
def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """True if some value is non-zero."""
    return Tensor(np.asarray(np.any(input.array, axis=axes_of("any", input, dim), keepdims=keepdim)))
