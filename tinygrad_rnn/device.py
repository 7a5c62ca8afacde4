"""The one device there is: the processor."""

from __future__ import annotations


class device:
    """`device("cpu")`. Any other device raises `NotImplementedError`."""

    def __init__(self, type: object, index: int | None = None) -> None:
        name, _, number = str(type).partition(":")
        if name != "cpu" or (number or "0") != "0" or index not in (None, 0):
            raise NotImplementedError(f"device {str(type)!r} is not supported; use 'cpu'")
        self.type, self.index = name, (int(number) if number else index)

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')"
            if self.index is None
            else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


cpu = device("cpu")
