"""state_dict and load_state_dict: values travel by name; a fault is told whole, and nothing is loaded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def net():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1, bias=False))


def values(module):
    return {name: t.numpy().copy() for name, t in module.state_dict().items()}


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name])


def test_the_state_is_parameters_then_buffers_of_each_module_in_order():
    assert list(net().state_dict()) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "2.weight",
    ]
    assert list(nn.Linear(1, 1).state_dict(prefix="net.")) == ["net.weight", "net.bias"]
    filled = {"before": 1}
    assert nn.Linear(1, 1, bias=False).state_dict(destination=filled) is filled
    assert list(filled) == ["before", "weight"]


def test_the_state_shares_memory_and_has_no_graph():
    layer = nn.Linear(2, 1)
    state = layer.state_dict()
    assert not state["weight"].requires_grad and type(state["weight"]) is tg.Tensor
    state["weight"].fill_(3.0)
    assert layer.weight.tolist() == [[3, 3]]
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight


def test_transient_buffers_stay_out():
    root = nn.Module()
    root.register_buffer("kept", tg.zeros(1))
    root.register_buffer("left", tg.zeros(1), persistent=False)
    root.register_buffer("none", None)
    assert list(root.state_dict()) == ["kept"]
    root.register_buffer("left", tg.zeros(1))
    assert list(root.state_dict()) == ["kept", "left"]


def test_loading_copies_values_and_keeps_parameters():
    source, target = net(), net().double()
    source(tg.randn(5, 2))
    weight = target[0].weight
    result = target.load_state_dict(source.state_dict())
    assert result.missing_keys == result.unexpected_keys == []
    assert str(result) == repr(result) == "<All keys matched successfully>"
    assert target[0].weight is weight and weight.dtype == tg.float64 and weight.requires_grad
    assert_same(values(source), {k: v.astype("float32") for k, v in values(target).items()})
    source[0].weight.data.zero_()
    assert (weight != 0).any()


def test_arrays_are_welcome():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": np.array([3])})
    assert layer(tg.ones(1, 2)).tolist() == [[6]]


keys = list(net().state_dict())


@given(
    st.sets(st.sampled_from(keys)),
    st.sets(st.sampled_from(["x", "0.w", "1"])),
    st.sets(st.sampled_from(keys)),
)
def test_one_error_lists_every_fault_and_nothing_is_loaded(missing, unexpected, misshapen):
    target, state = net(), values(net())
    before = values(target)
    for name in misshapen:
        state[name] = np.zeros((4, 4, 4))
    state = {k: v for k, v in state.items() if k not in missing} | dict.fromkeys(unexpected, np.zeros(1))
    if not (missing or unexpected or misshapen):
        target.load_state_dict(state)
        return
    with pytest.raises(RuntimeError) as error:
        target.load_state_dict(state)
    lines = str(error.value).splitlines()
    listed = {
        title: [n for line in lines if title in line for n in keys + ["x", "0.w", "1"] if f'"{n}"' in line]
        for title in ("Missing", "Unexpected")
    }
    assert set(listed["Missing"]) == missing and set(listed["Unexpected"]) == unexpected
    shapes = [line for line in lines if "size mismatch" in line]
    assert {line.split("for ")[1].split(":")[0] for line in shapes} == misshapen - missing
    assert all("(4, 4, 4)" in line for line in shapes)
    assert_same(values(target), before)


def test_not_strict_tolerates_keys_but_not_shapes():
    target = net()
    result = target.load_state_dict({"0.bias": np.ones(3), "x": np.ones(1)}, strict=False)
    assert target[0].bias.tolist() == [1, 1, 1]
    assert result.unexpected_keys == ["x"] and result.missing_keys == [k for k in keys if k != "0.bias"]
    assert "unexpected_keys=['x']" in str(result)
    before = values(target)
    with pytest.raises(RuntimeError, match=r"size mismatch for 0.bias: \(4,\) is given, \(3,\) is needed"):
        target.load_state_dict({"0.bias": np.ones(4), "2.weight": np.ones((1, 3))}, strict=False)
    assert_same(values(target), before)


@pytest.mark.parametrize("value", [np.array(["a", "b", "c"]), np.ones(3, complex), [1.0, None, 2.0]])
def test_what_are_no_numbers_is_refused(value):
    with pytest.raises(RuntimeError, match="dtype mismatch for bias"):
        nn.Linear(2, 3).load_state_dict({"bias": value}, strict=False)


def test_fractions_are_not_cut_off_to_fit_an_integer_buffer():
    with pytest.raises(RuntimeError, match="num_batches_tracked: float64 is given, int64 is needed"):
        nn.BatchNorm1d(2).load_state_dict({"num_batches_tracked": np.array(1.5)}, strict=False)


def test_refusals():
    layer = nn.Linear(2, 3)
    with pytest.raises(TypeError, match="list"):
        layer.load_state_dict([])
    with pytest.raises(NotImplementedError, match="assign"):
        layer.load_state_dict(layer.state_dict(), assign=True)


def test_loading_under_a_graph_that_needs_the_old_values_is_noticed():
    layer = nn.Linear(2, 1)
    x = tg.ones(1, 2).requires_grad_()
    y = layer(x).sum()
    layer.load_state_dict({"weight": np.zeros((1, 2)), "bias": np.zeros(1)})
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()


def test_a_module_in_another_type():
    module = nn.Linear(2, 3)
    assert module.half().weight.dtype == tg.float16
    for name in (tg.DoubleTensor, "torch.DoubleTensor", tg.float64):
        assert module.float().type(name).bias.dtype == tg.float64
    assert module.weight.requires_grad and module.weight.is_leaf
