"""Modules: what is assigned is found again, by name and in order."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import Module, Parameter


class Leaf(Module):
    def __init__(self, *names):
        super().__init__()
        for i, name in enumerate(names):
            setattr(self, name, Parameter(tg.full((1,), float(i))))


def small():
    """A module with something of each kind: w, scale, a child, a shared child, None."""
    root = Leaf("w", "b")
    root.register_buffer("count", tg.zeros(2))
    root.register_buffer("scratch", tg.zeros(2), persistent=False)
    root.first = Leaf("w")
    root.second = root.first
    root.register_parameter("nothing", None)
    root.third = None
    root.note = "plain"
    return root


# --- names


def test_names_follow_the_order_of_registration_and_the_path():
    root = small()
    root.last = nn.Sequential(nn.Linear(2, 3), Leaf("x"))
    assert [n for n, _ in root.named_parameters()] == [
        "w",
        "b",
        "first.w",
        "last.0.weight",
        "last.0.bias",
        "last.1.x",
    ]
    assert [n for n, _ in root.named_modules()] == ["", "first", "last", "last.0", "last.1"]
    assert [n for n, _ in root.named_children()] == ["first", "last"]
    assert [n for n, _ in root.named_buffers()] == ["count", "scratch"]


def test_the_place_of_a_child_may_be_empty():
    root = Leaf("w")
    root.add_module("child", None)
    assert root.child is None and repr(root) == "Leaf(\n  (child): None\n)"
    assert list(root.modules()) == [root] and list(root.children()) == []
    assert root.double().w.dtype == tg.float64 and list(root.state_dict()) == ["w"]


def test_what_is_shared_is_listed_once_unless_asked():
    root = small()
    assert len(list(root.parameters())) == 3
    assert [n for n, _ in root.named_parameters(remove_duplicate=False)] == ["w", "b", "first.w", "second.w"]
    assert [n for n, _ in root.named_modules(remove_duplicate=False)] == ["", "first", "second"]
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    assert [n for n, _ in tied.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(tied.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_prefix_and_recurse():
    root = small()
    assert [n for n, _ in root.named_parameters("net", recurse=False)] == ["net.w", "net.b"]
    assert [n for n, _ in root.named_modules(prefix="net")] == ["net", "net.first"]
    assert list(root.parameters(recurse=False)) == [root.w, root.b]
    assert list(root.modules()) == [root, root.first] and list(root.children()) == [root.first]
    assert [id(b) for b in root.buffers()] == [id(root.count), id(root.scratch)]


def test_paths_lead_to_what_they_name():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert net.get_parameter("0.weight") is net[0].weight
    assert net.get_buffer("1.running_mean") is net[1].running_mean
    assert net.get_submodule("1") is net[1] and net.get_submodule("") is net
    for call, words in [
        (lambda: net.get_parameter("0.weigth"), "no parameter 'weigth'"),
        (lambda: net.get_submodule("2.0"), "no submodule '2'.*'2.0'"),
        (lambda: net.get_buffer("0.weight"), "no buffer 'weight'"),
    ]:
        with pytest.raises(AttributeError, match=words):
            call()


names = st.sampled_from(["a", "b", "c"])
kinds = st.sampled_from(["parameter", "buffer", "module", "plain", "delete"])


@given(st.lists(st.tuples(names, kinds), max_size=12))
def test_a_name_is_always_in_one_place_only(steps):
    root = Module()
    for name, kind in steps:
        if kind == "delete":
            if name in dir(root):
                delattr(root, name)
                assert not hasattr(root, name)
            continue
        if kind == "buffer" and name in dir(root):
            continue
        if kind == "plain" and name in [*root._parameters, *root._modules]:
            with pytest.raises(TypeError, match=name):
                setattr(root, name, 5)
            continue
        if kind == "plain" and name in root._buffers:
            continue
        value = {"parameter": lambda: Parameter(tg.zeros(1)), "module": Module}.get(
            kind, lambda: tg.zeros(1)
        )()
        root.register_buffer(name, value) if kind == "buffer" else setattr(root, name, value)
        assert getattr(root, name) is value
        places = [root._parameters, root._buffers, root._modules, vars(root)]
        assert [name in place for place in places].count(True) == 1


# --- assignment


def test_a_registered_parameter_is_not_silently_replaced_by_a_plain_tensor():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight.*Parameter or None.*Tensor.*del module.weight"):
        layer.weight = tg.zeros(2, 2)
    with pytest.raises(TypeError, match="Module or None"):
        nn.Sequential(layer).__setattr__("0", 3)
    with pytest.raises(TypeError, match="Tensor or None"):
        nn.BatchNorm1d(2).running_mean = 3.0
    layer.bias = None
    assert "bias" not in dict(layer.named_parameters()) and layer.bias is None
    layer.bias = Parameter(tg.ones(2))
    assert layer(tg.zeros(1, 2)).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    "delete", [lambda m: m._parameters.__delitem__("weight"), lambda m: m.__delattr__("weight")]
)
def test_a_weight_can_be_replaced_by_a_plain_tensor_at_every_step(delete):
    layer = nn.Linear(3, 2, bias=False)
    raw = Parameter(layer.weight.data.clone())
    delete(layer)
    layer.weight_raw = raw
    for factor in (1.0, 0.5):
        layer.weight = raw * factor  # as weight dropping does
        raw.grad = None
        layer(tg.ones(1, 3)).sum().backward()
        np.testing.assert_allclose(raw.grad.numpy(), np.full((2, 3), factor))
    assert [n for n, _ in layer.named_parameters()] == ["weight_raw"]


def test_assigning_moves_a_name_between_kinds():
    root = small()
    root.note = Parameter(tg.zeros(1))
    assert "note" not in vars(root) and "note" in dict(root.named_parameters())
    root.note = Leaf("w")
    assert "note" not in root._parameters and "note" in dict(root.named_children())
    root.scratch = Parameter(tg.zeros(1))
    assert "scratch" in root.state_dict(), "it is no transient buffer any more"


def test_refusals_of_registration():
    root = small()
    result = Parameter(tg.zeros(1), requires_grad=False)
    result += root.w
    for call, kind, words in [
        (lambda: root.register_parameter("v", result), ValueError, r"'v' is the result .* its detach\(\)"),
        (lambda: root.register_parameter("v", tg.zeros(1)), TypeError, "Parameter or None.*Tensor"),
        (lambda: root.register_buffer("v", 3), TypeError, "Tensor or None.*int"),
        (lambda: root.register_module("v", 3), TypeError, "Module or None.*int"),
        (lambda: root.register_buffer("w", tg.zeros(1)), KeyError, "'w'"),
        (lambda: root.register_parameter("forward", None), KeyError, "'forward'"),
        (lambda: root.add_module("a.b", None), KeyError, "a.b"),
        (lambda: root.add_module("", None), KeyError, "empty"),
        (lambda: root.add_module(3, None), TypeError, "3"),
        (lambda: root.missing, AttributeError, "'Leaf' object has no attribute 'missing'"),
        (lambda: delattr(root, "missing"), AttributeError, "missing"),
    ]:
        with pytest.raises(kind, match=words):
            call()


def test_forgetting_super_init_is_named():
    class Hasty(Module):
        def __init__(self):
            self.w = Parameter(tg.zeros(1))

    class Hastier(Module):
        def __init__(self):
            self.x = 3
            self.y = self.layer

    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\).*'w'"):
        Hasty()
    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Hastier()


def test_forward_is_what_a_subclass_must_define():
    with pytest.raises(NotImplementedError, match="Leaf has no forward"):
        Leaf()(1)


# --- parameters


def test_a_parameter_shares_memory_and_makes_plain_tensors():
    t = tg.zeros(2)
    p = Parameter(t)
    t[0] = 5.0
    assert p.tolist() == [5, 0] and p.requires_grad and p.is_leaf
    assert type(p * 1) is tg.Tensor and type(p.data) is tg.Tensor
    assert not Parameter(tg.tensor([1, 2]), requires_grad=False).requires_grad
    assert Parameter().shape == (0,)
    assert repr(Parameter(tg.ones(1))) == "Parameter containing:\ntensor([1.], requires_grad=True)"
    with pytest.raises(TypeError, match="list"):
        Parameter([1.0])
    with pytest.raises(RuntimeError, match="int64"):
        Parameter(tg.tensor([1]))


# --- whole-tree changes


def test_train_and_eval_reach_every_module():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="'yes'"):
        net.train("yes")


def test_apply_visits_children_before_parents():
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Tanh()))
    seen = []
    assert net.apply(lambda m: seen.append(m)) is net
    assert seen == [net[0], net[1][0], net[1], net]


def test_to_changes_floats_and_keeps_parameters_themselves():
    layer = nn.BatchNorm1d(3)
    weight = layer.weight
    layer(tg.randn(4, 3)).sum().backward()
    assert layer.double() is layer and layer.weight is weight
    assert {t.dtype for t in (weight, weight.grad, layer.running_mean)} == {tg.float64}
    assert layer.num_batches_tracked.dtype == tg.int64
    assert weight.requires_grad and weight.is_leaf
    assert layer.to("cpu").weight.dtype == tg.float64
    assert layer.to(tg.zeros(1)).weight.dtype == layer.to("cpu", tg.float32).weight.dtype == tg.float32
    assert layer.to(dtype=tg.float64).float().cpu().weight.dtype == tg.float32
    for call, kind, words in [
        (lambda: layer.to("cuda"), NotImplementedError, "cuda"),
        (lambda: layer.to(tg.int64), TypeError, "int64"),
        (lambda: layer.cuda(), NotImplementedError, "cpu"),
    ]:
        with pytest.raises(kind, match=words):
            call()


def test_to_keeps_what_is_tied_tied():
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    tied.double()
    assert tied[1].weight is tied[0].weight and tied[1].weight.dtype == tg.float64


def test_zero_grad():
    layer = nn.Linear(2, 1)
    layer(tg.ones(1, 2)).backward()
    held = layer.weight.grad
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad is held and held.tolist() == [[0, 0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_freezing():
    layer = nn.Linear(2, 1)
    assert layer.requires_grad_(False) is layer
    assert not layer(tg.ones(1, 2)).requires_grad
    assert layer.requires_grad_()(tg.ones(1, 2)).requires_grad


# --- looks


def test_repr_shows_the_tree():
    net = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.1)))
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU(inplace=True)\n"
        "    (1): Dropout(p=0.1, inplace=False)\n"
        "  )\n"
        ")"
    )

    class Noted(Leaf):
        def extra_repr(self):
            return "one\ntwo"

    noted = Noted()
    assert repr(noted) == "Noted(\n  one\n  two\n)"
    noted.act = nn.Tanh()
    assert repr(noted) == "Noted(\n  one\n  two\n  (act): Tanh()\n)"
    assert {"act", "forward"} <= set(dir(noted))


# --- copies


def test_a_deep_copy_is_independent_and_keeps_what_is_shared_shared():
    net = small()
    twin = copy.deepcopy(net)
    assert twin.first is twin.second and twin.first is not net.first
    assert type(twin.w) is Parameter and twin.note == "plain"
    twin.first.w.data.fill_(7.0)
    twin.count.fill_(7.0)
    twin.eval()
    twin.extra = Parameter(tg.zeros(1))
    assert net.first.w.tolist() == [0] and net.count.tolist() == [0, 0]
    assert net.training and not hasattr(net, "extra")
    assert list(twin.state_dict()) == ["w", "b", "extra", "count", "first.w", "second.w"]


def test_a_deep_copy_has_no_gradient_and_learns_on_its_own():
    net = nn.Linear(2, 1)
    net(tg.ones(1, 2)).backward()
    twin = copy.deepcopy(net)
    assert twin.weight.grad is None and net.weight.grad is not None
    twin(tg.ones(1, 2) * 3).backward()
    assert twin.weight.grad.tolist() == [[3, 3]] and net.weight.grad.tolist() == [[1, 1]]


def test_a_shallow_copy_shares_parameters_but_not_assignments():
    net = nn.Linear(2, 1)
    twin = copy.copy(net)
    assert twin.weight is net.weight
    twin.bias = None
    assert net.bias is not None
