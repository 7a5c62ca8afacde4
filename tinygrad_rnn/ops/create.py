"""New tensors: from data, of constants, of random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .. import random as rng
from ..device import device as Device
from ..tensor import Array, Tensor, method
from .elementwise import cast, tensor_of
from .shape import sizes_of


def _finish(array: Array, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    if device is not None:
        Device(device)
    new = Tensor(array if dtype is None else array.astype(dtypes.as_dtype(dtype), copy=False))
    new.memory.shared = False  # nobody else holds the array
    return new.requires_grad_() if requires_grad else new


# --- from data


def _plain(data: Any) -> Any:
    """Nested lists with tensors in them as nested lists of numbers and arrays."""
    if isinstance(data, Tensor):
        return data.array
    return [_plain(x) for x in data] if isinstance(data, (list, tuple)) else data


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of `data`: a number, nested lists, a NumPy array or a tensor. Python floats get the default dtype."""
    try:
        array = np.array(_plain(data))
    except ValueError as error:
        raise ValueError(f"tensor: the lists are ragged: {error}") from None
    if array.size == 0 and not hasattr(data, "dtype"):
        array = array.astype(dtypes.get_default_dtype())
    if array.dtype.kind not in "biufc":
        raise TypeError(f"tensor: cannot hold {array.dtype} data: {data!r:.60}")
    if not _typed(data) and dtype is None:
        array = array.astype(dtypes.get_default_dtype() if array.dtype.kind == "f" else array.dtype)
    return _finish(array if array.dtype.kind == "c" else array.astype(dtypes.as_dtype(array.dtype)), dtype, device, requires_grad)


def _typed(data: Any) -> bool:
    """True if the data says its own dtype: an array, a tensor, a NumPy number, or lists of them."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return hasattr(data, "dtype")


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, without a copy if it is one, or an array, of that dtype already."""
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    if isinstance(data, Tensor):
        if device is not None:
            Device(device)
        return data if dtype is None else cast(data, dtype)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: Array) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(ndarray).__name__}")
    dtypes.as_dtype(ndarray.dtype)
    return Tensor(ndarray)


# --- constants


