"""What a compiled layer tells and keeps: its source, why it runs eagerly, buffers of a few shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_compiled_cells import assert_same, everything

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Elman(nn.Cell):
    """h' = tanh(a + U h)"""

    hidden_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.U = nn.Parameter(tg.eye(4, dtype=tg.float64) / 2)

    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h @ self.U.t())


class Asking(Elman):
    def step(self, a: Any, h: Any) -> Any:
        return tg.tanh(a + h.sum().item())


def test_a_cell_is_compiled_as_a_layer_and_a_compiled_layer_once_more() -> None:
    own = Elman()
    compiled = tg.compile(own, fullgraph=True)
    again = tg.compile(compiled, fullgraph=True)
    assert isinstance(compiled, nn.Recurrent) and type(again) is type(compiled) and again is not compiled
    x, begin = tg.randn(3, 2, 4, dtype=tg.float64), (tg.randn(2, 4, dtype=tg.float64),)
    for layer in (compiled, again):
        assert_same(*(everything(one, x, begin) for one in (layer, nn.Recurrent(own))))


def test_before_the_first_call_there_is_no_source() -> None:
    with pytest.raises(RuntimeError, match="source: nothing was compiled yet: call the layer first"):
        _ = tg.compile(nn.GRU(2, 3)).source


def test_explain_says_what_runs_eagerly_and_why() -> None:
    compiled = tg.compile(nn.Recurrent(Asking()))
    with pytest.warns(RuntimeWarning, match="runs eagerly: item asks for a value"):
        compiled(tg.ones(3, 2, 4, dtype=tg.float64))
    assert compiled.explain().startswith("eager: item asks for a value (a branch or number")


def test_a_weight_that_is_the_result_of_an_operation_is_refused_by_name() -> None:
    own = Elman()
    own.scaled = own.U * 2
    with pytest.raises(RuntimeError, match="compile: scaled is the result of an operation, not a parameter"):
        tg.compile(own, fullgraph=True)(tg.ones(3, 2, 4, dtype=tg.float64))


def test_memory_is_kept_for_the_last_few_shapes_only() -> None:
    eager = nn.RNN(2, 3, dtype=tg.float64)
    compiled = tg.compile(eager, fullgraph=True)
    for T in (1, 2, 3, 4, 5, 6, 1):
        x = tg.randn(T, 2, 2, dtype=tg.float64)
        np.testing.assert_allclose(compiled(x)[0].detach().numpy(), eager(x)[0].detach().numpy(), 1e-12)
    (program,) = compiled._programs.found.values()
    assert list(program.memory.idle) == [(T, 2) for T in (4, 5, 6, 1)]


def test_a_value_prints_as_what_it_was_made_of() -> None:
    compiled = tg.compile(nn.Recurrent(Elman()), fullgraph=True)
    compiled(tg.ones(3, 2, 4, dtype=tg.float64))
    (program,) = compiled._programs.found.values()
    text = repr(program.step.nexts[0])
    assert text.startswith("·(13, 4) = tanh(") and "(13, 4) = matmul(h, ·(4, 4) = permute(U))" in text
