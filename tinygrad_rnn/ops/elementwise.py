"""Elementwise operations: each primitive is a row, a NumPy function and its rules; the rest are compositions.

g: the gradient of the output; y: the output; x, a, b: inputs (`_x`: not read by the rule).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.primitive import REGISTRY, Operation, Primitive, apply, primitive, refused
from ..dtypes import ANY, FLOATS, INTEGERS, NUMBERS
from ..tensor import Tensor, method
from .inputs import OPERATIONS, alike, mask_of, matched, named, refuse, tensor_of

Forward = Callable[..., Any]

# --- forms of a row


def _row(name: str, operation: Operation, doc: str) -> Operation:
    """Publish an operation that needs no help with its arguments."""
    OPERATIONS[name] = named(name, operation, doc)
    return method(name)(operation)


def unary(name: str, forward: Forward, rule: Any, doc: str, kinds: str = FLOATS) -> Operation:
    """An operation on one tensor, of certain kinds of dtype; one for floats makes floats of integers."""
    this = REGISTRY[name] = Primitive(name, forward, [rule])

    def operation(input: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not isinstance(input, Tensor) or input.array.dtype.kind not in kinds:
            (input,) = matched(name, input, kinds=kinds)
        return apply(this, (input,), {})

    return _row(name, operation, doc)


def binary(name: str, forward: Forward, rule_a: Any, rule_b: Any, doc: str, kinds: str = ANY) -> Operation:
    """An operation on two tensors or numbers that broadcast, in their common dtype."""
    this = REGISTRY[name] = Primitive(name, forward, [rule_a, rule_b])

    def operation(input: Any, other: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not alike(input, other, kinds):
            input, other = matched(name, input, other, kinds=kinds)
        return apply(this, (input, other), {})

    return _row(name, operation, doc)


def truth(name: str, forward: Forward, doc: str, kinds: str = ANY, inputs: int = 2) -> Operation:
    """An operation with truth values (or integers) for a result, and so without a gradient."""

    def of_one(input: Any) -> Tensor:
        (input,) = matched(name, input, kinds=kinds)
        return Tensor(np.asanyarray(forward(input.array)))

    def of_two(input: Any, other: Any) -> Tensor:
        if not alike(input, other, kinds):
            input, other = matched(name, input, other, kinds=kinds)
        a, b = (getattr(x, "array", x) for x in (input, other))
        try:
            return Tensor(np.asanyarray(forward(a, b)))  # any: of symbols (compile/) it is one
        except ValueError as error:
            raise refused(name, (a, b), error) from None

    return _row(name, of_one if inputs == 1 else of_two, doc)


# --- what the rows share


@np.errstate(over="ignore")  # exp overflows to inf for x << 0, and 1 / (1 + inf) is the right 0
def _sigmoid(x: Any) -> Any:
    y = np.exp(-x)
    y += 1
    return np.divide(1, y, out=y) if y.shape else 1 / y


_erf = np.frompyfunc(math.erf, 1, 1)


def _whole(function: Forward) -> Forward:
    """`function`, and integers as they are, of which NumPy 2.0 would make floats."""
    return lambda x: x.copy() if x.dtype.kind in INTEGERS else function(x)


def _divisor(b: Any) -> Any:
    """`b`, unless it holds an integer 0, by which NumPy would divide with a warning and a wrong value."""
    if isinstance(b, np.ndarray) and b.dtype.kind in "iu" and not b.all():
        raise ValueError("integer division by zero")
    return b


def _flat(g: Any, _y: Any, _x: Any) -> Any:
    """The rule of a function that is constant but for jumps."""
    return np.zeros_like(g)


def _larger(g: Any, a: Any, b: Any) -> Any:
    """What of the gradient of max(a, b) goes to a: all, half in a tie, or nothing."""
    return np.where(a < b, 0, np.where(a == b, g / 2, g))


# --- rows
# fmt: off

neg = unary("neg", np.negative, lambda g, _y, _x: -g, "-x", NUMBERS)
abs = unary("abs", np.abs, lambda g, _y, x: g * np.sign(x), "|x|; its derivative at 0 is 0", NUMBERS)
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
relu = unary("relu", lambda x: np.maximum(x, 0), lambda g, y, _x: np.where(y <= 0, 0, g),
             "max(x, 0); its derivative at 0 is 0", NUMBERS)
erf = unary("erf", lambda x: np.asarray(_erf(x), x.dtype),
            lambda g, _y, x: g * (2 / math.sqrt(math.pi) * np.exp(-(x * x))), "erf x = 2/√π ∫₀ˣ exp(-t²) dt")
sign = unary("sign", lambda x: np.subtract(x > 0, x < 0, dtype=x.dtype), _flat,
             "-1, 0 or 1; its derivative is 0", NUMBERS)
floor = unary("floor", _whole(np.floor), _flat, "⌊x⌋; its derivative is 0", NUMBERS)
ceil = unary("ceil", _whole(np.ceil), _flat, "⌈x⌉; its derivative is 0", NUMBERS)
_round = unary("round", np.round, _flat, "the nearest integer", NUMBERS)

_add = binary("add", np.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g, "a + b")
_sub = binary("sub", np.subtract, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, "a - b", NUMBERS)
mul = binary("mul", np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, "a b")
_div = binary("div", np.divide, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * (y / b), "a / b", FLOATS)
floor_divide = binary("floor_divide", lambda a, b: np.floor_divide(a, _divisor(b)),
                      lambda g, _y, _a, _b: np.zeros_like(g), lambda g, _y, _a, _b: np.zeros_like(g),
                      "⌊a/b⌋; its derivative is 0", NUMBERS)
remainder = binary("remainder", lambda a, b: np.remainder(a, _divisor(b)),
                   lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * np.floor(a / b), "a - b ⌊a/b⌋", NUMBERS)
_power = binary("pow", np.power,
                lambda g, _y, a, b: g * (b * np.power(a, np.where((a == 0) & (b == 0), 0, b - 1))),
                lambda g, y, a, b: g * (y * np.log(np.where((a == 0) & (b >= 0), 1, a))), "aᵇ", NUMBERS)
_monomial = primitive("monomial", lambda x, *, n: x**n,
                      lambda g, _y, x, *, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g))
maximum = binary("maximum", np.maximum,
                 lambda g, _y, a, b: _larger(g, a, b), lambda g, _y, a, b: _larger(g, b, a),
                 "the larger of a and b; a tie gives half of the gradient to each")
minimum = binary("minimum", np.minimum,
                 lambda g, _y, a, b: _larger(g, b, a), lambda g, _y, a, b: _larger(g, a, b),
                 "the smaller of a and b; a tie gives half of the gradient to each")
logaddexp = binary("logaddexp", np.logaddexp, lambda g, y, a, _b: g * np.exp(a - y),
                   lambda g, y, _a, b: g * np.exp(b - y), "ln(eᵃ + eᵇ), without overflow", FLOATS)
_where = primitive("where", np.where,
                   lambda g, _y, c, _a, _b: np.where(c, g, 0),  # the first argument, a mask, has no gradient
                   lambda g, _y, c, _a, _b: np.where(c, g, 0),
                   lambda g, _y, c, _a, _b: np.where(c, 0, g))

eq = truth("eq", np.equal, "a = b")
ne = truth("ne", np.not_equal, "a ≠ b")
lt = truth("lt", np.less, "a < b")
le = truth("le", np.less_equal, "a ≤ b")
gt = truth("gt", np.greater, "a > b")
ge = truth("ge", np.greater_equal, "a ≥ b")
logical_and = truth("logical_and", np.logical_and, "a and b")
logical_or = truth("logical_or", np.logical_or, "a or b")
logical_xor = truth("logical_xor", np.logical_xor, "either a or b")
logical_not = truth("logical_not", np.logical_not, "not a", inputs=1)
bitwise_and = truth("bitwise_and", np.bitwise_and, "a & b, of integers or truth values", INTEGERS)
bitwise_or = truth("bitwise_or", np.bitwise_or, "a | b, of integers or truth values", INTEGERS)
bitwise_xor = truth("bitwise_xor", np.bitwise_xor, "a ^ b, of integers or truth values", INTEGERS)
bitwise_not = truth("bitwise_not", np.invert, "~a, of integers or truth values", INTEGERS, inputs=1)
isnan = truth("isnan", np.isnan, "true for NaN", inputs=1)
isinf = truth("isinf", np.isinf, "true for ±infinity", inputs=1)
isfinite = truth("isfinite", np.isfinite, "true for all but NaN and ±infinity", inputs=1)

square = named("square", lambda input: pow(input, 2), "x²")
reciprocal = named("reciprocal", lambda input: _div(1.0, input), "1 / x")
rsqrt = named("rsqrt", lambda input: _div(1.0, sqrt(input)), "1 / √x")
# fmt: on
# --- compositions with options


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a + alpha b"""
    if alpha == 1:
        return _add(input, other)
    a, b = matched("add", input, other)
    if isinstance(alpha, float) and a.dtype.kind not in FLOATS:
        raise RuntimeError(f"add: alpha={alpha} needs float tensors, got {a.dtype}")
    return _add(a, mul(b, alpha))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a - alpha b"""
    return add(input, other, alpha=-alpha) if alpha != 1 else _sub(input, other)


def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """input + weight (end - input)"""
    input, end, weight = matched("lerp", input, end, weight, kinds=FLOATS)
    return _add(input, mul(weight, _sub(end, input)))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value tensor1 tensor2"""
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value tensor1 / tensor2"""
    return add(input, _div(tensor1, tensor2), alpha=value)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """a / b, or with `rounding_mode` "floor" or "trunc" rounded down or towards 0."""
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode == "floor":
        return floor_divide(input, other)
    if rounding_mode != "trunc":
        raise ValueError(f"div: rounding_mode is None, 'floor' or 'trunc', not {rounding_mode!r}")
    a, b = matched("div", input, other)
    return sign(a) * sign(b) * floor_divide(abs(a), abs(b))


def pow(input: Any, exponent: Any) -> Tensor:
    """inputᵉˣᵖᵒⁿᵉⁿᵗ. At 0 the derivative by the exponent is 0 for exponents ≥ 0."""
    if exponent.__class__ in (int, float) and alike(input, exponent, FLOATS):
        return mul(input, input) if exponent == 2 else _monomial(input, n=exponent)
    return _power(*matched("pow", input, exponent, kinds=NUMBERS))


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimals, halves to even; its derivative is 0."""
    return _round(input * 10**decimals) / 10**decimals if decimals else _round(input)


