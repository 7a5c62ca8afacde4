"""Members: what a cell consists of, and so what its program depends on.

    members(cell)         {"weight_hh": …, "inner.0.bias": …}      its tensors: arguments of the program
    plain_state(cell)     (GRUCell, (("hidden_size", 5), …), …)    all else: part of the key of a program
    twin_of(cell, …)      the same cell over symbols in place of tensors, to be traced

Next: trace.py.
"""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from ..nn.module import Module

PLAIN = (bool, int, float, str, type(None))
BOOKS = vars(Module()).keys() - {"training"}  # what every module keeps for itself


def plain_state(module: Module) -> Any:
    """The attributes of a cell and its parts that are no tensors: what `step` may branch on, or call."""
    own = []
    for name, x in vars(module).items():
        if name in BOOKS:
            continue
        if isinstance(x, (list, set, dict)):
            inside = [*x, *x.values()] if isinstance(x, dict) else x
            own.append((name, repr(x) if all(isinstance(i, PLAIN) for i in inside) else None))
        elif x.__class__.__hash__ is not None and not isinstance(x, (Tensor, Module)):
            own.append((name, x))
    return type(module), tuple(own), tuple(plain_state(m) for m in module._modules.values() if m is not None)


def members(module: Module, prefix: str = "") -> dict[str, Tensor]:
    """All tensors that a cell has, by path: parameters, buffers, plain attributes and lists of them."""
    found = {}
    for source in (vars(module), module._parameters, module._buffers):
        for name, x in source.items():
            if isinstance(x, Tensor):
                found[prefix + name] = x
            elif isinstance(x, (list, tuple)):
                found.update({f"{prefix}{name}.{i}": y for i, y in enumerate(x) if isinstance(y, Tensor)})
    for name, child in module._modules.items():
        if child is not None:
            found.update(members(child, f"{prefix}{name}."))
    return found


def twin_of(module: Any, tensors: dict[int, Tensor], memo: dict[int, Any]) -> Any:
    """The same module over other tensors, so that nothing that `step` does is seen outside."""
    if isinstance(module, Tensor):
        return tensors.get(id(module), module)
    if isinstance(module, dict):
        return type(module)((k, twin_of(v, tensors, memo)) for k, v in module.items())
    if isinstance(module, (list, tuple)) and not hasattr(module, "_fields"):
        return type(module)(twin_of(v, tensors, memo) for v in module)
    if not isinstance(module, Module):
        return module
    if id(module) not in memo:
        memo[id(module)] = twin = type(module).__new__(type(module))
        vars(twin).update({k: twin_of(v, tensors, memo) for k, v in vars(module).items()})
    return memo[id(module)]
