"""Cells drawn as source: compiled, they give what the eager loop gives, and none of them runs eagerly."""

from __future__ import annotations

import secrets
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from random_steps import drawn_cell, states_for

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def leaves(state: Any) -> list[Any]:
    return [t for part in state for t in leaves(part)] if isinstance(state, (tuple, list)) else [state]


def results(layer: Any, x: Any, state: Any, **more: Any) -> list[Any]:
    """Outputs, last states, and the gradients of inputs, states and parameters."""
    inputs = [x, *leaves(state), *layer.parameters()]
    for t in inputs:
        t.grad = None
    y, last = layer(x, state, **more)
    outputs = [y, *leaves(last)]
    rng = np.random.default_rng(0)
    terms = [(t * tg.tensor(rng.standard_normal(t.shape))).sum() for t in outputs if t.requires_grad]
    if terms:
        sum(terms[1:], terms[0]).backward()
    found = [t.detach().numpy() for t in outputs]
    return found + [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in inputs]


def assert_alike(found: list[Any], wanted: list[Any]) -> None:
    for a, b in zip(found, wanted):
        assert a.shape == b.shape
        scale = max(np.abs(b).max(initial=0), 1e-3)
        np.testing.assert_allclose(a / scale, b / scale, rtol=0, atol=1e-9)


COUNT = settings.default.max_examples * 5  # distinct cells: 200 under ci, 2,000 under deep
FIRST = 0 if settings.default.derandomize else secrets.randbelow(2**32)
PARTS = 8
BATCHES = ((3, 2, False), (4, 1, False), (4, 5, True))  # T, B, ragged


@pytest.mark.parametrize("part", range(PARTS))
def test_a_drawn_cell_compiled_equals_the_eager_one(part: int) -> None:
    texts = set()
    for seed in range(FIRST + part, FIRST + COUNT, PARTS):
        cell = drawn_cell(Random(seed))
        texts.add(cell.text)
        try:
            check(cell, seed, BATCHES if COUNT > 1000 else [BATCHES[seed % 3]], both=seed % 5 == 0)
        except Exception as error:
            raise AssertionError(f"drawn_cell(Random({seed})):\n{cell.text}") from error
    assert len(texts) > 0.95 * COUNT / PARTS


def check(cell: Any, seed: int, batches: Any, both: bool) -> None:
    """Compare the layer of one cell, or of one in both directions, with the compiled one."""
    eager = nn.Recurrent([(cell, cell)] if both else cell)
    compiled = tg.compile(eager, fullgraph=True)
    numbers = np.random.default_rng(seed)
    for T, B, ragged in batches:
        x = tg.tensor(numbers.standard_normal((T, B, cell.D))).requires_grad_()
        more = {"lengths": [int(n) for n in numbers.integers(0, T + 1, B)]} if ragged else {}
        states = [states_for(cell, B, numbers) for _ in range(2)]
        state = states if both else states[0]
        assert_alike(results(compiled, x, state, **more), results(eager, x, state, **more))
