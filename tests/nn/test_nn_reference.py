"""Every function, layer and loss against PyTorch's numbers: values, first and second derivatives, buffers."""

from __future__ import annotations

import make_nn
import numpy as np
import pytest

import tinygrad_rnn as tg

CASES, EXPECTED = make_nn.named(), make_nn.load()


def test_the_file_holds_exactly_the_cases():
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name):
    case, expected = CASES[name], EXPECTED[name]
    found = make_nn.evaluate(tg, case)
    assert found.keys() == expected.keys()
    for what, values in expected.items():
        assert found[what].shape == values.shape, what
        np.testing.assert_allclose(found[what], values, case.get("rtol", 1e-9), 1e-9, err_msg=what)
