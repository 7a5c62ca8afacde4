"""Initialisation of recurrent layers and cells by name: which numbers are written, and which are not."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import init

H = 500
KEEPING = {  # class: rows of the gate that keeps the state, and of the one that writes, in units of H
    nn.LSTMCell: (1, 0),
    nn.PeepholeLSTMCell: (1, 0),
    nn.LayerNormLSTMCell: (1, 0),
    nn.CIFGCell: (0, None),
    nn.SLSTMCell: (2, None),
    nn.GRUCell: (1, None),
    nn.ResetBeforeGRUCell: (1, None),
    nn.LayerNormGRUCell: (1, None),
    nn.MinLSTMCell: (0, 1),
    nn.QRNNCell: (1, None),
    nn.SRUCell: (0, None),
    nn.MGUCell: (None, 0),
    nn.MinGRUCell: (None, 0),
}


def biases(module):
    """bias_ih and bias_hh of each cell, (gates, H), bias_hh or zeros."""
    own = {name: p.numpy().reshape(-1, module_size(module)).copy() for name, p in named(module)}
    pairs = [(name, name.replace("bias_ih", "bias_hh")) for name in own if "bias_ih" in name]
    return [(own[a], own.get(b, np.zeros_like(own[a]))) for a, b in pairs]


def named(module):
    found = module.named_parameters()
    return [(name, p.detach()) for name, p in found if "bias_ih" in name or "bias_hh" in name]


def module_size(module):
    return module.hidden_size if hasattr(module, "hidden_size") else module.cells[0].hidden_size


@pytest.mark.parametrize("kind", KEEPING, ids=lambda kind: kind.__name__)
def test_a_state_is_kept_at_chrono_time_scales(kind):
    """Without inputs a state decays by a factor 1 - 1/(1 + u) a step, u uniform in [1, T_max - 1]."""
    keep, write = KEEPING[kind]
    cell = kind(2, H)
    ((before_ih, before_hh),) = biases(cell)
    assert init.chrono_(cell, 50) is cell
    ((after_ih, after_hh),) = biases(cell)
    u = np.exp(after_ih[keep] if keep is not None else -after_ih[write])
    assert 1 <= u.min() < 2 and 48 < u.max() <= 49.001 and abs(u.mean() - 25) < 3
    assert np.corrcoef(np.sort(u), np.arange(H))[0, 1] > 0.99  # uniform
    if keep is not None and write is not None:
        np.testing.assert_array_equal(after_ih[write], -after_ih[keep])
    for gate in range(len(after_ih)):
        if gate in (keep, write):
            assert not after_hh[gate].any()
        else:
            np.testing.assert_array_equal(after_ih[gate], before_ih[gate])
            np.testing.assert_array_equal(after_hh[gate], before_hh[gate])


@pytest.mark.parametrize("kind", [k for k, (keep, _) in KEEPING.items() if keep is not None])
def test_the_forget_gate_begins_open(kind):
    cell = kind(2, H)
    ((before_ih, before_hh),) = biases(cell)
    assert init.unit_forget_bias_(cell) is cell
    ((after_ih, after_hh),) = biases(cell)
    for gate in range(len(after_ih)):
        if gate == KEEPING[kind][0]:
            assert (after_ih[gate] == 1).all() and not after_hh[gate].any()
        else:
            np.testing.assert_array_equal(after_ih[gate], before_ih[gate])
            np.testing.assert_array_equal(after_hh[gate], before_hh[gate])


def test_what_a_chrono_gate_does_to_a_state():
    """An LSTM with all weights 0 forgets by f = u / (1 + u) a step."""
    cell = init.chrono_(nn.LSTMCell(1, 4).double(), 20)
    with tg.no_grad():
        cell.weight_ih.zero_()
        cell.weight_hh.zero_()
        cell.bias_ih[8:12] = cell.bias_hh[8:12] = 0  # the candidate is 0
    c = tg.ones(1, 4, dtype=tg.float64)
    u = cell.bias_ih[4:8].exp()
    found = cell(tg.zeros(1, 1, dtype=tg.float64), (c, c))[1]
    np.testing.assert_allclose(found[0].detach(), (u / (1 + u)).detach())


LAYERS = [
    lambda: nn.LSTM(3, 5, 2, bidirectional=True),
    lambda: nn.LSTM(3, 5, proj_size=2),
    lambda: nn.GRU(3, 5, 2),
    lambda: nn.RNN(3, 5, bidirectional=True),
    lambda: nn.Recurrent([nn.PeepholeLSTMCell(3, 5), nn.MGUCell(5, 5)]),
    lambda: nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 5), nn.LSTM(5, 5)),
    lambda: nn.GRUCell(3, 5),
    lambda: nn.ClockworkRNNCell(3, 6),
]


@pytest.mark.parametrize("make", LAYERS)
def test_every_gate_of_every_layer_is_orthogonal(make):
    layer = make().double()
    before = {name: p.tolist() for name, p in layer.named_parameters()}
    assert init.orthogonal_gates_(layer, gain=2) is layer
    for name, p in layer.named_parameters():
        if "weight_hh" in name:
            size = 6 if isinstance(layer, nn.ClockworkRNNCell) else 5
            for W in p.detach().numpy().reshape(-1, size, p.shape[1]):
                np.testing.assert_allclose(W.T @ W, 4 * np.eye(p.shape[1]), atol=1e-12)
        else:
            assert p.tolist() == before[name]
    blocks = next(p for name, p in layer.named_parameters() if "weight_hh" in name).detach().numpy()
    assert len({float(x) for x in blocks[:, 0]}) == len(blocks)  # no block is another's copy


def test_all_cells_of_a_layer_are_reached():
    lstm = init.unit_forget_bias_(nn.LSTM(3, 5, 2, bidirectional=True), 2.5)
    assert all((ih[1] + hh[1] == 2.5).all() for ih, hh in biases(lstm)) and len(biases(lstm)) == 4
    deep = init.chrono_(nn.MinLSTM(3, 5, 2), 9)
    assert all((ih[0] == -ih[1]).all() for ih, _ in biases(deep)) and len(biases(deep)) == 2


def test_a_generator_gives_the_same_numbers():
    for fill in (lambda m, g: init.chrono_(m, 30, g), lambda m, g: init.orthogonal_gates_(m, generator=g)):
        layers = [nn.GRU(2, 3) for _ in range(2)]
        layers[1].load_state_dict(layers[0].state_dict())
        for layer in layers:
            fill(layer, tg.Generator().manual_seed(4))
        assert [p.tolist() for p in layers[0].parameters()] == [p.tolist() for p in layers[1].parameters()]


def test_what_is_refused():
    for call, kind, words in [
        (
            lambda: init.unit_forget_bias_(nn.GRU(2, 3, bias=False)),
            ValueError,
            "GRUCell has no bias; make it with",
        ),
        (
            lambda: init.unit_forget_bias_(nn.RNN(2, 3)),
            ValueError,
            "unit_forget_bias_: RNNCell has no gate that keeps",
        ),
        (
            lambda: init.chrono_(nn.IndRNNCell(2, 3), 9),
            ValueError,
            "chrono_: IndRNNCell has no gate that keeps",
        ),
        (
            lambda: init.chrono_(nn.LSTM(2, 3), 1),
            ValueError,
            "chrono_: T_max must be at least 2 steps, got 1",
        ),
        (
            lambda: init.orthogonal_gates_(nn.IndRNNCell(2, 3)),
            ValueError,
            "IndRNNCell has no matrix weight_hh",
        ),
        (lambda: init.orthogonal_gates_(nn.MinGRU(2, 3)), ValueError, "MinGRUCell has no matrix weight_hh"),
        (
            lambda: init.chrono_(nn.Linear(2, 3), 9),
            TypeError,
            "chrono_: Linear holds no RNN, LSTM, GRU or gated cell",
        ),
        (lambda: init.chrono_(nn.ConvLSTMCell(2, 3), 9), TypeError, "chrono_: ConvLSTMCell holds no"),
    ]:
        with pytest.raises(kind, match=words):
            call()
