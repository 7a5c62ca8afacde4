"""What layers and cells refuse, and in which words; how they are made, printed and found by name."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

LAYERS, CELLS = [nn.RNN, nn.LSTM, nn.GRU], [nn.RNNCell, nn.LSTMCell, nn.GRUCell]


@pytest.mark.parametrize("kind, gates", [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)])
def test_parameters_have_pytorch_s_names_and_shapes(kind, gates):
    layer = kind(2, 3, num_layers=2, bidirectional=True)
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    expected = {}
    for k, inputs in enumerate((2, 6)):
        for end in ("", "_reverse"):
            expected[f"weight_ih_l{k}{end}"] = (gates * 3, inputs)
            expected[f"weight_hh_l{k}{end}"] = (gates * 3, 3)
            expected |= {f"bias_{side}_l{k}{end}": (gates * 3,) for side in ("ih", "hh")}
    assert list(shapes.items()) == list(expected.items())
    assert [[p.shape for p in cell] for cell in layer.all_weights][1][0] == (gates * 3, 2)
    assert layer.flatten_parameters() is None
    assert not any("bias" in name for name, _ in kind(2, 3, bias=False).named_parameters())


def test_projected_states_have_one_more_weight():
    layer = nn.LSTM(2, 5, num_layers=2, proj_size=3)
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    assert shapes["weight_hr_l0"] == (3, 5) and shapes["weight_hh_l0"] == (20, 3)
    assert shapes["weight_ih_l1"] == (20, 3)


@pytest.mark.parametrize("kind", LAYERS + CELLS)
def test_parameters_start_uniform_within_one_over_the_root_of_h(kind):
    module = kind(3, 400)
    for p in module.parameters():
        x = p.detach().numpy().astype(float) * math.sqrt(400)
        assert np.abs(x).max() <= 1 and abs((x**2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / x.size)
    before = module.state_dict()
    tg.manual_seed(0)
    again = kind(3, 400).state_dict()
    assert all((before[name].numpy() == again[name].numpy()).all() for name in before)
    module.reset_parameters()
    assert not any(tg.equal(again[name], p) for name, p in module.named_parameters())


def test_dtypes():
    for kind in LAYERS + CELLS:
        assert all(p.dtype == tg.float64 for p in kind(2, 3, dtype=tg.float64, device="cpu").parameters())
    ys, (h, c) = nn.LSTM(2, 3).double()(tg.zeros(2, 1, 2, dtype=tg.float64))
    assert ys.dtype == h.dtype == c.dtype == tg.float64
    assert nn.GRU(2, 3)(tg.zeros(2, 2))[0].dtype == tg.float32


def test_how_they_are_printed():
    assert repr(nn.LSTM(2, 3)) == "LSTM(2, 3)" and repr(nn.GRUCell(2, 3)) == "GRUCell(2, 3)"
    printed = repr(nn.GRU(2, 3, num_layers=2, dropout=0.5, batch_first=True))
    assert printed == "GRU(2, 3, num_layers=2, batch_first=True, dropout=0.5)"
    assert repr(nn.RNNCell(2, 3, bias=False)) == "RNNCell(2, 3, bias=False)"
    assert repr(nn.RNNCell(2, 3, nonlinearity="relu")) == "RNNCell(2, 3, nonlinearity=relu)"


def test_nonlinearity_is_the_fourth_argument_of_rnn_as_in_pytorch():
    layer = nn.RNN(2, 3, 1, "relu", False)
    assert layer.nonlinearity == "relu" and layer.bias is False and nn.RNN(2, 3).nonlinearity == "tanh"
    assert (layer(-10 * tg.ones(4, 2))[0].detach().numpy() >= 0).all()


def test_a_layer_uses_what_stands_under_a_weight_s_name_now():
    """As weight dropout needs it: the parameter is deleted, and a tensor put in its place each time."""
    layer, xs = nn.GRU(2, 3), tg.randn(4, 1, 2)
    raw = layer.weight_hh_l0
    expected = layer(xs)[0]
    del layer.weight_hh_l0
    layer.raw = nn.Parameter(raw.detach() / 2)
    layer.weight_hh_l0 = layer.raw * 2
    ys, _ = layer(xs)
    ys.sum().backward()
    assert tg.allclose(ys, expected) and layer.raw.grad is not None


def test_an_lstm_s_state_has_names_and_is_a_tuple():
    _, state = nn.LSTM(2, 3)(tg.zeros(2, 1, 2))
    h, c = state
    assert state.h is h and state.c is c and isinstance(state, tuple)


@pytest.mark.parametrize("kind", LAYERS)
def test_sizes_that_cannot_be(kind):
    for sizes in ((0, 3), (2, 0), (-1, 3)):
        with pytest.raises(ValueError, match=r"input_size -?\d and hidden_size \d must be positive"):
            kind(*sizes)
    with pytest.raises(ValueError, match=f"{kind.__name__}: num_layers must be at least 1, got 0"):
        kind(2, 3, num_layers=0)
    with pytest.raises(ValueError, match=r"dropout must lie between 0 and 1, got -0.1"):
        kind(2, 3, 2, dropout=-0.1)
    with pytest.warns(UserWarning, match="dropout=0.5 acts between layers"):
        kind(2, 3, dropout=0.5)


def test_proj_size_is_an_option_of_lstm_alone_and_smaller_than_h():
    for kind in (nn.RNN, nn.GRU):
        with pytest.raises(ValueError, match=f"{kind.__name__}: proj_size is an option of LSTM alone"):
            kind(2, 3, proj_size=2)
    for wrong in (3, 4, -1):
        with pytest.raises(ValueError, match=f"LSTM: proj_size {wrong} must be less than hidden_size 3"):
            nn.LSTM(2, 3, proj_size=wrong)


def test_nonlinearities():
    for kind in (nn.RNN, nn.RNNCell):
        with pytest.raises(ValueError, match="nonlinearity is 'tanh' or 'relu', not 'gelu'"):
            kind(2, 3, nonlinearity="gelu")


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", [(2,), (4, 1, 3), (4, 3), (1, 4, 1, 2)])
def test_an_input_of_the_wrong_shape(kind, shape):
    with pytest.raises(RuntimeError, match=r"input \(.*\) must be \(T, B, 2\), \(T, 2\) or a PackedSequence"):
        kind(2, 3)(tg.zeros(*shape))


@pytest.mark.parametrize("kind", LAYERS)
def test_packed_rows_of_the_wrong_shape(kind):
    packed = nn.utils.rnn.pack_sequence([tg.zeros(3, 1, 2)])
    with pytest.raises(RuntimeError, match=r"input \(3, 1, 2\) must be .* or a PackedSequence"):
        kind(2, 3)(packed)


STATES = [(2, 3), (1, 1, 3), (2, 2, 3), (1, 2, 4), (1, 1, 2, 3)]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("shape", STATES)
def test_a_state_of_the_wrong_shape(kind, shape):
    h = tg.zeros(*shape)
    with pytest.raises(RuntimeError, match=r"must have shape \(1, 2, 3\), got \("):
        kind(2, 3)(tg.zeros(4, 2, 2), (h, h) if kind is nn.LSTM else h)


@pytest.mark.parametrize("kind", LAYERS)
def test_a_single_sequence_has_a_state_without_batch(kind):
    layer, xs, h = kind(2, 3), tg.randn(4, 2), tg.randn(1, 3)
    ys, _ = layer(xs, [h, h] if kind is nn.LSTM else h)
    zs, _ = layer(xs[:, None], (h[:, None], h[:, None]) if kind is nn.LSTM else h[:, None])
    assert ys.shape == (4, 3) and tg.equal(ys, zs[:, 0])
    with pytest.raises(RuntimeError, match=r"must have shape \(1, 3\), got \(1, 1, 3\)"):
        layer(xs, (h[None], h[None]) if kind is nn.LSTM else h[None])


def test_a_state_of_the_wrong_kind():
    h = tg.zeros(1, 2, 3)
    with pytest.raises(RuntimeError, match=r"LSTM: hx must be a pair \(h, c\), got Tensor"):
        nn.LSTM(2, 3)(tg.zeros(4, 2, 2), h)
    with pytest.raises(RuntimeError, match=r"LSTM: hx must be a pair \(h, c\), got Tensor"):
        nn.LSTM(2, 3)(tg.zeros(4, 2, 2), tg.zeros(2, 1, 2, 3))  # not even one of both
    with pytest.raises(RuntimeError, match=r"LSTM: hx must be a pair \(h, c\), got tuple"):
        nn.LSTM(2, 3)(tg.zeros(4, 2, 2), (h, h, h))
    with pytest.raises(RuntimeError, match=r"GRU: hx must have shape \(1, 2, 3\), got tuple"):
        nn.GRU(2, 3)(tg.zeros(4, 2, 2), (h, h))
    with pytest.raises(RuntimeError, match=r"LSTM: c must have shape \(1, 2, 3\)"):
        nn.LSTM(2, 3)(tg.zeros(4, 2, 2), (h, h[:, :1]))


@pytest.mark.parametrize("kind", CELLS)
def test_cells_check_input_and_state(kind):
    cell = kind(2, 3)
    for shape in ((3,), (1, 3), (4, 1, 2)):
        with pytest.raises(RuntimeError, match=r"input \(.*\) must be \(B, 2\) or \(2,\)"):
            cell(tg.zeros(*shape))
    for shape in ((1, 3), (2, 4), (3,), (2, 1, 3)):
        h = tg.zeros(*shape)
        with pytest.raises(RuntimeError, match=r"hx \(.*\) must be \(2, 3\)"):
            cell(tg.zeros(2, 2), (h, h) if kind is nn.LSTMCell else h)
    h = tg.zeros(2, 3)
    with pytest.raises(RuntimeError, match=r"hx \(2, 3\) must be \(3,\)"):
        cell(tg.zeros(2), (h, h) if kind is nn.LSTMCell else h)


def test_an_lstm_cell_does_not_take_two_rows_for_h_and_c():
    with pytest.raises(TypeError, match=r"LSTMCell: hx must be a pair of tensors \(h, c\), got Tensor"):
        nn.LSTMCell(2, 3)(tg.zeros(2, 2), tg.zeros(2, 3))
    with pytest.raises(TypeError, match="pair of tensors"):
        nn.LSTMCell(2, 3)(tg.zeros(2, 2), (tg.zeros(2, 3),) * 3)
    with pytest.raises(TypeError, match="GRUCell: hx must be a tensor, got tuple"):
        nn.GRUCell(2, 3)(tg.zeros(2, 2), (tg.zeros(2, 3), tg.zeros(2, 3)))
