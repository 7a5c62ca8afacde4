"""Complex tensors: which operations take them, what they give, and that nothing of it leaks out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.engine.primitive import REGISTRY
from tinygrad_rnn.testing import strategies as some
from tinygrad_rnn.testing.continuation import STEP, complex_tensors

AWAY = {
    "abs": (0,),
    "sign": (0,),
    "floor": range(-3, 4),
    "ceil": range(-3, 4),
    "round": [n + 0.5 for n in range(-4, 4)],
}


@pytest.mark.parametrize("name", ["abs", "sign", "floor", "ceil", "round", "erf"])
@given(data=st.data())
def test_a_continued_function_has_the_values_and_slopes_of_the_real_one(name, data):
    x = data.draw(some.arrays(away_from=tuple(AWAY.get(name, ()))))
    real, h = REGISTRY[name].forward, 1e-4
    found = REGISTRY[name].complex_forward(x + 1j * STEP)
    assert found.dtype == np.complex128
    np.testing.assert_allclose(found.real, real(x), rtol=1e-15)
    np.testing.assert_allclose(found.imag / STEP, (real(x + h) - real(x - h)) / (2 * h), atol=1e-7)


@pytest.mark.parametrize("name", ["remainder", "logaddexp"])
@given(data=st.data())
def test_a_continued_function_of_two_as_well(name, data):
    shapes = data.draw(some.broadcastable_shapes())
    a, b = (data.draw(some.arrays(shape)) for shape in shapes)
    if name == "remainder":
        b = np.abs(b) + 4  # larger than any |a|: the quotient jumps at 0 alone
        a = np.where(np.abs(a) < 0.01, 0.5, a)
    real, h = REGISTRY[name].forward, 1e-4
    for da, db in ((1, 0), (0, 1)):
        found = REGISTRY[name].complex_forward(a + 1j * STEP * da, b + 1j * STEP * db)
        np.testing.assert_allclose(found.real, real(a, b), rtol=1e-14, atol=1e-15)
        slope = (real(a + h * da, b + h * db) - real(a - h * da, b - h * db)) / (2 * h)
        np.testing.assert_allclose(found.imag / STEP, slope, atol=1e-7)


def test_assignment_of_a_complex_value_into_a_real_tensor_keeps_the_imaginary_part():
    x, y = tg.zeros(3, dtype=tg.float64), tg.tensor([1.0], dtype=tg.float64, requires_grad=True)
    with complex_tensors([y]):
        y.array += 1j * STEP
        z = x + 0
        z[1:2] = y * y
        assert z.array[1].imag == 2 * STEP
        w = tg.ops.shape.place(tg.Tensor(np.ones(1)), y, indices=[slice(0, 1), slice(1, 2)], shape=(3,))
        assert w.array.tolist() == [1, 1 + 1j * STEP, 0]


def test_outside_nothing_has_changed():
    before = {name: p.forward for name, p in REGISTRY.items()}
    x = tg.tensor([1.0, 2.0], dtype=tg.float64)
    array = x.array
    with pytest.raises(KeyError), complex_tensors([x]):
        assert x.array.dtype == np.complex128
        assert x.is_floating_point()
        assert tg.zeros(1, dtype=x.dtype).dtype == np.complex128
        raise KeyError
    assert x.array is array
    assert {name: p.forward for name, p in REGISTRY.items()} == before
    assert not tg.Tensor(np.ones(1, complex)).is_floating_point()
    with pytest.raises(NotImplementedError, match="complex128"):
        tg.zeros(1, dtype=np.complex128)


def test_integers_stay_integers():
    x = tg.tensor([1, 2])
    with complex_tensors([x]):
        assert x.dtype == tg.int64
