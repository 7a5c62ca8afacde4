"""Operations on tensors, by PyTorch's names.

Each says its own names where it is defined (`@operation`, operation.py). Read `elementwise.py` first, then
`index.py`, `shape.py`, `reduce.py`, `linalg.py`; `inputs.py` takes care of arguments, `aliasing.py` of views
and writes in place, `create.py`, `inplace.py`, `conversion.py` and `protocol.py` of what their names say.
"""

from . import conversion as conversion, inplace as inplace, protocol as protocol  # they attach methods
from . import windows as windows  # attaches methods

# building blocks of operations, for nn/ and others
from ..engine.derivatives import along as along, getitem as getitem, place as place, put as put
from ..engine.tensor import Tensor as Tensor, method as method
from .aliasing import assign as assign
from .create import rng_of as rng_of
from .elementwise import choose as choose
from .index import get as get
from .inputs import axes_of as axes_of, axis_and_size as axis_and_size, axis_of as axis_of, cast as cast
from .inputs import mask_of as mask_of, matched as matched, named as named, refuse as refuse
from .inputs import sizes_of as sizes_of, tensor_of as tensor_of
from .operation import OPERATIONS as OPERATIONS
from .reduce import Dim as Dim, Extremes as Extremes

# [made by tools/names.py
from .create import (
    arange, as_tensor, bernoulli, empty, empty_like, eye, from_numpy, full, full_like, linspace, multinomial,
    normal, ones, ones_like, rand, rand_like, randint, randn, randn_like, randperm, tensor, zeros, zeros_like,
)
from .elementwise import (
    abs, add, addcdiv, addcmul, allclose, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, ceil, clamp,
    clamp_max, clamp_min, clone, cos, div, eq, equal, erf, exp, expm1, floor, floor_divide, ge, gt, isclose,
    isfinite, isinf, isnan, le, lerp, log, log1p, log2, logaddexp, logical_and, logical_not, logical_or,
    logical_xor, lt, maximum, minimum, mul, ne, neg, pow, reciprocal, relu, remainder, round, rsqrt, sigmoid,
    sign, sin, sqrt, square, sub, tanh, where, xlogy,
)
from .index import (
    gather, index_add, index_select, masked_fill, masked_select, nonzero, scatter, scatter_add,
    take_along_dim,
)
from .join import (
    cat, chunk, hstack, meshgrid, narrow, select, split, stack, unbind, vstack,
)
from .linalg import (
    addmm, baddbmm, bmm, dot, einsum, inner, matmul, mm, mv, outer, tensordot, trace,
)
from .reduce import (
    all, amax, amin, any, argmax, argmin, argsort, bincount, cumprod, cumsum, logsumexp, max, mean, median,
    min, norm, prod, sort, std, sum, topk, unique, var,
)
from .shape import (
    broadcast_to, contiguous, diag, diagonal, expand, expand_as, flatten, flip, movedim, permute, ravel,
    repeat, repeat_interleave, reshape, roll, squeeze, t, tile, transpose, tril, triu, unsqueeze, view,
    view_as,
)

__all__ = [
    "abs", "add", "addcdiv", "addcmul", "addmm", "all", "allclose", "amax", "amin", "any", "arange", "argmax",
    "argmin", "argsort", "as_tensor", "baddbmm", "bernoulli", "bincount", "bitwise_and", "bitwise_not",
    "bitwise_or", "bitwise_xor", "bmm", "broadcast_to", "cat", "ceil", "chunk", "clamp", "clamp_max",
    "clamp_min", "clone", "contiguous", "cos", "cumprod", "cumsum", "diag", "diagonal", "div", "dot",
    "einsum", "empty", "empty_like", "eq", "equal", "erf", "exp", "expand", "expand_as", "expm1", "eye",
    "flatten", "flip", "floor", "floor_divide", "from_numpy", "full", "full_like", "gather", "ge", "gt",
    "hstack", "index_add", "index_select", "inner", "isclose", "isfinite", "isinf", "isnan", "le", "lerp",
    "linspace", "log", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logsumexp", "lt", "masked_fill", "masked_select", "matmul", "max", "maximum", "mean",
    "median", "meshgrid", "min", "minimum", "mm", "movedim", "mul", "multinomial", "mv", "narrow", "ne",
    "neg", "nonzero", "norm", "normal", "ones", "ones_like", "outer", "permute", "pow", "prod", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm", "ravel", "reciprocal", "relu", "remainder",
    "repeat", "repeat_interleave", "reshape", "roll", "round", "rsqrt", "scatter", "scatter_add", "select",
    "sigmoid", "sign", "sin", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "t",
    "take_along_dim", "tanh", "tensor", "tensordot", "tile", "topk", "trace", "transpose", "tril", "triu",
    "unbind", "unique", "unsqueeze", "var", "view", "view_as", "vstack", "where", "xlogy", "zeros",
    "zeros_like",
]
# ]
