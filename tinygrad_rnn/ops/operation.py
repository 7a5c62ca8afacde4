"""`@operation`: publishes a function under all its names, in the place where it is defined.

    @operation(method=True, in_place=True, numpy=np.tril)
    def tril(input: Tensor, diagonal: int = 0) -> Tensor: ...

makes `tinygrad_rnn.tril(x)`, `x.tril()`, `x.tril_()` and `np.tril(x)`. From what is registered here
`tools/names.py` writes the imports of the packages, and the stub for type checkers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..engine.tensor import Tensor, method
from .aliasing import write
from .inputs import LEFT_OUT, accepting, named, refuse

F = TypeVar("F", bound=Callable[..., Any])

OPERATIONS: dict[str, Callable[..., Any]] = {}  # every operation that users call as a function, by name
ALIASES: dict[str, str] = {}  # second name: first name
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # NumPy's function: ours (protocol.py)


def operation(
    *,
    method: bool = False,
    in_place: bool | Callable[[Tensor, Tensor], Tensor] = False,
    numpy: Any = (),
    aliases: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Publish a function as an operation that takes arguments as PyTorch does: see `accepting`.

    `method`: it is a method of tensors too. `in_place`: so is `name_`, which gives the result to its first
    argument by `write`, or by the function that is passed. `numpy`: the NumPy function (or a tuple of
    several) that calls it when it is given tensors. `aliases`: other names that PyTorch has for it.
    """

    def publish(f: F) -> F:
        called = accepting(f)
        register(called, method, in_place, numpy, aliases)
        return called

    return publish


def register(
    f: Callable[..., Any], as_method: bool, in_place: Any = False, numpy: Any = (), aliases: Any = ()
) -> None:
    """Put an operation under all its names."""
    names = (f.__name__, *aliases)
    OPERATIONS[f.__name__] = f
    ALIASES.update(dict.fromkeys(aliases, f.__name__))
    FUNCTIONS.update(dict.fromkeys(numpy if isinstance(numpy, tuple) else (numpy,), f))
    if as_method:
        method(*names)(f)
    if in_place:
        finish = write if in_place is True else in_place
        method(*(f"{name}_" for name in names))(in_place_form(f, finish))


def in_place_form(f: Callable[..., Tensor], finish: Callable[[Tensor, Tensor], Tensor]) -> Any:
    """`x.f_(…)`, which gives the result of f(x, …) to x."""
    name = f.__name__

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if kwargs:
            refuse(name, LEFT_OUT & kwargs.keys())
        return finish(self, f(self, *args, **kwargs))

    return named(f"{name}_", in_place, f"`{name}`, in place.")
