"""compile: an ordinary cell goes in, a NumPy program comes out that a person can read.

    lstm = tinygrad_rnn.compile(tinygrad_rnn.nn.LSTM(64, 128))
    ys, (h, c) = lstm(xs)               the same call, the same parameters, the same results
    print(lstm.source)                  the program: backpropagation through time, written out

What becomes of the lines of `GRUCell.step`, and where (read the files in this order):

    n = tanh(a_n + r * h_n)             a line of a cell

    symbols.py     arrays without values                h_n: Symbol (13, 5)
    kinds.py       which operations keep rows apart     r * h_n may be compiled, h - h.mean(0) may not
    recorder.py    operations on symbols, noted         u = mul(r, h_n);  v = add(a_n, u);  n = tanh(v)
    members.py     what a cell consists of              its weights become arguments of the program
    trace.py       the engine's backward, noted too     d_v = mul(d_n, 1 - n * n);  d_r = mul(d_v, h_n)
    fission.py     out of the loop what need not wait   1 - n * n for all steps at once, d_W = d_aᵀ h after it
    spots.py       places in memory                     a[:, 10:15]
    storage.py     which value lives where              n is written over its slice of a
    numpy_text.py  operations as text                   add({0}, {1}, out={2})
    lines.py       neighbouring calls made one          sigmoid(r_z, out=r_z)
    operands.py    names and places as text             a[:, 10:15] in the loop is n
    statements.py  parts and loops as text              for h, r, n, … in w.forward_steps: tanh(n, out=n)
    emit.py        the whole source                     def forward(w, x, h0, …), def backward(w, d_y, …)
    demo.py        a check that comes with it           python the_source.py
    program.py     the source, run                      one node of an eager graph
"""

from __future__ import annotations

import copy
import itertools
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..autograd.gradmode import mode
from ..nn.cells import Cell, each
from ..nn.loop import tensors_in, unroll
from ..nn.module import Module
from ..nn.recurrent import Recurrent
from ..tensor import Tensor
from .guards import Snapshot
from .noise import projected
from .program import Call, Program, run
from .symbols import Untraceable
from .trial import Disagrees
from .verifier import Unproven

__all__ = ["compile"]

PACKAGE = str(Path(__file__).parent.parent)
PROGRAMS = 16  # how many a compiled layer keeps


def compile(
    model: Module,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str = "inductor",
    mode: str | None = None,
    options: Any = None,
    disable: bool = False,
) -> Any:
    """Compile the recurrent layers of `model`: the same parameters, call and results, but faster.

    model: RNN, LSTM, GRU, Recurrent, a single Cell (which becomes `Recurrent(cell)`), or any module that
    holds such layers: then a copy of it whose recurrent layers are compiled, over the same parameters, with
    the same state_dict.
    fullgraph: True makes a RuntimeError of what cannot be compiled; by default it runs eagerly, after one
    warning that names the operation.
    dynamic: True makes one program for batches of every size (packed rows, slower for dense batches); by
    default each size has its own. The number of steps is free in any case.
    backend: "inductor", PyTorch's default, stands for the only one, a NumPy program; "eager" gives the
    model back as it is, and so does `disable=True`.
    mode: None or "default". Other modes and backends, and `options`, raise NotImplementedError.

    After the first call, `source`, `save_source(path)` and `explain()` of a compiled layer show what was
    made; `explain()` of a compiled model lists its layers, also before. Before its first use a program is
    proved against the traced step and tried against the eager one; if it fails, the layer runs eagerly,
    with a warning.

    >>> import tinygrad_rnn as tg
    >>> gru = tg.compile(tg.nn.GRU(3, 5))
    >>> ys, h = gru(tg.randn(7, 4, 3))
    >>> ys.shape, h.shape
    ((7, 4, 5), (1, 4, 5))
    """
    refuse_options(dynamic, backend, mode, options)
    if not isinstance(model, Module):
        kind = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(f"compile: expected a module or a Cell, got {kind}; make the module first")
    if disable or backend == "eager":
        return model
    if isinstance(model, Cell):
        model = Recurrent(model)
    if isinstance(model, Recurrent):
        return compiled_layer(model, fullgraph, bool(dynamic))
    twin = compiled_model(model, fullgraph, bool(dynamic), {})
    if twin is model:
        raise TypeError(
            f"compile: {type(model).__name__} holds no RNN, LSTM, GRU or Recurrent, "
            "and only recurrent layers are compiled"
        )
    return twin


