"""Axes, and everything that may stand between brackets."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .arrays import Shape


def axes(ndim: int, several: bool = True) -> st.SearchStrategy[Any]:
    """None, one dimension, or (if `several`) a tuple of different ones, counted from either end."""
    if not ndim:
        return st.none()
    one = st.integers(-ndim, ndim - 1)
    return one if not several else st.none() | one | hnp.valid_tuple_axes(ndim, min_size=1)


def basic_indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Integers, slices (backwards too), `...` and None: what gives a view."""
    return hnp.basic_indices(shape, allow_newaxis=True, max_dims=len(shape) + 2)


@st.composite
def advanced_indices(draw: st.DrawFn, shape: Shape) -> Any:
    """Arrays of integers, which may repeat, and masks; alone, or beside slices, integers and None."""
    if not shape or 0 in shape or draw(st.booleans()):
        return draw(hnp.arrays(bool, shape))
    parts: list[Any] = []
    taken = draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    for n in shape:
        if draw(st.integers(0, 5)) == 5:
            parts.append(None)
        kind = draw(st.sampled_from(["array", "array", "mask", "slice", "integer"]))
        if kind == "mask" and taken[-1] <= n:
            parts.append(draw(_masks_of(n, taken[-1])))
        elif kind in ("array", "mask"):
            parts.append(draw(hnp.arrays(np.int64, taken, elements=st.integers(-n, n - 1))))
        else:
            parts.append(draw(st.slices(n) if kind == "slice" else st.integers(-n, n - 1)))
    return tuple(parts[: draw(st.integers(1, len(parts)))])


def _masks_of(n: int, count: int) -> st.SearchStrategy[Any]:
    """Masks (n,) that are True `count` times: beside arrays of indices, they are one of that length."""
    return st.permutations([True] * count + [False] * (n - count)).map(np.array)


def indices(shape: Shape) -> st.SearchStrategy[Any]:
    """Any index of an array of `shape`."""
    return basic_indices(shape) | advanced_indices(shape)
