"""Initial values, written in place and without a graph. All draw from `generator`, by default the package's.

fan_in and fan_out are the numbers of inputs and outputs of one unit: for a weight (K, D), D and K; further
dimensions multiply both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..random import Generator, default_generator
from ..tensor import Tensor


def write(tensor: Tensor, values: Any) -> Tensor:
    """Copy `values` into `tensor`, without a graph; returns it."""
    np.copyto(tensor.array, values, casting="same_kind")
    tensor.touch()
    return tensor


def _rng(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).rng


# --- one distribution for all numbers


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [a, b)."""
    return write(tensor, _rng(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """Normal with `mean` and standard deviation `std`."""
    return write(tensor, _rng(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, drawn again until it lies in [a, b]."""
    inside = (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2)))) / 2
    if inside < 0.01:
        raise NotImplementedError(
            f"trunc_normal_: a={a}, b={b} hold only {inside:.2g} of the distribution; 0.01 is the least"
        )
    values = np.full(tensor.shape, np.inf)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = _rng(generator).normal(mean, std, int(outside.sum()))
    return write(tensor, values)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """All numbers `val`."""
    return write(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """All numbers 1."""
    return write(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """All numbers 0."""
    return write(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: tensor must be a matrix, got shape {tensor.shape}")
    return write(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Normal, but in each column the fraction `sparsity` of the entries (rounded up) is 0 (Martens, 2010)."""
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: tensor must be a matrix, got shape {tensor.shape}")
    rows, columns = tensor.shape
    values = _rng(generator).normal(0, std, tensor.shape)
    for column in range(columns):
        values[_rng(generator).permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return write(tensor, values)


# --- a spread that keeps the size of activations or gradients


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must be larger because `nonlinearity` makes activations smaller.

    linear, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + param²)), param its slope (0.01); selu 3/4.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope must be a number, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    linear = ("linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4} | dict.fromkeys(linear, 1.0)
    if nonlinearity not in gains:
        raise ValueError(
            f"calculate_gain: nonlinearity {nonlinearity!r} is none of {sorted(gains)} or 'leaky_relu'"
        )
    return gains[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out)"""
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need at least two dimensions, got shape {tensor.shape}")
    rest = math.prod(tensor.shape[2:])
    return tensor.shape[1] * rest, tensor.shape[0] * rest


_calculate_fan_in_and_fan_out = fans  # as layers that people write call it


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform within ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform within ±gain √(3 / fan), `a` being the slope of a leaky relu (He et al., 2015)."""
    if 0 in tensor.shape:
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan, `a` being the slope of a leaky relu (He et al., 2015)."""
    if 0 in tensor.shape:
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al., 2013).

    It is uniform among those (Mezzadri, How to generate random matrices from the classical compact groups,
    2007); dimensions after the first are taken as one.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: at least two dimensions are needed, got shape {tensor.shape}")
    if 0 in tensor.shape:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_rng(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.where(np.diag(r) < 0, -1, 1)  # without this, qr prefers some signs
    return write(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


# --- before PyTorch 0.4 these names had no underscore

constant, eye, normal, orthogonal, sparse, uniform = constant_, eye_, normal_, orthogonal_, sparse_, uniform_
kaiming_normal, kaiming_uniform = kaiming_normal_, kaiming_uniform_
xavier_normal, xavier_uniform = xavier_normal_, xavier_uniform_