def refuse_options(dynamic: Any, backend: Any, mode: Any, options: Any) -> None:
    """Raise for what PyTorch's compile takes and this one has no meaning for."""
    if dynamic not in (None, True, False):
        raise TypeError(f"compile: dynamic is None, True or False, not {dynamic!r}")
    if backend not in ("inductor", "eager"):
        raise NotImplementedError(f"compile: backend={backend!r} is not supported; use 'inductor' or 'eager'")
    if mode not in (None, "default"):
        raise NotImplementedError(f"compile: mode={mode!r} is not supported; use 'default'")
    if options is not None:
        raise NotImplementedError("compile: the argument options= is not supported")


def compiled_layer(layer: Recurrent, fullgraph: bool, dynamic: bool) -> Any:
    """A twin of a recurrent layer over the same parameters, whose time loop is compiled."""
    twin = copy.copy(layer)
    twin.__class__ = class_over(Compiled, plain_class(layer))
    vars(twin)["_programs"] = Programs(fullgraph, dynamic)
    return twin


def compiled_model(model: Module, fullgraph: bool, dynamic: bool, memo: dict[int, Any]) -> Any:
    """Copy a model, its recurrent layers at any depth compiled; a model without any is returned as it is."""
    if id(model) not in memo:
        if isinstance(model, Recurrent):
            memo[id(model)] = compiled_layer(model, fullgraph, dynamic)
            return memo[id(model)]
        parts = {name: m for name, m in model._modules.items() if m is not None}
        twins = {name: compiled_model(m, fullgraph, dynamic, memo) for name, m in parts.items()}
        if all(twins[name] is m for name, m in parts.items()):
            memo[id(model)] = model
        else:
            memo[id(model)] = twin = copy.copy(model)
            twin.__class__ = class_over(CompiledModel, plain_class(model))
            vars(twin)["_modules"] = {**model._modules, **twins}
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


def compiled_again(plain: Module, fullgraph: bool, dynamic: bool) -> Any:
    """Compile a copy or an unpickled module anew; its programs are made when they are needed."""
    return compile(plain, fullgraph=fullgraph, dynamic=dynamic)


class Programs:
    """The programs of one layer, by all that they depend on.

    Two threads that need a program at once may both make it: no lock is held that a process could be forked
    under.
    """

    def __init__(self, fullgraph: bool, dynamic: bool) -> None:
        self.fullgraph, self.dynamic, self.warned = fullgraph, dynamic, False
        self.found: dict[
            Any, Any
        ] = {}  # a Program, or the reason why there is none; the last one used is last
        self.reasons: dict[Any, str] = {}

    def of(
        self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, now: Snapshot
    ) -> Program | None:
        """The program for a call; None if it has to run eagerly."""
        depends = depends_on(cell, data, sizes, state, reverse, now, self.dynamic)
        key = tuple(depends.items())
        found = self.found.pop(key, None)
        if found is None:
            self.reasons[key] = self.why(key)
            dense = bool(depends["dense or ragged"])
            found = self.build(cell, data, sizes, state, reverse, depends["gradients"], dense)
        self.found[key] = found
        for old in list(self.found)[:-PROGRAMS]:
            self.found.pop(old, None)
            self.reasons.pop(old, None)
        if isinstance(found, Program):
            return found
        self.complain(found)
        return None

    def build(
        self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, asked: bool, dense: bool
    ) -> Any:
        """A new program, or the reason why there is none."""
        try:
            try:
                return Program(cell, data, state, sizes, reverse, asked, dense)
            except Untraceable:
                if type(cell).project is Cell.project:
                    raise
                return Program(cell, projected(cell, data), state, sizes, reverse, asked, dense, early=True)
        except Untraceable as error:
            return str(error)
        except (Unproven, Disagrees) as error:
            return f"the program that was made is not right ({error}): please report this cell"
        except Exception as error:  # the eager run will show it, if it is the user's
            return f"{type(error).__name__}: {error}"

    def complain(self, reason: str) -> None:
        """Say once that a cell runs eagerly."""
        if self.fullgraph:
            raise RuntimeError(f"compile: {reason}")
        if not self.warned:
            self.warned = True
            frames = itertools.takewhile(
                lambda f: f.filename.startswith(PACKAGE), reversed(traceback.extract_stack())
            )
            warnings.warn(
                f"compile: runs eagerly: {reason}", RuntimeWarning, stacklevel=1 + len(list(frames))
            )

    def why(self, key: Any) -> str:
        """What is new about a key."""
        if not self.found:
            return "first call"
        nearest = max(list(self.found), key=lambda k: sum(a == b for a, b in zip(k, key)))
        new = [name for (name, a), (_, b) in zip(nearest, key) if a != b]
        old, now = (dict(dict(k)["attributes"]) for k in (nearest, key))
        changed = [name for name in {**old, **now} if old.get(name) != now.get(name)]
        named = f"attributes ({', '.join(changed[:3])})"
        return "new " + ", ".join(named if name == "attributes" else name for name in new)


