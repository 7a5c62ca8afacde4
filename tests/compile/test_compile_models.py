"""compile(model), its options and what it tells; copies, pickles, forks, names and docstrings."""

from __future__ import annotations

import copy
import gc
import linecache
import multiprocessing
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.layers = nn.ModuleList([nn.GRU(3, 4), nn.LSTM(4, 5)])
        self.again = self.layers[0]
        self.head = nn.Sequential(nn.Linear(5, 2))

    def forward(self, ids: Any) -> Any:
        y, _ = self.layers[0](self.embed(ids))
        y, _ = self.layers[1](y)
        return self.head(y)


def gradients(model: Any, ids: Any) -> list[Any]:
    model.zero_grad()
    y = model(ids)
    (y * y).sum().backward()
    return [y.detach().numpy(), *(p.grad.numpy() for p in model.parameters())]


def test_the_recurrent_layers_of_a_model_are_compiled_over_the_same_parameters() -> None:
    model, ids = Tagger(), tg.randint(0, 7, (5, 2))
    wanted = [a.copy() for a in gradients(model, ids)]
    fast = tg.compile(model, fullgraph=True)
    assert isinstance(fast, Tagger) and type(model) is Tagger
    assert (
        fast.explain()
        == "layers.0: GRU: compiled at the first call\nlayers.1: LSTM: compiled at the first call"
    )
    for a, b in zip(gradients(fast, ids), wanted):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert "layers.0: compiled GRUCell" in fast.explain() and "trial" in fast.explain()
    assert fast.again is fast.layers[0] and fast.head is model.head
    assert all(p is q for p, q in zip(fast.parameters(), model.parameters()))
    assert list(fast.state_dict()) == list(model.state_dict())
    model.load_state_dict(Tagger().state_dict())
    np.testing.assert_allclose(fast(ids).detach().numpy(), model(ids).detach().numpy(), rtol=1e-4, atol=1e-6)


def test_options_are_pytorchs_where_they_mean_something() -> None:
    model = Tagger()
    assert tg.compile(model, backend="eager") is model and tg.compile(model, disable=True) is model
    assert isinstance(tg.compile(model, mode="default", backend="inductor", dynamic=False), Tagger)
    for wrong in ({"mode": "reduce-overhead"}, {"backend": "cudagraphs"}, {"options": {}}):
        with pytest.raises(NotImplementedError, match=next(iter(wrong))):
            tg.compile(model, **wrong)
    with pytest.raises(TypeError, match="dynamic"):
        tg.compile(model, dynamic="yes")
    with pytest.raises(
        TypeError, match="expected a module or a Cell, got the class GRU; make the module first"
    ):
        tg.compile(nn.GRU)
    with pytest.raises(TypeError, match="expected a module or a Cell, got function"):
        tg.compile(lambda x: x)


def test_one_program_for_batches_of_every_size() -> None:
    eager = nn.LSTM(3, 4, dtype=tg.float64)
    compiled = tg.compile(eager, dynamic=True, fullgraph=True)
    for B in (1, 2, 9):
        x = tg.randn(5, B, 3, dtype=tg.float64)
        np.testing.assert_allclose(
            compiled(x)[0].detach().numpy(), eager(x)[0].detach().numpy(), 1e-12, 1e-14
        )
    assert len(compiled._programs.found) == 1


