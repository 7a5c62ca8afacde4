"""MinGRU, MinLSTM, QRNN and LRU: the scan is the loop over the same cells, however the batch is given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import gradcheck, gradgradcheck
from tinygrad_rnn.nn.cells import each
from tinygrad_rnn.nn.functional.linear_recurrence import SHORTEST
from tinygrad_rnn.nn.loop import tensors_in
from tinygrad_rnn.nn.scan import scan
from tinygrad_rnn.testing import check_cell

LAYERS = [nn.MinGRU, nn.MinLSTM, nn.QRNN, nn.LRU]


class Scanned(nn.Recurrent):
    """Recurrent with the scan in the place of the loop."""

    unroll = staticmethod(scan)


def moved(layer):
    """The layer in float64, its parameters moved at random."""
    layer = layer.double()
    with tg.no_grad():
        for p in layer.parameters():
            p += tg.randn(*p.shape, dtype=tg.float64) * 0.3
    return layer


def looped(layer):
    """Recurrent over copies of the layer's cells, and its state_dict is taken as it is."""
    twin = nn.Recurrent(layer.cells[0] if layer.single else layer.layers(), batch_first=layer.batch_first)
    twin.load_state_dict(layer.state_dict())
    return twin


def rows(batch):
    """A tensor, or the tensor of a PackedSequence."""
    return batch.data if isinstance(batch, nn.utils.rnn.PackedSequence) else batch


def seen(layer, xs, states, **padding):
    """Outputs, last states, and the gradients of a fixed random function of them."""
    ys, last = layer(xs, states, **padding)
    found = [rows(ys), *tensors_in(tuple(last) if isinstance(last, list) else last)]
    numbers = np.random.default_rng(0)
    total = sum((t * tg.tensor(numbers.standard_normal(t.shape))).sum() for t in found)
    given = tensors_in(tuple(states) if isinstance(states, list) else states)
    leaves = [rows(xs), *(s for s in given if s is not None), *layer.parameters()]
    total = total + sum(0 * p.sum() for p in layer.parameters())  # of no steps nothing is made
    return found + list(tg.autograd.grad(total, leaves, materialize_grads=True))


def assert_same(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)


def states_for(layer, B):
    """Random initial states in the layer's form."""
    like = tg.zeros(1, dtype=tg.float64)
    states = [
        each(lambda s: tg.randn(*s.shape, dtype=tg.float64).requires_grad_(), cell.initial_state(B, like))
        for cell in layer.cells
    ]
    return states[0] if layer.single else states


@given(
    st.sampled_from(LAYERS),
    st.sampled_from([0, 1, 2, 5, SHORTEST + 2]),
    st.integers(0, 3),
    st.integers(1, 2),
    st.sampled_from(["dense", "lengths", "mask", "packed"]),
    *[st.booleans()] * 3,
)
def test_the_layer_is_the_loop_over_its_cells(kind, T, B, depth, batch, both, first, given_states):
    """Padding holds NaN, masks have holes, some sequences have no step."""
    layer = moved(kind(2, 3, depth, bidirectional=both, batch_first=first))
    xs, options = tg.randn(T, B, 2, dtype=tg.float64), {}
    lengths = tg.randint(0, T + 1, (B,)).tolist()
    if batch == "packed":
        T, B = T or 1, B or 1
        xs = tg.randn(T, B, 2, dtype=tg.float64)
        lengths = tg.randint(1, T + 1, (B,)).tolist()
        packed = nn.utils.rnn.pack_padded_sequence(xs, lengths, enforce_sorted=False)
        xs = packed._replace(data=packed.data.detach().requires_grad_())
    else:
        mask = np.arange(T)[:, None] < np.array(lengths, int)
        mask = tg.rand(T, B).numpy() < 0.6 if batch == "mask" else mask
        if batch != "dense":
            xs = tg.where(tg.tensor(mask[:, :, None]), xs, float("nan"))
            options = {"mask": mask.T if first else mask} if batch == "mask" else {"lengths": lengths}
        xs = (xs.transpose(0, 1) if first else xs).detach().requires_grad_()
    states = states_for(layer, B) if given_states else None
    assert_same(seen(layer, xs, states, **options), seen(looped(layer), xs, states, **options))


@pytest.mark.parametrize("kind", LAYERS)
def test_first_and_second_derivatives_through_time_both_ways(kind):
    layer = moved(kind(2, 1, bidirectional=True))
    xs = tg.randn(3, 2, 2, dtype=tg.float64).requires_grad_()
    run = lambda x: layer(x, lengths=[3, 1])[0]  # noqa: E731
    assert gradcheck(run, xs) and gradgradcheck(run, xs)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_scan_keeps_every_law_of_cells(kind):
    check_cell(kind.cell, over=Scanned, steps=SHORTEST + 5, cases=2)


