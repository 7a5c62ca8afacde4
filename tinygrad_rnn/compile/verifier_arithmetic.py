"""Exact arithmetic for the verifier: NumPy's functions over the field of integers modulo the prime P.

    add, subtract, multiply, divide, matmul, sums      what they are in the field: exact, no rounding
    tanh, exp, maximum, greater, …                     a polynomial of the field, drawn by the function's name

So `g * a - g * b` and `g * (a - b)` are the same number, `f * c` and `f * tanh(c)` are not: a polynomial
identity holds in the field for all inputs, or fails for all but a few in a million (Schwartz 1980, Zippel
1979). Residues are kept in float64 arrays, which hold integers to 2⁵³ exactly, so that products of matrices
are as quick as usual, and NaN is left for memory that nobody has written. Slices, views and writes are
NumPy's own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

P = 2**20 - 3  # a prime: a sum of 2¹³ products of residues is below 2⁵³
CHUNK = 2**13


def reduced(x: Any) -> Any:
    """The residue of exact integers, as float64; or of a number, also of a fraction (0.5 is 1 / 2)."""
    if type(x) in (bool, int):
        return float(x % P)
    if type(x) is float:  # not a number of NumPy's, which may be memory that nobody has written
        if not np.isfinite(x):
            return float(zlib.crc32(repr(x).encode()) % P)
        numerator, denominator = Fraction(x).as_integer_ratio()
        return float(numerator * pow(denominator, -1, P) % P)
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return np.asarray(x.astype(np.int64) % P, np.float64) if x.dtype.kind != "b" else x.astype(np.float64)
    x = x.astype(np.float64, copy=False)
    if x.size > 4096 and x.min() >= 0 and x.max() < P:
        return x
    return remainder(x)


def remainder(x: Any) -> Any:
    """The residue of exact integers below 2⁵³."""
    return x - P * np.floor(x / P)


def stored(y: Any, out: Any) -> Any:
    """A result, in `out` if that is given, as NumPy's functions do with their results."""
    if out is None:
        return y
    out[...] = y
    return out


