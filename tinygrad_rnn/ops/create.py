"""New tensors: from data, of constants, of random numbers. `options` are dtype, device and requires_grad."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from .. import dtypes
from .. import random as rng
from ..device import device as Device
from ..engine.tensor import Array, Tensor, method
from .inputs import named, sizes_of, tensor_of
from .operation import operation


def _new(
    array: Any, default: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of an array that nobody else holds, in `dtype`, or the `default` one (None: of floats)."""
    if device is not None:
        Device(device)
    wanted = default if dtype is None else dtype
    array = array if isinstance(array, np.ndarray) else np.asarray(array)
    new = Tensor(array.astype(_dtype_named(wanted), copy=False))
    new.storage.shared = False
    return new.requires_grad_() if requires_grad else new


def _dtype_named(dtype: Any) -> dtypes.Dtype:
    """The dtype that `dtype` names; None is the one of new float tensors."""
    return dtypes.get_default_dtype() if dtype is None else dtypes.as_dtype(dtype)


# --- from data


def _plain(data: Any) -> Any:
    """Nested lists with tensors in them as nested lists of numbers and arrays."""
    if isinstance(data, Tensor):
        return data.array
    return [_plain(x) for x in data] if isinstance(data, (list, tuple)) else data


def _typed(data: Any) -> bool:
    """True if the data says its own dtype: an array, a tensor, a NumPy number, or lists of them."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype")


def _dtype_of(data: Any) -> Any:
    """The dtype of typed data."""
    if isinstance(data, (list, tuple)):
        return reduce(dtypes.promote, map(_dtype_of, data), dtypes.bool_)
    return data.dtype if hasattr(data, "dtype") else dtypes.result_type(data)


@operation()
def tensor(data: Any, **options: Any) -> Tensor:
    """A copy of `data`: a number, nested lists, an array or a tensor. Python floats get the default dtype."""
    try:
        array = np.array(_plain(data))
    except ValueError as error:
        raise ValueError(f"tensor: the lists are ragged: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"tensor: cannot hold {array.dtype} data: {data!r:.60}")
    if _typed(data):
        return _new(array, _dtype_of(data), **options)
    return _new(array, array.dtype if array.dtype.kind in "biu" and array.size else None, **options)


@operation()
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy if it is one, or an array, of that dtype already."""
    data = from_numpy(data) if isinstance(data, np.ndarray) else data
    return (
        data.to(device, dtype=dtype) if isinstance(data, Tensor) else tensor(data, dtype=dtype, device=device)
    )


@operation()
def from_numpy(ndarray: Array) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(ndarray).__name__}")
    dtypes.as_dtype(ndarray.dtype)
    return Tensor(ndarray)


# --- of a given size: f(2, 3), f((2, 3)) or f(size=(2, 3))


def rng_of(generator: Any) -> np.random.Generator:
    """NumPy's generator under `generator`, or under the package's own."""
    return (generator or rng.default_generator).rng


def _constant(name: str, make: Callable[..., Any], doc: str) -> Callable[..., Tensor]:
    def create(*size: Any, dtype: Any = None, **options: Any) -> Tensor:
        dtype = _dtype_named(dtype)
        return _new(make(sizes_of(name, size), dtype), dtype, **options)

    return operation()(named(name, create, doc))


def _random(name: str, draw: Callable[..., Any], doc: str) -> Callable[..., Tensor]:
    def sample(*size: Any, generator: Any = None, **options: Any) -> Tensor:
        return _new(draw(rng_of(generator), sizes_of(name, size)), None, **options)

    return operation()(named(name, sample, doc))


zeros = _constant("zeros", np.zeros, "0 everywhere.")
ones = _constant("ones", np.ones, "1 everywhere.")
empty = _constant("empty", np.empty, "Not initialized: the numbers that the memory holds.")
rand = _random("rand", lambda rng, size: rng.random(size), "Uniform in [0, 1).")
randn = _random(
    "randn", lambda rng, size: rng.standard_normal(size), "Normal, mean 0 and standard deviation 1."
)


