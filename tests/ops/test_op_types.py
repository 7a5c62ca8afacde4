"""Number types: a table of promotion (PyTorch's), and what integers become in functions of real numbers."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg

BOOL, U8, I8, I32, I64, F16, F32, F64 = (
    np.dtype(d) for d in ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")
)

ARRAYS = [  # two tensors with dimensions: NumPy's choice within a category, else the higher category's type
    (BOOL, I32, I32),
    (U8, I8, np.dtype("int16")),
    (I32, I64, I64),
    (I64, F16, F16),
    (I64, F32, F32),
    (U8, F64, F64),
    (F16, F32, F32),
    (F32, F64, F64),
    (BOOL, F32, F32),
]


@pytest.mark.parametrize(("a", "b", "expected"), ARRAYS)
def test_two_tensors(a, b, expected):
    x, y = tg.ones(2, dtype=a), tg.ones(2, dtype=b)
    assert (x + y).dtype == (y * x).dtype == tg.where(x > 0, x, y).dtype == tg.cat([x, y]).dtype == expected


SINGLE = [  # a 0-d tensor never widens a tensor of its own category
    (F32, F64, F32),
    (F16, F64, F16),
    (I32, I64, I32),
    (I64, F64, F64),
    (I64, F32, F32),
    (BOOL, I32, I32),
    (F32, I64, F32),
]


@pytest.mark.parametrize(("dims", "none", "expected"), SINGLE)
def test_a_tensor_and_a_0_d_tensor(dims, none, expected):
    x, y = tg.ones(2, dtype=dims), tg.ones((), dtype=none)
    assert (x + y).dtype == (y + x).dtype == tg.maximum(y, x).dtype == expected


NUMBERS = [  # a Python number counts by its category alone; a float that decides has the default dtype
    (F64, 2.5, F64),
    (F16, 2.5, F16),
    (F32, 2, F32),
    (I32, 2, I32),
    (I32, 2.5, F32),
    (U8, True, U8),
    (BOOL, 2, I64),
    (BOOL, True, BOOL),
    (BOOL, 0.5, F32),
]


@pytest.mark.parametrize(("dtype", "number", "expected"), NUMBERS)
@pytest.mark.parametrize("shape", [(2,), ()])
def test_a_tensor_and_a_number(dtype, number, expected, shape):
    x = tg.ones(shape, dtype=dtype)
    assert (x + number).dtype == (number * x).dtype == tg.where(x > 0, x, number).dtype == expected


def test_numpys_numbers_count_as_python_s():
    x = tg.ones(2)
    assert (x * np.float64(2)).dtype == (np.float64(2) * x).dtype == (x + np.int64(1)).dtype == F32


def test_division_and_functions_of_real_numbers_make_floats():
    whole = tg.arange(4)
    for y in (
        whole / 2,
        whole / whole.add(1),
        tg.exp(whole),
        tg.sigmoid(whole > 1),
        tg.logsumexp(whole, 0),
        tg.erf(whole),
    ):
        assert y.dtype == F32
    assert tg.exp(whole.double()).dtype == F64
    tg.set_default_dtype(F64)
    try:
        assert (whole / 2).dtype == tg.sin(whole).dtype == (whole * 0.5).dtype == tg.tensor(0.5).dtype == F64
    finally:
        tg.set_default_dtype(F32)


def test_integers_stay_integers():
    whole = tg.arange(5, dtype=I32)
    for y in (
        abs(-whole),
        whole.floor(),
        whole.relu(),
        whole.sign(),
        whole**2,
        whole // 2,
        whole % 2,
        whole.clamp(1, 3),
    ):
        assert y.dtype == I32
    assert (whole // 3).tolist() == [0, 0, 0, 1, 1]
    assert (-whole // 3).tolist() == [0, -1, -1, -1, -2]
    assert tg.div(-whole, 3, rounding_mode="trunc").tolist() == [0, 0, 0, -1, -1]
    big = tg.tensor([2**60 + 1, -(2**60) - 1])
    assert (big // 2).tolist() == [2**59, -(2**59) - 1]
    assert tg.div(big, 2, rounding_mode="trunc").tolist() == [2**59, -(2**59)]
    assert big.amin().item() == -(2**60) - 1
    for name in ("floor", "ceil", "round"):
        getattr(whole, name)().fill_(9)  # a tensor of its own
        assert whole.tolist() == [0, 1, 2, 3, 4]


def test_sums_of_integers_are_int64_and_a_dtype_may_be_given():
    for dtype in (BOOL, U8, I32, I64):
        x = tg.ones(3, dtype=dtype)
        assert x.sum().dtype == x.prod().dtype == x.cumsum(0).dtype == I64
    assert tg.full((300,), 1, dtype=U8).sum().item() == 300
    assert tg.ones(3).sum(dtype=I32).dtype == I32
    for x in (tg.ones(3), tg.ones(3, dtype=U8), tg.ones(3) > 0):
        for name in ("sum", "prod", "cumsum", "cumprod"):
            assert getattr(x, name)(0, dtype=I32).dtype == I32
    assert tg.arange(3).mean(dtype=F64).dtype == F64
    assert (tg.ones(3) > 0).all().dtype == BOOL
    assert tg.ones(3).argmax().dtype == tg.ones(3).sort().indices.dtype == I64


def test_gradients_come_back_in_the_type_of_the_input():
    x, y = tg.ones(2, dtype=F32, requires_grad=True), tg.ones(2, dtype=F64, requires_grad=True)
    (x * y * tg.tensor(2.0)).sum().backward()
    assert (x.grad.dtype, y.grad.dtype) == (F32, F64)
    z = tg.ones(2, requires_grad=True)
    (z.double().half().float() * tg.arange(2)).sum().backward()
    assert z.grad.dtype == F32 and z.grad.tolist() == [0, 1]


def test_gradients_have_the_type_of_what_they_are_gradients_of_on_the_way_too():
    seen, y = [], tg.ones(2, requires_grad=True)
    for dtype in (F32, F64, tg.float16, F32):
        y = y.to(dtype) * 1
        y.register_hook(lambda g, dtype=dtype: seen.append((g.dtype, dtype)))
    y.sum().backward()
    assert len(seen) == 4 and all(found == expected for found, expected in seen)


def test_conversions():
    x = tg.tensor([0.0, 1.7, -2.9])
    assert x.long().tolist() == x.int().tolist() == [0, 1, -2]
    assert x.bool().tolist() == [False, True, True]
    assert (x.double().dtype, x.half().dtype, x.short().dtype, x.char().dtype) == (
        F64,
        F16,
        np.dtype("int16"),
        I8,
    )
    assert (
        x.to(I64).dtype
        == x.to(dtype=I64).dtype
        == x.to(tg.arange(2)).dtype
        == x.type_as(tg.arange(2)).dtype
        == I64
    )
    assert x.float() is x and x.to("cpu") is x and x.to(F32) is x and x.to(F32, copy=True) is not x
    assert not x.long().requires_grad
    assert tg.arange(2).new_tensor([0.9, 2]).tolist() == [0, 2] and x.double().new_tensor(1).dtype == F64
    for name, dtype in {"int64": I64, "float64": F64, "bool": BOOL, int: I64, float: F64, bool: BOOL}.items():
        assert tg.zeros(1, dtype=name).dtype == dtype


def test_comparisons_compare_in_the_common_type():
    assert (tg.tensor([0.1]) == 0.1).all() and (tg.tensor([0.1]) == np.float64(0.1)).all()
    assert not (tg.tensor([0.1]) == tg.tensor([0.1], dtype=F64)).any()
    assert (tg.tensor([1, 2]) < 1.5).tolist() == [True, False]
    assert (tg.tensor([1]) == "a") is False and (tg.tensor([1]) != None) is True  # noqa: E711


def test_a_triangle_of_truth_values_is_a_mask():
    """`torch.ones(T, T).bool().triu(1)`: what attention may not see."""
    for dtype in (BOOL, U8, I64, F16, F64):
        square = tg.ones(3, 3).to(dtype)
        assert square.tril().dtype == square.triu(1).dtype == dtype
    future = tg.ones(3, 3, dtype=BOOL).triu(1)
    assert tg.zeros(3, 3).masked_fill(future, 1.0).tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_lerp_between_integers_does_not_wrap_around():
    x, y = tg.tensor([2, 4], dtype=U8), tg.tensor([1, 5], dtype=U8)
    assert tg.lerp(x, y, tg.tensor(0.5)).tolist() == [1.5, 4.5]


def test_pythons_types_as_dtypes():
    """`float` is float64 where it names a dtype, while a Python float has the default dtype."""
    assert tg.zeros(2, dtype=float).dtype == tg.ones(2).to(float).dtype == F64 and tg.tensor(1.5).dtype == F32
    assert tg.zeros(2, dtype=int).dtype == I64 and tg.zeros(2, dtype=bool).dtype == BOOL


def test_arange_from_a_float_is_of_floats():
    assert tg.arange(0.0, 3).dtype == tg.arange(0, 3.0).dtype == tg.arange(0, 3, 1.0).dtype == F32
    assert tg.arange(0, 3).dtype == I64
