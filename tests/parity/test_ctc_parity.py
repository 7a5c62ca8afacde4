"""CTC beside PyTorch's, behind log_softmax, on problems drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")


@st.composite
def problems(draw):
    """Logits, targets padded and in a row, frames, target lengths, blank."""
    T, B, C = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(2, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blank = draw(st.integers(0, C - 1))
    sizes = [draw(st.integers(0, 5)) for _ in range(B)]
    frames = [draw(st.integers(min(T, 2 * n), T)) for n in sizes]
    labels = rng.integers(0, C - 1, (B, max(sizes) + draw(st.integers(0, 2))))
    labels += labels >= blank
    return 3 * rng.normal(size=(T, B, C)), labels, frames, sizes, blank


def loss_and_gradient(lib, logits, *arguments):
    x = lib.tensor(logits).requires_grad_()
    loss = lib.nn.CTCLoss(*arguments[3:])(x.log_softmax(-1), *arguments[:3])
    loss.sum().backward()
    return loss.detach().numpy(), x.grad.numpy()


def compare(logits, targets, frames, sizes, *options):
    ours = loss_and_gradient(tg, logits, tg.tensor(targets), frames, sizes, *options)
    theirs = loss_and_gradient(torch, logits, torch.tensor(targets), frames, sizes, *options)
    for mine, its in zip(ours, theirs):
        np.testing.assert_allclose(mine, its, rtol=1e-9, atol=1e-9)


@given(problems(), st.sampled_from(["none", "mean", "sum"]), st.booleans())
def test_padded_and_in_a_row(problem, reduction, in_a_row):
    logits, labels, frames, sizes, blank = problem
    if in_a_row:
        labels = np.concatenate([row[:n] for row, n in zip(labels, sizes)])
    compare(logits, labels, frames, sizes, blank, reduction, True)


@given(problems(), st.sampled_from(["none", "mean", "sum"]))
def test_one_sequence(problem, reduction):
    logits, labels, frames, sizes, blank = problem
    compare(logits[:, 0], labels[0, : sizes[0]], frames[:1], sizes[:1], blank, reduction, True)


@given(problems())
def test_infinite_losses(problem):
    logits, labels, frames, sizes, blank = problem
    frames = [n // 2 for n in frames]
    losses = [
        lib.nn.functional.ctc_loss(
            lib.tensor(logits).log_softmax(-1), lib.tensor(labels), frames, sizes, blank, "none"
        ).numpy()
        for lib in (tg, torch)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-9, atol=1e-9)


LENGTHS = """
    F.ctc_loss(x, y, [5, 4], [2, 1])
    F.ctc_loss(x, y, (5, 4), (2, 1), 1, "sum")
    F.ctc_loss(x, y, L.tensor([5, 4]), L.tensor([2, 1], dtype=L.int32), reduction="none")
    F.ctc_loss(x, y.int(), L.tensor([5, 4], dtype=L.uint8), L.tensor([2, 1]), blank=1)
    F.ctc_loss(x[:, 0], y[0], L.tensor(5), L.tensor(2), 1)
    F.ctc_loss(x[:, 0], y[0], (5,), (2,), 1, "none")
    F.ctc_loss(x[:, 0], y[:1], (5,), (2,), 1, "none").shape
    F.ctc_loss(x[:, 0], y[0], L.tensor([5]), L.tensor([2]), 1, "none").shape
    F.ctc_loss(x, L.zeros(2, 0).long(), [5, 0], [0, 0], reduction="none")
    F.ctc_loss(x, L.zeros(0).long(), [5, 0], [0, 0], reduction="none")
    F.ctc_loss(x, L.tensor([2, 3, 2]), [5, 4], [2, 1])
    F.ctc_loss(x, L.tensor([2, 3]), [5, 4], [2, 1])
    F.ctc_loss(x, L.tensor([2, 3, 2, 2]), [5, 4], [2, 1])
    F.ctc_loss(x, y.float(), [5, 4], [2, 1], 1)
    F.ctc_loss(x, y, [5, 6], [2, 1], 1)
    F.ctc_loss(x, y, [5, -1], [2, 1], 1)
    F.ctc_loss(x, y, [5, 4], [3, 1], 1)
    F.ctc_loss(x, y, [5, 4], [2, -1], 1)
    F.ctc_loss(x, y, [5, 4, 3], [2, 1, 1], 1)
    F.ctc_loss(x, y, L.tensor([5., 4.]), L.tensor([2., 1.]), 1)
    F.ctc_loss(x, y[:1], [5, 4], [2, 1], 1)
    F.ctc_loss(x, y[None], [5, 4], [2, 1], 1)
    F.ctc_loss(x[None], y, [5, 4], [2, 1], 1)
    F.ctc_loss(x[:0], y, [0, 0], [2, 1], 1)
    F.ctc_loss(x[:, :0], y[:0], [], [], 1)
    F.ctc_loss(x, y, [5, 4], [2, 1], 4)
    F.ctc_loss(x, y, [5, 4], [2, 1], -1)
    F.ctc_loss(x, y, [5, 4], [2, 1], 1, "average")
    F.ctc_loss(x.long(), y, [5, 4], [2, 1], 1)
    str(L.nn.CTCLoss(1, "sum", True))
"""


@pytest.mark.parametrize("call", [line.strip() for line in LENGTHS.strip().splitlines()])
def test_forms_of_arguments(call):
    """The same value, or both refuse."""
    results = []
    for lib in (tg, torch):
        x = lib.tensor(np.random.default_rng(0).normal(size=(5, 2, 4)))
        names = {"x": x, "y": lib.tensor([[2, 3], [2, 2]]), "F": lib.nn.functional, "L": lib}
        try:
            found = eval(call, names)
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            found = "refused"
        if not isinstance(found, (str, tuple)):
            found = np.round(found.numpy().astype(float), 9).tolist()
        results.append(found if isinstance(found, (str, list, float)) else tuple(found))
    assert results[0] == results[1]
