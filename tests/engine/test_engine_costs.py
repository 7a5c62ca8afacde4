"""What backward costs: one product for a weight, one buffer for all slices, and T times the time."""

import gc
import time
from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.engine.primitive import Primitive, apply

T, B, D, H = 12, 2, 3, 5


@pytest.fixture
def products(monkeypatch):
    """How often np.matmul made a result of each shape."""
    counts, matmul = Counter(), np.matmul

    def counted(a, b, **kwargs):
        result = matmul(a, b, **kwargs)
        counts[np.shape(result)] += isinstance(result, np.ndarray)
        return result

    monkeypatch.setattr(np, "matmul", counted)
    return counts


@pytest.fixture
def zeros(monkeypatch):
    """How often np.zeros made an array of each shape."""
    counts, make = Counter(), np.zeros

    def counted(shape, *args, **kwargs):
        counts[shape] += 1
        return make(shape, *args, **kwargs)

    monkeypatch.setattr(np, "zeros", counted)
    return counts


def weight(*shape):
    return (tg.randn(*shape, dtype=tg.float64) * 0.3).requires_grad_()


USES = {
    "h w": lambda w, h: h @ w,
    "h wᵀ": lambda w, h: h @ w.t(),
    "(w hᵀ)ᵀ": lambda w, h: (w @ h.t()).t(),
}


@pytest.mark.parametrize("asked", ["backward", "grad"])
@pytest.mark.parametrize("use", USES)
def test_a_weight_used_t_times_costs_one_product(products, use, asked):
    w = weight(H, H)
    h = tg.randn(B, H, dtype=tg.float64)
    hs = []
    for _ in range(T):
        h = np.tanh(USES[use](w, h))
        hs.append(h)
    y = tg.stack(hs).sum()
    products.clear()
    y.backward() if asked == "backward" else tg.autograd.grad(y, w)
    assert products.pop((H, H)) == 1  # the weight
    assert sum(products.values()) == T - 1  # every state but the first, which is given


def test_what_is_not_asked_for_is_not_computed():
    def refuse(g, _y, _a, _b):
        raise AssertionError("this gradient was not asked for")

    first = Primitive("first", np.multiply, [lambda g, _y, _a, b: g * b, refuse])
    a, b, c = (tg.tensor([k], requires_grad=True) for k in (2.0, 3.0, 4.0))
    y = apply(first, (a * c, b), {})
    assert tg.autograd.grad(y, a, retain_graph=True)[0].item() == 12
    y.backward(inputs=[c])
    assert c.grad.item() == 6 and a.grad is None and b.grad is None


def test_a_weight_used_t_times_on_a_vector_costs_one_product(products):
    w = weight(H, H)
    h = tg.randn(H, dtype=tg.float64)
    total = 0.0
    for _ in range(T):
        h = np.tanh(w @ h)
        total = total + h.sum()
    products.clear()
    total.backward()
    assert products == {(H, H): 1, (H, 1): T - 1}


def test_a_weight_made_anew_for_all_steps_costs_one_product(products):
    """Dropout on the recurrent weight, as in AWD-LSTM: what is used T times is no leaf."""
    raw, mask = weight(H, H), tg.rand(H, H, dtype=tg.float64)
    w, h = raw * mask, tg.randn(B, H, dtype=tg.float64)
    for _ in range(T):
        h = np.tanh(nn.functional.linear(h, w))
    h.sum().backward()
    assert products[(H, H)] == 1


@pytest.mark.parametrize("kind, gates", [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_a_layer_costs_one_product_for_each_weight(products, kind, gates):
    layer = getattr(nn, kind)(D, H).double()
    layer(tg.randn(T, B, D, dtype=tg.float64))[0].sum().backward()
    assert products[(gates * H, D)] == products[(gates * H, H)] == 1


def test_the_one_product_is_the_sum_of_all():
    w = weight(H, H)
    xs = tg.randn(T, B, H, dtype=tg.float64)
    seeds = np.random.default_rng(0).normal(size=(T, B, H))
    tg.autograd.backward([x @ w for x in xs], list(map(tg.tensor, seeds)))
    assert np.allclose(w.grad.numpy(), np.einsum("tbi,tbj->ij", xs.numpy(), seeds), rtol=1e-13)


def test_all_slices_share_one_buffer(zeros):
    xs = tg.randn(T, B, D).requires_grad_()
    y = tg.zeros(())
    zeros.clear()
    for x in xs:
        y = y + x.sum() * x[0, 1]
    y.backward()
    assert zeros[(T, B, D)] == 1
    whole = xs.detach().requires_grad_()
    (whole.sum((1, 2)) * whole[:, 0, 1]).sum().backward()
    assert tg.allclose(xs.grad, whole.grad)


def test_a_buffer_is_shared_with_dense_gradients_too(zeros):
    x = tg.randn(T, B).requires_grad_()
    y = (x * 2).sum() + sum(row.sum() for row in x) + (x * 3).sum() + x[:, 0].sum()
    zeros.clear()
    y.backward()
    assert zeros[(T, B)] <= 1 and x.grad.tolist() == [[7, 6]] * T


# --- time


def seconds(function, *args):
    """Processor time."""
    start = time.process_time()
    function(*args)
    return time.process_time() - start


def fill_by_assignment(steps):
    y = tg.zeros(steps, 4, 64)
    h = w = tg.rand(4, 64).requires_grad_()
    for t in range(steps):
        h = h * w
        y[t] = h
    y.sum().backward()


def fill_columns_by_assignment(steps):
    y = tg.zeros(4, steps, 64)
    h = w = tg.rand(4, 64).requires_grad_()
    for t in range(steps):
        h = h * w
        y[:, t] = h
    y.sum().backward()


def change_in_place(steps):
    y, w = tg.zeros(4, 64), tg.rand(4, 64).requires_grad_()
    for _ in range(steps):
        y += w
    y.sum().backward()


def read_slices(steps):
    xs, h = tg.rand(steps, 4, 64).requires_grad_(), tg.zeros(4, 64)
    for t in range(steps):
        h = h * xs[t]
    h.sum().backward()


def run_a_cell(steps):
    cell, h = nn.RNNCell(3, 4), None
    for x in tg.rand(steps, 2, 3):
        h = cell(x, h)
    h.sum().backward()


def run_a_ragged_layer_both_ways(steps):
    layer = nn.RNN(3, 4, bidirectional=True)
    lengths = tg.arange(steps, steps - 4, -1)
    layer(tg.rand(steps, 4, 3), lengths=lengths)[0].sum().backward()


@pytest.mark.parametrize(
    "program",
    [
        fill_by_assignment,
        fill_columns_by_assignment,
        change_in_place,
        read_slices,
        run_a_cell,
        run_a_ragged_layer_both_ways,
    ],
    ids=lambda f: f.__name__,
)
def test_time_grows_linearly_with_the_number_of_steps(program):
    """Ten times the steps take about ten times as long, not a hundred. (Without the collector's own time.)"""
    gc.collect()
    gc.disable()
    try:
        program(50)
        part = min(seconds(lambda n: [program(n) for _ in range(8)], 500) / 8 for _ in range(2))  # > a tick
        assert any(seconds(program, 5_000) < 25 * part for _ in range(3))  # noise only adds
    finally:
        gc.enable()
