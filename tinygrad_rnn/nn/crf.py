"""Linear-chain conditional random field: tag a whole sequence, each tag scored with the one before it.

A tagger that chooses each tag by itself cannot know that "inside a name" never follows "outside". A CRF adds
a score for each pair of neighbours, and makes one distribution over all sequences of tags (Lafferty et al.,
2001; on top of a recurrent network, Huang et al., 2015):

    s(x, y) = start[y₁] + Σ_t e_t[y_t] + Σ_{t≥2} A[y_{t-1}, y_t] + end[y_T],    p(y | x) = exp s(x, y) / Z(x)

Z is a sum over K^T sequences, found in T steps: for those that end in tag j at step t,

    α_t[j] = e_t[j] + ln Σ_i exp(α_{t-1}[i] + A[i, j]),    ln Z = ln Σ_j exp α_T[j]

(`start` and `end` count as parts of e₁ and e_T). With max for ln Σ exp the same recursion finds the best
sequence (Viterbi). From the end, β_t[i] = ln Σ_j exp(A[i, j] + e_{t+1}[j] + β_{t+1}[j]) sums over what
follows, and α_t + β_t - ln Z is ln of the probability of a tag at one step. All is composed of operations, so
derivatives of any order follow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..engine.tensor import Array, Tensor
from ..ops import exp, getitem, logsumexp, stack, where
from ..ops.inputs import mask_of
from . import init
from .functional.ctc import IMPOSSIBLE, floored
from .layers import blank
from .module import Module


class Chain(NamedTuple):
    """The scores of a batch, steps first and finite (see `floored`), and which steps exist."""

    e: Tensor  # (T, B, K), with `start` and `end`; 0 where no step exists
    A: Tensor  # (K, K)
    inside: Array  # (T, B), in each column true and then false


class CRF(Module):
    """p(y | x) = exp(start[y₁] + Σ_t e_t[y_t] + Σ_{t≥2} A[y_{t-1}, y_t] + end[y_T]) / Z(x)

    The linear chain of Lafferty et al. (2001, "Conditional Random Fields"); names are those of pytorch-crf.
    Parameters: `start_transitions` and `end_transitions` (K), `transitions` A (K, K) from row to column. All
    start uniform within ±0.1. A score of -inf forbids a transition; its gradient is 0.

    Arguments:
        num_tags: K, how many tags there are.
        batch_first: emissions are (B, T, K) and tags and masks (B, T), not (T, B, K) and (T, B).
        device, dtype: of the parameters; default: the processor, the default dtype.

    What its methods take:
        emissions: e, a score of each tag at each step, (T, B, K): what a network gives, not normalised.
        tags: y, integers from 0 to K - 1, (T, B).
        mask: true for the steps that exist, (T, B), in each sequence the first ones; None: all of them. What
            stands in other steps does not matter. A sequence may have none: its one labelling is empty.

    They raise ValueError, TypeError or IndexError for shapes that do not fit, masks with gaps, unknown tags.

    >>> import tinygrad_rnn as tg
    >>> crf = CRF(3, batch_first=True)
    >>> emissions, tags = tg.randn(2, 5, 3), tg.tensor([[0, 1, 2, 2, 1], [2, 0, 0, 9, 9]])
    >>> mask = tg.arange(5) < tg.tensor([[5], [3]])
    >>> loss = -crf(emissions, tags, mask)
    >>> [len(path) for path in crf.decode(emissions, mask)]
    [5, 3]
    """

    def __init__(
        self, num_tags: int, batch_first: bool = False, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        if num_tags < 1:
            raise ValueError(f"CRF: num_tags must be at least 1, got {num_tags}")
        self.num_tags, self.batch_first = num_tags, batch_first
        place = {"device": device, "dtype": dtype}
        self.start_transitions, self.end_transitions = blank(num_tags, **place), blank(num_tags, **place)
        self.transitions = blank(num_tags, num_tags, **place)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values."""
        for p in self.parameters():
            init.uniform_(p, -0.1, 0.1)

    def extra_repr(self) -> str:
        return f"num_tags={self.num_tags}, batch_first={self.batch_first}"

    def forward(
        self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None, reduction: str = "sum"
    ) -> Tensor:
        """ln p(y | x), which training makes large: minimise its negative.

        `reduction` is "none": (B,); "sum"; "mean", over sequences; "token_mean": the sum over all steps.
        """
        if reduction not in ("none", "sum", "mean", "token_mean"):
            raise ValueError(
                f"CRF: reduction must be 'none', 'sum', 'mean' or 'token_mean', got {reduction!r}"
            )
        each = self.log_likelihood(emissions, tags, mask)
        if reduction == "none":
            return each
        steps = tags.numel() if mask is None else np.count_nonzero(mask.array)
        return each.sum() / {"sum": 1, "mean": len(each), "token_mean": steps or np.nan}[reduction]

    def log_likelihood(self, emissions: Tensor, tags: Tensor, mask: Tensor | None = None) -> Tensor:
        """ln p(y | x) of each sequence, (B,); -inf, without a gradient, if a score of -inf forbids y."""
        chain = self._chain(emissions, mask)
        score = _score(chain, self._tags(tags, chain.inside))
        log_z = _log_partition(chain, _alphas(chain))
        likelihood: Tensor = where(score < IMPOSSIBLE / 2, -np.inf, score - log_z)
        return likelihood

    def decode(self, emissions: Tensor, mask: Tensor | None = None) -> list[list[int]]:
        """The most probable tags of each sequence, a list as long as the sequence (Viterbi, 1967)."""
        with no_grad():
            e, A, inside = self._chain(emissions, mask)
        paths = _viterbi(e.array, A.array, inside)
        return [path[:n].tolist() for path, n in zip(paths.T, inside.sum(0))]

    def marginals(self, emissions: Tensor, mask: Tensor | None = None) -> Tensor:
        """p(y_t = k | x), of the emissions' shape; 0 where no step exists. Differentiable.

        NaN if the scores of -inf forbid every sequence of tags.
        """
        chain = self._chain(emissions, mask)
        alphas = _alphas(chain)
        log_p = stack(alphas) + stack(_betas(chain)) - _log_partition(chain, alphas).unsqueeze(1)
        p: Tensor = where(chain.inside[..., None], exp(log_p), 0.0)
        return p.transpose(0, 1) if self.batch_first else p

    # --- arguments

    def _chain(self, emissions: Tensor, mask: Tensor | None) -> Chain:
        """The checked scores, `start` and `end` added to the first and the last step of each sequence."""
        fits = emissions.ndim == 3 and emissions.shape[2] == self.num_tags and emissions.numel()
        if not fits or not emissions.is_floating_point():
            order = "(B, T" if self.batch_first else "(T, B"
            raise ValueError(
                f"CRF: emissions must be floats {order}, {self.num_tags}), none of them 0; "
                f"got {emissions.dtype} {emissions.shape}"
            )
        e = emissions.transpose(0, 1) if self.batch_first else emissions
        inside = self._steps_first("mask", mask, e.shape[:2])
        if (inside[1:] & ~inside[:-1]).any():
            raise ValueError(
                "CRF: mask must be true for the first steps of each sequence and then false, without gaps"
            )
        step = np.arange(len(e))[:, None, None]
        first, last = step == 0, step == inside.sum(0)[:, None] - 1
        e = floored(e) + where(first, floored(self.start_transitions), 0.0)
        e = e + where(last, floored(self.end_transitions), 0.0)
        return Chain(where(inside[..., None], e, 0.0), floored(self.transitions), inside)

    def _tags(self, tags: Tensor, inside: Array) -> Array:
        """The checked tags (T, B), 0 where no step exists."""
        y = self._steps_first("tags", tags, inside.shape)
        if y.dtype.kind not in "iu":
            raise TypeError(f"CRF: tags must hold integers, got {y.dtype}; use .long()")
        y = np.where(inside, y, 0)
        if not 0 <= y.min() <= y.max() < self.num_tags:
            raise IndexError(f"CRF: tags {y.min()} … {y.max()} given, for {self.num_tags} tags")
        return y

    def _steps_first(self, name: str, given: Tensor | None, shape: tuple[int, ...]) -> Array:
        """A mask or tags as an array (T, B)."""
        if given is None:
            return np.ones(shape, bool)
        array: Array = mask_of("CRF", given) if name == "mask" else given.array
        expected = shape[::-1] if self.batch_first else shape
        if array.shape != expected:
            raise ValueError(
                f"CRF: {name} {array.shape} must have the emissions' first two sizes, {expected}"
            )
        return array.T if self.batch_first else array


