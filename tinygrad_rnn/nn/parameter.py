"""Parameter: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.tensor import Tensor


class Parameter(Tensor):
    """A leaf tensor that becomes part of `module.parameters()` when it is assigned to a module.

    It shares the memory of `data` (a Tensor or a NumPy array), and asks for its gradient unless
    `requires_grad=False`. Operations on it give plain tensors.

    >>> import tinygrad_rnn as tg
    >>> tg.nn.Parameter(tg.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        if data is None:
            data = Tensor(0)
        elif isinstance(data, np.ndarray):
            data = Tensor(data)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor or a NumPy array, got {type(data).__name__}")
        super().__init__(data.array)
        self.data = data
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """An independent parameter of equal value. As in PyTorch, its gradient does not come along."""
        twin = type(self)(self.array.copy(), self.requires_grad)
        memo[id(self)] = twin
        return twin
