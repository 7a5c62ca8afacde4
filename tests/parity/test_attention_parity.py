"""Attention beside PyTorch itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")
BOTH = (tg, torch)


def wave(*shape, shift=0.3):
    return np.sin(1.7 * np.arange(np.prod(shape)) + shift).reshape(shape)


def outcome(lib, function, arrays):
    """Outputs and gradients of Σ y², or "refused"."""
    xs = [lib.tensor(a).requires_grad_() for a in arrays]
    try:
        y, *more = function(lib, *xs)
    except (RuntimeError, ValueError, AssertionError):
        return "refused"
    (y * y).sum().backward()
    return [t.detach().numpy() for t in (y, *more) if t is not None] + [x.grad.numpy() for x in xs]


def compare(function, *arrays):
    ours, theirs = (outcome(lib, function, arrays) for lib in BOTH)
    if "refused" in (ours, theirs):
        assert ours == theirs
        return
    for a, b in zip(ours, theirs):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, 1e-9, 1e-9)


masks = st.sampled_from(["none", "bool", "float", "causal"])


@given(st.data(), masks, st.sampled_from([None, 0.7]))
def test_scaled_dot_product_attention(data, kind, scale):
    batch = data.draw(st.sampled_from([(), (2,), (2, 3), (0, 2)]))
    L, S, E, V = (data.draw(st.integers(1, 4)) for _ in range(4))
    seen = data.draw(st.lists(st.booleans(), min_size=L * S, max_size=L * S))
    seen = np.array(seen).reshape(L, S)  # some rows see nothing
    mask = {"bool": seen, "float": np.where(seen, wave(L, S), -np.inf)}.get(kind)

    def call(lib, q, k, v):
        attn_mask = None if mask is None else lib.tensor(mask)
        options = {"attn_mask": attn_mask, "is_causal": kind == "causal", "scale": scale}
        return [lib.nn.functional.scaled_dot_product_attention(q, k, v, **options)]

    compare(call, wave(*batch, L, E), wave(*batch, S, E), wave(*batch, S, V))


@given(st.data())
def test_multihead_attention(data):
    h, head, B, L, S = (data.draw(st.integers(1, 3)) for _ in range(5))
    E = h * head
    kdim, vdim = (data.draw(st.sampled_from([None, 2, 5])) for _ in range(2))
    options = {
        name: data.draw(st.booleans()) for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")
    }
    layers = [lib.nn.MultiheadAttention(E, h, kdim=kdim, vdim=vdim, **options).double() for lib in BOTH]
    assert repr(layers[0]) == repr(layers[1])
    state = {n: wave(*t.shape) for n, t in layers[1].state_dict().items()}
    assert list(state) == list(layers[0].state_dict())
    for lib, layer in zip(BOTH, layers):
        layer.load_state_dict({n: lib.tensor(a) for n, a in state.items()})
    alone = data.draw(st.booleans())
    B = 1 if alone else B

    def shaped(n, features):
        return (n, features) if alone else (B, n, features) if options["batch_first"] else (n, B, features)

    def mask(*shape):
        kind = data.draw(st.sampled_from(["none", "bool", "float"]))
        hidden = wave(*shape, shift=data.draw(st.integers(0, 9))) > 0.5
        hidden[..., 0] = False  # else PyTorch gives NaN
        return {"bool": hidden, "float": np.where(hidden, -np.inf, wave(*shape))}.get(kind)

    heads = data.draw(st.booleans())
    padding, attention = mask(*[S] if alone else [B, S]), mask(*[B * h, L, S] if heads else [L, S])
    if padding is not None and attention is not None and padding.dtype != attention.dtype:
        padding = None  # PyTorch warns that this will be an error
    calls = {
        "need_weights": data.draw(st.booleans()),
        "average_attn_weights": data.draw(st.booleans()),
    }

    def call(lib, q, k, v):
        found = {"key_padding_mask": padding, "attn_mask": attention}
        given = {n: lib.tensor(m) for n, m in found.items() if m is not None}
        return layers[lib is torch](q, k, v, **given, **calls)

    compare(call, wave(*shaped(L, E)), wave(*shaped(S, kdim or E)), wave(*shaped(S, vdim or E)))
    for p, q in zip(layers[0].parameters(), layers[1].parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-9, 1e-9)
