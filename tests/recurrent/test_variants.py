"""Cells beyond RNN, LSTM and GRU: their papers' equations, the laws of cells, and compiled."""

from __future__ import annotations

import cells_in_numpy
import numpy as np
import pytest
from hypothesis import settings

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.cells import each
from tinygrad_rnn.nn.loop import tensors_in
from tinygrad_rnn.testing import check_cell

CELLS = sorted(cells_in_numpy.STEPS)
D, H, T, LENGTHS = 3, 4, 5, [5, 0, 3]


def made(name, *args, **options):
    """A cell in float64, whose parameters are moved at random: no gain is 1 and no bias 0."""
    cell = getattr(nn, name)(*(args or (D, H)), **options).double()
    with tg.no_grad():
        for p in cell.parameters():
            p += tg.randn(*p.shape, dtype=tg.float64) * 0.5
    return cell


def drawn(cell, B):
    """Random initial states; what an sLSTM divides by is positive."""
    state = cell.initial_state(B, tg.zeros(1, dtype=tg.float64))
    drawn = each(lambda s: s + tg.randn(*s.shape, dtype=s.dtype) if s.is_floating_point() else s, state)
    return drawn._replace(n=drawn.n.abs() + 0.1) if isinstance(cell, nn.SLSTMCell) else drawn


@pytest.mark.parametrize("start", ["its own state", "a random state"])
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_computes_its_equations(name, start):
    """Ragged, each sequence alone in NumPy; an sLSTM's state is compared by what c and n stand for."""
    cell, step = made(name), cells_in_numpy.STEPS[name]
    p = {key: value.detach().numpy() for key, value in cell.named_parameters()}
    xs = tg.randn(T, len(LENGTHS), D, dtype=tg.float64)
    state = drawn(cell, len(LENGTHS)) if start == "a random state" else None
    ys, last = nn.Recurrent(cell)(xs, state, lengths=LENGTHS)
    if name == "SLSTMCell":
        last = last._replace(c=last.c * last.m.exp(), n=last.n * last.m.exp(), m=last.m * 0)
    began = cell.initial_state(len(LENGTHS), xs) if state is None else state
    for b in [0, 2]:
        h = [s[b].numpy() for s in tensors_in(began)]
        for t in range(LENGTHS[b]):
            y, h = step(p, xs[t, b].numpy(), h)
            np.testing.assert_allclose(ys[t, b].detach().numpy(), y, rtol=1e-10, atol=1e-12)
        for found, wanted in zip(tensors_in(last), h, strict=True):
            np.testing.assert_allclose(found[b].detach().numpy(), wanted, rtol=1e-10, atol=1e-12)


class PositiveSLSTM(nn.SLSTMCell):
    """An sLSTM in ln n, so that any numbers are a state; it begins with n = 1."""

    def step(self, a, state):
        h, c, ln_n, m = state
        new = super().step(a, (h, c, ln_n.exp(), m))
        return new._replace(n=new.n.log())


class FlatConvLSTM(nn.ConvLSTMCell):
    """A ConvLSTM over images (2, 2, 3) that come as vectors (12,)."""

    def __init__(self, inputs, hidden):
        super().__init__(2, hidden, kernel_size=3)

    def initial_state(self, batch_size, like):
        return super().initial_state(batch_size, tg.zeros(1, 2, 3, dtype=like.dtype))

    def project(self, xs):
        return super().project(xs.reshape(-1, 2, 2, 3))

    def step(self, a, state):
        state = super().step(a, state)
        return nn.Step(state.h.flatten(1), state)


