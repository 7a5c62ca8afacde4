"""tinygrad_rnn: recurrent networks on a tiny reverse-mode autodiff engine, in pure NumPy."""

from math import e, inf, nan, pi

from numpy import finfo, iinfo

from . import autograd, backends, cuda, nn, ops, optim, random, utils
from .autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .device import device
from .dtypes import (
    bool_ as bool,
)
from .dtypes import (
    double,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    set_default_dtype,
    short,
    uint8,
)
from .legacy import (
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
    is_tensor,
    set_default_tensor_type,
)
from .nn.functional.activation import log_softmax_along as log_softmax
from .nn.functional.activation import softmax_along as softmax
from .ops import *  # noqa: F403  (the names in ops.__all__)
from .random import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .serialization import load, save
from .tensor import Size, Tensor

float = float32
int = int32

# names that PyTorch has twice
clip = ops.clamp
concat = concatenate = ops.cat
ger = ops.outer
numel = Tensor.numel
