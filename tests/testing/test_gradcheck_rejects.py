"""The checker, checked: every kind of wrong gradient is rejected, and the message says where it is."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.engine.primitive import Primitive, apply
from tinygrad_rnn.nn.cells import LSTMState
from tinygrad_rnn.testing import WrongGradient, gradcheck, gradgradcheck
from tinygrad_rnn.testing.probe import Probe
from tinygrad_rnn.testing.report import reproduction


def operation(name, forward, *rules):
    """A primitive that is in no registry."""
    own = Primitive(name, forward, rules)
    return lambda *inputs: apply(own, inputs, {})


def leaves(*shapes):
    rng = np.random.default_rng(0)
    return [tg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]


def product(rule_a, rule_b):
    return operation("product", np.multiply, rule_a, rule_b)


def right_a(g, _y, _a, b):
    return g * b


WRONG = {
    "the sign": (operation("tanh", np.tanh, lambda g, y, _x: -g * (1 - y * y)), [(2, 3)], "the sign"),
    "a factor": (
        operation("tanh", np.tanh, lambda g, y, _x: 2 * g * (1 - y * y)),
        [(2, 3)],
        "by the factor 2",
    ),
    "a dropped term": (operation("tanh", np.tanh, lambda g, y, _x: g * (-y * y)), [(2, 3)], "differ)"),
    "zero": (operation("tanh", np.tanh, lambda g, y, _x: g * 0), [(2, 3)], "backward gives zero"),
    "NaN": (operation("tanh", np.tanh, lambda g, y, _x: g * np.nan), [(2, 3)], "NaN"),
    "infinity": (operation("tanh", np.tanh, lambda g, y, _x: g + np.inf), [(2, 3)], "differ"),
    "the output for the input": (
        operation("sin", np.sin, lambda g, y, _x: g * np.cos(y)),
        [(2, 3)],
        "differ",
    ),
    "the other argument": (
        product(lambda g, _y, a, _b: g * a, lambda g, _y, a, _b: g * a),
        [(3,), (3,)],
        "differ",
    ),
    "one argument forgotten": (
        product(right_a, lambda g, _y, a, _b: 0 * g),
        [(3,), (3,)],
        "backward gives zero",
    ),
    "a missing broadcast sum": (
        product(right_a, lambda g, _y, a, _b: (g * a)[:1]),
        [(4, 3), (3,)],
        "differ",
    ),
    "a mean for a broadcast sum": (
        product(right_a, lambda g, _y, a, _b: np.mean(g * a, axis=0)),
        [(4, 3), (3,)],
        "by the factor 0.25",
    ),
    "not transposed": (
        operation(
            "matmul", np.matmul, lambda g, _y, _a, b: np.matmul(g, b), lambda g, _y, a, _b: np.matmul(a.T, g)
        ),
        [(3, 3), (3, 3)],
        "differ",
    ),
    "the gradient of the output not passed on": (
        operation("exp", np.exp, lambda g, y, _x: y),
        [(2,)],
        "differ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_first_derivative_is_rejected(name):
    fn, shapes, told = WRONG[name]
    with pytest.raises(WrongGradient) as caught:
        gradcheck(fn, leaves(*shapes))
    assert told in str(caught.value)
    assert not gradcheck(fn, leaves(*shapes), raise_exception=False)


@pytest.mark.parametrize("name", WRONG)
def test_it_is_rejected_along_random_directions_too(name):
    fn, shapes, _ = WRONG[name]
    with pytest.raises(WrongGradient):
        gradcheck(fn, leaves(*shapes), limit=-1)


@pytest.mark.parametrize("name", WRONG)
def test_it_is_rejected_where_the_complex_step_is_of_no_use(name):
    fn, shapes, _ = WRONG[name]

    def refusing(*inputs):
        if any(x.dtype.kind == "c" for x in inputs):
            raise TypeError("no complex numbers")
        return fn(*inputs)

    with pytest.raises(WrongGradient):
        gradcheck(refusing, leaves(*shapes))


class SecondWrong(Function):
    """x³, whose gradient 3x² has for its own derivative whatever `backward` makes of it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @classmethod
    def backward(cls, ctx, g):
        (x,) = ctx.saved_tensors
        return cls.share(g, x)


