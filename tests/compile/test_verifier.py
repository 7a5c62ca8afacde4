"""The verifier proves programs right, and notices every change of one that changes a number.

A program is changed in every place by small edits of its text, as a mistake of the planner or the printer
would: another buffer, another slice, a statement less, two statements in the other order. The verifier must
refuse what gives other numbers. What it lets pass is run: it must give the numbers of the unchanged program.
"""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from random_steps import drawn_cell, states_for

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.compile.kinds import UFUNCS
from tinygrad_rnn.compile.numpy_text import CALLS, VIEWS
from tinygrad_rnn.compile.verifier import MEANING, Unproven, verify
from tinygrad_rnn.compile.verifier_arithmetic import FUNCTIONS, P, reduced

EVERY = 1 if settings.default.max_examples >= 400 else 5  # of the changes: all of them under deep
program_module = importlib.import_module("tinygrad_rnn.compile.program")


def built(layer: Any, x: Any, state: Any = None, **more: Any) -> Any:
    """What a program was verified by: its source, step, parameters, batch and direction."""
    kept: list[Any] = []

    def spy(*args: Any) -> None:
        kept.append(args)
        verify(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program_module, "verify", spy)
        tg.compile(layer, fullgraph=True)(x, state, **more)
    return kept[-1]


def edits(source: str) -> Iterator[str]:
    """The source with one small change."""
    head, body = source.split("def workspace", 1)
    lines = ("def workspace" + body).split("\n")
    names = sorted(set(re.findall(r"w\.(\w+) = np\.", body)))
    begin = next(i for i, line in enumerate(lines) if line.startswith("def forward"))
    for i, line in enumerate(lines):
        inside = line.startswith("    ") and not line.lstrip().startswith(
            ("#", '"""', "return", "for ", "if ")
        )
        if i > begin and inside and "(" in line:
            yield head + "\n".join([*lines[:i], *lines[i + 1 :]])  # a statement less
            after = lines[i + 1]
            if after.startswith(line[: len(line) - len(line.lstrip())]) and "(" in after and "#" not in after:
                yield head + "\n".join([*lines[:i], after, line, *lines[i + 2 :]])  # in the other order
        for m in re.finditer(r"w\.(\w+)", line if i > begin or "_steps" in line else ""):
            for other in names:
                if other != m[1] and m[1] in names:
                    yield head + "\n".join(
                        [*lines[:i], line[: m.start(1)] + other + line[m.end(1) :], *lines[i + 1 :]]
                    )
        for m in re.finditer(r"\b(\d+):(\d+)\b", line):
            lo, hi = int(m[1]), int(m[2])
            for a, b in ((lo + 1, hi + 1), (max(lo - 1, 0), hi - 1), (lo, hi - 1), (lo + 1, hi)):
                if a < b and (a, b) != (lo, hi):
                    yield head + "\n".join(
                        [*lines[:i], line[: m.start()] + f"{a}:{b}" + line[m.end() :], *lines[i + 1 :]]
                    )
        if i > begin and (m := re.search(r"\b(multiply|add|subtract|tanh)\(", line)):
            swap = {"multiply": "add", "add": "subtract", "subtract": "add", "tanh": "sin"}[m[1]]
            new = line.replace(f"{m[1]}(", f"np.{swap}(", 1)
            yield head + "\n".join([*lines[:i], new, *lines[i + 1 :]])


def is_python(text: str) -> bool:
    try:
        compile(text, "changed", "exec")
    except SyntaxError:
        return False
    return True


def numbers(source: str, args: Any) -> list[Any] | None:
    """What a program computes from random numbers, twice in the same buffers; None if it fails."""
    _, step, paths, B, _ = args
    rng, space = np.random.default_rng(0), {"__name__": "changed"}
    try:
        exec(source, space)
        space["DTYPE"] = np.float64
        found = []
        steps, rows = ([2, 2, 2], 2) if B else ([3, 2, 2, 1], 4)
        by_number = space["workspace"].__code__.co_varnames[0] == "T"
        w = space["workspace"](len(steps) if by_number else steps, rows)
        for _ in range(2):
            draw = lambda n, v: rng.standard_normal((n, *v.shape[1:]))  # noqa: E731
            x, states = draw(sum(steps), step.x), [draw(rows, s) for s in step.states]
            weights = [rng.standard_normal(step.params[path].shape) for path in paths]
            brought = [v.data for v in step.values if v.data is not None]
            found += space["forward"](w, x, *states, *weights, *brought)
            seeds = [*(draw(sum(steps), y) for y in step.ys), *(draw(rows, s) for s in step.states)]
            found += space["backward"](w, *seeds, x, *weights, *brought)
        return found
    except Exception:
        return None


