"""compile: an ordinary cell goes in, a NumPy program comes out that a person can read.

    lstm = tinygrad_rnn.compile(tinygrad_rnn.nn.LSTM(64, 128))
    ys, (h, c) = lstm(xs)               the same call, the same parameters, the same results
    print(lstm.source)                  the program: backpropagation through time, written out

What becomes of the lines of `GRUCell.step`, and where (read the files in this order):

    n = tanh(a_n + r * h_n)             a line of a cell

    layers.py      a layer with another time loop      a subclass of GRU, over the same parameters
    programs.py    which program is right for a call   the batch size, what asks for gradients, the guards
    symbols.py     arrays without values               h_n: Symbol (13, 5)
    kinds.py       which operations keep rows apart    r * h_n may be compiled, h - h.mean(0) may not
    row_first.py   rows at another dimension           (W @ h.T).T is h @ W.T
    recorder.py    operations on symbols, noted        u = mul(r, h_n);  v = add(a_n, u);  n = tanh(v)
    writes.py      writes in place                     y[:, :2] = a becomes y = cat([a, y[:, 2:5]])
    guards.py      all that a step reads               a program is used again only if nothing of it changed
    twin.py        the copy of the cell that is traced its weights become arguments of the program
    noise.py       random numbers in a step            drawn before the loop, in the order of the eager one
    trace.py       the engine's backward, noted too    d_v = mul(d_n, 1 - n * n);  d_r = mul(d_v, h_n)
    fission.py     out of the loop what need not wait  1 - n * n for all steps at once, d_W = d_aᵀ h after it
    spots.py       places in memory                    a[:, 10:15]
    storage.py     which value lives where             n is written over its slice of a
    numpy_text.py  operations as text                  add({0}, {1}, out={2})
    lines.py       neighbouring calls made one         sigmoid(r_z, out=r_z)
    operands.py    names and places as text            a[:, 10:15] in the loop is n
    statements.py  parts and loops as text             for h, r, n, … in w.forward_steps: tanh(n, out=n)
    emit.py        the whole source                    def forward(w, x, h0, …), def backward(w, d_y, …)
    verifier.py    a proof, in exact arithmetic        the source computes what the traced step means
    trial.py       and a try                           three steps give what the eager cell gives
    demo.py        a check that comes with it          python the_source.py
    program.py     the source, run                     one node of an eager graph
"""

from __future__ import annotations

from typing import Any

from ..nn.cells import Cell
from ..nn.module import Module
from ..nn.recurrent import Recurrent
from .layers import compiled_layer, compiled_model

__all__ = ["compile"]


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
    flags = {"fullgraph": fullgraph, "dynamic": dynamic, "disable": disable}
    refuse_options(flags, backend, mode, options)
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


def refuse_options(flags: dict[str, Any], backend: Any, mode: Any, options: Any) -> None:
    """Raise for what PyTorch's compile takes and this one has no meaning for."""
    for name, x in flags.items():
        if x is not None and not isinstance(x, bool):
            raise TypeError(f"compile: {name} is True or False, not {x!r}")
    if backend not in ("inductor", "eager"):
        raise NotImplementedError(f"compile: backend={backend!r} is not supported; use 'inductor' or 'eager'")
    if mode not in (None, "default"):
        raise NotImplementedError(f"compile: mode={mode!r} is not supported; use 'default'")
    if options is not None:
        raise NotImplementedError("compile: the argument options= is not supported")
