"""Verifier: a proof that a program computes what the traced step means, trusting neither planner nor printer.

    the source            run as it is, on residues (verifier_arithmetic.py) in memory that starts as NaN
    the traced step       run value by value, step by step, every value in an array of its own

Both are given the same inputs. All outputs, last states and gradients must be the same residues: for one, two
and three steps (a first, middle and last one; without steps a layer runs eagerly), for ragged batches, and
once more in buffers that were used before. A value that was overwritten too early, read too early, or read
from the wrong place is another residue, or NaN. This file knows nothing of how buffers were chosen, calls
ordered, or text made: only what a step is.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .symbols import Value
from .trace import Step
from .verifier_arithmetic import FUNCTIONS, P, Residues, reduced

DENSE = ([1], [1, 1], [1, 1, 1])  # sizes of the steps; for a dense program in units of the batch
RAGGED = ([2], [3, 1], [3, 2, 2, 1])
F = SimpleNamespace(**FUNCTIONS)


class Unproven(Exception):
    """A program does not compute what its step means."""


def verify(source: str, step: Step, paths: Sequence[str], B: int, reverse: bool) -> None:
    """Raise Unproven unless `source` computes what `step` means.

    step: as it was traced, before any rewriting; paths: the parameters that are arguments; B: sequences of a
    dense program, 0 for a ragged one; reverse: sequences are read from their ends.
    """
    rng = np.random.Generator(np.random.PCG64(1))
    shadow = Residues(rng)
    space = functions_of(source, shadow)
    weights = {path: drawn(rng, v.shape, v.dtype) for path, v in step.params.items()}
    for path in step.params:  # one parameter under two paths is one array
        weights[path] = weights[next(p for p in step.params if step.params[p] is step.params[path])]
    brought = [(v, drawn(rng, v.shape, v.dtype)) for v in step.values if v.data is not None]
    few = min(B, 2)
    for sizes in DENSE if B else RAGGED:
        steps = [few] * len(sizes) if B else sizes
        rows = few if B else max([2, *sizes]) + 1
        by_number = space["workspace"].__code__.co_varnames[0] == "T"  # or by the sizes of the steps
        w = run(steps, space["workspace"], len(steps) if by_number else steps, rows)
        for _ in range(1 + (len(steps) > 2)):
            case = Case(step, steps, rows, reverse, weights, {id(v): a for v, a in brought}, rng)
            compare(space, w, case, paths, [a for _, a in brought])
    space.clear()  # its functions hold it


def functions_of(source: str, shadow: Residues) -> dict[str, Any]:
    """The functions of a program, run over another arithmetic: that is what its imports give it."""
    modules = {
        "numpy": shadow,
        "types": SimpleNamespace(SimpleNamespace=SimpleNamespace),
        "math": SimpleNamespace(erf=SimpleNamespace(__name__="erf")),
    }
    space: dict[str, Any] = {
        "__name__": "verified",
        "__builtins__": {**vars(builtins), "__import__": lambda name, *_: modules[name]},
    }
    exec(compile(source, "<verified>", "exec"), space)
    return space


def drawn(rng: Any, shape: Any, dtype: Any) -> Any:
    """Residues (or truth values) in an array that nobody may write to."""
    new = rng.random(shape) < 0.5 if np.dtype(dtype) == bool else rng.integers(0, P, shape).astype(np.float64)
    new = np.asarray(new)
    new.flags.writeable = False
    return new


class Case:
    """Inputs, and by the traced step what should come of them."""

    def __init__(
        self, step: Step, sizes: Any, B: int, reverse: bool, weights: Any, brought: Any, rng: Any
    ) -> None:
        N = sum(sizes)
        self.step, self.sizes, self.B, self.weights = step, sizes, B, weights
        self.x = drawn(rng, (N, *step.x.shape[1:]), step.x.dtype)
        self.noise = [drawn(rng, (N, *v.shape[1:]), v.dtype) for v in step.noise]
        self.states = [drawn(rng, (B, *s.shape[1:]), s.dtype) for s in step.states]
        self.d_ys = [drawn(rng, (N, *y.shape[1:]), y.dtype) for y in step.ys]
        self.d_last = [drawn(rng, (B, *s.shape[1:]), s.dtype) for s in step.states]
        self.known = {**brought, **{id(step.params[path]): a for path, a in weights.items()}}
        ends = np.cumsum([0, *sizes]).tolist()
        blocks = list(itertools.pairwise(ends))
        self.blocks = blocks[::-1] if reverse else blocks
        self.memory: list[Any] = [None] * len(blocks)  # of each step: its values
        self.ys = [np.empty((N, *y.shape[1:]), a.dtype) for y, a in zip(step.ys, self.d_ys)]
        self.finals = [a.copy() for a in self.states]
        self.run_forward()
        if step.backward:
            self.d_x = np.zeros(self.x.shape)
            self.d_states = [a.copy() for a in self.d_last]
            self.d_params: dict[str, Any] = dict.fromkeys(step.d_params, 0.0)
            self.run_backward()

    def run_forward(self) -> None:
        """Outputs and last states: each value of the step from its arguments, step by step."""
        step = self.step
        for t, (start, end) in enumerate(self.blocks):
            n = end - start
            rows = (a[start:end] for a in (self.x, *self.noise))
            given = zip((step.x, *step.noise, *step.states), (*rows, *(s[:n].copy() for s in self.finals)))
            self.memory[t] = found = self.known | {id(v): a for v, a in given}
            evaluate(step, step.values[: step.forward_count], found, n)
            for y, v in zip(self.ys, step.ys):
                y[start:end] = found[id(v)]
            for state, v in zip(self.finals, step.nexts):
                state[:n] = found[id(v)]

    def run_backward(self) -> None:
        """Gradients: the step's own backward, in the other order."""
        step = self.step
        for t in reversed(range(len(self.blocks))):
            start, end = self.blocks[t]
            n = end - start
            found = self.memory[t]
            seeds = zip((*step.d_ys, *step.d_nexts), (*(d[start:end] for d in self.d_ys), *self.d_states))
            found |= {id(v): a[:n].copy() for v, a in seeds if v is not None}
            evaluate(step, step.values[step.forward_count :], found, n)
            if step.d_x is not None:
                self.d_x[start:end] = found[id(step.d_x)]
            for d, v in zip(self.d_states, step.d_states):
                d[:n] = 0 if v is None else found[id(v)]
            for path, v in step.d_params.items():
                if v is not None:
                    self.d_params[path] = reduced(self.d_params[path] + reduced(found[id(v)]))


