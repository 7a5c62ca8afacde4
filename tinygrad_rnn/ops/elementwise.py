"""Elementwise operations: each primitive is a row, a NumPy function and its rules; the rest are compositions.

g: the gradient of the output; y: the output; x, a, b: inputs (`_x`: not read by the rule).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd.primitive import REGISTRY, Operation, Primitive, apply, primitive
from ..tensor import Tensor, method

# --- number types


def tensor_of(name: str, x: Any) -> Tensor:
    """`x` as a tensor: arrays and numbers are wrapped, anything else is an error in `name`."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (bool, int, float, np.generic)):
        x = x.item() if isinstance(x, np.generic) else x
        return Tensor(np.asarray(x, dtypes.result_type(x)))
    if isinstance(x, np.ndarray):
        return Tensor(x)
    raise TypeError(f"{name}: expected a tensor, an array or a number, got {type(x).__name__}")


_cast = primitive(
    "cast", lambda x, dtype, was: x.astype(dtype), lambda g, _y, _x, *, dtype, was: g.astype(was)
)


@method("astype")
def cast(input: Tensor, dtype: Any) -> Tensor:
    """`input` in another dtype; the gradient comes back in the old one. Not a copy if it is that already."""
    dtype = dtypes.as_dtype(dtype)
    if input.dtype == dtype or input.dtype.kind == "c":  # complex: a probe of the complex-step oracle
        return input
    if dtype.kind != "f":
        return Tensor(input.array.astype(dtype))
    return _cast(input, dtype=dtype, was=input.dtype)


def _alike(a: Any, b: Any, kinds: str) -> bool:
    """True if NumPy's promotion is PyTorch's: one dtype, or an array of floats and a Python number."""
    if isinstance(a, Tensor):
        d = a.array.dtype
        return d.kind in kinds and (
            d == b.array.dtype if isinstance(b, Tensor) else (b.__class__ is float or b.__class__ is int) and d.kind == "f"
        )
    return (a.__class__ is float or a.__class__ is int) and isinstance(b, Tensor) and b.array.dtype.kind == "f"


def matched(name: str, *inputs: Any, floats: bool = False) -> list[Tensor]:
    """`inputs` in their common dtype (with `floats`, a float one). Python numbers do not widen arrays."""
    numbers = [x if isinstance(x, (bool, int, float)) and not isinstance(x, np.generic) else tensor_of(name, x) for x in inputs]
    common = dtypes.result_type(*numbers)
    if floats and common.kind not in "fc":
        common = dtypes.get_default_dtype()
    return [cast(x, common) if isinstance(x, Tensor) else Tensor(np.asarray(x, common)) for x in numbers]


# --- forms of a row


def _named(function: Any, name: str, doc: str) -> Operation:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    method(name)(function)
    return function  # type: ignore[no-any-return]


def unary(name: str, forward: Callable[..., Any], rule: Any, doc: str, floats: bool = True) -> Operation:
    """An operation on one tensor; with `floats`, integers become the default float dtype first."""
    this = REGISTRY[name] = Primitive(name, forward, [rule])

    def operation(input: Any) -> Tensor:
        if not isinstance(input, Tensor):
            input = tensor_of(name, input)
        if floats and input.array.dtype.kind not in "fc":
            input = cast(input, dtypes.get_default_dtype())
        return apply(this, (input,), {})

    return _named(operation, name, doc)


def binary(name: str, forward: Callable[..., Any], rule_a: Any, rule_b: Any, doc: str, floats: bool = False) -> Operation:
    """An operation on two tensors or numbers that broadcast, in their common dtype."""
    this = REGISTRY[name] = Primitive(name, forward, [rule_a, rule_b])
    kinds = "fc" if floats else "fciub"

    def operation(input: Any, other: Any) -> Tensor:
        if not _alike(input, other, kinds):
            input, other = matched(name, input, other, floats=floats)
        try:
            return apply(this, (input, other), {})
        except ValueError:
            a, b = tensor_of(name, input).shape, tensor_of(name, other).shape
            raise RuntimeError(f"{name}: shapes {a} and {b} do not broadcast") from None

    return _named(operation, name, doc)


def comparison(name: str, forward: Callable[..., Any], doc: str) -> Operation:
    """An operation with truth values (or integers) for a result, and so without a gradient."""

    def operation(input: Any, *other: Any) -> Tensor:
        return Tensor(np.asarray(forward(*[x.array if isinstance(x, Tensor) else x for x in (input, *other)])))

    return _named(operation, name, doc)


# --- rows


def _sigmoid(x: Any) -> Any:
    with np.errstate(over="ignore"):  # exp overflows to inf for x << 0, and 1 / (1 + inf) is the right 0
        y = np.exp(-x)
    y += 1
    return np.divide(1, y, out=y) if y.shape else 1 / y


_erf = np.frompyfunc(math.erf, 1, 1)

