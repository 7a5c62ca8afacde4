"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ...engine.tensor import Tensor
from ...ops import cat


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All numbers of all parameters, in order, as one vector (differentiably)."""
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let each parameter's values be the next ones of `vec`, whose memory they then share."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: vec must be a Tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    needed = sum(p.numel() for p in parameters)
    if vec.shape != (needed,):
        raise ValueError(
            f"vector_to_parameters: the parameters hold {needed} numbers, vec has shape {vec.shape}"
        )
    start = 0
    for p in parameters:
        p.data = vec.detach()[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