def compare(space: Any, w: Any, case: Case, paths: Any, brought: Any) -> None:
    """Run the program on a case; raise Unproven where it differs from the step."""
    step, weights = case.step, [case.weights[path] for path in paths]
    buffers = [a for a in vars(w).values() if isinstance(a, np.ndarray)]
    names = [
        *(f"output {k}" for k in range(len(step.ys))),
        *(f"last state {k}" for k in range(len(step.states))),
    ]
    found = run(case.sizes, space["forward"], w, case.x, *case.noise, *case.states, *weights, *brought)
    check(case, names, found, [*case.ys, *case.finals], buffers)
    if not step.backward:
        return
    wanted = [("the gradient of x", case.d_x)] if step.d_x is not None else []
    for k, (d, v) in enumerate(zip(case.d_states, step.d_nexts)):
        wanted += [(f"the gradient of state {k}", d)] if v is not None else []
    wanted += [
        (f"the gradient of {path}", case.d_params[path]) for path, v in step.d_params.items() if v is not None
    ]
    given = (*case.d_ys, *case.d_last, case.x, *case.noise)
    found = run(case.sizes, space["backward"], w, *given, *weights, *brought)
    check(case, [name for name, _ in wanted], found, [a for _, a in wanted], buffers)


def run(sizes: Any, function: Any, *arguments: Any) -> Any:
    """Call a function of the program; an error is a failure of the proof."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments)
    except Exception as error:
        raise Unproven(
            f"{function.__name__} fails on steps {sizes}: {type(error).__name__}: {error}"
        ) from error


def check(case: Case, names: list[str], found: Sequence[Any], wanted: list[Any], buffers: list[Any]) -> None:
    """Raise Unproven for the first result that is not what it should be, or is memory of the program."""
    if len(found) != len(names):
        raise Unproven(f"{len(found)} results for {names}")
    for name, a, b in zip(names, found, wanted):
        where = f"{name} of {case.B} sequences in steps {case.sizes}"
        b = np.broadcast_to(b, a.shape) if not case.sizes and np.ndim(b) == 0 else b
        if np.shape(a) != np.shape(b):
            raise Unproven(f"{where} has shape {np.shape(a)}, not {np.shape(b)}")
        if any(np.may_share_memory(a, buffer) for buffer in buffers):
            raise Unproven(f"{where} is memory that the program writes again")
        with np.errstate(invalid="ignore"):
            wrong = reduced(a) != reduced(b)
        if wrong.any():
            raise Unproven(f"{where} is wrong in {wrong.sum()} of {wrong.size} numbers")


# --- the meaning of a traced step


def evaluate(step: Step, values: Sequence[Value], found: dict[int, Any], n: int) -> None:
    """Compute values for n sequences, each from its arguments in `found`."""
    for v in values:
        if v.op is not None and id(v) not in found:
            args = [found[id(a)] if isinstance(a, Value) else a for a in v.args]
            if v.op not in MEANING:
                raise Unproven(f"{v.op} has no meaning to compare with")
            static = {k: of_rows(s, step.rows, n) if k == "shape" else s for k, s in v.static.items()}
            with np.errstate(all="ignore"):
                y = MEANING[v.op](*args, **static)
            found[id(v)] = np.asarray(y).astype(bool) if v.dtype == bool else y


def of_rows(shape: Sequence[int], rows: int, n: int) -> tuple[int, ...]:
    """A shape in a step on `rows` sequences, for n of them."""
    return tuple(k // rows * n if k and k % rows == 0 else k for k in shape)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)"""
    return F.divide(1, F.add(1, F.exp(F.negative(x))))


