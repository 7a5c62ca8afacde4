"""Layers and cells against their equations in plain NumPy: values, and gradients by the complex step."""

import numpy as np
import pytest
import transcription
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import gradgradcheck

KINDS = {
    "RNN tanh": ("RNN", {"nonlinearity": "tanh"}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "GRU": ("GRU", {}),
}
kinds, flag, seeds = st.sampled_from(sorted(KINDS)), st.booleans(), st.integers(0, 2**32 - 1)
sizes = st.integers(1, 4)
slow = settings(max_examples=max(5, settings.default.max_examples // 2))


def weights_of(module, rng):
    """New random weights, biases too, for a module; and the arrays by name."""
    arrays = {name: rng.normal(size=p.shape) * 0.8 for name, p in module.named_parameters()}
    with tg.no_grad():
        for name, p in module.named_parameters():
            p.copy_(tg.tensor(arrays[name]))
    return arrays


def check_gradients(total, start, gradients, rng):
    """d total along a random direction of all leaves, by backward and by the complex step."""
    along = {name: rng.normal(size=x.shape) for name, x in start.items()}
    h = 1e-30
    by_step = total({name: x + 1j * h * along[name] for name, x in start.items()}).imag / h
    by_backward = sum((gradients[name] * along[name]).sum() for name in start)
    assert by_backward == pytest.approx(by_step, rel=1e-10, abs=1e-11)


# --- cells


def make_cell(kind, inputs, hidden, bias):
    name, options = KINDS[kind]
    return getattr(nn, name + "Cell")(inputs, hidden, bias=bias, dtype=tg.float64, **options)


@given(kinds, flag, sizes, sizes, sizes, seeds)
def test_a_cell_computes_its_equations(kind, bias, rows, inputs, hidden, seed):
    rng = np.random.default_rng(seed)
    cell = make_cell(kind, inputs, hidden, bias)
    n = 2 if kind == "LSTM" else 1
    start = {"x": rng.normal(size=(rows, inputs)), **weights_of(cell, rng)}
    start |= {f"state {k}": rng.normal(size=(rows, hidden)) for k in range(n)}
    u = rng.normal(size=(n, rows, hidden))

    def results(at):
        states = [at[f"state {k}"] for k in range(n)]
        rows_of = [transcription.STEPS[kind](at, x, [s[b] for s in states]) for b, x in enumerate(at["x"])]
        return np.swapaxes(np.array(rows_of), 0, 1)

    x, *states = (tg.tensor(start[k], requires_grad=True) for k in ("x", *(f"state {k}" for k in range(n))))
    new = cell(x, tuple(states) if n == 2 else states[0])
    new = tg.stack(new) if n == 2 else new.unsqueeze(0)
    assert np.allclose(new.detach().numpy(), results(start), rtol=1e-12, atol=1e-13)
    (new * tg.tensor(u)).sum().backward()
    leaves = dict(cell.named_parameters()) | {"x": x} | {f"state {k}": s for k, s in enumerate(states)}
    gradients = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    check_gradients(lambda at: (results(at) * u).sum(), start, gradients, rng)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_second_derivatives_of_a_cell(kind):
    rng = np.random.default_rng(1)
    cell = make_cell(kind, 1, 2, True)
    weights_of(cell, rng)
    names, parameters = zip(*cell.named_parameters())
    n = 2 if kind == "LSTM" else 1
    states = [tg.tensor(rng.normal(size=(1, 2)), requires_grad=True) for _ in range(n)]

    def two_steps(x, *leaves):
        given, state = dict(zip(names, leaves)), leaves[len(names) :]
        twin = type(cell).over(
            **given,
            hidden_size=2,
            nonlinearity=getattr(cell, "nonlinearity", None),
        )
        state = type(cell.initial_state(1, x))(*state) if n == 2 else state[0]
        for row in x:
            state = twin.step(twin.project(row), state)
        return state

    xs = tg.tensor(rng.normal(size=(2, 1, 1)), requires_grad=True)
    assert gradgradcheck(two_steps, [xs, *parameters, *states])


@given(kinds, sizes, sizes, sizes, seeds)
def test_a_missing_state_is_zeros_for_cells_and_layers_biases_or_not(kind, rows, inputs, hidden, seed):
    rng = np.random.default_rng(seed)
    cell, x = make_cell(kind, inputs, hidden, True), tg.tensor(rng.normal(size=(rows, inputs)))
    weights_of(cell, rng)
    zeros = tg.zeros(rows, hidden, dtype=tg.float64)
    given_zeros, without = cell(x, (zeros, zeros) if kind == "LSTM" else zeros), cell(x)
    for a, b in zip(given_zeros, without):
        assert tg.equal(a, b)
    layer = getattr(nn, KINDS[kind][0])(inputs, hidden, dtype=tg.float64, **KINDS[kind][1])
    weights_of(layer, rng)
    zeros = zeros.unsqueeze(0)
    ys, _ = layer(x.unsqueeze(0), (zeros, zeros) if kind == "LSTM" else zeros)
    assert tg.equal(ys, layer(x.unsqueeze(0))[0])


@given(kinds, sizes, sizes, seeds)
def test_one_row_alone_gives_what_it_gives_in_a_batch(kind, inputs, hidden, seed):
    rng = np.random.default_rng(seed)
    cell = make_cell(kind, inputs, hidden, True)
    x, h, c = (tg.tensor(rng.normal(size=n)) for n in (inputs, hidden, hidden))
    alone = cell(x, (h, c) if kind == "LSTM" else h)
    batch = cell(x[None], (h[None], c[None]) if kind == "LSTM" else h[None])
    pairs = [(alone, batch), (cell(x), cell(x[None]))]
    pairs += [(cell(x, [h, c]), batch)] if kind == "LSTM" else []  # a list does for a pair
    for one, many in pairs:
        for a, b in zip(*((one, many) if kind == "LSTM" else ([one], [many]))):
            assert a.shape == (hidden,) and np.allclose(a.detach().numpy(), b[0].detach().numpy(), rtol=1e-13)


# --- layers


@st.composite
def problems(draw):
    kind = draw(kinds)
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bidirectional": draw(flag),
        "bias": draw(flag),
        "batch_first": draw(flag),
    }
    hidden = draw(sizes)
    if kind == "LSTM" and hidden > 1 and draw(flag):
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    steps = draw(st.integers(0, 4))
    lengths = draw(st.lists(st.integers(0, steps), min_size=1, max_size=4))
    return kind, options, (steps, draw(sizes), hidden), lengths


@slow
@given(problems(), seeds)
def test_a_layer_computes_its_equations_on_ragged_batches(problem, seed):
    """Padding is NaN; lengths may be 0, and all of them."""
    kind, options, (steps, inputs, hidden), lengths = problem
    rng = np.random.default_rng(seed)
    name, more = KINDS[kind]
    layer = getattr(nn, name)(inputs, hidden, dtype=tg.float64, **options, **more)
    cells = options["num_layers"] * (1 + options["bidirectional"])
    widths = [options.get("proj_size") or hidden, hidden][: 2 if kind == "LSTM" else 1]
    padded = rng.normal(size=(steps, len(lengths), inputs))
    start = {"xs": padded.copy(), **weights_of(layer, rng)}
    start |= {f"state {k}": rng.normal(size=(cells, len(lengths), n)) for k, n in enumerate(widths)}
    padded[np.arange(steps)[:, None] >= np.array(lengths)] = np.nan
    u = [rng.normal(size=(steps, len(lengths), widths[0] * (1 + options["bidirectional"])))]
    u += [rng.normal(size=(cells, len(lengths), n)) for n in widths]

    def results(at):
        sequences = [at["xs"][:n, b] for b, n in enumerate(lengths)]
        states = [[at[f"state {s}"][k] for s in range(len(widths))] for k in range(cells)]
        outputs, last = transcription.layers(kind, at, sequences, states, options["bidirectional"])
        ys = np.zeros(u[0].shape, complex)
        for b, y in enumerate(outputs):
            ys[: len(y), b] = np.reshape(y, (len(y), u[0].shape[2]))
        return [ys, *(np.array([cell[s] for cell in last]) for s in range(len(widths)))]

    first = options["batch_first"]
    xs = tg.tensor(padded.swapaxes(0, 1).copy() if first else padded, requires_grad=True)
    states = [tg.tensor(start[f"state {k}"], requires_grad=True) for k in range(len(widths))]
    ys, last = layer(xs, tuple(states) if kind == "LSTM" else states[0], lengths=lengths)
    found = [ys.transpose(0, 1) if first else ys, *(last if kind == "LSTM" else [last])]
    for a, b in zip(found, results(start), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.real, rtol=1e-11, atol=1e-12)
    sum((a * tg.tensor(v)).sum() for a, v in zip(found, u)).backward()
    leaves = dict(layer.named_parameters()) | {f"state {k}": s for k, s in enumerate(states)}
    gradients = {name: 0 * p.array if p.grad is None else p.grad.numpy() for name, p in leaves.items()}
    gradients["xs"] = xs.grad.numpy().swapaxes(0, 1) if first else xs.grad.numpy()
    assert (gradients["xs"][np.isnan(padded)] == 0).all()
    check_gradients(lambda at: sum((a * v).sum() for a, v in zip(results(at), u)), start, gradients, rng)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_parameter_and_state_of_every_cell_gets_a_gradient(kind):
    """All at once, after three steps: no path is cut, no bias used twice or not at all."""
    name, more = KINDS[kind]
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, dtype=tg.float64, **more)
    weights_of(layer, np.random.default_rng(3))
    states = [tg.rand(4, 2, 4, dtype=tg.float64).requires_grad_() for _ in range(2 if kind == "LSTM" else 1)]
    xs = tg.randn(3, 2, 3, dtype=tg.float64).requires_grad_()
    ys, _ = layer(xs, tuple(states) if kind == "LSTM" else states[0])
    np.square(ys).sum().backward()
    for p in (*layer.parameters(), xs, *states):
        assert (p.grad.numpy() != 0).any() and np.isfinite(p.grad.numpy()).all()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_two_biases_are_one_bias_with_their_sum_except_the_candidate_s_of_a_gru(kind):
    rng = np.random.default_rng(0)
    cell, x = make_cell(kind, 3, 2, True), tg.tensor(rng.normal(size=(4, 3)))
    weights_of(cell, rng)
    h = tg.tensor(rng.normal(size=(4, 2)))
    state = (h, h) if kind == "LSTM" else h
    before = cell(x, state)
    with tg.no_grad():
        moved = cell.bias_hh.clone()
        if kind == "GRU":
            moved[4:] = 0  # inside r ∘ (W_hn h + b_hn)
        cell.bias_ih += moved
        cell.bias_hh -= moved
    for a, b in zip(before, cell(x, state)):
        assert np.allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-13)
    with tg.no_grad():
        cell.bias_hh += 0.1
    assert not all(tg.allclose(a, b) for a, b in zip(before, cell(x, state)))
