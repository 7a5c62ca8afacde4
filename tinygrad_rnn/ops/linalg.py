"""Products of matrices. Primitives: matmul and einsum; the rest are compositions.

g: the gradient of the output; a (…, n, k) and b (…, k, m): the factors.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.contributions import Product
from ..autograd.primitive import primitive
from ..tensor import Tensor, method
from .elementwise import matched, mul
from .reduce import sum
from .shape import permute, reshape

# --- matmul


def _matmul_a(g: Any, _y: Any, _a: Any, b: Any) -> Any:
    """∂/∂a: g bᵀ. If a is a matrix and b too, as a product that can wait for others (a may be a weight)."""
    rank_a, rank_b = len(_a.shape), len(b.shape)
    if rank_b == 1:
        if rank_a == 2:
            return Product(np.expand_dims(g, 0), np.expand_dims(b, 0))
        return np.expand_dims(g, -1) * b
    if rank_a == 1:
        return np.matmul(b, np.expand_dims(g, -1)).squeeze(-1)
    if rank_a == rank_b == 2:
        return Product(np.swapaxes(g, 0, 1), np.swapaxes(b, 0, 1))
    return np.matmul(g, np.swapaxes(b, -1, -2))


def _matmul_b(g: Any, _y: Any, a: Any, _b: Any) -> Any:
    """∂/∂b: aᵀ g, all leading dimensions of a being rows if b is a matrix."""
    rank_a, rank_b = len(a.shape), len(_b.shape)
    if rank_b == 1:
        if rank_a == 1:
            return g * a
        return np.matmul(np.swapaxes(a, -1, -2), np.expand_dims(g, -1)).squeeze(-1)
    if rank_b == 2:
        return Product(np.reshape(a, (-1, a.shape[-1])), np.reshape(g, (-1, g.shape[-1]))) if a.size else 0 * _empty(a, g)
    if rank_a == 1:
        return np.expand_dims(a, -1) * np.expand_dims(g, -2)
    return np.matmul(np.swapaxes(a, -1, -2), g)


def _empty(a: Any, g: Any) -> Any:
    return np.zeros((a.shape[-1], g.shape[-1]), g.dtype)


_matmul = primitive("matmul", np.matmul, _matmul_a, _matmul_b)


@method("matmul", "__matmul__")
def matmul(input: Any, other: Any) -> Tensor:
    """a b: (…, n, k) @ (…, k, m) -> (…, n, m), the leading dimensions broadcast; a 1-D factor is a row or a column."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor) and input.array.dtype == other.array.dtype):
        input, other = matched("matmul", input, other)
    a, b = input.shape, other.shape
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        inner = f"inner sizes {a[-1]} and {b[-2 if len(b) > 1 else 0]} differ" if a and b else "a 0-d tensor is no matrix"
        raise RuntimeError(f"matmul: {a} @ {b}: {inner}")
    return _matmul(input, other)


method("__rmatmul__")(lambda self, other: matmul(other, self))


def _ranks(name: str, *pairs: tuple[Tensor, int]) -> None:
    for i, (x, rank) in enumerate(pairs):
        if x.ndim != rank:
            raise RuntimeError(f"{name}: argument {i + 1} must have {rank} dimensions, got shape {x.shape}")


@method()
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _ranks("mm", (input, 2), (mat2, 2))
    return matmul(input, mat2)


@method()
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of matrices in pairs: (B, n, k), (B, k, m) -> (B, n, m)."""
    _ranks("bmm", (input, 3), (mat2, 3))
    if len(input) != len(mat2):
        raise RuntimeError(f"bmm: {input.shape} and {mat2.shape} hold different numbers of matrices")
    return matmul(input, mat2)


@method()
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """A matrix times a vector."""
    _ranks("mv", (input, 2), (vec, 1))
    return matmul(input, vec)


@method()
def dot(input: Tensor, other: Tensor) -> Tensor:
    """Σ aᵢ bᵢ, of two vectors."""
    _ranks("dot", (input, 1), (other, 1))
    return matmul(input, other)


@method()
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Σ over the last dimension of both, for every pair of the others."""
    if not input.shape or not other.shape:
        return mul(input, other)
    return tensordot(input, other, ([-1], [-1]))


@method()
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """aᵢ bⱼ"""
    _ranks("outer", (input, 1), (vec2, 1))
    return mul(reshape(input, (-1, 1)), vec2)


def _scaled(x: Tensor, factor: Any) -> Tensor:
    return x if factor == 1 else mul(x, factor)


