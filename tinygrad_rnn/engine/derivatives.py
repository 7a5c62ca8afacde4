"""Every primitive: a NumPy forward and the rules of its derivatives, a row each.

g: the gradient of the output; y: the output; x, a, b: inputs (`_x`: not read, so not saved).
A rule returns gᵀ ∂y/∂input. If the input was broadcast, the result is summed down later (accumulate.py).
A row with a `doc` is an operation for users as it stands; the others are called by the operations in ops/,
which take care of arguments and dtypes. Next: accumulate.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .primitive import FLOATS, INTEGERS, NUMBERS, Node, Product, Scattered, primitive

# fmt: off
# --- one element at a time: helpers, then rows

@np.errstate(over="ignore")  # exp overflows to inf for x << 0, and 1 / (1 + inf) is the right 0
def _sigmoid(x: Any) -> Any:
    y = np.exp(-x)
    y += 1
    return np.divide(1, y, out=y) if y.shape else 1 / y

_erf = np.frompyfunc(math.erf, 1, 1)

def _slope_of_erf(x: Any) -> Any:
    """d erf x / dx = 2/√π exp(-x²)"""
    return 2 / math.sqrt(math.pi) * np.exp(-(x * x))

def _keep_integers(function: Any) -> Any:
    """`function` of floats; integers as they are, of which NumPy 2.0 would make floats."""
    return lambda x: x.copy() if x.dtype.kind in INTEGERS else function(x)

def _of_real(function: Any) -> Any:
    """`function` of the real part: a complex forward that is constant in the imaginary part."""
    return lambda x: function(np.real(x)).astype(x.dtype)

def _divisor(b: Any) -> Any:
    """`b`, unless it holds an integer 0, by which NumPy would divide with a warning and a wrong value."""
    if isinstance(b, np.ndarray) and b.dtype.kind in "iu" and not b.all():
        raise ValueError("integer division by zero")
    return b

def _if_larger(g: Any, a: Any, b: Any) -> Any:
    """d max(a, b)/da · g: g where a > b, g/2 in a tie, else 0."""
    return np.where(a < b, 0, np.where(a == b, g / 2, g))

def _complex_logaddexp(a: Any, b: Any) -> Any:
    top = np.maximum(np.real(a), np.real(b))
    return top + np.log(np.exp(a - top) + np.exp(b - top))

neg = primitive("neg", np.negative, lambda g, _y, _x: -g, doc="-x", takes=NUMBERS)
abs = primitive("abs", np.abs, lambda g, _y, x: g * np.sign(x),
                doc="|x|; its derivative at 0 is 0", takes=NUMBERS,
                complex_forward=lambda x: np.where(np.real(x) < 0, -x, x))
exp = primitive("exp", np.exp, lambda g, y, _x: g * y, doc="eˣ")
expm1 = primitive("expm1", np.expm1, lambda g, y, _x: g * (y + 1), doc="eˣ - 1, exact near 0")
log = primitive("log", np.log, lambda g, _y, x: g / x, doc="ln x")
log1p = primitive("log1p", np.log1p, lambda g, _y, x: g / (x + 1), doc="ln(1 + x), exact near 0")
log2 = primitive("log2", np.log2, lambda g, _y, x: g / (x * math.log(2)), doc="log₂ x")
sqrt = primitive("sqrt", np.sqrt, lambda g, y, _x: g / (2 * y), doc="√x")
sin = primitive("sin", np.sin, lambda g, _y, x: g * np.cos(x), doc="sin x")
cos = primitive("cos", np.cos, lambda g, _y, x: g * -np.sin(x), doc="cos x")
tanh = primitive("tanh", np.tanh, lambda g, y, _x: g * (1 - y * y), doc="tanh x")
sigmoid = primitive("sigmoid", _sigmoid, lambda g, y, _x: g * (y * (1 - y)), doc="σ(x) = 1 / (1 + e⁻ˣ)")
relu = primitive("relu", lambda x: np.maximum(x, 0), lambda g, y, _x: np.where(y <= 0, 0, g),
                 doc="max(x, 0); its derivative at 0 is 0", takes=NUMBERS)
erf = primitive("erf", lambda x: np.asarray(_erf(x), x.dtype), lambda g, _y, x: g * _slope_of_erf(x),
                doc="erf x = 2/√π ∫₀ˣ exp(-t²) dt", complex_forward=lambda x: (
                    np.asarray(_erf(x.real), float) + 1j * x.imag * _slope_of_erf(x.real)))
sign = primitive("sign", lambda x: np.subtract(x > 0, x < 0, dtype=x.dtype),
                 lambda g, _y, _x: np.zeros_like(g), doc="-1, 0 or 1; its derivative is 0", takes=NUMBERS,
                 numpy=np.sign, complex_forward=_of_real(np.sign))
floor = primitive("floor", _keep_integers(np.floor), lambda g, _y, _x: np.zeros_like(g),
                  doc="⌊x⌋; its derivative is 0", takes=NUMBERS,
                  numpy=np.floor, complex_forward=_of_real(np.floor))
ceil = primitive("ceil", _keep_integers(np.ceil), lambda g, _y, _x: np.zeros_like(g),
                 doc="⌈x⌉; its derivative is 0", takes=NUMBERS,
                 numpy=np.ceil, complex_forward=_of_real(np.ceil))
round = primitive("round", np.round, lambda g, _y, _x: np.zeros_like(g), takes=NUMBERS,
                  complex_forward=_of_real(np.round))

add = primitive("add", np.add, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: g)
sub = primitive("sub", np.subtract, lambda g, _y, _a, _b: g, lambda g, _y, _a, _b: -g, takes=NUMBERS)
mul = primitive("mul", np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: g * a, doc="a b")
div = primitive("div", np.divide, lambda g, _y, _a, b: g / b, lambda g, y, _a, b: -g * (y / b), takes=FLOATS)
floor_divide = primitive("floor_divide", lambda a, b: np.floor_divide(a, _divisor(b)),
                         lambda g, _y, _a, _b: np.zeros_like(g), lambda g, _y, _a, _b: np.zeros_like(g),
                         doc="⌊a/b⌋; its derivative is 0", takes=NUMBERS, numpy=np.floor_divide)
remainder = primitive("remainder", lambda a, b: np.remainder(a, _divisor(b)),
                      lambda g, _y, _a, _b: g, lambda g, _y, a, b: -g * np.floor(a / b),
                      doc="a - b ⌊a/b⌋", takes=NUMBERS, numpy=np.remainder,
                      complex_forward=lambda a, b: a - b * np.floor(np.real(a) / np.real(b)))
pow = primitive("pow", np.power,
                lambda g, _y, a, b: g * (b * np.power(a, np.where((a == 0) & (b == 0), 0, b - 1))),
                lambda g, y, a, b: g * (y * np.log(np.where((a == 0) & (b >= 0), 1, a))), takes=NUMBERS)
monomial = primitive("monomial", lambda x, *, n: x**n,
                     lambda g, _y, x, *, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g))
maximum = primitive("maximum", np.maximum,
                    lambda g, _y, a, b: _if_larger(g, a, b), lambda g, _y, a, b: _if_larger(g, b, a),
                    doc="the larger of a and b; a tie gives half of the gradient to each", in_place=False)
minimum = primitive("minimum", np.minimum,
                    lambda g, _y, a, b: _if_larger(g, b, a), lambda g, _y, a, b: _if_larger(g, a, b),
                    doc="the smaller of a and b; a tie gives half of the gradient to each", in_place=False)
logaddexp = primitive("logaddexp", np.logaddexp,
                      lambda g, y, a, _b: g * np.exp(a - y), lambda g, y, _a, b: g * np.exp(b - y),
                      doc="ln(eᵃ + eᵇ), without overflow", takes=FLOATS, in_place=False,
                      complex_forward=_complex_logaddexp)
where = primitive("where", np.where,
                  lambda g, _y, c, _a, _b: np.where(c, g, 0),  # the first argument, a mask, has no gradient
                  lambda g, _y, c, _a, _b: np.where(c, g, 0),
                  lambda g, _y, c, _a, _b: np.where(c, 0, g))
cast = primitive("cast", lambda x, *, dtype, was: x.astype(dtype, order="C"),
                 lambda g, _y, _x, *, dtype, was: g.astype(was))

# --- along an axis (static: `axis`, `keepdims`)

def along(axis: int, index: Any) -> tuple[Any, ...]:
    """The index that applies `index` to dimension `axis` and leaves those before it whole."""
    return (slice(None),) * axis + (index,)

def _spread(g: Any, axis: Any, keepdims: bool) -> Any:
    """`g` with the reduced dimensions again, so that it broadcasts against x."""
    return g if keepdims else np.expand_dims(g, axis)

def _amax_rule(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Ties share the gradient evenly."""
    largest = np.equal(x, _spread(y, axis, keepdims)).astype(g.dtype)
    return _spread(g, axis, keepdims) * (largest / np.add.reduce(largest, axis=axis, keepdims=True))

