"""check_cell: it passes what is right, and names the law that each wrong cell breaks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from wrong_cells import WRONG, Elman, HandWritten

import tinygrad_rnn as tg
from tinygrad_rnn import nn, testing
from tinygrad_rnn.autograd import gradients, hooks
from tinygrad_rnn.testing import LAWS, LawBroken, check_cell

OURS = [
    nn.RNNCell,
    nn.LSTMCell,
    nn.GRUCell,
    nn.RNNCell(3, 4, nonlinearity="relu"),
    nn.GRUCell(2, 3, bias=False),
]


@pytest.mark.parametrize(
    "cell", [*OURS, Elman, HandWritten], ids=lambda cell: getattr(cell, "__name__", repr(cell))
)
def test_a_right_cell_keeps_every_law(cell):
    verdict = check_cell(cell)
    assert set(verdict) == set(LAWS)
    strays = {name: result for name, result in verdict.items() if result != "held"}
    assert set(strays) <= {"two_biases_are_one"}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_cell_breaks_its_laws(name):
    cell, laws, options = WRONG[name]
    with pytest.raises(LawBroken) as caught:
        check_cell(cell, laws=laws, **options)
    assert set(laws) == set(caught.value.laws)
    for law in laws:
        assert f"breaks the law {law}: {testing.laws.law.statement(LAWS[law])}" in str(caught.value)


class ListState(Elman):
    def initial_state(self, batch_size, like):
        return [super().initial_state(batch_size, like)] * 2


def test_every_law_is_broken_by_something():
    by_cells = {law for _, laws, _ in WRONG.values() for law in laws}
    by_engines = {"a_detached_state_truncates"}
    assert by_cells | by_engines == set(LAWS)


def test_an_engine_that_overwrites_gradients_is_noticed(monkeypatch):
    def overwrite(leaf, g):
        leaf.grad = hooks.own(g, leaf.dtype)

    monkeypatch.setattr(gradients, "accumulate_grad", overwrite)
    with pytest.raises(LawBroken, match="the gradient of xs, after two passes,") as caught:
        check_cell(nn.GRUCell, laws=["gradients_accumulate", "gradients_share_no_memory"])
    assert caught.value.laws == ["gradients_accumulate"]


def test_an_engine_that_hands_out_its_own_memory_is_noticed(monkeypatch):
    share = lambda leaf, g: setattr(leaf, "grad", tg.Tensor(leaf.array))  # noqa: E731
    monkeypatch.setattr(gradients, "accumulate_grad", share)
    with pytest.raises(LawBroken, match="the gradient of xs shares memory with xs"):
        check_cell(nn.GRUCell, laws=["gradients_share_no_memory"])


def test_a_detach_that_does_not_is_noticed(monkeypatch):
    monkeypatch.setattr(tg.Tensor, "detach", lambda self: self)
    with pytest.raises(LawBroken, match="a_detached_state_truncates") as caught:
        check_cell(nn.GRUCell, laws=["a_detached_state_truncates"])
    assert caught.value.laws == ["a_detached_state_truncates"]


def test_the_message_says_what_differs_and_how_to_see_it_again():
    with pytest.raises(LawBroken) as caught:
        check_cell(WRONG["RecurrentWeightNotTransposed"][0], laws=["backward_is_the_derivative"])
    told = str(caught.value)
    for part in (
        "d output",
        "backward",
        "complex step",
        "central differences",
        "the operation at fault is Step",
        "/ d h[",
    ):
        assert part in told
    again = told.split("to reproduce: ")[1].split("  #")[0]
    with pytest.raises(LawBroken) as second:
        eval(
            again,
            {
                "check_cell": check_cell,
                "RecurrentWeightNotTransposed": WRONG["RecurrentWeightNotTransposed"][0],
            },
        )
    assert str(second.value) == told


def test_a_class_is_made_anew_for_every_case_so_that_each_can_be_shown_alone():
    class OfThree(Elman):
        """Wrong only in batches of three rows, with numbers of its own in every case."""

        def step(self, x, h):
            return super().step(x, h.detach() if len(h) == 2 and len(self.U) == 2 else h)

    with pytest.raises(LawBroken) as caught:
        check_cell(OfThree, hidden_size=2, laws=["backward_is_the_derivative"])
    told = str(caught.value)
    again = told.split("to reproduce: ")[1]
    assert "cases=1, seed=" in again and ", hidden_size=2)" in again
    tg.manual_seed(99)
    with pytest.raises(LawBroken) as second:
        eval(again, {"check_cell": check_cell, "OfThree": OfThree})
    assert str(second.value) == told


def test_what_has_no_name_is_called_cell_or_make_and_the_call_works():
    kind, laws, options = WRONG["AtLeastOneStep"]
    given = {
        "cell": (kind(3, 3), "GRUCell"),
        "make": (lambda D, H: kind(D, H), "<lambda>"),
    }
    for name, (cell, told) in given.items():
        with pytest.raises(LawBroken) as caught:
            check_cell(cell, input_size=3, laws=laws, **options)
        again = str(caught.value).split("to reproduce: ")[1].splitlines()[0]
        assert again.startswith(f"check_cell({name}, laws=[")
        assert ", cases=1, seed=0, input_size=3, over=AtLeastOneStep)" in again
        assert again.endswith(f", {name}: the {told} that was given")
        with pytest.raises(LawBroken) as second:
            eval(again, {"check_cell": check_cell, name: cell, "AtLeastOneStep": options["over"]})
        assert str(second.value) in str(caught.value)
    with pytest.raises(LawBroken, match=r"check_cell\(make, .*, make: the partial that was given"):
        check_cell(partial(kind), laws=laws, **options)
    with pytest.raises(LawBroken, match=r", over=over\)  # .*, over: the <lambda> that was given"):
        check_cell(kind, laws=laws, over=lambda cells: options["over"](cells))


def test_what_breaks_several_laws_in_one_way_is_told_once():
    with pytest.raises(LawBroken) as caught:
        check_cell(WRONG["Crashes"][0])
    assert str(caught.value).count("RuntimeError: this cell does nothing but fail") == 1
    assert "two_biases_are_one" in caught.value.laws


def test_a_module_called_as_pytorch_cells_are_is_a_cell_too():
    class Plain(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.inner = nn.LSTMCell(input_size, hidden_size)

        def forward(self, x, state=None):
            return self.inner(x, state)

    assert check_cell(Plain, summed_biases=None)["layers_equal_loops"] == "held"

    class SkipsABias(Plain):
        def forward(self, x, state=None):
            h, c = self.inner(x, state)
            return (h, c) if state is not None else (h / 2, c)

    with pytest.raises(LawBroken) as caught:
        check_cell(SkipsABias(3, 2), input_size=3)
    assert caught.value.laws == ["a_missing_state_is_the_initial_one"]

    class HasNoUse(Plain):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.scale = nn.Parameter(tg.ones(1))

    with pytest.raises(LawBroken, match="the gradient of scale is zero everywhere"):
        check_cell(HasNoUse, laws=["every_parameter_matters"])


def test_a_module_that_cannot_start_is_told_why():
    class NeedsAState(nn.Module):
        def forward(self, x, h):
            return tg.tanh(x + h)

    class NotSquare(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.inner = nn.RNNCell(hidden_size, hidden_size)

        def forward(self, x, h=None):
            return self.inner(x, h)

    for cell, words in [
        (NeedsAState(), r"shape \(1, 3\): TypeError: .*missing 1 required positional argument: 'h'"),
        (NotSquare, r"RuntimeError: RNNCell: input \(1, 3\) must be"),
    ]:
        with pytest.raises(LawBroken, match=words) as caught:
            check_cell(cell, input_size=3)
        assert caught.value.laws == ["a_missing_state_is_the_initial_one"]


def test_a_learned_initial_state_need_not_be_zero():
    class Learned(Elman):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.start = nn.Parameter(tg.ones(1, hidden_size))

        def initial_state(self, batch_size, like):
            return self.start.expand(batch_size, self.hidden_size)

    assert check_cell(Learned)["a_missing_state_is_the_initial_one"] == "held"


def test_the_cell_and_the_world_stay_as_they_were():
    cell = nn.GRUCell(3, 4)
    before, noise = {name: p.array.copy() for name, p in cell.named_parameters()}, tg.get_rng_state()
    check_cell(cell, laws=["rows_are_independent"])
    assert all((p.array == before[name]).all() and p.grad is None for name, p in cell.named_parameters())
    assert tg.get_rng_state().tolist() == noise.tolist()


@pytest.mark.parametrize("name", ["ChangesTheDefault", "StopsRecording"])
def test_what_a_cell_changes_in_the_world_is_put_back(name):
    with pytest.raises(LawBroken):
        check_cell(WRONG[name][0], laws=WRONG[name][1], cases=1)
    assert tg.is_grad_enabled() and tg.get_default_dtype() == tg.float32


def test_parameters_can_be_kept():
    cell = nn.RNNCell(2, 2).double()
    cell.weight_ih.array[...] = 0
    seen = []

    class Spy(nn.Recurrent):
        def __init__(self, cells, **options):
            super().__init__(cells, **options)
            seen.append(self.cells[0].weight_ih.array.copy())

    check_cell(cell, over=Spy, keep_parameters=True, laws=["rows_are_independent"])
    assert not any(weight.any() for weight in seen)
    check_cell(cell, over=Spy, laws=["rows_are_independent"])
    assert seen[-1].any()


class PairOfOutputAndState(nn.Module):
    """The usual convention of a module: y, h = cell(x, h)."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.W, self.U = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.hidden_size = hidden_size

    def forward(self, x, h=None):
        h = tg.zeros(len(x), self.hidden_size, dtype=x.dtype) if h is None else h
        h = tg.tanh(self.W(x) + self.U(h))
        return 2 * h, h