@method()
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat1 mat2"""
    return _scaled(mm(mat1, mat2), alpha) + _scaled(input, beta)


@method()
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha batch1 batch2, matrix by matrix"""
    return _scaled(bmm(batch1, batch2), alpha) + _scaled(input, beta)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Σ over pairs of dimensions: the last `dims` of a with the first of b, or the lists dims = (of a, of b)."""
    if isinstance(dims, int):
        dims = (list(range(a.ndim - dims, a.ndim)), list(range(dims)))
    over_a, over_b = ([d % x.ndim for d in ds] for ds, x in zip(dims, (a, b)))
    if [a.shape[i] for i in over_a] != [b.shape[i] for i in over_b]:
        raise RuntimeError(f"tensordot: {a.shape} over {over_a} and {b.shape} over {over_b} do not match")
    left = [i for i in range(a.ndim) if i not in over_a]
    right = [i for i in range(b.ndim) if i not in over_b]
    shape = [a.shape[i] for i in left] + [b.shape[i] for i in right]
    k = int(np.prod([a.shape[i] for i in over_a]))
    n, m = int(np.prod([a.shape[i] for i in left])), int(np.prod([b.shape[i] for i in right]))
    rows = reshape(permute(a, left + over_a), (n, k))
    columns = reshape(permute(b, over_b + right), (k, m))
    return reshape(matmul(rows, columns), shape)


@method()
def trace(input: Tensor) -> Tensor:
    """Σ aᵢᵢ of a matrix."""
    _ranks("trace", (input, 2))
    return sum(input.diagonal())


# --- einsum


def _einsum_rule(g: Any, _y: Any, *xs: Any, terms: Sequence[str], out: str) -> list[Any]:
    """∂/∂xₖ is the einsum of g with all other factors, to the letters of xₖ."""
    shares = []
    for k, term in enumerate(terms):
        others = [(t, x) for i, (t, x) in enumerate(zip(terms, xs)) if i != k]
        equation = ",".join([out, *(t for t, _ in others)]) + "->" + term
        shares.append(np.einsum(equation, g, *(x for _, x in others)))
    return shares


_einsum = primitive(
    "einsum",
    lambda *xs, terms, out: np.einsum(",".join(terms) + "->" + out, *xs, optimize=len(xs) > 1),
    _einsum_rule,
    variadic=True,
)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Sums of products in Einstein's notation: `einsum("bij,bjk->bik", a, b)`.

    Letters are dimensions; a letter that is not in the result is summed over. Without `->` the result
    has the letters that occur once, in alphabetical order. `...` stands for further, broadcast dimensions.
    """
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    xs = matched("einsum", *given)
    left, _, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(xs):
        raise RuntimeError(f"einsum: {equation!r} names {len(terms)} operands, {len(xs)} were given")
    terms, dots = _without_dots(equation, terms, xs)
    if "->" in equation:
        out = right.replace("...", dots)
    else:
        letters = "".join(terms)
        out = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    pairs = [_once(term, x) for term, x in zip(terms, xs)]
    simple = [_alone_summed(term, x, {*out}.union(*(t for j, (t, _) in enumerate(pairs) if j != i)), dots)
              for i, (term, x) in enumerate(pairs)]
    _check_letters(equation, simple, out)
    return _einsum(*[x for _, x in simple], terms=[t for t, _ in simple], out=out)


def _without_dots(equation: str, terms: list[str], xs: list[Tensor]) -> tuple[list[str], str]:
    """The terms with `...` spelled as letters, and those letters."""
    free = [c for c in string.ascii_letters if c not in equation]
    counts = [x.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, x in zip(terms, xs)]
    for term, x, n in zip(terms, xs, counts):
        if n < 0 or ("..." not in term and len(term) != x.ndim):
            raise RuntimeError(f"einsum: {equation!r}: {term!r} does not name the dimensions of an operand of shape {x.shape}")
    dots = "".join(free[: max(counts)])
    return [t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, counts)], dots


def _once(term: str, x: Tensor) -> tuple[str, Tensor]:
    """A letter that a term repeats (a diagonal) made one dimension."""
    for letter in sorted({c for c in term if term.count(c) > 1}):
        while term.count(letter) > 1:
            i, j = term.index(letter), term.rindex(letter)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(f"einsum: {letter!r} is {x.shape[i]} and {x.shape[j]} in an operand of shape {x.shape}")
            x = x.diagonal(0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + letter
    return term, x


def _alone_summed(term: str, x: Tensor, elsewhere: set[str], dots: str) -> tuple[str, Tensor]:
    """A letter that only this term has summed at once; a broadcast `...` dimension of size 1 dropped."""
    alone = [i for i, c in enumerate(term) if c not in elsewhere or (c in dots and x.shape[i] == 1)]
    return "".join(c for i, c in enumerate(term) if i not in alone), sum(x, alone) if alone else x


def _check_letters(equation: str, pairs: list[tuple[str, Tensor]], out: str) -> None:
    sizes: dict[str, int] = {}
    for term, x in pairs:
        for letter, n in zip(term, x.shape):
            if sizes.setdefault(letter, n) != n:
                raise RuntimeError(f"einsum: {equation!r}: sizes {sizes[letter]} and {n} for {letter!r} differ")
    if len(set(out)) != len(out) or any(c not in sizes for c in out):
        raise RuntimeError(f"einsum: {equation!r}: each letter of the result must stand once, and on the left too")
