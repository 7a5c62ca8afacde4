"""nn.utils.rnn: where each row goes, that gradients find the way back, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.nn.utils import rnn

counts = st.lists(st.integers(0, 4), min_size=1, max_size=5)


def sequences(lengths, features=()):
    """Sequences whose entries say where they belong: sequence b holds 10 b, 10 b + 1, …"""
    return [
        (10.0 * b + np.arange(n)).reshape(n, *(1 for _ in features))
        + tg.zeros(n, *features, dtype=tg.float64)
        for b, n in enumerate(lengths)
    ]


def test_the_picture_in_the_documentation():
    padded = tg.tensor([[1.0, 4, 6], [2, 5, 0], [3, 0, 0]])  # abc, de, f in columns
    packed = rnn.pack_padded_sequence(padded, [3, 2, 1])
    assert packed.data.tolist() == [1, 4, 6, 2, 5, 3] and packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices is None and packed.unsorted_indices is None and packed.batch_size == 3


@given(counts, st.booleans())
def test_packed_rows_stand_by_step_longest_first(lengths, first):
    padded = rnn.pad_sequence(sequences(lengths), first, padding_value=-1.0)
    packed = rnn.pack_padded_sequence(padded, lengths, first, enforce_sorted=False)
    order = packed.sorted_indices.tolist()
    assert sorted(order) == list(range(len(lengths))) and packed.batch_size == len(lengths)
    assert [lengths[k] for k in order] == sorted(lengths, reverse=True)
    assert [order[k] for k in packed.unsorted_indices.tolist()] == list(range(len(lengths)))
    rows = [10 * b + t for t in range(max(lengths)) for b in order if t < lengths[b]]
    assert packed.data.tolist() == rows
    assert packed.batch_sizes.tolist() == [sum(n > t for n in lengths) for t in range(max(lengths))]


@given(
    counts,
    st.booleans(),
    st.integers(0, 2),
    st.integers(-2, 2).map(float),
    st.sampled_from([(), (2,), (3, 2)]),
)
def test_packing_and_padding_again_is_the_identity(lengths, first, more, filling, features):
    xs = sequences(lengths, features)
    packed = rnn.pack_sequence(xs, enforce_sorted=False)
    T = max(lengths) + more
    padded, found = rnn.pad_packed_sequence(packed, first, filling, total_length=T)
    assert found.tolist() == lengths
    columns = padded if first else padded.transpose(0, 1)
    for column, x, n in zip(columns, xs, lengths):
        assert column[:n].tolist() == x.tolist()
        assert column[n:].tolist() == tg.full((T - n, *features), filling).tolist()
    for a, b in zip(rnn.unpack_sequence(packed), xs):
        assert a.tolist() == b.tolist()


@given(counts, st.sampled_from([0.0, 2.5]))
def test_gradients_find_the_way_back(lengths, filling):
    x = tg.randn(4, len(lengths), 2, dtype=tg.float64).requires_grad_()
    packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    padded, _ = rnn.pad_packed_sequence(packed, padding_value=filling, total_length=4)
    (np.sin(padded) + 5 * padded).sum().backward()
    counted = np.arange(4)[:, None, None] < np.array(lengths)[:, None]
    assert np.allclose(x.grad.numpy(), np.where(counted, np.cos(x.detach().numpy()) + 5, 0))


@given(counts, st.booleans(), st.sampled_from(["left", "right"]))
def test_gradients_find_the_way_back_to_each_sequence(lengths, first, side):
    xs = [x.requires_grad_() for x in sequences(lengths, (2,))]
    padded = rnn.pad_sequence(xs, first, padding_side=side)
    returned = rnn.unpack_sequence(rnn.pack_sequence(xs, enforce_sorted=False))
    weights = [tg.randn(n, 2, dtype=tg.float64) for n in lengths]
    sum((y * w).sum() for y, w in zip(returned, weights)).backward()
    (np.sin(padded).sum() + 5 * padded.sum()).backward()
    for x, w in zip(xs, weights):
        assert np.allclose(x.grad.numpy(), w.numpy() + np.cos(x.detach().numpy()) + 5)


def test_sequences_of_one_length_stay_in_order_however_many():
    """An order of equal lengths that is not stable would show only in batches this large."""
    lengths = [1 + 7 * k % 3 for k in range(99)]
    packed = rnn.pack_padded_sequence(tg.zeros(3, 99), lengths, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == sorted(range(99), key=lambda k: -lengths[k])
    x = tg.arange(3.0 * 99).reshape(3, 99)
    packed = rnn.pack_padded_sequence(x, [3] * 99)
    assert packed.sorted_indices is None and packed.data.tolist() == x.flatten().tolist()
    for n, b in ((1, 99), (3, 99), (3, 0)):
        assert rnn.pack_padded_sequence(x[:n, :b], [n] * b).batch_size == b


def test_the_steps_of_a_mask_keep_their_order_however_many():
    counted = np.arange(99) % 3 != 1
    rows = rnn.rows_of(np.stack([counted, ~counted], 1))
    assert rows.t[rows.b == 0].tolist() == np.flatnonzero(counted).tolist()
    assert rows.t[rows.b == 1].tolist() == np.flatnonzero(~counted).tolist()


def test_padding_sides_and_shapes():
    xs = [tg.ones(1, 2), tg.full((3, 2), 2.0)]
    right = rnn.pad_sequence(xs, padding_value=9.0)
    left = rnn.pad_sequence(xs, padding_value=9.0, padding_side="left")
    assert right.shape == (3, 2, 2) and rnn.pad_sequence(xs, True).shape == (2, 3, 2)
    assert right[:, 0, 0].tolist() == [1, 9, 9] and left[:, 0, 0].tolist() == [9, 9, 1]
    assert rnn.pad_sequence(tg.ones(2, 3)).shape == (3, 2)
    assert rnn.pad_sequence([tg.tensor([1, 2]), tg.tensor([3])]).dtype == tg.int64


def test_unpadding():
    padded = tg.arange(6.0).reshape(3, 2)
    assert [x.tolist() for x in rnn.unpad_sequence(padded, tg.tensor([3, 1]))] == [[0, 2, 4], [1]]
    assert [x.tolist() for x in rnn.unpad_sequence(padded, [2, 0, 1], batch_first=True)] == [[0, 1], [], [4]]
    rnn.unpad_sequence(padded, [3, 1])[0].fill_(9)  # they are copies
    assert padded.flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_lengths_come_as_lists_arrays_and_tensors():
    x = tg.zeros(3, 2, 1)
    for lengths in ([3, 1], (3, 1), np.array([3, 1]), tg.tensor([3, 1])):
        assert rnn.pack_padded_sequence(x, lengths).batch_sizes.tolist() == [2, 1, 1]


def test_a_sequence_of_length_0_has_no_row_and_is_not_lost():
    packed = rnn.pack_padded_sequence(tg.ones(2, 3, 1), [2, 1, 0])
    assert packed.batch_sizes.tolist() == [2, 1] and packed.batch_size == 3
    padded, lengths = rnn.pad_packed_sequence(packed)
    assert padded.shape == (2, 3, 1) and lengths.tolist() == [2, 1, 0]
    nothing = rnn.pack_padded_sequence(tg.ones(2, 2, 1), [0, 0])
    assert rnn.pad_packed_sequence(nothing, total_length=2)[0].tolist() == [[[0], [0]], [[0], [0]]]


def test_a_packed_sequence_in_another_dtype():
    packed = rnn.pack_sequence([tg.ones(2), tg.ones(1)])
    assert packed.to(tg.float64).data.dtype == tg.float64 and packed.data.dtype == tg.float32


def test_what_is_refused():
    x = tg.zeros(3, 2, 1)
    with pytest.raises(RuntimeError, match=r"lengths: \[1, 3\] must not increase; pass enforce_sorted=False"):
        rnn.pack_padded_sequence(x, [1, 3])
    with pytest.raises(ValueError, match="lengths: 3 given for 2 sequences"):
        rnn.pack_padded_sequence(x, [3, 2, 1])
    for wrong in ([4, 1], [3, -1]):
        with pytest.raises(ValueError, match="must lie between 0 and the 3 steps"):
            rnn.pack_padded_sequence(x, wrong)
    for wrong in ([3.0, 1.0], [[3], [1]], 3):
        with pytest.raises(ValueError, match="lengths: expected a list of integers"):
            rnn.pack_padded_sequence(x, wrong)
    with pytest.raises(ValueError, match="total_length: 2 is less than the longest sequence, 3"):
        rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [3, 2]), total_length=2)
    with pytest.raises(ValueError, match="padding_side: 'right' or 'left', not 'top'"):
        rnn.pad_sequence([tg.ones(2)], padding_side="top")
    with pytest.raises(ValueError, match="expected at least one sequence"):
        rnn.pad_sequence([])
    with pytest.raises(RuntimeError, match="must not increase"):
        rnn.pack_sequence([tg.ones(1), tg.ones(2)])


def test_pad_sequence_takes_what_can_be_read_only_once():
    padded = rnn.pad_sequence(tg.arange(n) for n in (3, 1))
    assert padded.tolist() == [[0, 0], [1, 0], [2, 0]]
