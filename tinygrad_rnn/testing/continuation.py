"""Forwards for complex arrays, so that a derivative can be read off an imaginary part.

f(x + ih) = f(x) + ih f'(x) + O(h²), so Im f(x + ih) / h is f'(x) without any cancellation, for h as
small as 1e-20 (Squire & Trapp 1998; Martins, Sturdza & Alonso 2003). NumPy's functions do this by
themselves, except those below, which refuse complex numbers or are not analytic as NumPy extends them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.contributions import add_at
from ..autograd.primitive import REGISTRY
from ..tensor import Array, Tensor

STEP = 1e-20  # far below the rounding of any value, far above underflow


def _constant_between_jumps(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: f(np.real(x)).astype(x.dtype)


def _remainder(a: Any, b: Any) -> Any:
    return a - b * np.floor(np.real(a) / np.real(b))


def _logaddexp(a: Any, b: Any) -> Any:
    top = np.maximum(np.real(a), np.real(b))
    return top + np.log(np.exp(a - top) + np.exp(b - top))


def _erf(x: Any) -> Any:
    """erf(x + ih) to first order in h, from the integral that defines it: d erf/dx = 2/√π exp(-x²)."""
    real = np.real(x)
    value = np.asarray(np.frompyfunc(math.erf, 1, 1)(real), real.dtype)
    return value + 1j * np.imag(x) * (2 / math.sqrt(math.pi) * np.exp(-real * real))


def _place(*parts: Any, indices: Any, shape: Any) -> Any:
    out = np.zeros(shape, np.result_type(*parts))
    for part, index in zip(parts, indices):
        add_at(out, index, part)
    return out


def _put(x: Any, v: Any, *, index: Any, reuse: bool) -> Any:
    y = x.astype(np.result_type(x, v))
    y[index] = v
    return y


CONTINUED: dict[str, Callable[..., Any]] = {
    "abs": lambda x: np.where(np.real(x) < 0, -x, x),
    "sign": _constant_between_jumps(np.sign),
    "floor": _constant_between_jumps(np.floor),
    "ceil": _constant_between_jumps(np.ceil),
    "round": _constant_between_jumps(np.round),
    "remainder": _remainder,
    "logaddexp": _logaddexp,
    "erf": _erf,
    "place": _place,
    "put": _put,
}


def _is_float_or_complex(self: Tensor) -> bool:
    return self.dtype.kind in "fc"


@contextmanager
def complex_tensors(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Inside, these float tensors hold complex numbers, and every operation takes such tensors."""
    before = [(t, t.array) for t in tensors if t.dtype.kind == "f"]
    forwards = {name: REGISTRY[name].forward for name in CONTINUED}
    supported, is_float = dtypes.SUPPORTED, Tensor.is_floating_point
    try:
        dtypes.SUPPORTED = (*supported, np.dtype("complex128"))  # type: ignore[assignment]
        Tensor.is_floating_point = _is_float_or_complex  # type: ignore[method-assign]
        for name, forward in CONTINUED.items():
            REGISTRY[name].forward = forward
        for t, array in before:
            t.array = array.astype(np.complex128)
        yield
    finally:
        dtypes.SUPPORTED, Tensor.is_floating_point = supported, is_float  # type: ignore[method-assign]
        for name, forward in forwards.items():
            REGISTRY[name].forward = forward
        for t, array in before:
            t.array = array
