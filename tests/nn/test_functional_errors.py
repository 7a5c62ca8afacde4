"""Bad input to functions, layers and losses gets an error that names the argument and the value."""

from __future__ import annotations

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.nn import functional as F

X, T, ROW = tg.zeros(4, 3), tg.tensor([0, 1, 2, 0]), tg.ones(4)

ERRORS = [
    (lambda: F.linear(tg.zeros(2, 3), tg.zeros(5, 4)), RuntimeError, "3 and 4"),
    (lambda: F.bilinear(tg.zeros(2, 3), tg.zeros(2, 4), tg.zeros(5, 3, 3)), RuntimeError, r"\(5, 3, 3\)"),
    (lambda: F.embedding(tg.tensor([4]), tg.zeros(4, 2)), IndexError, "4 rows"),
    (lambda: F.embedding(tg.tensor([-1]), tg.zeros(4, 2)), IndexError, "-1"),
    (lambda: F.embedding(tg.tensor([1.0]), tg.zeros(4, 2)), TypeError, "integers"),
    (lambda: F.embedding(tg.tensor([1]), tg.zeros(4, 2), padding_idx=4), ValueError, "padding_idx 4"),
    (lambda: F.embedding(tg.tensor([1]), tg.zeros(4, 2), max_norm=1.0), NotImplementedError, "max_norm"),
    (lambda: F.embedding(tg.tensor([1]), tg.zeros(4, 2), sparse=True), NotImplementedError, "sparse"),
    (lambda: nn.Embedding(4, 2, scale_grad_by_freq=True), NotImplementedError, "scale_grad_by_freq"),
    (lambda: nn.Embedding(4, 2, padding_idx=4), ValueError, "padding_idx 4"),
    (lambda: nn.Embedding.from_pretrained(tg.zeros(4)), ValueError, r"\(4,\)"),
    (lambda: nn.Embedding(4, 2, _weight=X), ValueError, r"\(4, 3\) is not \(4, 2\)"),
    (lambda: nn.Linear(2, 3, device="cuda"), NotImplementedError, "cuda"),
    (lambda: F.one_hot(tg.tensor([3]), 3), RuntimeError, "3 classes"),
    (lambda: F.one_hot(tg.tensor([-1])), RuntimeError, "-1"),
    (lambda: F.one_hot(tg.tensor([0.5])), TypeError, "integers"),
    (lambda: F.one_hot(tg.zeros(0).long()), RuntimeError, "num_classes"),
    (lambda: F.dropout(X, 1.5), ValueError, "1.5"),
    (lambda: F.dropout(T, 0.5), TypeError, "int64"),
    (lambda: nn.Dropout(-0.1), ValueError, "-0.1"),
    (lambda: F.layer_norm(X, (4,)), RuntimeError, r"\(4,\).*\(4, 3\)"),
    (lambda: F.batch_norm(tg.zeros(3), None, None, training=True), ValueError, r"\(3,\)"),
    (lambda: F.batch_norm(X, tg.zeros(4), tg.ones(3)), RuntimeError, "running_mean.*3 channels"),
    (lambda: F.batch_norm(X, None, None), ValueError, "running_mean"),
    (lambda: F.batch_norm(tg.zeros(1, 3), None, None, training=True), ValueError, r"\(1, 3\)"),
    (lambda: nn.BatchNorm1d(3)(tg.zeros(3)), ValueError, r"\(3,\)"),
    (lambda: F.pad(X, (1,)), RuntimeError, "1 numbers"),
    (lambda: F.pad(X, (0, 0, 0, 0, 1, 1)), RuntimeError, "6 numbers"),
    (lambda: F.pad(X, (-2, -2)), RuntimeError, r"\(-2, -2\)"),
    (lambda: F.glu(tg.zeros(3)), RuntimeError, r"\(3,\)"),
    (lambda: F.gelu(X, "exact"), ValueError, "'exact'"),
    (lambda: F.hardtanh(X, 1.0, -1.0), ValueError, "min_val 1.0"),
    (lambda: F.prelu(X, tg.zeros(2)), ValueError, r"\(2,\)"),
    (lambda: F.gumbel_softmax(X, eps=1e-3), NotImplementedError, "eps"),
    (lambda: F.mse_loss(X, X, reduction="average"), ValueError, "'average'"),
    (lambda: nn.MSELoss(reduction="average"), ValueError, "'average'"),
    (lambda: F.huber_loss(X, X, delta=0.0), ValueError, "delta"),
    (lambda: F.smooth_l1_loss(X, X, beta=-1.0), ValueError, "beta"),
    (lambda: F.cross_entropy(X, tg.tensor([0, 1, 3, 0])), IndexError, "0 … 3 in target, for 3 classes"),
    (lambda: F.cross_entropy(X, tg.tensor([0, -1, 2, 0])), IndexError, "-1"),
    (lambda: F.cross_entropy(X, tg.tensor([0, 1])), ValueError, r"\(2,\).*\(4, 3\)"),
    (lambda: F.cross_entropy(X, T.reshape(4, 1)), ValueError, r"\(4, 1\)"),
    (lambda: F.cross_entropy(X, T == 0), TypeError, "bool"),
    (lambda: F.cross_entropy(X, tg.zeros(4, 2)), RuntimeError, r"\(4, 2\)"),
    (lambda: F.cross_entropy(X, tg.zeros(4, 3), ignore_index=1), NotImplementedError, "ignore_index"),
    (lambda: F.binary_cross_entropy(ROW[:, None], ROW[:, None], ROW), RuntimeError, r"weight \(4,\)"),
    (
        lambda: F.binary_cross_entropy_with_logits(ROW[:, None], ROW[:, None], pos_weight=ROW),
        RuntimeError,
        r"pos_weight \(4,\) does not fit input \(4, 1\)",
    ),
    (lambda: F.soft_margin_loss(ROW[:, None], ROW), RuntimeError, r"target \(4,\)"),
    (lambda: F.softmax(tg.zeros(0, 3), dim=2), IndexError, "dim 2"),
    (lambda: F.batch_norm(X, tg.zeros(3), None, training=True), ValueError, "both of running_mean"),
    (lambda: F.margin_ranking_loss(tg.ones(4, 1), ROW, ROW), RuntimeError, "as many dimensions"),
    (lambda: F.triplet_margin_loss(ROW, ROW, tg.ones(1, 4)), RuntimeError, "as many dimensions"),
    (lambda: F.cross_entropy(X, T, label_smoothing=1.5), ValueError, "label_smoothing.*1.5"),
    (lambda: F.cross_entropy(X, T, tg.ones(2)), RuntimeError, r"weight \(2,\).*3 classes"),
    (lambda: F.cross_entropy(tg.tensor(1.0), tg.tensor(0)), RuntimeError, "single number"),
    (lambda: F.nll_loss(X, tg.tensor([0, 1, 2, 3])), IndexError, "nll_loss.*3 classes"),
    (lambda: F.nll_loss(X, X), TypeError, "nll_loss.*float32"),
    (lambda: F.binary_cross_entropy(X, tg.zeros(4)), ValueError, r"\(4, 3\).*\(4,\)"),
    (lambda: F.binary_cross_entropy(X + 1.5, X), RuntimeError, "1.5"),
    (lambda: F.binary_cross_entropy(X * float("nan"), X), RuntimeError, "nan"),
    (lambda: F.binary_cross_entropy_with_logits(X, tg.zeros(4)), ValueError, r"\(4, 3\).*\(4,\)"),
    (lambda: F.gaussian_nll_loss(X, X, X - 1), ValueError, "negative"),
    (lambda: F.gaussian_nll_loss(X, X, tg.ones(2)), ValueError, r"\(2,\)"),
    (lambda: F.cosine_embedding_loss(X, X, tg.ones(3)), RuntimeError, r"\(3,\)"),
]


@pytest.mark.parametrize("i", range(len(ERRORS)))
def test_the_error_names_what_is_wrong(i):
    call, kind, words = ERRORS[i]
    with pytest.raises(kind, match=words):
        call()
