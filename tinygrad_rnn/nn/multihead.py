"""Multi-head attention, with PyTorch's parameters (Vaswani et al., 2017, section 3.2.2)."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..ops import cat, where, zeros
from . import functional as F
from . import init
from .functional.attention import attend
from .layers import Linear, blank
from .module import Module


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`, by the name that PyTorch's MultiheadAttention shows for its `out_proj`."""


class MultiheadAttention(Module):
    """y = concat(head₁, …, headₕ) W_oᵀ + b_o,   headᵢ = attention(q W_qᵢᵀ, k W_kᵢᵀ, v W_vᵢᵀ).

    Args:
        embed_dim: E, the size of queries and outputs.
        num_heads: h; it divides E, each head sees E / h numbers.
        dropout: the probability with which a weight is dropped in training.
        bias: False leaves the biases of all projections out.
        add_bias_kv: add a learned key and value, `bias_k` and `bias_v`, at the end of every sequence.
        add_zero_attn: add a key and a value of zeros.
        kdim: the size of keys; by default E.
        vdim: the size of values; by default E.
        batch_first: inputs and outputs are (B, L, E) instead of (L, B, E).
        device: only the processor.
        dtype: of the parameters; by default the default dtype.

    `in_proj_weight` (3E, E), or, if sizes differ, `q_proj_weight` (E, E), `k_proj_weight` (E, kdim) and
    `v_proj_weight` (E, vdim), start by `xavier_uniform_`; `in_proj_bias` (3E) and `out_proj.bias` as 0;
    `out_proj.weight` (E, E) as in Linear.

    Raises:
        ValueError: sizes that are not positive, or heads that do not divide E.

    >>> import tinygrad_rnn as tg
    >>> attention = tg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> y, weights = attention(tg.zeros(3, 4, 8), tg.zeros(3, 5, 8), tg.zeros(3, 5, 8))
    >>> y.shape, weights.shape
    ((3, 4, 8), (3, 4, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim {embed_dim} must be a positive multiple of "
                f"num_heads {num_heads}"
            )
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        one = self.kdim == self.vdim == embed_dim
        shapes = {
            "q_proj_weight": None if one else (embed_dim, embed_dim),
            "k_proj_weight": None if one else (embed_dim, self.kdim),
            "v_proj_weight": None if one else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if one else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(
                name, None if shape is None else blank(*shape, device=device, dtype=dtype)
            )
        self.out_proj = NonDynamicallyQuantizableLinear(
            embed_dim, embed_dim, bias=bias, device=device, dtype=dtype
        )
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw initial values (those of `out_proj.weight` were drawn when it was made)."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend to the values with each query, and say by which weights.

        Args:
            query: (L, B, E), or (B, L, E) with batch_first, or (L, E) without a batch.
            key: (S, B, kdim), (B, S, kdim) or (S, kdim).
            value: (S, B, vdim), (B, S, vdim) or (S, vdim).
            key_padding_mask: (B, S), or (S,). True hides a value (the opposite of
                scaled_dot_product_attention); floats are added to the scores.
            need_weights: False returns None for the weights.
            attn_mask: (L, S), or (B · h, L, S). True hides a value from a query; floats are added.
            average_attn_weights: the mean over the heads instead of each head's weights.
            is_causal: a hint that attn_mask is causal; it must be given, and is used.

        Returns:
            y, in the query's shape, and weights (B, L, S), or (B, h, L, S) of each head, without B if there
            is no batch. A query that may look at nothing has weights 0 (in PyTorch, if it needs them, NaN).

        Raises:
            RuntimeError: shapes that do not fit; is_causal without attn_mask.
        """
        alone = query.ndim == 2
        q, k, v = (self._batched(name, x, query.ndim) for name, x in
                   (("query", query), ("key", key), ("value", value)))  # fmt: skip
        if is_causal and attn_mask is None:
            raise RuntimeError("MultiheadAttention: is_causal=True is a hint, give the attn_mask with it")
        (B, L, _), S = q.shape, k.shape[1]
        mask = self._mask(key_padding_mask, attn_mask, B, L, S, q.dtype)
        q, k, v = self._projected(q, k, v)
        k, v = self._with_more_places(k, v)
        mask = mask if mask is None or k.shape[1] == S else F.pad(mask, (0, k.shape[1] - S))
        q, k, v = (x.reshape(B, -1, self.num_heads, self.head_dim).transpose(1, 2) for x in (q, k, v))
        found, weights = attend(q, k, v, mask, self.dropout if self.training else 0.0, False, None)
        y = self.out_proj(found.transpose(1, 2).reshape(B, L, self.embed_dim))
        y = y.squeeze(0) if alone else y if self.batch_first else y.transpose(0, 1)
        if not need_weights:
            return y, None
        weights = weights.mean(1) if average_attn_weights else weights
        return y, weights.squeeze(0) if alone else weights

    def _batched(self, name: str, x: Tensor, ndim: int) -> Tensor:
        """`x` as (B, L, features)."""
        size = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}[name]
        if x.ndim != ndim or ndim not in (2, 3) or x.shape[-1] != size:
            wanted = "(B, L, {0})" if self.batch_first else "(L, B, {0})"
            raise RuntimeError(
                f"MultiheadAttention: {name} must be {wanted.format(size)} or (L, {size}), all three "
                f"with a batch or none, got shape {x.shape}"
            )
        return x.unsqueeze(0) if ndim == 2 else x if self.batch_first else x.transpose(0, 1)

    def _projected(self, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
        """Queries, keys and values, E numbers each."""
        if k.shape[:2] != v.shape[:2] or len(q) != len(k):
            raise RuntimeError(
                f"MultiheadAttention: query, key and value must be of one batch, key and value of one "
                f"length, got (as (B, L, features)) {q.shape}, {k.shape} and {v.shape}"
            )
        separate = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        weights = separate if self.in_proj_weight is None else self.in_proj_weight.chunk(3)
        biases = [None] * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        return [F.linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases)]

    def _with_more_places(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, S, E) with the learned ones and the zeros at the end, if asked for."""
        if self.bias_k is not None:
            k, v = (cat([x, b.expand(len(x), 1, -1)], 1) for x, b in ((k, self.bias_k), (v, self.bias_v)))
        if self.add_zero_attn:
            k, v = (cat([x, zeros(len(x), 1, self.embed_dim, dtype=x.dtype)], 1) for x in (k, v))
        return k, v

    def _mask(
        self, padding: Tensor | None, mask: Tensor | None, B: int, L: int, S: int, dtype: Any
    ) -> Tensor | None:
        """Both masks as one of floats to add, (B, 1 or h, 1 or L, S)."""
        sums = []
        if padding is not None:
            shape = (B, S) if padding.ndim == 2 else (S,)
            if padding.shape != shape or (padding.ndim == 1 and B > 1):
                raise RuntimeError(
                    f"MultiheadAttention: key_padding_mask must be ({B}, {S}), got {padding.shape}"
                )
            sums.append(_additive("key_padding_mask", padding, dtype).reshape(B, 1, 1, S))
        if mask is not None:
            if mask.shape not in ((L, S), (B * self.num_heads, L, S)):
                many = (B * self.num_heads, L, S)
                raise RuntimeError(
                    f"MultiheadAttention: attn_mask must be {(L, S)} or {many}, got {mask.shape}"
                )
            heads = (1, 1, L, S) if mask.ndim == 2 else (B, self.num_heads, L, S)
            sums.append(_additive("attn_mask", mask, dtype).reshape(heads))
        return sums[0] + sums[1] if len(sums) == 2 else sums[0] if sums else None


def _additive(name: str, mask: Tensor, dtype: Any) -> Tensor:
    """A mask of floats: 0, or -inf where `mask` hides; or itself."""
    if mask.dtype == bool:
        hidden: Tensor = where(mask, -float("inf"), zeros(mask.shape, dtype=dtype))
        return hidden
    if not mask.is_floating_point():
        raise TypeError(f"MultiheadAttention: {name} must hold truth values or floats, got {mask.dtype}")
    return mask
