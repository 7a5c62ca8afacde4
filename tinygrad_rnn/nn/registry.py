"""Attributes that are registered: assigning a parameter or a module puts it where it can be found by name.

Everything registered lives in one of three dictionaries, in order of registration: `_parameters` (what
is trained), `_buffers` (tensors that belong to the state but are not trained), `_modules` (children).
"""

from __future__ import annotations

from typing import Any

from ..engine.tensor import Tensor
from .parameter import Parameter

REGISTRIES = ("_parameters", "_buffers", "_modules")


class Registry:
    """An object whose parameters, buffers and modules are registered under their attribute names.

    A registered name keeps its kind: only a Parameter, or None, replaces a parameter. To put a plain
    tensor in its place, delete it first: `del module.w`.
    """

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _transient: set[str]  # names of the buffers that state_dict() leaves out

    def __init__(self) -> None:
        vars(self).update(_parameters={}, _buffers={}, _modules={}, _transient=set())

    def __getattr__(self, name: str) -> Any:
        """What is registered as `name`; Python asks only when there is no plain attribute."""
        state = self.__dict__
        for registry in REGISTRIES:
            if registry in state and name in state[registry]:
                return state[registry][name]
        hint = "" if "_modules" in state else "; call super().__init__() first"
        message = f"{type(self).__name__!r} object has no attribute {name!r}{hint}"
        raise AttributeError(message, name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._move_in("_parameters", name, value)
        elif isinstance(value, Registry):
            self._move_in("_modules", name, value)
        else:
            for registry in REGISTRIES:
                registered = self.__dict__.get(registry, ())
                if name in registered:
                    self._check_kind(registry, name, value)
                    registered[name] = value
                    return
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for registry in REGISTRIES:
            if name in self.__dict__.get(registry, ()):
                del self.__dict__[registry][name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parameters, *self._buffers, *self._modules]

    def _check_kind(self, registry: str, name: str, value: Any) -> None:
        """A parameter, or a module, can only be replaced by None here, a buffer by a tensor too."""
        if value is None or (registry == "_buffers" and isinstance(value, Tensor)):
            return
        kind = {"_parameters": "Parameter", "_buffers": "Tensor", "_modules": "Module"}[registry]
        raise TypeError(
            f"{type(self).__name__}.{name} is registered: assign a {kind} or None, not "
            f"{type(value).__name__}, or delete it first (del module.{name})"
        )

    def _move_in(self, registry: str, name: str, value: Any) -> None:
        """Register `value` as `name`, and take away what had that name elsewhere."""
        state = self.__dict__
        if registry in state:
            for place in (state, *(state[other] for other in REGISTRIES if other != registry)):
                place.pop(name, None)
            self._transient.discard(name)
        self._register(registry, name, value)

    def _register(self, registry: str, name: str, value: Any) -> None:
        what = type(self).__name__
        if registry not in self.__dict__:
            raise AttributeError(f"{what}: call super().__init__() before registering {name!r}")
        if not isinstance(name, str):
            raise TypeError(f"{what}: a registered name must be a string, got {name!r}")
        if not name or "." in name:
            raise KeyError(f"{what}: a registered name must not be empty or contain a dot, got {name!r}")
        registered = self.__dict__[registry]
        if name not in registered and hasattr(self, name):
            raise KeyError(f"{what} already has an attribute {name!r}; choose another name")
        registered[name] = value

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter (None: there is none under this name, as for `bias=False`)."""
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: {name!r} must be a Parameter or None, got {type(param).__name__}"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(f"register_parameter: {name!r} is the result of an operation; give its detach()")
        self._register("_parameters", name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor to the state that is not trained; `persistent=False` keeps it out of `state_dict`."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: {name!r} must be a Tensor or None, got {type(tensor).__name__}"
            )
        self._register("_buffers", name, tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_module(self, name: str, module: Any) -> None:
        """Add a submodule (None: there is none under this name)."""
        if module is not None and not isinstance(module, Registry):
            raise TypeError(
                f"register_module: {name!r} must be a Module or None, got {type(module).__name__}"
            )
        self._register("_modules", name, module)

    add_module = register_module
