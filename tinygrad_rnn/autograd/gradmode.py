"""Whether operations are recorded: a switch for each thread, flipped by context managers and decorators."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Mode(threading.local):
    """This thread's switches."""

    enabled = True  # operations on tensors that require gradients are recorded
    anomaly = False  # every value and gradient is checked for NaN and infinity


mode = Mode()


class Switch:
    """Sets one switch of `mode` while a `with` block, or a decorated function, runs."""

    name = "enabled"
    value = True

    def __init__(self) -> None:
        self.before: list[bool] = []  # a stack: the same switch may be entered again inside itself

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
            with type(self)(*self.arguments()):
                return function(*args, **kwargs)

        return switched  # type: ignore[return-value]

    def arguments(self) -> tuple[bool, ...]:
        """What a fresh switch of this kind is made with, so that a decorated function may call itself."""
        return ()


class no_grad(Switch):
    """Operations inside are not recorded: their results require no gradient. Context manager or decorator."""

    value = False

    def __new__(cls, function: Any = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)  # @no_grad works like @no_grad()


class enable_grad(no_grad):
    """Operations inside are recorded, also within `no_grad`. Context manager or decorator."""

    value = True


class set_grad_enabled(Switch):
    """Recording is on or off inside, by the argument; as a plain call, from here on."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.value = bool(mode)
        super().__enter__()

    def __enter__(self) -> None:
        _set(self.value)

    def __call__(self, function: F) -> F:
        self.__exit__()  # a decorator changes nothing until the function is called
        return super().__call__(function)

    def arguments(self) -> tuple[bool, ...]:
        return (self.value,)


class detect_anomaly(Switch):
    """The first NaN or infinity, forward or backward, is an error naming the operation and its line.

    It slows every operation down: for debugging.
    """

    name = "anomaly"


inference_mode = no_grad


def _set(enabled: bool) -> None:
    mode.enabled = enabled


def is_grad_enabled() -> bool:
    """True if operations are recorded in this thread."""
    return mode.enabled
