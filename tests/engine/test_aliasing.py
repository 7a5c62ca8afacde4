"""Several tensors look at one memory: each sees what is written through any of them, with its gradient."""

from weakref import ref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import grad
from tinygrad_rnn.ops.aliasing import aliases_of


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


def slopes(y, *leaves):
    """The Jacobians of y, flat, by each of `leaves`."""
    rows = [grad(e, leaves, retain_graph=True, materialize_grads=True) for e in y.reshape(-1)]
    return [np.array([row[k].tolist() for row in rows]) for k in range(len(leaves))]


# --- who sees a write


def test_views_on_either_side_of_a_write_see_it():
    w, u = leaf(2.0, 3.0, 4.0), leaf(5.0)
    y = w * 1
    part, end, column = y[0:2], y[1:], y.view(3, 1)
    part *= u
    assert y.tolist() == [10, 15, 4] and end.tolist() == [15, 4] and column.tolist() == [[10], [15], [4]]
    for tensor, rows in ((part, [0, 1]), (y, [0, 1, 2]), (end, [1, 2]), (column, [0, 1, 2])):
        by_w, by_u = slopes(tensor, w, u)
        assert (by_w == np.diag([5, 5, 1])[rows]).all() and by_u.ravel().tolist() == np.array([2, 3, 0])[
            rows
        ].tolist()


def test_views_whose_whole_is_gone_see_each_other():
    w, u = leaf(2.0, 3.0, 4.0), leaf(5.0)
    whole = w * 1
    a, b = whole[:2], whole[1:]
    del whole
    a[1] = u * u
    assert (a.tolist(), b.tolist()) == ([2, 25], [25, 4])
    by_w, by_u = slopes(b, w, u)
    assert by_w.tolist() == [[0, 0, 0], [0, 0, 1]] and by_u.tolist() == [10, 0]


def test_views_of_a_tensor_without_a_graph_take_one_on():
    u = leaf(3.0)
    y = tg.zeros(4, dtype=tg.float64)
    head, even, turned, rest = y[:2], y[::2], y[::-1], y[2:]
    head[0] = u
    assert even.tolist() == [3, 0] and turned.tolist() == [0, 0, 0, 3]
    assert slopes(turned, u)[0].tolist() == [0, 0, 0, 1] and slopes(even, u)[0].tolist() == [1, 0]
    assert y.requires_grad and not rest.requires_grad  # which shows nothing of the head
    rest[0] = 7  # so this is not recorded, and seen all the same
    assert y.tolist() == [3, 0, 7, 0] and even.tolist() == [3, 7]


def test_an_expanded_view_sees_a_write_in_all_its_rows():
    u = leaf(3.0)
    y = tg.zeros(2, dtype=tg.float64)
    wide = y.expand(3, 2)
    y[1] = u * u
    assert wide.tolist() == [[0, 9]] * 3 and slopes(wide, u)[0].tolist() == [0, 6] * 3
    with pytest.raises(RuntimeError, match="an expanded tensor"):
        wide.zero_()


def test_who_read_a_view_before_keeps_the_old_values():
    w, u = leaf(0.5, 0.25), leaf(3.0)
    y = w * 1
    view = y[:1]
    square = view * view
    y[0] = u
    assert view.item() == 3 and square.item() == 0.25
    (square + view).sum().backward()
    assert w.grad.tolist() == [2 * 0.5, 0] and u.grad.item() == 1


def test_a_detached_tensor_and_a_parameter_share_values_without_a_gradient():
    u, data = leaf(3.0), tg.zeros(2, dtype=tg.float64)
    parameter, twin = nn.Parameter(data), data.detach()
    data[0] = u
    assert parameter.tolist() == twin.tolist() == [3, 0] and parameter.is_leaf and not twin.requires_grad
    with tg.no_grad():
        parameter[1] = 4
    assert data.tolist() == twin.tolist() == [3, 4]


def test_a_leaf_among_the_views_refuses():
    u = leaf(3.0)
    y = tg.zeros(3, dtype=tg.float64)
    part = y[:2].requires_grad_()
    with pytest.raises(RuntimeError, match="leaf that requires a gradient"):
        y[0] = u
    y[2:].copy_(u)
    assert y.tolist() == [0, 0, 3] and part.is_leaf and part.tolist() == [0, 0]


