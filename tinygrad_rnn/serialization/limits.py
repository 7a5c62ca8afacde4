"""Bounds on what a structure may cost, checked on its text and row by row, before anything is built.

A few bytes can ask for a lot of work: a reference to a tuple of two references to a tuple of two … doubles
with each row when it is hashed, integers can be chosen that all have one hash, and Python's own hash recurses
without a guard. `save` and `load` keep to the same bounds, so that whatever is saved can be loaded.
"""

from __future__ import annotations

import gc
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .errors import LoadError, damaged

DEEPEST = 25_000  # containers in containers; repr, == and deepcopy give up long before
DEEPEST_KEY = 100  # the same within a key or a member of a set, which Python hashes by recursion
REPEATED = 1_000_000  # values that may be hashed or compared again, beyond once for each that is written
LISTS, LETTERS_A_LIST = 10_000, 9  # lists in a structure: so many, and one for so many letters of its text
HIGHEST_COST = 2**40  # beyond every limit; exact numbers would grow by a digit a row

PLAIN = {type(None), bool, int, float, str, list}  # what JSON gives, but dicts


def parsed(text: bytes) -> dict[str, Any]:
    """Return the structure that `text` holds; refuses text that would take far more memory than it has."""
    if not text.isascii():
        raise damaged("its structure is not in ASCII")
    if text.count(b"[") + text.count(b"{") > LISTS + len(text) // LETTERS_A_LIST:
        raise damaged("its structure has more lists than save writes")
    structure = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=without_repetition)
    if not isinstance(structure, dict):
        raise damaged("its structure is not one that save writes")
    return structure


@contextmanager
def collector_paused() -> Iterator[None]:
    """Turn the collector of cyclic garbage off, if it is on, and on again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def full_of_brackets(text: str) -> bool:
    """True for a string that `save` writes in another way, so that brackets in a structure mean lists."""
    return (text.count("[") + text.count("{")) * LETTERS_A_LIST > len(text)


def refuse_constant(name: str) -> None:
    """Refuse NaN and Infinity, which JSON does not have; `save` writes their bits."""
    raise damaged(f"its structure contains {name}")


def without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict of `pairs`, each key once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise damaged("a key of its structure occurs twice")
    return found


class Limits:
    """Watches the rows of a table as they are written or read, in order, and refuses the first bad one.

    Of each row it knows `cost`, the values that hashing it visits if what is shared is counted each time,
    and `depth`. Each value may be visited once for each time that it is written; all visits beyond that, in
    keys and members of sets and between those of equal hash, may be `REPEATED`.
    """

    def __init__(self) -> None:
        self.cost: list[int] = []
        self.depth: list[int] = []
        self.used = bytearray()
        self.allowed = REPEATED

    def row(self, nodes: Sequence[Any], hashed: Sequence[Any] = (), *, hashable: bool = False) -> None:
        """Admit a row that contains `nodes`, of which `hashed` are its keys or members.

        `hashable`: the row is a tuple or a frozenset, so that it can be hashed itself.
        """
        places, written = self.read(nodes)
        depth = 1 + max([self.depth[i] for i in places], default=0)
        if depth > DEEPEST:
            raise LoadError(f"containers are nested more than {DEEPEST:,} deep")
        self.allowed += written
        for node in hashed:
            if is_reference(node):
                if self.depth[node[1]] > DEEPEST_KEY:
                    raise LoadError(f"a key or a member of a set is nested more than {DEEPEST_KEY} deep")
                self.spend(self.cost[node[1]])
        cost = written + sum([self.cost[i] for i in places]) if hashable else 1
        self.cost.append(min(cost, HIGHEST_COST))
        self.depth.append(depth)
        self.used.append(0)

    def read(self, nodes: Sequence[Any]) -> tuple[list[int], int]:
        """Return the earlier rows that `nodes` refer to, and how many values are written in them.

        Each node is checked for what JSON allows and `save` does not write.
        """
        kinds = set(map(type, nodes))
        if not kinds <= PLAIN:
            raise damaged("its structure is not one that save writes")
        if int in kinds and any(not -(2**63) < n < 2**63 for n in nodes if type(n) is int):
            raise damaged("an integer is not written as save does")
        if float in kinds and not all(math.isfinite(x) for x in nodes if type(x) is float):
            raise damaged("a number is not written as save does")
        places, written, rows = [], 1 + len(nodes), len(self.cost)
        for node in nodes if list in kinds else ():
            if type(node) is not list:
                continue
            if node[0] != "ref":
                written += weight(node)
                continue
            i = node[1] if len(node) == 2 else None
            if type(i) is not int or not 0 <= i < rows:
                raise damaged("something it refers to is not there")
            places.append(i)
            self.used[i] = 1
        return places, written

    def keys(self, nodes: Sequence[Any], values: Sequence[Any]) -> None:
        """Admit `values`, the keys or members that `nodes` stand for, which are about to be hashed."""
        counts = Counter(map(hash, values))
        if len(counts) < len(values):
            for node, value in zip(nodes, values, strict=True):
                others = counts[hash(value)] - 1
                if others:
                    self.spend(others * (self.cost[node[1]] if is_reference(node) else weight(node)))

    def spend(self, visits: int) -> None:
        """Count visits of values that hashing or comparing makes."""
        self.allowed -= visits
        if self.allowed < 0:
            raise LoadError("its keys and sets would take too long to build")

    def end(self, root: Any) -> None:
        """Admit the table as a whole: `root` is in it, and every row is used."""
        self.read([root])
        if not all(self.used):
            raise damaged("a part of it belongs to nothing")


def is_reference(node: Any) -> bool:
    """True if `node` stands for a row."""
    return type(node) is list and node[0] == "ref"


def weight(node: Any) -> int:
    """Return what hashing the value of `node` takes, apart from its row if it has one."""
    return 1 + sum(len(part) for part in node if type(part) is str) if type(node) is list else 1
