"""Graphs go by reference counting alone: with the collector off, nothing is left after its last use."""

import gc
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function, grad
from tinygrad_rnn.autograd.function import Context
from tinygrad_rnn.engine.accumulate import Accumulator
from tinygrad_rnn.engine.primitive import Node
from tinygrad_rnn.engine.tensor import Storage, Tensor

w = (tg.rand(3, 3) * 0.5).requires_grad_()
xs = tg.rand(4, 2, 3)
layer = nn.LSTM(3, 3, num_layers=2, bidirectional=True)


@contextmanager
def no_collector():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def living():
    """How many objects of the engine's there are."""
    return sum(issubclass(type(o), (Node, Tensor, Accumulator, Context, Storage)) for o in gc.get_objects())


class Scale(Function):
    """Saves an argument and both outputs, and keeps an argument as an attribute."""

    @staticmethod
    def forward(ctx, x, factor):
        y, z = x * factor, x + factor
        ctx.save_for_backward(x, y, z)
        ctx.factor = factor
        return y, z

    @staticmethod
    def backward(ctx, gy, gz):
        x, _y, _z = ctx.saved_tensors
        return gy * ctx.factor + gz, (gy * x + gz).sum()


def a_chain_with_backward():
    h = xs[0]
    for _ in range(20):
        h = np.tanh(h @ w)
    h.sum().backward()


def a_chain_without_backward():
    h = xs[0]
    for _ in range(20):
        h = np.tanh(h @ w)


def a_retained_graph():
    y = (xs @ w).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)


def a_graph_in_two_halves():
    h = np.tanh(xs @ w)
    inner = h.detach().requires_grad_()
    (inner * inner).sum().backward()
    h.backward(inner.grad)


def an_lstm():
    ys, _ = layer(xs)
    ys.sum().backward()


def an_lstm_without_backward():
    layer(xs)


def a_packed_lstm():
    packed = nn.utils.rnn.pack_padded_sequence(xs, [4, 0], enforce_sorted=False)
    layer(packed)[0].data.sum().backward()


def a_function():
    y, z = Scale.apply(xs @ w, w.sum())
    (y * z).sum().backward()


def a_function_without_backward():
    Scale.apply(xs @ w, w.sum())


def a_function_differentiated_twice():
    y, z = Scale.apply(xs @ w, w.sum())
    (g,) = grad((y * z).sum(), w, create_graph=True)
    grad(g.sum(), w)


def a_recorded_gradient():
    y = np.tanh(xs @ w).sum()
    (g,) = grad(y, w, create_graph=True)
    (gg,) = grad((g * g).sum(), w, create_graph=True)
    grad(gg.sum(), w)


def hooks_and_retained_gradients():
    y = xs @ w
    seen = []
    y.register_hook(seen.append)
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    with w.register_hook(seen.append):
        np.tanh(y).sum().backward()


def assignments():
    y = tg.zeros(4, 2, 3)
    for t in range(4):
        y[t] = xs[t] @ w
    y[0] = y[1] * 2
    np.tanh(y).sum().backward()


def an_error_in_the_middle():
    y = xs @ w
    z = (np.tanh(y) ** 2).sum()
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        z.backward()


PROGRAMS = [f for name, f in sorted(globals().items()) if name.startswith(("a_", "an_", "hooks", "assign"))]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_nothing_of_a_graph_is_left(program):
    with no_collector():
        program()  # now the gradients of the leaves are there
        before = living()
        for _ in range(3):
            program()
        assert living() == before


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_memory_returns_to_its_baseline_without_the_collector(program):
    """Python and NumPy keep some freed blocks for later; one node left over in each run would be more."""
    with no_collector():
        for _ in range(5):
            program()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(40):
            program()
        assert gc.collect() == 0  # there was nothing that only the collector could find
        assert sys.getallocatedblocks() - before < 40 * 5


def test_an_intermediate_value_goes_as_soon_as_backward_has_used_it():
    """Of 50 gradients of a megabyte, and of the 50 values, only a few are there at one time."""
    import tracemalloc

    x = tg.rand(1000, 250).requires_grad_()  # a megabyte
    h = x
    for _ in range(50):
        h = np.tanh(h)
    y = h.sum()
    del h
    tracemalloc.start()
    try:
        y.backward()
        assert tracemalloc.get_traced_memory()[1] < 6e6
    finally:
        tracemalloc.stop()


def test_after_backward_a_result_holds_no_other_value():
    y = w * 2
    memory = [a := np.tanh(y), b := np.sin(a)]  # sin saves its input
    b.sum().backward()
    held = [o for o in gc.get_referrers(a.array) if type(o) in (Node, tuple, list) and o is not memory]
    assert held == []
