"""Gradient clipping: against the exploding gradients of recurrent nets (Pascanu et al., 2012)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _gradients(parameters: Tensors, foreach: bool | None) -> list[Tensor]:
    if foreach:
        raise NotImplementedError("foreach=True is not supported; gradients are clipped one after the other")
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in given if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor, so that their norm as one vector is at most `max_norm`.

    Returns the norm before clipping. `norm_type` is p of the p-norm, or inf. `error_if_nonfinite`
    raises a RuntimeError, before anything is changed, if the norm is NaN or infinite.
    """
    grads = _gradients(parameters, foreach)
    norms = [np.linalg.norm(g.array.reshape(-1), norm_type) for g in grads]
    total = np.linalg.norm(np.asarray(norms), norm_type) if grads else np.float32(0)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {total}; pass error_if_nonfinite=False to go on"
        )
    factor = max_norm / (float(total) + 1e-6)
    if not factor >= 1:  # also if it is NaN
        for g in grads:
            g.array *= factor
            g.touch()
    return Tensor(np.asarray(total))


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Hold every number of every gradient within ±clip_value."""
    for g in _gradients(parameters, foreach):
        np.clip(g.array, -clip_value, clip_value, out=g.array)
        g.touch()
