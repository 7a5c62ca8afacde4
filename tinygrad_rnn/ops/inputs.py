"""Arguments of operations: tensors, arrays and numbers, of one dtype or several; dimensions; sizes; indices.

Errors name the operation, the argument and the value.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from functools import wraps
from operator import index
from typing import Any, TypeVar

import numpy as np

from .. import dtypes
from ..engine import derivatives
from ..engine.primitive import ANY, FLOATS
from ..engine.tensor import Tensor, method

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
LEFT_OUT = {"out", "layout", "memory_format", "names", "output_size", "pin_memory", "reduce"}
PYTHON = (float, int)


def accepting(f: F) -> F:
    """`f` with PyTorch's freedom: NumPy's names of arguments, f(dims=(0, 1)) for f(0, 1), arrays."""
    name, parameters = f.__name__, inspect.signature(f).parameters.values()
    known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    star = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    takes_input = "input" in known

    @wraps(f)
    def called(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not kwargs.keys() <= known:
            refuse(name, LEFT_OUT & kwargs.keys())
            kwargs = {k if k in known else NUMPY_NAMES.get(k, k): v for k, v in kwargs.items()}
            args = (*args, kwargs.pop(star)) if star in kwargs else args
        if takes_input and args and not isinstance(args[0], Tensor):
            args = (tensor_of(name, args[0]), *args[1:])
        return f(*args, **kwargs)

    return called  # type: ignore[return-value]


def refuse(name: str, arguments: Iterable[str]) -> None:
    """Refuse arguments that PyTorch has and this package has not."""
    for argument in arguments:
        raise NotImplementedError(f"{name}: the argument {argument}= is not supported")


def named(name: str, f: Callable[..., T], doc: str) -> Callable[..., T]:
    """`f`, called `name` and described by `doc`."""
    for attribute, value in {"__name__": name, "__qualname__": name, "__doc__": doc}.items():
        setattr(f, attribute, value)
    return f


def attribute(get: F) -> F:
    """Attach a function to Tensor as an attribute that can be read (a property)."""
    setattr(Tensor, get.__name__, property(get))
    return get


# --- tensors and numbers


def tensor_of(name: str, x: Any, dtype: Any = None) -> Tensor:
    """`x`, a tensor, an array or a number, as a tensor (of `dtype`)."""
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, (bool, int, float)):
        if dtype is not None and dtype.kind in "iu" and isinstance(x, float) and not math.isfinite(x):
            raise RuntimeError(f"{name}: {x} is not a number of type {dtype}")
        return Tensor(np.asarray(x).astype(dtypes.result_type(x) if dtype is None else dtype))
    if isinstance(x, np.ndarray):
        x = Tensor(x)
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a tensor, an array or a number, got {type(x).__name__}")
    return x if dtype is None else cast(x, dtype)


@method("astype")
def cast(input: Tensor, dtype: Any) -> Tensor:
    """`input` in another dtype; the gradient comes back in the old one. Not a copy if it is that already."""
    dtype = dtypes.as_dtype(dtype)
    if input.dtype == dtype or input.dtype.kind == "c":  # complex: a probe of the complex-step oracle
        return input
    if dtype.kind != "f":
        return Tensor(input.array.astype(dtype))
    return derivatives.cast(input, dtype=dtype, was=input.dtype)


def mask_of(name: str, condition: Any) -> Any:
    """`condition` as an array of truth values."""
    array = tensor_of(name, condition).array
    if array.dtype.kind not in "bu":
        raise TypeError(f"{name}: a mask must hold truth values, got {array.dtype}; compare it")
    return array.astype(bool, copy=False)


def same_dtype(a: Any, b: Any, kinds: str) -> bool:
    """True if NumPy's promotion is PyTorch's: one dtype, or an array of floats and a Python number."""
    if isinstance(a, Tensor):
        d = a.array.dtype
        if isinstance(b, Tensor):
            return d == b.array.dtype and d.kind in kinds
        return b.__class__ in PYTHON and d.kind == "f"
    return a.__class__ in PYTHON and isinstance(b, Tensor) and b.array.dtype.kind == "f"


def matched(name: str, *inputs: Any, kinds: str = ANY) -> list[Tensor]:
    """`inputs` in their common dtype, which is one of `kinds`. Python numbers do not widen arrays."""
    inputs = tuple(x if isinstance(x, (bool, int, float)) else tensor_of(name, x) for x in inputs)
    common = dtypes.result_type(*inputs)
    if common.kind not in kinds:
        if kinds != FLOATS:
            raise TypeError(f"{name}: not defined for {common} tensors")
        common = dtypes.get_default_dtype()
    return [tensor_of(name, x, common) for x in inputs]


# --- dimensions and sizes


def axis_of(name: str, input: Tensor, dim: Any, new: int = 0) -> int:
    """`dim` counted from the front, in a shape with `new` dimensions more than the input's."""
    n = input.ndim + new or 1
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}: dim must be an integer, got {dim!r}")
    if not -n <= int(dim) < n:
        raise IndexError(f"{name}: dim {dim} is out of range for shape {input.shape}")
    return int(dim) % n