def depends_on(
    cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, now: Snapshot, dynamic: bool
) -> dict[str, Any]:
    """All that a program for a call depends on."""
    leaves = tensors_in(state)
    B, dense = len(leaves[0]), not dynamic and sizes[-1] == len(leaves[0])
    asked = mode.enabled and any(t.requires_grad for t in (data, *leaves, *now.tensors.values()))
    return {
        "attributes": now.key(),
        "direction": reverse,
        "dense or ragged": dense,
        "batch size": B if dense else 0,
        "grad mode": mode.enabled,
        "gradients": asked,
        "gradient of x": asked and data.requires_grad,
        "gradients of states": tuple(asked and s.requires_grad for s in leaves),
        "input": (data.array.shape[1:], data.dtype),
        "states": nested(state),
        "parameters": tuple(
            (path, t.array.shape, t.dtype, asked and t.requires_grad) for path, t in now.tensors.items()
        ),
    }


def nested(state: Any) -> Any:
    """The form of a state: what is in which kind of tuple, shapes and dtypes."""
    if isinstance(state, tuple):
        return (type(state), *map(nested, state))
    return state.array.shape[1:], state.dtype


class Compiled(Recurrent):
    """What `compile` adds to a layer."""

    _programs: Programs

    def unroll(
        self, cell: Cell, data: Tensor, sizes: Sequence[int], state: Any = None, reverse: bool = False
    ) -> tuple[Any, Any]:
        """The time loop: compiled if it can be, else eager."""
        program, now = None, Snapshot(cell)
        data = data if isinstance(data, Tensor) else Tensor(np.asarray(data))
        state = each(lambda s: s if isinstance(s, Tensor) else Tensor(np.asarray(s)), state)
        if mode.anomaly is False and len(sizes) and sizes[-1] and data.dtype.kind != "c":
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
        return compiled_again, (plain(self), self._programs.fullgraph, self._programs.dynamic)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        whole = copy.deepcopy(plain(self), memo)
        memo[id(self)] = compiled_again(whole, self._programs.fullgraph, self._programs.dynamic)
        return memo[id(self)]

    def __copy__(self) -> Any:
        return compiled_layer(plain(self), self._programs.fullgraph, self._programs.dynamic)


def plain(module: Module) -> Any:
    """A compiled module as it was before, over the same parameters."""
    twin: Any = object.__new__(plain_class(module))
    vars(twin).update({name: x for name, x in vars(module).items() if name != "_programs"})
    return twin


class CompiledModel(Module):
    """What `compile` adds to a model whose recurrent layers it has compiled."""

    def explain(self) -> str:
        """Of every recurrent layer, by path: what was compiled, why, how long it took."""
        layers = [(path, m) for path, m in self.named_modules() if isinstance(m, Compiled)]
        return "\n".join(f"{path}: {line}" for path, m in layers for line in m.explain().split("\n"))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return empty_model, (plain_class(self),), dict(vars(self))


def empty_model(kind: type) -> Any:
    """A compiled model of a class, whose attributes are yet to be set."""
    return object.__new__(class_over(CompiledModel, kind))
