"""Hooks: what sees a gradient, what replaces it, in which order; and results that keep theirs."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import Function, grad


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


def test_a_hook_on_a_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(2.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 3 + x * x + x).backward()
    assert seen == [8] and x.grad.item() == 8


def test_a_hook_on_a_result_sees_the_whole_gradient_before_it_goes_on():
    x, seen = leaf(2.0), []
    y = x * 3
    y.register_hook(lambda g: seen.append(("y", g.item())))
    x.register_hook(lambda g: seen.append(("x", g.item())))
    (y * y + y).backward()
    assert seen == [("y", 13), ("x", 39)]


@pytest.mark.parametrize("on_a_leaf", [True, False])
def test_hooks_run_in_the_order_of_registration_each_on_what_the_one_before_returned(on_a_leaf):
    x, seen = leaf(2.0), []
    y = x if on_a_leaf else x * 1

    def note(name, result):
        def hook(g):
            seen.append((name, g.item()))
            return result(g)

        return hook

    y.register_hook(note("plus 1", lambda g: g + 1))
    y.register_hook(note("nothing", lambda g: None))
    y.register_hook(note("times 10", lambda g: g * 10))
    (y * 5).backward()
    assert seen == [("plus 1", 5), ("nothing", 6), ("times 10", 6)] and x.grad.item() == 60


def test_hooks_whose_handles_are_thrown_away_stay():
    """A handle that is garbage gives its address, and so its id(), to the next one."""
    x, seen = leaf(1.0), []
    for k in range(20):
        x.register_hook(lambda g, k=k: seen.append(k))
    (x * 2).backward()
    assert seen == list(range(20))


def test_a_removed_hook_is_not_called():
    x, seen = leaf(1.0), []
    a, b = (x.register_hook(lambda g, k=k: seen.append(k)) for k in "ab")
    a.remove()
    a.remove()  # once more does no harm
    (x * 2).backward()
    with b:
        (x * 2).backward()
    (x * 2).backward()
    assert seen == ["b", "b"]


def test_a_hook_may_remove_itself():
    x, seen = leaf(1.0), []

    def once(g):
        seen.append(g.item())
        handle.remove()

    handle = x.register_hook(once)
    x.register_hook(lambda g: seen.append("other"))
    for _ in range(2):
        (x * 2).backward()
    assert seen == [2, "other", "other"]


def test_what_a_hook_does_to_its_argument_in_place_reaches_nothing():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = a * 1

    def erase(g):
        g.mul_(0)

    y.register_hook(erase)
    (y + b).sum().backward()
    assert b.grad.tolist() == [1, 1] and a.grad.tolist() == [1, 1]


class Stop(Function):
    """The identity, which gives no gradient at all (not even zeros)."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, g):
        return None


@pytest.mark.parametrize("made", ["a product", "an assignment", "a transpose"])
def test_where_no_gradient_arrives_no_hook_is_called(made):
    x, seen = leaf(1.0, 2.0), []
    y = x * 1
    if made == "an assignment":
        y[0] = 5
    elif made == "a transpose":
        y = y.reshape(1, 2).t()
    else:
        y.register_hook(seen.append)
        y.retain_grad()
    x.register_hook(seen.append)
    Stop.apply(y).sum().backward()
    assert not seen and x.grad is None and (made != "a product" or y.grad is None)


def test_hooks_run_in_autograd_grad_too():
    x = leaf(2.0)
    y = x * 1
    x.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: g + 1)
    dy, dx = grad(y * 3, [y, x])
    assert (dy.item(), dx.item()) == (4, 40)


def test_a_hook_s_operations_are_recorded_with_create_graph():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * g)
    (dx,) = grad(y * x, x, create_graph=True)  # x² · 2x + x²
    assert dx.item() == 20 and grad(dx, x)[0].item() == 6 * 4 + 2 * 2


def test_a_hook_survives_an_operation_in_place():
    x, seen = leaf(2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.item()))
    y.mul_(3)
    y.backward()
    assert seen == [3] and x.grad.item() == 6


@pytest.mark.parametrize("on_a_leaf", [True, False])
@pytest.mark.parametrize(
    "result, error", [(3, "must return a Tensor or None, got int"), (tg.ones(3), r"returned shape \(3,\)")]
)
def test_what_a_hook_returns_must_be_a_gradient(on_a_leaf, result, error):
    x = leaf(1.0, 2.0)
    y = x if on_a_leaf else x * 2
    y.register_hook(lambda g: result)
    with pytest.raises((TypeError, RuntimeError), match=error):
        (y * 1).sum().backward()


def test_only_what_requires_a_gradient_has_hooks():
    with pytest.raises(RuntimeError, match="register_hook: the tensor requires no gradient"):
        tg.tensor(1.0).register_hook(print)


# --- retain_grad


def test_a_result_keeps_its_gradient_when_asked():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    (y * y).backward(retain_graph=True)
    assert y.grad.item() == 12
    (y * y).backward()
    assert y.grad.item() == 24 and x.grad.item() == 72


def test_a_result_keeps_the_gradient_that_its_hooks_have_made():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.backward()
    assert y.grad.item() == 10 and x.grad.item() == 30


def test_a_result_that_was_changed_in_place_keeps_the_gradient_of_what_it_is_now():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    y.mul_(5)
    np.square(y).backward()
    assert y.grad.item() == 60 and x.grad.item() == 900


def test_retain_grad_on_a_leaf_changes_nothing():
    x = leaf(2.0)
    x.retain_grad()
    (x * x).backward()
    assert x.grad.item() == 4
    with pytest.raises(RuntimeError, match="retain_grad: the tensor requires no gradient"):
        tg.tensor(1.0).retain_grad()


# --- .grad


def test_grad_takes_only_what_fits():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match="expected a Tensor or None, got ndarray"):
        x.grad = np.ones(2)
    with pytest.raises(RuntimeError, match=r"float64 tensor of shape \(3,\) cannot be the gradient"):
        x.grad = tg.ones(3, dtype=tg.float64)
    with pytest.raises(RuntimeError, match="float32 tensor"):
        x.grad = tg.ones(2)
    x.grad = tg.ones(2, dtype=tg.float64)
    x.grad = None
    assert x.grad is None


def test_a_float32_leaf_has_a_float32_gradient_wherever_it_went():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * tg.tensor([0.1, 0.2], dtype=tg.float64)).sum().backward()
    assert x.grad.dtype == tg.float32 and np.allclose(x.grad.numpy(), [0.1, 0.2])
