"""Backward: each leaf gets its gradient, once, at linear cost, in its own memory; what cannot be says so."""

import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import grad


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


def chain(x, n):
    for _ in range(n):
        x = x * 1.00001
    return x


# --- the sum over all ways


@given(st.integers(1, 6), st.floats(-2, 2))
def test_a_tensor_used_n_times_gets_the_sum_of_n_gradients(n, value):
    x = leaf(value)
    y = x
    for _ in range(n):
        y = y * x  # xⁿ⁺¹
    y.backward()
    assert math.isclose(x.grad.item(), (n + 1) * value**n, rel_tol=1e-12, abs_tol=1e-300)


def test_both_operands_may_be_the_same_tensor():
    x = leaf(3.0)
    (x * x + x / x + x - x).backward()
    assert x.grad.item() == 6


def test_a_second_backward_adds_exactly_as_much_again_and_changes_nothing_else():
    x, w = leaf(*np.linspace(-1, 1, 7)), leaf(*np.linspace(2, 3, 7))
    y = (np.tanh(x * w) * x).sum()
    values = [t.tolist() for t in (x, w, y)]
    y.backward(retain_graph=True)
    once = [x.grad.numpy().copy(), w.grad.numpy().copy()]
    y.backward()
    assert (x.grad.numpy() == 2 * once[0]).all() and (w.grad.numpy() == 2 * once[1]).all()
    assert values == [t.tolist() for t in (x, w, y)]


def test_several_roots_are_one_sum():
    x = leaf(1.0, 2.0)
    a, b = x * 3, x * x
    tg.autograd.backward([a.sum(), b], [None, tg.tensor([10.0, 100.0])])
    assert x.grad.tolist() == [3 + 20, 3 + 400]
    x.grad = None
    y = x.sum()
    tg.autograd.backward([y, y])
    assert x.grad.tolist() == [2, 2]


def test_a_root_may_be_a_leaf_or_an_array_s_worth_of_seeds():
    x = leaf(1.0, 2.0)
    x.backward(np.array([5.0, 6.0]))
    assert x.grad.tolist() == [5, 6]
    (x * 2).backward(tg.tensor([1.0, 2.0], dtype=tg.float32))
    assert x.grad.tolist() == [7, 10] and x.grad.dtype == tg.float64


def test_one_number_needs_no_seed_whatever_its_shape():
    x = leaf(3.0)
    (x * x).reshape(1, 1, 1).backward()
    assert x.grad.item() == 6


def test_nothing_flows_into_what_requires_no_gradient():
    x, constant = leaf(1.0, 2.0), tg.tensor([3.0, 4.0], dtype=tg.float64)
    ((x + constant) * constant.detach()).sum().backward()
    assert constant.grad is None and x.grad.tolist() == [3, 4]


def test_zero_size_tensors_have_zero_size_gradients():
    x = tg.zeros(0, 3, dtype=tg.float64, requires_grad=True)
    w = tg.ones(3, 2, dtype=tg.float64, requires_grad=True)
    (x @ w).sum().backward()
    assert x.grad.shape == (0, 3) and w.grad.tolist() == np.zeros((3, 2)).tolist()


# --- size


def test_a_chain_of_100_000_operations_goes_forwards_and_backwards():
    x = leaf(1.0)
    y = chain(x, 100_000)
    y.backward()
    assert math.isclose(x.grad.item(), 1.00001**100_000, rel_tol=1e-9)


def test_a_chain_of_100_000_operations_is_dropped_without_a_backward():
    x = leaf(1.0)
    y = chain(x, 100_000)
    first = weakref.ref(y.node)
    del y
    assert first() is None


def test_a_long_chain_has_a_recorded_gradient_too():
    x = leaf(1.5)
    y = x
    for _ in range(5_000):
        y = y * 1.0001
    (g,) = grad(y * y, x, create_graph=True)
    (gg,) = grad(g, x)
    assert math.isclose(gg.item(), 2 * 1.0001**10_000, rel_tol=1e-9)


