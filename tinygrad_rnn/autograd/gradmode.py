"""Grad modes: turn recording on or off in this thread, by context managers and decorators."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

from ..engine.primitive import mode as mode

F = TypeVar("F", bound=Callable[..., Any])


class Switch:
    """Sets one field of the thread's `mode` while a `with` block, or a decorated function, runs."""

    name = "enabled"
    value: Any = True

    def __init__(self) -> None:
        self.before: list[Any] = []  # a stack: the same switch may be entered again inside itself

    def __enter__(self) -> None:
        self.before.append(getattr(mode, self.name))
        setattr(mode, self.name, self.value)

    def __exit__(self, *_: object) -> None:
        setattr(mode, self.name, self.before.pop())

    def __call__(self, function: F) -> F:
        if isgeneratorfunction(function):
            raise TypeError(
                f"{type(self).__name__}: {function.__name__} is a generator; use a with block inside it"
            )

        @wraps(function)
        def switched(*args: Any, **kwargs: Any) -> Any:
            before = getattr(mode, self.name)  # not in self.before: another thread may be in here too
            setattr(mode, self.name, self.value)
            try:
                return function(*args, **kwargs)
            finally:
                setattr(mode, self.name, before)

        return switched  # type: ignore[return-value]


class no_grad(Switch):
    """Operations inside are not recorded: their results require no gradient. Context manager or decorator."""

    value = False

    def __new__(cls, function: Any = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)  # @no_grad works like @no_grad()


class enable_grad(no_grad):
    """Operations inside are recorded, also within `no_grad`. Context manager or decorator."""

    value = True


class inference_mode(Switch):
    """`no_grad`; with `mode=False`, `enable_grad`. Context manager or decorator."""

    def __new__(cls, mode: Any = True) -> Any:
        return cls()(mode) if callable(mode) else object.__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.value = not mode


class Setting(Switch):
    """A switch that takes its value as an argument, and is flipped by a plain call too, from there on."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
        super().__enter__()

    def __enter__(self) -> None:
        setattr(mode, self.name, self.value)

    def __exit__(self, *_: object) -> None:
        setattr(mode, self.name, self.before[0])

    def __call__(self, function: F) -> F:
        self.__exit__()  # a decorator changes nothing until the function is called
        return super().__call__(function)


class set_grad_enabled(Setting):
    """Recording is on or off inside, by the argument; as a plain call, from here on."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))


def is_grad_enabled() -> bool:
    """True if operations are recorded in this thread."""
    return mode.enabled