class PairFromAStep(Elman):
    def step(self, x, h):
        h = super().step(x, h)
        return 2 * h, h


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (
            PairOfOutputAndState,
            r"fails on the state \(tensor, tensor\) that it returns itself \(TypeError: .*\)",
        ),
        (PairFromAStep, r"was given the state tensor and returned \(tensor, tensor\)"),
    ],
)
def test_a_pair_of_output_and_state_is_told_what_to_return(cell, words):
    with pytest.raises(
        TypeError, match=f"check_cell: {cell.__name__} {words}; a tuple is a state, as"
    ) as told:
        check_cell(cell)
    assert str(told.value).endswith("return nn.Step(y, state) if the output is not the state")


class Tau(Elman):
    """Its time constants must be positive."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.tau = nn.Parameter(tg.ones(hidden_size) * 0.05)

    def step(self, x, h):
        with np.errstate(invalid="ignore"):
            return h + tg.sqrt(self.tau) * (super().step(x, h) - h)


def test_kept_parameters_are_those_of_every_cell_in_a_layer():
    assert set(check_cell(Tau, keep_parameters=True).values()) == {"held"}


def test_noise_that_makes_results_infinite_is_told():
    advice = r"results are not finite; check_cell added noise .* pass keep_parameters=True"
    with pytest.raises(LawBroken, match=advice):
        check_cell(Tau)
    with pytest.raises(LawBroken) as caught:
        check_cell(WRONG["UnitState"][0])
    assert "keep_parameters" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ([42], {}, TypeError, "expected a cell, a module or what makes one, got int"),
        ([nn.GRU(3, 4)], {}, TypeError, "GRU is a layer and runs over time by itself; pass its cell"),
        ([ListState], {}, TypeError, r"the state of ListState holds a list; a state is a tensor or a"),
        (
            [nn.GRUCell],
            {"laws": ["no_such_law"]},
            ValueError,
            "no law 'no_such_law'; the laws are a_step_is",
        ),
        ([nn.GRUCell], {"skip": ["no_such_law"]}, ValueError, "no law 'no_such_law'"),
        ([nn.GRUCell], {"cases": 0}, ValueError, "cases must be at least 1, got 0"),
        ([nn.GRUCell], {"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ([nn.GRUCell], {"hidden_size": -1}, ValueError, "hidden_size must be at least 1, got -1"),
        (
            [nn.GRUCell],
            {"training": "no"},
            TypeError,
            "training is None .both modes., False or True, got 'no'",
        ),
        ([nn.Identity()], {}, ValueError, "does not tell its input_size; pass input_size="),
    ],
)
def test_a_wrong_argument_is_named(arguments, options, error, words):
    with pytest.raises(error, match=words):
        check_cell(*arguments, **options)


def test_training_mode_is_tried_where_it_differs_and_named():
    with pytest.raises(LawBroken) as caught:
        check_cell(WRONG["BatchStatistics"][0])
    told = str(caught.value)
    assert "BatchStatistics in training mode breaks the law ragged_rows_equal_rows_alone" in told
    assert ", training=True)  # T=" in told and "in training mode" in told.split("  # ")[1]
    with pytest.raises(LawBroken) as second:
        call = told.rpartition("to reproduce: ")[2]
        eval(call, {"check_cell": check_cell, "BatchStatistics": WRONG["BatchStatistics"][0]})
    assert set(second.value.laws) <= set(caught.value.laws)
    verdict = check_cell(WRONG["BatchStatistics"][0], training=False)
    assert verdict["ragged_rows_equal_rows_alone"] == "held"


def test_the_number_of_steps_is_the_callers():
    kind, laws, options = WRONG["EightSteps"]
    assert check_cell(kind, laws=laws, steps=8, **options) == dict.fromkeys(laws, "held")
    with pytest.raises(LawBroken, match=r", steps=9, over=EightSteps\)  # T=9, B=2,"):
        check_cell(kind, laws=laws, steps=9, **options)
    seen = []

    class Spy(nn.Recurrent):
        def run(self, input, *args):
            seen.append(len(input))
            return super().run(input, *args)

    for steps in (1, 4, 30):
        seen.clear()
        check_cell(nn.RNNCell, over=Spy, steps=steps, skip=["every_parameter_matters"])
        assert max(seen) == steps


def test_steps_that_multiply_rounding_errors_are_not_compared_when_they_are_many():
    class Chaotic(Elman):
        def step(self, x, h):
            return tg.sin(x @ self.W.t() + self.bias_ih + 20 * h @ self.U.t() + self.bias_hh)

    law = "backward_is_the_derivative"
    grown = "held; over 40 steps: numbers or gradients grow too large to be compared"
    assert check_cell(Chaotic, laws=[law]) == {law: grown}


class Dropping(Elman):
    """Right, with dropout on its state."""

    def step(self, x, h):
        return super().step(x, nn.functional.dropout(h, 0.5, self.training))


def test_dropout_is_no_reason_to_complain():
    verdict = check_cell(Dropping)
    assert verdict["backward_is_the_derivative"] == "held"
    assert verdict["rows_are_independent"] == "held"
    noise = "the cell draws random numbers"
    assert verdict["a_run_can_be_split"] == f"held; in training mode: {noise}"
    alone = check_cell(Dropping, training=True)
    assert alone["a_run_can_be_split"] == noise
    assert alone["second_derivatives"] == "held"


class Monitored(Elman):
    """Keeps a running mean of what it sees in training, and uses it in evaluation alone."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("mean", tg.zeros(hidden_size))

    def step(self, x, h):
        h = super().step(x, h)
        if self.training and len(h):
            self.mean.array = 0.9 * self.mean.array + 0.1 * h.array.real.mean(0)
        return h if self.training else h - self.mean


