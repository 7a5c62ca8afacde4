"""Reductions: many numbers become one, along `dim` (default: all dimensions).

g: the gradient of the output; y: the output; x: the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..engine import derivatives
from ..engine.primitive import FLOATS, INTEGERS, apply
from ..engine.tensor import Tensor
from .elementwise import abs, choose, clone, exp, isnan, log, maximum, minimum
from .index import index_add, index_select, masked_select, take_along_dim
from .inputs import axes_of, axis_of, cast, matched, named
from .operation import operation

Dim = int | Sequence[int] | None


class Extremes(NamedTuple):
    """Values along a dimension and where they stand: what max, min, sort, topk and their like return."""

    values: Tensor
    indices: Tensor


# --- sums and means


def _summable(input: Tensor, dtype: Any) -> Tensor:
    """`input` in `dtype`, or if none is given, integers and truth values as int64."""
    if dtype is None:
        return input if input.array.dtype.kind in FLOATS else cast(input, dtypes.int64)
    return cast(input, dtype)


def _floats(name: str, input: Tensor, dtype: Any = None) -> Tensor:
    input = input if dtype is None else cast(input, dtype)
    if input.array.dtype.kind not in FLOATS:
        raise RuntimeError(f"{name}: needs a float tensor, got {input.dtype}; use .float()")
    return input


def _root(x: Tensor, p: float) -> Tensor:
    """x^(1/p), whose derivative at 0 is taken to be 0."""
    zero = x == 0
    return choose(zero, 0, choose(zero, 1, x) ** (1 / p))


@operation(method=True, numpy=np.sum)
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ x. Integers and truth values are summed as int64."""
    static = {"axis": axes_of("sum", input, dim), "keepdims": keepdim}
    return apply(derivatives.sum, (_summable(input, dtype),), static)


@operation(method=True, numpy=np.mean)
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Σ x / n"""
    input, axes = _floats("mean", input, dtype), axes_of("mean", input, dim)
    n = math.prod(input.shape[i] for i in axes)
    return derivatives.sum(input, axis=axes, keepdims=keepdim) / (n or math.nan)


@operation(method=True)
def var(
    input: Tensor, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """Σ (x - mean)² / (n - correction); `correction` is 1, or 0 with unbiased=False, which may come first."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    input, axes = _floats("var", input), axes_of("var", input, dim)
    freedom = math.prod(input.shape[i] for i in axes) - (unbiased if correction is None else correction)
    away = input - mean(input, axes, True)
    return derivatives.sum(away * away, axis=axes, keepdims=keepdim) / (freedom if freedom > 0 else 0)


