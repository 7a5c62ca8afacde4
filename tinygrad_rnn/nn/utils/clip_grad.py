"""Gradient clipping: against the exploding gradients of recurrent nets (Pascanu et al., 2012)."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...engine.tensor import Array, Tensor

Tensors = Tensor | Iterable[Tensor]


def _gradients(parameters: Tensors, foreach: bool | None) -> list[Tensor]:
    if foreach:
        raise NotImplementedError("foreach=True is not supported; gradients are clipped one after the other")
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in given if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float | str = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients by one factor, so that their norm as one vector is at most `max_norm`.

    Returns the norm before clipping. `norm_type` is p of the p-norm, or inf. `error_if_nonfinite`
    raises a RuntimeError, before anything is changed, if the norm is NaN or infinite.

    >>> import tinygrad_rnn as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], max_norm=5.0), w.grad
    (tensor(10.), tensor([3., 4.]))
    """
    grads, p = _gradients(parameters, foreach), float(norm_type)  # float: of "inf" too
    total = _norm(np.array([_norm(g.array, p) for g in grads]), p)
    if error_if_nonfinite and not math.isfinite(total):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {total}; look for NaN or infinity")
    factor = max_norm / (total + 1e-6)
    with np.errstate(all="ignore"):  # a norm that is not finite shows in the gradients, as in PyTorch
        if not factor >= 1:
            for g in grads:
                g.array *= factor
                g.bump_version()
        return Tensor(np.asarray(total, grads[0].dtype if grads else np.float32))


def _norm(values: Array, p: float) -> float:
    """‖values‖ₚ, also where the powers overflow."""
    if not values.size:
        return 0.0
    flat = values.reshape(-1)
    with np.errstate(all="ignore"):
        norm = float(np.linalg.norm(flat, p))
        if math.isinf(norm) and math.isfinite(largest := float(np.abs(flat).max())):
            norm = largest * float(np.linalg.norm(flat / largest, p))
    return norm


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Hold every number of every gradient within ±clip_value."""
    for g in _gradients(parameters, foreach):
        np.clip(g.array, -clip_value, clip_value, out=g.array)
        g.bump_version()
