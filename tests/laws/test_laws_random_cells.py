"""Every law, for cells composed of random operations and for ours at random sizes: they keep them all."""

from __future__ import annotations

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tinygrad_rnn import nn
from tinygrad_rnn.testing import LAWS, check_cell
from tinygrad_rnn.testing import strategies as some
from tinygrad_rnn.testing.laws.law import tried

EXAMPLES = settings.default.max_examples
COSTLY = {"second_derivatives": 4, "a_detached_state_truncates": 2, "real_time_recurrent_learning": 2}


@st.composite
def our_cells(draw, relu=True):
    """RNNCell (tanh, relu), LSTMCell and GRUCell of any size, with and without biases, with large weights."""
    kind = draw(st.sampled_from([nn.RNNCell, nn.RNNCell, nn.LSTMCell, nn.GRUCell]))
    options = {"nonlinearity": draw(st.sampled_from(["tanh", "relu"]))} if kind is nn.RNNCell and relu else {}
    D, H = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    cell = kind(D, H, bias=draw(st.booleans()), **options).double()
    for p in cell.parameters():
        p.array *= 1.5
    return cell


def keeps(law, case):
    note(case.sizes)
    found, told = tried(law, case)
    assert found != "broken", told


@pytest.mark.parametrize("name", LAWS)
def test_random_cells_keep_the_law(name):
    @settings(max_examples=max(EXAMPLES // COSTLY.get(name, 1), 1))
    @given(some.cases(some.cells()))
    def kept(case):
        keeps(LAWS[name], case)

    kept()


@settings(max_examples=max(EXAMPLES // 8, 1))
@given(some.cells())
def test_random_cells_pass_check_cell(cell):
    """Noise on parameters and many steps included."""
    check_cell(cell, cases=1)


@pytest.mark.parametrize("name", LAWS)
def test_our_cells_keep_the_law(name):
    @settings(max_examples=max(EXAMPLES // COSTLY.get(name, 1), 1))
    @given(some.cases(our_cells(relu=name != "every_parameter_matters")))  # what is always 0 has no gradient
    def kept(case):
        keeps(LAWS[name], case)

    kept()
