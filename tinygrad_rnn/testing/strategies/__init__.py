"""Hypothesis strategies for arrays, tensors, indices, ragged batches, random functions and random cells.

This is the one part of the package that needs Hypothesis: `pip install hypothesis`.
"""

try:
    import hypothesis as _hypothesis
except ImportError as error:
    raise ImportError(
        "tinygrad_rnn.testing.strategies needs Hypothesis; install it with: pip install hypothesis"
    ) from error

from .arrays import arrays, layouts, numbers, shapes, tensors
from .cells import cases, cells, programs
from .graphs import graphs
from .indices import advanced_indices, axes, basic_indices, indices
from .pairs import broadcastable_shapes, matmul_shapes
from .ragged import lengths, masks, packed_sequences, ragged_batches

assert _hypothesis.__version__

__all__ = [
    "advanced_indices",
    "arrays",
    "axes",
    "basic_indices",
    "broadcastable_shapes",
    "cases",
    "cells",
    "graphs",
    "indices",
    "layouts",
    "lengths",
    "masks",
    "matmul_shapes",
    "numbers",
    "packed_sequences",
    "programs",
    "ragged_batches",
    "shapes",
    "tensors",
]
