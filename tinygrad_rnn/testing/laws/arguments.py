"""What `check_op` and `check_module` are given: arguments, nested too; and how the call is written again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ..probe import name_of
from ..report import code, is_its_name


def mapped(f: Callable[[str, Any], Any], place: str, value: Any) -> Any:
    """`f(place, part)` for every part of nested tuples, lists and dictionaries, in the same form."""
    if isinstance(value, Mapping):
        return {key: mapped(f, f"{place}[{key!r}]", part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        parts = [mapped(f, f"{place}[{i}]", part) for i, part in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return f(place, value)


def each_argument(f: Callable[[str, Any], Any], arguments: Sequence[Any]) -> list[Any]:
    """`mapped`, for every one of some arguments."""
    return [mapped(f, f"argument {i}", x) for i, x in enumerate(arguments)]


def named_tensors(arguments: Sequence[Any]) -> dict[str, Tensor]:
    """The tensors in arguments, under the places where they stand."""
    found: dict[str, Tensor] = {}
    each_argument(lambda place, x: found.update({place: x}) if isinstance(x, Tensor) else None, arguments)
    return found


def arrays_of(who: str, example: Any) -> list[Any]:
    """The arguments of an example, with arrays for tensors and NumPy's scalars; a TypeError in `who` for
    those that no derivative can be checked of.
    """
    if not isinstance(example, (list, tuple)):
        raise TypeError(
            f"{who}: each example is a list of arguments, got {name_of(example)}; pass [x] for one argument"
        )

    def made(place: str, x: Any) -> Any:
        if not isinstance(x, (np.ndarray, np.generic, Tensor)):
            return x
        array = np.array(x.array if isinstance(x, Tensor) else x)
        if array.dtype.kind == "f" and array.dtype != np.float64:
            raise TypeError(
                f"{who}: {place} is {array.dtype}, of shape {array.shape}; pass float64, in which "
                "derivatives can be checked"
            )
        return array

    return each_argument(made, example)


def options_told(check: Any, options: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    """Keyword arguments in code: the `options` that are not the defaults of `check`, and all `others`."""
    changed = {name: x for name, x in options.items() if x != check.__kwdefaults__[name]}
    return "".join(f", {name}={code(x)}" for name, x in {**changed, **others}.items())


def spelled(**functions: Any) -> tuple[dict[str, str], str]:
    """What to call functions in code: by their own names or, if these are no code or ambiguous, by the given
    ones; and a comment on what is then meant.
    """
    names = {role: name_of(f) for role, f in functions.items()}
    own = len(set(names.values())) == len(names)
    used = {role: names[role] if own and is_its_name(f) else role for role, f in functions.items()}
    meant = ", ".join(f"{role}: {names[role]}" for role in names if used[role] != names[role])
    return used, f"  # {meant}" if meant else ""
