"""NumPy's functions on tensors: the same numbers, with gradients; what has no rule says so."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.ops.protocol import FUNCTIONS

A, B, V = (
    np.linspace(0.2, 1.5, 6).reshape(2, 3),
    np.linspace(-1.0, 0.7, 6).reshape(2, 3),
    np.linspace(1, 2, 3),
)

ONE = """
    exp expm1 log log1p log2 sqrt square reciprocal sin cos tanh sign floor ceil negative absolute positive
    isnan isinf isfinite logical_not ravel transpose squeeze copy argmax argmin cumsum cumprod sort argsort
    sum mean prod max min amax amin all any var std tril triu zeros_like ones_like flip shape ndim size
"""
TWO = """
    add subtract multiply divide maximum minimum logaddexp remainder equal not_equal less less_equal greater
    greater_equal logical_and logical_or logical_xor floor_divide
"""


def named(name, *more, change=lambda x: x):
    return lambda x: getattr(np, name)(change(x), *more)


CALLS = {
    **{name: named(name) for name in ONE.split()},
    **{name: named(name, B) for name in TWO.split()},
    **{
        f"bitwise_{name}": named(f"bitwise_{name}", B > 0, change=lambda x: x > 0.5)
        for name in ("and", "or", "xor")
    },
    "invert": lambda x: np.invert(x > 0.5),
    "power": lambda x: np.power(x, 3),
    "a number first": lambda x: np.subtract(2.0, x),
    "sum along": lambda x: np.sum(x, axis=1, keepdims=True),
    "sum along 0": lambda x: np.sum(x, 0),
    "add.reduce": lambda x: np.add.reduce(x, axis=1),
    "mean along": lambda x: np.mean(x, axis=(0, 1)),
    "max along": lambda x: np.max(x, axis=0),
    "var with ddof": lambda x: np.var(x, axis=0, ddof=1, keepdims=True),
    "std along": lambda x: np.std(x, axis=1),
    "norm": lambda x: np.linalg.norm(x),
    "norm along": lambda x: np.linalg.norm(x, 1, axis=1),
    "cumsum along": lambda x: np.cumsum(x, axis=1),
    "where": lambda x: np.where(x > 0.5, x, B),
    "clip": lambda x: np.clip(x, 0.4, 1.0),
    "allclose": lambda x: np.allclose(x, x),
    "array_equal": lambda x: np.array_equal(x, B),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose by axes": lambda x: np.transpose(x, (1, 0)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "expand_dims of several": lambda x: np.expand_dims(x, (0, 3)),
    "broadcast_to": lambda x: np.broadcast_to(x, (4, 2, 3)),
    "flip along": lambda x: np.flip(x, 1),
    "roll": lambda x: np.roll(x, 1),
    "roll along": lambda x: np.roll(x, 1, axis=1),
    "tile": lambda x: np.tile(x, (2, 1)),
    "repeat": lambda x: np.repeat(x, 2, axis=1),
    "concatenate": lambda x: np.concatenate([x, B], axis=1),
    "an array first": lambda x: np.concatenate([B, x]),
    "stack": lambda x: np.stack([x, B], axis=1),
    "vstack": lambda x: np.vstack([x, B]),
    "hstack": lambda x: np.hstack([x, B]),
    "split": lambda x: np.split(x, 3, axis=1)[1],
    "diagonal": lambda x: np.diagonal(x),
    "trace": lambda x: np.trace(x),
    "take": lambda x: np.take(x, [0, 4]),
    "take along": lambda x: np.take(x, [2, 2, 0], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0], [2]]), axis=1),
    "matmul": lambda x: np.matmul(x, B.T),
    "a matrix first": lambda x: np.matmul(B.T, x),
    "dot": lambda x: np.dot(x, V),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, B),
    "tensordot": lambda x: np.tensordot(x, B, axes=([1], [1])),
    "inner": lambda x: np.inner(x, B),
    "inner with a number": lambda x: np.inner(x[0, 0], V),
    "outer": lambda x: np.outer(x[0], V),
    "operators": lambda x: B + V * x - x / B,
    "an array's matmul": lambda x: B.T @ x,
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_numpys_function_on_a_tensor(call):
    x = tg.tensor(A, requires_grad=True)
    found, expected = call(x), call(A)
    if isinstance(expected, np.ndarray | np.generic):
        assert isinstance(found, tg.Tensor)
        found = found.detach().numpy()
    np.testing.assert_allclose(found, expected, 1e-12)


def test_every_entry_is_called_above():
    called = set()
    entries = dict(FUNCTIONS)
    for function, rule in entries.items():
        FUNCTIONS[function] = lambda *args, _function=function, _rule=rule, **kwargs: (
            called.add(_function),
            _rule(*args, **kwargs),
        )[1]
    try:
        for call in CALLS.values():
            call(tg.tensor(A))
    finally:
        FUNCTIONS.update(entries)
    assert not {getattr(f, "__name__", f) for f in entries.keys() - called}


def test_gradients_pass():
    x = tg.tensor(A, requires_grad=True)
    np.sum(np.tanh(np.concatenate([B, x])) * np.exp(V)).backward()
    np.testing.assert_allclose(x.grad.numpy(), (1 - np.tanh(A) ** 2) * np.exp(V), 1e-12)


@pytest.mark.parametrize("call", [np.arctan, np.fft.fft, np.linalg.inv, np.median], ids=lambda f: f.__name__)
def test_what_has_no_rule_says_so(call):
    with pytest.raises(TypeError, match=rf"np.{call.__name__} has no rule for tensors.*detach"):
        call(tg.ones(2, 2))


def test_only_the_plain_call_of_a_ufunc():
    with pytest.raises(TypeError, match=r"np.multiply.reduce has no rule"):
        np.multiply.reduce(tg.ones(2))
    with pytest.raises(NotImplementedError, match="add: the argument out="):
        np.add(tg.ones(2), 1, out=tg.ones(2))


def test_asarray_of_what_requires_a_gradient_is_refused():
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(tg.ones(2, requires_grad=True))
    assert np.asarray(tg.ones(2)).tolist() == [1, 1]
