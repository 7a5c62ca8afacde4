"""Slopes along a line, from values alone: the two oracles of `gradcheck`.

    central       (f(-2h) - 8 f(-h) + 8 f(h) - f(2h)) / 12h = f'(0) + O(h⁴)
    complex step  Im f(ih) / h = f'(0) + O(h²), without cancellation (see continuation.py)

The step h is relative to the size of the value that is displaced: first to 1 for smaller ones, and then,
where a kink or the edge of the domain is that near, to the value itself. The five points -2h … 2h
bound four segments. Where f is smooth, their slopes lie on a line, but for
h² f'''; the bend in them therefore bounds the error (beside what rounding the values does to a
difference), and a bend that no step makes smaller is a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..engine.tensor import Array
from .continuation import STEP

# Of the size of a value: the best for smooth functions first, the last for those that turn quickly.
STEPS = (2.0**-16, 2.0**-10, 2.0**-20, 2.0**-26, 2.0**-32)
ROUNDING = 4 * np.finfo(float).eps  # of a value, relative


class Slopes(NamedTuple):
    """The derivative of every output along one line, and how far it can be trusted."""

    value: Array
    error: Array
    settled: Array  # False at a kink, a jump, the edge of the domain, or where noise drowns the difference
    left: Array  # one-sided slopes of the last step that was tried
    right: Array


def central(f: Callable[[float], Array], here: Array, *scales: float) -> Slopes:
    """The slopes of f at 0, `here` being f(0); the steps are multiples of the first of `scales`, and of the
    next ones for what these do not settle.
    """
    nothing = np.full(here.shape, np.nan)
    best = Slopes(nothing, np.full(here.shape, np.inf), np.zeros(here.shape, bool), nothing, nothing)
    for h in (step * scale for scale in scales for step in STEPS):
        points = np.stack([f(-2 * h), f(-h), here, f(h), f(2 * h)])
        with np.errstate(all="ignore"):
            found = _slopes(points, h)
        closer = found.error < best.error
        better = np.where(found.settled == best.settled, closer, found.settled)
        value, error, settled = (np.where(better, new, old) for new, old in zip(found[:3], best))
        best = Slopes(value, error, settled, found.left, found.right)
        if best.settled.all():
            break
    return best


def _slopes(points: Array, h: float) -> Slopes:
    segments = np.diff(points, axis=0) / h
    value = (8 * (points[3] - points[1]) - (points[4] - points[0])) / (12 * h)  # 0 of what is constant
    bend = np.abs(np.diff(segments, 2, axis=0)).max(0)
    size = np.maximum(np.abs(points).max(0), 1)
    bend = np.where(np.isfinite(points).all(0), bend, np.inf)
    settled = bend <= 1e-4 * np.abs(value) + 1e-6 * size
    return Slopes(value, bend + ROUNDING * size / h, settled, segments[1], segments[2])


def complex_step(f: Callable[[Any], Array]) -> Array:
    """The slopes of f at 0, f being evaluated at ih."""
    return np.imag(f(1j * STEP)) / STEP


def describe(slopes: Slopes, i: int) -> str:
    """Why entry `i` did not settle."""
    left, right = slopes.left[i], slopes.right[i]
    if not np.isfinite([left, right]).all():
        return "the function is not finite on both sides"
    return f"the slope is {left:.6g} on the left and {right:.6g} on the right"
