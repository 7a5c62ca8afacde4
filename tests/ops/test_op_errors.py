"""Wrong calls say which operation, which argument, which shape; forms that are left out are named."""

from __future__ import annotations

import pytest

import tinygrad_rnn as tg

x, row, whole, mask = tg.ones(2, 3), tg.ones(4), tg.tensor([[1, 2, 3], [4, 5, 6]]), tg.ones(2, 3) > 0

ERRORS = [
    ("x + row", RuntimeError, r"add, given \(2, 3\) and \(4,\)"),
    ("tg.maximum(x, row)", RuntimeError, r"maximum, given \(2, 3\) and \(4,\)"),
    ("x > row", RuntimeError, r"gt, given \(2, 3\) and \(4,\)"),
    ("tg.where(x > 0, x, row)", RuntimeError, r"where, given \(2, 3\)"),
    ("tg.where(x, 1, 2)", TypeError, "where: a mask must hold truth values, got float32"),
    ("x.masked_fill(x, 1)", TypeError, "masked_fill: a mask"),
    ("x + 'a'", TypeError, "add: expected a tensor, an array or a number, got str"),
    ("tg.exp([1, 2])", TypeError, "exp: expected a tensor, an array or a number, got list"),
    ("mask - mask", TypeError, "sub: not defined for bool"),
    ("-mask", TypeError, "neg: not defined for bool"),
    ("x & x", TypeError, "bitwise_and: not defined for float32"),
    ("whole // 0", RuntimeError, "floor_divide, given .*: integer division by zero"),
    ("whole % 0", RuntimeError, "remainder, given .*: integer division by zero"),
    ("whole ** -1", RuntimeError, "pow, given .*: Integers to negative integer powers"),
    ("x.div(2, rounding_mode='up')", ValueError, "rounding_mode is None, 'floor' or 'trunc', not 'up'"),
    ("x.clamp()", ValueError, "clamp: give min, max or both"),
    ("x.sum(2)", IndexError, r"sum: dim 2 is out of range for shape \(2, 3\)"),
    ("x.sum((0, 0))", RuntimeError, r"sum: dim \(0, 0\) names a dimension twice"),
    ("x.sum(0.5)", TypeError, "sum: dim must be an integer, got 0.5"),
    ("whole.mean()", RuntimeError, "mean: needs a float tensor, got int64"),
    ("whole.norm()", RuntimeError, "norm: needs a float tensor, got int64"),
    ("x.topk(4)", RuntimeError, r"topk: k=4 is out of range for shape \(2, 3\)"),
    ("x.reshape(4, -1)", RuntimeError, r"reshape, given \(2, 3\): cannot reshape"),
    ("x.t().view(6)", RuntimeError, r"view: \(6,\) cannot share the memory of this \(3, 2\)"),
    ("x.permute(0, 0)", RuntimeError, r"permute: dims \(0, 0\) must name each dimension of \(2, 3\) once"),
    ("x.flatten(1, 0)", RuntimeError, "flatten: start_dim 1 comes after end_dim 0"),
    ("x.movedim((0, 1), 0)", RuntimeError, r"movedim: \(0, 1\) and 0 must name as many dimensions"),
    ("whole.masked_fill(mask, -float('inf'))", RuntimeError, "masked_fill: -inf is not a number of type"),
    ("whole.clone().fill_(float('nan'))", RuntimeError, "nan is not a number of type int64"),
    ("tg.full_like(whole, float('inf'))", RuntimeError, "full: inf is not a number of type int64"),
    ("tg.randperm(-1)", RuntimeError, "randperm: n must not be negative, got -1"),
    ("tg.multinomial(row, 0)", RuntimeError, "multinomial: num_samples must be positive, got 0"),
    ("x.roll((1, 2))", RuntimeError, r"roll: shifts \(1, 2\) and dims None must have as many entries"),
    ("tg.tensordot(x, x, -1)", RuntimeError, "tensordot: dims must not be negative, got -1"),
    ("tg.tensordot(x, x, ([0], [0, 1]))", RuntimeError, "tensordot: dims .* must name as many dimensions"),
    ("tg.inner(x, x[:, :1])", RuntimeError, r"inner: the last dimensions of \(2, 3\) and \(2, 1\)"),
    ("tg.add(whole, whole, alpha=0.5)", RuntimeError, "add: alpha=0.5 needs float tensors, got int64"),
    ("tg.tensor(1.0).prod(3)", IndexError, r"prod: dim 3 is out of range for shape \(\)"),
    ("tg.diag(x[None])", RuntimeError, r"diag: expected a vector or a matrix, got shape \(1, 2, 3\)"),
    ("x.transpose(0, 2)", IndexError, r"transpose: dim 2 is out of range for shape \(2, 3\)"),
    ("x.reshape(1, 2, 3).t()", RuntimeError, r"t: at most two dimensions, got shape \(1, 2, 3\)"),
    ("x.expand(4, 3)", RuntimeError, r"expand, given \(2, 3\)"),
    ("x.repeat(2)", RuntimeError, r"repeat: \(2,\) must say how many times for each dimension of \(2, 3\)"),
    ("x.reshape('a')", TypeError, r"reshape: expected integers, got \('a',\)"),
    ("tg.cat([x, row])", RuntimeError, r"cat, given \(2, 3\) and \(4,\)"),
    ("tg.cat(x)", TypeError, "cat: expected a list or tuple of tensors, got one tensor"),
    ("tg.stack([])", RuntimeError, "stack: expected a non-empty list"),
    ("tg.stack([x, row])", RuntimeError, r"stack, given \(2, 3\) and \(4,\)"),
    ("x.split(0)", RuntimeError, "split: the size of a piece must be positive, got 0"),
    ("x.split([1, 2])", RuntimeError, r"split: sizes \[1, 2\] do not add up to 2, the size of dim 0"),
    ("x.chunk(0)", RuntimeError, "chunk: the number of pieces must be positive, got 0"),
    ("x.narrow(0, 1, 2)", RuntimeError, r"narrow: 2 entries from 1 are not in dim 0 of shape \(2, 3\)"),
    ("x.sum().unbind()", IndexError, "unbind: a 0-d tensor has no dimensions"),
    ("x.roll((1, 2), 0)", RuntimeError, r"roll: shifts \(1, 2\) and dims 0 must have as many entries"),
    ("row.tril()", RuntimeError, r"tril: at least two dimensions are needed, got shape \(4,\)"),
    ("x[2]", IndexError, r"getitem, given \(2, 3\): index 2 is out of bounds"),
    ("x[0, 0, 0]", IndexError, r"getitem, given \(2, 3\): too many indices"),
    ("x[x]", IndexError, "an index must hold integers or truth values, got float32"),
    ("x.__setitem__(0, row)", RuntimeError, r"x\[index\] = value, given \(2, 3\) and \(4,\)"),
    ("x.gather(1, whole)", IndexError, "gather: index 3 is out of range for a dimension of size 3"),
    ("x.gather(0, x)", TypeError, "gather: index must hold integers, got float32"),
    ("x.gather(1, whole[0] * 0)", RuntimeError, r"gather: index \(3,\) does not fit \(2, 3\)"),
    ("x.index_select(0, whole * 0)", IndexError, r"index_select: index must be 1-D, got shape \(2, 3\)"),
    (
        "x.take_along_dim(whole[0], 1)",
        RuntimeError,
        r"take_along_dim: \(2, 3\) and indices \(3,\) differ in dimensions",
    ),
    ("x.index_select(0, tg.tensor([-1]))", IndexError, "index_select: index -1 is out of range"),
    ("x.index_add(0, tg.tensor([0]), x)", RuntimeError, "index_add: 1 entries of dim 0"),
    ("x.scatter(0, whole * 0, row)", RuntimeError, r"scatter: index \(2, 3\) does not fit src \(4,\)"),
    ("x @ x", RuntimeError, r"matmul, given \(2, 3\) and \(2, 3\): inner sizes 3 and 2 differ"),
    ("x @ tg.ones(3, 4, 5)", RuntimeError, "inner sizes 3 and 4 differ"),
    ("x @ tg.ones(4)", RuntimeError, "inner sizes 3 and 4 differ"),
    ("tg.ones(2, 1, 3) @ tg.ones(3, 3, 5) @ tg.ones(4, 5, 2)", RuntimeError, "matmul, given .*broadcast"),
    ("row @ x", RuntimeError, "inner sizes 4 and 2 differ"),
    ("row @ x[0]", RuntimeError, "inner sizes 4 and 3 differ"),
    ("x @ x.sum()", RuntimeError, r"matmul, given \(2, 3\) and \(\): .*dimensions"),
    ("x.sum() @ x", RuntimeError, r"matmul, given \(\) and \(2, 3\): .*dimensions"),
    (
        "tg.mm(x, row)",
        RuntimeError,
        r"mm: shapes \(2, 3\) and \(4,\) given; .*\(n, k\), \(k, m\) -> \(n, m\)",
    ),
    ("tg.bmm(x[None], x[None])", RuntimeError, "inner sizes 3 and 2 differ"),
    ("row.trace()", RuntimeError, r"trace: expected a matrix, got shape \(4,\)"),
    ("tg.einsum('ij,jk', x)", RuntimeError, "'ij,jk' names 2 operands, 1 were given"),
    ("tg.einsum('ij,jk', x, x)", RuntimeError, "sizes 3 and 2 for 'j' differ"),
    ("tg.einsum('ij', row)", RuntimeError, r"does not name the dimensions of a \(4,\) operand"),
    ("tg.einsum('ij->ik', x)", RuntimeError, "a letter of the result stands twice there, or not on the left"),
    ("tg.tensor([[1], [2, 3]])", ValueError, "tensor: the lists are ragged"),
    ("tg.tensor('a')", TypeError, "tensor: cannot hold"),
    ("tg.tensor(1j)", TypeError, "tensor: cannot hold complex128 data: 1j"),
    ("tg.from_numpy([1.0])", TypeError, "from_numpy: expected an ndarray, got list"),
    ("tg.arange(1, 5, 0)", RuntimeError, "arange: from 1 to 5 there is no way in steps of 0"),
    ("tg.arange()", TypeError, "arange: expected"),
    ("tg.randint(3, 3, (2,))", RuntimeError, "randint: low 3 must be below high 3"),
    ("tg.normal(0.0, -1.0, (2,))", RuntimeError, "normal: std must not be negative, got -1.0"),
    ("tg.bernoulli(x * 2)", RuntimeError, "bernoulli: a probability is outside"),
    (
        "tg.multinomial(x - 1, 1)",
        RuntimeError,
        "multinomial: weights must be finite, not negative, and not all zero",
    ),
    (
        "tg.multinomial(x[None], 1)",
        RuntimeError,
        r"multinomial: expected weights of one or two dimensions, got shape \(1, 2, 3\)",
    ),
    (
        "tg.multinomial(x, 4)",
        RuntimeError,
        "multinomial: fewer than 4 non-zero weights; pass replacement=True",
    ),
    (
        "x.long().add_(0.5)",
        RuntimeError,
        "in place: a result, float32 .*, does not fit into the tensor, int64",
    ),
    ("row.add_(x.sum(0, True))", RuntimeError, r"add, given"),
    (
        "tg.ones(1).add_(row)",
        RuntimeError,
        r"of shape \(4,\), does not fit into the tensor, float32 of shape \(1,\)",
    ),
    ("tg.ones(2, requires_grad=True).add_(1)", RuntimeError, "leaf that requires a gradient; change a clone"),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("program", "kind", "words"), ERRORS, ids=[e[0] for e in ERRORS])
