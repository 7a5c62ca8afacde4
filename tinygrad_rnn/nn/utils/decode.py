"""From the frames of a CTC model to labels: the best alignment, or the best labelling by beam search.

An alignment names one class a frame and spells what is left when repeats are merged and blanks removed (see
nn/functional/ctc.py). The most probable alignment is found frame by frame, but what it spells need not be the
most probable labelling, to which all its alignments add: with p(blank) = 0.6 and p(a) = 0.4 in two frames,
the best alignment spells nothing (0.36), though "a" has 1 - 0.36.

Beam search goes through the frames with the most probable beginnings of labellings. Of each beginning
(prefix) it knows two sums over alignments of the frames so far: of those that end in a blank, and of those
that end in the prefix's last label. With both, a repeated label can be told from one that goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...engine.tensor import Array, Tensor

Prefix = tuple[int, ...]


class Hypothesis(NamedTuple):
    """A labelling, and ln of its probability with what the language model adds."""

    labels: list[int]
    score: float


class Beam(NamedTuple):
    """K prefixes; ln of the sums over their alignments; what the language model adds to each, (K,)."""

    prefixes: list[Prefix]
    blank: Array  # of alignments that end in a blank
    label: Array  # of those that end in the prefix's last label
    bonus: Array


def ctc_greedy_decode(log_probs: Tensor, input_lengths: Any = None, blank: int = 0) -> Any:
    """The labels that the most probable alignment spells (Graves et al., 2006: best path decoding).

    Arguments:
        log_probs: ln p or any scores of C classes, (T, B, C), or (T, C) for one sequence.
        input_lengths: how many frames of each sequence count, B integers from 0 to T; None: all.
        blank: the class that means "nothing new".

    Returns a list of labels for each sequence, or one list for (T, C).

    >>> import tinygrad_rnn as tg
    >>> ctc_greedy_decode(tg.nn.functional.one_hot(tg.tensor([1, 1, 0, 1, 2, 0])))
    [1, 1, 2]
    """
    scores, frames = _frames("ctc_greedy_decode", log_probs, input_lengths, blank)
    best = scores.argmax(-1)
    kept = (best != blank) & (np.arange(len(best))[:, None] < frames)
    kept[1:] &= best[1:] != best[:-1]
    labels = [path[k].tolist() for path, k in zip(best.T, kept.T)]
    return labels if np.ndim(log_probs) == 3 else labels[0]


def ctc_beam_search(
    log_probs: Tensor,
    input_lengths: Any = None,
    beam_width: int = 16,
    blank: int = 0,
    lm: Callable[[Prefix], Any] | None = None,
    alpha: float = 1.0,
    beta: float = 0.0,
) -> Any:
    """The labellings y with the highest ln p(y | x) + α ln p_lm(y) + β |y| that a beam finds.

    Prefix beam search (Graves, 2012, "Supervised Sequence Labelling with Recurrent Neural Networks", 7.5;
    Hannun et al., 2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional
    Recurrent DNNs"), with the score of Deep Speech (Hannun et al., 2014). If `beam_width` is not less than
    the number of possible prefixes, it is exact.

    Arguments:
        log_probs: ln p of C classes, (T, B, C), or (T, C) for one sequence.
        input_lengths: how many frames of each sequence count, B integers from 0 to T; None: all.
        beam_width: how many prefixes are kept after each frame.
        blank: the class that means "nothing new".
        lm: a language model: given a prefix, a tuple of labels, ln p of each class to come next, (C,).
        alpha: the weight of the language model.
        beta: what each label adds, since a language model makes long labellings less probable.

    Returns for each sequence a list of at most `beam_width` hypotheses (labels, score), the best first; or
    one list for (T, C). It is empty if every labelling has probability 0.

    >>> import tinygrad_rnn as tg
    >>> log_probs = tg.tensor([[0.6, 0.4], [0.6, 0.4]]).log()
    >>> ctc_greedy_decode(log_probs), [h.labels for h in ctc_beam_search(log_probs)]
    ([], [[1], []])
    """
    scores, frames = _frames("ctc_beam_search", log_probs, input_lengths, blank)
    if beam_width < 1:
        raise ValueError(f"ctc_beam_search: beam_width must be at least 1, got {beam_width}")
    found = []
    for b, n in enumerate(frames):
        if not (scores[:n, b] < np.inf).all():
            raise ValueError(f"ctc_beam_search: log_probs of sequence {b} hold NaN or inf")
        found.append(_search(scores[:n, b], beam_width, blank, _Gain(lm, alpha, beta, scores.shape[-1])))
    return found if np.ndim(log_probs) == 3 else found[0]


class _Gain:
    """What the next label adds to the score of a prefix: α ln p_lm(label | prefix) + β."""

    def __init__(self, lm: Callable[[Prefix], Any] | None, alpha: float, beta: float, C: int) -> None:
        self.lm, self.alpha, self.beta = lm, alpha, beta
        self.plain = np.full(C, float(beta))
        self.known: dict[Prefix, Array] = {}

    def of(self, prefix: Prefix) -> Array:
        """For each class, (C,); a prefix is looked up once."""
        if self.lm is None or self.alpha == 0:
            return self.plain
        if prefix not in self.known:
            log_p = np.asarray(getattr(found := self.lm(prefix), "array", found), float)
            if log_p.shape != self.plain.shape:
                raise ValueError(
                    f"ctc_beam_search: lm must give {self.plain.shape} log probabilities, got {log_p.shape}"
                )
            self.known[prefix] = self.alpha * log_p + self.beta
        return self.known[prefix]


def _search(log_probs: Array, width: int, blank: int, gain: _Gain) -> list[Hypothesis]:
    """The hypotheses of one sequence (T, C)."""
    beam = Beam([()], np.zeros(1), np.full(1, -np.inf), np.zeros(1))
    for log_p in log_probs:
        beam = _advance(beam, log_p, width, blank, gain)
    scores = np.logaddexp(beam.blank, beam.label) + beam.bonus
    return [Hypothesis(list(prefix), score) for prefix, score in zip(beam.prefixes, scores.tolist())]


def _advance(beam: Beam, log_p: Array, width: int, blank: int, gain: _Gain) -> Beam:
    """The beam after one more frame, log_p (C,), the best first: each prefix stays, or grows by a label."""
    K, C = len(beam.prefixes), len(log_p)
    total = np.logaddexp(beam.blank, beam.label)
    last = np.array([prefix[-1] if prefix else blank for prefix in beam.prefixes], int)
    stays_blank, stays_label = total + log_p[blank], beam.label + log_p[last]
    grown = total[:, None] + log_p
    grown[np.arange(K), last] = beam.blank + log_p[last]  # else the repeat only goes on
    grown[:, blank] = -np.inf
    place = {prefix: k for k, prefix in enumerate(beam.prefixes)}
    for prefix, k in place.items():
        parent = place.get(prefix[:-1])  # the empty prefix is its own, from which it does not grow
        if parent is not None:  # what the parent grows into is in the beam already
            stays_label[k] = np.logaddexp(stays_label[k], grown[parent, last[k]])
            grown[parent, last[k]] = -np.inf

    gains = np.array([gain.of(prefix) for prefix in beam.prefixes]).reshape(K, C)
    bonus = np.concatenate([beam.bonus, (beam.bonus[:, None] + gains).ravel()])
    ends_blank = np.concatenate([stays_blank, np.full(K * C, -np.inf)])
    ends_label = np.concatenate([stays_label, grown.ravel()])
    scores = np.logaddexp(ends_blank, ends_label) + bonus
    best = np.argsort(-scores, kind="stable")[:width]
    best = best[scores[best] > -np.inf]
    prefixes = [
        beam.prefixes[n] if n < K else (*beam.prefixes[(n - K) // C], (n - K) % C) for n in best.tolist()
    ]
    return Beam(prefixes, ends_blank[best], ends_label[best], bonus[best])


def _frames(name: str, log_probs: Any, input_lengths: Any, blank: int) -> tuple[Array, Array]:
    """log_probs as an array (T, B, C), and how many frames count, (B,)."""
    scores: Array = np.asarray(getattr(log_probs, "array", log_probs))
    if scores.ndim not in (2, 3):
        raise ValueError(f"{name}: log_probs must be (T, B, C) or (T, C), got {scores.shape}")
    scores = scores if scores.ndim == 3 else scores[:, None]
    T, B, C = scores.shape
    if not 0 <= blank < C:
        raise ValueError(f"{name}: blank must be one of the {C} classes, got {blank}")
    frames = np.full(B, T) if input_lengths is None else np.atleast_1d(np.asarray(input_lengths))
    integers = frames.dtype.kind in "iu" or not B
    if frames.shape != (B,) or not integers or not ((frames >= 0) & (frames <= T)).all():
        raise ValueError(f"{name}: input_lengths must be {B} integers from 0 to {T}, got {input_lengths!r}")
    return scores, frames
