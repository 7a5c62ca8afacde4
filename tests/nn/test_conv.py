"""Convolution, pooling and their kin against plain loops, and their derivatives of both orders."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F
from tinygrad_rnn.testing import gradcheck, gradgradcheck


def wave(*shape, shift=0.3):
    """A float64 tensor without ties."""
    return tg.tensor(np.sin(1.7 * np.arange(np.prod(shape)) + shift).reshape(shape))


def convolved(x, w, b, stride, padding, dilation, groups):
    """The sum in the docstring, number by number."""
    x = np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]])
    counts = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], stride, dilation)
    ]
    y = np.zeros((len(x), len(w), *counts))
    inside, share = w.shape[1], len(w) // groups
    for n, o in product(range(len(x)), range(len(w))):
        for i, c, k in product(np.ndindex(*counts), range(inside), np.ndindex(*w.shape[2:])):
            place = tuple(s * a + d * e for s, a, d, e in zip(stride, i, dilation, k))
            y[(n, o, *i)] += w[(o, c, *k)] * x[(n, o // share * inside + c, *place)]
    return y + b.reshape(-1, *[1] * len(counts))


@pytest.mark.parametrize("dims", [1, 2])
@given(st.data())
def test_convolution_is_its_sum(dims, data):
    def each(least, most):
        return data.draw(st.tuples(*[st.integers(least, most)] * dims))

    groups, kernel, dilation = data.draw(st.integers(1, 2)), each(1, 3), each(1, 2)
    lengths = [d * (k - 1) + n for d, k, n in zip(dilation, kernel, each(1, 3))]
    x, w = wave(2, 2 * groups, *lengths), wave(groups * data.draw(st.integers(1, 2)), 2, *kernel)
    options = {"stride": each(1, 2), "padding": each(0, 1), "dilation": dilation, "groups": groups}
    b = wave(len(w))
    y = getattr(F, f"conv{dims}d")(x, w, b, **options)
    np.testing.assert_allclose(y.numpy(), convolved(x.numpy(), w.numpy(), b.numpy(), **options), 1e-9, 1e-12)


CALLS = {
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, 2, 1, 2), [(2, 3, 6), (2, 3, 2), (2,)]),
    "conv1d alone": (lambda x, w: F.conv1d(x, w, padding="same", groups=2), [(4, 5), (2, 2, 2)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, (1, 2), 1), [(2, 2, 3, 4), (3, 2, 2, 3), (3,)]),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1) ** 2, [(2, 2, 6)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2, ceil_mode=True) ** 2, [(2, 3, 5)]),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 2, 1, 1, count_include_pad=False) ** 2, [(2, 2, 4)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), divisor_override=5) ** 2, [(2, 3, 4)]),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 3) ** 2, [(2, 2, 4)]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (None, 2)) ** 2, [(2, 2, 3)]),
    "unfold": (lambda x: F.unfold(x, 2, 1, 1, 2) ** 2, [(1, 2, 3, 3)]),
    "tensor.unfold": (lambda x: x.unfold(1, 3, 2) ** 2 + x.unfold(-1, 3, 2).sum(), [(2, 7)]),
    "reflect": (lambda x: F.pad(x, (1, 2), "reflect") ** 2, [(1, 2, 3)]),
    "replicate": (lambda x: F.pad(x, (2, 0, 1, 3), "replicate") ** 2, [(2, 2, 2)]),
    "circular": (lambda x: F.pad(x, (1, 2), "circular") ** 2, [(1, 2, 3)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, (2, 3), w), [(2, 2, 3), (2, 3)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b, 0.1), [(2, 4, 3), (4,), (4,)]),
}


@pytest.mark.parametrize("name", CALLS)
def test_derivatives_of_both_orders(name):
    function, shapes = CALLS[name]
    inputs = [wave(*shape, shift=k).requires_grad_() for k, shape in enumerate(shapes)]
    gradcheck(function, inputs)
    gradgradcheck(function, inputs)


def test_pooling_looks_up_the_first_of_equals_and_never_the_padding():
    x = tg.tensor([[1.0, 3.0, 3.0, -np.inf]]).requires_grad_()
    y, places = F.max_pool1d(x, 2, 1, 1, return_indices=True)
    assert y.tolist() == [[1, 3, 3, 3, -np.inf]] and places.tolist() == [[0, 1, 1, 2, 3]]
    y[:, :4].sum().backward()
    assert x.grad.tolist() == [[1, 2, 1, 0]]
    assert F.max_pool1d(x[:, 1:2], 1).tolist() == [[3]]
    assert F.max_pool1d(x, 1, 3, ceil_mode=True).shape == (1, 2)
    assert F.max_pool1d(x[:, :3], 1, 3, ceil_mode=True).shape == (1, 1)  # none begins behind the end
    assert F.max_pool1d(tg.tensor([[4, 2, 3]]), 2, 1, 1).tolist() == [[4, 4, 3, 3]]  # integers too
    assert F.max_pool1d(tg.tensor([[1.0, np.nan, 2.0]]), 3, return_indices=True)[1].tolist() == [[1]]


def test_padding_by_repeating():
    x = tg.arange(4.0).reshape(1, 4)
    assert F.pad(x, (3, 1), "reflect").tolist() == [[3, 2, 1, 0, 1, 2, 3, 2]]
    assert F.pad(x, (2, 1), "replicate").tolist() == [[0, 0, 0, 1, 2, 3, 3]]
    assert F.pad(x, (1, 2), "circular").tolist() == [[3, 0, 1, 2, 3, 0, 1]]
    assert F.pad(x, (0, 0), "circular") is x


def test_windows_of_a_tensor():
    x = tg.arange(6)
    assert x.unfold(0, 2, 2).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert x.unfold(0, 4, 1).tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert x.unfold(0, 0, 3).shape == (3, 0) and x.unfold(0, 6, 1).shape == (1, 6)
    assert tg.zeros(2, 5, 3).unfold(1, 2, 3).shape == (2, 2, 3, 2)


def test_a_convolution_is_a_product_with_unfolded_columns():
    x, w = wave(2, 3, 5, 4), wave(4, 3, 2, 3)
    for options in ({}, {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)}):
        columns = F.unfold(x, (2, 3), **options)
        y = F.conv2d(x, w, **options)
        product = (w.reshape(4, 18) @ columns).reshape(y.shape)
        np.testing.assert_allclose(y.numpy(), product.numpy(), 1e-12, 1e-12)
        np.testing.assert_array_equal(F.unfold(x[1], (2, 3), **options).numpy(), columns[1].numpy())


def test_an_empty_batch_passes_through():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten())
    assert net.eval()(tg.zeros(0, 1, 10, 12)).shape == (0, 8)
    assert nn.GroupNorm(2, 4)(tg.zeros(0, 4, 3)).shape == (0, 4, 3)


def test_initial_values_are_drawn_in_order_and_within_the_bound():
    layer = nn.Conv2d(4, 6, (3, 2), groups=2)
    tg.manual_seed(0)
    bound = 1 / np.sqrt(2 * 6)
    weight, bias = (tg.default_generator.rng.uniform(-bound, bound, s) for s in ((6, 2, 3, 2), 6))
    np.testing.assert_allclose(layer.weight.detach().numpy(), weight, 1e-6)
    np.testing.assert_allclose(layer.bias.detach().numpy(), bias, 1e-6)
    assert nn.Conv1d(1, 1, 1, dtype=tg.float64).bias.dtype == tg.float64
    assert nn.Conv1d(1, 1, 1)(tg.zeros(1, 1, 3)).dtype == tg.float32


def test_whole_channels_are_dropped():
    x = tg.ones(50, 20, 3, 2)
    y = nn.Dropout2d(0.25)(x)
    assert sorted(set(y.sum((2, 3)).unique().tolist())) == pytest.approx([0, 8])
    assert abs((y == 0).float().mean().item() - 0.25) < 0.05
    z = x[:, 0]
    assert F.dropout1d(z, 0.5, inplace=True) is z and set(z.sum(-1).unique().tolist()) == {0.0, 4.0}
    assert F.dropout1d(z[0], 0.5, training=False).shape == (3, 2)
    layer = nn.Dropout1d(0.5)
    assert layer.eval()(x[0]) is not None and layer(x[0]).tolist() == x[0].tolist()
    assert set(layer.train()(tg.ones(40, 5)).sum(-1).unique().tolist()) == {0.0, 10.0}


X, X2 = tg.zeros(2, 3, 8), tg.zeros(2, 3, 4, 5)
ERRORS = [
    (lambda: F.conv1d(tg.zeros(3), tg.zeros(1, 3, 1)), RuntimeError, r"\(B, C, L\), got shape \(3,\)"),
    (lambda: F.conv2d(tg.zeros(3, 4), tg.zeros(1, 3, 1, 1)), RuntimeError, r"\(B, C, H, W\)"),
    (lambda: F.conv1d(X, tg.zeros(4, 2, 3)), RuntimeError, r"3 channels.*takes 2"),
    (lambda: F.conv1d(X, tg.zeros(3, 1, 3), groups=2), RuntimeError, "groups.*divide the 3.*got 2"),
    (lambda: F.conv1d(X, tg.zeros(3, 3, 3), groups=0), RuntimeError, "groups.*got 0"),
    (lambda: F.conv1d(X, tg.zeros(4, 3)), RuntimeError, r"weight must have 3 dimensions.*\(4, 3\)"),
    (lambda: F.conv1d(tg.zeros(2, 0, 8), tg.zeros(4, 0, 3)), RuntimeError, "none of them 0"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 3), tg.zeros(3)), RuntimeError, r"bias.*4 channels.*\(3,\)"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 3), stride=0), RuntimeError, "stride must be at least 1, got 0"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 3), padding=-1), RuntimeError, "padding must be at least 0, got -1"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 3), dilation=1.5), TypeError, "dilation must be an integer, got 1.5"),
    (lambda: F.conv2d(X2, tg.zeros(4, 3, 3, 3), stride=(1, 2, 3)), TypeError, "stride.*2 of them"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 9)), RuntimeError, r"kernel that reaches over \(9,\).*\(8,\) long"),
    (lambda: F.conv1d(X, tg.zeros(4, 3, 3), padding="full"), ValueError, "'full'"),
    (
        lambda: F.conv1d(X, tg.zeros(4, 3, 3), padding="same", stride=2),
        ValueError,
        "'same' needs a stride of 1",
    ),
    (lambda: nn.Conv1d(0, 3, 1), ValueError, "in_channels 0"),
    (lambda: nn.Conv1d(2, 3, 1, groups=2), ValueError, "out_channels 3.*groups 2"),
    (lambda: nn.Conv1d(2, 3, 0), RuntimeError, "kernel_size must be at least 1"),
    (lambda: nn.Conv1d(2, 3, 1, padding_mode="mirror"), ValueError, "padding_mode.*'mirror'"),
    (lambda: F.max_pool1d(X, 9), RuntimeError, r"kernel \(9,\).*\(8,\) long"),
    (lambda: F.max_pool1d(tg.zeros(1, 1, 0), 1), RuntimeError, r"\(0,\) long"),
    (lambda: F.max_pool1d(X, 2, dilation=0), RuntimeError, "dilation must be at least 1, got 0"),
    (lambda: F.max_pool1d(X, 2, padding=2), RuntimeError, "padding 2 is more than half of the 2"),
    (lambda: F.avg_pool2d(X2, 2, divisor_override=0), RuntimeError, "divisor_override"),
    (lambda: F.avg_pool1d(X.long(), 2), RuntimeError, "int64"),
    (lambda: F.adaptive_avg_pool1d(tg.zeros(2, 3, 0), 2), RuntimeError, r"\(2, 3, 0\) is empty"),
    (lambda: F.adaptive_avg_pool1d(X, -1), RuntimeError, "output_size must be at least 0"),
    (lambda: F.adaptive_avg_pool2d(X2, (1, 2, 3)), TypeError, "output_size.*2 of them"),
    (lambda: F.unfold(X, 0), RuntimeError, "kernel_size must be at least 1"),
    (lambda: F.unfold(X, 1, padding=-1), RuntimeError, "padding must be at least 0"),
    (lambda: F.unfold(X[0], 1), RuntimeError, r"\(B, C, H, W\)"),
    (lambda: F.unfold(X2, 6), RuntimeError, r"reaches over \(6, 6\)"),
    (lambda: X.unfold(2, 9, 1), RuntimeError, "windows of 9 entries, 1 apart.*between 0 and 8"),
    (lambda: X.unfold(2, 2, 0), RuntimeError, "step at least 1"),
    (lambda: F.pad(X, (1, 1), "mirror"), NotImplementedError, "'mirror'.*'reflect'"),
    (lambda: F.pad(X, (1, 1), "reflect", 1.0), ValueError, "takes no value, got 1.0"),
    (lambda: F.pad(X, (8, 0), "reflect"), RuntimeError, r"\(8, 0\).*dimension 2.*: 7"),
    (lambda: F.pad(X, (9, 0), "circular"), RuntimeError, r"\(9, 0\).*: 8"),
    (lambda: F.pad(tg.zeros(2, 0), (1, 0), "replicate"), RuntimeError, r"\(1, 0\).*: 0"),
    (lambda: F.pad(X, (1, -1), "circular"), NotImplementedError, "cut off.*-1"),
    (lambda: F.pad(X, (1, 1, 1, 1, 1, 1), "reflect"), RuntimeError, r"6 numbers.*\(2, 3, 8\)"),
    (lambda: F.rms_norm(X, (3,)), RuntimeError, r"\(3,\).*\(2, 3, 8\)"),
    (lambda: F.rms_norm(X.long(), (8,)), RuntimeError, "int64"),
    (lambda: F.rms_norm(X, (8,), tg.ones(3)), RuntimeError, r"weight has shape \(3,\)"),
    (lambda: F.group_norm(X, 2), RuntimeError, r"num_groups 2.*\(2, 3, 8\)"),
    (lambda: F.group_norm(X, 3, tg.ones(2)), RuntimeError, r"weight has shape \(2,\).*3 channels"),
    (lambda: F.group_norm(tg.zeros(1, 2), 2), ValueError, r"one number in a group.*\(1, 2\)"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "num_channels 3.*num_groups 2"),
    (lambda: nn.GroupNorm(2, 4)(X), RuntimeError, r"\(B, 4, …\).*\(2, 3, 8\)"),
    (lambda: nn.BatchNorm2d(3)(X), ValueError, r"BatchNorm2d.*\(N, C, H, W\).*\(2, 3, 8\)"),
    (lambda: F.dropout1d(tg.zeros(3)), RuntimeError, r"dropout1d.*\(3,\)"),
    (lambda: F.dropout2d(tg.zeros(3, 3)), RuntimeError, r"dropout2d.*\(3, 3\)"),
    (lambda: F.dropout1d(X.long()), TypeError, "int64"),
    (lambda: nn.Dropout2d(2.0), ValueError, "Dropout2d: p.*2.0"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_bad_input_is_refused_with_a_sentence(i):
    call, error, text = ERRORS[i]
    with pytest.raises(error, match=text):
        call()


LAYERS = [
    (nn.Conv1d(3, 4, 3, padding="same", dilation=2),
     "3, 4, kernel_size=(3,), stride=(1,), padding=same, dilation=(2,)"),
    (nn.Conv1d(3, 3, 2, 2, 1, groups=3, bias=False, padding_mode="circular"),
     "3, 3, kernel_size=(2,), stride=(2,), padding=(1,), groups=3, bias=False, padding_mode=circular"),
    (nn.Conv1d(3, 3, 1, padding="valid"), "3, 3, kernel_size=(1,), stride=(1,), padding=valid"),
    (nn.MaxPool1d(2), "kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False"),
    (nn.MaxPool1d(2, 3, ceil_mode=True), "kernel_size=2, stride=3, padding=0, dilation=1, ceil_mode=True"),
    (nn.AvgPool1d(2), "kernel_size=(2,), stride=(2,), padding=(0,)"),
    (nn.AvgPool1d((2,), 1), "kernel_size=(2,), stride=(1,), padding=(0,)"),
    (nn.AdaptiveAvgPool1d(2), "output_size=2"),
    (nn.GroupNorm(3, 3), "3, 3, eps=1e-05, affine=True, bias=True"),
    (nn.RMSNorm(8, eps=0.1), "(8,), eps=0.1, elementwise_affine=True"),
    (nn.RMSNorm((3, 8), elementwise_affine=False), "(3, 8), eps=None, elementwise_affine=False"),
]  # fmt: skip
OF_IMAGES = [nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2), nn.BatchNorm2d(3)]


@pytest.mark.parametrize("i", range(len(LAYERS)))
def test_a_layer_says_what_it_is_and_calls_its_function(i):
    layer, text = LAYERS[i]
    assert repr(layer) == f"{type(layer).__name__}({text})"
    layer.double()
    x = wave(2, 3, 7 if i < 8 else 8)
    alike = {
        0: lambda: F.conv1d(x, layer.weight, layer.bias, 1, 2, 2),
        1: lambda: F.conv1d(F.pad(x, (1, 1), "circular"), layer.weight, None, 2, groups=3),
        2: lambda: F.conv1d(x, layer.weight, layer.bias),
        3: lambda: F.max_pool1d(x, 2),
        4: lambda: tg.stack([x[..., :2].amax(-1), x[..., 3:5].amax(-1), x[..., 6]], -1),
        5: lambda: x[..., :6].reshape(2, 3, 3, 2).mean(-1),
        6: lambda: (x[..., 1:] + x[..., :-1]) / 2,
        7: lambda: tg.stack([x[..., :4].mean(-1), x[..., 3:].mean(-1)], -1),
        8: lambda: F.layer_norm(x, (8,)),
        9: lambda: x / (x.square().mean(-1, keepdim=True) + 0.1).sqrt(),
        10: lambda: x / (x.square().mean((1, 2), keepdim=True) + 2**-52).sqrt(),
    }[i]()
    np.testing.assert_allclose(layer(x).detach().numpy(), alike.detach().numpy(), 1e-9, 1e-12)


def test_layers_of_images_are_those_of_sequences_twice():
    x = wave(2, 3, 4, 4)
    pooled = x.reshape(2, 3, 2, 2, 2, 2)
    average, adaptive, largest, conv, norm = (layer.double() for layer in OF_IMAGES)
    assert repr(norm) == (
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)"
    )
    assert repr(average) == "AvgPool2d(kernel_size=2, stride=2, padding=0)"
    np.testing.assert_allclose(average(x).numpy(), pooled.mean((3, 5)).numpy(), 1e-12)
    np.testing.assert_allclose(adaptive(x).numpy(), pooled.mean((3, 5)).numpy(), 1e-12)
    np.testing.assert_array_equal(largest(x).numpy(), pooled.amax((3, 5)).numpy())
    assert conv(x).shape == (2, 2, 3, 3)
    rows = x.permute(0, 2, 3, 1).reshape(32, 3)
    normed = nn.BatchNorm1d(3).double()(rows).reshape(2, 4, 4, 3).permute(0, 3, 1, 2)
    np.testing.assert_allclose(norm(x).detach().numpy(), normed.detach().numpy(), 1e-9)
