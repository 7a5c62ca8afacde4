"""Windows along one dimension of a tensor."""

from __future__ import annotations

from ..engine.derivatives import along, getitem
from ..engine.tensor import Tensor, method
from .inputs import axis_and_size
from .join import stack
from .shape import movedim


@method()
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """y[…, i, …, k] = x[…, step · i + k, …]: all windows of a dimension, its places in the last one.

    A copy, where PyTorch gives a view: an element has a place in each window that it is in, and its gradient
    is the sum of theirs.

    Args:
        dimension: along which to cut; of n entries.
        size: of a window.
        step: the distance of neighbouring windows.

    Returns:
        `dimension` has ⌊(n - size) / step⌋ + 1 windows, and a last dimension of `size` is new.

    Raises:
        RuntimeError: a size below 0 or above n, or a step below 1.

    >>> import tinygrad_rnn as tg
    >>> tg.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    axis, n = axis_and_size("unfold", self, dimension)
    if not 0 <= size <= n or step < 1:
        raise RuntimeError(
            f"unfold: windows of {size} entries, {step} apart, cannot be cut from dimension {dimension} of "
            f"{self.shape}; size must be between 0 and {n}, step at least 1"
        )
    count = (n - size) // step + 1
    if 0 < size < count:  # one slice for each place in a window; else one for each window
        ends = [slice(k, k + step * (count - 1) + 1, step) for k in range(size)]
        return stack([getitem(self, index=along(axis, end)) for end in ends], -1)
    found = [getitem(self, index=along(axis, slice(step * i, step * i + size))) for i in range(count)]
    return movedim(stack(found, axis), axis + 1, -1)
