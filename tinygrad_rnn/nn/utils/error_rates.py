"""Edit distance: the fewest insertions, deletions and substitutions that turn one sequence into another.

    d[i, j] = min(d[i-1, j] + 1, d[i, j-1] + 1, d[i-1, j-1] + (rᵢ ≠ hⱼ)),    d[i, 0] = i, d[0, j] = j

for the first i items of the reference and the first j of the hypothesis (Levenshtein, 1966; the recursion is
Wagner and Fischer's, 1974). An error rate is the sum of distances over the sum of the references' lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...engine.tensor import Tensor

UNITS: dict[str, Callable[[Any], Any]] = {"label": lambda x: x, "word": str.split, "character": list}


def edit_distance(reference: Any, hypothesis: Any) -> int:
    """The fewest insertions, deletions and substitutions between two sequences.

    Arguments:
        reference, hypothesis: strings, lists, tuples, or tensors of one dimension; items are compared by ==.

    >>> edit_distance("kitten", "sitting")
    3
    """
    numbers: dict[Any, int] = {}
    r, h = (
        np.array([numbers.setdefault(item, len(numbers)) for item in _items(given)], int)
        for given in (reference, hypothesis)
    )
    j = np.arange(len(h) + 1)
    d = j
    for i, item in enumerate(r, 1):
        replaced_or_deleted = np.minimum(d[:-1] + (h != item), d[1:] + 1)
        d = np.concatenate([[i], replaced_or_deleted])
        d = np.minimum.accumulate(d - j) + j  # insertions: d[j] is at most d[k] + j - k for k ≤ j
    return int(d[-1])


def error_rate(references: Sequence[Any], hypotheses: Sequence[Any], unit: str = "label") -> float:
    """Σ edit distances / Σ lengths of the references: label, word or character error rate.

    It is more than 1 if the hypotheses hold more wrong items than the references hold items.

    Arguments:
        references, hypotheses: as many of each; sequences of labels, or strings.
        unit: what is counted: "label" (the items as they are), "word" or "character" of strings.

    >>> error_rate(["the cat sat", "on it"], ["the cat", "on a mat"], unit="word")
    0.6
    """
    if unit not in UNITS:
        raise ValueError(f"error_rate: unit must be 'label', 'word' or 'character', got {unit!r}")
    if isinstance(references, str) or isinstance(hypotheses, str) or len(references) != len(hypotheses):
        raise ValueError(
            "error_rate: give a list of references and a list of as many hypotheses, "
            f"got {references!r:.60} and {hypotheses!r:.60}"
        )
    if unit != "label" and not all(isinstance(x, str) for x in (*references, *hypotheses)):
        raise TypeError(f"error_rate: unit={unit!r} needs strings; use unit='label' for lists of labels")
    pairs = [(UNITS[unit](r), UNITS[unit](h)) for r, h in zip(references, hypotheses)]
    length = sum(len(r) for r, _ in pairs)
    if not length:
        raise ValueError("error_rate: the references are empty, so there is nothing to divide by")
    return sum(edit_distance(r, h) for r, h in pairs) / length


def _items(sequence: Any) -> list[Any]:
    """The items, tensors as numbers: equal tensors are different keys of a dict."""
    if isinstance(sequence, (Tensor, np.ndarray)):
        if sequence.ndim != 1:
            raise ValueError(f"edit_distance: a tensor must have one dimension, got {tuple(sequence.shape)}")
        return list(sequence.tolist())
    return [x.item() if isinstance(x, Tensor) else x for x in sequence]