class Refuses(Elman):
    """Steps in evaluation mode, or not at all."""

    never = False

    def step(self, x, h):
        if self.training or self.never:
            raise RuntimeError("there is no step here")
        return super().step(x, h)


def test_a_cell_that_only_fails_in_training_mode_is_told_of():
    assert set(check_cell(Refuses, training=False).values()) == {"held"}
    with pytest.raises(LawBroken, match="Refuses in training mode breaks") as caught:
        check_cell(Refuses)
    assert "RuntimeError: there is no step here" in str(caught.value)


@pytest.mark.parametrize("keep", [False, True])
def test_a_cell_that_never_steps_breaks_laws(keep, monkeypatch):
    monkeypatch.setattr(Refuses, "never", True)
    with pytest.raises(LawBroken, match="RuntimeError: there is no step here") as caught:
        check_cell(Refuses, keep_parameters=keep)
    assert "not finite" not in str(caught.value)


def test_a_loop_may_be_a_function():
    def over(cells):
        layer = nn.Recurrent(cells)
        return lambda xs, state=None, **marks: layer(xs, state, **marks)

    assert set(check_cell(Elman, over=over).values()) == {"held"}


def test_running_statistics_may_be_kept_in_training():
    assert set(check_cell(Monitored, skip=["every_parameter_matters"]).values()) == {"held"}


def test_the_verdict_prints_as_a_table():
    assert str(check_cell(Elman, laws=["a_step_is_pure", "rows_are_independent"])) == (
        "a_step_is_pure        held\nrows_are_independent  held"
    )
