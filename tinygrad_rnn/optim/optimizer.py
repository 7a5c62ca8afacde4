"""Optimizer: groups of parameters, their options, and a state for each parameter.

Symbols, in all files of this folder, in formulas and in code:

    θ  theta    a parameter                  g   the objective's gradient with respect to θ
    t           1 at θ's first update        λ   weight_decay
    m, v        running means of g and g²    ε   eps

Hyperparameters carry PyTorch's names (`lr`, `betas`, `momentum`, ...), and so do the entries of the state,
so that a state dict means the same in both libraries.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import deepcopy
from numbers import Real
from typing import Any

import numpy as np

from ..engine.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]
Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Group]
Closure = Callable[[], Any]

UNSUPPORTED = ("foreach", "fused", "capturable", "differentiable")  # for other devices, or for a graph


class Optimizer:
    """Change parameters so that an objective falls.

    `params`: tensors (a list, a generator, a filter), pairs `(name, tensor)`, or dicts
    `{"params": tensors, option: value, ...}`, each a group with options of its own; an option that a
    group leaves out is taken from `defaults`. `param_groups[i]["lr"] = 0.01` changes an option later.

    A subclass defines `step`. What it has to remember of the parameter `p` goes to the dict `self.state[p]`.
    """

    _called = True  # False: `step` has not run yet (known of the classes of this folder only)

    def __init__(self, params: Params, defaults: Group) -> None:
        self.defaults = defaults
        self.state: defaultdict[Any, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        for group in as_groups(params):
            self.add_param_group(group)

    def step(self, closure: Closure | None = None) -> Any:
        """Update the parameters; return `closure()`, which computes the loss anew, or None without one."""
        raise NotImplementedError(f"{type(self).__name__}: define step(closure=None)")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients or, with `set_to_none=False`, fill them with zeros."""
        for p in self._parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                if p.grad.node is not None:  # made with create_graph=True
                    p.grad = p.grad.detach()
                p.grad.array.fill(0)
                p.grad.bump_version()

    def add_param_group(self, param_group: Group) -> None:
        """Optimize more parameters: `{"params": tensors, option: value, ...}`.

        Raises TypeError for what is no tensor, ValueError for a tensor that is not a leaf, that is here
        already, or for an option out of its range. After an error the optimizer is unchanged.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"a parameter group must be a dict with a key 'params', got {param_group!r:.200}")
        tensors, names = unzip_names(param_group["params"])
        group = {**self.defaults, **param_group, "params": tensors}
        if names:
            group["param_names"] = names
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            raise ValueError("parameter groups: either all of them or none must have names")
        check_parameters(tensors, held=self._parameters())
        self._check_options(group)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """`{"state": {i: state of parameter i}, "param_groups": [options, numbers of the parameters]}`.

        Its tensors are the optimizer's own: save or `deepcopy` them before the next step.
        """
        number: dict[Any, Any] = {}
        for i, p in enumerate(self._parameters()):
            number.setdefault(p, i)
        groups = [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups]
        state = {number.get(p, p): entries for p, entries in self.state.items() if entries}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from `state_dict()`: all options and a copy of the state, in each parameter's dtype.

        Raises ValueError, before anything is changed, if the groups or the shapes differ from ours.
        """
        if not {"param_groups", "state"} <= state_dict.keys():
            raise ValueError(f"load_state_dict: not the state of an optimizer, keys {list(state_dict)[:5]}")
        saved, entries = state_dict["param_groups"], state_dict["state"]
        groups = [self._loaded_group(*pair) for pair in self._matched_groups(saved)]
        numbers = [i for group in saved for i in group["params"]]
        owner: dict[Any, Any] = dict(zip(numbers, self._parameters(), strict=True))
        state = {owner.get(i, i): self._loaded_state(i, owner.get(i), entries[i]) for i in entries}
        self.param_groups = groups
        self.state = defaultdict(dict, state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # --- for subclasses

    def _check_options(self, group: Group) -> None:
        """Raise for an option of `group` that is unsupported; subclasses add the ranges of their own."""
        for name in UNSUPPORTED:
            if group.get(name):
                raise NotImplementedError(f"{name}={group[name]!r} is not supported; leave it out")

    def _fits(self, p: Tensor, value: Tensor) -> bool:
        """Whether `value` can be part of the state of `p`; subclasses know."""
        return True

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    # --- loading

    def _matched_groups(self, saved: list[Group]) -> list[tuple[Group, Group]]:
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved]
        if sizes != saved_sizes:
            raise ValueError(
                f"load_state_dict: the state dict has parameter groups of {saved_sizes} tensors, "
                f"this optimizer has {sizes}; build it from the same parameters, in the same groups"
            )
        return list(zip(self.param_groups, saved, strict=True))

    def _loaded_group(self, group: Group, saved: Group) -> Group:
        missing = [name for name in self.defaults if name not in saved and name not in UNSUPPORTED]
        if missing:
            raise ValueError(f"load_state_dict: options {missing} missing; is it of another optimizer?")
        loaded = {**deepcopy({**saved, "params": None}), "params": group["params"]}
        if "param_names" in group:
            loaded.setdefault("param_names", group["param_names"])
        self._check_options(loaded)
        return loaded

    def _loaded_state(self, number: Any, p: Tensor | None, saved: State) -> State:
        if p is None:  # a subclass keeps something that belongs to no parameter
            return deepcopy(saved)
        state = {name: int(v) if name == "step" else restored(v, p.dtype) for name, v in saved.items()}
        for name, value in state.items():
            if isinstance(value, Tensor) and not self._fits(p, value):
                raise ValueError(
                    f"load_state_dict: {name!r} of parameter {number} has shape {tuple(value.shape)}, "
                    f"the parameter has {tuple(p.shape)}"
                )
        return state


