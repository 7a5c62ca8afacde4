"""The base of all distributions: shapes, checks, and what follows from `log_prob` and `rsample`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..autograd import no_grad
from ..dtypes import FLOATS
from ..engine.tensor import Tensor
from ..ops import exp, sqrt
from ..ops.conversion import Size
from ..ops.inputs import matched
from .constraints import Constraint

D = TypeVar("D", bound="Distribution")


class Distribution:
    """Base class. Subclasses give parameters to `__init__`, and define `log_prob` and `sample` or `rsample`.

    Args:
        parameters: tensors, by the names that `arg_constraints` has.
        batch_shape: of distributions side by side.
        event_shape: of one draw.
        validate_args: check parameters now, and values later; None is the default, on.
    """

    has_rsample: bool = False
    has_enumerate_support: bool = False
    arg_constraints: ClassVar[Mapping[str, Constraint]] = MappingProxyType({})
    parameter_dims: ClassVar[int] = 0  # dimensions of a parameter that are not the batch's
    _validate_args = __debug__

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        batch_shape: Sequence[int],
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ) -> None:
        vars(self).update(parameters)
        self._names = tuple(parameters)
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        """Raise for a parameter that breaks its constraint."""
        for name in self._names:
            constraint, values = self.arg_constraints[name], getattr(self, name).array
            if not constraint.check(values.real).all():
                raise ValueError(
                    f"{type(self).__name__}: {name} (shape {values.shape}) must be {constraint.text}, "
                    f"got {values}"
                )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Check arguments from now on, or do not, where `validate_args` is not given."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: value must be True or False, got {value!r}")
        Distribution._validate_args = value

    # --- shapes

    @property
    def batch_shape(self) -> Size:
        """The shape of distributions side by side."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def expand(self: D, batch_shape: Sequence[int]) -> D:
        """The same distribution, its parameters expanded to another batch shape."""
        grown = {}
        for name in self._names:
            p = getattr(self, name)
            grown[name] = p.expand(*batch_shape, *p.shape[p.ndim - self.parameter_dims :])
        new = type(self)(**grown, validate_args=False)
        new._validate_args = self._validate_args
        return new

    # --- numbers

    @property
    def support(self) -> Constraint:
        """Values that can be drawn."""
        raise self._missing("support")

    @property
    def mean(self) -> Tensor:
        """E x: batch_shape + event_shape."""
        raise self._missing("mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value: batch_shape + event_shape."""
        raise self._missing("mode")

    @property
    def variance(self) -> Tensor:
        """E (x - mean)²: batch_shape + event_shape."""
        raise self._missing("variance")

    @property
    def stddev(self) -> Tensor:
        """√variance"""
        return sqrt(self.variance)

    def entropy(self) -> Tensor:
        """-E ln p(x): batch_shape."""
        raise self._missing("entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)"""
        return exp(self.entropy())

    # --- of values

    def log_prob(self, value: Tensor) -> Tensor:
        """ln p(value), for a value (*, *batch_shape, *event_shape): (*, *batch_shape)."""
        raise self._missing("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """P(x ≤ value)"""
        raise self._missing("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The x with cdf(x) = value."""
        raise self._missing("icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values a draw can have, along a new first dimension."""
        raise self._missing("enumerate_support")

    # --- draws

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws of shape sample_shape + batch_shape + event_shape, without a gradient."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Draws through which a gradient reaches the parameters."""
        raise self._missing("rsample")

    # --- checks and looks

    def _missing(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__}: {what} is not defined")

    def _validate_sample(self, value: Any) -> None:
        """Raise for a value that this distribution cannot have drawn, if arguments are checked."""
        if not self._validate_args:
            return
        name, mine = type(self).__name__, self._extended_shape()
        if not isinstance(value, Tensor):
            raise ValueError(f"{name}: the value must be a tensor, got {type(value).__name__}")
        shape, events = value.shape, len(self._event_shape)
        fits = all(m == 1 or n == 1 or m == n for m, n in zip(shape[::-1], mine[::-1]))
        if shape[len(shape) - events :] != self._event_shape or not fits:
            raise ValueError(
                f"{name}: a value of shape {shape} does not fit batch_shape {tuple(self._batch_shape)} and "
                f"event_shape {tuple(self._event_shape)}"
            )
        support = self.support
        if not np.all(support.check(value.array.real)):
            raise ValueError(f"{name}: a value must be {support.text}, got {value.array}")

    def __repr__(self) -> str:
        named = ((name, getattr(self, name)) for name in self._names)
        shown = (f"{name}: {p.item() if p.ndim == 0 else p.shape}" for name, p in named)
        return f"{type(self).__name__}({', '.join(shown)})"


def broadcast_all(name: str, *values: Any) -> list[Tensor]:
    """Tensors and numbers as tensors of one shape and one float dtype."""
    xs = matched(name, *values, kinds=FLOATS)
    try:
        shape = np.broadcast_shapes(*(x.shape for x in xs))
    except ValueError:
        shapes = " and ".join(str(x.shape) for x in xs)
        raise ValueError(f"{name}: parameters of shapes {shapes} do not broadcast") from None
    return [x if x.shape == shape else x.expand(shape) for x in xs]


def sum_last(x: Tensor, count: int) -> Tensor:
    """`x` summed over its last `count` dimensions."""
    return x.sum(tuple(range(-count, 0))) if count else x
