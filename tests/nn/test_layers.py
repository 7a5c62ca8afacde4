"""Layers: how they start, and what the reference values do not show."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def assert_spread(tensor, bound):
    """Uniform within ±bound: never outside, and of the right variance (5 standard errors)."""
    x = tensor.detach().numpy().astype(float) / bound
    assert np.abs(x).max() <= 1
    assert abs((x**2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / x.size)


def test_starting_values():
    tg.manual_seed(0)
    for layer, n in [(nn.Linear(50, 400), 50), (nn.Bilinear(20, 30, 100), 20)]:
        assert_spread(layer.weight, 1 / math.sqrt(n))
        assert_spread(layer.bias, 1 / math.sqrt(n))
    rows = nn.Embedding(500, 20, padding_idx=3).weight.detach().numpy()
    assert (rows[3] == 0).all() and abs(rows.std() - 1) < 0.05 and abs(rows.mean()) < 0.05
    for norm in (nn.LayerNorm(3), nn.BatchNorm1d(3)):
        assert norm.weight.tolist() == [1, 1, 1] and norm.bias.tolist() == [0, 0, 0]
    assert nn.BatchNorm1d(2).running_var.tolist() == [1, 1] and nn.PReLU(2).weight.tolist() == [0.25, 0.25]


def test_the_seed_decides_the_starting_values():
    weights = []
    for seed in (1, 1, 2):
        tg.manual_seed(seed)
        weights.append(nn.Linear(3, 3).weight.tolist())
    assert weights[0] == weights[1] != weights[2]


def test_dtype_of_parameters():
    for make in (nn.Linear, nn.Embedding):
        assert (
            make(2, 3).weight.dtype == tg.float32 and make(2, 3, dtype=tg.float64).weight.dtype == tg.float64
        )
    norm = nn.BatchNorm1d(2, dtype=tg.float64, device="cpu")
    assert norm.weight.dtype == norm.running_mean.dtype == tg.float64
    tg.set_default_dtype(tg.float64)
    try:
        assert nn.Linear(2, 3).bias.dtype == nn.BatchNorm1d(2).running_var.dtype == tg.float64
    finally:
        tg.set_default_dtype(tg.float32)


def test_single_precision_stays_single():
    net = nn.Sequential(
        nn.Linear(3, 4), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.GELU(), nn.Dropout(0.3), nn.Softplus()
    )
    y = nn.CrossEntropyLoss(label_smoothing=0.1)(net(tg.randn(5, 3)), tg.tensor([0, 1, 2, 3, 0]))
    y.backward()
    assert {y.dtype, *(p.grad.dtype for p in net.parameters())} == {tg.float32}


def test_from_pretrained_shares_rows_and_draws_nothing():
    rows = tg.randn(5, 2)
    tg.manual_seed(3)
    layer = nn.Embedding.from_pretrained(rows, padding_idx=-1)
    assert tg.rand(1).item() == (tg.manual_seed(3), tg.rand(1).item())[1]
    assert not layer.weight.requires_grad and layer.padding_idx == 4
    np.testing.assert_array_equal(layer.weight.numpy(), rows.numpy())
    rows[1] = 9.0
    assert layer(tg.tensor(1)).tolist() == [9, 9]
    trained = nn.Embedding.from_pretrained(rows, freeze=False)
    trained(tg.tensor([0, 0])).sum().backward()
    assert trained.weight.grad[0].tolist() == [2, 2]


def test_an_embedding_has_the_options_that_scripts_hand_on():
    layer = nn.Embedding(3, 2)
    options = (layer.max_norm, layer.norm_type, layer.scale_grad_by_freq, layer.sparse)
    assert options == (None, 2.0, False, False)  # what scripts hand on when they drop whole words
    layer.max_norm = 1.0
    with pytest.raises(NotImplementedError, match="max_norm"):
        layer(tg.tensor([0]))


def test_dropout_only_in_training():
    layer, x = nn.Dropout(0.5), tg.ones(100)
    assert (layer(x) == 0).any()
    assert layer.eval()(x) is x
    y = x.clone()
    assert nn.Dropout(0.5, inplace=True)(y) is y and (y == 0).any()


def test_batch_norm_averages_over_batches():
    batches = [tg.tensor(np.random.default_rng(i).normal(i, 1 + i, (6, 3))) for i in range(3)]
    moving, plain = nn.BatchNorm1d(3, momentum=0.2).double(), nn.BatchNorm1d(3, momentum=None).double()
    mean, var = np.zeros(3), np.ones(3)
    for batch in batches:
        moving(batch)
        plain(batch)
        mean = 0.8 * mean + 0.2 * batch.numpy().mean(0)
        var = 0.8 * var + 0.2 * batch.numpy().var(0, ddof=1)
    np.testing.assert_allclose(moving.running_mean.numpy(), mean)
    np.testing.assert_allclose(moving.running_var.numpy(), var)
    np.testing.assert_allclose(plain.running_mean.numpy(), np.mean([b.numpy().mean(0) for b in batches], 0))
    np.testing.assert_allclose(
        plain.running_var.numpy(), np.mean([b.numpy().var(0, ddof=1) for b in batches], 0)
    )
    assert moving.num_batches_tracked.item() == 3
    y = moving.eval()(batches[0]).detach().numpy()
    np.testing.assert_allclose(y, (batches[0].numpy() - mean) / np.sqrt(var + 1e-5))
    assert moving.num_batches_tracked.item() == 3
    moving.reset_running_stats()
    assert moving.running_mean.tolist() == [0, 0, 0] and moving.num_batches_tracked.item() == 0


def test_reset_parameters_draws_anew():
    for layer in (
        nn.Linear(3, 2),
        nn.Bilinear(2, 2, 2),
        nn.Embedding(3, 2),
        nn.BatchNorm1d(2),
        nn.LayerNorm(2),
    ):
        before = [p.detach().numpy().copy() for p in layer.parameters()]
        for p in layer.parameters():
            p.data.fill_(50.0)
        layer.reset_parameters()
        for p, old in zip(layer.parameters(), before, strict=True):
            assert p.shape == old.shape and p.abs().max().item() < 10


LOOKS = {
    "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=True)": nn.Bilinear(2, 3, 4),
    "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)": nn.Bilinear(2, 3, 4, bias=False),
    "Embedding(5, 2)": nn.Embedding(5, 2),
    "Embedding(5, 2, padding_idx=4)": nn.Embedding(5, 2, padding_idx=-1),
    "Flatten(start_dim=1, end_dim=-1)": nn.Flatten(),
    "Unflatten(dim=1, unflattened_size=(2, 3))": nn.Unflatten(1, (2, 3)),
    "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)": nn.LayerNorm(3),
    "LayerNorm((2, 3), eps=1e-05, elementwise_affine=False, bias=False)": nn.LayerNorm(
        (2, 3), elementwise_affine=False
    ),
}


@pytest.mark.parametrize("text", LOOKS)
def test_layers_print_their_sizes_as_pytorchs(text):
    assert repr(LOOKS[text]) == text


IN_PLACE = "ReLU ReLU6 LeakyReLU ELU SELU CELU SiLU Mish Hardtanh Hardsigmoid Hardswish"


@pytest.mark.parametrize("name", IN_PLACE.split())
def test_an_activation_may_write_over_its_input(name):
    x = tg.linspace(-7, 7, 29)
    expected = getattr(nn, name)()(x).tolist()
    assert expected != x.tolist()
    assert getattr(nn, name)(inplace=True)(x) is x and x.tolist() == expected


def test_without_running_statistics_nothing_is_kept_or_reset():
    norm = nn.BatchNorm1d(2, track_running_stats=False)
    norm.weight.data.fill_(5.0)
    norm.reset_parameters()
    assert norm.weight.tolist() == [1, 1] and list(norm.state_dict()) == ["weight", "bias"]
    assert norm.running_mean is norm.running_var is norm.num_batches_tracked is None
    x = tg.tensor([[1.0, 4.0], [3.0, 8.0]])
    for layer in (norm, norm.eval()):
        np.testing.assert_allclose(layer(x).detach().numpy(), [[-1, -1], [1, 1]], atol=1e-4)


def test_identity_takes_anything():
    layer = nn.Identity(54, unused=True)
    thing = object()
    assert layer(thing) is thing


def test_losses_keep_their_weights_in_the_state():
    loss = nn.CrossEntropyLoss(tg.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"] and list(loss.parameters()) == []
    assert loss.double().weight.dtype == tg.float64
    assert list(nn.BCEWithLogitsLoss(pos_weight=tg.ones(2)).state_dict()) == ["pos_weight"]
    assert nn.MSELoss(size_average=False).reduction == "sum" and nn.MSELoss(reduce=False).reduction == "none"
    assert nn.KLDivLoss().reduction == "mean"
    assert nn.KLDivLoss(reduction="batchmean").reduction == "batchmean"
    assert nn.KLDivLoss(size_average=False, reduction="batchmean").reduction == "sum"


def test_a_small_net_learns():
    tg.manual_seed(0)
    x = tg.randn(64, 2)
    labels = (x[:, 0] * x[:, 1] > 0).long()
    net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    for _ in range(300):
        loss = nn.functional.cross_entropy(net(x), labels)
        net.zero_grad()
        loss.backward()
        with tg.no_grad():
            for p in net.parameters():
                p -= 0.5 * p.grad
    assert (net(x).argmax(1) == labels).float().mean().item() > 0.95


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reference_to_a_bias_free_layer(reduction):
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None and [n for n, _ in layer.named_parameters()] == ["weight"]
    assert nn.LayerNorm(3, elementwise_affine=False).weight is None
    assert (
        nn.MSELoss(reduction=reduction)(tg.ones(2), tg.zeros(2)).tolist()
        == {"mean": 1, "sum": 2, "none": [1, 1]}[reduction]
    )
