"""Attention against its equations, in both orders of derivatives; masks hide, and nothing makes NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.testing import gradcheck, gradgradcheck


def wave(*shape, shift=0.3):
    return tg.tensor(np.sin(1.7 * np.arange(np.prod(shape)) + shift).reshape(shape))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@given(st.data())
def test_a_masked_softmax_is_the_softmax_of_what_is_left(data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=12, max_size=12))).reshape(3, 4)
    x = wave(3, 4)
    y = F.masked_softmax(x, tg.tensor(mask)).numpy()
    for row, seen, scores in zip(y, mask, x.numpy()):
        assert not row[~seen].any()
        if seen.any():
            np.testing.assert_allclose(row[seen], softmax(scores[seen]), 1e-12)


def test_softmax_over_nothing_has_no_gradient_and_disturbs_no_other_row():
    x = wave(2, 3).requires_grad_()
    y = F.masked_softmax(x, tg.tensor([[False] * 3, [True] * 3]))
    (y * y).sum().backward()
    assert y[0].tolist() == x.grad[0].tolist() == [0, 0, 0]
    alone = wave(2, 3)[1].requires_grad_()
    (F.softmax(alone, -1) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad[1].numpy(), alone.grad.numpy(), 1e-12)
    assert F.masked_softmax(tg.zeros(2, 0)).shape == (2, 0)


MASK = tg.tensor([[True, False, True], [False, False, False]])
CALLS = {
    "plain": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    "masked": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, MASK),
    "added": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, wave(2, 3), scale=2.0),
    "causal": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
}


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_of_both_orders(name):
    inputs = [wave(2, 2, 4).requires_grad_(), wave(2, 3, 4).requires_grad_(), wave(2, 3, 2).requires_grad_()]
    gradcheck(CALLS[name], inputs)
    gradgradcheck(CALLS[name], inputs)


def test_scaled_dot_product_attention_is_its_equation():
    q, k, v = wave(2, 3, 4), wave(2, 5, 4, shift=1), wave(2, 5, 2)
    added = wave(3, 5).numpy()
    scores = q.numpy() @ k.numpy().swapaxes(1, 2)
    found = F.scaled_dot_product_attention(q, k, v, tg.tensor(added))
    np.testing.assert_allclose(found.numpy(), softmax(scores / 2 + added) @ v.numpy(), 1e-12)
    dropped = F.scaled_dot_product_attention(q, k, v, dropout_p=1.0)
    assert not dropped.numpy().any()


# --- many heads


def heads_by_hand(layer, q, k, v, hidden):
    """One row's attention, head by head: y (L, E) and weights (h, L, S)."""
    W = layer.in_proj_weight
    W = np.split(W.detach().numpy(), 3) if W is not None else [
        getattr(layer, f"{n}_proj_weight").detach().numpy() for n in "qkv"]  # fmt: skip
    b = np.split(layer.in_proj_bias.detach().numpy(), 3)
    q, k, v = (x @ w.T + c for x, w, c in zip((q, k, v), W, b))
    d, found, weights = layer.head_dim, [], []
    for h in range(layer.num_heads):
        part = slice(h * d, (h + 1) * d)
        scores = np.where(hidden, -np.inf, q[:, part] @ k[:, part].T / np.sqrt(d))
        weights.append(softmax(scores))
        found.append(weights[-1] @ v[:, part])
    out = layer.out_proj
    y = np.concatenate(found, 1) @ out.weight.detach().numpy().T + out.bias.detach().numpy()
    return y, np.stack(weights)


@pytest.mark.parametrize("sizes", [{}, {"kdim": 3, "vdim": 5}])
def test_multihead_attention_is_its_heads(sizes):
    layer = nn.MultiheadAttention(6, 2, **sizes).double()
    for k, p in enumerate(layer.parameters()):
        p.data.copy_(wave(*p.shape, shift=k))
    q, k, v = wave(3, 2, 6), wave(4, 2, layer.kdim), wave(4, 2, layer.vdim)
    padding, mask = np.array([[False] * 4, [False, False, True, True]]), np.triu(np.ones((3, 4), bool), 2)
    y, weights = layer(
        q, k, v, tg.tensor(padding), attn_mask=tg.tensor(mask), average_attn_weights=False, is_causal=True
    )
    for b in range(2):
        by_hand, of_heads = heads_by_hand(
            layer, q[:, b].numpy(), k[:, b].numpy(), v[:, b].numpy(), padding[b] | mask
        )
        np.testing.assert_allclose(y[:, b].detach().numpy(), by_hand, 1e-9)
        np.testing.assert_allclose(weights[b].detach().numpy(), of_heads, 1e-9)
    alone, mean = layer(q[:, 1], k[:, 1], v[:, 1], tg.tensor(padding[1]), attn_mask=tg.tensor(mask))
    np.testing.assert_allclose(alone.detach().numpy(), by_hand, 1e-9)
    np.testing.assert_allclose(mean.detach().numpy(), of_heads.mean(0), 1e-9)
    each_head = tg.tensor(np.stack([mask] * 4))
    many, none = layer(q, k, v, tg.tensor(padding), need_weights=False, attn_mask=each_head)
    np.testing.assert_allclose(many.detach().numpy(), y.detach().numpy(), 1e-12)
    assert none is None
    added = tg.tensor(np.where(mask, -np.inf, 0.0))  # floats are added
    many, _ = layer(q, k, v, tg.tensor(padding), attn_mask=added)
    np.testing.assert_allclose(many.detach().numpy(), y.detach().numpy(), 1e-12)


