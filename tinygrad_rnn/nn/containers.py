"""Modules and parameters in sequence and by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import index as as_index
from typing import Any, Generic, TypeVar

from ..engine.tensor import Tensor
from .module import Module
from .parameter import Parameter

T = TypeVar("T")
L = TypeVar("L", bound="Numbered[Any]")


class Numbered(Module, Generic[T]):
    """A list whose entries are registered under their numbers: what such lists share."""

    _registry = "_modules"

    def __init__(self, entries: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(entries or ())

    def _entries(self) -> dict[str, T]:
        entries: dict[str, T] = self.__dict__[self._registry]
        return entries

    def _put(self, key: str, entry: Any) -> None:
        self.register_module(key, entry)

    def _key(self, index: Any) -> str:
        i, n = as_index(index), len(self)
        if not -n <= i < n:
            raise IndexError(f"{type(self).__name__}: index {i} is out of range, there are {n} entries")
        return list(self._entries())[i]

    def _renumber(self, entries: list[T]) -> None:
        self._entries().clear()
        self.extend(entries)

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[T]:
        return iter(self._entries().values())

    def __getitem__(self, index: Any) -> Any:
        """Entry `index`, or for a slice a container of the same kind."""
        if isinstance(index, slice):
            return type(self)(list(self)[index])
        return self._entries()[self._key(index)]

    def __setitem__(self, index: Any, entry: T) -> None:
        self._put(self._key(index), entry)

    def __delitem__(self, index: Any) -> None:
        entries = list(self)
        del entries[index if isinstance(index, slice) else list(self._entries()).index(self._key(index))]
        self._renumber(entries)

    def append(self: L, entry: T) -> L:
        """Add one entry at the end."""
        self._put(str(len(self)), entry)
        return self

    def extend(self: L, entries: Iterable[T]) -> L:
        """Add entries at the end."""
        for entry in list(entries):
            self.append(entry)
        return self

    def insert(self: L, index: int, entry: T) -> L:
        """Add one entry before entry `index`."""
        entries = list(self)
        entries.insert(index, entry)
        self._renumber(entries)
        return self

    def pop(self, index: int = -1) -> T:
        """Take entry `index` out."""
        entry: T = self[index]
        del self[index]
        return entry

    def __add__(self: L, other: Iterable[T]) -> L:
        return type(self)([*self, *other])

    def __iadd__(self: L, other: Iterable[T]) -> L:
        return self.extend(other)


class Sequential(Numbered[Module]):
    """Modules applied one after the other, y = fₙ(… f₂(f₁(x))), by number or named by a dictionary.

    >>> from tinygrad_rnn import nn
    >>> nn.Sequential({"hidden": nn.Linear(3, 5), "act": nn.Tanh()})
    Sequential(
      (hidden): Linear(in_features=3, out_features=5, bias=True)
      (act): Tanh()
    )
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.register_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        """`input` through every module in turn."""
        for module in self:
            input = module(input)
        return input

    def __getitem__(self, index: Any) -> Any:
        """Module `index`, or for a slice a Sequential of those modules under the names they have here."""
        if isinstance(index, slice):
            return type(self)(dict(list(self._entries().items())[index]))
        return super().__getitem__(index)

    def __add__(self, other: Iterable[Module]) -> Sequential:
        return Sequential(*self, *other)


class ModuleList(Numbered[Module]):
    """A list of modules whose parameters belong to the module that holds it."""

    def _child_lines(self) -> list[str]:
        """Equal neighbours share a line: `(0-2): 3 x Linear(…)`."""
        lines, first = [], 0
        for text, group in groupby(map(repr, self)):
            n = len(list(group))
            lines.append(f"({first}): {text}" if n == 1 else f"({first}-{first + n - 1}): {n} x {text}")
            first += n
        return lines


class ParameterList(Numbered[Parameter]):
    """A list of parameters that belong to the module that holds it. Plain tensors become parameters."""

    _registry = "_parameters"

    def _put(self, key: str, entry: Any) -> None:
        self.register_parameter(key, _as_parameter(entry))

    def __repr__(self) -> str:
        return _with_parameters(self)


class Named(Module, Generic[T]):
    """A dictionary whose entries are registered under their keys: what such dictionaries share."""

    _registry = "_modules"

    def __init__(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self.update(entries or {})

    def _entries(self) -> dict[str, T]:
        entries: dict[str, T] = self.__dict__[self._registry]
        return entries

    def __setitem__(self, key: str, entry: Any) -> None:
        self.register_module(key, entry)

    def __getitem__(self, key: str) -> T:
        return self._entries()[key]

    def __delitem__(self, key: str) -> None:
        del self._entries()[key]

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __contains__(self, key: object) -> bool:
        return key in self._entries()

    def keys(self) -> Iterable[str]:
        """The keys, in order of registration."""
        return self._entries().keys()

    def values(self) -> Iterable[T]:
        """The entries, in order of registration."""
        return self._entries().values()

    def items(self) -> Iterable[tuple[str, T]]:
        """Pairs of key and entry, in order of registration."""
        return self._entries().items()

    def get(self, key: str, default: Any = None) -> Any:
        """The entry, or `default`."""
        return self._entries().get(key, default)

    def pop(self, key: str) -> T:
        """Take an entry out."""
        return self._entries().pop(key)

    def clear(self) -> None:
        """Take all entries out."""
        self._entries().clear()

    def update(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Set several entries, from a mapping (or a container like this one) or from pairs."""
        pairs = entries.items() if isinstance(entries, (Mapping, Named)) else entries
        for key, entry in list(pairs):
            self[key] = entry


class ModuleDict(Named[Module]):
    """Modules by name, whose parameters belong to the module that holds it."""


class ParameterDict(Named[Parameter]):
    """Parameters by name that belong to the module that holds it. Plain tensors become parameters."""

    _registry = "_parameters"

    def __setitem__(self, key: str, entry: Any) -> None:
        self.register_parameter(key, _as_parameter(entry))

    def __repr__(self) -> str:
        return _with_parameters(self)


def _as_parameter(entry: Any) -> Any:
    plain = isinstance(entry, Tensor) and not isinstance(entry, Parameter)
    return Parameter(entry, requires_grad=entry.is_floating_point()) if plain else entry


def _with_parameters(module: Module) -> str:
    """The repr of a container of parameters: number type and size of each."""
    if not module._parameters:
        return f"{type(module).__name__}()"
    lines = [
        f"  ({name}): Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"
        for name, p in module._parameters.items()
        if p is not None
    ]
    return "\n".join([f"{type(module).__name__}(", *lines, ")"])
