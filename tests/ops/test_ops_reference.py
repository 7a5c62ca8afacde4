"""Every operation against PyTorch's numbers: values, first and second derivatives."""

from __future__ import annotations

import make_ops
import numpy as np
import pytest

import tinygrad_rnn as tg

CASES, EXPECTED = make_ops.named(), make_ops.load()


def test_the_file_holds_exactly_the_cases():
    assert EXPECTED.keys() == CASES.keys()


@pytest.mark.filterwarnings(
    "ignore::RuntimeWarning"
)  # NumPy's, where an exponential overflows to the right inf
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name):
    found, expected = make_ops.evaluate(tg, CASES[name]), EXPECTED[name]
    assert found.keys() == expected.keys()
    for what, values in expected.items():
        assert (found[what].shape, found[what].dtype) == (values.shape, values.dtype), what
        np.testing.assert_allclose(found[what], values, 1e-9, 1e-9, err_msg=what)
