"""Random numbers: their distribution, their seed, and that they come from the generator that is given."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import tinygrad_rnn as tg

N = 20_000

DRAWS = {
    "rand": lambda g: tg.rand(N, generator=g),
    "randn": lambda g: tg.randn(N, generator=g),
    "randint": lambda g: tg.randint(2, 7, (N,), generator=g),
    "randperm": lambda g: tg.randperm(N, generator=g),
    "normal": lambda g: tg.normal(1.0, 2.0, (N,), generator=g),
    "normal of tensors": lambda g: tg.normal(tg.zeros(N), tg.ones(N), generator=g),
    "bernoulli": lambda g: tg.bernoulli(tg.full((N,), 0.3), generator=g),
    "multinomial": lambda g: tg.multinomial(tg.tensor([1.0, 2, 1]), N, True, generator=g),
    "uniform_": lambda g: tg.empty(N).uniform_(-1, 3, generator=g),
    "normal_": lambda g: tg.empty(N).normal_(1, 2, generator=g),
    "bernoulli_": lambda g: tg.empty(N).bernoulli_(0.3, generator=g),
    "random_": lambda g: tg.empty(N).random_(2, 7, generator=g),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_the_seed_decides_and_the_generator_given_is_used(draw):
    before = tg.get_rng_state().tolist()
    first, again, other = (draw(tg.Generator().manual_seed(seed)).tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert tg.get_rng_state().tolist() == before
    tg.manual_seed(1)
    assert draw(None).tolist() == first
    assert tg.get_rng_state().tolist() != before


MOMENTS = {  # mean, standard deviation, least, largest
    "rand": (0.5, math.sqrt(1 / 12), 0, 1),
    "randn": (0, 1, -math.inf, math.inf),
    "randint": (4, math.sqrt(2), 2, 6),
    "normal": (1, 2, -math.inf, math.inf),
    "normal of tensors": (0, 1, -math.inf, math.inf),
    "bernoulli": (0.3, math.sqrt(0.21), 0, 1),
    "multinomial": (1, math.sqrt(0.5), 0, 2),
    "uniform_": (1, 4 * math.sqrt(1 / 12), -1, 3),
    "normal_": (1, 2, -math.inf, math.inf),
    "bernoulli_": (0.3, math.sqrt(0.21), 0, 1),
    "random_": (4, math.sqrt(2), 2, 6),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name):
    mean, deviation, least, largest = MOMENTS[name]
    x = DRAWS[name](tg.Generator().manual_seed(0)).numpy().astype(float)
    assert abs(x.mean() - mean) < 4 * deviation / math.sqrt(N)  # four standard errors
    assert abs(x.std() - deviation) < 0.03 * deviation
    assert least <= x.min() and x.max() <= largest


def test_randint_and_multinomial_reach_everything_in_proportion():
    counts = np.bincount(tg.randint(5, (N,)).numpy(), minlength=5)
    assert abs(counts / N - 0.2).max() < 0.02
    weights = np.array([0.0, 1, 3, 0, 6])
    counts = np.bincount(tg.multinomial(tg.tensor(weights), N, replacement=True).numpy(), minlength=5)
    assert abs(counts / N - weights / 10).max() < 0.02


def test_multinomial_without_replacement():
    """The first draw follows the weights, the second what is left: P(second = j) = Σᵢ pᵢ pⱼ / (1 - pᵢ)."""
    p = np.array([0.1, 0.2, 0.3, 0.4])
    draws = tg.multinomial(tg.tensor(np.tile(p, (5000, 1))), 2).numpy()
    assert draws.shape == (5000, 2) and (draws[:, 0] != draws[:, 1]).all()
    second = [sum(p[i] * p[j] / (1 - p[i]) for i in range(4) if i != j) for j in range(4)]
    for column, expected in ((0, p), (1, second)):
        assert abs(np.bincount(draws[:, column], minlength=4) / 5000 - expected).max() < 0.03


def test_shapes_and_dtypes():
    assert tg.rand(2, 3).shape == tg.rand((2, 3)).shape == tg.rand(size=(2, 3)).shape == (2, 3)
    assert tg.rand(1).dtype == tg.normal(0, 1, (1,)).dtype == tg.float32
    assert (
        tg.randn(1, dtype=tg.float64).dtype == tg.randn_like(tg.ones(1, dtype=tg.float64)).dtype == tg.float64
    )
    assert (
        tg.randint(3, size=(2,)).dtype
        == tg.randperm(3).dtype
        == tg.multinomial(tg.ones(2), 1).dtype
        == tg.int64
    )
    assert sorted(tg.randperm(50).tolist()) == list(range(50))
    assert tg.bernoulli(tg.zeros(3, dtype=tg.float64)).dtype == tg.float64
    assert tg.normal(tg.zeros(3, 1), tg.zeros(2) + 1e-9).shape == (3, 2)
    assert tg.multinomial(tg.ones(4, 3), 2).shape == (4, 2)
    assert tg.rand(2, requires_grad=True).requires_grad


# --- generators


def test_the_seed_is_an_integer_and_can_be_asked_for():
    assert tg.manual_seed(7) is tg.random.default_generator and tg.initial_seed() == 7
    assert tg.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
    assert tg.manual_seed(np.int64(3)).initial_seed() == 3
    for wrong in (1.0, "1", True, None):
        with pytest.raises(TypeError, match=f"seed must be an integer, got {wrong!r}"):
            tg.manual_seed(wrong)


def test_the_operating_systems_seed_is_told_and_starts_the_stream_anew():
    chosen = tg.seed()
    first = tg.rand(3).tolist()
    assert chosen == tg.initial_seed() and tg.seed() != chosen
    assert tg.rand(3).tolist() != first
    tg.manual_seed(chosen)
    assert tg.rand(3).tolist() == first


def test_a_generator_lives_on_the_processor():
    assert tg.Generator(device=tg.device("cpu")).initial_seed() == 0
    with pytest.raises(NotImplementedError, match="Generator: device 'cuda' is not supported; use 'cpu'"):
        tg.Generator(device="cuda")


def test_a_stream_continues_from_its_state_and_remembers_its_seed():
    stream = tg.Generator().manual_seed(5)
    tg.rand(3, generator=stream)
    state = stream.get_state()
    expected = tg.rand(4, generator=stream).tolist()
    other = tg.Generator().set_state(state)
    assert tg.rand(4, generator=other).tolist() == expected and other.initial_seed() == 5


DAMAGES = {
    "no seed": lambda s: s.pop("seed"),
    "an endless seed": lambda s: s.update(seed=math.inf),
    "no state": lambda s: s["pcg64"].pop("state"),
    "of another kind": lambda s: s["pcg64"].update(bit_generator="MT19937"),
    "negative": lambda s: s["pcg64"]["state"].update(state=-1),
    "too large": lambda s: s["pcg64"]["state"].update(inc=2**200),
    "no number": lambda s: s["pcg64"]["state"].update(state="x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_refused_and_changes_nothing(damage):
    state = json.loads(tg.get_rng_state().numpy().tobytes())
    DAMAGES[damage](state)
    before = tg.get_rng_state().tolist()
    for wrong in (np.frombuffer(json.dumps(state).encode(), np.uint8).copy(), np.zeros(3)):
        with pytest.raises(ValueError, match="new_state is not a tensor that get_state returned"):
            tg.set_rng_state(tg.tensor(wrong))
    with pytest.raises(ValueError, match="new_state is not a tensor"):
        tg.set_rng_state("a state")
    assert tg.get_rng_state().tolist() == before