def as_groups(params: Params) -> list[Group]:
    """The groups that the argument `params` of an optimizer stands for."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(
            f"params: expected an iterable of tensors or dicts, got {type(params).__name__}; "
            "for one tensor write [tensor], for a module's write module.parameters()"
        )
    items: list[Any] = list(params)
    if not items:
        raise ValueError("params: an empty parameter list (a generator can be used only once)")
    return items if isinstance(items[0], dict) else [{"params": items}]


def unzip_names(params: Any) -> tuple[list[Any], list[str]]:
    """The tensors and the names (or none) of one tensor, of tensors, or of pairs `(name, tensor)`."""
    if isinstance(params, set):
        raise TypeError("params: a set has no fixed order, and the state is saved by order; use a list")
    items = [params] if isinstance(params, Tensor) else list(params)
    names = [item[0] for item in items if isinstance(item, tuple)]
    if names and len(names) != len(items):
        raise ValueError(f"params: {len(names)} of {len(items)} have a name; name all of them or none")
    return [item[1] if isinstance(item, tuple) else item for item in items], names


def check_parameters(tensors: list[Any], held: list[Tensor]) -> None:
    """Raise unless all are tensors and leaves, and none is already `held`; warn if one comes twice."""
    elsewhere, seen = {id(p) for p in held}, set()
    for i, p in enumerate(tensors):
        if not isinstance(p, Tensor):
            raise TypeError(f"params[{i}]: an optimizer needs tensors, got {type(p).__name__}")
        if not p.is_leaf:
            raise ValueError(f"params[{i}]: not a leaf, an operation made it; optimize what it was made from")
        if id(p) in elsewhere:
            raise ValueError(
                f"params[{i}], of shape {tuple(p.shape)}, is given twice: another group has it already"
            )
        if id(p) in seen:
            message = f"params[{i}], of shape {tuple(p.shape)}, is given twice: each step updates it twice"
            warnings.warn(message, UserWarning, stacklevel=4)
        seen.add(id(p))


def restored(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a copy of a value of a state dict, its arrays and PyTorch's tensors as tensors of `dtype`."""
    if not isinstance(value, Tensor) and callable(getattr(value, "detach", None)):
        value = np.asarray(value.detach().cpu())
    if isinstance(value, (Tensor, np.ndarray)):
        array = value.array if isinstance(value, Tensor) else value
        return Tensor(array.astype(dtype))
    if isinstance(value, (list, tuple)):
        return type(value)(restored(v, dtype) for v in value)
    if isinstance(value, dict):
        return {k: restored(v, dtype) for k, v in value.items()}
    return deepcopy(value)


def non_negative(group: Group, *names: str) -> None:
    """Raise unless all the named options are numbers of at least 0."""
    for name in names:
        check_number(name, group[name], lambda x: x >= 0, "at least 0")


def check_number(name: str, value: Any, accepts: Callable[[Any], bool], wanted: str) -> None:
    """Raise TypeError for what is no number, ValueError for one that is not `wanted`."""
    if isinstance(value, Tensor):
        raise NotImplementedError(f"{name}: a tensor is not supported here; pass a number, such as t.item()")
    if not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
    if not accepts(value):
        raise ValueError(f"{name}={value!r}: must be {wanted}")


def positive(name: str, value: int) -> int:
    """The value, if it is an integer of at least 1."""
    if not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: must be an integer")
    check_number(name, value, lambda n: n >= 1, "at least 1")
    return value