neg = unary("neg", np.negative, lambda g, _y, _x: -g, "-x", floats=False)
abs = unary("abs", np.abs, lambda g, _y, x: g * np.sign(x), "|x|; its derivative at 0 is 0", floats=False)
exp = unary("exp", np.exp, lambda g, y, _x: g * y, "eˣ")
expm1 = unary("expm1", np.expm1, lambda g, y, _x: g * (y + 1), "eˣ - 1, exact near 0")
log = unary("log", np.log, lambda g, _y, x: g / x, "ln x")
log1p = unary("log1p", np.log1p, lambda g, _y, x: g / (x + 1), "ln(1 + x), exact near 0")
log2 = unary("log2", np.log2, lambda g, _y, x: g / (x * math.log(2)), "log₂ x")
sqrt = unary("sqrt", np.sqrt, lambda g, y, _x: g / (2 * y), "√x")
sin = unary("sin", np.sin, lambda g, _y, x: g * np.cos(x), "sin x")
cos = unary("cos", np.cos, lambda g, _y, x: g * -np.sin(x), "cos x")
tanh = unary("tanh", np.tanh, lambda g, y, _x: g * (1 - y * y), "tanh x")
sigmoid = unary("sigmoid", _sigmoid, lambda g, y, _x: g * (y * (1 - y)), "σ(x) = 1 / (1 + e⁻ˣ)")
erf = unary(
    "erf",
    lambda x: np.asarray(_erf(x), x.dtype),
    lambda g, _y, x: g * (2 / math.sqrt(math.pi) * np.exp(-(x * x))),
    "erf x = 2/√π ∫₀ˣ exp(-t²) dt",
)
sign = unary("sign", np.sign, lambda g, _y, _x: np.zeros_like(g), "-1, 0 or 1; its derivative is 0", floats=False)
floor = unary("floor", np.floor, lambda g, _y, _x: np.zeros_like(g), "⌊x⌋; its derivative is 0", floats=False)
ceil = unary("ceil", np.ceil, lambda g, _y, _x: np.zeros_like(g), "⌈x⌉; its derivative is 0", floats=False)
_round = unary("round", np.round, lambda g, _y, _x: np.zeros_like(g), "the nearest integer", floats=False)

_add = binary("add", np.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g, "a + b")
_sub = binary("sub", np.subtract, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, "a - b")
mul = binary("mul", np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, "a b")
_div = binary(
    "div", np.divide, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * (y / b), "a / b", floats=True
)
remainder = binary(
    "remainder", np.remainder, lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * np.floor(a / b), "a - b ⌊a/b⌋"
)
_power = binary(
    "pow",
    np.power,
    lambda g, _y, a, b: g * (b * np.power(a, np.where(b == 0, 1, b - 1))),
    lambda g, y, a, b: g * (y * np.log(np.where((a == 0) & (b >= 0), 1, a))),
    "aᵇ",
)
maximum = binary(
    "maximum",
    np.maximum,
    lambda g, _y, a, b: np.where(a > b, g, np.where(a == b, g / 2, 0)),
    lambda g, _y, a, b: np.where(a < b, g, np.where(a == b, g / 2, 0)),
    "the larger of a and b; a tie gives half of the gradient to each",
)
minimum = binary(
    "minimum",
    np.minimum,
    lambda g, _y, a, b: np.where(a < b, g, np.where(a == b, g / 2, 0)),
    lambda g, _y, a, b: np.where(a > b, g, np.where(a == b, g / 2, 0)),
    "the smaller of a and b; a tie gives half of the gradient to each",
)
logaddexp = binary(
    "logaddexp",
    np.logaddexp,
    lambda g, y, a, _b: g * np.exp(a - y),
    lambda g, y, _a, b: g * np.exp(b - y),
    "ln(eᵃ + eᵇ), without overflow",
    floats=True,
)
_where = primitive(
    "where",
    np.where,
    lambda g, _y, c, _a, _b: np.where(c, g, 0),  # the first argument, a mask, has no gradient
    lambda g, _y, c, _a, _b: np.where(c, g, 0),
    lambda g, _y, c, _a, _b: np.where(c, 0, g),
)
_monomial = primitive(
    "monomial",
    lambda x, *, n: x**n,
    lambda g, _y, x, *, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g),
)

eq = comparison("eq", np.equal, "a = b")
ne = comparison("ne", np.not_equal, "a ≠ b")
lt = comparison("lt", np.less, "a < b")
le = comparison("le", np.less_equal, "a ≤ b")
gt = comparison("gt", np.greater, "a > b")
ge = comparison("ge", np.greater_equal, "a ≥ b")
logical_and = comparison("logical_and", np.logical_and, "a and b")
logical_or = comparison("logical_or", np.logical_or, "a or b")
logical_xor = comparison("logical_xor", np.logical_xor, "either a or b")
logical_not = comparison("logical_not", np.logical_not, "not a")
bitwise_and = comparison("bitwise_and", np.bitwise_and, "a & b, of integers or truth values")
bitwise_or = comparison("bitwise_or", np.bitwise_or, "a | b, of integers or truth values")
bitwise_xor = comparison("bitwise_xor", np.bitwise_xor, "a ^ b, of integers or truth values")
bitwise_not = comparison("bitwise_not", np.invert, "~a, of integers or truth values")
isnan = comparison("isnan", np.isnan, "true for NaN")
isinf = comparison("isinf", np.isinf, "true for ±infinity")
isfinite = comparison("isfinite", np.isfinite, "true for all but NaN and ±infinity")


