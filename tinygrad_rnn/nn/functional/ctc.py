"""Connectionist temporal classification: train on label sequences whose places in time are not known.

A network says at each of T frames how likely each of C classes is, one of which is the blank "nothing new".
An alignment π names one class a frame; it spells y once repeats are merged and then blanks removed (a a - a b
spells "aab"). The loss is -ln of the probability of all alignments that spell y (Graves et al., 2006):

    p(y | x) = Σ_{π spells y} Π_t p_t(π_t)

The sum runs over exponentially many alignments, but a frame only has to know how far y is written, and
whether the last frame was a blank. For the frames so far, let

    blank_s    be ln of the sum over alignments that spell y₁ … y_s and end in a blank,
    label_s    the same for those that end in y_s,
    prefix_s = ln(exp blank_s + exp label_s), both together.

One more frame gives (primes: after it)

    blank′_s = prefix_s + ln p(blank)
    label′_s = ln(exp label_s + exp from_{s-1}) + ln p(y_s)

where `from` is `prefix`, or `blank` alone if y_s = y_{s-1}: repeated labels need a blank between them.
Every step is composed of operations, for all sequences and all s at once, so derivatives of any order follow.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...engine.tensor import Array, Tensor
from ...ops import cat, getitem, logaddexp, stack, where
from .loss import reduced

IMPOSSIBLE = -1e30  # stands for ln 0: a finite number, since (-inf) - (-inf) in a derivative is NaN


def floored(scores: Tensor) -> Tensor:
    """The scores with -inf raised to IMPOSSIBLE, so that its derivative is 0; NaN stays NaN."""
    return scores.masked_fill(scores < IMPOSSIBLE, IMPOSSIBLE)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """ℓ = -ln Σ_{π spells y} Π_t p_t(π_t) (Graves et al., 2006, "Connectionist Temporal Classification").

    Arguments:
        log_probs: ln p, (T, B, C) or (T, C) for one sequence; C classes, the blank among them. Usually
            `log_softmax(x, -1)`; they need not be normalised.
        targets: y as class indices, padded (B, L) or all in a row (the sum of target_lengths). What stands
            after a target's length does not matter.
        input_lengths: how many frames of each sequence count: B integers from 0 to T, as a list, tuple or
            tensor (one integer for a single sequence). What stands in later frames does not matter.
        target_lengths: how many labels each target has, likewise; 0 is allowed.
        blank: the class that means "nothing new".
        reduction: "none": (B,), or () for a single sequence; "sum"; "mean": each ℓ over its target's
            length (at least 1), and of these the mean.
        zero_infinity: no alignment fits a target longer than its frames, repeats counted twice: ℓ = inf, and
            the gradient of the blank and its labels is NaN. If true, both are 0.

    The derivative with respect to log_probs is the true one, -γ_t(c), where γ_t(c) is the probability, given
    y, that frame t is of class c. PyTorch returns p_t(c) - γ_t(c), which presumes that log_probs come from
    log_softmax; behind that both are the same. Where log_probs is -inf, it is 0 (PyTorch: NaN).

    Raises ValueError, IndexError or TypeError for lengths that do not fit, labels that are no classes or the
    blank, and targets that are no integers.

    >>> import tinygrad_rnn as tg
    >>> log_probs = tg.full((3, 1, 2), 0.5).log()  # of 8 alignments of 3 frames 6 spell one "1"
    >>> ctc_loss(log_probs, tg.tensor([[1]]), [3], [1]).exp()
    tensor(1.3333)
    """
    if log_probs.ndim not in (2, 3) or not log_probs.numel() or not log_probs.is_floating_point():
        raise ValueError(
            f"ctc_loss: log_probs must be floats (T, B, C) or (T, C), none of them 0; "
            f"got {log_probs.dtype} {log_probs.shape}"
        )
    batch = log_probs if log_probs.ndim == 3 else log_probs.unsqueeze(1)
    T, B, C = batch.shape
    if not 0 <= blank < C:
        raise ValueError(f"ctc_loss: blank must be one of the {C} classes, got {blank}")
    frames = _lengths("input_lengths", input_lengths, B, T, "frames")
    sizes = _lengths("target_lengths", target_lengths, B, targets.numel(), "labels")
    y = _labels(targets, sizes, C, blank)
    with np.errstate(invalid="ignore"):  # np.logaddexp warns of a NaN that it was given
        total = _log_likelihood(batch, frames, y, sizes, blank)
    losses = _negative(total, zero_infinity)
    if reduction == "mean":
        losses = losses / Tensor(np.maximum(sizes, 1).astype(total.dtype))
    return reduced(losses.squeeze(0) if log_probs.ndim == 2 else losses, None, None, reduction)


def _negative(total: Tensor, zero_infinity: bool) -> Tensor:
    """-ln p; where p = 0, either inf with NaN for a gradient, or 0 with 0."""
    infinite = total < IMPOSSIBLE / 2
    if zero_infinity:
        finite: Tensor = where(infinite, 0.0, -total)
        return finite
    derivative = where(infinite, math.nan, 1.0).astype(total.dtype)  # `where` passes 0 to what it leaves out:
    losses: Tensor = where(infinite, math.inf, -total * derivative)  # times NaN, that is NaN
    return losses


def _log_likelihood(log_probs: Tensor, frames: Array, y: Array, sizes: Array, blank: int) -> Tensor:
    """ln p(y | x) of each sequence, (B,): prefix_s after its last frame, for s its target's length.

    log_probs (T, B, C), frames (B,), y (B, 1 + L) with the labels from column 1 on, sizes (B,).
    """
    T, (B, columns) = len(log_probs), y.shape
    inside = np.arange(T)[:, None, None] < frames[:, None]
    log_probs = floored(where(inside, log_probs, 0.0))
    of_label = getitem(log_probs, index=(np.arange(T)[:, None, None], np.arange(B)[:, None], y))
    of_blank = log_probs[:, :, blank : blank + 1]
    repeats = y[:, :-1] == y[:, 1:]  # is y_{s+1} = y_s?

    nothing = np.full((B, columns), IMPOSSIBLE, log_probs.dtype)
    label, edge = Tensor(nothing), Tensor(nothing[:, :1])  # column 0 stays so: no label is before the first
    blanks = where(np.arange(columns) > 0, label, 0.0)  # before the first frame nothing is written
    prefixes = [logaddexp(blanks, label)]
    for ln_label, ln_blank in zip(of_label, of_blank):
        came = where(repeats, blanks[:, :-1], prefixes[-1][:, :-1])
        label = logaddexp(label, cat([edge, came], 1)) + ln_label
        blanks = prefixes[-1] + ln_blank
        prefixes.append(logaddexp(blanks, label))
    return getitem(stack(prefixes), index=(frames, np.arange(B), sizes))


# --- arguments


def _lengths(name: str, given: Any, B: int, most: int, what: str) -> Array:
    """One length for each of B sequences, from 0 to `most`, as an array (B,)."""
    lengths = np.atleast_1d(np.asarray(given))
    if lengths.shape != (B,) or lengths.dtype.kind not in "iu":
        raise ValueError(f"ctc_loss: {name} must be {B} integers, one for each sequence, got {given!r}")
    if not 0 <= lengths.min() <= lengths.max() <= most:
        raise ValueError(f"ctc_loss: {name} {lengths.tolist()} must lie between 0 and the {most} {what}")
    return lengths


def _labels(targets: Tensor, sizes: Array, C: int, blank: int) -> Array:
    """The labels of each target from column 1 on, blanks in column 0 and behind: (B, 1 + longest)."""
    given, B, L = targets.array, len(sizes), int(sizes.max())
    written = np.arange(L) < sizes[:, None]
    if given.ndim == 1 and len(given) == sizes.sum():
        labels = given
    elif given.ndim == 2 and len(given) == B and given.shape[1] >= L:
        labels = given[:, :L][written]
    else:
        raise ValueError(
            f"ctc_loss: targets {given.shape} must be ({B}, at least {L}), or ({sizes.sum()},) in a row, "
            f"for target_lengths {sizes.tolist()}"
        )
    if labels.dtype.kind not in "iuf" or (labels != np.rint(labels)).any():
        raise TypeError(f"ctc_loss: targets must hold class indices, got {given.dtype}; use .long()")
    if labels.size and not 0 <= labels.min() <= labels.max() < C:
        raise IndexError(f"ctc_loss: labels {labels.min()} … {labels.max()} in targets, for {C} classes")
    if (labels == blank).any():
        raise ValueError(
            f"ctc_loss: targets hold the blank, {blank}; choose another blank=, or shorter target_lengths"
        )
    y = np.full((B, 1 + L), blank)
    y[:, 1:][written] = labels
    return y