def test_200_nested_diamonds_cost_what_their_nodes_cost():
    x = leaf(1.0)
    y = x
    for _ in range(200):
        y = y * 0.5 + y * 0.6  # 2²⁰⁰ ways from x to y
    y.backward()
    assert math.isclose(x.grad.item(), 1.1**200, rel_tol=1e-12)


# --- no aliasing


def arrays_of(*tensors):
    return [t.array for t in tensors if t is not None]


@pytest.mark.parametrize("create_graph", [False, True])
def test_no_gradient_shares_memory_with_anything(create_graph):
    a, b, c, seed = (leaf(1.0, 2.0) for _ in range(4))
    y = a + b - c  # three gradients that are the seed, or nearly
    y.retain_grad()
    y.backward(seed, create_graph=create_graph)
    everything = arrays_of(a, b, c, seed, y, a.grad, b.grad, c.grad, y.grad)
    for i, p in enumerate(everything):
        assert not any(np.shares_memory(p, q) for q in everything[:i])


def test_changing_one_gradient_changes_no_other():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = tg.tensor([1.0, 1.0], dtype=tg.float64)
    (a + b).backward(seed)
    a.grad.mul_(7)
    seed.zero_()
    assert b.grad.tolist() == [1, 1] and a.grad.tolist() == [7, 7]


def test_what_grad_returns_is_the_callers_own():
    a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), tg.tensor([1.0, 1.0], dtype=tg.float64)
    for create_graph in (False, True):
        ga, gb = grad(a + b, [a, b], seed, create_graph=create_graph)
        assert not np.shares_memory(ga.array, gb.array) and not np.shares_memory(ga.array, seed.array)


def test_a_broadcast_gradient_can_be_written():
    x = leaf(1.0, 2.0, 3.0)
    x.sum().backward()  # its gradient is one number, seen three times
    x.grad[0] = 5
    assert x.grad.tolist() == [5, 1, 1]


def test_a_gradient_adds_to_the_tensor_that_is_there():
    x = leaf(1.0, 2.0)
    mine = x.grad = tg.tensor([10.0, 20.0], dtype=tg.float64)
    (x * 3).sum().backward()
    assert x.grad is mine and mine.tolist() == [13, 23]


# --- retain_graph, and the end of a graph


def test_a_freed_graph_says_so():
    x = leaf(2.0)
    y = x * x
    z = y * y
    z.backward()
    with pytest.raises(RuntimeError, match=r"the graph through mul was freed.*retain_graph=True.*detach"):
        z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        (y * 3).backward()  # part of it went too


def test_a_state_carried_over_works_after_detach():
    w, h = leaf(0.5), tg.tensor(1.0, dtype=tg.float64)
    for _ in range(3):
        h = np.tanh(h.detach() * w)
        h.backward()
    assert w.grad is not None


def test_create_graph_keeps_the_graph_unless_told_otherwise():
    x = leaf(2.0)
    y = x * x * x
    assert grad(y, x, create_graph=True)[0].item() == 12
    assert grad(y, x, create_graph=True, retain_graph=False)[0].item() == 12
    with pytest.raises(RuntimeError, match="freed"):
        grad(y, x)


# --- inputs=


def test_only_the_chosen_inputs_get_a_gradient():
    a, b = leaf(2.0), leaf(3.0)
    y = a * b
    z = y * a
    z.backward(inputs=[a, y, a], retain_graph=True)
    assert a.grad.item() == 12 and y.grad.item() == 2 and b.grad is None
    z.backward(inputs=b)
    assert b.grad.item() == 4 and a.grad.item() == 12


def test_a_chosen_input_that_retains_its_gradient_gets_it_once():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    (y * y).backward(inputs=[y])
    assert y.grad.item() == 12 and x.grad is None


@pytest.mark.parametrize("inputs", [[], [tg.tensor([1.0])]])
def test_the_chosen_inputs_must_be_some_that_require_a_gradient(inputs):
    with pytest.raises(RuntimeError, match="inputs must be one or more tensors that require a gradient"):
        leaf(1.0).backward(inputs=inputs)


# --- autograd.grad


