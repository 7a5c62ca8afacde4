"""The linear-chain CRF against all sequences of tags, each written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import gradcheck, gradgradcheck


def random_crf(K, rng, batch_first=False):
    """A CRF with parameters far from 0, in float64."""
    crf = nn.CRF(K, batch_first, dtype=tg.float64)
    for p in crf.parameters():
        p.data = tg.tensor(rng.normal(0, 1.5, p.shape))
    return crf


def score(crf, e, y):
    """s(x, y) of one sequence e (n, K)."""
    if not y:
        return 0.0
    start, end, A = (
        p.detach().numpy() for p in (crf.start_transitions, crf.end_transitions, crf.transitions)
    )
    total = start[y[0]] + end[y[-1]]
    for t, k in enumerate(y):
        total += e[t, k]
    for i, j in itertools.pairwise(y):
        total += A[i, j]
    return total


def distribution(crf, e):
    """{y: p(y | x)} of one sequence e (n, K), and ln Z."""
    n, K = e.shape
    scores = {y: score(crf, e, y) for y in itertools.product(range(K), repeat=n)}
    z = sum(math.exp(s) for s in scores.values())
    return {y: math.exp(s) / z for y, s in scores.items()}, math.log(z)


@st.composite
def problems(draw):
    """A CRF, emissions and tags with junk after each length, lengths, mask; steps first or batch first."""
    T, B, K = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = [draw(st.integers(0, T)) for _ in range(B)]
    e, y = rng.normal(0, 2, (T, B, K)), rng.integers(0, K, (T, B))
    inside = np.arange(T)[:, None] < np.array(lengths)
    e[~inside], y[~inside] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 7.0])), K + 5
    return random_crf(K, rng, draw(st.booleans())), e, y, lengths, inside


def given_to(crf, *arrays):
    """Tensors in the order that the CRF takes."""
    return [tg.tensor(a.swapaxes(0, 1) if crf.batch_first else a) for a in arrays]


@given(problems())
def test_log_likelihood(problem):
    crf, e, y, lengths, inside = problem
    emissions, tags, mask = given_to(crf, e, y, inside)
    found = crf.log_likelihood(emissions, tags, mask)
    for b, n in enumerate(lengths):
        p, _ = distribution(crf, e[:n, b])
        expected = math.log(p[tuple(y[:n, b].tolist())])
        assert math.isclose(found[b].item(), expected, rel_tol=1e-9, abs_tol=1e-9)
    each = found.detach().numpy()
    for reduction, expected in {
        "none": each,
        "sum": each.sum(),
        "mean": each.mean(),
        "token_mean": each.sum() / sum(lengths) if sum(lengths) else np.nan,
    }.items():
        np.testing.assert_allclose(crf(emissions, tags, mask, reduction).detach(), expected, rtol=1e-12)
    assert crf(emissions, tags, mask).item() == pytest.approx(each.sum(), rel=1e-12, abs=1e-12)


@given(problems())
def test_decode_gives_the_most_probable_tags(problem):
    crf, e, _, lengths, inside = problem
    emissions, mask = given_to(crf, e, inside)
    for b, (n, path) in enumerate(zip(lengths, crf.decode(emissions, mask))):
        p, _ = distribution(crf, e[:n, b])
        assert tuple(path) == max(p, key=p.get)


@given(problems())
def test_marginals(problem):
    crf, e, _, lengths, inside = problem
    emissions, mask = given_to(crf, e, inside)
    found = crf.marginals(emissions, mask)
    assert found.shape == emissions.shape
    found = found.detach().numpy().swapaxes(0, 1) if crf.batch_first else found.detach().numpy()
    expected = np.zeros_like(e)
    for b, n in enumerate(lengths):
        for y, p in distribution(crf, e[:n, b])[0].items():
            for t, k in enumerate(y):
                expected[t, b, k] += p
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(problems())
def test_the_gradient_is_tags_less_marginals(problem):
    """∂ ln p(y | x) / ∂e_t[k] = [y_t = k] - p(y_t = k | x), 0 after the last step whatever stands there."""
    crf, e, y, _, inside = problem
    emissions, tags, mask = given_to(crf, e, y, inside)
    emissions.requires_grad_()
    crf(emissions, tags, mask).backward()
    marginals = crf.marginals(emissions, mask).detach().numpy()
    g = emissions.grad.numpy()
    if crf.batch_first:
        g, marginals = g.swapaxes(0, 1), marginals.swapaxes(0, 1)
    chosen = (y[..., None] == np.arange(crf.num_tags)) & inside[..., None]
    np.testing.assert_allclose(g, chosen - marginals, rtol=1e-9, atol=1e-9)
    assert (g[~inside] == 0).all()
    for p in crf.parameters():
        assert np.isfinite(p.grad.numpy()).all()


def ragged_case():
    rng = np.random.default_rng(2)
    crf = random_crf(3, rng)
    emissions = tg.tensor(rng.normal(size=(4, 4, 3)), requires_grad=True)
    tags = tg.tensor(rng.integers(0, 3, (4, 4)))
    mask = tg.arange(4)[:, None] < tg.tensor([4, 2, 1, 0])
    return crf, emissions, tags, mask


def test_first_and_second_order():
    rng = np.random.default_rng(2)
    crf = random_crf(2, rng, batch_first=True)
    emissions = tg.tensor(rng.normal(size=(3, 3, 2)), requires_grad=True)
    tags, mask = tg.tensor(rng.integers(0, 2, (3, 3))), tg.arange(3) < tg.tensor([[3], [2], [0]])
    for check in (gradcheck, gradgradcheck):
        assert check(lambda e: crf.log_likelihood(e, tags, mask), [emissions], parameters=crf)
        assert check(lambda e: crf.marginals(e, mask), [emissions], parameters=crf)


def test_padding_never_reaches_a_second_derivative():
    crf, emissions, tags, mask = ragged_case()
    emissions.data[~mask] = math.nan
    (g,) = tg.autograd.grad(crf(emissions, tags, mask), emissions, create_graph=True)
    seconds = tg.autograd.grad((g * g).sum(), [emissions, *crf.parameters()])
    assert all(np.isfinite(h.numpy()).all() for h in seconds)
    assert (seconds[0][~mask] == 0).all()


def test_without_a_mask_every_step_counts():
    crf, emissions, tags, _ = ragged_case()
    full = tg.ones(4, 4, dtype=tg.uint8)
    for reduction in ("none", "token_mean"):
        np.testing.assert_array_equal(
            crf(emissions, tags, None, reduction).detach(), crf(emissions, tags, full, reduction).detach()
        )
    assert crf.decode(emissions) == crf.decode(emissions, full)
    assert crf.marginals(emissions).tolist() == crf.marginals(emissions, full).tolist()


def test_a_forbidden_transition_is_never_taken():
    """BIO tags: I (1) may not come first, nor after O (2)."""
    crf, emissions, _, mask = ragged_case()
    crf.start_transitions.data[1] = crf.transitions.data[2, 1] = -math.inf
    emissions.data[..., 1] += 5
    forbidden = lambda y: 1 in y[:1] or (2, 1) in itertools.pairwise(y)  # noqa: E731
    assert not any(forbidden(path) for path in crf.decode(emissions, mask))
    allowed, wrong = [0, 1, 2, 2], [0, 2, 1, 1]
    tags = tg.tensor([allowed, wrong, allowed, wrong]).T
    likelihood = crf.log_likelihood(emissions, tags)
    e = emissions.detach().numpy()
    with np.errstate(divide="ignore"):
        for b in (0, 2):
            p, _ = distribution(crf, e[:, b])
            assert math.isclose(likelihood[b].item(), math.log(p[tuple(allowed)]), rel_tol=1e-9)
    assert likelihood[1].item() == likelihood[3].item() == -math.inf
    likelihood.sum().backward()
    assert (emissions.grad[:, 1::2] == 0).all() and (emissions.grad[:, ::2] != 0).any()
    assert crf.start_transitions.grad[1] == crf.transitions.grad[2, 1] == 0
    assert all(np.isfinite(p.grad.numpy()).all() for p in crf.parameters())
    assert crf.marginals(emissions)[0, :, 1].tolist() == [0, 0, 0, 0]


def test_where_nothing_is_possible_there_are_no_marginals():
    crf, emissions, tags, mask = ragged_case()
    crf.end_transitions.data[:] = -math.inf
    p = crf.marginals(emissions, mask)
    assert p[mask].isnan().all() and (p[~mask] == 0).all()
    assert crf.log_likelihood(emissions, tags, mask).tolist() == [-math.inf] * 3 + [0]


def test_the_number_of_operations_of_a_step_depends_on_no_size():
    def nodes(B, K):
        crf = nn.CRF(K)
        y = crf(tg.randn(6, B, K), tg.zeros(6, B).long())
        seen, stack = set(), [y.grad_fn]
        while stack:
            node = stack.pop()
            if node is not None and node not in seen:
                seen.add(node)
                stack += getattr(node, "parents", ())
        return len(seen)

    assert nodes(1, 2) == nodes(5, 4)


def test_starting_values_and_names():
    tg.manual_seed(0)
    crf = nn.CRF(40, batch_first=True)
    assert [(name, p.shape) for name, p in crf.named_parameters()] == [
        ("start_transitions", (40,)),
        ("end_transitions", (40,)),
        ("transitions", (40, 40)),
    ]
    for p in crf.parameters():
        assert p.dtype == tg.float32 and abs(p).max() <= 0.1 and abs(p.std().item() - 0.1 / 3**0.5) < 0.02
    assert all(p.dtype == tg.float64 for p in nn.CRF(2, device="cpu", dtype=tg.float64).parameters())
    with pytest.raises((RuntimeError, NotImplementedError), match="cuda"):
        nn.CRF(2, device="cuda")
    assert str(crf) == "CRF(num_tags=40, batch_first=True)"
    loss = crf(tg.randn(2, 3, 40), tg.zeros(2, 3).long())
    assert loss.dtype == crf.marginals(tg.randn(2, 3, 40)).dtype == tg.float32


E, Y, M = tg.zeros(3, 2, 4), tg.zeros(3, 2).long(), tg.ones(3, 2) > 0
GAP = tg.tensor([[1, 0], [0, 0], [1, 0]]) > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda crf: crf(E[0], Y, M), ValueError, r"emissions must be floats \(T, B, 4\).*\(2, 4\)"),
        (lambda crf: crf(E[:0], Y, M), ValueError, r"emissions.*none of them 0; got float32 \(0, 2, 4\)"),
        (lambda crf: crf.decode(E[..., :3]), ValueError, r"emissions.*\(3, 2, 3\)"),
        (lambda crf: crf.decode(E.long()), ValueError, "emissions must be floats.*int64"),
        (lambda crf: crf(E, Y, GAP), ValueError, "mask must be true for the first steps.*without gaps"),
        (lambda crf: crf.marginals(E, ~M[:, :1]), ValueError, r"mask \(3, 1\).*\(3, 2\)"),
        (lambda crf: crf(E, Y, M.long()), TypeError, "CRF: a mask must hold truth values"),
        (lambda crf: crf(E, Y[:2], M), ValueError, r"tags \(2, 2\).*first two sizes, \(3, 2\)"),
        (lambda crf: crf(E, E[..., 0], M), TypeError, "tags must hold integers, got float32; use .long()"),
        (lambda crf: crf(E, Y + 4, M), IndexError, "tags 4 … 4 given, for 4 tags"),
        (lambda crf: crf(E, Y - 1, M), IndexError, "tags -1 … -1"),
        (lambda crf: crf(E, Y, M, "avg"), ValueError, "'token_mean', got 'avg'"),
        (lambda crf: nn.CRF(0), ValueError, "num_tags must be at least 1, got 0"),
        (lambda crf: nn.CRF(4, True)(E.transpose(0, 1), Y), ValueError, r"tags \(3, 2\).*\(2, 3\)"),
        (lambda crf: nn.CRF(4, True)(E[0], Y, M), ValueError, r"emissions must be floats \(B, T, 4\)"),
    ],
)
def test_what_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(nn.CRF(4))


def test_a_crf_learns_what_emissions_cannot_tell():
    """Two tags that alternate, seen through noise that hides half of them."""
    rng = np.random.default_rng(0)
    tags = (np.arange(12)[:, None] + rng.integers(0, 2, 40)) % 2
    shown = rng.random(tags.shape) < 0.5
    x = np.where(shown, 2.0 * tags - 1, 0)[..., None] * np.array([-1.0, 1.0])
    emissions, y = tg.tensor(x).float(), tg.tensor(tags)
    crf = nn.CRF(2)
    optimizer = tg.optim.Adam(crf.parameters(), lr=0.2)
    for _ in range(30):
        optimizer.zero_grad()
        (-crf(emissions, y, reduction="token_mean")).backward()
        optimizer.step()
    alone = (emissions.argmax(-1) == y).float().mean().item()
    together = np.mean(np.array(crf.decode(emissions)).T == tags)
    assert alone < 0.8 and together > 0.97
