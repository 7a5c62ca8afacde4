"""assert_close, with PyTorch's signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops import as_tensor

TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}  # rtol, atol; else 0, 0


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """AssertionError unless |actual - expected| ≤ atol + rtol |expected| everywhere.

    Shapes and dtypes must be equal. Compared are tensors, arrays and numbers; sequences and dictionaries
    of them. The tolerances follow from the dtype if they are not given. There is one device and one
    layout, so nothing is to be checked of these.

    >>> import tinygrad_rnn as tg
    >>> assert_close(tg.ones(2) / 3, tg.tensor([0.333333343, 0.333333343]))
    """
    if check_stride:
        raise NotImplementedError("assert_close: check_stride=True is not supported")
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: give rtol and atol both, or neither; got rtol={rtol}, atol={atol}")
    if not allow_subclasses and type(actual) is not type(expected):
        raise AssertionError(f"types {type(actual).__name__} and {type(expected).__name__} differ")
    for place, a, b in _pairs("", actual, expected):
        fault = _fault(a, b, rtol, atol, equal_nan, check_dtype)
        if fault:
            text = f"{place.strip() + ': ' if place else ''}{fault}"
            raise AssertionError(msg(text) if callable(msg) else text if msg is None else msg)


def _pairs(place: str, actual: Any, expected: Any) -> list[tuple[str, Tensor, Tensor]]:
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(expected):
            raise AssertionError(f"{place}: the keys of the mappings differ")
        return [pair for key in expected for pair in _pairs(f"{place}[{key!r}]", actual[key], expected[key])]
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(actual, Sequence) or len(actual) != len(expected):
            raise AssertionError(f"{place}: the lengths of the sequences differ")
        return [
            pair for i, (a, b) in enumerate(zip(actual, expected)) for pair in _pairs(f"{place}[{i}]", a, b)
        ]
    return [(place, _tensor(actual), _tensor(expected))]


def _tensor(x: Any) -> Tensor:
    """Numbers are compared in float64, whatever the default dtype is."""
    return Tensor(np.asarray(x)) if isinstance(x, (int, float)) else as_tensor(x)


def _fault(
    a: Tensor, b: Tensor, rtol: float | None, atol: float | None, equal_nan: bool, check_dtype: bool
) -> str:
    """What is wrong, or nothing."""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape} differ"
    if check_dtype and a.dtype != b.dtype:
        return f"dtypes {a.dtype} and {b.dtype} differ"
    loosest = [max(pair) for pair in zip(*(TOLERANCES.get(str(t.dtype), (0.0, 0.0)) for t in (a, b)))]
    r, t = loosest if rtol is None or atol is None else (rtol, atol)
    common = (
        np.promote_types(np.result_type(a.array, b.array), np.float64)
        if "f" in a.dtype.kind + b.dtype.kind
        else np.int64
    )
    x, y = a.array.astype(common), b.array.astype(common)
    off = ~np.isclose(x, y, r, t, equal_nan)
    if not off.any():
        return ""
    i = np.unravel_index(int(np.argmax(off)), off.shape)
    place = f" at {tuple(map(int, i))}" if i else ""
    with np.errstate(all="ignore"):
        largest = np.abs(np.where(off, x - y, 0)).max()
    return (
        f"{off.sum()} of {off.size} numbers differ, first{place}: {x[i]:.9g} instead of {y[i]:.9g} "
        f"(by up to {largest:.3g}; rtol={r}, atol={t})"
    )
