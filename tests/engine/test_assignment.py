"""Writing into tensors: differentiable, out of place for those who read before, and never silently lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import gradcheck, gradgradcheck


def leaf(*values):
    return tg.tensor(values if len(values) != 1 else values[0], dtype=tg.float64, requires_grad=True)


INDICES = {
    "an integer": 1,
    "from the end": -1,
    "a slice": slice(0, 2),
    "backwards": slice(None, None, -2),
    "an element": (1, 2),
    "a column": (slice(None), 1),
    "the ellipsis": (..., 0),
    "a new axis": (None, 0),
    "a list of rows": [2, 0],
    "rows twice": [1, 1],
    "rows and columns": ([0, 2], [1, 3]),
    "a row of columns": (1, [0, 3]),
    "a mask": np.array([[True, False, True, False]] * 3),
    "a mask of rows": np.array([True, False, True]),
    "nothing": slice(0, 0),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_an_assignment_is_differentiable_by_what_it_overwrites_and_by_what_it_writes(index):
    x, scale = tg.randn(3, 4, dtype=tg.float64), tg.randn((), dtype=tg.float64)
    v = tg.randn(*x.numpy()[index].shape, dtype=tg.float64)

    def program(x, v, scale):
        y = x * 1
        y[index] = v * scale
        return np.sin(y)

    leaves = [t.requires_grad_() for t in (x, v, scale)]
    assert gradcheck(program, leaves) and gradgradcheck(program, leaves)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (1, 4), (2, 1), (2, 4), (1, 2, 4)])
def test_what_is_written_is_broadcast(shape):
    x, v = (
        tg.randn(3, 4, dtype=tg.float64).requires_grad_(),
        tg.randn(*shape, dtype=tg.float64).requires_grad_(),
    )
    y = x * 1
    y[1:] = v
    plain = x.detach().numpy().copy()
    plain[1:] = v.detach().numpy()
    assert (y.detach().numpy() == plain).all()
    weights = tg.randn(3, 4, dtype=tg.float64)
    (y * weights).sum().backward()
    spread = np.broadcast_to(weights.numpy()[1:], (*[1] * (len(shape) - 2), 2, 4))
    axes = tuple(i - spread.ndim for i in range(spread.ndim) if ((1,) * 3 + shape)[i - spread.ndim] == 1)
    assert np.allclose(v.grad.numpy(), spread.sum(axes, keepdims=True).reshape(shape))
    assert np.allclose(x.grad.numpy(), [weights.numpy()[0], [0] * 4, [0] * 4])


def test_of_an_element_that_is_written_twice_the_last_value_counts():
    v = leaf(1.0, 2.0, 3.0)
    y = tg.zeros(2, dtype=tg.float64)
    y[[0, 1, 0]] = v
    assert y.tolist() == [3, 2]
    (y * tg.tensor([10.0, 100.0])).sum().backward()
    assert v.grad.tolist() == [0, 100, 10]


def test_zeros_without_a_graph_take_one_on():
    w = leaf(2.0)
    y = tg.zeros(3, dtype=tg.float64)
    for t in range(3):
        y[t] = w ** (t + 1)
    assert y.requires_grad and not y.is_leaf
    y.sum().backward()
    assert w.grad.item() == 1 + 2 * 2 + 3 * 4


def test_a_row_may_be_read_before_the_next_one_is_written():
    w = leaf(0.5)
    y = tg.zeros(6, dtype=tg.float64)
    y[0] = w
    for t in range(5):
        y[t + 1] = y[t] * w + y[max(t - 1, 0)]
    y[5].backward()

    def program(w):
        ys = [w]
        for t in range(5):
            ys.append(ys[t] * w + ys[max(t - 1, 0)])
        return ys[5]

    assert gradcheck(program, w.detach().requires_grad_())
    other = w.detach().requires_grad_()
    program(other).backward()
    assert w.grad.item() == pytest.approx(other.grad.item(), rel=1e-14)


def test_who_read_before_keeps_the_old_values():
    w = leaf(0.1, 0.2, 0.3)
    x = w * 1
    kept = np.tanh(x)  # needs its own output
    squared = x * x  # needs its input
    y = np.tanh(w)
    x[0] = 5
    y[0] = 5  # y is the output that tanh needs
    (kept + squared + x + y).sum().backward()
    t = np.tanh(w.detach().numpy())
    expected = (1 - t**2) + 2 * w.detach().numpy() + [0, 1, 1] + [0, 1, 1] * (1 - t**2)
    assert np.allclose(w.grad.numpy(), expected, rtol=1e-14)
    assert x.tolist()[0] == 5 and kept.tolist() == t.tolist()


def test_an_assignment_to_a_leaf_says_what_to_write():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"leaf that requires a gradient; .*clone\(\).*no_grad"):
        x[0] = 5
    with pytest.raises(RuntimeError, match="leaf"):
        x += 1
    with pytest.raises(RuntimeError, match="leaf"):
        x[0].mul_(2)
    with pytest.raises(RuntimeError, match="leaf"):
        x.unsqueeze_(0)
    assert x.tolist() == [1, 2]


def test_under_no_grad_a_leaf_is_written_in_its_own_memory():
    x = leaf(1.0, 2.0)
    array = x.array
    with tg.no_grad():
        x -= 0.5
        x[0] = 7
        x[1:].fill_(8)
        x.unsqueeze_(0)
    assert x.requires_grad and x.is_leaf and x.tolist() == [[7, 8]] and array.tolist() == [7, 8]


# --- views


VIEWS = {
    "a row": (lambda y: y[0], [[1, 1, 1], [0, 0, 0]]),
    "a column": (lambda y: y[:, 1], [[0, 1, 0], [0, 1, 0]]),
    "a row of a part": (lambda y: y[1:][0], [[0, 0, 0], [1, 1, 1]]),
    "flat": (lambda y: y.view(-1)[1:4], [[0, 1, 1], [1, 0, 0]]),
    "transposed": (lambda y: y.t()[2], [[0, 0, 1], [0, 0, 1]]),
    "narrowed": (lambda y: y.narrow(1, 0, 2), [[1, 1, 0], [1, 1, 0]]),
    "an element": (lambda y: y[1][2], [[0, 0, 0], [0, 0, 1]]),
}


@pytest.mark.parametrize("view, mask", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize(
    "recorded", [True, False], ids=["of a recorded tensor", "of a tensor without a graph"]
)
@pytest.mark.parametrize("operation", ["add_", "mul_", "copy_", "setitem"])
def test_writing_into_a_view_writes_into_what_it_is_a_view_of(view, mask, recorded, operation):
    mask = np.array(mask)
    x, w = tg.arange(1.0, 7, dtype=tg.float64).reshape(2, 3).requires_grad_(), leaf(3.0)
    y = x * 1 if recorded else x.detach().clone()
    part = view(y)
    if operation == "setitem":
        part[...] = w
    elif operation == "copy_":
        part.copy_(w * tg.ones(part.shape, dtype=tg.float64))
    else:
        getattr(part, operation)(w)
    before = x.detach().numpy()
    new = {"add_": before + 3, "mul_": before * 3}.get(operation, np.full((2, 3), 3.0))
    assert (y.detach().numpy() == np.where(mask, new, before)).all()
    assert (part.detach().numpy() == view(y).detach().numpy()).all()
    (y * y).sum().backward()
    slope = {"add_": np.ones((2, 3)), "mul_": before}.get(operation, np.ones((2, 3)))
    values = y.detach().numpy()
    assert w.grad.item() == pytest.approx((2 * values * slope * mask).sum())
    if recorded:
        inner = {"add_": 1, "mul_": 3}.get(operation, 0)
        assert np.allclose(x.grad.numpy(), 2 * values * np.where(mask, inner, 1))


def test_an_empty_view_stays_empty_when_its_whole_is_changed():
    w = tg.tensor([2.0, 3.0], requires_grad=True)
    whole = tg.ones(4)
    empty, part = whole[2:2], whole[1:3]
    part.mul_(w)
    assert whole.tolist() == [1, 2, 3, 1] and empty.shape == (0,) and empty.tolist() == []
    (whole * tg.arange(4)).sum().backward()
    assert w.grad.tolist() == [1, 2]


def test_a_view_whose_source_is_gone_is_changed_alone():
    w = leaf(1.0, 2.0, 3.0, 4.0)
    y = (w * 2).view(2, 2)
    y[0] = 5
    y.sum().backward()
    assert y.tolist() == [[5, 5], [6, 8]] and w.grad.tolist() == [0, 0, 2, 2]


def test_a_source_that_is_changed_leaves_recorded_views_as_they_were_read():
    """Rows that a loop has taken out of a tensor stay what they were when it goes on filling that tensor."""
    w = leaf(2.0)
    y = tg.zeros(2, dtype=tg.float64)
    y[0] = w
    first = y[0]
    y[1] = first * w
    assert first.item() == 2
    (first * y[1]).backward()
    assert w.grad.item() == 3 * 2**2


def test_without_a_graph_views_share_memory_both_ways():
    y = tg.zeros(2, 3)
    row = y[1]
    row[0] = 1
    y[1, 1] = 2
    row[2:].fill_(3)
    assert y.tolist() == [[0, 0, 0], [1, 2, 3]] and row.tolist() == [1, 2, 3]


def test_a_copy_shares_nothing_with_its_source():
    w = leaf(1.0, 2.0)
    source = w * 2
    y = tg.zeros(2, dtype=tg.float64)
    y.copy_(source)
    y[0] = 9
    assert source.tolist() == [2, 4] and y.tolist() == [9, 4]
    source[1] = 7
    assert y.tolist() == [9, 4]


# --- values that a graph still needs


def overwrite_leaf(x, y):
    with tg.no_grad():
        x.mul_(2)


def overwrite_by_data(x, y):
    x.data[0] = 3


def overwrite_output(x, y):
    y.detach()[0] = 3


def overwrite_in_a_view(x, y):
    with tg.no_grad():
        y[1:].zero_()


def overwrite_by_touch(x, y):
    x.array[0] = 3
    x.bump_version()


@pytest.mark.parametrize(
    "overwrite",
    [overwrite_leaf, overwrite_by_data, overwrite_output, overwrite_in_a_view, overwrite_by_touch],
)
def test_a_value_that_a_graph_needs_and_that_was_overwritten_is_an_error(overwrite):
    x = leaf(1.0, 2.0)
    y = np.tanh(x * x)
    overwrite(x, y)
    with pytest.raises(
        RuntimeError, match=r"a value that (mul|tanh) needs .* was overwritten in place later"
    ):
        y.sum().backward()


def test_a_value_that_no_rule_needs_may_be_overwritten():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x + w
    z = y.sum()
    with tg.no_grad():
        x.mul_(2)
        y.zero_()
    z.backward()
    assert x.grad.tolist() == w.grad.tolist() == [1, 1]


def test_a_value_that_was_overwritten_before_it_was_used_is_no_error():
    x = leaf(1.0, 2.0)
    with tg.no_grad():
        x.mul_(2)
    (x * x).sum().backward()
    assert x.grad.tolist() == [4, 8]


def test_after_backward_everything_may_be_overwritten():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * w).sum().backward()
        with tg.no_grad():
            w -= 0.1 * w.grad
        w.grad.zero_()
    assert np.allclose(w.detach().numpy(), np.array([1.0, 2.0]) * 0.8**3)


def test_a_leaf_whose_data_was_replaced_is_not_taken_for_the_old_one():
    x = leaf(1.0, 2.0)
    y = (x * x * x).sum()
    x.data = tg.tensor([5.0, 6.0], dtype=tg.float64)
    with pytest.raises(RuntimeError, match="replaced"):
        tg.autograd.grad(y, x, create_graph=True)
    y.backward()  # a first derivative needs the old values only, and has them
    assert x.grad.tolist() == [3, 12]


def test_memory_that_many_tensors_share_cannot_be_written():
    y = tg.zeros(1, 2).expand(3, 2)
    with pytest.raises((RuntimeError, ValueError), match=r"expand|read-only|clone"):
        y += 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("+*=v")), max_size=8), st.data()
)
def test_random_writes_equal_the_same_program_without_writes(steps, data):
    """Against a program that makes a new array for every write, by a product with a mask."""
    start = np.array([0.5, -1.0, 1.5, 0.25])
    ours, pure = leaf(*start), leaf(*start)
    y, z = ours * 1, pure * 1
    for i, j, kind in steps:
        unit = tg.tensor(np.eye(4)[i])
        value = {"+": z[i] + z[j], "*": z[i] * z[j], "=": np.sin(z[j]), "v": z[j] * 2}[kind]
        if kind == "+":
            y[i] += y[j]
        elif kind == "*":
            y[i : i + 1].mul_(y[j])
        elif kind == "=":
            y[i] = np.sin(y[j])
        else:
            y.view(2, 2)[i // 2][i % 2] = y[j] * 2
        z = z * (1 - unit) + unit * value
    assert np.allclose(y.detach().numpy(), z.detach().numpy())
    seed = tg.tensor([1.0, -2.0, 3.0, 0.5], dtype=tg.float64)
    y.backward(seed)
    z.backward(seed)
    assert np.allclose(ours.grad.numpy(), pure.grad.numpy())
