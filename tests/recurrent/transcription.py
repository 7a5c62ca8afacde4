"""The equations of the cells and layers in plain NumPy, one sequence after the other.

Slow and obvious on purpose; nothing of the package is imported. All functions take complex arrays too, so
that the complex step can differentiate them. `w` maps PyTorch's names to arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.where(np.real(x) > 0, x, 0)


def gate(w: dict[str, Array], k: int, x: Array, h: Array, suffix: str = "") -> tuple[Array, Array]:
    """The input's and the state's share in gate number k: W_i x + b_i and W_h h + b_h."""
    gates = len(w["weight_hh" + suffix]) // hidden(w, suffix)
    shares = []
    for side, v in (("ih", x), ("hh", h)):
        weight = np.split(w[f"weight_{side}{suffix}"], gates)[k]
        bias = w.get(f"bias_{side}{suffix}")
        shares.append(weight @ v + (0 if bias is None else np.split(bias, gates)[k]))
    return shares[0], shares[1]


def hidden(w: dict[str, Array], suffix: str) -> int:
    """H: the columns of W_hr if states are projected, else those of W_hh."""
    return int(w.get("weight_hr" + suffix, w["weight_hh" + suffix]).shape[1])


def rnn_tanh(w: dict[str, Array], x: Array, state: list[Array], suffix: str = "") -> list[Array]:
    a, b = gate(w, 0, x, state[0], suffix)
    return [np.tanh(a + b)]


def rnn_relu(w: dict[str, Array], x: Array, state: list[Array], suffix: str = "") -> list[Array]:
    a, b = gate(w, 0, x, state[0], suffix)
    return [relu(a + b)]


def lstm(w: dict[str, Array], x: Array, state: list[Array], suffix: str = "") -> list[Array]:
    h, c = state
    i, f, g, o = (sum(gate(w, k, x, h, suffix)) for k in range(4))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    if "weight_hr" + suffix in w:
        h = w["weight_hr" + suffix] @ h
    return [h, c]


def gru(w: dict[str, Array], x: Array, state: list[Array], suffix: str = "") -> list[Array]:
    (h,) = state
    r = sigmoid(sum(gate(w, 0, x, h, suffix)))
    z = sigmoid(sum(gate(w, 1, x, h, suffix)))
    a, b = gate(w, 2, x, h, suffix)
    n = np.tanh(a + r * b)
    return [(1 - z) * n + z * h]


STEPS = {"RNN tanh": rnn_tanh, "RNN relu": rnn_relu, "LSTM": lstm, "GRU": gru}


def layers(
    kind: str, w: dict[str, Array], sequences: list[Array], states: list[list[Array]], both_ways: bool
) -> tuple[list[Array], list[list[Array]]]:
    """All layers over sequences (T_b, D) of their own lengths.

    states[k][s][b]: for cell k (layer by layer, forwards before backwards), tensor s of its state, row b.
    Returns the outputs of the last layer (T_b, ...), and the last states in the form of the first.
    """
    step, last = STEPS[kind], []
    for layer in range(len(states) // (1 + both_ways)):
        directions = []
        for reverse in range(1 + both_ways):
            suffix = f"_l{layer}" + "_reverse" * reverse
            cell = states[len(last)]
            runs = []
            for b, xs in enumerate(sequences):
                state, ys = [part[b] for part in cell], {}
                for t in reversed(range(len(xs))) if reverse else range(len(xs)):
                    state = step(w, xs[t], state, suffix)
                    ys[t] = state[0]
                runs.append((state, [ys[t] for t in range(len(xs))]))
            directions.append([ys for _, ys in runs])
            last.append([[state[s] for state, _ in runs] for s in range(len(cell))])
        sequences = [[np.concatenate(y) for y in zip(*ways)] for ways in zip(*directions)]
    return sequences, last
