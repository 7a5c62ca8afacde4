"""Places that an index repeats: every share arrives, forwards in scatter_add and backwards everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg

sizes = st.integers(1, 4)
number = st.integers(-9, 9).map(float)


def loop_gradient(shape, index, g):
    """∂(Σ g x[index])/∂x, one element at a time."""
    total = np.zeros(shape)
    for place, flat in np.ndenumerate(np.arange(total.size).reshape(shape)[index]):
        total.flat[flat] += g[place]
    return total


@st.composite
def indexed(draw):
    """A shape, and an index that repeats places, of all the kinds there are."""
    shape = draw(st.tuples(sizes, sizes, sizes))

    def numbers(n, form):
        return draw(arrays(np.int64, form, elements=st.integers(-n, n - 1)))

    form = draw(st.sampled_from([(3,), (2, 2), (0,), (5, 1)]))
    kind = draw(
        st.sampled_from(["first", "middle", "two", "apart", "mask", "mask and number", "all", "slice"])
    )
    whole = slice(None)
    return shape, {
        "first": lambda: numbers(shape[0], form),
        "middle": lambda: (whole, numbers(shape[1], form)),
        "two": lambda: (numbers(shape[0], form), numbers(shape[1], form)),
        "apart": lambda: (numbers(shape[0], form), whole, numbers(shape[2], form)),
        "mask": lambda: draw(arrays(bool, shape[:2])),
        "mask and number": lambda: (draw(arrays(bool, shape[:1])), 0),
        "all": lambda: tuple(numbers(n, form) for n in shape),
        "slice": lambda: (..., slice(None, None, -1), numbers(shape[2], form)),
    }[kind]()


@given(indexed())
def test_the_gradient_of_an_index_collects_every_share(case):
    shape, index = case
    x = tg.tensor(np.arange(float(np.prod(shape))).reshape(shape), requires_grad=True)
    y = x[index]
    expected = x.detach().numpy()[index]
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = np.arange(1.0, y.numel() + 1).reshape(y.shape)
    y.backward(tg.tensor(g))
    np.testing.assert_allclose(x.grad.numpy(), loop_gradient(shape, index, g), 1e-12)


@given(indexed())
def test_the_gradient_of_the_gradient_of_an_index_is_the_index(case):
    shape, index = case
    x = tg.tensor(np.linspace(-1, 1, int(np.prod(shape))).reshape(shape), requires_grad=True)
    (slope,) = tg.autograd.grad((x[index] ** 3).sum(), x, create_graph=True)
    slope.sum().backward()
    times = loop_gradient(shape, index, np.ones(x[index].shape))
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy() * times, 1e-12, 1e-12)


@given(st.data(), st.tuples(sizes, sizes), st.sampled_from([0, 1, -1]))
def test_scatter_add_is_a_loop_and_gather_its_gradient(data, shape, dim):
    index_shape = tuple(data.draw(st.integers(1, n if i != dim % 2 else 5)) for i, n in enumerate(shape))
    index = data.draw(arrays(np.int64, index_shape, elements=st.integers(0, shape[dim] - 1)))
    src = data.draw(arrays(float, index_shape, elements=number))
    expected = np.ones(shape)
    for place in np.ndindex(index_shape):
        target = list(place)
        target[dim] = index[place]
        expected[tuple(target)] += src[place]
    base, source = (tg.tensor(a, requires_grad=True) for a in (np.ones(shape), src))
    y = base.scatter_add(dim, tg.tensor(index), source)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = tg.tensor(np.arange(1.0, y.numel() + 1).reshape(shape))
    y.backward(g)
    np.testing.assert_array_equal(source.grad.numpy(), g.gather(dim, tg.tensor(index)).numpy())
    np.testing.assert_array_equal(base.grad.numpy(), g.numpy())


@given(st.data(), st.tuples(sizes, sizes, sizes), st.integers(-3, 2))
def test_index_add_is_a_loop_and_index_select_its_gradient(data, shape, dim):
    index = data.draw(arrays(np.int64, data.draw(st.integers(0, 5)), elements=st.integers(0, shape[dim] - 1)))
    form = list(shape)
    form[dim] = index.size
    source = tg.tensor(np.arange(float(np.prod(form))).reshape(form), requires_grad=True)
    y = tg.zeros(shape, dtype=tg.float64).index_add(dim, tg.tensor(index), source, alpha=2)
    expected = np.zeros(shape)
    for k, i in enumerate(index):
        expected[(slice(None),) * (dim % 3) + (i,)] += 2 * source.detach().numpy().take(k, dim)
    np.testing.assert_array_equal(y.detach().numpy(), expected)
    g = tg.tensor(np.arange(float(np.prod(shape))).reshape(shape))
    y.backward(g)
    np.testing.assert_array_equal(source.grad.numpy(), 2 * g.index_select(dim, tg.tensor(index)).numpy())


def test_scatter_lets_one_value_stand_and_gives_the_gradient_to_it():
    x, src = tg.ones(3, requires_grad=True), tg.tensor([1.0, 2, 3, 4], requires_grad=True)
    y = x.scatter(0, tg.tensor([0, 2, 0, 0]), src)
    y.backward(tg.tensor([10.0, 20, 30]))
    assert y.tolist() == [4, 1, 2]
    assert (x.grad.tolist(), src.grad.tolist()) == ([0, 20, 0], [0, 30, 0, 10])


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_take_along_dim_undoes_argsort(dim):
    x = tg.tensor(np.random.default_rng(0).permutation(24).reshape(2, 3, 4))
    order = x.argsort(dim)
    np.testing.assert_array_equal(x.take_along_dim(order, dim).numpy(), np.sort(x.numpy(), dim))
    back = order.argsort(dim)
    np.testing.assert_array_equal(x.take_along_dim(order, dim).gather(dim, back).numpy(), x.numpy())


def test_a_single_number_has_one_place():
    x, first = tg.tensor(5.0, requires_grad=True), tg.tensor(0)
    for y in (x.gather(0, first), x.index_select(-1, first.reshape(1)), x.sort().values, x[()]):
        assert y.shape == () and y.item() == 5
        assert tg.autograd.grad(y * 2, x)[0].item() == 2
    assert x.scatter(0, first, tg.tensor(7.0)).item() == 7 and x.scatter_add(0, first, x).item() == 10
    assert x.argsort().tolist() == 0 and x.sort().indices.tolist() == 0
    with pytest.raises(IndexError, match="gather: index 1 is out of range for a dimension of size 1"):
        x.gather(0, first + 1)


@pytest.mark.parametrize("index", [[1, 2, 3], [3, 2, 1], slice(1, 4)])
def test_what_is_written_is_read_first(index):
    """Although it is a view of the memory that is written."""
    x, expected = tg.arange(4), np.arange(4)
    x[index] = x[:3]
    expected[index] = np.arange(3)
    assert x.tolist() == expected.tolist()
