"""The checkers with PyTorch's signature reject every wrong gradient, at first order and at second."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import Function, GradcheckError, gradcheck, gradgradcheck


def product(backward):
    """x y + x, for x (2, 3) and y (1, 3), with this way back."""

    class Product(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y + x

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Product.apply


def right(g, x, y):
    return g * y + g, g * x


WRONG = {
    "sign": lambda g, x, y: (-(g * y + g), g * x),
    "factor 2": lambda g, x, y: (g * y + g, 2 * g * x),
    "dropped term": lambda g, x, y: (g * y, g * x),
    "missing broadcast sum": lambda g, x, y: (g * y + g, (g * x)[:1]),
    "mean instead of sum": lambda g, x, y: (g * y + g, (g * x).mean(0, keepdim=True)),
    "zero": lambda g, x, y: (g * y + g, g * x * 0),
    "none": lambda g, x, y: (g * y + g, None),
    "NaN": lambda g, x, y: (g * y + g, g * x * float("nan")),
    "one NaN": lambda g, x, y: (tg.where(x == x[0, 0], float("nan"), g * y + g), g * x),
    "infinite": lambda g, x, y: (g * y + g, g * x + float("inf")),
    "the other argument": lambda g, x, y: (g * x + g, g * x),
    "no incoming gradient": lambda g, x, y: (y + 1 + x * 0, x),
    "rows swapped": lambda g, x, y: ((g * y + g).flip(0), g * x),
    "constant": lambda g, x, y: (tg.ones_like(x), tg.ones_like(y)),
}


def inputs():
    return (
        tg.randn(2, 3, dtype=tg.float64).requires_grad_(),
        tg.randn(1, 3, dtype=tg.float64).requires_grad_(),
    )


def test_the_right_gradient_is_accepted():
    assert gradcheck(product(right), inputs()) and gradgradcheck(product(right), inputs())


@pytest.mark.parametrize("backward", WRONG.values(), ids=WRONG)
def test_a_wrong_gradient_is_rejected(backward):
    xs = inputs()
    with pytest.raises(GradcheckError, match=r"gradcheck: d output 0 \[\d+\] / d input [01] \(.*\): "):
        gradcheck(product(backward), xs)
    assert gradcheck(product(backward), xs, raise_exception=False) is False


def test_the_message_gives_the_place_and_both_numbers():
    x = tg.tensor([[1.0, 2.0]], dtype=tg.float64, requires_grad=True)
    y = tg.tensor([[3.0, 5.0]], dtype=tg.float64, requires_grad=True)
    with pytest.raises(GradcheckError) as error:
        gradcheck(product(lambda g, x, y: (g * y + g, 2 * g * x)), (x, y))
    assert "d output 0 [0] / d input 1" in str(error.value) and "backward gives 2," in str(error.value)
    assert "finite differences 1" in str(error.value) and "(2 of 4 entries differ)" in str(error.value)


def second(forward, save, backward):
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(save(x))
            return forward(x)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    return Once.apply


def from_numpy(function):
    return lambda g, x: tg.from_numpy(function(g.detach().numpy(), x.detach().numpy()))


RIGHT_ONCE = {
    "saved what is no output": second(np.exp, np.exp, lambda g, y: g * y),
    "cut off": second(np.exp, lambda x: x, lambda g, x: g * np.exp(x.detach())),
    "outside the graph": second(np.exp, lambda x: x, from_numpy(lambda g, x: g * np.exp(x))),
    "cut off from the incoming gradient": second(np.sin, lambda x: x, lambda g, x: g.detach() * np.cos(x)),
}


@pytest.mark.parametrize("function", RIGHT_ONCE.values(), ids=RIGHT_ONCE)
def test_what_is_right_once_and_wrong_twice_is_rejected(function):
    x = tg.randn(3, dtype=tg.float64).requires_grad_()
    assert gradcheck(function, x)
    with pytest.raises(GradcheckError):
        gradgradcheck(function, x)
    assert gradgradcheck(function, x, raise_exception=False) is False


def test_a_result_that_is_cut_off_is_rejected():
    x, y = inputs()
    with pytest.raises(GradcheckError):
        gradcheck(lambda x, y: x.detach() * y, (x, y))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x, y: (x * y, (x * 2).detach()), (x, y))


def test_the_second_of_several_outputs_is_checked_too():
    def two(x, y):
        return x * 2, product(WRONG["factor 2"])(x, y)

    with pytest.raises(GradcheckError, match="d output 1"):
        gradcheck(two, inputs())


def test_a_backward_that_differs_from_one_time_to_the_next_is_rejected():
    generator = tg.Generator()

    def noisy(g, x, y):
        return g * y + g, g * x * (1 + 1e-7 * float(tg.rand(1, generator=generator)))

    with pytest.raises(GradcheckError, match="two backward passes of output 0 differ for input 1"):
        gradcheck(product(noisy), inputs())
    assert gradcheck(product(noisy), inputs(), nondet_tol=1e-5)


def test_gradcheck_changes_nothing():
    xs = inputs()
    before = [x.tolist() for x in xs]
    arrays = [x.array for x in xs]
    gradcheck(product(right), xs)
    with pytest.raises(GradcheckError):
        gradcheck(product(WRONG["sign"]), xs)
    assert [x.tolist() for x in xs] == before and all(x.grad is None for x in xs)
    assert all(x.array is a for x, a in zip(xs, arrays))


def test_it_works_under_no_grad_on_arguments_of_other_kinds_and_on_nothing():
    def power(x, n, labels):
        return x**n + labels, labels * 2

    with tg.no_grad():
        assert gradcheck(power, (tg.rand(3, dtype=tg.float64).requires_grad_(), 3, tg.tensor([1, 2, 3])))
    assert gradcheck(lambda x: x * 2, tg.zeros(0, 3, dtype=tg.float64, requires_grad=True))


def test_the_factors_of_second_derivatives_may_be_given():
    x = tg.rand(3, dtype=tg.float64).requires_grad_()
    factors = tg.rand(3, dtype=tg.float64).requires_grad_()
    assert gradgradcheck(np.sin, x, factors) and gradgradcheck(np.sin, [x], [factors])


def test_what_cannot_be_checked_says_so():
    with pytest.raises(ValueError, match=r"inputs must be float64 .*, got float32"):
        gradcheck(np.sin, tg.rand(3).requires_grad_())
    with pytest.raises(ValueError, match="no input requires a gradient"):
        gradcheck(np.sin, tg.rand(3, dtype=tg.float64))
    with pytest.raises(ValueError, match="func must return tensors, got float"):
        gradcheck(lambda x: 3.0, tg.rand(3, dtype=tg.float64).requires_grad_())
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(NotImplementedError, match="not supported: fast_mode"):
            check(np.sin, tg.rand(3, dtype=tg.float64).requires_grad_(), fast_mode=True)
