"""The strategies: what they promise holds for all they draw, and what they promise to include they draw."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.testing import RandomCell, RandomGraph
from tinygrad_rnn.testing import strategies as some
from tinygrad_rnn.testing.laws.case import draw
from tinygrad_rnn.testing.random_cell import widths
from tinygrad_rnn.testing.strategies.graphs import _of_two

PLENTY = settings(
    max_examples=5000,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def occurs(strategy, condition):
    """An example with `condition`; an error if there is none."""
    return find(strategy, condition, settings=PLENTY)


# --- arrays


@given(some.arrays(away_from=(0, 1), low=-2, high=2))
def test_arrays_are_finite_and_away_from_kinks(x):
    assert x.dtype == np.float64
    assert np.isfinite(x).all()
    assert (np.abs(x) <= 2).all()
    assert (np.abs(x) >= 0.05).all()
    assert (np.abs(x - 1) >= 0.05 - 1e-12).all()


@given(some.arrays((2, 3), unique=True))
def test_unique_arrays_hold_no_number_twice(x):
    assert len(set(x.ravel())) == 6


@given(st.data())
def test_what_arrays_promise_holds_in_every_dtype(data):
    dtype = data.draw(st.sampled_from([np.int64, np.int8, np.uint8, np.float16, np.float32, np.complex128]))
    x = data.draw(some.arrays((3,), dtype=dtype, away_from=(0, 1), low=-9, high=9, unique=True))
    assert x.dtype == dtype
    assert len(set(x)) == 3
    assert (np.abs(x.astype(complex)) >= 0.049).all() and (np.abs(x.astype(complex) - 1) >= 0.049).all()
    assert (np.abs(x.astype(complex)) <= 9).all()


def test_masks_are_arrays_too():
    occurs(some.arrays((2,), dtype=bool), lambda x: x.dtype == bool and x[0] != x[1])


@given(some.numbers(0.0001, 0.0004), some.numbers(1 / 3, 1 / 3), some.numbers(0.5, 0.6, away_from=(0.5,)))
def test_numbers_of_narrow_ranges_exist(narrow, single, near_a_kink):
    assert 0.0001 <= narrow <= 0.0004
    assert single == 1 / 3
    assert 0.55 <= near_a_kink <= 0.6


def test_narrow_ranges_have_several_numbers():
    occurs(st.tuples(*[some.numbers(0.0001, 0.0004)] * 2), lambda pair: pair[0] != pair[1])


@pytest.mark.parametrize(
    ("strategy", "options", "words"),
    [
        (some.numbers, {"low": 2, "high": 1}, "numbers: low=2 must not be greater than high=1"),
        (some.numbers, {"low": 0, "high": 0.04, "away_from": [0]}, r"nearer than margin=0.05 to .*=\(0,\)"),
        (some.arrays, {"low": 0.2, "high": 0.8, "dtype": int}, "none between low=0.2 and high=0.8; pass a"),
        (some.arrays, {"low": -0.5, "high": 0.5, "dtype": int, "away_from": [0]}, "nearer than margin=0.05"),
        (
            some.arrays,
            {"low": -1, "high": 1, "dtype": int, "shape": (4,), "unique": True},
            "4 different numbers",
        ),
    ],
)
def test_a_range_without_numbers_is_an_error(strategy, options, words):
    with pytest.raises(ValueError, match=words):
        occurs(strategy(**options), lambda x: True)


@given(st.data())
def test_a_layout_changes_no_number(data):
    x = np.arange(12.0).reshape(data.draw(st.sampled_from([(12,), (3, 4), (2, 3, 2)])))
    assert (data.draw(some.layouts(x)) == x).all()


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: x.ndim == 0,
        lambda x: x.size == 0,
        lambda x: x.ndim == 3 and x.size > 3,
        lambda x: x.size > 1 and not x.flags.c_contiguous and x.flags.f_contiguous,
        lambda x: x.size > 1 and not x.flags.c_contiguous and not x.flags.f_contiguous,
        lambda x: any(s < 0 for s in x.strides),
        lambda x: x.base is not None and x.flags.c_contiguous and x.size > 1,
    ],
)
def test_arrays_of_every_form_occur(condition):
    occurs(some.arrays(), condition)


def test_tensors_with_and_without_gradient_occur():
    assert occurs(some.tensors(), lambda t: t.requires_grad).is_leaf
    occurs(some.tensors(), lambda t: not t.requires_grad and t.numel())
    assert (
        occurs(some.tensors((2,), dtype=np.float32, requires_grad=True), lambda t: True).dtype == tg.float32
    )


# --- shapes and indices


@given(some.broadcastable_shapes(3))
def test_broadcastable_shapes_do(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


def test_broadcasting_of_every_kind_occurs():
    pair = some.broadcastable_shapes(2)
    occurs(pair, lambda s: len(s[0]) != len(s[1]) and all(s))
    occurs(pair, lambda s: any(n == 1 < m for n, m in zip(*(x[::-1] for x in s))))
    occurs(pair, lambda s: s[0] == () and s[1] != ())
    occurs(pair, lambda s: 0 in s[0])


@given(some.matmul_shapes())
def test_matmul_shapes_fit(shapes):
    np.matmul(*(np.zeros(shape) for shape in shapes))


def test_matmul_shapes_of_every_rank_occur():
    for ranks in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (2, 3), (3, 4)]:
        occurs(some.matmul_shapes(), lambda s, ranks=ranks: tuple(map(len, s)) == ranks)
    occurs(some.matmul_shapes(), lambda s: len(s[0]) > 1 and s[0][-1] == 0)


@given(st.data())
def test_indices_and_axes_are_valid(data):
    shape = data.draw(some.shapes(max_side=3))
    x = np.arange(int(np.prod(shape))).reshape(shape)
    _ = x[data.draw(some.indices(shape))]
    axes = data.draw(some.axes(len(shape)))
    x.sum(axis=axes)


def test_indices_of_every_kind_occur():
    index = some.indices((3, 2))
    parts = lambda i: i if isinstance(i, tuple) else (i,)  # noqa: E731
    occurs(index, lambda i: any(isinstance(p, slice) and (p.step or 1) < 0 for p in parts(i)))
    occurs(index, lambda i: any(p is None for p in parts(i)))
    occurs(index, lambda i: any(p is Ellipsis for p in parts(i)))
    occurs(index, lambda i: any(isinstance(p, int) and p < 0 for p in parts(i)))
    occurs(index, lambda i: any(isinstance(p, np.ndarray) and p.dtype == bool and p.any() for p in parts(i)))
    occurs(
        index,
        lambda i: any(
            isinstance(p, np.ndarray) and p.dtype != bool and len(set(p.ravel())) < p.size for p in parts(i)
        ),
    )
    occurs(index, lambda i: {type(p) for p in parts(i)} == {np.ndarray, slice})
    is_mask = lambda p: isinstance(p, np.ndarray) and p.dtype == bool  # noqa: E731
    for beside in (
        lambda p: p is None,
        lambda p: isinstance(p, slice),
        lambda p: isinstance(p, np.ndarray) and p.dtype != bool,
    ):
        occurs(index, lambda i, b=beside: any(map(is_mask, parts(i))) and any(map(b, parts(i))))


def test_axes_of_every_kind_occur():
    for condition in (
        lambda a: a is None,
        lambda a: isinstance(a, int) and a < 0,
        lambda a: isinstance(a, tuple),
    ):
        occurs(some.axes(3), condition)
    assert occurs(some.axes(0), lambda a: True) is None


# --- sequences


@given(some.ragged_batches(padding=np.nan))
def test_ragged_batches_are_padded(drawn):
    xs, lengths = drawn
    assert xs.shape[1] == len(lengths)
    for column, n in zip(xs.swapaxes(0, 1), lengths):
        assert np.isfinite(column[:n]).all()
        assert np.isnan(column[n:]).all()


def test_lengths_of_zero_and_no_steps_occur():
    occurs(some.ragged_batches(), lambda drawn: 0 in drawn[1] and max(drawn[1]) > 0)
    occurs(some.ragged_batches(), lambda drawn: len(drawn[0]) == 0)
    occurs(some.masks(3, 2), lambda m: (np.diff(m.astype(int), axis=0) > 0).any())


@given(some.packed_sequences(D=3))
def test_packed_sequences_unpack(packed):
    xs, lengths = nn.utils.rnn.pad_packed_sequence(packed)
    assert xs.shape[1:] == (len(lengths), 3)
    assert packed.data.shape == (int(lengths.array.sum()), 3)


# --- cells and graphs


@given(some.cells())
def test_a_random_cell_is_made_again_by_its_repr(cell):
    twin = eval(repr(cell), {"RandomCell": RandomCell})
    state = cell.state_dict()
    assert list(state) == list(twin.state_dict())
    for name, p in twin.named_parameters():
        assert (p.array == state[name].array).all()


def test_a_random_cell_runs_its_program():
    """Registers: 0 the input, 1 the state, 2 = W 1 + b, 3 = sin 0; 2 and 3 are the core."""
    cell = RandomCell(2, (3,), [("linear", 4, 1), ("sin", 0)], update="leaky", output=1, seed=5)
    w = {name: p.array for name, p in cell.named_parameters()}
    rng = np.random.default_rng(0)
    x, h = rng.standard_normal((5, 2)), rng.standard_normal((5, 3))
    y, new = cell.step(tg.tensor(x), tg.tensor(h))
    core = np.concatenate([h @ w["W_op0"].T + w["b_op0"], np.sin(x)], 1)
    np.testing.assert_allclose(y.detach().numpy(), core @ w["W_y"].T + w["b_y"], 1e-12)
    n = np.tanh(core @ w["W_n0"].T + w["b_n0"])
    np.testing.assert_allclose(new.detach().numpy(), (h + n) / 2, 1e-12)


def test_cells_of_every_kind_occur():
    occurs(some.cells(), lambda c: len(c.states) == 3 and c.output is not None)
    occurs(some.cells(), lambda c: len(c.projected) == 2)
    occurs(some.cells(), lambda c: c.update == "gated" and len(c.program) > 3)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ([("tanh", 9)], "no instruction on the registers 0 … 1"),
        ([("cosh", 0)], "no instruction"),
        ([("gate", 0, 1)], r"on registers of widths \[2, 3\]"),
        ([("softmax", 0), ("linear", 1, 0), ("softmax", 3)], r"on registers of widths \[1\]"),
    ],
)
def test_a_program_that_does_not_fit_is_an_error(program, words):
    with pytest.raises(ValueError, match=words):
        RandomCell(2, (3,), program)
    with pytest.raises(ValueError, match=words):
        widths([2, 3], program)


def test_an_update_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="not 'none'"):
        RandomCell(1, (1,), update="none")


@given(some.graphs())
def test_a_random_graph_is_made_again_by_its_repr(drawn):
    graph, inputs = drawn
    twin = eval(repr(graph), {"RandomGraph": RandomGraph, "np": np})
    for a, b in zip(graph(*inputs), twin(*inputs)):
        assert (a.array == b.array).all()
    assert all(t.requires_grad and t.is_leaf for t in inputs)


@given(some.cases(some.cells()))
def test_a_case_is_made_again_by_its_repr(case):
    twin = eval(repr(case), {"draw": draw, "RandomCell": RandomCell})
    assert (case.lengths == twin.lengths).all() and (case.xs == twin.xs).all()
    assert all((a == b).all() for a, b in zip(case.initial, twin.initial))
    assert all((a.array == b.array).all() for a, b in zip(case.cell.parameters(), twin.cell.parameters()))


def test_a_case_of_a_gru_says_which_biases_are_a_sum():
    case = draw(nn.GRUCell(2, 3), 2, 7, 4, [1, 0], summed_biases=slice(0, 6))
    assert repr(case) == "draw(GRUCell(2, 3), 2, 7, 4, [1, 0], summed_biases=slice(0, 6, None))"


def test_graphs_of_every_kind_occur():
    for name in ("assign", "index", "matmul", "cat", "expand", "logaddexp"):
        occurs(some.graphs(), lambda drawn, name=name: any(i[0] == name for i in drawn[0].program))
    reused = lambda g: len(used := [r for i in g.program for r in i[1:2]]) > len(set(used))  # noqa: E731
    occurs(some.graphs(), lambda drawn: reused(drawn[0]))


def test_an_instruction_that_does_not_fit_its_registers_is_another_one():
    a, b, wide = tg.zeros(2), tg.zeros(3), tg.zeros(1, 40)
    for name, x, y, instead in [
        ("add", a, b, "bell"),
        ("mul", wide, tg.zeros(40, 1), "bell"),
        ("matmul", a, b, "sin"),
        ("cat", a, wide, "tanh"),
    ]:
        assert _of_two(name, 0, 1, x, y) == (instead, 0)
    assert _of_two("add", 0, 1, a, a) == ("add", 0, 1)


def test_cases_fit_their_cells():
    case = occurs(some.cases(some.cells()), lambda c: 0 in c.lengths and len(c.xs) > 1)
    assert case.xs.shape[2] == case.cell.input_size
    gru = occurs(some.cases(nn.GRUCell(2, 3).double()), lambda c: True)
    assert gru.summed_biases == slice(0, 6)


class Minimal(nn.Cell):
    """It tells no input_size, and has weights in float32."""

    def __init__(self, D, H):
        super().__init__()
        self.hidden_size = H
        self.W, self.U = nn.Linear(D, H), nn.Linear(H, H)

    def step(self, x, h):
        return tg.tanh(self.W(x) + self.U(h))


def test_cases_prepare_cells_as_check_cell_does():
    law = testing.LAWS["backward_is_the_derivative"]
    cell = nn.RNNCell(3, 5)
    before = cell.weight_ih.array.copy()
    case = occurs(some.cases(cell), lambda c: len(c.xs))
    assert law(case) is None
    assert cell.weight_ih.dtype == tg.float32
    assert (case.cell.weight_ih.array == before).all()
    with pytest.raises(
        ValueError, match=r"strategies\.cases: Minimal does not tell its input_size; pass input_"
    ):
        occurs(some.cases(Minimal(3, 5)), lambda c: True)
    for minimal in (
        some.cases(Minimal(3, 5), input_size=3),
        some.cases(Minimal, input_size=3, hidden_size=5),
    ):
        case = occurs(minimal, lambda c: len(c.xs))
        assert case.xs.shape[2] == 3
        assert case.initial[0].shape[1] == 5
        assert law(case) is None


# --- Hypothesis is asked for only here


def test_strategies_are_found_on_the_package():
    assert testing.strategies is some
    with pytest.raises(AttributeError, match="no attribute 'strategy'"):
        _ = testing.strategy
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonInteractiveExampleWarning)
        assert isinstance(testing.strategies.shapes().example(), tuple)


def test_without_hypothesis_the_rest_works_and_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from tinygrad_rnn import nn, testing\n"
        "print(testing.check_cell(nn.RNNCell, laws=['a_step_is_pure']))\n"
        "try: testing.strategies\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "a_step_is_pure  held",
        "tinygrad_rnn.testing.strategies needs Hypothesis; install it with: pip install hypothesis",
    ]
