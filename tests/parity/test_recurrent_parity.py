"""Random layers, cells, states, lengths and paddings: our values and gradients are PyTorch's."""

import make_recurrent as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")

Case, run = reference.Case, reference.run

flag = st.booleans()
forms = st.sampled_from(["batch", "alone", "stateless"])
seeds = st.floats(0, 100)
few = settings(max_examples=max(5, settings.default.max_examples // 2))


@st.composite
def layers(draw):
    kind = draw(st.sampled_from(["RNN", "LSTM", "GRU"]))
    options = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "num_layers": st.integers(1, 3),
                "bidirectional": flag,
                "batch_first": flag,
                "bias": flag,
            },
        )
    )
    steps, batch, inputs, hidden = (draw(st.integers(1, n)) for n in (5, 4, 3, 4))
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind == "LSTM" and hidden > 1 and draw(flag):
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    form, lengths = draw(forms), None
    if form != "alone" and draw(flag):
        lengths = draw(st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
        lengths[draw(st.integers(0, batch - 1))] = steps  # so that padding again gives as many steps
    return Case(kind, options, lengths, form), (steps, batch, inputs, hidden)


def same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, x in theirs.items():
        np.testing.assert_allclose(ours[name], x, rtol=1e-9, atol=1e-11, err_msg=name)


@few
@given(layers(), seeds)
def test_layers(layer, seed):
    case, size = layer
    same(run(tg, case, size, seed), run(torch, case, size, seed))


@few
@given(
    st.sampled_from(["RNNCell", "LSTMCell", "GRUCell"]),
    flag,
    forms,
    st.tuples(*(st.integers(1, 4) for _ in range(3))),
    seeds,
)
def test_cells(kind, bias, form, size, seed):
    case = Case(kind, {"bias": bias}, None, form)
    same(run(tg, case, (1, *size), seed), run(torch, case, (1, *size), seed))


# --- packing and padding

lengths = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def both(*shape, seed):
    x = reference.numbers(*shape, seed=seed)
    return tg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)


def equal(a, b):
    """Equal values: of tensors, None, or tuples of these."""
    if isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(equal(p, q) for p, q in zip(a, b))
    return a is None if b is None else np.array_equal(a.detach().numpy(), b.detach().numpy())


@given(lengths, flag, flag, st.sampled_from([0.0, -7.5]), st.integers(0, 2), seeds)
def test_packing_and_padding_again(counts, first, is_sorted, padding, more, seed):
    counts = sorted(counts, reverse=True) if is_sorted else counts
    shape = (len(counts), max(counts), 2) if first else (max(counts), len(counts), 2)
    packs, pads, gradients = [], [], []
    for lib, x in zip((tg, torch), both(*shape, seed=seed)):
        rnn = lib.nn.utils.rnn
        packed = rnn.pack_padded_sequence(x, counts, first, enforce_sorted=is_sorted)
        padded = rnn.pad_packed_sequence(packed, first, padding, total_length=max(counts) + more)
        packs.append(tuple(packed))
        pads.append(padded)
        (padded[0] * padded[0]).sum().backward()
        gradients.append(x.grad)
    ours, theirs = packs
    assert equal(ours[:2], theirs[:2]) and equal(pads[0], pads[1]) and equal(gradients[0], gradients[1])
    if not is_sorted:
        assert sorted(ours[2].tolist()) == sorted(theirs[2].tolist())  # ties may stand in another order
        assert [counts[i] for i in ours[2].tolist()] == [counts[i] for i in theirs[2].tolist()]


@given(lengths, flag, st.sampled_from([0.0, 3.5]), st.sampled_from(["right", "left"]), seeds)
def test_sequences(counts, first, padding, side, seed):
    results = []
    for k, lib in enumerate((tg, torch)):
        rnn = lib.nn.utils.rnn
        xs = [both(n, 2, seed=seed + i)[k] for i, n in enumerate(counts)]
        padded = rnn.pad_sequence(xs, first, padding, side)
        packed = rnn.pack_sequence(xs, enforce_sorted=False)
        unpadded = rnn.unpad_sequence(rnn.pad_sequence(xs, first), lib.tensor(counts), first)
        results.append((padded, packed.batch_sizes, unpadded, rnn.unpack_sequence(packed)))
    assert equal(*results)
