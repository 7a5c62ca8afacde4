"""Laws of batches: rows know nothing of each other, and padding is never read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...engine.tensor import Array, Tensor
from ...nn.cells import each
from ...nn.module import Module
from ..probe import tensors_in
from .case import Case, Run, Seen, columns, leaf, parameters_in, rows, same_noise
from .law import same, same_all
from .states import stack_of


def rows_are_independent(case: Case) -> None:
    """Permuting the rows of a batch permutes outputs, states and gradients, and changes nothing else; and
    other numbers in one row change no other row.
    """
    _others_unchanged(case)
    if case.noisy:
        return  # noise belongs to a place in the batch
    B = len(case.lengths)
    p = case.rng().permutation(B)
    p = np.roll(p, 1) if (p == np.arange(B)).all() else p
    full = np.full_like(case.lengths, len(case.xs))
    for lengths in (full, case.lengths):  # a ragged batch is sorted before it is run, a full one is not
        _permuted(case, lengths, p)


def _others_unchanged(case: Case) -> None:
    """With other inputs and another state in one row, the other rows are as before."""
    rng, T = case.rng(), len(case.xs)
    row = int(rng.integers(len(case.lengths)))
    others = np.arange(len(case.lengths)) != row
    xs, state = case.xs.copy(), each(lambda s: leaf(s.array), case.state)
    xs[:, row] = rng.standard_normal(xs[:, row].shape)
    for s in (s for s in tensors_in(state) if s.dtype.kind == "f"):
        s.array[row] = rng.standard_normal(s.array[row].shape)
    runs = []
    for inputs, start in ((case.xs, case.state), (xs, state)):
        with no_grad(), same_noise(case.seed):
            ys, last = case.run()(Tensor(inputs.copy()), each(lambda s: Tensor(s.array.copy()), start))
            runs.append([ys.array[:, others], *(s.array[others] for s in tensors_in(last))])
    for k, (got, want) in enumerate(zip(runs[1], runs[0])):
        what = f"last state {k - 1}" if k else f"outputs of {T} steps"
        same(f"{what} of the other rows, with other numbers in row {row},", got, want)


def _permuted(case: Case, lengths: Array, p: Array) -> None:
    one = case.see(case.run(lengths=lengths), case.xs, case.state)
    other = case.see(
        case.run(lengths=lengths[p]), case.xs[:, p], rows(case.state, p), one.u[:, p], columns(one.v, p)
    )
    same("outputs of the permuted batch", other.ys, one.ys[:, p])
    for k, (got, want) in enumerate(zip(other.last, one.last)):
        same(f"last state {k} of the permuted batch", got, want[p])
    same("the gradient of the permuted xs", other.grads["xs"], one.grads["xs"][:, p])
    for name in (n for n in one.grads if n.startswith("state[")):
        same(f"the gradient of the permuted {name}", other.grads[name], one.grads[name][p])
    same_all("with permuted rows, the gradient of", parameters_in(other.grads), parameters_in(one.grads))


def ragged_rows_equal_rows_alone(case: Case) -> None:
    """A ragged batch equals its sequences run alone: outputs, states, and gradients, of which
    parameters get the sum.
    """
    both = case.see(case.run(lengths=case.lengths), case.xs, case.state)
    totals = {name: np.zeros_like(g) for name, g in parameters_in(both.grads).items()}
    for b, n in enumerate(case.lengths):
        one = slice(b, b + 1)
        alone = case.see(
            case.run(), case.xs[:n, one], rows(case.state, one), both.u[:n, one], columns(both.v, one)
        )
        same(f"outputs of row {b} (length {n}) in the batch", both.ys[:n, one], alone.ys)
        same(
            f"outputs of row {b} after its end", both.ys[n:, one], np.zeros_like(both.ys[n:, one]), exact=True
        )
        same(f"the gradient of xs of row {b}", both.grads["xs"][:n, one], alone.grads["xs"])
        for k, (got, want) in enumerate(zip(both.last, alone.last)):
            same(f"last state {k} of row {b} (length {n})", got[one], want)
        for name, g in parameters_in(alone.grads).items():
            totals[name] += g
        for name in (n for n in both.grads if n.startswith("state[")):
            same(f"the gradient of {name} of row {b}", both.grads[name][one], alone.grads[name])
    same_all("of all rows together, the gradient of", parameters_in(both.grads), totals)


def no_steps_keep_the_state(case: Case) -> None:
    """A sequence of length 0 keeps its initial state, in a batch of others and in one of T = 0."""
    lengths = case.lengths.copy()
    lengths[: max(1, len(lengths) // 2)] = 0
    short = case.see(case.run(lengths=lengths), case.xs, case.state)
    none = case.see(case.run(), case.xs[:0], case.state)
    initial = case.initial
    for k, s in enumerate(initial):
        same(f"last state {k} of a row of length 0", short.last[k][lengths == 0], s[lengths == 0], exact=True)
        same(f"last state {k} at T = 0", none.last[k], s, exact=True)
        if f"state[{k}]" in none.grads:
            same(f"the gradient of state[{k}] at T = 0", none.grads[f"state[{k}]"], none.v[k], exact=True)
    full = case.see(case.run(), case.xs, case.state)
    same("the shape of the outputs at T = 0", none.ys.shape, (0, *full.ys.shape[1:]), exact=True)


def padding_is_never_read(case: Case) -> str | None:
    """What stands in the padding, or where a mask has holes, NaN and infinity too, changes no value and no
    gradient; its own gradient is 0. The same in layers of both directions.
    """
    T, B = case.xs.shape[:2]
    padding = np.arange(T)[:, None] >= case.lengths
    holes = case.rng().random((T, B)) < 0.4
    if not (padding.any() or holes.any()):
        return "no padding in this case"
    layers, own, states = stack_of(case)
    for what, hidden, options in (
        ("in the padding", padding, {"lengths": case.lengths}),
        ("where the mask is False", holes, {"mask": Tensor(~holes)}),
    ):
        values = (np.nan, np.inf, -np.inf)
        _never_read(case, what, hidden, values, case.run(**options), case.state, case.cell)
        many = f"{what} of layers of both directions"
        _never_read(case, many, hidden, values[:1], case.run(layers, **options), states, own)
    return None


def _never_read(
    case: Case, what: str, hidden: Array, values: Sequence[float], run: Run, state: Any, module: Module
) -> None:
    """Nothing depends on which of the values stand where `hidden` (T, B) is True."""
    one = case.see(run, case.xs, state, module=module)
    for value in values if hidden.any() else ():
        xs = case.xs.copy()
        xs[hidden] = value
        other = case.see(run, xs, state, one.u, one.v, module)
        _equal(f"with {value} {what},", other, one)
        got = other.grads["xs"][hidden]
        same(f"with {value} {what}, its gradient", got, np.zeros_like(got), exact=True)


def _equal(what: str, other: Seen, one: Seen) -> None:
    same(f"{what} outputs", other.ys, one.ys, exact=True)
    for k, (got, want) in enumerate(zip(other.last, one.last)):
        same(f"{what} last state {k}", got, want, exact=True)
    same_all(f"{what} the gradient of", other.grads, one.grads, exact=True)
