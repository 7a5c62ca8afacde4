"""Writes in place, while a step is traced: a tensor that is written becomes another value.

    y = tg.zeros_like(h)        v1
    top = y[:, :2]              v2 = v1[:, 0:2]             a view of y
    top += a                    v3 = v2 + a                 then, since y shows the same memory,
                                y = cat([v3, v1[:, 2:4]])   and every other view of y is taken anew

Values never change; which value a tensor stands for does. What the step was given (its state, its input, the
cell's tensors) must not be written: whoever gave it would see that. Next: guards.py.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from ..autograd.gradmode import mode
from ..engine.tensor import Storage, Tensor
from ..nn.loop import tensors_in
from ..ops import cast, getitem, permute, put, reshape
from ..ops.aliasing import aliases_of
from .kinds import canonical_index, is_advanced
from .symbols import Symbol, refused

VIEWS = (
    "getitem",
    "reshape",
    "permute",
    "expand",
)  # operations whose results may share memory with their input


class View(NamedTuple):
    """`tensor` was taken from `base` by an operation that shares memory."""

    tensor: Tensor
    base: Tensor
    op: str
    static: dict[str, Any]


class Writes:
    """The views and writes of one trace."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.given: dict[int, tuple[Tensor, str]] = {}  # what must not be written, by what to call it
        self.before: dict[int, tuple[Tensor, dict[str, Any]]] = {}  # tensors that were written, as they were

    def forbid(self, given: dict[str, Any]) -> None:
        """Refuse writes to tensors that were given to the step, alone or as states, by name."""
        for name, state in given.items():
            self.given.update((id(t), (t, name)) for t in tensors_in(state))

    def saw(self, tensor: Tensor, op: str, base: Any, static: dict[str, Any]) -> None:
        """Note a view."""
        if op in VIEWS and isinstance(base, Tensor) and not is_advanced(static.get("index")):
            self.views.append(View(tensor, base, op, static))

    def view_of(self, tensor: Tensor) -> View | None:
        """How a tensor was taken from another, if it was."""
        return next((v for v in self.views if v.tensor is tensor), None)

    def assign(self, tensor: Tensor, index: Any, value: Tensor) -> None:
        """tensor[index] = value; without an index (None), all of it."""
        if index is not None:
            part = self.view_of(value)
            if part is not None and part.base is tensor and same_index(part, index, tensor.shape):
                return  # `x[index] += v` has written to the view already
            value = put(tensor, value, index=index, reuse=False)
        elif value.shape != tensor.shape:
            raise refused(f"in place: a result of shape {value.shape} for a tensor of shape {tensor.shape}")
        if not mode.enabled and (tensor.requires_grad or value.requires_grad):
            raise refused("in place under no_grad, of a tensor with a gradient")
        self.rebind(tensor, cast(value, tensor.dtype))

    def rebind(self, tensor: Tensor, value: Tensor) -> None:
        """Let a tensor, what it is a view of, and all other views of that stand for their new values."""
        chain = [tensor]
        while (view := self.view_of(chain[-1])) is not None:
            chain.append(view.base)
        root = chain[-1]
        if id(root) in self.given:
            raise refused(f"step writes in place to {self.given[id(root)][1]}")
        if len(aliases_of(root.storage)) > 1:
            raise refused("in place: the tensor shares its memory with one that is detached")
        fresh = {id(tensor): value}
        for part, whole in itertools.pairwise(chain):
            fresh[id(whole)] = self.with_part(part, whole, fresh[id(part)])
        for view in self.views:  # in the order in which they were taken: bases come first
            if id(view.base) in fresh and id(view.tensor) not in fresh:
                fresh[id(view.tensor)] = self.taken(view, fresh[id(view.base)])
        tensors = {id(t): t for t in [*chain, *(v.tensor for v in self.views)] if id(t) in fresh}
        for key, t in tensors.items():
            self.become(t, fresh[key])

    def with_part(self, part: Tensor, whole: Tensor, value: Tensor) -> Tensor:
        """The new value of `whole`, of which `part` shows a part that is now `value`."""
        view = self.view_of(part)
        assert view is not None
        if view.op == "getitem":
            return put(whole, value, index=view.static["index"], reuse=False)
        if view.op == "reshape":
            return reshape(value, *whole.shape)
        if view.op == "permute":
            return permute(value, *(int(i) for i in np.argsort(view.static["axes"])))
        raise refused("in place: an expanded tensor shows one number several times; change a clone()")

    def taken(self, view: View, base: Tensor) -> Tensor:
        """A view, taken anew from what its base is now."""
        if view.op == "getitem":
            return getitem(base, index=view.static["index"])
        if view.op == "reshape":
            return reshape(base, *view.static["shape"])
        if view.op == "permute":
            return permute(base, *view.static["axes"])
        return base.expand(*view.static["shape"])

    def become(self, tensor: Tensor, value: Tensor) -> None:
        """Let a tensor stand for a value. (It may be one from outside: `restore` gives that back.)"""
        self.before.setdefault(id(tensor), (tensor, dict(vars(tensor))))
        tensor.array, tensor.storage = value.array, Storage()
        tensor.node, tensor._requires_grad = value.node, value._requires_grad

    def restore(self) -> None:
        """Leave every tensor that was written as it was before the step."""
        for tensor, attributes in self.before.values():
            if not isinstance(attributes["array"], Symbol):
                vars(tensor).clear()
                vars(tensor).update(attributes)


def same_index(view: View, index: Any, shape: tuple[int, ...]) -> bool:
    """True if a view shows just what an index names."""
    if view.op != "getitem":
        return False
    return repr(canonical_index(view.static["index"], shape)) == repr(canonical_index(index, shape))
