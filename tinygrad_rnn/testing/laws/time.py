"""Laws of time: runs can be split, cut off, and turned round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...engine.tensor import Array, Tensor
from ...nn.cells import each
from ...nn.containers import ModuleList
from ..examine import slopes_along
from ..probe import Probe, tensors_in
from .case import Case, Seen, near, parameters_in
from .law import Differs, same, same_all


def _halves(case: Case) -> tuple[int, Array, Array]:
    """A step to split at, and the lengths before and after it."""
    k = int(case.rng().integers(0, len(case.xs) + 1))
    return k, *_lengths_around(case, k)


def _lengths_around(case: Case, k: int) -> tuple[Array, Array]:
    """The lengths before and after step k."""
    return np.minimum(case.lengths, k), np.maximum(case.lengths - k, 0)


def a_run_can_be_split(case: Case) -> None:
    """run(xs) = run(xs[:k]) and then run(xs[k:]) from its last state: values and gradients."""
    whole = case.see(case.run(lengths=case.lengths), case.xs, case.state)
    for k in {_halves(case)[0], len(case.xs) // 2}:
        _split(case, whole, k)


def _split(case: Case, whole: Seen, k: int) -> None:
    before, after = _lengths_around(case, k)

    def split(xs: Tensor, state: Any) -> tuple[Any, Any]:
        first, middle = case.run(lengths=before)(xs[:k], state)
        second, last = case.run(lengths=after)(xs[k:], middle)
        return np.concatenate([first, second]), last

    parts = case.see(split, case.xs, case.state, whole.u, whole.v)
    same(f"outputs, split at {k},", parts.ys, whole.ys)
    for i, (got, want) in enumerate(zip(parts.last, whole.last)):
        same(f"last state {i}, split at {k},", got, want)
    same_all(f"split at {k}, the gradient of", parts.grads, whole.grads)


def a_detached_state_truncates(case: Case) -> None:
    """With the state detached between two runs, the gradient is that of the second run from a constant,
    and no more.
    """
    k, before, after = _halves(case)
    rng = case.rng()
    with no_grad():
        _, middle = case.run(lengths=before)(Tensor(case.xs[:k]), case.state)
        ys, last = case.run(lengths=after)(Tensor(case.xs[k:]), middle)
        u, v = rng.standard_normal(ys.shape), [rng.standard_normal(s.shape) for s in tensors_in(last)]

    def truncated(xs: Tensor, state: Any) -> tuple[Any, Any]:
        _, middle = case.run(lengths=before)(xs[:k], state)
        return case.run(lengths=after)(xs[k:], each(lambda s: s.detach(), middle))

    got = case.see(truncated, case.xs, case.state, u, v)
    for name, along, slope in _slopes_of_second(case, Tensor(case.xs[k:]), middle, after, u, v):
        near(
            f"detached at {k}, the gradient of {name} along a direction",
            (got.grads[name] * along).sum(),
            slope[0],
        )
    for name, g in got.grads.items():
        earlier = g[:k] if name == "xs" else g if name.startswith("state[") else g[:0]
        if earlier.any():
            size = np.abs(earlier).max()
            raise Differs(f"detached at {k}, the gradient of {name} before the cut is {size:.3g}, not 0")


def _slopes_of_second(
    case: Case, xs: Tensor, state: Any, lengths: Array, u: Array, v: list[Array]
) -> Iterator[tuple[str, Array, Array]]:
    """Slopes of Σ u·outputs + Σ v·last states of a run from constants, by its parameters: from values,
    without backward.
    """
    constant = each(lambda s: Tensor(s.array.copy()), state)

    def loss(xs: Tensor, state: Any) -> Any:
        ys, last = case.run(lengths=lengths)(xs, state)
        parts = [(s * Tensor(w)).sum() for s, w in zip(tensors_in(last), v) if s.dtype.kind in "fc"]
        return (ys * Tensor(u)).sum() + sum(parts)

    parameters = {name: p for name, p in case.cell.named_parameters() if p.requires_grad}
    with Probe(loss, [xs, constant], parameters) as probe:
        yield from slopes_along(probe, 2, case.seed)


def reversed_time_swaps_directions(case: Case) -> None:
    """A bidirectional layer with its cells swapped, on inputs reversed in time, gives its outputs
    reversed with halves swapped.
    """
    a, b = case.cell, case.sibling(1)
    both, own = [case.state, case.sibling_state(1)], ModuleList([a, b])
    xs, lengths, turned = case.xs, case.lengths, reversal(case.lengths, len(case.xs))
    forth = case.see(case.run([(a, b)], lengths=lengths), xs, both, module=own)
    half = forth.ys.shape[-1] // 2
    u = np.concatenate([forth.u[..., half:], forth.u[..., :half]], -1)[turned]
    n = len(case.initial)
    back = case.see(
        case.run([(b, a)], lengths=lengths), xs[turned], both[::-1], u, forth.v[n:] + forth.v[:n], own
    )
    swapped = np.concatenate([back.ys[..., half:], back.ys[..., :half]], -1)[turned]
    same("outputs, reversed and swapped,", swapped, forth.ys)
    for k, (got, want) in enumerate(zip(back.last[n:] + back.last[:n], forth.last)):
        same(f"last state {k}, swapped,", got, want)
    same("the gradient of xs, reversed,", back.grads["xs"][turned], forth.grads["xs"])
    same_all("reversed and swapped, the gradient of", parameters_in(back.grads), parameters_in(forth.grads))


def reversal(lengths: Array, T: int) -> tuple[Array, Array]:
    """The index that reverses each column of (T, B, ...) within its length and leaves its padding where
    it is.
    """
    t = np.arange(T)[:, None]
    return np.where(t < lengths, lengths - 1 - t, t), np.arange(len(lengths))[None, :]
