"""Reference values of torch's recurrent layers and cells, written to recurrent.npz beside this file.

    python tests/reference/make_recurrent.py

This needs torch; the tests import `CASES` and `run` from here, read the file, and need no torch: `run` uses
only names that torch and tinygrad_rnn share.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FILE = Path(__file__).with_name("recurrent.npz")
Array = np.ndarray
T, B, D, H = 4, 3, 2, 3
SORTED, UNSORTED = [4, 2, 1], [1, 4, 2]


class Case(NamedTuple):
    """A layer or cell of nn, its options, and how it is called."""

    kind: str
    options: dict[str, Any]
    lengths: list[int] | None = None  # None: all steps, padded; else packed
    form: str = "batch"  # or "alone": without the dimension B; "stateless": without a state

    @property
    def name(self) -> str:
        given = [f"{k}={v}" for k, v in self.options.items()]
        return " ".join([self.kind, *given, *map(str, self.lengths or []), self.form])


def combinations(**options: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(options, values)) for values in product(*options.values())]


LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
    ("GRU", {}),
]
SHAPES = [  # depth and directions, with the forms of input in turn
    ({"num_layers": 1}, None, "batch"),
    ({"num_layers": 2, "bidirectional": True, "batch_first": True}, UNSORTED, "batch"),
    ({"num_layers": 2, "bias": False}, SORTED, "stateless"),
    ({"num_layers": 1, "bidirectional": True}, None, "alone"),
    ({"num_layers": 3, "batch_first": True}, None, "stateless"),
]
CASES = [
    *[Case(k, o | more, lengths, form) for (k, o), (more, lengths, form) in product(LAYERS, SHAPES)],
    *[
        Case(kind, options, None, form)
        for kind in ("RNNCell", "LSTMCell", "GRUCell")
        for options, form in [({}, "batch"), ({"bias": False}, "stateless"), ({}, "alone")]
    ],
    Case("RNNCell", {"nonlinearity": "relu"}),
]


def numbers(*shape: int, seed: float, size: float = 1.0) -> Array:
    """Numbers within ±size without pattern or ties, the same on every machine."""
    n = np.arange(int(np.prod(shape)))
    return (size * np.sin(2.3 * n + 0.7 * n**1.5 + 1.7 * seed)).reshape(shape)


def run(lib: Any, case: Case, size: Any = (T, B, D, H), seed: float = 0.0) -> dict[str, Array]:
    """Outputs, last states, and the gradients of a weighted sum of all these by every leaf."""
    steps, batch, inputs, hidden = size
    layer = getattr(lib.nn, case.kind)(inputs, hidden, dtype=lib.float64, **case.options)
    leaves = dict(layer.named_parameters())
    for k, p in enumerate(leaves.values()):
        p.data.copy_(lib.tensor(numbers(*p.shape, seed=seed + k, size=0.9)))
    is_cell = case.kind.endswith("Cell")
    shape = [batch, inputs] if is_cell else [steps, batch, inputs]
    if case.options.get("batch_first"):
        shape = [batch, steps, inputs]
    if case.form == "alone":
        shape = [n for k, n in enumerate(shape) if k != len(shape) - 2]
    xs = leaves["input"] = leaf(lib, *shape, seed=seed + 0.5)
    states = initial(lib, case, batch, hidden, seed)
    leaves |= {f"state {k}": s for k, s in enumerate(states)}
    hx = None if case.form == "stateless" else tuple(states) if "LSTM" in case.kind else states[0]
    results = call(lib, layer, case, xs, hx)
    total = sum(
        (r * lib.tensor(numbers(*r.shape, seed=seed + 9 + k))).sum() for k, r in enumerate(results.values())
    )
    total.backward()
    gradients = {f"d {name}": x.grad for name, x in leaves.items() if x.grad is not None}
    return {name: x.detach().numpy() for name, x in (results | gradients).items()}


def leaf(lib: Any, *shape: int, seed: float) -> Any:
    return lib.tensor(numbers(*shape, seed=seed), requires_grad=True)


def initial(lib: Any, case: Case, batch: int, hidden: int, seed: float) -> list[Any]:
    """The initial states: (h, c) for an LSTM, else (h,)."""
    lead = [] if case.form == "alone" else [batch]
    if not case.kind.endswith("Cell"):
        lead = [case.options.get("num_layers", 1) * (1 + case.options.get("bidirectional", False)), *lead]
    sizes = [case.options.get("proj_size") or hidden, hidden][: 2 if "LSTM" in case.kind else 1]
    return [leaf(lib, *lead, n, seed=seed + 4 + k) for k, n in enumerate(sizes)]


def call(lib: Any, layer: Any, case: Case, xs: Any, hx: Any) -> dict[str, Any]:
    """The results by name."""
    if case.kind.endswith("Cell"):
        states = layer(xs, hx)
        states = states if isinstance(states, tuple) else (states,)
        return {f"last {k}": s for k, s in enumerate(states)}
    rnn = lib.nn.utils.rnn
    first = case.options.get("batch_first", False)
    if case.lengths is not None:
        xs = rnn.pack_padded_sequence(xs, case.lengths, first, enforce_sorted=case.lengths == SORTED)
    ys, states = layer(xs, hx)
    if case.lengths is not None:
        ys, _ = rnn.pad_packed_sequence(ys, first)
    states = states if isinstance(states, tuple) else (states,)
    return {"output": ys, **{f"last {k}": s for k, s in enumerate(states)}}


def main() -> None:
    import torch

    arrays = {f"{case.name}: {name}": x for case in CASES for name, x in run(torch, case).items()}
    np.savez_compressed(FILE, **arrays)
    print(f"torch {torch.__version__}: {len(CASES)} cases, {FILE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