def _product_of_others(x: Any, axis: int) -> Any:
    """∏_{j≠i} xⱼ as (product of those before i) · (product of those after i): exact if x holds zeros."""
    n = x.shape[axis]
    one = np.ones_like(x[along(axis, slice(0, 1))])
    before = np.cumprod(np.concatenate([one, x[along(axis, slice(0, n - 1))]], axis=axis), axis=axis)
    rest = np.concatenate([x[along(axis, slice(1, n))], one], axis=axis)
    return before * np.flip(np.cumprod(np.flip(rest, axis), axis=axis), axis)

def _cumprod_rule(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    """Σⱼ gⱼ ∂yⱼ/∂xᵢ: the sum of (g y)ⱼ for j ≥ i, over xᵢ; with zeros among x, every ∂yⱼ/∂xᵢ by itself."""
    if np.all(x != 0):
        return np.flip(np.cumsum(np.flip(g * y, axis), axis=axis), axis) / x
    lower = np.tri(x.shape[axis], dtype=bool)
    prefixes = np.where(lower, np.expand_dims(np.moveaxis(x, axis, -1), -2), 1)  # row j: x₁ … xⱼ, then ones
    others = np.where(lower, _product_of_others(prefixes, x.ndim), 0)
    terms = np.expand_dims(np.moveaxis(g, axis, -1), -1) * others
    return np.moveaxis(np.add.reduce(terms, axis=-2), -1, axis)

sum = primitive("sum",
                lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, dtype=x.dtype, keepdims=keepdims),
                lambda g, _y, _x, *, axis, keepdims: _spread(g, axis, keepdims))
