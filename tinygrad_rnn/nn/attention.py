"""Attention of a recurrent decoder over what an encoder has read: additive, and by dot products.

    weights = softmax_s(score(query, key_s)),    context = Σ_s weights_s value_s

B sequences, S places to look at, T queries; a mask (B, S) says which places are no padding.
"""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops import matmul, tanh, where
from . import functional as F
from .layers import Linear
from .module import Module


class _Attention(Module):
    """Masks, weights and context; subclasses define `of_keys` and `score`."""

    def of_keys(self, keys: Tensor) -> Tensor:
        """The share of keys (B, S, K) in the score: (B, S, …)."""
        raise NotImplementedError(f"{type(self).__name__}: define of_keys(keys)")

    def project(self, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """The share of keys (B, S, K) in the score, which no query changes: make it once for all steps.

        Where mask (B, S) is False, keys count as 0.
        """
        return self.of_keys(_hidden(keys, mask))

    def score(self, query: Tensor, projected: Tensor) -> Tensor:
        """How well each key fits each query: (B, T, Q) and projected keys (B, S, …) -> (B, T, S)."""
        raise NotImplementedError(f"{type(self).__name__}: define score(query, projected)")

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor | None = None,
        mask: Tensor | None = None,
        projected: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The mean of the values that the query asks for, and the weights.

        Args:
            query: (B, Q), or (B, T, Q) for T queries at once.
            keys: (B, S, K).
            values: (B, S, V); by default the keys.
            mask: truth values (B, S): False hides a place, whatever stands there, even NaN. A row that is
                all False has weights and a context of 0.
            projected: `project(keys, mask)`, if it was made before.

        Returns:
            context (B, V) or (B, T, V), and weights (B, S) or (B, T, S).

        Raises:
            RuntimeError: shapes that do not fit.
        """
        name = type(self).__name__
        one = query.ndim == 2
        queries = query.unsqueeze(1) if one else query
        values = keys if values is None else values
        places = keys.shape[:2]
        if (queries.ndim, keys.ndim, values.shape[:2]) != (3, 3, places) or len(query) != len(keys):
            raise RuntimeError(
                f"{name}: query must be (B, Q) or (B, T, Q), keys (B, S, K), values (B, S, V), got "
                f"{query.shape}, {keys.shape} and {values.shape}"
            )
        if mask is not None and mask.shape != places:
            raise RuntimeError(f"{name}: mask must be (B, S) = {places}, got {mask.shape}")
        projected = self.project(keys, mask) if projected is None else projected
        scores = self.score(queries, projected)
        weights = F.masked_softmax(scores, None if mask is None else mask.unsqueeze(1))
        context = matmul(weights, _hidden(values, mask))
        return (context.squeeze(1), weights.squeeze(1)) if one else (context, weights)


def _hidden(x: Tensor, mask: Tensor | None) -> Tensor:
    """x (B, S, …), 0 where the mask (B, S) is False: a weight of 0 is not enough, for 0 · NaN is NaN."""
    shown: Tensor = x if mask is None else where(mask.unsqueeze(-1), x, 0.0)
    return shown


class AdditiveAttention(_Attention):
    """score = vᵀ tanh(W_q query + W_k key) (Bahdanau, Cho and Bengio, 2015, section 3.1 and A.1.2).

    Args:
        query_dim: Q, the size of a query: the decoder's state.
        key_dim: K, the size of a key: the encoder's output.
        attention_dim: A, the size of the hidden layer.
        device: only the processor.
        dtype: of the parameters; by default the default dtype.

    `query_proj.weight` W_q (A, Q), `key_proj.weight` W_k (A, K) and `energy.weight` v (1, A) start as in
    Linear.

    >>> import tinygrad_rnn as tg
    >>> attention = tg.nn.AdditiveAttention(4, 6, attention_dim=5)
    >>> mask = tg.tensor([[True, True, False]])
    >>> context, weights = attention(tg.randn(1, 4), tg.randn(1, 3, 6), mask=mask)
    >>> context.shape, weights[0, 2].item()
    ((1, 6), 0.0)
    """

    def __init__(
        self, query_dim: int, key_dim: int, attention_dim: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        options = {"bias": False, "device": device, "dtype": dtype}
        self.query_proj = Linear(query_dim, attention_dim, **options)
        self.key_proj = Linear(key_dim, attention_dim, **options)
        self.energy = Linear(attention_dim, 1, **options)

    def of_keys(self, keys: Tensor) -> Tensor:
        """W_k keys: (B, S, K) -> (B, S, A)."""
        projected: Tensor = self.key_proj(keys)
        return projected

    def score(self, query: Tensor, projected: Tensor) -> Tensor:
        """vᵀ tanh(W_q query + W_k key): (B, T, Q), (B, S, A) -> (B, T, S)."""
        hidden = tanh(self.query_proj(query).unsqueeze(2) + projected.unsqueeze(1))
        return self.energy(hidden).squeeze(-1)  # type: ignore[no-any-return]


class DotAttention(_Attention):
    """score = queryᵀ key, or queryᵀ W key (Luong, Pham and Manning, 2015, equation 8).

    Args:
        query_dim: Q. With key_dim it makes the score "general": W (Q, K) is learned, `key_proj.weight`, and
            starts as in Linear.
        key_dim: K. Without both, the score is "dot", and queries and keys must have one size.
        scale: multiply the score by 1 / √Q, as in scaled_dot_product_attention.
        device: only the processor.
        dtype: of the weight; by default the default dtype.

    Raises:
        ValueError: one size without the other.

    >>> import tinygrad_rnn as tg
    >>> keys = tg.tensor([[[9., 0.], [0., 9.]]])
    >>> context, weights = tg.nn.DotAttention()(tg.tensor([[0., 9.]]), keys)
    >>> weights.round(decimals=3)
    tensor([[0., 1.]])
    """

    def __init__(
        self,
        query_dim: int | None = None,
        key_dim: int | None = None,
        scale: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.key_proj: Linear | None = None
        if query_dim is not None and key_dim is not None:
            self.key_proj = Linear(key_dim, query_dim, bias=False, device=device, dtype=dtype)
        elif query_dim is not None or key_dim is not None:
            raise ValueError(
                f"DotAttention: give query_dim and key_dim or neither, got {query_dim} and {key_dim}"
            )

    def of_keys(self, keys: Tensor) -> Tensor:
        """W keys: (B, S, K) -> (B, S, Q); the keys themselves if there is no W."""
        return keys if self.key_proj is None else self.key_proj(keys)

    def score(self, query: Tensor, projected: Tensor) -> Tensor:
        """queryᵀ W key: (B, T, Q), (B, S, Q) -> (B, T, S)."""
        scores = matmul(query, projected.mT)
        return scores / query.shape[-1] ** 0.5 if self.scale else scores
