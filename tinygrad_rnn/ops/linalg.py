"""Products of matrices. The one primitive is matmul; the rest are compositions.

g: the gradient of the output; a (…, n, k) and b (…, k, m): the factors.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine import derivatives
from ..engine.primitive import ANY, apply
from ..engine.tensor import Tensor, method
from .elementwise import mul
from .inputs import axis_of, matched, named, same_dtype
from .operation import operation
from .reduce import sum
from .shape import permute, reshape

# --- matmul


@operation(method=True, numpy=np.matmul)
def matmul(input: Any, other: Any) -> Tensor:
    """a b: (…, n, k) @ (…, k, m) -> (…, n, m), the first … broadcast; a 1-D factor is a row or column."""
    if not (isinstance(input, Tensor) and same_dtype(input, other, ANY) and isinstance(other, Tensor)):
        input, other = matched("matmul", input, other)
    return apply(derivatives.matmul, (input, other), {})


method("__matmul__")(matmul)
method("__rmatmul__")(lambda self, other: matmul(other, self))


def _ranked(name: str, rank: int, other_rank: int, doc: str) -> Callable[..., Tensor]:
    """matmul of factors that have `rank` and `other_rank` dimensions."""

    def product(input: Tensor, other: Tensor) -> Tensor:
        if (input.ndim, other.ndim) != (rank, other_rank) or (rank == 3 and len(input) != len(other)):
            raise RuntimeError(f"{name}: shapes {input.shape} and {other.shape} given; {doc}")
        return matmul(input, other)

    return operation(method=True)(named(name, product, doc))


mm = _ranked("mm", 2, 2, "The product of two matrices: (n, k), (k, m) -> (n, m).")
bmm = _ranked("bmm", 3, 3, "Products of matrices in pairs: (B, n, k), (B, k, m) -> (B, n, m).")
mv = _ranked("mv", 2, 1, "A matrix times a vector: (n, k), (k,) -> (n,).")
dot = _ranked("dot", 1, 1, "Σ aᵢ bᵢ, of two vectors: (k,), (k,) -> ().")


def _plus(scaled: Tensor, alpha: Any, input: Tensor, beta: Any) -> Tensor:
    """alpha scaled + beta input; with a beta of 0 the input's values do not matter, not even NaN."""
    scaled = scaled if alpha == 1 else scaled * alpha
    return scaled if beta == 0 else scaled + (input if beta == 1 else input * beta)


@operation(method=True)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat1 mat2"""
    return _plus(mm(mat1, mat2), alpha, input, beta)


@operation(method=True)
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha batch1 batch2, matrix by matrix"""
    return _plus(bmm(batch1, batch2), alpha, input, beta)


# --- sums of products


@operation(numpy=np.einsum)
def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products in Einstein's notation: `einsum("bij,bjk->bik", a, b)`.

    Letters are dimensions; a letter that is not in the result is summed over. Without `->` the result
    has the letters that occur once, in alphabetical order. `...` stands for further dimensions. A
    dimension of size 1 broadcasts.
    """
    if not isinstance(equation, str):
        raise NotImplementedError("einsum: lists of numbers are not supported; write an equation")
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    xs = matched("einsum", *given)
    terms, out = _parsed(equation, xs)
    sizes: dict[str, int] = {}
    for term, x in zip(terms, xs):
        sizes.update((c, n) for c, n in zip(term, x.shape) if n != 1 or c not in sizes)
    factors = [_plain(equation, term, x, sizes) for term, x in zip(terms, xs)]
    term, x = factors[0]
    for i, (other, y) in enumerate(factors[1:], 2):
        term, x = _contracted(term, x, other, y, {*out}.union(*(later for later, _ in factors[i:])))
    term, x = _summed(term, x, out)
    return permute(x, [term.index(c) for c in out])


def _parsed(equation: str, xs: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand and of the result, with `...` spelled as letters."""
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(xs):
        raise RuntimeError(f"einsum: {equation!r} names {len(terms)} operands, {len(xs)} were given")
    further = [x.ndim - len(term) + 3 if "..." in term else 0 for term, x in zip(terms, xs)]
    free = [c for c in string.ascii_letters if c not in equation]
    dots = "".join(free[: max(further)])
    terms = [term.replace("...", dots[len(dots) - n :]) if n >= 0 else "" for term, n in zip(terms, further)]
    for term, x in zip(terms, xs):
        if len(term) != x.ndim or not (term + "a").isalpha():
            raise RuntimeError(f"einsum: {equation!r} does not name the dimensions of a {x.shape} operand")
    letters = "".join(terms)
    once = "".join(sorted(c for c in letters if letters.count(c) == 1 and c not in dots))
    out = out.replace("...", dots) if arrow else dots + once
    if len(set(out)) != len(out) or not {*out} <= {*letters}:
        raise RuntimeError(
            f"einsum: {equation!r}: a letter of the result stands twice there, or not on the left"
        )
    return terms, out


