"""Seeded random numbers: the same seed gives the same run, on every platform.

All randomness in the package is drawn from a `Generator`; NumPy's global state is never touched.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .engine.tensor import Tensor

__all__ = [
    "Generator",
    "default_generator",
    "manual_seed",
    "seed",
    "initial_seed",
    "get_rng_state",
    "set_rng_state",
]


class Source(threading.local):
    """This thread's source of random numbers, if it is not the generators themselves (see `drawing_from`)."""

    instead: Any = None


source = Source()


@contextmanager
def drawing_from(instead: Any) -> Iterator[None]:
    """In this thread, draw from `instead` what is asked of any generator; their states stay as they are."""
    before, source.instead = source.instead, instead
    try:
        yield
    finally:
        source.instead = before


class Generator:
    """A stream of random numbers with a seed (PCG64; O'Neill 2014)."""

    def __init__(self, device: object = "cpu") -> None:
        if str(device) != "cpu":
            raise NotImplementedError(f"Generator: device {device!r} is not supported; use 'cpu'")
        self.manual_seed(0)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew from `seed`, an integer (negative ones count from 2**64 down)."""
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"manual_seed: seed must be an integer, got {seed!r}")
        self._seed = int(seed) % 2**64
        self._rng: np.random.Generator | None = None
        return self

    @property
    def own(self) -> np.random.Generator:
        """NumPy's generator, made when the first number is drawn: importing numpy.random takes a while."""
        if self._rng is None:
            self._rng = np.random.Generator(np.random.PCG64(self._seed))
        return self._rng

    @property
    def rng(self) -> np.random.Generator:
        """The source of numbers: `own`, or what this thread draws from instead."""
        instead = source.instead
        return self.own if instead is None else instead.of(self)

    def initial_seed(self) -> int:
        """The seed the stream was started from."""
        return self._seed

    def seed(self) -> int:
        """Start the stream from a seed of the operating system's choosing, and return it."""
        return self.manual_seed(int(np.random.SeedSequence().entropy) % 2**63).initial_seed()  # type: ignore[arg-type]

    def get_state(self) -> Tensor:
        """The whole state as a `uint8` tensor, which `save` can write."""
        state = {"seed": self._seed, "pcg64": self.own.bit_generator.state}
        return Tensor(np.frombuffer(json.dumps(state).encode(), np.uint8).copy())

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state that `get_state` gave."""
        try:
            state = json.loads(new_state.array.tobytes())
            bit_generator = np.random.PCG64()
            bit_generator.state = state["pcg64"]
            self._seed = int(state["seed"])
        except (AttributeError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise ValueError("set_state: new_state is not a tensor that get_state returned") from error
        self._rng = np.random.Generator(bit_generator)
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: everything random in the package follows from it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Continue the default generator from a state of `get_rng_state`."""
    default_generator.set_state(new_state)
