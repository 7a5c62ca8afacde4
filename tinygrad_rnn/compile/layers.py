"""Layers: what `compile` makes of a recurrent layer, and of a model that holds some.

A compiled layer is the layer itself with another time loop: an instance of a subclass, over the same
parameters. Next: programs.py, which finds the program for a call.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..engine.primitive import mode
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import tensors_in, unroll
from ..nn.module import Module
from ..nn.recurrent import Recurrent
from .guards import Snapshot, is_users, plain_function
from .program import Call, Program, run
from .programs import Programs


class Compiled(Recurrent):
    """What `compile` adds to a layer."""

    __slots__ = ("_programs",)  # beside the attributes, which are shared with the layer
    _programs: Programs

    def unroll(
        self, cell: Cell, data: Tensor, sizes: Sequence[int], state: Any = None, reverse: bool = False
    ) -> tuple[Any, Any]:
        """The time loop: compiled if it can be, else eager."""
        program, now = None, Snapshot(cell)
        data = data if isinstance(data, Tensor) else Tensor(np.asarray(data))
        state = each(lambda s: s if isinstance(s, Tensor) else Tensor(np.asarray(s)), state)
        if mode.interpreter is None and len(sizes) and sizes[-1] and data.dtype.kind != "c":
            program = self._programs.of(cell, data, sizes, state, reverse, now)
        if program is None:
            return unroll(cell, data, sizes, state, reverse)
        if program.early:
            data = cell.project(data)
        leaves = tensors_in(state)
        inputs = [data, *leaves, *(now.tensors[path] for path in program.paths)]
        found = iter(run(Call(program, cell, sizes, reverse, len(leaves[0])), inputs))
        y = each(lambda _: next(found), program.step.y_tree)
        return y, each(lambda _: next(found), program.step.state_tree)

    def _made(self) -> list[Program]:
        return [p for p in list(self._programs.found.values()) if isinstance(p, Program)]

    @property
    def source(self) -> str:
        """The last program that was used (with a backward, if there is one): complete, for NumPy alone."""
        made = self._made()
        if not made:
            raise RuntimeError("source: nothing was compiled yet: call the layer first")
        return ([p for p in made if p.backward] or made)[-1].source

    def save_source(self, path: Any) -> None:
        """Write `source` to a file, `path`, that can be run."""
        Path(path).write_text(self.source, encoding="utf-8")

    def explain(self) -> str:
        """What was compiled, why, how long it took, and the size of each buffer."""
        lines = []
        for key, p in list(self._programs.found.items()):
            if not isinstance(p, Program):
                lines.append(f"eager: {p}")
                continue
            layout = "features first (T, K, B)" if p.last else "packed rows (N, K)"
            way, ms = "forward and backward" if p.backward else "forward", p.seconds * 1000
            proof = " and ".join(
                f"{part} {1000 * s:.0f}" for part, s in zip(("verification", "trial"), p.seconds_of_proof)
            )
            lines.append(
                f"{p.name[1:-1]}: {way}, {layout}, {ms:.0f} ms ({proof}); {self._programs.reasons[key]}"
            )
            for shape, idle in p.memory.idle.items():
                buffers = p.buffers(idle[0]) if idle else {}
                lines += [f"  buffers for {shape}:"] * bool(buffers)
                lines += [
                    f"    {name:12} {a.shape!s:20} {a.dtype}  {a.nbytes:,} bytes"
                    for name, a in buffers.items()
                ]
        return "\n".join(lines) or f"{plain_class(self).__name__}: compiled at the first call"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return compiled_layer, (plain(self), self._programs.fullgraph, self._programs.dynamic)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        whole = copy.deepcopy(plain(self), memo)
        memo[id(self)] = compiled_layer(whole, self._programs.fullgraph, self._programs.dynamic)
        return memo[id(self)]

    def __copy__(self) -> Any:
        return compiled_layer(plain(self), self._programs.fullgraph, self._programs.dynamic)


class CompiledModel(Module):
    """What `compile` adds to a model whose recurrent layers it has compiled."""

    __slots__ = ("_original",)
    _original: Module

    def train(self, mode: bool = True) -> Any:
        """Put the model, and the one that it was made from, into training (or evaluation) mode."""
        super().train(mode)
        original = getattr(self, "_original", None)  # a copy has none
        if original is not None:
            original.train(mode)
        return self

    def explain(self) -> str:
        """Of every recurrent layer, by path: what was compiled, why, how long it took."""
        layers = [(path, m) for path, m in self.named_modules() if isinstance(m, Compiled)]
        return "\n".join(f"{path}: {line}" for path, m in layers for line in m.explain().split("\n"))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return empty_model, (plain_class(self),), dict(vars(self))


def compiled_layer(layer: Recurrent, fullgraph: bool, dynamic: bool) -> Any:
    """Make a twin of a recurrent layer that shares all its attributes; only its time loop is compiled."""
    kind = plain_class(layer)
    if has_own_loop(kind):
        raise TypeError(f"compile: {kind.__name__} has a time loop of its own, `unroll`, which would be lost")
    twin: Any = object.__new__(class_over(Compiled, kind))
    object.__setattr__(twin, "__dict__", vars(layer))  # parameters, hooks and modes are those of the layer
    object.__setattr__(twin, "_programs", Programs(fullgraph, dynamic))
    return twin


def has_own_loop(kind: Any) -> bool:
    """True for a class of a user's with another `unroll`. (Ours, a scan, does what the loop does.)"""
    loop = plain_function(kind.unroll)
    return loop is not None and loop is not unroll and is_users(loop)


