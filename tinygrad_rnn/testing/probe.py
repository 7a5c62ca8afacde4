"""A function under examination: evaluated at displaced inputs, and carried backwards, without a trace.

Noise is frozen: each evaluation starts from the same state of the default generator and the same
buffers, and both are as before when the examination ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from ..autograd import GradcheckError, enable_grad, grad
from ..engine.tensor import Array, Tensor
from ..random import get_rng_state, set_rng_state
from .continuation import complex_tensors


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order; numbers and None are passed over."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for part in value for t in tensors_in(part)] if isinstance(value, (tuple, list)) else []


def name_of(thing: Any) -> str:
    """What a function, a class or an object is called in messages and in code that shows a failure again."""
    if isinstance(getattr(thing, "__self__", None), type):  # a class's own method, as Function.apply is
        return f"{name_of(thing.__self__)}.{thing.__name__}"
    name = getattr(thing, "__qualname__", None) or type(thing).__qualname__
    return str(name).rpartition("<locals>.")[2]


class Probe:
    """`fn(*inputs)` as a function from the `leaves` (tensors that it reads) to one vector of all its
    float outputs.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        inputs: Sequence[Any],
        leaves: Mapping[str, Tensor],
        buffers: Sequence[Tensor] = (),
    ) -> None:
        self.fn, self.inputs, self.leaves = fn, list(inputs), dict(leaves)
        self.buffers = [(b, b.array, b.array.copy()) for b in buffers]
        self.noise, self.draws = get_rng_state(), False
        self.values = {name: leaf.array.copy() for name, leaf in self.leaves.items()}

    def __enter__(self) -> Probe:
        try:
            self.outputs = self.run()
            self.draws = not np.array_equal(get_rng_state().array, self.noise.array)
            self._check()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        set_rng_state(self.noise)
        for buffer, array, saved in self.buffers:
            np.copyto(array, saved)
            buffer.array = array

    def run(self) -> list[Tensor]:
        """The float outputs."""
        set_rng_state(self.noise)
        for buffer, _, saved in self.buffers:
            buffer.array = saved.astype(buffer.array.dtype)
        with enable_grad(), np.errstate(all="ignore"):
            found = tensors_in(self.fn(*self.inputs))
        return [y for y in found if y.dtype.kind in "fc"]

    def _check(self) -> None:
        if not self.outputs:
            raise TypeError(f"{self.name}: returned no float tensor, so it has no derivative")
        for k, y in enumerate(self.outputs):
            if y.dtype != np.float64:
                raise TypeError(
                    f"{self.name}: output {k} is {y.dtype}; in float64 throughout, differences mean something"
                )
        for name, leaf in self.leaves.items():
            if not np.array_equal(leaf.array, self.values[name], equal_nan=True):
                raise GradcheckError(f"{self.name} writes into {name}, which is its caller's")
        self.value = flat(self.outputs)
        if not np.isfinite(self.value).all():
            place = self.place(int(np.argmin(np.isfinite(self.value))))
            raise GradcheckError(f"{self.name}: {place} is not finite at these inputs")
        if not np.array_equal(self.value, flat(self.run())):
            raise GradcheckError(
                f"{self.name}: two evaluations at the same inputs differ; "
                "noise must come from the default generator"
            )

    @property
    def name(self) -> str:
        """What the function is called."""
        return name_of(self.fn)

    def place(self, i: int) -> str:
        """Entry `i` of the vector of outputs, as the caller knows it."""
        ends = np.cumsum([y.numel() for y in self.outputs])
        k = int(np.searchsorted(ends, i, side="right"))
        y = self.outputs[k]
        where = ", ".join(str(int(n)) for n in np.unravel_index(i - ends[k] + y.numel(), y.shape))
        output = "output" if len(self.outputs) == 1 else f"output {k}"
        return f"{output}[{where}]" if where else output

    def at(self, leaf: Tensor, array: Array) -> Array:
        """All outputs when `leaf` holds `array`."""
        before = leaf.array
        leaf.array = array
        try:
            return flat(self.run())
        finally:
            leaf.array = before

    @contextmanager
    def nudged(self, seed: int) -> Iterator[None]:
        """Inside, the leaves hold their numbers with other last bits."""
        rng = np.random.Generator(np.random.PCG64(seed))
        before = [leaf.array for leaf in self.leaves.values()]
        for leaf in self.leaves.values():
            leaf.array = leaf.array * (1 + np.finfo(float).eps * rng.integers(-4, 5, leaf.shape))
        try:
            yield
        finally:
            for leaf, array in zip(self.leaves.values(), before):
                leaf.array = array

    def complex(self) -> AbstractContextManager[None]:
        """Inside, every float tensor that the function is given holds complex numbers."""
        given = {
            id(t): t
            for t in [*self.leaves.values(), *tensors_in(self.inputs), *(b for b, _, _ in self.buffers)]
        }
        return complex_tensors(list(given.values()))

    def pull(self, seed: Array) -> dict[str, Array]:
        """seedᵀ J for each leaf: one backward pass."""
        parts, start = [], 0
        for y in self.outputs:
            parts.append(Tensor(seed[start : start + y.numel()].reshape(y.shape)))
            start += y.numel()
        live = [(y, s) for y, s in zip(self.outputs, parts) if y.requires_grad]
        found: Sequence[Any] = [None] * len(self.leaves)
        if live:
            ys, seeds = zip(*live)
            found = grad(ys, list(self.leaves.values()), seeds, retain_graph=True, allow_unused=True)
        pairs = zip(self.leaves.items(), found)
        return {name: np.zeros_like(leaf.array) if g is None else g.array for (name, leaf), g in pairs}


def flat(tensors: Sequence[Tensor]) -> Array:
    """All numbers of all tensors in one vector."""
    return np.concatenate([t.array.reshape(-1) for t in tensors])
