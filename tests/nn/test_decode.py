"""Decoding and error rates against enumeration and the plain recursion."""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.nn.utils import ctc_beam_search, ctc_greedy_decode, edit_distance, error_rate

seeds = st.integers(0, 2**32 - 1)


def spelled(alignment, blank):
    return [c for c, _ in itertools.groupby(alignment) if c != blank]


@st.composite
def frames_of_a_batch(draw):
    """ln p (T, B, C) with some p = 0, frames that count (NaN in the others), blank."""
    T, B, C = draw(st.integers(0, 4)), draw(st.integers(0, 2)), draw(st.integers(2, 3))
    rng = np.random.default_rng(draw(seeds))
    p = rng.dirichlet(np.full(C, 0.7), (T, B)) * (rng.random((T, B, C)) < draw(st.sampled_from([0.7, 1])))
    frames = [draw(st.integers(0, T)) for _ in range(B)]
    for b, n in enumerate(frames):
        p[n:, b] = np.nan
    with np.errstate(divide="ignore"):
        return np.log(p), frames, draw(st.integers(0, C - 1))


def scores_of_labellings(log_probs, blank):
    """ln p(y | x) of every labelling that has a probability, from every alignment by itself."""
    T, C = log_probs.shape
    p = {}
    for alignment in itertools.product(range(C), repeat=T):
        y = tuple(spelled(alignment, blank))
        p[y] = p.get(y, 0.0) + math.exp(sum(log_probs[t, c] for t, c in enumerate(alignment)))
    return {y: math.log(q) for y, q in p.items() if q > 0}


def assert_hypotheses(found, scores):
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert {tuple(h.labels) for h in found} == scores.keys() and len(found) == len(scores)
    for h in found:
        assert math.isclose(h.score, scores[tuple(h.labels)], rel_tol=1e-9, abs_tol=1e-9)


# --- greedy


@given(frames_of_a_batch())
def test_greedy_decoding_spells_the_best_alignment(case):
    log_probs, frames, blank = case
    expected = [spelled(log_probs[:n, b].argmax(-1), blank) for b, n in enumerate(frames)]
    assert ctc_greedy_decode(tg.tensor(log_probs), frames, blank) == expected
    for b, n in enumerate(frames):
        assert ctc_greedy_decode(log_probs[:, b], n, blank) == expected[b]
        assert ctc_greedy_decode(tg.tensor(log_probs[:n, b]), None, blank) == expected[b]


# --- beam search


@given(frames_of_a_batch())
def test_a_wide_beam_finds_every_labelling(case):
    log_probs, frames, blank = case
    found = ctc_beam_search(tg.tensor(log_probs), tg.tensor(frames, dtype=tg.int64), 1000, blank)
    assert len(found) == len(frames)
    for b, n in enumerate(frames):
        assert_hypotheses(found[b], scores_of_labellings(log_probs[:n, b], blank))
        assert ctc_beam_search(log_probs[:, b], [n], 1000, blank) == found[b]


@given(frames_of_a_batch(), seeds, st.floats(0, 2), st.floats(-1, 1))
def test_a_language_model_counts_each_label_once(case, seed, alpha, beta):
    log_probs, frames, blank = case
    C, asked = log_probs.shape[-1], []
    table = np.log(np.random.default_rng(seed).dirichlet(np.ones(C), C + 1))

    def bigram(prefix):
        asked.append(prefix)
        row = table[prefix[-1] if prefix else C]
        return tg.tensor(row) if len(prefix) % 2 else row.tolist()

    for b, n in enumerate(frames):
        asked.clear()
        found = ctc_beam_search(log_probs[:n, b], None, 1000, blank, bigram, alpha, beta)
        assert len(set(asked)) == len(asked)
        expected = {
            y: score + sum(alpha * table[a, c] + beta for a, c in zip((C, *y), y))
            for y, score in scores_of_labellings(log_probs[:n, b], blank).items()
        }
        assert_hypotheses(found, expected)


@given(seeds, st.integers(1, 6))
def test_a_narrow_beam_gives_lower_bounds(seed, width):
    log_probs = np.log(np.random.default_rng(seed).dirichlet(np.ones(4), 5))
    exact = scores_of_labellings(log_probs, 0)
    found = ctc_beam_search(log_probs, beam_width=width)
    assert 1 <= len(found) <= width and len({tuple(h.labels) for h in found}) == len(found)
    assert all(h.score <= exact[tuple(h.labels)] + 1e-12 for h in found)


