"""Module: a tree of parameters, buffers and submodules, with a forward pass."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..dtypes import float16, float32, float64
from ..engine.tensor import Tensor
from .hooks import Hooked
from .parameter import Parameter
from .registry import REGISTRIES, Registry
from .state import IncompatibleKeys, load

M = TypeVar("M", bound="Module")


class Module(Registry, Hooked):
    """Base class of everything that has parameters. Subclasses define `__init__` and `forward`.

    >>> import tinygrad_rnn as tg
    >>> from tinygrad_rnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(3, 2)
    ...     def forward(self, x):
    ...         return tg.tanh(self.layer(x))
    >>> net = Net()
    >>> net(tg.zeros(5, 3)).shape
    (5, 2)
    >>> [name for name, _ in net.named_parameters()]
    ['layer.weight', 'layer.bias']
    """

    training: bool
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        super().__init__()
        vars(self)["training"] = True

    # --- what is inside

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """`(path, module)` of this module (path "") and of all below it, parents first, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, _path(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """`(name, module)` of the direct submodules, each once."""
        seen = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        return (child for _, child in self.named_children())

    def _named(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        """`(path, tensor)` of everything in `registry`, here and below."""
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        seen = set()
        for path, module in modules:
            for name, tensor in module.__dict__[registry].items():
                if tensor is not None and id(tensor) not in seen:
                    if remove_duplicate:
                        seen.add(id(tensor))
                    yield _path(path, name), tensor

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """`(path, parameter)`, each parameter once, even if several modules share it."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimizer is given."""
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """`(path, buffer)`, each buffer once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as `encoder.layers.0`; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(
                    f"{type(module).__name__} has no submodule {name!r} (looking for {target!r})"
                )
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as `encoder.weight`."""
        found: Parameter = self._get("_parameters", target)
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as `norm.running_mean`."""
        found: Tensor = self._get("_buffers", target)
        return found

    def _get(self, registry: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if module.__dict__[registry].get(name) is None:
            raise AttributeError(
                f"{type(module).__name__} has no {registry[1:-1]} {name!r} (looking for {target!r})"
            )
        return module.__dict__[registry][name]

    # --- state

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        """`(path, tensor)` of what `state_dict` holds; what several modules share has several paths."""
        for path, module in self.named_modules(remove_duplicate=False):
            tensors: dict[str, Any] = {**module._parameters, **module._buffers}
            for name, tensor in tensors.items():
                if tensor is not None and name not in module._transient:
                    yield _path(path, name), tensor

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by path: without a graph, sharing memory.

        With `keep_vars`, the parameters and buffers themselves.
        """
        state: dict[str, Any] = OrderedDict() if destination is None else destination
        for path, tensor in self._named_state():
            state[prefix + path] = tensor if keep_vars else tensor.detach()
        return state

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values (tensors or arrays) into the parameters and buffers of the same path and shape.

        Raises one RuntimeError that lists every missing, unexpected and misshapen key; then nothing
        has been copied. `strict=False` tolerates missing and unexpected keys and returns them.
        """
        if assign:
            raise NotImplementedError(
                "load_state_dict: assign=True is not supported; values are always copied"
            )
        return load(dict(self._named_state()), state_dict, strict, f"{type(self).__name__}.load_state_dict")

    # --- whole-tree changes

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call `fn` on every submodule, children first, then on this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Set training mode (dropout drops, batch normalisation uses the batch), here and below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: M) -> M:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Ask for the gradients of all parameters, or freeze them."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients, or fill them with zeros."""
        for p in self.parameters():
            if p.grad is not None and not set_to_none:
                p.grad.detach_().zero_()
            elif p.grad is not None:
                p.grad = None

    def _apply(self: M, fn: Callable[[Tensor], Tensor]) -> M:
        """Replace the values of all parameters, gradients and buffers by `fn` of them."""
        for module in self.modules():
            for p in module._parameters.values():
                if p is not None:
                    grad, p.grad = p.grad, None
                    p.data = fn(p.data)
                    p.grad = None if grad is None else fn(grad)
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = fn(buffer)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """All float parameters and buffers in another dtype: `to(float64)` or `to(tensor)`."""
        probe = Tensor(np.zeros(0, "float32")).to(*args, **kwargs)  # reads and checks the arguments
        if not probe.is_floating_point():
            raise TypeError(f"to: a module can only take float dtypes, got {probe.dtype}")
        return self._apply(lambda t: t.to(*args, **kwargs) if t.is_floating_point() else t)

    def float(self: M) -> M:
        """All float parameters and buffers as float32."""
        return self.to(float32)

    def double(self: M) -> M:
        """All float parameters and buffers as float64."""
        return self.to(float64)

    def half(self: M) -> M:
        """All float parameters and buffers as float16."""
        return self.to(float16)

    def type(self: M, dst_type: Any) -> M:
        """All parameters and buffers in the type `dst_type`, by any of its names (see Tensor.type)."""
        return self._apply(lambda t: t.type(dst_type))

    def cpu(self: M) -> M:
        """The module itself: everything is on the processor."""
        return self

    def cuda(self: M, device: Any = None) -> M:
        """Not supported: there is only the processor."""
        raise NotImplementedError("cuda: only the device 'cpu' is supported; ask cuda.is_available() first")

    # --- looks and copies

    def extra_repr(self) -> str:
        """What a subclass wants shown between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        if not self._modules and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        lines = [extra] if extra else []
        lines += self._child_lines()
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}(\n  {body}\n)"

    def _child_lines(self) -> list[str]:
        return [f"({name}): {child!r}" for name, child in self._modules.items()]

    def __copy__(self: M) -> M:
        """A module with the same parameters and submodules, whose attributes can be changed on their own."""
        twin = type(self).__new__(type(self))
        vars(twin).update({k: copy.copy(v) if k in REGISTRIES else v for k, v in vars(self).items()})
        return twin

    def __deepcopy__(self: M, memo: dict[int, Any]) -> M:
        """An independent module of equal values; what is shared inside stays shared inside the copy."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update({k: copy.deepcopy(v, memo) for k, v in vars(self).items()})
        return twin


def _path(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