# --- compositions


@method("add")
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a + alpha b"""
    return _add(input, other if alpha == 1 else mul(other, alpha))


@method("sub", "subtract")
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a - alpha b"""
    return _sub(input, other if alpha == 1 else mul(other, alpha))


@method("div", "divide", "true_divide")
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """a / b, or with `rounding_mode` "floor" or "trunc" rounded down or towards 0 (derivative 0)."""
    quotient = _div(input, other)
    if rounding_mode not in (None, "floor", "trunc"):
        raise ValueError(f"div: rounding_mode is None, 'floor' or 'trunc', not {rounding_mode!r}")
    if rounding_mode is None:
        return quotient
    down = floor(quotient)
    rounded = down if rounding_mode == "floor" else where(quotient < 0, ceil(quotient), down)
    return cast(rounded, matched("div", input, other)[0].dtype)


@method()
def pow(input: Any, exponent: Any) -> Tensor:
    """inputᵉˣᵖᵒⁿᵉⁿᵗ. At 0 the derivative by the exponent is 0 for exponents ≥ 0."""
    if isinstance(exponent, (int, float)) and isinstance(input, Tensor) and _alike(input, exponent, "f"):
        return mul(input, input) if exponent == 2 else _monomial(input, n=exponent)
    return _power(*matched("pow", input, exponent))


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is true, else `other`; with the condition alone, the indices where it is true."""
    condition = tensor_of("where", condition)
    if input is None and other is None:
        return tuple(Tensor(i) for i in np.nonzero(condition.array))
    if not _alike(input, other, "fciub"):
        input, other = matched("where", input, other)
    return _where(condition.array.astype(bool, copy=False), input, other)


method("where")(lambda self, condition, other: where(condition, self, other))


@method("round")
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimals, halves to even; its derivative is 0."""
    return _round(input * 10**decimals) / 10**decimals if decimals else _round(input)


@method()
def square(input: Tensor) -> Tensor:
    """x²"""
    return mul(input, input)


@method()
def reciprocal(input: Tensor) -> Tensor:
    """1 / x"""
    return div(1.0, input)


@method()
def rsqrt(input: Tensor) -> Tensor:
    """1 / √x"""
    return div(1.0, sqrt(input))


@method("clamp", "clip")
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input` held within [min, max] (numbers or tensors); the derivative at a bound is 1."""
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    if min is not None:
        input = where(input < min, min, input)
    return input if max is None else where(input > max, max, input)


@method()
def relu(input: Tensor) -> Tensor:
    """max(x, 0); its derivative at 0 is 0."""
    return where(input <= 0, 0, input)


@method()
def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """input + weight (end - input)"""
    return add(input, mul(weight, sub(end, input)))


@method()
def xlogy(input: Any, other: Any) -> Tensor:
    """x ln y, and 0 where x is 0 (unless y is NaN)."""
    input, other = matched("xlogy", input, other, floats=True)
    zero = (input == 0) & ~isnan(other)
    return where(zero, 0, mul(input, log(where(zero, 1, other))))


@method()
def isclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """|input - other| ≤ atol + rtol |other|, elementwise."""
    a, b = tensor_of("isclose", input).array, tensor_of("isclose", other).array
    return Tensor(np.asarray(np.isclose(a, b, rtol, atol, equal_nan)))


@method()
def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True if `isclose` is true everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


@method()
def equal(input: Tensor, other: Tensor) -> bool:
    """True if shapes and all values are the same."""
    return np.array_equal(tensor_of("equal", input).array, tensor_of("equal", other).array)


OPERATORS: dict[str, Any] = {
    "__add__": _add,
    "__radd__": _add,
    "__sub__": _sub,
    "__rsub__": lambda self, other: _sub(other, self),
    "__mul__": mul,
    "__rmul__": mul,
    "__truediv__": _div,
    "__rtruediv__": lambda self, other: _div(other, self),
    "__floordiv__": lambda self, other: div(self, other, rounding_mode="floor"),
    "__rfloordiv__": lambda self, other: div(other, self, rounding_mode="floor"),
    "__mod__": remainder,
    "__rmod__": lambda self, other: remainder(other, self),
    "__pow__": pow,
    "__rpow__": lambda self, other: pow(other, self),
    "__neg__": neg,
    "__pos__": lambda self: self,
    "__abs__": abs,
    "__eq__": lambda self, other: eq(self, other) if _comparable(other) else NotImplemented,
    "__ne__": lambda self, other: ne(self, other) if _comparable(other) else NotImplemented,
    "__lt__": lt,
    "__le__": le,
    "__gt__": gt,
    "__ge__": ge,
    "__and__": bitwise_and,
    "__or__": bitwise_or,
    "__xor__": bitwise_xor,
    "__invert__": bitwise_not,
}


def _comparable(other: Any) -> bool:
    return isinstance(other, (Tensor, np.ndarray, bool, int, float, np.generic))


for _name, _function in OPERATORS.items():
    method(_name)(_function)
