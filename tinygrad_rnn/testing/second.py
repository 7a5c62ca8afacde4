"""The gradient of a function, as a function to be differentiated again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd import GradcheckError, grad
from ..engine.tensor import Tensor
from .probe import Probe, tensors_in


def gradient_of(probe: Probe, seed: int) -> Probe:
    """A probe of the gradient of Σ v · outputs by the leaves of `probe`, for random v, which become
    leaves too.
    """
    shapes = [y.shape for y in probe.outputs if y.requires_grad]
    if not shapes:
        raise GradcheckError(
            f"{probe.name}: no output requires a gradient, so there is none to differentiate"
        )
    rng = np.random.Generator(np.random.PCG64(seed))
    factors = [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    names = ["v"] if len(factors) == 1 else [f"v{k}" for k in range(len(factors))]
    slopes = _slopes(probe.fn, len(probe.inputs), list(probe.leaves.values()))
    slopes.__name__ = f"the gradient of {probe.name}"
    buffers = [buffer for buffer, _, _ in probe.buffers]
    return Probe(slopes, [*probe.inputs, *factors], {**probe.leaves, **dict(zip(names, factors))}, buffers)


def _slopes(fn: Callable[..., Any], count: int, leaves: Sequence[Tensor]) -> Callable[..., Any]:
    def slopes(*args: Any) -> Any:
        outputs = [y for y in tensors_in(fn(*args[:count])) if y.requires_grad and y.dtype.kind in "fc"]
        return grad(outputs, leaves, args[count:], create_graph=True, allow_unused=True)

    return slopes
