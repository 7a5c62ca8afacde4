"""One step of each cell beyond RNN, LSTM and GRU, from its paper: p parameters, x (D,) one input.

STEPS[name](p, x, state) -> output, state        state: a list of arrays (H,)
"""

import numpy as np


def sigma(x):
    return 1 / (1 + np.exp(-x))


def normal(y, gain, bias):
    return (y - y.mean()) / np.sqrt(y.var() + 1e-5) * gain + bias


def affine(p, x, h):
    """W_ih x + b_ih + W_hh h + b_hh"""
    return p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] @ h + p["bias_hh"]


def peephole(p, x, state):
    h, c = state
    i, f, g, o = np.split(affine(p, x, h), 4)
    p_i, p_f, p_o = p["weight_ch"]
    new = sigma(f + p_f * c) * c + sigma(i + p_i * c) * np.tanh(g)
    h = sigma(o + p_o * new) * np.tanh(new)
    return h, [h, new]


def cifg(p, x, state):
    h, c = state
    f, g, o = np.split(affine(p, x, h), 3)
    c = sigma(f) * c + (1 - sigma(f)) * np.tanh(g)
    h = sigma(o) * np.tanh(c)
    return h, [h, c]


def layer_norm_lstm(p, x, state):
    h, c = state
    a = normal(p["weight_ih"] @ x, p["gain_ih"], p["bias_ih"])
    i, f, g, o = np.split(a + normal(p["weight_hh"] @ h, p["gain_hh"], p["bias_hh"]), 4)
    c = sigma(f) * c + sigma(i) * np.tanh(g)
    h = sigma(o) * np.tanh(normal(c, p["gain_c"], p["bias_c"]))
    return h, [h, c]


def slstm(p, x, state):
    """Without the stabiliser: m = 0, the exponentials as they are."""
    h, c, n, m = state
    z, i, f, o = np.split(affine(p, x, h), 4)
    c, n = c * np.exp(m), n * np.exp(m)  # what they stand for
    c = sigma(f) * c + np.exp(i) * np.tanh(z)
    n = sigma(f) * n + np.exp(i)
    h = sigma(o) * c / n
    return h, [h, c, n, np.zeros_like(m)]


def reset_before(p, x, state):
    (h,) = state
    H = len(h)
    W, b = p["weight_hh"], p["bias_hh"]
    a_r, a_z, a_n = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
    r = sigma(a_r + W[:H] @ h + b[:H])
    z = sigma(a_z + W[H : 2 * H] @ h + b[H : 2 * H])
    h = z * h + (1 - z) * np.tanh(a_n + W[2 * H :] @ (r * h) + b[2 * H :])
    return h, [h]


def mgu(p, x, state):
    (h,) = state
    H = len(h)
    W, b = p["weight_hh"], p["bias_hh"]
    a_f, a_n = np.split(p["weight_ih"] @ x + p["bias_ih"], 2)
    f = sigma(a_f + W[:H] @ h + b[:H])
    h = (1 - f) * h + f * np.tanh(a_n + W[H:] @ (f * h) + b[H:])
    return h, [h]


def layer_norm_gru(p, x, state):
    (h,) = state
    n = 2 * len(h)

    def part(y, which, rows):
        return normal(y[rows], p[f"gain_{which}"][rows], p[f"bias_{which}"][rows])

    y, u = p["weight_ih"] @ x, p["weight_hh"] @ h
    gates, rest = slice(0, n), slice(n, None)
    r, z = np.split(sigma(part(y, "ih", gates) + part(u, "hh", gates)), 2)
    new = np.tanh(part(y, "ih", rest) + r * part(u, "hh", rest))
    h = z * h + (1 - z) * new
    return h, [h]


def indrnn(p, x, state):
    h = np.maximum(p["weight_ih"] @ x + p["bias_ih"] + p["weight_hh"] * state[0], 0)
    return h, [h]


def sru(p, x, state):
    (c,) = state
    z, f, r, skip = np.split(p["weight_ih"] @ x, 4)
    b_f, b_r = np.split(p["bias_ih"], 2)
    f, r = sigma(f + p["weight_ch"][0] * c + b_f), sigma(r + p["weight_ch"][1] * c + b_r)
    c = f * c + (1 - f) * z
    return r * c + (1 - r) * skip, [c]


def clockwork(p, x, state):
    """Unit by unit: four units, of periods 1, 2, 4 and 8."""
    h, t = state
    new = h.copy()
    for i in range(4):
        if t[0] % 2**i == 0:
            slower = sum(p["weight_hh"][i, j] * h[j] for j in range(i, 4))
            new[i] = np.tanh(p["weight_ih"][i] @ x + p["bias_ih"][i] + slower + p["bias_hh"][i])
    return new, [new, t + 1]


def mingru(p, x, state):
    z, n = np.split(p["weight_ih"] @ x + p["bias_ih"], 2)
    h = (1 - sigma(z)) * state[0] + sigma(z) * n
    return h, [h]


def minlstm(p, x, state):
    f, i, n = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
    f, i = sigma(f), sigma(i)
    h = f / (f + i) * state[0] + i / (f + i) * n
    return h, [h]


def qrnn(p, x, state):
    z, f, o = np.split(p["weight_ih"] @ x + p["bias_ih"], 3)
    c = sigma(f) * state[0] + (1 - sigma(f)) * np.tanh(z)
    return sigma(o) * c, [c]


def lru(p, x, state):
    h = state[0] + 1j * state[1]
    B, C = p["weight_ih"], p["weight_ho"]
    H = len(h)
    lam = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    h = lam * h + np.exp(p["gamma"]) * ((B[:H] + 1j * B[H:]) @ x)
    y = ((C[:, :H] - 1j * C[:, H:]) @ h).real + p["d"] * x
    return y, [h.real, h.imag]


STEPS = {
    "PeepholeLSTMCell": peephole,
    "CIFGCell": cifg,
    "LayerNormLSTMCell": layer_norm_lstm,
    "SLSTMCell": slstm,
    "ResetBeforeGRUCell": reset_before,
    "MGUCell": mgu,
    "LayerNormGRUCell": layer_norm_gru,
    "IndRNNCell": indrnn,
    "SRUCell": sru,
    "ClockworkRNNCell": clockwork,
    "MinGRUCell": mingru,
    "MinLSTMCell": minlstm,
    "QRNNCell": qrnn,
    "LRUCell": lru,
}
