"""Interpolated n-gram models of characters: the baselines a recurrent language model has to beat.

Witten-Bell smoothing estimates how likely something new is after a context `h` by how often something new
came after it before. With `c` counting substrings of the training text, `c(h) = Σ_a c(ha)`, `n(h)` the
number of different characters seen after `h`, and `h'` the context without its first character:

    P(a | h) = (c(ha) + n(h) P(a | h')) / (c(h) + n(h))

The recursion goes on below the empty context, where `P(a | h')` is `1/V` for each of the `V` symbols. So
nothing has probability zero, and the probabilities of the `V` symbols sum to one after every context.

Sources: Witten & Bell 1991, "The zero-frequency problem: estimating the probabilities of novel events in
adaptive text compression", method C; interpolated as in Chen & Goodman 1998, "An empirical study of smoothing
techniques for language modeling", section 2.4.
"""

from __future__ import annotations

import math
from collections import Counter


class WittenBell:
    """Counts of a training text, which answer for n-grams of every order up to `order`.

    >>> model = WittenBell("abab", order=2, symbols=2)
    >>> model.probability("b", "a")  # (2 + 1 · ½) / (2 + 1)
    0.8333333333333334
    """

    def __init__(self, text: str, order: int, symbols: int) -> None:
        if order < 1:
            raise ValueError(f"order: {order} is not a positive number of characters")
        if symbols < len(set(text)):
            raise ValueError(f"symbols: {symbols} is fewer than the {len(set(text))} characters of the text")
        self.order, self.symbols = order, symbols
        self.count: Counter[str] = Counter()  # c(ha)
        self.total: Counter[str] = Counter()  # c(h)
        self.kinds: Counter[str] = Counter()  # n(h)
        for n in range(1, order + 1):
            self.count.update(text[i : i + n] for i in range(len(text) - n + 1))
        for gram, times in self.count.items():
            self.total[gram[:-1]] += times
            self.kinds[gram[:-1]] += 1

    def probability(self, character: str, context: str, order: int | None = None) -> float:
        """`P(character | the last order - 1 characters of context)`, or fewer where there are no more."""
        longest = min((order or self.order) - 1, len(context))
        p = 1 / self.symbols
        for k in range(longest + 1):
            h = context[len(context) - k :]
            if h not in self.total:
                break  # c(h) = n(h) = 0, and so for every longer context
            p = (self.count[h + character] + self.kinds[h] * p) / (self.total[h] + self.kinds[h])
        return p

    def bits_per_character(self, text: str, order: int | None = None) -> float:
        """Mean of `-log2 P` over all characters but the first, which a recurrent net only reads."""
        n = order or self.order
        chances = (self.probability(text[i], text[max(0, i - n + 1) : i], n) for i in range(1, len(text)))
        return -math.fsum(map(math.log2, chances)) / (len(text) - 1)