amax = primitive("amax", lambda x, *, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims), _amax_rule)
prod = primitive("prod",
                 lambda x, *, axis, keepdims: np.prod(x, axis=axis, dtype=x.dtype, keepdims=keepdims),
                 lambda g, _y, x, *, axis, keepdims: _spread(g, axis, keepdims) * _product_of_others(x, axis))
cumsum = primitive("cumsum", lambda x, *, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
                   lambda g, _y, _x, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis))
cumprod = primitive("cumprod", lambda x, *, axis: np.cumprod(x, axis=axis, dtype=x.dtype), _cumprod_rule)

# --- the same numbers in another arrangement

def slices_of(sizes: Sequence[int], axis: int) -> list[tuple[Any, ...]]:
    """The indices of consecutive pieces of the given sizes along `axis`."""
    pieces, start = [], 0
    for size in sizes:
        pieces.append(along(axis, slice(start, start + size)))
        start += size
    return pieces

def _hand_on_products(grads: Any, node: Node, total: Any) -> Any:
    """Pass deferred products on to the parent, factors swapped: (aᵀ g)ᵀ = gᵀ a. (Axes may also stay.)

    So a weight W that is used as Wᵀ at every step gets one product for all of them.
    """
    if total.dense is not None or total.scattered:
        return total.value()
    swapped = node.static["axes"] == (1, 0)
    for p in total.products:
        grads.add(node.parents[0], Product(p.g, p.a) if swapped else p)
    return None

reshape = primitive("reshape", lambda x, *, shape: x.reshape(shape),
                    lambda g, _y, _x, *, shape: g.reshape(_x.shape))
permute = primitive("permute", lambda x, *, axes: x.transpose(axes),
                    lambda g, _y, _x, *, axes: np.transpose(g, np.argsort(axes)),
                    hand_on=_hand_on_products, batches_products=True)
expand = primitive("expand", lambda x, *, shape: np.broadcast_to(x, shape), lambda g, _y, _x, *, shape: g)
cat = primitive("cat", lambda *xs, axis, sizes: np.concatenate(xs, axis),
                lambda g, _y, *_xs, axis, sizes: [g[i] for i in slices_of(sizes, axis)], variadic=True)
stack = primitive("stack", lambda *xs, axis: np.stack(xs, axis),
                  lambda g, _y, *_xs, axis: [g[along(axis, i)] for i in range(len(_xs))], variadic=True)

# --- at an index: x[index], and its adjoints `place` (zeros with values added) and `put` (values replaced)

def is_advanced(index: Any) -> bool:
    """True if NumPy would copy: an array (integers or a mask) is among the indices."""
    if index.__class__ is tuple:
        for i in index:  # noqa: SIM110  (any() over a generator costs three times as much)
            if i.__class__ is np.ndarray:
                return True
        return False
    return isinstance(index, np.ndarray)

def add_at(buffer: Any, index: Any, g: Any) -> None:
    """buffer[index] += g, where a position that `index` repeats receives every summand."""
    if not is_advanced(index):
        view = buffer[index]
        if view.__class__ is np.ndarray:
            np.add(view, g, out=view)
        else:  # one element: a number, not a view
            buffer[index] += g
        return
    arrays = index if isinstance(index, tuple) else (index,)
    if all(isinstance(i, np.ndarray) and i.dtype.kind in "iu" for i in arrays) and buffer.flags.c_contiguous:
        lead = buffer.shape[: len(arrays)]
        rows = np.ravel_multi_index([i % n for i, n in zip(np.broadcast_arrays(*arrays), lead)], lead)
        add_rows(buffer.reshape(math.prod(lead), *buffer.shape[len(arrays) :]), rows, g)
    else:
        np.add.at(buffer, index, g)

