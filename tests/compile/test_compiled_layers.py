"""Compiled layers: RNN, LSTM, GRU and stacks of them behave as they do uncompiled, in all a user can see."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence, pack_sequence

KINDS = {
    "rnn": lambda **k: nn.RNN(4, 5, **k),
    "relu rnn": lambda **k: nn.RNN(4, 5, nonlinearity="relu", **k),
    "lstm": lambda **k: nn.LSTM(4, 5, **k),
    "projected lstm": lambda **k: nn.LSTM(4, 5, proj_size=3, **k),
    "gru": lambda **k: nn.GRU(4, 5, **k),
}
OPTIONS = [{}, {"bias": False}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}]


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree]


def states_for(layer: Any, B: int) -> Any:
    count = sum(layer.widths)
    h = tg.randn(count, B, layer.proj_size or layer.hidden_size, dtype=tg.float64).requires_grad_()
    if not isinstance(layer, nn.LSTM):
        return h
    return h, tg.randn(count, B, layer.hidden_size, dtype=tg.float64).requires_grad_()


def results(layer: Any, x: Any, hx: Any = None, **more: Any) -> list[Any]:
    """Outputs, states, and the gradients of all that asks for one."""
    inputs = [
        t
        for t in (*leaves(x), *leaves(hx), *layer.parameters())
        if isinstance(t, tg.Tensor) and t.requires_grad
    ]
    for t in inputs:
        t.grad = None
    y, last = layer(x, hx, **more)
    found = [t for t in (*leaves(y), *leaves(last)) if t is not None and t.is_floating_point()]
    rng = np.random.default_rng(1)
    total = found[0].sum() * 0
    for t in found:
        total = total + (t * tg.tensor(rng.standard_normal(t.shape)).to(t.dtype)).sum()
    total.backward()
    return [t.detach().numpy() for t in found] + [None if t.grad is None else t.grad.numpy() for t in inputs]


def assert_close(found: list[Any], wanted: list[Any], tolerance: float = 1e-12) -> None:
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        assert (a is None) == (b is None)
        if b is not None:
            assert a.dtype == b.dtype
            scale = np.abs(b).max(initial=1e-300)
            np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_eager(kind: str, options: dict[str, Any]) -> None:
    eager = KINDS[kind](dtype=tg.float64, **options)
    compiled = tg.compile(eager, fullgraph=True)
    for T, B in ((6, 3), (1, 1), (2, 400), (0, 2)):
        x = tg.randn(*((B, T) if eager.batch_first else (T, B)), 4, dtype=tg.float64).requires_grad_()
        for hx in (None, states_for(eager, B)):
            assert_close(results(compiled, x, hx), results(eager, x, hx))
            lengths = tg.tensor([max(T - k, 0) for k in range(B)])
            assert_close(results(compiled, x, hx, lengths=lengths), results(eager, x, hx, lengths=lengths))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_masked_and_unbatched(kind: str) -> None:
    eager = KINDS[kind](dtype=tg.float64, bidirectional=True)
    compiled = tg.compile(eager, fullgraph=True)
    packed = pack_sequence([tg.randn(n, 4, dtype=tg.float64) for n in (5, 3, 1)])
    assert_close(results(compiled, packed), results(eager, packed))
    x = tg.randn(5, 3, 4, dtype=tg.float64)
    packed = pack_padded_sequence(x, [2, 5, 0], enforce_sorted=False)
    assert_close(results(compiled, packed), results(eager, packed))
    mask = tg.tensor([[1, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 1], [0, 0, 0]]).bool()
    assert_close(results(compiled, x, mask=mask), results(eager, x, mask=mask))
    assert_close(results(compiled, x[:, 0]), results(eager, x[:, 0]))


def test_padding_with_nan_reaches_nothing() -> None:
    compiled = tg.compile(nn.LSTM(4, 5, dtype=tg.float64), fullgraph=True)
    x = tg.randn(4, 2, 4, dtype=tg.float64)
    x[2:, 1] = np.nan
    found = results(compiled, x.requires_grad_(), lengths=tg.tensor([4, 2]))
    assert all(np.isfinite(a).all() for a in found)


def test_float32() -> None:
    for kind in KINDS:
        eager = KINDS[kind]()
        x = tg.randn(7, 3, 4).requires_grad_()
        assert_close(results(tg.compile(eager, fullgraph=True), x), results(eager, x), 1e-5)


def test_frozen_weights_and_inputs_get_no_gradient() -> None:
    eager = nn.LSTM(4, 5, num_layers=2, dtype=tg.float64)
    for name, p in eager.named_parameters():
        p.requires_grad_(name not in ("weight_hh_l0", "bias_ih_l1", "weight_ih_l0"))
    compiled = tg.compile(eager, fullgraph=True)
    x = tg.randn(3, 2, 4, dtype=tg.float64)
    assert_close(results(compiled, x), results(eager, x))
    assert (
        eager.weight_hh_l0.grad is None
        and "d_weight_hh =" not in next(iter(compiled._programs.found.values())).source
    )


def test_truncated_backpropagation() -> None:
    eager = nn.GRU(4, 5, dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    for layer in (eager, compiled):
        layer.zero_grad()
        tg.manual_seed(3)
        h = None
        for _ in range(3):
            y, h = layer(tg.randn(4, 2, 4, dtype=tg.float64), None if h is None else h.detach())
            (y * y).sum().backward()
        if layer is eager:
            wanted = [p.grad.numpy().copy() for p in layer.parameters()]
    assert_close([p.grad.numpy() for p in eager.parameters()], wanted)


def test_dropout_between_layers_draws_the_same_numbers() -> None:
    eager = nn.LSTM(4, 5, num_layers=3, dropout=0.5, dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    x, found = tg.randn(3, 2, 4, dtype=tg.float64), []
    for layer in (compiled, eager):
        tg.manual_seed(5)
        found.append(results(layer, x))
    assert_close(*found)


def test_compiling_changes_nothing() -> None:
    eager = nn.LSTM(4, 5)
    compiled = tg.compile(eager)
    x, before = tg.randn(3, 2, 4), {k: v.numpy().copy() for k, v in eager.state_dict().items()}
    kept, state = x.numpy().copy(), tg.get_rng_state().numpy().copy()
    compiled(x)[0].sum().backward()
    assert (x.numpy() == kept).all() and (tg.get_rng_state().numpy() == state).all()
    assert list(compiled.state_dict()) == list(before) and isinstance(compiled, nn.LSTM)
    assert all((v.numpy() == before[k]).all() for k, v in compiled.state_dict().items())
    assert all(p is q for p, q in zip(compiled.parameters(), eager.parameters()))


def test_what_the_user_holds_is_never_written_again() -> None:
    compiled = tg.compile(nn.LSTM(4, 5, dtype=tg.float64))
    x = tg.randn(3, 2, 4, dtype=tg.float64).requires_grad_()
    y, (h, c) = compiled(x)
    y.sum().backward()
    held = [y, h, c, x.grad, compiled.weight_hh_l0.grad]
    before = [t.detach().numpy().copy() for t in held]
    x.grad = compiled.weight_hh_l0.grad = None
    for _ in range(4):
        compiled(tg.randn(3, 2, 4, dtype=tg.float64))[0].sum().backward()
        with tg.no_grad():
            compiled(tg.randn(3, 2, 4, dtype=tg.float64))
    assert all((t.detach().numpy() == b).all() for t, b in zip(held, before))


def test_two_calls_before_backward_and_a_graph_kept() -> None:
    eager = nn.GRU(4, 5, dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    a, b = tg.randn(3, 2, 4, dtype=tg.float64), tg.randn(3, 2, 4, dtype=tg.float64)
    found = []
    for layer in (compiled, eager):
        eager.zero_grad()
        loss = (layer(a)[0] * layer(b)[0]).sum()
        loss.backward(retain_graph=True)
        layer(a)[0].sum().backward()
        loss.backward()
        found.append([p.grad.numpy().copy() for p in eager.parameters()])
    assert_close(*found)


def test_weights_changed_between_forward_and_backward_are_an_error() -> None:
    compiled = tg.compile(nn.LSTM(4, 5))
    y, _ = compiled(tg.randn(3, 2, 4))
    with tg.no_grad():
        compiled.weight_hh_l0.mul_(2.0)
    with pytest.raises(RuntimeError, match="overwritten"):
        y.sum().backward()


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_eager_and_right(kind: str) -> None:
    eager = KINDS[kind](dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    x = tg.randn(3, 2, 4, dtype=tg.float64).requires_grad_()
    inputs = [x, *eager.parameters()]
    found = []
    for layer in (compiled, eager):
        y, _ = layer(x.tanh())
        first = tg.autograd.grad((y * y).sum(), inputs, create_graph=True)
        second = tg.autograd.grad(sum((g * g).sum() for g in first), inputs)
        found.append([t.detach().numpy() for t in (*first, *second)])
    assert_close(*found, 1e-11)


def test_threads() -> None:
    eager = nn.LSTM(4, 5, dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    xs = [tg.randn(9, 3, 4, dtype=tg.float64) for _ in range(4)]
    wanted = [eager(x)[0].detach().numpy() for x in xs]
    wrong: list[Any] = []

    def work(k: int) -> None:
        for _ in range(25):
            x = xs[k].detach().requires_grad_()
            y, _ = compiled(x)
            (g,) = tg.autograd.grad(y.sum(), [x])
            if (
                not np.allclose(y.detach().numpy(), wanted[k], 1e-12, 1e-14)
                or not np.isfinite(g.numpy()).all()
            ):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


class Branching(nn.Cell):
    """A step that looks at a value."""

    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        if (h[:, 0] > 100).all():
            return h
        return tg.tanh(a + h)


class Noisy(nn.Cell):
    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h) + 0.1 * tg.randn(4)


class Mixing(nn.Cell):
    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h - h.mean(0))


class Peeking(nn.Cell):
    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + tg.tensor(np.cos(np.asarray(h.detach().numpy()))))


class Counting(nn.Cell):
    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h / len(h))


OUTSIDE = tg.tensor([1.0, 2.0, 3.0, 4.0])


class Foreign(nn.Cell):
    hidden_size = 4

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h * OUTSIDE)


@pytest.mark.parametrize(
    "cell, names",
    [
        (Foreign, "outside"),
        (Branching, "value"),
        (Noisy, "random"),
        (Mixing, "mix rows"),
        (Peeking, "not known yet"),
        (Counting, "number of sequences"),
    ],
)
def test_what_cannot_be_compiled_runs_eagerly_and_says_so_once(cell: Any, names: str) -> None:
    eager = nn.Recurrent(cell())
    compiled = tg.compile(eager)
    x = tg.randn(3, 2, 4).requires_grad_()
    tg.manual_seed(0)
    with pytest.warns(RuntimeWarning, match=names) as caught:
        found = results(compiled, x)
    assert len(caught) == 1 and __file__.rsplit("/", 1)[-1] in caught[0].filename
    tg.manual_seed(0)
    assert_close(found, results(eager, x))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(x)
    with pytest.raises(RuntimeError, match=names):
        tg.compile(eager, fullgraph=True)(x)


def test_a_users_error_is_the_users_error() -> None:
    class Wrong(nn.Cell):
        hidden_size = 4

        def step(self, a: Any, h: Any) -> Any:
            return a @ h

    with pytest.raises(RuntimeError, match="matmul"), pytest.warns(RuntimeWarning):
        tg.compile(nn.Recurrent(Wrong()))(tg.randn(3, 2, 4))
    with pytest.raises(TypeError, match="holds no RNN, LSTM, GRU or Recurrent"):
        tg.compile(nn.Linear(2, 3))


def test_attributes_that_step_reads_are_part_of_the_key() -> None:
    class Scaled(nn.Cell):
        hidden_size, scale = 4, 1.0

        def step(self, a: Any, h: Any) -> Any:
            return self.phi(a * self.scale + (h if self.training else h * 0))

    cell = Scaled()
    compiled, x = tg.compile(nn.Recurrent(cell), fullgraph=True), tg.randn(3, 2, 4)
    for scale, training, phi in (
        (1.0, True, tg.tanh),
        (2.0, True, tg.tanh),
        (2.0, False, tg.tanh),
        (2.0, False, tg.sin),
    ):
        cell.scale, cell.phi = scale, phi
        cell.train(training)
        assert_close([compiled(x)[0].numpy()], [nn.Recurrent(cell)(x)[0].numpy()], 1e-6)


def test_the_cache_is_bounded_and_explained() -> None:
    compiled = tg.compile(nn.GRU(4, 5))
    for B in range(1, 25):
        compiled(tg.randn(2, B, 4))
    assert len(compiled._programs.found) <= 16
    compiled(tg.randn(3, 30, 4))[0].sum().backward()
    text = compiled.explain()
    assert "batch size" in text and "bytes" in text and "forward and backward" in text


def test_buffers_are_given_back_and_let_go() -> None:
    compiled = tg.compile(nn.GRU(4, 5))
    gc.disable()
    try:
        for _ in range(5):
            compiled(tg.randn(2, 3, 4))[0].sum().backward()
            compiled(tg.randn(2, 3, 4))
    finally:
        gc.enable()
    (program,) = compiled._programs.found.values()
    assert 1 <= sum(map(len, program.memory.idle.values())) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_runs_alone(kind: str, tmp_path: Any) -> None:
    compiled = tg.compile(KINDS[kind](dtype=tg.float64))
    x = tg.randn(6, 3, 4, dtype=tg.float64).requires_grad_()
    y, last = compiled(x)
    compiled.save_source(tmp_path / "program.py")
    done = subprocess.run(
        [sys.executable, "-I", "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    by_backward, by_differences = (float(part.split()[-1]) for part in done.stdout.split(";")[0].split(","))
    assert abs(by_backward - by_differences) < 1e-6 * max(1, abs(by_differences))
    space: dict[str, Any] = {"__name__": "program"}
    exec(compiled.source, space)  # the same numbers by the printed source
    w = space["workspace"](6, 3)
    state = [np.zeros((3, compiled.proj_size or 5)), np.zeros((3, 5))][: len(leaves(last))]
    weights = [p.detach().numpy() for p in compiled.parameters()]
    outputs = space["forward"](w, x.detach().numpy().reshape(18, 4), *state, *weights)
    np.testing.assert_array_equal(outputs[0].reshape(y.shape), y.detach().numpy())


def test_a_compiled_lstm_reads_like_its_cell() -> None:
    compiled = tg.compile(nn.LSTM(4, 5))
    compiled(tg.randn(3, 2, 4))[0].sum().backward()
    for line in (
        "multiply(f, c, out=",
        "multiply(d_c, f, out=d_c",
        "# --- the loop",
        "c' = f ∘ c + i ∘ g",
    ):
        assert line in compiled.source


def test_compiling_is_quick() -> None:
    seconds = []
    for _ in range(3):  # the best of them: others may use the machine
        compiled = tg.compile(nn.LSTM(64, 128))
        compiled(tg.randn(3, 2, 64))
        (program,) = compiled._programs.found.values()
        seconds.append((program.seconds, program.seconds_of_proof[1]))
    assert min(whole for whole, _ in seconds) < 0.25  # verification and trial included
    assert min(trial for _, trial in seconds) < 0.05
