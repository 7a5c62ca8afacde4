"""Objects that are not plain data, such as whole modules: pickles, which run code when they are read.

They are read only if the caller says that the file is trusted (`weights_only=False`), or names the classes
that may be in it (`add_safe_globals`), as PyTorch 2.6 has it.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import pickling
from ..engine.tensor import Tensor
from ..nn.parameter import Parameter
from .errors import LoadError, brief

Global = (
    Callable[..., Any] | tuple[Callable[..., Any], str]
)  # a class or function, perhaps under another name

PROTOCOL = 5
MOST_OPCODES = 10_000  # of a refused pickle that are looked at, to name what is in it
MOST_NAMES = 5

_reconstruct = np.ones(1).__reduce__()[0]
_from_buffer = np.ones(1).__reduce_ex__(PROTOCOL)[0]
_scalar = np.float32(1).__reduce__()[0]
HARMLESS: list[Any] = [
    *(pickling.rebuild, Tensor, Parameter, np.ndarray, np.dtype, _reconstruct, _from_buffer, _scalar),
    *(set, frozenset, complex, bytearray, slice, range, collections.OrderedDict, collections.defaultdict),
]
_allowed: dict[str, Callable[..., Any]] = {}  # by full name, beside those that are harmless


def dump(obj: Any) -> bytes:
    """Return the pickle of `obj`; a tensor with a graph becomes a leaf, as in a file of plain data."""
    stream = io.BytesIO()
    Pickler(stream, PROTOCOL).dump(obj)
    return stream.getvalue()


class Pickler(pickle.Pickler):
    """Pickles tensors without their graphs."""

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle a tensor that an operation made; anything else is pickled as always."""
        if isinstance(obj, Tensor) and not obj.is_leaf:
            return pickling.parts(obj)
        return NotImplemented


def undump(content: memoryview, weights_only: bool) -> Any:
    """Return the object of a pickle, or refuse to run it.

    `weights_only`: only classes and functions that `add_safe_globals` or `safe_globals` named may be used.
    """
    if weights_only and not _allowed:
        raise LoadError(refusal([name for name in globals_of(content) if name not in _harmless]))
    try:
        return Unpickler(io.BytesIO(content)).load() if weights_only else pickle.loads(content)
    except LoadError:
        raise
    except Exception as error:  # whatever an object's own unpickling raises
        reason = brief(f"{type(error).__name__}: {error}")
        raise LoadError(
            f"unpickling its objects failed ({reason}); their classes must be importable"
        ) from error


class Unpickler(pickle.Unpickler):
    """Finds only what is harmless or allowed by name, and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the class or function of this name."""
        full = f"{module}.{name}"
        found = _allowed.get(full) or _harmless.get(full)
        if found is None:
            raise LoadError(refusal([full]))
        return found


def refusal(foreign: list[str]) -> str:
    """Return why a pickle is not run: which names it uses, the risk, and what the caller can say."""
    used = f" ({brief(', '.join(foreign[:MOST_NAMES]))})" if foreign else ""
    return (
        f"it holds pickled objects{used}, and unpickling can run any program; if you trust the file, "
        "load(f, weights_only=False), or allow its classes with serialization.add_safe_globals"
    )


def globals_of(content: memoryview) -> list[str]:
    """Return the names of classes and functions in the first opcodes of a pickle, without running it."""
    import pickletools  # only here: most programs never need it

    names: dict[str, None] = {}
    memo: list[str] = []  # of what is remembered, if it is text
    texts = ["", ""]  # the last two
    try:
        for (opcode, argument, _), _ in zip(pickletools.genops(bytes(content)), range(MOST_OPCODES)):
            if opcode.name == "STACK_GLOBAL":
                names[".".join(texts)] = None
            elif opcode.name == "GLOBAL":
                names[str(argument).replace(" ", ".")] = None
            elif opcode.name == "MEMOIZE":
                memo.append(texts[-1])
            elif opcode.name == "BINGET" and isinstance(argument, int) and argument < len(memo):
                texts = [texts[-1], memo[argument]]
            elif isinstance(argument, str):
                texts = [texts[-1], argument]
    except ValueError:  # no pickle, or a damaged one: what was found is enough to refuse it
        pass
    return list(names)


# --- what is allowed by name


def named(functions: Iterable[Global]) -> dict[str, Callable[..., Any]]:
    """Return classes and functions by their full names; refuses what is neither."""
    found = {}
    for entry in functions:
        function, name = entry if isinstance(entry, tuple) else (entry, None)
        if not callable(function):
            raise TypeError(f"safe_globals: expected classes and functions, got {type(function).__name__}")
        found[name or f"{function.__module__}.{function.__qualname__}"] = function
    return found


_harmless = named(HARMLESS)


def add_safe_globals(safe_globals: list[Global]) -> None:
    """Let `load` unpickle objects of these classes from now on, without `weights_only=False`.

    `safe_globals`: classes and functions, or pairs of one and the full name that files have for it. Loading
    makes objects of such a class and sets their attributes; allow only classes for which that is harmless.

    >>> from tinygrad_rnn import serialization
    >>> serialization.add_safe_globals([range])
    >>> serialization.get_safe_globals()
    [<class 'range'>]
    >>> serialization.clear_safe_globals()
    """
    _allowed.update(named(safe_globals))


def get_safe_globals() -> list[Global]:
    """Return the classes and functions that `add_safe_globals` and `safe_globals` allow at present."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Allow none any more."""
    _allowed.clear()


@contextmanager
def safe_globals(safe_globals: list[Global]) -> Iterator[None]:
    """Allow `safe_globals` (see `add_safe_globals`) within a `with` block, beside those allowed already."""
    before = dict(_allowed)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        clear_safe_globals()
        _allowed.update(before)