def test_a_cell_that_is_not_linear_is_looped_over():
    cell, xs = nn.GRUCell(2, 3), tg.randn(4, 2, 2)
    assert tg.equal(Scanned(cell)(xs)[0], nn.Recurrent(cell)(xs)[0])


@pytest.mark.parametrize("kind", LAYERS)
def test_a_compiled_layer_gives_the_same(kind):
    layer = moved(kind(2, 3, 2))
    xs = tg.randn(5, 3, 2, dtype=tg.float64).requires_grad_()
    compiled = tg.compile(layer, fullgraph=True)
    for options in ({}, {"lengths": [5, 2, 3]}):
        assert_same(seen(compiled, xs, None, **options), seen(layer, xs, None, **options))


def test_an_lru_begins_on_its_ring():
    cell = nn.LRUCell(3, 4000, r_min=0.5, r_max=0.9, max_phase=1.0)
    modulus, angle = np.exp(-np.exp(cell.nu.detach().numpy())), np.exp(cell.theta.detach().numpy())
    assert 0.5 <= modulus.min() < 0.51 and 0.89 < modulus.max() <= 0.9001
    assert abs((modulus**2).mean() - (0.25 + 0.81) / 2) < 0.01  # uniform on the area
    assert 0 <= angle.min() < 0.01 and 0.99 < angle.max() < 1 and abs(angle.mean() - 0.5) < 0.03
    np.testing.assert_allclose(np.exp(2 * cell.gamma.detach().numpy()), 1 - modulus**2, rtol=1e-4)
    assert abs(cell.weight_ih.detach().numpy().std() - 1 / np.sqrt(6)) < 0.01
    assert abs(cell.weight_ho.detach().numpy().std() - 1 / np.sqrt(4000)) < 0.001


@pytest.mark.parametrize("ring", [{"r_min": 0.0, "r_max": 1e-30}, {"r_min": 1 - 1e-9, "r_max": 1.0}])
def test_the_ends_of_the_ring_are_finite(ring):
    cell = nn.LRUCell(2, 50, **ring)
    ys, _ = nn.Recurrent(cell)(tg.randn(20, 1, 2))
    assert all(np.isfinite(p.detach().numpy()).all() for p in [ys, *cell.parameters()])


def test_an_lru_in_float32_keeps_its_phase_over_thousands_of_steps():
    layer = nn.LRU(1, 8, r_min=0.999, r_max=0.9999)
    xs = tg.randn(4000, 1, 1)
    found = layer(xs)[0].detach().numpy()
    h, lam = np.zeros(8, complex), None
    exact = {k: p.detach().numpy().astype(np.float64) for k, p in layer.cells[0].named_parameters()}
    theta = np.exp(layer.cells[0].theta.detach().numpy()).astype(np.float64)
    lam = np.exp(-np.exp(exact["nu"]) + 1j * theta)
    (b_re, b_im), (c_re, c_im) = np.split(exact["weight_ih"][:, 0], 2), np.split(exact["weight_ho"][0], 2)
    wanted = []
    for x in xs.numpy()[:, 0, 0].astype(np.float64):
        h = lam * h + np.exp(exact["gamma"]) * (b_re + 1j * b_im) * x
        wanted.append(c_re @ h.real + c_im @ h.imag + exact["d"][0] * x)
    assert np.abs(found[:, 0, 0] - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_minlstm_where_both_gates_vanish():
    cell = nn.MinLSTMCell(1, 1)
    with tg.no_grad():
        cell.weight_ih.zero_()
        cell.bias_ih.copy_(tg.tensor([-200.0, -200.0, 3.0]))
    assert cell(tg.zeros(1, 1), tg.ones(1, 1)).tolist() == [[2.0]]  # f / (f + i) = 1 / 2


def test_what_is_refused():
    with pytest.raises(ValueError, match="MinGRU: num_layers must be at least 1, got 0"):
        nn.MinGRU(2, 3, 0)
    with pytest.raises(ValueError, match=r"LRUCell: 0 <= r_min < r_max <= 1.*got r_min=0.9, r_max=0.5"):
        nn.LRU(2, 3, r_min=0.9, r_max=0.5)
    with pytest.raises(ValueError, match="LRUCell: input_size 0 and hidden_size 3 must be positive"):
        nn.LRU(0, 3)
    with pytest.raises(RuntimeError, match=r"MinGRUCell: input \(2, 4\) must be \(B, 3\) or \(3,\)"):
        nn.MinGRUCell(3, 5)(tg.zeros(2, 4))
    with pytest.raises(NotImplementedError, match=r"Own: define coefficients\(a\)"):
        type("Own", (nn.LinearCell,), {})(1, 1)(tg.zeros(1, 1))
    assert repr(nn.LRUCell(2, 3)) == "LRUCell(2, 3, r_min=0.0, r_max=1.0)"
    assert list(nn.MinGRU(2, 3, bias=False).state_dict()) == ["cells.0.weight_ih"]