@operation()
def full(size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """`fill_value` everywhere."""
    value = tensor_of("full", fill_value, None if dtype is None else dtypes.as_dtype(dtype))
    return _new(np.full(sizes_of("full", (size,)), value.array), value.dtype, **options)


def _like(create: Callable[..., Tensor], numpy: Any = ()) -> Callable[..., Tensor]:
    """`create` in the shape and dtype of another tensor; and `create` in its dtype alone, a method of it."""
    name = create.__name__

    def like(input: Tensor, *values: Any, dtype: Any = None, **options: Any) -> Tensor:
        return create(input.shape, *values, dtype=input.dtype if dtype is None else dtype, **options)

    def new(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return create(*size, dtype=self.dtype if dtype is None else dtype, **options)

    method(f"new_{name}")(named(f"new_{name}", new, f"`{name}` in the dtype of this tensor."))
    described = named(f"{name}_like", like, f"`{name}` in the shape and dtype of `input`.")
    return operation(numpy=numpy)(described)


zeros_like = _like(zeros, np.zeros_like)
ones_like = _like(ones, np.ones_like)
empty_like = _like(empty)
full_like = _like(full)
rand_like = _like(rand)
randn_like = _like(randn)


@method()
def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """`tensor(data)` in the dtype of this one."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype, **options)


@operation()
def arange(start: Any = None, end: Any = None, step: Any = 1, **options: Any) -> Tensor:
    """start, start + step, … below end: `arange([start,] end[, step])`; int64 if all are integers."""
    start, end = (0, start) if end is None else (0 if start is None else start, end)
    if end is None:
        raise TypeError("arange: expected arange([start,] end[, step]), got no end")
    numbers = first, last, step = [x.item() if isinstance(x, Tensor) else x for x in (start, end, step)]
    if step == 0 or (last - first) * step < 0:
        raise RuntimeError(f"arange: from {first} to {last} there is no way in steps of {step}")
    return _new(np.arange(first, last, step), None if float in map(type, numbers) else int, **options)


@operation()
def linspace(start: float, end: float, steps: int, **options: Any) -> Tensor:
    """`steps` numbers from start to end, evenly spaced."""
    return _new(np.linspace(start, end, steps), None, **options)


@operation()
def eye(n: int, m: int | None = None, **options: Any) -> Tensor:
    """1 on the diagonal of an n by m matrix, else 0."""
    return _new(np.eye(n, m), None, **options)


# --- random numbers


@operation()
def randint(
    low: Any = 0, high: Any = None, size: Any = None, *, generator: Any = None, **options: Any
) -> Tensor:
    """Integers from low up to high - 1: `randint([low,] high, size)`."""
    high, size = (None, high) if size is None else (high, size)
    low, high = (0, low) if high is None else (low, high)
    if low >= high:
        raise RuntimeError(f"randint: low {low} must be below high {high}")
    return _new(rng_of(generator).integers(low, high, sizes_of("randint", (size,))), int, **options)


@operation()
def randperm(n: int, *, generator: Any = None, **options: Any) -> Tensor:
    """0 … n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"randperm: n must not be negative, got {n}")
    return _new(rng_of(generator).permutation(n), int, **options)


@operation()
def normal(
    mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, **options: Any
) -> Tensor:
    """Normal numbers; mean and std are numbers (then give a size) or tensors, one for each result."""
    m, s = tensor_of("normal", mean), tensor_of("normal", std)
    if (s.array < 0).any():
        raise RuntimeError(f"normal: std must not be negative, got {std}")
    shape = np.broadcast_shapes(m.shape, s.shape) if size is None else sizes_of("normal", (size,))
    common = dtypes.result_type(m, s)
    numbers = m.array + s.array * rng_of(generator).standard_normal(shape)
    return _new(numbers, common if common.kind == "f" else None, **options)


@operation(method=True)
def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that `input` (or `p`) gives, else 0."""
    chance = input.array if p is None else np.full(input.shape, p)
    if not ((chance >= 0) & (chance <= 1)).all():
        raise RuntimeError("bernoulli: a probability is outside [0, 1]")
    return _new(rng_of(generator).random(input.shape) < chance, input.dtype)


@operation(method=True)
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Tensor:
    """For each row of weights, `num_samples` indices drawn with probability proportional to weight."""
    if input.ndim not in (1, 2) or not input.numel():
        raise RuntimeError(f"multinomial: expected weights of one or two dimensions, got shape {input.shape}")
    if num_samples < 1:
        raise RuntimeError(f"multinomial: num_samples must be positive, got {num_samples}")
    weights = np.atleast_2d(input.array).astype(float)
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(1) <= 0).any():
        raise RuntimeError("multinomial: weights must be finite, not negative, and not all zero in a row")
    if not replacement and ((weights > 0).sum(1) < num_samples).any():
        raise RuntimeError(f"multinomial: fewer than {num_samples} non-zero weights; pass replacement=True")
    draw = rng_of(generator)
    rows = [draw.choice(len(w), num_samples, replace=replacement, p=w / w.sum()) for w in weights]
    return _new(np.stack(rows).reshape(*input.shape[:-1], num_samples), int)