def axis_and_size(name: str, input: Tensor, dim: Any) -> tuple[int, int]:
    """`dim` counted from the front, and its size; a 0-d tensor has none."""
    if not input.shape:
        raise IndexError(f"{name}: a 0-d tensor has no dimensions")
    axis = axis_of(name, input, dim)
    return axis, input.shape[axis]


def axes_of(name: str, input: Tensor, dim: Any) -> tuple[int, ...]:
    """`dim` (None: all) as a tuple of distinct dimensions counted from the front; () for a 0-d tensor."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(input.ndim))
    axes = tuple(axis_of(name, input, d) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"{name}: dim {dim} names a dimension twice")
    return axes if input.shape else ()


def sizes_of(name: str, sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Integers given as `f(2, 3)` or `f((2, 3))`."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    try:
        return tuple(map(index, sizes))
    except TypeError:
        raise TypeError(f"{name}: expected integers, got {sizes}") from None


# --- indices


def plain_index(index: Any, shape: tuple[int, ...]) -> Any:
    """`index` into `shape` for NumPy: tensors and lists as arrays, 0-d integer tensors as integers."""
    if isinstance(index, tuple):
        return _integers_first(tuple(plain_index(i, shape) for i in index), shape)
    if isinstance(index, Tensor):
        if not index.shape and index.dtype.kind == "i":
            return int(index.array)
        index = index.array
    elif isinstance(index, (list, range, bool)):
        index = np.asarray(index)
        index = index.astype(np.int64) if index.size == 0 else index
    if isinstance(index, np.ndarray) and index.dtype.kind not in "biu":
        raise IndexError(f"x[index]: an index must hold integers or truth values, got {index.dtype}")
    if isinstance(index, np.ndarray) and index.dtype == np.uint8:
        index = index.astype(bool)  # before PyTorch had bool tensors, comparisons gave uint8
    return index


def _integers_first(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """PyTorch takes integers before arrays, NumPy with them, which differs if a slice stands between."""
    arrays = [isinstance(i, np.ndarray) for i in index]
    integers = [isinstance(i, int) for i in index]
    together = [k for k in range(len(index)) if arrays[k] or integers[k]]
    if not any(arrays) or not any(integers) or together[-1] - together[0] + 1 == len(together):
        return index
    number = np.arange(np.prod(shape)).reshape(shape)
    takes = [i.ndim if array and i.dtype == bool else 1 for i, array in zip(index, arrays)]  # dimensions
    first = [[slice(None)] * n if array else [i] for i, array, n in zip(index, arrays, takes)]
    then = [i if array or i is Ellipsis else slice(None) for i, array in zip(index, arrays)]
    chosen = number[tuple(i for part in first for i in part)]
    return np.unravel_index(chosen[tuple(i for i, integer in zip(then, integers) if not integer)], shape)
