"""linear_recurrence: the scan is the loop, in values and derivatives of any order; nothing is divided."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import gradcheck, gradgradcheck
from tinygrad_rnn.nn.functional import linear_recurrence
from tinygrad_rnn.nn.functional.linear_recurrence import SHORTEST, WIDEST

STEPS = [0, 1, 2, 3, SHORTEST - 1, SHORTEST, SHORTEST + 1, 2 * SHORTEST + 5]  # on both sides of the blocks


def loop(a, b, h, reverse=False):
    """The recurrence as it is written, on tensors: all h, (T, …)."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = a.expand(*shape), b.expand(*shape)
    h, hs = h.expand(*shape[1:]), [None] * shape[0]
    for t in reversed(range(shape[0])) if reverse else range(shape[0]):
        h = a[t] * h + b[t]
        hs[t] = h
    return tg.stack(hs) if hs else tg.zeros(*shape, dtype=b.dtype)


def drawn(*shape):
    return tg.randn(*shape, dtype=tg.float64).requires_grad_()


def factors(*shape):
    """Factors between -1 and 1, some of them 0."""
    a = tg.rand(*shape, dtype=tg.float64) * 2 - 1
    return tg.where(tg.rand(*shape) < 0.1, 0.0, a).requires_grad_()


FORMS = [  # shapes of a, b and h0 that broadcast to (T, B, H)
    lambda T, B, H: ((T, B, H), (T, B, H), (B, H)),
    lambda T, B, H: ((T, 1, H), (T, B, H), (H,)),
    lambda T, B, H: ((H,), (T, B, H), ()),
    lambda T, B, H: ((), (T, B, H), (B, 1)),
    lambda T, B, H: ((T, B, H), (B, 1), (B, H)),
    lambda T, B, H: ((T,), (T,), ()),
]


@given(st.sampled_from(STEPS), st.integers(0, 3), st.integers(1, 4), st.sampled_from(FORMS), st.booleans())
def test_the_scan_is_the_loop(T, B, H, form, reverse):
    a, b, h0 = (make(*shape) for make, shape in zip((factors, drawn, drawn), form(T, B, H)))
    hs, wanted = linear_recurrence(a, b, h0, reverse), loop(a, b, h0, reverse)
    assert hs.shape == wanted.shape
    np.testing.assert_allclose(hs.detach().numpy(), wanted.detach().numpy(), rtol=1e-12, atol=1e-12)
    seed = tg.randn(*hs.shape, dtype=tg.float64)
    ours, theirs = (
        tg.autograd.grad((y * seed).sum() + 0 * h0.sum(), [a, b, h0], materialize_grads=True)
        for y in (hs, wanted)
    )
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("T", [0, 1, 4])
def test_first_and_second_derivatives(T, reverse):
    inputs = factors(T, 2, 3), drawn(T, 2, 3), drawn(2, 3)
    assert gradcheck(lambda a, b, h: linear_recurrence(a, b, h, reverse), inputs)
    assert gradgradcheck(lambda a, b, h: linear_recurrence(a, b, h, reverse), inputs)


def test_second_derivatives_through_blocks_are_those_of_the_loop():
    T = SHORTEST + 3
    inputs = factors(T, 2), drawn(T, 2), drawn(2)
    found = []
    for run in (linear_recurrence, loop):
        first = tg.autograd.grad((run(*inputs) ** 2).sum(), inputs, create_graph=True)
        found.append(tg.autograd.grad(sum((g**2).sum() for g in first), inputs))
    for x, y in zip(*found, strict=True):
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_states_wider_than_a_call_is_long_are_looped_over(dtype):
    """The same numbers, wherever the choice between blocks and loop falls."""
    width, T = WIDEST // np.dtype(dtype).itemsize, SHORTEST
    a, b = (tg.rand(T, width + 1, dtype=getattr(tg, dtype)) for _ in range(2))
    wide, narrow = linear_recurrence(a, b), linear_recurrence(a[:, :width], b[:, :width])
    np.testing.assert_allclose(wide.numpy()[:, :width], narrow.numpy(), rtol=1e-5)
    assert wide.dtype == narrow.dtype == np.dtype(dtype)


