"""Number types, and the type of a result.

A dtype here is NumPy's own. What differs from NumPy is promotion, which follows PyTorch: between
categories (bool < integer < float) only the higher category counts, and a Python number or a 0-d
tensor never widens an array of its own category. So `int64 + float32` is `float32`, not `float64`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine.primitive import ANY as ANY
from .engine.primitive import FLOATS as FLOATS
from .engine.primitive import INTEGERS as INTEGERS
from .engine.primitive import NUMBERS as NUMBERS

Dtype = np.dtype[Any]

float16 = half = np.dtype("float16")
float32 = np.dtype("float32")
float64 = double = np.dtype("float64")
uint8 = np.dtype("uint8")
int8 = np.dtype("int8")
int16 = short = np.dtype("int16")
int32 = np.dtype("int32")
int64 = long = np.dtype("int64")
bool_ = np.dtype("bool")

SUPPORTED = (float32, float64, float16, int64, int32, int16, int8, uint8, bool_)
_PYTHON = {float: None, int: int64, bool: bool_}  # of numbers; float: the default dtype, whichever it is now
_CATEGORIES = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}

_default = float32


def get_default_dtype() -> Dtype:
    """The dtype of new float tensors: `float32` unless `set_default_dtype` was called."""
    return _default


def set_default_dtype(d: Any) -> None:
    """Make `d` (a float dtype) the dtype of new float tensors."""
    global _default
    new = as_dtype(d)
    if new.kind != "f":
        raise TypeError(f"set_default_dtype: {new} is not a float dtype; use float32 or float64")
    _default = new


def as_dtype(d: Any) -> Dtype:
    """The NumPy dtype that `d` names: a dtype, a NumPy scalar type, or Python's float, int, bool."""
    try:
        found: Dtype = np.dtype(d)
    except TypeError:
        found = np.dtype(object)
    if found not in SUPPORTED:
        raise NotImplementedError(f"dtype {d!r} is not supported, only {', '.join(map(str, SUPPORTED))}")
    return found


def category(d: Dtype) -> int:
    """0 bool, 1 integer, 2 float, 3 complex (met only inside the complex-step oracle)."""
    return _CATEGORIES[d.kind]


def promote(a: Dtype, b: Dtype) -> Dtype:
    """The type of a result of two arrays: the higher category's, NumPy's choice within one."""
    ka, kb = category(a), category(b)
    if ka != kb and 3 not in (ka, kb):
        return a if ka > kb else b
    return np.promote_types(a, b)


def result_type(*operands: Any) -> Dtype:
    """The dtype of an operation on `operands`: tensors, arrays or Python numbers.

    Arrays outrank 0-d arrays, which outrank Python numbers, within a category.
    """
    ranks: list[Dtype | None] = [None, None, None]
    for x in operands:
        if isinstance(x, (bool, int, float)):
            rank, d = 2, next(_PYTHON[kind] for kind in (bool, int, float) if isinstance(x, kind)) or _default
        else:
            rank, d = (0 if len(x.shape) else 1), x.dtype
        held = ranks[rank]
        ranks[rank] = d if held is None else promote(held, d)
    result: Dtype | None = None
    for lower in ranks:
        if lower is not None and (result is None or category(lower) > category(result)):
            result = lower
    assert result is not None  # callers pass at least one operand
    return result
