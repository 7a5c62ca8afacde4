"""Defects that admired projects have shipped, each as the claim that it breaks (see also tests/engine)."""

import math

import numpy as np
import pytest
import transcription

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import gradcheck


def test_the_gradient_of_a_reused_tensor_is_added_not_overwritten():
    x = tg.tensor(3.0, requires_grad=True)
    y = x * x
    (y + y * x).backward()
    assert x.grad.item() == 2 * 3 + 3 * 9


def test_a_chain_of_1_200_steps_meets_no_recursion_limit():
    h = start = tg.tensor([0.5], requires_grad=True)
    for _ in range(1_200):
        h = np.tanh(h)
    h.sum().backward()
    assert 0 < start.grad.item() < 1e-3


def test_a_shared_node_is_visited_once():
    y = x = tg.tensor(1.0, requires_grad=True)
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_two_inputs_do_not_share_one_gradient_array():
    a, b = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    (a + b).sum().backward()
    a.grad += 5
    assert b.grad.tolist() == [1, 1]


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.GRUCell])
def test_each_gate_has_a_bias_of_its_own(kind):
    cell, x = kind(2, 3, dtype=tg.float64), tg.randn(4, 2, dtype=tg.float64)
    h = tg.randn(4, 3, dtype=tg.float64)
    state = (h, h) if kind is nn.LSTMCell else h
    cell(x, state)[0].sum().backward()
    slices = cell.bias_ih.grad.numpy().reshape(-1, 3)
    assert len(slices) == kind.gates and len({tuple(np.round(s, 9)) for s in slices}) == kind.gates


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_missing_state_does_not_skip_the_recurrent_bias(kind):
    layer = getattr(nn, kind)(2, 3, dtype=tg.float64)
    xs, zeros = tg.randn(1, 1, 2, dtype=tg.float64), tg.zeros(1, 1, 3, dtype=tg.float64)
    assert (layer.bias_hh_l0.detach().numpy() != 0).all()
    ys, _ = layer(xs)
    assert tg.equal(ys, layer(xs, (zeros, zeros) if kind == "LSTM" else zeros)[0])
    ys.sum().backward()
    assert layer.bias_hh_l0.grad.numpy().any()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_recurrent_weight_has_the_size_of_the_state_not_of_the_input(kind):
    for inputs, hidden in ((2, 5), (5, 2)):
        layer = getattr(nn, kind)(inputs, hidden, num_layers=2)
        assert layer.weight_hh_l0.shape[1] == hidden == layer.weight_ih_l1.shape[1]
        assert layer(tg.zeros(3, 1, inputs))[0].shape == (3, 1, hidden)


def test_the_recurrent_weight_is_transposed_on_the_way_back():
    """dL/dh₀ = W_hhᵀ … W_hhᵀ u for a linear recurrence, which a W_hh that is not symmetric tells apart."""
    W = np.array([[0.5, 2.0], [0.0, 0.25]])
    layer = nn.RNN(1, 2, nonlinearity="relu", bias=False, dtype=tg.float64)
    with tg.no_grad():
        layer.weight_hh_l0.copy_(tg.tensor(W))
        layer.weight_ih_l0.fill_(1.0)
    h = tg.tensor([[[3.0, 4.0]]], dtype=tg.float64, requires_grad=True)
    ys, _ = layer(tg.ones(3, 1, 1, dtype=tg.float64), h)
    ys[2].backward(tg.tensor([[1.0, 10.0]], dtype=tg.float64))
    assert np.allclose(h.grad.numpy()[0, 0], np.linalg.matrix_power(W.T, 3) @ [1, 10])


def test_the_gradient_of_a_loss_enters_at_its_step_only():
    layer = nn.RNN(1, 2, dtype=tg.float64)
    xs = tg.randn(5, 1, 1, dtype=tg.float64).requires_grad_()
    layer(xs)[0][2].sum().backward()
    reached = (xs.grad.numpy()[:, 0, 0] != 0).tolist()
    assert reached == [True, True, True, False, False]


def test_the_backward_pass_of_an_lstm_is_not_zeros():
    layer = nn.LSTM(2, 3, dtype=tg.float64)
    xs = tg.randn(4, 2, 2, dtype=tg.float64).requires_grad_()
    assert gradcheck(lambda x: layer(x)[0], xs)
    layer(xs)[0].sum().backward()
    assert all((p.grad.numpy() != 0).all() for p in (xs, *layer.parameters()))


def test_sigmoid_is_the_logistic_function_and_not_its_double():
    x = tg.tensor([-2.0, 0.0, 1.0], dtype=tg.float64, requires_grad=True)
    y = tg.sigmoid(x)
    y.sum().backward()
    expected = [1 / (1 + math.exp(-v)) for v in x.tolist()]
    assert np.allclose(y.detach().numpy(), expected)
    assert np.allclose(x.grad.numpy(), [s * (1 - s) for s in expected]) and x.grad[1].item() == 0.25


@pytest.mark.parametrize("kind", ["RNN tanh", "LSTM", "GRU"])
def test_the_reverse_direction_starts_at_each_sequence_s_own_end(kind):
    layer = getattr(nn, kind.split()[0])(2, 3, bidirectional=True, dtype=tg.float64)
    xs = tg.randn(4, 2, 2, dtype=tg.float64)
    ys, _ = layer(xs, lengths=[2, 4])
    w = {name: p.detach().numpy() for name, p in layer.named_parameters()}
    zeros = [np.zeros(3)] * (2 if kind == "LSTM" else 1)
    first = transcription.STEPS[kind](w, xs[1, 0].numpy(), zeros, "_l0_reverse")[0]
    assert np.allclose(ys[1, 0, 3:].detach().numpy(), first)


def test_zero_times_infinity_in_padding_does_not_reach_the_gradients():
    layer = nn.LSTM(2, 3)
    xs = tg.ones(3, 2, 2)
    xs[1:, 1] = float("inf")
    xs.requires_grad_()
    ys, _ = layer(xs, lengths=[3, 1])
    ys.sum().backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in (xs, *layer.parameters()))
