"""A line search for the strong Wolfe conditions: how far to go along a direction of descent.

With φ(t) = f(x + t d), a step t is long enough and not too long if (Nocedal & Wright 2006, "Numerical
optimization", equation 3.7)

    φ(t) ≤ φ(0) + c1 t φ'(0)        f falls in proportion to the step
    |φ'(t)| ≤ c2 |φ'(0)|            the slope is nearly gone

Algorithm 3.5 walks outwards until such a t is found or enclosed, algorithm 3.6 (zoom) shrinks the enclosure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..engine.tensor import Array

C1, C2 = 1e-4, 0.9  # Nocedal & Wright's choice for quasi-Newton directions


class Point(NamedTuple):
    """A point of the line: t, the objective f there, its gradient g and the slope φ'(t) = gᵀd."""

    t: float
    f: float
    g: Array
    slope: float


class Line:
    """φ, with a count of its evaluations. `start` is the point t = 0, `reach` the largest |dᵢ|."""

    def __init__(self, phi: Callable[[float], Point], start: Point, reach: float, max_evals: int) -> None:
        self.phi, self.start, self.reach = phi, start, reach
        self.left = max_evals + 1

    def at(self, t: float) -> Point:
        """The objective and its slope at step t; one evaluation fewer is left."""
        self.left -= 1
        return self.phi(t)

    def falls(self, p: Point) -> bool:
        """The first condition. False if f is not a number: the step went too far."""
        return p.f <= self.start.f + C1 * p.t * self.start.slope

    def is_flat(self, p: Point) -> bool:
        """The second condition."""
        return abs(p.slope) <= -C2 * self.start.slope


def strong_wolfe(line: Line, t: float, tolerance: float) -> Point:
    """A point that meets both conditions; else, when evaluations or room run out, the lowest point known.

    Algorithm 3.5; the first trial is `t`. `tolerance` ends the zoom when no θᵢ would change by more.
    """
    before, p = line.start, line.at(t)
    trials = 1
    while line.left:
        if not line.falls(p) or (trials > 2 and p.f >= before.f):  # as PyTorch; 3.5 has trials > 1
            return zoom(line, before, p, tolerance)
        if line.is_flat(p):
            return p
        if p.slope >= 0:
            return zoom(line, before, p, tolerance)
        t = cubic_minimum(before, p, p.t + 0.01 * (p.t - before.t), 10 * p.t)
        before, p = p, line.at(t)
        trials += 1
    return p if p.f < line.start.f else line.start


def zoom(line: Line, a: Point, b: Point, tolerance: float) -> Point:
    """Algorithm 3.6: between a and b there is a step that meets both conditions; `low` is the best so far."""
    low, high = (b, a) if b.f < a.f else (a, b)
    near_end = False
    while line.left and abs(high.t - low.t) * line.reach >= tolerance:
        left, right = sorted((low.t, high.t))
        t, near_end = kept_away(cubic_minimum(low, high, left, right), left, right, near_end)
        p = line.at(t)
        if not line.falls(p) or p.f >= low.f:
            low, high = (p, low) if p.f < low.f else (low, p)
            continue
        if line.is_flat(p):
            return p
        if p.slope * (high.t - low.t) >= 0:
            high = low
        low = p
    return low


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic with the values and slopes of a and b is least, within bounds (equation 3.59).

    The middle of the bounds if there is no such place, or a value is not finite.
    """
    if a.t > b.t:
        a, b = b, a
    if a.t < b.t:
        d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
        d2 = math.sqrt(max(square, 0)) if (square := d1 * d1 - a.slope * b.slope) >= 0 else math.nan
        curvature = b.slope - a.slope + 2 * d2
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / curvature) if curvature else math.nan
        if math.isfinite(t):
            return min(max(t, least), most)
    return (least + most) / 2


def kept_away(t: float, left: float, right: float, near_end: bool) -> tuple[float, bool]:
    """t, moved to a tenth of the interval from its nearer end if it was close to an end twice, or is on it.

    Without this a zoom can creep along one end. Also returned: whether t is now close, once.
    """
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if near_end or not left < t < right:
        return (right - margin if right - t < t - left else left + margin), False
    return t, True
