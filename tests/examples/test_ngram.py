"""The n-gram baselines are the probabilities that Witten and Bell define."""

import math
from fractions import Fraction as Q

import pytest
from ngram import WittenBell

TEXT = "abracadabra"  # a 5, b 2, r 2, c 1, d 1
UNIGRAM = {"a": Q(5), "b": Q(2), "r": Q(2), "c": Q(1), "d": Q(1), "?": Q(0)}
UNIGRAM = {a: (c + 5 * Q(1, 6)) / (11 + 5) for a, c in UNIGRAM.items()}  # 5 kinds among 11, V = 6


@pytest.fixture
def model():
    return WittenBell(TEXT, order=3, symbols=6)


def test_unigram_by_hand(model):
    for character, p in UNIGRAM.items():
        assert model.probability(character, "abra", order=1) == pytest.approx(float(p), rel=1e-15)


def test_bigram_by_hand(model):
    # after a: b twice, c, d; the last a has no successor
    p = {a: (c + 3 * UNIGRAM[a]) / (4 + 3) for a, c in {"b": 2, "c": 1, "d": 1, "a": 0, "?": 0}.items()}
    for character, expected in p.items():
        assert model.probability(character, "a", order=2) == pytest.approx(float(expected), rel=1e-15)


def test_trigram_by_hand(model):
    # after ra: c once. After a: c once of 4, 3 kinds
    bigram = (1 + 3 * UNIGRAM["c"]) / (4 + 3)
    assert model.probability("c", "ra") == pytest.approx(float((1 + bigram) / 2), rel=1e-15)


@pytest.mark.parametrize("context", ["", "a", "ra", "dd", "?a", "a?", "abracadab"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_sum_to_one(model, context, order):
    assert math.fsum(model.probability(a, context, order) for a in "abrcd?") == pytest.approx(1, abs=1e-15)


def test_an_unseen_context_falls_back_to_its_longest_seen_end(model):
    assert model.probability("b", "da?a") == model.probability("b", "a", order=2)
    assert model.probability("b", "a?") == model.probability("b", "", order=1)


def test_only_the_last_characters_of_a_context_count(model):
    assert model.probability("c", "xxxxra") == model.probability("c", "ra")


def test_bits_are_the_mean_over_all_characters_but_the_first(model):
    p = [model.probability("b", "a"), model.probability("r", "ab"), model.probability("?", "br")]
    assert model.bits_per_character("abr?") == pytest.approx(-sum(map(math.log2, p)) / 3)


def test_a_lower_order_is_the_model_of_that_order(model):
    small = WittenBell(TEXT, order=2, symbols=6)
    assert model.bits_per_character("cabbadra", order=2) == small.bits_per_character("cabbadra")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="order: 0"):
        WittenBell("ab", order=0, symbols=2)
    with pytest.raises(ValueError, match="symbols: 1 is fewer than the 2"):
        WittenBell("ab", order=1, symbols=1)
