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
import threading
import traceback
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..autograd.gradmode import mode
from ..engine.tensor import Tensor
from ..nn.cells import Cell, each
from ..nn.loop import tensors_in, unroll
from ..nn.module import Module
from ..nn.recurrent import Recurrent
from .members import members, plain_state
from .program import Call, Program, run
from .symbols import Untraceable

__all__ = ["compile"]

PACKAGE = str(Path(__file__).parent.parent)
PROGRAMS = 16  # how many a compiled layer keeps


def compile(module: Module, *, fullgraph: bool = False) -> Any:
    """`module` (RNN, LSTM, GRU, Recurrent), compiled: the same parameters, call and results, but faster.

    A single Cell becomes `Recurrent(cell)`, compiled. What cannot be compiled runs eagerly, after one warning
    that names the operation; with `fullgraph=True` it is a RuntimeError. After the first call, `source`,
    `save_source(path)` and `explain()` show what was made. Besides its arguments, `step` may depend on the
    cell's tensors, submodules and plain attributes (numbers, strings); not on global variables that change.
    """
    if isinstance(module, Cell):
        module = Recurrent(module)
    if not isinstance(module, Recurrent):
        raise TypeError(
            f"compile: expected RNN, LSTM, GRU, Recurrent or a Cell, got {type(module).__name__}; "
            "compile the recurrent layers inside it: model.rnn = compile(model.rnn)"
        )
    twin = copy.copy(module)
    kind = type(module)
    if not issubclass(kind, Compiled):
        twin.__class__ = type(
            f"Compiled{kind.__name__}",
            (Compiled, kind),
            {"__doc__": kind.__doc__, "__module__": kind.__module__},
        )
    object.__setattr__(twin, "_programs", Programs(fullgraph))
    return twin


class Programs:
    """The programs of one layer, by all that they depend on."""

    def __init__(self, fullgraph: bool) -> None:
        self.fullgraph, self.warned = fullgraph, False
        self.found: OrderedDict[Any, Any] = OrderedDict()  # a Program, or the reason why there is none
        self.reasons: dict[Any, str] = {}
        self.lock = threading.RLock()

    def of(
        self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, tensors: dict[str, Tensor]
    ) -> Program | None:
        """The program for a call; None if it has to run eagerly."""
        depends = depends_on(cell, data, sizes, state, reverse, tensors)
        key = tuple(depends.items())
        with self.lock:
            if key not in self.found:
                self.reasons[key] = self.why(key)
                self.found[key] = self.build(cell, data, sizes, state, reverse, depends["gradients"])
                while len(self.found) > PROGRAMS:
                    self.reasons.pop(self.found.popitem(last=False)[0])
            found = self.found[key]
            self.found.move_to_end(key)
        if isinstance(found, Program):
            return found
        self.complain(found)
        return None

    def build(self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, asked: bool) -> Any:
        """A new program, or the reason why there is none."""
        try:
            return Program(cell, data, state, sizes, reverse, asked)
        except Untraceable as error:
            return str(error)
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
        nearest = max(self.found, key=lambda k: sum(a == b for a, b in zip(k, key)))
        return "new " + ", ".join(name for (name, a), (_, b) in zip(nearest, key) if a != b)


def depends_on(
    cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, tensors: dict[str, Tensor]
) -> dict[str, Any]:
    """All that a program for a call depends on."""
    leaves = tensors_in(state)
    B, dense = len(leaves[0]), sizes[-1] == len(leaves[0])
    asked = mode.enabled and any(t.requires_grad for t in (data, *leaves, *tensors.values()))
    return {
        "cell": type(cell),
        "attributes": plain_state(cell),
        "direction": reverse,
        "dense or ragged": dense,
        "batch size": B if dense else 0,
        "gradients": asked,
        "gradient of x": asked and data.requires_grad,
        "input": (data.shape[1:], data.dtype),
        "states": nested(state),
        "parameters": tuple(
            (path, t.shape, t.dtype, asked and t.requires_grad) for path, t in tensors.items()
        ),
    }


def nested(state: Any) -> Any:
    """The form of a state: what is in which kind of tuple, shapes and dtypes."""
    if isinstance(state, tuple):
        return (type(state), *map(nested, state))
    return state.shape[1:], state.dtype


class Compiled(Recurrent):
    """What `compile` adds to a layer."""

    _programs: Programs

    def unroll(
        self, cell: Cell, data: Tensor, sizes: Sequence[int], state: Any = None, reverse: bool = False
    ) -> tuple[Any, Any]:
        """The time loop: compiled if it can be, else eager."""
        program, tensors = None, members(cell)
        if mode.interpreter is None and len(sizes) and sizes[-1] and data.dtype.kind != "c":
            program = self._programs.of(cell, data, sizes, state, reverse, tensors)
        if program is None:
            return unroll(cell, data, sizes, state, reverse)
        leaves = tensors_in(state)
        inputs = [data, *leaves, *(tensors[path] for path in program.paths)]
        found = iter(run(Call(program, cell, sizes, reverse, len(leaves[0])), inputs))
        y = each(lambda _: next(found), program.step.y_tree)
        return y, each(lambda _: next(found), program.step.state_tree)

    def _made(self) -> list[Program]:
        return [p for p in self._programs.found.values() if isinstance(p, Program)]

    @property
    def source(self) -> str:
        """The last program that was used (with a backward, if there is one): complete, for NumPy alone."""
        made = self._made()
        if not made:
            raise RuntimeError("source: nothing was compiled yet: call the layer first")
        return ([p for p in made if p.backward] or made)[-1].source

    def save_source(self, path: Any) -> None:
        """Write `source` to a file that can be run."""
        Path(path).write_text(self.source, encoding="utf-8")

    def explain(self) -> str:
        """What was compiled, why, how long it took, and the size of each buffer."""
        lines = []
        for key, p in self._programs.found.items():
            if not isinstance(p, Program):
                lines.append(f"eager: {p}")
                continue
            layout = "features first (T, K, B)" if p.last else "packed rows (N, K)"
            way, ms = "forward and backward" if p.backward else "forward", p.seconds * 1000
            lines.append(f"{p.name[1:-1]}: {way}, {layout}, {ms:.0f} ms; {self._programs.reasons[key]}")
            for shape, idle in p.memory.idle.items():
                buffers = p.buffers(idle[0]) if idle else {}
                lines += [f"  buffers for {shape}:"] * bool(buffers)
                lines += [
                    f"    {name:12} {a.shape!s:20} {a.dtype}  {a.nbytes:,} bytes"
                    for name, a in buffers.items()
                ]
        return "\n".join(lines)
