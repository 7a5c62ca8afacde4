"""`check_cell`: every law of recurrent cells, for any cell."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...engine.tensor import Tensor
from ...nn.module import Module
from ...nn.recurrent import Recurrent
from ...random import manual_seed
from ..probe import name_of
from ..report import is_its_name
from . import batches, gradients, precision, rtrl, states, time
from .case import SHORT, Case, draw, scatter
from .law import Law, LawBroken, Verdict, chosen, judge, world_kept
from .subject import prepared

LAWS: dict[str, Law] = {
    law.__name__: law
    for law in (
        gradients.a_step_is_pure,
        gradients.backward_is_the_derivative,
        gradients.second_derivatives,
        gradients.gradients_accumulate,
        batches.rows_are_independent,
        batches.ragged_rows_equal_rows_alone,
        batches.no_steps_keep_the_state,
        batches.padding_is_never_read,
        time.a_run_can_be_split,
        time.a_detached_state_truncates,
        time.reversed_time_swaps_directions,
        states.a_missing_state_is_the_initial_one,
        states.every_parameter_matters,
        states.layers_equal_loops,
        states.two_biases_are_one,
        gradients.gradients_share_no_memory,
        precision.float32_stays_float32,
        rtrl.real_time_recurrent_learning,
    )
}

BEAR_NOISE = {  # the others compare runs in which random numbers are drawn for other rows or steps
    "backward_is_the_derivative",
    "second_derivatives",
    "gradients_accumulate",
    "gradients_share_no_memory",
    "rows_are_independent",
    "no_steps_keep_the_state",
    "padding_is_never_read",
}

THROUGH_MANY_STEPS = {"backward_is_the_derivative", "ragged_rows_equal_rows_alone", "a_run_can_be_split"}
TAME = 1e5  # numbers and gradients beyond it are of steps that blow up every rounding error


def check_cell(
    cell: Any,
    *,
    input_size: int | None = None,
    hidden_size: int = 4,
    cases: int = 3,
    steps: int = 40,
    seed: int = 0,
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    over: Callable[..., Any] = Recurrent,
    keep_parameters: bool = False,
    summed_biases: slice | None = None,
    training: bool | None = None,
) -> Verdict:
    """Try every law of recurrent cells on `cell`; LawBroken names those that it breaks, and how to see it.

    `cell` is a Cell, or a module called as PyTorch's cells are, `state = cell(x, state)`, or a class of
    such (or a function that makes one), called as `cell(input_size, hidden_size)`. An instance is copied;
    parameters are in float64, and noise is added to them (unless `keep_parameters`), so that no bias is
    zero. Each law is tried on `cases` random cases of few steps, which follow from `seed`; those of first
    derivatives, ragged batches and split runs also on one of as many as `steps`. `laws` are the names of
    those to try (default: all, in LAWS), `skip` of those not to. `over` runs cells over time, with the
    interface of Recurrent: pass your own loop to have it examined. `summed_biases`: the rows in which
    bias_ih and bias_hh enter as a sum, if not all.

    The laws are tried in evaluation mode, and once they hold there in training mode too, if a run differs
    there in values, gradients or random numbers (`training`: True for training mode alone, False for
    evaluation mode alone). Random numbers are then the same in every run; laws that would need none do not
    apply to a cell that draws some.

    >>> import tinygrad_rnn as tg
    >>> print(check_cell(tg.nn.RNNCell, laws=["every_parameter_matters"]))
    every_parameter_matters  held
    """
    for name, value in (("cases", cases), ("steps", steps), ("hidden_size", hidden_size)):
        if value < 1:
            raise ValueError(f"check_cell: {name} must be at least 1, got {value}")
    if training not in (None, False, True):
        raise TypeError(f"check_cell: training is None (both modes), False or True, got {training!r}")
    tried = chosen("check_cell", LAWS, laws, skip)
    options: dict[str, Any] = {
        "input_size": input_size,
        "hidden_size": hidden_size,
        "steps": steps,
        "over": over,
        "keep_parameters": keep_parameters,
        "summed_biases": summed_biases,
    }
    again = _again(cell, {**options, "training": training})
    verdict = Verdict()
    for mode in (False, True) if training is None else (training,):
        with world_kept():
            drawn = [_case(cell, seed + k, training=mode, **options) for k in range(cases)]
            if mode and training is None and not any(map(_differs_in_training, drawn)):
                break
        name = f"{name_of(cell)} in training mode" if mode else name_of(cell)
        quiet = [_noise_free(law) for law in tried]
        with _noise_told(drawn):
            _add(verdict, "in training mode", judge(quiet, drawn, name, again))
        if steps > SHORT:
            many = [_tame(law) for law in quiet if law.__name__ in THROUGH_MANY_STEPS]
            with world_kept():
                long = _case(cell, seed, training=mode, long=True, **options)
            _add(verdict, f"over {steps} steps", judge(many, [long], name, again))
    return verdict


def _add(verdict: Verdict, where: str, more: Verdict) -> None:
    """Enter what became of laws, and for those that were tried before, where they did not apply."""
    for law, result in more.items():
        if law not in verdict:
            verdict[law] = result
        elif result != "held" and result not in verdict[law]:
            verdict[law] += f"; {where}: {result}"


def _differs_in_training(case: Case) -> bool:
    """True if a run in training mode is not to the last bit the one in evaluation mode."""
    calm = replace(case, cell=copy.deepcopy(case.cell).eval())
    try:
        want = calm.see(calm.run(), case.xs, case.state)
        got = case.see(case.run(), case.xs, case.state, want.u, want.v)
    except Exception:  # the laws tell what is wrong
        return True
    pairs = zip([got.ys, *got.last, *got.grads.values()], [want.ys, *want.last, *want.grads.values()])
    return case.noisy or not all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


@contextmanager
def _noise_told(cases: Sequence[Case]) -> Iterator[None]:
    """Where a law is broken, and results are not finite, say that parameters have been given noise."""
    try:
        yield
    except LawBroken as error:
        if all(map(_finite, cases)):
            raise
        raise LawBroken(
            f"{error}\n    results are not finite; check_cell added noise to the parameters: if they must "
            "keep to a range (be positive, say), pass keep_parameters=True",
            error.laws,
        ) from None


def _finite(case: Case) -> bool:
    """False if noise on the parameters makes results of the cell or of its siblings not finite."""
    if case.keep_parameters:
        return True
    try:
        with no_grad(), np.errstate(all="ignore"), world_kept():
            runs = [case.run(cell) for cell in (case.cell, *map(case.sibling, (1, 2, 3)))]
            found = [np.isfinite(run(Tensor(case.xs), case.state)[0].array).all() for run in runs]
    except Exception:  # the laws have told what it is
        return True
    return all(found)


def _noise_free(law: Law) -> Law:
    """The law, which does not apply where noise breaks it."""

    @wraps(law)
    def apart(case: Case) -> str | None:
        if law.__name__ not in BEAR_NOISE and case.noisy:
            return "the cell draws random numbers"
        return law(case)

    return apart


def _tame(law: Law) -> Law:
    """The law, which does not apply where a run multiplies rounding errors."""

    @wraps(law)
    def tame(case: Case) -> str | None:
        seen = case.see(case.run(), case.xs, case.state)
        arrays = [seen.ys, *seen.last, *seen.grads.values()]
        if not all((np.abs(a) <= TAME).all() for a in arrays):
            return "numbers or gradients grow too large to be compared"
        return law(case)

    return tame


def _again(cell: Any, options: dict[str, Any]) -> Callable[[list[str], Case], str]:
    """The call that tries some laws on one case again."""
    defaults = check_cell.__kwdefaults__ or {}
    code, which = _written(cell, "cell" if isinstance(cell, Module) else "make")
    over, which_loop = _written(options["over"], "over")

    def call(names: list[str], case: Case) -> str:
        given = options | ({"training": True} if case.cell.training else {})
        more = "".join(
            f", {name}={over if name == 'over' else repr(value)}"
            for name, value in given.items()
            if value != defaults[name]
        )
        told = f"# {case.sizes}{which}{which_loop}"
        return f"check_cell({code}, laws={names!r}, cases=1, seed={case.seed}{more})  {told}"

    return call


def _written(thing: Any, otherwise: str) -> tuple[str, str]:
    """What stands for a thing in code, and what is to be said of it if that is not its own name."""
    if is_its_name(thing):
        return name_of(thing), ""
    return otherwise, f", {otherwise}: the {name_of(thing)} that was given"


def _case(
    cell: Any,
    seed: int,
    input_size: int | None,
    hidden_size: int,
    steps: int,
    over: Callable[..., Any],
    keep_parameters: bool,
    summed_biases: slice | None,
    training: bool,
    long: bool = False,
) -> Case:
    """A copy of the cell, and few rows, one of full length, and few steps, one row having none (or, if
    `long`, as many as `steps`). Everything random follows from `seed`.
    """
    manual_seed(seed)
    own, size = prepared("check_cell", cell, input_size, hidden_size)
    if not keep_parameters:
        scatter(own, np.random.Generator(np.random.PCG64(seed)))
    own.train(training)
    rng = np.random.Generator(np.random.PCG64(seed))
    T = steps if long else min(int(rng.integers(3, SHORT + 1)), steps)
    lengths = [T, T // 2] if long else [0, T, *rng.integers(0, T + 1, int(rng.integers(0, 3))).tolist()]
    return draw(
        own,
        size,
        seed,
        T,
        rng.permutation(lengths).tolist(),
        over=over,
        summed_biases=summed_biases,
        keep_parameters=keep_parameters,
    )