def place(*parts: Any, indices: Any, shape: Any) -> Any:
    """Zeros, with parts added at their indices."""
    new = np.zeros(shape)
    for part, index in zip(parts, indices):
        np.add.at(new, index, reduced(part))
    return reduced(new)


def scatter(g: Any, index: Any, axis: int, shape: Any) -> Any:
    """Zeros, with g[i, k] added at [i, index[i, k]]."""
    new = np.zeros(shape)
    grid = list(np.ogrid[tuple(map(slice, index.shape))])
    grid[axis] = index.astype(int)
    np.add.at(new, tuple(grid), reduced(g))
    return reduced(new)


def put(x: Any, v: Any, index: Any) -> Any:
    """x, with v at an index."""
    new = np.array(x)
    new[index] = reduced(v) if new.dtype != bool else v
    return new


def over(function: Any) -> Callable[..., Any]:
    """A reduction of the traced step."""
    return lambda x, axis, keepdims=False: function.reduce(x, axis=axis, keepdims=keepdims)


SAME = """
    add sub:subtract mul:multiply div:divide neg:negative pow:power abs:absolute round:rint
    exp expm1 log log1p log2 sqrt sin cos tanh erf sign floor ceil floor_divide remainder
    maximum minimum logaddexp matmul dot where cumsum cumprod
    equal not_equal less less_equal greater greater_equal isnan isinf isfinite
    logical_and logical_or logical_xor logical_not invert bitwise_and bitwise_or bitwise_xor
"""
MEANING: dict[str, Callable[..., Any]] = {
    **{name.split(":")[0]: FUNCTIONS[name.split(":")[-1]] for name in SAME.split()},
    "sigmoid": sigmoid,
    "relu": lambda x: F.maximum(x, 0),
    "monomial": lambda x, n: F.power(x, n),
    "sum": over(F.add),
    "prod": over(F.multiply),
    "amax": over(F.maximum),
    "cast": lambda x, dtype, was: x.astype(bool) if np.dtype(dtype) == bool else x.astype(np.float64),
    "cat": lambda *parts, axis, sizes=None: np.concatenate(parts, axis),
    "stack": lambda *parts, axis: np.stack(parts, axis),
    "expand": lambda x, shape: np.broadcast_to(x, shape),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "permute": lambda x, axes: np.transpose(x, axes),
    "getitem": lambda x, index: x[index],
    "place": place,
    "put": put,
    "argmax": F.argmax,
    "argmin": F.argmin,
    "argsort": F.argsort,
    "gather": F.take_along_axis,
    "scatter": scatter,
}