SECOND = {
    "constant": lambda g, x: g * 3 * (x * x).detach(),
    "half of it": lambda g, x: g * 3 * x * x.detach(),
    "not by g": lambda g, x: g.detach() * 3 * x * x,
    "outside of the graph": lambda g, x: tg.Tensor(3 * g.array * x.array**2),
}


@pytest.mark.parametrize("name", SECOND)
def test_right_once_and_wrong_twice_is_rejected(name):
    own = type("Cubed", (SecondWrong,), {"share": staticmethod(SECOND[name])})
    (x,) = leaves((3,))
    assert gradcheck(own.apply, [x])
    with pytest.raises(WrongGradient, match="gradgradcheck: the gradient of"):
        gradgradcheck(own.apply, [x])


def test_right_twice_is_accepted():
    own = type("Cubed", (SecondWrong,), {"share": staticmethod(lambda g, x: g * 3 * x * x)})
    assert gradcheck(own.apply, leaves((3,)))
    assert gradgradcheck(own.apply, leaves((3,)))


def test_the_operation_at_fault_is_named_within_a_composition():
    bad_tanh, _, _ = WRONG["a factor"]

    def network(x, w):
        return tg.sigmoid(bad_tanh(x @ w)).sum()

    with pytest.raises(
        WrongGradient, match=r"the operation at fault is tanh of \(2, 4\): d output.* / d x\["
    ):
        gradcheck(network, leaves((2, 3), (3, 4)))


def test_of_two_operations_at_fault_the_first_is_named():
    bad_tanh, bad_sin = WRONG["a factor"][0], WRONG["the output for the input"][0]
    for fn, name in [(lambda x: bad_sin(bad_tanh(x)), "tanh"), (lambda x: bad_tanh(bad_sin(x)), "sin")]:
        with pytest.raises(WrongGradient, match=f"the operation at fault is {name} of"):
            gradcheck(fn, leaves((3,)))


def test_an_operation_that_gives_no_finite_number_is_not_blamed():
    bad_tanh, _, _ = WRONG["a factor"]

    def guarded(x):
        return bad_tanh(tg.where(x > 0, tg.log(x), 0.0))

    x = tg.tensor([-1.0, 0.5], dtype=tg.float64, requires_grad=True)
    with pytest.raises(WrongGradient, match=r"the operation at fault is tanh of \(2,\)"):
        gradcheck(guarded, [x])


def test_the_function_at_fault_is_named_and_its_argument():
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.save_for_backward(x, factor)
            return x * factor

        @staticmethod
        def backward(ctx, g):
            x, factor = ctx.saved_tensors
            return g * factor, (g * x).sum() * 2

    with pytest.raises(WrongGradient, match=r"at fault is Scaled of \(2,\), \(\): .* / d factor"):
        gradcheck(lambda x, k: Scaled.apply(tg.tanh(x), k), leaves((2,), ()))


def test_a_rule_that_is_wrong_at_second_order_is_named():
    half = operation("cube", lambda x: x**3, lambda g, _y, x: g * (3 * x * getattr(x, "detach", lambda: x)()))
    with pytest.raises(WrongGradient, match="the operation at fault is cube"):
        gradgradcheck(lambda x: tg.sin(half(x)), leaves((2,)))


# --- a failure can be pasted


def pasted(error, **names):
    """The code that an error ends with, run with nothing but these names."""
    code = textwrap.dedent(str(error).split("to reproduce:\n")[1])
    with pytest.raises(WrongGradient) as again:
        exec(code, names)
    return str(again.value)


def test_the_failure_can_be_pasted():
    wrong, shapes, _ = WRONG["a dropped term"]

    def joined(x, nothing):
        return tg.cat([wrong(x), nothing])

    with pytest.raises(WrongGradient) as caught:
        gradcheck(joined, leaves(*shapes, (0, 3)))
    assert pasted(caught.value, joined=joined) == str(caught.value)


def twice(x):
    """x² with a gradient that is off by the factor 2."""
    return WRONG["a factor"][0](x) ** 2