def test_keys_added_at_the_end():
    layer = nn.MultiheadAttention(
        4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True, bias=False
    ).double()
    assert layer.in_proj_bias is layer.out_proj.bias is None and layer.bias_k.detach().numpy().any()
    hidden = tg.tensor([[False, True, True]])
    y, weights = layer(wave(1, 2, 4), wave(1, 3, 4), wave(1, 3, 4), hidden)
    assert weights.shape == (1, 2, 5) and weights[0, :, 1:3].tolist() == [[0, 0], [0, 0]]
    W_q, W_k, W_v = np.split(layer.in_proj_weight.detach().numpy(), 3)
    x, zero = wave(1, 3, 4).numpy()[0, :1], np.zeros((1, 4))
    keys = np.concatenate([x @ W_k.T, layer.bias_k.detach().numpy()[0], zero])
    values = np.concatenate([x @ W_v.T, layer.bias_v.detach().numpy()[0], zero])
    q = wave(1, 2, 4).numpy()[0] @ W_q.T
    halves = [softmax(q[:, h] @ keys[:, h].T / np.sqrt(2)) @ values[:, h] for h in (slice(0, 2), slice(2, 4))]
    by_hand = np.concatenate(halves, 1) @ layer.out_proj.weight.detach().numpy().T
    np.testing.assert_allclose(y[0].detach().numpy(), by_hand, 1e-9)


def test_a_row_that_sees_nothing_gives_zeros_not_nan():
    layer = nn.MultiheadAttention(4, 2, batch_first=True).double()
    x = wave(2, 3, 4).requires_grad_()
    y, weights = layer(x, x, x, tg.tensor([[True] * 3, [False] * 3]))
    assert not weights[0].detach().numpy().any()
    y.square().sum().backward()
    assert np.isfinite(x.grad.numpy()).all() and not x.grad[0].numpy().any()


def test_weights_are_dropped_in_training_only():
    layer = nn.MultiheadAttention(4, 2, dropout=1.0)
    x = tg.randn(3, 1, 4)
    assert not layer(x, x, x)[1].detach().numpy().any()
    np.testing.assert_allclose(layer.eval()(x, x, x)[1].sum(-1).detach().numpy(), 1, 1e-6)


# --- of a recurrent decoder

ATTENTIONS = {
    "additive": lambda: nn.AdditiveAttention(4, 5, 3),
    "dot": lambda: nn.DotAttention(),
    "scaled": lambda: nn.DotAttention(scale=True),
    "general": lambda: nn.DotAttention(4, 5),
}


def scores_by_hand(layer, query, key):
    """One query's score with one key."""
    p = {name: t.detach().numpy() for name, t in layer.named_parameters()}
    if isinstance(layer, nn.AdditiveAttention):
        hidden = np.tanh(p["query_proj.weight"] @ query + p["key_proj.weight"] @ key)
        return (p["energy.weight"] @ hidden).item()
    key = p["key_proj.weight"] @ key if p else key
    return query @ key / (len(query) ** 0.5 if layer.scale else 1)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_of_a_decoder_is_its_equation(name):
    layer = ATTENTIONS[name]().double()
    query = wave(2, 3, 4)
    keys, values = wave(2, 6, 4 if name in ("dot", "scaled") else 5, shift=1), wave(2, 6, 2)
    mask = np.array([[True] * 6, [True, False, True, False, False, False]])
    context, weights = layer(query, keys, values, tg.tensor(mask))
    for b, t in np.ndindex(2, 3):
        scores = np.array([scores_by_hand(layer, query.numpy()[b, t], key) for key in keys.numpy()[b]])
        expected = np.zeros(6)
        expected[mask[b]] = softmax(scores[mask[b]])
        np.testing.assert_allclose(weights[b, t].detach().numpy(), expected, 1e-9)
        np.testing.assert_allclose(context[b, t].detach().numpy(), expected @ values.numpy()[b], 1e-9)
    one = layer(query[:, 1], keys, values, tg.tensor(mask), layer.project(keys, tg.tensor(mask)))
    for a, b in zip(one, (context, weights)):
        np.testing.assert_allclose(a.detach().numpy(), b[:, 1].detach().numpy(), 1e-12)
    assert layer(query[:, 0], keys)[0].shape == (2, keys.shape[-1])
    inputs = [x.detach().requires_grad_() for x in (query, keys, values)]
    gradcheck(lambda *xs: layer(*xs, tg.tensor(mask)), inputs, parameters=layer)
    gradgradcheck(lambda *xs: layer(*xs, tg.tensor(mask)), inputs, parameters=layer)


