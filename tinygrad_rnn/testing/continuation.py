"""Complex tensors, so that a derivative can be read off an imaginary part.

f(x + ih) = f(x) + ih f'(x) + O(h²), so Im f(x + ih) / h is f'(x) without any cancellation, for h as
small as 1e-20 (Squire & Trapp 1998; Martins, Sturdza & Alonso 2003). NumPy's functions do this by
themselves, except for primitives with a `complex_forward` (engine/derivatives.py), where they refuse complex
numbers or are not analytic as NumPy extends them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .. import dtypes
from ..engine.primitive import REGISTRY
from ..engine.tensor import Tensor

STEP = 1e-20  # far below the rounding of any value, far above underflow


def _is_float_or_complex(self: Tensor) -> bool:
    return self.dtype.kind in "fc"


@contextmanager
def complex_tensors(tensors: Sequence[Tensor]) -> Iterator[None]:
    """Inside, these float tensors hold complex numbers, and every operation takes such tensors."""
    before = [(t, t.array) for t in tensors if t.dtype.kind == "f"]
    forwards = {p: p.forward for p in REGISTRY.values()}
    supported, is_float = dtypes.SUPPORTED, Tensor.is_floating_point
    try:
        dtypes.SUPPORTED = (*supported, np.dtype("complex128"))  # type: ignore[assignment]
        Tensor.is_floating_point = _is_float_or_complex  # type: ignore[method-assign, assignment]
        for p in forwards:
            p.forward = p.complex_forward or p.forward
        for t, array in before:
            t.array = array.astype(np.complex128)
        yield
    finally:
        dtypes.SUPPORTED, Tensor.is_floating_point = supported, is_float  # type: ignore[method-assign]
        for p, forward in forwards.items():
            p.forward = forward
        for t, array in before:
            t.array = array
