"""Initialisers: the distribution each promises, from the seed alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import init

N = 60_000


def drawn(function, *shape, **options):
    tg.manual_seed(1)
    t = tg.zeros(*shape).double()
    assert function(t, **options) is t
    return t.numpy()


def assert_uniform(x, low, high):
    """All within [low, high), and every tenth of it holds a tenth of them (5 standard deviations)."""
    assert x.min() >= low and x.max() < high
    shares = np.histogram(x, 10, (low, high))[0] / x.size
    np.testing.assert_allclose(shares, 0.1, atol=5 * math.sqrt(0.09 / x.size))


def assert_normal(x, mean, std):
    """The share below some points is that of the normal distribution (5 standard deviations)."""
    for z in (-2.0, -1.0, 0.0, 0.5, 1.5):
        expected = (1 + math.erf(z / math.sqrt(2))) / 2
        tolerance = 5 * math.sqrt(expected * (1 - expected) / x.size)
        assert abs((x < mean + z * std).mean() - expected) < tolerance


SHAPE = (200, 300)  # fan_in 300, fan_out 200
UNIFORM = [
    (init.uniform_, {"a": -2.0, "b": 3.0}, (-2, 3)),
    (init.xavier_uniform_, {"gain": 2.0}, (-2 * math.sqrt(6 / 500), 2 * math.sqrt(6 / 500))),
    (init.kaiming_uniform_, {}, (-math.sqrt(6 / 300), math.sqrt(6 / 300))),
    (init.kaiming_uniform_, {"a": math.sqrt(5)}, (-math.sqrt(1 / 300), math.sqrt(1 / 300))),
    (
        init.kaiming_uniform_,
        {"mode": "fan_out", "nonlinearity": "linear"},
        (-math.sqrt(3 / 200), math.sqrt(3 / 200)),
    ),
]
NORMAL = [
    (init.normal_, {"mean": 1.0, "std": 0.3}, (1.0, 0.3)),
    (init.xavier_normal_, {}, (0, math.sqrt(2 / 500))),
    (init.kaiming_normal_, {"nonlinearity": "relu"}, (0, math.sqrt(2 / 300))),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, (0, 5 / 3 / math.sqrt(200))),
]


@pytest.mark.parametrize("i", range(len(UNIFORM)))
def test_uniform_ones(i):
    function, options, bounds = UNIFORM[i]
    assert_uniform(drawn(function, *SHAPE, **options), *bounds)


@pytest.mark.parametrize("i", range(len(NORMAL)))
def test_normal_ones(i):
    function, options, moments = NORMAL[i]
    assert_normal(drawn(function, *SHAPE, **options), *moments)


def test_further_dimensions_multiply_the_fans():
    x = drawn(init.xavier_uniform_, 20, 30, 10, 10)
    assert_uniform(x, -math.sqrt(6 / 5000), math.sqrt(6 / 5000))


def test_truncated_normal():
    x = drawn(init.trunc_normal_, N, mean=0.5, std=2.0, a=-1.0, b=3.0)
    assert x.min() >= -1 and x.max() <= 3

    def below(z):
        return (1 + math.erf((z - 0.5) / 2 / math.sqrt(2))) / 2

    for z in (-0.5, 0.5, 2.0):
        expected = (below(z) - below(-1)) / (below(3) - below(-1))
        assert abs((x < z).mean() - expected) < 5 * math.sqrt(0.25 / N)


def test_constants():
    assert drawn(init.constant_, 2, val=0.3).tolist() == [0.3, 0.3]
    assert drawn(init.ones_, 2).tolist() == [1, 1] and drawn(init.zeros_, 2).tolist() == [0, 0]
    assert drawn(init.eye_, 2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]


@given(st.integers(1, 6), st.integers(1, 6), st.floats(0.1, 3))
def test_orthogonal(rows, columns, gain):
    q = drawn(init.orthogonal_, rows, columns, gain=gain)
    square = q @ q.T if rows <= columns else q.T @ q
    np.testing.assert_allclose(square, gain**2 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_prefers_no_direction():
    tg.manual_seed(0)
    samples = np.stack([init.orthogonal_(tg.zeros(3, 2).double()).numpy() for _ in range(4000)])
    np.testing.assert_allclose(samples.mean(0), 0, atol=5 * math.sqrt(1 / 3 / 4000))
    np.testing.assert_allclose((samples**2).mean(0), 1 / 3, atol=5 * math.sqrt(1 / 4000))
    assert init.orthogonal_(tg.zeros(4, 2, 3)).shape == (4, 2, 3)


def test_sparse_columns():
    x = drawn(init.sparse_, 100, 7, sparsity=0.33, std=2.0)
    assert ((x == 0).sum(0) == 33).all()
    assert 1.5 < x[x != 0].std() < 2.5


def test_gains():
    for name, expected in [
        ("linear", 1),
        ("conv2d", 1),
        ("sigmoid", 1),
        ("tanh", 5 / 3),
        ("relu", math.sqrt(2)),
        ("selu", 0.75),
    ]:
        assert init.calculate_gain(name) == expected
    assert init.calculate_gain("leaky_relu", 2) == math.sqrt(2 / 5)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 1e-4))


RANDOM = [init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_, init.xavier_normal_]
RANDOM += [
    init.kaiming_uniform_,
    init.kaiming_normal_,
    init.orthogonal_,
    lambda t, **o: init.sparse_(t, 0.5, **o),
]


@pytest.mark.parametrize("i", range(len(RANDOM)))
def test_the_generator_alone_decides(i):
    function = RANDOM[i]
    before = np.random.get_state()[1].copy()
    tg.manual_seed(0)
    one, other = (function(tg.zeros(4, 5), generator=tg.Generator().manual_seed(7)).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, other)
    by_default = function(tg.zeros(4, 5)).numpy()
    assert (by_default != one).any()
    tg.manual_seed(0)
    np.testing.assert_array_equal(function(tg.zeros(4, 5)).numpy(), by_default)  # the generators did not mix
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_parameter_a_slice_and_a_tied_view_are_written_in_place_without_a_graph():
    p = nn.Parameter(tg.zeros(4, 2))
    init.ones_(p.data[1:3])
    init.constant_(p[0], 5.0)
    assert p.tolist() == [[5, 5], [1, 1], [1, 1], [0, 0]] and p.is_leaf
    init.normal_(p)
    assert p.is_leaf and p.requires_grad and p.grad is None


def test_writing_values_that_a_graph_needs_is_noticed():
    p = nn.Parameter(tg.ones(2))
    y = (p * p).sum()
    init.zeros_(p)
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()


def test_empty_tensors_stay_empty():
    for function in (init.kaiming_uniform_, init.kaiming_normal_, init.orthogonal_):
        assert function(tg.zeros(0, 3)).shape == (0, 3)


def test_refusals():
    for call, kind, words in [
        (lambda: init.xavier_uniform_(tg.zeros(3)), ValueError, r"\(3,\)"),
        (lambda: init.orthogonal_(tg.zeros(3)), ValueError, r"\(3,\)"),
        (lambda: init.eye_(tg.zeros(3)), ValueError, r"\(3,\)"),
        (lambda: init.sparse_(tg.zeros(3), 0.5), ValueError, r"\(3,\)"),
        (lambda: init.kaiming_normal_(tg.zeros(3, 3), mode="fan"), ValueError, "'fan'"),
        (lambda: init.kaiming_normal_(tg.zeros(3, 3), nonlinearity="swish"), ValueError, "'swish'"),
        (lambda: init.calculate_gain("leaky_relu", True), ValueError, "True"),
        (lambda: init.trunc_normal_(tg.zeros(3), a=5.0, b=6.0), NotImplementedError, "a=5.0, b=6.0"),
        (lambda: init.normal_(tg.zeros(3).long()), TypeError, "int64"),
    ]:
        with pytest.raises(kind, match=words):
            call()


def test_layers_that_people_write_ask_for_the_fans_by_pytorchs_name():
    assert nn.init._calculate_fan_in_and_fan_out(tg.zeros(5, 3, 2)) == (6, 10)
