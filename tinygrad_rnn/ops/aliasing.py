"""Aliasing: views, storages, and what a write in place does to them.

Tensors on one storage see each other's writes. Three cases:

1. No graph on either side: the memory itself is written, and the storage's version goes up. A node that saved
   the old values refuses to run backward.

       x ──┐
           ├── storage: 1 2 3 4         x[0] = 9         storage: 9 2 3 4, version + 1
       v ──┘   (v = x[:2])                               x and v both show 9

2. A graph, and no other tensor shows the storage: x is rebound to the output of `put`. Nodes that saved the
   old array keep it. (If nothing saved it, the array is reused, and filling x costs no copies.)

       x ── storage, node n             x[0] = w         x ── new storage, node put(n, w)

3. A graph, and views: every alias is rebound to one new storage with the same layout, and its node says how
   its elements follow from what was written.

       x ──┐                                             x ──┐ put(n, w)
           ├── storage, nodes n, n'     x[0] = w             ├── new storage
       v ──┘                                             v ──┘ getitem(put(n, w)), if v shows written elements

Aliases with the same `graph_id` share autograd history; detach() gives a new id; UNRECORDED marks views made
under no_grad, through which no gradient can pass.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from .. import dtypes
from ..autograd.hooks import hooks_of, take_retaining
from ..engine.derivatives import getitem, is_advanced, item_at, put, reshape
from ..engine.primitive import mode, refused
from ..engine.tensor import Array, Storage, Tensor, method, next_sequence_number
from .inputs import cast, plain_index, tensor_of

UNRECORDED = "made under no_grad"
Tensor.graph_id = None  # see above

# --- the tensors on one storage


class Aliases(list["ref[Tensor]"]):
    """Weak references to the tensors that show one storage; `room`: how many before dead ones are pruned."""

    room = 8


def add_alias(alias: Tensor, source: Tensor) -> None:
    """Put `alias` on the storage of `source`, which from now on knows both."""
    storage = alias.storage = source.storage
    aliases = storage.aliases
    if aliases is None:
        storage.aliases, storage.shared = Aliases([ref(source), ref(alias)]), True
    elif len(aliases) < aliases.room:
        aliases.append(ref(alias))
    else:
        aliases[:] = [*(r for r in aliases if r() is not None), ref(alias)]
        aliases.room = 2 * len(aliases) + 8


def aliases_of(storage: Storage) -> list[Tensor]:
    """The living tensors on a storage, if there are several."""
    if storage.aliases is None:
        return []
    found = [alias() for alias in storage.aliases]
    return list(dict.fromkeys(t for t in found if t is not None and t.storage is storage))


@method("_share_storage")
def share_storage(out: Tensor, source: Any) -> None:
    """Put `out`, whose array has a base, on the storage of `source`, unless NumPy copied on the way."""
    base = out.array.base
    if isinstance(source, Tensor) and (base is source.array or base is source.array.base):
        if source._requires_grad and not mode.enabled:
            out.graph_id = UNRECORDED
        elif source.graph_id is not None:
            out.graph_id = source.graph_id
        add_alias(out, source)
    else:
        out.storage = Storage()


@method()
def bump_version(self: Tensor) -> None:
    """Note that the memory was written: a graph that still needs the old values will refuse to run."""
    self.storage.version = next_sequence_number()


@method()
def detach(self: Tensor) -> Tensor:
    """The same memory, without the graph."""
    twin = Tensor(self.array)
    twin.graph_id = object()
    add_alias(twin, self)
    return twin


@method()
def detach_(self: Tensor) -> Tensor:
    """Forget how this tensor was made; returns itself."""
    self.node, self._requires_grad = None, False
    return self


def _set_data(self: Tensor, value: Tensor) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
    self.array = value.array
    if value.storage is not self.storage:
        self.graph_id = object()
        add_alias(self, value)


Tensor.data = property(  # type: ignore[assignment, method-assign]
    detach, _set_data, doc="The same memory, without the graph; assigning replaces the values' array."
)


# --- writes in place


def refuse_leaf(tensor: Tensor) -> None:
    """Raise if `tensor` is a leaf that requires a gradient, and operations are recorded."""
    if mode.enabled and tensor.requires_grad and tensor.node is None:
        raise RuntimeError(
            "in place: the tensor is a leaf that requires a gradient; change a clone(), or use no_grad()"
        )


def write(tensor: Tensor, values: Tensor) -> Tensor:
    """Give `tensor` new values of its shape: into its memory, or, with a graph, as its new history."""
    refuse_leaf(tensor)
    if values.shape != tensor.shape or dtypes.category(values.dtype) > dtypes.category(tensor.dtype):
        given, held = (f"{x.dtype} of shape {x.shape}" for x in (values, tensor))
        raise RuntimeError(f"in place: a result, {given}, does not fit into the tensor, {held}")
    if hasattr(mode.interpreter, "assign"):  # a trace (compile/) has its own way to write
        mode.interpreter.assign(tensor, None, values)
    elif mode.enabled and (tensor.requires_grad or values.requires_grad):
        rebind_aliases(tensor, cast(values, tensor.dtype))
    else:
        np.copyto(tensor.array, values.array, casting="unsafe")
        tensor.bump_version()
    return tensor


def rearrange(tensor: Tensor, result: Tensor) -> Tensor:
    """Let `tensor` show its own memory in the shape of `result`, a view of it."""
    refuse_leaf(tensor)
    tensor.array = result.array  # the storage stays: this is still its tensor
    if tensor.node is not None:
        tensor.node = result.node
    return tensor


@method("__setitem__")
def assign(input: Tensor, index: Any, value: Any) -> None:
    """input[index] = value, differentiably: the tensor becomes the output of `put`, and every view of it sees
    that; earlier uses keep the old values. Without a graph on either side the memory itself is written.
    """
    index = plain_index(index, input.shape)
    value = tensor_of("x[index] = value", value, input.dtype)
    if hasattr(mode.interpreter, "assign"):  # a trace (compile/) has its own way to write
        mode.interpreter.assign(input, index, value)
        return
    if mode.enabled and (input.requires_grad or value.requires_grad):
        refuse_leaf(input)
        if _is_part(value, input, index):
            return
        extra = value.ndim - input.array[index].ndim  # NumPy passes over leading dimensions of size 1
        value = reshape(value, shape=value.shape[extra:]) if extra > 0 else value
        reuse = not input.storage.shared and input.array.base is None  # no alias, nothing saved
        rebind_aliases(input, put(input, value, index=index, reuse=reuse))
        return
    numbers = value.array
    if is_advanced(index) and np.may_share_memory(input.array, numbers):
        numbers = numbers.copy()  # NumPy does so itself for slices only
    try:
        input.array[index] = numbers
    except (ValueError, IndexError) as error:
        raise refused("x[index] = value", (input.array, value.array), error) from None
    input.bump_version()


def _is_part(value: Tensor, input: Tensor, index: Any) -> bool:
    """True if `value` is input[index] itself, as it is after `x[index] += v` has changed that."""
    kin = value.storage is input.storage and value.graph_id is input.graph_id and value.node is not None
    if not kin or is_advanced(index):
        return False
    part, shown = item_at(input.array, index=index), value.array
    steps = [[step for n, step in zip(a.shape, a.strides) if n > 1] for a in (part, shown)]
    return part.shape == shown.shape and part.ctypes.data == shown.ctypes.data and steps[0] == steps[1]


# --- rebinding tensors to a recorded result


def rebind(tensor: Tensor, result: Tensor) -> None:
    """Rebind `tensor` to `result` (array, storage, node): the form of a recorded write without views."""
    retaining = take_retaining(tensor.node)
    tensor.array, tensor.storage = result.array, result.storage
    tensor.node, tensor._requires_grad = result.node, result._requires_grad
    if tensor.storage.aliases is not None:
        add_alias(tensor, result)
    if retaining is not None:
        hooks_of(tensor.node).retaining = retaining


def rebind_aliases(tensor: Tensor, result: Tensor) -> None:
    """Rebind `tensor` to a recorded `result`, and every living alias to a new storage of the same layout.

    Nodes that saved the old values keep them.
    """
    if tensor.graph_id is UNRECORDED:
        raise RuntimeError("in place: a view made under no_grad cannot pass a gradient; make it outside")
    array = tensor.array
    if array.size and any(n > 1 and stride == 0 for n, stride in zip(array.shape, array.strides)):
        raise RuntimeError("in place: an expanded tensor shows one number several times; change a clone()")
    others = [t for t in aliases_of(tensor.storage) if t is not tensor]
    if not others or not array.size:
        rebind(tensor, result)
        return
    new = AliasLayout([array, *(t.array for t in others)])
    new.views[0][...] = result.array
    new.show(new.numbers, array)[...] = np.arange(array.size).reshape(array.shape)
    written, storage = reshape(result, shape=-1), Storage()
    after = [result, *(_rewritten(t, written, new) if t.graph_id is tensor.graph_id else t for t in others)]
    for t, now, shown in zip([tensor, *others], after, new.views):
        shown.flags.writeable = t.array.flags.writeable
        rebind(t, now)
        t.array, t.storage = shown, storage
    storage.aliases, storage.shared = Aliases(map(ref, [tensor, *others])), True


def _rewritten(tensor: Tensor, written: Tensor, new: AliasLayout) -> Tensor:
    """`tensor` with those elements of `written` that it shows."""
    numbers = new.show(new.numbers, tensor.array)
    hit = np.asarray(numbers >= 0)
    if not hit.any():
        return tensor
    refuse_leaf(tensor)
    if hit.all():
        return getitem(written, index=numbers)
    return put(tensor, getitem(written, index=numbers[hit]), index=hit, reuse=False)


class AliasLayout:
    """A new buffer spanning the bytes that overlapping views cover, and one like it to number elements in."""

    def __init__(self, arrays: list[Array]) -> None:
        bounds = [np.lib.array_utils.byte_bounds(a) for a in arrays if a.size]
        self.low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
        size = (high - self.low) // arrays[0].itemsize
        self.values, self.numbers = np.empty(size, arrays[0].dtype), np.full(size, -1)
        self.views = [self.show(self.values, a) for a in arrays]
        for view, a in zip(self.views, arrays):
            view[...] = a

    def show(self, buffer: Array, a: Array) -> Array:
        """The part of `buffer` (values or numbers) that stands for what `a` shows."""
        if not a.size:
            return buffer[:0].reshape(a.shape)
        steps = (a.ctypes.data - self.low, *a.strides)
        if any(n % a.itemsize for n in steps):
            raise RuntimeError("in place: numbers that are no whole steps apart in memory; change a clone()")
        start, *strides = (n // a.itemsize * buffer.itemsize for n in steps)
        return np.ndarray(a.shape, buffer.dtype, buffer, start, strides)
