"""Comparisons, logic and questions about numbers: every pair of a table, as Python answers it."""

from __future__ import annotations

import itertools
import math
import operator

import numpy as np
import pytest

import tinygrad_rnn as tg

NUMBERS = [-math.inf, -2.5, -1.0, -0.0, 0.0, 0.5, 1.0, math.inf, math.nan]
INTEGERS = [-4, -1, 0, 1, 2, 3, 7]
TRUTHS = [False, True]

COMPARISONS = {name: getattr(operator, name) for name in "eq ne lt le gt ge".split()}
LOGIC = {
    "logical_and": lambda a, b: bool(a) and bool(b),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_xor": lambda a, b: bool(a) != bool(b),
}
BITS = {"bitwise_and": operator.and_, "bitwise_or": operator.or_, "bitwise_xor": operator.xor}
QUESTIONS = {
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
    "logical_not": operator.not_,
}


def columns(values):
    """Two tensors in which every pair of values stands."""
    return [tg.tensor(list(side)) for side in zip(*itertools.product(values, repeat=2))]


@pytest.mark.parametrize("values", [NUMBERS, INTEGERS, TRUTHS], ids=["numbers", "integers", "truths"])
@pytest.mark.parametrize("name", COMPARISONS | LOGIC)
def test_of_two(name, values):
    expected = [(COMPARISONS | LOGIC)[name](a, b) for a, b in itertools.product(values, repeat=2)]
    found = getattr(tg, name)(*columns(values))
    assert found.dtype == tg.bool and found.tolist() == expected


@pytest.mark.parametrize("values", [INTEGERS, TRUTHS], ids=["integers", "truths"])
@pytest.mark.parametrize("name", BITS)
def test_bits(name, values):
    expected = [BITS[name](a, b) for a, b in itertools.product(values, repeat=2)]
    a, b = columns(values)
    assert getattr(tg, name)(a, b).tolist() == expected
    assert BITS[name](a, b).tolist() == expected and BITS[name](values[1], b).tolist() == [
        BITS[name](values[1], y) for y in b.tolist()
    ]


def test_the_other_bits():
    assert (~tg.tensor(INTEGERS)).tolist() == [~n for n in INTEGERS]
    assert (~tg.tensor(TRUTHS)).tolist() == [True, False]


@pytest.mark.parametrize("name", QUESTIONS)
def test_of_one(name):
    assert getattr(tg, name)(tg.tensor(NUMBERS)).tolist() == [QUESTIONS[name](x) for x in NUMBERS]


@pytest.mark.parametrize("name", COMPARISONS)
def test_operators_and_numbers_on_either_side(name):
    compare = COMPARISONS[name]
    x = tg.tensor(NUMBERS)
    assert compare(x, 0.5).tolist() == [compare(a, 0.5) for a in NUMBERS]
    assert compare(0.5, x).tolist() == [compare(0.5, a) for a in NUMBERS]
    row = np.array(NUMBERS, np.float32)
    np.testing.assert_array_equal(compare(x, tg.tensor(row)[:, None]).numpy(), compare(row, row[:, None]))