def _shape(sizes: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """The shape that f(2, 3), f((2, 3)) or f(size=(2, 3)) asks for."""
    if sizes and size is not None:
        raise TypeError(f"the size is given twice: {sizes} and size={size}")
    return sizes_of(sizes if size is None else (size,))


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere."""
    value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    dtype = dtypes.result_type(value) if dtype is None else dtypes.as_dtype(dtype)
    return _finish(np.full(sizes_of((size,)), value, dtype), None, device, requires_grad)


def zeros(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """0 everywhere."""
    return _finish(np.zeros(_shape(sizes, size), dtypes.as_dtype(dtype or float)), None, device, requires_grad)


def ones(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """1 everywhere."""
    return _finish(np.ones(_shape(sizes, size), dtypes.as_dtype(dtype or float)), None, device, requires_grad)


def empty(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Whatever the memory holds."""
    return _finish(np.empty(_shape(sizes, size), dtypes.as_dtype(dtype or float)), None, device, requires_grad)


def _like(name: str, create: Callable[..., Tensor], doc: str) -> Callable[..., Tensor]:
    def like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        dtype = input.dtype if dtype is None else dtype
        return create(input.shape, dtype=dtype, device=device, requires_grad=requires_grad)

    like.__name__ = like.__qualname__ = name
    like.__doc__ = doc
    return like


zeros_like = _like("zeros_like", zeros, "0 everywhere, in the shape and dtype of `input`.")
ones_like = _like("ones_like", ones, "1 everywhere, in the shape and dtype of `input`.")
empty_like = _like("empty_like", empty, "Uninitialized, in the shape and dtype of `input`.")


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere, in the shape and dtype of `input`."""
    dtype = input.dtype if dtype is None else dtype
    return full(input.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, … below end; int64 if all three are integers. `arange(end)` starts at 0."""
    if end is None:
        start, end = None, start
    if end is None:
        raise TypeError("arange: expected arange([start,] end[, step]), got no end")
    numbers = [b.item() if isinstance(b, Tensor) else b for b in (0 if start is None else start, end, step)]
    if dtype is None:
        dtype = dtypes.get_default_dtype() if any(isinstance(b, float) for b in numbers) else dtypes.int64
    return _finish(np.arange(*numbers), dtype, device, requires_grad)


def linspace(start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` numbers from start to end, evenly spaced."""
    return _finish(np.linspace(start, end, steps), dtype or float, device, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """1 on the diagonal of an n by m matrix, else 0."""
    return _finish(np.eye(n, m, dtype=dtypes.as_dtype(dtype or float)), None, device, requires_grad)


def _new(create: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def new(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        """A new tensor of the given size, in the dtype of this one."""
        return create(*size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    return new


method("new_zeros")(_new(zeros))
method("new_ones")(_new(ones))
method("new_empty")(_new(empty))
method("new_full")(_new(full))


@method()
def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`tensor(data)` in the dtype of this one."""
    return tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)


# --- random numbers


def _draw(generator: Any) -> np.random.Generator:
    return (generator or rng.default_generator).rng  # type: ignore[no-any-return]


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1)."""
    return _finish(_draw(generator).random(_shape(sizes, size)), dtype or float, device, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal, mean 0 and standard deviation 1."""
    return _finish(_draw(generator).standard_normal(_shape(sizes, size)), dtype or float, device, requires_grad)


rand_like = _like("rand_like", rand, "Uniform in [0, 1), in the shape and dtype of `input`.")
randn_like = _like("randn_like", randn, "Standard normal, in the shape and dtype of `input`.")


def randint(
    low: Any = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Integers from low (0 if left out) up to high - 1: `randint([low,] high, size)`."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None:
        raise TypeError("randint: the size is missing: randint([low,] high, size)")
    if low >= high:
        raise ValueError(f"randint: low {low} must be below high {high}")
    return _finish(_draw(generator).integers(low, high, sizes_of((size,))), dtype or dtypes.int64, device, False)


def randperm(n: int, *, generator: Any = None, dtype: Any = None, device: Any = None) -> Tensor:
    """0 … n - 1 in random order."""
    return _finish(_draw(generator).permutation(n), dtype or dtypes.int64, device, False)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None) -> Tensor:
    """Normal numbers; mean and std are numbers (then give a size) or tensors, one for each result."""
    m, s = tensor_of("normal", mean).array, tensor_of("normal", std).array
    if (s < 0).any():
        raise ValueError(f"normal: std must not be negative, got {std}")
    shape = np.broadcast_shapes(m.shape, s.shape) if size is None else sizes_of((size,))
    found = m + s * _draw(generator).standard_normal(shape)
    return _finish(found, dtype or (float if m.ndim == s.ndim == 0 else dtypes.result_type(m, s)), None, False)


@method()
def bernoulli(input: Tensor, p: float | None = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that `input` (or `p`) gives, else 0."""
    chance = input.array if p is None else np.full(input.shape, p)
    if ((chance < 0) | (chance > 1)).any():
        raise ValueError("bernoulli: a probability is outside [0, 1]")
    return _finish((_draw(generator).random(input.shape) < chance), input.dtype, None, False)


@method()
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """For each row of weights, `num_samples` indices drawn with probability proportional to weight."""
    if input.ndim not in (1, 2) or not input.array.size:
        raise RuntimeError(f"multinomial: expected weights of one or two dimensions, got shape {input.shape}")
    weights = np.atleast_2d(input.array).astype(float)
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights.sum(1) <= 0).any():
        raise RuntimeError("multinomial: weights must be finite, not negative, and not all zero in a row")
    if not replacement and ((weights > 0).sum(1) < num_samples).any():
        raise RuntimeError(f"multinomial: fewer than num_samples={num_samples} non-zero weights; pass replacement=True")
    draw = _draw(generator)
    rows = [draw.choice(len(w), num_samples, replace=replacement, p=w / w.sum()) for w in weights]
    return _finish(np.stack(rows).reshape(input.shape[:-1] + (num_samples,)), dtypes.int64, None, False)
