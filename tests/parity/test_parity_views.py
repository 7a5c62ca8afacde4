"""Views and writes in random order, by us and by PyTorch: the same numbers after every step, and gradients.

What PyTorch refuses is left out (it keeps no old values, and forbids some writes that are well defined).
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")

VIEWS = {
    "row": lambda t, s: t[0],
    "last": lambda t, s: t[-1:],
    "all but one": lambda t, s: t[1:],
    "every second": lambda t, s: t[..., ::2],
    "column": lambda t, s: t[..., 0],
    "new": lambda t, s: t[:, None],
    "transposed": lambda t, s: t.transpose(0, -1),
    "turned": lambda t, s: t.permute(*range(1, t.ndim), 0),
    "flat": lambda t, s: t.view(-1),
    "unsqueezed": lambda t, s: t.unsqueeze(-1),
    "squeezed": lambda t, s: t.squeeze(),
    "wide": lambda t, s: t.expand(2, *t.shape),
    "narrowed": lambda t, s: t.narrow(-1, 0, 1),
    "detached": lambda t, s: t.detach(),
}
NEW = {
    "sine": lambda t, s: t.clone().sin(),  # of a clone: what is kept for the gradient is never overwritten
    "product": lambda t, s: t.clone() * s.clone(),
    "sum": lambda t, s: t + s,
    "column by column": lambda t, s: (t.transpose(0, -1) + s.transpose(0, -1)).transpose(
        0, -1
    ),  # not in C's order
}
WRITES = {
    "=": lambda t, s: t.__setitem__(..., s),
    "first =": lambda t, s: t.__setitem__(0, s),
    "first +=": lambda t, s: t.__setitem__(0, t[0].add_(s)),
    "numbers =": lambda t, s: t.__setitem__([0, -1], s),
    "+=": lambda t, s: t.add_(s),
    "*= 2": lambda t, s: t.mul_(2.0),
    "fill": lambda t, s: t.fill_(0.5),
    "copy": lambda t, s: t.copy_(s),
}


class Both:
    """Tensors of ours, each beside PyTorch's."""

    def __init__(self) -> None:
        self.all: list[tuple[Any, Any]] = []
        for k, asks in enumerate((True, True, False)):
            array = np.random.default_rng(k).standard_normal((2, 3))
            self.add(tg.tensor(array, requires_grad=asks), torch.tensor(array, requires_grad=asks))
        self.leaves = self.all[:2]
        for k in range(2):
            self.do(lambda t, s: t.clone(), False, k, k)

    def add(self, ours: Any, theirs: Any) -> None:
        self.all.append((ours, theirs))

    def do(self, step: Any, quiet: bool, i: int, j: int) -> None:
        """The step by PyTorch, and, unless it refuses, by us."""
        (t, theirs), (s, others) = self.all[i], self.all[j]
        if step in WRITES.values() and any(n > 1 and k == 0 for n, k in zip(theirs.shape, theirs.stride())):
            return  # expanded: an error of ours, mostly of PyTorch's too, if only in backward
        with torch.no_grad() if quiet else contextlib.nullcontext():
            try:
                result = step(theirs, others)
            except (RuntimeError, IndexError):
                return
        with tg.no_grad() if quiet else contextlib.nullcontext():
            ours = step(t, s)
        if result is not None and not any(result is x for _, x in self.all):
            self.add(ours, result)

    def compare(self) -> None:
        for ours, theirs in self.all:
            np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12, atol=1e-12)

    def gradients(self) -> None:
        total, wanted = tg.zeros((), dtype=tg.float64), torch.zeros((), dtype=torch.float64)
        for k, (ours, theirs) in enumerate(self.all):
            try:
                theirs = (theirs * (k + 1.5)).sum()
            except RuntimeError:  # a view made under no_grad, whose whole was written since
                continue
            total, wanted = total + (ours * (k + 1.5)).sum(), wanted + theirs
        if not wanted.requires_grad:
            return
        wanted.backward()
        total.backward()
        for ours, theirs in self.leaves:
            assert (ours.grad is None) == (theirs.grad is None)
            if ours.grad is not None:
                np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


STEPS = {**VIEWS, **NEW, **WRITES}


@given(st.data())
def test_every_view_sees_what_is_written(data: Any) -> None:
    both = Both()
    for _ in range(data.draw(st.integers(1, 12))):
        kind = data.draw(st.sampled_from([VIEWS, NEW, WRITES, WRITES]))
        step = kind[data.draw(st.sampled_from(sorted(kind)))]
        number = st.integers(0, len(both.all) - 1).map(lambda k: len(both.all) - 1 - k)
        quiet = data.draw(st.sampled_from([False, False, False, True]))
        i, j = data.draw(number), data.draw(number)
        both.do(step, quiet, i, j)
        both.compare()
    both.gradients()
