"""CTC against the sum over all alignments, each written out; what must not leak; a small task learned."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.testing import gradcheck, gradgradcheck


def spelled(alignment, blank):
    """The label sequence: repeats merged, then blanks removed."""
    return tuple(c for c, _ in itertools.groupby(alignment) if c != blank)


def by_enumeration(log_probs, y, blank):
    """-ln p(y | x) and its derivative with respect to log_probs (T, C), from every alignment by itself."""
    T, C = log_probs.shape
    p, share = 0.0, np.zeros((T, C))
    for alignment in itertools.product(range(C), repeat=T):
        if spelled(alignment, blank) == tuple(y):
            q = math.exp(sum(log_probs[t, c] for t, c in enumerate(alignment)))
            p += q
            for t, c in enumerate(alignment):
                share[t, c] -= q
    return (-math.log(p), share / p) if p else (math.inf, np.full((T, C), np.nan))


@st.composite
def problems(draw):
    """log_probs (T, B, C), a target of each sequence, frames that count, blank."""
    T, B, C = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(2, 3))
    blank = draw(st.integers(0, C - 1))
    label = st.sampled_from([c for c in range(C) if c != blank])
    targets = [draw(st.lists(label, max_size=3)) for _ in range(B)]
    frames = [draw(st.integers(0, T)) for _ in range(B)]
    seed = draw(st.integers(0, 2**32 - 1))
    log_probs = np.random.default_rng(seed).normal(-1, 2, (T, B, C))
    for t, b, c in draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in (T, B, C))), max_size=2)):
        log_probs[t, b, c] = -np.inf
    return log_probs, targets, frames, blank


def padded(targets, fill):
    y = np.full((len(targets), max(map(len, targets)) + 1), fill)
    for row, target in zip(y, targets):
        row[: len(target)] = target
    return tg.tensor(y)


@given(problems(), st.booleans())
def test_the_sum_over_all_alignments(problem, in_a_row):
    log_probs, targets, frames, blank = problem
    found = [by_enumeration(log_probs[:n, b], targets[b], blank) for b, n in enumerate(frames)]
    x = tg.tensor(log_probs, requires_grad=True)
    y = tg.tensor([c for target in targets for c in target], dtype=tg.int64)
    losses = F.ctc_loss(
        x, y if in_a_row else padded(targets, 99), frames, [len(y) for y in targets], blank, "none"
    )
    np.testing.assert_allclose(losses.tolist(), [loss for loss, _ in found], rtol=1e-9, atol=1e-12)
    weights = np.arange(1.0, len(frames) + 1)
    (losses * tg.tensor(weights)).sum().backward()
    for b, (n, (loss, slope)) in enumerate(zip(frames, found)):
        if loss < math.inf:  # else NaN: see below
            np.testing.assert_allclose(x.grad.numpy()[:n, b], weights[b] * slope, rtol=1e-9, atol=1e-12)
        assert (x.grad.numpy()[n:, b] == 0).all()


@given(problems())
def test_infinite_losses_may_count_as_nothing(problem):
    log_probs, targets, frames, blank = problem
    found = [by_enumeration(log_probs[:n, b], targets[b], blank) for b, n in enumerate(frames)]
    x = tg.tensor(log_probs, requires_grad=True)
    loss = nn.CTCLoss(blank, "sum", True)(x, padded(targets, blank), frames, [len(y) for y in targets])
    total = sum(loss for loss, _ in found if loss < math.inf)
    np.testing.assert_allclose(loss.item(), total, rtol=1e-9, atol=1e-12)
    loss.backward()
    for b, (loss, slope) in enumerate(found):
        expected = slope if loss < math.inf else 0
        np.testing.assert_allclose(x.grad.numpy()[: frames[b], b], expected, rtol=1e-9, atol=1e-12)


def test_an_infinite_loss_has_no_derivative():
    """Two equal labels need three frames; the other sequence of the batch is not harmed."""
    x = tg.randn(4, 2, 3).requires_grad_()
    losses = F.ctc_loss(x, tg.tensor([[1, 1], [1, 2]]), [2, 2], [2, 2], reduction="none")
    assert losses[0].item() == math.inf and losses[1].isfinite()
    losses.sum().backward()
    g = x.grad.numpy()
    assert np.isnan(g[:2, 0, :2]).all() and (g[2:] == 0).all() and np.isfinite(g[:, 1]).all()


def ragged_case(seed=3):
    """Different lengths, an empty target, a repeated label, a target that just fits; 4 classes, blank 2."""
    x = tg.tensor(np.random.default_rng(seed).normal(size=(5, 4, 4)), requires_grad=True)
    return x, tg.tensor([[0, 1, 3], [1, 1, 0], [9, 9, 9], [3, 3, 9]]), [5, 4, 3, 3], [3, 3, 0, 2]


def test_first_and_second_order():
    x, y, frames, sizes = ragged_case()
    assert gradcheck(lambda x: F.ctc_loss(x, y, frames, sizes, 2, "none"), [x])
    assert gradgradcheck(lambda x: F.ctc_loss(x, y, frames, sizes, 2, "none"), [x])
    assert gradgradcheck(lambda x: F.ctc_loss(x.log_softmax(-1), y, frames, sizes, 2), [x])


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf])
def test_later_frames_never_leak(junk):
    x, y, frames, sizes = ragged_case()
    reference = F.ctc_loss(x, y, frames, sizes, 2)
    (expected,) = tg.autograd.grad(reference, x)
    dirty = x.detach().clone()
    for b, n in enumerate(frames):
        dirty[n:, b] = junk
    dirty.requires_grad_()
    loss = F.ctc_loss(dirty, y, frames, sizes, 2)
    (g,) = tg.autograd.grad(loss, dirty, create_graph=True)
    (h,) = tg.autograd.grad((g * g).sum(), dirty)
    assert loss.item() == reference.item() and g.tolist() == expected.tolist()
    assert np.isfinite(h.numpy()).all()


def test_nan_in_a_frame_that_counts_is_not_hidden():
    x, y, frames, sizes = ragged_case()
    x.data[0, 1] = math.nan
    assert F.ctc_loss(x, y, frames, sizes, 2, "none").isnan().tolist() == [False, True, False, False]
    assert F.ctc_loss(x, y, frames, sizes, 2, "none", True).isnan().tolist() == [False, True, False, False]


def test_the_mean_is_that_of_losses_per_label():
    x, y, frames, sizes = ragged_case()
    each = F.ctc_loss(x, y, frames, sizes, 2, "none").detach().numpy()
    mean = F.ctc_loss(x, y, frames, sizes, 2)
    assert math.isclose(mean.item(), (each / [3, 3, 1, 2]).mean())


def test_one_sequence_without_a_batch():
    x, y, _, _ = ragged_case()
    whole = F.ctc_loss(x[:, :1], y[:1], [5], [3], 2, "none")
    assert whole.shape == (1,)
    for lengths in ((5, 3), ((5,), [3]), (tg.tensor(5), tg.tensor([3]))):
        loss = F.ctc_loss(x[:, 0], y[0], *lengths, 2, "none")
        assert loss.shape == () and loss.item() == whole.item()
    assert math.isclose(F.ctc_loss(x[:, 0], y[0], 5, 3, 2).item(), whole.item() / 3)


@pytest.mark.parametrize("default", [tg.float32, tg.float64])
def test_the_dtype_is_that_of_log_probs(default):
    x, y, frames, sizes = ragged_case()
    expected = F.ctc_loss(x, y, frames, sizes, 2).item()
    tg.set_default_dtype(default)
    try:
        for zero_infinity in (False, True):
            for dtype, rtol in ((tg.float32, 1e-5), (tg.float64, 0)):
                loss = F.ctc_loss(x.detach().to(dtype), y, frames, sizes, 2, "mean", zero_infinity)
                assert loss.dtype == dtype and math.isclose(loss.item(), expected, rel_tol=rtol)
    finally:
        tg.set_default_dtype(tg.float32)


def test_a_long_sequence_in_single_precision():
    """Probabilities of e^-3000 are no difficulty for their logarithms."""
    T, C = 1000, 20
    # blank^a 1^b blank^c 2^d blank^e, with b, d ≥ 1: five lengths that sum to T
    expected = T * math.log(C) - math.log(math.comb(T + 2, 4))
    for dtype, rtol in ((tg.float32, 2e-5), (tg.float64, 1e-12)):
        log_probs = tg.full((T, 1, C), 1 / C, dtype=tg.float64).log().to(dtype)
        loss = F.ctc_loss(log_probs, tg.tensor([[1, 2]]), [T], [2], reduction="sum")
        assert math.isclose(loss.item(), expected, rel_tol=rtol)


def nodes_behind(y):
    seen, stack = set(), [y.grad_fn]
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack += getattr(node, "parents", ())
    return len(seen)


def test_a_frame_costs_the_same_number_of_operations_for_any_batch_and_target():
    counts = []
    for B, L in ((1, 1), (7, 5)):
        x = tg.randn(12, B, 4).requires_grad_()
        counts.append(nodes_behind(F.ctc_loss(x, tg.randint(1, 4, (B, L)), [12] * B, [L] * B)))
    assert counts[0] == counts[1]


X = tg.zeros(4, 2, 3)
Y = tg.tensor([[1, 2], [2, 1]])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X[None], Y, [4, 4], [2, 2]), ValueError, r"log_probs.*\(1, 4, 2, 3\)"),
        ((X[:0], Y, [0, 0], [0, 0]), ValueError, r"log_probs.*\(0, 2, 3\)"),
        ((X.long(), Y, [4, 4], [2, 2]), ValueError, "log_probs.*int64"),
        ((X, Y, [4, 4], [2, 2], 3), ValueError, "blank.*3 classes, got 3"),
        ((X, Y, [4, 4], [2, 2], -1), ValueError, "blank.*got -1"),
        ((X, Y, [4, 4], [2, 2], 0, "avg"), ValueError, "reduction.*'avg'"),
        ((X, Y, [4, 5], [2, 2]), ValueError, r"input_lengths \[4, 5\].*0 and the 4 frames"),
        ((X, Y, [-1, 4], [2, 2]), ValueError, r"input_lengths \[-1, 4\]"),
        ((X, Y, [4], [2, 2]), ValueError, r"input_lengths must be 2 integers.*got \[4\]"),
        ((X, Y, tg.tensor([4.0, 4.0]), [2, 2]), ValueError, "input_lengths must be 2 integers"),
        ((X, Y, [4, 4], [2, 3]), ValueError, r"targets \(2, 2\) must be \(2, at least 3\)"),
        ((X, Y, [4, 4], [2, 5]), ValueError, r"target_lengths \[2, 5\].*the 4 labels"),
        ((X, tg.tensor(1), [4, 4], [1, 0]), ValueError, r"targets \(\)"),
        ((X, Y, [4, 4], [-1, 2]), ValueError, r"target_lengths \[-1, 2\]"),
        ((X, Y, [4, 4], 2), ValueError, "target_lengths must be 2 integers.*got 2"),
        ((X, Y[0], [4, 4], [2, 1]), ValueError, r"targets \(2,\) must be \(2, at least 2\), or \(3,\)"),
        ((X, Y[:1], [4, 4], [1, 1]), ValueError, r"targets \(1, 2\)"),
        ((X, Y[None], [4, 4], [1, 1]), ValueError, r"targets \(1, 2, 2\)"),
        ((X, Y.T[:1], [4, 4], [2, 2]), ValueError, r"targets \(1, 2\)"),
        ((X, Y + 0.5, [4, 4], [2, 2]), TypeError, "targets.*float32; use .long()"),
        ((X, Y == 1, [4, 4], [2, 2]), TypeError, "targets.*bool"),
        ((X, Y + 1, [4, 4], [2, 2]), IndexError, "labels 2 … 3 in targets, for 3 classes"),
        ((X, Y - 2, [4, 4], [2, 2]), IndexError, "labels -1 … 0"),
        ((X, Y, [4, 4], [2, 2], 1), ValueError, "targets hold the blank, 1"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        F.ctc_loss(*arguments)


def test_the_module_refuses_when_it_is_made():
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'avg'"):
        nn.CTCLoss(reduction="avg")


def test_whole_numbers_are_labels_whatever_their_dtype():
    x, y, frames, sizes = ragged_case()
    expected = F.ctc_loss(x, y, frames, sizes, 2).item()
    for dtype in (tg.int32, tg.uint8, tg.float32):
        assert F.ctc_loss(x, y.to(dtype), frames, sizes, 2).item() == expected
