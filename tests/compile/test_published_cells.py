"""Every published cell, compiled: values and gradients of the eager loop; what runs eagerly is listed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from published_cells import cells
from test_compiled_cells import assert_same

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.cells import each
from tinygrad_rnn.nn.loop import tensors_in

CELLS = cells()
T, D, H = 3, 3, 4
EAGER = {  # the cells that no program is made for, and the words of the reason
    "IndependentMechanisms": "put: an index depends on data",
    "TopKGated": "put: an index depends on data",
}
NOISY = (  # those that draw random numbers in training
    "GumbelState",
    "MultiHeadGRU",
    "NoisyDropoutRNN",
    "RecurrentDropoutLSTM",
    "VariationalDropoutRNN",
    "VariationalRNN",
    "ZoneoutLSTM",
)
BATCHES = {"two": (2, None), "one": (1, None), "ragged": (3, [2, 3, 1])}


def made(name: str) -> Any:
    """A cell in float64, whose parameters are moved at random: no gain is 1 and no bias 0."""
    tg.manual_seed(1)
    cell = CELLS[name](D, H).double().eval()
    numbers = np.random.default_rng(2)
    with tg.no_grad():
        for p in cell.parameters():
            p += tg.tensor(numbers.standard_normal(p.shape) * 0.3)
    return cell


def drawn(cell: Any, B: int) -> tuple[Any, Any]:
    """Inputs, and initial states that are near the cell's own."""
    numbers = np.random.default_rng(B)
    normal = lambda *shape: tg.tensor(numbers.standard_normal(shape))  # noqa: E731
    x = cell.draw_inputs(T, B, numbers) if hasattr(cell, "draw_inputs") else normal(T, B, D)
    with tg.no_grad():
        own = cell.initial_state(B, tg.zeros(1, dtype=tg.float64))
        return x, each(lambda s: s + 0.4 * normal(*s.shape), own)


def results(layer: Any, x: Any, state: Any, lengths: Any) -> list[Any]:
    """Outputs, last states, and all gradients of a random function of them, as arrays."""
    tg.manual_seed(3)
    layer.zero_grad()
    x = x.clone().requires_grad_(x.dtype.kind == "f")
    state = each(lambda s: s.clone().requires_grad_(), state)
    y, last = layer(x, state, lengths=None if lengths is None else tg.tensor(lengths))
    found = [y, *tensors_in(last)]
    numbers = np.random.default_rng(0)
    sum((t * tg.tensor(numbers.standard_normal(t.shape))).sum() for t in found).backward()
    leaves = [x, *tensors_in(state), *layer.parameters()]
    return [t.detach().numpy() for t in found] + [None if t.grad is None else t.grad.numpy() for t in leaves]


def check(name: str, batch: str, training: bool) -> list[Any]:
    """Compare the two layers over one cell; what the compiled one gives."""
    cell = made(name).train(training)
    B, lengths = BATCHES[batch]
    x, state = drawn(cell, B)
    eager = nn.Recurrent(cell).train(training)
    wanted = results(eager, x, state, lengths)
    compiled = tg.compile(eager, fullgraph=True)
    if name in EAGER:
        with pytest.raises(RuntimeError, match=re.escape(EAGER[name])):
            results(compiled, x, state, lengths)
        with pytest.warns(RuntimeWarning, match=re.escape(EAGER[name])):
            found = results(tg.compile(eager), x, state, lengths)
    else:
        found = results(compiled, x, state, lengths)
    assert_same(found, wanted)
    return found


DEEP = settings.default.max_examples >= 400
EACH = [
    (name, batch)
    for k, name in enumerate(CELLS)
    for j, batch in enumerate(BATCHES)
    if DEEP or (j - k) % 3 == 0
]


@pytest.mark.parametrize(("name", "batch"), EACH)
def test_a_published_cell_compiles_to_what_it_does(name: str, batch: str) -> None:
    check(name, batch, training=False)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", NOISY)
def test_noise_is_that_of_the_eager_loop(name: str, batch: str) -> None:
    noisy, still = (check(name, batch, training) for training in (True, False))
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(noisy[:2], still))


@pytest.mark.parametrize("name", [name for name in CELLS if name not in EAGER])
def test_without_gradients_a_published_cell_gives_the_same(name: str) -> None:
    eager = nn.Recurrent(made(name))
    x, state = drawn(made(name), 2)
    compiled = tg.compile(eager, fullgraph=True)
    with tg.no_grad():
        (wanted, last), (found, end) = eager(x, state), compiled(x, state)
    pairs = zip([found, *tensors_in(end)], [wanted, *tensors_in(last)])
    assert_same(*zip(*((a.numpy(), b.numpy()) for a, b in pairs)))


@pytest.mark.parametrize(("dtype", "depth"), [("float32", 4), ("float64", 8)])
def test_a_gate_of_one_column_in_a_wider_buffer(dtype: str, depth: int) -> None:
    """NumPy 2.4.6's negative, in place on a column of such strides, reads beside it."""
    tg.manual_seed(0)
    cell = CELLS["StackRNN"](D, H, depth).to(getattr(tg, dtype))
    eager = nn.Recurrent(cell)
    x = tg.randn(T, 2, D, dtype=getattr(tg, dtype))
    (_, (_, found)), (_, (_, wanted)) = tg.compile(eager, fullgraph=True)(x), eager(x)
    np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_a_published_cell_uses_all_that_it_has(name: str) -> None:
    cell = made(name)
    x, state = drawn(cell, 2)
    everything = results(nn.Recurrent(cell), x, state, None)
    assert all(np.isfinite(a).all() for a in everything if a is not None)
    gradients = everything[-len(list(cell.parameters())) :] if list(cell.parameters()) else []
    unused = [key for (key, _), g in zip(cell.named_parameters(), gradients) if g is None or not g.any()]
    assert not unused


def test_few_cells_run_eagerly() -> None:
    assert len(CELLS) >= 60
    assert len(EAGER) <= 3
    assert EAGER.keys() <= CELLS.keys()
