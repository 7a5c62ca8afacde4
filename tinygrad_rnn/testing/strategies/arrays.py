"""Arrays and tensors: of any shape and layout, with values that are kind to differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ...tensor import Array, Tensor

Shape = tuple[int, ...]


def numbers(
    low: float = -3.0, high: float = 3.0, away_from: Sequence[float] = (), margin: float = 0.05
) -> st.SearchStrategy[float]:
    """Floats in [low, high] with three decimals, at least `margin` from every number in `away_from`
    (kinks, poles).
    """
    grid = st.integers(int(np.ceil(low * 1000)), int(np.floor(high * 1000))).map(lambda n: n / 1000)
    return grid.filter(lambda x: all(abs(x - kink) >= margin for kink in away_from)) if away_from else grid


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
    """Finite float arrays of `shape` (or drawn from it; default: any), away from kinks, in any memory layout.

    With `unique` no number occurs twice, as for a maximum, which has a kink where two are equal.
    """
    if shape is None:
        shape = shapes()
    if isinstance(shape, st.SearchStrategy):
        shape = draw(shape)
    elements = numbers(low, high, away_from)
    array = draw(hnp.arrays(np.float64, shape, elements=elements, fill=st.nothing(), unique=unique))
    array = array.astype(dtype)
    return draw(layouts(array)) if any_layout else array


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