@pytest.mark.parametrize(
    ("steps", "bytes_of_a_state", "in_blocks"),
    [
        (SHORTEST, WIDEST, True),
        (SHORTEST - 1, WIDEST, False),
        (SHORTEST, WIDEST + 8, False),
        (SHORTEST + 1, 8, True),
    ],
)
def test_long_and_narrow_recurrences_run_in_blocks_and_only_once(
    monkeypatch, steps, bytes_of_a_state, in_blocks
):
    """Counted by what is looped over: in blocks, no loop is as long as the recurrence."""
    module, lengths = importlib.import_module(linear_recurrence.__module__), []
    loop = module._loop
    monkeypatch.setattr(module, "_loop", lambda a, *rest: (lengths.append(len(a)), loop(a, *rest)))
    linear_recurrence(0.5, tg.ones(steps, bytes_of_a_state // 8, dtype=tg.float64))
    assert (steps not in lengths) == in_blocks and (sum(lengths) < steps) == in_blocks


@pytest.mark.parametrize("case", ["products overflow", "a state is infinite", "a state is NaN", "zeros"])
def test_what_a_block_cannot_hold_is_what_the_loop_makes_of_it(case):
    """a = 1e200: the product of two steps is infinite, though no state is: all are 0 until the last."""
    T = 2 * SHORTEST
    a, b = np.full((T, 2), 0.5), np.zeros((T, 2))
    if case == "products overflow":
        a[:], b[-1] = 1e200, 1
    elif case == "zeros":
        a[:], b[:] = 0, 1
    else:
        b[T // 2, 0] = np.inf if "infinite" in case else np.nan
    h, wanted = np.zeros(2), []
    for t in range(T):
        h = a[t] * h + b[t]
        wanted.append(h)
    np.testing.assert_array_equal(linear_recurrence(a, b).numpy(), wanted)


def test_python_numbers_take_the_dtype_of_the_steps():
    b = tg.ones(3, dtype=tg.float64)
    assert linear_recurrence(0.5, b, 8.0).tolist() == [5.0, 3.5, 2.75]
    assert linear_recurrence(2, b, reverse=True).tolist() == [7.0, 3.0, 1.0]
    assert linear_recurrence(0.5, b).dtype == tg.float64
    integers = linear_recurrence(tg.tensor(2), tg.tensor([1, 1, 1]))
    assert integers.tolist() == [1.0, 3.0, 7.0] and integers.dtype == tg.get_default_dtype()


def test_shapes_that_do_not_fit_are_named():
    for a, b, h0, words in [
        ((4, 2), (3, 2), (2,), r"a \(4, 2\) and b \(3, 2\) must broadcast to \(T, …\).*h0 \(2,\)"),
        ((3, 2), (3, 2), (5,), r"h0 to \(…\); got a \(3, 2\), b \(3, 2\), h0 \(5,\)"),
        ((3, 2), (3, 2), (4, 2), r"h0 \(4, 2\)"),
        ((), (), (), r"a \(\) and b \(\)"),
    ]:
        with pytest.raises(RuntimeError, match=words):
            linear_recurrence(tg.ones(a), tg.ones(b), tg.ones(h0))


def test_memory_is_linear_in_the_number_of_steps():
    """Kept for backward: a, b and the states; no product of factors."""
    import tracemalloc

    T, N = 4000, 64
    a, b = (tg.rand(T, N).requires_grad_() for _ in range(2))
    tracemalloc.start()
    y = linear_recurrence(a, b)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    one = T * N * 4
    assert y.shape == (T, N) and one <= kept < 1.1 * one and peak < 1.5 * one
