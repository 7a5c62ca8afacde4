"""StreamLoader: rows go on from chunk to chunk, targets are one step ahead, and a pass can be continued."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.serialization import load, save
from tinygrad_rnn.utils.data import StreamLoader


@st.composite
def loaders(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], StreamLoader]:
    """Distinct tokens, so that each tells where it comes from, and a loader over them."""
    batch_size, seq_len = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    n = draw(st.integers(batch_size + 1, 120))
    tokens = np.arange(n, dtype=draw(st.sampled_from([np.int64, np.int32, np.uint8]))) + 3
    return tokens, StreamLoader(tokens, batch_size, seq_len, batch_first=draw(st.booleans()))


def rows(loader: StreamLoader) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """The chunks as arrays of shape (B, T)."""
    return [(x.array, y.array) if loader.batch_first else (x.array.T, y.array.T) for x, y in loader]


def equal(a: list[Any], b: list[Any]) -> bool:
    """Equal chunks, in number, shape and value."""
    return [(x.tolist(), y.tolist()) for x, y in a] == [(x.tolist(), y.tolist()) for x, y in b]


@given(loaders())
def test_a_row_goes_on_from_chunk_to_chunk(case: tuple[Any, StreamLoader]) -> None:
    _, loader = case
    streams = np.concatenate([x for x, _ in rows(loader)], axis=1)  # (B, L)
    assert (np.diff(streams, axis=1) == 1).all()  # contiguous in the text
    assert streams.shape == (loader.batch_size, loader.steps)


@given(loaders())
def test_streams_follow_each_other_up_to_the_stated_tail(case: tuple[Any, StreamLoader]) -> None:
    tokens, loader = case
    x = np.concatenate([x for x, _ in rows(loader)], axis=1).ravel()
    y = np.concatenate([y for _, y in rows(loader)], axis=1).ravel()
    pairs = len(tokens) - 1
    assert loader.dropped == pairs % loader.batch_size
    assert x.tolist() == tokens[: pairs - loader.dropped].tolist()
    assert y.tolist() == tokens[1 : pairs - loader.dropped + 1].tolist()


@given(loaders())
def test_chunks_have_seq_len_steps_and_the_last_one_the_rest(case: tuple[Any, StreamLoader]) -> None:
    _, loader = case
    T, B = loader.seq_len, loader.batch_size
    lengths = [x.shape[1] for x, _ in rows(loader)]
    assert len(loader) == len(lengths)
    assert lengths[:-1] == [T] * (len(lengths) - 1)
    assert lengths[-1] == (loader.steps % T or T)
    for x, y in loader:
        assert x.shape == y.shape
        assert x.dtype == y.dtype == np.int64
        assert x.shape[0 if loader.batch_first else 1] == B


@given(loaders())
def test_drop_last_leaves_out_the_short_chunk_only(case: tuple[np.ndarray[Any, Any], StreamLoader]) -> None:
    tokens, whole = case
    kept = [chunk for chunk in rows(whole) if chunk[0].shape[1] == whole.seq_len]
    if kept:
        loader = StreamLoader(tokens, whole.batch_size, whole.seq_len, drop_last=True)
        assert len(loader) == len(kept)
        assert equal(rows(loader), kept)
    else:
        with pytest.raises(ValueError, match="make no chunk"):
            StreamLoader(tokens, whole.batch_size, whole.seq_len, drop_last=True)


@given(loaders(), st.data())
def test_a_pass_is_continued_bit_for_bit(case: tuple[Any, StreamLoader], data: st.DataObject) -> None:
    tokens, loader = case
    done = data.draw(st.integers(0, len(loader)))
    expected = rows(loader)
    list(islice(loader, done))
    file = io.BytesIO()
    save(loader.state_dict(), file)
    file.seek(0)
    other = StreamLoader(Tensor(tokens), loader.batch_size, loader.seq_len, batch_first=loader.batch_first)
    other.load_state_dict(load(file))
    assert other.state_dict() == loader.state_dict()
    assert equal(rows(other), expected[done:] if done else expected)
    assert equal(rows(other), expected)  # the pass after it is whole again


def test_a_state_taken_while_a_chunk_is_in_use_continues_after_it() -> None:
    loader, other = (StreamLoader(np.arange(41), 2, 5) for _ in range(2))
    expected = rows(loader)
    for k, _ in enumerate(loader):
        other.load_state_dict(loader.state_dict())
        assert equal(rows(other), expected[k + 1 :])
    assert loader.state_dict()["position"] == 0  # the pass has ended


def test_a_loop_that_was_left_begins_again_at_the_start() -> None:
    loader = StreamLoader(np.arange(41), 2, 5)
    state = loader.state_dict() | {"position": 10}
    firsts = [next(iter(loader))[0].array[0].tolist() for _ in range(2)]
    loader.load_state_dict(state)
    firsts += [next(iter(loader))[0].array[0].tolist() for _ in range(2)]
    assert firsts == [[0, 20], [0, 20], [10, 30], [0, 20]]


def test_two_passes_at_once_do_not_disturb_each_other() -> None:
    loader = StreamLoader(np.arange(41), 2, 5)
    assert all(np.array_equal(a.array, b.array) for (a, _), (b, _) in zip(loader, loader, strict=True))


def test_a_state_may_go_on_with_another_length_of_chunks() -> None:
    loader, other = StreamLoader(np.arange(21), 1, 4), StreamLoader(np.arange(21), 1, 3, drop_last=True)
    next(iter(loader))
    other.load_state_dict(loader.state_dict())
    assert [x.array.ravel().tolist() for x, _ in other] == [[i, i + 1, i + 2] for i in (4, 7, 10, 13, 16)]


def test_chunks_are_copies() -> None:
    tokens = np.arange(9)
    for x, y in StreamLoader(tokens, 1, 4, batch_first=True):
        x.array[:] = y.array[:] = -1
    assert tokens.tolist() == list(range(9))


def test_a_state_of_other_streams_is_refused() -> None:
    state = StreamLoader(np.arange(41), 2, 5).state_dict()
    with pytest.raises(ValueError, match="its batch_size is 2, here it is 4"):
        StreamLoader(np.arange(41), 4, 5).load_state_dict(state)
    with pytest.raises(ValueError, match="its tokens is 41, here it is 42"):
        StreamLoader(np.arange(42), 2, 5).load_state_dict(state)
    with pytest.raises(ValueError, match="its crc32 is"):
        StreamLoader(np.arange(41)[::-1], 2, 5).load_state_dict(state)
    with pytest.raises(ValueError, match="must have keys"):
        StreamLoader(np.arange(41), 2, 5).load_state_dict({"position": 3})
    with pytest.raises(ValueError, match="position 21 is outside 0 … 20"):
        StreamLoader(np.arange(41), 2, 5).load_state_dict({**state, "position": 21})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 2), int), 1, 1), r"one-dimensional, got shape \(2, 2\)"),
        ((np.zeros(9), 1, 1), "token ids that fit int64, got float64"),
        ((np.zeros(9, np.uint64), 1, 1), "got uint64"),
        ((np.zeros(9, bool), 1, 1), "got bool"),
        ((np.zeros(9, int), 0, 1), "batch_size must be a positive integer"),
        ((np.zeros(9, int), 1, 0), "seq_len must be a positive integer"),
        ((np.zeros(9, int), 9, 1), "9 tokens make no chunk, as batch_size=9 streams have 0 steps each"),
        ((np.zeros(0, int), 1, 1), "0 tokens make no chunk"),
    ],
)
def test_bad_arguments_are_named(arguments: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        StreamLoader(*arguments)