LAWFUL = {name: getattr(nn, name) for name in CELLS} | {
    "SLSTMCell": PositiveSLSTM,
    "IndRNNCell": lambda D, H: nn.IndRNNCell(D, H, nonlinearity="tanh"),
    "SRUCell of D = H": lambda _, H: nn.SRUCell(H, H),
    "ClockworkRNNCell of three periods": lambda D, H: nn.ClockworkRNNCell(D, 6, periods=[3, 1, 2]),
}
WITHOUT_BIASES = [
    nn.LayerNormLSTMCell, nn.ResetBeforeGRUCell, nn.MGUCell, nn.LayerNormGRUCell, nn.SRUCell, nn.CIFGCell,
]  # fmt: skip
CASES = max(1, settings.default.max_examples // 100)


@pytest.mark.parametrize("name", LAWFUL)
def test_a_cell_keeps_every_law(name):
    size = 4 if "D = H" in name else None
    options = {"summed_biases": slice(0, 8)} if name == "LayerNormGRUCell" else {}
    verdict = check_cell(LAWFUL[name], input_size=size, steps=6, cases=CASES, **options)
    assert {law for law, result in verdict.items() if result != "held"} <= {"two_biases_are_one"}


@pytest.mark.parametrize("cell", WITHOUT_BIASES)
def test_a_cell_without_biases_keeps_the_laws_of_gradients(cell):
    laws = ["every_parameter_matters", "backward_is_the_derivative"]
    check_cell(lambda D, H: cell(D, H, bias=False), laws=laws, steps=6, cases=CASES)


def test_an_indrnn_with_relu_keeps_every_law():
    """But one: a unit that is always 0 has no gradient."""
    check_cell(nn.IndRNNCell, skip=["every_parameter_matters"], steps=6, cases=CASES)


def test_a_convolutional_lstm_keeps_every_law():
    check_cell(FlatConvLSTM, input_size=12, hidden_size=2, steps=6, cases=1)


def results(layer, xs, state, lengths):
    """Outputs, last states, and the gradients of a fixed random function of them."""
    leaves = [xs, *layer.parameters(), *(s for s in tensors_in(state) if s.is_floating_point())]
    for leaf in leaves:
        leaf.requires_grad_()
    ys, last = layer(xs, state, lengths=lengths)
    found = [ys, *tensors_in(last)]
    numbers = np.random.default_rng(0)
    total = sum(
        (t * tg.tensor(numbers.standard_normal(t.shape))).sum() for t in found if t.is_floating_point()
    )
    return [*found, *tg.autograd.grad(total, leaves, materialize_grads=True)]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", CELLS)
def test_a_compiled_cell_gives_the_same(name, lengths):
    layer = nn.Recurrent(made(name))
    xs, state = tg.randn(T, 3, D, dtype=tg.float64), drawn(layer.cells[0], 3)
    compiled = tg.compile(layer, fullgraph=True)
    for found, wanted in zip(*(results(run, xs, state, lengths) for run in (compiled, layer)), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-9, atol=1e-11)


def test_a_compiled_convolutional_lstm_gives_the_same():
    layer = nn.Recurrent(made("ConvLSTMCell", D, H))
    xs = tg.randn(T, 2, D, 3, 4, dtype=tg.float64)
    state = drawn_images(2)
    compiled = tg.compile(layer, fullgraph=True)
    for found, wanted in zip(*(results(run, xs, state, [5, 3]) for run in (compiled, layer)), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-9, atol=1e-11)


def drawn_images(B):
    return nn.LSTMState(*(tg.randn(B, H, 3, 4, dtype=tg.float64) for _ in range(2)))


# --- what is peculiar to some


def test_an_slstm_does_not_depend_on_its_stabiliser_and_does_not_overflow():
    cell = made("SLSTMCell")
    x, state = tg.randn(2, D, dtype=tg.float64), drawn(cell, 2)
    moved = state._replace(c=state.c * np.e**-3, n=state.n * np.e**-3, m=state.m + 3)
    np.testing.assert_allclose(cell(x, moved).h.detach(), cell(x, state).h.detach(), rtol=1e-12)
    with tg.no_grad():
        for log_i in (-2000.0, 2000.0):
            cell.bias_ih[H : 2 * H] = log_i
            ys, _ = nn.Recurrent(cell)(tg.randn(9, 2, D, dtype=tg.float64))
            assert (ys.abs() <= 1).all().item() and (ys != 0).all().item()


def test_layer_norm_does_not_see_the_scale_of_its_weights():
    for name in ("LayerNormLSTMCell", "LayerNormGRUCell"):
        cell = made(name)
        cell.eps = 0.0
        x, state = tg.randn(2, D, dtype=tg.float64), drawn(cell, 2)
        before = tensors_in(cell(x, state))[0]
        with tg.no_grad():
            cell.weight_ih *= 7
            cell.weight_hh *= 7
        np.testing.assert_allclose(tensors_in(cell(x, state))[0].detach(), before.detach(), rtol=1e-10)


def test_the_clock_of_a_clockwork_rnn():
    """A unit of period p moves at steps 0, p, 2p, …; slow units do not see faster ones."""
    cell = made("ClockworkRNNCell", 2, 6, periods=[1, 2, 3])
    hs, last = nn.Recurrent(cell)(tg.randn(7, 1, 2, dtype=tg.float64))
    moved = (np.diff(hs.detach().numpy()[:, 0], axis=0) != 0).T.tolist()
    for unit, period in enumerate([1, 1, 2, 2, 3, 3]):
        assert moved[unit] == [t % period == 0 for t in range(1, 7)]
    assert last.t.tolist() == [[7]] and cell.mask[4].tolist() == [0, 0, 0, 0, 1, 1]
    assert "mask" not in cell.state_dict() and cell.to(tg.float32).mask.dtype == tg.float32


def test_a_convolutional_lstm_of_single_pixels_is_an_lstm():
    conv, plain = made("ConvLSTMCell", D, H, kernel_size=1), nn.LSTMCell(D, H).double()
    with tg.no_grad():
        for name in ("weight_ih", "weight_hh"):
            getattr(plain, name).copy_(getattr(conv, name)[:, :, 0, 0])
        plain.bias_ih.copy_(conv.bias)
        plain.bias_hh.zero_()
    xs = tg.randn(T, 2, D, 3, 2, dtype=tg.float64)
    ys, (_, c) = nn.Recurrent(conv)(xs)
    assert ys.shape == (T, 2, H, 3, 2) and c.shape == (2, H, 3, 2)
    wanted, _ = nn.Recurrent(plain)(xs[..., 1, 0])
    np.testing.assert_allclose(ys[..., 1, 0].detach(), wanted.detach(), rtol=1e-10, atol=1e-12)
    assert nn.ConvLSTMCell(2, 3, bias=False).bias is None


def test_one_step_without_a_batch():
    for name in CELLS:
        cell = made(name)
        x, state = tg.randn(1, D, dtype=tg.float64), drawn(cell, 1)
        alone = cell(x[0], each(lambda s: s[0], state))
        for found, wanted in zip(tensors_in(alone), tensors_in(cell(x, state)), strict=True):
            np.testing.assert_allclose(found.detach(), wanted[0].detach(), rtol=1e-12)


def test_what_is_refused():
    for make, words in [
        (lambda: nn.IndRNNCell(2, 3, nonlinearity="gelu"), "nonlinearity is 'relu' or 'tanh', not 'gelu'"),
        (lambda: nn.ClockworkRNNCell(2, 5, periods=[1, 2]), "2 periods do not divide hidden_size 5"),
        (lambda: nn.ClockworkRNNCell(2, 4, periods=[]), "0 periods do not divide hidden_size 4"),
        (lambda: nn.ClockworkRNNCell(2, 4, periods=[0, 1]), r"positive integers, got \(0, 1\)"),
        (lambda: nn.ConvLSTMCell(2, 3, kernel_size=2), "kernel_size 2 odd"),
        (lambda: nn.SRUCell(0, 3), "input_size 0 and hidden_size 3 must be positive"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
    with pytest.raises(RuntimeError, match=r"hx must be \(h, t\) of shapes \(2, 4\) and \(2, 1\), got"):
        nn.ClockworkRNNCell(3, 4)(tg.zeros(2, 3), tg.zeros(2, 4))
    assert repr(nn.ClockworkRNNCell(3, 4)) == "ClockworkRNNCell(3, 4, periods=(1, 2, 4, 8))"
    assert repr(nn.IndRNNCell(3, 4, nonlinearity="tanh")) == "IndRNNCell(3, 4, nonlinearity=tanh)"
    assert repr(nn.ConvLSTMCell(3, 4)) == "ConvLSTMCell(3, 4, kernel_size=3)"
