"""Elementwise operations: the rows of engine/derivatives.py with arguments of any dtype, and compositions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import derivatives
from ..engine.primitive import ANY, FLOATS, INTEGERS, NUMBERS, Primitive, apply, refused
from ..engine.tensor import Tensor, method
from .inputs import OPERATIONS, alike, mask_of, matched, named, refuse, tensor_of

Forward = Callable[..., Any]
Operation = Callable[..., Tensor]

# --- forms of an operation


def _published(name: str, operation: Operation, doc: str) -> Operation:
    """Publish an operation that needs no help with its arguments."""
    OPERATIONS[name] = named(name, operation, doc)
    return method(name)(operation)


def unary(this: Primitive) -> Operation:
    """An operation on one tensor, of the kinds of dtype that the primitive takes (integers become floats)."""
    name, kinds = this.name, this.takes

    def operation(input: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not isinstance(input, Tensor) or input.array.dtype.kind not in kinds:
            (input,) = matched(name, input, kinds=kinds)
        return apply(this, (input,), {})

    return _published(name, operation, this.doc)


def binary(this: Primitive) -> Operation:
    """An operation on two tensors or numbers that broadcast, in their common dtype."""
    name, kinds = this.name, this.takes

    def operation(input: Any, other: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not alike(input, other, kinds):
            input, other = matched(name, input, other, kinds=kinds)
        return apply(this, (input, other), {})

    return _published(name, operation, this.doc)


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

    return _published(name, of_one if inputs == 1 else of_two, doc)


# --- rows
# fmt: off

neg = unary(derivatives.neg)
abs = unary(derivatives.abs)
exp = unary(derivatives.exp)
expm1 = unary(derivatives.expm1)
log = unary(derivatives.log)
log1p = unary(derivatives.log1p)
log2 = unary(derivatives.log2)
sqrt = unary(derivatives.sqrt)
sin = unary(derivatives.sin)
cos = unary(derivatives.cos)
tanh = unary(derivatives.tanh)
sigmoid = unary(derivatives.sigmoid)
relu = unary(derivatives.relu)
erf = unary(derivatives.erf)
sign = unary(derivatives.sign)
floor = unary(derivatives.floor)
ceil = unary(derivatives.ceil)
_round = unary(derivatives.round)

mul = binary(derivatives.mul)
floor_divide = binary(derivatives.floor_divide)
remainder = binary(derivatives.remainder)
maximum = binary(derivatives.maximum)
minimum = binary(derivatives.minimum)
logaddexp = binary(derivatives.logaddexp)
_add, _sub, _div = binary(derivatives.add), binary(derivatives.sub), binary(derivatives.div)

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
        return mul(input, input) if exponent == 2 else derivatives.monomial(input, n=exponent)
    return derivatives.pow(*matched("pow", input, exponent, kinds=NUMBERS))


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
    return derivatives.where(mask, input, other)


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
    zero = (input == 0) & ~isnan(other)
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
