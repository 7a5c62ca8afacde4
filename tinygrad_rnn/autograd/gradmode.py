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
    anomaly: Any = (
        False  # every value and gradient is checked for NaN and infinity; or, a trace watches (compile/)
    )


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

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.value = bool(mode)
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


class set_detect_anomaly(Setting):
    """`detect_anomaly`, on or off by the argument; as a plain call, from here on."""

    name = "anomaly"


class detect_anomaly(Switch):
    """The first NaN or infinity, forward or backward, is an error naming the operation and its line.

    It slows every operation down: for debugging.
    """

    name = "anomaly"


def is_grad_enabled() -> bool:
    """True if operations are recorded in this thread."""
    return mode.enabled


def is_anomaly_enabled() -> bool:
    """True if values and gradients are checked in this thread (see detect_anomaly)."""
    return mode.anomaly is True
