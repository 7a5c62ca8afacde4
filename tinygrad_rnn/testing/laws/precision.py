"""The law of float32: what is computed in it stays in it."""

from __future__ import annotations

import copy

import numpy as np

from ...engine.tensor import Array, Tensor
from ...nn.cells import each
from .case import Case, Run
from .law import Differs

ROUNDING = 1e-3  # of the largest number: what some steps in float32 may be off by
LEAST = 1e-5  # what they may be off by where numbers of order 1 cancel


def float32_stays_float32(case: Case) -> None:
    """In float32, with and without a given state, outputs, states and gradients are float32, and those of
    float64 but for rounding.
    """
    narrow = copy.deepcopy(case.cell).float()
    state = each(lambda s: Tensor(_narrow(s.array)), case.state)
    runs = case.run(lengths=case.lengths), case.run(narrow, lengths=case.lengths)
    for start, (wide, low) in (("a given state", runs), ("no state", tuple(map(_from_nothing, runs)))):
        want = case.see(wide, case.xs, case.state)
        got = case.see(low, _narrow(case.xs), state, want.u, want.v, narrow)
        _rounded(f"outputs in float32, from {start},", got.ys, want.ys)
        for k, (a, b) in enumerate(zip(got.last, want.last)):
            _rounded(f"last state {k} in float32, from {start},", a, b)
        for name, g in got.grads.items():
            _rounded(f"the gradient of {name} in float32, from {start},", g, want.grads[name])


def _from_nothing(run: Run) -> Run:
    """The same run, from a state that is not given."""
    return lambda xs, _: run(xs, None)


def _narrow(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _rounded(what: str, got: Array, want: Array) -> None:
    """Raise Differs unless `got` is `want` in float32, but for rounding."""
    if got.dtype != _narrow(want).dtype:
        raise Differs(f"{what}: {got.dtype}")
    allowed = max(LEAST, ROUNDING * float(np.abs(want).max(initial=0)))
    if not np.allclose(got, want, ROUNDING, allowed, equal_nan=True):
        raise Differs(f"{what}: off by {np.abs(got - want).max():.3g} from float64")
