"""What is saved is what is loaded: value, type, order, identity, and every bit of a float."""

from __future__ import annotations

import io
import math
import struct
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_rnn.device import device
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.nn import LSTM
from tinygrad_rnn.nn.parameter import Parameter
from tinygrad_rnn.serialization import load, save
from tinygrad_rnn.serialization.structure import describe


def there_and_back(obj: Any) -> Any:
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return load(buffer)


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


def assert_same(a: Any, b: Any) -> None:
    """Equal in type and value to the bit, containers entry by entry and in order."""
    assert type(a) is type(b)
    if isinstance(a, float) and not isinstance(a, np.generic):
        assert bits(a) == bits(b)
    elif isinstance(a, Tensor):
        assert a.requires_grad == b.requires_grad
        assert b.is_leaf
        assert_same(a.array, b.array)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, dict):
        assert_same(list(a.items()), list(b.items()))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for part_a, part_b in zip(a, b, strict=True):
            assert_same(part_a, part_b)
    else:
        assert a == b


DTYPES = ["?", "i1", "u1", "<i4", "<i8", "<u8", "<f2", "<f4", "<f8", ">f8", "<c16", "<M8[s]", "<U3", "S2"]
dtypes = st.sampled_from(DTYPES).map(np.dtype)
text = st.text(st.characters(exclude_categories=()))  # with lone surrogates, which JSON joins to pairs
floats = st.integers(0, 2**64 - 1).map(lambda i: struct.unpack("<d", i.to_bytes(8, "little"))[0])
huge = st.integers(1, 20_000).flatmap(lambda n: st.sampled_from([2**n, -(2**n) - 1]))
voids = st.binary(min_size=1).map(np.void)
numbers = voids | dtypes.flatmap(lambda d: hnp.arrays(d, ())).map(lambda a: a[()])
atoms = st.none() | st.booleans() | st.integers() | huge | floats | text | st.binary() | numbers | dtypes
arrays = dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0, max_side=3)))
float_arrays = hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(min_dims=0, max_side=3))
tensors = st.builds(lambda a, r: Tensor(a, requires_grad=r), float_arrays, st.booleans())
parameters = st.builds(Parameter, float_arrays, st.booleans())
members = st.none() | st.booleans() | st.integers() | huge | st.floats(allow_nan=False) | text | st.binary()
keys = st.recursive(members, lambda inner: st.tuples(inner, inner), max_leaves=3)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    pairs = st.lists(st.tuples(keys, inner), max_size=4)
    plain = st.lists(inner, max_size=4)
    sets = st.sets(members, max_size=3)
    return plain | plain.map(tuple) | pairs.map(dict) | pairs.map(OrderedDict) | sets | sets.map(frozenset)


@example([np.float32(0.1), np.int64(-3), np.bool_(True), np.datetime64(7, "s"), np.dtype("<f2")])
@example({"huge": [2**63, -(2**63) - 1], "not finite": [math.inf, -math.nan], "surrogate": "\ud800"})
@given(st.recursive(atoms | arrays | tensors | parameters, containers, max_leaves=12))
def test_any_nested_container_comes_back_as_it_was(obj: Any) -> None:
    assert_same(obj, there_and_back(obj))


@given(st.recursive(atoms | arrays | tensors, containers, max_leaves=6))
def test_the_same_object_gives_the_same_bytes(obj: Any) -> None:
    one, two = io.BytesIO(), io.BytesIO()
    save(obj, one)
    save(there_and_back(obj), two)
    assert one.getvalue() == two.getvalue()


def test_two_names_of_one_tensor_are_one_tensor_again() -> None:
    w = Parameter(np.arange(3.0))
    state = there_and_back({"encoder": w, "decoder": [w]})
    assert state["encoder"] is state["decoder"][0]


def test_tensors_that_share_memory_share_it_again() -> None:
    w = Parameter(np.arange(6.0).reshape(2, 3))
    tied = there_and_back({"encoder": w.data, "decoder": w.data, "parameter": w, "array": w.data.numpy()})
    tied["encoder"].array[0, 0] = 7
    assert [np.asarray(tied[k].data)[0, 0] for k in ("decoder", "parameter", "array")] == [7, 7, 7]
    assert tied["encoder"] is not tied["decoder"]


def test_equal_tensors_that_share_nothing_stay_apart() -> None:
    a, b = there_and_back([Tensor(np.zeros(2)), Tensor(np.zeros(2))])
    a.array[0] = 1
    assert b.tolist() == [0, 0]


def test_one_memory_seen_through_two_dtypes_or_shapes_keeps_both_values() -> None:
    a = np.array([1.0, 2.0])
    square = np.arange(4.0).reshape(2, 2)
    views = [a, a.view(np.int64), a.reshape(2, 1), a[::-1], a[:1], a.view([("x", "<f8")]), a.view("V8")]
    views += [square, square.T]
    for before, after in zip(views, there_and_back(views), strict=True):
        assert_same(before, after)


def test_memory_order_and_broadcasting_do_not_change_values() -> None:
    a = np.arange(12.0).reshape(3, 4)
    for view in (a.T, a[:, ::2], a[::-1], np.asfortranarray(a), np.broadcast_to(a[0], (5, 4))):
        assert_same(view, there_and_back(view))


def test_what_is_loaded_can_be_written_to() -> None:
    t, a = there_and_back([Tensor(np.zeros(2)), np.zeros(2)])
    t.array[0] = a[0] = 1
    assert (t.tolist(), a.tolist()) == ([1, 0], [1, 0])


