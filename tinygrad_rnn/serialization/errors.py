"""LoadError, and how much of a strange value a message shows."""

from __future__ import annotations

from typing import Any

LONGEST = 120  # letters of a strange value or of another error's message


class LoadError(ValueError):
    """The file is not one that `save` wrote, or not any more."""


def damaged(reason: str) -> LoadError:
    """Return the error for a file that `save` cannot have written like this."""
    return LoadError(f"the file is damaged ({brief(reason)})")


def brief(text: Any) -> str:
    """Return `text` on one line, cut after `LONGEST` letters."""
    line = " ".join(str(text).split())
    return line if len(line) <= LONGEST else line[:LONGEST] + "…"