def test_error(program, kind, words):
    with pytest.raises(kind, match=words):
        eval(program)


LEFT_OUT = [
    ("tg.exp(x, out=x)", "exp: the argument out="),
    ("tg.add(x, x, out=x)", "add: the argument out="),
    ("tg.mul(x, x, out=x)", "mul: the argument out="),
    ("x.sum(dim=0, out=x)", "sum: the argument out="),
    ("tg.zeros(2, layout=None)", "zeros: the argument layout="),
    ("tg.tensor(1, pin_memory=True)", "tensor: the argument pin_memory="),
    ("x.clone(memory_format=None)", "clone: the argument memory_format="),
    ("x.scatter(0, whole * 0, x, reduce='add')", "scatter: the argument reduce="),
    ("x.clone().scatter_(0, whole * 0, x, reduce='add')", "scatter: the argument reduce="),
    ("tg.zeros(2, device='cuda')", "cuda"),
    ("tg.einsum(x, [0, 1], [0])", "einsum: lists of numbers"),
    ("x.norm('nuc')", "norm: p='nuc'"),
    ("x.view(tg.int32)", "view: reading the bytes as another dtype"),
    ("x.to('cuda')", "cuda"),
    ("tg.zeros(2, dtype='complex64')", "dtype 'complex64' is not supported"),
]


@pytest.mark.parametrize(("program", "words"), LEFT_OUT, ids=[e[0] for e in LEFT_OUT])
def test_what_is_left_out_is_named(program, words):
    with pytest.raises(NotImplementedError, match=words):
        eval(program)


@pytest.mark.parametrize(
    "program", ["x.sum(dimension=0)", "tg.zeros(2, dtyp=int)", "tg.exp(x, inplace=True)", "x.max(1, 2, 3, 4)"]
)
def test_what_nobody_knows_is_pythons_to_refuse(program):
    with pytest.raises(TypeError, match="argument"):
        eval(program)
