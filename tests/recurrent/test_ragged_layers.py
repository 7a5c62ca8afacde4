"""Sequences of different lengths: what stands behind an end reaches nothing, forwards and backwards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

KINDS = ["RNN", "LSTM", "GRU"]
T, D, H = 5, 2, 3
some = settings(max_examples=max(5, settings.default.max_examples // 2))
kinds, flag = st.sampled_from(KINDS), st.booleans()
lengths = st.lists(st.integers(0, T), min_size=1, max_size=4)


def make(kind, **options):
    return getattr(nn, kind)(D, H, dtype=tg.float64, **options)


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12, atol=1e-14)


def gradients(layer, xs, ys, state):
    """The gradients of a function of all results, by the input and all parameters."""
    total = np.square(ys).sum() + sum(np.sin(s).sum() for s in parts(state))
    return tg.autograd.grad(total, [xs, *layer.parameters()], materialize_grads=True)


@some
@given(kinds, flag, lengths)
def test_a_ragged_batch_equals_its_sequences_alone(kind, both_ways, counts):
    layer = make(kind, num_layers=2, bidirectional=both_ways)
    xs = tg.randn(T, len(counts), D, dtype=tg.float64)
    ys, last = layer(xs, lengths=counts)
    for b, n in enumerate(counts):
        alone, state = layer(xs[:n, b])
        close(ys[:n, b], alone)
        assert (ys[n:, b].detach().numpy() == 0).all()
        for s, p in zip(parts(last), parts(state)):
            close(s[:, b], p)


@some
@given(kinds, flag, lengths, flag)
def test_a_batch_packed_in_its_own_order_equals_its_sequences_alone(kind, both_ways, counts, given_state):
    counts = sorted(counts, reverse=True)
    layer = make(kind, num_layers=2, bidirectional=both_ways)
    xs = tg.randn(T, len(counts), D, dtype=tg.float64)
    first = tg.randn(2, 2 * (1 + both_ways), len(counts), H, dtype=tg.float64)

    def state_of(rows):
        h, c = first[0][rows], first[1][rows]
        return None if not given_state else (h, c) if kind == "LSTM" else h

    packed, last = layer(pack_padded_sequence(xs, counts), state_of(...))
    ys, found = pad_packed_sequence(packed, total_length=T)
    assert found.tolist() == counts
    for s in parts(last):
        assert s.shape == (2 * (1 + both_ways), len(counts), H)  # a row for each sequence, none besides
    for b, n in enumerate(counts):
        alone, state = layer(xs[:n, b], state_of((slice(None), b)))
        close(ys[:n, b], alone)
        for s, p in zip(parts(last), parts(state)):
            close(s[:, b], p)


@some
@given(kinds, flag, lengths)
def test_a_packed_sequence_needs_only_the_order_of_its_columns(kind, both_ways, counts):
    """A PackedSequence that is put together by hand may leave the way back out."""
    layer = make(kind, bidirectional=both_ways)
    xs = tg.randn(T, len(counts), D, dtype=tg.float64)
    packed = pack_padded_sequence(xs, counts, enforce_sorted=False)
    ys, last = layer(packed)
    zs, other = layer(packed._replace(unsorted_indices=None))
    for a, b in zip([ys.data, *parts(last)], [zs.data, *parts(other)]):
        assert a.tolist() == b.tolist()


@some
@given(kinds, flag, lengths, st.sampled_from([np.nan, np.inf, -np.inf, 1e300]), flag)
def test_padding_reaches_neither_values_nor_gradients(kind, both_ways, counts, poison, packed):
    layer = make(kind, bidirectional=both_ways)
    clean = tg.randn(T, len(counts), D, dtype=tg.float64)
    behind = np.arange(T)[:, None, None] >= np.array(counts)[:, None]
    results = []
    for filling in (0.0, poison):
        xs = tg.where(tg.tensor(behind), filling, clean).requires_grad_()
        if packed:
            ys, state = layer(pack_padded_sequence(xs, counts, enforce_sorted=False))
            ys = pad_packed_sequence(ys, total_length=T)[0]
        else:
            ys, state = layer(xs, lengths=tg.tensor(counts))
        results.append([ys, *parts(state), *gradients(layer, xs, ys, state)])
    for a, b in zip(*results):
        assert (a.detach().numpy() == b.detach().numpy()).all()
    assert (results[1][1 + len(parts(state))].numpy()[np.broadcast_to(behind, clean.shape)] == 0).all()


@some
@given(kinds, flag, lengths, st.randoms())
def test_permuted_sequences_give_permuted_results(kind, both_ways, counts, random):
    layer = make(kind, bidirectional=both_ways)
    xs = tg.randn(T, len(counts), D, dtype=tg.float64)
    order = random.sample(range(len(counts)), len(counts))
    ys, last = layer(xs, lengths=counts)
    zs, other = layer(xs[:, order], lengths=[counts[k] for k in order])
    close(ys[:, order], zs)
    for a, b in zip(parts(last), parts(other)):
        close(a[:, order], b)


@some
@given(kinds, lengths)
def test_reversing_the_sequences_swaps_the_two_directions(kind, counts):
    layer, swapped = make(kind, bidirectional=True), make(kind, bidirectional=True)
    names = [name for name, _ in layer.named_parameters()]
    other = [n.replace("_reverse", "") if "_reverse" in n else n + "_reverse" for n in names]
    weights = layer.state_dict()
    swapped.load_state_dict({a: weights[b] for a, b in zip(names, other)})
    xs = tg.randn(T, len(counts), D, dtype=tg.float64)

    def reversed_rows(ys):
        columns = [tg.cat([ys[:n, b].flip(0), ys[n:, b]]) for b, n in enumerate(counts)]
        return tg.stack(columns, 1)

    ys, last = layer(xs, lengths=counts)
    zs, back = swapped(reversed_rows(xs), lengths=counts)
    close(ys, reversed_rows(tg.cat([zs[..., H:], zs[..., :H]], -1)))
    for a, b in zip(parts(last), parts(back)):
        close(a, b.flip(0))


@some
@given(kinds, st.integers(0, T), st.integers(1, 2))
def test_a_sequence_in_two_pieces_equals_the_whole(kind, k, num_layers):
    layer = make(kind, num_layers=num_layers)
    xs = tg.randn(T, 2, D, dtype=tg.float64).requires_grad_()
    whole, last = layer(xs)
    first, state = layer(xs[:k])
    second, end = layer(xs[k:], state)
    pieces = tg.cat([first, second])
    close(whole, pieces)
    for a, b in zip(parts(last), parts(end)):
        close(a, b)
    for a, b in zip(gradients(layer, xs, whole, last), gradients(layer, xs, pieces, end)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-11, atol=1e-13)


@given(kinds, flag, flag, flag, st.integers(0, 3))
def test_a_sequence_without_a_batch_is_a_batch_of_one(kind, both_ways, first, given_state, steps):
    layer = make(kind, num_layers=2, bidirectional=both_ways, batch_first=first)
    h = tg.randn(2 * (1 + both_ways), 1, H, dtype=tg.float64).requires_grad_()
    xs = tg.randn(steps, D, dtype=tg.float64).requires_grad_()
    one, many = h.squeeze(1), h
    if kind == "LSTM":
        one, many = (one, 2 * one), (many, 2 * many)
    ys, last = layer(xs, one if given_state else None)
    batch, end = layer(xs.unsqueeze(0 if first else 1), many if given_state else None)
    close(ys, batch.squeeze(0 if first else 1))
    for a, b in zip(parts(last), parts(end)):
        assert a.shape == (len(h), H)
        close(a, b.squeeze(1))
    for a, b in zip(gradients(layer, xs, ys, last), gradients(layer, xs, batch, end)):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_at_all_keeps_the_state(kind):
    layer = make(kind, num_layers=2, bidirectional=True)
    h = tg.randn(4, 3, H, dtype=tg.float64).requires_grad_()
    hx = (h, h) if kind == "LSTM" else h
    for xs, options in [
        (tg.zeros(0, 3, D, dtype=tg.float64), {}),
        (tg.full((T, 3, D), float("nan"), dtype=tg.float64), {"lengths": [0, 0, 0]}),
        (tg.full((T, 3, D), float("nan"), dtype=tg.float64), {"mask": np.zeros((T, 3), bool)}),
    ]:
        ys, last = layer(xs, hx, **options)
        assert ys.shape == (len(xs), 3, 2 * H) and not ys.detach().numpy().any()
        assert all(tg.equal(s, h) for s in parts(last))
        h.grad = None
        sum(s.sum() for s in parts(last)).backward()
        assert (h.grad.numpy() == len(parts(last))).all()


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_step_outputs_and_zero_states_have_the_type_of_the_input(kind, dtype):
    options = {"proj_size": 1} if kind == "LSTM" else {}
    for layer in (getattr(nn, kind)(D, H, dtype=dtype), getattr(nn, kind)(D, H, dtype=dtype, **options)):
        ys, last = layer(tg.zeros(0, 3, D, dtype=dtype))
        assert {ys.dtype, *(s.dtype for s in parts(last))} == {dtype}


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_over_no_sequences(kind):
    ys, last = make(kind)(tg.zeros(T, 0, D, dtype=tg.float64))
    assert ys.shape == (T, 0, H) and all(s.shape == (1, 0, H) for s in parts(last))
    ys, _ = make(kind)(tg.zeros(T, 0, D, dtype=tg.float64), lengths=[])
    assert ys.shape == (T, 0, H)


def test_a_mask_with_holes_passes_over_them():
    layer, xs = make("GRU", bidirectional=True), tg.randn(4, 1, D, dtype=tg.float64)
    mask = np.array([[True], [False], [True], [True]])
    dense, end = layer(xs[[0, 2, 3]])
    for form in (mask, mask.tolist(), tg.tensor(mask)):
        ys, last = layer(xs, mask=form)
        close(ys[[0, 2, 3]], dense)
        close(last, end)
        assert not ys[1].detach().numpy().any()