class Squared(nn.Module):
    """(mask ∘ w x + offset)² with a gradient that is wrong; the mask is noise."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(tg.tensor([0.3, -0.7], dtype=tg.float64))
        self.register_buffer("offset", tg.tensor([0.25, 0.5], dtype=tg.float64))

    def forward(self, x):
        return twice(nn.functional.dropout(self.w * x, 0.5) + self.offset)


def test_the_values_of_parameters_and_buffers_and_the_noise_are_pasted_too():
    module, other, x = Squared(), Squared(), leaves((2,))

    def calls(m):
        return lambda x: m(x)

    for fn, given, names in [
        (module, None, {"fn": other}),
        (calls(module), module, {"fn": calls(other), "parameters": other}),
        (calls(module), [module.w], {"fn": calls(module), "parameters": [module.w]}),
    ]:
        tg.manual_seed(3)
        with pytest.raises(WrongGradient) as caught:
            gradcheck(fn, x, parameters=given)
        tg.manual_seed(4)
        other.w.array[...] = other.offset.array[...] = 0
        assert pasted(caught.value, **names) == str(caught.value)


def test_a_tensor_given_twice_is_one_in_the_code_and_options_are_kept():
    def product(a, b):
        return twice(a * b) if a is b else a * b

    x = leaves((60,))[0]
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(WrongGradient) as caught:
            check(product, [x, x], seed=7, directions=1)
        assert "x1 = x0\n" in str(caught.value) and "[x0, x1], seed=7, directions=1)" in str(caught.value)
        assert pasted(caught.value, product=product) == str(caught.value)


def test_arrays_named_tuples_and_infinities_are_pasted():
    state = LSTMState(*leaves((2,), (2,)))

    def step(state, array, number):
        return twice(state.h * array[0]) * state.c if number == -np.inf else state.c

    with pytest.raises(WrongGradient) as caught:
        gradcheck(step, [state, np.array([2.0]), -np.inf])
    assert pasted(caught.value, step=step) == str(caught.value)


@pytest.mark.parametrize(
    ("fn", "name"),
    [
        (SecondWrong.apply, "SecondWrong.apply"),
        (lambda x: x, "<lambda>"),
        (Squared().forward, "Squared.forward"),
        (np.exp, "exp"),
        (nn.Identity(), "Identity"),
    ],
)
def test_a_name_is_used_in_code_if_it_is_what_the_function_is_called_there(fn, name):
    probe = Probe(fn, [], {})
    assert probe.name == name
    found = reproduction("gradcheck", probe, None, {})[-1]
    assert found in (f"gradcheck({name}, [])", f"gradcheck(fn, [])  # fn: {name}")
    assert ("fn" in found) == (name not in ("SecondWrong.apply", "exp"))


def test_the_failure_holds_index_and_numbers():
    (x,) = leaves((2, 2))
    with pytest.raises(WrongGradient) as caught:
        gradcheck(lambda x: x[:1].sum() + WRONG["a factor"][0](x[1:, 1:]).sum(), [x])
    (entry,) = caught.value.wrong
    slope = 1 - np.tanh(x.array[1, 1]) ** 2
    assert entry.argument == "x[1, 1]"
    assert entry.backward == pytest.approx(2 * slope, abs=1e-14)
    assert entry.complex_step == pytest.approx(slope, abs=1e-14)
    assert entry.central == pytest.approx(slope, abs=1e-9)
    assert caught.value.inputs[0] is x
    for number in (entry.backward, entry.complex_step, entry.central):
        assert f"{number:.17g}" in str(caught.value)


def test_large_inputs_are_in_the_error_not_in_the_text():
    large = tg.tensor(np.linspace(-1, 1, 3000), requires_grad=True)
    with pytest.raises(WrongGradient, match="3000 numbers of shape") as caught:
        gradcheck(WRONG["the sign"][0], [large])
    assert len(str(caught.value)) < 2000
    assert caught.value.inputs[0] is large


def test_of_what_is_too_large_the_rest_can_be_pasted():
    small, large = leaves((2,), (2000,))

    def fn(x, parts):
        return twice(x * small.sum()).sum() + parts[0].sum() * large.sum()

    x, part = leaves((), (1500,))
    with pytest.raises(WrongGradient) as caught:
        gradcheck(fn, [x, (part, 2)], parameters={"small": small, "large": large})
    told = str(caught.value)
    assert "x1 = (..., 2,)  # ...: 1500 numbers of shape (1500,), in the error's `inputs`" in told
    assert "# parameters['large']: of shape (2000,), too large to print" in told
    code = told.split("to reproduce:\n")[1].replace("(..., 2,)", "(part, 2)")
    names = {"fn": fn, "part": part, "parameters": {"small": small, "large": large}}
    small.array[...] = 0
    again = pasted(AssertionError("to reproduce:\n" + code), **names)
    assert again.split("to reproduce:")[0] == told.split("to reproduce:")[0]
