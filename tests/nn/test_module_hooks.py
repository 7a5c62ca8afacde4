"""Hooks: what they are given, in which order, and that what they return counts."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Pair(nn.Module):
    """Two tensors and a number in, two tensors out."""

    def forward(self, x, y, factor=1.0):
        return x * y * factor, x + y


def test_order_around_the_forward_pass():
    seen = []
    act = nn.Tanh()
    act.register_forward_pre_hook(lambda m, args: seen.append("before 1"))
    act.register_forward_pre_hook(lambda m, args: seen.append("before 2"))
    act.register_forward_pre_hook(lambda m, args: seen.append("before 0"), prepend=True)
    act.register_forward_hook(lambda m, args, y: seen.append("after 1"))
    act.register_forward_hook(lambda m, args, y: seen.append("after 2"))
    act.register_forward_hook(lambda m, args, y: seen.append("after 0"), prepend=True)
    act(tg.zeros(1))
    assert seen == ["before 0", "before 1", "before 2", "after 0", "after 1", "after 2"]


def test_what_forward_hooks_return_replaces_arguments_and_output():
    pair = Pair()
    pair.register_forward_pre_hook(lambda m, args: (args[0] + 1, args[1]))
    pair.register_forward_hook(lambda m, args, out: out[0] + args[0])
    assert pair(tg.tensor(1.0), tg.tensor(5.0)).item() == 2 * 5 + 2
    one = nn.Identity()
    one.register_forward_pre_hook(lambda m, args: args[0] * 3)
    assert one(tg.tensor(2.0)).item() == 6


def test_keyword_arguments_reach_hooks_that_ask_for_them():
    pair, seen = Pair(), []
    pair.register_forward_pre_hook(lambda m, args, kwargs: (args, {"factor": 10.0}), with_kwargs=True)
    pair.register_forward_hook(lambda m, args, kwargs, out: seen.append(kwargs), with_kwargs=True)
    assert pair(tg.tensor(2.0), tg.tensor(3.0), factor=1.0)[0].item() == 60
    assert seen == [{"factor": 10.0}]
    pair.register_forward_pre_hook(lambda m, args, kwargs: seen.append(kwargs), with_kwargs=True)
    assert pair(tg.tensor(2.0), tg.tensor(3.0))[0].item() == 60, "a hook that returns nothing changes nothing"
    assert seen == [{"factor": 10.0}] * 3
    pair.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    pair.register_forward_pre_hook(lambda m, args, kwargs: "x", with_kwargs=True)
    with pytest.raises(RuntimeError, match="pair"):
        pair(tg.tensor(2.0), tg.tensor(3.0))


def test_a_removed_hook_is_not_called_any_more():
    act, seen = nn.Tanh(), []
    first = act.register_forward_hook(lambda *_: seen.append(1))
    with act.register_forward_hook(lambda *_: seen.append(2)):
        act(tg.zeros(1))
    first.remove()
    first.remove()
    act(tg.zeros(1))
    assert seen == [1, 2]


def test_hooks_survive_handles_that_are_thrown_away():
    act, seen = nn.Tanh(), []
    for i in range(20):
        act.register_forward_hook(lambda *_, i=i: seen.append(i))
    act(tg.zeros(1))
    assert seen == list(range(20))


def test_a_hook_may_remove_itself():
    act, seen = nn.Tanh(), []
    handle = act.register_forward_hook(lambda *_: (seen.append(1), handle.remove())[2:] or None)
    act.register_forward_hook(lambda *_: seen.append(2))
    act(tg.zeros(1))
    act(tg.zeros(1))
    assert seen == [1, 2, 2]


# --- backward


def test_backward_hooks_see_the_gradients_of_inputs_and_outputs():
    pair, seen = Pair(), []
    pair.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((m, grad_in, grad_out)))
    x, y = tg.tensor(2.0).requires_grad_(), tg.tensor(3.0).requires_grad_()
    a, b = pair(x, y, 10.0)
    (a + 7 * b).backward()
    ((module, grad_in, grad_out),) = seen
    assert module is pair
    assert [g and g.item() for g in grad_in] == [37, 27, None]
    assert [g.item() for g in grad_out] == [1, 7]
    assert (x.grad.item(), y.grad.item()) == (37, 27)


def test_gradients_that_do_not_exist_are_none():
    pair, seen = Pair(), []
    pair.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((grad_in, grad_out)))
    x = tg.tensor(2.0).requires_grad_()
    pair(tg.tensor(3.0), x)[1].backward()
    assert [[g and g.item() for g in side] for side in seen[0]] == [[None, 1], [None, 1]]


def test_backward_hooks_run_where_no_input_asks_for_a_gradient():
    layer, seen = nn.Linear(2, 1), []
    layer.register_full_backward_hook(
        lambda m, grad_in, grad_out: seen.append((grad_in, grad_out[0].tolist()))
    )
    layer(tg.ones(1, 2)).backward()
    assert seen == [((None,), [[1]])]
    assert layer.weight.grad.tolist() == [[1, 1]]


def test_what_backward_hooks_return_replaces_gradients():
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(5.0)
    layer.register_full_backward_pre_hook(lambda m, grad_out: (grad_out[0] * 2,))
    layer.register_full_backward_pre_hook(lambda m, grad_out: (grad_out[0] + 1,))
    layer.register_full_backward_hook(lambda m, grad_in, grad_out: (grad_in[0] + 100,))
    x = tg.tensor([[3.0]]).requires_grad_()
    layer(x).backward()
    assert layer.weight.grad.item() == 3 * (1 * 2 + 1)
    assert x.grad.item() == 5 * (1 * 2 + 1) + 100


def test_backward_hooks_order_and_removal():
    act, seen = nn.Tanh(), []
    act.register_full_backward_hook(lambda *_: seen.append(1))
    act.register_full_backward_hook(lambda *_: seen.append(0), prepend=True)
    handle = act.register_full_backward_pre_hook(lambda *_: seen.append("pre"))
    x = tg.zeros(1).requires_grad_()
    y = act(x).sum()
    y.backward(retain_graph=True)
    assert seen == ["pre", 0, 1]
    handle.remove()
    y.backward()
    assert seen == ["pre", 0, 1, 0, 1] and x.grad.tolist() == [2]


def test_a_backward_hook_with_too_many_gradients_is_told():
    act = nn.Tanh()
    act.register_full_backward_hook(lambda m, grad_in, grad_out: (grad_in[0], grad_in[0]))
    with pytest.raises(RuntimeError, match="2 gradients returned, 1 expected"):
        act(tg.zeros(1).requires_grad_()).sum().backward()


def test_hooks_change_no_value_and_no_derivative():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    hooked = copy.deepcopy(net)
    for module in hooked.modules():
        module.register_forward_pre_hook(lambda m, args: None)
        module.register_full_backward_pre_hook(lambda m, grad_out: None)
        module.register_full_backward_hook(lambda m, grad_in, grad_out: None)
    x = tg.randn(5, 3).double()
    results = []
    for model in (net, hooked):
        xs = x.clone().requires_grad_()
        y = model(xs)
        (g,) = tg.autograd.grad((y * y).sum(), xs, create_graph=True)
        (h,) = tg.autograd.grad((g * g).sum(), xs)
        results.append([t.detach().numpy() for t in (y, g, h)])
    for plain, other in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, other)


def test_named_outputs_keep_their_type_and_nested_ones_pass():
    cell, lstm = nn.LSTMCell(2, 3), nn.LSTM(2, 3)
    calls = []
    for module in (cell, lstm):
        module.register_full_backward_hook(lambda m, grad_in, grad_out: calls.append(len(grad_out)))
    state = cell(tg.ones(1, 2).requires_grad_())
    assert len(state) == 2
    (state[0] + state[1]).sum().backward()
    out, (h, c) = lstm(tg.ones(4, 1, 2).requires_grad_())
    (out.sum() + h.sum() + c.sum()).backward()
    assert calls == [2, 2]


def test_hooks_leave_nothing_behind_for_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        for create in (False, True):
            net = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
            net.register_full_backward_pre_hook(lambda m, grad_out: None)
            net.register_full_backward_hook(lambda m, grad_in, grad_out: None)
            x = tg.ones(1, 2).requires_grad_()
            tg.autograd.grad(net(x).sum(), x, create_graph=create)
            witness = weakref.ref(net)
            del net
            assert witness() is None
    finally:
        gc.enable()


def test_unsupported_forms():
    with pytest.raises(NotImplementedError, match="always_call"):
        nn.Tanh().register_forward_hook(print, always_call=True)
