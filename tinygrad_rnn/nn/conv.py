"""Convolutional layers: the functions of functional/conv.py with a weight and a bias of their own."""

from __future__ import annotations

import math
from typing import Any

from ..engine.tensor import Tensor
from . import functional as F
from . import init
from .functional.conv import edges
from .functional.windows import Sizes, per_dimension
from .layers import blank
from .module import Module

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """Parameters and checks of a convolution over `dims` dimensions."""

    dims: int
    function: str  # of functional

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Any = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name, dims = type(self).__name__, self.dims
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels {in_channels} and out_channels {out_channels} must be "
                f"positive multiples of groups {groups}"
            )
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_dimension(name, "kernel_size", kernel_size, dims, 1)
        self.stride = per_dimension(name, "stride", stride, dims, 1)
        self.dilation = per_dimension(name, "dilation", dilation, dims, 1)
        self._edges = edges(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = (
            padding if isinstance(padding, str) else per_dimension(name, "padding", padding, dims, 0)
        )
        self.padding_mode = padding_mode
        shape = out_channels, in_channels // groups, *self.kernel_size
        self.weight = blank(*shape, device=device, dtype=dtype)
        self.register_parameter("bias", blank(out_channels, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial values: weight, then bias, uniform within ±1/√(in_channels / groups · K)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of (B, C, *L), or (C, *L), with `weight`, plus `bias`."""
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._edges, self.padding_mode), 0
        options: Any = (self.stride, padding, self.dilation, self.groups)
        convolved: Tensor = getattr(F, self.function)(input, self.weight, self.bias, *options)
        return convolved

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        ones, zeros = (1,) * self.dims, (0,) * self.dims
        text += f", padding={self.padding}" if self.padding != zeros else ""
        text += f", dilation={self.dilation}" if self.dilation != ones else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv1d(_Conv):
    """y[b, o, i] = Σ_c Σ_k weight[o, c, k] x[b, c, s · i + d · k] + bias[o]: (B, C, L) -> (B, O, n).

    n = ⌊(L + 2 padding - d (K - 1) - 1) / s⌋ + 1. An input (C, L) is one sequence without a batch.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K.
        stride: the distance s of neighbouring windows.
        padding: how much is added at both ends; "valid" is 0, "same" what keeps the length (stride 1 only).
        dilation: the distance d of what a window reads.
        groups: channels are cut into as many groups, which do not see each other; it divides C and O.
        bias: False leaves the bias out.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular" (see functional.pad).
        device: only the processor.
        dtype: of the parameters; by default the default dtype.

    `weight` (O, C / groups, K) and `bias` (O) start uniform within ±1/√(C / groups · K), drawn in this order.

    Raises:
        ValueError: channels and groups that do not fit, an unknown mode, "same" with a stride.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Conv1d(3, 5, kernel_size=3, padding="same")(tg.zeros(2, 3, 7)).shape
    (2, 5, 7)
    """

    dims, function = 1, "conv1d"


class Conv2d(_Conv):
    """`Conv1d` over two dimensions: (B, C, H, W) -> (B, O, n, m); an input (C, H, W) is one image.

    The arguments are those of Conv1d; kernel_size, stride, padding and dilation are one number for both
    dimensions or two. `weight` is (O, C / groups, K, M).

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Conv2d(1, 4, (3, 5), padding=(1, 2))(tg.zeros(2, 1, 8, 9)).shape
    (2, 4, 8, 9)
    """

    dims, function = 2, "conv2d"
