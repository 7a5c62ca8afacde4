"""Sequence to sequence: a decoder writes one symbol after another, and reads what it wrote before.

    logits_t, state_t, weights_t = step(token_{t-1}, state_{t-1})

B rows, T steps, V symbols. `step` is any function of tokens (B,) and a state, a tensor or a (nested) tuple of
tensors (B, …), that gives logits (B, V), the next state, and attention weights (B, S) or None, as the modules
in decoders.py are. What differs from row to row belongs into the state: beam search rearranges its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..engine.tensor import Tensor
from ..ops import stack, where
from ..random import Generator, default_generator
from . import functional as F
from .cells import each

Step = Callable[[Tensor, Any], tuple[Tensor, Any, Any]]


class Decoded(NamedTuple):
    """tokens (B, T), the most likely of each step; logits (B, T, V); weights (B, T, S), or None."""

    tokens: Tensor
    logits: Tensor
    weights: Tensor | None


class Beams(NamedTuple):
    """tokens (B, k, T) of the k best sequences of each row, best first, and their scores (B, k)."""

    tokens: Tensor
    scores: Tensor


def _decoded(logits: list[Tensor], weights: list[Any]) -> Decoded:
    together = stack(logits, 1)
    return Decoded(together.argmax(-1), together, None if weights[0] is None else stack(weights, 1))


def teacher_forcing(
    step: Step,
    state: Any,
    start: Tensor,
    targets: Tensor,
    forcing: float = 1.0,
    generator: Generator | None = None,
) -> Decoded:
    """Decode as many steps as there are targets, telling the decoder after each step what was right.

    With `forcing` below 1 this is scheduled sampling (Bengio et al., 2015): each token is told with that
    probability, else the decoder reads a token drawn from its own distribution.

    Args:
        step: see above.
        state: the state before the first step.
        start: (B,), the token read at the first step.
        targets: (B, T), the right tokens; the last one is not read.
        forcing: the probability of telling; 1 draws no random numbers.
        generator: of the draws; by default the package's own.

    Returns:
        `Decoded`: cross_entropy(logits.flatten(0, 1), targets.flatten()) is the loss.

    Raises:
        ValueError: targets of another shape, no steps, or a forcing that is no probability.

    >>> import tinygrad_rnn as tg
    >>> decoder = tg.nn.AttentionDecoder(7, 4, hidden_size=5, memory_size=3)
    >>> state = decoder.start(tg.randn(2, 6, 3))
    >>> teacher_forcing(decoder, state, tg.tensor([0, 0]), tg.tensor([[1, 2, 3], [4, 5, 6]])).logits.shape
    (2, 3, 7)
    """
    if targets.ndim != 2 or start.shape != targets.shape[:1] or not targets.shape[1]:
        raise ValueError(
            f"teacher_forcing: start must be (B,) and targets (B, T), T > 0, got {start.shape} and "
            f"{targets.shape}"
        )
    if not 0 <= forcing <= 1:
        raise ValueError(f"teacher_forcing: forcing must be a probability, got {forcing}")
    rng = (generator or default_generator).rng
    token, logits, weights = start, [], []
    for t in range(targets.shape[1]):
        y, state, w = step(token, state)
        logits.append(y)
        weights.append(w)
        token = targets[:, t]
        if forcing < 1:
            drawn = (y.array + rng.gumbel(size=y.shape)).argmax(-1)  # from softmax(y)
            token = where(Tensor(rng.random(len(y)) < forcing), token, Tensor(drawn))
    return _decoded(logits, weights)


def greedy_search(step: Step, state: Any, start: Tensor, end: int, max_length: int) -> Decoded:
    """Decode by reading the most likely token of each step, until every row has written `end`.

    Args:
        step: see above.
        state: the state before the first step.
        start: (B,), the token read at the first step.
        end: after it, a row writes nothing but `end`; -1 for symbols without an end.
        max_length: the most steps.

    Returns:
        `Decoded`, without a graph.

    Raises:
        ValueError: max_length below 1.

    >>> import tinygrad_rnn as tg
    >>> count = lambda token, state: (tg.nn.functional.one_hot(token + 1, 9).float(), state, None)
    >>> greedy_search(count, None, tg.tensor([0, 2]), end=4, max_length=8).tokens
    tensor([[1, 2, 3, 4],
            [3, 4, 4, 4]])
    """
    _positive("greedy_search", max_length=max_length)
    token, logits, weights = start, [], []
    tokens: list[Tensor] = []
    done = np.zeros(len(start), bool)
    with no_grad():
        for _ in range(max_length):
            y, state, w = step(token, state)
            token = Tensor(np.where(done, end, y.array.argmax(-1)))
            done |= token.array == end
            logits.append(y)
            weights.append(w)
            tokens.append(token)
            if done.all():
                break
    return _decoded(logits, weights)._replace(tokens=stack(tokens, 1))


def beam_search(
    step: Step,
    state: Any,
    start: Tensor,
    end: int,
    max_length: int,
    beam_size: int,
    length_penalty: float = 0.0,
) -> Beams:
    """The `beam_size` most likely sequences that are found if at each step only as many are kept.

    Args:
        step: see above.
        state: the state before the first step; its tensors have B rows.
        start: (B,), the token read at the first step.
        end: ends a sequence; behind it stands nothing but `end`. -1 for symbols without an end.
        max_length: the most steps.
        beam_size: k; 1 is greedy search.
        length_penalty: α of the score log p / ((5 + length) / 6)^α (Wu et al., 2016, equation 14), by which
            the sequences are ordered at the end; 0 is log p.

    Returns:
        `Beams`, without a graph; a score is -inf where there are fewer than k sequences.

    Raises:
        ValueError: max_length or beam_size below 1.

    >>> import tinygrad_rnn as tg
    >>> p = tg.tensor([0.5, 0.3, 0.2])
    >>> found = beam_search(lambda token, s: (p.log().expand(len(token), 3), s, None), None, tg.tensor([0]),
    ...                     end=2, max_length=2, beam_size=3)
    >>> found.tokens.tolist(), found.scores.exp()
    ([[[0, 0], [2, 2], [0, 1]]], tensor([[0.25, 0.2 , 0.15]]))
    """
    _positive("beam_search", max_length=max_length, beam_size=beam_size)
    B, k = len(start), beam_size
    first = np.arange(B)[:, None] * k  # the row of each beam's first sequence
    state, token = _rows(state, np.repeat(np.arange(B), k)), np.repeat(start.array, k)
    tokens, lengths = np.zeros((B, k, 0), np.int64), np.zeros((B, k), np.int64)
    done, scores = np.zeros((B, k), bool), np.full((B, k), -np.inf)
    scores[:, 0] = 0  # all k sequences are alike at the start: go on with one
    with no_grad():
        for _ in range(max_length):
            y, state, _weights = step(Tensor(token), state)
            logp = F.log_softmax(y, -1).array.reshape(B, k, y.shape[-1])
            scores, parent, token = _best(scores, logp, done, end)
            done, lengths = (np.take_along_axis(x, parent, 1) for x in (done, lengths))
            lengths, done = lengths + ~done, done | (token == end)
            tokens = np.concatenate([np.take_along_axis(tokens, parent[..., None], 1), token[..., None]], 2)
            state, token = _rows(state, (first + parent).reshape(-1)), token.reshape(-1)
            if done.all():
                break
    scores = scores / ((5 + lengths) / 6) ** length_penalty
    order = np.argsort(-scores, axis=-1, kind="stable")
    scores = np.take_along_axis(scores, order, 1).astype(y.dtype)
    return Beams(Tensor(np.take_along_axis(tokens, order[..., None], 1)), Tensor(scores))


def _best(scores: Any, logp: Any, done: Any, end: int) -> tuple[Any, Any, Any]:
    """The k best ways to go on from k sequences (B, k), logp (B, k, V): scores, whose child, by which token.

    A sequence that is done goes on in one way only, by `end`, and keeps its score.
    """
    B, k, V = logp.shape
    logp = np.where(done[..., None], np.where(np.arange(V) == end, 0, -np.inf), logp)
    total = (scores[..., None] + logp).reshape(B, k * V)
    best = np.argsort(-total, axis=-1, kind="stable")[:, :k]
    return np.take_along_axis(total, best, 1), best // V, best % V


def _rows(state: Any, rows: Any) -> Any:
    """The given rows of all tensors of a state."""
    return None if state is None else each(lambda x: x[rows], state)


def _positive(name: str, **arguments: int) -> None:
    """Raise for a number of steps or sequences that is not positive."""
    for argument, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name}: {argument} must be at least 1, got {value}")