def compiled_model(model: Module, fullgraph: bool, dynamic: bool, memo: dict[int, Any]) -> Any:
    """Copy a model, its recurrent layers at any depth compiled; a model without any is returned as it is."""
    if id(model) not in memo:
        if isinstance(model, Recurrent):
            own = has_own_loop(plain_class(model))
            memo[id(model)] = model if own else compiled_layer(model, fullgraph, dynamic)
            return memo[id(model)]
        parts = {name: m for name, m in model._modules.items() if m is not None}
        twins = {name: compiled_model(m, fullgraph, dynamic, memo) for name, m in parts.items()}
        if all(twins[name] is m for name, m in parts.items()):
            memo[id(model)] = model
        else:
            twin: Any = object.__new__(class_over(CompiledModel, plain_class(model)))
            memo[id(model)] = twin
            vars(twin).update(vars(model))
            vars(twin)["_modules"] = {**model._modules, **twins}
            object.__setattr__(twin, "_original", model)
            for name, x in vars(model).items():  # layers that stand in a list, too
                if isinstance(x, (list, tuple)) and any(isinstance(m, Module) for m in x):
                    vars(twin)[name] = type(x)(memo.get(id(m), m) for m in x)
    return memo[id(model)]


_classes: WeakKeyDictionary[type, dict[type, type]] = WeakKeyDictionary()


def class_over(added: type, kind: type) -> type:
    """A subclass of `kind` with what `added` adds: instances are still LSTMs, or whatever they were."""
    known = _classes.setdefault(kind, {})
    if added not in known:
        known[added] = type(
            f"Compiled{kind.__name__}",
            (added, kind),
            {"__doc__": kind.__doc__, "__module__": kind.__module__},
        )
    return known[added]


def plain_class(module: Module) -> type:
    """The class of a module before it was compiled."""
    kind = type(module)
    return kind.__mro__[2] if kind.__mro__[1] in (Compiled, CompiledModel) else kind


def plain(module: Module) -> Any:
    """A compiled module as it was before, over the same parameters."""
    twin: Any = object.__new__(plain_class(module))
    object.__setattr__(twin, "__dict__", vars(module))
    return twin


def empty_model(kind: type) -> Any:
    """A compiled model of a class, whose attributes are yet to be set."""
    return object.__new__(class_over(CompiledModel, kind))