@pytest.mark.parametrize("name", ["additive", "general"])
def test_padding_never_reaches_a_result_or_a_gradient_not_even_nan(name):
    layer = ATTENTIONS[name]().double()
    mask = tg.tensor([[True, True, False], [False, False, False], [True, True, True]])

    def run(filler):
        query, keys = wave(3, 4).requires_grad_(), wave(3, 3, 5)
        keys[~mask] = filler
        keys.requires_grad_()
        context, weights = layer(query, keys, mask=mask)
        layer.zero_grad()
        context.square().sum().backward()
        grads = [query.grad, keys.grad, *(p.grad for p in layer.parameters())]
        return [t.detach().numpy() for t in (context, weights, *grads)]

    for a, b in zip(run(0.0), run(np.nan)):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()


Q, K = tg.zeros(2, 3, 4), tg.zeros(2, 5, 4)
MHA = nn.MultiheadAttention(4, 2, batch_first=True)
SDPA = F.scaled_dot_product_attention
ERRORS = [
    (lambda: SDPA(Q, K, K, enable_gqa=True), NotImplementedError, "enable_gqa"),
    (lambda: SDPA(Q, K, K[..., 0]), RuntimeError, r"do not fit.*\(2, 5\)"),
    (lambda: SDPA(tg.zeros(4), K, K), RuntimeError, r"two dimensions.*\(4,\)"),
    (lambda: SDPA(Q, tg.zeros(2, 5, 3), K), RuntimeError, r"\(2, 5, 3\)"),
    (lambda: SDPA(Q, K, K, tg.ones(3, 5).bool(), is_causal=True), RuntimeError, "not both"),
    (lambda: SDPA(Q, K, K, tg.ones(3, 5).long()), TypeError, "int64"),
    (lambda: SDPA(Q, K, K, tg.ones(7, 2, 3, 5)), RuntimeError, r"attn_mask \(7, 2, 3, 5\).*\(2, 3, 5\)"),
    (lambda: SDPA(Q, K, K, tg.ones(3, 4)), RuntimeError, r"attn_mask \(3, 4\).*\(2, 3, 5\)"),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "embed_dim 5.*num_heads 2"),
    (lambda: MHA(Q, K, K[0]), RuntimeError, r"value must be \(B, L, 4\) or \(L, 4\).*\(5, 4\)"),
    (lambda: nn.MultiheadAttention(4, 2)(Q, K, Q[..., :3]), RuntimeError, r"value must be \(L, B, 4\)"),
    (lambda: MHA(Q[0, 0], K, K), RuntimeError, r"query must be.*\(4,\)"),
    (lambda: MHA(Q, K, Q), RuntimeError, r"one length.*\(2, 3, 4\)$"),
    (lambda: MHA(Q, K[:1], K[:1]), RuntimeError, "one batch"),
    (lambda: MHA(Q, K, K, is_causal=True), RuntimeError, "attn_mask"),
    (lambda: MHA(Q, K, K, tg.zeros(2, 4).bool()), RuntimeError, r"key_padding_mask must be \(2, 5\)"),
    (lambda: MHA(Q, K, K, tg.zeros(5).bool()), RuntimeError, r"key_padding_mask must be \(2, 5\)"),
    (lambda: MHA(Q, K, K, attn_mask=tg.zeros(2, 3, 5)), RuntimeError, r"\(3, 5\) or \(4, 3, 5\)"),
    (lambda: MHA(Q, K, K, tg.zeros(2, 5).long()), TypeError, "key_padding_mask.*int64"),
    (lambda: nn.DotAttention(3), ValueError, "query_dim and key_dim"),
    (lambda: nn.DotAttention()(Q, K[0]), RuntimeError, r"\(5, 4\)"),
    (lambda: nn.DotAttention()(Q, K[:1]), RuntimeError, r"\(1, 5, 4\)"),
    (lambda: nn.DotAttention()(Q, K, mask=tg.ones(2, 4).bool()), RuntimeError, r"\(2, 5\), got \(2, 4\)"),
    (lambda: nn.attention._Attention().project(K), NotImplementedError, "of_keys"),
    (lambda: nn.attention._Attention().score(Q, K), NotImplementedError, "score"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_bad_input_is_refused_with_a_sentence(i):
    call, error, text = ERRORS[i]
    with pytest.raises(error, match=text):
        call()