def plain_beam_search(log_probs, width, gain):
    """The same with dicts and probabilities: {prefix: [ends in a blank, ends in its last label]}; blank 0."""
    beam, bonus = {(): [1.0, 0.0]}, {(): 0.0}
    for p in np.exp(log_probs):
        after = {}
        for prefix, (ends_blank, ends_label) in beam.items():
            stays = after.setdefault(prefix, [0.0, 0.0])
            stays[0] += (ends_blank + ends_label) * p[0]
            stays[1] += ends_label * p[prefix[-1]] if prefix else 0.0
            for c in range(1, len(p)):
                grown = (*prefix, c)
                bonus[grown] = bonus[prefix] + gain(prefix, c)
                repeats = prefix[-1:] == (c,)
                after.setdefault(grown, [0.0, 0.0])[1] += (ends_blank + ends_label * (not repeats)) * p[c]
        scores = {
            prefix: math.log(sum(ends)) + bonus[prefix] for prefix, ends in after.items() if sum(ends) > 0
        }
        beam = {prefix: after[prefix] for prefix in sorted(scores, key=scores.get, reverse=True)[:width]}
    return [(list(prefix), scores[prefix]) for prefix in beam]


@given(seeds, st.integers(1, 6), st.floats(0.1, 2), st.floats(-1, 3))
def test_a_narrow_beam_keeps_what_scores_best_so_far(seed, width, alpha, beta):
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(4), 6))
    table = np.log(rng.dirichlet(np.ones(4), 5))

    def bigram(prefix):
        return table[prefix[-1] if prefix else 4]

    expected = plain_beam_search(log_probs, width, lambda prefix, c: alpha * bigram(prefix)[c] + beta)
    found = ctc_beam_search(log_probs, None, width, 0, bigram, alpha, beta)
    assert [h.labels for h in found] == [labels for labels, _ in expected]
    np.testing.assert_allclose([h.score for h in found], [score for _, score in expected], rtol=1e-9)


def test_among_equals_shorter_and_smaller_labels_come_first():
    log_probs = np.log(np.full((1, 50), 0.02))
    assert [h.labels for h in ctc_beam_search(log_probs, beam_width=40)] == [[], *([c] for c in range(1, 40))]


def test_nested_lists_are_taken_too():
    assert ctc_greedy_decode([[0.0, 1.0], [1.0, 0.0]]) == [1]
    assert ctc_beam_search([[[0.0, -1.0]]], beam_width=1) == [[([], 0.0)]]


def test_defaults_and_weights():
    """α = 1, β = 0, 16 prefixes; with α = 0 the language model is not asked."""
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(5), 6))
    lm = lambda prefix: np.log(np.full(5, 0.2))  # noqa: E731
    plain = ctc_beam_search(log_probs)
    assert len(plain) == 16 and plain == ctc_beam_search(log_probs, None, 16, 0, None, 1.0, 0.0)
    assert ctc_beam_search(log_probs, lm=lm) == ctc_beam_search(log_probs, None, 16, 0, lm, 1.0)
    assert ctc_beam_search(log_probs, lm=lambda _: 1 / 0, alpha=0) == plain


def test_the_score_is_that_of_the_loss():
    log_probs = tg.randn(6, 1, 4, dtype=tg.float64).log_softmax(-1)
    best = ctc_beam_search(log_probs, None, 5000)[0][0]
    loss = F.ctc_loss(log_probs, tg.tensor([best.labels]), [6], [len(best.labels)], reduction="sum")
    assert math.isclose(best.score, -loss.item())


X = np.zeros((3, 2, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ctc_greedy_decode(X[0, 0]), r"log_probs.*\(4,\)"),
        (lambda: ctc_greedy_decode(X, [3, 4]), r"ctc_greedy_decode: input_lengths.*0 to 3, got \[3, 4\]"),
        (lambda: ctc_greedy_decode(X, [-1, 3]), r"got \[-1, 3\]"),
        (lambda: ctc_greedy_decode(X, [3]), "input_lengths must be 2 integers"),
        (lambda: ctc_beam_search(X, [3.0, 3.0]), "ctc_beam_search: input_lengths"),
        (lambda: ctc_greedy_decode(X, blank=4), "blank.*4 classes, got 4"),
        (lambda: ctc_beam_search(X, blank=-1), "blank.*got -1"),
        (lambda: ctc_beam_search(X, beam_width=0), "beam_width.*got 0"),
        (lambda: ctc_beam_search(np.stack([X[:, 0], X[:, 0] * np.nan], 1)), "sequence 1 hold NaN"),
        (lambda: ctc_beam_search(X[:, 0] + np.inf), "sequence 0 hold NaN or inf"),
        (lambda: ctc_beam_search(X[:, 0], lm=lambda _: 0.5), r"lm must give \(4,\).*got \(\)"),
    ],
)
def test_what_decoding_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- error rates


