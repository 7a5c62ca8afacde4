"""assert_close: PyTorch's tolerances, and messages that say where."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.testing import assert_close


@pytest.mark.parametrize(
    ("dtype", "near", "far"),
    [("float16", 1e-3, 3e-3), ("float32", 2e-6, 1e-4), ("float64", 1e-7, 1e-5), ("int64", 0, 1)],
)
def test_the_tolerance_follows_the_dtype(dtype, near, far):
    one = np.ones(3, dtype)
    assert_close(tg.Tensor(one), tg.Tensor(one + np.array(near, dtype)), rtol=None, atol=None)
    with pytest.raises(AssertionError, match="3 of 3 numbers differ, first at"):
        assert_close(tg.Tensor(one), tg.Tensor(one + np.array(far, dtype)))


def test_tolerances_can_be_given():
    assert_close(1.0, 1.05, rtol=0.1, atol=0)
    with pytest.raises(
        AssertionError,
        match=r"1 of 1 numbers differ, first: 1 instead of 1.05 \(by up to 0.05; rtol=0.01, atol=0\)",
    ):
        assert_close(1.0, 1.05, rtol=0.01, atol=0)


def test_the_largest_difference_and_the_first_place_are_told():
    a, b = tg.zeros(2, 2), tg.tensor([[0.0, 0.5], [0.0, 2.0]])
    with pytest.raises(
        AssertionError, match=r"2 of 4 numbers differ, first at \(0, 1\): 0 instead of 0.5 \(by up to 2;"
    ):
        assert_close(a, b)


def test_nan_equals_nan_only_if_asked():
    x = tg.tensor([1.0, float("nan")])
    assert_close(x, x.clone(), equal_nan=True)
    with pytest.raises(AssertionError, match=r"first at \(1,\)"):
        assert_close(x, x.clone())


def test_shapes_and_dtypes_count():
    with pytest.raises(AssertionError, match=r"shapes \(2,\) and \(2, 1\) differ"):
        assert_close(tg.zeros(2), tg.zeros(2, 1))
    with pytest.raises(AssertionError, match="dtypes float32 and float64 differ"):
        assert_close(tg.zeros(2), tg.zeros(2, dtype=tg.float64))
    assert_close(tg.zeros(2), tg.zeros(2, dtype=tg.float64), check_dtype=False)
    assert_close(tg.tensor([True, False]), tg.tensor([True, False]))


def test_lists_and_dictionaries_are_compared_through_and_through():
    assert_close({"a": [tg.ones(2), 3.0]}, {"a": [tg.ones(2), 3.0]})
    with pytest.raises(AssertionError, match=r"^\['a'\]\[1\]: 1 of 1 numbers differ"):
        assert_close({"a": [tg.ones(2), 3.0]}, {"a": [tg.ones(2), 4.0]})
    with pytest.raises(AssertionError, match="the keys of the mappings differ"):
        assert_close({"a": 1}, {"b": 1})
    with pytest.raises(AssertionError, match=r"\['a'\]: the lengths of the sequences differ"):
        assert_close({"a": (1, 2)}, {"a": (1,)})


def test_the_message_can_be_replaced():
    with pytest.raises(AssertionError, match=r"^mine$"):
        assert_close(1, 2, msg="mine")
    with pytest.raises(AssertionError, match=r"^seen: 1 of 1"):
        assert_close(1, 2, msg=lambda text: f"seen: {text}")


def test_subclasses_count_if_asked():
    p = tg.nn.Parameter(tg.ones(2))
    assert_close(p, tg.ones(2))
    with pytest.raises(AssertionError, match="types Parameter and Tensor differ"):
        assert_close(p, tg.ones(2), allow_subclasses=False)


def test_what_is_not_supported_says_so():
    with pytest.raises(NotImplementedError, match="check_stride"):
        assert_close(1, 1, check_stride=True)
    with pytest.raises(ValueError, match="both, or neither"):
        assert_close(1, 1, rtol=1e-3)
