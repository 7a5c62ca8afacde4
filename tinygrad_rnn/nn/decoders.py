"""Decoders with attention: the steps that seq2seq.py drives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..ops import cat, tanh, where
from . import functional as F
from . import init
from .attention import AdditiveAttention
from .cells import GRUCell
from .layers import Embedding, Linear, blank
from .module import Module


class AttentionDecoder(Module):
    """A step of the decoder of Bahdanau, Cho and Bengio (2015), equations 4–6 and A.2:

        c, weights = attention(h, memory)
        h' = GRU([embedding(token), c], h)
        logits = W [h', c] + b

    Args:
        num_embeddings: V, how many symbols.
        embedding_dim: the size of their vectors.
        hidden_size: H of the cell.
        memory_size: M, the size of what an encoder gives for each place.
        attention: a module like AdditiveAttention, by default that with A = H.

    >>> import tinygrad_rnn as tg
    >>> encoder, decoder = tg.nn.GRU(3, 4, batch_first=True), tg.nn.AttentionDecoder(7, 4, 5, memory_size=4)
    >>> memory, _ = encoder(tg.randn(2, 6, 3))
    >>> decoded = tg.nn.seq2seq.greedy_search(decoder, decoder.start(memory), tg.tensor([0, 0]), 1, 9)
    >>> decoded.weights.shape[-1]
    6
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        hidden_size: int,
        memory_size: int,
        attention: Module | None = None,
    ) -> None:
        super().__init__()
        self.embedding = Embedding(num_embeddings, embedding_dim)
        self.attention = attention or AdditiveAttention(hidden_size, memory_size, hidden_size)
        self.cell = GRUCell(embedding_dim + memory_size, hidden_size)
        self.bridge = Linear(memory_size, hidden_size)
        self.output = Linear(hidden_size + memory_size, num_embeddings)

    def start(self, memory: Tensor, mask: Tensor | None = None) -> Any:
        """The state before the first step.

        Args:
            memory: (B, S, M), what the encoder gave.
            mask: truth values (B, S), False where memory is padding.
        """
        shown = _mask_like(memory, mask)
        projected: Tensor = self.attention.project(memory, shown)
        return _first_hidden(self.bridge, memory, shown), memory, projected, shown

    def forward(self, token: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        """Logits (B, V), the next state, and weights (B, S), for tokens (B,)."""
        h, memory, projected, mask = state
        context, weights = self.attention(h, memory, mask=mask, projected=projected)
        h = self.cell(cat([self.embedding(token), context], -1), h)
        logits: Tensor = self.output(cat([h, context], -1))
        return logits, (h, memory, projected, mask), weights


class PointerDecoder(Module):
    """A step of a pointer network (Vinyals, Fortunato and Jaitly, 2015, equation 3): it answers with places.

        h' = GRU(x[token], h)
        logits_s = vᵀ tanh(W_q h' + W_k memory_s)

    A token is a place s in the input, -1 (before the first step) a learned vector. So there are as many
    symbols as places, and no end: give end=-1 and max_length=S to a search.

    Args:
        input_size: D, the size of an input.
        hidden_size: H of the cell.
        memory_size: M, the size of what an encoder gives for each place.
        once: a place that was chosen cannot be chosen again; then there are at most S steps.

    >>> import tinygrad_rnn as tg
    >>> decoder, x = tg.nn.PointerDecoder(1, 4, memory_size=3), tg.randn(2, 5, 1)
    >>> state = decoder.start(tg.randn(2, 5, 3), x)
    >>> decoded = tg.nn.seq2seq.greedy_search(decoder, state, tg.tensor([-1, -1]), end=-1, max_length=5)
    >>> decoded.tokens.sort(-1).values.tolist()
    [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    """

    def __init__(self, input_size: int, hidden_size: int, memory_size: int, once: bool = True) -> None:
        super().__init__()
        self.once = once
        self.attention = AdditiveAttention(hidden_size, memory_size, hidden_size)
        self.cell = GRUCell(input_size, hidden_size)
        self.bridge = Linear(memory_size, hidden_size)
        self.first = blank(input_size)
        init.normal_(self.first)

    def start(self, memory: Tensor, inputs: Tensor, mask: Tensor | None = None) -> Any:
        """The state before the first step.

        Args:
            memory: (B, S, M), what the encoder gave.
            inputs: (B, S, D), what it read.
            mask: truth values (B, S), False where there is no input.
        """
        shown = _mask_like(memory, mask)
        projected = self.attention.project(memory, shown)
        return _first_hidden(self.bridge, memory, shown), inputs, projected, shown

    def forward(self, token: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        """Logits (B, S), the next state, and their softmax, for places (B,)."""
        h, inputs, projected, mask = state
        places = token.array
        chosen = inputs[np.arange(len(places)), np.maximum(places, 0)]
        before = Tensor(places[:, None] < 0)
        if self.once:
            mask = mask & Tensor(np.arange(inputs.shape[1]) != places[:, None])
        h = self.cell(where(before, self.first, chosen), h)
        scores = self.attention.score(h.unsqueeze(1), projected).squeeze(1)
        logits: Tensor = where(mask, scores, -float("inf"))
        return logits, (h, inputs, projected, mask), F.masked_softmax(scores, mask)


def _mask_like(memory: Tensor, mask: Tensor | None) -> Tensor:
    """`mask`, by default True for all places of `memory` (B, S, M)."""
    if memory.ndim != 3 or (mask is not None and mask.shape != memory.shape[:2]):
        raise ValueError(
            f"start: memory must be (B, S, M) and mask (B, S), got {memory.shape} and "
            f"{None if mask is None else mask.shape}"
        )
    return Tensor(np.ones(memory.shape[:2], bool)) if mask is None else mask


def _first_hidden(bridge: Module, memory: Tensor, mask: Tensor) -> Tensor:
    """tanh(W · mean of the memory + b): (B, H)."""
    shown = mask.unsqueeze(-1)
    total: Tensor = where(shown, memory, 0.0).sum(1)
    return tanh(bridge(total / shown.sum(1).clamp(min=1)))