def levenshtein(r, h):
    @cache
    def d(i, j):
        if not i or not j:
            return i + j
        return min(d(i - 1, j) + 1, d(i, j - 1) + 1, d(i - 1, j - 1) + (r[i - 1] != h[j - 1]))

    return d(len(r), len(h))


words = st.lists(st.integers(0, 3), max_size=7)


@given(words, words)
def test_edit_distance(r, h):
    expected = levenshtein(tuple(r), tuple(h))
    forms = [tuple, lambda x: tg.tensor(x, dtype=tg.int64), np.array, lambda x: [tg.tensor(i) for i in x]]
    for form in forms:
        assert edit_distance(form(r), h) == edit_distance(h, form(r)) == expected
    assert edit_distance("".join(map(str, r)), "".join(map(str, h))) == expected


@given(st.lists(st.tuples(words, words), min_size=1, max_size=4))
def test_error_rate_of_labels(pairs):
    references, hypotheses = [[0, *r] for r, _ in pairs], [h for _, h in pairs]
    errors = sum(levenshtein(tuple(r), tuple(h)) for r, h in zip(references, hypotheses))
    assert error_rate(references, hypotheses) == errors / sum(map(len, references))


def test_error_rates_of_words_and_characters():
    references, hypotheses = ["a big cat", "no"], ["a bag  of cats", ""]
    assert error_rate(references, hypotheses, unit="word") == (3 + 1) / 4
    assert error_rate(references, hypotheses, unit="character") == (1 + 4 + 1 + 2) / 11
    assert error_rate(references, hypotheses) == error_rate(references, hypotheses, "character")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: error_rate(["a"], ["a"], "letter"), ValueError, "'character', got 'letter'"),
        (lambda: error_rate("a b", "a c", "word"), ValueError, "list of references.*'a b' and 'a c'"),
        (lambda: error_rate(["a"], "a", "word"), ValueError, "list of references"),
        (lambda: error_rate(["a"], ["a", "b"]), ValueError, "as many hypotheses"),
        (lambda: error_rate([[1]], ["a"], "word"), TypeError, "unit='word' needs strings"),
        (lambda: error_rate(["a"], [[1]], "character"), TypeError, "needs strings"),
        (lambda: error_rate([[]], [[1]]), ValueError, "references are empty"),
        (lambda: edit_distance(tg.zeros(1, 2), [0]), ValueError, r"one dimension, got \(1, 2\)"),
        (lambda: edit_distance([0], np.zeros(())), ValueError, r"one dimension, got \(\)"),
    ],
)
def test_what_error_rates_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()


# --- together


def strips(n, T, C, rng):
    """Noisy strips (T, n, C): three labels each, shown for some frames, at places that are not told."""
    labels = rng.integers(1, C, (n, 3))
    x = rng.normal(0, 0.1, (T, n, C))
    for b in range(n):
        starts = np.sort(rng.choice(T // 3, 3, replace=False)) * 3
        for start, label in zip(starts, labels[b]):
            x[start : start + rng.integers(1, 3), b, label] += 1
    return tg.tensor(x).float(), labels


def test_ctc_learns_an_alignment_that_it_was_not_told():
    rng = np.random.default_rng(0)
    x, labels = strips(32, 18, 5, rng)
    net = nn.Linear(5, 5)
    optimizer = tg.optim.Adam(net.parameters(), lr=0.3)
    criterion = nn.CTCLoss()

    def rate(x, labels):
        return error_rate(labels.tolist(), ctc_greedy_decode(net(x).log_softmax(-1)))

    untrained = rate(x, labels)
    for _ in range(60):
        optimizer.zero_grad()
        criterion(net(x).log_softmax(-1), tg.tensor(labels), [18] * 32, [3] * 32).backward()
        optimizer.step()
    assert untrained > 0.5
    assert rate(*strips(32, 18, 5, rng)) < 0.05
