"""Laws that functions and losses obey: identities between them, and behaviour at zero and far out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F

far = st.floats(-1e4, 1e4)
near = st.floats(-5, 5)


def derivatives(function, x, order=2):
    """The values, and the derivatives of their sums, up to `order`."""
    x = tg.tensor(np.asarray(x, float)).requires_grad_()
    found = [function(x)]
    for _ in range(order):
        (g,) = tg.autograd.grad(
            found[-1].sum(), x, create_graph=True, allow_unused=True, materialize_grads=True
        )
        found.append(g)
        if not g.requires_grad:
            break
    return [y.detach().numpy() for y in found]


# --- at zero


@pytest.mark.parametrize("function", [F.normalize, lambda x: F.cosine_similarity(x, tg.ones(1, 3).double())])
def test_a_zero_vector_has_finite_derivatives(function):
    assert all(np.isfinite(d).all() for d in derivatives(function, np.zeros((1, 3))))


# --- far out

CURVES = (
    "relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign logsigmoid hardtanh hardsigmoid "
)
CURVES += "hardswish tanhshrink tanh sigmoid"


@pytest.mark.parametrize("name", CURVES.split())
@given(x=arrays(float, 3, elements=far))
def test_activations_and_two_derivatives_are_finite(name, x):
    assert all(np.isfinite(d).all() for d in derivatives(getattr(F, name), x))


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@given(x=arrays(float, (2, 3), elements=far))
def test_softmaxes_and_two_derivatives_are_finite(name, x):
    weights = tg.tensor(np.arange(6.0).reshape(2, 3))
    assert all(np.isfinite(d).all() for d in derivatives(lambda x: getattr(F, name)(x, dim=1) * weights, x))


FAR_LOSSES = {
    "cross_entropy": lambda x: F.cross_entropy(x, tg.tensor([2, 0]), label_smoothing=0.1),
    "cross_entropy of probabilities": lambda x: F.cross_entropy(
        x, tg.tensor([[0.2, 0.8, 0.0], [1.0, 0.0, 0.0]])
    ),
    "bce with logits": lambda x: F.binary_cross_entropy_with_logits(
        x, tg.sigmoid(x.detach()), pos_weight=tg.tensor(3.0)
    ),
    "mse": lambda x: F.mse_loss(x, -x.detach()),
    "huber": lambda x: F.huber_loss(x, -x.detach()),
    "smooth l1": lambda x: F.smooth_l1_loss(x, -x.detach()),
    "soft margin": lambda x: F.soft_margin_loss(x, tg.tensor([1.0, -1.0, 1.0])),
    "kl": lambda x: F.kl_div(F.log_softmax(x, 1), F.log_softmax(-x.detach(), 1), log_target=True),
    "layer norm": lambda x: F.layer_norm(x, (3,)),
}


@pytest.mark.parametrize("name", FAR_LOSSES)
@given(x=arrays(float, (2, 3), elements=far))
def test_losses_and_two_derivatives_are_finite(name, x):
    assert all(np.isfinite(d).all() for d in derivatives(FAR_LOSSES[name], x))


def test_far_values_are_exact():
    x = np.array([-1e4, 1e4])
    for function, value, slope in [
        (F.softplus, [0, 1e4], [0, 1]),
        (F.logsigmoid, [-1e4, 0], [1, 0]),
        (F.sigmoid, [0, 1], [0, 0]),
        (F.silu, [0, 1e4], [0, 1]),
        (F.mish, [0, 1e4], [0, 1]),
        (F.gelu, [0, 1e4], [0, 1]),
        (F.elu, [-1, 1e4], [0, 1]),
        (lambda x: F.soft_margin_loss(x, tg.ones(2), reduction="none"), [1e4, 0], [-1, 0]),
        (lambda x: F.binary_cross_entropy_with_logits(x, tg.ones(2), reduction="none"), [1e4, 0], [-1, 0]),
        (lambda x: F.cross_entropy(x, tg.tensor(0)), 2e4, [-1, 1]),
        (lambda x: F.log_softmax(x, 0), [-2e4, 0], [1, -1]),
    ]:
        y, g = derivatives(function, x, 1)
        np.testing.assert_array_equal(y, value)
        np.testing.assert_array_equal(g, slope)


def test_a_large_common_shift_does_not_blur_single_precision():
    logits = tg.tensor([[1e4, 1e4, 1e4]])
    assert abs(F.cross_entropy(logits, tg.tensor([1])).item() - np.log(3)) < 1e-6
    assert F.binary_cross_entropy_with_logits(tg.tensor([-1e4, 1e4]), tg.tensor([0.0, 1.0])).item() == 0


def test_binary_cross_entropy_at_its_bounds():
    p, t = (
        tg.tensor([0.0, 0.0, 1.0, 1.0]).double().requires_grad_(),
        tg.tensor([0.0, 1.0, 1.0, 0.25]).double(),
    )
    losses = F.binary_cross_entropy(p, t, reduction="none")
    np.testing.assert_array_equal(losses.tolist(), [0, 100, 0, 75])
    losses.sum().backward()
    np.testing.assert_array_equal(p.grad.tolist(), [0, -1e12, 0, 0.75e12])


# --- identities

logits = arrays(float, (4, 3), elements=near)
classes = arrays(np.int64, 4, elements=st.integers(0, 2))


@given(logits, st.floats(-1e3, 1e3))
def test_softmax_adds_up_to_one_and_ignores_a_shift(x, shift):
    p = F.softmax(tg.tensor(x), 1)
    np.testing.assert_allclose(p.sum(1).numpy(), 1, rtol=1e-12)
    np.testing.assert_allclose(F.softmax(tg.tensor(x + shift), 1).numpy(), p.numpy(), rtol=1e-9)
    np.testing.assert_allclose(F.log_softmax(tg.tensor(x), 1).exp().numpy(), p.numpy(), rtol=1e-12)
    for same in (tg.softmax(tg.tensor(x), dim=1), tg.tensor(x).softmax(1), tg.tensor(x).log_softmax(1).exp()):
        np.testing.assert_allclose(same.numpy(), p.numpy(), rtol=1e-12)
    assert tg.tensor(x).softmax(1, dtype=tg.float32).dtype == tg.float32


@given(logits, classes, st.sampled_from(["none", "mean", "sum"]))
def test_cross_entropy_is_nll_of_log_softmax(x, t, reduction):
    direct = F.cross_entropy(tg.tensor(x), tg.tensor(t), reduction=reduction)
    composed = F.nll_loss(F.log_softmax(tg.tensor(x), 1), tg.tensor(t), reduction=reduction)
    np.testing.assert_allclose(direct.numpy(), composed.numpy(), rtol=1e-12, atol=1e-12)


@given(logits, classes, st.floats(0, 1))
def test_smoothed_classes_are_probabilities(x, t, smoothing):
    q = F.one_hot(tg.tensor(t), 3).double() * (1 - smoothing) + smoothing / 3
    smoothed = F.cross_entropy(tg.tensor(x), tg.tensor(t), label_smoothing=smoothing)
    np.testing.assert_allclose(
        F.cross_entropy(tg.tensor(x), q).item(), smoothed.item(), rtol=1e-9, atol=1e-12
    )


@given(logits, classes, st.integers(0, 2), st.floats(0, 1), arrays(float, 3, elements=st.floats(0.5, 2)))
def test_ignoring_is_leaving_out_whatever_stands_there(x, t, ignored, smoothing, w):
    kept = t != ignored
    assume(kept.any())
    dirty = np.where(kept[:, None], x, np.nan)
    options = {"weight": tg.tensor(w), "label_smoothing": smoothing}
    a, b = tg.tensor(dirty).requires_grad_(), tg.tensor(x[kept]).requires_grad_()
    left = F.cross_entropy(a, tg.tensor(t), ignore_index=ignored, **options)
    right = F.cross_entropy(b, tg.tensor(t[kept]), **options)
    np.testing.assert_allclose(left.item(), right.item(), rtol=1e-12)
    left.backward()
    right.backward()
    np.testing.assert_array_equal(a.grad.numpy()[~kept], 0)
    np.testing.assert_allclose(a.grad.numpy()[kept], b.grad.numpy(), rtol=1e-9, atol=1e-12)


@given(logits, classes, st.floats(0.1, 10))
def test_a_common_factor_of_class_weights_cancels_in_the_mean(x, t, factor):
    w = np.array([1.0, 2.0, 0.5])
    one, other = (F.cross_entropy(tg.tensor(x), tg.tensor(t), tg.tensor(v)).item() for v in (w, factor * w))
    assert one == pytest.approx(other, rel=1e-9, abs=1e-12)


@given(arrays(float, 5, elements=near), arrays(float, 5, elements=st.floats(0, 1)))
def test_two_class_cross_entropies_agree(x, t):
    with_logits = F.binary_cross_entropy_with_logits(tg.tensor(x), tg.tensor(t)).item()
    assert F.binary_cross_entropy(tg.sigmoid(tg.tensor(x)), tg.tensor(t)).item() == pytest.approx(
        with_logits, rel=1e-9
    )


@given(arrays(float, 5, elements=near), st.floats(0.1, 3))
def test_smooth_l1_is_huber_over_beta(x, beta):
    zero = tg.zeros(5).double()
    smooth, huber = (
        F.smooth_l1_loss(tg.tensor(x), zero, beta=beta),
        F.huber_loss(tg.tensor(x), zero, delta=beta),
    )
    assert smooth.item() * beta == pytest.approx(huber.item(), rel=1e-12)


@given(arrays(float, (3, 4), elements=near))
def test_normalisation_leaves_mean_zero_and_variance_one(x):
    y = F.layer_norm(tg.tensor(x), (4,), eps=0.0 if (x.std(1) > 1e-3).all() else 1.0).numpy()
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-9)
    if (x.std(1) > 1e-3).all():
        np.testing.assert_allclose(y.std(1), 1, rtol=1e-9)


def test_divergence_of_a_distribution_from_itself_is_zero():
    p = F.softmax(tg.randn(4, 5).double(), 1)
    assert F.kl_div(p.log(), p, reduction="batchmean").item() == pytest.approx(0, abs=1e-15)
    assert F.kl_div(p.log(), tg.eye(4, 5).double(), reduction="sum").item() > 0  # 0 · ln 0 is 0


def test_one_hot_rows_pick_what_an_embedding_picks():
    weight, index = tg.randn(5, 3).double(), tg.tensor([[4, 0], [1, 1]])
    np.testing.assert_array_equal(
        F.embedding(index, weight).numpy(), (F.one_hot(index, 5).double() @ weight).numpy()
    )


def test_unknown_rows_of_an_embedding_receive_every_share_but_padding_none():
    weight = tg.randn(4, 2).double().requires_grad_()
    F.embedding(tg.tensor([3, 1, 3, 0, 3]), weight, padding_idx=1).sum().backward()
    np.testing.assert_array_equal(weight.grad.numpy(), [[1, 1], [0, 0], [0, 0], [3, 3]])


def test_gumbel_softmax_samples_have_the_probabilities_of_softmax():
    tg.manual_seed(3)
    p = np.array([0.1, 0.2, 0.7])
    hard = F.gumbel_softmax(tg.tensor(np.tile(np.log(p), (20000, 1))), tau=0.5, hard=True).numpy()
    assert set(np.unique(hard.round(12))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0), p, atol=4 * np.sqrt(0.25 / 20000))


def test_hard_gumbel_samples_have_the_gradient_of_soft_ones():
    x, w = tg.randn(4, 3).double().requires_grad_(), tg.tensor([1.0, 2.0, 4.0])
    grads = []
    for hard in (True, False):
        tg.manual_seed(5)
        grads.append(tg.autograd.grad((F.gumbel_softmax(x, hard=hard) * w).sum(), x)[0].numpy())
    assert (grads[0] != 0).all()
    np.testing.assert_array_equal(*grads)


# --- in place

IN_PLACE = {
    "relu": {},
    "relu6": {},
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {},
    "selu": {},
    "celu": {},
    "silu": {},
    "mish": {},
    "hardtanh": {},
    "hardsigmoid": {},
    "hardswish": {},
    "threshold": {"threshold": 0.1, "value": 0.2},
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_writes_the_same_values_and_keeps_the_gradient(name):
    function, options = getattr(F, name), IN_PLACE[name]
    x = tg.tensor([-1.5, -0.2, 0.3, 4.0]).requires_grad_()
    expected = function(x, **options)
    (g,) = tg.autograd.grad(expected.sum(), x)
    y = x * 1
    assert function(y, **options, inplace=True) is y
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), g.numpy())


# --- dropout


@given(st.floats(0.05, 0.95), st.integers(0, 1000))
def test_dropout_scales_what_it_keeps_and_the_gradient_alike(p, seed):
    tg.manual_seed(seed)
    x = (tg.rand(50).double() + 0.5).requires_grad_()
    y = F.dropout(x, p)
    ratio = y.detach().numpy() / x.detach().numpy()
    assert np.isclose(ratio[:, None], [0, 1 / (1 - p)], rtol=1e-12).any(1).all()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), ratio, rtol=1e-12)


def test_dropout_drops_with_the_given_probability():
    tg.manual_seed(0)
    n, p = 100_000, 0.3
    dropped = (F.dropout(tg.ones(n), p) == 0).double().mean().item()
    assert abs(dropped - p) < 5 * np.sqrt(p * (1 - p) / n)


def test_dropout_follows_the_seed_and_leaves_numpy_alone():
    before = np.random.get_state()[1].copy()
    masks = []
    for seed in (1, 1, 2):
        tg.manual_seed(seed)
        masks.append(F.dropout(tg.ones(40)).numpy())
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_dropout_at_its_ends():
    x = tg.ones(5).requires_grad_()
    assert F.dropout(x, 0.9, training=False) is x
    assert F.dropout(x, 0.0) is x
    everything = F.dropout(x, 1.0)
    everything.sum().backward()
    assert everything.tolist() == [0] * 5 and x.grad.tolist() == [0] * 5
    y = x * 2
    assert F.dropout(y, 1.0, inplace=True) is y and y.tolist() == [0] * 5


def test_batch_norm_moves_the_running_statistics_and_nothing_else():
    x = tg.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]]).requires_grad_()
    mean, var = tg.zeros(2), tg.ones(2)
    F.batch_norm(x, mean, var, training=True, momentum=0.5)
    np.testing.assert_allclose(mean.numpy(), [1.5, 1.5])
    np.testing.assert_allclose(var.numpy(), 0.5 + 0.5 * x.detach().numpy().var(0, ddof=1))
    assert not mean.requires_grad and not var.requires_grad
    F.batch_norm(x, mean, var)
    np.testing.assert_allclose(mean.numpy(), [1.5, 1.5])


def test_losses_warn_of_shapes_that_broadcast():
    for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        with pytest.warns(UserWarning, match=r"\(3,\).*\(3, 1\)"):
            loss(tg.zeros(3), tg.ones(3, 1))


def test_softmax_without_dim_says_which_it_takes():
    with pytest.warns(UserWarning, match="dim=1"):
        y = F.softmax(tg.zeros(2, 4))
    assert y.tolist() == [[0.25] * 4] * 2
    with pytest.warns(UserWarning, match="dim=0"):
        assert nn.LogSoftmax()(tg.zeros(1)).tolist() == [0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, at 0 / 0
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_mean_over_nothing_is_missing_but_changes_no_parameter(smoothing):
    """A batch that holds nothing but padding."""
    x, targets = tg.randn(3, 4, requires_grad=True), tg.full((3,), 2)
    smoothed = F.cross_entropy(x, targets, ignore_index=2, label_smoothing=smoothing)
    for loss in (smoothed, F.nll_loss(x, targets, ignore_index=2)):
        x.grad = None
        loss.backward()
        assert np.isnan(loss.item()) and x.grad.tolist() == [[0.0] * 4] * 3


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_softmax_of_nothing_is_nothing(shape):
    x = tg.zeros(*shape, requires_grad=True)
    for y in (F.softmax(x, 0), F.log_softmax(x, -1), F.softmin(x, -1)):
        y.sum().backward()
        assert y.shape == x.grad.shape == shape


def test_celu_is_continuous_at_zero_for_every_alpha():
    x = tg.tensor([-2.0, -1e-6, 0.0, 3.0], dtype=tg.float64)
    for alpha in (0.5, 2.0, -0.5):
        expected = np.where(x.array > 0, x.array, alpha * np.expm1(x.array / alpha))
        np.testing.assert_allclose(F.celu(x, alpha).array, expected)


def test_the_likelihood_of_one_number():
    loss = F.gaussian_nll_loss(tg.tensor(1.0), tg.tensor(3.0), tg.tensor(2.0))
    assert loss.item() == pytest.approx((np.log(2) + 4 / 2) / 2)


def test_cosine_similarity_with_integers():
    x, y = tg.tensor([[3.0, 4.0]]), tg.tensor([[4, 3]])
    assert F.cosine_similarity(x, y).item() == pytest.approx(24 / 25)
