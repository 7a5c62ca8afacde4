"""Teacher forcing, scheduled sampling, greedy and beam search, against enumeration and plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.seq2seq import beam_search, greedy_search, teacher_forcing
from tinygrad_rnn.testing import gradcheck

V, END = 3, 2


def markov(seed):
    """A step whose logits depend on the last token and on a state that counts, other in each row."""
    table = tg.tensor(np.random.default_rng(seed).normal(size=(2, V, 4, V)))

    def step(token, state):
        row, count = state
        return table[row, token, count], (row, (count + 1) % 4), None

    return step, (tg.tensor([0, 1]), tg.tensor([0, 0]))


def log_p(step, state, row, sequence):
    """ln p of a sequence, up to and with its end."""
    row_state, token, total = tuple(s[row : row + 1] for s in state), tg.tensor([0]), 0.0
    for symbol in sequence:
        logits, row_state, _ = step(token, row_state)
        total += tg.log_softmax(logits, -1)[0, symbol].item()
        token = tg.tensor([symbol])
        if symbol == END:
            break
    return total


@given(st.integers(0, 99), st.integers(1, 4), st.sampled_from([0.0, 0.7]))
def test_a_wide_beam_finds_the_best_of_all_sequences(seed, T, alpha):
    step, state = markov(seed)
    found = beam_search(step, state, tg.tensor([0, 0]), END, T, V**T, alpha)
    for row in range(2):
        ways = {
            tuple((*w[: w.index(END)], *[END] * (T - w.index(END))) if END in w else w)
            for w in product(range(V), repeat=T)
        }
        lengths = {w: w.index(END) + 1 if END in w else T for w in ways}
        scores = {w: log_p(step, state, row, w) / ((5 + lengths[w]) / 6) ** alpha for w in ways}
        best = sorted(ways, key=lambda w: -scores[w])
        np.testing.assert_allclose(found.scores[row, : len(best)].numpy(), [scores[w] for w in best], 1e-9)
        assert [tuple(t) for t in found.tokens[row, : len(best)].tolist()] == best
        assert not np.isfinite(found.scores[row, len(best) :].numpy()).any()


@given(st.integers(0, 99), st.integers(1, 5))
def test_a_beam_of_one_is_greedy(seed, T):
    step, state = markov(seed)
    greedy = greedy_search(step, state, tg.tensor([0, 0]), END, T)
    plain, penalised = (beam_search(step, state, tg.tensor([0, 0]), END, T, 2, *a) for a in ((), (0.0,)))
    assert plain.scores.tolist() == penalised.scores.tolist()
    beam = beam_search(step, state, tg.tensor([0, 0]), END, T, 1)
    assert greedy.tokens.tolist() == beam.tokens[:, 0].tolist()
    assert greedy.logits.shape == (2, greedy.tokens.shape[1], V) and greedy.weights is None


def test_teacher_forcing_reads_the_targets():
    read = []

    def step(token, state):
        read.append(token.tolist())
        return tg.zeros(2, V).double(), state, token.unsqueeze(1)

    targets = tg.tensor([[1, 2, 0], [0, 1, 1]])
    decoded = teacher_forcing(step, None, tg.tensor([2, 2]), targets)
    assert read == [[2, 2], [1, 0], [2, 1]] and decoded.weights.shape == (2, 3, 1)
    assert tg.default_generator.rng.random() == (tg.manual_seed(0), tg.default_generator.rng.random())[1]


def test_scheduled_sampling_draws_from_the_decoder():
    p, T, B = np.array([0.6, 0.1, 0.3]), 40, 200
    read = []

    def step(token, state):
        read.append(token.array)
        return tg.tensor(np.log(p)).expand(B, V), state, None

    targets = tg.ones(B, T).long()
    teacher_forcing(step, None, tg.zeros(B).long(), targets, 0.25)
    shares = np.bincount(np.concatenate(read[1:]), minlength=V) / (B * (T - 1))
    np.testing.assert_allclose(shares, 0.75 * p + 0.25 * np.array([0, 1, 0]), atol=0.02)
    first = [r.copy() for r in read]
    read.clear()
    generators = [tg.Generator().manual_seed(3) for _ in range(2)]
    for generator in generators:
        teacher_forcing(step, None, tg.zeros(B).long(), targets, 0.0, generator)
    assert [a.tolist() for a in read[:T]] == [a.tolist() for a in read[T:]] != [a.tolist() for a in first]


def parameters_by_wave(module):
    for k, p in enumerate(module.double().parameters()):
        p.data.copy_(tg.tensor(np.sin(1.3 * np.arange(p.numel()) + k).reshape(p.shape)))
    return module


def test_an_attention_decoder_is_its_equations():
    decoder = parameters_by_wave(nn.AttentionDecoder(6, 3, 4, memory_size=5))
    memory = tg.tensor(np.sin(np.arange(30.0)).reshape(2, 3, 5))
    mask = tg.tensor([[True, True, False], [True, True, True]])
    state = decoder.start(memory, mask)
    mean = np.stack([memory.numpy()[0, :2].mean(0), memory.numpy()[1].mean(0)])
    bridge = decoder.bridge
    h = np.tanh(mean @ bridge.weight.detach().numpy().T + bridge.bias.detach().numpy())
    np.testing.assert_allclose(state[0].detach().numpy(), h, 1e-9)
    token = tg.tensor([4, 1])
    logits, after, weights = decoder(token, state)
    context, expected = decoder.attention(tg.tensor(h), memory, mask=mask)
    np.testing.assert_allclose(weights.detach().numpy(), expected.detach().numpy(), 1e-9)
    h = decoder.cell(tg.cat([decoder.embedding(token), context], -1), tg.tensor(h))
    np.testing.assert_allclose(after[0].detach().numpy(), h.detach().numpy(), 1e-9)
    expected = decoder.output(tg.cat([h, context], -1))
    np.testing.assert_allclose(logits.detach().numpy(), expected.detach().numpy(), 1e-9)


def test_a_row_of_a_batch_is_decoded_as_it_is_alone():
    decoder = parameters_by_wave(nn.AttentionDecoder(5, 3, 4, 2, attention=nn.DotAttention(4, 2)))
    memory = tg.tensor(np.sin(np.arange(16.0)).reshape(2, 4, 2))
    mask = tg.tensor([[True, True, False, False], [True] * 4])
    together = beam_search(decoder, decoder.start(memory, mask), tg.tensor([0, 0]), 1, 4, 3)
    alone = beam_search(decoder, decoder.start(memory[:1, :2]), tg.tensor([0]), 1, 4, 3)
    T = alone.tokens.shape[-1]
    assert together.tokens[0, :, :T].tolist() == alone.tokens[0].tolist()
    np.testing.assert_allclose(together.scores[0].numpy(), alone.scores[0].numpy(), 1e-9)


def test_a_pointer_network_points_at_each_place_once():
    decoder = parameters_by_wave(nn.PointerDecoder(2, 3, memory_size=4))
    memory, x = (
        tg.tensor(np.sin(np.arange(40.0)).reshape(2, 5, 4)),
        tg.tensor(np.cos(np.arange(20.0)).reshape(2, 5, 2)),
    )
    mask = tg.tensor([[True, True, True, False, False], [True] * 5])
    first = tg.tensor([-1, -1])
    found = greedy_search(decoder, decoder.start(memory, x, mask), first, -1, 3)
    assert sorted(found.tokens[0].tolist()) == [0, 1, 2] and len(set(found.tokens[1].tolist())) == 3
    np.testing.assert_allclose(found.weights.sum(-1).numpy(), 1, 1e-12)
    again = nn.PointerDecoder(2, 3, 4, once=False)
    again.double().load_state_dict(decoder.state_dict())
    state = again.start(memory, x)
    logits, after, _ = again(tg.tensor([2, 0]), state)
    h = again.cell(tg.stack([x[0, 2], x[1, 0]]), state[0])
    np.testing.assert_allclose(after[0].detach().numpy(), h.detach().numpy(), 1e-12)
    query = again.attention.query_proj(h).unsqueeze(1)
    expected = again.attention.energy(tg.tanh(query + again.attention.key_proj(memory))).squeeze(-1)
    np.testing.assert_allclose(logits.detach().numpy(), expected.detach().numpy(), 1e-12)
    start = again.cell(again.first.expand(2, 2), state[0])
    np.testing.assert_allclose(again(first, state)[1][0].detach().numpy(), start.detach().numpy(), 1e-12)


@pytest.mark.parametrize("pointer", [False, True])
def test_the_loss_of_decoding_has_the_right_gradient(pointer):
    decoder = parameters_by_wave(nn.PointerDecoder(2, 3, 2) if pointer else nn.AttentionDecoder(4, 2, 3, 2))
    targets, start = tg.tensor([[2, 0], [1, 2]]), tg.tensor([-1, -1] if pointer else [3, 3])

    def loss(memory):
        state = decoder.start(memory, memory) if pointer else decoder.start(memory)
        logits = teacher_forcing(decoder, state, start, targets).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    memory = tg.tensor(np.sin(np.arange(12.0)).reshape(2, 3, 2)).requires_grad_()
    gradcheck(loss, [memory], parameters=decoder)


def test_an_attention_model_learns_to_reverse():
    tg.manual_seed(1)
    embedding, encoder = nn.Embedding(6, 12), nn.GRU(12, 16, batch_first=True, bidirectional=True)
    decoder = nn.AttentionDecoder(6, 12, 32, memory_size=32)
    parameters = [p for m in (embedding, encoder, decoder) for p in m.parameters()]
    optimizer, start = tg.optim.Adam(parameters, 0.01), tg.full((64,), 5).long()
    for _ in range(120):
        x = tg.randint(5, (64, 4))
        optimizer.zero_grad()
        logits = teacher_forcing(
            decoder, decoder.start(encoder(embedding(x))[0]), start, x.flip(1), 0.9
        ).logits
        nn.functional.cross_entropy(logits.flatten(0, 1), x.flip(1).flatten()).backward()
        optimizer.step()
    x = tg.randint(5, (64, 4))
    found = greedy_search(decoder, decoder.start(encoder(embedding(x))[0]), start, -1, 4)
    assert (found.tokens == x.flip(1)).all(1).float().mean().item() > 0.9


STEP, STATE = markov(0)
TWO = tg.tensor([0, 0])
ERRORS = [
    (lambda: teacher_forcing(STEP, STATE, TWO, tg.zeros(3, 2).long()), r"\(2,\) and \(3, 2\)"),
    (lambda: teacher_forcing(STEP, STATE, TWO, tg.zeros(2, 0).long()), r"T > 0.*\(2, 0\)"),
    (lambda: teacher_forcing(STEP, STATE, TWO, tg.zeros(2, 2).long(), 1.5), "forcing.*1.5"),
    (lambda: greedy_search(STEP, STATE, TWO, END, 0), "max_length must be at least 1, got 0"),
    (lambda: beam_search(STEP, STATE, TWO, END, 2, 0), "beam_size must be at least 1, got 0"),
    (lambda: nn.AttentionDecoder(3, 2, 2, 2).start(tg.zeros(2, 2)), r"\(2, 2\) and None"),
    (
        lambda: nn.PointerDecoder(1, 2, 2).start(tg.zeros(2, 3, 2), tg.zeros(2, 3, 1), tg.ones(2, 2).bool()),
        r"\(2, 2\)",
    ),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_bad_input_is_refused_with_a_sentence(i):
    call, text = ERRORS[i]
    with pytest.raises(ValueError, match=text):
        call()


def test_an_empty_batch_is_decoded():
    decoder = nn.AttentionDecoder(4, 2, 3, 2)
    state, start = decoder.start(tg.zeros(0, 3, 2)), tg.zeros(0).long()
    assert greedy_search(decoder, state, start, 1, 5).logits.shape == (0, 1, 4)
    assert beam_search(decoder, state, start, 1, 5, 2).tokens.shape == (0, 2, 1)