# --- the recursions


def _score(chain: Chain, y: Array) -> Tensor:
    """s(x, y) of each sequence, (B,)."""
    T, B = y.shape
    emitted = getitem(chain.e, index=(np.arange(T)[:, None], np.arange(B), y))
    moved = where(chain.inside[1:], getitem(chain.A, index=(y[:-1], y[1:])), 0.0)
    score: Tensor = emitted.sum(0) + moved.sum(0)
    return score


def _alphas(chain: Chain) -> list[Tensor]:
    """α_t (B, K) for every step: ln of the sum over beginnings that end in each tag; the last goes on."""
    alphas = [chain.e[0]]
    for t in range(1, len(chain.inside)):
        grown = chain.e[t] + logsumexp(alphas[-1].unsqueeze(2) + chain.A, 1)
        alphas.append(where(chain.inside[t, :, None], grown, alphas[-1]))
    return alphas


def _betas(chain: Chain) -> list[Tensor]:
    """β_t (B, K) for every step: ln of the sum over what can follow each tag; 0 after the last step."""
    betas = [Tensor(np.zeros_like(chain.e.array[0]))]
    for t in range(len(chain.inside) - 1, 0, -1):
        followed = logsumexp(chain.A + (chain.e[t] + betas[-1]).unsqueeze(1), 2)
        betas.append(where(chain.inside[t, :, None], followed, 0.0))
    return betas[::-1]


def _log_partition(chain: Chain, alphas: list[Tensor]) -> Tensor:
    """ln Z of each sequence, (B,): 0 of an empty one, NaN if nothing is possible."""
    log_z = where(chain.inside[0], logsumexp(alphas[-1], 1), 0.0)
    possible: Tensor = where(log_z < IMPOSSIBLE / 2, np.nan, log_z)
    return possible


def _viterbi(e: Array, A: Array, inside: Array) -> Array:
    """The best tags (T, B), by α's recursion with max, and then back along what each maximum came from."""
    T, B = inside.shape
    best, came_from = e[0], np.zeros((T, *e[0].shape), int)
    for t in range(1, T):
        scores = best[:, :, None] + A
        came_from[t] = scores.argmax(1)
        best = np.where(inside[t, :, None], e[t] + scores.max(1), best)
    path = np.zeros((T, B), int)
    path[-1] = best.argmax(1)
    for t in range(T - 1, 0, -1):
        path[t - 1] = np.where(inside[t], came_from[t, np.arange(B), path[t]], path[t])
    return path
