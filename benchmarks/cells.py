"""The same three cells for every library: written once, from the operations that `lib` brings along.

`lib` has sigmoid, tanh, stack and split (n equal pieces of the last axis). xs (T, B, D); weights
W (G H, D), U (G H, H), b (G H,), or two biases for the GRU, whose reset is applied after the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def rnn(lib: Any, xs: Any, h: Any, W: Any, U: Any, b: Any, b_h: Any) -> Any:
    ys = []
    for t in range(len(xs)):
        h = lib.tanh(xs[t] @ W.T + h @ U.T + b)
        ys.append(h)
    return lib.stack(ys)


def lstm(lib: Any, xs: Any, h: Any, W: Any, U: Any, b: Any, b_h: Any) -> Any:
    ys = []
    c = h
    for t in range(len(xs)):
        i, f, g, o = lib.split(xs[t] @ W.T + h @ U.T + b, 4)
        c = lib.sigmoid(f) * c + lib.sigmoid(i) * lib.tanh(g)
        h = lib.sigmoid(o) * lib.tanh(c)
        ys.append(h)
    return lib.stack(ys)


def gru(lib: Any, xs: Any, h: Any, W: Any, U: Any, b: Any, b_h: Any) -> Any:
    ys = []
    for t in range(len(xs)):
        a_r, a_z, a_n = lib.split(xs[t] @ W.T + b, 3)
        h_r, h_z, h_n = lib.split(h @ U.T + b_h, 3)
        r = lib.sigmoid(a_r + h_r)
        z = lib.sigmoid(a_z + h_z)
        n = lib.tanh(a_n + r * h_n)
        h = (1 - z) * n + z * h
        ys.append(h)
    return lib.stack(ys)


CELLS = {"rnn": rnn, "lstm": lstm, "gru": gru}


def arrays(cell: str, T: int, B: int, D: int, H: int) -> dict[str, np.ndarray]:
    """Inputs and weights, the same for every contestant."""
    rng = np.random.Generator(np.random.PCG64(0))
    G = GATES[cell]
    shapes = {"xs": (T, B, D), "h": (B, H), "W": (G * H, D), "U": (G * H, H), "b": (G * H,), "b_h": (G * H,)}
    made = {
        name: (rng.uniform(-1, 1, shape) / np.sqrt(H)).astype(np.float32) for name, shape in shapes.items()
    }
    made["xs"] = rng.standard_normal((T, B, D)).astype(np.float32)
    made["h"][:] = 0
    return made
