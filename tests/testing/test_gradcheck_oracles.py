"""What gradcheck sees, says and leaves behind."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pytest
from hypothesis import given

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function, GradcheckError
from tinygrad_rnn.testing import RandomGraph, WrongGradient, gradcheck, gradgradcheck
from tinygrad_rnn.testing import strategies as some

BOTH = ("complex step", "central differences")


def leaf(*values):
    return tg.tensor(np.array(values, float), requires_grad=True)


class Real(Function):
    """|x| by a NumPy function that is not analytic: on complex numbers it gives the modulus."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return tg.Tensor(np.abs(x.array))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * tg.sign(x)


class Refusing(Function):
    """erf by a function that takes no complex number."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return tg.Tensor(np.vectorize(math.erf, otypes=[float])(x.array))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (2 / math.sqrt(math.pi)) * tg.exp(-x * x)


def reproduction(error):
    """The code that an error ends with."""
    return textwrap.dedent(str(error).split("to reproduce:\n")[1])


# --- the oracles


@given(some.graphs())
def test_random_functions_pass_to_twelve_digits(drawn):
    graph, inputs = drawn
    result = gradcheck(graph, inputs)
    assert result.oracles == BOTH
    assert result.largest_error < 1e-12
    assert not result.wrong


@given(some.graphs(max_size=4))
def test_their_second_derivatives_too(drawn):
    graph, inputs = drawn
    if any(y.requires_grad for y in graph(*inputs)):
        result = gradgradcheck(graph, inputs)
        assert result.oracles == BOTH
        assert result.largest_error < 1e-11


def test_derivatives_that_are_all_next_to_zero_are_not_measured_by_themselves():
    """Both are of the size of the complex step itself, 10⁻²⁰: their quotient says nothing."""
    graph = RandomGraph(1, [("square", 0), ("bell", 1)])
    assert gradgradcheck(graph, [leaf(0.0)]).largest_error < 1e-12


def test_an_operation_that_refuses_complex_numbers_is_checked_by_differences_alone():
    result = gradcheck(Refusing.apply, [leaf(0.3, -1.0)])
    assert result.oracles == ("central differences",)
    assert result.why_not_complex.startswith("TypeError")
    assert result.entries == 4


def test_an_operation_that_is_not_analytic_is_noticed_because_it_contradicts_the_differences():
    result = gradcheck(Real.apply, [leaf(0.3, -1.0)])
    assert result.oracles == ("central differences",)
    assert "not analytic" in result.why_not_complex


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_step_is_scaled_to_the_value(scale):
    assert gradcheck(lambda x: x * x * x, [leaf(0.7 * scale, -1.3 * scale)]).oracles == BOTH
    with pytest.raises(WrongGradient):
        gradcheck(wrong_by(1.0001), [leaf(0.7 * scale)])


def wrong_by(factor):
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 3

        @staticmethod
        def backward(ctx, g):
            return g * (3 * factor)

    return Scaled.apply


def test_an_error_too_small_for_differences_is_seen_by_the_complex_step():
    for error in (1e-5, -1e-11):
        with pytest.raises(WrongGradient, match=rf"by the factor 1 [+-] {abs(error):.2g}\)"):
            gradcheck(wrong_by(1 + error), [leaf(0.7)])
    assert gradcheck(wrong_by(1 + 1e-14), [leaf(0.7)])


# --- kinks


@pytest.mark.parametrize(
    ("fn", "at", "said"),
    [
        (abs, 0.0, "the slope is -1 on the left and 1 on the right"),
        (tg.relu, 0.0, "the slope is 0 on the left and 1 on the right"),
        (lambda x: tg.maximum(x, 2 * x - 1), 1 + 1e-11, "the slope is 1."),  # inside the smallest step
        (lambda x: tg.maximum(x, 2 * x - 1), 1.0, "the slope is 1 on the left and 2 on the right"),
        (tg.floor, 2.0, "the slope is"),
        (tg.sqrt, 0.0, "not finite on both sides"),
    ],
)
def test_a_kink_is_reported_and_is_no_failure(fn, at, said):
    result = gradcheck(fn, [leaf(at)])
    assert not result  # nothing else was there to be compared
    assert len(result.kinks) == 1
    assert result.kinks[0].startswith("output[0] by ")
    assert said in result.kinks[0]
    assert not result.wrong


def test_what_stands_beside_a_kink_is_still_checked():
    assert gradcheck(abs, [leaf(0.0, 1.0)]).entries == 3  # of 4
    with pytest.raises(WrongGradient) as caught:
        gradcheck(lambda x: abs(x) + wrong_by(2)(x), [leaf(0.0, 1.0)])
    assert [entry.argument for entry in caught.value.wrong] == ["x[1]"]


@pytest.mark.parametrize("x", [[0.0], [0.0, 0.0, 0.0]])
def test_a_gradient_that_kinks_hide_is_not_called_right(x):
    """That output 0 does not depend on x[1] says nothing of the derivatives that were to be checked."""
    result = gradcheck(lambda x: abs(x) + wrong_by(7)(x) - 3 * x, [leaf(*x)])
    assert not result and result.hidden == ("x",) and not result.wrong
    w = leaf(*(1.0 for _ in x))
    result = gradcheck(lambda x, w: abs(x) + w, [leaf(*x), w])
    assert not result and result.hidden == ("x",)


@pytest.mark.parametrize("scale", [1e4, 1e5])
def test_what_turns_within_a_small_part_of_a_value_is_resolved(scale):
    """Means are taken from large numbers; the derivatives change over a distance of 1."""
    x = leaf(*(scale + np.array([0.1, -1.2, 0.7, 2.1])))
    result = gradcheck(lambda x: nn.functional.layer_norm(x, (4,)), [x])
    assert result and result.entries == 16 and not result.kinks
    with pytest.raises(WrongGradient):
        gradcheck(lambda x: wrong_by(1.001)(nn.functional.layer_norm(x, (4,))), [x])
    with pytest.raises(WrongGradient):
        gradcheck(lambda x: wrong_by(1.001)(tg.sin(1e6 * x)), [leaf(0.3)])


def test_what_rounding_does_to_a_function_that_cancels_is_told_apart():
    """log(1 - tanh² x) loses five digits at 6, (1 - cos x) / x² four at 0.01, whatever their rules are."""
    for fn, at in ((lambda x: tg.log(1 - tg.tanh(x) ** 2), 6.0), (lambda x: (1 - tg.cos(x)) / (x * x), 1e-2)):
        result = gradcheck(fn, [leaf(at)], raise_exception=False)
        if result.wrong:
            with pytest.raises(WrongGradient, match=r"it may be rounding.*then pass a larger exact"):
                gradcheck(fn, [leaf(at)])
        assert gradcheck(fn, [leaf(at)], exact=1e-8).oracles == BOTH


@pytest.mark.parametrize("fn", [wrong_by(1.25), lambda x: Refusing.apply(wrong_by(1.25)(x))])
def test_a_large_output_hides_no_error_in_another(fn):
    for large in (1e9, 1e12):
        with pytest.raises(WrongGradient):
            gradcheck(lambda x, large=large: (x.detach() * 0 + large, fn(x)), [leaf(0.3, 0.4)])


def test_a_small_output_hides_no_error():
    with pytest.raises(WrongGradient, match="backward gives zero"):
        gradcheck(lambda x: Refusing.apply(wrong_by(0)(x) * 1e-9), [leaf(0.3, 0.4)])


@pytest.mark.parametrize("at", [1e-5, -1e-7, 1e-12])
def test_a_kink_near_by_is_stepped_around(at):
    result = gradcheck(abs, [leaf(at)])
    assert result.entries == 1
    assert not result.kinks


@pytest.mark.parametrize("size", [1, 100])  # entry by entry, and along directions
@pytest.mark.parametrize("fn", [tg.log, lambda x: 1 / x, tg.sqrt])
def test_small_values_beside_the_edge_of_the_domain_are_displaced_less(fn, size):
    result = gradcheck(fn, [leaf(*np.linspace(1e-9, 2e-9, size))])
    assert result and not result.kinks and result.oracles == BOTH
    with pytest.raises(WrongGradient):
        gradcheck(lambda x: wrong_by(1.001)(fn(x)), [leaf(*np.linspace(1e-9, 2e-9, size))])


def test_a_large_output_does_not_drown_what_it_does_not_depend_on():
    """Rounding of 10²⁴ over a step for 10⁻⁸ would be a slope of 10¹³."""
    assert gradcheck(lambda x: x * x * x, [leaf(1e8, 1e-8, 1.0)]).oracles == BOTH


# --- how much is looked at


def test_small_jacobians_are_compared_entry_by_entry_and_large_ones_along_directions():
    assert gradcheck(tg.tanh, [leaf(*np.linspace(-1, 1, 10))]).entries == 100
    large = tg.tensor(np.linspace(-2, 2, 5000), requires_grad=True)
    assert gradcheck(tg.tanh, [large]).entries == 9  # three combinations of outputs, three directions
    assert gradcheck(tg.tanh, [large], directions=2).entries == 4

    def one_wrong(x):
        mask = np.zeros(5000)
        mask[1234] = 1e-6
        return tg.tanh(x) + wrong_by(2)(x) * tg.Tensor(mask)

    with pytest.raises(WrongGradient, match="random direction"):
        gradcheck(one_wrong, [large])


def test_nested_arguments_and_parameters_have_names():
    cell = nn.LSTMCell(2, 3).double()
    state = (leaf([0.1, 0.2, 0.3]), leaf([0.4, 0.5, 0.6]))

    def step(x, state):
        h, c = cell(x, state)
        return h, wrong_by(2)(c)

    with pytest.raises(WrongGradient) as caught:
        gradcheck(step, [leaf([0.3, -0.2]), state], parameters=cell)
    named = {entry.argument.split("[")[0] for entry in caught.value.wrong}
    assert named == {"x", "state", "weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    assert any(entry.argument.startswith("state[1][0, ") for entry in caught.value.wrong)
    assert all(entry.output.startswith("output 1[0, ") for entry in caught.value.wrong)


def test_tensors_in_dictionaries_are_arguments_and_results():
    state = {"h": leaf([0.1, 0.2]), 2: [leaf(0.3)]}

    def step(state, factor):
        return {"h": tg.tanh(state["h"]) * factor, "sum": state["h"].sum() * wrong_by(factor)(state[2][0])}

    assert gradcheck(step, [state, 1]).entries == (2 + 1) * (2 + 1)
    with pytest.raises(WrongGradient) as caught:
        gradcheck(step, [state, 2])
    assert {(e.output, e.argument) for e in caught.value.wrong} == {("output 1[0]", "state[2][0][0]")}
    with pytest.raises(WrongGradient) as again:
        exec(reproduction(caught.value), {"step": step})
    assert again.value.wrong == caught.value.wrong


def test_arguments_of_what_has_no_signature_are_numbered():
    class Opaque:
        __signature__ = "not to be read"

        def __call__(self, x, y):
            return x * wrong_by(2)(y)

    with pytest.raises(WrongGradient) as caught:
        gradcheck(Opaque(), [leaf(2.0), leaf(3.0)])
    assert {e.argument for e in caught.value.wrong} == {"inputs[1][0]"}
    assert str(caught.value).startswith("gradcheck: the gradient of Opaque is wrong")


def test_a_module_brings_its_parameters():
    linear = nn.Linear(3, 2).double()
    x = leaf([1.0, 2.0, 3.0])
    assert gradcheck(linear, [x]).entries == 2 * (3 + 6 + 2)
    assert gradcheck(lambda x: linear(x), [x], parameters=list(linear.parameters())).entries == 22
    assert gradcheck(lambda x: linear(x), [x]).entries == 6


def test_a_tensor_given_twice_is_checked_once():
    x = leaf(0.5, 0.7)
    assert gradcheck(lambda a, b: a * b, [x, x]).entries == 4


def test_arguments_of_size_zero():
    assert gradcheck(tg.tanh, [tg.zeros(0, 3, dtype=tg.float64, requires_grad=True)]).entries == 0
    assert gradcheck(tg.mul, [tg.zeros(0, 3, dtype=tg.float64, requires_grad=True), leaf(2.0)], limit=-1)


# --- the world


def test_noise_is_frozen_and_put_back():
    tg.manual_seed(3)
    before = tg.get_rng_state().tolist()
    dropout = nn.Dropout(0.5)
    result = gradcheck(dropout, [leaf(*np.linspace(1, 2, 8))])
    assert result.entries == 64
    assert result.oracles == BOTH
    assert tg.get_rng_state().tolist() == before


def test_noise_from_elsewhere_is_an_error():
    rng = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="two evaluations at the same inputs differ; noise must come"):
        gradcheck(lambda x: x * float(rng.random()), [leaf(1.0)])


def test_buffers_are_put_back():
    norm = nn.BatchNorm1d(2).double()
    before = {name: b.array.copy() for name, b in norm.named_buffers()}
    result = gradcheck(
        norm, [tg.tensor(np.random.default_rng(0).standard_normal((4, 2)), requires_grad=True)]
    )
    assert result.oracles == BOTH
    for name, b in norm.named_buffers():
        assert b.dtype == before[name].dtype
        assert (b.array == before[name]).all()


def test_values_and_gradients_of_the_inputs_stay():
    x = leaf(1.0, 2.0)
    array = x.array
    gradgradcheck(lambda x: x**3, [x])
    assert x.array is array
    assert x.tolist() == [1.0, 2.0]
    assert x.grad is None
    assert x.dtype == tg.float64


def test_everything_is_put_back_when_the_function_fails():
    x, state = leaf(1.0), tg.get_rng_state().tolist()

    def fails(x):
        tg.rand(1)
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        gradcheck(fails, [x])
    assert tg.get_rng_state().tolist() == state
    assert x.array.dtype == np.float64
    with pytest.raises(NotImplementedError):
        tg.zeros(1, dtype=np.complex128)


# --- arguments


def test_float32_is_an_error():
    with pytest.raises(TypeError, match=r"x is float32, differences need float64"):
        gradcheck(lambda x: x * 2, [tg.tensor([1.0], requires_grad=True)])
    with pytest.raises(TypeError, match="output 0 is float32"):
        gradcheck(lambda x: x.float(), [leaf(1.0)])
    with pytest.raises(TypeError, match="weight is float32"):
        gradcheck(nn.Linear(1, 1), [leaf(1.0)])


@pytest.mark.parametrize(
    ("fn", "inputs", "error", "words"),
    [
        (tg.tanh, [tg.ones(2, dtype=tg.float64)], ValueError, "no input requires a gradient"),
        (tg.tanh, [leaf(1.0) * 2], ValueError, "has a history"),
        (lambda x: 3.0, [leaf(1.0)], TypeError, "returned no float tensor"),
        (lambda x: x / 0, [leaf(1.0)], GradcheckError, r"output\[0\] is not finite at these inputs"),
    ],
)
def test_what_cannot_be_checked_is_said(fn, inputs, error, words):
    with pytest.raises(error, match=words):
        gradcheck(fn, inputs)


def test_an_unknown_option_is_an_error():
    told = r"check: there is no option epsilon; the options are rtol, atol, .* \(steps follow from the values"
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(TypeError, match=told):
            check(tg.tanh, [leaf(1.0)], epsilon=1e-3)


def test_a_function_that_writes_into_its_argument_is_an_error():
    def writes(x):
        y = x * 2
        x.array[...] = 5
        return y

    with pytest.raises(GradcheckError, match="writes into x"):
        gradcheck(writes, [leaf(1.0)])


def test_second_derivatives_of_a_function_without_first_ones():
    with pytest.raises(GradcheckError, match="no output requires a gradient"):
        gradgradcheck(lambda x: x.detach() * 2, [leaf(1.0)])
    assert (
        gradgradcheck(lambda x: x * 2, [leaf(1.0)]).entries > 0
    )  # zeros, and that they are zeros is checked
