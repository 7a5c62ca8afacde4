"""autograd.Function: a user's own forward and backward, and what is said when they do not fit together."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import Function, grad, gradcheck, gradgradcheck, set_detect_anomaly


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


class Both(Function):
    """z = x y and s = x + y, with an argument, an output and None among what is saved."""

    @staticmethod
    def forward(ctx, x, y):
        z = x * y
        ctx.save_for_backward(x, None, y, z)
        return z, x + y

    @staticmethod
    def backward(ctx, gz, gs):
        x, nothing, y, _z = ctx.saved_tensors
        assert nothing is None
        return gz * y + gs, gz * x + gs


class Exp(Function):
    """Written with its output, which it saves."""

    @staticmethod
    def forward(ctx, x):
        y = np.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Pair(Function):
    """s = sin x, c = cos x: each derivative is the other output."""

    @staticmethod
    def forward(ctx, x):
        s, c = np.sin(x), np.cos(x)
        ctx.save_for_backward(s, c)
        return s, c

    @staticmethod
    def backward(ctx, gs, gc):
        s, c = ctx.saved_tensors
        return gs * c - gc * s


class Scaled(Function):
    """With arguments that are no tensors."""

    @staticmethod
    def forward(ctx, x, factor, name=None):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None, None


class NewStyle(Function):
    """forward without ctx, and setup_context."""

    @staticmethod
    def forward(x, n):
        return x**n

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.n = inputs
        ctx.save_for_backward(x, output)

    @staticmethod
    def backward(ctx, g):
        x, _y = ctx.saved_tensors
        return g * ctx.n * x ** (ctx.n - 1), None


def point(*shape):
    return (tg.rand(*shape, dtype=tg.float64) + 0.5).requires_grad_()


@pytest.mark.parametrize(
    "function, inputs",
    [
        (Both.apply, 2),
        (Exp.apply, 1),
        (Pair.apply, 1),
        (lambda x: Scaled.apply(x, 3.0, "name"), 1),
        (lambda x: NewStyle.apply(x, 3), 1),
        (lambda x: Exp.apply(Pair.apply(x)[0] * Pair.apply(x)[1]), 1),
        (lambda x, y: Both.apply(x, y)[0], 2),
        (lambda x, y: Both.apply(x, y)[1], 2),
        (lambda x: Both.apply(x, x)[0], 1),
    ],
)
def test_first_and_second_derivatives(function, inputs):
    xs = [point(2, 3) for _ in range(inputs)]
    assert gradcheck(function, xs) and gradgradcheck(function, xs)


def test_a_saved_output_has_its_derivatives_when_its_tensor_is_gone():
    """s″ = -s, though the cosine, which is saved, is used by no one."""
    x = leaf(0.7)
    s = Pair.apply(x)[0]
    (ds,) = grad(s, x, create_graph=True)
    (dds,) = grad(ds, x, create_graph=True)
    (ddds,) = grad(dds, x)
    assert [t.item() for t in (ds, dds, ddds)] == pytest.approx([np.cos(0.7), -np.sin(0.7), -np.cos(0.7)])


def test_backward_gets_gradients_of_all_outputs_zeros_for_those_that_do_not_matter():
    seen = []

    class Three(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1, x.sum(), x * 3

        @staticmethod
        def backward(ctx, *gradients):
            seen.extend(gradients)
            return gradients[0]

    x = leaf(1.0, 2.0)
    (Three.apply(x)[0] * 5).sum().backward()
    assert [g.tolist() for g in seen] == [[5, 5], 0, [0, 0]] and x.grad.tolist() == [5, 5]
    assert not any(g.requires_grad for g in seen)


def test_without_materialized_gradients_they_are_none():
    class First(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, g, h):
            return g if h is None else h

    x = leaf(1.0, 2.0)
    First.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_gradient_may_be_none():
    class Half(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return None, g * 7

    x, y = leaf(1.0), leaf(2.0)
    for anomaly in (False, True):
        y.grad = None
        with set_detect_anomaly(anomaly):
            Half.apply(x * 2, y).backward()
        assert x.grad is None and y.grad.item() == 7
    with pytest.raises(RuntimeError, match="was not used"):
        grad(Half.apply(x, y), x)


def test_needs_input_grad_says_who_asks():
    class Asks(Function):
        @staticmethod
        def forward(ctx, x, n, y):
            ctx.seen = ctx.needs_input_grad
            return x * y

        @staticmethod
        def backward(ctx, g):
            assert ctx.needs_input_grad == ctx.seen == (False, False, True)
            return "never looked at", "nor this", g

    y = leaf(2.0)
    Asks.apply(tg.tensor(3.0, dtype=tg.float64), 5, y).backward()
    assert y.grad.item() == 1


def test_nothing_is_recorded_inside_forward_or_under_no_grad():
    seen = []

    class Watch(Function):
        @staticmethod
        def forward(ctx, x):
            seen.append((x * 2).requires_grad)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen.append((g * 2).requires_grad)
            return g * 2

    x = leaf(1.0)
    Watch.apply(x).backward()
    with tg.no_grad():
        assert not Watch.apply(x).requires_grad
    assert not Watch.apply(x.detach()).requires_grad
    assert seen == [False] * 4


# --- outputs


def test_outputs_that_are_marked_or_hold_integers_require_no_gradient():
    class Sort(Function):
        @staticmethod
        def forward(ctx, x):
            values, order = x.sort()
            ctx.order, ctx.n = order, len(x)
            signs = np.sign(x)
            ctx.mark_non_differentiable(signs)
            return values, order, signs

        @staticmethod
        def backward(ctx, g, _order, _signs):
            out = tg.zeros(ctx.n, dtype=g.dtype)
            out[ctx.order] = g
            return out

    x = leaf(3.0, -1.0, 2.0)
    values, order, signs = Sort.apply(x)
    assert (values.requires_grad, order.requires_grad, signs.requires_grad) == (True, False, False)
    (values * tg.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]


def test_a_single_output_may_be_constant():
    class Round(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.round()
            ctx.mark_non_differentiable(y)
            return y

    assert not Round.apply(leaf(1.5)).requires_grad


def test_an_argument_may_be_returned_as_it_is():
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return -g

    x = leaf(1.0, 2.0)
    y = Reverse.apply(x)
    assert y is not x and y.tolist() == [1, 2]
    y.sum().backward()
    assert x.grad.tolist() == [-1, -1] and x.is_leaf


def test_what_is_no_tensor_passes_through_a_tuple():
    class Mixed(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, 3, None

        @staticmethod
        def backward(ctx, g, three, none):
            assert three is None and none is None
            return g * 2

    x = leaf(1.0)
    y, three, none = Mixed.apply(x)
    y.backward()
    assert three == 3 and none is None and x.grad.item() == 2


def test_one_tensor_in_a_tuple_stays_in_it():
    class One(Function):
        @staticmethod
        def forward(ctx, x):
            return (x * 2,)

        @staticmethod
        def backward(ctx, g):
            return (g * 2,)

    x = leaf(1.0)
    (y,) = One.apply(x)
    y.backward()
    assert x.grad.item() == 2


def test_outputs_have_hooks_and_retain_gradients():
    x = leaf(2.0, 3.0)
    z, s = Both.apply(x, leaf(5.0, 7.0))
    z.retain_grad()
    s.register_hook(lambda g: g * 100)
    (z * 2 + s).sum().backward()
    assert z.grad.tolist() == [2, 2] and x.grad.tolist() == [2 * 5 + 100, 2 * 7 + 100]


def test_forward_may_write_into_what_it_makes():
    class Doubled(Function):
        @staticmethod
        def forward(ctx, x):
            y = x.clone()
            y.mul_(2)
            ctx.save_for_backward(y)
            return np.exp(y)

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * 2 * np.exp(y)

    assert gradcheck(Doubled.apply, point(3))


# --- gradients of another shape or dtype


def returning(gradient):
    class Returns(Function):
        @staticmethod
        def forward(ctx, x, y=None):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return gradient

    return Returns.apply


def test_a_gradient_that_the_argument_broadcasts_to_is_summed():
    x = tg.ones(1, 3, dtype=tg.float64, requires_grad=True)
    returning(tg.ones(2, 4, 3, dtype=tg.float64))(x).sum().backward()
    assert x.grad.tolist() == [[8, 8, 8]]


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (1, 3), (2, 3, 1)])
def test_a_gradient_of_a_shape_that_does_not_fit_is_an_error(shape):
    x = tg.ones(2, 3, dtype=tg.float64, requires_grad=True)
    message = f"Returns.backward: gradient 0 has shape {shape}, the argument (2, 3)"
    with pytest.raises(RuntimeError, match=message.replace("(", r"\(").replace(")", r"\)")):
        returning(tg.ones(*shape) if shape else tg.tensor(1.0))(x).sum().backward()


def test_a_gradient_of_another_dtype_becomes_the_argument_s():
    x = tg.ones(2, requires_grad=True)
    returning(tg.ones(2, dtype=tg.float64))(x).sum().backward()
    assert x.grad.dtype == tg.float32


@pytest.mark.parametrize("returned, count", [((), 0), (tg.ones(2), 1), ((tg.ones(2),) * 3, 3)])
def test_there_must_be_a_gradient_for_each_argument(returned, count):
    x, y = (tg.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(RuntimeError, match=f"Returns.backward: {count} gradients returned for 2 arguments"):
        returning(returned)(x, y).sum().backward()


def test_gradients_beyond_the_arguments_may_be_none():
    x = tg.ones(2, requires_grad=True)
    returning((tg.ones(2), None, None))(x).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_gradient_must_be_a_tensor():
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"Returns.backward: gradient 0 is ndarray, not a Tensor or None"):
        returning(np.ones(2))(x).sum().backward()


# --- errors


def test_a_saved_tensor_that_was_overwritten_is_an_error():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z, _s = Both.apply(x, y)
    with tg.no_grad():
        y.mul_(2)
    with pytest.raises(
        RuntimeError, match="saved_tensors: a saved tensor was overwritten in place after forward"
    ):
        z.sum().backward()


def test_a_second_backward_is_an_error():
    x = leaf(1.0)
    z, s = Both.apply(x, leaf(2.0))
    z.backward()
    with pytest.raises(RuntimeError, match=r"the graph through .* was freed"):
        s.backward()


def test_forward_must_return_tensors():
    class Lists(Function):
        @staticmethod
        def forward(ctx, x):
            return [x * 2]

    with pytest.raises(TypeError, match=r"Lists.forward: expected a tensor or a tuple of tensors, got list"):
        Lists.apply(leaf(1.0))


def test_what_is_missing_or_not_supported_is_named():
    class Empty(Function):
        pass

    class Dirty(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    class OneWay(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(NotImplementedError, match="define a static forward"):
        Empty.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="mark_dirty"):
        Dirty.apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match="define a static backward"):
        OneWay.apply(leaf(1.0)).backward()
