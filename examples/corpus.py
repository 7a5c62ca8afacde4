"""A text to learn from: where it comes from, how it is divided, and how characters become numbers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

UNKNOWN = "\ufffd"  # stands for every character that the training text does not have


class Refused(ValueError):
    """What was asked for cannot be done; the message says why in one line."""


def python_documentation() -> str:
    """The reference of the running interpreter that `help("topics")` lists, each paragraph once.

    The topics quote one another: a fifth of the text is there twice. A test paragraph that is in the
    training text too would reward memory, so only the first of equal paragraphs is kept.
    """
    from pydoc_data.topics import topics

    first: dict[str, str] = {}
    for name in sorted(topics):
        for paragraph in re.split(r"\n{2,}", topics[name].strip()):
            first.setdefault(" ".join(paragraph.split()), paragraph)
    return "\n\n".join(first.values())


def read(path: str | None) -> str:
    """The text of a UTF-8 file, or Python's documentation if there is none; `Refused` says what is wrong."""
    if path is None:
        try:
            return python_documentation()
        except ImportError as error:
            raise Refused("this Python comes without pydoc_data; name a text with --text FILE") from error
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Refused(f"--text: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Refused(f"--text: {path} is not UTF-8: {error.reason} at byte {error.start}") from error


class Vocabulary:
    r"""The characters of a training text in code point order, after one symbol for all others.

    >>> v = Vocabulary("banana")
    >>> len(v), v.encode("ban!"), v.decode([2, 1, 3]), v.known("ban!")
    (4, [2, 1, 3, 0], 'ban', 'ban�')
    """

    def __init__(self, text: str) -> None:
        self.symbols = UNKNOWN + "".join(sorted(set(text) - {UNKNOWN}))
        self.number = {symbol: i for i, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, text: str) -> list[int]:
        """The number of every character, 0 for those that are unknown."""
        return [self.number.get(character, 0) for character in text]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text that has these numbers."""
        return "".join(self.symbols[i] for i in numbers)

    def known(self, text: str) -> str:
        """The text with `UNKNOWN` in the place of every unknown character, as `encode` sees it."""
        return self.decode(self.encode(text))


class Corpus:
    """A text in three parts: the first 90 % to train on, the next 5 % to validate, the last 5 % to test.

    The vocabulary is that of the training text; what it does not know is unknown to every model alike.
    """

    def __init__(self, text: str) -> None:
        a, b = len(text) * 90 // 100, len(text) * 95 // 100
        self.vocabulary = Vocabulary(text[:a])
        self.train, self.validation, self.test = text[:a], text[a:b], text[b:]
        self.digest = hashlib.sha256(text.encode()).hexdigest()