def add_rows(buffer: Any, rows: Any, g: Any) -> None:
    """buffer[rows[k]] += g[k] for every k, sorted to write each row once: far faster than np.add.at."""
    g = g.reshape(rows.size, *buffer.shape[1:])
    rows = rows.reshape(-1)
    if buffer.ndim == 1:  # here it is the fastest
        np.add.at(buffer, rows, g)
        return
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    buffer[rows[starts]] += np.add.reduceat(g[order], starts, axis=0)

def item_at(x: Any, *, index: Any) -> Any:
    """x[index] as an array, of one element too."""
    y = x[index]
    if isinstance(y, np.ndarray):
        return y
    several = index if isinstance(index, tuple) else (index,)
    return x[(*several, ...)]  # a 0-d view, not a number

def _place(*parts: Any, indices: Any, shape: Any) -> Any:
    out = np.zeros(shape, np.result_type(*parts))
    for part, index in zip(parts, indices):
        add_at(out, index, part)
    return out

def _put(x: Any, v: Any, *, index: Any, reuse: bool) -> Any:
    y = x if reuse else x.copy(order="K")
    y[index] = v
    return y

def _put_x(g: Any, _y: Any, _x: Any, _v: Any, *, index: Any, reuse: bool) -> Any:
    hit = np.zeros(g.shape, bool)
    hit[index] = True
    return np.where(hit, 0, g)

def _put_v(g: Any, _y: Any, _x: Any, _v: Any, *, index: Any, reuse: bool) -> Any:
    if not is_advanced(index):
        return g[index]
    writer = np.zeros(g.shape, np.int64)  # of an element that is written twice, the last value counts
    order = np.arange(writer[index].size).reshape(writer[index].shape)
    writer[index] = order
    return np.where(writer[index] == order, g[index], 0)

def _hand_on_buffer(grads: Any, node: Node, total: Any) -> Any:
    """Zero the slice in place and pass the buffer itself on to x: T assignments cost O(T), not O(T²)."""
    g, (x, v), index = total.value(), node.parents, node.static["index"]
    if g.__class__ is not np.ndarray or is_advanced(index) or x is v or x in grads:
        return g
    buffer = total.owned_value()
    if v is not None:
        grads.add(v, buffer[index].copy())
    if x is not None:
        buffer[index] = 0
        grads.add(x, total)
    return None

getitem = primitive("getitem", item_at, lambda g, _y, _x, *, index: Scattered(g, index))
put = primitive("put", _put, _put_x, _put_v, hand_on=_hand_on_buffer, complex_forward=(
    lambda x, v, *, index, reuse: _put(x.astype(np.result_type(x, v)), v, index=index, reuse=True)))
place = primitive("place", _place,  # zeros of `shape` with parts[k] added at indices[k]
                  lambda g, _y, *_parts, indices, shape: [g[i] for i in indices], variadic=True)

# --- the product of matrices: a (…, n, k), b (…, k, m)

def _matmul(a: Any, b: Any) -> Any:
    try:
        return np.matmul(a, b)
    except ValueError:
        of_a, of_b = a.shape[-1:], b.shape[-2:][:1]  # () of a number
        if of_a and of_b and of_a != of_b:
            raise ValueError(f"inner sizes {of_a[0]} and {of_b[0]} differ") from None
        raise

def _matmul_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    """g bᵀ. If a is a matrix and b too, as a product that can wait for others (a may be a weight)."""
    rank_a, rank_b = len(_a.shape), len(b.shape)
    if rank_b == 1:
        if rank_a == 2:
            return Product(np.expand_dims(g, 0), np.expand_dims(b, 0))
        return np.expand_dims(g, -1) * b
    if rank_a == 1:
        return np.matmul(b, np.expand_dims(g, -1)).squeeze(-1)
    if rank_a == rank_b == 2:
        return Product(g.swapaxes(0, 1), b.swapaxes(0, 1))
    return np.matmul(g, b.swapaxes(-1, -2))

def _matmul_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    """aᵀ g, all leading dimensions of a being rows if b is a matrix."""
    rank_a, rank_b = len(a.shape), len(_b.shape)
    if rank_b == 1:
        if rank_a == 1:
            return g * a
        return np.matmul(a.swapaxes(-1, -2), np.expand_dims(g, -1)).squeeze(-1)
    if rank_b == 2:
        if rank_a == 2:
            return Product(a, g)
        rows = math.prod(a.shape[:-1])
        return Product(a.reshape(rows, a.shape[-1]), g.reshape(rows, g.shape[-1]))
    if rank_a == 1:
        return np.expand_dims(a, -1) * np.expand_dims(g, -2)
    return np.matmul(a.swapaxes(-1, -2), g)

matmul = primitive("matmul", _matmul, _matmul_a, _matmul_b)
