"""Arrays and tensors: of any shape and layout, with values that are kind to differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ...engine.tensor import Array, Tensor

Shape = tuple[int, ...]


def numbers(
    low: float = -3.0, high: float = 3.0, away_from: Sequence[float] = (), margin: float = 0.05
) -> st.SearchStrategy[float]:
    """Floats in [low, high] with three decimals (more, where the range is narrow), at least `margin` from
    every number in `away_from` (kinks, poles).
    """
    _check_range("numbers", low, high, away_from, margin)
    scale = 1000
    while np.floor(high * scale) - np.ceil(low * scale) < 9 and scale < 10**15 and low < high:
        scale *= 10
    first, last = int(np.ceil(low * scale)), int(np.floor(high * scale))
    grid = st.integers(first, last).map(lambda n: n / scale) if first <= last else st.just(low)
    return _apart(grid, away_from, margin)


def integers(
    low: float, high: float, away_from: Sequence[float] = (), margin: float = 0.05
) -> st.SearchStrategy[int]:
    """Integers in [low, high], at least `margin` from every number in `away_from`."""
    first, last = int(np.ceil(low)), int(np.floor(high))
    if first > last:
        raise ValueError(f"integers: there is none between low={low} and high={high}; pass a wider range")
    if last - first < 10:
        _check_some("integers", range(first, last + 1), low, high, away_from, margin)
    return _apart(st.integers(first, last), away_from, margin)


def _apart(
    found: st.SearchStrategy[Any], away_from: Sequence[float], margin: float
) -> st.SearchStrategy[Any]:
    """Those that are at least `margin` from all numbers in `away_from`."""
    return found.filter(lambda x: _is_apart(x, away_from, margin)) if away_from else found


def _is_apart(x: Any, away_from: Sequence[float], margin: float) -> bool:
    return all(abs(x - k) >= margin - 1e-12 for k in away_from)


def _check_range(who: str, low: float, high: float, away_from: Sequence[float], margin: float) -> None:
    """Errors for a range in which there is no number."""
    if not low <= high:
        raise ValueError(f"{who}: low={low} must not be greater than high={high}")
    ends = [low, high, *(k + side * margin for k in away_from for side in (-1, 1))]
    _check_some(who, [x for x in ends if low <= x <= high], low, high, away_from, margin)


def _check_some(
    who: str, found: Sequence[float], low: float, high: float, away_from: Sequence[float], margin: float
) -> None:
    if not any(_is_apart(x, away_from, margin) for x in found):
        raise ValueError(
            f"{who}: all numbers from low={low} to high={high} are nearer than margin={margin} to one of "
            f"away_from={tuple(away_from)}; pass a wider range"
        )


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 4
) -> st.SearchStrategy[Shape]:
    """Shapes, 0-d and zero-size ones included."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


@st.composite
def layouts(draw: st.DrawFn, array: Array) -> Array:
    """The same numbers in memory of another order: columns first, strided, backwards, or at an offset."""
    kind = draw(st.sampled_from(["in order", "columns first", "every second", "backwards", "at an offset"]))
    if kind == "columns first":
        return np.array(array, order="F")
    if kind == "every second" and array.ndim:
        wide = np.repeat(array, 2, axis=-1)
        return wide[..., ::2]
    if kind == "backwards" and array.ndim:
        return np.flip(np.flip(array, 0).copy(), 0)
    if kind == "at an offset":
        return np.concatenate([np.zeros(1, array.dtype), array.reshape(-1)])[1:].reshape(array.shape)
    return array


@st.composite
def arrays(
    draw: st.DrawFn,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    *,
    dtype: Any = np.float64,
    low: float = -3.0,
    high: float = 3.0,
    away_from: Sequence[float] = (),
    unique: bool = False,
    any_layout: bool = True,
) -> Array:
    """Finite arrays of `shape` (or drawn from it; default: any), away from kinks, in any memory layout.

    With `unique` no number occurs twice, as for a maximum, which has a kink where two are equal. All this
    holds of the numbers as they are in `dtype`.
    """
    if shape is None:
        shape = shapes()
    if isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    kind = np.dtype(dtype)
    elements = _elements(kind, low, high, away_from)
    if unique and kind.kind in "iu" and math.prod(shape) > math.floor(high) - math.ceil(low) + 1:
        raise ValueError(
            f"arrays: there are no {math.prod(shape)} different numbers of dtype={kind} from low={low} to "
            f"high={high}; pass a wider range, or unique=False"
        )
    array = draw(hnp.arrays(kind, shape, elements=elements, fill=st.nothing(), unique=unique))
    return draw(layouts(array)) if any_layout else array


def _elements(dtype: Any, low: float, high: float, away_from: Sequence[float]) -> st.SearchStrategy[Any]:
    """Numbers that are in the range, and away from kinks, after they are rounded to the dtype."""
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return integers(max(low, int(bounds.min)), min(high, int(bounds.max)), away_from)
    rounded = numbers(low, high, away_from).map(lambda x: dtype.type(x).item())
    return _apart(rounded, away_from, 0.05 - 1e-3)


@st.composite
def tensors(
    draw: st.DrawFn,
    /,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    *,
    requires_grad: bool | None = None,
    **options: Any,
) -> Tensor:
    """Leaf tensors around `arrays(shape, **options)`, which may require a gradient (default: some do)."""
    asks = draw(st.booleans()) if requires_grad is None else requires_grad
    return Tensor(draw(arrays(shape, **options)), requires_grad=asks)