def test_a_tensor_with_a_graph_becomes_a_leaf_that_requires_a_gradient() -> None:
    y = Tensor(np.ones(2))
    y.requires_grad, y.node = True, object()  # as an operation would leave it
    loaded = there_and_back(y)
    assert (loaded.is_leaf, loaded.requires_grad, loaded.tolist()) == (True, True, [1, 1])


def test_shared_lists_are_shared_again_and_cost_nothing() -> None:
    doubled: list[Any] = [0]
    for _ in range(64):
        doubled = [doubled, doubled]
    loaded = there_and_back(doubled)  # 2**64 leaves, if they were written out
    assert loaded[0] is loaded[1]


def test_depth_has_no_limit() -> None:
    deep: Any = ()
    for _ in range(20_000):
        deep = (deep,)
    deep = there_and_back(deep)
    depth = 0
    while deep:
        (deep,) = deep
        depth += 1
    assert depth == 20_000


def test_sets_of_containers_come_back() -> None:
    nested = {(1, (2.5, "a")), frozenset({b"x", None}), frozenset()}
    assert_same(nested, there_and_back(nested))


def test_order_of_keys_is_kept_and_keys_keep_their_types() -> None:
    keys_in = ["z", 1, "1", 2.5, None, False, (1, ("a", None)), float("inf"), b"1", np.dtype("float32")]
    keys_out = list(there_and_back(dict.fromkeys(keys_in)))
    assert [(type(k), k) for k in keys_out] == [(type(k), k) for k in keys_in]


def test_records_keep_their_fields() -> None:
    table = np.array([(1, 2.5, "a")], dtype=[("n", "<i4"), ("x", "<f8"), ("s", "<U1")])
    assert_same(table, there_and_back(table))


@pytest.mark.parametrize("text", ["\ud83d\ude00", "\U0001f600", "\udc80", "\0", '"\\\n'])
def test_every_string_is_itself(text: str) -> None:
    assert there_and_back([text, {text: text}]) == [text, {text: text}]


def test_trailing_zeros_of_numpy_strings_are_kept() -> None:
    assert there_and_back(np.str_("a\0"))[:] == "a\0"
    assert bytes.__eq__(there_and_back(np.bytes_(b"a\0")), b"a\0")


class Model:
    def state_dict(self) -> dict[str, Any]:
        return {}


class Local:
    def __reduce__(self) -> Any:
        raise ValueError("never")


class Own(list):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (Model(), r"obj, a Model, cannot be saved; save its state_dict\(\) instead"),
        ({"net": [0, Model()]}, r"obj\['net'\]\[1\], a Model, cannot be saved; save its state_dict\(\)"),
        ({"a": object()}, r"obj\['a'\], a object, cannot be saved"),
        (Own(), "save it as a plain list"),
        (np.array([None]), "not object"),
        (np.ma.masked_array([1, 2], [0, 1]), "MaskedArray, cannot be saved"),
        (np.zeros(2, [("n", "i4")])[0], "cannot be saved"),
        (np.zeros(1, [(f"field{i:04}", "i4") for i in range(1000)]), "cannot be saved"),
        (lambda: None, "cannot be saved"),
        (1j, "cannot be saved"),
        ({Model(): 1}, "cannot be saved"),
    ],
)
def test_what_is_no_plain_data_is_named_with_what_to_save_instead(obj: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        describe(obj)


@pytest.mark.parametrize("obj", [{"net": [0, lambda: None]}, {"net": [0, Local()]}])
def test_what_cannot_be_pickled_either_says_where_it_is(obj: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^save: obj\['net'\]\[1\], a .*; it cannot be pickled either \(.*\)$"
    ):
        save(obj, io.BytesIO())


def test_a_container_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {"a": []}
    loop["a"].append(loop)
    with pytest.raises(ValueError, match=r"obj\['a'\] contains a container that it is itself in"):
        save(loop, io.BytesIO())


def test_arguments_that_mean_nothing_here_are_refused_by_name() -> None:
    buffer = io.BytesIO()
    save(1, buffer)
    for harmless in ({}, {"map_location": "cpu"}, {"map_location": device("cpu")}, {"weights_only": False}):
        buffer.seek(0)
        assert load(buffer, **harmless) == 1
    refused = {"map_location": "cuda:0", "mmap": True, "pickle_module": io, "encoding": "latin1"}
    for name, value in refused.items():
        buffer.seek(0)
        with pytest.raises(NotImplementedError, match=name):
            load(buffer, **{name: value})
    with pytest.raises(NotImplementedError, match="pickle_protocol"):
        save(1, buffer, pickle_protocol=2)
    with pytest.raises(TypeError, match="weights_only"):
        load(buffer, weights_only="yes")  # type: ignore[arg-type]


def test_the_state_of_an_lstm_comes_back_as_a_plain_pair():
    lstm = LSTM(2, 3)
    _, state = lstm(Tensor(np.ones((4, 2), np.float32)))
    loaded = there_and_back({"state": state, "layers": [state]})
    assert type(loaded["state"]) is tuple and loaded["layers"][0] is loaded["state"]
    h, c = loaded["state"]
    np.testing.assert_array_equal(h.array, state.h.array)
    np.testing.assert_array_equal(c.array, state.c.array)
    again = lstm(Tensor(np.zeros((1, 2), np.float32)), loaded["state"])[0]
    np.testing.assert_array_equal(again.array, lstm(Tensor(np.zeros((1, 2), np.float32)), state)[0].array)


def test_other_named_tuples_are_refused():
    with pytest.raises(TypeError, match=r"obj\['best'\], a Extremes, .* plain tuple"):
        describe({"best": Tensor(np.ones(2)).max(0)})