def alike(a: Any, b: Any) -> bool:
    return (
        a is not None
        and len(a) == len(b)
        and all(p.shape == q.shape and np.allclose(p, q, 1e-9, 1e-12, equal_nan=False) for p, q in zip(a, b))
    )


def drawn_program(seed: int, ragged: bool) -> Any:
    cell, rng = drawn_cell(Random(seed)), np.random.default_rng(seed)
    B = 3 if ragged else 2
    x = tg.tensor(rng.standard_normal((3, B, cell.D))).requires_grad_()
    more = {"lengths": [3, 2, 1]} if ragged else {}
    return built(nn.Recurrent(cell), x, states_for(cell, B, rng), **more)


PROGRAMS = {
    "LSTM": lambda: built(
        nn.LSTM(3, 4, dtype=tg.float64), tg.randn(3, 2, 3, dtype=tg.float64).requires_grad_()
    ),
    "GRU, ragged": lambda: built(
        nn.GRU(3, 4, dtype=tg.float64), tg.randn(3, 2, 3, dtype=tg.float64), lengths=[3, 1]
    ),
    **{f"drawn {k}": (lambda k=k: drawn_program(k, bool(k % 2))) for k in (3, 8, 21, 100, 155, 206, 272)},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_change_of_a_program_that_changes_a_number_is_noticed(name: str) -> None:
    args = PROGRAMS[name]()
    source = args[0]
    wanted = numbers(source, args)
    refused = passed = 0
    for changed in itertools.islice(edits(source), 0, None, EVERY):
        if not is_python(changed):
            continue
        try:
            verify(changed, *args[1:])
        except Unproven:
            refused += 1
        else:
            passed += 1
            assert alike(numbers(changed, args), wanted), changed
    assert refused > 10 * passed  # few changes change nothing


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_that_is_proved_gives_right_numbers_and_none_that_is_right_is_refused(name: str) -> None:
    args = PROGRAMS[name]()
    verify(*args)
    assert numbers(args[0], args) is not None


def test_results_must_not_be_memory_that_is_written_again() -> None:
    args = PROGRAMS["LSTM"]()
    shared = args[0].replace("return rows(w.h[1:]), w.h[-1].T.copy()", "return rows(w.h[1:]), w.h[-1].T")
    assert shared != args[0]
    with pytest.raises(Unproven, match=r"last state 0 .* is memory that the program writes again"):
        verify(shared, *args[1:])


def test_inputs_must_not_be_written() -> None:
    args = PROGRAMS["LSTM"]()
    writes = args[0].replace("    w.h[0] = h0.T\n", "    w.h[0] = h0.T\n    weight_hh[...] = 0\n")
    assert writes != args[0]
    with pytest.raises(Unproven, match=r"forward fails .*read-only"):
        verify(writes, *args[1:])


def test_every_operation_that_can_be_printed_has_a_meaning() -> None:
    assert {*CALLS, *VIEWS, "cast", "where", "place", "put", "scatter"} - {
        "copy",
        *UFUNCS.values(),
    } <= MEANING.keys()
    assert set(UFUNCS.values()) <= FUNCTIONS.keys()


def test_the_field_is_one() -> None:
    x = np.arange(1, 200, dtype=float)
    inverse = FUNCTIONS["divide"](1, x)
    assert (FUNCTIONS["multiply"](x, inverse) == 1).all()
    assert (
        reduced(0.5) * 2 % P == 1 and reduced(-1) == P - 1 and reduced(0.1) * 10 % P != 1
    )  # 0.1 is no tenth
    a, b = np.arange(12.0).reshape(3, 4) * 1e5, np.arange(20.0).reshape(4, 5) * 1e5
    whole = [[sum(int(p) * int(q) for p, q in zip(row, column)) % P for column in b.T] for row in a]
    assert (FUNCTIONS["matmul"](a, b) == whole).all()
    wide = np.full((1, 3 * 2**13 + 1), float(P - 1))
    assert FUNCTIONS["matmul"](wide, wide.T) == 3 * 2**13 + 1
