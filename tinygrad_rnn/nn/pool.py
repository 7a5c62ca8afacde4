"""Pooling layers: the functions of functional/pool.py with their arguments kept."""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from . import functional as F
from .functional.windows import Sizes
from .module import Module


class _MaxPool(Module):
    """The arguments of max pooling."""

    function: str  # of functional

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        """The largest number of each window, and, if asked for, where it stands."""
        options = self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        return getattr(F, self.function)(input, self.kernel_size, *options)

    def extra_repr(self) -> str:
        size = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{size}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPool):
    """y[b, c, i] = max_k x[b, c, s · i + d · k]: (B, C, L) -> (B, C, n).

    Args:
        kernel_size, stride, padding, dilation, ceil_mode: as in `functional.max_pool1d`.
        return_indices: return a pair: the numbers, and where in its sequence each stood.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MaxPool1d(3, stride=1)(tg.tensor([[1., 5., 2., 3.]]))
    tensor([[5., 5.]])
    """

    function = "max_pool1d"


class MaxPool2d(_MaxPool):
    """`MaxPool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        kernel_size, stride, padding, dilation: one number for both dimensions, or two.
        return_indices, ceil_mode: as in MaxPool1d; indices count the image row by row.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.MaxPool2d((2, 1))(tg.zeros(5, 3, 8, 9)).shape  # halves the height, keeps the width for the RNN
    (5, 3, 4, 9)
    """

    function = "max_pool2d"


class AvgPool1d(Module):
    """y[b, c, i] = Σ_k x[b, c, s · i + k] / K: (B, C, L) -> (B, C, n).

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad: as in `functional.avg_pool1d`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.AvgPool1d(2)(tg.tensor([[1., 5., 2., 4.]]))
    tensor([[3., 3.]])
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = _single(kernel_size), _single(padding)
        self.stride = self.kernel_size if stride is None else _single(stride)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        options = self.stride, self.padding, self.ceil_mode, self.count_include_pad
        return F.avg_pool1d(input, self.kernel_size, *options)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(size: Sizes) -> Sizes:
    return size if isinstance(size, (tuple, list)) else (size,)


class AvgPool2d(Module):
    """`AvgPool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        kernel_size, stride, padding: one number for both dimensions, or two.
        ceil_mode, count_include_pad, divisor_override: as in `functional.avg_pool2d`.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.AvgPool2d(2)(tg.ones(1, 4, 6)).shape
    (1, 2, 3)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        options = self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, *options)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AdaptiveAvgPool(Module):
    """The argument of adaptive average pooling."""

    function: str  # of functional

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """The mean of each window."""
        means: Tensor = getattr(F, self.function)(input, self.output_size)
        return means

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of `output_size` windows of (nearly) equal size: (B, C, L) -> (B, C, output_size).

    Args:
        output_size: how many windows; None keeps the length.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.AdaptiveAvgPool1d(1)(tg.tensor([[1., 5., 3.]]))
    tensor([[3.]])
    """

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`AdaptiveAvgPool1d` over two dimensions: (B, C, H, W) -> (B, C, n, m).

    Args:
        output_size: (n, m), or one number for both; None keeps a length.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.AdaptiveAvgPool2d((1, None))(tg.zeros(2, 3, 8, 9)).shape  # an image becomes a sequence
    (2, 3, 1, 9)
    """

    function = "adaptive_avg_pool2d"
