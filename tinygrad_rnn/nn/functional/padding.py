"""Padding that repeats what the input holds: reflected, replicated or circular."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...engine.tensor import Tensor
from ...ops import cat, flip, narrow

Around = Callable[[Tensor, int, int, int], list[Tensor]]


def _reflect(input: Tensor, dim: int, before: int, after: int) -> list[Tensor]:
    """a b c d -> c b [a b c d] c b: the edge itself is not repeated."""
    n = input.shape[dim]
    left, right = narrow(input, dim, 1, before), narrow(input, dim, n - 1 - after, after)
    return [flip(left, dim), input, flip(right, dim)]


def _replicate(input: Tensor, dim: int, before: int, after: int) -> list[Tensor]:
    """a b c d -> a a [a b c d] d d"""
    first, last = (narrow(input, dim, place, 1) for place in (0, input.shape[dim] - 1))
    shape = list(input.shape)
    left, right = (shape[:dim] + [n] + shape[dim + 1 :] for n in (before, after))
    return [first.expand(left), input, last.expand(right)]


def _circular(input: Tensor, dim: int, before: int, after: int) -> list[Tensor]:
    """a b c d -> c d [a b c d] a b"""
    return [narrow(input, dim, input.shape[dim] - before, before), input, narrow(input, dim, 0, after)]


# mode: what to join, and how many entries cannot be repeated (None: one is enough for any padding)
MODES: dict[str, tuple[Around, int | None]] = {
    "reflect": (_reflect, 1),
    "replicate": (_replicate, None),
    "circular": (_circular, 0),
}


def pad_by_repeating(input: Tensor, pad: Sequence[int], mode: str) -> Tensor:
    """`input` with numbers of its own around it.

    Args:
        input: (C, *L) or (B, C, *L); of L each dimension is padded.
        pad: (before, after) of the last dimension, then of the one before it, and so on; from 0 up.
        mode: "reflect", "replicate" or "circular".

    Raises:
        NotImplementedError: another mode, or a negative number.
        RuntimeError: `pad` does not fit the dimensions, or is larger than what it repeats.
    """
    if mode not in MODES:
        raise NotImplementedError(
            f"pad: mode {mode!r} is not supported; use 'constant' or one of {', '.join(map(repr, MODES))}"
        )
    around, margin = MODES[mode]
    dims = len(pad) // 2
    if len(pad) % 2 or not pad or input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"pad: mode {mode!r} pads all dimensions after (B, C) or (C); {len(pad)} numbers do not fit "
            f"an input of shape {input.shape}"
        )
    if min(pad) < 0:
        raise NotImplementedError(
            f"pad: mode {mode!r} cannot cut off, got {tuple(pad)}; narrow the input first"
        )
    for k in range(dims):
        dim, before, after = input.ndim - 1 - k, int(pad[2 * k]), int(pad[2 * k + 1])
        if not before and not after:
            continue
        most = input.shape[dim] - margin if margin is not None else math.inf if input.shape[dim] else 0
        if max(before, after) > most:
            raise RuntimeError(
                f"pad: {(before, after)} is more than mode {mode!r} can repeat of dimension {dim} of "
                f"{input.shape}: {most}"
            )
        input = cat(around(input, dim, before, after), dim)
    return input
