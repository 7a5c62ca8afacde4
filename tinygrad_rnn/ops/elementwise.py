"""Elementwise operations: the rows of engine/derivatives.py with arguments of any dtype, and compositions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import derivatives
from ..engine.primitive import ANY, FLOATS, INTEGERS, NUMBERS, Primitive, apply, refused
from ..engine.tensor import Tensor, method
from .aliasing import write
from .inputs import mask_of, matched, named, refuse, same_dtype, tensor_of
from .operation import in_place_form, operation, register

Operation = Callable[..., Tensor]

# --- forms of an operation


def unary(this: Primitive, publish: bool = True) -> Operation:
    """An operation on one tensor, of the kinds of dtype that the primitive takes (integers become floats)."""
    name, kinds = this.name, this.takes

    def operation(input: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not isinstance(input, Tensor) or input.array.dtype.kind not in kinds:
            (input,) = matched(name, input, kinds=kinds)
        return apply(this, (input,), {})

    return _row(this, operation, publish)


def binary(this: Primitive, publish: bool = True) -> Operation:
    """An operation on two tensors or numbers that broadcast, in their common dtype."""
    name, kinds = this.name, this.takes

    def operation(input: Any, other: Any, *, out: Any = None) -> Tensor:
        if out is not None:
            refuse(name, ["out"])
        if not same_dtype(input, other, kinds):
            input, other = matched(name, input, other, kinds=kinds)
        return apply(this, (input, other), {})

    return _row(this, operation, publish)


def _row(this: Primitive, operation: Operation, publish: bool) -> Operation:
    """Name an operation after its primitive, and publish it."""
    named(this.name, operation, this.doc)
    if publish:
        ufunc = this.forward if isinstance(this.forward, np.ufunc) else ()
        register(operation, True, this.in_place, this.numpy or ufunc)
    return operation


def truth(
    name: str, forward: np.ufunc, doc: str, kinds: str = ANY, inputs: int = 2, in_place: bool = False
) -> Operation:
    """An operation with truth values (or integers) for a result, and so without a gradient."""

    def of_one(input: Any) -> Tensor:
        (input,) = matched(name, input, kinds=kinds)
        return Tensor(np.asanyarray(forward(input.array)))

    def of_two(input: Any, other: Any) -> Tensor:
        if not same_dtype(input, other, kinds):
            input, other = matched(name, input, other, kinds=kinds)
        a, b = (getattr(x, "array", x) for x in (input, other))
        try:
            return Tensor(np.asanyarray(forward(a, b)))  # any: of symbols (compile/) it is one
        except ValueError as error:
            raise refused(name, (a, b), error) from None

    operation = named(name, of_one if inputs == 1 else of_two, doc)
    register(operation, True, in_place, forward)
    return operation


# --- rows of engine/derivatives.py that are operations as they stand
# fmt: off

# [made by tools/names.py
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
mul = binary(derivatives.mul)
floor_divide = binary(derivatives.floor_divide)
remainder = binary(derivatives.remainder)
maximum = binary(derivatives.maximum)
minimum = binary(derivatives.minimum)
logaddexp = binary(derivatives.logaddexp)
# ]

eq = truth("eq", np.equal, "a = b")
ne = truth("ne", np.not_equal, "a ≠ b")
lt = truth("lt", np.less, "a < b")
le = truth("le", np.less_equal, "a ≤ b")
gt = truth("gt", np.greater, "a > b")
ge = truth("ge", np.greater_equal, "a ≥ b")
logical_and = truth("logical_and", np.logical_and, "a and b", in_place=True)
logical_or = truth("logical_or", np.logical_or, "a or b", in_place=True)
logical_xor = truth("logical_xor", np.logical_xor, "either a or b", in_place=True)
logical_not = truth("logical_not", np.logical_not, "not a", ANY, 1, True)
bitwise_and = truth("bitwise_and", np.bitwise_and, "a & b, of integers or truth values", INTEGERS, 2, True)
bitwise_or = truth("bitwise_or", np.bitwise_or, "a | b, of integers or truth values", INTEGERS, 2, True)
bitwise_xor = truth("bitwise_xor", np.bitwise_xor, "a ^ b, of integers or truth values", INTEGERS, 2, True)
bitwise_not = truth("bitwise_not", np.invert, "~a, of integers or truth values", INTEGERS, 1, True)
isnan = truth("isnan", np.isnan, "true for NaN", inputs=1)
isinf = truth("isinf", np.isinf, "true for ±infinity", inputs=1)
isfinite = truth("isfinite", np.isfinite, "true for all but NaN and ±infinity", inputs=1)

_round = unary(derivatives.round, publish=False)  # those with options are below
_add, _sub, _div = (binary(row, publish=False) for row in (derivatives.add, derivatives.sub, derivatives.div))
# fmt: on
# --- compositions with options


@operation(method=True, in_place=True, numpy=np.add)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a + alpha b"""
    if alpha == 1:
        return _add(input, other)
    a, b = matched("add", input, other)
    if isinstance(alpha, float) and a.dtype.kind not in FLOATS:
        raise RuntimeError(f"add: alpha={alpha} needs float tensors, got {a.dtype}")
    return _add(a, mul(b, alpha))


@operation(method=True, in_place=True, numpy=np.subtract, aliases=("subtract",))
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """a - alpha b"""
    return add(input, other, alpha=-alpha) if alpha != 1 else _sub(input, other)


@operation(method=True, in_place=True, numpy=np.square)
def square(input: Any) -> Tensor:
    """x²"""
    return _pow(input, 2)


@operation(method=True, in_place=True, numpy=np.reciprocal)
def reciprocal(input: Any) -> Tensor:
    """1 / x"""
    return _div(1.0, input)


