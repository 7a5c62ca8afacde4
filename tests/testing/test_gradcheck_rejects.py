"""The checker, checked: every kind of wrong gradient is rejected, and the message says where it is."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import Function
from tinygrad_rnn.autograd.primitive import Primitive, apply
from tinygrad_rnn.testing import WrongGradient, gradcheck, gradgradcheck


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


def test_the_failure_can_be_pasted():
    wrong, shapes, _ = WRONG["a dropped term"]

    def fn(x, nothing):
        return tg.cat([wrong(x), nothing])

    with pytest.raises(WrongGradient) as caught:
        gradcheck(fn, leaves(*shapes, (0, 3)))
    told = str(caught.value)
    code = told.split("to reproduce:\n")[1]
    with pytest.raises(WrongGradient) as again:
        exec("\n".join(line[4:] for line in code.splitlines()), {"fn": fn})
    assert str(again.value) == told


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


def test_parameters_are_among_what_reproduces_it():
    w = leaves((2,))[0]
    with pytest.raises(WrongGradient) as caught:
        gradcheck(lambda x: WRONG["zero"][0](x * w), leaves((2,)), parameters={"w": w})
    assert f"'w': tg.tensor({w.tolist()}, dtype=tg.float64, requires_grad=True)," in str(caught.value)
