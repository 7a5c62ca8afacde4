"""Gradient clipping, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
)

gradients = st.lists(
    arrays(float, st.sampled_from([(), (2,), (2, 3)]), elements=st.floats(-100, 100)), max_size=4
)


def with_gradients(grads):
    """Parameters that have these gradients, and one that has none."""
    found = [nn.Parameter(tg.zeros(*np.shape(g)).double()) for g in grads]
    for p, g in zip(found, grads, strict=True):
        p.grad = tg.tensor(g)
    return [*found, nn.Parameter(tg.zeros(1))]


@given(gradients, st.floats(0.1, 100), st.sampled_from([1.0, 2.0, 3.5, math.inf]))
def test_clipping_keeps_the_direction_and_bounds_the_norm(grads, max_norm, p):
    params = with_gradients(grads)
    held = [q.grad for q in params]
    flat = np.concatenate([np.zeros(1), *[g.reshape(-1) for g in grads]])
    total = np.linalg.norm(flat, p)
    assert clip_grad_norm_(iter(params), max_norm, p).item() == pytest.approx(total)
    factor = min(1, max_norm / (total + 1e-6))
    for q, g, before in zip(params, grads, held, strict=False):
        assert q.grad is before
        np.testing.assert_allclose(q.grad.numpy(), factor * g, rtol=1e-12)
    if total <= max_norm * 0.999:
        assert all((q.grad.numpy() == g).all() for q, g in zip(params, grads, strict=False))
    assert params[-1].grad is None


def test_one_tensor_and_single_precision():
    p = nn.Parameter(tg.zeros(2))
    p.grad = tg.tensor([3.0, 4.0])
    norm = clip_grad_norm_(p, 1.0)
    assert norm.item() == 5 and norm.dtype == p.grad.dtype == tg.float32
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-5)
    assert clip_grad_norm_([], 1.0).item() == 0


def test_exploded_gradients_become_small_ones():
    p = nn.Parameter(tg.zeros(2))
    p.grad = tg.tensor([3e30, 4e30])
    assert clip_grad_norm_([p], 1.0).item() == pytest.approx(5e30, rel=1e-6)
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-5)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_norm_that_is_no_number_can_be_an_error(bad):
    params = with_gradients([np.array([1.0, bad])])
    with pytest.raises(RuntimeError, match=f"the norm of the gradients is {bad}"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(params[0].grad.numpy(), [1, bad])
    assert not math.isfinite(clip_grad_norm_(params, 1.0).item())


@given(gradients, st.floats(0.1, 50))
def test_clipping_values(grads, bound):
    params = with_gradients(grads)
    clip_grad_value_(params, bound)
    for p, g in zip(params, grads, strict=False):
        np.testing.assert_array_equal(p.grad.numpy(), np.clip(g, -bound, bound))


def test_foreach_is_refused():
    for clip in (clip_grad_norm_, clip_grad_value_):
        with pytest.raises(NotImplementedError, match="foreach"):
            clip([], 1.0, foreach=True)


def test_a_vector_there_and_back():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (13,) and vector.requires_grad
    np.testing.assert_array_equal(vector[:6].reshape(3, 2).detach().numpy(), net[0].weight.detach().numpy())
    weight = net[0].weight
    vector_to_parameters(vector.detach() * 0 + tg.arange(13).float(), net.parameters())
    assert net[0].weight is weight and weight.is_leaf and weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert parameters_to_vector(net.parameters()).tolist() == list(range(13))
    vector.sum().backward()
    assert net[1].bias.grad.tolist() == [1]


def test_vector_of_the_wrong_size_changes_nothing():
    layer = nn.Linear(2, 1)
    before = parameters_to_vector(layer.parameters()).tolist()
    with pytest.raises(ValueError, match=r"hold 3 numbers, vec has shape \(4,\)"):
        vector_to_parameters(tg.zeros(4), layer.parameters())
    with pytest.raises(TypeError, match="list"):
        vector_to_parameters([1.0] * 3, layer.parameters())
    assert parameters_to_vector(layer.parameters()).tolist() == before


def test_the_largest_gradient_is_a_norm_by_name_too():
    w = tg.zeros(2, requires_grad=True)
    w.grad = tg.tensor([3.0, -4.0])
    assert clip_grad_norm_(w, 2.0, norm_type="inf").item() == 4
    np.testing.assert_allclose(w.grad.numpy(), [1.5, -2], rtol=1e-6)
