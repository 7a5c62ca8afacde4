"""Containers behave like Python's lists and dictionaries, and register what they hold."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Parameter

index = st.integers(-4, 4)
step = st.one_of(
    st.tuples(st.just("append")),
    st.tuples(st.just("insert"), index),
    st.tuples(st.just("pop"), index),
    st.tuples(st.just("delete"), index),
    st.tuples(st.just("cut"), index, index),
    st.tuples(st.just("set"), index),
    st.tuples(st.just("extend"), st.integers(0, 2)),
    st.tuples(st.just("add"), st.integers(0, 2)),
)


def perform(items, action, make):
    """One step on a list or a container; the name of the error, if there is one."""
    name, *args = action
    try:
        if name == "append":
            items.append(make())
        elif name == "insert":
            items.insert(args[0], make())
        elif name == "pop":
            items.pop(*args)
        elif name == "delete":
            del items[args[0]]
        elif name == "cut":
            del items[slice(*args)]
        elif name == "set":
            items[args[0]] = make()
        elif name == "extend":
            items.extend([make() for _ in range(args[0])])
        else:
            items += [make() for _ in range(args[0])]
    except IndexError:
        return "IndexError"
    return None


@pytest.mark.parametrize("kind", [nn.Sequential, nn.ModuleList, nn.ParameterList])
@given(steps=st.lists(step, max_size=8), cut=st.slices(4))
def test_list_containers_are_lists(kind, steps, cut):
    container, model = kind(), []
    for action in steps:
        entry = Parameter(tg.zeros(1)) if kind is nn.ParameterList else nn.Identity()
        assert perform(container, action, lambda e=entry: e) == perform(model, action, lambda e=entry: e)
        entries = container._entries()
        assert [id(x) for x in container] == [id(x) for x in model]
        assert list(entries) == [str(i) for i in range(len(model))]
    assert len(container) == len(model)
    assert type(container[cut]) is kind and [id(x) for x in container[cut]] == [id(x) for x in model[cut]]
    for i in range(-len(model), len(model)):
        assert container[i] is model[i]
    assert [id(x) for x in container + model] == [id(x) for x in model + model]
    with pytest.raises(IndexError, match=f"index {len(model)} is out of range"):
        container[len(model)]


def test_sequential_applies_in_order_and_may_have_names():
    net = nn.Sequential(OrderedDict(twice=nn.Linear(1, 1, bias=False), act=nn.ReLU()))
    net.twice.weight.data.fill_(-2.0)
    assert net(tg.tensor([[3.0]])).item() == 0 and net[:1](tg.tensor([[3.0]])).item() == -6
    assert list(net.state_dict()) == ["twice.weight"] == list(net[:1].state_dict())
    assert list(nn.Sequential(nn.Tanh(), nn.Linear(1, 1))[1:].state_dict()) == ["1.weight", "1.bias"]
    net[1] = nn.Identity()
    assert net.act(tg.tensor(-1.0)).item() == -1
    assert nn.Sequential()(3) == 3


def test_what_is_no_module_is_refused():
    for call in (
        lambda: nn.Sequential(nn.Tanh(), abs),
        lambda: nn.ModuleList([3]),
        lambda: nn.ModuleDict({"a": 3}),
    ):
        with pytest.raises(TypeError, match="must be a Module or None"):
            call()
    with pytest.raises(TypeError, match="must be a Parameter or None"):
        nn.ParameterList([3])


def test_lists_have_no_forward():
    with pytest.raises(NotImplementedError, match="ModuleList"):
        nn.ModuleList([nn.Tanh()])(1)


def test_module_dict_is_a_dictionary():
    a, b, c = nn.Tanh(), nn.ReLU(), nn.Linear(1, 1)
    d = nn.ModuleDict({"a": a})
    d.update([("c", c), ("b", b)])
    d.update(nn.ModuleDict({"a": b}))
    assert list(d) == list(d.keys()) == ["a", "c", "b"] and list(d.values()) == [b, c, b]
    assert dict(d.items()) == {"a": b, "c": c, "b": b}
    assert "a" in d and "x" not in d and d.get("x") is None and d["c"] is c and len(d) == 3
    assert list(d.state_dict()) == ["c.weight", "c.bias"]
    assert d.pop("c") is c and list(d.parameters()) == []
    del d["a"]
    d.clear()
    assert len(d) == 0
    for call in (lambda: d["x"], lambda: d.pop("x"), lambda: d.__delitem__("x")):
        with pytest.raises(KeyError, match="x"):
            call()
    with pytest.raises(KeyError, match="'keys'"):
        d["keys"] = a


def test_parameters_in_containers_are_trained():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.several = nn.ParameterList([tg.ones(2), Parameter(tg.ones(1))])
            self.named = nn.ParameterDict({"scale": tg.full((2,), 3.0)})

        def forward(self, x):
            return (x * self.several[0] * self.named["scale"] + self.several[1]).sum()

    net = Net()
    assert [n for n, _ in net.named_parameters()] == ["several.0", "several.1", "named.scale"]
    net(tg.tensor([1.0, 2.0])).backward()
    assert [p.grad.tolist() for p in net.parameters()] == [[3, 6], [2], [1, 2]]
    assert type(net.several[0]) is Parameter and not nn.ParameterList([tg.tensor([1])])[0].requires_grad


def test_repr():
    many = nn.ModuleList([nn.Tanh(), nn.Tanh(), nn.Linear(1, 2), nn.Tanh()])
    linear = "Linear(in_features=1, out_features=2, bias=True)"
    assert repr(many) == f"ModuleList(\n  (0-1): 2 x Tanh()\n  (2): {linear}\n  (3): Tanh()\n)"
    parameters = nn.ParameterDict({"a": tg.ones(2, 3), "b": tg.ones(())})
    assert repr(parameters) == (
        "ParameterDict(\n  (a): Parameter containing: [float32 of size 2x3]\n"
        "  (b): Parameter containing: [float32 of size ]\n)"
    )
    assert repr(nn.ParameterList()) == "ParameterList()"


def test_a_module_used_twice_gets_both_gradients():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(3.0)
    net = nn.Sequential(layer, layer)
    net(tg.tensor([[2.0]])).backward()
    np.testing.assert_allclose(layer.weight.grad.item(), 2 * 3 * 2)
    assert len(list(net.parameters())) == 1