@method("where")
def _where_self(self: Tensor, condition: Any, other: Any) -> Tensor:
    """`self` where `condition` is true, else `other`."""
    return choose(condition, self, other)


def choose(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where `condition` is true, else `other`."""
    mask = mask_of("where", condition)
    if not alike(input, other, ANY):
        input, other = matched("where", input, other)
    return _where(mask, input, other)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is true, else `other`; with the condition alone, the indices of the true."""
    if input is None and other is None:
        return tuple(map(Tensor, np.nonzero(np.atleast_1d(tensor_of("where", condition).array))))
    return choose(condition, input, other)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input` held within [min, max] (numbers or tensors); the derivative at a bound is 1. NaN stays NaN."""
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    if min is not None:
        input = choose((input >= min) | isnan(input), input, min)
    return input if max is None else choose((input <= max) | isnan(input), input, max)


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """`input`, but `min` (a number or a tensor) where it is below that."""
    return clamp(input, min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """`input`, but `max` (a number or a tensor) where it is above that."""
    return clamp(input, None, max)


def xlogy(input: Any, other: Any) -> Tensor:
    """x ln y, and 0 where x is 0 (unless y is NaN)."""
    input, other = matched("xlogy", input, other, kinds=FLOATS)
    zero = (input == 0) & ((other <= 0) | isinf(other))  # elsewhere 0 · ln y, whose derivative is ln y
    return choose(zero, 0, mul(input, log(choose(zero, 1, other))))


def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """|input - other| ≤ atol + rtol |other|, elementwise."""
    a, b = matched("isclose", input, other)
    return Tensor(np.asarray(np.isclose(a.array, b.array, rtol, atol, equal_nan)))


def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True if `isclose` is true everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """True if shapes and all values are the same."""
    return np.array_equal(input.array, tensor_of("equal", other).array)


# --- operators


def _comparable(other: Any) -> bool:
    """`==` and `!=` with anything else are Python's affair."""
    return isinstance(other, (Tensor, np.ndarray, np.generic, bool, int, float))


ARITHMETIC = {
    "add": _add,
    "sub": _sub,
    "mul": mul,
    "truediv": _div,
    "floordiv": floor_divide,
    "mod": remainder,
    "pow": pow,
}
LOGIC = {"and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor}
for _name, _function in (ARITHMETIC | LOGIC).items():
    method(f"__{_name}__")(_function)
    method(f"__r{_name}__")(lambda self, other, f=_function: f(other, self))
for _name, _function in {
    "lt": lt,
    "le": le,
    "gt": gt,
    "ge": ge,
    "neg": neg,
    "abs": abs,
    "invert": bitwise_not,
}.items():
    method(f"__{_name}__")(_function)
method("__eq__")(lambda self, other: eq(self, other) if _comparable(other) else NotImplemented)
method("__ne__")(lambda self, other: ne(self, other) if _comparable(other) else NotImplemented)
method("__pos__")(lambda self: self)
