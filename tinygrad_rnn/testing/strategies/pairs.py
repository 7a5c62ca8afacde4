"""Shapes that go together."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from .arrays import Shape


def broadcastable_shapes(
    count: int = 2, max_dims: int = 3, max_side: int = 4, min_side: int = 0
) -> st.SearchStrategy[tuple[Shape, ...]]:
    """`count` shapes that broadcast with one another: sizes of 1, missing dimensions, 0-d and zero-size
    included.
    """
    found = hnp.mutually_broadcastable_shapes(
        num_shapes=count, min_side=min_side, max_side=max_side, max_dims=max_dims
    )
    return found.map(lambda drawn: drawn.input_shapes)


@st.composite
def matmul_shapes(draw: st.DrawFn, max_side: int = 3, min_side: int = 0) -> tuple[Shape, Shape]:
    """Shapes of two factors of a matrix product: (…, n, k) and (…, k, m), leading dimensions broadcast,
    either may be (k,).
    """
    n, k, m = (draw(st.integers(min_side, max_side)) for _ in range(3))
    kind = draw(st.sampled_from(["matrices", "row", "column", "vectors", "batches"]))
    if kind == "vectors":
        return (k,), (k,)
    if kind == "batches":
        left, right = draw(broadcastable_shapes(2, max_dims=2, max_side=max_side, min_side=min_side))
    else:
        left = right = ()
    return (k,) if kind == "row" else (*left, n, k), (k,) if kind == "column" else (*right, k, m)