def coefficients(name: str, count: int) -> Any:
    """Numbers of the field that belong to a name."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).integers(1, P, count).astype(float)


class Function:
    """A function of the field in the place of one of NumPy's, with `out`, `reduce` and `at` as that has."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        self.rule = rule

    def __call__(self, *args: Any, out: Any = None, **static: Any) -> Any:
        return stored(self.rule(*args, **static), out)

    def reduce(self, x: Any, axis: Any = 0, keepdims: bool = False, out: Any = None) -> Any:
        """The function of all elements along some dimensions, one after the other."""
        axes = sorted(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
        rest = [i for i in range(x.ndim) if i not in axes]
        flat = x.transpose(*axes, *rest).reshape(-1, *(x.shape[i] for i in rest))
        total = self.fold(flat)
        if keepdims:
            total = total.reshape([1 if i in axes else n for i, n in enumerate(x.shape)])
        return stored(total, out)

    def fold(self, flat: Any) -> Any:
        """The function of all rows; 1 where there is none, as of a product."""
        total = np.ones(flat.shape[1:])
        for row in flat:
            total = self.rule(total, row)
        return total


class Add(Function):
    """Addition; its sums are taken at once."""

    def fold(self, flat: Any) -> Any:
        """The sum of all rows, an exact integer."""
        return reduced(flat.sum(0))

    def at(self, out: Any, index: Any, x: Any) -> None:
        """out[index] += x, where an index may stand twice."""
        np.add.at(out, index, reduced(x))


class Symmetric(Function):
    """A function that no order of its arguments changes, such as the largest."""

    def __init__(self, name: str) -> None:
        self.inner, self.outer = drawn(name + " of each"), drawn(name)
        super().__init__(lambda a, b: self.outer(reduced(self.inner(a) + self.inner(b))))

    def fold(self, flat: Any) -> Any:
        """The function of all rows."""
        return self.outer(reduced(self.inner(flat).sum(0)))


def drawn(name: str) -> Callable[..., Any]:
    """Draw a polynomial of degree 8 in every argument by a name: it stands for a function of real numbers."""

    def rule(*args: Any) -> Any:
        total: Any = 0.0
        for k, x in enumerate(args):
            u = reduced(x)
            for a, b in coefficients(f"{name} {k}", 6).reshape(3, 2):
                u = remainder(a * u + b)
                u = remainder(u * u)
            total = u if k == 0 else mixed(total, u)
        return total

    def mixed(a: Any, b: Any) -> Any:
        return remainder((a + 1) * b + a)

    return rule


def truth(name: str) -> Callable[..., Any]:
    """A function with truth values, drawn by a name."""
    number = drawn(name)
    return lambda *args: np.asarray(number(*args)) % 2 == 1


def logical(function: Any) -> Callable[..., Any]:
    """A function of truth values, which are what they are."""
    return lambda *args: function(*(np.asarray(x).astype(bool) for x in args))


def inverse(x: Any) -> Any:
    """1 / x = xᴾ⁻² (Fermat); 0 has none and gives 0."""
    return power(x, P - 2)


def power(x: Any, n: Any) -> Any:
    """xⁿ, of a whole number n; for others a drawn function."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        return drawn("power")(x, n)
    if n < 0:
        return power(inverse(x), -n)
    x = reduced(x)
    y = x * 0 + 1.0  # NaN stays NaN
    while n:
        if n % 2:
            y = remainder(y * x)
        x, n = remainder(x * x), n // 2
    return y


def matmul(a: Any, b: Any) -> Any:
    """The product of matrices."""
    a, b = reduced(a), reduced(b)
    if a.shape[-1] <= CHUNK:
        return reduced(np.matmul(a, b))
    parts = range(0, a.shape[-1], CHUNK)
    return reduced(sum(reduced(np.matmul(a[..., i : i + CHUNK], b[..., i : i + CHUNK, :])) for i in parts))


def cumsum(x: Any, axis: int) -> Any:
    """Running sums."""
    return reduced(np.cumsum(reduced(x), axis=axis))


def cumprod(x: Any, axis: int) -> Any:
    """Running products."""
    y = np.array(reduced(x))
    rows = np.moveaxis(y, axis, 0)
    for k in range(1, len(rows)):
        rows[k] = reduced(np.asarray(rows[k - 1] * rows[k]))
    return y


def first(name: str) -> Callable[..., Any]:
    """A place along a dimension, drawn by the numbers that stand there."""
    number = drawn(name)

    def rule(x: Any, axis: int, keepdims: bool = False) -> Any:
        marked = reduced(x) + np.arange(1, x.shape[axis] + 1).reshape(
            [-1] + [1] * (x.ndim - 1 - axis % x.ndim)
        )
        return number(number(marked).sum(axis, keepdims=keepdims)) % x.shape[axis]

    return rule


RING: dict[str, Function] = {
    "subtract": Function(lambda a, b: remainder(reduced(a) - reduced(b))),
    "multiply": Function(lambda a, b: remainder(reduced(a) * reduced(b))),
    "divide": Function(lambda a, b: remainder(reduced(a) * inverse(b))),
    "negative": Function(lambda x: remainder(-reduced(x))),
    "power": Function(power),
    "matmul": Function(matmul),
    "dot": Function(matmul),
    "cumsum": Function(cumsum),
    "cumprod": Function(cumprod),
    "maximum": Symmetric("maximum"),
    "minimum": Symmetric("minimum"),
    "logaddexp": Symmetric("logaddexp"),
    "argmax": Function(first("argmax")),
    "argmin": Function(first("argmin")),
    "argsort": Function(lambda x, axis, kind="": np.argsort(drawn("argsort")(x), axis=axis) * 1.0),
    "take_along_axis": Function(
        lambda x, index, axis: np.take_along_axis(x, np.asarray(index).astype(int), axis)
    ),
    "where": Function(lambda mask, a, b: np.where(mask, reduced(a), reduced(b))),
    "add": Add(lambda a, b: remainder(reduced(a) + reduced(b))),
}
DRAWN = (
    "exp expm1 log log1p log2 sqrt sin cos tanh sign floor ceil rint absolute erf floor_divide remainder "
    "bitwise_and bitwise_or bitwise_xor invert"
)
TRUTHS = "equal not_equal less less_equal greater greater_equal isnan isinf isfinite"
LOGIC = "logical_and logical_or logical_xor logical_not"
NATIVE = "take broadcast_to concatenate stack array index_exp"  # they only move numbers

FUNCTIONS: dict[str, Any] = {
    **RING,
    **{name: Function(drawn(name)) for name in DRAWN.split()},
    **{name: Function(truth(name)) for name in TRUTHS.split()},
    **{name: Function(logical(getattr(np, name))) for name in LOGIC.split()},
}


class Residues:
    """NumPy for a program that is verified: functions of the field, and memory that starts as NaN."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.float16 = self.float32 = self.float64 = np.float64
        for name in NATIVE.split():
            setattr(self, name, getattr(np, name))
        vars(self).update(FUNCTIONS)
        self.inf = np.inf
        self.cumsum = lambda x, axis=None, out=None: (
            np.cumsum(x) if axis is None else FUNCTIONS["cumsum"](x, axis=axis, out=out)
        )

    def empty(self, shape: Any, dtype: Any) -> Any:
        """Memory: NaN, which no result may hold; of truth values random ones."""
        new = self.rng.random(shape) < 0.5 if np.dtype(dtype) == bool else np.full(shape, np.nan)
        return new

    def zeros(self, shape: Any, dtype: Any) -> Any:
        """Memory that starts as zeros."""
        new = np.zeros(shape, bool if np.dtype(dtype) == bool else np.float64)
        return new

    def ones(self, shape: Any, dtype: Any) -> Any:
        """An array of ones."""
        return np.ones(shape)

    def empty_like(self, x: Any) -> Any:
        """Memory in the form of `x`."""
        return self.empty(x.shape, x.dtype)

    def copyto(self, out: Any, x: Any, where: Any = True, casting: str = "") -> None:
        """Copy what `where` says; numbers become residues."""
        np.copyto(out, x if hasattr(x, "dtype") else reduced(x), where=where, casting="unsafe")

    def put_along_axis(self, out: Any, index: Any, x: Any, axis: int) -> None:
        """out[i, index[i, k]] = x[i, k]"""
        np.put_along_axis(out, index.astype(int), reduced(x), axis)

    def frompyfunc(self, function: Any, _inputs: int, _outputs: int) -> Any:
        """A function of Python's, by its name."""
        return FUNCTIONS[function.__name__]
