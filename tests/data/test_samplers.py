"""The order of visiting: complete, fair, fixed by a seed, and drawn no sooner than it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.random import Generator, manual_seed
from tinygrad_rnn.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

sizes = st.integers(1, 50)
seeds = st.integers(0, 2**64 - 1)


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


@given(n=sizes, k=st.integers(1, 150), seed=seeds)
def test_without_replacement_every_round_visits_every_sample_once(n: int, k: int, seed: int) -> None:
    order = list(RandomSampler(range(n), num_samples=k, generator=seeded(seed)))
    assert len(order) == k
    rounds = [order[i : i + n] for i in range(0, k, n)]
    assert all(sorted(r) == list(range(n)) for r in rounds[:-1])
    assert len(set(rounds[-1])) == len(rounds[-1])
    assert set(rounds[-1]) <= set(range(n))


@given(n=sizes, k=st.integers(1, 3000), seed=seeds)
def test_with_replacement_as_many_as_asked_for_are_drawn(n: int, k: int, seed: int) -> None:
    sampler = RandomSampler(range(n), replacement=True, num_samples=k, generator=seeded(seed))
    order = list(sampler)
    assert len(order) == len(sampler) == k
    assert set(order) <= set(range(n))


@pytest.mark.parametrize(
    "make",
    [
        lambda g: RandomSampler(range(40), generator=g),
        lambda g: RandomSampler(range(40), True, 40, g),
        lambda g: SubsetRandomSampler(range(5, 45), g),
        lambda g: WeightedRandomSampler(np.ones(40), 40, True, g),
        lambda g: WeightedRandomSampler(np.ones(40), 40, False, g),
    ],
)
def test_a_seed_fixes_every_pass_and_passes_differ(make: Any) -> None:
    a, b = make(seeded(1)), make(seeded(1))
    passes = [list(a), list(a), list(a)]
    assert passes == [list(b), list(b), list(b)]
    assert passes[0] != passes[1] != passes[2]
    assert passes[0] != list(make(seeded(2)))
    manual_seed(3)
    first = list(make(None))
    manual_seed(3)
    assert list(make(None)) == first != list(make(None))
    assert all(type(i) is int for i in first)


def test_random_numbers_drawn_during_a_pass_do_not_change_its_order() -> None:
    manual_seed(0)
    undisturbed = list(RandomSampler(range(5000), replacement=True))
    generator = manual_seed(0)
    disturbed = []
    for i in RandomSampler(range(5000), replacement=True):
        disturbed.append(i)
        generator.rng.random()
    assert disturbed == undisturbed


def test_numpys_global_state_is_left_alone() -> None:
    before = np.random.get_state(legacy=False)
    list(RandomSampler(range(9)))
    list(SubsetRandomSampler(range(9)))
    list(WeightedRandomSampler([1.0, 2.0], 9))
    after = np.random.get_state(legacy=False)
    assert before["state"]["pos"] == after["state"]["pos"]  # type: ignore[index, call-overload]
    assert (before["state"]["key"] == after["state"]["key"]).all()  # type: ignore[index, call-overload]


def test_permutations_are_fair() -> None:
    generator = seeded(0)
    counts = Counter(tuple(RandomSampler("abc", generator=generator)) for _ in range(6000))
    assert len(counts) == 6
    assert max(abs(n - 1000) for n in counts.values()) < 5 * (6000 * 1 / 6 * 5 / 6) ** 0.5


def test_weights_are_probabilities() -> None:
    weights, n = np.array([1.0, 0.0, 3.0, 6.0]), 20_000
    drawn = np.bincount(list(WeightedRandomSampler(Tensor(weights), n, generator=seeded(0))), minlength=4)
    p = weights / weights.sum()
    assert (abs(drawn - n * p) <= 5 * np.sqrt(n * p * (1 - p))).all()


def test_weights_without_replacement_are_rescaled_after_each_draw() -> None:
    generator, n = seeded(0), 6000
    counts = Counter(tuple(WeightedRandomSampler([1, 2, 3], 2, False, generator)) for _ in range(n))
    w = {0: 1, 1: 2, 2: 3}
    for a, b in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]:
        p = w[a] / 6 * w[b] / (6 - w[a])
        assert abs(counts[a, b] - n * p) < 5 * (n * p * (1 - p)) ** 0.5
    assert sum(counts.values()) == n


def test_weights_of_zero_follow_in_random_order_when_nothing_else_is_left() -> None:
    generator = seeded(0)
    drawn = [tuple(WeightedRandomSampler([0, 2, 0, 1e-9, 0], 4, False, generator)) for _ in range(600)]
    assert {frozenset(d[:2]) for d in drawn} == {frozenset({1, 3})}  # as PyTorch draws them
    assert len(Counter(d[2:] for d in drawn)) == 6
    assert all(d[:2] == (1, 3) for d in drawn)  # but for one time in 10⁹
    assert sorted(WeightedRandomSampler([1e-320, 1.0, 1e300], 3, False, generator)) == [0, 1, 2]


def test_a_subset_is_permuted_and_nothing_else() -> None:
    indices = [7, 3, 11, 3]
    assert sorted(SubsetRandomSampler(indices, seeded(0))) == [3, 3, 7, 11]
    assert len(SubsetRandomSampler(indices)) == 4


def test_an_order_follows_a_data_source_that_grows() -> None:
    source = [0, 1]
    sequential, random = SequentialSampler(source), RandomSampler(source)
    source.append(2)
    assert list(sequential) == sorted(random) == [0, 1, 2]
    assert len(sequential) == len(random) == 3


@given(n=st.integers(0, 60), size=st.integers(1, 20), drop_last=st.booleans())
def test_batches_are_consecutive_and_only_a_short_one_is_dropped(n: int, size: int, drop_last: bool) -> None:
    sampler = BatchSampler(SequentialSampler(range(n)), size, drop_last)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    visited = [i for batch in batches for i in batch]
    assert visited == list(range(n - n % size if drop_last else n))
    assert all(len(batch) == size for batch in batches[:-1])


def test_an_endless_sampler_is_asked_for_one_batch_at_a_time() -> None:
    asked = 0

    class Endless(Sampler[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal asked
            while True:
                asked += 1
                yield asked

    batches = iter(BatchSampler(Endless(), 3, drop_last=True))
    assert asked == 0
    assert list(islice(batches, 2)) == [[1, 2, 3], [4, 5, 6]]
    assert asked == 6


def test_a_long_order_with_replacement_is_drawn_as_it_is_visited() -> None:
    order = iter(RandomSampler(range(10**12), replacement=True, num_samples=10**15))
    assert len(set(islice(order, 3000))) == 3000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomSampler([]), "num_samples must be a positive integer, got 0"),
        (lambda: RandomSampler([1], num_samples=0), "num_samples must be a positive integer, got 0"),
        (lambda: list(RandomSampler([], num_samples=3)), r"len\(data_source\) must be a positive integer"),
        (lambda: RandomSampler([1], num_samples=True), "num_samples"),
        (lambda: RandomSampler([1], replacement=1), "replacement must be True or False, got 1"),
        (lambda: RandomSampler([1], generator=3), "generator must be a Generator or None, got int"),
        (lambda: SubsetRandomSampler([1], np.random.default_rng(0)), "generator must be a Generator"),
        (lambda: WeightedRandomSampler([[1.0]], 1), r"one-dimensional, got shape \(1, 1\)"),
        (lambda: WeightedRandomSampler([1.0, -1.0], 1), "not negative"),
        (lambda: WeightedRandomSampler([0.0, 0.0], 1), "not all zero"),
        (lambda: WeightedRandomSampler([float("nan")], 1), "finite"),
        (lambda: WeightedRandomSampler([1.0, 0.0], 3, False), "num_samples=3 without replacement, with 2 w"),
        (lambda: WeightedRandomSampler([1.0], 1.5), "num_samples"),
        (lambda: BatchSampler([1], 0, False), "batch_size must be a positive integer, got 0"),
        (lambda: BatchSampler([1], 2.0, False), "batch_size"),
        (lambda: BatchSampler([1], 2, None), "drop_last must be True or False, got None"),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_a_sampler_without_an_order_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="must define __iter__"):
        iter(Sampler())