def same_outputs(a: Any, b: Any) -> None:
    x = tg.randn(4, 2, 3)
    np.testing.assert_allclose(a(x)[0].detach().numpy(), b(x)[0].detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_and_pickles_are_compiled_too(copied: Any) -> None:
    layer = tg.compile(nn.GRU(3, 4), fullgraph=True)
    layer(tg.randn(4, 2, 3))
    twin = copied(layer)
    assert type(twin) is type(layer) and not twin._programs.found and twin._programs.fullgraph
    same_outputs(twin, layer)
    model = tg.compile(Tagger(), fullgraph=True)
    again, ids = copied(model), tg.randint(0, 7, (4, 2))
    assert "compiled at the first call" in again.explain()
    np.testing.assert_allclose(again(ids).detach().numpy(), model(ids).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert isinstance(again, Tagger) and (again.embed is model.embed) == (copied is copy.copy)


def test_arrays_are_taken_where_the_eager_layer_takes_them() -> None:
    class Sum(nn.Cell):
        hidden_size = 3

        def step(self, a: Any, h: Any) -> Any:
            return tg.tanh(h + a)

    layer, x = nn.Recurrent(Sum()), np.ones((4, 2, 3), np.float32)
    np.testing.assert_allclose(tg.compile(layer)(x)[0].numpy(), layer(x)[0].numpy(), rtol=1e-6)


def test_what_depends_on_nothing_that_asks_requires_no_gradient() -> None:
    class Two(nn.Cell):
        hidden_size = 3

        def __init__(self) -> None:
            super().__init__()
            self.U = nn.Linear(3, 3)

        def initial_state(self, B: int, like: Any) -> Any:
            return tg.zeros(B, 3), tg.zeros(B, 3)

        def step(self, a: Any, state: Any) -> Any:
            h, p = state
            return nn.Step(a * 2, (tg.tanh(self.U(h) + p), a))

    layer, x = nn.Recurrent(Two()), tg.randn(4, 2, 3)
    for lengths in (None, [4, 2], [4, 0]):
        for state in (None, (tg.randn(2, 3).requires_grad_(), tg.randn(2, 3).requires_grad_())):
            asks = []
            for one in (layer, tg.compile(layer, fullgraph=True)):
                y, (h, p) = one(x, state, lengths=lengths)
                asks.append((y.requires_grad, h.requires_grad, p.requires_grad))
            assert asks[0] == asks[1]


def cell_with(doc: str = "", name: str = "u") -> Any:
    space: dict[str, Any] = {"nn": nn, "tg": tg}
    exec(
        f"class Named(nn.Cell):\n    hidden_size = 3\n    def step(self, a, h):\n"
        f"        {name} = tg.tanh(a + h)\n        return {name} * tg.sigmoid({name})",
        space,
    )
    space["Named"].__doc__ = doc
    return space["Named"]()


NASTY = [
    '"""\nimport os\nBROKEN = 1\n"""',
    "\\xi \\upsilon \\N{dash}",
    '"',
    "\\",
    '\\"""',
    "\x00\r\n\f",
    "'''",
    "\ud800",
    "{x}",
]


@pytest.mark.parametrize("doc", NASTY)
def test_no_docstring_becomes_code(doc: str) -> None:
    layer = tg.compile(nn.Recurrent(cell_with(doc)), fullgraph=True)
    layer(tg.ones(3, 2, 3).requires_grad_())
    space: dict[str, Any] = {"__name__": "printed"}
    exec(layer.source, space)
    assert "BROKEN" not in space and "os" not in space
    assert space["__doc__"].strip() == doc.strip().replace("\x00", "\\x00").replace("\r", "\\r").replace(
        "\f", "\\x0c"
    ).replace("\ud800", "\\ud800") or doc in ("\x00\r\n\f", "\ud800")
    layer.source.encode("utf-8")


@given(st.text(min_size=1, max_size=30))
def test_no_text_becomes_code(doc: str) -> None:
    layer = tg.compile(nn.Recurrent(cell_with(doc)), fullgraph=True)
    layer(tg.ones(2, 2, 3))
    space: dict[str, Any] = {"__name__": "printed"}
    exec(layer.source, space)
    plain = {
        "workspace",
        "forward",
        "rows",
        "sigmoid",
        "DTYPE",
        "SimpleNamespace",
        "np",
        "columns",
        "products",
    }
    assert {name for name in space if not name.startswith("__")} - plain <= set(dir(np))


NAMES = "rows columns products sigmoid np w t T B n s e N math add range zip len x y d_y check DTYPE ξ ends"


@pytest.mark.parametrize("name", NAMES.split())
def test_a_variable_may_have_any_name(name: str) -> None:
    layer = nn.Recurrent(cell_with(name=name))
    for lengths in (None, [3, 1]):
        x = tg.randn(3, 2, 3).requires_grad_()
        found, wanted = (one(x, lengths=lengths)[0] for one in (tg.compile(layer, fullgraph=True), layer))
        np.testing.assert_allclose(found.detach().numpy(), wanted.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_parameters_may_have_any_name() -> None:
    class Dict(nn.Cell):
        hidden_size = 3

        def __init__(self) -> None:
            super().__init__()
            self.ws = nn.ParameterDict({"a b\nimport os": tg.ones(3), "def": tg.ones(3), "é'": tg.ones(3)})

        def step(self, a: Any, h: Any) -> Any:
            return tg.tanh(a + h) * sum(self.ws[key] for key in self.ws)

    layer, x = nn.Recurrent(Dict()), tg.randn(3, 2, 3)
    y = tg.compile(layer, fullgraph=True)(x)[0]
    y.sum().backward()
    np.testing.assert_allclose(y.detach().numpy(), layer(x)[0].detach().numpy(), rtol=1e-6)


def test_programs_leave_no_lines_and_no_cycles_behind() -> None:
    def run() -> None:
        y, _ = tg.compile(nn.GRU(2, 3))(tg.randn(3, 2, 2))
        y.sum().backward()

    run()
    gc.collect()
    before = sum(name.startswith("<compiled") for name in linecache.cache)
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()
    assert sum(name.startswith("<compiled") for name in linecache.cache) == before


def test_compiling_draws_from_nobodys_random_numbers() -> None:
    tg.manual_seed(7)
    wanted = [tg.randn(5).numpy() for _ in range(300)]
    tg.manual_seed(7)
    stop, found = threading.Event(), []

    def compiling() -> None:
        while not stop.is_set():
            tg.compile(nn.GRU(2, 3))(tg.ones(3, 2, 2))

    layers = threading.Thread(target=compiling)
    tg.nn.GRU(2, 3)  # what makes the first layer draws; the draws below start from the seed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.GRU, "reset_parameters", lambda self: None)
        layers.start()
        tg.manual_seed(7)
        found = [tg.randn(5).numpy() for _ in range(300)]
        stop.set()
        layers.join()
    np.testing.assert_array_equal(found, wanted)


class Plain(nn.Cell):
    """Without products: a BLAS may hold locks of its own over a fork."""

    hidden_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(tg.ones(2))

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a * self.g + h)


def compile_in_child(queue: Any) -> None:
    queue.put(tg.compile(Plain(), fullgraph=True)(tg.ones(3, 2, 2))[0].shape)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_can_be_forked_while_another_thread_compiles() -> None:
    stop = threading.Event()

    def compiling() -> None:
        while not stop.is_set():
            tg.compile(Plain())(tg.ones(3, 2, 2))

    other = threading.Thread(target=compiling)
    other.start()
    context = multiprocessing.get_context("fork")
    try:
        for _ in range(5):
            queue = context.SimpleQueue()
            child = context.Process(target=compile_in_child, args=(queue,))
            child.start()
            child.join(20)
            assert child.exitcode == 0
            assert queue.get() == (3, 2, 2)
    finally:
        stop.set()
        other.join()
