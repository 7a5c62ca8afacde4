"""Collation: a batch holds every sample's value, in order, under the structure that the samples have."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.utils.data import default_collate, default_convert

number = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False) | st.booleans() | st.text() | st.binary()
structure = st.recursive(
    number,
    lambda inner: (
        st.dictionaries(st.text(), inner, max_size=3)
        | st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
    ),
)


def sample(batch: Any, i: int, like: Any) -> Any:
    """Sample `i` out of a batch of samples with the structure of `like`."""
    if isinstance(like, dict):
        return {key: sample(batch[key], i, like[key]) for key in like}
    if isinstance(like, (list, tuple)):
        return type(like)(sample(entry, i, part) for entry, part in zip(batch, like, strict=True))
    return batch[i] if isinstance(like, (str, bytes)) else batch[i].item()


@given(structure, st.integers(1, 4))
def test_every_sample_can_be_read_back_from_its_batch(one: Any, n: int) -> None:
    batch = default_collate([one] * n)
    assert [sample(batch, i, one) for i in range(n)] == [one] * n


@pytest.mark.parametrize(
    ("samples", "dtype", "values"),
    [
        ([1, -2], "int64", [1, -2]),
        ([0.1, 2], "float64", [0.1, 2.0]),
        ([True, False], "bool", [True, False]),
        ([np.float32(0.1), np.float32(2)], "float32", [np.float32(0.1), 2]),
        ([np.int16(1), np.int16(2)], "int16", [1, 2]),
        ([np.float64(0.1)], "float64", [0.1]),
        ([np.bool_(True)], "bool", [True]),
        ([np.zeros(2, np.float32), np.ones(2, np.float32)], "float32", [[0, 0], [1, 1]]),
        ([np.array(3), np.array(4)], "int64", [3, 4]),
        ([Tensor(np.array([1.0])), Tensor(np.array([2.0]))], "float64", [[1], [2]]),
    ],
)
def test_numbers_and_arrays_keep_their_dtype(samples: list[Any], dtype: str, values: list[Any]) -> None:
    batch = default_collate(samples)
    assert isinstance(batch, Tensor)
    assert batch.dtype == dtype
    assert batch.tolist() == values


def test_a_batch_is_a_copy() -> None:
    rows = [np.zeros(2), np.zeros(2)]
    default_collate(rows).array[:] = 1
    default_collate([Tensor(row) for row in rows]).array[:] = 1
    assert np.sum(rows) == 0


def test_gradients_go_through_a_batch_to_its_samples() -> None:
    a, b = Tensor(np.ones(2), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    batch = default_collate([{"x": a}, {"x": b}])["x"]
    (batch * Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]))).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    assert (a.grad.tolist(), b.grad.tolist()) == ([1, 2], [3, 4])


class Pair(NamedTuple):
    x: int
    name: str


def test_containers_keep_their_type_and_what_it_knows() -> None:
    pair = default_collate([Pair(1, "a"), Pair(2, "b")])
    assert isinstance(pair, Pair)
    assert (pair.x.tolist(), pair.name) == ([1, 2], ("a", "b"))  # type: ignore[attr-defined]
    ordered = default_collate([OrderedDict(b=1, a=2)] * 2)
    assert list(ordered) == ["b", "a"]
    assert isinstance(ordered, OrderedDict)
    named: Any = defaultdict(list, a=1)
    assert default_collate([named])["missing"] == []
    assert named == {"a": 1}
    proxy = default_collate([MappingProxyType({"a": 1})])
    assert isinstance(proxy, MappingProxyType)
    assert proxy["a"].tolist() == [1]
    assert isinstance(default_collate([[1, 2]]), list)
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


class Frozen(dict[str, int]):
    """A dictionary that does not change after it was made."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("frozen")


class Fixed(list[int]):
    """A list that does not change after it was made."""

    def __setitem__(self, *_: Any) -> None:
        raise TypeError("fixed")


def test_containers_that_cannot_be_refilled_become_plain_ones() -> None:
    batch = default_collate([Frozen(a=1), Frozen(a=2)])
    assert type(batch) is dict
    assert batch["a"].tolist() == [1, 2]
    pairs = default_collate([Fixed([1, 2]), Fixed([3, 4])])
    assert type(pairs) is list
    assert [x.tolist() for x in pairs] == [[1, 3], [2, 4]]
    assert type(default_convert(Frozen(a=1))) is dict


def test_samples_of_one_batch_are_left_as_they_were() -> None:
    samples = [{"a": [1, 2]}, {"a": [3, 4]}]
    assert [t.tolist() for t in default_collate(samples)["a"]] == [[1, 3], [2, 4]]
    assert samples == [{"a": [1, 2]}, {"a": [3, 4]}]


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([], ValueError, "the batch is empty"),
        ([None], TypeError, "got NoneType; pass collate_fn"),
        ([np.array(["a"])], TypeError, "got <U1"),
        ([np.array([None])], TypeError, "got object"),
        ([[1], [1, 2]], RuntimeError, r"different lengths \[1, 2\]"),
        ([{"a": 1}, {"b": 1}], KeyError, "different keys"),
        ([{"a": 1}, {"a": 1, "b": 1}], KeyError, "different keys"),
    ],
)
def test_what_cannot_be_a_batch_says_why(batch: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        default_collate(batch)


def test_arrays_of_different_shapes_are_refused_with_their_shapes() -> None:
    for make in (np.asarray, Tensor):
        samples = [(make(np.zeros(n)), n) for n in (3, 2, 3)]
        with pytest.raises(
            RuntimeError, match=r"different shapes \(2,\), \(3,\); pass collate_fn .*pad_sequence"
        ):
            default_collate(samples)


def test_a_sample_alone_is_converted_and_shares_its_memory() -> None:
    array = np.zeros(2)
    x, pair, text, nested = default_convert([array, Pair(np.int8(1), "a"), "text", (1, {"k": np.float32(2)})])  # type: ignore[arg-type]
    x.array[0] = 5
    assert array[0] == 5
    assert isinstance(pair, Pair)
    assert (pair.x.dtype, pair.x.item()) == ("int8", 1)  # type: ignore[attr-defined]
    assert text == "text"
    assert nested[0] == 1
    assert nested[1]["k"].dtype == "float32"
