"""Distributions beside PyTorch's: numbers, gradients, shapes, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")
BOTH = (tg, torch)

positive = st.floats(0.05, 20).map(lambda v: round(v, 3))
number = st.floats(-5, 5).map(lambda v: round(v, 3))
share = st.floats(0, 1).map(lambda v: round(v, 2))
FAMILIES = {
    "Normal": ([number, positive], number),
    "Laplace": ([number, positive], number),
    "Exponential": ([positive], positive),
    "Uniform": ([number, number], number),
    "Beta": ([positive, positive], st.floats(0.01, 0.99)),
    "StudentT": ([positive, number, positive], number),
    "Bernoulli": ([share], st.sampled_from([0.0, 1.0])),
    "Categorical": ([share], st.integers(0, 2)),
}
MOMENTS = ("mean", "mode", "variance", "stddev", "batch_shape", "event_shape", "entropy", "perplexity")


def outcome(call):
    """A value as an array, or that there is none."""
    try:
        y = call()
    except (ValueError, NotImplementedError) as error:
        return type(error).__name__
    return tuple(y) if isinstance(y, tuple) else y


def same(ours, theirs, what, grads=(), rtol=1e-9):
    """Both refuse, are the same shape, or the same numbers with the same gradients."""
    if isinstance(ours, (str, tuple)) or isinstance(theirs, (str, tuple)):
        assert ours == (theirs if isinstance(theirs, str) else tuple(theirs)), what
        return
    found = []
    for y, leaves in ((ours, grads and grads[0]), (theirs, grads and grads[1])):
        for x in leaves:
            x.grad = None
        if y.requires_grad:
            finite = y.reshape(-1)[np.isfinite(y.detach().numpy().reshape(-1))]
            with np.errstate(all="ignore"):  # √0 has an infinite derivative
                (finite * finite).sum().backward(retain_graph=True)
        zero = [np.zeros(x.shape) if x.grad is None else x.grad.numpy() for x in leaves]
        found.append([y.detach().numpy(), *zero])
    for a, b in zip(*found):
        assert a.shape == b.shape and a.dtype == b.dtype, what
        np.testing.assert_allclose(a, b, rtol, 1e-9, err_msg=what)


def draw_parameters(data, kinds, shape):
    return [np.array([data.draw(kind) for _ in range(int(np.prod(shape)))]).reshape(shape) for kind in kinds]


def made(lib, name, arrays, options):
    leaves = [lib.tensor(a, dtype=lib.float64).requires_grad_() for a in arrays]
    given = dict(zip(options.pop("names", ()), leaves))
    family = getattr(lib.distributions, name)
    return family(**given, **options) if given else family(*leaves, **options), leaves


@pytest.mark.parametrize("name", FAMILIES)
@given(st.data())
def test_numbers_and_gradients(name, data):
    kinds, values = FAMILIES[name]
    batch = data.draw(st.sampled_from([(), (2,), (2, 1)]))
    shape = (*batch, 3) if name == "Categorical" else batch
    options = {}
    if name in ("Bernoulli", "Categorical"):
        options["names"] = [data.draw(st.sampled_from(["probs", "logits"]))]
        kinds = [number] if options["names"] == ["logits"] else kinds
    if data.draw(st.booleans()):
        options["validate_args"] = data.draw(st.booleans())
    arrays = draw_parameters(data, kinds, shape)
    if name == "Uniform" and not options.get("validate_args", True):
        arrays[1] = arrays[0] + np.abs(arrays[1]) + 0.1
    if name == "Categorical" and "probs" in options["names"]:
        arrays[0] = arrays[0] + 0.01
    ours, theirs = (outcome(lambda lib=lib: made(lib, name, arrays, dict(options))) for lib in BOTH)
    if "ValueError" in (ours, theirs):
        assert ours == theirs
        return
    pair, leaves = (ours[0], theirs[0]), (ours[1], theirs[1])
    for what in MOMENTS:
        if (name, what) == ("Beta", "mode"):
            continue  # not there

        def ask(p, what=what):
            y = getattr(p, what)
            return y() if callable(y) else y

        rtol = 1e-7 if name in ("Beta", "StudentT") else 1e-9  # PyTorch's trigamma is exact to 1e-8 only
        same(*(outcome(lambda p=p: ask(p)) for p in pair), what, leaves if what != "mode" else (), rtol)
    x = np.array([data.draw(values) for _ in range(2)])
    for what in ("log_prob", "cdf", "icdf"):
        if (name, what) in {("Normal", "icdf"), ("StudentT", "cdf"), ("Beta", "cdf")}:
            continue  # PyTorch's need more functions, or are not there
        if what == "icdf":
            x = np.array([0.25, 0.9])
        calls = [getattr(p, what) for p in pair]
        same(
            *(outcome(lambda f=f, lib=lib, x=x: f(lib.tensor(x))) for f, lib in zip(calls, BOTH)),
            what,
            leaves,
        )
    if pair[0].has_enumerate_support:
        for expand in (True, False):
            same(*(p.enumerate_support(expand) for p in pair), "enumerate_support")
    grown = [p.expand((4, *batch)) for p in pair]
    same(*(p.batch_shape for p in grown), "expand")
    assert pair[0].has_rsample == pair[1].has_rsample or name == "Beta"
    assert pair[0].sample((5,)).shape == tuple(pair[1].sample((5,)).shape)


@pytest.mark.parametrize("name", FAMILIES)
@given(st.data())
def test_divergences(name, data):
    if name == "StudentT":
        return  # PyTorch has none
    kinds, _ = FAMILIES[name]
    shape = (2, 3) if name == "Categorical" else (2,)
    numbers = [draw_parameters(data, kinds, shape) for _ in range(2)]
    if name == "Categorical":
        numbers = [[a + 0.01] for (a,) in numbers]
    if name == "Uniform":
        numbers = [[np.minimum(*n), np.maximum(*n) + 0.1] for n in numbers]
    pairs = []
    for lib in BOTH:
        pairs.append([made(lib, name, n, {}) for n in numbers])
    ours, theirs = (lib.distributions.kl_divergence(p[0], q[0]) for lib, (p, q) in zip(BOTH, pairs))
    assert ours.shape == tuple(theirs.shape) == (2,)
    rtol = 1e-7 if name == "Beta" else 1e-9  # as above
    same(ours, theirs, "kl", [p[1] + q[1] for p, q in pairs], rtol)


@given(st.data())
def test_mixtures_of_vectors(data):
    sample = data.draw(st.sampled_from([(), (4,)]))
    shared = data.draw(st.booleans())
    arrays = draw_parameters(data, [number], (3,) if shared else (2, 3))
    arrays += draw_parameters(data, [number, positive], (2, 3, 2))
    value = draw_parameters(data, [number], (*sample, 2, 2))[0]
    found, leaves = [], []
    for lib in BOTH:
        D = lib.distributions
        logits, loc, scale = xs = [lib.tensor(a).requires_grad_() for a in arrays]
        p = D.MixtureSameFamily(D.Categorical(logits=logits), D.Independent(D.Normal(loc, scale), 1))
        flat = D.MixtureSameFamily(D.Categorical(logits=logits), D.Laplace(loc[..., 0], scale[..., 0]))
        of_one = lib.tensor(value[..., 0])
        shapes = (tuple(p.batch_shape), tuple(p.event_shape))
        if not shared:  # PyTorch's cannot draw
            shapes += (tuple(p.sample(sample).shape), tuple(flat.sample(sample).shape))
        numbers = [p.log_prob(lib.tensor(value)), flat.log_prob(of_one), flat.cdf(of_one)]
        if not shared:
            numbers += [p.mean, p.variance, flat.mean, flat.variance]
        found.append([shapes, *numbers])
        leaves.append(xs)
    for k, (a, b) in enumerate(zip(*found)):
        same(a, b, str(k), leaves)


@given(st.data())
def test_independent(data):
    arrays = draw_parameters(data, [number, positive], (2, 3))
    count = data.draw(st.integers(0, 3))
    value = draw_parameters(data, [number], (4, 2, 3))[0]
    found, leaves = [], []
    for lib in BOTH:
        D = lib.distributions
        xs = [lib.tensor(a).requires_grad_() for a in arrays]
        try:
            p = D.Independent(D.Normal(*xs), count)
        except ValueError:
            found.append(["refused"])
            continue
        q = D.Independent(D.Normal(0.0, 1.0).expand((2, 3)), count)
        shapes = tuple(p.batch_shape), tuple(p.event_shape), tuple(p.expand((5, *p.batch_shape)).batch_shape)
        numbers = p.log_prob(lib.tensor(value)), p.entropy(), p.mean, p.mode, p.variance, p.stddev
        found.append([shapes, *numbers, D.kl_divergence(p, q), p.rsample((2,)).sum() * 0])
        leaves.append(xs)
    for k, (a, b) in enumerate(zip(*found)):
        same(a, b, str(k), leaves)


REFUSED = [
    lambda D, t: D.Normal(t([0.0]), t([-1.0])),
    lambda D, t: D.Normal(t([float("nan")]), t([1.0])),
    lambda D, t: D.Normal(t([0.0, 1.0]), t([1.0, 1.0])).log_prob(t([1.0, 2.0, 3.0])),
    lambda D, t: D.Normal(0.0, 1.0).log_prob(1.0),
    lambda D, t: D.Normal(0.0, 1.0).log_prob(t(float("nan"))),
    lambda D, t: D.Exponential(t([1.0])).log_prob(t([-1.0])),
    lambda D, t: D.Uniform(1.0, 0.0),
    lambda D, t: D.Uniform(0.0, 1.0).log_prob(t(1.5)),
    lambda D, t: D.Bernoulli(t([1.5])),
    lambda D, t: D.Bernoulli(t([0.5]), t([0.5])),
    lambda D, t: D.Bernoulli(),
    lambda D, t: D.Bernoulli(0.5).log_prob(t(0.5)),
    lambda D, t: D.Categorical(t([-0.5, 1.5])),
    lambda D, t: D.Categorical(t(0.5)),
    lambda D, t: D.Categorical(t([0.5, 0.5])).log_prob(t(2)),
    lambda D, t: D.Categorical(t([0.5, 0.5])).log_prob(t(0.5)),
    lambda D, t: D.Beta(t([0.0]), t([1.0])),
    lambda D, t: D.Independent(D.Normal(t([0.0, 1.0]), 1.0), 1).log_prob(t([0.0] * 3)),
    lambda D, t: D.MixtureSameFamily(D.Normal(t([0.0]), 1.0), D.Normal(t([0.0]), 1.0)),
    lambda D, t: D.MixtureSameFamily(D.Categorical(t([1.0, 1.0])), D.Normal(t([0.0]), 1.0)),
    lambda D, t: D.Distribution.set_default_validate_args("yes"),
]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_what_both_refuse(i):
    for lib in BOTH:
        with pytest.raises(ValueError):
            REFUSED[i](lib.distributions, lib.tensor)
