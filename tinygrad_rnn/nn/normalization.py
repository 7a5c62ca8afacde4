"""Layers that normalise: over the features of one row (LayerNorm, RMSNorm), over groups of channels
(GroupNorm), or over the rows of a batch (BatchNorm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ..engine.tensor import Tensor
from ..ops import ones, tensor, zeros
from . import functional as F
from . import init
from .layers import blank
from .module import Module


def _affine(module: Module, shape: Sequence[int], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
    """Register `weight` and `bias`, or None in their places."""
    for name, wanted in (("weight", weight), ("bias", bias)):
        module.register_parameter(name, blank(*shape, device=device, dtype=dtype) if wanted else None)


def _reset_affine(module: Module) -> None:
    """weight 1, bias 0"""
    if module.weight is not None:
        init.ones_(module.weight)
    if module.bias is not None:
        init.zeros_(module.bias)


class LayerNorm(Module):
    """y = (x - mean) / √(var + ε) · weight + bias over the last dimensions (Ba et al., 2016)."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.eps, self.elementwise_affine = eps, elementwise_affine
        _affine(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """weight 1, bias 0"""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """x normalised."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        shape = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return f"{shape}, bias={self.bias is not None}"


class RMSNorm(Module):
    """y = x / √(mean(x²) + ε) · weight over the last dimensions (Zhang and Sennrich, 2019).

    Args:
        normalized_shape: the last dimensions; an integer for one.
        eps: ε; None is the distance from 1 to the next number of the input's dtype.
        elementwise_affine: False leaves `weight` (of that shape, 1 at the start) out.
        device: only the processor.
        dtype: of the weight; by default the default dtype.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.RMSNorm(2)(tg.tensor([1., 7.]))
    tensor([0.2, 1.4], grad_fn=<mul>)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (
            (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        )
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        self.register_parameter(
            "weight", blank(*shape, device=device, dtype=dtype) if elementwise_affine else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """weight 1"""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """x normalised."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """y = (x - mean) / √(var + ε) · weight + bias, over groups of channels of one row (Wu and He, 2018).

    Args:
        num_groups: how many groups the channels are cut into.
        num_channels: C, a multiple of that; the input is (B, C, *).
        eps: ε.
        affine: False leaves `weight` (C,), 1 at the start, and `bias` (C,), 0 at the start, out.
        device: only the processor.
        dtype: of the parameters; by default the default dtype.
        bias: False leaves the bias out.

    Raises:
        ValueError: the groups do not divide the channels.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.GroupNorm(2, 6)(tg.zeros(4, 6, 5)).shape
    (4, 6, 5)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels {num_channels} must be a positive multiple of "
                f"num_groups {num_groups}"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        _affine(self, (num_channels,), affine, affine and bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """weight 1, bias 0"""
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """x normalised."""
        if input.ndim > 1 and input.shape[1] != self.num_channels:
            raise RuntimeError(f"GroupNorm: expected (B, {self.num_channels}, …), got shape {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        size = f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
        return f"{size}, bias={self.bias is not None}"


class _BatchNorm(Module):
    """Parameters, running statistics and forward of batch normalisation."""

    shapes: Mapping[int, str]  # of the input, by its number of dimensions

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        _affine(self, (num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer(
            "running_mean", zeros(num_features, device=device, dtype=dtype) if tracked else None
        )
        self.register_buffer(
            "running_var", ones(num_features, device=device, dtype=dtype) if tracked else None
        )
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)
        _reset_affine(self)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """weight 1, bias 0, and the running statistics as at the start"""
        self.reset_running_stats()
        _reset_affine(self)

    def forward(self, input: Tensor) -> Tensor:
        """x normalised."""
        if input.ndim not in self.shapes:
            wanted = " or ".join(self.shapes.values())
            raise ValueError(f"{type(self).__name__}: input must be {wanted}, got shape {input.shape}")
        momentum = 0.0 if self.momentum is None else self.momentum
        tracking = self.training and self.track_running_stats
        if tracking:
            self.num_batches_tracked += 1
            momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else momentum
        from_batch = self.training or self.running_mean is None
        mean, var = (self.running_mean, self.running_var) if tracking or not self.training else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, from_batch, momentum, self.eps)

    def extra_repr(self) -> str:
        numbers = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"
        return f"{numbers}, bias={self.bias is not None}, track_running_stats={self.track_running_stats}"


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / √(var + ε) · weight + bias for each channel (Ioffe and Szegedy, 2015).

    x is (N, C) or (N, C, L). In training, mean and variance are the batch's, and `running_mean` and
    `running_var` move towards them by `momentum` (None: they become the plain average over all
    batches). In evaluation they are the running ones; without `track_running_stats` always the batch's.
    """

    shapes = MappingProxyType({2: "(N, C)", 3: "(N, C, L)"})


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: x is (N, C, H, W), mean and variance are over N, H and W.

    The arguments are those of BatchNorm1d.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.BatchNorm2d(3)(tg.ones(2, 3, 4, 5)).abs().max().item()
    0.0
    """

    shapes = MappingProxyType({4: "(N, C, H, W)"})
