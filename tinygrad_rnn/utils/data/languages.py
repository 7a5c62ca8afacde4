"""Words of formal languages: a network reads a word, and says at each step which symbols may come next.

A language is an automaton: a state, and `moves(state)`, the symbols that may follow with the states that they
lead to. From that come random words, the test whether a string is a word, and the targets. Finite automata
(Reber), one counter (aⁿbⁿ) and a stack (Dyck) need more and more memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dtypes import get_default_dtype
from ...engine.tensor import Tensor
from ...random import Generator, default_generator
from .tasks import Task, TaskBatch, one_hot

NOWHERE = "no word begins so"


class LanguageTask(Task):
    """Tell which symbols may come next in words of a language.

    inputs (T, B, K): a word's symbols, without the last, as unit vectors of the K `symbols`, zeros behind the
    end. targets (T, B, K): 1 for each symbol that may follow, for `binary_cross_entropy_with_logits`. The
    score of outputs (T, B, K) is the fraction of words in which at every step exactly the symbols that may
    follow are above 0. No answer that stays the same is right at a word's first and last step: chance is 0.

    Subclasses define `symbols`, `start` and `moves`, and `choose` if words should not be uniform over moves.
    """

    symbols: str  # the first begins every word
    start: Any  # the state after it
    chance = 0.0

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """K, the number of symbols."""
        return len(self.symbols)

    def moves(self, state: Any) -> dict[str, Any]:
        """The symbols that may follow in `state`, and the state after each; None after the last of a word."""
        raise NotImplementedError(f"{type(self).__name__}: define moves(state)")

    def choose(self, state: Any, word: str, rng: np.random.Generator) -> str:
        """The next symbol of a random word: any that may follow, with equal chances."""
        legal = list(self.moves(state))
        return legal[int(rng.integers(len(legal)))]

    def after(self, prefix: str) -> Any:
        """The state after the beginning of a word, None after a whole one; NOWHERE if no word begins so."""
        state = self.start if prefix[:1] == self.symbols[0] else NOWHERE
        for symbol in prefix[1:]:
            state = NOWHERE if state in (None, NOWHERE) else self.moves(state).get(symbol, NOWHERE)
        return state

    def legal(self, prefix: str) -> str:
        """The symbols that may follow the beginning of a word, in the order of `symbols`; or none: ''."""
        state = self.after(prefix)
        found = {} if state in (None, NOWHERE) else self.moves(state)
        return "".join(symbol for symbol in self.symbols if symbol in found)

    def is_word(self, string: str) -> bool:
        """True if `string` is a word of the language, its first and last symbol included."""
        return self.after(string) is None

    def word(self, generator: Generator | None = None) -> str:
        """A random word."""
        return self._word((generator or default_generator).rng)

    def _word(self, rng: np.random.Generator) -> str:
        word, state = self.symbols[0], self.start
        while state is not None:
            symbol = self.choose(state, word, rng)
            word, state = word + symbol, self.moves(state)[symbol]
        return word

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """B random words."""
        return self.encode([self._word(rng) for _ in range(B)])

    def encode(self, words: list[str]) -> TaskBatch:
        """Some words as a batch."""
        for word in words:
            if not self.is_word(word):
                raise ValueError(f"{type(self).__name__}: {word!r} is no word of this language")
        lengths = np.array([len(word) - 1 for word in words])
        seen = np.full((lengths.max(initial=0), len(words)), -1)
        targets = np.zeros((*seen.shape, len(self.symbols)), get_default_dtype())
        for b, word in enumerate(words):
            state = self.start
            for t, symbol in enumerate(word[:-1]):
                state = self.moves(state)[symbol] if t else state
                seen[t, b] = self.symbols.index(symbol)
                targets[t, b, [self.symbols.index(s) for s in self.moves(state)]] = 1
        return TaskBatch(one_hot(seen, len(self.symbols)), Tensor(targets), Tensor(lengths))

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The fraction of words that outputs (T, B, K) are right about at every step."""
        said = self.checked(outputs, batch.targets.shape) > 0
        right = (said == (batch.targets.array > 0)).all(-1)
        behind = np.arange(len(right))[:, None] >= batch.lengths.array
        return float((right | behind).all(0).mean())