@operation(method=True, in_place=True)
def rsqrt(input: Any) -> Tensor:
    """1 / √x"""
    return _div(1.0, sqrt(input))


@operation(method=True, in_place=True)
def lerp(input: Tensor, end: Any, weight: Any) -> Tensor:
    """input + weight (end - input)"""
    input, end, weight = matched("lerp", input, end, weight, kinds=FLOATS)
    return _add(input, mul(weight, _sub(end, input)))


@operation(method=True, in_place=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value tensor1 tensor2"""
    return add(input, mul(tensor1, tensor2), alpha=value)


@operation(method=True, in_place=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value tensor1 / tensor2"""
    return add(input, _div(tensor1, tensor2), alpha=value)


@operation(method=True, in_place=True, numpy=np.divide, aliases=("divide", "true_divide",))
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


def _pow(input: Any, exponent: Any) -> Tensor:
    """`pow` of tensors and numbers as they are: a Python number does not widen an integer exponent."""
    if exponent.__class__ in (int, float) and same_dtype(input, exponent, FLOATS):
        return mul(input, input) if exponent == 2 else derivatives.monomial(input, n=exponent)
    return derivatives.pow(*matched("pow", input, exponent, kinds=NUMBERS))


@operation(method=True, in_place=True, numpy=np.power)
def pow(input: Any, exponent: Any) -> Tensor:
    """inputᵉˣᵖᵒⁿᵉⁿᵗ. At 0 the derivative by the exponent is 0 for exponents ≥ 0."""
    return _pow(input, exponent)


@operation(method=True, in_place=True)
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest number with `decimals` decimals, halves to even; its derivative is 0."""
    return _round(input * 10**decimals) / 10**decimals if decimals else _round(input)


@operation(method=True, numpy=np.copy)
def clone(input: Tensor) -> Tensor:
    """A copy; gradients pass through it."""
    return derivatives.cast(input, dtype=input.dtype, was=input.dtype)


@method("where")
def _where_self(self: Tensor, condition: Any, other: Any) -> Tensor:
    """`self` where `condition` is true, else `other`."""
    return choose(condition, self, other)


def choose(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where `condition` is true, else `other`."""
    mask = mask_of("where", condition)
    if not same_dtype(input, other, ANY):
        input, other = matched("where", input, other)
    return derivatives.where(mask, input, other)


@operation(numpy=np.where)
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition` is true, else `other`; with the condition alone, the indices of the true."""
    if input is None and other is None:
        return tuple(map(Tensor, np.nonzero(np.atleast_1d(tensor_of("where", condition).array))))
    return choose(condition, input, other)


@operation(method=True, in_place=True, numpy=np.clip, aliases=("clip",))
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`input` held within [min, max] (numbers or tensors); the derivative at a bound is 1. NaN stays NaN."""
    if min is None and max is None:
        raise ValueError("clamp: give min, max or both")
    if min is not None:
        input = choose((input >= min) | isnan(input), input, min)
    return input if max is None else choose((input <= max) | isnan(input), input, max)


@operation(method=True, in_place=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """`input`, but `min` (a number or a tensor) where it is below that."""
    return clamp(input, min)


@operation(method=True, in_place=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """`input`, but `max` (a number or a tensor) where it is above that."""
    return clamp(input, None, max)


@operation(method=True, in_place=True)
def xlogy(input: Any, other: Any) -> Tensor:
    """x ln y, and 0 where x is 0 (unless y is NaN)."""
    input, other = matched("xlogy", input, other, kinds=FLOATS)
    zero = (input == 0) & ((other <= 0) | isinf(other))  # elsewhere 0 · ln y, whose derivative is ln y
    return choose(zero, 0, mul(input, log(choose(zero, 1, other))))


@operation(method=True)
def isclose(
    input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """|input - other| ≤ atol + rtol |other|, elementwise."""
    a, b = matched("isclose", input, other)
    return Tensor(np.asarray(np.isclose(a.array, b.array, rtol, atol, equal_nan)))


@operation(method=True, numpy=np.allclose)
def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """True if `isclose` is true everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


@operation(method=True, numpy=np.array_equal)
def equal(input: Tensor, other: Tensor) -> bool:
    """True if shapes and all values are the same."""
    return np.array_equal(input.array, tensor_of("equal", other).array)


# --- operators


def _comparable(other: Any) -> bool:
    """False for other types, of which `==` returns NotImplemented, so that Python falls back to identity."""
    return isinstance(other, (Tensor, np.ndarray, np.generic, bool, int, float))


OPERATORS = {
    "add": _add,
    "sub": _sub,
    "mul": mul,
    "truediv": _div,
    "floordiv": floor_divide,
    "mod": remainder,
    "pow": named("pow", _pow, pow.__doc__ or ""),
    "and": bitwise_and,
    "or": bitwise_or,
    "xor": bitwise_xor,
}
COMPARISONS = {"lt": lt, "le": le, "gt": gt, "ge": ge, "neg": neg, "abs": abs, "invert": bitwise_not}
for _name, _function in OPERATORS.items():
    method(f"__{_name}__")(_function)
    method(f"__r{_name}__")(lambda self, other, f=_function: f(other, self))
    method(f"__i{_name}__")(in_place_form(_function, write))
for _name, _function in COMPARISONS.items():
    method(f"__{_name}__")(_function)
method("__eq__")(lambda self, other: eq(self, other) if _comparable(other) else NotImplemented)
method("__ne__")(lambda self, other: ne(self, other) if _comparable(other) else NotImplemented)
method("__pos__")(lambda self: self)
