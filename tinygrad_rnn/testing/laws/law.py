"""A law: a function of a case that raises if it does not hold there. Its docstring states it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...autograd import is_grad_enabled, set_grad_enabled
from ...dtypes import get_default_dtype, set_default_dtype
from ...engine.tensor import Array, Tensor
from ...random import get_rng_state, set_rng_state
from ..report import WrongGradient

Law = Callable[[Any], str | None]  # a string: why the law does not apply to this case

CLOSE = 1e-9  # of the largest number: what another order of the same sums may change
LEAST = 1e-12  # what it may change where numbers of order 1 cancel


class Differs(AssertionError):
    """Two things that a law makes equal are not."""


class LawBroken(AssertionError):
    """What was examined breaks laws; `laws` are their names."""

    def __init__(self, message: str, laws: list[str]) -> None:
        super().__init__(message)
        self.laws = laws


def same(what: str, got: Any, want: Any, exact: bool = False) -> None:
    """Raise Differs unless two arrays (or tensors) are equal: within rounding, or to the last bit."""
    a, b = (np.asarray(x.array if isinstance(x, Tensor) else x) for x in (got, want))
    a, b = (x.astype(int) if x.dtype.kind == "b" else x for x in (a, b))
    if a.shape != b.shape:
        raise Differs(f"{what}: shape {a.shape} instead of {b.shape}")
    allowed = 0.0 if exact else max(LEAST, CLOSE * float(np.abs(b[np.isfinite(b)]).max(initial=0)))
    with np.errstate(invalid="ignore"):
        off = ~((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b)))
    if off.any():
        raise Differs(_difference(what, a, b, off))


def _difference(what: str, a: Array, b: Array, off: Array) -> str:
    with np.errstate(invalid="ignore"):
        away = np.where(off, np.nan_to_num(np.abs(a - b), nan=math.inf), -1.0)
    i = np.unravel_index(int(np.argmax(away)), a.shape)
    place = f"[{', '.join(str(int(n)) for n in i)}]" if i else ""
    count = f"{off.sum()} of {off.size} numbers differ, by up to {away[i]:.3g}"
    return f"{what}{place}: {a[i]:.9g} instead of {b[i]:.9g} ({count})"


def same_all(what: str, got: dict[str, Array], want: dict[str, Array], exact: bool = False) -> None:
    """`same` for every array of two dictionaries."""
    for name in want:
        same(f"{what} {name}", got[name], want[name], exact)


class Verdict(dict[str, str]):
    """What became of each law: "held", or why it does not apply. Printed as a table."""

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {result}" for name, result in self.items())


def chosen(who: str, book: Mapping[str, Law], laws: Sequence[str] | None, skip: Sequence[str]) -> list[Law]:
    """The laws of the book that are asked for; an error in `who` for a name that is not in it."""
    for name in [*(laws or ()), *skip]:
        if name not in book:
            raise ValueError(f"{who}: there is no law {name!r}; the laws are {', '.join(book)}")
    return [law for name, law in book.items() if (laws is None or name in laws) and name not in skip]


def judge(
    laws: Sequence[Law], cases: Sequence[Any], subject: str, again: Callable[[list[str], Any], str]
) -> Verdict:
    """Try every law on every case: what became of each, or LawBroken, which tells all that are broken.

    `again(names, case)` is the call that shows it again.
    """
    verdict, broken = Verdict(), dict[str, list[tuple[Law, Any]]]()
    for law in laws:
        for case in cases:
            found, told = tried(law, case)
            if found == "broken":
                broken.setdefault(told, []).append((law, case))
                break
            if verdict.get(law.__name__) != "held":
                verdict[law.__name__] = told or found
    if broken:
        names = [law.__name__ for law in laws if any(law is x for found in broken.values() for x, _ in found)]
        raise LawBroken(
            "\n".join(_told(told, found, subject, again) for told, found in broken.items()), names
        )
    return verdict


def _told(
    told: str, found: Sequence[tuple[Law, Any]], subject: str, again: Callable[[list[str], Any], str]
) -> str:
    """What differed, once for all laws that it breaks."""
    laws = "\n".join(f"{subject} breaks the law {law.__name__}: {statement(law)}" for law, _ in found)
    call = again([law.__name__ for law, _ in found], found[0][1])
    return f"{laws}\n    " + "\n    ".join([*told.splitlines(), f"to reproduce: {call}"])


def _world() -> dict[str, Any]:
    """What nothing that is examined may change."""
    return {"grad mode": is_grad_enabled(), "the default dtype": get_default_dtype()}


@contextmanager
def world_kept() -> Iterator[None]:
    """Grad mode, the default dtype and the default generator are afterwards as they were before."""
    mode, dtype, noise = is_grad_enabled(), get_default_dtype(), get_rng_state()
    try:
        yield
    finally:
        set_grad_enabled(mode)
        set_default_dtype(dtype)
        set_rng_state(noise)


def statement(law: Law) -> str:
    """The law in words: its docstring, on one line."""
    return " ".join((law.__doc__ or "").split())


def tried(law: Law, case: Any) -> tuple[str, str]:
    """("held", ""), ("not applicable", why) or ("broken", what differed): an exception of the examined
    code breaks it too, and so does another grad mode or default dtype afterwards; both are put back.
    """
    before = _world()
    try:
        with world_kept():
            why = law(case)
            for what, now in _world().items():
                if now != before[what]:
                    raise Differs(f"{what} was {before[what]}, and is {now} afterwards")
    except WrongGradient as error:
        return "broken", error.summary
    except AssertionError as error:
        return "broken", str(error)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}"
    return ("held", "") if why is None else ("not applicable", why)
