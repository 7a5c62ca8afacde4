"""What operations, functions and losses give where the mathematics has no single answer, far from 0, and at
NaN: a table. At kinks it is what PyTorch gives.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import functional as F

NAN, INF = math.nan, math.inf


def outcome(f, *arrays):
    """f's values, and the gradient of their sum for each array."""
    xs = [tg.tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    y = f(*xs)
    y = y[0] if isinstance(y, tuple) else y
    y.sum().backward()
    return [y.detach().numpy(), *(np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in xs)]


KINKS = {
    "abs'(0) = 0": (tg.abs, [[-2, 0, 3]], [2, 0, 3], [-1, 0, 1]),
    "relu'(0) = 0": (tg.relu, [[-2, 0, 3]], [0, 0, 3], [0, 0, 1]),
    "sign' = 0": (tg.sign, [[-2, 0, 3]], [-1, 0, 1], [0, 0, 0]),
    "floor' = 0": (tg.floor, [[-1.5, 2, 2.5]], [-2, 2, 2], [0, 0, 0]),
    "round halves to even": (tg.round, [[0.5, 1.5, -2.5]], [0, 2, -2], [0, 0, 0]),
    "clamp at its bounds 1": (
        lambda x: x.clamp(-1, 1),
        [[-2, -1, 0, 1, 2]],
        [-1, -1, 0, 1, 1],
        [0, 1, 1, 1, 0],
    ),
    "clamp keeps a missing number": (
        lambda x: x.clamp(0, 1),
        [[NAN, -1, 2]],
        [NAN, 0, 1],
        [1, 0, 0],
    ),
    "clamp to a missing bound": (
        lambda x, y: x.clamp(y).clamp(max=y),
        [[1.0], [NAN]],
        [NAN],
        [0],
        [1],
    ),
    "median() shares": (tg.median, [[1, 2, 2, 3, 2]], 2, [0, 1 / 3, 1 / 3, 0, 1 / 3]),
    "median(dim) gives to one": (lambda x: x.median(0), [[4, 1, 4, 5]], 4, [1, 0, 0, 0]),
    "the lower of two in the middle": (lambda x: x.median(), [[4, 1, 3, 2]], 2, [0, 0, 0, 1]),
    "the first of what is not unique": (lambda x: x.unique(), [[3, 1, 3]], [1, 3], [1, 1, 0]),
    "clamp below its maximum": (lambda x: x.clamp(2, 1), [[0, 3]], [1, 1], [0, 0]),
    "maximum's ties": (tg.maximum, [[1, 2, 3], [2, 2, 2]], [2, 2, 3], [0, 0.5, 1], [1, 0.5, 0]),
    "minimum's ties": (tg.minimum, [[1, 2, 3], [2, 2, 2]], [1, 2, 2], [1, 0.5, 0], [0, 0.5, 1]),
    "max of two": (tg.max, [[1, 2], [2, 2]], [2, 2], [0, 0.5], [1, 0.5]),
    "amax shares": (lambda x: x.amax(1), [[[1, 3, 3], [2, 2, 2]]], [3, 2], [[0, 0.5, 0.5], [1 / 3] * 3]),
    "amin shares": (lambda x: x.amin(0), [[[1, 3], [1, 2]]], [1, 2], [[0.5, 0], [0.5, 1]]),
    "max() shares": (tg.max, [[1, 3, 3, 3, 3]], 3, [0, 0.25, 0.25, 0.25, 0.25]),
    "min() shares": (tg.min, [[1, 1, 3]], 1, [0.5, 0.5, 0]),
    "max(dim) gives to the first": (lambda x: x.max(0), [[1, 3, 3]], 3, [0, 1, 0]),
    "min(dim) gives to the first": (lambda x: x.min(0), [[3, 1, 1]], 1, [0, 1, 0]),
    "sort keeps the order of ties": (
        lambda x: x.sort()[0] * tg.tensor([1.0, 2, 3]),
        [[2, 1, 2]],
        [1, 4, 6],
        [2, 1, 3],
    ),
    "the norm at 0": (lambda x: x.norm(), [[0, 0]], 0, [0, 0]),
    "the 1-norm at 0": (lambda x: x.norm(1), [[0, 2]], 2, [0, 1]),
    "the 3-norm at 0": (lambda x: x.norm(3, dim=1), [[[0, 0], [0, 2]]], [0, 2], [[0, 0], [0, 1]]),
    "the largest of equal sizes": (lambda x: x.norm(INF), [[2, -2]], 2, [0.5, -0.5]),
    "std of equal numbers": (lambda x: x.std(), [[3, 3, 3]], 0, [0, 0, 0]),
    "prod with a zero": (tg.prod, [[2, 0, 3]], 0, [0, 6, 0]),
    "prod with two zeros": (tg.prod, [[2, 0, 0]], 0, [0, 0, 0]),
    "cumprod with a zero": (lambda x: x.cumprod(0), [[2, 0, 3, 4]], [2, 0, 0, 0], [1, 2 + 6 + 24, 0, 0]),
    "0 ** 0": (lambda x, y: x**y, [[0.0, 0.0], [0.0, 2.0]], [1, 0], [0, 0], [0, 0]),
    "0 ** 1": (lambda x, y: x**y, [[0.0, 0.0], [1.0, 1.5]], [0, 0], [1, 0], [0, 0]),
    "0 ** a number": (lambda x: x**0 + x**1 + x**2, [[0.0, 2.0]], [1, 7], [1, 5]),
    "0 ln 0": (tg.xlogy, [[0.0, 2.0], [0.0, 1.0]], [0, 0], [0, 0], [0, 2]),
    "0 ln y has the slope ln y": (tg.xlogy, [[0.0], [np.e]], [0], [1], [0]),
    "where hides what it does not choose": (
        lambda x: tg.where(x > 0, x.abs() ** 0.5, 0),
        [[-1, 4]],
        [0, 2],
        [0, 0.25],
    ),
    "relu6 at its ends": (F.relu6, [[0, 6]], [0, 6], [0, 0]),
    "leaky_relu at 0": (lambda x: F.leaky_relu(x, 0.25), [[0]], [0], [0.25]),
    "prelu at 0": (F.prelu, [[0], [0.25]], [0], [0.25], [0]),
    "elu at 0": (lambda x: F.elu(x, 0.5), [[0]], [0], [0.5]),
    "celu at 0": (lambda x: F.celu(x, 0.5), [[0]], [0], [1]),
    "softsign at 0": (F.softsign, [[0]], [0], [1]),
    "hardtanh at its ends": (F.hardtanh, [[-1, 1]], [-1, 1], [0, 0]),
    "hardsigmoid at its ends": (F.hardsigmoid, [[-3, 3]], [0, 1], [0, 0]),
    "threshold": (lambda x: F.threshold(x, 0.5, 9.0), [[0.5]], [9], [0]),
    "l1_loss at its target": (F.l1_loss, [[2], [2]], 0, [0], [0]),
    "smooth_l1_loss at its bend": (F.smooth_l1_loss, [[1], [0]], 0.5, [1], [-1]),
    "huber_loss at its bend": (lambda x, y: F.huber_loss(x, y, delta=3.0), [[3], [0]], 4.5, [3], [-3]),
    "margin_ranking_loss at its margin": (
        lambda x, y: F.margin_ranking_loss(x, y, tg.tensor([1.0])),
        [[1], [1]],
        0,
        [-1],
        [1],
    ),
    "hinge_embedding_loss at its margin": (
        lambda x: F.hinge_embedding_loss(x, tg.tensor([-1.0]), margin=2.0),
        [[2]],
        0,
        [-1],
    ),
}


@pytest.mark.parametrize("name", KINKS)
def test_kink(name):
    f, arrays, *expected = KINKS[name]
    for found, wanted in zip(outcome(f, *arrays), expected):
        np.testing.assert_allclose(found, wanted, 1e-15)


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_a_kink_are_proportional_to_what_comes_in(name):
    """For w y the gradients are w times those of y, and so their derivative by w is those of y."""
    f, arrays, _, *expected = KINKS[name]
    xs = [tg.tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    w = tg.tensor(3.0, dtype=tg.float64, requires_grad=True)
    y = f(*xs)
    y = (y[0] if isinstance(y, tuple) else y) * w
    found = tg.autograd.grad(y.sum(), xs, create_graph=True, materialize_grads=True)
    for g, wanted in zip(found, expected):
        np.testing.assert_allclose(g.detach().numpy(), 3 * np.asarray(wanted), 1e-15)
    total = sum((g * g.detach()).sum() for g in found)
    if total.requires_grad:
        by_w = tg.autograd.grad(total, w, allow_unused=True, materialize_grads=True)[0].item()
        assert by_w == pytest.approx(sum(3 * np.square(wanted).sum() for wanted in expected))


POLES = {
    "ln 0": (tg.log, [[0.0]], [-INF], [INF]),
    "ln(1 - 1)": (tg.log1p, [[-1.0]], [-INF], [INF]),
    "log₂ 0": (tg.log2, [[0.0]], [-INF], [INF]),
    "√0": (tg.sqrt, [[0.0]], [0], [INF]),
    "1 / 0": (tg.div, [[1.0], [0.0]], [INF], [INF], [-INF]),
    "0 ** -1": (lambda x, y: x**y, [[0.0], [-1.0]], [INF], [-INF], [-INF]),
    "√0 as a power": (lambda x, y: x**y, [[0.0], [0.5]], [0], [INF], [0]),
    "∞ ** 0": (lambda x, y: x**y, [[INF], [0.0]], [1], [0], [INF]),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("name", POLES)
def test_pole(name):
    f, arrays, *expected = POLES[name]
    for found, wanted in zip(outcome(f, *arrays), expected):
        np.testing.assert_array_equal(found, wanted)


FAR = {
    "sigmoid": (tg.sigmoid, [[-1e4, -800, 1e4]], [0, 0, 1], [0, 0, 0]),
    "tanh": (tg.tanh, [[-1e4, 1e4]], [-1, 1], [0, 0]),
    "logsumexp up": (lambda x: x.logsumexp(0), [[1e4, 1e4]], 1e4 + math.log(2), [0.5, 0.5]),
    "logsumexp down": (lambda x: x.logsumexp(0), [[-1e4, -1e4]], -1e4 + math.log(2), [0.5, 0.5]),
    "logsumexp of one": (lambda x: x.logsumexp(0), [[1e4, -1e4]], 1e4, [1, 0]),
    "logsumexp with -inf": (lambda x: x.logsumexp(0), [[-INF, 1.0]], 1, [0, 1]),
    "logaddexp": (tg.logaddexp, [[1e4, -1e4], [-1e4, -1e4]], [1e4, -1e4 + math.log(2)], [1, 0.5], [0, 0.5]),
    "small steps of expm1": (tg.expm1, [[1e-20]], [1e-20], [1]),
    "small steps of log1p": (tg.log1p, [[1e-20]], [1e-20], [1]),
    "erf": (tg.erf, [[-40, 0, 40]], [-1, 0, 1], [0, 2 / math.sqrt(math.pi), 0]),
}


@pytest.mark.parametrize("name", FAR)
def test_far_from_zero(name):
    f, arrays, *expected = FAR[name]
    for found, wanted in zip(outcome(f, *arrays), expected):
        np.testing.assert_allclose(found, wanted, 1e-12)


NANS = {
    "relu": (tg.relu, [NAN, -1], [NAN, 0]),
    "clamp": (lambda x: x.clamp(-1, 1), [NAN, 3], [NAN, 1]),
    "maximum": (lambda x: tg.maximum(x, tg.zeros(2)), [NAN, -1], [NAN, 0]),
    "minimum": (lambda x: tg.minimum(x, tg.zeros(2)), [NAN, -1], [NAN, -1]),
    "amax": (tg.amax, [1, NAN], NAN),
    "amin": (tg.amin, [1, NAN], NAN),
    "max(dim)": (lambda x: x.max(0).values, [3, NAN], NAN),
    "its index": (lambda x: x.max(0).indices, [3, NAN, NAN], 1),
    "argmin": (tg.argmin, [3, NAN, 1], 1),
    "sort": (lambda x: x.sort().values, [NAN, 2, 1], [1, 2, NAN]),
    "sort down": (lambda x: x.sort(descending=True).values, [1, NAN, 2], [NAN, 2, 1]),
    "topk": (lambda x: x.topk(1).values, [1, NAN], [NAN]),
    "sum": (tg.sum, [1, NAN], NAN),
    "logsumexp": (lambda x: x.logsumexp(0), [1, NAN], NAN),
    "norm": (tg.norm, [1, NAN], NAN),
    "sign": (tg.sign, [NAN, -2], [0, -1]),
    "masked": (lambda x: tg.where(tg.isnan(x), 0, x), [NAN, 2], [0, 2]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NANS)
def test_nan(name):
    f, values, expected = NANS[name]
    np.testing.assert_array_equal(f(tg.tensor(np.array(values, float))).numpy(), expected)


EMPTY = {
    "sum": (lambda x: x.sum(1), [0, 0]),
    "prod": (lambda x: x.prod(1), [1, 1]),
    "mean": (lambda x: x.mean(1), [NAN, NAN]),
    "logsumexp": (lambda x: x.logsumexp(1), [-INF, -INF]),
    "norm": (lambda x: x.norm(dim=1), [0, 0]),
    "all": (lambda x: x.sum(1) + x.all(1), [1, 1]),
    "any": (lambda x: x.sum(1) + x.any(1), [0, 0]),
    "a product over nothing": (lambda x: x @ tg.zeros(0, 2, dtype=x.dtype), np.zeros((2, 2))),
    "cumsum": (lambda x: x.cumsum(1), np.zeros((2, 0))),
    "sort": (lambda x: x.sort(1).values, np.zeros((2, 0))),
    "amax of no rows": (lambda x: x.amax(0), np.zeros(0)),
    "cat": (lambda x: tg.cat([x, tg.ones(2, 1, dtype=x.dtype)], 1), [[1], [1]]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", EMPTY)
def test_of_nothing(name):
    f, expected = EMPTY[name]
    found, gradient = outcome(lambda x: f(x) * 1.0, np.zeros((2, 0)))
    np.testing.assert_array_equal(found, expected)
    assert gradient.shape == (2, 0)


@pytest.mark.parametrize(
    "call", ["amax(1)", "amin(1)", "max(1)", "argmax(1)", "argmin()", "max()", "norm(float('inf'))"]
)
def test_nothing_to_choose_from(call):
    with pytest.raises(IndexError, match=r"nothing to choose from in shape \(2, 0\)"):
        eval(f"x.{call}", {"x": tg.zeros(2, 0)})
