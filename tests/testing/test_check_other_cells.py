"""check_cell on cells without parameters, with integers in their state, or that take real numbers only."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from wrong_cells import Elman

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.testing import Checked, Entry, LawBroken, check_cell
from tinygrad_rnn.testing.laws import gradients


class Free(nn.Cell):
    """A cell without parameters."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size = self.hidden_size = input_size

    def step(self, x, h):
        return tg.tanh(x + h)


def test_without_parameters_a_detach_that_does_not_shows_in_the_inputs(monkeypatch):
    assert check_cell(Free, laws=["a_detached_state_truncates"]) == {"a_detached_state_truncates": "held"}
    monkeypatch.setattr(tg.Tensor, "detach", lambda self: self)
    with pytest.raises(LawBroken, match=r"the gradient of xs before the cut is [\d.]+, not 0"):
        check_cell(Free, laws=["a_detached_state_truncates"])


def test_an_error_that_only_directions_show_is_told(monkeypatch):
    """One number off by less than an entry may be can be too much along a direction."""
    entry = Entry("output[0]", "xs along a random direction", 1.0, 0.5, 0.5)

    def check(fn, inputs, *, limit, **_):
        return Checked(1, (), wrong=() if limit else (entry,))

    monkeypatch.setattr(gradients, "gradcheck", check)
    with pytest.raises(LawBroken, match=r"check, along random directions only: .* is 0\.5, backward gives 1"):
        check_cell(Free, laws=["backward_is_the_derivative"])


@pytest.mark.parametrize("law", ["backward_is_the_derivative", "second_derivatives"])
def test_where_nothing_can_be_compared_a_law_is_not_said_to_hold(monkeypatch, law):
    limits = []

    def check(fn, inputs, *, limit, **_):
        limits.append(limit)
        return Checked(0, (), kinks=("y by x",), hidden=("xs", "state"))

    monkeypatch.setattr(gradients, "gradcheck", check)
    monkeypatch.setattr(gradients, "gradgradcheck", check)
    assert check_cell(Free, laws=[law]) == {
        law: "nothing could be compared for xs, state: kinks are in the way"
    }
    assert limits[:2] == [0, 200]  # where all directions lead over kinks, entries are looked at one by one


class Counting(Elman):
    """Its state also counts the steps of each row: an integer, which has no gradient."""

    def step(self, x, state):
        h, n = state
        return super().step(x, h / (1 + n.unsqueeze(-1))), n + 1

    def initial_state(self, batch_size, like):
        return super().initial_state(batch_size, like), tg.zeros(batch_size, dtype=tg.int64)


class PlainTanh(Function):
    """tanh by a function that takes no complex numbers: the oracles are left with differences."""

    @staticmethod
    def forward(ctx, x):
        y = tg.Tensor(np.vectorize(math.tanh, otypes=[float])(x.array))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)


class ByParts(Elman):
    def step(self, x, h):
        return PlainTanh.apply(x @ self.W.t() + self.bias_ih + h @ self.U.t() + self.bias_hh)


class ByPartsWrong(ByParts):
    def step(self, x, h):
        return super().step(x, h * 2 - h.detach())


class ThreeStates(NamedTuple):
    h: Any
    slow: Any
    memory: Any


class Several(Elman):
    """A named tuple of states, one of them a pair, one a matrix in every row; the output is none of them."""

    def step(self, x, state):
        h = super().step(x, state.h)
        a, b = state.slow
        memory = 0.9 * state.memory + h.unsqueeze(2) * h.unsqueeze(1)
        y = (memory @ b.unsqueeze(2)).squeeze(2) + a.unsqueeze(1)
        return nn.Step(y, ThreeStates(h, (0.5 * a + h.mean(1), 0.5 * b + h), memory))

    def initial_state(self, batch_size, like):
        h = super().initial_state(batch_size, like)
        return ThreeStates(h, (h.sum(1), h), h.unsqueeze(2) * h.unsqueeze(1))


class Buffered(Elman):
    """With a buffer, a frozen parameter, dropout, two projections, and an argument of its own."""

    def __init__(self, input_size, hidden_size, rate=0.5):
        super().__init__(input_size, hidden_size)
        self.register_buffer("keep", tg.tensor(rate))
        self.W.requires_grad_(False)
        self.dropout = nn.Dropout(0.5)

    def project(self, xs):
        return xs @ self.W.t(), tg.sigmoid(xs @ self.W.t() + self.bias_ih)

    def step(self, a, h):
        share, gate = a
        new = tg.tanh(share + self.dropout(h) @ self.U.t() + self.bias_hh)
        return gate * self.keep * h + (1 - gate * self.keep) * new


@pytest.mark.parametrize("cell", [Counting, Free, Several, partial(Buffered, rate=0.3)])
def test_cells_of_other_kinds_keep_every_law(cell):
    verdict = check_cell(cell, skip=["two_biases_are_one"])
    noisy = "held; in training mode: the cell draws random numbers"
    assert set(verdict.values()) <= {"held", noisy}
    assert (noisy in verdict.values()) == isinstance(cell, partial)


def test_cells_that_take_no_complex_numbers_are_checked_by_differences():
    laws = ["real_time_recurrent_learning", "a_detached_state_truncates"]
    assert check_cell(ByParts, laws=laws) == dict.fromkeys(laws, "held")
    with pytest.raises(LawBroken) as caught:
        check_cell(ByPartsWrong, laws=laws)
    assert "real_time_recurrent_learning" in caught.value.laws


def test_a_loop_may_ask_every_cell_for_its_initial_state():
    asked = []

    class Asks(nn.Recurrent):
        def run(self, input, states, lengths=None, mask=None):
            for cell, state in zip((c for layer in self.layers() for c in layer), states):
                start = cell.initial_state(input.shape[1], input[:1].sum(0))
                asked.append(type(cell).__name__)
                assert start.shape == state.shape and not start.any()
            return super().run(input, states, lengths, mask)

    assert check_cell(Elman, over=Asks, laws=["layers_equal_loops"])["layers_equal_loops"] == "held"
    assert {"Elman", "Fitted"} <= set(asked)


class LosesDigits(nn.RNNCell):
    """Right in float64; in float32 adding a large number and taking it away again leaves little of h."""

    def step(self, a, h):
        return super().step(a, (h + 1e5) - 1e5)


def test_a_cell_that_is_inexact_in_float32_is_told_so():
    with pytest.raises(LawBroken, match=r"off by .* from float64") as caught:
        check_cell(LosesDigits, laws=["float32_stays_float32"])
    assert caught.value.laws == ["float32_stays_float32"]
