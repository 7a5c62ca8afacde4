"""tinygrad_rnn: recurrent networks on a tiny reverse-mode autodiff engine, in pure NumPy."""

# fmt: off
from math import e, inf, nan, pi

from numpy import dtype, finfo, iinfo

from . import autograd, distributions, nn, ops, optim, random, utils
from . import pickling as pickling
from .autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .compat import backends, cuda
from .compile import compile
from .device import device
from .dtypes import (
    double, float16, float32, float64, get_default_dtype, half, int8, int16, int32, int64, long,
    set_default_dtype, short, uint8,
)
from .dtypes import bool_ as bool
from .compat.legacy import (
    BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor,
    ShortTensor, is_tensor, set_default_tensor_type,
)
from .nn.functional.activation import log_softmax_along as log_softmax
from .nn.functional.activation import softmax_along as softmax
from .random import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)
from .serialization import LoadError, load, save
from .engine.tensor import Tensor
from .ops.conversion import Size

__version__ = "0.1.0"

float = float32
int = int32

numel = Tensor.numel

__all__ = [
    "autograd", "backends", "cuda", "distributions", "nn", "ops", "optim", "random", "utils", "compile",
    "device", "dtype",
    "load", "save", "LoadError", "Size", "Tensor", "Generator", "default_generator", "get_rng_state",
    "initial_seed", "manual_seed", "seed", "set_rng_state", "enable_grad", "inference_mode",
    "is_grad_enabled", "no_grad", "set_grad_enabled", "bool", "double", "float", "float16", "float32",
    "float64", "half", "int", "int8", "int16", "int32", "int64", "long", "short", "uint8",
    "get_default_dtype", "set_default_dtype", "finfo", "iinfo", "BoolTensor", "ByteTensor", "CharTensor",
    "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor", "ShortTensor", "is_tensor",
    "set_default_tensor_type", "log_softmax", "softmax", "e", "inf", "nan", "pi", "numel",
]

# [made by tools/names.py
from .ops import (
    abs, add, addcdiv, addcmul, addmm, all, allclose, amax, amin, any, arange, argmax, argmin, argsort,
    as_tensor, baddbmm, bernoulli, bincount, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, bmm,
    broadcast_to, cat, ceil, chunk, clamp, clamp_max, clamp_min, clone, contiguous, cos, cumprod, cumsum,
    diag, diagonal, div, dot, einsum, empty, empty_like, eq, equal, erf, exp, expand, expand_as, expm1, eye,
    flatten, flip, floor, floor_divide, from_numpy, full, full_like, gather, ge, gt, hstack, index_add,
    index_select, inner, isclose, isfinite, isinf, isnan, le, lerp, linspace, log, log1p, log2, logaddexp,
    logical_and, logical_not, logical_or, logical_xor, logsumexp, lt, masked_fill, masked_select, matmul, max,
    maximum, mean, median, meshgrid, min, minimum, mm, movedim, mul, multinomial, mv, narrow, ne, neg,
    nonzero, norm, normal, ones, ones_like, outer, permute, pow, prod, rand, rand_like, randint, randn,
    randn_like, randperm, ravel, reciprocal, relu, remainder, repeat, repeat_interleave, reshape, roll, round,
    rsqrt, scatter, scatter_add, select, sigmoid, sign, sin, sort, split, sqrt, square, squeeze, stack, std,
    sub, sum, t, take_along_dim, tanh, tensor, tensordot, tile, topk, trace, transpose, tril, triu, unbind,
    unique, unsqueeze, var, view, view_as, vstack, where, xlogy, zeros, zeros_like,
)

clip = clamp
concat = cat
concatenate = cat
divide = div
ger = outer
moveaxis = movedim
subtract = sub
swapaxes = transpose
true_divide = div

__all__ += ops.__all__
__all__ += [
    "clip", "concat", "concatenate", "divide", "ger", "moveaxis", "subtract", "swapaxes", "true_divide",
]
# ]
