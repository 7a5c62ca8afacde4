"""Activation functions. x is the input, σ the sigmoid; `inplace=True` also writes the result into x."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ...engine.tensor import Tensor, method
from ...ops import abs, amax, chunk, clamp, erf, exp, expm1, log, logaddexp, reciprocal, sigmoid, tanh, where
from ...ops import relu as _relu
from ...random import default_generator


def _placed(result: Tensor, input: Tensor, inplace: bool) -> Tensor:
    return input.copy_(result) if inplace else result


# --- piecewise linear


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); its derivative at 0 is 0."""
    return _placed(_relu(input), input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6); its derivative at 0 and at 6 is 0."""
    return hardtanh(input, 0.0, 6.0, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x if x > 0, else negative_slope · x."""
    return _placed(where(input > 0, input, negative_slope * input), input, inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x if x > 0, else weight · x, with one learned weight, or one for each channel (dimension 1 of x)."""
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise ValueError(
            f"prelu: weight {weight.shape} holds neither 1 number nor {channels}, one for each channel"
        )
    weight = weight.reshape(()) if weight.numel() == 1 else weight.reshape(-1, *(1,) * (input.ndim - 2))
    y: Tensor = where(input > 0, input, weight * input)
    return y


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x held within [min_val, max_val]; its derivative at the bounds is 0 (that of `clamp` is 1)."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is larger than max_val {max_val}")
    inside = (input > min_val) & (input < max_val)
    return _placed(where(inside, input, clamp(input.detach(), min_val, max_val)), input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6"""
    return _placed(relu6(input + 3.0) / 6.0, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x · hardsigmoid(x) (Howard et al., Searching for MobileNetV3, 2019)"""
    return _placed(input * hardsigmoid(input), input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x if x > threshold, else value."""
    return _placed(where(input <= threshold, value, input), input, inplace)


# --- exponential


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x if x > 0, else α (eˣ - 1) (Clevert et al., 2015)"""
    return _placed(where(input > 0, input, alpha * expm1(clamp(input, max=0))), input, inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """λ · elu(x, α), λ and α such that activations keep mean 0 and variance 1 (Klambauer et al., 2017)"""
    return _placed(
        1.0507009873554804934193349852946 * elu(input, 1.6732632423543772848170429916717), input, inplace
    )


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x if x > 0, else α (e^(x/α) - 1) (Barron, 2017)"""
    return _placed(where(input > 0, input, alpha * expm1(clamp(input, max=0) / alpha)), input, inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Φ(x), Φ the normal distribution function (Hendrycks and Gimpel, 2016)

    `approximate="tanh"`: x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
    """
    if approximate == "none":
        return 0.5 * input * (1.0 + erf(input * math.sqrt(0.5)))
    if approximate == "tanh":
        return (
            0.5 * input * (1.0 + tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * (input * input * input))))
        )
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x σ(x)"""
    return _placed(input * sigmoid(input), input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019)"""
    return _placed(input * tanh(softplus(input)), input, inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + e^(βx)) / β, and x itself where βx > threshold."""
    scaled = input * beta
    y: Tensor = where(scaled > threshold, input, logaddexp(scaled, 0.0) / beta)
    return y


def logsigmoid(input: Tensor) -> Tensor:
    """ln σ(x) = -ln(1 + e⁻ˣ)"""
    return -logaddexp(-input, 0.0)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (1.0 + abs(input))


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh x"""
    return input - tanh(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a σ(b), where a and b are the halves of x along `dim` (Dauphin et al., 2016)"""
    if input.ndim == 0 or input.shape[dim] % 2:
        raise RuntimeError(f"glu: dimension {dim} of shape {input.shape} does not split into halves")
    a, b = chunk(input, 2, dim)
    return a * sigmoid(b)


# --- distributions


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """eˣ / Σ eˣ along `dim` (computed in `dtype`, if given)."""
    shifted, dim = _prepared("softmax", input, dim, _stacklevel, dtype)
    e = exp(shifted)
    total = e.sum(dim, keepdim=True)
    return e * reciprocal(total) if 0 not in e.shape else e


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-x)"""
    return softmax(-input, dim, _stacklevel + 1, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """ln softmax(x) = x - ln Σ eˣ along `dim` (computed in `dtype`, if given)."""
    shifted, dim = _prepared("log_softmax", input, dim, _stacklevel, dtype)
    e = exp(shifted)
    total = e.sum(dim, keepdim=True)
    return shifted - log(total) if 0 not in e.shape else e


@method("softmax")
def softmax_along(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """`softmax` as a method, and as `tinygrad_rnn.softmax`: there `dim` must be given."""
    return softmax(input, dim, dtype=dtype)


@method("log_softmax")
def log_softmax_along(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """`log_softmax` as a method, and as `tinygrad_rnn.log_softmax`: there `dim` must be given."""
    return log_softmax(input, dim, dtype=dtype)


def _prepared(name: str, input: Tensor, dim: int | None, stacklevel: int, dtype: Any) -> tuple[Tensor, int]:
    """`input` in `dtype`, less its largest value along `dim`: no change of the result, and no overflow."""
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
        warnings.warn(
            f"{name}: dim is not given; dim={dim} is taken. Pass it: dim=-1 is the last",
            stacklevel=stacklevel,
        )
    input = input if dtype is None else input.to(dtype)
    return (input if 0 in input.shape else input - amax(input.detach(), dim, keepdim=True)), dim


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((x + n) / τ) with Gumbel noise n (Jang et al. 2016, Maddison et al. 2016).

    With `hard`, one-hot samples that have the gradient of the soft ones.
    """
    if eps != 1e-10:
        raise NotImplementedError("gumbel_softmax: eps has no effect any more; leave it out")
    noise = -np.log(default_generator.rng.standard_exponential(logits.shape))
    soft = softmax((logits + Tensor(noise.astype(logits.dtype))) / tau, dim)
    if not hard:
        return soft
    winner = np.zeros_like(soft.array)
    np.put_along_axis(winner, soft.array.argmax(dim, keepdims=True), 1, dim)
    return Tensor(winner) - soft.detach() + soft
