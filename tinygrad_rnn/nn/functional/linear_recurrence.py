"""A recurrence that is linear in its state, for all steps at once: h_t = a_t ∘ h_{t-1} + b_t.

No step needs to wait for the one before it: steps compose to steps of the same form,

    h_{t+1} = a_{t+1} ∘ (a_t ∘ h_{t-1} + b_t) + b_{t+1}
            = (a_{t+1} ∘ a_t) ∘ h_{t-1} + (a_{t+1} ∘ b_t + b_{t+1})

So T steps are cut into blocks of S, and all blocks run side by side: once from 0, to find the one step (P, L)
that each amounts to; then, after T / S of these have told where each block starts, once more from there. That
is 5 S + 2 T / S calls of NumPy for 2 T (Blelloch, 1990, "Prefix sums and their applications"). Nothing is
divided, so a may be 0. The adjoint is the same recurrence run backwards.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...dtypes import FLOATS
from ...engine.primitive import primitive
from ...engine.tensor import Array, Tensor
from ...ops import zeros
from ...ops.inputs import matched

SHORTEST = 128  # steps that are worth cutting into blocks
WIDEST = 2048  # bytes of a state; beyond, a call's time is that of its numbers, and the loop has fewer


def _loop(a: Array, b: Array, h: Array, out: Array) -> None:
    """out[t] = h = a[t] ∘ h + b[t], step by step."""
    for a_t, b_t, y in zip(a, b, out):
        np.multiply(a_t, h, out=y)
        h = np.add(y, b_t, out=y)


def _blocks(a: Array, b: Array, h: Array, out: Array) -> None:
    """The same in blocks of S steps; steps that do not fill one are left to the loop."""
    T = len(b)
    S = round(math.sqrt(0.4 * T))  # the fewest calls
    K = T // S
    A, B, H = (x[: K * S].reshape(K, S, *x.shape[1:]).swapaxes(0, 1) for x in (a, b, out))  # views (S, K, …)
    P, L = A[0].copy(), B[0].copy()
    for a_s, b_s in zip(A[1:], B[1:]):
        np.multiply(P, a_s, out=P)
        np.multiply(L, a_s, out=L)
        np.add(L, b_s, out=L)
    starts = np.empty_like(L)
    starts[0] = h
    _loop(P[:-1], L[:-1], starts[0], starts[1:])
    _loop(A, B, starts, H)
    _loop(a[K * S :], b[K * S :], out[K * S - 1], out[K * S :])


def _forward(a: Array, b: Array, h0: Array, *, reverse: bool) -> Array:
    """All states (T + 1, …), h0 the first, or the last if `reverse`; a and b (T, …), h0 (…)."""
    out = np.empty((len(b) + 1, *b.shape[1:]), b.dtype)
    a, b, ys = (x[:, None] if x.ndim == 1 else x for x in (a, b, out))  # of numbers there are no views
    if reverse:
        a, b, ys = a[::-1], b[::-1], ys[::-1]
    ys[0] = h0
    if len(b) >= SHORTEST and h0.nbytes <= WIDEST:
        with np.errstate(all="ignore"):
            _blocks(a, b, h0, ys[1:])
        if np.isfinite(ys[-1]).all():  # else: P may have grown too large where no state does
            return out
    _loop(a, b, ys[0], ys[1:])
    return out


def _rule(g: Any, y: Any, a: Any, _b: Any, _h0: Any, *, reverse: bool) -> list[Any]:
    """∂/∂b_t = e_t = g_t + a_{t+1} ∘ e_{t+1}, the recurrence run the other way; ∂/∂a_t = e_t ∘ h_{t-1}."""
    run = _forward if g.__class__ is np.ndarray else _recurrence
    if reverse:
        e = run(a, g[1:], g[0], reverse=False)
        return [e[:-1] * y[1:], e[:-1], e[-1]]
    e = run(a, g[:-1], g[-1], reverse=True)
    return [e[1:] * y[:-1], e[1:], e[0]]


_recurrence = primitive("linear_recurrence", _forward, _rule, variadic=True)


def linear_recurrence(a: Any, b: Any, h0: Any = None, reverse: bool = False) -> Tensor:
    """h_t = a_t ∘ h_{t-1} + b_t for t = 0 … T - 1, h_{-1} = h0: all h, (T, …).

    Args:
        a: factors (T, …), or what broadcasts to that, as (H,) for factors that are the same at all steps. Any
            numbers, 0 among them.
        b: what is added, (T, …), as (T, B, H); it broadcasts with a.
        h0: the state before the first step, (…) or what broadcasts to that; default: zeros.
        reverse: run from the last step to the first, h_t = a_t ∘ h_{t+1} + b_t with h_T = h0.

    Returns:
        A tensor (T, …), of the common dtype. Derivatives of any order follow. Memory is linear in T.

    Raises:
        RuntimeError: shapes that do not broadcast, or a state that does not broadcast to one step.

    >>> import tinygrad_rnn as tg
    >>> linear_recurrence(0.5, tg.tensor([1., 1., 1.]), tg.tensor(8.))
    tensor([5.  , 3.5 , 2.75])
    """
    given = () if h0 is None else (h0,)
    a, b, *start = matched("linear_recurrence", a, b, *given, kinds=FLOATS)
    shape = _shape(a, b, start)
    h = start[0] if start else zeros(shape[1:], dtype=b.dtype)
    states = _recurrence(a.expand(*shape), b.expand(*shape), h.expand(*shape[1:]), reverse=reverse)
    return states[:-1] if reverse else states[1:]


def _shape(a: Tensor, b: Tensor, h0: list[Tensor]) -> tuple[int, ...]:
    """The shape (T, …) of all h; an error for shapes that do not fit."""
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
        fits = bool(shape) and all(np.broadcast_shapes(h.shape, shape[1:]) == shape[1:] for h in h0)
    except ValueError:
        fits = False
    if not fits:
        state = "".join(f", h0 {h.shape}" for h in h0)
        raise RuntimeError(
            f"linear_recurrence: a {a.shape} and b {b.shape} must broadcast to (T, …), and h0 to (…); "
            f"got a {a.shape}, b {b.shape}{state}"
        )
    return shape
