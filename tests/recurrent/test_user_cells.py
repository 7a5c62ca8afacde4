"""Any cell over time: any form of state, outputs that are not the state, stacks, both directions, masks."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import gradcheck, gradgradcheck
from tinygrad_rnn.nn.functional import linear

rare = settings(max_examples=max(5, settings.default.max_examples // 3))


def weight(*shape):
    return nn.Parameter(tg.randn(*shape, dtype=tg.float64) * 0.6)


class Leaky(nn.Cell):
    """h' = (1 - α) h + α tanh(W x + U h), written with what a cell needs and no more."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.hidden_size = hidden
        self.W, self.U = weight(hidden, inputs), weight(hidden, hidden)

    def step(self, a, h):
        return 0.7 * h + 0.3 * np.tanh(linear(a, self.W) + linear(h, self.U))


class Memory(NamedTuple):
    """A state in parts, of which one has parts again, and one has more dimensions."""

    fast: Any
    slow: tuple[Any, Any]


class Rich(nn.Cell):
    """Outputs that are not the state, of another width; a projected input in two parts."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.n = hidden
        self.W, self.V, self.out = weight(hidden, inputs), weight(hidden, inputs), weight(3, hidden)

    def project(self, xs):
        return linear(xs, self.W), linear(xs, self.V)

    def initial_state(self, batch_size, like):
        ones = tg.ones(batch_size, self.n, dtype=like.dtype)
        return Memory(ones * 0.5, (ones * 0.1, tg.zeros(batch_size, 2, self.n, dtype=like.dtype)))

    def step(self, a, state):
        w, v = a
        fast, (slow, matrix) = state
        matrix = 0.9 * matrix + tg.stack([w * slow, v * fast], 1)
        fast = np.tanh(w + slow + matrix.sum(1))
        slow = 0.8 * slow + 0.2 * tg.sigmoid(v) * fast
        return nn.Step(linear(fast * slow, self.out), Memory(fast, (slow, matrix)))


CELLS = {
    "leaky": Leaky,
    "rich": Rich,
    "lstm": lambda d, h: nn.LSTMCell(d, h, dtype=tg.float64),
    "gru": lambda d, h: nn.GRUCell(d, h, dtype=tg.float64),
}


def tensors(state):
    return [t for part in state for t in tensors(part)] if isinstance(state, tuple) else [state]


def each(f, state):
    if not isinstance(state, tuple):
        return f(state)
    parts = [each(f, part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)


def alone(cell, xs, state, counts, reverse=False):
    """One sequence (T, D) step by step, those steps that count; its outputs by step, and its last state."""
    ys = {}
    steps = [t for t in range(len(xs)) if counts[t]]
    for t in reversed(steps) if reverse else steps:
        result = cell.step(cell.project(xs[t : t + 1]), state)
        y, state = result if isinstance(result, nn.Step) else (result, result)
        ys[t] = tensors(y)[0]
    return ys, state


def expected(layers, xs, states, mask):
    """Every sequence alone through layers of one or two cells: outputs (T, B, ...), last states."""
    columns = [xs[:, b] for b in range(xs.shape[1])]
    last = []
    for cells in layers:
        outputs = []
        for reverse, cell in enumerate(cells):
            runs = []
            for b, column in enumerate(columns):
                state = each(lambda s, b=b: s[b : b + 1], states[len(last)])
                runs.append(alone(cell, column, state, mask[:, b], bool(reverse)))
            outputs.append([ys for ys, _ in runs])
            last.append([state for _, state in runs])
        zeros = tg.zeros(sum(map(width, cells)), dtype=tg.float64)
        columns = [
            tg.stack([tg.cat([ys[t] for ys in ways], -1)[0] if mask[t, b] else zeros for t in range(len(xs))])
            for b, ways in enumerate(zip(*outputs))
        ]
    return tg.stack(columns, 1), last


def width(cell):
    return 3 if isinstance(cell, Rich) else cell.hidden_size


def close(a, b):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-11, atol=1e-13)


def same_states(found, wanted):
    """A state with B rows, and B states of one row."""
    for k, t in enumerate(tensors(found)):
        close(t, tg.cat([tensors(row)[k] for row in wanted]))


@st.composite
def stacks(draw):
    """Layers of one cell, or of two of which one runs backwards."""
    layers, inputs = [], draw(st.integers(1, 3))
    first = inputs
    for _ in range(draw(st.integers(1, 2))):
        make = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        layers.append(tuple(make(inputs, draw(st.integers(1, 3))) for _ in range(draw(st.integers(1, 2)))))
        inputs = sum(map(width, layers[-1]))
    return layers, first


@rare
@given(stacks(), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans(), st.data())
def test_any_stack_with_any_mask_equals_each_sequence_alone(stack, T, B, first, given_states, data):
    """The mask may have holes: what does not count is passed over, and gives zeros, whatever it contains."""
    layers, D = stack
    flags = data.draw(st.lists(st.booleans(), min_size=T * B, max_size=T * B))
    mask = np.array(flags).reshape(T, B)
    cells = [cell for layer in layers for cell in layer]
    net = nn.Recurrent([layer if len(layer) == 2 else layer[0] for layer in layers], batch_first=first)
    clean = tg.randn(T, B, D, dtype=tg.float64)
    xs = tg.where(tg.tensor(mask[..., None]), clean, float("nan")).requires_grad_()
    states = [cell.initial_state(B, clean) for cell in cells]
    if given_states:
        states = [each(lambda s: tg.randn(*s.shape, dtype=tg.float64).requires_grad_(), s) for s in states]
    ys, last = net(
        xs.transpose(0, 1) if first else xs,
        states if given_states else None,
        mask=mask.T if first else mask,
    )
    ys = ys.transpose(0, 1) if first else ys
    clean.requires_grad_()
    wanted, wanted_last = expected(layers, clean, states, mask)
    close(ys, wanted)
    for found, rows in zip(last, wanted_last, strict=True):
        same_states(found, rows)
    seed = tg.randn(*ys.shape, dtype=tg.float64)
    leaves = [*net.parameters(), *[t for s in states for t in tensors(s) if t.requires_grad]]

    def gradients(outputs, last, xs):
        total = (outputs * seed).sum() + sum((t * t).sum() for s in last for t in tensors(s))
        total = total + sum(0 * leaf.sum() for leaf in leaves)  # where nothing counts
        return tg.autograd.grad(total, [xs, *leaves], materialize_grads=True)

    ours = gradients(ys, last, xs)
    rows = [each_row(r) for r in wanted_last]
    for a, b in zip(ours, gradients(wanted, rows, clean), strict=True):
        close(a, b)


def each_row(rows):
    """B states of one row as one tuple of tensors."""
    return tuple(tg.cat([tensors(row)[k] for row in rows]) for k in range(len(tensors(rows[0]))))


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_first_and_second_derivatives_through_time_both_ways(make):
    net = nn.Recurrent([(make(1, 2), make(1, 2))])
    xs = tg.randn(2, 2, 1, dtype=tg.float64).requires_grad_()
    mask = np.array([[True, False], [True, True]])
    assert gradcheck(lambda x: net(x, mask=mask)[0], xs) and gradgradcheck(lambda x: net(x, mask=mask)[0], xs)


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_a_single_cell_has_its_state_itself_and_a_list_of_cells_a_list(make):
    cell, xs = make(2, 3), tg.randn(4, 2, 2, dtype=tg.float64)
    ys, state = nn.Recurrent(cell)(xs)
    zs, states = nn.Recurrent([cell])(xs)
    assert type(state) is type(cell.initial_state(2, xs)) and isinstance(states, list)
    close(ys, zs)
    again, _ = nn.Recurrent(cell)(xs, state)
    first, half = nn.Recurrent(cell)(tg.cat([xs, xs])), nn.Recurrent(cell)(xs, state)
    close(first[0][4:], again)
    for a, b in zip(tensors(first[1]), tensors(half[1])):
        close(a, b)


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_zero_steps_and_zero_sequences(make):
    cell = make(2, 3)
    net = nn.Recurrent([(cell, make(2, 3))])
    for T, B in ((0, 2), (3, 0), (0, 0)):
        xs = tg.zeros(T, B, 2, dtype=tg.float64)
        ys, last = net(xs)
        assert ys.shape == (T, B, 2 * width(cell))
        for state, initial in zip(last, [c.initial_state(B, xs) for c in net.cells]):
            assert all(tg.equal(a, b) for a, b in zip(tensors(state), tensors(initial)))
        (ys.sum() + last[0].h.sum() if make is CELLS["lstm"] else ys.sum()).backward()
        assert all(p.grad is None or not p.grad.any() for p in net.parameters())


def test_the_initial_state_of_a_missing_row_gets_its_gradient():
    cell = Leaky(2, 3)
    hs = [tg.randn(2, 3, dtype=tg.float64).requires_grad_() for _ in range(2)]
    _, last = nn.Recurrent([(cell, cell)])(tg.randn(2, 2, 2, dtype=tg.float64), hs, lengths=[2, 0])
    sum(s[1].sum() for s in last).backward()
    for h, s in zip(hs, last):
        assert tg.equal(s[1], h[1]) and h.grad.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_zero_steps_of_a_cell_that_reads_no_input():
    class Decay(nn.Cell):
        hidden_size = 3

        def step(self, a, h):
            return 0.9 * h

    ys, last = nn.Recurrent([(Decay(), Decay())])(tg.zeros(0, 2, 1))
    assert ys.shape == (0, 2, 6) and last[0].shape == (2, 3)


def test_a_packed_sequence_goes_in_and_comes_out():
    cell, xs = Rich(2, 3), tg.randn(4, 3, 2, dtype=tg.float64)
    net, lengths = nn.Recurrent(cell), [2, 4, 1]
    packed = nn.utils.rnn.pack_padded_sequence(xs, lengths, enforce_sorted=False)
    out, state = net(packed)
    ys, wanted = net(xs, lengths=lengths)
    close(nn.utils.rnn.pad_packed_sequence(out)[0], ys)
    for a, b in zip(tensors(state), tensors(wanted)):
        close(a, b)


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_the_time_loop_by_itself(make):
    """nn.unroll over packed rows, by default forwards and from the initial state."""
    cell, sizes = make(2, 4), [3, 2, 2]
    data = tg.randn(7, 2, dtype=tg.float64)
    packed = nn.utils.rnn.PackedSequence(data, tg.tensor(sizes))
    for reverse in (False, True):
        layer = nn.Recurrent([(cell, cell)])
        expected, states = layer(packed)
        ys, last = nn.unroll(cell, data, sizes, reverse=reverse)
        assert ys.tolist() == expected.data.chunk(2, -1)[reverse].tolist()
        assert [s.tolist() for s in tensors(last)] == [s.tolist() for s in tensors(states[reverse])]
    ys, last = nn.unroll(cell, data, sizes)
    assert ys.tolist() == expected.data.chunk(2, -1)[0].tolist()
    five = each(lambda s: tg.rand_like(s), cell.initial_state(5, data))  # two sequences without a row
    for reverse in (False, True):
        for s, before in zip(tensors(nn.unroll(cell, data, sizes, five, reverse)[1]), tensors(five)):
            assert s.shape == before.shape and s[3:].tolist() == before[3:].tolist()
    nothing, last = nn.unroll(cell, data[:0], [])
    assert nothing.shape == (0, *ys.shape[1:]) and all(len(s) == 0 for s in tensors(last))


def test_a_cell_called_alone_takes_one_step():
    cell, x = Leaky(2, 3), tg.randn(4, 2, dtype=tg.float64)
    h = tg.randn(4, 3, dtype=tg.float64)
    close(cell(x, h), cell.step(x, h))
    close(cell(x), cell.step(x, tg.zeros(4, 3, dtype=tg.float64)))


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_gradient_passes_through_the_dropout_between_layers(kind):
    layer = kind(2, 3, 2, dropout=0.4).double()
    xs = tg.randn(4, 3, 2, dtype=tg.float64, requires_grad=True)
    weights = list(layer.parameters())

    def loss():
        tg.manual_seed(5)  # the same units dropped each time
        return layer(xs)[0].sin().sum()

    along = [tg.randn(*t.shape, dtype=tg.float64) for t in (xs, *weights)]
    slopes = tg.autograd.grad(loss(), [xs, *weights])
    by_backward = sum((g * d).sum().item() for g, d in zip(slopes, along))
    losses = []
    for size in (1e-6, -1e-6):
        with tg.no_grad():
            for t, d in zip((xs, *weights), along):
                t += size * d
            losses.append(loss().item())
            for t, d in zip((xs, *weights), along):
                t -= size * d
    assert by_backward == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6)


def test_dropout_acts_between_layers_and_only_in_training():
    """A layer that hands on its input shows which numbers were dropped."""

    class Through(nn.Cell):
        hidden_size = 1

        def step(self, a, h):
            return nn.Step(a, h)

    xs = tg.ones(50, 4, 8, dtype=tg.float64)
    one_wall = nn.Recurrent([Through(), Through()], dropout=0.25)
    ys = one_wall(xs)[0].numpy()
    assert set(np.unique(ys)) == {0, 4 / 3} and 0.15 < (ys == 0).mean() < 0.35
    three = nn.Recurrent([Through()] * 4, dropout=0.25)(xs)[0].numpy()
    assert abs((three != 0).mean() - 0.75**3) < 0.1
    assert tg.equal(one_wall.eval()(xs)[0], xs)
    tg.manual_seed(5)
    first = one_wall.train()(xs)[0]
    tg.manual_seed(5)
    assert tg.equal(first, one_wall(xs)[0])
    ragged = one_wall(xs, lengths=[50, 3, 0, 7])[0].numpy()
    assert (ragged[:, 2] == 0).all() and (ragged[:, 0] != 0).any()


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_of_our_layers(kind):
    layer = getattr(nn, kind)(3, 4, num_layers=2, dropout=0.5, bidirectional=True, dtype=tg.float64)
    xs = tg.randn(5, 2, 3, dtype=tg.float64)
    assert not tg.equal(layer(xs)[0], layer(xs)[0])
    layer.eval()
    assert tg.equal(layer(xs)[0], layer(xs)[0])
    plain = getattr(nn, kind)(3, 4, num_layers=2, bidirectional=True, dtype=tg.float64)
    plain.load_state_dict(layer.state_dict())
    close(layer(xs)[0], plain(xs)[0])


# --- errors


def test_a_cell_says_what_it_lacks():
    class Empty(nn.Cell):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty: set hidden_size, or define initial_state"):
        Empty()(tg.zeros(1, 2))
    with pytest.raises(NotImplementedError, match=r"Empty: define step\(a, state\)"):
        Empty()(tg.zeros(1, 2), tg.zeros(1, 2))


def test_what_recurrent_refuses():
    cell = Leaky(2, 3)
    xs = tg.zeros(4, 2, 2, dtype=tg.float64)
    with pytest.raises(ValueError, match="at least one layer"):
        nn.Recurrent([])
    with pytest.raises(ValueError, match="each layer is one cell, or a pair"):
        nn.Recurrent([(cell, cell, cell)])
    with pytest.raises(ValueError, match=r"dropout must lie between 0 and 1, got 1.5"):
        nn.Recurrent([cell, cell], dropout=1.5)
    with pytest.warns(UserWarning, match="dropout=0.5 acts between layers, and there is only one"):
        nn.Recurrent(cell, dropout=0.5)
    with pytest.raises(ValueError, match="2 initial states given for 1 cells"):
        nn.Recurrent([cell])(xs, [None, None])
    with pytest.raises(RuntimeError, match="a state of 3 rows for 2 sequences"):
        nn.Recurrent(cell)(xs, tg.zeros(3, 3))
    rich = Rich(2, 3)
    fast, (slow, matrix) = rich.initial_state(2, xs)
    with pytest.raises(RuntimeError, match="a state of 1 rows for 2 sequences"):
        nn.Recurrent(rich)(xs, Memory(fast, (slow[:1], matrix)))
    with pytest.raises(ValueError, match="give lengths or mask, not both"):
        nn.Recurrent(cell)(xs, lengths=[4, 4], mask=np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"mask: for \(2, 4\) steps and sequences, the batch has \(4, 2\)"):
        nn.Recurrent(cell)(xs, mask=np.ones((2, 4)))
    with pytest.raises(
        ValueError, match=r"lengths: for \(4, 3\) steps and sequences, the batch has \(4, 2\)"
    ):
        nn.Recurrent(cell)(xs, lengths=[1, 2, 3])
    with pytest.raises(ValueError, match=r"lengths: \[5, 1\] must lie between 0 and the 4 steps"):
        nn.Recurrent(cell)(xs, lengths=[5, 1])
    packed = nn.utils.rnn.pack_padded_sequence(xs, [4, 4])
    for marked in ({"lengths": [4, 4]}, {"mask": np.ones((4, 2), bool)}):
        with pytest.raises(ValueError, match="a PackedSequence knows its lengths"):
            nn.Recurrent(cell)(packed, **marked)