def _plain(equation: str, term: str, x: Tensor, sizes: dict[str, int]) -> tuple[str, Tensor]:
    """An operand with each of its letters once (repeated: its diagonal), and without those that broadcast."""
    for c, n in zip(term, x.shape):
        if n != sizes[c] and (n != 1 or term.count(c) > 1):
            raise RuntimeError(f"einsum: {equation!r}: sizes {n} and {sizes[c]} for {c!r} differ")
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i, j = term.index(c), term.rindex(c)
            x = x.diagonal(0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + c
    wide = "".join(c for c, n in zip(term, x.shape) if n == sizes[c])
    return wide, x.reshape([sizes[c] for c in wide])


def _summed(term: str, x: Tensor, needed: Any) -> tuple[str, Tensor]:
    """`x` summed over the letters that nothing else needs."""
    over = [i for i, c in enumerate(term) if c not in needed]
    return "".join(c for c in term if c in needed), sum(x, over, dtype=x.dtype) if over else x


def _contracted(term: str, x: Tensor, other: str, y: Tensor, needed: set[str]) -> tuple[str, Tensor]:
    """The product of two operands, summed over what they share and nothing else needs: a matmul."""
    term, x = _summed(term, x, needed | {*other})
    other, y = _summed(other, y, needed | {*term})
    both = [c for c in term if c in other]
    batch, over = [c for c in both if c in needed], [c for c in both if c not in needed]
    left, right = [c for c in term if c not in both], [c for c in other if c not in both]
    sizes = dict(zip(term + other, x.shape + y.shape))
    shape = [sizes[c] for c in batch]
    n, k, m = (math.prod(sizes[c] for c in letters) for letters in (left, over, right))
    a = permute(x, [term.index(c) for c in batch + left + over]).reshape([*shape, n, k])
    b = permute(y, [other.index(c) for c in batch + over + right]).reshape([*shape, k, m])
    result = batch + left + right
    return "".join(result), reshape(matmul(a, b) if over else a * b, [sizes[c] for c in result])


@operation()
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Σ over pairs of dimensions: the last `dims` of a with the first of b, or dims = (those of a, of b)."""
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot: dims must not be negative, got {dims}")
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    of_a, of_b = ([axis_of("tensordot", x, d) for d in ds] for x, ds in zip((a, b), dims))
    if len(of_a) != len(of_b):
        raise RuntimeError(f"tensordot: dims {dims} must name as many dimensions of a as of b")
    left, right = list(string.ascii_lowercase[: a.ndim]), list(string.ascii_uppercase[: b.ndim])
    for i, j in zip(of_a, of_b):
        right[j] = left[i]
    out = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(out)}", a, b)


@operation(method=True, numpy=np.inner)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Σ over the last dimension of both, for every pair of the others."""
    if not input.shape or not other.shape:
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(f"inner: the last dimensions of {input.shape} and {other.shape} must be equal")
    return tensordot(input, other, ([-1], [-1]))


@operation(method=True, numpy=np.outer, aliases=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """aᵢ bⱼ"""
    return einsum("i,j->ij", input, vec2)


@operation(method=True, numpy=np.trace)
def trace(input: Tensor) -> Tensor:
    """Σ aᵢᵢ of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got shape {input.shape}")
    return sum(input.diagonal())