def test_what_is_assigned_to_its_own_place_is_there_already():
    w, u = leaf(1.0, 2.0), leaf(3.0)
    y = w * 1
    y[0] += u  # in Python: part = y[0]; part += u; y[0] = part
    names, node = [], y.node
    while hasattr(node, "parents"):
        names.append(node.name)
        node = node.parents[0]
    assert names.count("put") == 1
    y[...] = y
    y[1] = y[1].detach()  # not the same: no gradient comes this way
    by_w, by_u = slopes(y, w, u)
    assert y.tolist() == [4, 2] and by_w.tolist() == [[1, 0], [0, 0]] and by_u.tolist() == [1, 0]


def test_a_tensor_may_be_written_over_itself():
    w = leaf(1.0, 2.0, 3.0)
    y = w * 1
    y[::-1] = y
    assert y.tolist() == [3, 2, 1] and (slopes(y, w)[0] == np.eye(3)[::-1]).all()


def test_views_of_what_an_operation_in_place_has_made():
    u, places = leaf(3.0), tg.tensor([2, 0])
    y = tg.zeros(3, dtype=tg.float64)
    y.scatter_(0, places, u * tg.ones(2, dtype=tg.float64))
    part = y[1:]
    part *= u
    assert y.tolist() == [3, 0, 9] and slopes(y, u)[0].tolist() == [1, 0, 6]


def test_numbers_that_are_written_and_read_at_once_are_the_old_ones():
    y = tg.arange(5.0)
    y[tg.tensor([False, True, True, False, False])] = y[:2]
    assert y.tolist() == [0, 0, 1, 3, 4]
    y[[1, 2, 3]] = y[2:]
    assert y.tolist() == [0, 1, 3, 4, 4]


# --- any order of memory

WHOLES = {
    "columns first": lambda a, b: (a.T @ b).T,
    "a product of transposes": lambda a, b: a.T * b.T,
    "permuted": lambda a, b: (a * b).reshape(3, 1, 2).permute(2, 0, 1)[:, :, 0],
    "every second": lambda a, b: (a.reshape(-1).repeat_interleave(2) * 1).reshape(3, 4)[:, ::2],
    "backwards": lambda a, b: (a * b)[::-1, ::-1],
}
PARTS = {
    "a row": lambda y: y[0],
    "a column": lambda y: y[:, 1],
    "a transposed part": lambda y: y[:2, :2].T,
    "every second": lambda y: y[::2],
    "an element": lambda y: y[-1, 0],
    "new dimensions": lambda y: y[None, :, None, 0],
}


@pytest.mark.parametrize("whole", WHOLES.values(), ids=WHOLES)
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_write_passes_through_memory_in_any_order(whole, part):
    a, b, v = (tg.randn(*s, dtype=tg.float64).requires_grad_() for s in ((3, 2), (3, 2), ()))
    y = whole(a, b)
    hit = np.zeros(y.shape)
    part(tg.Tensor(hit)).fill_(1)  # where the part is
    kept, before = y.T, y.detach().numpy().copy()
    part(y).mul_(v)
    expected = whole(a, b) * (1 + tg.tensor(hit) * (v - 1))
    assert np.allclose(y.detach().numpy(), np.where(hit, before * v.item(), before), rtol=1e-15)
    assert (kept.detach().numpy() == y.detach().numpy().T).all()
    weights = tg.randn(*y.shape, dtype=tg.float64)
    wanted = grad((expected * weights).sum(), [a, b, v], materialize_grads=True)
    for shown, w in ((y, weights), (kept, weights.T)):
        found = grad((shown * w).sum(), [a, b, v], materialize_grads=True, retain_graph=True)
        for g, h in zip(found, wanted):
            assert np.allclose(g.numpy(), h.numpy(), rtol=1e-12)


# --- what it costs


def test_views_that_are_gone_are_forgotten():
    x, w = tg.zeros(3), leaf(1.0, 2.0)
    for _ in range(1000):
        x[0], w.T, w.detach()
    assert len(x.storage.aliases) < 20 and len(w.storage.aliases) < 20
    kept = [x[0] for _ in range(100)]
    for _ in range(1000):
        x[0]
    assert len(x.storage.aliases) < 2 * len(kept) + 20
    assert len(aliases_of(x.storage)) == len(kept) + 1


def test_a_view_does_not_keep_its_whole_alive():
    y = leaf(1.0, 2.0) * 1
    view, whole = y[0].detach(), ref(y)
    assert whole() is y
    del y
    assert whole() is None and aliases_of(view.storage) == [view]
