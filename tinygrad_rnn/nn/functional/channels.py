"""Dropout of whole channels: what a convolution made of one kernel is dropped everywhere or nowhere."""

from __future__ import annotations

from ...engine.tensor import Tensor
from ...ops import ones
from .basic import dropout


def _drop_channels(name: str, input: Tensor, p: float, training: bool, inplace: bool, lead: int) -> Tensor:
    """Dropout with one draw for each entry of the first `lead` dimensions."""
    if not input.is_floating_point():
        raise TypeError(f"{name}: needs a float tensor, got {input.dtype}; use .float()")
    one = ones(*input.shape[:lead], *[1] * (input.ndim - lead), dtype=input.dtype)
    keep = dropout(one, p, training)
    if keep is one:
        return input
    y = input * keep
    return input.copy_(y) if inplace else y


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each channel with probability p and scale the others by 1 / (1 - p) (Tompson et al., 2015).

    Args:
        input: (B, C, L), or (C, L).
        p: the probability of a channel to be zeroed.
        training: False returns x itself.
        inplace: write the result into `input`.

    Raises:
        RuntimeError: an input of another shape.
        ValueError: p is no probability.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.dropout1d(tg.ones(3, 1, 2), p=1).tolist()
    [[[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]]
    """
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: input must be (B, C, L) or (C, L), got shape {input.shape}")
    return _drop_channels("dropout1d", input, p, training, inplace, input.ndim - 1)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout1d` for images: one draw for each channel of each image.

    Args:
        input: (B, C, H, W). Three dimensions are taken to be (B, C, L), as in PyTorch.
        p, training, inplace: as in dropout1d.

    Raises:
        RuntimeError: an input of another shape.
        ValueError: p is no probability.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.functional.dropout2d(tg.ones(2, 4, 3, 3), p=1).sum().item()
    0.0
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(f"dropout2d: input must be (B, C, H, W) or (B, C, L), got shape {input.shape}")
    return _drop_channels("dropout2d", input, p, training, inplace, 2)