class AnBnTask(LanguageTask):
    """Count: aⁿbⁿ, between ^ and $ (Gers & Schmidhuber 2001).

    Args:
        longest: n is uniform in 1 … longest. Longer words are words too: test with more.

    >>> AnBnTask().is_word("^aabb$"), AnBnTask().is_word("^aab$"), AnBnTask().legal("^a")
    (True, False, 'ab')
    """

    symbols = "^ab$"
    start = ("a", 0)  # what was read last, and how many b are owed

    def __init__(self, longest: int = 10) -> None:
        self.longest = self.least("longest", longest, 1)

    def moves(self, state: Any) -> dict[str, Any]:
        """After a's: a, or the first b; after b's: as many as are owed, then the end."""
        last, owed = state
        if last == "b":
            return {"b": ("b", owed - 1)} if owed else {"$": None}
        return {"a": ("a", owed + 1)} | ({"b": ("b", owed - 1)} if owed else {})

    def _word(self, rng: np.random.Generator) -> str:
        n = int(rng.integers(1, self.longest + 1))
        return f"^{'a' * n}{'b' * n}$"


class DyckTask(LanguageTask):
    """Keep a stack: brackets of some kinds that close in order, between ^ and $ (Hewitt et al. 2020).

    Args:
        kinds: of brackets, 1 to 4: () [] {} <>.
        depth: how many may be open at once, at least 1.
        longest: random words have at most so many brackets, at least 2.

    >>> task = DyckTask(kinds=2, depth=3)
    >>> task.is_word("^([])()$"), task.is_word("^([)]$"), task.legal("^([")
    (True, False, '([]')
    """

    start = ""  # the brackets that are open

    def __init__(self, kinds: int = 2, depth: int = 4, longest: int = 30) -> None:
        if not 1 <= kinds <= 4:
            raise ValueError(f"DyckTask: kinds must be between 1 and 4, got {kinds}")
        self.depth, self.longest = self.least("depth", depth, 1), self.least("longest", longest, 2)
        self.pairs = dict(zip("([{<"[:kinds], ")]}>"))
        self.symbols = f"^{''.join(a + b for a, b in self.pairs.items())}$"

    def moves(self, state: Any) -> dict[str, Any]:
        """Any opening bracket above the depth; the closing one of the last; the end if none is open."""
        found: dict[str, Any] = {a: state + a for a in self.pairs} if len(state) < self.depth else {}
        return found | ({self.pairs[state[-1]]: state[:-1]} if state else {"$": None})

    def choose(self, state: Any, word: str, rng: np.random.Generator) -> str:
        """Open or close with equal chances, but close what could not be closed within `longest` brackets."""
        *opening, closing = self.moves(state)
        full = len(word) - 1 + len(state) + 2 > self.longest
        if not opening or full or (word != self.symbols[0] and rng.random() < 0.5):
            return closing
        return opening[int(rng.integers(len(opening)))]


REBER: dict[int, dict[str, Any]] = {  # of each state: the symbols that may follow, and where they lead
    0: {"T": 1, "P": 2},
    1: {"S": 1, "X": 3},
    2: {"T": 2, "V": 4},
    3: {"X": 2, "S": 5},
    4: {"P": 3, "V": 5},
    5: {"E": None},
}


class ReberTask(LanguageTask):
    """Follow the Reber grammar, from B to E (Reber 1967): the last two symbols tell the state.

    >>> ReberTask().is_word("BTSSXXTVVE"), ReberTask().legal("BT")
    (True, 'SX')
    """

    symbols = "BTSXPVE"
    start = 0

    def moves(self, state: Any) -> dict[str, Any]:
        """The arrows of the graph."""
        return REBER[state]


class EmbeddedReberTask(LanguageTask):
    """Follow the embedded Reber grammar: B T … T E or B P … P E around a Reber word.

    Hochreiter & Schmidhuber (1997, § 5.1). The last symbol but one is the second, which has to be remembered
    through all of the word in between.

    >>> EmbeddedReberTask().is_word("BTBPVVETE"), EmbeddedReberTask().legal("BTBPVVE")
    (True, 'T')
    """

    symbols = "BTSXPVE"
    start = ("", "begin")  # the symbol to remember, and where in the grammar

    def moves(self, state: Any) -> dict[str, Any]:
        """The outer symbols, and within them the arrows of the Reber graph."""
        outer, at = state
        if at == "begin":
            return {"T": ("T", "inner"), "P": ("P", "inner")}
        if at == "inner":
            return {"B": (outer, 0)}
        if at == "end":
            return {"E": None}
        return {outer: (outer, "end")} if at is None else {s: (outer, to) for s, to in REBER[at].items()}