@operation(method=True)
def std(
    input: Tensor, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """√var; where it is 0, its derivative is 0."""
    return _root(var(_floats("std", input), dim, unbiased, keepdim, correction=correction), 2)


@operation(method=True, numpy=np.prod)
def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Π x. Its gradient is exact where x holds zeros."""
    input = _summable(input, dtype)
    axis = 0 if dim is None else axis_of("prod", input, dim)
    if dim is None or not input.shape:
        return derivatives.prod(input.reshape(input.numel()), axis=0, keepdims=False)
    return derivatives.prod(input, axis=axis, keepdims=keepdim)


@operation(method=True)
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """ln Σ eˣ, without overflow."""
    (input,) = matched("logsumexp", input, kinds=FLOATS)
    axes = axes_of("logsumexp", input, dim)
    top = np.max(input.array.real, axis=axes, keepdims=True, initial=-np.inf)
    top = Tensor(np.where(np.isfinite(top), top, 0).astype(top.dtype))
    total = log(derivatives.sum(exp(input - top), axis=axes, keepdims=True)) + top
    return total if keepdim else total.squeeze(axes)


@operation(method=True)
def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """‖x‖ₚ = (Σ |x|ᵖ)^(1/p), also for p = ±inf, 0 (how many are not 0), "fro". Its derivative at 0 is 0."""
    p = 2 if p in (None, "fro") else p
    if isinstance(p, str):
        raise NotImplementedError(f"norm: p={p!r} is not supported; use a number or 'fro'")
    input, axes = _floats("norm", input, dtype), axes_of("norm", input, dim)
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(abs(input), axes, keepdim)
    if p == 2:
        powers = input * input
    else:
        zero = input == 0
        powers = choose(zero, 0 if p >= 0 else math.inf, abs(choose(zero, 1, input)) ** p)
    total = derivatives.sum(powers, axis=axes, keepdims=keepdim)
    return total if p == 0 else _root(total, p)


# --- extremes and order


def _not_empty(name: str, input: Tensor, axes: tuple[int, ...]) -> None:
    if 0 in [input.shape[i] for i in axes]:
        raise IndexError(f"{name}: there is nothing to choose from in shape {input.shape} along {axes}")


@operation(method=True, numpy=(np.max, np.amax))
def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The largest value; ties share the gradient evenly."""
    axes = axes_of("amax", input, dim)
    _not_empty("amax", input, axes)
    return derivatives.amax(input, axis=axes, keepdims=keepdim)


@operation(method=True, numpy=(np.min, np.amin))
def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The smallest value; ties share the gradient evenly."""
    return ~amax(~input, dim, keepdim) if input.dtype.kind in INTEGERS else -amax(-input, dim, keepdim)


def _place(function: Any, kind: str) -> Any:
    """`argmax` and `argmin`, as NumPy's function computes them."""
    name = function.__name__

    def place(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        _not_empty(name, input, axes_of(name, input, dim))
        axis = axis_of(name, input, dim) if input.shape and dim is not None else None
        return Tensor(np.asanyarray(function(input.array, axis=axis, keepdims=keepdim)))

    doc = f"The index of the {kind} value, the first among equals; of all, or along `dim`."
    return operation(method=True, numpy=function)(named(name, place, doc))


def _at(input: Tensor, indices: Tensor, dim: int, keepdim: bool) -> Extremes:
    """The values that stand at `indices`, one along `dim`, and the indices."""
    values = take_along_dim(input, indices, dim) if input.shape else clone(input)
    return Extremes(values, indices) if keepdim else Extremes(values.squeeze(dim), indices.squeeze(dim))


def _extreme(name: str, kind: str, whole: Any, pair: Any, place: Any) -> Any:
    """`max` and `min`: of all, of two tensors, or values and indices along a dimension."""

    def extreme(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        if dim is None:
            return whole(input)
        return _at(input, place(input, dim, True), dim, keepdim)

    doc = f"""The {kind} value, whose ties share the gradient; with a tensor for `dim`, `{name}imum`.

    With a number for `dim`, values and indices (of the first among equals, which gets the gradient).
    """
    return operation(method=True)(named(name, extreme, doc))


argmax = _place(np.argmax, "largest")
argmin = _place(np.argmin, "smallest")
max = _extreme("max", "largest", amax, maximum, argmax)
min = _extreme("min", "smallest", amin, minimum, argmin)


@operation(method=True, numpy=np.argsort)
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that sort `input` along `dim`; equal values keep their order."""
    axis = axis_of("argsort", input, dim)
    if not input.shape:
        return Tensor(np.asarray(0))
    if not descending:
        return Tensor(np.argsort(input.array, axis=axis, kind="stable"))
    backwards = np.argsort(np.flip(input.array, axis), axis=axis, kind="stable")  # twice reversed: ties stay
    return Tensor(np.flip(input.shape[axis] - 1 - backwards, axis).copy())


@operation(method=True)
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Extremes:
    """The values in order along `dim`, and where each stood; equal values keep their order."""
    indices = argsort(input, dim, descending)
    return Extremes(take_along_dim(input, indices, dim) if input.shape else clone(input), indices)


@operation(method=True)
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The value in the middle, the lower one of two; NaN if there is one. Ties share the gradient.

    With `dim`, values and indices (of one among equals, which gets the gradient).
    """
    if dim is None:
        middle = median(input.detach().reshape(input.numel()), 0).values
        return amax(masked_select(input, isnan(input) if isnan(middle) else input == middle))
    n = math.prod(input.shape[i] for i in axes_of("median", input, dim))
    _not_empty("median", input, axes_of("median", input, dim))
    missing, order = sum(isnan(input), dim, True), argsort(input, dim)  # NaN comes last
    places = choose(missing > 0, n - missing, (n - 1) // 2)
    return _at(input, take_along_dim(order, places, dim) if input.shape else order, dim, keepdim)


@operation(method=True)
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values in order, or the different entries of dimension `dim`.

    On request also the place of each element among them (of the input's shape; with `dim` one for each
    entry), and how often each occurs. The gradient goes to the first of equals.
    """
    axis = None if dim is None else axis_of("unique", input, dim)
    _, first, inverse, counts = np.unique(input.array, True, True, True, axis, equal_nan=False)
    values = index_select(input.reshape(-1) if axis is None else input, axis or 0, first)
    places = Tensor(inverse.reshape(input.shape if axis is None else -1))
    found = (values, *[places] * return_inverse, *[Tensor(counts)] * return_counts)
    return found if len(found) > 1 else values


@operation(method=True)
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often 0, 1, … occur in `input` (N,), or the sum of the `weights` (N,) of each of them."""
    if input.ndim != 1 or input.dtype.kind not in "iu" or (input.array < 0).any():
        raise RuntimeError(f"bincount: needs a 1-D tensor of integers from 0 up, got {input!r:.60}")
    if weights is None:
        return Tensor(np.bincount(input.array, minlength=minlength))
    if weights.shape != input.shape:
        raise RuntimeError(f"bincount: input {input.shape} and weights {weights.shape} must be alike")
    weights = weights if weights.dtype.kind == "f" else cast(weights, dtypes.float64)
    n = np.max(input.array, initial=minlength - 1) + 1
    return index_add(Tensor(np.zeros(n, weights.dtype)), 0, input, weights)


@operation(method=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Extremes:
    """The k largest (or smallest) values along `dim`, in order, and where they stand."""
    size = input.shape[axis_of("topk", input, dim)] if input.shape else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k={k} is out of range for shape {input.shape} along dim {dim}")
    ordered = sort(input, dim, descending=largest)
    return Extremes(*(x.narrow(dim, 0, k) for x in ordered)) if input.shape else ordered


# --- running results and truth values


def _running(name: str, row: Any, doc: str) -> Any:
    def running(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        axis, input = axis_of(name, input, dim), _summable(input, dtype)
        return row(input, axis=axis) if input.shape else clone(input)

    return operation(method=True, in_place=True)(named(name, running, doc))


cumsum = _running("cumsum", derivatives.cumsum, "yₜ = x₁ + … + xₜ along `dim`.")
cumprod = _running(
    "cumprod", derivatives.cumprod, "yₜ = x₁ ⋯ xₜ along `dim`; its gradient is exact if x holds zeros."
)


def _verdict(function: Any, doc: str) -> Any:
    name = function.__name__

    def verdict(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        axes = () if dim == () else axes_of(name, input, dim)  # of no dimensions: each value by itself
        y = function(input.array, axis=axes, keepdims=keepdim)
        return Tensor(np.asarray(y, input.dtype if input.dtype == np.uint8 else bool))

    return operation(method=True, numpy=function)(named(name, verdict, doc))


all = _verdict(np.all, "True if every value is non-zero.")
any = _verdict(np.any, "True if some value is non-zero.")
