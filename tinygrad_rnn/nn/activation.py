"""Activation functions as modules; more about each function is said in functional/activation.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from ..engine.tensor import Tensor
from ..ops import full
from . import functional as F
from .module import Module
from .parameter import Parameter


class Activation(Module):
    """A function of one tensor, together with its settings."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = tuple(settings)
        for name, value in settings.items():
            setattr(self, name, value)

    def forward(self, input: Tensor) -> Tensor:
        """The function of `input`."""
        return self.function(input, *[getattr(self, name) for name in self.settings])

    def extra_repr(self) -> str:
        shown = [name for name in self.settings if name != "inplace" or self.inplace]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)


class Tanh(Activation):
    """tanh x"""

    function = staticmethod(F.tanh)


class Sigmoid(Activation):
    """σ(x) = 1 / (1 + e⁻ˣ)"""

    function = staticmethod(F.sigmoid)


class ReLU(Activation):
    """max(x, 0)"""

    function = staticmethod(F.relu)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class ReLU6(Activation):
    """min(max(x, 0), 6)"""

    function = staticmethod(F.relu6)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class LeakyReLU(Activation):
    """x if x > 0, else negative_slope · x"""

    function = staticmethod(F.leaky_relu)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(negative_slope=negative_slope, inplace=inplace)


class ELU(Activation):
    """x if x > 0, else α (eˣ - 1)"""

    function = staticmethod(F.elu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class SELU(Activation):
    """λ · elu(x, α), which keeps mean 0 and variance 1"""

    function = staticmethod(F.selu)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class CELU(Activation):
    """x if x > 0, else α (e^(x/α) - 1)"""

    function = staticmethod(F.celu)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(alpha=alpha, inplace=inplace)


class GELU(Activation):
    """x Φ(x); approximate="tanh" is a little off and faster"""

    function = staticmethod(F.gelu)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__(approximate=approximate)


class SiLU(Activation):
    """x σ(x)"""

    function = staticmethod(F.silu)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Mish(Activation):
    """x tanh(softplus(x))"""

    function = staticmethod(F.mish)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Softplus(Activation):
    """ln(1 + e^(βx)) / β, and x itself where βx > threshold"""

    function = staticmethod(F.softplus)

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__(beta=beta, threshold=threshold)


class Softsign(Activation):
    """x / (1 + |x|)"""

    function = staticmethod(F.softsign)


class LogSigmoid(Activation):
    """ln σ(x)"""

    function = staticmethod(F.logsigmoid)


class Hardtanh(Activation):
    """x held within [min_val, max_val]"""

    function = staticmethod(F.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(min_val=min_val, max_val=max_val, inplace=inplace)


class Hardsigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6"""

    function = staticmethod(F.hardsigmoid)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Hardswish(Activation):
    """x · hardsigmoid(x)"""

    function = staticmethod(F.hardswish)

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(inplace=inplace)


class Tanhshrink(Activation):
    """x - tanh x"""

    function = staticmethod(F.tanhshrink)


class Threshold(Activation):
    """x if x > threshold, else value"""

    function = staticmethod(F.threshold)

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(threshold=threshold, value=value, inplace=inplace)


class GLU(Activation):
    """a σ(b), a and b the halves of x along `dim`"""

    function = staticmethod(F.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Softmax(Activation):
    """eˣ / Σ eˣ along `dim`"""

    function = staticmethod(F.softmax)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class Softmin(Activation):
    """softmax(-x) along `dim`"""

    function = staticmethod(F.softmin)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class LogSoftmax(Activation):
    """ln softmax(x) along `dim`"""

    function = staticmethod(F.log_softmax)

    def __init__(self, dim: int | None = None) -> None:
        super().__init__(dim=dim)


class PReLU(Activation):
    """x if x > 0, else weight · x; `weight`, one number or one for each channel, starts as `init`."""

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(num_parameters=num_parameters)
        self.weight = Parameter(full((num_parameters,), init, device=device, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        """x if x > 0, else weight · x"""
        return F.prelu(input, self.weight)
