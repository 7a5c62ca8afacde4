"""Attention: a mean of values, weighted by how well their keys fit a query.

    weights = softmax(q kᵀ · scale + mask),    y = weights v

A query that may look at nothing gets weights 0 and an output of 0, so that no NaN arises from it.
"""

from __future__ import annotations

import math

import numpy as np

from ...engine.tensor import Tensor
from ...ops import amax, matmul, where
from .activation import softmax
from .basic import dropout


def masked_softmax(input: Tensor, mask: Tensor | None = None, dim: int = -1) -> Tensor:
    """eˣ / Σ eˣ along `dim`, over what `mask` lets through; 0 elsewhere, and everywhere if that is nothing.

    Args:
        input: scores; -inf is let through by no mask.
        mask: truth values that broadcast against `input`: True lets a score take part. None: all do.
        dim: along which the weights sum to 1 (or to 0, where nothing takes part).

    Raises:
        TypeError: the mask holds other than truth values.

    >>> import tinygrad_rnn as tg
    >>> mask = tg.tensor([[True, False, True], [False, False, False]])
    >>> tg.nn.functional.masked_softmax(tg.zeros(2, 3), mask)
    tensor([[0.5, 0. , 0.5],
            [0. , 0. , 0. ]])
    """
    scores: Tensor = input if mask is None else where(mask, input, -math.inf)
    if 0 in scores.shape:
        return scores
    nothing = amax(scores.detach(), dim, keepdim=True) == -math.inf
    if not nothing.any():
        return softmax(scores, dim)
    weights: Tensor = where(nothing, 0.0, softmax(where(nothing, 0.0, scores), dim))
    return weights


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    dropout_p: float,
    is_causal: bool,
    scale: float | None,
) -> tuple[Tensor, Tensor]:
    """`scaled_dot_product_attention`, and the weights (*, L, S) that it used."""
    name = "scaled_dot_product_attention"
    _check_shapes(name, query, key, value)
    if is_causal and attn_mask is not None:
        raise RuntimeError(f"{name}: give attn_mask or is_causal=True, not both")
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(query * factor, key.mT)
    mask = Tensor(np.tri(*scores.shape[-2:], dtype=bool)) if is_causal else attn_mask
    if mask is not None and not _broadcasts(mask.shape, scores.shape):
        raise RuntimeError(f"{name}: attn_mask {mask.shape} must broadcast to {scores.shape}")
    if mask is None or mask.dtype == bool:
        weights = masked_softmax(scores, mask)
    elif mask.is_floating_point():
        weights = masked_softmax(scores + mask)
    else:
        raise TypeError(f"{name}: attn_mask must hold truth values or floats to add, got {mask.dtype}")
    weights = dropout(weights, dropout_p)
    return matmul(weights, value), weights


def _check_shapes(name: str, query: Tensor, key: Tensor, value: Tensor) -> None:
    """Raise unless query, key and value are (*, L, E), (*, S, E) and (*, S, V)."""
    if min(query.ndim, key.ndim, value.ndim) < 2:
        shapes = query.shape, key.shape, value.shape
        raise RuntimeError(f"{name}: query, key and value need two dimensions or more, got {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(
            f"{name}: query (*, L, E), key (*, S, E) and value (*, S, V) do not fit, got {query.shape}, "
            f"{key.shape} and {value.shape}"
        )


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """True if NumPy can spread `shape` out to the shape `to`."""
    return len(shape) <= len(to) and all(m in (1, n) for m, n in zip(shape[::-1], to[::-1]))


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q kᵀ · scale + mask) v (Vaswani et al., 2017, equation 1): (*, L, E) -> (*, L, V).

    Args:
        query: (*, L, E), L queries.
        key: (*, S, E), a key for each of S values.
        value: (*, S, V).
        attn_mask: broadcasts to (*, L, S). Truth values: True lets a query see a value. Floats are added to
            the scores.
        dropout_p: the probability with which a weight is dropped, whether or not in training.
        is_causal: query i sees the values 0 … i only.
        scale: None is 1 / √E.
        enable_gqa: not supported.

    Returns:
        (*, L, V); 0 for a query that sees nothing.

    Raises:
        RuntimeError: shapes that do not fit; a mask and is_causal.
        TypeError: a mask of integers.
        NotImplementedError: enable_gqa=True.

    >>> import tinygrad_rnn as tg
    >>> values = tg.tensor([[1.], [3.], [8.]])
    >>> tg.nn.functional.scaled_dot_product_attention(tg.zeros(3, 2), tg.zeros(3, 2), values, is_causal=True)
    tensor([[1.],
            [2.],
            [4.]])
    """
    if enable_gqa:
        raise NotImplementedError("scaled_dot_product_attention: enable_gqa=True is not supported")
    return attend(query, key, value, attn_mask, dropout_p, is_causal, scale)[0]
