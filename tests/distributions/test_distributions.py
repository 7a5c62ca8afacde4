"""Densities integrate to 1, and what is said of them is what their integrals, sums and samples say."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import distributions as D
from tinygrad_rnn.distributions.gamma import digamma, lgamma
from tinygrad_rnn.testing import gradcheck, gradgradcheck


def two(a, b):
    """Two parameters in float64."""
    return tg.tensor(np.array([a, b], float))


LINE = np.linspace(-60, 60, 240_001)
CONTINUOUS = {
    "Normal": (lambda: D.Normal(two(0.5, -1), two(1.5, 0.7)), LINE),
    "Laplace": (lambda: D.Laplace(two(0.5, -1), two(1.5, 0.7)), LINE),
    "Exponential": (lambda: D.Exponential(two(0.5, 2.5)), np.linspace(0, 80, 200_001)),
    "Uniform": (lambda: D.Uniform(two(-1, 0.5), two(2, 0.75)), np.linspace(-1, 2, 30_001)),
    "Beta": (lambda: D.Beta(two(2, 3.5), two(4, 2.5)), np.linspace(1e-9, 1 - 1e-9, 20_001)),
    "StudentT": (lambda: D.StudentT(two(12, 15), two(0.5, -1), two(1.5, 0.7)), LINE),
    "mixture": (
        lambda: D.MixtureSameFamily(
            D.Categorical(logits=tg.tensor(np.array([[0.1, 0.9, -1], [1, 0, 2]]))),
            D.Normal(tg.tensor(np.array([[0.0, 2, -3], [1, 2, 3]])), 0.8),
        ),
        LINE,
    ),
}


def integral(y, x):
    return ((y[1:] + y[:-1]) / 2 * np.diff(x)[:, None]).sum(0)


def numbers(p, x):
    """ln p at x for both distributions of a batch, by columns, whether or not x is in the support."""
    p._validate_args = False
    return p.log_prob(tg.tensor(x).unsqueeze(-1).expand(-1, 2)).numpy()


@pytest.mark.parametrize("name", CONTINUOUS)
def test_integrals(name):
    make, x = CONTINUOUS[name]
    p = make()
    log_p = numbers(p, x)
    density, log_p = np.exp(log_p), np.where(np.isfinite(log_p), log_p, 0)
    tolerance = 2e-4 if name == "Uniform" else 1e-6  # it jumps
    np.testing.assert_allclose(integral(density, x), 1, tolerance)
    mean = integral(density * x[:, None], x)
    np.testing.assert_allclose(p.mean.numpy(), mean, tolerance, 1e-7)
    variance = integral(density * (x[:, None] - mean) ** 2, x)
    np.testing.assert_allclose(p.variance.numpy(), variance, 5 * tolerance)
    np.testing.assert_allclose(p.stddev.numpy() ** 2, variance, 5 * tolerance)
    if name != "mixture":
        np.testing.assert_allclose(p.entropy().numpy(), integral(-density * log_p, x), 10 * tolerance, 1e-4)
        np.testing.assert_allclose(p.perplexity().numpy(), np.exp(p.entropy().numpy()), 1e-12)
    if name in ("Normal", "Laplace", "StudentT"):
        np.testing.assert_allclose(p.mode.numpy(), x[density.argmax(0)], 1e-3, 1e-3)


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Exponential", "Uniform", "mixture"])
def test_distribution_functions(name):
    make, x = CONTINUOUS[name]
    p, x = make(), x[:: len(x) // 2000]
    fine = np.linspace(x[0], x[-1], 200_001)
    density = np.exp(numbers(p, fine))
    upto = np.concatenate(
        [np.zeros((1, 2)), np.cumsum((density[1:] + density[:-1]) / 2, 0) * np.diff(fine)[:1]]
    )
    found = p.cdf(tg.tensor(fine[::100]).unsqueeze(-1).expand(-1, 2)).numpy()
    np.testing.assert_allclose(found, upto[::100], 0, 2e-4)
    if name not in ("Normal", "mixture"):
        q = tg.tensor(np.array([[0.1, 0.2], [0.9, 0.6]]))
        np.testing.assert_allclose(p.cdf(p.icdf(q)).numpy(), q.numpy(), 1e-9)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_distribution(name):
    p = CONTINUOUS[name][0]()
    x = p.sample((40_000,))
    assert x.shape == (40_000, 2) and x.dtype == tg.float64 and not x.requires_grad
    error = 5 * p.stddev.numpy() / 200
    np.testing.assert_array_less(abs(x.numpy().mean(0) - p.mean.numpy()), error)
    np.testing.assert_allclose(x.numpy().var(0), p.variance.numpy(), 0.06)
    assert p.support.check(x.numpy()).all()
    again = [CONTINUOUS[name][0]() for _ in range(2)]
    draws = [(tg.manual_seed(7), q.sample((3,)).tolist())[1] for q in again]
    assert draws[0] == draws[1]


MADE = {
    "Normal": lambda a, b: D.Normal(a, b.exp()),
    "Laplace": lambda a, b: D.Laplace(a, b.exp()),
    "Exponential": lambda a, b: D.Exponential((a + b).exp()),
    "Uniform": lambda a, b: D.Uniform(a - 3, a + 3 + b.exp()),
    "StudentT": lambda a, b: D.StudentT((a * b).exp() + 1, a, b.exp()),
    "Beta": lambda a, b: D.Beta(a.exp(), b.exp()),
    "Bernoulli": lambda a, b: D.Bernoulli(logits=a + b),
    "Bernoulli probs": lambda a, b: D.Bernoulli((a + b).sigmoid()),
    "Categorical": lambda a, b: D.Categorical(logits=tg.stack([a, b, a * b], -1)),
    "Categorical probs": lambda a, b: D.Categorical(tg.stack([a.exp(), b.exp(), (a * b).exp()], -1)),
    "Independent": lambda a, b: D.Independent(D.Normal(a, b.exp()), 1),
    "mixture": lambda a, b: D.MixtureSameFamily(D.Categorical(logits=a), D.Laplace(b, a.exp())),
}
VALUE = {"Bernoulli": 1.0, "Categorical": 2, "Beta": 0.3}


@pytest.mark.parametrize("name", MADE)
def test_derivatives_of_both_orders(name):
    make, x = MADE[name], tg.tensor(np.asarray(VALUE.get(name.split()[0], 0.4)))

    def all_numbers(a, b):
        p, q = make(a, b), make(b, a)
        found = [p.log_prob(x if name != "Independent" else x.expand(2)).sum()]
        if name != "mixture":
            found.append(p.entropy().sum())
        if name not in ("StudentT", "mixture", "Uniform"):
            found.append(D.kl_divergence(p, q).sum())
        return sum(found)

    inputs = [two(0.3, -0.4).requires_grad_(), two(0.7, 0.2).requires_grad_()]
    gradcheck(all_numbers, inputs)
    gradgradcheck(all_numbers, inputs)


@pytest.mark.parametrize("name", ["Normal", "Laplace", "Exponential", "Uniform", "Independent"])
def test_a_gradient_reaches_the_parameters_through_rsample(name):
    def draw(a, b):
        tg.manual_seed(3)
        return MADE[name](a, b).rsample((4,))

    gradcheck(draw, [two(0.3, -0.4).requires_grad_(), two(0.7, 0.2).requires_grad_()])
    assert MADE[name](two(0.3, -0.4), two(0.7, 0.2)).has_rsample


def test_rsample_of_student_t_has_a_gradient_but_for_df():
    loc = two(0.3, -0.4).requires_grad_()
    D.StudentT(3.0, loc).rsample((5,)).sum().backward()
    assert loc.grad.tolist() == [5, 5]
    with pytest.raises(NotImplementedError, match="no gradient for df"):
        D.StudentT(tg.tensor(3.0, requires_grad=True)).rsample()
    assert D.StudentT(tg.tensor(3.0, requires_grad=True)).sample().shape == ()


PAIRS = {
    "Normal": lambda: [D.Normal(two(0, 1), two(1, 2)), D.Normal(two(1, 0.5), two(2, 1.5))],
    "Laplace": lambda: [D.Laplace(two(0, 1), two(1, 2)), D.Laplace(two(1, 0.5), two(2, 1.5))],
    "Exponential": lambda: [D.Exponential(two(1, 2)), D.Exponential(two(0.5, 3))],
    "Uniform": lambda: [D.Uniform(two(0, 0.25), two(1, 0.5)), D.Uniform(two(0, -1), two(2.0, 1))],
    "Beta": lambda: [D.Beta(two(2, 3), two(3, 2)), D.Beta(two(1.5, 2), two(2.5, 4))],
}


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_are_integrals(name):
    p, q = PAIRS[name]()
    x = CONTINUOUS[name][1]
    log_p, log_q = numbers(p, x), numbers(q, x)
    inside = np.isfinite(log_p) & np.isfinite(log_q)
    shares = np.where(inside, np.exp(log_p) * (np.where(inside, log_p, 0) - np.where(inside, log_q, 0)), 0)
    np.testing.assert_allclose(D.kl_divergence(p, q).numpy(), integral(shares, x), 2e-3, 1e-5)
    np.testing.assert_allclose(D.kl_divergence(p, p).numpy(), 0, 0, 1e-12)


def test_divergences_of_what_can_be_counted():
    a, b = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])
    by_hand = (a * np.log(a / b)).sum()
    found = D.kl_divergence(D.Categorical(tg.tensor(a)), D.Categorical(logits=tg.tensor(np.log(b) + 3)))
    assert found.item() == pytest.approx(by_hand, rel=1e-9)
    found = D.kl_divergence(D.Bernoulli(tg.tensor(0.2).double()), D.Bernoulli(tg.tensor(0.6).double()))
    assert found.item() == pytest.approx(0.2 * math.log(0.2 / 0.6) + 0.8 * math.log(0.8 / 0.4), rel=1e-6)
    sure = D.Bernoulli(two(0, 1))
    assert D.kl_divergence(sure, D.Bernoulli(two(1, 0))).tolist() == [math.inf, math.inf]
    np.testing.assert_allclose(D.kl_divergence(sure, sure).numpy(), 0, 0, 1e-12)
    never = D.Categorical(two(0, 1))
    assert D.kl_divergence(D.Categorical(two(1, 1)), never).item() == math.inf
    assert math.isfinite(D.kl_divergence(never, D.Categorical(two(1, 1))).item())
    assert D.kl_divergence(D.Uniform(0.0, 2.0), D.Uniform(0.0, 1.0)).item() == math.inf


def test_discrete_distributions_by_counting():
    p = np.array([[0.1, 0.0, 0.6, 0.3], [0.25, 0.25, 0.5, 0.0]])
    d = D.Categorical(tg.tensor(p))
    x = d.sample((20_000,)).numpy()
    counts = np.stack([(x == k).mean(0) for k in range(4)], -1)
    np.testing.assert_allclose(counts, p, atol=0.015)
    assert not counts[p == 0].any() and x.dtype == np.int64
    np.testing.assert_allclose(d.log_prob(d.enumerate_support()).exp().numpy().T, p, 1e-9, 1e-9)
    assert d.enumerate_support(False).shape == (4, 1) and d.mode.tolist() == [2, 2]
    assert np.isnan(d.mean.numpy()).all() and np.isnan(d.variance.numpy()).all()
    assert d.expand((3, 2)).sample((5,)).shape == (5, 3, 2)
    known = p[p > 0]
    np.testing.assert_allclose(d.entropy().sum().item(), -(known * np.log(known)).sum(), 1e-9)
    b = D.Bernoulli(two(0.2, 1.0))
    x = b.sample((20_000,)).numpy()
    np.testing.assert_allclose(x.mean(0), [0.2, 1], atol=0.015)
    assert b.enumerate_support().tolist() == [[0, 0], [1, 1]] and x.dtype == np.float64
    np.testing.assert_allclose(b.log_prob(two(0, 1)).exp().numpy(), [0.8, 1], 1e-9)
    np.testing.assert_allclose([b.mean.numpy(), b.variance.numpy()], [[0.2, 1], [0.16, 0]], 1e-12)
    assert D.Bernoulli(two(0.2, 0.7)).mode.tolist() == [0, 1] and math.isnan(D.Bernoulli(0.5).mode.item())
    np.testing.assert_allclose(D.Bernoulli(logits=two(-1, 2)).probs.numpy(), 1 / (1 + np.exp([1, -2])), 1e-12)


def test_moments_that_do_not_exist():
    p = D.StudentT(tg.tensor([0.5, 1.5, 3.0]))
    np.testing.assert_array_equal(p.mean.numpy(), [np.nan, 0, 0])
    np.testing.assert_array_equal(p.variance.numpy(), [np.nan, np.inf, 3])
    assert np.isnan(D.Uniform(0.0, 1.0).mode.item()) and D.Exponential(2.0).mode.item() == 0


def test_the_gamma_function_and_its_derivatives():
    x = two(0.5, 4).requires_grad_()
    np.testing.assert_allclose(lgamma(x).detach().numpy(), [math.log(math.pi) / 2, math.log(6)], 1e-14)
    euler = 0.57721566490153286
    exact = [-euler - 2 * math.log(2), -euler + 1 + 1 / 2 + 1 / 3]
    np.testing.assert_allclose(digamma(x).detach().numpy(), exact, 1e-14)
    (slope,) = tg.autograd.grad(lgamma(x).sum(), x, create_graph=True)
    np.testing.assert_allclose(slope.detach().numpy(), exact, 1e-13)
    (curve,) = tg.autograd.grad(slope.sum(), x)
    np.testing.assert_allclose(curve.numpy(), [math.pi**2 / 2, math.pi**2 / 6 - 1 - 1 / 4 - 1 / 9], 1e-13)


def test_a_beta_whose_density_is_flat_at_one_end_has_a_gradient():
    a = tg.tensor(1.0, dtype=tg.float64).requires_grad_()
    D.Beta(a, 3.0).log_prob(tg.tensor(0.5, dtype=tg.float64)).backward()
    assert a.grad.item() == pytest.approx(math.log(0.5) + 1 + 1 / 2 + 1 / 3, rel=1e-12)  # + ψ(4) - ψ(1)


def test_shapes_and_types():
    p = D.Normal(tg.zeros(3, 1), tg.ones(2))
    assert p.batch_shape == (3, 2) and p.event_shape == () and p.batch_shape.numel() == 6
    assert p.sample((4, 5)).shape == (4, 5, 3, 2) and p.sample().dtype == tg.float32
    assert D.Normal(0, 1).log_prob(tg.tensor(0.0)).dtype == tg.float32
    assert D.Normal(0.0, two(1, 2)).sample().dtype == tg.float64
    grown = D.Normal(0.0, 1.0, validate_args=False).expand((2, 3))
    assert grown.batch_shape == (2, 3) and not grown._validate_args
    inner = D.Independent(p, 1)
    assert (inner.batch_shape, inner.event_shape) == ((3,), (2,)) and inner.sample((4,)).shape == (4, 3, 2)
    assert inner.expand((5, 3)).log_prob(tg.zeros(2)).shape == (5, 3)
    assert inner.entropy().shape == (3,) and inner.variance.shape == inner.mode.shape == inner.mean.shape == (
        3,
        2,
    )
    one = D.Independent(p, 0)
    assert one.log_prob(tg.zeros(2)).shape == (3, 2)
    mixture = D.MixtureSameFamily(D.Categorical(tg.ones(3, 2)), p)
    assert mixture.batch_shape == (3,) and mixture.expand((4, 3)).sample((2,)).shape == (2, 4, 3)
    shared = D.MixtureSameFamily(
        D.Categorical(tg.ones(3)), D.Independent(D.Normal(tg.zeros(4, 3, 2), 1.0), 1)
    )
    assert shared.sample((6,)).shape == (6, 4, 2) and shared.mean.shape == shared.variance.shape == (4, 2)
    assert shared.log_prob(tg.zeros(4, 2)).shape == (4,)
    assert D.Normal(tg.zeros(0), 1.0).sample((2,)).shape == (2, 0)


def test_looks():
    p = D.Normal(tg.zeros(3), 2.0)
    assert (
        repr(p) == "Normal(loc: (3,), scale: (3,))"
        and repr(D.Normal(0.0, 2.0)) == "Normal(loc: 0.0, scale: 2.0)"
    )
    assert repr(D.Independent(p, 1)) == f"Independent({p!r}, 1)"
    mixture = D.MixtureSameFamily(D.Categorical(logits=tg.zeros(3)), p)
    assert (
        repr(mixture) == "MixtureSameFamily(\n  Categorical(logits: (3,)),\n  Normal(loc: (3,), scale: (3,)))"
    )


def test_checks_can_be_turned_off():
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Exponential(1.0).log_prob(tg.tensor(-1.0)).item() == 1
        assert D.Uniform(0.0, 1.0).log_prob(tg.tensor(2.0)).item() == -math.inf
    finally:
        D.Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError):
        D.Exponential(1.0).log_prob(tg.tensor(-1.0))


NORMAL, THREE = D.Normal(tg.zeros(2), 1.0), tg.zeros(3)
BASE = D.Distribution({}, ())
ERRORS = [
    (lambda: D.Normal(THREE, -1.0), ValueError, r"Normal: scale \(shape \(3,\)\) must be above 0"),
    (lambda: D.Normal(math.nan, 1.0), ValueError, "loc.*a number"),
    (lambda: D.Normal(tg.zeros(2), tg.ones(3)), ValueError, r"\(2,\) and \(3,\)"),
    (lambda: D.Normal("a", 1.0), TypeError, "str"),
    (lambda: NORMAL.log_prob(0.0), ValueError, "must be a tensor, got float"),
    (lambda: NORMAL.log_prob(THREE), ValueError, r"shape \(3,\) does not fit batch_shape \(2,\)"),
    (lambda: NORMAL.log_prob(tg.tensor(math.nan)), ValueError, "must be a number, got nan"),
    (lambda: NORMAL.icdf(THREE), NotImplementedError, "Normal: icdf"),
    (lambda: D.Uniform(1.0, 0.0), ValueError, "low 1.0 must be below high 0.0"),
    (lambda: D.Uniform(0.0, 1.0).cdf(tg.tensor(2.0)), ValueError, "between 0.0 and 1.0"),
    (lambda: D.Bernoulli(), ValueError, "probs or logits"),
    (lambda: D.Bernoulli(0.5, 0.5), ValueError, "not both"),
    (lambda: D.Bernoulli(1.5), ValueError, "between 0 and 1"),
    (lambda: D.Bernoulli(0.5).log_prob(tg.tensor(0.5)), ValueError, "0 or 1"),
    (lambda: D.Bernoulli(0.5).rsample(), NotImplementedError, "Bernoulli: rsample"),
    (lambda: D.Categorical(0.5), ValueError, r"\(\*, K\)"),
    (lambda: D.Categorical(tg.tensor([-1.0, 2.0])), ValueError, "sum to 1"),
    (lambda: D.Categorical(THREE + 1).log_prob(tg.tensor(3)), ValueError, "an integer from 0 to 2"),
    (lambda: D.Beta(0.0, 1.0), ValueError, "concentration1.*above 0"),
    (lambda: D.Beta(1.0, 1.0).rsample(), NotImplementedError, "Beta: rsample"),
    (lambda: D.Independent(NORMAL, 2), ValueError, r"reinterpreted_batch_ndims 2.*between 0 and 1.*\(2,\)"),
    (lambda: D.Independent(NORMAL, -1), ValueError, "-1"),
    (lambda: D.MixtureSameFamily(NORMAL, NORMAL), ValueError, "must be a Categorical"),
    (lambda: D.MixtureSameFamily(D.Categorical(THREE + 1), NORMAL), ValueError, r"3 categories.*\(2,\)"),
    (
        lambda: D.MixtureSameFamily(D.Categorical(tg.ones(3, 2)), D.Normal(tg.zeros(4, 2), 1.0)),
        ValueError,
        r"batch_shape \(3,\)",
    ),
    (lambda: D.kl_divergence(NORMAL, D.Exponential(1.0)), NotImplementedError, "Normal and Exponential"),
    (
        lambda: D.kl_divergence(D.Independent(NORMAL, 1), D.Independent(NORMAL, 0)),
        NotImplementedError,
        "one number of reinterpreted",
    ),
    (lambda: D.Distribution.set_default_validate_args("yes"), ValueError, "'yes'"),
    *[
        (lambda what=what: getattr(BASE, what), NotImplementedError, f"Distribution: {what}")
        for what in ("support", "mean", "mode", "variance")
    ],
    (lambda: BASE.entropy(), NotImplementedError, "entropy"),
    (lambda: BASE.log_prob(THREE), NotImplementedError, "log_prob"),
    (lambda: BASE.cdf(THREE), NotImplementedError, "cdf"),
    (lambda: BASE.enumerate_support(), NotImplementedError, "enumerate_support"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_bad_input_is_refused_with_a_sentence(i):
    call, error, text = ERRORS[i]
    with pytest.raises(error, match=text):
        call()