def test_grad_changes_no_grad():
    x = leaf(2.0)
    assert grad(x * x, x)[0].item() == 4 and x.grad is None


def test_grad_of_several_outputs_by_results_and_leaves():
    a, b = leaf(2.0), leaf(5.0)
    y = a * b
    z, u = y * y, y + b
    dy, da, db = grad([z, u], [y, a, b], [None, tg.tensor(10.0)])
    assert (dy.item(), da.item(), db.item()) == (20 + 10, 30 * 5, 30 * 2 + 10)


def test_grad_by_the_output_itself_is_the_seed():
    x = leaf(2.0)
    y = x * x
    assert grad(y, [y, x], tg.tensor(7.0))[0].item() == 7
    assert grad(x, x)[0].item() == 1


def test_grad_by_what_took_a_short_cut_through_the_engine():
    """Gradients of assignments and transposes are handed on without being written out, but on request."""
    x, w = leaf(1.0, 2.0), tg.ones(2, 2, dtype=tg.float64, requires_grad=True)
    y = x * 2
    y[0] = x[1] * 3
    wt = w.t()
    z = (y * y).sum() + (tg.ones(1, 2, dtype=tg.float64) @ wt).sum()
    dy, dwt, dx = grad(z, [y, wt, x])
    assert dy.tolist() == [12, 8] and dwt.tolist() == [[1, 1], [1, 1]] and dx.tolist() == [0, 2 * 8 + 3 * 12]


def test_an_unused_input_is_an_error_none_or_zeros():
    x, unused = leaf(2.0), leaf(1.0, 2.0)
    y = x * x
    with pytest.raises(RuntimeError, match=r"inputs\[1\] was not used.*allow_unused=True"):
        grad(y, [x, unused], retain_graph=True)
    assert grad(y, [x, unused], retain_graph=True, allow_unused=True)[1] is None
    assert grad(y, [x, unused], materialize_grads=True)[1].tolist() == [0, 0]


# --- what cannot be


def test_a_root_that_is_not_one_number_needs_a_seed():
    with pytest.raises(RuntimeError, match=r"needed for an output that is not a scalar \(shape \(2,\)\)"):
        (leaf(1.0, 2.0) * 2).backward()


def test_a_seed_must_have_the_shape_of_its_root():
    with pytest.raises(RuntimeError, match=r"gradient of shape \(3,\) for an output of shape \(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(tg.ones(3))


def test_there_must_be_a_seed_for_each_root():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="2 outputs but 1 gradients"):
        tg.autograd.backward([x * 1, x * 2], [None])


@pytest.mark.parametrize("root", [tg.tensor(1.0), tg.tensor(3), tg.tensor(True)])
def test_a_root_must_require_a_gradient(root):
    with pytest.raises(RuntimeError, match="requires no gradient"):
        root.backward()
    with pytest.raises(RuntimeError, match="requires no gradient"):
        grad(root, leaf(1.0))


def test_an_input_must_require_a_gradient():
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require a gradient"):
        grad(leaf(1.0) * 2, tg.tensor(1.0))


@pytest.mark.parametrize("ask", [lambda t: t.requires_grad_(), lambda t: setattr(t, "requires_grad", True)])
@pytest.mark.parametrize("values", [[1, 2], [True, False]])
def test_only_float_tensors_may_ask_for_a_gradient(ask, values):
    with pytest.raises(RuntimeError, match=r"only float tensors have gradients, this one is (int64|bool)"):
        ask(tg.tensor(values))
    with pytest.raises(RuntimeError, match="only float tensors"):
        tg.tensor(values, requires_grad=True)


def test_only_a_leaf_can_stop_asking():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match=r"not a leaf; use detach\(\)"):
        (x * 2).requires_grad = False
    x.requires_grad = False
    assert not (x * 2).requires_grad


@pytest.mark.parametrize("option", ["is_grads_batched", "only_inputs"])
def test_options_of_grad_that_are_not_supported_are_named(option):
    x = leaf(1.0)
    with pytest.raises(NotImplementedError, match=option):
        grad(x * 2, x, **{option: option == "is_grads_batched"})
